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

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem::Finder;

use crate::pattern::Pattern;
use crate::predicate::Test;

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
                    let needles = |pattern: &Pattern| vec![plain_run(pattern)];
                    Group::new(patterns.iter().map(needles), false, false).map(|group| (0, group))
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
                Test::Site(_) | Test::User { .. } | Test::Time { .. } | Test::Where(_) => None,
            };
            ranked.extend(group);
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        Self { groups: ranked.into_iter().map(|(_, group)| group).collect() }
    }

    /// Whether it can drop any line at all.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// A search of one batch of lines.
    pub fn search<'p, 'b>(&'p self, batch: &'b [u8]) -> Nominations<'p, 'b> {
        Nominations {
            prefilter: self,
            batch,
            hit: Cursor(0),
            escape: Cursor(0),
            percent: Cursor(0),
        }
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

/// Which lines of one batch are nominated. Lines must be asked for in order.
pub struct Nominations<'p, 'b> {
    prefilter: &'p Prefilter,
    batch: &'b [u8],
    hit: Cursor,
    escape: Cursor,
    percent: Cursor,
}

impl Nominations<'_, '_> {
    /// Whether the line at `start..end` may match.
    pub fn nominates(&mut self, start: usize, end: usize) -> bool {
        let Some(first) = self.prefilter.groups.first() else {
            return true;
        };
        let batch = self.batch;
        let hit = self.hit.within(start, end, |from| {
            first.search.find(&batch[from..]).map_or(batch.len(), |at| from + at)
        });
        let escaped = self.escape.within(start, end, |from| next_escape(batch, from));
        let encoded = first.encoded
            && !(hit || escaped)
            && self.percent.within(start, end, |from| next_encoded(batch, from));
        if !(hit || escaped || encoded) {
            return false;
        }
        let line = &batch[start..end];
        escaped || self.prefilter.groups.iter().all(|group| group.nominates(line))
    }
}

/// The next `\u00` that stands for a printable ASCII character, or the end of the batch.
fn next_escape(batch: &[u8], from: usize) -> usize {
    memchr::memmem::find_iter(&batch[from..], b"\\u00")
        .map(|at| from + at)
        .find(|at| matches!(batch.get(at + 4), Some(b'0'..=b'7')))
        .unwrap_or(batch.len())
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
        for mut needles in alternatives {
            needles.retain(|needle| !needle.is_empty());
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
                    .build(many)
                    .ok()?,
            ),
        };
        Some(Self { search, others, encoded, ignore_case })
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
    use crate::predicate::{Conditions, Predicate};

    fn nominated(conditions: &Conditions, line: &str) -> bool {
        let prefilter = Predicate::new(conditions).expect("valid").prefilter();
        assert!(!prefilter.is_empty());
        prefilter.search(line.as_bytes()).nominates(0, line.len())
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
}
