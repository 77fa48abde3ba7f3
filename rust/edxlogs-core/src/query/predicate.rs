//! Which events are selected. The predicate alone decides; the prefilter it makes only nominates.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::fields::Field;
use crate::frame::names::names;
use crate::frame::types::{ColumnType, Value};
use crate::json::path::Segment;
use crate::query::expression::{
    Comparison, Expression, Like, Literal, Number, Path, parse_expression,
};
use crate::query::pattern::{Pattern, PatternSet};
use crate::query::prefilter::Prefilter;
use crate::query::projection::{COLUMNS, Expr, Place, parse_number};
use crate::time;

/// By which time events are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// `time`: when it happened.
    #[default]
    Time,
    /// `received_at`, else `time`.
    ReceivedAt,
}

names! {
    /// What a condition that takes values asks of events. In the order in which they are tested: the
    /// course may need the payload.
    ConditionKind {
        /// Sites of the sources.
        Site = "sites",
        /// Event types, or globs: matched with `event_type` and with `name`.
        EventType = "event_types",
        /// `server`, `browser`, `mobile`, `task`.
        EventSource = "event_sources",
        /// Usernames or user ids.
        User = "users",
        /// Course ids, or globs over them.
        Course = "courses",
        /// Organisations, whatever their case.
        Org = "orgs",
        /// Expressions, all of which must hold.
        Expression = "expressions",
    }
}

/// Values of one kind. One of them is enough, but for expressions.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Their kind.
    pub kind: ConditionKind,
    /// At least one.
    pub values: Vec<String>,
    /// Whether events that meet it are left out.
    pub excluded: bool,
}

/// Conditions as a user gives them, joined by *and*.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Those that take values.
    pub asked: Vec<Condition>,
    /// First instant, in microseconds since 1970 UTC, included.
    pub since: Option<i64>,
    /// Last instant, excluded.
    pub until: Option<i64>,
    /// Which time `since` and `until` mean.
    pub by: By,
}

impl Conditions {
    /// The same, and one of the values of a kind.
    #[must_use]
    pub fn and(mut self, kind: ConditionKind, values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        self.asked.push(Condition { kind, values, excluded: false });
        self
    }
}

/// A condition on one event: what options ask for and what expressions say, in one tree.
#[derive(Debug)]
pub(crate) enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Site(Vec<String>),
    Course(PatternSet),
    Org(PatternSet),
    EventType(PatternSet),
    EventSource(PatternSet),
    User { names: HashSet<String>, ids: HashSet<i64> },
    Time { by: By, since: Option<i64>, until: Option<i64> },
    Compare { value: Expr, op: Comparison, literal: Literal },
    In { value: Expr, literals: Vec<Literal> },
    Like { value: Expr, pattern: Like },
    IsNull(Expr),
}

/// Decides which events are selected.
#[derive(Debug)]
pub struct Predicate {
    /// The test of each query that is asked at once.
    pub(super) tests: Vec<Arc<Test>>,
}

impl Predicate {
    /// The predicate of `conditions`.
    ///
    /// # Errors
    /// `Config` for an expression that cannot be read, or a literal that its column cannot equal.
    pub fn new(conditions: &Conditions) -> Result<Self> {
        let mut all = Vec::new();
        let Conditions { asked, since, until, by } = conditions;
        if since.is_some() || until.is_some() {
            all.push(Test::Time { by: *by, since: *since, until: *until });
        }
        let mut asked: Vec<&Condition> = asked.iter().collect();
        asked.sort_by_key(|condition| condition.kind);
        for Condition { kind, values, excluded } in asked {
            all.push(Test::of_values(*kind, values)?.negated(*excluded));
        }
        Ok(Self { tests: vec![Arc::new(Test::And(all))] })
    }

    /// Selects what one of those, which are of one query each, selects.
    pub fn any<'p>(predicates: impl Iterator<Item = &'p Self>) -> Self {
        Self { tests: predicates.flat_map(|one| one.tests.iter().cloned()).collect() }
    }

    /// Whether the event is selected.
    pub fn matches(&self, event: &Event<'_>, place: Place<'_>) -> bool {
        self.wanted(event, place) != 0
    }

    /// Which of several queries want the event: a bit for each. Where there is one, all bits or
    /// none.
    pub fn wanted(&self, event: &Event<'_>, place: Place<'_>) -> u64 {
        let wants = |test: &Test| test.truth(event, place) == Some(true);
        match self.tests.as_slice() {
            [one] => {
                if wants(one) {
                    u64::MAX
                } else {
                    0
                }
            }
            all => all.iter().enumerate().map(|(at, test)| u64::from(wants(test)) << at).sum(),
        }
    }

    /// The paths that it looks up.
    pub(super) fn paths(&self) -> Vec<&Arc<[Segment]>> {
        let mut paths = Vec::new();
        self.tests.iter().for_each(|test| test.push_paths(&mut paths));
        paths
    }

    /// What every selected line must hold.
    pub fn prefilter(&self) -> Prefilter {
        Prefilter::new(&self.tests)
    }
}

impl Test {
    fn of_values(kind: ConditionKind, values: &[String]) -> Result<Self> {
        let patterns = || values.iter().map(|value| Pattern::new(value)).collect();
        Ok(match kind {
            ConditionKind::Site => Self::Site(values.to_vec()),
            ConditionKind::EventType => Self::EventType(patterns()),
            ConditionKind::EventSource => Self::EventSource(patterns()),
            ConditionKind::User => Self::User {
                names: values.iter().cloned().collect(),
                ids: values.iter().filter_map(|user| user.trim().parse().ok()).collect(),
            },
            ConditionKind::Course => Self::Course(patterns()),
            ConditionKind::Org => {
                Self::Org(values.iter().map(|org| Pattern::ignore_case(org)).collect())
            }
            ConditionKind::Expression => {
                let read = |text: &String| Self::new(expression_of(text)?);
                Self::And(values.iter().map(read).collect::<Result<_>>()?)
            }
        })
    }

    fn negated(self, is: bool) -> Self {
        if is { Self::Not(Box::new(self)) } else { self }
    }

    /// The test of an expression, whose paths are resolved and whose literals get the type of their
    /// path.
    fn new(expression: Expression) -> Result<Self> {
        let all = |members: Vec<Expression>| -> Result<Vec<Self>> {
            members.into_iter().map(Self::new).collect()
        };
        Ok(match expression {
            Expression::And(members) => Self::And(all(members)?),
            Expression::Or(members) => Self::Or(all(members)?),
            Expression::Not(inner) => Self::Not(Box::new(Self::new(*inner)?)),
            Expression::Compare { path, op, literal } => {
                let (value, literal) = typed(path, literal)?;
                Self::Compare { value, op, literal }
            }
            Expression::In { path, literals, negated } => {
                let literals = literals
                    .into_iter()
                    .map(|literal| typed(path.clone(), literal).map(|(_, literal)| literal))
                    .collect::<Result<_>>()?;
                Self::In { value: Expr::new(path), literals }.negated(negated)
            }
            Expression::Like { path, pattern, negated } => {
                Self::Like { value: Expr::new(path), pattern }.negated(negated)
            }
            Expression::IsNull { path, negated } => Self::IsNull(Expr::new(path)).negated(negated),
        })
    }

    fn push_paths<'t>(&'t self, paths: &mut Vec<&'t Arc<[Segment]>>) {
        match self {
            Self::And(members) | Self::Or(members) => {
                members.iter().for_each(|member| member.push_paths(paths));
            }
            Self::Not(inner) => inner.push_paths(paths),
            Self::Compare { value, .. }
            | Self::In { value, .. }
            | Self::Like { value, .. }
            | Self::IsNull(value) => paths.extend(value.path()),
            Self::Site(_)
            | Self::Course(_)
            | Self::Org(_)
            | Self::EventType(_)
            | Self::EventSource(_)
            | Self::User { .. }
            | Self::Time { .. } => {}
        }
    }

    /// True, false, or unknown: what an expression compares with null is unknown, and so is its
    /// opposite. An option knows.
    fn truth(&self, event: &Event<'_>, place: Place<'_>) -> Option<bool> {
        Some(match self {
            Self::And(all) => return fold(all, event, place, false),
            Self::Or(any) => return fold(any, event, place, true),
            Self::Not(inner) => !inner.truth(event, place)?,
            Self::Site(sites) => place.source.site.as_ref().is_some_and(|s| sites.contains(s)),
            Self::Course(patterns) => {
                event.course().is_some_and(|course| patterns.matches(&course.key))
            }
            Self::Org(patterns) => event.org_id().is_some_and(|org| patterns.matches(&org)),
            // An empty type is none, as in its column.
            Self::EventType(patterns) => [Field::EventType, Field::Name]
                .into_iter()
                .filter_map(|field| event.name_text(field))
                .any(|text| !text.is_empty() && patterns.matches(&text)),
            Self::EventSource(patterns) => event
                .name_text_or_context(Field::EventSource, Field::ContextEventSource)
                .is_some_and(|text| patterns.matches(&text)),
            Self::User { names, ids } => {
                event
                    .name_text_or_context(Field::Username, Field::ContextUsername)
                    .is_some_and(|name| names.contains(name.trim()))
                    || event.user_id().is_some_and(|id| ids.contains(&id))
            }
            Self::Time { by, since, until } => {
                let received = match by {
                    By::Time => None,
                    By::ReceivedAt => event.received_at(),
                };
                received.or_else(|| event.time()).is_some_and(|time| {
                    since.is_none_or(|since| time.micros >= since)
                        && until.is_none_or(|until| time.micros < until)
                })
            }
            Self::Compare { value, op, literal } => {
                let ordering = compare(&value.value(event, place), literal)?;
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
                let value = value.value(event, place);
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
            Self::Like { value, pattern } => pattern.matches(&as_text(&value.value(event, place))?),
            Self::IsNull(value) => value.value(event, place) == Value::Null,
        })
    }
}

/// Joins truths: `decisive` decides alone; unknown wins over the other.
fn fold(all: &[Test], event: &Event<'_>, place: Place<'_>, decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for one in all {
        match one.truth(event, place) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

/// The expression that a text is.
///
/// # Errors
///
/// It is none: the message shows the place, and no value.
pub fn expression_of(text: &str) -> Result<Expression> {
    let is_field = |name: &str| COLUMNS.iter().any(|column| column.name() == name);
    parse_expression(text).map_err(|error| {
        Error::config(format!("--where: {}", error.pointing_without_values(text, is_field)))
    })
}

/// The value of a path, and the literal as the type that it is compared with.
fn typed(path: Path, literal: Literal) -> Result<(Expr, Literal)> {
    let shown = path.to_string();
    let value = Expr::new(path);
    let literal = match (value.column_type(), literal) {
        (ColumnType::Timestamp, Literal::Text(text)) => {
            let micros = time::parse_bound(&text).ok_or_else(|| {
                let why = "the value is no time; write a day like 2014-10-01 or an instant like";
                Error::config(format!("--where: {shown}: {why} 2014-10-01T12:00:00Z"))
            })?;
            Literal::Number(Number::Integer(micros))
        }
        (ColumnType::Timestamp, _) => {
            let why = "is a time; compare it with text like '2014-10-01'";
            return Err(Error::config(format!("--where: {shown}: {why}")));
        }
        (_, literal) => literal,
    };
    Ok((value, literal))
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
