//! Nominate, then confirm: bytes that every matching line must hold, searched before anything is
//! parsed. A nominated line need not match; a line that is not nominated never does.
//!
//! The needles of a condition follow from its tree, see the module `needles`. Where an event stands
//! in an envelope as JSON text, escaped once more or thrice, its needles stand there as they are:
//! they hold nothing that JSON must escape, and each level leaves an `\u00` of another one in sight.

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use memchr::memmem::Finder;

use self::needles::{KEYS, Needles, is_unreserved, needles, needles_of_any, of_table};
use self::one_pass::{Held, OnePass};
use self::types::Types;
use crate::event_tables::Table;
use crate::query::predicate::Test;

mod needles;
mod one_pass;
mod types;

/// Most values of one kind that are searched for; more are left to the predicate's hash sets.
const MAX_ALTERNATIVES: usize = 64;

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
    /// Whether a value may stand percent-encoded.
    encoded: bool,
}

#[derive(Debug)]
enum Search {
    /// The needle that is searched for, and what else the line must hold.
    One(Box<Finder<'static>>, Vec<Finder<'static>>),
    /// A needle of each of the alternatives; which were found is left to the predicate.
    Many(AhoCorasick),
    /// Any of some event types, by the keys that lead to them.
    Types(Box<Types>),
}

impl Search {
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::One(finder, _) => finder.find(bytes),
            Self::Many(automaton) => automaton.find(bytes).map(|found| found.start()),
            Self::Types(_) => None,
        }
    }

    /// Whether a line holds what is searched for.
    fn is_in(&self, line: &[u8]) -> bool {
        match self {
            Self::One(finder, others) => {
                finder.find(line).is_some() && others.iter().all(|n| n.find(line).is_some())
            }
            Self::Many(automaton) => automaton.is_match(line),
            Self::Types(types) => types.nominates(line),
        }
    }
}

impl Prefilter {
    /// The prefilter of tests of which a line must pass one, and be of the table beside it if one is.
    pub(crate) fn new<'t>(tests: impl Iterator<Item = (&'t Test, Option<&'t Table>)>) -> Self {
        let mut needles = needles_of_any(tests.map(|(test, table)| {
            let mut needles = needles(test, true);
            needles.extend(table.and_then(of_table));
            needles
        }));
        needles.sort_by_key(|needles| needles.rank);
        let groups = needles.into_iter().filter_map(|one| Some((one.rank, Group::new(one)?)));
        let mut groups: Vec<(u8, Group)> = groups.collect();
        // One needle is found many times faster than any of several; where it nominates, to search
        // the line for several more would cost what it costs to parse it. Keys stand in many lines.
        let has_one = groups.iter().any(|(rank, group)| *rank < KEYS && group.has_one_needle());
        groups.retain(|(_, group)| !has_one || !group.has_several_needles());
        groups.sort_by_key(|(_, group)| has_one && !group.has_one_needle());
        Self { groups: groups.into_iter().map(|(_, group)| group).collect() }
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
            lines.extend(ends.map(|end| FoundLine::new(end, true)));
            if batch.last().is_some_and(|&byte| byte != b'\n') {
                lines.push(FoundLine::new(batch.len(), true));
            }
            return;
        };
        let mut start = 0;
        if let Search::Types(types) = &first.search {
            let ends = memchr::memchr_iter(b'\n', batch).chain([batch.len()]);
            for end in ends.filter(|&end| end < batch.len() || !batch.ends_with(b"\n")) {
                let line = &batch[start..end];
                let others = || self.groups[1..].iter().all(|group| group.nominates(line));
                lines.push(FoundLine::new(end, types.nominates(line) && others()));
                start = end + 1;
            }
            return;
        }
        let push = |end, found: Held| {
            let line = &batch[start..end];
            let may = found.needle || first.encoded && found.percent;
            let nominated = found.escape || may && self.groups.iter().all(|g| g.nominates(line));
            lines.push(FoundLine::new(end, nominated));
            start = end + 1;
        };
        match first.one_pass() {
            Some(one_pass) => one_pass.search(batch, push),
            None => first.search_in_turn(batch, push),
        }
    }
}

/// A line of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundLine {
    /// Where it ends in the batch, without its LF.
    pub end: usize,
    /// Whether it may match.
    pub nominated: bool,
    /// Whether it is a piece of a message: that is for others to say, in the order of the source.
    pub is_piece: bool,
}

impl FoundLine {
    fn new(end: usize, nominated: bool) -> Self {
        Self { end, nominated, is_piece: false }
    }
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
    /// The search for needles; `None` where there are too many alternatives.
    fn new(needles: Needles) -> Option<Self> {
        let Needles { alternatives, encoded, ignore_case, are_types, .. } = needles;
        let distinct: HashSet<Vec<String>> = alternatives.into_iter().collect();
        if are_types && distinct.len() > 1 {
            let types = Types::new(distinct.into_iter().flatten());
            return Some(Self { search: Search::Types(Box::new(types)), encoded });
        }
        if distinct.len() > MAX_ALTERNATIVES {
            return None;
        }
        let one = if ignore_case { None } else { distinct.iter().next() };
        let search = match one.and_then(|one| one.split_first()) {
            Some((first, others)) if distinct.len() == 1 => {
                let finder = |needle: &String| Finder::new(needle).into_owned();
                Search::One(Box::new(finder(first)), others.iter().map(finder).collect())
            }
            _ => Search::Many(
                AhoCorasick::builder()
                    .match_kind(MatchKind::Standard)
                    .ascii_case_insensitive(ignore_case)
                    // The needles are few: larger, and several times faster.
                    .kind(Some(AhoCorasickKind::DFA))
                    .build(distinct.iter().filter_map(|needles| needles.first()))
                    .ok()?,
            ),
        };
        Some(Self { search, encoded })
    }

    fn has_one_needle(&self) -> bool {
        matches!(self.search, Search::One(..))
    }

    fn has_several_needles(&self) -> bool {
        matches!(self.search, Search::Many(_))
    }

    /// The fastest search of a batch for the one needle of a condition.
    fn one_pass(&self) -> Option<OnePass<'_>> {
        match &self.search {
            Search::One(finder, _) => OnePass::new(finder.needle(), self.encoded),
            Search::Many(_) | Search::Types(_) => None,
        }
    }

    /// The search of a batch by one search after another.
    fn search_in_turn(&self, batch: &[u8], mut line: impl FnMut(usize, Held)) {
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
            let mut found = Held {
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
        self.search.is_in(line) || self.encoded && next_encoded(line, 0) < line.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::predicate::{ConditionKind, Conditions, Predicate};

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
        let course = "course-v1:UnivX+CS101+2014_T1";
        let conditions = Conditions::default().and(ConditionKind::Course, &[course]);
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
        let of = |kind, value| Conditions::default().and(kind, &[value]);
        let types = ["problem_check", "edx.forum.*"];
        let conditions = Conditions::default().and(ConditionKind::EventType, &types);
        assert!(nominated(&conditions, r#""edx.forum.thread.created""#));
        assert!(nominated(&conditions, r#""problem\u005fcheck""#));
        assert!(!nominated(&conditions, r#""problem\u00e9check""#));
        let conditions = of(ConditionKind::Org, "harvardx");
        assert!(nominated(&conditions, "HARVARDX"));
        assert!(!nominated(&conditions, "HARWARDX"));
        // Without its i, which other characters have as lower case, too little of it is left.
        let conditions = of(ConditionKind::Org, "univx");
        assert!(Predicate::new(&conditions).expect("valid").prefilter().is_empty());
        // Digits may be an id, and ids are numbers, which have many spellings.
        let conditions = of(ConditionKind::User, "170017");
        assert!(Predicate::new(&conditions).expect("valid").prefilter().is_empty());
        let conditions = of(ConditionKind::Course, "*v1*");
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
            let alternatives = vec![vec!["problem_check".to_owned()]];
            let needles = Needles { rank: 0, alternatives, encoded, ignore_case: false, are_types: false };
            let group = Group::new(needles).expect("a needle");
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
