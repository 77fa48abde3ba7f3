//! Exact texts and globs, for course ids, event types and organisations.
//!
//! In a glob `*` stands for any run of characters, `/` included and the empty one too, and `?`
//! for exactly one character. Nothing else is special: a `[` or a `\` is itself, since course ids
//! and event types are compared as they are written.

use std::borrow::Cow;
use std::collections::HashSet;

use ahash::RandomState;
use memchr::memmem::Finder;

/// An exact text, or a glob with `*` (any run) and `?` (one character).
///
/// # Examples
///
/// ```
/// use edxlogs_core::query::pattern::Pattern;
///
/// let courses = Pattern::new("course-v1:UnivX+CS101+*");
/// assert!(courses.matches("course-v1:UnivX+CS101+2014_T1"));
/// assert!(!courses.matches("UnivX/CS101/2014_T1"));
/// ```
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    ignore_case: bool,
    /// `None` for an exact text.
    wildcards: Option<Wildcards>,
}

impl Pattern {
    /// Reads `text` as a pattern that minds the case.
    pub fn new(text: &str) -> Self {
        Self::build(text.to_owned(), false)
    }

    /// Reads `text` as a pattern for organisations, whose case differs between courses.
    ///
    /// Pattern and text are compared by the lower case of each character on its own. Lower-casing
    /// whole words would not do: a Greek sigma is lowered by its place in the word, and a glob
    /// does not know where words end.
    pub fn ignore_case(text: &str) -> Self {
        Self::build(lower_case(text).into_owned(), true)
    }

    fn build(text: String, ignore_case: bool) -> Self {
        let token = |c| match c {
            '*' => Token::AnyRun,
            '?' => Token::AnyChar,
            c => Token::Char(c),
        };
        let wildcards = text
            .contains(['*', '?'])
            .then(|| Wildcards::new(&text.chars().map(token).collect::<Vec<_>>()));
        Self { text, ignore_case, wildcards }
    }

    /// The pattern as it was given, in lower case if case is ignored.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern holds no wildcard.
    pub fn is_exact(&self) -> bool {
        self.wildcards.is_none()
    }

    /// Whether the whole of `text` matches.
    ///
    /// Takes time in proportion to the text, times the longest stretch between two `*` where that
    /// holds a `?`.
    pub fn matches(&self, text: &str) -> bool {
        let text = if self.ignore_case { lower_case(text) } else { Cow::Borrowed(text) };
        self.matches_folded(&text)
    }

    /// `matches` for a text that is in lower case already where that is needed.
    fn matches_folded(&self, text: &str) -> bool {
        match &self.wildcards {
            Some(wildcards) => wildcards.matches(text),
            None => self.text == text,
        }
    }

    /// The texts between the wildcards, in order and none of them empty; in lower case if case is
    /// ignored. A match holds each of them, in this order and without overlap.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        // A text without wildcards is one such stretch.
        self.text.split(['*', '?']).filter(|literal| !literal.is_empty())
    }
}

/// The longest stretch of the texts that is made of bytes to `keep` alone, the first of several, or
/// the empty one. What matches a pattern holds it, if the texts are those between the wildcards.
///
/// `keep` is how a prefilter leaves out what JSON or a URL may spell in another way. A character of
/// several bytes is kept if all of them are.
///
/// If case is ignored, it is the match's lower case that must hold the text. A search of bytes that
/// folds ASCII alone then has to leave out `i` and `k`, since `\u{130}` and `\u{212a}` have these in
/// their lower case.
pub fn longest_run<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    keep: impl Fn(u8) -> bool,
) -> &'t str {
    let dropped = |c: char| !c.encode_utf8(&mut [0; 4]).bytes().all(&keep);
    texts
        .into_iter()
        .flat_map(|text| text.split(dropped))
        .fold("", |longest, run| if run.len() > longest.len() { run } else { longest })
}

/// Several patterns, of which one must match.
///
/// Any number of exact texts costs one look-up; globs are tried one by one.
#[derive(Clone, Debug, Default)]
pub struct PatternSet {
    patterns: Vec<Pattern>,
    exact: HashSet<String, RandomState>,
    exact_ignoring_case: HashSet<String, RandomState>,
    /// Indexes into `patterns`.
    globs: Vec<usize>,
    any_ignores_case: bool,
}

impl PatternSet {
    /// Whether one of the patterns matches the whole of `text`. An empty set matches nothing.
    pub fn matches(&self, text: &str) -> bool {
        if self.exact.contains(text) {
            return true;
        }
        let lower = if self.any_ignores_case { lower_case(text) } else { Cow::Borrowed(text) };
        // Hashing is the cost of an empty set's look-up.
        (!self.exact_ignoring_case.is_empty() && self.exact_ignoring_case.contains(lower.as_ref()))
            || self
                .globs
                .iter()
                .map(|&index| &self.patterns[index])
                .any(|glob| glob.matches_folded(if glob.ignore_case { &lower } else { text }))
    }

    /// Whether the set holds no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns, in the order given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Pattern> {
        self.patterns.iter()
    }
}

impl FromIterator<Pattern> for PatternSet {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let mut set = Self { patterns: patterns.into_iter().collect(), ..Self::default() };
        for (index, pattern) in set.patterns.iter().enumerate() {
            set.any_ignores_case |= pattern.ignore_case;
            if !pattern.is_exact() {
                set.globs.push(index);
            } else if pattern.ignore_case {
                set.exact_ignoring_case.insert(pattern.text.clone());
            } else {
                set.exact.insert(pattern.text.clone());
            }
        }
        set
    }
}

/// The lower case of each character on its own.
fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
    }
}

/// One element of a pattern, whatever characters a notation has for the wildcards.
pub(crate) enum Token {
    /// Any run of characters, the empty one too.
    AnyRun,
    /// Exactly one character.
    AnyChar,
    /// This character.
    Char(char),
}

/// A compiled pattern, as the sections between the runs: the first stands at the start of the
/// text, the last at its end, and each of the others goes to the first place that is left for it.
/// That choice never spoils a later one, so there is nothing to go back to.
#[derive(Clone, Debug)]
pub(crate) struct Wildcards {
    /// One more than there are runs.
    sections: Vec<Section>,
}

impl Wildcards {
    pub(crate) fn new(tokens: &[Token]) -> Self {
        let is_run = |token: &Token| matches!(token, Token::AnyRun);
        Self { sections: tokens.split(is_run).map(Section::new).collect() }
    }

    /// Whether the whole of `text` matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.sections.split_first() else {
            return false;
        };
        let Some(mut at) = first.match_from(text, 0) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return at == text.len();
        };
        for section in middle {
            match section.find(text, at) {
                Some(end) => at = end,
                None => return false,
            }
        }
        last.match_back(text).is_some_and(|start| start >= at)
    }
}

/// A stretch of literals and single wildcards, so of a fixed number of characters.
#[derive(Clone, Debug)]
struct Section {
    pieces: Vec<SectionPiece>,
    /// Finds the first literal.
    finder: Finder<'static>,
}

/// So many characters of any kind, then this text (which is empty only at the end of a section).
#[derive(Clone, Debug)]
struct SectionPiece {
    skip: usize,
    literal: String,
}

impl Section {
    fn new(tokens: &[Token]) -> Self {
        let mut pieces: Vec<SectionPiece> = Vec::new();
        for token in tokens {
            match (token, pieces.last_mut()) {
                (Token::Char(c), Some(piece)) => piece.literal.push(*c),
                (Token::Char(c), None) => {
                    pieces.push(SectionPiece { skip: 0, literal: c.to_string() })
                }
                (_, Some(piece)) if piece.literal.is_empty() => piece.skip += 1,
                (_, _) => pieces.push(SectionPiece { skip: 1, literal: String::new() }),
            }
        }
        let first = pieces.first().map_or("", |piece| &piece.literal);
        Self { finder: Finder::new(first).into_owned(), pieces }
    }

    /// The end of the match that starts at `start`.
    fn match_from(&self, text: &str, start: usize) -> Option<usize> {
        match_pieces(&self.pieces, text, start)
    }

    /// The start of the match that ends where the text does.
    fn match_back(&self, text: &str) -> Option<usize> {
        self.pieces.iter().rev().try_fold(text.len(), |end, piece| {
            let rest = text[..end].strip_suffix(piece.literal.as_str())?;
            match piece.skip {
                0 => Some(rest.len()),
                skip => rest.char_indices().rev().nth(skip - 1).map(|(start, _)| start),
            }
        })
    }

    /// The end of the first match that starts at `start` or later.
    fn find(&self, text: &str, start: usize) -> Option<usize> {
        let Some((first, others)) = self.pieces.split_first() else {
            return Some(start);
        };
        // A run stands before the section, so the characters to skip may be the first ones.
        let mut at = skip_chars(text, start, first.skip)?;
        loop {
            let found = at + self.finder.find(&text.as_bytes()[at..])?;
            let end = match_pieces(others, text, found + first.literal.len());
            if end.is_some() {
                return end;
            }
            at = found + 1;
        }
    }
}

/// The end of the pieces, if they follow one another from `start`.
fn match_pieces(pieces: &[SectionPiece], text: &str, start: usize) -> Option<usize> {
    pieces.iter().try_fold(start, |at, piece| {
        let at = skip_chars(text, at, piece.skip)?;
        text[at..].starts_with(&piece.literal).then(|| at + piece.literal.len())
    })
}

/// Where the text goes on after so many characters; `None` if it is too short.
fn skip_chars(text: &str, at: usize, count: usize) -> Option<usize> {
    match count {
        0 => Some(at),
        count => text[at..].char_indices().nth(count - 1).map(|(i, c)| at + i + c.len_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word for word; exponential, so for short texts.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some(('*', rest)), None) => naive(rest, text),
            (Some(('*', rest)), Some((_, tail))) => naive(rest, text) || naive(pattern, tail),
            (Some(_), None) => false,
            (Some((p, rest)), Some((t, tail))) => (*p == '?' || p == t) && naive(rest, tail),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn agrees_with_the_definition(pattern in "[abé*?]{0,8}", text in "[abé]{0,10}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            let expected = naive(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), expected);
            prop_assert_eq!(
                Pattern::ignore_case(&pattern.to_uppercase()).matches(&text),
                expected
            );
        }

        #[test]
        fn a_match_holds_the_literals(
            parts in prop::collection::vec("[a%é/]{0,4}", 1..5),
            gap in "[xé]{0,2}",
        ) {
            let pattern = Pattern::new(&parts.join("*"));
            let text = parts.join(&gap);
            prop_assert!(pattern.matches(&text));
            let mut rest = text.as_str();
            for literal in pattern.literals() {
                let at = rest.find(literal);
                prop_assert!(at.is_some());
                rest = &rest[at.unwrap_or_default() + literal.len()..];
            }
            let kept = longest_run(pattern.literals(), |byte| byte.is_ascii() && byte != b'%');
            prop_assert!(text.contains(kept) && kept.chars().all(|c| c == 'a' || c == '/'));
            let longest = parts.iter().flat_map(|part| part.split(['%', 'é'])).map(str::len).max();
            prop_assert_eq!(Some(kept.len()), longest);
        }

        #[test]
        fn a_set_matches_when_one_of_its_patterns_does(
            patterns in prop::collection::vec(("[abAB*?]{0,3}", any::<bool>()), 0..6),
            text in "[abAB]{0,4}",
        ) {
            let make = |(text, fold): &(String, bool)| {
                if *fold { Pattern::ignore_case(text) } else { Pattern::new(text) }
            };
            let set: PatternSet = patterns.iter().map(make).collect();
            let expected = patterns.iter().map(make).any(|pattern| pattern.matches(&text));
            prop_assert_eq!(set.matches(&text), expected);
            prop_assert_eq!(set.is_empty(), patterns.is_empty());
            prop_assert_eq!(set.iter().len(), patterns.len());
        }
    }

    #[test]
    fn only_stars_and_question_marks_are_special() {
        assert!(Pattern::new("a[bc]\\").is_exact());
        assert!(Pattern::new("a[bc]*").matches("a[bc]d"));
        assert!(!Pattern::new("a[bc]*").matches("abd"));
        assert!(Pattern::new("\\*").matches("\\anything"));
    }

    #[test]
    fn a_star_crosses_slashes_and_a_question_mark_takes_one_character() {
        assert!(Pattern::new("/courses/*/progress").matches("/courses/UnivX/CS101/2014/progress"));
        assert!(Pattern::new("?").matches("é"));
        assert!(!Pattern::new("?").matches("e\u{301}"));
    }

    #[test]
    fn organisations_match_whatever_their_case() {
        assert!(Pattern::ignore_case("MITx").matches("mitX"));
        assert!(Pattern::ignore_case("ÉcoleX").matches("éCOLEx"));
        assert!(Pattern::ignore_case("ΟΔΟΣ*").matches("οδοσα"));
        assert!(!Pattern::new("MITx").matches("mitx"));
    }

    #[test]
    fn the_longest_run_is_made_of_kept_bytes() {
        fn longest(pattern: &Pattern) -> &str {
            longest_run(pattern.literals(), |byte| byte.is_ascii_alphanumeric())
        }
        assert_eq!(longest(&Pattern::new("course-v1:UnivX+CS101+*")), "course");
        assert_eq!(longest_run(Pattern::new("edx.forum.*").literals(), |_| true), "edx.forum.");
        assert_eq!(longest(&Pattern::new("UnivX")), "UnivX");
        assert_eq!(longest(&Pattern::new("Éa*")), "a");
        assert_eq!(longest(&Pattern::new("*?")), "");
        assert_eq!(longest(&Pattern::ignore_case("UnivX*")), "univx");
    }

    #[test]
    fn only_i_and_k_are_the_lower_case_of_characters_outside_ascii() {
        let foreign = |c: &char| !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii());
        let found: String = ('\0'..=char::MAX).filter(foreign).collect();
        assert_eq!(found, "\u{130}\u{212a}");
        assert_eq!(lower_case(&found), "i\u{307}k");
    }

    #[test]
    fn many_stars_on_a_long_text_end_soon() {
        let text = "a".repeat(200_000);
        assert!(!Pattern::new(&format!("{}c", "a*".repeat(50))).matches(&text));
        assert!(!Pattern::new(&format!("{}c*", "*a".repeat(50))).matches(&text));
        assert!(Pattern::new(&"*a?".repeat(50)).matches(&text));
    }

    #[test]
    fn an_empty_set_matches_nothing() {
        assert!(!PatternSet::default().matches(""));
        assert!([Pattern::new("")].into_iter().collect::<PatternSet>().matches(""));
    }
}
