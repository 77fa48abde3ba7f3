use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event_tables::decode::tests::{at, json as any_json, words, written};
use crate::json::scanner::Span;

fn real(text: &str) -> (Option<f64>, String) {
    let mut flags = Flags::default();
    (float(at(text), 0.0, 36_000.0, &mut flags), words(flags))
}

fn whole(text: &str) -> (Option<i64>, String) {
    let mut flags = Flags::default();
    (integer(at(text), 1, i64::MAX, &mut flags), words(flags))
}

const OUT: &str = "out_of_range";

#[test]
fn numbers() {
    for (text, value, flags) in [
        ("43.939693", Some(43.939_693), ""),
        (r#""1.25""#, Some(1.25), ""),
        (r#""+.5e1""#, Some(5.0), ""),
        (r#""5.""#, Some(5.0), ""),
        ("36000", Some(36_000.0), ""),
        ("36000.5", None, OUT),
        ("-1", None, OUT),
        (r#""null""#, None, ""),
        (r#""NaN""#, None, ""),
        (r#""inf""#, None, ""),
        (r#""None""#, None, ""),
        (r#""""#, None, ""),
        (r#"" 1""#, None, ""),
        (r#""0x1""#, None, ""),
        (r#""1e""#, None, ""),
        (r#"".""#, None, ""),
        ("NaN", None, ""),
        ("true", None, ""),
        ("[1]", None, ""),
        ("1e999", None, ""),
    ] {
        assert_eq!(real(text), (value, flags.to_owned()), "{text}");
    }
    assert!(real("-0").0.is_some_and(f64::is_sign_positive));
    let mut flags = Flags::default();
    let digits = "9".repeat(400);
    assert_eq!(float(at(&digits), f64::NEG_INFINITY, f64::INFINITY, &mut flags), None);
    assert!(flags.contains(Flag::OutOfRange));
    for (text, value, flags) in [
        ("7", Some(7), ""),
        (r#""7""#, Some(7), ""),
        ("7.0", Some(7), ""),
        ("1e3", Some(1000), ""),
        ("7.5", None, OUT),
        ("0", None, OUT),
        ("9223372036854775807", Some(i64::MAX), ""),
        ("9223372036854775808", None, OUT),
        ("9223372036854775808.0", None, OUT),
        ("1e999", None, ""),
        ("false", None, ""),
        (r#""seven""#, None, ""),
    ] {
        assert_eq!(whole(text), (value, flags.to_owned()), "{text}");
    }
}

#[test]
fn truth_values() {
    for (text, value) in [
        ("true", Some(true)),
        (r#""True""#, Some(true)),
        (r#""false""#, Some(false)),
        ("1", Some(true)),
        ("0.0", Some(false)),
        ("2", None),
        (r#""1""#, None),
        (r#""yes""#, None),
        ("null", None),
        ("{}", None),
    ] {
        assert_eq!(boolean(at(text)), value, "{text}");
    }
}

#[test]
fn times() {
    const MICROS: i64 = 1_412_510_401_000_000;
    for (text, value, flags) in [
        ("2014-10-05T12:00:01Z", Some(MICROS), ""),
        ("2014-10-05 12:00:01+00:00", Some(MICROS), ""),
        ("2014-10-05 07:00:01.5-0500", Some(MICROS + 500_000), ""),
        ("2014-10-05 12:00:01 UTC", Some(MICROS), ""),
        (" \\\"2014-10-05T12:00:01.000000+00:00\\\"\\n", Some(MICROS), ""),
        ("2014-10-05T12:00:01", Some(MICROS), "naive_time"),
        ("'2014-10-05 12:00:01.25'", Some(MICROS + 250_000), "naive_time"),
        ("2014-10-05", None, ""),
        ("1412510401", None, ""),
        ("None", None, ""),
        ("", None, ""),
    ] {
        let mut found = Flags::default();
        let text = format!("\"{text}\"");
        assert_eq!(instant(at(&text), &mut found), value, "{text}");
        assert_eq!(words(found), flags, "{text}");
    }
    assert_eq!(instant(at("1412510401"), &mut Flags::default()), None);
}

#[test]
fn texts_and_what_is_made_of_lists() {
    assert_eq!(text(at("\"choice_2\"")).as_deref(), Some("choice_2"));
    assert_eq!(text(at("[\"a\", 1.50]")).as_deref(), Some("[\"a\",1.50]"));
    assert_eq!(text(at("false")).as_deref(), Some("false"));
    assert_eq!((text(at("null")), text(At { text: "", span: Span::default() })), (None, None));
    assert_eq!(json(at("\"a\\/b\"")).as_deref(), Some("\"a/b\""));
    assert_eq!((json(at("null")), only_text(at("5"))), (None, None));
    for (of, expected) in [
        (r#""one""#, Some("one")),
        (r#"[{"text": "a"}, "b", {"text": 5}, 6, "", {"text": ""}]"#, Some("a\nb\n")),
        (r#"[{"text": ""}]"#, None),
        ("[]", None),
        (r#"{"text": "a"}"#, None),
    ] {
        assert_eq!(lines(at(of)).as_deref(), expected, "{of}");
    }
    for (of, first, count, file_count) in [
        (r#"["a", "b"]"#, Some("a"), Some(2), Some(2)),
        (r#"[5, "b"]"#, Some("b"), Some(2), Some(2)),
        ("[ ]", None, Some(0), Some(0)),
        (r#""é""#, Some("é"), None, Some(1)),
        (r#""""#, Some(""), None, None),
        (r#"{"a": "b"}"#, None, None, None),
    ] {
        assert_eq!(first_text(at(of)).as_deref(), first, "{of}");
        assert_eq!((length(at(of)), files(at(of))), (count, file_count), "{of}");
    }
    assert_eq!(chars(at(r#""\u00e9\ud83d\ude00""#)), Some(2));
    assert_eq!(chars(at("[]")), None);
}

#[test]
fn what_there_is() {
    for (of, is_there, has_anything) in [
        ("null", false, None),
        ("false", false, None),
        ("0", true, None),
        ("[ ]", false, Some(false)),
        ("[0]", true, Some(true)),
        ("{ }", true, Some(false)),
        (r#"{"a": null}"#, true, Some(true)),
        (r#""""#, true, Some(false)),
        (r#"" ""#, true, Some(true)),
    ] {
        assert_eq!((holds(at(of)), not_empty(at(of))), (is_there, has_anything), "{of}");
    }
    assert_eq!(is_set(at("{}"), at("5")), Some(true));
    assert_eq!(is_set(at("{}"), at("null")), Some(false));
    assert_eq!(is_set(at("[]"), at("5")), None);
}

#[test]
fn names_of_keys() {
    for (of, words) in [
        (r#"{"body": ["x"], "a b": 1, "body": 2}"#, Some("body a_b")),
        (r#"{"{\"rationale\": \"x\"}": [""], "": 1}"#, Some("{} ")),
        ("{}", None),
        ("[1]", None),
        (r#""name""#, Some("name")),
    ] {
        assert_eq!(keys(at(of)).as_deref(), words, "{of}");
    }
    let many: Vec<String> = (0..40).map(|number| format!("\"{number}\": 0")).collect();
    let words = keys(at(&format!("{{{}}}", many.join(",")))).map(|words| words.into_owned());
    assert!(words.is_some_and(|words| words.ends_with(" 30 31")));
}

#[test]
fn sums() {
    let key = |name: &str| Segment::Key(name.to_owned());
    let path = |second: &str| vec![key("criterion"), key(second)];
    let paths = [path("points_possible"), path("points possible")];
    for (of, expected) in [
        (
            r#"[{"criterion": {"points_possible": 5}}, {"criterion": {"points possible": "2.5"}}]"#,
            Some(7.5),
        ),
        (r#"[{"criterion": {"points_possible": null, "points possible": 3}}, 5]"#, Some(3.0)),
        (r#"[{"criterion": {}}]"#, None),
        ("[]", None),
        ("{}", None),
    ] {
        assert_eq!(sum(at(of), &paths), expected, "{of}");
    }
}

proptest! {
    #[test]
    fn values_are_the_same_however_they_are_written(value in any_json(), way in 0u8..4) {
        let written = written(&value, way);
        let value_at = at(&written);
        let expected = match &value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        prop_assert_eq!(text(value_at), expected.map(Cow::Owned));
        prop_assert_eq!(length(value_at), value.as_array().map(|items| items.len() as i64));
        let is_empty = value.as_array().is_some_and(Vec::is_empty);
        prop_assert_eq!(holds(value_at), !(value.is_null() || value == false || is_empty));
    }

    #[test]
    fn whole_numbers_are_exact_as_numbers_and_as_text(number: i64, min: i64, max: i64) {
        for written in [number.to_string(), format!("\"{number}\"")] {
            let mut flags = Flags::default();
            let found = integer(at(&written), min, max, &mut flags);
            let is_inside = min <= number && number <= max;
            prop_assert_eq!(found, is_inside.then_some(number));
            prop_assert_eq!(flags.contains(Flag::OutOfRange), !is_inside);
        }
    }

    #[test]
    fn numbers_are_those_that_rust_reads(text in "[+-]?[0-9.]{0,4}[eE]?[+-]?[0-9]{0,2}") {
        let written = format!("\"{text}\"");
        let found = float(at(&written), f64::NEG_INFINITY, f64::INFINITY, &mut Flags::default());
        prop_assert_eq!(found, text.parse().ok().filter(|number: &f64| number.is_finite()));
    }
}
