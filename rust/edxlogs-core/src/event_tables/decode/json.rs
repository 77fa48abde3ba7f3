//! JSON text without white space.

use super::At;

/// Appends a value as strict JSON without white space: numbers as they are written, strings with no
/// escapes but those that they need.
pub fn push_compact(_at: At<'_>, _out: &mut Vec<u8>) {
    todo!()
}
