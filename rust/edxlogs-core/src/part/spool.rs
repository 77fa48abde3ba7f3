//! Bytes of a part: in memory while few, else in a hidden file beside the output.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::hidden::HiddenFile;
use crate::error::Error;
use crate::frame::counts::Reason;
use crate::frame::rejects::push_reject;
use crate::frame::source::SourceInfo;

/// Rejected lines of a part, or of a stretch of a table, that stay in memory, in bytes.
pub(crate) const SMALL_REJECTS_BYTES: usize = 1024 * 1024;

/// Bytes that move to a hidden file once they are many.
#[derive(Debug)]
pub struct Spool {
    memory: Vec<u8>,
    hidden: HiddenFile,
    limit: usize,
    outgrown: bool,
}

impl Spool {
    /// An empty spool of at most `limit` bytes in memory. Without a path for the hidden file, what
    /// goes beyond that is dropped, and the spool is outgrown.
    pub fn new(path: Option<PathBuf>, limit: usize) -> Self {
        Self { memory: Vec::new(), hidden: HiddenFile::new(path), limit, outgrown: false }
    }

    /// The error of a hidden file that cannot be written, which it names.
    pub fn error(&self, error: io::Error) -> Error {
        let error = Error::encode(error);
        match self.hidden.path() {
            Some(path) => error.at_path(path),
            None => error,
        }
    }

    /// Whether bytes were dropped.
    pub fn is_outgrown(&self) -> bool {
        self.outgrown
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory.len()
    }

    /// Lets its open file go until it is wanted.
    pub(super) fn close(&mut self) {
        self.hidden.close();
    }

    /// Copies everything to `out`.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn copy_to(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.hidden.bytes() > 0 {
            io::copy(&mut self.hidden.stretch(0, self.hidden.bytes())?, out)?;
        }
        out.write_all(&self.memory)
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.hidden.bytes() == 0 && !self.outgrown
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.outgrown {
            return Ok(bytes.len());
        }
        if self.memory.len() + bytes.len() > self.limit {
            let memory = std::mem::take(&mut self.memory);
            if !self.hidden.has_place() {
                self.outgrown = true;
                return Ok(bytes.len());
            }
            self.hidden.write_all(&memory)?;
        }
        self.memory.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Rejected rows of a stretch of a table, as a rejects file holds them. Every other byte may be a
/// row that is rejected, so what there are many of does not stay in memory.
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
            let hidden = HiddenFile::nameless(Some(hidden.into()));
            Spool { hidden, ..Spool::new(None, SMALL_REJECTS_BYTES) }
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
        self.spool.as_ref().map_or(Ok(()), |spool| spool.copy_to(out))
    }
}
