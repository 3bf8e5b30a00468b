//! Times on the command line. In: a duration before now, a time, or seconds since 1970. Out: what the engine takes.

use jiff::Timestamp;

use crate::engine::Moment;
use crate::resource::duration::Duration;

/// Reads a time.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    at(text, Timestamp::now())
}

/// Reads a time, for whoever is no engine.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    timestamp(text, Timestamp::now())
}

fn at(text: &str, now: Timestamp) -> Result<Moment, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds.to_string());
    }
    let nanoseconds = timestamp(text, now)?.as_nanosecond().max(0);
    Ok(format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000))
}

fn timestamp(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let expected = || {
        "expected how long ago (10m, 1h30m), a time with its zone (2018-07-06T16:34:00+08:00) or seconds since 1970"
            .to_owned()
    };
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).map_err(|_| expected());
    }
    match text.parse::<Duration>() {
        Ok(before) => now.checked_sub(std::time::Duration::from(before)).map_err(|_| expected()),
        Err(_) => text.parse().map_err(|_| expected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_duration_a_date_or_a_number() {
        let now = Timestamp::from_second(1_530_866_400).expect("a time");
        for (text, told) in [
            ("10m", "1530865800.000000000"),
            ("1s500ms", "1530866398.500000000"),
            ("2018-07-06T16:34:00.25+08:00", "1530866040.250000000"),
            ("2018-07-06T08:34:00Z", "1530866040.000000000"),
            ("1530866040", "1530866040"),
            ("0", "0"),
        ] {
            assert_eq!(at(text, now).as_deref(), Ok(told), "{text}");
        }
        for wrong in ["", "yesterday", "2018-07-06T16:34:00", "-5m", " "] {
            assert!(at(wrong, now).is_err(), "{wrong}");
        }
    }
}
