//! Values of payloads, read as the columns of tables want them. Nothing is copied where a value
//! stands in its text as it is wanted.

pub mod answer;
pub mod block;
pub mod form;
pub mod input;
pub mod json;
pub mod members;
pub mod payload;
pub mod request;
pub mod scalars;
#[cfg(test)]
mod tests;

use crate::frame::names::names;
use crate::json::path::{Step, find};
use crate::json::scanner::{Kind, Span};

names! {
    /// What is said of a row beside its values.
    Flag {
        /// The payload cannot be decoded.
        BrokenPayload = "broken_payload",
        /// The payload is cut at 512 characters.
        Cut512 = "cut512",
        /// Bytes of a form are no UTF-8.
        BadUtf8 = "bad_utf8",
        /// A number is outside the range of its column.
        OutOfRange = "out_of_range",
        /// A time has no zone.
        NaiveTime = "naive_time",
        /// `name` leads to another table than `event_type`.
        NameDisagrees = "name_disagrees",
        /// The platform may have written the act twice.
        PossibleDouble = "possible_double",
        /// The act needs a block, and none was found.
        NoBlock = "no_block",
        /// Only a username names the person that the event is about.
        SubjectByName = "subject_by_name",
        /// The platform says that it cut a text.
        Truncated = "truncated",
        /// Where a seek began is not known.
        SeekFromUnknown = "seek_from_unknown",
        /// Several settings were changed at once.
        ManySettings = "many_settings",
        /// `username`, `ip` and `session` of an event of the server are empty.
        Worker = "worker",
    }
}

/// A set of [`Flag`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// Adds one.
    pub fn insert(&mut self, flag: Flag) {
        self.0 |= 1 << flag as u16;
    }

    /// Adds those of another.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether it holds `flag`.
    pub fn contains(self, flag: Flag) -> bool {
        self.0 >> flag as u16 & 1 == 1
    }

    /// Whether it holds none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Appends the names of those in it, in their order, with a blank between two.
    pub fn push_words(self, out: &mut String) {
        let start = out.len();
        for &flag in Flag::ALL {
            if self.contains(flag) {
                if out.len() > start {
                    out.push(' ');
                }
                out.push_str(flag.as_str());
            }
        }
    }
}

/// A JSON value in the text that holds it.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The text.
    pub text: &'a str,
    /// Where the value stands in it; absent where there is none.
    pub span: Span,
}

impl<'a> At<'a> {
    /// No value.
    pub const NONE: Self =
        Self { text: "", span: Span { start: 0, end: 0, kind: Kind::Absent, escaped: false } };

    /// The value as it is written; of a string, what stands between its quotes.
    pub fn raw(self) -> &'a str {
        &self.text[self.span.start..self.span.end]
    }

    /// Whether there is a value, and not null.
    pub fn is_some(self) -> bool {
        !matches!(self.span.kind, Kind::Absent | Kind::Null)
    }

    /// What stands at a path inside it.
    pub fn find<'p>(self, path: impl IntoIterator<Item = Step<'p>>) -> Self {
        let span = find(self.text.as_bytes(), self.span, path).unwrap_or_default();
        Self { text: self.text, span }
    }
}
