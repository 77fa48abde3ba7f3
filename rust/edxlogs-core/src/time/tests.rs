#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const MOMENT: i64 = 1_443_668_558_407_715;

fn micros(text: &str) -> Option<i64> {
    parse(text).map(|time| time.micros)
}

/// Days since 1970-01-01, counted month by month; the length of a month is not looked up
/// but spelled out. `None` for a day that is not in the calendar.
fn naive_days(year: u32, month: u32, day: u32) -> Option<i64> {
    let lengths = |year: u32| {
        let divides = |n: u32| year / n * n == year;
        let leap = divides(400) || divides(4) && !divides(100);
        [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    };
    let before = |end: u32| -> i64 { (1..end).map(|y| lengths(y).iter().sum::<i64>()).sum() };
    let in_year = lengths(year);
    let length = *in_year.get(month.checked_sub(1)? as usize)?;
    if year == 0 || !(1..=length).contains(&i64::from(day)) {
        return None;
    }
    let months: i64 = in_year[..month as usize - 1].iter().sum();
    Some(before(year) - before(1970) + months + i64::from(day) - 1)
}

#[test]
fn forms_in_the_wild() {
    for (text, micros, usual) in [
        ("2015-10-01T03:02:38.407715+00:00", MOMENT, true),
        ("2015-10-01T03:02:38+00:00", MOMENT - 407_715, true),
        ("2015-10-01T03:02:38.407715", MOMENT, true),
        ("2015-10-01T03:02:38", MOMENT - 407_715, true),
        ("2015-10-01T03:02:38.407Z", MOMENT - 715, true),
        ("2015-10-01T03:02:38.4+00:00", MOMENT - 7_715, true),
        ("2015-10-01T03:02:38.407715123+00:00", MOMENT, true),
        ("2015-10-01T03:02:38.407715999999999999999999Z", MOMENT, true),
        ("2015-09-30T23:02:38.407715-04:00", MOMENT, true),
        ("2015-10-01T08:32:38.407715+0530", MOMENT, true),
        ("2015-10-01T03:02:38.407715+0000", MOMENT, true),
        ("2015-10-01 03:02:38.407715", MOMENT, false),
        ("2015-10-01 03:02:38.407715 UTC", MOMENT, false),
        ("2015-10-01 03:02:38 UTC", MOMENT - 407_715, false),
        ("2015-10-01 03:02:38.407715+00", MOMENT, false),
        ("2015-10-01 03:02:38.407715+0000", MOMENT, false),
        ("2015-10-01 05:02:38.407715 +02:00", MOMENT, false),
        ("2015-09-30 23:02:38.407715-04", MOMENT, false),
        ("2015-10-01T03:02:38.407715UTC", MOMENT, false),
        ("2015-10-01T03:02:38.407715 Z", MOMENT, false),
        (" 2015-10-01T03:02:38.407715+00:00\r\n", MOMENT, true),
        ("1970-01-01T00:00:00Z", 0, true),
        ("1969-12-31T23:59:59.999999Z", -1, true),
        ("0001-01-01T00:00:00", FIRST_MICROS, true),
        ("9999-12-31T23:59:59.9999999", LAST_MICROS, true),
    ] {
        assert_eq!(parse(text), Some(Time { micros, usual }), "{text}");
    }
}

#[test]
fn texts_that_are_no_moment() {
    for text in [
        "",
        "2015-10-01",
        "2015-10-01T",
        "2015-10-01T03:02",
        "hello-this-is-a-mess",
        "0000-00-00T00:00:00",
        "0000-01-01T00:00:00",
        "2015-13-45T25:61:00+00:00",
        "2015-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2015-10-01T24:00:00Z",
        "2015-10-01T23:60:00Z",
        "2015-06-30T23:59:60Z",
        "2015-10-01T03:02:38.Z",
        "2015-10-01T03:02:38.407715+00:60",
        "2015-10-01T03:02:38.407715+24:00",
        "2015-10-01T03:02:38.40x715+00:00",
        "2015-10-01T03:02:38.407715+00:00x",
        "2015-10-01T03:02:38.407715  UTC",
        "2015-10-01T03:02:38.407715 utc",
        "2015-10-01T03:02:38.407715 EST",
        "2015-10-01T03:02:38.407715+0",
        "2015-10-01T03:02:38.407715+24",
        "2015-10-01T03:02:38,407",
        "2015-10-01x03:02:38",
        "2015/10/01T03:02:38",
        "+015-10-01T03:02:38",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2015-10-01T03:02:38\u{e9}",
        "1443668558407",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn numbers() {
    for (text, micros) in [
        ("1443668558407", Some(MOMENT - 715)),
        ("1443668558407.715", Some(MOMENT)),
        ("1.443668558407715e12", Some(MOMENT)),
        ("1443668558.407715", Some(MOMENT)),
        ("1443668558", Some(MOMENT - 407_715)),
        ("0", Some(0)),
        ("-0.5", Some(-500_000)),
        ("100000000000", Some(100_000_000_000_000)),
        ("99999999999", Some(99_999_999_999_000_000)),
        ("-100000000000", Some(-100_000_000_000_000)),
        ("253402300799999", Some(LAST_MICROS - 999)),
        ("253402300800000", None),
        ("-62135596800000", Some(FIRST_MICROS)),
        ("-62135596800001", None),
        ("1443668558407715", Some(MOMENT)),
        ("1443668558407715.0", Some(MOMENT)),
        ("-1000000000000000", Some(-1_000_000_000_000_000)),
        ("9223372036854775807", None),
        ("92233720368547758070", None),
        ("1e400", None),
        ("NaN", None),
        ("-Infinity", None),
        ("", None),
        ("now", None),
    ] {
        let expected = micros.map(|micros| Time { micros, usual: false });
        assert_eq!(parse_number(text), expected, "{text}");
    }
}

#[test]
fn digits_in_texts() {
    for (text, micros) in [
        ("1443668558", Some(MOMENT - 407_715)),
        ("1443668558.407715", Some(MOMENT)),
        ("1443668558.4077159", Some(MOMENT)),
        ("1443668558.4", Some(MOMENT - 7_715)),
        ("1443668558407", Some(MOMENT - 715)),
        ("1443668558407.7151", Some(MOMENT)),
        (" 1443668558407715 ", Some(MOMENT)),
        ("1443668558407715.9", Some(MOMENT)),
        ("2015", None),
        ("20151001", None),
        ("201510010302", None),
        ("20151001030238", None),
        ("-1443668558", None),
        ("+1443668558", None),
        ("1443668558.", None),
        ("1443668558.x", None),
        ("1443668558.4.0", None),
        ("1.443668558e9", None),
        ("", None),
    ] {
        let expected = micros.map(|micros| Time { micros, usual: false });
        assert_eq!(parse_digits(text), expected, "{text}");
    }
}

#[test]
fn bounds() {
    assert_eq!(parse_bound("2015-10-01"), Some(MOMENT - 10_958_407_715));
    assert_eq!(parse_bound(" 2015-10-01 "), parse_bound("2015-10-01T00:00:00Z"));
    assert_eq!(parse_bound("2015-09-30T23:02:38.407715-04:00"), Some(MOMENT));
    for text in ["2015-02-29", "2015-1-01", "20151001", "2015", "today", ""] {
        assert_eq!(parse_bound(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn days_agree_with_a_count(
        year in 0u32..10_000, month in 0u32..15, day in 0u32..34,
    ) {
        let expected = naive_days(year, month, day).map(|days| days * 86_400_000_000);
        prop_assert_eq!(parse_bound(&format!("{year:04}-{month:02}-{day:02}")), expected);
    }

    #[test]
    fn moments_agree_with_a_count(
        day in (2u32..9_999, 1u32..13, 1u32..32),
        (hour, minute, second) in (0u32..26, 0u32..62, 0u32..62),
        fraction in "(\\.[0-9]{1,12})?",
        offset in proptest::option::of((any::<bool>(), 0i64..24, 0i64..60, any::<bool>())),
        separator in "[T ]",
    ) {
        let (year, month, d) = day;
        let mut text = format!(
            "{year:04}-{month:02}-{d:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}"
        );
        let mut east = 0;
        if let Some((west, hours, minutes, colon)) = offset {
            let (sign, colon) = (if west { '-' } else { '+' }, if colon { ":" } else { "" });
            text += &format!("{sign}{hours:02}{colon}{minutes:02}");
            east = (hours * 60 + minutes) * if west { -1 } else { 1 };
        }
        let padded = format!("{:0<6}", fraction.trim_start_matches('.'));
        let micros: i64 = padded[..6].parse().unwrap();
        let expected = naive_days(year, month, d)
            .filter(|_| hour < 24 && minute < 60 && second < 60)
            .map(|days| {
                let minutes = (days * 24 + i64::from(hour)) * 60 + i64::from(minute) - east;
                (minutes * 60 + i64::from(second)) * 1_000_000 + micros
            });
        let usual = separator == "T";
        prop_assert_eq!(parse(&text), expected.map(|micros| Time { micros, usual }));
    }

    /// Near misses of the usual form are what a fast path would let through.
    #[test]
    fn one_changed_byte_changes_the_answer(at in 0usize..32, byte in 0u8..128) {
        let mut text = b"2015-10-01T03:02:38.407715+00:00".to_vec();
        prop_assume!(text[at] != byte && !(at == 10 && byte == b' '));
        // A minus before 00:00 says the same.
        prop_assume!(!(at == 26 && byte == b'-'));
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        prop_assert_ne!(micros(&text), Some(MOMENT));
    }

    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = (parse(&text), parse_number(&text), parse_digits(&text), parse_bound(&text));
    }
}
