//! Inputs of problems: what their ids say, and how many of them are right.

use super::{At, Flags};

/// Whether a key is that of an input: it ends in none of those endings.
pub fn is_input(_key: &str, _without: &[String]) -> bool {
    todo!()
}

/// The last two numbers of an input's id, its part and its place there.
pub fn numbers(_id: &str, _flags: &mut Flags) -> Option<(Option<i64>, Option<i64>)> {
    todo!()
}

/// The problem's part of an input's id; all of it where it has another shape.
pub fn problem_of(_id: &str) -> &str {
    todo!()
}

/// How many inputs an object has.
pub fn inputs(_at: At<'_>, _without: &[String]) -> Option<i64> {
    todo!()
}

/// How many inputs of a `correct_map` have that verdict.
pub fn judged(_at: At<'_>, _verdict: &str, _without: &[String]) -> Option<i64> {
    todo!()
}

/// The verdict on an input: `correctness` of an object, or text.
pub fn correctness(_at: At<'_>) -> At<'_> {
    todo!()
}
