//! Sizes for people. In: bytes. Out: the text that tables and pages show.

/// A size for people: three digits and a unit.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for larger in UNITS {
        // 1023.95 and more would be written as 1024.0.
        if tenths < 10_235 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = larger;
    }
    if unit == "B" || tenths >= 1000 {
        format!("{}{unit}", (tenths + 5) / 10)
    } else {
        format!("{}.{}{unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_short() {
        for (bytes, told) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0KiB"),
            (4_321_000, "4.1MiB"),
            (1 << 20, "1.0MiB"),
            (250 << 20, "250MiB"),
            ((1 << 30) - 1, "1.0GiB"),
            (u64::MAX, "16384PiB"),
        ] {
            assert_eq!(size(bytes), told);
        }
    }
}
