//! Which events are selected. The predicate alone decides; the prefilter it makes only nominates.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::fields::Field;
use crate::query::Query;
use crate::query::expression::{
    Comparison, Expression, Like, Literal, Number, Path, parse_expression,
};
use crate::query::pattern::{Pattern, PatternSet};
use crate::query::prefilter::Prefilter;
use crate::query::projection::{ColumnType, Expr, Place, Value, parse_number};
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

/// Conditions as a user gives them. Different kinds are joined by *and*, the values of one kind by
/// *or*; an empty kind asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Course ids, or globs over them.
    pub courses: Vec<String>,
    /// Organisations, whatever their case.
    pub orgs: Vec<String>,
    /// Event types, or globs: matched with `event_type` and with `name`.
    pub event_types: Vec<String>,
    /// `server`, `browser`, `mobile`, `task`.
    pub event_sources: Vec<String>,
    /// Usernames or user ids.
    pub users: Vec<String>,
    /// Sites of the sources.
    pub sites: Vec<String>,
    /// As `courses`, excluded.
    pub exclude_courses: Vec<String>,
    /// As `orgs`, excluded.
    pub exclude_orgs: Vec<String>,
    /// As `event_types`, excluded.
    pub exclude_event_types: Vec<String>,
    /// As `event_sources`, excluded.
    pub exclude_event_sources: Vec<String>,
    /// As `users`, excluded.
    pub exclude_users: Vec<String>,
    /// As `sites`, excluded.
    pub exclude_sites: Vec<String>,
    /// First instant, in microseconds since 1970 UTC, included.
    pub since: Option<i64>,
    /// Last instant, excluded.
    pub until: Option<i64>,
    /// Which time `since` and `until` mean.
    pub by: By,
    /// Expressions, all of which must hold.
    pub expressions: Vec<String>,
}

/// One kind of condition.
#[derive(Debug)]
pub(crate) enum Test {
    Site(Vec<String>),
    Course(PatternSet),
    Org(PatternSet),
    EventType(PatternSet),
    EventSource(PatternSet),
    User {
        names: HashSet<String>,
        ids: HashSet<i64>,
    },
    Time {
        by: By,
        since: Option<i64>,
        until: Option<i64>,
    },
    Where(Where),
    /// What one of several queries asks for.
    Any(Vec<Arc<Query>>),
}

/// Decides which events are selected.
#[derive(Debug, Default)]
pub struct Predicate {
    required: Vec<Test>,
    excluded: Vec<Test>,
}

impl Predicate {
    /// The predicate of `conditions`.
    ///
    /// # Errors
    /// `Config` for an expression that cannot be read, or a literal that its column cannot equal.
    pub fn new(conditions: &Conditions) -> Result<Self> {
        let patterns = |values: &[String]| values.iter().map(|v| Pattern::new(v)).collect();
        let folded = |values: &[String]| values.iter().map(|v| Pattern::ignore_case(v)).collect();
        let mut predicate = Self::default();
        let add = |tests: &mut Vec<Test>, values: &[String], test: &dyn Fn() -> Test| {
            if !values.is_empty() {
                tests.push(test());
            }
        };
        // The cheapest tests first: the course may need the payload.
        let c = conditions;
        let (required, excluded) = (&mut predicate.required, &mut predicate.excluded);
        add(required, &c.sites, &|| Test::Site(c.sites.clone()));
        add(required, &c.event_types, &|| Test::EventType(patterns(&c.event_types)));
        add(required, &c.event_sources, &|| Test::EventSource(patterns(&c.event_sources)));
        add(required, &c.users, &|| user_test(&c.users));
        if c.since.is_some() || c.until.is_some() {
            required.push(Test::Time { by: c.by, since: c.since, until: c.until });
        }
        add(required, &c.courses, &|| Test::Course(patterns(&c.courses)));
        add(required, &c.orgs, &|| Test::Org(folded(&c.orgs)));
        add(excluded, &c.exclude_sites, &|| Test::Site(c.exclude_sites.clone()));
        let exclude = &c.exclude_event_types;
        add(excluded, exclude, &|| Test::EventType(patterns(exclude)));
        let exclude = &c.exclude_event_sources;
        add(excluded, exclude, &|| Test::EventSource(patterns(exclude)));
        add(excluded, &c.exclude_users, &|| user_test(&c.exclude_users));
        add(excluded, &c.exclude_courses, &|| Test::Course(patterns(&c.exclude_courses)));
        add(excluded, &c.exclude_orgs, &|| Test::Org(folded(&c.exclude_orgs)));
        for text in &c.expressions {
            let expression = parse_expression(text)
                .map_err(|error| Error::config(format!("--where: {}", error.pointing_at(text))))?;
            required.push(Test::Where(Where::new(expression)?));
        }
        Ok(predicate)
    }

    /// Selects what one of the queries selects.
    pub fn any(queries: Vec<Arc<Query>>) -> Self {
        Self { required: vec![Test::Any(queries)], excluded: Vec::new() }
    }

    /// What every selected event passes.
    pub(crate) fn required(&self) -> &[Test] {
        &self.required
    }

    /// Whether the event is selected.
    pub fn matches(&self, event: &Event<'_>, place: Place<'_>) -> bool {
        self.required.iter().all(|test| test.matches(event, place))
            && !self.excluded.iter().any(|test| test.matches(event, place))
    }

    /// Which of several queries want the event: a bit for each. Where there is one, all bits or
    /// none.
    pub fn wanted(&self, event: &Event<'_>, place: Place<'_>) -> u64 {
        let bit = |(at, query): (usize, &Arc<Query>)| {
            u64::from(query.predicate.matches(event, place)) << at
        };
        match self.required.as_slice() {
            [Test::Any(queries)] => queries.iter().enumerate().map(bit).sum(),
            _ if self.matches(event, place) => u64::MAX,
            _ => 0,
        }
    }

    /// What every selected line must hold.
    pub fn prefilter(&self) -> Prefilter {
        Prefilter::new(&self.required)
    }

    /// Whether events are chosen by time.
    pub fn has_time(&self) -> bool {
        self.required.iter().any(|test| matches!(test, Test::Time { .. }))
    }
}

fn user_test(users: &[String]) -> Test {
    let ids = users.iter().filter_map(|user| user.trim().parse().ok()).collect();
    Test::User { names: users.iter().cloned().collect(), ids }
}

impl Test {
    fn matches(&self, event: &Event<'_>, place: Place<'_>) -> bool {
        match self {
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
                let Some(time) = received.or_else(|| event.time()) else {
                    return false;
                };
                since.is_none_or(|since| time.micros >= since)
                    && until.is_none_or(|until| time.micros < until)
            }
            Self::Where(expression) => expression.truth(event, place) == Some(true),
            Self::Any(queries) => queries.iter().any(|query| query.predicate.matches(event, place)),
        }
    }
}

/// An expression whose paths are resolved and whose literals have the type of their path.
#[derive(Debug)]
pub(crate) enum Where {
    And(Vec<Where>),
    Or(Vec<Where>),
    Not(Box<Where>),
    Compare { value: Expr, op: Comparison, literal: Literal },
    In { value: Expr, literals: Vec<Literal> },
    Like { value: Expr, pattern: Like },
    IsNull(Expr),
}

impl Where {
    fn new(expression: Expression) -> Result<Self> {
        let negate = |negated: bool, test: Self| {
            if negated { Self::Not(Box::new(test)) } else { test }
        };
        Ok(match expression {
            Expression::And(all) => {
                Self::And(all.into_iter().map(Self::new).collect::<Result<_>>()?)
            }
            Expression::Or(any) => Self::Or(any.into_iter().map(Self::new).collect::<Result<_>>()?),
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
                negate(negated, Self::In { value: Expr::new(path), literals })
            }
            Expression::Like { path, pattern, negated } => {
                negate(negated, Self::Like { value: Expr::new(path), pattern })
            }
            Expression::IsNull { path, negated } => negate(negated, Self::IsNull(Expr::new(path))),
        })
    }

    /// True, false, or unknown: what is compared with null is unknown, and so is its opposite.
    fn truth(&self, event: &Event<'_>, place: Place<'_>) -> Option<bool> {
        match self {
            Self::And(all) => fold(all, event, place, false),
            Self::Or(any) => fold(any, event, place, true),
            Self::Not(inner) => inner.truth(event, place).map(|truth| !truth),
            Self::Compare { value, op, literal } => {
                let ordering = compare(&value.value(event, place), literal)?;
                Some(match op {
                    Comparison::Eq => ordering.is_eq(),
                    Comparison::Ne => ordering.is_ne(),
                    Comparison::Lt => ordering.is_lt(),
                    Comparison::Le => ordering.is_le(),
                    Comparison::Gt => ordering.is_gt(),
                    Comparison::Ge => ordering.is_ge(),
                })
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
                known.then_some(false)
            }
            Self::Like { value, pattern } => {
                Some(pattern.matches(&as_text(&value.value(event, place))?))
            }
            Self::IsNull(value) => Some(value.value(event, place) == Value::Null),
        }
    }
}

/// Joins truths: `decisive` decides alone; unknown wins over the other.
fn fold(all: &[Where], event: &Event<'_>, place: Place<'_>, decisive: bool) -> Option<bool> {
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

/// The value of a path, and the literal as the type that it is compared with.
fn typed(path: Path, literal: Literal) -> Result<(Expr, Literal)> {
    let shown = path.to_string();
    let value = Expr::new(path);
    let literal = match (value.column_type(), literal) {
        (ColumnType::Timestamp, Literal::Text(text)) => {
            let micros = time::parse_bound(&text).ok_or_else(|| {
                let why = "is no time; write a day like 2014-10-01 or an instant like";
                Error::config(format!("--where: {shown}: '{text}' {why} 2014-10-01T12:00:00Z"))
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
        Value::Null => None,
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Int(number) => Some(Cow::Owned(number.to_string())),
        Value::Time(micros) => Some(Cow::Owned(micros.to_string())),
        Value::Float(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
    }
}
