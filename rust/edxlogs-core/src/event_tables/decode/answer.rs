//! Answers of open response assessments.

use std::borrow::Cow;

use super::At;

/// The text of an answer: of one part its text, of several the JSON list of their texts.
pub fn text(_at: At<'_>) -> Option<Cow<'_, str>> {
    todo!()
}

/// How many parts an answer has.
pub fn parts(_at: At<'_>) -> Option<i64> {
    todo!()
}

/// How many characters the texts of an answer have.
pub fn chars(_at: At<'_>) -> Option<i64> {
    todo!()
}
