//! The old service's `createTime`. In: a text or a number, and the time zone that it meant. Out: a
//! moment. Never reads the clock or the machine's time zone.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::fold::folded_text;
use crate::problemset::moment::parse_rfc3339;

/// What a time without a time zone meant to the old service.
pub const DEFAULT_TIME_ZONE: &str = "Asia/Shanghai";

/// Why a time cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// None of the forms.
    #[error("is not a time")]
    Form,
    /// `2018-2-30`, `25:00`.
    #[error("names a day or an hour that does not exist")]
    NoSuchTime,
    /// A date alone.
    #[error("has no time of day")]
    NoTimeOfDay,
    /// In the hour that is skipped when clocks are put forward.
    #[error("did not exist in {0}: the clocks were put forward")]
    Skipped(String),
    /// In the hour that comes twice when clocks are put back.
    #[error("happened twice in {0}: the clocks were put back")]
    Twice(String),
    /// Digits that are neither seconds nor milliseconds.
    #[error("is a number, but neither epoch seconds (10 digits) nor milliseconds (13 digits)")]
    Epoch,
}

impl TimeError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoSuchTime => None,
            Self::Form | Self::NoTimeOfDay | Self::Epoch => {
                Some("write it as 2018-7-6 16:34, or as 2018-07-06T16:34:00+08:00")
            }
            Self::Skipped(_) | Self::Twice(_) => Some("write it with its offset: 2018-07-06T16:34:00+08:00"),
        }
    }
}

/// Reads `createTime`.
///
/// The forms: `2018-7-6 16:34`, `2018/7/6 16:34:05`, `2018年7月6日 16:34`, `2018年7月6日16时34分5秒`, each in
/// `zone`; RFC 3339, with its own offset or, without one, in `zone`; epoch seconds (10 digits) and
/// milliseconds (13 digits), told in `zone`. Full-width digits and delimiters are equal to the ASCII
/// ones. A date alone is an error: any hour would be invented.
pub fn parse_time(text: &str, zone: &TimeZone) -> Result<Zoned, TimeError> {
    let text = folded_text(text);
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return parse_epoch(text, zone);
    }
    if text.contains('T') {
        return parse_with_t(text, zone);
    }
    in_zone(parse_civil(text)?, zone)
}

fn parse_epoch(digits: &str, zone: &TimeZone) -> Result<Zoned, TimeError> {
    // Other lengths are dates in disguise: 20180706, 201807061634.
    let number: i64 = digits.parse().map_err(|_| TimeError::Epoch)?;
    let moment = match digits.len() {
        10 => Timestamp::from_second(number),
        13 => Timestamp::from_millisecond(number),
        _ => return Err(TimeError::Epoch),
    };
    Ok(moment.map_err(|_| TimeError::Epoch)?.to_zoned(zone.clone()))
}

fn parse_with_t(text: &str, zone: &TimeZone) -> Result<Zoned, TimeError> {
    // The shape with any offset decides whether the text is RFC 3339; the zone is used only if it has none.
    let local = format!("{text}Z");
    match (parse_rfc3339(text), parse_rfc3339(&local)) {
        (Ok(moment), _) => Ok(moment),
        (_, Ok(moment)) => in_zone(moment.datetime(), zone),
        (Err(own), Err(as_local)) => {
            let no_such = "there is no such day or time";
            Err(if own == no_such || as_local == no_such { TimeError::NoSuchTime } else { TimeError::Form })
        }
    }
}

/// A run of digits, and the delimiter that followed it.
struct Field {
    number: i16,
    delimiter: String,
}

fn parse_civil(text: &str) -> Result<DateTime, TimeError> {
    let fields = fields(text).ok_or(TimeError::Form)?;
    let delimiters: Vec<&str> = fields.iter().map(|field| field.delimiter.as_str()).collect();
    let (date, time) = delimiters.split_at_checked(3).ok_or(TimeError::Form)?;
    let date_fits = match date {
        ["-", "-", end] | ["/", "/", end] => matches!(*end, "" | " "),
        ["年", "月", end] => matches!(*end, "日" | "日 "),
        _ => false,
    };
    let time_fits = match time {
        [] => return Err(if date_fits { TimeError::NoTimeOfDay } else { TimeError::Form }),
        [":", ""] | [":", ":", ""] | ["时", "分"] | ["时", "分", "秒"] => true,
        _ => false,
    };
    // A year of two digits could be any century's.
    let year_fits = text.bytes().take_while(u8::is_ascii_digit).count() == 4;
    if !(date_fits && time_fits && year_fits) {
        return Err(TimeError::Form);
    }
    let number = |index: usize| fields.get(index).map_or(0, |field| field.number);
    let small = |index: usize| i8::try_from(number(index)).map_err(|_| TimeError::NoSuchTime);
    DateTime::new(number(0), small(1)?, small(2)?, small(3)?, small(4)?, small(5)?, 0)
        .map_err(|_| TimeError::NoSuchTime)
}

/// Each number with what stands behind it: `2018-`, `7-`, `6 `, `16:`, `34`. White space behind one
/// becomes one space.
fn fields(text: &str) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (delimiter, behind) = behind.split_at(end);
        let blank = delimiter.ends_with(char::is_whitespace);
        let delimiter = format!("{}{}", delimiter.trim_end(), if blank { " " } else { "" });
        fields.push(Field { number: number.parse().ok()?, delimiter });
        rest = behind;
    }
    Some(fields)
}

fn in_zone(civil: DateTime, zone: &TimeZone) -> Result<Zoned, TimeError> {
    let name = || zone.iana_name().unwrap_or("that time zone").to_owned();
    let ambiguous = zone.to_ambiguous_zoned(civil);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => Err(TimeError::Skipped(name())),
        AmbiguousOffset::Fold { .. } => Err(TimeError::Twice(name())),
        AmbiguousOffset::Unambiguous { .. } => ambiguous.unambiguous().map_err(|_| TimeError::NoSuchTime),
    }
}
