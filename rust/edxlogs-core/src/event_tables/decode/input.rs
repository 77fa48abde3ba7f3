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

/// How many inputs an object has, and what a `correct_map` says of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// All of them.
    pub inputs: i64,
    /// Those that are right.
    pub correct: i64,
    /// Those that are right in part.
    pub partial: i64,
}

/// The inputs of an object, counted; none for anything else.
pub fn verdicts(at: At<'_>, without: &[String]) -> Option<Verdicts> {
    if at.span.kind != Kind::Object {
        return None;
    }
    let mut verdicts = Verdicts::default();
    for (key, value) in members(at) {
        if !is_input(&decode(at.text, key), without) {
            continue;
        }
        verdicts.inputs += 1;
        let correctness = correctness(At { text: at.text, span: value });
        if correctness.span.kind == Kind::String {
            match &*decode(correctness.text, correctness.span) {
                "correct" => verdicts.correct += 1,
                "partially-correct" => verdicts.partial += 1,
                _ => {}
            }
        }
    }
    Some(verdicts)
}

/// The verdict on an input: `correctness` of an object, or the value itself.
pub fn correctness(at: At<'_>) -> At<'_> {
    if at.span.kind == Kind::Object { at.find([Step::Key("correctness")]) } else { at }
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
        let all = Verdicts { inputs: 5, correct: 1, partial: 1 };
        assert_eq!(verdicts(map, &without), Some(all));
        assert_eq!(verdicts(at("{}"), &without), Some(Verdicts::default()));
        assert_eq!(verdicts(at("[]"), &without), None);
        assert!(is_input("a_2_1", &without) && !is_input("a_2_1_comment", &without));
    }
}
