//! What is said of a text that is no expression or path.

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
    /// use edxlogs_core::query::expression::parse_expression;
    ///
    /// let text = "event.grade = and user_id = 7";
    /// let error = parse_expression(text).unwrap_err();
    /// assert_eq!(
    ///     error.pointing_at(text),
    ///     "expected a value after '=' at character 15: event.grade = ▶and user_id = 7",
    /// );
    /// ```
    pub fn pointing_at(&self, text: &str) -> String {
        const BEFORE_CHARS: usize = 30;
        const AFTER_CHARS: usize = 20;
        let (before, after) = text.split_at(text.floor_char_boundary(self.offset));
        let start = before.char_indices().rev().nth(BEFORE_CHARS - 1).map_or(0, |(at, _)| at);
        let end = after.char_indices().nth(AFTER_CHARS).map_or(after.len(), |(at, _)| at);
        let mut line = String::new();
        push_visible(&mut line, &self.message);
        line.push_str(&format!(" at character {}: ", before.chars().count() + 1));
        line.push_str(if start > 0 { "…" } else { "" });
        push_visible(&mut line, &before[start..]);
        line.push('▶');
        push_visible(&mut line, &after[..end]);
        line.push_str(if end < after.len() { "…" } else { "" });
        line
    }
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
