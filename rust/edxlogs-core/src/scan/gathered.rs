//! What is gathered of a source while it is scanned.

use std::ops::{Deref, DerefMut};

use crate::frame::counts::Stats;
use crate::scan::{BATCH_BYTES, BATCH_ROWS, Rows};
use crate::summary::{Counted, Summary};

/// What is gathered of a stretch of a source.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub stats: Stats,
    pub rows: Vec<Rows>,
}

/// How much is gathered: adds up over batches of lines, so that what is handed on together does
/// not depend on which thread gathered it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub rows: usize,
    pub bytes: usize,
}

impl Size {
    pub(crate) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }

    /// Whether it is enough to be handed on.
    pub(crate) fn is_full(self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }
}

/// What a thread counts of a source; it is left where it was taken from when the thread is done.
pub(crate) struct Counting<'q> {
    counted: &'q Counted,
    summary: Summary,
}

impl<'q> Counting<'q> {
    pub(crate) fn new(counted: &'q Counted) -> Self {
        Self { counted, summary: counted.take() }
    }
}

impl Deref for Counting<'_> {
    type Target = Summary;

    fn deref(&self) -> &Summary {
        &self.summary
    }
}

impl DerefMut for Counting<'_> {
    fn deref_mut(&mut self) -> &mut Summary {
        &mut self.summary
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.counted.leave(std::mem::take(&mut self.summary));
    }
}
