//! Sizes and CPU counts. In: Docker's notations. Out: bytes and billionths of a core.

use std::fmt;

use super::notation::{NoLongForm, Notation, notation};

/// A number of bytes. Units are powers of 1024, as in Docker: `64m`, `64Mi`, `64MiB` are one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const UNITS: [(&str, u64); 4] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

impl ByteSize {
    /// This many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Notation for ByteSize {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a size like \"64Mi\" or a number of bytes";

    fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("`{}` is not a size (like 64Mi, 512m, 1.5g)", text.escape_debug());
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" | "ki" | "kib" => 1 << 10,
            "m" | "mb" | "mi" | "mib" => 1 << 20,
            "g" | "gb" | "gi" | "gib" => 1 << 30,
            "t" | "tb" | "ti" | "tib" => 1 << 40,
            _ => return Err(refused()),
        };
        match scaled(number, factor) {
            Some(bytes) => Ok(Self(bytes)),
            None if number.parse::<f64>().is_ok_and(|number| number >= 1.0) && !number.ends_with('.') => {
                Err(format!("`{}` is more than the engine can count", text.escape_debug()))
            }
            None => Err(refused()),
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

/// A decimal text times `factor`, in whole units (fractions of a unit are cut); `None` if it is no
/// decimal or does not fit.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 || number.ends_with('.')
    {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let whole = u128::from(whole.parse::<u64>().ok()?);
    // 64 bits times 10^9 fit, and times a factor they may not.
    let total = (whole * scale + fraction).checked_mul(u128::from(factor))? / scale;
    // The engine takes signed 64-bit numbers.
    i64::try_from(total).ok().and_then(|total| u64::try_from(total).ok())
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

notation!(ByteSize, "ByteSize", "A size: a number of bytes, or with a unit (`64Mi`, `512m`, `1.5g`; powers of 1024).", also u64);

/// A number of CPUs, kept in billionths as the engine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpus(u64);

impl Cpus {
    /// Billionths of a CPU.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This many billionths of a CPU.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }
}

impl Notation for Cpus {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a number of CPUs like 0.25";

    fn parse(text: &str) -> Result<Self, String> {
        scaled(text, 1_000_000_000)
            .map(Self)
            .ok_or_else(|| format!("`{}` is not a number of CPUs (like 0.25)", text.escape_debug()))
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if fraction == 0 {
            write!(f, "{whole}")
        } else {
            write!(f, "{whole}.{}", format!("{fraction:09}").trim_end_matches('0'))
        }
    }
}

notation!(Cpus, "Cpus", "A number of CPUs, like 0.25.", also f64);

/// Memory and swap together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemorySwap {
    /// Swap without limit.
    Unlimited,
    /// This much.
    Size(ByteSize),
}

impl MemorySwap {
    /// The engine's number: bytes, or -1.
    pub fn bytes(self) -> i64 {
        match self {
            Self::Unlimited => -1,
            // A size fits: it was read from less than 2^63.
            Self::Size(size) => i64::try_from(size.bytes()).unwrap_or(i64::MAX),
        }
    }

    /// From the engine's number.
    pub fn from_bytes(bytes: i64) -> Self {
        u64::try_from(bytes).map_or(Self::Unlimited, |bytes| Self::Size(ByteSize(bytes)))
    }
}

impl Notation for MemorySwap {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a size like \"1Gi\", or -1";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "-1" => Ok(Self::Unlimited),
            size => size.parse().map(Self::Size),
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for MemorySwap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("-1"),
            Self::Size(size) => size.fmt(f),
        }
    }
}

notation!(MemorySwap, "MemorySwap", "A size, or -1 for no limit.", also i64);

/// Some of the host's CPUs or memory nodes, by number. Shown as `0-2,4`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuSet(String);

impl Notation for CpuSet {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "numbers like \"0-2,4\"";

    fn parse(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        let fits = text.split(',').all(|part| match part.split_once('-') {
            Some((first, last)) => number(first).zip(number(last)).is_some_and(|(first, last)| first <= last),
            None => number(part).is_some(),
        });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a set of numbers (like 0-2,4)", text.escape_debug()))
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

notation!(CpuSet, "CpuSet", "Numbers of CPUs or memory nodes: `0-2,4`.", also u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_dockers() {
        for (text, bytes, shown) in [
            ("64Mi", 67_108_864, "64Mi"),
            ("64m", 67_108_864, "64Mi"),
            ("1.5g", 1_610_612_736, "1536Mi"),
            ("1000", 1000, "1000"),
            ("1kb", 1024, "1Ki"),
            ("0", 0, "0"),
        ] {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown), "{text}");
        }
        assert_eq!(
            "8388607.999999999t".parse::<ByteSize>().map(ByteSize::bytes),
            Ok(9_223_372_036_854_774_708)
        );
        assert_eq!(
            "309485009821345068.724781056t".parse::<ByteSize>(),
            Err("`309485009821345068.724781056t` is more than the engine can count".to_owned())
        );
        for bad in [
            "18446744073709551615.000000001t",
            "",
            "m",
            "-1m",
            "1x",
            "1..5g",
            "1.",
            "99999999999999999999",
            "9999999t",
            "1 2",
        ] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn cpus_are_exact() {
        let quarter: Cpus = "0.25".parse().expect("a count");
        assert_eq!((quarter.nanos(), quarter.to_string().as_str()), (250_000_000, "0.25"));
        assert_eq!(serde_json::from_str::<Cpus>("0.1").expect("a count").nanos(), 100_000_000);
        assert!(".5".parse::<Cpus>().is_err());
    }
}
