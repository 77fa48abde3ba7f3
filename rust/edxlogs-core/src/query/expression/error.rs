//! What is said of a text that is no expression or path.

use super::{CASTS, HIDDEN, is_keyword, is_name};

/// Why a text is no expression or path, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct SyntaxError {
    /// The place in the text, in bytes from 0; never inside a character, at most the text's length.
    pub offset: usize,
    /// What was expected or is wrong.
    pub message: String,
}

impl SyntaxError {
    /// One line that shows the place in `text`, the text that was parsed. Characters count from 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use edxlogs_core::query::expression::parse_path;
    ///
    /// let text = "event. grade";
    /// let error = parse_path(text).unwrap_err();
    /// assert_eq!(
    ///     error.pointing_at(text),
    ///     "expected a key after '.'; an unusual one needs double quotes at character 7: \
    ///      event.▶ grade",
    /// );
    /// ```
    pub fn pointing_at(&self, text: &str) -> String {
        let (before, after) = text.split_at(text.floor_char_boundary(self.offset));
        self.line(before.chars().count() + 1, before, after)
    }

    /// As `pointing_at`, with `…` for all that may be a value: values may be persons, and where a
    /// text is no expression, any word may be meant as one that is not a sign, a keyword, or a
    /// path that begins with one of `fields`.
    ///
    /// # Examples
    ///
    /// ```
    /// use edxlogs_core::query::expression::parse_expression;
    ///
    /// let text = "username = 'ana' and user_id = bob";
    /// let error = parse_expression(text).unwrap_err();
    /// assert_eq!(
    ///     error.pointing_without_values(text, |name| ["username", "user_id"].contains(&name)),
    ///     "expected a value after '='; text goes in single quotes at character 32: \
    ///      username = … and user_id = ▶…",
    /// );
    /// ```
    pub fn pointing_without_values(&self, text: &str, is_field: impl Fn(&str) -> bool) -> String {
        let offset = text.floor_char_boundary(self.offset);
        let (mut before, mut after) = (String::new(), String::new());
        for (start, shown) in without_values(text, is_field) {
            let end = start + shown.taken;
            let side = if end <= offset { &mut before } else { &mut after };
            match shown.text {
                Some(text) => side.push_str(text),
                None if side.ends_with(HIDDEN) => {}
                None => side.push(HIDDEN),
            }
        }
        self.line(text[..offset].chars().count() + 1, &before, &after)
    }

    fn line(&self, character: usize, before: &str, after: &str) -> String {
        const BEFORE_CHARS: usize = 30;
        const AFTER_CHARS: usize = 20;
        let start = before.char_indices().rev().nth(BEFORE_CHARS - 1).map_or(0, |(at, _)| at);
        let end = after.char_indices().nth(AFTER_CHARS).map_or(after.len(), |(at, _)| at);
        let mut line = String::new();
        push_visible(&mut line, &self.message);
        line.push_str(&format!(" at character {character}: "));
        line.push_str(if start > 0 { "…" } else { "" });
        push_visible(&mut line, &before[start..]);
        line.push('▶');
        push_visible(&mut line, &after[..end]);
        line.push_str(if end < after.len() { "…" } else { "" });
        line
    }
}

/// A stretch of a text.
struct Shown<'t> {
    /// Its bytes.
    taken: usize,
    /// What is shown of it; `None` where it may be a value.
    text: Option<&'t str>,
}

/// What stands before a stretch of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A sign, white space or nothing.
    Sign,
    /// A path that begins with a field.
    Path,
    /// A dot or an opening bracket of such a path.
    Dot,
    /// What may be a value.
    Hidden,
}

/// Takes a text apart, whatever it is: signs, keywords, and paths that begin with a field are shown.
fn without_values(
    text: &str,
    is_field: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (usize, Shown<'_>)> {
    let (mut at, mut before) = (0, Before::Sign);
    std::iter::from_fn(move || {
        let start = at;
        let rest = &text[start..];
        let first = rest.chars().next()?;
        let word = rest.find(|c| !is_name(c) && !c.is_alphanumeric()).unwrap_or(rest.len());
        let (taken, is_shown, now) = match (first, before) {
            ('"', Before::Dot) => (quoted(rest, first), false, Before::Path),
            ('\'' | '"', _) => (quoted(rest, first), false, Before::Hidden),
            ('.' | '[', Before::Path) => (1, true, Before::Dot),
            (']', Before::Path) => (1, true, Before::Path),
            (':', Before::Path) if rest.starts_with("::") => (2, true, Before::Sign),
            _ if word == 0 => {
                let is_sign = first.is_whitespace() || "=!<>(),".contains(first);
                (first.len_utf8(), is_sign, if is_sign { Before::Sign } else { Before::Hidden })
            }
            (_, Before::Dot) => (word, true, Before::Path),
            (_, Before::Path | Before::Hidden) => (word, false, Before::Hidden),
            (_, Before::Sign) => {
                let name = &rest[..word];
                if is_keyword(name) || CASTS.iter().any(|cast| cast.name() == name) {
                    (word, true, Before::Sign)
                } else if is_field(name) {
                    (word, true, Before::Path)
                } else {
                    (word, false, Before::Hidden)
                }
            }
        };
        (at, before) = (at + taken, now);
        Some((start, Shown { taken, text: is_shown.then(|| &rest[..taken]) }))
    })
}

/// The length of a text in quotes, the quote twice standing for itself, or of all if it is open.
fn quoted(text: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(found) = text[at..].find(quote) {
        at += found + 1;
        if !text[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Adds a text with its control characters escaped, so that it stays on one line.
fn push_visible(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            // The two line ends that Unicode does not count as control characters.
            '\u{2028}' | '\u{2029}' => line.extend(c.escape_default()),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
}
