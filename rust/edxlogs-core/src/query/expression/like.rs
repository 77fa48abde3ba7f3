//! The pattern of `like`.

use super::SyntaxError;
use crate::query::pattern::{Token, Wildcards};

/// A pattern of SQL's `like`: `%` for any run of characters, `_` for one, `\` before a `%`, `_`,
/// `*`, `?` or `\` that stands for itself. It minds the case and covers the whole text.
#[derive(Clone, Debug)]
pub struct Like {
    text: String,
    literals: Vec<String>,
    wildcards: Wildcards,
}

impl Like {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// A `\` that stands before anything else than `%`, `_`, `*`, `?` and `\`, with its place in
    /// `pattern`.
    ///
    /// # Examples
    ///
    /// ```
    /// use edxlogs_core::query::expression::Like;
    ///
    /// let blocks = Like::new(r"block-v1:%+type@problem\_%")?;
    /// assert!(blocks.matches("block-v1:UnivX+CS101+2014+type@problem_1"));
    /// # Ok::<(), edxlogs_core::query::expression::SyntaxError>(())
    /// ```
    pub fn new(pattern: &str) -> Result<Self, SyntaxError> {
        let mut tokens = Vec::new();
        let mut literals = vec![String::new()];
        let mut chars = pattern.char_indices();
        while let Some((offset, c)) = chars.next() {
            let token = match c {
                '%' => Token::AnyRun,
                '_' => Token::AnyChar,
                '\\' => match chars.next() {
                    Some((_, c @ ('%' | '_' | '*' | '?' | '\\'))) => Token::Char(c),
                    _ => {
                        let message =
                            r"in a pattern, '\' goes before '%', '_', '*', '?' or '\' only";
                        return Err(SyntaxError { offset, message: message.to_owned() });
                    }
                },
                c => Token::Char(c),
            };
            match (&token, literals.last_mut()) {
                (Token::Char(c), Some(literal)) => literal.push(*c),
                _ => literals.push(String::new()),
            }
            tokens.push(token);
        }
        literals.retain(|literal| !literal.is_empty());
        Ok(Self { text: pattern.to_owned(), literals, wildcards: Wildcards::new(&tokens) })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `text` matches.
    ///
    /// Takes time in proportion to the text, times the longest stretch between two `%` where that
    /// holds a `_`.
    pub fn matches(&self, text: &str) -> bool {
        self.wildcards.matches(text)
    }

    /// The texts between the wildcards, without escapes, in order and none of them empty. A match
    /// holds each of them, in this order and without overlap.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.literals.iter().map(String::as_str)
    }
}

impl PartialEq for Like {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn like_covers_the_whole_text() {
        for (pattern, text, expected) in [
            ("block-v1:%", "block-v1:UnivX+CS101+2014", true),
            ("block-v1:%", "a block-v1:", false),
            ("a_c", "aéc", true),
            ("a_c", "ac", false),
            ("A", "a", false),
            (r"100\%", "100%", true),
            (r"100\%", "1000", false),
            (r"\\\_%", r"\_x", true),
            ("*?", "*?", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Like::new(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        let like = Like::new(r"%a\%b_c%%").unwrap();
        assert_eq!(like.literals().collect::<Vec<_>>(), ["a%b", "c"]);
        assert_eq!(Like::new(r"é\").unwrap_err().offset, 2);
        assert_eq!(Like::new(r"\a").unwrap_err().offset, 0);
    }

    /// The definition of `like`, word for word.
    fn naive_like(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['\\', c, rest @ ..] => text.first() == Some(c) && naive_like(rest, &text[1..]),
            ['%', rest @ ..] => (0..=text.len()).any(|skipped| naive_like(rest, &text[skipped..])),
            ['_', rest @ ..] => !text.is_empty() && naive_like(rest, &text[1..]),
            [c, rest @ ..] => text.first() == Some(c) && naive_like(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn like_agrees_with_its_definition(
            pattern in r"([aé%_]|\\%|\\_){0,8}",
            text in "[aé%_]{0,10}",
        ) {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            let expected = naive_like(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Like::new(&pattern).unwrap().matches(&text), expected);
        }
    }
}
