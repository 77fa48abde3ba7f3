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

/// What becomes of kept events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collect {
    /// Their columns.
    Columns,
    /// Their text, a line each: the original line byte for byte, a mended event as mended.
    Lines,
    /// As `Lines`, but the line as it stood even if it was mended, once.
    RawLines,
    /// They are counted.
    Nothing,
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
}

/// Most queries that one scan answers: a bit for each.
pub const MOST_QUERIES: usize = 62;

impl Query {
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
        Ok(Self {
            projection: Projection::of_several(&queries),
            collect: Collect::Columns,
            check_full: first.check_full,
            strict: first.strict,
            course_from_context: first.course_from_context,
            max_line_bytes: first.max_line_bytes,
            keep_rejects: queries.iter().any(|query| query.keep_rejects),
            predicate: Predicate::any(queries.iter().map(|query| &query.predicate)),
        })
    }
}
