//! What is asked of events: which are kept, what is known of them before they are parsed, their
//! columns and their partition.

pub mod columns;
pub mod expression;
pub mod partition;
pub mod pattern;
pub mod predicate;
pub mod prefilter;
pub mod projection;

use std::sync::Arc;

use self::predicate::Predicate;
use self::projection::Projection;
use crate::error::{Error, Result};
use crate::event::paths::EventPaths;
use crate::frame::names::names;
use crate::input::lines::MAX_LINE_BYTES;

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
    paths: EventPaths,
}

/// Most queries that one scan answers: a bit for each.
pub const MOST_QUERIES: usize = 62;

impl Query {
    /// A question to all lines, whatever they need to be read, and without their rejects.
    pub fn new(predicate: Predicate, projection: Projection, collect: Collect) -> Self {
        let columns = projection.columns().iter().filter_map(|column| column.expr.path());
        let paths = EventPaths::new(predicate.paths().into_iter().chain(columns));
        Self {
            predicate,
            projection,
            collect,
            check_full: false,
            strict: false,
            course_from_context: false,
            max_line_bytes: MAX_LINE_BYTES,
            keep_rejects: false,
            paths,
        }
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
        let predicate = Predicate::any(queries.iter().map(|query| &query.predicate));
        let projection = Projection::of_several(&queries);
        Ok(Self {
            check_full: first.check_full,
            strict: first.strict,
            course_from_context: first.course_from_context,
            max_line_bytes: first.max_line_bytes,
            keep_rejects: queries.iter().any(|query| query.keep_rejects),
            ..Self::new(predicate, projection, Collect::Columns)
        })
    }
}
