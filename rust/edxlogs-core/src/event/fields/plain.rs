//! The fields of a plain line, located in one pass that jumps from quote to quote.
//!
//! It checks the same grammar as the [`Scanner`](crate::json::scanner::Scanner), and takes nearly all
//! lines. Whatever is odd, be it allowed, it leaves to the scanner: escaped keys, known keys that
//! stand twice, oddities, deep nesting.

use super::{CONTEXT, Field, Fields, TOP};
use crate::json::plain::{Containers, scalar_end, space_end, value_start};
use crate::json::quotes::Quotes;
use crate::json::scanner::{Kind, Span};

/// An open container whose end is wanted.
#[derive(Clone, Copy, Default)]
struct Open {
    field: Option<Field>,
    start: usize,
}

/// The fields of `text`, whose quotes are mapped, if it is one object and nothing else, and plain.
pub(super) fn locate(text: &[u8], quotes: &Quotes) -> Option<Fields> {
    let mut fields = Fields::default();
    if text.first() != Some(&b'{') {
        return None;
    }
    let mut at = 1;
    let mut containers = Containers::default();
    containers.open(true)?;
    let mut in_context = false;
    // Those right inside the line and right inside its context.
    let mut open = [Open::default(); 2];
    loop {
        // Here an element of an array begins, or a member of an object.
        at = space_end(text, at);
        let mut field = None;
        if containers.in_object() {
            if *text.get(at)? != b'"' {
                return None;
            }
            let (start, end) = (at + 1, quotes.next(at + 1)?);
            if containers.depth == 1 || in_context && containers.depth == 2 {
                field = if containers.depth == 1 { &TOP } else { &CONTEXT }.find(text, start, end);
                if field.is_none() {
                    if quotes.has_backslash(start, end) {
                        return None;
                    }
                    fields.other(start, end, containers.depth == 2);
                }
            }
            at = value_start(text, end + 1)?;
        }
        let start = at;
        match *text.get(at)? {
            b'"' => {
                let (start, end) = (at + 1, quotes.next(at + 1)?);
                at = end + 1;
                if let Some(field) = field {
                    let escaped = quotes.has_backslash(start, end);
                    fields.put_once(field, Span { start, end, kind: Kind::String, escaped })?;
                }
            }
            opening @ (b'{' | b'[') => {
                let is_object = opening == b'{';
                at = space_end(text, at + 1);
                let is_empty = *text.get(at)? == opening + 2;
                containers.open(is_object)?;
                if let Some(open) = open.get_mut(containers.depth - 2) {
                    *open = Open { field, start };
                }
                in_context |= field == Some(Field::Context) && is_object;
                if !is_empty {
                    continue;
                }
            }
            _ => {
                let (end, kind) = scalar_end(text, at)?;
                at = end;
                if let Some(field) = field {
                    fields.put_once(field, Span { start, end, kind, escaped: false })?;
                }
            }
        }
        // Here a value has ended, or a container that is empty has begun.
        loop {
            let (end, closed) = containers.after_value(text, at)?;
            at = end;
            let Some(is_object) = closed else {
                break;
            };
            if containers.depth == 0 {
                return (at == text.len()).then_some(fields);
            }
            if let Some(&Open { field: Some(field), start }) = open.get(containers.depth - 1) {
                let kind = if is_object { Kind::Object } else { Kind::Array };
                fields.put_once(field, Span { start, end: at, kind, escaped: false })?;
            }
            in_context &= containers.depth > 1;
        }
    }
}

impl Fields {
    /// Puts a field in its place; `None` if it is taken.
    #[inline(always)]
    fn put_once(&mut self, field: Field, span: Span) -> Option<()> {
        if self.places[field as usize].kind != Kind::Absent {
            return None;
        }
        self.put(Some(field), span);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::scanner::Oddities;
    use proptest::prelude::*;

    /// Every field's place, or none where the text is not one whole object.
    fn by_scanner(text: &[u8]) -> Option<(Vec<Span>, Oddities, bool)> {
        let (fields, length, odd) = Fields::scan(text).ok()?;
        (length == text.len()).then(|| (spans(&fields), odd, fields.has_duplicate()))
    }

    fn spans(fields: &Fields) -> Vec<Span> {
        (0..super::super::FIELDS).map(|at| fields.span(at)).collect()
    }

    /// What the fast pass takes, the scanner takes, and finds the same.
    fn agree(text: &str) -> Result<bool, TestCaseError> {
        let mut quotes = Quotes::default();
        let mapped = quotes.map(text.as_bytes());
        let Some(fields) = mapped.and_then(|()| locate(text.as_bytes(), &quotes)) else {
            return Ok(false);
        };
        let expected = Some((spans(&fields), Oddities::default(), false));
        prop_assert_eq!(by_scanner(text.as_bytes()), expected, "{}", text);
        Ok(true)
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            (-1.0e9..1.0e9).prop_map(serde_json::Value::from),
            r#"[a-z"\\/é☃ ,:\[\]{}\n]{0,12}"#.prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                proptest::collection::vec((key(), inner), 0..5)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => prop::sample::select(vec![
                "context", "event", "time", "name", "host", "module", "path", "user_id", "course_id",
                "accept_language", "referer",
            ]).prop_map(str::to_owned),
            1 => r#"[a-z"\\]{0,4}"#,
        ]
    }

    #[test]
    fn plain_lines_are_taken() {
        for text in [
            r#"{"time": "t", "context": {"user_id": 7, "path": "\"x"}, "event": {"a": [1, {}]}}"#,
            r#"{"a":[],"context":{},"event":"{\"a\": \"\\\\\"}","name":null,"host":-0.5e3}"#,
            r#"{ "event" : [ 1 , "2" , true ] , "context" : "text" }"#,
        ] {
            assert!(agree(text).expect("the same"), "{text}");
        }
    }

    #[test]
    fn what_is_odd_is_left() {
        for text in [
            "",
            "{}",
            "[1]",
            r#"{"a": 1"#,
            r#"{"a": 1} "#,
            r#"{"a": 1,}"#,
            r#"{"a" 1}"#,
            r#"{"a": 01}"#,
            r#"{"a": 1]"#,
            r#"{"a": [1}"#,
            r#"{"a": [1,]}"#,
            r#"{"a": {"b"}}"#,
            r#"{"a": NaN}"#,
            r#"{"a": 1234567890123456789}"#,
            r#"{"time": 1, "time": 2}"#,
            r#"{"context": {}, "context": {"path": 1}}"#,
            r#"{"tim\u0065": 1}"#,
            r#"{"a": "\ud800"}"#,
            r#"{"a": tru}"#,
            r#"{"a": "b}"#,
            r#"{"a": "b" "c"}"#,
            r#"{"a": \"b"}"#,
        ] {
            assert!(!agree(text).expect("the same"), "{text}");
        }
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(80), "]".repeat(80));
        assert!(!agree(&deep).expect("the same"));
    }

    proptest! {
        #[test]
        fn places_are_the_scanners(
            members in proptest::collection::vec((key(), json()), 0..8), pretty in any::<bool>(),
        ) {
            let object: serde_json::Map<_, _> = members.into_iter().collect();
            agree(&serde_json::to_string(&object).expect("JSON"))?;
            if pretty {
                let spaced = serde_json::to_string_pretty(&object).expect("JSON");
                agree(&spaced.replace('\n', " "))?;
            }
        }

        #[test]
        fn broken_text_is_never_taken_for_whole(
            members in proptest::collection::vec((key(), json()), 1..5),
            at in any::<prop::sample::Index>(),
            with in r#"["\\{}\[\]:, 0a-]?"#,
        ) {
            let object: serde_json::Map<_, _> = members.into_iter().collect();
            let mut text = serde_json::to_string(&object).expect("JSON");
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let start = *at.get(&places);
            let end = start + text[start..].chars().next().map_or(0, char::len_utf8);
            text.replace_range(start..end, &with);
            agree(&text)?;
        }
    }
}
