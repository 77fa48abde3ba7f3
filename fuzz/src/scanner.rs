//! The scanner against serde_json, on any bytes.
//!
//! - Where neither raises a flag both accept or both refuse; a text that only we refuse is nested
//!   deeper than [`MAX_DEPTH`].
//! - A value found in an object is the value that serde_json finds there, the last of duplicates.
//! - The fast pass over plain lines finds the same fields.
//! - What `push_strict` makes of an accepted text is strict JSON.

use edxlogs_core::event::Event;
use edxlogs_core::event::fields::{Field, Fields};
use edxlogs_core::event::paths::EventPaths;
use edxlogs_core::json::path::{Step, find};
use edxlogs_core::json::quotes::Quotes;
use edxlogs_core::json::scanner::{Fault, Kind, MAX_DEPTH, Span};
use edxlogs_core::json::text::{decode, push_strict, whole_value};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Panics where the two disagree.
pub fn check(data: &[u8]) {
    grammar(data);
    fast_pass(data);
    let Ok(text) = std::str::from_utf8(data) else {
        // Fields are taken from bytes that may not be UTF-8: it must not panic.
        let _ = Fields::scan(data);
        return;
    };
    strict(text);
    let places = places(text);
    if let (Some(value), true) = (parse(text), text.starts_with('{')) {
        assert!(places.is_some() || depth(data) > MAX_DEPTH);
        if let Some((fields, length)) = places {
            assert_eq!(text[length..].trim_ascii(), "");
            members(text, fields, &value);
        }
    }
}

/// The fast pass over plain lines finds what the scanner finds.
fn fast_pass(data: &[u8]) {
    let fast = Fields::scan_whole(data, &mut Quotes::default());
    let scanned = Fields::scan(data).ok().filter(|&(_, length, _)| length == data.len());
    let scanned = scanned.map(|(fields, _, odd)| (fields, odd));
    assert_eq!(format!("{fast:?}"), format!("{scanned:?}"));
}

/// Acceptance alone. `IgnoredAny` checks the grammar and neither UTF-8, ranges nor surrogates, as
/// the scanner does.
fn grammar(data: &[u8]) {
    let theirs = serde_json::from_slice::<IgnoredAny>(data).is_ok();
    match whole_value(data) {
        Ok((_, odd)) => assert_eq!(theirs, !odd.nan && !odd.control),
        Err(Fault::TooDeep) => assert!(depth(data) > MAX_DEPTH),
        Err(_) => assert!(!theirs),
    }
}

fn strict(text: &str) {
    let Ok((span, odd)) = whole_value(text.as_bytes()) else {
        return;
    };
    let mut made = Vec::new();
    push_strict(text.as_bytes(), &mut made);
    let value = parse_slice(&made).expect("strict JSON");
    if !odd.needs_rewriting() {
        assert_eq!(made, text.as_bytes());
        same(text, span, &value);
    }
    // What is strict stays as it is.
    let (_, again) = whole_value(&made).expect("still JSON");
    assert!(!again.needs_rewriting());
}

fn places(text: &str) -> Option<(Fields, usize)> {
    let (fields, length, odd) = Fields::scan(text.as_bytes()).ok()?;
    (!odd.needs_rewriting()).then_some((fields, length))
}

/// Every member of an object, by path and, where it is a known field, by name.
fn members(text: &str, fields: Fields, value: &Value) {
    let Value::Object(members) = value else {
        return;
    };
    let (whole, _) = whole_value(text.as_bytes()).expect("accepted before");
    for (key, member) in members {
        let found = find(text.as_bytes(), whole, [Step::Key(key)]).expect("the key is there");
        same(text, found, member);
    }
    let paths = EventPaths::default();
    let event = Event::new(text, fields, false, &paths);
    for (name, field) in
        [("event_type", Field::EventType), ("time", Field::Time), ("username", Field::Username)]
    {
        let ours = event.text(field);
        match members.get(name) {
            None | Some(Value::Null) => assert_eq!(ours, None),
            Some(Value::String(theirs)) => assert_eq!(ours.as_deref(), Some(theirs.as_str())),
            Some(theirs) => assert_eq!(ours.and_then(|text| parse(&text)).as_ref(), Some(theirs)),
        }
    }
    if let Some(Value::Object(context)) = members.get("context") {
        let theirs = context.get("course_id").and_then(Value::as_str);
        if theirs.is_some() {
            assert_eq!(event.text(Field::ContextCourseId).as_deref(), theirs);
        }
    }
}

/// The span, read again by itself, is the value.
fn same(text: &str, span: Span, value: &Value) {
    if span.kind == Kind::String {
        assert_eq!(value.as_str(), Some(&*decode(text, span)));
    } else {
        assert_eq!(parse(&text[span.start..span.end]).as_ref(), Some(value));
    }
}

fn parse(text: &str) -> Option<Value> {
    parse_slice(text.as_bytes())
}

/// serde_json without its own limit of depth.
fn parse_slice(text: &[u8]) -> Option<Value> {
    if depth(text) > MAX_DEPTH {
        return None;
    }
    let mut parser = serde_json::Deserializer::from_slice(text);
    parser.disable_recursion_limit();
    let value = Value::deserialize(&mut parser).ok()?;
    parser.end().ok()?;
    Some(value)
}

/// Deepest nesting of brackets that stand outside of strings.
fn depth(text: &[u8]) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}
