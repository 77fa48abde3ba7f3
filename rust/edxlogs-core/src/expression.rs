//! The grammar of `--where` and of column paths: text to syntax tree, and back.
//!
//! Nothing here looks at an event; `predicate` gives the tree its meaning.
//!
//! ```text
//! expression = all { "or" all }
//! all        = negation { "and" negation }
//! negation   = "not" negation | "(" expression ")" | condition
//! condition  = path compare literal
//!            | path ["not"] "in" "(" literal { "," literal } ")"
//!            | path ["not"] "like" text
//!            | path "is" ["not"] "null"
//! compare    = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
//! literal    = text | number | "true" | "false"
//! path       = key { "." key | "[" digits "]" } [ "::" cast ]
//! cast       = "float64" | "int64" | "bool" | "timestamp"
//! key        = name | '"' { any character, a '"' twice } '"'
//! name       = ( letter | "_" ) { letter | digit | "_" | "-" }
//! text       = "'" { any character, a "'" twice } "'"
//! number     = [ "+" | "-" ] integer [ "." digits ] [ ( "e" | "E" ) [ "+" | "-" ] digits ]
//! integer    = "0" | digits that do not start with 0
//! ```
//!
//! Letters and digits are those of ASCII. Keywords and casts are read whatever their case. White
//! space may stand between any two words and signs, but not inside a path. A path that starts
//! with a keyword needs quotes there; after a dot, a keyword is a key like any other. A dash is
//! part of a name, since payload keys hold dashes and the grammar knows no subtraction.

use std::fmt::{self, Write as _};

use crate::pattern::{Token, Wildcards};

/// How deep parentheses and `not` may nest; deeper text is refused, so that no stack overflows.
pub const MAX_DEPTH: usize = 100;

const KEYWORDS: [&str; 9] = [
    "and", "or", "not", "in", "like", "is", "null", "true", "false",
];
const CASTS: [Cast; 4] = [Cast::Float64, Cast::Int64, Cast::Bool, Cast::Timestamp];

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// The value of this key in an object.
    Key(String),
    /// The item of an array, counted from 0.
    Index(usize),
}

/// The type that a path's value is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cast {
    /// `::float64`
    Float64,
    /// `::int64`
    Int64,
    /// `::bool`
    Bool,
    /// `::timestamp`, in UTC.
    Timestamp,
}

/// Where in an event a value stands, such as `event."a.b"[0]::float64`.
///
/// Shows as its canonical text, which has quotes only where they are needed and reads as the same
/// path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// At least one; the first is a key.
    pub segments: Vec<Segment>,
    /// The type to read the value as; `None` reads it as it is.
    pub cast: Option<Cast>,
}

/// A number as it was written: an integer is exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Written without fraction and exponent.
    Integer(i64),
    /// Written with a fraction or an exponent; finite.
    Float(f64),
}

/// A value that an expression compares with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A text, without its quotes.
    Text(String),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Bool(bool),
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// A condition on one event.
///
/// Shows as its canonical text, which has parentheses only where they are needed and reads as the
/// same tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// All of two or more.
    And(Vec<Expression>),
    /// One of two or more.
    Or(Vec<Expression>),
    /// Not this one.
    Not(Box<Expression>),
    /// `path op literal`
    Compare {
        /// The value on the left.
        path: Path,
        /// The comparison.
        op: Comparison,
        /// The value on the right.
        literal: Literal,
    },
    /// `path in (literal, …)`
    In {
        /// The value that is looked for.
        path: Path,
        /// At least one.
        literals: Vec<Literal>,
        /// Whether it stands as `not in`.
        negated: bool,
    },
    /// `path like 'pattern'`
    Like {
        /// The value that is matched.
        path: Path,
        /// The pattern, ready to match.
        pattern: Like,
        /// Whether it stands as `not like`.
        negated: bool,
    },
    /// `path is null`
    IsNull {
        /// The value that is looked at.
        path: Path,
        /// Whether it stands as `is not null`.
        negated: bool,
    },
}

/// A pattern of SQL's `like`: `%` for any run of characters, `_` for one, `\` before a `%`, `_` or
/// `\` that stands for itself. It minds the case and covers the whole text.
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
    /// A `\` that stands before anything else than `%`, `_` and `\`, with its place in `pattern`.
    ///
    /// # Examples
    ///
    /// ```
    /// use edxlogs_core::expression::Like;
    ///
    /// let blocks = Like::new(r"block-v1:%+type@problem\_%")?;
    /// assert!(blocks.matches("block-v1:UnivX+CS101+2014+type@problem_1"));
    /// # Ok::<(), edxlogs_core::expression::SyntaxError>(())
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
                    Some((_, c @ ('%' | '_' | '\\'))) => Token::Char(c),
                    _ => {
                        let message = r"in a pattern '\' stands before '%', '_' or '\' only";
                        return Err(SyntaxError {
                            offset,
                            message: message.to_owned(),
                        });
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
        Ok(Self {
            text: pattern.to_owned(),
            literals,
            wildcards: Wildcards::new(&tokens),
        })
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
    /// use edxlogs_core::expression::parse_expression;
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
        let start = before
            .char_indices()
            .rev()
            .nth(BEFORE_CHARS - 1)
            .map_or(0, |(at, _)| at);
        let end = after
            .char_indices()
            .nth(AFTER_CHARS)
            .map_or(after.len(), |(at, _)| at);
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

/// Reads a whole expression.
///
/// # Errors
///
/// The first place that does not fit the grammar.
///
/// # Examples
///
/// ```
/// use edxlogs_core::expression::parse_expression;
///
/// let expression = parse_expression("NOT (event.grade>=0.5 and username <> 'a')")?;
/// assert_eq!(expression.to_string(), "not (event.grade >= 0.5 and username != 'a')");
/// # Ok::<(), edxlogs_core::expression::SyntaxError>(())
/// ```
pub fn parse_expression(text: &str) -> Result<Expression, SyntaxError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
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
/// use edxlogs_core::expression::{Cast, parse_path};
///
/// let path = parse_path(r#"event."max-grade"::FLOAT64"#)?;
/// assert_eq!(path.cast, Some(Cast::Float64));
/// assert_eq!(path.to_string(), "event.max-grade::float64");
/// # Ok::<(), edxlogs_core::expression::SyntaxError>(())
/// ```
pub fn parse_path(text: &str) -> Result<Path, SyntaxError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    parser.skip_space();
    if parser.rest().is_empty() {
        return parser.fail("the path is empty");
    }
    if let Some(word) = parser.word().filter(|word| is_keyword(word)) {
        return parser.fail(format!(
            "'{word}' is a keyword: as a key it needs double quotes"
        ));
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
        if self.take(")") {
            Ok(inner)
        } else {
            self.fail("expected 'and', 'or' or ')'")
        }
    }

    /// Reads what the sign or word at `start` opened.
    fn nested(
        &mut self,
        start: usize,
        inner: fn(&mut Self) -> Result<Expression, SyntaxError>,
    ) -> Result<Expression, SyntaxError> {
        if self.depth == MAX_DEPTH {
            return Err(error(
                start,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
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
            return Ok(Expression::In {
                path,
                literals: self.list()?,
                negated,
            });
        }
        if self.take_keyword("like") {
            return Ok(Expression::Like {
                path,
                pattern: self.pattern()?,
                negated,
            });
        }
        self.skip_space();
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
            Ok(literal) => error(
                start,
                match self.mirrored() {
                    Some((op, path)) => format!("write the path first: {path} {op} {literal}"),
                    None => "a condition starts with a path, not with a value".to_owned(),
                },
            ),
            Err(_) if let Some(word) = keyword => error(
                start,
                format!("{EXPECTED} (as a key '{word}' needs double quotes)"),
            ),
            Err(inner) if self.rest().starts_with('\'') || self.at > start => inner,
            Err(_) => error(start, EXPECTED),
        }
    }

    /// The sign and path after a value that stands on the wrong side.
    fn mirrored(&mut self) -> Option<(Comparison, Path)> {
        let (op, _) = self.comparison()?;
        self.skip_space();
        let path = self.at_path().then(|| self.path().ok()).flatten()?;
        Some((op.mirrored(), path))
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
        if self
            .word()
            .is_some_and(|word| word.eq_ignore_ascii_case("null"))
        {
            return self.fail(match after {
                "!=" | "<>" => "null is no value: use 'is not null'",
                _ => "null is no value: use 'is null'",
            });
        }
        match self.rest().chars().next() {
            Some('\'') => Ok(Literal::Text(self.quoted('\'')?)),
            Some('0'..='9' | '+' | '-') => Ok(Literal::Number(self.number()?)),
            _ if self.at_path() => {
                let message = "text stands in single quotes";
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
            return Err(error(
                start,
                "a number does not start with 0; text stands in single quotes",
            ));
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
            return self.fail("the number ends here; text, such as a day, stands in single quotes");
        }
        let text = &self.text[start..self.at];
        if exact {
            return text.parse().map(Number::Integer).map_err(|_| {
                error(
                    start,
                    "an integer beyond 64 bits would not be exact: write 1e19 or a text",
                )
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
        let cast = if self.take("::") {
            Some(self.cast()?)
        } else {
            None
        };
        Ok(Path { segments, cast })
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
        match CASTS
            .into_iter()
            .find(|cast| word.eq_ignore_ascii_case(cast.name()))
        {
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
        let taken = self
            .word()
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword));
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
        if self.rest().is_empty() {
            Ok(())
        } else {
            self.fail(expected)
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(error(self.at, message))
    }
}

fn error(offset: usize, message: impl Into<String>) -> SyntaxError {
    SyntaxError {
        offset,
        message: message.into(),
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}

impl Cast {
    /// The word after `::`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float64 => "float64",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
        }
    }
}

impl Comparison {
    /// The same comparison with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Eq | Self::Ne => self,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if position > 0 {
                        f.write_char('.')?;
                    }
                    let bare = key.chars().all(is_name)
                        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                        && !(position == 0 && is_keyword(key));
                    if bare {
                        f.write_str(key)?
                    } else {
                        write_quoted(f, '"', key)?
                    }
                }
            }
        }
        self.cast
            .map_or(Ok(()), |cast| write!(f, "::{}", cast.name()))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write_quoted(f, '\'', text),
            Self::Number(Number::Integer(integer)) => write!(f, "{integer}"),
            // Debug keeps the fraction or the exponent that tells a float from an integer.
            Self::Number(Number::Float(float)) => write!(f, "{float:?}"),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { " not" } else { "" };
        match self {
            Self::And(members) => write_members(f, members, " and ", |member| {
                matches!(member, Self::And(_) | Self::Or(_))
            }),
            Self::Or(members) => {
                write_members(f, members, " or ", |member| matches!(member, Self::Or(_)))
            }
            Self::Not(inner) => match inner.as_ref() {
                Self::And(_) | Self::Or(_) => write!(f, "not ({inner})"),
                _ => write!(f, "not {inner}"),
            },
            Self::Compare { path, op, literal } => write!(f, "{path} {op} {literal}"),
            Self::In {
                path,
                literals,
                negated,
            } => {
                write!(f, "{path}{} in (", not(negated))?;
                for (position, literal) in literals.iter().enumerate() {
                    let separator = if position > 0 { ", " } else { "" };
                    write!(f, "{separator}{literal}")?;
                }
                f.write_char(')')
            }
            Self::Like {
                path,
                pattern,
                negated,
            } => {
                write!(f, "{path}{} like ", not(negated))?;
                write_quoted(f, '\'', pattern.as_str())
            }
            Self::IsNull { path, negated } => write!(f, "{path} is{} null", not(negated)),
        }
    }
}

fn write_members(
    f: &mut fmt::Formatter<'_>,
    members: &[Expression],
    separator: &str,
    needs_parentheses: impl Fn(&Expression) -> bool,
) -> fmt::Result {
    for (position, member) in members.iter().enumerate() {
        if position > 0 {
            f.write_str(separator)?;
        }
        if needs_parentheses(member) {
            write!(f, "({member})")?;
        } else {
            write!(f, "{member}")?;
        }
    }
    Ok(())
}

fn write_quoted(f: &mut fmt::Formatter<'_>, quote: char, text: &str) -> fmt::Result {
    f.write_char(quote)?;
    for c in text.chars() {
        if c == quote {
            f.write_char(quote)?;
        }
        f.write_char(c)?;
    }
    f.write_char(quote)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> Path {
        let segments = text
            .split('.')
            .map(|key| Segment::Key(key.to_owned()))
            .collect();
        Path {
            segments,
            cast: None,
        }
    }

    fn is_null(text: &str) -> Expression {
        Expression::IsNull {
            path: path(text),
            negated: false,
        }
    }

    /// The canonical text of an expression, which must be a fixed point.
    fn canonical(text: &str) -> String {
        let shown = parse_expression(text).unwrap().to_string();
        assert_eq!(parse_expression(&shown).unwrap().to_string(), shown);
        shown
    }

    #[test]
    fn and_binds_more_than_or_and_not_more_than_both() {
        let expected = Expression::Or(vec![
            is_null("a"),
            Expression::And(vec![
                Expression::Not(Box::new(is_null("b"))),
                is_null("c"),
                Expression::Or(vec![is_null("d"), is_null("e")]),
            ]),
        ]);
        let text = "a is null or not b is null and c IS NULL and (d is null or (e is Null))";
        assert_eq!(parse_expression(text), Ok(expected));
    }

    #[test]
    fn a_condition_becomes_its_parts() {
        let compare = Expression::Compare {
            path: Path {
                segments: vec![
                    Segment::Key("event".to_owned()),
                    Segment::Key("a.\"b".to_owned()),
                    Segment::Index(0),
                ],
                cast: Some(Cast::Float64),
            },
            op: Comparison::Ge,
            literal: Literal::Number(Number::Float(-0.5)),
        };
        assert_eq!(
            parse_expression("event.\"a.\"\"b\"[0]::float64>=-5e-1"),
            Ok(compare)
        );
        let list = Expression::In {
            path: path("username"),
            literals: vec![
                Literal::Text("o'neil".to_owned()),
                Literal::Number(Number::Integer(i64::MIN)),
                Literal::Bool(true),
            ],
            negated: true,
        };
        let text = "username not in('o''neil', -9223372036854775808,TRUE)";
        assert_eq!(parse_expression(text), Ok(list));
        let pattern = Like::new("50\\%").unwrap();
        let like = Expression::Like {
            path: path("event.like"),
            pattern,
            negated: false,
        };
        assert_eq!(parse_expression("event.like like '50\\%'"), Ok(like));
    }

    #[test]
    fn the_canonical_text_has_one_spelling() {
        for (text, expected) in [
            ("a==1", "a = 1"),
            ("a<>+1", "a != 1"),
            ("\n a\t<\u{a0}1E2 ", "a < 100.0"),
            ("((a=1)or((b=2)and(c=3)))", "a = 1 or b = 2 and c = 3"),
            ("NOT(a IS NOT NULL)", "not a is not null"),
            ("not (a = 1 and b = 2)", "not (a = 1 and b = 2)"),
            ("(a=1 and b=2) and c=3", "(a = 1 and b = 2) and c = 3"),
            ("\"and\".and = False", "\"and\".and = false"),
            ("\"a\".\"b-c\".\"1\".\"\" = ''", "a.b-c.\"1\".\"\" = ''"),
            ("notx = 1", "notx = 1"),
            ("a::INT64 in(1,-0.5)", "a::int64 in (1, -0.5)"),
        ] {
            assert_eq!(canonical(text), expected);
        }
    }

    /// Wrong texts with a ▶ at the place to point at, and the start of what to say.
    const COMPLAINTS: &str = r#"
▶ => the expression is empty
  ▶ => the expression is empty
event.grade = ▶and x = 1 => expected a value after '='
name = ▶"x" => expected a value after '='; text stands in single quotes
name >= ▶x => expected a value after '>='; text stands in single quotes
a == ▶null => null is no value: use 'is null'
a <> ▶NULL => null is no value: use 'is not null'
a in (1, ▶null) => null is no value: use 'is null'
▶5 < event.grade => write the path first: event.grade > 5
▶'it''s'="b c"::int64 => write the path first: "b c"::int64 = 'it''s'
▶true => a condition starts with a path, not with a value
▶'é' = 'b' => a condition starts with a path, not with a value
a = ▶'b => the quote that opens here is not closed
▶'b => the quote that opens here is not closed
a.▶"b = 1 => the quote that opens here is not closed
a = 1 and ▶or => expected a condition, such as event.grade >= 0.5 (as a key 'or' needs double
▶null = a => expected a condition, such as event.grade >= 0.5 (as a key 'null' needs double
(▶) => expected a condition, such as
a = 1 and▶ => expected a condition, such as
▶été = 1 => expected a condition, such as
a = 1 ▶b => expected 'and', 'or' or the end
a = 1▶) => expected 'and', 'or' or the end
(a = 1▶ => expected 'and', 'or' or ')'
a ▶between 0 and 1 => expected '=', '!=', '<', '<=', '>', '>=', 'in', 'like' or 'is' after the path
a not ▶= 1 => expected 'in' or 'like' after 'not'
a is ▶1 => expected 'null' or 'not null' after 'is'
a in ▶1 => expected '(' after 'in'
a in (▶) => expected a value after '('
a in (1,▶) => expected a value after ','
a in (1▶ => expected ',' or ')'
a like ▶b => expected a text in single quotes after 'like'
a like ▶'b\c' => in a pattern '\' stands before '%', '_' or '\' only
a.▶ b = 1 => expected a key after '.'; an unusual one needs double quotes
a.▶0 = 1 => a key that starts with a digit needs double quotes; an index is [0]
a[0▶ = 1 => expected ']'
a[▶-1] = 1 => expected an index from 0 after '['
a[▶99999999999999999999] = 1 => the index is too large
a::▶float = 1 => expected float64, int64, bool or timestamp after '::'
time > 2014▶-01-01 => the number ends here; text, such as a day, stands in single quotes
a = 1.▶ => expected a digit
a = -▶ => expected a digit
a = ▶007 => a number does not start with 0; text stands in single quotes
a = ▶1e999 => the number is too large
a = ▶9223372036854775808 => an integer beyond 64 bits would not be exact
"#;

    #[test]
    fn an_error_says_what_is_wrong_and_where() {
        for line in COMPLAINTS.trim_matches('\n').lines() {
            let (marked, message) = line.split_once(" => ").unwrap();
            let error = parse_expression(&marked.replace('▶', "")).unwrap_err();
            assert_eq!(Some(error.offset), marked.find('▶'), "{line}");
            assert!(
                error.message.starts_with(message),
                "{line}: {}",
                error.message
            );
        }
    }

    #[test]
    fn the_place_is_shown_on_one_line() {
        let pointing_at = |text: &str| parse_expression(text).unwrap_err().pointing_at(text);
        assert_eq!(
            pointing_at("é\n= 'a'"),
            r"expected a condition, such as event.grade >= 0.5 at character 1: ▶é\n= 'a'"
        );
        assert_eq!(
            pointing_at("'\u{2028}\n' = a"),
            r"write the path first: a = '\u{2028}\n' at character 1: ▶'\u{2028}\n' = a"
        );
        let shown = pointing_at(&format!("{} = 'é' x{}", "a".repeat(50), "y".repeat(50)));
        let (before, after) = ("a".repeat(23), "y".repeat(19));
        let expected = format!(" at character 58: …{before} = 'é' ▶x{after}…");
        assert!(shown.ends_with(&expected), "{shown}");
        let error = SyntaxError {
            offset: 100,
            message: "wrong".to_owned(),
        };
        assert_eq!(error.pointing_at("short"), "wrong at character 6: short▶");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |open: &str, close: &str, depth: usize| {
            parse_expression(&format!(
                "{}a = 1{}",
                open.repeat(depth),
                close.repeat(depth)
            ))
        };
        for (open, close) in [("(", ")"), ("not ", ""), ("not(", ")")] {
            let levels = if open == "not(" {
                MAX_DEPTH / 2
            } else {
                MAX_DEPTH
            };
            assert!(nested(open, close, levels).is_ok());
            let error = nested(open, close, levels + 1).unwrap_err();
            assert_eq!(error.offset, open.len() * levels);
            assert_eq!(nested(open, close, 1_000_000).unwrap_err(), error);
        }
        let chain = vec!["a = 1"; 100_000].join(" and ");
        assert!(matches!(parse_expression(&chain), Ok(Expression::And(m)) if m.len() == 100_000));
    }

    #[test]
    fn a_path_stands_alone() {
        assert_eq!(
            parse_path(" context.module.usage_key "),
            Ok(path("context.module.usage_key"))
        );
        assert_eq!(parse_path("\"in\""), Ok(path("in")));
        assert_eq!(
            parse_path("time::Timestamp").unwrap().cast,
            Some(Cast::Timestamp)
        );
        for (text, offset) in [
            ("", 0),
            ("in", 0),
            ("null", 0),
            ("[0]", 0),
            ("a,b", 1),
            ("é", 0),
        ] {
            assert_eq!(parse_path(text).unwrap_err().offset, offset, "{text}");
        }
    }

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
            assert_eq!(
                Like::new(pattern).unwrap().matches(text),
                expected,
                "{pattern} {text}"
            );
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

    fn any_path() -> impl Strategy<Value = Path> {
        let key = prop_oneof![
            "[a-zA-Z_][a-z0-9_-]{0,4}",
            "(?i)(not|in|null|true)",
            any::<String>()
        ];
        let segment = prop_oneof![
            3 => key.clone().prop_map(Segment::Key),
            1 => any::<usize>().prop_map(Segment::Index),
        ];
        let cast = prop::option::of(prop::sample::select(CASTS.to_vec()));
        (key, prop::collection::vec(segment, 0..3), cast).prop_map(|(first, mut segments, cast)| {
            segments.insert(0, Segment::Key(first));
            Path { segments, cast }
        })
    }

    fn any_literal() -> impl Strategy<Value = Literal> {
        let float = any::<f64>().prop_filter("finite", |float| float.is_finite());
        prop_oneof![
            any::<String>().prop_map(Literal::Text),
            any::<i64>().prop_map(|integer| Literal::Number(Number::Integer(integer))),
            float.prop_map(|float| Literal::Number(Number::Float(float))),
            any::<bool>().prop_map(Literal::Bool),
        ]
    }

    fn any_expression() -> impl Strategy<Value = Expression> {
        use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
        let op = prop::sample::select(vec![Eq, Ne, Lt, Le, Gt, Ge]);
        let pattern = r"([a'é%_]|\\%|\\_|\\\\){0,6}";
        let leaf =
            prop_oneof![
                (any_path(), op, any_literal())
                    .prop_map(|(path, op, literal)| Expression::Compare { path, op, literal }),
                (
                    any_path(),
                    prop::collection::vec(any_literal(), 1..4),
                    any::<bool>()
                )
                    .prop_map(|(path, literals, negated)| Expression::In {
                        path,
                        literals,
                        negated
                    }),
                (any_path(), pattern, any::<bool>()).prop_map(|(path, pattern, negated)| {
                    Expression::Like {
                        path,
                        pattern: Like::new(&pattern).unwrap(),
                        negated,
                    }
                }),
                (any_path(), any::<bool>())
                    .prop_map(|(path, negated)| Expression::IsNull { path, negated }),
            ];
        leaf.prop_recursive(5, 24, 3, |inner| {
            let members = || prop::collection::vec(inner.clone(), 2..4);
            prop_oneof![
                members().prop_map(Expression::And),
                members().prop_map(Expression::Or),
                inner
                    .clone()
                    .prop_map(|expression| Expression::Not(Box::new(expression))),
            ]
        })
    }

    /// Text made of the grammar's own pieces, which gets further into the parser than noise does.
    fn soup() -> impl Strategy<Value = String> {
        let pieces = [
            "a", "event.x", "\"k\"", "'t'", "'", "\"", "1", "-1.5e3", "(", ")", ",", ".", "[0]",
            "::", "int64", "=", "<>", ">=", " and ", " or ", " not ", " in ", " like ", " is ",
            " null ", " true ", "é", "\\", "%", "\n", " ",
        ];
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..16)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn what_is_shown_reads_as_the_same_tree(expression in any_expression()) {
            prop_assert_eq!(parse_expression(&expression.to_string()), Ok(expression));
        }

        #[test]
        fn a_shown_path_reads_as_the_same_path(path in any_path()) {
            prop_assert_eq!(parse_path(&path.to_string()), Ok(path));
        }

        #[test]
        fn any_text_gives_a_tree_or_a_place(text in prop_oneof![any::<String>(), soup(), soup()]) {
            match parse_expression(&text) {
                Ok(tree) => prop_assert_eq!(parse_expression(&tree.to_string()), Ok(tree)),
                Err(error) => {
                    prop_assert!(text.is_char_boundary(error.offset));
                    prop_assert_eq!(error.pointing_at(&text).lines().count(), 1);
                }
            }
            if let Err(error) = parse_path(&text) {
                prop_assert!(text.is_char_boundary(error.offset));
            }
        }

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
