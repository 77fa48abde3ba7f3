//! What is asked of events: which are kept, what is known of them before they are parsed, their
//! columns and their partition.

pub mod columns;
pub mod expression;
pub mod partition;
pub mod pattern;
pub mod predicate;
pub mod prefilter;
pub mod projection;
pub mod stored;
pub mod tables;

use std::sync::Arc;

use self::expression::parse_path;
use self::predicate::Predicate;
use self::projection::Projection;
use self::tables::TableQuery;
use crate::error::{Error, Result};
use crate::event::paths::EventPaths;
use crate::frame::names::names;
use crate::input::lines::MAX_LINE_BYTES;
use crate::json::path::Segment;

names! {
    /// What becomes of kept events.
    Collect {
        /// Their columns.
        Columns = "columns",
        /// Their text, a line each: the original line byte for byte, a mended event as mended.
        Lines = "lines",
        /// As `Lines`, but the line as it stood even if it was mended, once.
        RawLines = "raw_lines",
        /// They are counted.
        Nothing = "nothing",
    }
}

/// A question to logs.
#[derive(Debug)]
pub struct Query {
    /// Which events are kept.
    pub predicate: Predicate,
    /// Their columns, for [`Collect::Columns`].
    pub projection: Projection,
    /// What becomes of them.
    pub collect: Collect,
    /// Whether every line is parsed, those too that cannot match.
    pub check_full: bool,
    /// Whether a line that needs a mend is rejected.
    pub strict: bool,
    /// Whether only `context.course_id` names a course.
    pub course_from_context: bool,
    /// Longest line that is read, in bytes.
    pub max_line_bytes: usize,
    /// Whether rejected lines are kept.
    pub keep_rejects: bool,
    /// The tables of events whose rows it asks for.
    pub tables: Vec<TableQuery>,
    /// Where some of several queries are for tables of events, the bits of the others.
    other_queries: u64,
    time_from: Option<Arc<[Segment]>>,
    paths: EventPaths,
}

/// Most queries that one scan answers: a bit for each.
pub const MOST_QUERIES: usize = 62;

impl Query {
    /// A question to all lines, whatever they need to be read, and without their rejects.
    pub fn new(predicate: Predicate, projection: Projection, collect: Collect) -> Self {
        let mut query = Self {
            predicate,
            projection,
            collect,
            check_full: false,
            strict: false,
            course_from_context: false,
            max_line_bytes: MAX_LINE_BYTES,
            keep_rejects: false,
            tables: Vec::new(),
            other_queries: 0,
            time_from: None,
            paths: EventPaths::default(),
        };
        query.take_time_from(None);
        query
    }

    /// A question for the rows of a table of events, told apart as its `partitions` say.
    pub fn of_table(predicate: Predicate, table: TableQuery) -> Self {
        let its = table.tables.table(table.number);
        let mut projection = Projection::of_table(Arc::clone(its.schema()));
        if let Some(partitions) = &table.partitions {
            projection = projection.partitioned(Arc::clone(partitions));
        }
        let predicate = predicate.of_table(Arc::clone(&table.tables), table.number);
        let mut query = Self::new(predicate, projection, Collect::Columns);
        query.tables.push(table);
        query
    }

    /// Looks for the time of an event at that path first, as it is typed: in the event, else in the
    /// envelopes around it, the innermost first. What has no dots, quotes and brackets is one key.
    ///
    /// # Errors
    /// `Config` for what is no path.
    pub fn look_for_time_at(&mut self, path: &str) -> Result<()> {
        let quoted = format!("\"{path}\"");
        let is_key = !path.is_empty() && !path.contains(['.', '"', '[', ':']);
        let path = if is_key { &quoted } else { path };
        let path = parse_path(path)
            .map_err(|error| Error::config(format!("time-from: {}", error.pointing_at(path))))?;
        if path.cast.is_some() {
            let why = "time-from: has a type of its own; leave the cast out";
            return Err(Error::config(why.to_owned()));
        }
        self.take_time_from(Some(path.segments));
        Ok(())
    }

    fn take_time_from(&mut self, path: Option<Arc<[Segment]>>) {
        let columns = self.projection.columns().iter().filter_map(|column| column.expr.path());
        let paths = self.predicate.paths().into_iter().chain(columns).chain(&path);
        self.paths = EventPaths::new(paths);
        self.time_from = path;
    }

    /// Where some of several queries are for tables of events, the bits of the others.
    pub fn other_queries(&self) -> u64 {
        self.other_queries
    }

    /// The path where the time of an event is looked for first.
    pub fn time_from(&self) -> Option<&Arc<[Segment]>> {
        self.time_from.as_ref()
    }

    /// All paths that it asks of events.
    pub fn paths(&self) -> &EventPaths {
        &self.paths
    }

    /// One scan for several queries, whose rows `SeveralWriter` tells apart.
    /// How lines are read is taken from the first.
    ///
    /// # Errors
    /// `Config` for none, or too many.
    pub fn of_several(queries: Vec<Arc<Self>>) -> Result<Self> {
        let Some(first) = queries.first().filter(|_| queries.len() <= MOST_QUERIES) else {
            let why = format!("queries: {}: must be 1 to {MOST_QUERIES}", queries.len());
            return Err(Error::config(why));
        };
        let mut tables: Vec<TableQuery> = Vec::new();
        for (at, query) in queries.iter().enumerate() {
            for table in &query.tables {
                if tables.iter().any(|other| !Arc::ptr_eq(&other.tables, &table.tables)) {
                    return Err(Error::internal("tables of different definitions"));
                }
                tables.push(TableQuery { query: at, ..table.clone() });
            }
        }
        let others = queries.iter().enumerate().filter(|(_, query)| query.tables.is_empty());
        let other_queries = others.fold(0, |bits, (at, _)| bits | 1 << at);
        let predicate = Predicate::any(queries.iter().map(|query| &query.predicate));
        let projection = Projection::of_several(&queries);
        let mut query = Self::new(predicate, projection, Collect::Columns);
        query.take_time_from(first.time_from.clone());
        Ok(Self {
            check_full: first.check_full,
            strict: first.strict,
            course_from_context: first.course_from_context,
            max_line_bytes: first.max_line_bytes,
            keep_rejects: queries.iter().any(|query| query.keep_rejects),
            tables,
            other_queries,
            ..query
        })
    }
}
