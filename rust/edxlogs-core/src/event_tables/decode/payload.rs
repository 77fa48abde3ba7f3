//! The payload of an event, whatever way it is packed.

use std::borrow::Cow;

use super::{At, Flag, Flags, form};
use crate::event::Event;
use crate::json::path::Step;
use crate::json::scanner::{Kind, Span};
use crate::json::text::{decode, whole_value};

/// After so many characters the platform's middleware cut the payloads of requests.
const CUT_CHARS: usize = 512;

/// Text that is JSON may hold JSON once more.
const MOST_LAYERS: usize = 2;

/// A payload, unpacked: an object, a list, a form, or nothing.
#[derive(Debug)]
pub struct Body<'a> {
    text: Cow<'a, str>,
    span: Span,
    is_form: bool,
    is_cut: bool,
}

impl<'a> Body<'a> {
    /// The payload of an event, which may be decoded already.
    pub fn of(event: &'a Event<'_>, flags: &mut Flags) -> Self {
        let (text, span) = event.payload().value();
        match span.kind {
            Kind::Object | Kind::Array => Self::json(Cow::Borrowed(text), span),
            _ => Self::new(event.as_str(), event.payload_span(), flags),
        }
    }

    /// Unpacks the value at `span` of `line`. An object or list is that; text is JSON, or JSON in
    /// JSON; else a form, where it holds `=` and does not begin as JSON. Null and empty text hold
    /// nothing, and so does anything else, which is flagged.
    pub fn new(line: &'a str, span: Span, flags: &mut Flags) -> Self {
        Self::unpacked(line, span, flags).unwrap_or_else(|| {
            flags.insert(Flag::BrokenPayload);
            let is_cut = span.kind == Kind::String
                && decode(line, span).chars().take(CUT_CHARS + 1).count() == CUT_CHARS;
            Self { is_cut, ..Self::json(Cow::Borrowed(line), Span::default()) }
        })
    }

    /// What it holds; `None` if it is broken.
    fn unpacked(line: &'a str, mut span: Span, flags: &mut Flags) -> Option<Self> {
        let mut text = Cow::Borrowed(line);
        for _ in 0..MOST_LAYERS {
            if span.kind != Kind::String {
                break;
            }
            text = inside(text, span);
            match whole_value(text.as_bytes()) {
                Ok((value, _)) => span = value,
                Err(_) => return Self::of_text(text, flags),
            }
        }
        match span.kind {
            Kind::Object | Kind::Array => Some(Self::json(text, span)),
            Kind::String => Self::of_text(inside(text, span), flags),
            Kind::Absent | Kind::Null => Some(Self::json(text, Span::default())),
            Kind::Number | Kind::True | Kind::False => None,
        }
    }

    fn json(text: Cow<'a, str>, span: Span) -> Self {
        Self { text, span, is_form: false, is_cut: false }
    }

    /// What a text holds that is no JSON.
    fn of_text(text: Cow<'a, str>, flags: &mut Flags) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::json(text, Span::default()));
        }
        // Text that begins as JSON and is none was cut; no form begins so.
        let is_form = text.contains('=') && !text.trim_start().starts_with(['{', '[', '"']);
        is_form.then(|| Self::form_of(&text, flags))
    }

    fn form_of(form: &str, flags: &mut Flags) -> Self {
        let text = form::to_json(form, flags);
        let span = Span { start: 0, end: text.len(), kind: Kind::Object, escaped: false };
        Self { text: Cow::Owned(text), span, is_form: true, is_cut: false }
    }

    /// The object or list that it is, a form too; absent where it holds nothing.
    pub fn root(&self) -> At<'_> {
        At { text: &self.text, span: self.span }
    }

    /// Whether it is a form.
    pub fn is_form(&self) -> bool {
        self.is_form
    }

    /// Whether its text was broken, and had 512 characters.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The form that a browser's event holds: the payload, the first item of a list, or `answers` of
    /// an object. It holds nothing where that is no form.
    pub fn form(&self, flags: &mut Flags) -> Body<'_> {
        if self.is_form {
            return Body { text: Cow::Borrowed(&self.text), ..*self };
        }
        let path =
            if self.span.kind == Kind::Array { Step::Index(0) } else { Step::Key("answers") };
        let found = self.root().find([path]);
        let text = if found.span.kind == Kind::String {
            decode(found.text, found.span)
        } else {
            Cow::Borrowed("")
        };
        if text.contains('=') {
            Body::form_of(&text, flags)
        } else {
            Body::json(text, Span::default())
        }
    }
}

/// The text that a string stands for.
fn inside(text: Cow<'_, str>, string: Span) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => decode(text, string),
        Cow::Owned(text) => Cow::Owned(decode(&text, string).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_tables::decode::tests::{at, words};

    fn unpacked(packed: &str) -> (String, String) {
        let mut flags = Flags::default();
        let body = Body::new(packed, at(packed).span, &mut flags);
        (body.root().raw().to_owned(), words(flags))
    }

    #[test]
    fn payloads_of_all_kinds() {
        for (packed, root, flags) in [
            (r#"{"a": 1}"#, r#"{"a": 1}"#, ""),
            (r#"["a=1", "x"]"#, r#"["a=1", "x"]"#, ""),
            (r#""{\"a\": NaN}""#, r#"{"a": NaN}"#, ""),
            (r#""\"{\\\"a\\\": 1}\"""#, r#"{"a": 1}"#, ""),
            (r#""\"\\\"{}\\\"\"""#, "", "broken_payload"),
            (r#""input_a_2_1=x+y&input_a_3_1=%C3%A9""#, r#"{"a_2_1":"x y","a_3_1":"é"}"#, ""),
            (r#""\"input_a_2_1=x\"""#, r#"{"a_2_1":"x"}"#, ""),
            (r#""a=%ff""#, "{\"a\":\"\u{fffd}\"}", "bad_utf8"),
            (r#""{\"a\": \"b=c""#, "", "broken_payload"),
            (r#"" [\"b=c""#, "", "broken_payload"),
            ("null", "", ""),
            (r#""""#, "", ""),
            (r#""null""#, "", ""),
            (r#""\"\"""#, "", ""),
            (r#""NaN""#, "", ""),
            ("5", "", "broken_payload"),
            (r#""5""#, "", "broken_payload"),
            ("true", "", "broken_payload"),
            (r#""text""#, "", "broken_payload"),
        ] {
            assert_eq!(unpacked(packed), (root.to_owned(), flags.to_owned()), "{packed}");
        }
        let body = Body::new("", Span::default(), &mut Flags::default());
        assert!(!body.root().is_some());
    }

    #[test]
    fn only_broken_text_of_512_characters_is_cut() {
        let is_cut = |inside: &str| {
            let packed = format!("\"{inside}\"");
            Body::new(&packed, at(&packed).span, &mut Flags::default()).is_cut()
        };
        let start = r#"{\"POST\": {\"é\": [\""#;
        let shown = r#"{"POST": {"é": [""#.chars().count();
        let with = |chars: usize| format!("{start}{}", "é".repeat(chars - shown));
        assert!(is_cut(&with(512)));
        assert!(!is_cut(&with(511)) && !is_cut(&with(513)));
        assert!(!is_cut(&format!("{}\\\"]}}}}", with(512 - 4))), "whole");
        assert!(!is_cut(&format!("a={}", "x".repeat(510))), "a form");
        assert!(is_cut(&format!("\\\"{}\\\"", "x".repeat(510))), "as it was sent");
    }

    #[test]
    fn forms_of_browsers() {
        for (packed, form) in [
            (r#""input_a_2_1=x""#, r#"{"a_2_1":"x"}"#),
            (r#"["input_a_2_1=x", "<div>"]"#, r#"{"a_2_1":"x"}"#),
            (r#"{"answers": "input_a_2_1[]=x&input_a_2_1[]=y"}"#, r#"{"a_2_1":["x","y"]}"#),
            (r#""{\"answers\": \"a=\\\"\"}""#, r#"{"a":"\""}"#),
            (r#"{"answers": {"a": "b=c"}}"#, ""),
            (r#"[["a=b"]]"#, ""),
            (r#"{"answers": ""}"#, ""),
            ("[]", ""),
            ("null", ""),
            (r#""broken""#, ""),
        ] {
            let body = Body::new(packed, at(packed).span, &mut Flags::default());
            assert_eq!(body.form(&mut Flags::default()).root().raw(), form, "{packed}");
        }
    }
}
