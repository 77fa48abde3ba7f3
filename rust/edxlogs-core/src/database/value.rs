//! Text of a field to a value of its column's type.

use std::borrow::Cow;

use crate::database::ColumnType;
use crate::json::text;
use crate::time;

const DAY_MICROS: i64 = 86_400_000_000;

/// What a field comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A zero date of MySQL's, such as `0000-00-00 00:00:00`: null, and counted.
    ZeroDate,
    /// Text that is no value of the column's type.
    Misfit,
    /// Text, or JSON.
    Text(Cow<'a, str>),
    /// An integer, or microseconds since 1970.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Days since 1970-01-01.
    Day(i32),
}

/// Reads text, escapes undone, as a value. An empty text is null in every column but one of text.
#[inline(always)]
pub fn parse(text: &str, column_type: ColumnType) -> Value<'_> {
    if column_type == ColumnType::Text {
        return Value::Text(Cow::Borrowed(text));
    }
    if text.is_empty() {
        return Value::Null;
    }
    match column_type {
        ColumnType::Text => Value::Text(Cow::Borrowed(text)),
        ColumnType::Json => json(text),
        ColumnType::Int64 => integer(text).map_or(Value::Misfit, Value::Int),
        ColumnType::Float64 => float(text).map_or(Value::Misfit, Value::Float),
        ColumnType::Bool => match text {
            "0" | "False" | "false" => Value::Bool(false),
            "1" | "True" | "true" => Value::Bool(true),
            _ => Value::Misfit,
        },
        ColumnType::Timestamp => timestamp(text),
        ColumnType::Date => date(text),
    }
}

/// Decimal digits with or without a sign.
fn integer(text: &str) -> Option<i64> {
    // Rust reads the same, and nothing else: no white space, no separators.
    text.parse().ok()
}

/// A decimal number with or without fraction and exponent, and finite.
fn float(text: &str) -> Option<f64> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

fn timestamp(text: &str) -> Value<'_> {
    match time::parse(text) {
        Some(time) => Value::Int(time.micros),
        None if text.starts_with("0000-00-00") => Value::ZeroDate,
        None => Value::Misfit,
    }
}

fn date(text: &str) -> Value<'_> {
    let micros = (text.len() == 10).then(|| time::parse_bound(text)).flatten();
    match micros.and_then(|micros| i32::try_from(micros / DAY_MICROS).ok()) {
        Some(day) => Value::Day(day),
        None if text == "0000-00-00" => Value::ZeroDate,
        None => Value::Misfit,
    }
}

/// JSON as Python's `json` reads it, made strict where it is not.
fn json(text: &str) -> Value<'_> {
    match text::whole_value(text.as_bytes()) {
        Ok((_, odd)) if odd.needs_rewriting() => {
            let mut strict = Vec::with_capacity(text.len());
            text::push_strict(text.as_bytes(), &mut strict);
            Value::Text(Cow::Owned(String::from_utf8_lossy(&strict).into_owned()))
        }
        Ok(_) => Value::Text(Cow::Borrowed(text)),
        Err(_) => Value::Misfit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, column_type: ColumnType) -> Value<'_> {
        parse(text, column_type)
    }

    #[test]
    fn each_type_takes_its_own_and_nothing_else() {
        use ColumnType::{Bool, Date, Float64, Int64, Json, Text, Timestamp};
        let text = |text| Value::Text(Cow::Borrowed(text));
        for (written, column_type, value) in [
            ("", Text, text("")),
            ("", Int64, Value::Null),
            ("", Json, Value::Null),
            ("4294967295", Int64, Value::Int(4_294_967_295)),
            ("-1", Int64, Value::Int(-1)),
            (" 1", Int64, Value::Misfit),
            ("9223372036854775808", Int64, Value::Misfit),
            ("1.0", Int64, Value::Misfit),
            ("0.84", Float64, Value::Float(0.84)),
            ("1e3", Float64, Value::Float(1000.0)),
            ("nan", Float64, Value::Misfit),
            ("1e999", Float64, Value::Misfit),
            ("0", Bool, Value::Bool(false)),
            ("True", Bool, Value::Bool(true)),
            ("2", Bool, Value::Misfit),
            ("2013-08-08 22:00:58", Timestamp, Value::Int(1_375_999_258_000_000)),
            ("2013-08-08 22:00:58.5", Timestamp, Value::Int(1_375_999_258_500_000)),
            ("2013-08-08 22:00:58+00:00", Timestamp, Value::Int(1_375_999_258_000_000)),
            ("0000-00-00 00:00:00", Timestamp, Value::ZeroDate),
            ("2013-02-30 00:00:00", Timestamp, Value::Misfit),
            ("1970-01-02", Date, Value::Day(1)),
            ("0000-00-00", Date, Value::ZeroDate),
            ("1970-1-2", Date, Value::Misfit),
            ("{\"a\": 1}", Json, text("{\"a\": 1}")),
            ("{\"a\": 1", Json, Value::Misfit),
            ("[NaN, \"\t\"]", Json, text("[null, \"\\t\"]")),
        ] {
            assert_eq!(of(written, column_type), value, "{written:?} as {column_type:?}");
        }
    }
}
