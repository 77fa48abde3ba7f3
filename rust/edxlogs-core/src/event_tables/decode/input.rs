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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_tables::decode::tests::{at, words};

    #[test]
    fn ids_of_inputs() {
        for (id, problem, part, input) in [
            ("i4x-edX-D-problem-466b_2_1", "i4x-edX-D-problem-466b", Some(2), Some(1)),
            ("466b_12_3", "466b", Some(12), Some(3)),
            ("a_b_2_1", "a_b", Some(2), Some(1)),
            ("__2_1", "_", Some(2), Some(1)),
            ("_2_1", "_2_1", None, None),
            ("2_1", "2_1", None, None),
            ("a_2", "a_2", None, None),
            ("a_2_x", "a_2_x", None, None),
            ("a_٣_1", "a_٣_1", None, None),
            ("", "", None, None),
        ] {
            assert_eq!(problem_of(id), problem);
            assert_eq!(numbers(id, &mut Flags::default()), (part, input), "{id}");
        }
        let mut flags = Flags::default();
        assert_eq!(numbers("a_99999999999999999999_1", &mut flags), (None, Some(1)));
        assert_eq!(words(flags), "out_of_range");
    }

    #[test]
    fn inputs_are_counted_without_their_helpers() {
        let without = ["_dynamath", "_comment"].map(str::to_owned);
        let map = at(r#"{
            "a_2_1": {"correctness": "correct"}, "a_2_1_dynamath": "",
            "a_3_1": {"correctness": "partially-correct"}, "a_4_1": "correct",
            "a_5_1": {"correctness": ["correct"]}, "a_6_1": null, "a_2_1": {"correctness": "incorrect"}
        }"#);
        assert_eq!(inputs(map, &without), Some(5));
        assert_eq!(judged(map, "correct", &without), Some(1));
        assert_eq!(judged(map, "partially-correct", &without), Some(1));
        assert_eq!((inputs(at("{}"), &without), inputs(at("[]"), &without)), (Some(0), None));
        assert!(is_input("a_2_1", &without) && !is_input("a_2_1_comment", &without));
    }
}
