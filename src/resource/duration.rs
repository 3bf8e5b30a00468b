//! Durations in Docker's (Go's) notation. In: `1m30s`. Out: nanoseconds.

use std::fmt;
use std::time;

use super::notation::{NoLongForm, Notation, notation};

/// A length of time. The engine counts nanoseconds in a signed 64-bit number, which bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Duration {
    /// The same for the standard library.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.nanos())
    }

    /// The duration in nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Whole seconds, rounded up.
    pub const fn seconds(self) -> u64 {
        self.0.div_ceil(1_000_000_000)
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        Self::from_nanos(duration.0)
    }
}

impl Notation for Duration {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a duration like \"30s\"";

    fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("`{}` is not a duration (like 1m30s, 500ms)", text.escape_debug());
        if !text.is_empty() && text != "0" && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`{text}` has no unit: for seconds write `{text}s`"));
        }
        let mut rest = text;
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(refused());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
            let number: u64 = number.parse().map_err(|_| refused())?;
            total = number
                .checked_mul(*factor)
                .and_then(|part| total.checked_add(part))
                .filter(|total| i64::try_from(*total).is_ok())
                .ok_or_else(refused)?;
            rest = tail;
        }
        Ok(Self(total))
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, factor) in UNITS {
            if rest >= factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

notation!(Duration, "Duration", "A duration: `30s`, `1m30s`, `500ms`.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_what_they_show() {
        for (text, nanos) in [("2s", 2_000_000_000), ("1m30s", 90_000_000_000), ("1500ms", 1_500_000_000)] {
            let duration: Duration = text.parse().expect(text);
            assert_eq!(duration.nanos(), nanos);
            assert_eq!(duration.to_string().parse(), Ok(duration));
        }
        assert_eq!("1500ms".parse::<Duration>().expect("a duration").to_string(), "1s500ms");
        for bad in ["", "5", "s", "5x", "5 s", "-5s", "99999999999h"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad:?}");
        }
    }
}
