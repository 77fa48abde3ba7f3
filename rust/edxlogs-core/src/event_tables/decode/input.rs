//! Inputs of problems: what their ids say, and how many of them are right.

use super::members::members;
use super::{At, Flag, Flags};
use crate::json::path::Step;
use crate::json::scanner::Kind;
use crate::json::text::decode;

/// Whether a key is that of an input: it ends in none of those endings.
pub fn is_input(key: &str, without: &[String]) -> bool {
    !without.iter().any(|ending| key.ends_with(ending))
}

/// The part of a problem that an input belongs to, and its place there: the last two numbers of its
/// id, which has another shape where there is neither. One that 64 bits do not hold is flagged.
pub fn numbers(id: &str, flags: &mut Flags) -> (Option<i64>, Option<i64>) {
    let Some((_, part, input)) = parts(id) else {
        return (None, None);
    };
    let mut number = |digits: &str| {
        let number = digits.parse().ok();
        if number.is_none() {
            flags.insert(Flag::OutOfRange);
        }
        number
    };
    (number(part), number(input))
}

/// The problem's part of an input's id; all of it where it has another shape.
pub fn problem_of(id: &str) -> &str {
    parts(id).map_or(id, |(problem, _, _)| problem)
}

/// `PROBLEM_PART_INPUT`, of which the last two are digits.
fn parts(id: &str) -> Option<(&str, &str, &str)> {
    let (rest, input) = id.rsplit_once('_')?;
    let (problem, part) = rest.rsplit_once('_')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (!problem.is_empty() && is_number(part) && is_number(input)).then_some((problem, part, input))
}

/// How many inputs an object has.
pub fn inputs(at: At<'_>, without: &[String]) -> Option<i64> {
    count(at, without, |_| true)
}

/// How many inputs of a `correct_map` have that verdict.
pub fn judged(at: At<'_>, verdict: &str, without: &[String]) -> Option<i64> {
    count(at, without, |value| {
        let correctness = correctness(value);
        correctness.span.kind == Kind::String
            && decode(correctness.text, correctness.span) == verdict
    })
}

/// The verdict on an input: `correctness` of an object, or the value itself.
pub fn correctness(at: At<'_>) -> At<'_> {
    if at.span.kind == Kind::Object { at.find([Step::Key("correctness")]) } else { at }
}

fn count(at: At<'_>, without: &[String], is_counted: impl Fn(At<'_>) -> bool) -> Option<i64> {
    (at.span.kind == Kind::Object).then(|| {
        let of_input = |&&(key, value): &&_| {
            is_input(&decode(at.text, key), without)
                && is_counted(At { text: at.text, span: value })
        };
        members(at).iter().filter(of_input).count() as i64
    })
}
