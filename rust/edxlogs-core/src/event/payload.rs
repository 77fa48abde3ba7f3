//! A value that may be JSON or the text of it: the `event` and the `context` of a line.

use std::borrow::Cow;

use crate::json::scanner::{Kind, Oddities, Span};
use crate::json::text::{decode, push_strict, whole_value};

/// A payload, decoded once where it is JSON text.
///
/// Source: EdX Research Guide, "Events in the Tracking Logs", on the `event` field.
pub(crate) struct Payload<'a> {
    line: &'a str,
    span: Span,
    /// What the payload stands for, if it is a string.
    decoded: Option<Decoded<'a>>,
}

/// A string's text, and the JSON value that fills it, if one does.
type Decoded<'a> = (Cow<'a, str>, Option<(Span, Oddities)>);

impl<'a> Payload<'a> {
    /// The payload at `span` of `line`.
    pub(crate) fn new(line: &'a str, span: Span) -> Self {
        let decoded = (span.kind == Kind::String).then(|| {
            let text = decode(line, span);
            let value = whole_value(text.as_bytes()).ok();
            (text, value)
        });
        Self { line, span, decoded }
    }

    /// The JSON value, and the text it stands in; of a string that is no JSON, the string.
    pub(crate) fn value(&self) -> (&str, Span) {
        match &self.decoded {
            Some((text, Some((value, _)))) => (text, *value),
            _ => (self.line, self.span),
        }
    }

    /// The payload as JSON text.
    ///
    /// An object, array or scalar stands as written. A string is decoded once: JSON text stands as
    /// it is, any other text as a JSON string. `null`, and text that is `null`, give `None`. What
    /// comes out is strict JSON.
    pub(crate) fn json(&self) -> Option<Cow<'_, str>> {
        match (&self.decoded, self.span.kind) {
            (_, Kind::Absent | Kind::Null) => None,
            // The line was rewritten if it was not strict, so the slice is.
            (None, _) => Some(Cow::Borrowed(&self.line[self.span.start..self.span.end])),
            (Some((_, None)), _) => {
                Some(Cow::Borrowed(&self.line[self.span.start - 1..self.span.end + 1]))
            }
            (Some((_, Some((Span { kind: Kind::Null, .. }, _)))), _) => None,
            (Some((text, Some((_, odd)))), _) if odd.needs_rewriting() => {
                let mut strict = Vec::with_capacity(text.len() + 16);
                push_strict(text.as_bytes(), &mut strict);
                Some(Cow::Owned(String::from_utf8(strict).unwrap_or_default()))
            }
            (Some((text, _)), _) => Some(Cow::Borrowed(text)),
        }
    }

    /// Whether it begins like the text of an object or array, but is none: it was cut or broken.
    pub(crate) fn is_broken(&self) -> bool {
        match &self.decoded {
            Some((text, None)) => text.starts_with(['{', '[']),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Option<String> {
        let (span, _) = whole_value(text.as_bytes()).expect("JSON");
        Payload::new(text, span).json().map(Cow::into_owned)
    }

    #[test]
    fn payloads() {
        assert_eq!(payload("null"), None);
        assert_eq!(payload("\"null\""), None);
        assert_eq!(payload("{\"a\": 1.0}").as_deref(), Some("{\"a\": 1.0}"));
        assert_eq!(payload("\"{\\\"a\\\": NaN}\"").as_deref(), Some("{\"a\": null}"));
        assert_eq!(
            payload("\"{\\\"a\\\": \\\"x\\ty\\\"}\"").as_deref(),
            Some("{\"a\": \"x\\ty\"}")
        );
        assert_eq!(payload("\"a=1&b=2\"").as_deref(), Some("\"a=1&b=2\""));
        assert_eq!(payload("\"\"").as_deref(), Some("\"\""));
        assert_eq!(payload("\"\\\"in\\\"\"").as_deref(), Some("\"in\""));
        assert_eq!(payload("\"{\\\"cut\"").as_deref(), Some("\"{\\\"cut\""));
    }
}
