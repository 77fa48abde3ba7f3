//! The decoders of event tables, on any text: as a JSON value, a payload, a form, the key of a block
//! and an address.
//!
//! - Compact JSON is JSON, of the value that serde_json finds, and stays as it is.
//! - An object or list is the same inside a text, and inside a text in a text.
//! - A form is a JSON object with a text for each of its pieces.
//! - What follows from one answer holds for the others.

use edxlogs_core::event_tables::decode::payload::Body;
use edxlogs_core::event_tables::decode::request::request;
use edxlogs_core::event_tables::decode::{
    At, Flag, Flags, answer, block, form, input, json, members, scalars,
};
use edxlogs_core::json::path::Segment;
use edxlogs_core::json::scanner::Kind;
use edxlogs_core::json::text::{decode, whole_value};
use serde::Deserialize;
use serde_json::Value;

const COURSE: &str = "course-v1:edX+Demo.X+R";

/// Panics where a law does not hold.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok((span, _)) = whole_value(data) {
        let value = At { text, span };
        compact(value);
        scalars(value);
        lists_and_objects(value);
        packed(value);
    }
    as_text(text);
    as_form(text);
    as_key(text);
    as_address(text);
}

fn parse(text: &str) -> Option<Value> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.disable_recursion_limit();
    let value = Value::deserialize(&mut parser).ok()?;
    parser.end().ok()?;
    Some(value)
}

fn compact(value: At<'_>) {
    let mut once = String::new();
    json::push_compact(value, &mut once);
    let theirs = parse(&once).expect("compact JSON is JSON");
    let strict = parse(value.text);
    assert!(strict.is_none_or(|value| value == theirs));
    let (span, odd) = whole_value(once.as_bytes()).expect("compact JSON is JSON");
    assert!(!odd.needs_rewriting());
    let mut twice = String::new();
    json::push_compact(At { text: &once, span }, &mut twice);
    assert_eq!(once, twice);
    match value.span.kind {
        Kind::Null => assert_eq!(scalars::text(value), None),
        Kind::String => {
            let text = scalars::text(value).expect("text");
            assert_eq!(theirs, Value::String(text.into_owned()));
        }
        _ => assert_eq!(scalars::text(value).as_deref(), Some(&*once)),
    }
}

fn scalars(value: At<'_>) {
    let (mut of_float, mut of_whole) = (Flags::default(), Flags::default());
    let float = scalars::float(value, f64::NEG_INFINITY, f64::INFINITY, &mut of_float);
    let whole = scalars::integer(value, i64::MIN, i64::MAX, &mut of_whole);
    if let Some(whole) = whole {
        assert!(of_whole.is_empty());
        assert_eq!(float, Some(whole as f64));
    } else {
        // A fraction, or more than 64 bits hold.
        let is_large = float.is_some_and(|it| it.fract() != 0.0 || it.abs() >= -(i64::MIN as f64));
        assert_eq!(of_whole.contains(Flag::OutOfRange), is_large || !of_float.is_empty());
    }
    let mut of_bounds = Flags::default();
    let bounded = scalars::float(value, 0.0, 1.0, &mut of_bounds);
    assert_eq!(bounded, float.filter(|it| (0.0..=1.0).contains(it)));
    if let Some(truth) = scalars::boolean(value)
        && value.span.kind == Kind::Number
    {
        assert_eq!(float, Some(f64::from(u8::from(truth))));
    }
    let mut naive = Flags::default();
    if scalars::instant(value, &mut naive).is_none() {
        assert!(naive.is_empty());
    }
    let characters = scalars::only_text(value).map(|text| text.chars().count() as i64);
    assert_eq!(scalars::chars(value), characters);
}

fn lists_and_objects(value: At<'_>) {
    let found = members::members(value);
    let theirs = parse(value.text);
    if let Some(Value::Object(theirs)) = &theirs {
        assert_eq!(found.len(), theirs.len());
        for &(key, span) in &found {
            let mut json = String::new();
            json::push_compact(At { text: value.text, span }, &mut json);
            let key = decode(value.text, key);
            assert_eq!(parse(&json).as_ref(), theirs.get(&*key));
        }
    }
    let without = ["_dynamath".to_owned()];
    let verdicts = input::verdicts(value, &without);
    assert_eq!(verdicts.is_some(), value.span.kind == Kind::Object);
    let verdicts = verdicts.unwrap_or_default();
    assert!(verdicts.inputs <= found.len() as i64);
    assert!(verdicts.correct + verdicts.partial <= verdicts.inputs);
    let length = scalars::length(value);
    assert_eq!(length, theirs.and_then(|it| Some(it.as_array()?.len() as i64)).or(length));
    if value.span.kind == Kind::Array {
        assert_eq!(scalars::holds(value), length > Some(0));
        assert_eq!(scalars::not_empty(value), Some(length > Some(0)));
    }
    if scalars::first_text(value).is_none() {
        assert_ne!(value.span.kind, Kind::String);
    }
    let _ = (scalars::keys(value), scalars::lines(value), scalars::files(value));
    let _ = scalars::sum(value, &[vec![Segment::Key("a".to_owned())], vec![]]);
    let parts = answer::parts(value);
    assert_eq!(parts.is_some(), answer::chars(value).is_some());
    assert!(parts > Some(0) || answer::text(value).is_none());
}

/// A value as it is, in a text, and in a text in a text.
fn packed(value: At<'_>) {
    let is_container = matches!(value.span.kind, Kind::Object | Kind::Array);
    let mut text = value.text.to_owned();
    for _ in 0..3 {
        let (span, _) = whole_value(text.as_bytes()).expect("JSON");
        let mut flags = Flags::default();
        let body = Body::new(&text, span, &mut flags);
        assert!(!body.is_cut() || flags.contains(Flag::BrokenPayload));
        if is_container {
            assert!(flags.is_empty() && !body.is_form());
            assert_eq!(body.root().raw(), value.raw());
        }
        let mut of_form = Flags::default();
        let inputs = body.form(&mut of_form);
        assert!(matches!(inputs.root().span.kind, Kind::Absent | Kind::Object));
        text = serde_json::to_string(&text).expect("JSON");
    }
}

/// A text as a payload.
fn as_text(text: &str) {
    let quoted = serde_json::to_string(text).expect("JSON");
    let (span, _) = whole_value(quoted.as_bytes()).expect("JSON");
    let mut flags = Flags::default();
    let body = Body::new(&quoted, span, &mut flags);
    let is_there = body.root().is_some();
    assert!(!(is_there && flags.contains(Flag::BrokenPayload)));
    assert_eq!(body.is_cut(), !is_there && !flags.is_empty() && text.chars().count() == 512);
    assert!(!body.is_form() || parse(body.root().text).is_some_and(|form| form.is_object()));
}

fn as_form(text: &str) {
    let mut flags = Flags::default();
    let json = form::to_json(text, &mut flags);
    let Some(Value::Object(form)) = parse(&json) else {
        panic!("a form is an object");
    };
    let texts = form.values().map(|value| value.as_array().map_or(1, Vec::len));
    assert_eq!(texts.sum::<usize>(), text.split('&').filter(|piece| !piece.is_empty()).count());
}

fn as_key(text: &str) {
    for course in [None, Some(COURSE)] {
        let found = block::block(text, course);
        let is_there = |part: &Option<std::borrow::Cow<'_, str>>| part.as_ref().map(|it| it.len());
        assert!(is_there(&found.block_type) != Some(0));
        let padded = format!(" {text}\nvideo");
        if !text.trim().is_empty() {
            assert_eq!(block::block(&padded, course), found);
        }
    }
    let (first, rest) = block::joined_keys(text);
    assert_eq!(rest.map_or(0, |rest| rest.len() + 1) + first.len(), text.trim().len());
    let (owner, key) = block::owner(text);
    assert!(text.contains(key) && owner.is_none_or(|owner| text.contains(owner)));
    if let Some(key) = block::usage_key_in(text) {
        assert!(matches!(key, std::borrow::Cow::Owned(_)) || text.contains(&*key));
    }
    assert!(text.starts_with(input::problem_of(text)));
    let (part, place) = input::numbers(text, &mut Flags::default());
    assert!(part.is_none() || input::problem_of(text) != text, "{place:?}");
}

fn as_address(text: &str) {
    let found = request(text);
    assert!(text.starts_with(found.path.unwrap_or_default()) && !found.route.is_empty());
    let parts = [
        &found.chapter,
        &found.section,
        &found.handler,
        &found.suffix,
        &found.thread_id,
        &found.comment_id,
        &found.commentable_id,
        &found.lookup_name,
    ];
    assert!(parts.iter().all(|part| part.as_deref() != Some("")));
    if !text.contains(['?', '#']) {
        assert_eq!(request(&format!("{text}?x=/courses/a/b/c/info")), found);
    }
}
