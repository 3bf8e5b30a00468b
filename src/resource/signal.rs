//! Signals. In: a number (1 to 64) or a name with or without `SIG` (signal(7)). Out: the one of the other.

/// The names from 1 on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The first of the real-time signals.
const RTMIN: u8 = 34;

/// Whether a text is a signal. Of real-time signals every name is taken.
pub fn is_signal(text: &str) -> bool {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    NAMES.contains(&name)
        || name.starts_with("RTMIN")
        || name.starts_with("RTMAX")
        || text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number))
}

/// The number of a signal; `None` where no one knows it, as of names that count from `RTMAX`.
pub fn number(signal: &str) -> Option<u8> {
    if let Ok(number) = signal.parse() {
        return Some(number);
    }
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    if let Some(after) = name.strip_prefix("RTMIN") {
        return RTMIN.checked_add(if after.is_empty() {
            0
        } else {
            after.strip_prefix('+')?.parse().ok()?
        });
    }
    let index = NAMES.iter().position(|known| *known == name)?;
    u8::try_from(index + 1).ok()
}

/// The name of a signal; its number where it has none.
pub fn name(number: u8) -> String {
    let index = usize::from(number).checked_sub(1);
    match (index.and_then(|index| NAMES.get(index)), number.checked_sub(RTMIN)) {
        (Some(name), _) => format!("SIG{name}"),
        (None, Some(0)) => "SIGRTMIN".to_owned(),
        (None, Some(after)) => format!("SIGRTMIN+{after}"),
        (None, None) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_one_of_its_name() {
        for number in (1..=31).chain(34..=64) {
            assert_eq!(super::number(&name(number)), Some(number));
            assert!(is_signal(&name(number)));
        }
        assert_eq!((number("KILL"), number("9"), number("RTMIN+1")), (Some(9), Some(9), Some(35)));
        assert_eq!((number("RTMAX"), number("NONE"), number("RTMIN+255")), (None, None, None));
        assert_eq!(name(32), "32");
    }
}
