//! The members of objects.

use super::At;
use crate::json::scanner::Span;

/// Where key and value of each member of an object stand; of duplicate keys the place of the first,
/// the value of the last. Nothing for anything else.
pub fn members(_at: At<'_>) -> Vec<(Span, Span)> {
    todo!()
}
