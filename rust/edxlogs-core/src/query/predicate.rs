//! Which events are selected. The predicate alone decides; the prefilter it makes only nominates.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::column::{COLUMNS, EventPlace};
use crate::event_tables::{Candidates, EventTables};
use crate::frame::names::names;
use crate::frame::types::ColumnType;
use crate::json::path::Segment;
use crate::query::expression::{
    Comparison, Expression, Like, Literal, Number, Path, parse_expression,
};
use crate::query::pattern::{Pattern, PatternSet};
use crate::query::prefilter::Prefilter;
use crate::query::projection::Expr;
use crate::time;

mod met;
mod truth;

use self::met::MetConditions;
pub(super) use self::truth::AskedOf;
use self::truth::OfLog;

/// The type of the values at a path.
type KindOf<'k> = &'k dyn Fn(&Path) -> ColumnType;

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
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Their kind.
    pub kind: ConditionKind,
    /// At least one.
    pub values: Vec<String>,
    /// Whether events that meet it are left out.
    pub excluded: bool,
}

/// Conditions as a user gives them, joined by *and*.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Of each query that is asked at once.
    asked: Vec<OfQuery>,
}

/// What one query asks for.
#[derive(Clone, Debug)]
struct OfQuery {
    conditions: Arc<Conditions>,
    test: Arc<Test>,
    /// Which values of its conditions were met.
    met: Arc<MetConditions>,
    /// The table whose rows it asks for, by its number.
    table: Option<(Arc<EventTables>, usize)>,
    /// The first query that has the same conditions.
    same_as: usize,
}

impl Predicate {
    /// The predicate of `conditions`, asked of events.
    ///
    /// # Errors
    /// `Config` for an expression that cannot be read, or a literal that its column cannot equal.
    pub fn new(conditions: &Conditions) -> Result<Self> {
        Self::typed(conditions, &|path| Expr::new(path.clone()).column_type())
    }

    /// The predicate of `conditions`, asked of what has paths of those types.
    ///
    /// # Errors
    /// As of `new`.
    pub(super) fn typed(conditions: &Conditions, kind_of: KindOf<'_>) -> Result<Self> {
        let mut all = Vec::new();
        let Conditions { asked, since, until, by } = conditions;
        if since.is_some() || until.is_some() {
            all.push(Test::Time { by: *by, since: *since, until: *until });
        }
        let mut asked: Vec<&Condition> = asked.iter().collect();
        asked.sort_by_key(|condition| condition.kind);
        for Condition { kind, values, excluded } in asked {
            all.push(Test::of_values(*kind, values, kind_of)?.negated(*excluded));
        }
        let met = Arc::new(MetConditions::of(&conditions.asked, &all));
        let test = Arc::new(Test::And(all));
        let conditions = Arc::new(conditions.clone());
        Ok(Self { asked: vec![OfQuery { conditions, test, met, table: None, same_as: 0 }] })
    }

    /// The same, but only of what may have rows in a table of events.
    #[must_use]
    pub fn of_table(mut self, tables: Arc<EventTables>, number: usize) -> Self {
        for one in &mut self.asked {
            one.table = Some((Arc::clone(&tables), number));
        }
        self
    }

    /// Selects what one of those, which are of one query each, selects.
    pub fn any<'p>(predicates: impl Iterator<Item = &'p Self>) -> Self {
        let mut asked: Vec<OfQuery> = Vec::new();
        for one in predicates.flat_map(|one| &one.asked) {
            let same = asked.iter().position(|other| other.conditions == one.conditions);
            asked.push(OfQuery { same_as: same.unwrap_or(asked.len()), ..one.clone() });
        }
        Self { asked }
    }

    /// Whether the event is selected.
    pub fn matches(&self, event: &Event<'_>, place: EventPlace<'_>) -> bool {
        self.wanted(event, place) != 0
    }

    /// Which of several queries want the event: a bit for each. Where there is one, all bits or
    /// none.
    pub fn wanted(&self, event: &Event<'_>, place: EventPlace<'_>) -> u64 {
        let asked = OfLog { event, place };
        if let [one] = self.asked.as_slice() {
            let wants = one.test.truth(&asked) == Some(true)
                && one.table.as_ref().is_none_or(|(tables, number)| {
                    tables.may_have(*number, event.event_type(), event.name())
                });
            return if wants { u64::MAX } else { 0 };
        }
        let mut selected = 0;
        for (at, one) in self.asked.iter().enumerate() {
            let is_selected = if one.same_as < at {
                selected >> one.same_as & 1 == 1
            } else {
                one.test.truth(&asked) == Some(true)
            };
            selected |= u64::from(is_selected) << at;
        }
        if selected == 0 { 0 } else { self.with_rows(event, selected) }
    }

    /// Those of some queries that an event may have rows for.
    fn with_rows(&self, event: &Event<'_>, selected: u64) -> u64 {
        let mut wanted = 0;
        let mut found: Option<Candidates> = None;
        for (at, one) in self.asked.iter().enumerate() {
            let may = one.table.as_ref().is_none_or(|(tables, number)| {
                let found = found
                    .get_or_insert_with(|| tables.candidates(event.event_type(), event.name()));
                found.contains(*number)
            });
            wanted |= u64::from(may) << at;
        }
        wanted & selected
    }

    /// Notes of a kept event which values of conditions it is of; `place` tells who wants it.
    pub fn note(&self, event: &Event<'_>, place: EventPlace<'_>) {
        for (at, one) in self.asked.iter().enumerate() {
            if place.wanted >> at & 1 == 1 {
                one.met.note(&OfLog { event, place });
            }
        }
    }

    /// The values of conditions that no kept event was of, by kind and place. What is left out has
    /// none, and no expression.
    pub fn unmet(&self) -> Vec<(ConditionKind, usize)> {
        self.asked.iter().flat_map(|one| one.met.unmet()).collect()
    }

    /// The paths of expressions that no kept event held, without their casts.
    pub fn unheld(&self) -> Vec<String> {
        self.asked.iter().flat_map(|one| one.met.unheld()).collect()
    }

    /// Whether one that is asked by a single query is selected.
    pub(super) fn wants(&self, asked: &impl AskedOf) -> bool {
        self.asked.iter().all(|one| one.test.truth(asked) == Some(true))
    }

    /// Looks at all columns and paths that expressions ask for.
    pub(super) fn visit(&self, look: &mut dyn FnMut(&Expr)) {
        self.asked.iter().for_each(|one| one.test.visit(look));
    }

    /// The paths that it looks up.
    pub(super) fn paths(&self) -> Vec<&Arc<[Segment]>> {
        let mut paths = Vec::new();
        self.asked.iter().for_each(|one| one.test.push_paths(&mut paths));
        paths
    }

    /// The test of each query.
    #[cfg(test)]
    pub(super) fn tests(&self) -> impl Iterator<Item = &Test> {
        self.asked.iter().map(|one| &*one.test)
    }

    /// What every selected line must hold.
    pub fn prefilter(&self) -> Prefilter {
        Prefilter::new(self.asked.iter().map(|one| {
            let table = one.table.as_ref().map(|(tables, number)| tables.table(*number));
            (&*one.test, table)
        }))
    }
}

impl Test {
    fn of_values(kind: ConditionKind, values: &[String], kind_of: KindOf<'_>) -> Result<Self> {
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
                let read = |text: &String| Self::new(expression_of(text)?, kind_of);
                Self::And(values.iter().map(read).collect::<Result<_>>()?)
            }
        })
    }

    fn negated(self, is: bool) -> Self {
        if is { Self::Not(Box::new(self)) } else { self }
    }

    /// The test of an expression, whose paths are resolved and whose literals get the type of their
    /// path.
    fn new(expression: Expression, kind_of: KindOf<'_>) -> Result<Self> {
        let all = |members: Vec<Expression>| -> Result<Vec<Self>> {
            members.into_iter().map(|member| Self::new(member, kind_of)).collect()
        };
        Ok(match expression {
            Expression::And(members) => Self::And(all(members)?),
            Expression::Or(members) => Self::Or(all(members)?),
            Expression::Not(inner) => Self::Not(Box::new(Self::new(*inner, kind_of)?)),
            Expression::Compare { path, op, literal } => {
                let (value, literal) = typed(path, literal, kind_of)?;
                Self::Compare { value, op, literal }
            }
            Expression::In { path, literals, negated } => {
                let literals = literals
                    .into_iter()
                    .map(|literal| {
                        typed(path.clone(), literal, kind_of).map(|(_, literal)| literal)
                    })
                    .collect::<Result<_>>()?;
                Self::In { value: Expr::new(path), literals }.negated(negated)
            }
            Expression::Like { path, pattern, negated } => {
                Self::Like { value: Expr::new(path), pattern }.negated(negated)
            }
            Expression::IsNull { path, negated } => Self::IsNull(Expr::new(path)).negated(negated),
        })
    }

    /// Looks at all columns and paths that it asks for.
    fn visit<'t>(&'t self, look: &mut dyn FnMut(&'t Expr)) {
        match self {
            Self::And(members) | Self::Or(members) => {
                members.iter().for_each(|member| member.visit(look));
            }
            Self::Not(inner) => inner.visit(look),
            Self::Compare { value, .. }
            | Self::In { value, .. }
            | Self::Like { value, .. }
            | Self::IsNull(value) => look(value),
            Self::Site(_)
            | Self::Course(_)
            | Self::Org(_)
            | Self::EventType(_)
            | Self::EventSource(_)
            | Self::User { .. }
            | Self::Time { .. } => {}
        }
    }

    fn push_paths<'t>(&'t self, paths: &mut Vec<&'t Arc<[Segment]>>) {
        self.visit(&mut |value| paths.extend(value.path()));
    }
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
fn typed(path: Path, literal: Literal, kind_of: KindOf<'_>) -> Result<(Expr, Literal)> {
    let shown = path.to_string();
    let kind = kind_of(&path);
    let value = Expr::new(path);
    let literal = match (kind, literal) {
        (ColumnType::Timestamp, Literal::Text(text)) => {
            let micros = time::parse_bound(&text).ok_or_else(|| {
                let why = "the value is not a time; write a day like 2014-10-01 or an instant like";
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
