//! The payload of an event, whatever way it is packed.

use std::borrow::Cow;

use super::{At, Flags};
use crate::json::scanner::Span;

/// A payload, unpacked: an object, a list, a form, or nothing.
pub struct Body<'a> {
    text: Cow<'a, str>,
    span: Span,
    is_form: bool,
    is_cut: bool,
}

impl<'a> Body<'a> {
    /// Unpacks the payload at `span` of `line`. An object or list is that; text is JSON, or JSON in
    /// JSON; else a form, where it holds `=`. Null and empty text hold nothing, and so does anything
    /// else, which is flagged.
    pub fn new(_line: &'a str, _span: Span, _flags: &mut Flags) -> Self {
        todo!()
    }

    /// The object or list that it is, a form too; absent where it holds nothing.
    pub fn root(&self) -> At<'_> {
        At { text: &self.text, span: self.span }
    }

    /// Whether it was a form.
    pub fn is_form(&self) -> bool {
        self.is_form
    }

    /// Whether its text was broken, and had 512 characters: the platform's middleware cuts there.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The form of a browser's event, as the JSON text of an object: the payload, the first item of
    /// it, or `answers` of it.
    pub fn form(&self, _flags: &mut Flags) -> Option<Cow<'_, str>> {
        todo!()
    }
}
