//! What a test says of an event of a log, or of a row of a dataset.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{By, Test};
use crate::event::Event;
use crate::event::column::EventPlace;
use crate::event::fields::Field;
use crate::frame::types::Value;
use crate::query::expression::{Comparison, Literal, Number};
use crate::query::projection::{Expr, parse_number};

/// What conditions are asked of.
pub(crate) trait AskedOf {
    /// The site.
    fn site(&self) -> Option<&str>;
    /// The course.
    fn course(&self) -> Option<&str>;
    /// The organisation.
    fn org(&self) -> Option<Cow<'_, str>>;
    /// Whether it has such an event type. An empty type is none, as in its column.
    fn has_type(&self, is_it: impl Fn(&str) -> bool) -> bool;
    /// The event source.
    fn event_source(&self) -> Option<Cow<'_, str>>;
    /// The name of who acted.
    fn username(&self) -> Option<Cow<'_, str>>;
    /// The id of who acted.
    fn user_id(&self) -> Option<i64>;
    /// When it happened, in microseconds since 1970 UTC.
    fn time(&self) -> Option<i64>;
    /// When it was received, likewise.
    fn received_at(&self) -> Option<i64>;
    /// The value of a column or path.
    fn value(&self, value: &Expr) -> Value<'_>;
}

/// An event of a log.
pub(crate) struct OfLog<'a, 'e> {
    pub event: &'a Event<'e>,
    pub place: EventPlace<'a>,
}

impl AskedOf for OfLog<'_, '_> {
    fn site(&self) -> Option<&str> {
        self.place.source.site.as_deref()
    }

    fn course(&self) -> Option<&str> {
        self.event.course().map(|course| course.key.as_ref())
    }

    fn org(&self) -> Option<Cow<'_, str>> {
        self.event.org_id()
    }

    fn has_type(&self, is_it: impl Fn(&str) -> bool) -> bool {
        [Field::EventType, Field::Name]
            .into_iter()
            .filter_map(|field| self.event.name_text(field))
            .any(|text| !text.is_empty() && is_it(&text))
    }

    fn event_source(&self) -> Option<Cow<'_, str>> {
        self.event.name_text_or_context(Field::EventSource, Field::ContextEventSource)
    }

    fn username(&self) -> Option<Cow<'_, str>> {
        self.event.name_text_or_context(Field::Username, Field::ContextUsername)
    }

    fn user_id(&self) -> Option<i64> {
        self.event.user_id()
    }

    fn time(&self) -> Option<i64> {
        self.event.time().map(|time| time.micros)
    }

    fn received_at(&self) -> Option<i64> {
        self.event.received_at().map(|time| time.micros)
    }

    fn value(&self, value: &Expr) -> Value<'_> {
        value.value(self.event, self.place)
    }
}

impl Test {
    /// True, false, or unknown: what an expression compares with null is unknown, and so is its
    /// opposite. An option knows.
    pub(crate) fn truth(&self, asked: &impl AskedOf) -> Option<bool> {
        Some(match self {
            Self::And(all) => return fold(all, asked, false),
            Self::Or(any) => return fold(any, asked, true),
            Self::Not(inner) => !inner.truth(asked)?,
            Self::Site(sites) => {
                asked.site().is_some_and(|site| sites.iter().any(|one| one == site))
            }
            Self::Course(patterns) => asked.course().is_some_and(|course| patterns.matches(course)),
            Self::Org(patterns) => asked.org().is_some_and(|org| patterns.matches(&org)),
            Self::EventType(patterns) => asked.has_type(|text| patterns.matches(text)),
            Self::EventSource(patterns) => {
                asked.event_source().is_some_and(|text| patterns.matches(&text))
            }
            Self::User { names, ids } => {
                asked.username().is_some_and(|name| names.contains(name.trim()))
                    || asked.user_id().is_some_and(|id| ids.contains(&id))
            }
            Self::Time { by, since, until } => {
                let received = match by {
                    By::Time => None,
                    By::ReceivedAt => asked.received_at(),
                };
                received.or_else(|| asked.time()).is_some_and(|micros| {
                    since.is_none_or(|since| micros >= since)
                        && until.is_none_or(|until| micros < until)
                })
            }
            Self::Compare { value, op, literal } => {
                let ordering = compare(&asked.value(value), literal)?;
                match op {
                    Comparison::Eq => ordering.is_eq(),
                    Comparison::Ne => ordering.is_ne(),
                    Comparison::Lt => ordering.is_lt(),
                    Comparison::Le => ordering.is_le(),
                    Comparison::Gt => ordering.is_gt(),
                    Comparison::Ge => ordering.is_ge(),
                }
            }
            Self::In { value, literals } => {
                let value = asked.value(value);
                let mut known = false;
                for literal in literals {
                    match compare(&value, literal) {
                        Some(Ordering::Equal) => return Some(true),
                        Some(_) => known = true,
                        None => {}
                    }
                }
                return known.then_some(false);
            }
            Self::Like { value, pattern } => pattern.matches(&as_text(&asked.value(value))?),
            Self::IsNull(value) => asked.value(value) == Value::Null,
        })
    }
}

/// Joins truths: `decisive` decides alone; unknown wins over the other.
fn fold(all: &[Test], asked: &impl AskedOf, decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for one in all {
        match one.truth(asked) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

/// How a value stands to a literal; `None` where they cannot be compared, null included.
fn compare(value: &Value<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Null, _) => None,
        (Value::Bool(value), Literal::Bool(literal)) => Some(value.cmp(literal)),
        (Value::Text(text), Literal::Bool(literal)) => match &**text {
            "true" => Some(true.cmp(literal)),
            "false" => Some(false.cmp(literal)),
            _ => None,
        },
        (Value::Int(value) | Value::Time(value), Literal::Number(number)) => match number {
            Number::Integer(number) => Some(value.cmp(number)),
            Number::Float(number) => (*value as f64).partial_cmp(number),
        },
        (Value::Float(value), Literal::Number(number)) => value.partial_cmp(&as_float(*number)),
        (Value::Text(text), Literal::Number(number)) => match (text.trim().parse(), number) {
            (Ok(value), Number::Integer(number)) => Some(i64::cmp(&value, number)),
            _ => parse_number(text)?.partial_cmp(&as_float(*number)),
        },
        (value, Literal::Text(literal)) => Some((*as_text(value)?).cmp(literal.as_str())),
        _ => None,
    }
}

fn as_float(number: Number) -> f64 {
    match number {
        Number::Integer(number) => number as f64,
        Number::Float(number) => number,
    }
}

fn as_text<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    match value {
        Value::Null | Value::Day(_) => None,
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Int(number) => Some(Cow::Owned(number.to_string())),
        Value::Time(micros) => Some(Cow::Owned(micros.to_string())),
        Value::Float(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
    }
}
