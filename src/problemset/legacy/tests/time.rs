//! The forms of `createTime`.

use jiff::tz::TimeZone;

use crate::problemset::legacy::time::parse_time;
use crate::problemset::moment::to_rfc3339;

fn read(text: &str, zone: &str) -> String {
    match parse_time(text, &TimeZone::get(zone).unwrap()) {
        Ok(moment) => to_rfc3339(&moment),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_form_of_a_time_is_the_same_moment() {
    for text in [
        "2018-7-6 16:34",
        "2018-07-06  16:34:00",
        "2018/7/6 16:34",
        "2018年7月6日 16:34",
        "2018年7月6日16:34:00",
        "2018年7月6日16时34分",
        "2018年7月6日 16时34分0秒",
        "２０１８－７－６　１６：３４",
        "2018-07-06T16:34:00+08:00",
        "2018-07-06T16:34:00",
        "1530866040",
        "1530866040000",
        " 2018-7-6 16:34 ",
    ] {
        assert_eq!(read(text, "Asia/Shanghai"), "2018-07-06T16:34:00+08:00", "{text}");
    }
}

#[test]
fn the_time_zone_decides_where_the_text_does_not() {
    assert_eq!(read("2018-7-6 16:34", "Europe/Berlin"), "2018-07-06T16:34:00+02:00");
    assert_eq!(read("1530866040", "UTC"), "2018-07-06T08:34:00+00:00");
    assert_eq!(read("2018-07-06T16:34:00+08:00", "UTC"), "2018-07-06T16:34:00+08:00");
    assert_eq!(read("1530866040500", "UTC"), "2018-07-06T08:34:00.5+00:00");
}

#[test]
fn what_is_no_time_is_refused() {
    let no_such = "names a day or an hour that does not exist";
    for (text, error) in [
        ("2018-2-30 10:00", no_such),
        ("2018-13-1 10:00", no_such),
        ("2018-7-6 25:00", no_such),
        ("2018年2月30日 10:00", no_such),
        ("2018-02-30T10:00:00+08:00", no_such),
        ("2018-02-30T10:00:00", no_such),
        ("2018-2-30", "has no time of day"),
        ("2018-7-6", "has no time of day"),
        ("2018年7月6日", "has no time of day"),
        ("", "is not a time"),
        ("soon", "is not a time"),
        ("18-7-6 16:34", "is not a time"),
        ("2018-7/6 16:34", "is not a time"),
        ("2018-7-6 16:34 PM", "is not a time"),
        ("2018-7-6T16:34", "is not a time"),
        ("99999999-7-6 16:34", "is not a time"),
        ("20180706", "is a number, but neither epoch seconds (10 digits) nor milliseconds (13 digits)"),
        (
            "99999999999999999999",
            "is a number, but neither epoch seconds (10 digits) nor milliseconds (13 digits)",
        ),
    ] {
        assert_eq!(read(text, "Asia/Shanghai"), error, "{text}");
    }
}

#[test]
fn an_hour_that_is_skipped_or_comes_twice_is_refused() {
    let skipped = "did not exist in Europe/Berlin: the clocks were put forward";
    let twice = "happened twice in Europe/Berlin: the clocks were put back";
    assert_eq!(read("2018-3-25 2:30", "Europe/Berlin"), skipped);
    assert_eq!(read("2018-10-28 2:30", "Europe/Berlin"), twice);
}
