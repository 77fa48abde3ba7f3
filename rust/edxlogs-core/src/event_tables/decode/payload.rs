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
        let (mut text, mut span) = (Cow::Borrowed(line), span);
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
            Kind::Object | Kind::Array => Self::json(text, span),
            Kind::String => Self::of_text(inside(text, span), flags),
            Kind::Absent | Kind::Null => Self::json(text, Span::default()),
            Kind::Number | Kind::True | Kind::False => {
                flags.insert(Flag::BrokenPayload);
                Self::json(text, Span::default())
            }
        }
    }

    fn json(text: Cow<'a, str>, span: Span) -> Self {
        Self { text, span, is_form: false, is_cut: false }
    }

    /// What a text is that is no JSON.
    fn of_text(text: Cow<'a, str>, flags: &mut Flags) -> Self {
        // Text that begins as JSON and is none was cut; no form begins so.
        if text.contains('=') && !text.trim_start().starts_with(['{', '[', '"']) {
            return Self::form_of(&text, flags);
        }
        let is_broken = !text.is_empty();
        if is_broken {
            flags.insert(Flag::BrokenPayload);
        }
        let is_cut = is_broken && text.chars().take(CUT_CHARS + 1).count() == CUT_CHARS;
        Self { text, span: Span::default(), is_form: false, is_cut }
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
