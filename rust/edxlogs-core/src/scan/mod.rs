//! One source against a query: the stages joined, in one thread or in several, line by line in order.

mod gathered;
pub mod line_hashes;
mod line_scanner;
mod pieces;
pub mod pipeline;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow_array::RecordBatch;

use self::line_hashes::LineHashes;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::rejects::Rejects;
use crate::input::text_sum::TextSum;
use crate::query::Query;
use crate::query::columns::Beside;
use crate::query::tables::TableRows;
use crate::summary::Counted;

pub use crate::query::tables::{BATCH_BYTES, BATCH_ROWS};

/// What is asked of one source.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q> {
    /// What is kept of it.
    pub query: &'q Query,
    /// With them, a line that was held before is not kept again.
    pub hashes: Option<&'q LineHashes>,
    /// Is told the text.
    pub sum: Option<&'q TextSum>,
    /// After so many rows nothing more is read; the rows are then provisional, for what follows
    /// them was never checked.
    pub limit: Option<u64>,
    /// Counts what is kept.
    pub counted: Option<&'q Counted>,
}

impl<'q> From<&'q Query> for Asked<'q> {
    fn from(query: &'q Query) -> Self {
        Self { query, hashes: None, sum: None, limit: None, counted: None }
    }
}

/// Kept events of a stretch of a source.
#[derive(Clone, Debug)]
pub enum Rows {
    /// Their columns, and what goes beside them.
    Batch(RecordBatch, Beside),
    /// Their lines, each ended by LF.
    Lines(Vec<u8>),
    /// Rows of one of several tables of events.
    Table(TableRows),
}

/// Consumes what a scan keeps, in the order of the source.
pub trait Sink: Send {
    /// Takes rows.
    ///
    /// # Errors
    /// Any: the scan stops with it.
    fn rows(&mut self, rows: Rows) -> Result<()>;

    /// Takes rejected lines.
    ///
    /// # Errors
    /// Any: the scan stops with it.
    fn rejects(&mut self, rejects: &Rejects) -> Result<()>;
}

/// Whether the caller wants to stop, and how far a scan is: shared with other threads.
#[derive(Debug, Default)]
pub struct Control {
    /// Set to stop.
    pub stop: AtomicBool,
    /// Bytes read of the sources, as they came.
    pub bytes_read: AtomicU64,
    /// Bytes of text scanned.
    pub bytes_expanded: AtomicU64,
}

impl Control {
    /// Fails if the caller wants to stop.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Interrupted));
        }
        Ok(())
    }
}
