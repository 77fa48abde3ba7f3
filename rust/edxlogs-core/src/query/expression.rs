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

mod error;
mod like;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use crate::json::path::Segment;

pub use error::SyntaxError;
pub use like::Like;
pub use parse::{MAX_DEPTH, parse_expression, parse_path};

const KEYWORDS: [&str; 9] = ["and", "or", "not", "in", "like", "is", "null", "true", "false"];
const HIDDEN: char = '…';
const CASTS: [Cast; 4] = [Cast::Float64, Cast::Int64, Cast::Bool, Cast::Timestamp];

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
    pub segments: Arc<[Segment]>,
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
/// same tree; with `{:#}` as that text with `…` for its values, which may be persons.
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
                    if bare { f.write_str(key)? } else { write_quoted(f, '"', key)? }
                }
            }
        }
        self.cast.map_or(Ok(()), |cast| write!(f, "::{}", cast.name()))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            _ if f.alternate() => f.write_char(HIDDEN),
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
            Self::Not(inner) => {
                f.write_str("not ")?;
                write_member(f, inner, matches!(**inner, Self::And(_) | Self::Or(_)))
            }
            Self::Compare { path, op, literal } => {
                write!(f, "{path} {op} ")?;
                literal.fmt(f)
            }
            Self::In { path, negated, .. } if f.alternate() => {
                write!(f, "{path}{} in ({HIDDEN})", not(negated))
            }
            Self::In { path, literals, negated } => {
                write!(f, "{path}{} in (", not(negated))?;
                for (position, literal) in literals.iter().enumerate() {
                    let separator = if position > 0 { ", " } else { "" };
                    write!(f, "{separator}{literal}")?;
                }
                f.write_char(')')
            }
            Self::Like { path, pattern, negated } => {
                write!(f, "{path}{} like ", not(negated))?;
                if f.alternate() {
                    return f.write_char(HIDDEN);
                }
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
        write_member(f, member, needs_parentheses(member))?;
    }
    Ok(())
}

fn write_member(f: &mut fmt::Formatter<'_>, member: &Expression, parted: bool) -> fmt::Result {
    if !parted {
        return fmt::Display::fmt(member, f);
    }
    f.write_char('(')?;
    fmt::Display::fmt(member, f)?;
    f.write_char(')')
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

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}
