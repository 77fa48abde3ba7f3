//! The columns: their names, types and meaning, defined once. The Arrow schema, the documentation
//! page and the tests follow from [`COLUMNS`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::fields::Field;
use crate::event::{Event, as_text, as_time};
use crate::frame::source::SourceInfo;
use crate::frame::types::{Column, ColumnType, Hint, Role, Schema, Value};
use crate::json::path::Segment;
use crate::json::scanner::Span;
use crate::query::Query;
use crate::query::expression::{Cast, Path, parse_path};
use crate::query::partition::Partitions;
use crate::time;

/// Name of the column that is never written as one: no path can be called so.
const LINE_TEXT: &str = "(line)";

/// Where an event stands.
#[derive(Clone, Copy, Debug)]
pub struct EventPlace<'a> {
    /// Its source.
    pub source: &'a SourceInfo,
    /// Number of its line in the source, from 1.
    pub line: u64,
    /// Its number in the line, from 0; more than one only in lines that hold several events.
    pub item: u32,
    /// What JSON Lines write of it: its line as it stood, or its text as mended.
    pub text: &'a [u8],
    /// Which of several queries want it: a bit for each; all bits where there is one query.
    pub wanted: u64,
}

macro_rules! columns {
    ($(
        $item:ident, $name:literal, $type:ident, $hint:ident, $statistics:literal, $role:expr,
        $from:literal, $null:literal;
    )*) => {
        /// A default column.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventColumn { $(#[doc = $from] $item,)* }

        /// The default columns, in order.
        pub const COLUMNS: &[EventColumn] = &[$(EventColumn::$item,)*];

        impl EventColumn {
            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$item => $name,)* }
            }

            /// Its type.
            pub fn column_type(self) -> ColumnType {
                match self { $(Self::$item => ColumnType::$type,)* }
            }

            /// What it tells of a person, if anything.
            pub fn role(self) -> Option<Role> {
                match self { $(Self::$item => $role,)* }
            }

            /// What it holds, and where that comes from.
            pub fn from_where(self) -> &'static str {
                match self { $(Self::$item => $from,)* }
            }

            /// When it is null; empty for never.
            pub fn null_when(self) -> &'static str {
                match self { $(Self::$item => $null,)* }
            }

            /// All that an output need know of it.
            pub(super) fn definition(self) -> Column {
                let (hint, statistics) = match self { $(Self::$item => (Hint::$hint, $statistics),)* };
                Column {
                    nullable: !self.null_when().is_empty(),
                    hint,
                    statistics,
                    role: self.role(),
                    ..Column::new(self.name(), self.column_type())
                }
            }
        }
    };
}

// Name, type, how its values lie, whether ranges are asked of it, role, origin, null rule.
columns! {
    Time, "time", Timestamp, Grows, true, None, "When it happened: `time` (UTC). The device's clock for mobile events", "no readable time";
    ReceivedAt, "received_at", Timestamp, Plain, true, None, "When the server received it: `context.received_at`; decides the day of the file", "absent or unreadable (all but mobile events)";
    EventType, "event_type", Text, Plain, true, None, "`event_type`; a URL path for implicit events; `name` where `event_type` is absent or empty", "both are absent or empty";
    Name, "name", Text, Plain, true, None, "`name`: the modern name, beside the older one in `event_type`", "absent or empty (older lines)";
    EventSource, "event_source", Text, Plain, true, None, "`event_source`: server, browser, mobile or task", "absent";
    CourseId, "course_id", Text, Plain, true, None, "The course, in its own form, by the rules of `course_source`", "no rule finds one";
    CourseSource, "course_source", Text, Plain, true, None, "Which rule found the course: context, top, payload, usage_key, url or request", "no course";
    OrgId, "org_id", Text, Plain, true, None, "Organisation of `course_id`; without a course, `context.org_id`", "neither";
    Site, "site", Text, Plain, true, None, "Site in the name of the source: prod, edge, …; user ids of two sites are different people", "the name tells none";
    UserId, "user_id", Int64, Plain, true, Some(Role::PersonId), "Who acted: `context.user_id`", "anonymous, or no 64-bit integer";
    Username, "username", Text, Plain, true, Some(Role::Username), "Who acted: `username`, white space trimmed; empty for anonymous", "absent or null";
    Session, "session", Text, Plain, false, Some(Role::PersonId), "`session`", "absent or null";
    Ip, "ip", Text, Plain, false, Some(Role::Address), "`ip`", "absent or null";
    Agent, "agent", Text, Plain, false, Some(Role::FreeText), "`agent`: the browser's own description", "absent or null";
    Host, "host", Text, Plain, false, Some(Role::Address), "`host`", "absent or null";
    Page, "page", Text, Plain, false, Some(Role::Address), "`page`: URL of the page, or `x_module`", "absent or null (most server events)";
    Referer, "referer", Text, Plain, false, Some(Role::Address), "`referer`", "absent or null (before 2015)";
    AcceptLanguage, "accept_language", Text, Plain, false, Some(Role::FreeText), "`accept_language`", "absent or null (before 2015)";
    Path, "path", Text, Plain, false, Some(Role::Address), "`context.path`: path of the request", "absent or null (before 2014)";
    Context, "context", Text, Long, false, Some(Role::FreeText), "`context` as JSON text", "absent or null (before late 2013)";
    Event, "event", Text, Long, false, Some(Role::FreeText), "The payload `event` as JSON text: an object or array as written; a string decoded once, then as it is where it is JSON, else as a JSON string", "absent or null";
    Source, "source", Text, Plain, true, None, "The file that held the line, as named below", "";
    Line, "line", Int64, Grows, true, None, "Number of the line in its source, from 1", "";
    LineItem, "line_item", Int64, Plain, true, None, "Number of the event in its line, from 0: above 0 only where a line holds several events", "";
}

impl EventColumn {
    /// The field that it copies, and the one in `context` that stands in where the line lacks the
    /// first.
    pub(crate) fn copies(self) -> Option<(Field, Field)> {
        Some(match self {
            Self::EventSource => (Field::EventSource, Field::ContextEventSource),
            Self::Session => (Field::Session, Field::ContextSession),
            Self::Ip => (Field::Ip, Field::ContextIp),
            Self::Agent => (Field::Agent, Field::ContextAgent),
            Self::Host => (Field::Host, Field::ContextHost),
            Self::Page => (Field::Page, Field::ContextPage),
            Self::Referer => (Field::Referer, Field::ContextReferer),
            Self::AcceptLanguage => (Field::AcceptLanguage, Field::ContextAcceptLanguage),
            Self::Path => (Field::ContextPath, Field::ContextPath),
            _ => return None,
        })
    }

    /// The value for an event.
    pub fn value<'e>(self, event: &'e Event<'_>, place: EventPlace<'e>) -> Value<'e> {
        if let Some((field, copy)) = self.copies() {
            return event.text_or_context(field, copy).into();
        }
        match self {
            Self::Time => event.time().map_or(Value::Null, |time| Value::Time(time.micros)),
            Self::ReceivedAt => {
                event.received_at().map_or(Value::Null, |time| Value::Time(time.micros))
            }
            Self::EventType => event.event_type().into(),
            Self::Name => event.name().into(),
            Self::CourseId => {
                event.course().map(|course| Cow::Borrowed(course.key.as_ref())).into()
            }
            Self::CourseSource => {
                event.course().map(|course| Cow::Borrowed(course.source.as_str())).into()
            }
            Self::OrgId => event.org_id().into(),
            Self::Site => place.source.site.as_deref().map(Cow::Borrowed).into(),
            Self::UserId => event.user_id().map_or(Value::Null, Value::Int),
            Self::Username => event.username().into(),
            Self::Context => event.context_json().into(),
            Self::Event => event.payload_json().into(),
            Self::Source => Value::Text(Cow::Borrowed(&place.source.name)),
            Self::Line => Value::Int(place.line as i64),
            Self::LineItem => Value::Int(i64::from(place.item)),
            // These copy a field, above.
            Self::EventSource
            | Self::Session
            | Self::Ip
            | Self::Agent
            | Self::Host
            | Self::Page
            | Self::Referer
            | Self::AcceptLanguage
            | Self::Path => Value::Null,
        }
    }
}

/// What an output column holds: a default column, or the value at a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A default column.
    Column(EventColumn),
    /// The value at a path into the event.
    Path(Path),
    /// The line, for datasets of JSON Lines.
    Line,
}

/// The partitions that events are told apart by.
#[derive(Clone, Debug)]
pub struct Partitioned {
    partitions: Arc<Partitions>,
    /// The bits of the queries whose partitions they are; events of others belong to none.
    queries: u64,
}

impl Partitioned {
    /// The number of an event's partition; of one that belongs to none, any.
    pub(super) fn number(&self, event: &Event<'_>, place: EventPlace<'_>) -> u32 {
        if place.wanted & self.queries == 0 { 0 } else { self.partitions.number(event, place) }
    }
}

impl Expr {
    /// A path of one step without a cast that names a default column is that column.
    pub fn new(path: Path) -> Self {
        if let ([Segment::Key(name)], None) = (&path.segments[..], path.cast)
            && let Some(&column) = COLUMNS.iter().find(|column| column.name() == name)
        {
            return Self::Column(column);
        }
        Self::Path(path)
    }

    /// The path that it looks up.
    pub(crate) fn path(&self) -> Option<&Arc<[Segment]>> {
        match self {
            Self::Path(path) => Some(&path.segments),
            _ => None,
        }
    }

    /// Its type.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Column(column) => column.column_type(),
            Self::Line => ColumnType::Text,
            Self::Path(path) => match path.cast {
                None => ColumnType::Text,
                Some(Cast::Float64) => ColumnType::Float64,
                Some(Cast::Int64) => ColumnType::Int64,
                Some(Cast::Bool) => ColumnType::Bool,
                Some(Cast::Timestamp) => ColumnType::Timestamp,
            },
        }
    }

    /// Its value for an event. A path is text (strings bare, anything else as JSON text) unless it
    /// is cast; a cast that fails is null.
    pub fn value<'e>(&self, event: &'e Event<'_>, place: EventPlace<'e>) -> Value<'e> {
        match self {
            Self::Column(column) => column.value(event, place),
            Self::Line => Value::Text(String::from_utf8_lossy(place.text)),
            Self::Path(path) => match event.at_path(&path.segments) {
                Some((text, span)) => cast(text, span, path.cast),
                None => Value::Null,
            },
        }
    }
}

/// The value that JSON text is, read as that type.
pub(super) fn cast(text: &str, span: Span, cast: Option<Cast>) -> Value<'_> {
    match (as_text(text, span), cast) {
        (Some(_), Some(Cast::Timestamp)) => {
            as_time(text, span).map_or(Value::Null, |t| Value::Time(t.micros))
        }
        (Some(raw), Some(cast)) => cast_text(&raw, cast),
        (raw, _) => raw.into(),
    }
}

/// The value of a bare text, read as that type.
pub(super) fn cast_text(raw: &str, cast: Cast) -> Value<'static> {
    match cast {
        Cast::Float64 => parse_number(raw).map_or(Value::Null, Value::Float),
        Cast::Int64 => {
            let whole = |number: f64| number.fract() == 0.0 && number.abs() < 9.0e15;
            let float = || parse_number(raw).filter(|&n| whole(n)).map(|n| n as i64);
            raw.trim().parse().ok().or_else(float).map_or(Value::Null, Value::Int)
        }
        Cast::Bool => match raw {
            "true" | "True" | "1" => Value::Bool(true),
            "false" | "False" | "0" => Value::Bool(false),
            _ => Value::Null,
        },
        Cast::Timestamp => {
            let read = time::parse(raw).or_else(|| time::parse_digits(raw));
            read.map_or(Value::Null, |t| Value::Time(t.micros))
        }
    }
}

/// A finite number written in decimal.
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+' || c == '.') {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A named output column.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Its name in the output: that which was asked for, or its path without the cast.
    pub name: String,
    /// What it holds.
    pub expr: Expr,
}

impl OutputColumn {
    /// Whether it is written as a column.
    pub fn is_written(&self) -> bool {
        self.expr != Expr::Line
    }
}

impl FromStr for OutputColumn {
    type Err = Error;

    /// Reads `path` or `name=path`.
    fn from_str(text: &str) -> Result<Self> {
        let named = text.split_once('=').map(|(name, path)| (name.trim(), path));
        let named = named.filter(|(name, _)| is_name(name));
        let text = named.map_or(text, |(_, path)| path);
        let path = parse_path(text)
            .map_err(|error| Error::config(format!("columns: {}", error.pointing_at(text))))?;
        let known = |name: &str| COLUMNS.iter().any(|column| column.name() == name);
        if let Some((name, path)) = named
            && known(name)
            && path.trim() != name
        {
            let why = format!("column {name}: is one of edxlogs' own; take another name");
            return Err(Error::config(why));
        }
        if let ([Segment::Key(name)], Some(_)) = (&path.segments[..], path.cast)
            && known(name)
        {
            let why = format!("column {name}: has a type of its own; leave the cast out");
            return Err(Error::config(why));
        }
        let name = named.map_or_else(
            || Path { cast: None, ..path.clone() }.to_string(),
            |(name, _)| name.to_owned(),
        );
        Ok(Self { name, expr: Expr::new(path) })
    }
}

/// Whether a text can stand for a column without quotes, in SQL too.
fn is_name(text: &str) -> bool {
    !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for OutputColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Columns of an output, at most: each takes memory of its own.
const MOST_COLUMNS: usize = 1000;

/// Which columns the output has, in order, and which numbers go beside its rows.
#[derive(Clone, Debug)]
pub struct Projection {
    columns: Vec<OutputColumn>,
    /// What rows are told apart by, for datasets; one for each of several queries that differ in it.
    pub(super) partitions: Vec<Partitioned>,
    /// Whether the line and the queries that want it go beside a row.
    pub(super) tells_queries: bool,
}

impl Default for Projection {
    fn default() -> Self {
        let column = |column: &EventColumn| OutputColumn {
            name: column.name().to_owned(),
            expr: Expr::Column(*column),
        };
        Self::of(COLUMNS.iter().map(column).collect())
    }
}

impl Projection {
    fn of(columns: Vec<OutputColumn>) -> Self {
        Self { columns, partitions: Vec::new(), tells_queries: false }
    }

    /// The columns named, in that order.
    ///
    /// # Errors
    /// `Config` for a name that is no path, a name given twice, or none.
    pub fn new<S: AsRef<str>>(names: &[S]) -> Result<Self> {
        if names.len() > MOST_COLUMNS {
            let why = format!("columns: {} are named; name {MOST_COLUMNS} at most", names.len());
            return Err(Error::config(why));
        }
        let mut columns: Vec<OutputColumn> = Vec::with_capacity(names.len());
        for name in names {
            let column: OutputColumn = name.as_ref().parse()?;
            if columns.iter().any(|other| other.name == column.name) {
                return Err(Error::config(format!("column {column}: named twice; name it once")));
            }
            columns.push(column);
        }
        if columns.is_empty() {
            return Err(Error::config("columns: none named; name one or more".to_owned()));
        }
        Ok(Self::of(columns))
    }

    /// The line alone, for a dataset of JSON Lines.
    pub fn of_lines() -> Self {
        Self::of(vec![OutputColumn { name: LINE_TEXT.to_owned(), expr: Expr::Line }])
    }

    /// The same columns, and beside them the number of the partition.
    #[must_use]
    pub fn partitioned(mut self, partitions: Arc<Partitions>) -> Self {
        self.partitions = vec![Partitioned { partitions, queries: u64::MAX }];
        self
    }

    /// The columns of several queries, each once, and beside them their partitions, the line, and
    /// which queries want the event.
    pub fn of_several(queries: &[Arc<Query>]) -> Self {
        let mut columns: Vec<OutputColumn> = Vec::new();
        for column in queries.iter().flat_map(|query| query.projection.columns()) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        let mut partitions: Vec<Partitioned> = Vec::new();
        for (at, query) in queries.iter().enumerate() {
            let Some(own) = query.projection.partitions() else {
                continue;
            };
            match partitions.iter_mut().find(|known| Arc::ptr_eq(&known.partitions, own)) {
                Some(known) => known.queries |= 1 << at,
                None => {
                    partitions.push(Partitioned { partitions: Arc::clone(own), queries: 1 << at });
                }
            }
        }
        Self { columns, partitions, tells_queries: true }
    }

    /// What rows are told apart by, if they are.
    pub fn partitions(&self) -> Option<&Arc<Partitions>> {
        self.partitions.first().map(|partitioned| &partitioned.partitions)
    }

    /// Which of the numbers beside a row is that of its partition among those.
    pub fn place_of(&self, partitions: &Arc<Partitions>) -> Option<usize> {
        self.partitions.iter().position(|known| Arc::ptr_eq(&known.partitions, partitions))
    }

    /// The columns.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// The columns as an output has them. Of paths no more is known than their type.
    pub fn schema(&self) -> Arc<Schema> {
        let column = |column: &OutputColumn| {
            let (name, column_type) = (column.name.as_str(), column.expr.column_type());
            match &column.expr {
                Expr::Column(column) => Column { name: name.into(), ..column.definition() },
                Expr::Path(_) => Column::new(name, column_type),
                Expr::Line => {
                    Column { nullable: false, hint: Hint::Long, ..Column::new(name, column_type) }
                }
            }
        };
        Schema::new(self.columns.iter().map(column).collect())
    }
}
