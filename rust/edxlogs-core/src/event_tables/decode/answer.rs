//! Answers of open response assessments: an object `{"parts": [{"text": …}]}`, as older ones
//! `{"text": …}`, or the JSON text of either.

use std::borrow::Cow;

use super::At;
use super::json::push_text;
use super::scalars::{for_each, only_text};
use crate::json::path::Step;
use crate::json::scanner::Kind;
use crate::json::text::whole_value;

/// The text of an answer: of one part its text, of several the JSON list of their texts.
pub fn text(at: At<'_>) -> Option<Cow<'_, str>> {
    let mut texts = texts(at)?;
    if texts.len() < 2 {
        return texts.pop()?;
    }
    let mut json = String::new();
    for text in &texts {
        json.push(if json.is_empty() { '[' } else { ',' });
        match text {
            Some(text) => push_text(text, &mut json),
            None => json.push_str("null"),
        }
    }
    json.push(']');
    Some(Cow::Owned(json))
}

/// How many parts an answer has.
pub fn parts(at: At<'_>) -> Option<i64> {
    texts(at).map(|texts| texts.len() as i64)
}

/// How many characters the texts of an answer have.
pub fn chars(at: At<'_>) -> Option<i64> {
    texts(at).map(|texts| texts.iter().flatten().map(|text| text.chars().count() as i64).sum())
}

/// What an answer has in each of its parts; nothing where it is none.
type Texts<'a> = Vec<Option<Cow<'a, str>>>;

fn texts(at: At<'_>) -> Option<Texts<'_>> {
    if at.span.kind != Kind::String {
        return texts_of_object(at);
    }
    let written = only_text(at)?;
    let (span, _) = whole_value(written.as_bytes()).ok()?;
    let texts = texts_of_object(At { text: &written, span })?;
    let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    Some(texts.into_iter().map(|text| text.map(owned)).collect())
}

fn texts_of_object(at: At<'_>) -> Option<Texts<'_>> {
    let parts = at.find([Step::Key("parts")]);
    if parts.span.kind != Kind::Array {
        return only_text(at.find([Step::Key("text")])).map(|text| vec![Some(text)]);
    }
    let mut texts = Vec::new();
    for_each(parts, |part| texts.push(only_text(part.find([Step::Key("text")]))));
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_tables::decode::tests::at;

    #[test]
    fn answers_old_and_new() {
        for (json, expected, count, length) in [
            (r#"{"text": "x\ny", "file_upload_key": "k"}"#, Some("x\ny"), Some(1), Some(3)),
            (r#"{"parts": [{"text": "\u00e9"}], "text": "no"}"#, Some("é"), Some(1), Some(1)),
            (
                r#"{"parts": [{"text": "a\""}, {"text": "b"}]}"#,
                Some(r#"["a\"","b"]"#),
                Some(2),
                Some(3),
            ),
            (
                r#"{"parts": [{"text": "a"}, {}, {"text": 5}]}"#,
                Some(r#"["a",null,null]"#),
                Some(3),
                Some(1),
            ),
            (r#""{\"parts\": [{\"text\": \"a\"}]}""#, Some("a"), Some(1), Some(1)),
            (r#"{"parts": []}"#, None, Some(0), Some(0)),
            (r#"{"parts": [{}]}"#, None, Some(1), Some(0)),
            (r#"{"text": null}"#, None, None, None),
            (r#""written""#, None, None, None),
            ("[]", None, None, None),
            ("null", None, None, None),
        ] {
            let answer = at(json);
            assert_eq!(text(answer).as_deref(), expected, "{json}");
            assert_eq!((parts(answer), chars(answer)), (count, length), "{json}");
        }
    }
}
