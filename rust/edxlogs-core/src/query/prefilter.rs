//! Nominate, then confirm: bytes that every matching line must hold, searched before anything is
//! parsed. A nominated line need not match; a line that is not nominated never does.
//!
//! Why that holds:
//! - A needle is a run of printable ASCII out of a text that must be *equal* to, or stand in, a
//!   string of the line. JSON can hide such a byte only as `\u00` followed by `0` to `7`, or as
//!   `\"`, `\\`, `\/`; needles hold none of the last three, and a line with one of the first kind
//!   is nominated whatever it holds. JSON text inside a JSON string shows the same `\u00`.
//! - A course is also read out of URLs and longer keys, percent-encoded up to twice. The needles
//!   are runs of bytes that no such encoding needs to touch; a line that encodes such a byte all
//!   the same, or encodes a `%`, is nominated.
//! - Numbers can be spelled in many ways, so no condition on one has a needle.

use std::collections::HashSet;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use memchr::memmem::Finder;

use self::one_pass::{Found, OnePass};
use crate::query::Query;
use crate::query::pattern::{Pattern, PatternSet};
use crate::query::predicate::Test;

mod one_pass;

/// Shortest needle that is worth a search of every byte.
const MIN_NEEDLE: usize = 4;

/// Most values of one kind that are searched for; more are left to the predicate's hash sets.
const MAX_ALTERNATIVES: usize = 64;

/// Names of key kinds: the same course stands under several, so they are no needles.
const NAMESPACES: [&str; 3] = ["course-v1", "ccx-v1", "library-v1"];

/// What every selected line must hold.
#[derive(Debug, Default)]
pub struct Prefilter {
    /// All must nominate a line; the first is searched for over whole batches.
    groups: Vec<Group>,
}

/// One condition: a line must hold all needles of one of the alternatives.
#[derive(Debug)]
struct Group {
    search: Search,
    /// Per alternative, the needles beside the one that `search` looks for.
    others: Vec<Vec<Finder<'static>>>,
    /// Whether a value may stand percent-encoded.
    encoded: bool,
    ignore_case: bool,
}

#[derive(Debug)]
enum Search {
    One(Box<Finder<'static>>),
    Many(AhoCorasick),
}

impl Search {
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::One(finder) => finder.find(bytes),
            Self::Many(automaton) => automaton.find(bytes).map(|found| found.start()),
        }
    }
}

impl Prefilter {
    /// The prefilter of tests that a line must all pass.
    pub(crate) fn new(required: &[Test]) -> Self {
        // The rarest first, as far as the kind of condition tells.
        let mut ranked: Vec<(u8, Group)> = Vec::new();
        for test in required {
            let group = match test {
                Test::EventType(patterns) => {
                    Group::new(patterns.iter().map(type_run), false, false).map(|group| (0, group))
                }
                Test::Course(patterns) => {
                    Group::new(patterns.iter().map(course_runs), true, false).map(|g| (1, g))
                }
                Test::User { names, ids } if ids.is_empty() => {
                    let needles = |name: &String| vec![plain_run(&Pattern::new(name))];
                    Group::new(names.iter().map(needles), false, false).map(|group| (2, group))
                }
                Test::Org(patterns) => {
                    Group::new(patterns.iter().map(org_run), true, true).map(|group| (3, group))
                }
                Test::EventSource(patterns) => {
                    let needles = |pattern: &Pattern| vec![plain_run(pattern)];
                    Group::new(patterns.iter().map(needles), false, false).map(|group| (4, group))
                }
                Test::Any(queries) => {
                    ranked.extend(groups_of_any(queries));
                    None
                }
                Test::Site(_) | Test::User { .. } | Test::Time { .. } | Test::Where(_) => None,
            };
            ranked.extend(group);
        }
        // One needle is found many times faster than any of several; where it nominates, to search
        // the line for several more would cost what it costs to parse it.
        let has_one = ranked.iter().any(|(_, group)| group.has_one_needle());
        ranked.retain(|(_, group)| !has_one || group.has_one_needle());
        ranked.sort_by_key(|(rank, _)| *rank);
        Self { groups: ranked.into_iter().map(|(_, group)| group).collect() }
    }

    /// Whether it can drop any line at all.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Finds the lines of a batch, and whether each may match.
    pub fn search(&self, batch: &[u8], lines: &mut Vec<FoundLine>) {
        lines.clear();
        let Some(first) = self.groups.first() else {
            let ends = memchr::memchr_iter(b'\n', batch);
            lines.extend(ends.map(|end| FoundLine { end, nominated: true }));
            if batch.last().is_some_and(|&byte| byte != b'\n') {
                lines.push(FoundLine { end: batch.len(), nominated: true });
            }
            return;
        };
        let mut start = 0;
        let push = |end, found: Found| {
            let line = &batch[start..end];
            let may = found.needle || first.encoded && found.percent;
            let nominated = found.escape || may && self.groups.iter().all(|g| g.nominates(line));
            lines.push(FoundLine { end, nominated });
            start = end + 1;
        };
        match first.one_pass() {
            Some(one_pass) => one_pass.search(batch, push),
            None => first.search_in_turn(batch, push),
        }
    }
}

/// Groups of queries of which one is enough: where all of them name types, or courses, a line holds
/// one of these.
fn groups_of_any(queries: &[Arc<Query>]) -> Vec<(u8, Group)> {
    let of_all = |find: fn(&Test) -> Option<&PatternSet>| {
        let of_one = |query: &Arc<Query>| -> Option<Vec<Pattern>> {
            let tests = query.predicate.required().iter();
            tests.filter_map(find).next().map(|set| set.iter().cloned().collect())
        };
        let sets: Option<Vec<_>> = queries.iter().map(of_one).collect();
        sets.map(|sets| sets.into_iter().flatten().collect::<Vec<_>>())
    };
    let types = of_all(|test| match test {
        Test::EventType(patterns) => Some(patterns),
        _ => None,
    });
    let courses = of_all(|test| match test {
        Test::Course(patterns) => Some(patterns),
        _ => None,
    });
    let types = types.and_then(|types| Group::new(types.iter().map(type_run), false, false));
    let courses = courses.and_then(|all| Group::new(all.iter().map(course_runs), true, false));
    types.map(|group| (0, group)).into_iter().chain(courses.map(|group| (1, group))).collect()
}

/// The needle of an event type.
fn type_run(pattern: &Pattern) -> Vec<String> {
    vec![plain_run(pattern)]
}

/// A line of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundLine {
    /// Where it ends in the batch, without its LF.
    pub end: usize,
    /// Whether it may match.
    pub nominated: bool,
}

/// Where something next stands in a batch; only ever moved on.
struct Cursor(usize);

impl Cursor {
    /// Whether `find` finds something that starts in `start..end`. It searches on from `start` only
    /// when what it found before lies behind.
    fn within(&mut self, start: usize, end: usize, find: impl Fn(usize) -> usize) -> bool {
        if self.0 <= start {
            self.0 = find(start);
        }
        self.0 < end
    }
}

/// Whether bytes begin with the `\u00` that stands for a printable ASCII character.
fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'\\', b'u', b'0', b'0', b'0'..=b'7', ..])
}

/// The next percent escape that may hide a needle's byte, or the end of the batch.
fn next_encoded(batch: &[u8], from: usize) -> usize {
    memchr::memchr_iter(b'%', &batch[from..])
        .map(|at| from + at)
        .find(|&at| hides_needle(&batch[at..]))
        .unwrap_or(batch.len())
}

/// Whether a percent escape stands for a byte of needles, or for `%`.
fn hides_needle(escape: &[u8]) -> bool {
    let hex = |byte: Option<&u8>| byte.and_then(|&byte| (byte as char).to_digit(16));
    let (Some(high), Some(low)) = (hex(escape.get(1)), hex(escape.get(2))) else {
        return false;
    };
    let byte = (high * 16 + low) as u8;
    byte == b'%' || is_unreserved(byte)
}

impl Group {
    /// A group of the needles of each value; `None` where a value has no needle long enough, or
    /// where there are too many values.
    fn new(
        alternatives: impl Iterator<Item = Vec<String>>,
        encoded: bool,
        ignore_case: bool,
    ) -> Option<Self> {
        let mut firsts = Vec::new();
        let mut others = Vec::new();
        let mut seen = HashSet::new();
        for mut needles in alternatives {
            needles.retain(|needle| !needle.is_empty());
            if !seen.insert(needles.clone()) {
                continue;
            }
            let longest = (0..needles.len()).max_by_key(|&at| needles[at].len())?;
            let first = needles.swap_remove(longest);
            if first.len() < MIN_NEEDLE || firsts.len() == MAX_ALTERNATIVES {
                return None;
            }
            firsts.push(first);
            others.push(needles.iter().map(|n| Finder::new(n.as_bytes()).into_owned()).collect());
        }
        let search = match firsts.as_slice() {
            [] => return None,
            [one] if !ignore_case => Search::One(Box::new(Finder::new(one).into_owned())),
            many => Search::Many(
                AhoCorasick::builder()
                    .match_kind(MatchKind::Standard)
                    .ascii_case_insensitive(ignore_case)
                    // The needles are few: larger, and several times faster.
                    .kind(Some(AhoCorasickKind::DFA))
                    .build(many)
                    .ok()?,
            ),
        };
        Some(Self { search, others, encoded, ignore_case })
    }

    fn has_one_needle(&self) -> bool {
        matches!(self.search, Search::One(_))
    }

    /// The fastest search of a batch for the one needle of a condition.
    fn one_pass(&self) -> Option<OnePass<'_>> {
        match &self.search {
            Search::One(finder) => OnePass::new(finder.needle(), self.encoded),
            Search::Many(_) => None,
        }
    }

    /// The search of a batch by one search after another.
    fn search_in_turn(&self, batch: &[u8], mut line: impl FnMut(usize, Found)) {
        let escapes = Finder::new(b"\\u00");
        let next_escape = |from: usize| {
            let mut places = escapes.find_iter(&batch[from..]).map(|at| from + at);
            places.find(|&at| is_escape(&batch[at..])).unwrap_or(batch.len())
        };
        let next_hit =
            |from: usize| self.search.find(&batch[from..]).map_or(batch.len(), |at| from + at);
        let [mut hit, mut escape, mut percent] = [Cursor(0), Cursor(0), Cursor(0)];
        let mut ends = memchr::memchr_iter(b'\n', batch);
        let mut start = 0;
        while start < batch.len() {
            let end = ends.next().unwrap_or(batch.len());
            let mut found = Found {
                needle: hit.within(start, end, next_hit),
                escape: escape.within(start, end, next_escape),
                percent: false,
            };
            if self.encoded && !found.needle && !found.escape {
                found.percent = percent.within(start, end, |from| next_encoded(batch, from));
            }
            line(end, found);
            start = end + 1;
        }
    }

    fn nominates(&self, line: &[u8]) -> bool {
        let holds = match &self.search {
            Search::One(finder) => finder.find(line).is_some() && holds_all(line, &self.others[0]),
            // Which of the alternatives were found is left to the predicate.
            Search::Many(automaton) => automaton.is_match(line),
        };
        debug_assert!(!self.ignore_case || self.others.iter().all(Vec::is_empty));
        holds || self.encoded && next_encoded(line, 0) < line.len()
    }
}

fn holds_all(line: &[u8], needles: &[Finder<'static>]) -> bool {
    needles.iter().all(|needle| needle.find(line).is_some())
}

/// Bytes that JSON spells as themselves, or as `\u00XX`.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'/')
}

/// Bytes that no URL needs to encode.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-')
}

fn plain_run(pattern: &Pattern) -> String {
    pattern.longest_literal(is_plain).to_owned()
}

/// The runs of a course id that stand in every form of it: of each of its parts the longest.
fn course_runs(pattern: &Pattern) -> Vec<String> {
    let mut runs = Vec::new();
    for literal in pattern.literals() {
        for part in literal.split(['+', '/', ':', '@', ' ']) {
            let run = part
                .split(|c: char| !c.is_ascii() || !is_unreserved(c as u8))
                .max_by_key(|run| run.len())
                .unwrap_or_default();
            if !NAMESPACES.iter().any(|namespace| namespace.contains(run)) {
                runs.push(run.to_owned());
            }
        }
    }
    runs
}

/// A run of an organisation's name. `k` and `i` are left out: characters outside ASCII have them
/// as their lower case.
fn org_run(pattern: &Pattern) -> Vec<String> {
    let keep = |byte: u8| is_unreserved(byte) && !matches!(byte, b'k' | b'K' | b'i' | b'I');
    vec![pattern.longest_literal(keep).to_owned()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::predicate::{Conditions, Predicate};

    fn nominated(conditions: &Conditions, line: &str) -> bool {
        let prefilter = Predicate::new(conditions).expect("valid").prefilter();
        assert!(!prefilter.is_empty());
        let mut lines = Vec::new();
        prefilter.search(line.as_bytes(), &mut lines);
        assert_eq!(lines.len(), 1);
        lines[0].nominated
    }

    #[test]
    fn every_spelling_of_a_course_is_nominated() {
        let courses = vec!["course-v1:UnivX+CS101+2014_T1".to_owned()];
        let conditions = Conditions { courses, ..Conditions::default() };
        for line in [
            "course-v1:UnivX+CS101+2014_T1",
            "course-v1%3AUnivX%2BCS101%2B2014_T1",
            "course-v1%253AUnivX%252BCS101%252B2014_T1",
            "block-v1:UnivX+CS101+2014_T1+type@problem",
            "course-v1:UnivX CS101 2014_T1",
            r"course-v1:\u0055nivX+CS101+2014_T1",
            "course-v1:%55nivX+CS101+2014_T1",
            "course-v1:UnivX+CS101+2014%5FT1",
        ] {
            assert!(nominated(&conditions, line), "{line}");
        }
        assert!(!nominated(&conditions, "course-v1:UnivX+CS102+2014_T1"));
        assert!(!nominated(&conditions, "course-v1:UnivX+CS102+2014_T1 input%5B%5D=%2B"));
        assert!(!nominated(&conditions, r"caf\u00e9 course-v1:UnivX+CS102+2014_T1"));
    }

    #[test]
    fn other_conditions() {
        let event_types = vec!["problem_check".to_owned(), "edx.forum.*".to_owned()];
        let conditions = Conditions { event_types, ..Conditions::default() };
        assert!(nominated(&conditions, r#""edx.forum.thread.created""#));
        assert!(nominated(&conditions, r#""problem\u005fcheck""#));
        assert!(!nominated(&conditions, r#""problem\u00e9check""#));
        let conditions = Conditions { orgs: vec!["harvardx".to_owned()], ..Conditions::default() };
        assert!(nominated(&conditions, "HARVARDX"));
        assert!(!nominated(&conditions, "HARWARDX"));
        // Without its i, which other characters have as lower case, too little of it is left.
        let conditions = Conditions { orgs: vec!["univx".to_owned()], ..Conditions::default() };
        assert!(Predicate::new(&conditions).expect("valid").prefilter().is_empty());
        // Digits may be an id, and ids are numbers, which have many spellings.
        let conditions = Conditions { users: vec!["170017".to_owned()], ..Conditions::default() };
        assert!(Predicate::new(&conditions).expect("valid").prefilter().is_empty());
        let courses = vec!["*v1*".to_owned()];
        let conditions = Conditions { courses, ..Conditions::default() };
        assert!(Predicate::new(&conditions).expect("valid").prefilter().is_empty());
    }

    /// Text of pieces that are, begin or resemble what is searched for, now and then far apart.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                "problem_check", "problem_chec", "roblem_check", "p", "pro", "\n", "\\", "\\u00",
                "\\u0061", "\\u00e9", "\\\\u005f", "%", "%5F", "%2B", "%255f", "u", "é",
            ])
            .prop_map(str::to_owned),
            1 => (0usize..200).prop_map(|length| "x".repeat(length)),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn one_pass_finds_what_searches_in_turn_find(text in pieces(), encoded in any::<bool>()) {
            let needles = || vec!["problem_check".to_owned()];
            let group = Group::new(std::iter::once(needles()), encoded, false).expect("a needle");
            let mut in_turn = Vec::new();
            group.search_in_turn(&text, |end, found| in_turn.push((end, found)));
            let ends = text.split(|&byte| byte == b'\n').scan(0, |at, line| {
                let end = *at + line.len();
                *at = end + 1;
                Some(end)
            });
            let ends: Vec<usize> = ends.filter(|&end| end < text.len() || !text.ends_with(b"\n")).collect();
            let ends = if text.is_empty() { Vec::new() } else { ends };
            prop_assert_eq!(in_turn.iter().map(|line| line.0).collect::<Vec<_>>(), ends);
            if let Some(one_pass) = group.one_pass() {
                let mut all = Vec::new();
                one_pass.search(&text, |end, mut found| {
                    // The other search looks no further once a line is nominated.
                    found.percent &= !found.needle && !found.escape;
                    all.push((end, found));
                });
                prop_assert_eq!(all, in_turn);
            }
        }
    }
}
