//! What every line must hold for a condition to be true, read off the condition's tree.
//!
//! Why a line that matches holds it:
//! - A needle is a run of printable ASCII out of a text that must be *equal* to, or stand in, a
//!   string of the line, or out of a key. JSON can hide such a byte only as `\u00` followed by `0`
//!   to `7`, or as `\"`, `\\`, `\/`; needles hold none of the last three, and a line with one of the
//!   first kind is nominated whatever it holds. JSON text inside a JSON string, however deep, shows
//!   the same `\u00`, or that of its backslash.
//! - A course is also read out of URLs and longer keys, percent-encoded up to twice. The needles
//!   are runs of bytes that no such encoding needs to touch; a line that encodes such a byte all
//!   the same, or encodes a `%`, is nominated.
//! - Numbers can be spelled in many ways, so no condition on one has a needle of its value.
//! - The text of a list or an object may have been mended before it is compared, so a text that
//!   can be one has no needle.
//! - What is compared with null is unknown, and so is its opposite: a path that is compared at all
//!   leads somewhere, and the line holds its keys.

use crate::event::column::EventColumn;
use crate::event_tables::Table;
use crate::json::path::Segment;
use crate::query::expression::{Comparison, Like, Literal};
use crate::query::pattern::{Pattern, PatternSet, longest_run};
use crate::query::predicate::Test;
use crate::query::projection::Expr;

/// Shortest needle that is worth a search of every byte.
const MIN_NEEDLE: usize = 4;

/// The rank of what tells of keys alone.
pub(super) const KEYS: u8 = 5;

/// Names of key kinds: the same course stands under several, so they are no needles.
const NAMESPACES: [&str; 3] = ["course-v1", "ccx-v1", "library-v1"];

/// One thing that every line must hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Needles {
    /// The lower, the fewer lines hold it, as far as the kind of condition tells.
    pub rank: u8,
    /// Of each alternative all that a line must hold, at least one, the rarest first.
    pub alternatives: Vec<Vec<String>>,
    /// Whether a value may stand percent-encoded.
    pub encoded: bool,
    /// Whether letters may stand in the other case.
    pub ignore_case: bool,
    /// Whether each alternative is an event type, all of it.
    pub are_types: bool,
}

/// A text that is compared: its stretches between wildcards, one where there are none.
type Literals<'t> = Vec<&'t str>;

/// How the texts of a kind stand in a line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Written {
    /// As JSON spells them.
    Plain,
    /// As a course key, or in a longer one, or in a URL.
    Course,
    /// As the first part of a course key.
    Org,
    /// The same, whatever its case.
    OrgOfAnyCase,
}

/// What a line must hold for the test to be true, or `false` as `truth` says; nothing where any
/// line may do.
pub(super) fn needles(test: &Test, truth: bool) -> Vec<Needles> {
    let of_set = |patterns: &PatternSet, rank, written| {
        let texts = patterns.iter().map(|pattern| pattern.literals().collect());
        of_texts(texts, rank, written)
    };
    let found = match (test, truth) {
        (Test::Not(inner), _) => return needles(inner, !truth),
        (Test::And(all), true) | (Test::Or(all), false) => {
            return all.iter().flat_map(|one| needles(one, truth)).collect();
        }
        (Test::And(all), false) | (Test::Or(all), true) => {
            return needles_of_any(all.iter().map(|one| needles(one, truth)));
        }
        (Test::EventType(patterns), true) => {
            let found = of_set(patterns, 0, Written::Plain);
            let are_exact = patterns.iter().all(Pattern::is_exact);
            let texts = patterns.iter().flat_map(Pattern::literals);
            found.map(|needles| if are_exact { needles.of_types(texts) } else { needles })
        }
        (Test::Course(patterns), true) => of_set(patterns, 1, Written::Course),
        // Digits may be an id.
        (Test::User { names, ids }, true) if ids.is_empty() => {
            of_texts(names.iter().map(|name| vec![name.as_str()]), 2, Written::Plain)
        }
        (Test::Org(patterns), true) => of_set(patterns, 3, Written::OrgOfAnyCase),
        (Test::EventSource(patterns), true) => of_set(patterns, 4, Written::Plain),
        (Test::Compare { value, op, literal }, _) => {
            let equal = (*op == if truth { Comparison::Eq } else { Comparison::Ne })
                .then(|| of_literals(value, std::slice::from_ref(literal)));
            equal.flatten().or_else(|| of_keys(value))
        }
        (Test::In { value, literals }, _) => {
            let equal = truth.then(|| of_literals(value, literals));
            equal.flatten().or_else(|| of_keys(value))
        }
        (Test::Like { value, pattern }, _) => {
            let like = truth.then(|| of_like(value, pattern));
            like.flatten().or_else(|| of_keys(value))
        }
        (Test::IsNull(value), false) => of_keys(value),
        (
            Test::EventType(_)
            | Test::Course(_)
            | Test::User { .. }
            | Test::Org(_)
            | Test::EventSource(_)
            | Test::Site(_)
            | Test::Time { .. }
            | Test::IsNull(_),
            _,
        ) => None,
    };
    found.into_iter().collect()
}

/// The same of tests of which one is enough: of each kind that all of them have, the alternatives
/// of all; where there is no such kind, of each test its rarest.
pub(super) fn needles_of_any(tests: impl Iterator<Item = Vec<Needles>>) -> Vec<Needles> {
    let mut tests: Vec<Vec<Needles>> = tests.collect();
    if tests.len() == 1 {
        return tests.swap_remove(0);
    }
    for needles in &mut tests {
        needles.sort_by_key(|needles| needles.rank);
    }
    let Some((first, others)) = tests.split_first() else {
        return Vec::new();
    };
    let join = |pick: &dyn Fn(&[Needles]) -> Option<Needles>| {
        let start = pick(first)?;
        others.iter().try_fold(start, |joined, needles| Some(joined.or(pick(needles)?)))
    };
    let mut ranks: Vec<u8> = first.iter().map(|needles| needles.rank).collect();
    ranks.dedup();
    let of_rank = |rank| join(&|all| all.iter().find(|needles| needles.rank == rank).cloned());
    let common: Vec<Needles> = ranks.into_iter().filter_map(of_rank).collect();
    if common.is_empty() { join(&|all| all.first().cloned()).into_iter().collect() } else { common }
}

/// The needles of the types that a table has rows of; nothing where these cannot be listed.
pub(super) fn of_table(table: &Table) -> Option<Needles> {
    let types = || table.types().into_iter().flatten().map(String::as_str);
    let found = of_texts(types().map(|one| vec![one]), 0, Written::Plain)?;
    Some(found.of_types(types()))
}

impl Needles {
    /// The same of event types, where each of these stands in a line as it is.
    fn of_types<'t>(mut self, mut types: impl Iterator<Item = &'t str>) -> Self {
        self.are_types = types.all(|one| one.bytes().all(is_plain));
        self
    }

    /// What a line holds that holds either.
    fn or(mut self, other: Self) -> Self {
        self.rank = self.rank.max(other.rank);
        self.alternatives.extend(other.alternatives);
        self.encoded |= other.encoded;
        self.are_types &= other.are_types;
        self.ignore_case |= other.ignore_case;
        self
    }

    /// The same, and the keys that lead to the value.
    fn beside_keys(mut self, value: &Expr) -> Self {
        let keys = keys(value);
        for alternative in &mut self.alternatives {
            alternative.extend_from_slice(&keys);
        }
        self
    }
}

/// The needles of texts of which one must stand in the line; `None` where one of them has none that
/// is long enough.
fn of_texts<'t>(
    texts: impl Iterator<Item = Literals<'t>>,
    rank: u8,
    written: Written,
) -> Option<Needles> {
    let alternatives = texts.map(|text| of_text(&text, written)).collect::<Option<Vec<_>>>()?;
    let ignore_case = written == Written::OrgOfAnyCase;
    (!alternatives.is_empty()).then(|| Needles {
        rank,
        alternatives,
        encoded: written != Written::Plain,
        ignore_case,
        are_types: false,
    })
}

fn of_text(text: &[&str], written: Written) -> Option<Vec<String>> {
    let longest = |keep: fn(u8) -> bool| vec![longest_run(text.iter().copied(), keep).to_owned()];
    let mut runs = match written {
        Written::Plain => longest(is_plain),
        Written::Course => course_runs(text),
        // Characters outside ASCII have `k` and `i` as their lower case.
        Written::OrgOfAnyCase => {
            longest(|byte| is_unreserved(byte) && !matches!(byte, b'k' | b'K' | b'i' | b'I'))
        }
        Written::Org => longest(is_unreserved),
    };
    runs.retain(|run| !run.is_empty());
    runs.sort_by_key(|run| std::cmp::Reverse(run.len()));
    (runs.first()?.len() >= MIN_NEEDLE).then_some(runs)
}

/// The needles of a value that equals one of the literals.
fn of_literals(value: &Expr, literals: &[Literal]) -> Option<Needles> {
    let (rank, written) = of_value(value)?;
    let texts = literals.iter().map(|literal| match literal {
        Literal::Text(text) if !text.starts_with(['[', '{']) => Some(vec![text.as_str()]),
        _ => None,
    });
    let texts = texts.collect::<Option<Vec<_>>>()?;
    Some(of_texts(texts.into_iter(), rank, written)?.beside_keys(value))
}

/// The needles of a value that is like the pattern.
fn of_like(value: &Expr, pattern: &Like) -> Option<Needles> {
    let (rank, written) = of_value(value)?;
    // No course is a list.
    if written != Written::Course && pattern.as_str().starts_with(['%', '_', '[', '{']) {
        return None;
    }
    let text = pattern.literals().collect();
    Some(of_texts(std::iter::once(text), rank, written)?.beside_keys(value))
}

/// How rare the texts of a value are, and how they stand in a line; `None` where they need not.
fn of_value(value: &Expr) -> Option<(u8, Written)> {
    use EventColumn::{
        AcceptLanguage, Agent, CourseId, EventSource, EventType, Host, Ip, Name, OrgId, Page, Path,
        Referer, Session, Username,
    };
    Some(match value {
        Expr::Column(column) => match column {
            EventType | Name => (0, Written::Plain),
            CourseId => (1, Written::Course),
            Username | Session | Ip => (2, Written::Plain),
            OrgId => (3, Written::Org),
            EventSource | Agent | Host | Page | Referer | AcceptLanguage | Path => {
                (4, Written::Plain)
            }
            _ => return None,
        },
        Expr::Path(path) if path.cast.is_none() => (3, Written::Plain),
        _ => return None,
    })
}

/// The needles of a value that is there.
fn of_keys(value: &Expr) -> Option<Needles> {
    let keys = keys(value);
    let alternatives = vec![keys];
    let found = !alternatives[0].is_empty();
    found.then_some(Needles {
        rank: KEYS,
        alternatives,
        encoded: false,
        ignore_case: false,
        are_types: false,
    })
}

/// The needles of a path's keys, the longest first. Nearly all lines have a `context`, and `event`
/// is `data` in events of the in-process shape.
fn keys(value: &Expr) -> Vec<String> {
    let Expr::Path(path) = value else {
        return Vec::new();
    };
    let is_root = |key: &str| matches!(key, "event" | "context");
    let segments = path.segments.iter().enumerate();
    let keys = segments.filter_map(|(at, segment)| match segment {
        Segment::Key(key) if at > 0 || !is_root(key) => Some(longest_run([key.as_str()], is_plain)),
        _ => None,
    });
    let long = keys.filter(|run| run.len() >= MIN_NEEDLE);
    let mut keys: Vec<String> = long.map(str::to_owned).collect();
    keys.sort_by_key(|run| std::cmp::Reverse(run.len()));
    keys
}

/// Bytes that JSON spells as themselves, or as `\u00XX`.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'/')
}

/// Bytes that no URL needs to encode.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-')
}

/// The runs of a course id that stand in every form of it: of each of its parts the longest.
fn course_runs(text: &[&str]) -> Vec<String> {
    let parts = text.iter().flat_map(|stretch| stretch.split(['+', '/', ':', '@', ' ']));
    let run = |part| longest_run([part], is_unreserved).to_owned();
    let is_namespace = |run: &String| NAMESPACES.iter().any(|name| name.contains(run.as_str()));
    parts.map(run).filter(|run| !is_namespace(run)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::predicate::{ConditionKind, Conditions, Predicate};

    fn of(kind: ConditionKind, values: &[&str]) -> Vec<Needles> {
        let conditions = Conditions::default().and(kind, values);
        let predicate = Predicate::new(&conditions).expect("valid");
        needles_of_any(predicate.tests().map(|test| needles(test, true)))
    }

    fn of_where(expression: &str) -> Vec<Needles> {
        of(ConditionKind::Expression, &[expression])
    }

    /// The alternatives of each that a line must hold, as words.
    fn words(expression: &str) -> Vec<String> {
        let alternative = |needles: &Vec<String>| needles.join("+");
        let one = |needles: &Needles| {
            needles.alternatives.iter().map(alternative).collect::<Vec<_>>().join(" | ")
        };
        of_where(expression).iter().map(one).collect()
    }

    #[test]
    fn an_expression_has_the_needles_of_its_option() {
        for (kind, values, expression) in [
            (ConditionKind::EventType, &["a_b/cd_ef"][..], "event_type = 'a_b/cd_ef'"),
            (ConditionKind::EventType, &["edx.forum.*"], "event_type like 'edx.forum.%'"),
            (ConditionKind::Course, &["UnivX/CS1/2014"], "course_id = 'UnivX/CS1/2014'"),
            (ConditionKind::User, &["anna"], "username in ('anna')"),
            (ConditionKind::EventSource, &["server"], "event_source = 'server'"),
        ] {
            assert_eq!(of(kind, values), of_where(expression));
        }
        let orgs = of_where("org_id = 'UnivX'");
        assert_eq!(orgs[0].alternatives, [["UnivX"]]);
        assert!(orgs[0].encoded && !orgs[0].ignore_case);
    }

    #[test]
    fn a_tree_has_the_needles_of_its_parts() {
        for (expression, expected) in [
            // All of `and`, of `or` what every part has.
            ("name = 'anna' and host = 'otto.org'", vec!["anna", "otto.org"]),
            ("name = 'anna' or name = 'otto'", vec!["anna | otto"]),
            ("name = 'anna' or host = 'otto.org'", vec!["anna | otto.org"]),
            ("name = 'anna' or user_id = 7", vec![]),
            (
                "(name = 'a1a1' and ip = 'b2b2') or (ip = 'c3c3' and name = 'd4d4')",
                vec!["a1a1 | d4d4", "b2b2 | c3c3"],
            ),
            (
                "(name = 'a1a1' and host = 'b2b2') or (ip = 'c3c3' and user_id = 1)",
                vec!["a1a1 | c3c3"],
            ),
            // Not of not, and what `not` makes of and, or and the comparisons.
            ("not not name = 'anna'", vec!["anna"]),
            ("not name = 'anna'", vec![]),
            ("not name != 'anna'", vec!["anna"]),
            ("not (name != 'anna' or host != 'otto.org')", vec!["anna", "otto.org"]),
            ("not (name != 'anna' and host != 'otto.org')", vec!["anna | otto.org"]),
            ("name not in ('anna')", vec![]),
            // Keys of what is known to be there.
            ("event.grade >= 0.5", vec!["grade"]),
            ("not event.grade >= 0.5", vec!["grade"]),
            ("event.grade is not null", vec!["grade"]),
            ("event.grade is null", vec![]),
            ("not (event.grade is null or event.attempts = 1)", vec!["grade", "attempts"]),
            ("event.success not in ('correct')", vec!["success"]),
            ("event.success = 'correct'", vec!["correct+success"]),
            ("context.module.usage_key like 'block-v1:%'", vec!["block-v1:+usage_key+module"]),
            ("event.data[0].\"a\"\"b/cdef\"::int64 = 7", vec!["data+cdef"]),
            ("event.id = 'x'", vec![]),
            // Values that need not stand in the line as they are compared.
            ("user_id = '170017'", vec![]),
            ("course_source = 'context'", vec![]),
            ("source = 'tracking.log'", vec![]),
            ("event like '\"input_p1%'", vec![]),
            ("host = '[null]'", vec![]),
            ("host in ('anna', '{\"anna\": 1}')", vec![]),
            ("host like '%anna%'", vec![]),
            ("course_id like '%CS101%'", vec!["CS101"]),
            ("name = 'anna' or name = 'abc'", vec![]),
            ("event.id > 'anna'", vec![]),
        ] {
            assert_eq!(words(expression), expected, "{expression}");
        }
    }
}
