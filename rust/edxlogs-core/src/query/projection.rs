//! Which columns an output has: default ones, and what stands at paths.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::column::{COLUMNS, EventColumn, EventPlace};
use crate::event::{Event, as_text, as_time};
use crate::frame::types::{Column, ColumnType, Hint, Schema, Value};
use crate::json::path::Segment;
use crate::json::scanner::Span;
use crate::query::Query;
use crate::query::expression::{Cast, Path, parse_path};
use crate::query::partition::Partitions;
use crate::time;

/// Name of the column that is never written as one: no path can be called so.
const LINE_TEXT: &str = "(line)";

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
    /// Of rows of a table of events, their columns.
    of_table: Option<Arc<Schema>>,
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
        Self { columns, partitions: Vec::new(), tells_queries: false, of_table: None }
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

    /// The columns of a table of events.
    pub fn of_table(schema: Arc<Schema>) -> Self {
        Self { of_table: Some(schema), ..Self::of(Vec::new()) }
    }

    /// Whether it is the line alone.
    pub fn is_of_lines(&self) -> bool {
        self.columns.iter().any(|column| column.expr == Expr::Line)
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
        for (at, query) in queries.iter().enumerate().filter(|(_, query)| query.tables.is_empty()) {
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
        Self { columns, partitions, tells_queries: true, of_table: None }
    }

    /// What rows are told apart by, if they are.
    pub fn partitions(&self) -> Option<&Arc<Partitions>> {
        self.partitions.first().map(|partitioned| &partitioned.partitions)
    }

    /// Which of the numbers beside a row is that of its partition among those.
    pub fn place_of(&self, partitions: &Arc<Partitions>) -> Option<usize> {
        self.partitions.iter().position(|known| Arc::ptr_eq(&known.partitions, partitions))
    }

    /// Whether it is of several queries, which want some of the rows each.
    pub fn tells_queries(&self) -> bool {
        self.tells_queries
    }

    /// The columns.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// The columns as an output has them. Of paths no more is known than their type.
    pub fn schema(&self) -> Arc<Schema> {
        if let Some(schema) = &self.of_table {
            return Arc::clone(schema);
        }
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
