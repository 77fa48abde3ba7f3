//! Text to syntax tree, or to the place where it went wrong.

use super::{
    CASTS, Cast, Comparison, Expression, Like, Literal, Number, Path, SyntaxError, is_keyword,
    is_name,
};
use crate::json::path::Segment;

/// How deep parentheses and `not` may nest; deeper text is refused, so that no stack overflows.
pub const MAX_DEPTH: usize = 100;

/// What SQL has and this grammar has not, and what is written instead.
const UNKNOWN: [(&str, &str); 6] = [
    ("between", "there is no 'between': write x >= 1 and x <= 2"),
    ("ilike", "there is no 'ilike': 'like' is case-sensitive; join the spellings with 'or'"),
    ("glob", "there is no 'glob': write 'like', with % for * and _ for ?"),
    ("regexp", "there are no regular expressions: write 'like', with % for any run of characters"),
    ("rlike", "there are no regular expressions: write 'like', with % for any run of characters"),
    ("contains", "there is no 'contains': write 'like', with % before and after the text"),
];

/// Reads a whole expression.
///
/// # Errors
///
/// The first place that does not fit the grammar.
///
/// # Examples
///
/// ```
/// use edxlogs_core::query::expression::parse_expression;
///
/// let expression = parse_expression("NOT (event.grade>=0.5 and username <> 'a')")?;
/// assert_eq!(expression.to_string(), "not (event.grade >= 0.5 and username != 'a')");
/// # Ok::<(), edxlogs_core::query::expression::SyntaxError>(())
/// ```
pub fn parse_expression(text: &str) -> Result<Expression, SyntaxError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.skip_space();
    if parser.rest().is_empty() {
        return parser.fail("the expression is empty");
    }
    let expression = parser.expression()?;
    parser.end("expected 'and', 'or' or the end")?;
    Ok(expression)
}

/// Reads a whole path with its cast, as `--columns` takes it.
///
/// # Errors
///
/// The first place that does not fit the grammar.
///
/// # Examples
///
/// ```
/// use edxlogs_core::query::expression::{Cast, parse_path};
///
/// let path = parse_path(r#"event."max-grade"::FLOAT64"#)?;
/// assert_eq!(path.cast, Some(Cast::Float64));
/// assert_eq!(path.to_string(), "event.max-grade::float64");
/// # Ok::<(), edxlogs_core::query::expression::SyntaxError>(())
/// ```
pub fn parse_path(text: &str) -> Result<Path, SyntaxError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.skip_space();
    if parser.rest().is_empty() {
        return parser.fail("the path is empty");
    }
    if let Some(word) = parser.word().filter(|word| is_keyword(word)) {
        return parser.fail(format!("'{word}' is a keyword: as a key it needs double quotes"));
    }
    if !parser.at_path() {
        return parser.fail("expected a column or a path, such as event.grade");
    }
    let path = parser.path()?;
    parser.end("expected '.', '[', '::' or the end")?;
    Ok(path)
}

/// Reads the text from left to right; `at` is always between two characters.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn expression(&mut self) -> Result<Expression, SyntaxError> {
        self.chain("or", Self::all, Expression::Or)
    }

    fn all(&mut self) -> Result<Expression, SyntaxError> {
        self.chain("and", Self::negation, Expression::And)
    }

    fn chain(
        &mut self,
        keyword: &str,
        member: fn(&mut Self) -> Result<Expression, SyntaxError>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, SyntaxError> {
        let first = member(self)?;
        if !self.take_keyword(keyword) {
            return Ok(first);
        }
        let mut members = vec![first, member(self)?];
        while self.take_keyword(keyword) {
            members.push(member(self)?);
        }
        Ok(join(members))
    }

    fn negation(&mut self) -> Result<Expression, SyntaxError> {
        self.skip_space();
        let start = self.at;
        if self.take_keyword("not") {
            let inner = self.nested(start, Self::negation)?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        if !self.take("(") {
            return self.condition();
        }
        let inner = self.nested(start, Self::expression)?;
        self.skip_space();
        if self.take(")") { Ok(inner) } else { self.fail("expected 'and', 'or' or ')'") }
    }

    /// Reads what the sign or word at `start` opened.
    fn nested(
        &mut self,
        start: usize,
        inner: fn(&mut Self) -> Result<Expression, SyntaxError>,
    ) -> Result<Expression, SyntaxError> {
        if self.depth == MAX_DEPTH {
            return Err(error(start, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let expression = inner(self)?;
        self.depth -= 1;
        Ok(expression)
    }

    fn condition(&mut self) -> Result<Expression, SyntaxError> {
        if !self.at_path() {
            return Err(self.no_condition());
        }
        let path = self.path()?;
        if let Some((op, sign)) = self.comparison() {
            let literal = self.literal(sign)?;
            return Ok(Expression::Compare { path, op, literal });
        }
        if self.take_keyword("is") {
            let negated = self.take_keyword("not");
            if !self.take_keyword("null") {
                self.skip_space();
                return self.fail("expected 'null' or 'not null' after 'is'");
            }
            return Ok(Expression::IsNull { path, negated });
        }
        let negated = self.take_keyword("not");
        if self.take_keyword("in") {
            return Ok(Expression::In { path, literals: self.list()?, negated });
        }
        if self.take_keyword("like") {
            return Ok(Expression::Like { path, pattern: self.pattern()?, negated });
        }
        self.skip_space();
        let word = self.word().unwrap_or_default().to_ascii_lowercase();
        if let Some((_, meant)) = UNKNOWN.iter().find(|(other, _)| *other == word) {
            return self.fail(*meant);
        }
        if negated {
            return self.fail("expected 'in' or 'like' after 'not'");
        }
        self.fail("expected '=', '!=', '<', '<=', '>', '>=', 'in', 'like' or 'is' after the path")
    }

    /// What to say where a condition should start and none does.
    fn no_condition(&mut self) -> SyntaxError {
        const EXPECTED: &str = "expected a condition, such as event.grade >= 0.5";
        let start = self.at;
        let keyword = self.word();
        match self.literal("") {
            Ok(_) => error(
                start,
                match self.mirrored() {
                    Some(op) => format!("write the path first, then {op} and the value"),
                    None => "a condition starts with a path, not with a value".to_owned(),
                },
            ),
            Err(_) if let Some(word) = keyword => {
                error(start, format!("{EXPECTED} (as a key '{word}' needs double quotes)"))
            }
            Err(inner) if self.rest().starts_with('\'') || self.at > start => inner,
            Err(_) => error(start, EXPECTED),
        }
    }

    /// The sign that is meant where a path follows a value.
    fn mirrored(&mut self) -> Option<Comparison> {
        let (op, _) = self.comparison()?;
        self.skip_space();
        self.at_path().then(|| op.mirrored())
    }

    fn comparison(&mut self) -> Option<(Comparison, &'static str)> {
        const SIGNS: [(Comparison, &str); 8] = [
            (Comparison::Eq, "=="),
            (Comparison::Eq, "="),
            (Comparison::Ne, "!="),
            (Comparison::Ne, "<>"),
            (Comparison::Le, "<="),
            (Comparison::Ge, ">="),
            (Comparison::Lt, "<"),
            (Comparison::Gt, ">"),
        ];
        self.skip_space();
        SIGNS.into_iter().find(|(_, sign)| self.take(sign))
    }

    fn list(&mut self) -> Result<Vec<Literal>, SyntaxError> {
        self.skip_space();
        if !self.take("(") {
            return self.fail("expected '(' after 'in'");
        }
        let mut literals = vec![self.literal("(")?];
        loop {
            self.skip_space();
            if self.take(")") {
                return Ok(literals);
            }
            if !self.take(",") {
                return self.fail("expected ',' or ')'");
            }
            literals.push(self.literal(",")?);
        }
    }

    fn pattern(&mut self) -> Result<Like, SyntaxError> {
        self.skip_space();
        let start = self.at;
        if !self.rest().starts_with('\'') {
            return self.fail("expected a text in single quotes after 'like'");
        }
        let text = self.quoted('\'')?;
        if text.contains(['*', '?']) && !text.contains(['%', '_', '\\']) {
            let why = "in 'like', % is any run of characters and _ is one; * and ? are themselves";
            return Err(error(start, format!("{why}, as \\* and \\?")));
        }
        Like::new(&text).map_err(|inner| error(start, inner.message))
    }

    /// A value; `after` is the sign before it.
    fn literal(&mut self, after: &str) -> Result<Literal, SyntaxError> {
        self.skip_space();
        for (keyword, value) in [("true", true), ("false", false)] {
            if self.take_keyword(keyword) {
                return Ok(Literal::Bool(value));
            }
        }
        if self.word().is_some_and(|word| word.eq_ignore_ascii_case("null")) {
            return self.fail(match after {
                "!=" | "<>" => "null is not a value: use 'is not null'",
                _ => "null is not a value: use 'is null'",
            });
        }
        match self.rest().chars().next() {
            Some('\'') => Ok(Literal::Text(self.quoted('\'')?)),
            Some('0'..='9' | '+' | '-') => Ok(Literal::Number(self.number()?)),
            _ if self.at_path() => {
                let message = "text goes in single quotes";
                self.fail(format!("expected a value after '{after}'; {message}"))
            }
            _ => self.fail(format!("expected a value after '{after}'")),
        }
    }

    fn number(&mut self) -> Result<Number, SyntaxError> {
        let start = self.at;
        let _ = self.take("+") || self.take("-");
        let integer = self.digits()?;
        if integer.len() > 1 && integer.starts_with('0') {
            return Err(error(start, "a number does not start with 0; text goes in single quotes"));
        }
        let mut exact = true;
        if self.take(".") {
            self.digits()?;
            exact = false;
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            self.digits()?;
            exact = false;
        }
        if self.rest().starts_with(|c| is_name(c) || c == '.') {
            return self.fail("the number ends here; text, such as a day, goes in single quotes");
        }
        let text = &self.text[start..self.at];
        if exact {
            return text.parse().map(Number::Integer).map_err(|_| {
                error(start, "an integer beyond 64 bits would not be exact: write 1e19 or a text")
            });
        }
        match text.parse() {
            Ok(float) if f64::is_finite(float) => Ok(Number::Float(float)),
            _ => Err(error(start, "the number is too large")),
        }
    }

    fn digits(&mut self) -> Result<&'t str, SyntaxError> {
        let rest = self.rest();
        let len = rest.bytes().take_while(u8::is_ascii_digit).count();
        if len == 0 {
            return self.fail("expected a digit");
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// Whether a path starts here: a quoted key, or a name that is no keyword.
    fn at_path(&self) -> bool {
        self.rest().starts_with('"') || self.word().is_some_and(|word| !is_keyword(word))
    }

    fn path(&mut self) -> Result<Path, SyntaxError> {
        let mut segments = vec![Segment::Key(self.key()?)];
        loop {
            if self.take(".") {
                segments.push(Segment::Key(self.key()?));
            } else if self.take("[") {
                segments.push(Segment::Index(self.index()?));
            } else {
                break;
            }
        }
        let cast = if self.take("::") { Some(self.cast()?) } else { None };
        Ok(Path { segments: segments.into(), cast })
    }

    fn key(&mut self) -> Result<String, SyntaxError> {
        if self.rest().starts_with('"') {
            return self.quoted('"');
        }
        match self.word() {
            Some(word) => {
                self.at += word.len();
                Ok(word.to_owned())
            }
            None if self.rest().starts_with(|c: char| c.is_ascii_digit()) => {
                self.fail("a key that starts with a digit needs double quotes; an index is [0]")
            }
            None => self.fail("expected a key after '.'; an unusual one needs double quotes"),
        }
    }

    fn index(&mut self) -> Result<usize, SyntaxError> {
        let start = self.at;
        if !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return self.fail("expected an index from 0 after '['; a key follows a '.'");
        }
        let Ok(index) = self.digits()?.parse() else {
            return Err(error(start, "the index is too large"));
        };
        if !self.take("]") {
            return self.fail("expected ']'");
        }
        Ok(index)
    }

    fn cast(&mut self) -> Result<Cast, SyntaxError> {
        let word = self.word().unwrap_or_default();
        match CASTS.into_iter().find(|cast| word.eq_ignore_ascii_case(cast.name())) {
            Some(cast) => {
                self.at += word.len();
                Ok(cast)
            }
            None => self.fail("expected float64, int64, bool or timestamp after '::'"),
        }
    }

    /// A text from its opening quote to its closing one; the quote twice stands for itself.
    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let mut text = String::new();
        let mut rest = &self.rest()[quote.len_utf8()..];
        loop {
            let Some((part, tail)) = rest.split_once(quote) else {
                return self.fail("the quote that opens here is not closed");
            };
            text.push_str(part);
            match tail.strip_prefix(quote) {
                Some(more) => {
                    text.push(quote);
                    rest = more;
                }
                None => {
                    self.at = self.text.len() - tail.len();
                    return Ok(text);
                }
            }
        }
    }

    /// The name that starts here, keyword or not, without taking it.
    fn word(&self) -> Option<&'t str> {
        let rest = self.rest();
        let starts = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        starts.then(|| &rest[..end])
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        self.skip_space();
        let taken = self.word().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if taken {
            self.at += keyword.len();
        }
        taken
    }

    fn take(&mut self, sign: &str) -> bool {
        let taken = self.rest().starts_with(sign);
        if taken {
            self.at += sign.len();
        }
        taken
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn end(&mut self, expected: &str) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.rest().is_empty() { Ok(()) } else { self.fail(expected) }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(error(self.at, message))
    }
}

fn error(offset: usize, message: impl Into<String>) -> SyntaxError {
    SyntaxError { offset, message: message.into() }
}
