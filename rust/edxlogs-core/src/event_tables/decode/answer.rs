//! Answers of open response assessments: an object `{"parts": [{"text": …}]}`, as older ones
//! `{"text": …}`, or the JSON text of either.

use std::borrow::Cow;

use super::At;
use super::scalars::{for_each, only_text};
use crate::json::path::Step;
use crate::json::scanner::Kind;
use crate::json::text::{push_json_string, whole_value};

/// The text of an answer: of one part its text, of several the JSON list of their texts.
pub fn text(at: At<'_>) -> Option<Cow<'_, str>> {
    let mut texts = texts(at)?;
    if texts.len() < 2 {
        return texts.pop();
    }
    let mut json = Vec::new();
    for text in &texts {
        json.push(if json.is_empty() { b'[' } else { b',' });
        push_json_string(text, &mut json);
    }
    json.push(b']');
    // UTF-8 was put together of UTF-8.
    Some(Cow::Owned(String::from_utf8(json).unwrap_or_default()))
}

/// How many parts an answer has.
pub fn parts(at: At<'_>) -> Option<i64> {
    texts(at).map(|texts| texts.len() as i64)
}

/// How many characters the texts of an answer have.
pub fn chars(at: At<'_>) -> Option<i64> {
    let count = |text: &Cow<'_, str>| text.chars().count() as i64;
    texts(at).map(|texts| texts.iter().map(count).sum())
}

/// The texts of the parts of an answer.
fn texts(at: At<'_>) -> Option<Vec<Cow<'_, str>>> {
    if at.span.kind != Kind::String {
        return texts_of_object(at);
    }
    let written = only_text(at)?;
    let (span, _) = whole_value(written.as_bytes()).ok()?;
    let texts = texts_of_object(At { text: &written, span })?;
    Some(texts.into_iter().map(|text| Cow::Owned(text.into_owned())).collect())
}

fn texts_of_object(at: At<'_>) -> Option<Vec<Cow<'_, str>>> {
    let parts = at.find([Step::Key("parts")]);
    if parts.span.kind != Kind::Array {
        return only_text(at.find([Step::Key("text")])).map(|text| vec![text]);
    }
    let mut texts = Vec::new();
    for_each(parts, |part| texts.extend(only_text(part.find([Step::Key("text")]))));
    Some(texts)
}
