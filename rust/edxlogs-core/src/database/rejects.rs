//! Rejected rows of a stretch of a file.

use std::io::{self, Write};
use std::path::Path;

use crate::frame::counts::Reason;
use crate::frame::rejects::push_reject;
use crate::frame::source::SourceInfo;
use crate::part::spool::Spool;

/// Of a stretch, what stays in memory, in bytes. Nearly every byte may be a row that is rejected.
const MEMORY_BYTES: usize = 1024 * 1024;

/// Rejected rows, as a rejects file holds them.
pub struct RejectedRows {
    source: SourceInfo,
    spool: Option<Spool>,
    scratch: Vec<u8>,
    failed: Option<io::Error>,
}

impl RejectedRows {
    /// None so far, of a stretch that begins at that byte; beside `path`, if they are wanted, what
    /// memory is not to hold.
    pub fn new(source: &SourceInfo, path: Option<&Path>, offset: u64) -> Self {
        let spool = path.map(|path| {
            let mut hidden = path.as_os_str().to_owned();
            hidden.push(format!(".{offset}"));
            Spool::nameless(Some(hidden.into()), MEMORY_BYTES)
        });
        Self { source: source.clone(), spool, scratch: Vec::new(), failed: None }
    }

    /// Adds a row.
    pub fn push(&mut self, row: &[u8], line: u64, byte: u64, reason: Reason) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        self.scratch.clear();
        push_reject(&self.source, line, byte, reason, row, None, &mut self.scratch);
        if let Err(error) = spool.write_all(&self.scratch) {
            self.failed.get_or_insert(error);
        }
    }

    /// Whether there are none to be kept.
    pub fn is_empty(&self) -> bool {
        self.failed.is_none() && self.spool.as_ref().is_none_or(Spool::is_empty)
    }

    /// Copies them to `out`.
    ///
    /// # Errors
    /// Those of writing, here or before.
    pub fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.spool.as_mut().map_or(Ok(()), |spool| spool.copy_to(out))
    }
}
