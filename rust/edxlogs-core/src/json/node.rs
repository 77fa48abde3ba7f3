//! A JSON value as a tree, for documents of which every part is looked at; written out strict and
//! without white space.
//!
//! MongoDB's extended JSON comes in several versions; [`Node::plain`] makes plain values of them
//! all: `{"$oid": "…"}`, `{"$numberLong": "…"}` and their kin, `{"$date": …}` as text, as a number
//! of milliseconds, or as `{"$numberLong": "…"}`. Source: MongoDB Extended JSON, versions 1 and 2.

use std::borrow::Cow;

use crate::json::scanner::{Fault, Kind, Scanner, Span};
use crate::json::text::{decode, push_json_string, whole_value};
use crate::time;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// `null`, or what Python writes for no number.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it is written.
    Number(Cow<'a, str>),
    /// Text.
    String(Cow<'a, str>),
    /// Values in their order.
    Array(Vec<Node<'a>>),
    /// Members in their order.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Reads a text that is one value.
    ///
    /// # Errors
    /// The [`Fault`] that makes it none; nesting is bounded.
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        let (span, _) = whole_value(text.as_bytes())?;
        Self::read(text, span)
    }

    fn read(text: &'a str, span: Span) -> Result<Self, Fault> {
        let bytes = text.as_bytes();
        Ok(match span.kind {
            Kind::Absent | Kind::Null => Self::Null,
            Kind::True => Self::Bool(true),
            Kind::False => Self::Bool(false),
            Kind::Number => Self::Number(Cow::Borrowed(&text[span.start..span.end])),
            Kind::String => Self::String(decode(text, span)),
            Kind::Object => {
                let mut members = Vec::new();
                Scanner::new(bytes, span.start).object(|scanner, key| {
                    let value = Self::read(text, scanner.value()?)?;
                    members.push((decode(text, key), value));
                    Ok(())
                })?;
                Self::Object(members)
            }
            Kind::Array => {
                let mut items = Vec::new();
                Scanner::new(bytes, span.start).array(|scanner, _| {
                    items.push(Self::read(text, scanner.value()?)?);
                    Ok(())
                })?;
                Self::Array(items)
            }
        })
    }

    /// The member of that name, the last of several.
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Self::Object(members) => {
                members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Text, if it is that.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Its items, if it is an array.
    pub fn items(&self) -> &[Node<'a>] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    /// The same value with plain ones for those of extended JSON.
    pub fn plain(self) -> Self {
        match self {
            Self::Array(items) => Self::Array(items.into_iter().map(Self::plain).collect()),
            Self::Object(members) => match <[_; 1]>::try_from(members) {
                Ok([(key, value)]) => match extended(&key, &value) {
                    Some(plain) => plain,
                    None => Self::Object(vec![(key, value.plain())]),
                },
                Err(members) => Self::Object(
                    members.into_iter().map(|(key, value)| (key, value.plain())).collect(),
                ),
            },
            other => other,
        }
    }

    /// Appends it as strict JSON without white space.
    pub fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(truth) => {
                out.extend_from_slice(if *truth { b"true" } else { b"false" });
            }
            Self::Number(number) => out.extend_from_slice(number.as_bytes()),
            Self::String(text) => push_json_string(text, out),
            Self::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.push(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    push_json_string(key, out);
                    out.push(b':');
                    value.push(out);
                }
                out.push(b'}');
            }
        }
    }

    /// It as strict JSON.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.push(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// The plain value that an object of one member stands for.
fn extended<'a>(key: &str, value: &Node<'a>) -> Option<Node<'a>> {
    match (key, value) {
        ("$oid" | "$uuid" | "$symbol" | "$code", Node::String(text)) => {
            Some(Node::String(text.clone()))
        }
        ("$undefined", Node::Bool(true)) => Some(Node::Null),
        (
            "$numberLong" | "$numberInt" | "$numberDouble" | "$numberDecimal",
            Node::Number(number),
        ) => Some(Node::Number(number.clone())),
        ("$numberLong" | "$numberInt" | "$numberDouble" | "$numberDecimal", Node::String(text)) => {
            // What is no number of JSON, such as `NaN`, stays as it is.
            let (span, _) = whole_value(text.as_bytes()).ok()?;
            (span.kind == Kind::Number).then(|| Node::Number(text.clone()))
        }
        ("$date", value) => {
            let micros = date_micros(value)?;
            let mut iso = Vec::new();
            time::push_iso(micros, &mut iso);
            Some(Node::String(String::from_utf8_lossy(&iso).into_owned().into()))
        }
        _ => None,
    }
}

/// Microseconds since 1970 of what stands in a `$date`.
fn date_micros(value: &Node<'_>) -> Option<i64> {
    match value {
        Node::String(text) => time::parse(text).map(|time| time.micros),
        Node::Number(number) => time::parse_millis(number).map(|time| time.micros),
        Node::Object(_) => {
            let millis = match value.get("$numberLong")? {
                Node::String(millis) | Node::Number(millis) => millis,
                _ => return None,
            };
            time::parse_millis(millis).map(|time| time.micros)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_json_of_every_version_is_plain() {
        let iso = "\"2013-12-13T02:59:58.520000Z\"";
        for (written, plain) in [
            (r#"{"$oid": "52"}"#, "\"52\""),
            (r#"{"$date": "2013-12-13T02:59:58.520Z"}"#, iso),
            (r#"{"$date": "2013-12-13T02:59:58.520+0000"}"#, iso),
            (r#"{"$date": 1386903598520}"#, iso),
            (r#"{"$date": {"$numberLong": "1386903598520"}}"#, iso),
            (r#"{"$date": {"$numberLong": 1386903598520}}"#, iso),
            (r#"{"$numberLong": "5"}"#, "5"),
            (r#"{"$numberInt": 5}"#, "5"),
            (r#"{"$numberDecimal": "1.50"}"#, "1.50"),
            (
                r#"{"$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3"}"#,
                "\"c8edabc3-f738-4ca3-b68d-ab92a91478a3\"",
            ),
            (r#"{"$symbol": "s"}"#, "\"s\""),
            (r#"{"$undefined": true}"#, "null"),
            (r#"{"$numberDouble": "NaN"}"#, r#"{"$numberDouble":"NaN"}"#),
            (r#"{"$date": "never"}"#, r#"{"$date":"never"}"#),
            (r#"[{"a": [{"$oid": "1"}, NaN, true]}, {}]"#, r#"[{"a":["1",null,true]},{}]"#),
        ] {
            assert_eq!(Node::parse(written).map(|node| node.plain().to_json()), Ok(plain.into()));
        }
    }

    proptest::proptest! {
        #[test]
        fn values_survive(text in r#"[\[\]{}",:a1 ]{0,16}"#) {
            if let Ok(expected) = serde_json::from_str::<serde_json::Value>(&text) {
                let json = Node::parse(&text).map(|node| node.to_json()).unwrap_or_default();
                let mine: serde_json::Value = serde_json::from_str(&json).expect("JSON");
                proptest::prop_assert_eq!(mine, expected);
            }
        }
    }
}
