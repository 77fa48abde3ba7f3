//! Text of a field to a value of its column's type.

use std::borrow::Cow;

use crate::frame::types::{ColumnType, Value};
use crate::json::text;
use crate::time;

const DAY_MICROS: i64 = 86_400_000_000;

/// Why a text is null in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// A zero date of MySQL's, such as `0000-00-00 00:00:00`: counted.
    ZeroDate,
    /// Text that is no value of the column's type.
    Misfit,
}

type Parsed<'a> = std::result::Result<Value<'a>, NoValue>;

/// Reads text, escapes undone, as a value. An empty text is null in every column but one of text.
///
/// # Errors
/// Where it is none.
#[inline(always)]
pub fn parse(text: &str, column_type: ColumnType) -> Parsed<'_> {
    if column_type == ColumnType::Text {
        return Ok(Value::Text(Cow::Borrowed(text)));
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match column_type {
        ColumnType::Text => Ok(Value::Text(Cow::Borrowed(text))),
        ColumnType::Json => json(text),
        ColumnType::Int64 => integer(text).map(Value::Int).ok_or(NoValue::Misfit),
        ColumnType::Float64 => float(text).map(Value::Float).ok_or(NoValue::Misfit),
        ColumnType::Bool => match text {
            "0" | "False" | "false" => Ok(Value::Bool(false)),
            "1" | "True" | "true" => Ok(Value::Bool(true)),
            _ => Err(NoValue::Misfit),
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

fn timestamp(text: &str) -> Parsed<'_> {
    match time::parse(text) {
        Some(time) => Ok(Value::Time(time.micros)),
        None if text.starts_with("0000-00-00") => Err(NoValue::ZeroDate),
        None => Err(NoValue::Misfit),
    }
}

fn date(text: &str) -> Parsed<'_> {
    let micros = (text.len() == 10).then(|| time::parse_bound(text)).flatten();
    match micros.and_then(|micros| i32::try_from(micros / DAY_MICROS).ok()) {
        Some(day) => Ok(Value::Day(day)),
        None if text == "0000-00-00" => Err(NoValue::ZeroDate),
        None => Err(NoValue::Misfit),
    }
}

/// JSON as Python's `json` reads it, made strict where it is not.
fn json(text: &str) -> Parsed<'_> {
    match text::whole_value(text.as_bytes()) {
        Ok((_, odd)) if odd.needs_rewriting() => {
            let mut strict = Vec::with_capacity(text.len());
            text::push_strict(text.as_bytes(), &mut strict);
            Ok(Value::Text(Cow::Owned(String::from_utf8_lossy(&strict).into_owned())))
        }
        Ok(_) => Ok(Value::Text(Cow::Borrowed(text))),
        Err(_) => Err(NoValue::Misfit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, column_type: ColumnType) -> Parsed<'_> {
        parse(text, column_type)
    }

    #[test]
    fn each_type_takes_its_own_and_nothing_else() {
        use ColumnType::{Bool, Date, Float64, Int64, Json, Text, Timestamp};
        const MISFIT: Parsed<'static> = Err(NoValue::Misfit);
        const ZERO: Parsed<'static> = Err(NoValue::ZeroDate);
        let text = |text| Ok(Value::Text(Cow::Borrowed(text)));
        for (written, column_type, value) in [
            ("", Text, text("")),
            ("", Int64, Ok(Value::Null)),
            ("", Json, Ok(Value::Null)),
            ("4294967295", Int64, Ok(Value::Int(4_294_967_295))),
            ("-1", Int64, Ok(Value::Int(-1))),
            (" 1", Int64, MISFIT),
            ("9223372036854775808", Int64, MISFIT),
            ("1.0", Int64, MISFIT),
            ("0.84", Float64, Ok(Value::Float(0.84))),
            ("1e3", Float64, Ok(Value::Float(1000.0))),
            ("nan", Float64, MISFIT),
            ("1e999", Float64, MISFIT),
            ("0", Bool, Ok(Value::Bool(false))),
            ("True", Bool, Ok(Value::Bool(true))),
            ("2", Bool, MISFIT),
            ("2013-08-08 22:00:58", Timestamp, Ok(Value::Time(1_375_999_258_000_000))),
            ("2013-08-08 22:00:58.5", Timestamp, Ok(Value::Time(1_375_999_258_500_000))),
            ("2013-08-08 22:00:58+00:00", Timestamp, Ok(Value::Time(1_375_999_258_000_000))),
            ("0000-00-00 00:00:00", Timestamp, ZERO),
            ("2013-02-30 00:00:00", Timestamp, MISFIT),
            ("1970-01-02", Date, Ok(Value::Day(1))),
            ("0000-00-00", Date, ZERO),
            ("1970-1-2", Date, MISFIT),
            ("{\"a\": 1}", Json, text("{\"a\": 1}")),
            ("{\"a\": 1", Json, MISFIT),
            ("[NaN, \"\t\"]", Json, text("[null, \"\\t\"]")),
        ] {
            assert_eq!(of(written, column_type), value, "{written:?} as {column_type:?}");
        }
    }
}
