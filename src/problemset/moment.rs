//! Moments in RFC 3339. In: a text. Out: the moment, with the offset that was written. Knows no time zones.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// `2018-07-06T16:34:00+08:00`, literally: four-digit year, seconds, an offset or `Z`.
///
/// Errors: a sentence that completes "is not a moment:".
pub(super) fn parse_rfc3339(text: &str) -> Result<Zoned, String> {
    let shape = || "expected RFC 3339, as in 2018-07-06T16:34:00+08:00".to_owned();
    let Some((local, offset)) = split(text) else { return Err(shape()) };
    // The shape is checked by hand because jiff reads all of ISO 8601 and its own annotations.
    let civil: DateTime = local.parse().map_err(|_| "there is no such day or time".to_owned())?;
    let offset = parse_offset(offset).ok_or_else(shape)?;
    let moment: Timestamp =
        offset.to_timestamp(civil).map_err(|_| "outside the years that can be told".to_owned())?;
    Ok(moment.to_zoned(TimeZone::fixed(offset)))
}

/// A moment as it is written into manifests: RFC 3339, fractions of a second only where there are some.
pub(super) fn to_rfc3339(moment: &Zoned) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

fn split(text: &str) -> Option<(&str, &str)> {
    const LOCAL: &[u8; 19] = b"dddd-dd-ddTdd:dd:dd";
    let matches = |pattern: &[u8], bytes: &[u8]| {
        pattern.len() == bytes.len()
            && pattern.iter().zip(bytes).all(|(p, b)| if *p == b'd' { b.is_ascii_digit() } else { p == b })
    };
    if !text.is_ascii() || !matches(LOCAL, text.as_bytes().get(..LOCAL.len())?) {
        return None;
    }
    let rest = &text[LOCAL.len()..];
    let fraction = match rest.strip_prefix('.') {
        Some(digits) => 1 + digits.bytes().take_while(u8::is_ascii_digit).count(),
        None => 0,
    };
    // jiff keeps nanoseconds.
    if fraction == 1 || fraction > 10 {
        return None;
    }
    let (local, offset) = text.split_at(LOCAL.len() + fraction);
    let fits =
        offset == "Z" || matches(b"+dd:dd", offset.as_bytes()) || matches(b"-dd:dd", offset.as_bytes());
    fits.then_some((local, offset))
}

fn parse_offset(text: &str) -> Option<Offset> {
    if text == "Z" {
        return Some(Offset::UTC);
    }
    let (sign, digits) = text.split_at_checked(1)?;
    let (hours, minutes) = digits.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60;
    Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_its_offset() {
        for (written, printed) in [
            ("2018-07-06T16:34:00+08:00", "2018-07-06T16:34:00+08:00"),
            ("2018-07-06T16:34:00-03:30", "2018-07-06T16:34:00-03:30"),
            ("2018-07-06T16:34:00.5Z", "2018-07-06T16:34:00.5+00:00"),
        ] {
            assert_eq!(parse_rfc3339(written).map(|moment| to_rfc3339(&moment)), Ok(printed.to_owned()));
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2018-07-06",
            "2018-07-06 16:34:00Z",
            "2018-07-06T16:34:00",
            "2018-7-6T16:34:00Z",
            "2018-07-06T16:34:00+0800",
            "2018-07-06T16:34:00+08:00[Asia/Shanghai]",
            "2018-07-06T16:34:00+25:00",
            "2018-07-06T16:34:00.Z",
            "２018-07-06T16:34:00Z",
        ] {
            let shape = "expected RFC 3339, as in 2018-07-06T16:34:00+08:00";
            assert_eq!(parse_rfc3339(text), Err(shape.to_owned()), "{text}");
        }
        assert_eq!(parse_rfc3339("2018-02-30T00:00:00Z"), Err("there is no such day or time".to_owned()));
    }
}
