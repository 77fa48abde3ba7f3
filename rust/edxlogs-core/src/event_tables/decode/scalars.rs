//! Single values, each as a type of column.

use std::borrow::Cow;

use super::{At, Flags};
use crate::json::path::Segment;

/// Text bare, anything else as compact JSON text.
pub fn text(_at: At<'_>) -> Option<Cow<'_, str>> {
    todo!()
}

/// Text, and nothing else.
pub fn only_text(_at: At<'_>) -> Option<Cow<'_, str>> {
    todo!()
}

/// Any value but null as compact JSON text.
pub fn json(_at: At<'_>) -> Option<Cow<'_, str>> {
    todo!()
}

/// Text; of a list its texts, or `text` of its objects, a line each.
pub fn lines(_at: At<'_>) -> Option<Cow<'_, str>> {
    todo!()
}

/// A finite number, or text that is wholly one; flagged where it is outside the bounds.
pub fn float(_at: At<'_>, _min: f64, _max: f64, _flags: &mut Flags) -> Option<f64> {
    todo!()
}

/// The same of whole numbers.
pub fn integer(_at: At<'_>, _min: i64, _max: i64, _flags: &mut Flags) -> Option<i64> {
    todo!()
}

/// A truth value, as text too; the numbers 1 and 0.
pub fn boolean(_at: At<'_>) -> Option<bool> {
    todo!()
}

/// A time in microseconds since 1970, UTC, from RFC 3339 or as Python shows it, in quotes or not;
/// flagged where it has no zone.
pub fn instant(_at: At<'_>, _flags: &mut Flags) -> Option<i64> {
    todo!()
}

/// How many items a list has.
pub fn length(_at: At<'_>) -> Option<i64> {
    todo!()
}

/// How many characters a text has.
pub fn chars(_at: At<'_>) -> Option<i64> {
    todo!()
}

/// Whether a key of an object has a value that is not null; nothing where there is no object.
pub fn is_set(_object: At<'_>, _value: At<'_>) -> Option<bool> {
    todo!()
}

/// Whether there is a value, neither null nor false nor an empty list.
pub fn holds(_at: At<'_>) -> bool {
    todo!()
}

/// The names of the first 32 keys of an object, with a blank between two.
pub fn keys(_at: At<'_>) -> Option<String> {
    todo!()
}

/// Whether an object, list or text holds anything.
pub fn not_empty(_at: At<'_>) -> Option<bool> {
    todo!()
}

/// Text, or the first item of a list that is text.
pub fn first_text(_at: At<'_>) -> Option<Cow<'_, str>> {
    todo!()
}

/// How many files a list names; one for a text that is not empty.
pub fn files(_at: At<'_>) -> Option<i64> {
    todo!()
}

/// The sum of a number of each item of a list, from the first of some paths inside it that leads to
/// one; nothing where no item has one.
pub fn sum(_at: At<'_>, _items: &[Vec<Segment>]) -> Option<f64> {
    todo!()
}
