//! One value of a column, by its decoder.

use std::borrow::Cow;

use crate::frame::types::{ColumnType, Value};
use crate::json::text::{push_json_string, whole_value};

use super::decode::{At, Flags, answer, block, scalars};
use super::definition::Decoder;
use super::plan::ColumnPlan;

const EXAM_KINDS: [&str; 3] = ["proctored", "practice", "timed"];

/// The value of a column that is read from one place.
pub(super) fn decode<'v>(column: &ColumnPlan, at: At<'v>, flags: &mut Flags) -> Value<'v> {
    let int = |number: Option<i64>| number.map_or(Value::Null, Value::Int);
    match column.decoder {
        Decoder::Text => scalars::text(at).into(),
        Decoder::OnlyText => scalars::only_text(at).into(),
        Decoder::Json => scalars::json(at).into(),
        Decoder::Lines => scalars::lines(at).into(),
        Decoder::FirstText => scalars::first_text(at).into(),
        Decoder::Number if column.column_type == ColumnType::Int64 => {
            // Bounds of integers are small.
            let (least, most) = (column.minimum as i64, column.maximum as i64);
            int(scalars::integer(at, least, most, flags))
        }
        Decoder::Number => scalars::float(at, column.minimum, column.maximum, flags)
            .map_or(Value::Null, Value::Float),
        Decoder::Bool => scalars::boolean(at).map_or(Value::Null, Value::Bool),
        Decoder::Time => scalars::instant(at, flags).map_or(Value::Null, Value::Time),
        Decoder::Length => int(scalars::length(at)),
        Decoder::Chars => int(scalars::chars(at)),
        Decoder::NotEmpty => scalars::not_empty(at).map_or(Value::Null, Value::Bool),
        Decoder::Keys => scalars::keys(at).into(),
        Decoder::Sum => scalars::sum(at, &column.items).map_or(Value::Null, Value::Float),
        Decoder::Answer => answer::text(at).into(),
        Decoder::AnswerParts => int(answer::parts(at)),
        Decoder::AnswerChars => int(answer::chars(at)),
        Decoder::Files => int(scalars::files(at)),
        Decoder::SecondKey => scalars::text(at).and_then(|text| second_key(&text)).into(),
        Decoder::Owner => scalars::text(at).and_then(|text| owner(&text)).into(),
        Decoder::UrlPath => scalars::text(at).and_then(|text| url_path(&text)).into(),
        Decoder::DottedName => {
            scalars::only_text(at).map_or(Value::Null, |name| Value::Bool(is_dotted(&name)))
        }
        Decoder::ExamKind => scalars::only_text(at).and_then(|name| exam_kind(&name)).into(),
        // These read no path, or are done before.
        Decoder::BlockId
        | Decoder::Inputs
        | Decoder::CorrectInputs
        | Decoder::PartialInputs
        | Decoder::Player
        | Decoder::IsSet
        | Decoder::Kind
        | Decoder::FormInputs
        | Decoder::ByOther
        | Decoder::Payload
        | Decoder::PayloadChars
        | Decoder::Request
        | Decoder::LookupId
        | Decoder::InputId
        | Decoder::RowKey
        | Decoder::ItemNumber
        | Decoder::FoundIn
        | Decoder::Place => Value::Null,
    }
}

/// The same of what a default column holds.
pub(super) fn decode_value<'v>(
    column: &ColumnPlan,
    value: Value<'v>,
    flags: &mut Flags,
) -> Value<'v> {
    match (column.decoder, value) {
        (_, Value::Null) => Value::Null,
        (Decoder::Number, Value::Int(number)) => match column.column_type {
            ColumnType::Float64 => Value::Float(number as f64),
            _ => Value::Int(number),
        },
        (Decoder::Time, Value::Time(micros)) => Value::Time(micros),
        (Decoder::Text | Decoder::OnlyText | Decoder::FirstText, Value::Text(text)) => {
            Value::Text(text)
        }
        (Decoder::UrlPath, Value::Text(text)) => url_path(&text).into(),
        (_, Value::Text(text)) => {
            let mut json = Vec::with_capacity(text.len() + 2);
            push_json_string(&text, &mut json);
            let json = String::from_utf8_lossy(&json);
            let span = whole_value(json.as_bytes()).map(|(span, _)| span);
            let at = At { text: &json, span: span.unwrap_or_default() };
            into_owned(decode(column, at, flags))
        }
        _ => Value::Null,
    }
}

fn into_owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        Value::Null => Value::Null,
        Value::Int(number) => Value::Int(number),
        Value::Time(micros) => Value::Time(micros),
        Value::Float(number) => Value::Float(number),
        Value::Bool(truth) => Value::Bool(truth),
        Value::Day(day) => Value::Day(day),
    }
}

fn owned(text: &str) -> Option<Cow<'static, str>> {
    (!text.is_empty()).then(|| Cow::Owned(text.to_owned()))
}

fn second_key(keys: &str) -> Option<Cow<'static, str>> {
    block::joined_keys(keys).1.and_then(owned)
}

fn owner(key: &str) -> Option<Cow<'static, str>> {
    block::owner(key).0.and_then(owned)
}

/// The path of an address that has a scheme.
fn url_path(address: &str) -> Option<Cow<'static, str>> {
    let (_, rest) = address.split_once("://")?;
    let path = &rest[rest.find(['/', '?', '#'])?..];
    owned(&path[..path.find(['?', '#']).unwrap_or(path.len())])
}

fn is_dotted(name: &str) -> bool {
    name.starts_with("edx.")
}

fn exam_kind(name: &str) -> Option<Cow<'static, str>> {
    let kind = name.split('.').find_map(|word| EXAM_KINDS.iter().find(|kind| **kind == word));
    kind.map(|kind| Cow::Borrowed(*kind))
}
