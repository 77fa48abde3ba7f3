//! Bytes of a part: in memory while few, else in a hidden file beside the output.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::file::create_private;
use crate::frame::counts::Reason;
use crate::frame::rejects::push_reject;
use crate::frame::source::SourceInfo;

/// Rejected lines of a part, or of a stretch of a table, that stay in memory, in bytes.
pub(crate) const SMALL_REJECTS_BYTES: usize = 1024 * 1024;

/// A file that is deleted when it is dropped, unless it is kept.
#[derive(Debug)]
pub struct HiddenFile {
    /// The open file.
    pub file: File,
    /// None for one that stays.
    path: Option<PathBuf>,
}

impl HiddenFile {
    /// Makes it.
    ///
    /// # Errors
    /// Those of opening.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: create_private(path)?, path: Some(path.to_owned()) })
    }
}

impl HiddenFile {
    /// Opens one that a run before left.
    ///
    /// # Errors
    /// Those of opening.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, path: None })
    }

    /// Takes its name away: it is gone with whoever has it open, however that ends.
    fn unname(&mut self) -> io::Result<()> {
        self.path.take().map_or(Ok(()), std::fs::remove_file)
    }

    /// Gives it a name that stays.
    ///
    /// # Errors
    /// Those of renaming.
    pub fn keep(&mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = self.path.take() {
            std::fs::rename(path, target)?;
        }
        Ok(())
    }
}

impl Drop for HiddenFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nothing can be done about a file that is gone already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Bytes that move to a hidden file once they are many.
#[derive(Debug)]
pub struct Spool {
    memory: Vec<u8>,
    file: Option<HiddenFile>,
    path: Option<PathBuf>,
    limit: usize,
    written: u64,
    outgrown: bool,
    is_nameless: bool,
}

impl Spool {
    /// An empty spool of at most `limit` bytes in memory. Without a path for the hidden file, what
    /// goes beyond that is dropped, and the spool is outgrown.
    pub fn new(path: Option<PathBuf>, limit: usize) -> Self {
        let (memory, file, written) = (Vec::new(), None, 0);
        Self { memory, file, path, limit, written, outgrown: false, is_nameless: false }
    }

    /// The same, but the hidden file has its name no longer than it takes to open it.
    pub fn nameless(path: Option<PathBuf>, limit: usize) -> Self {
        Self { is_nameless: true, ..Self::new(path, limit) }
    }

    /// The error of a hidden file that cannot be written, which it names.
    pub fn error(&self, error: io::Error) -> Error {
        let error = Error::encode(error);
        match &self.path {
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

    /// Moves what is in memory to the hidden file.
    ///
    /// # Errors
    /// Those of writing.
    pub fn spill(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = self.file.insert(HiddenFile::create(path)?);
                if self.is_nameless {
                    file.unname()?;
                }
                file
            }
        };
        file.file.write_all(&self.memory)?;
        self.memory = Vec::new();
        Ok(())
    }

    /// Copies everything to `out`.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(hidden) = &mut self.file {
            hidden.file.rewind()?;
            io::copy(&mut (&hidden.file).take(u64::MAX), out)?;
        }
        out.write_all(&self.memory)
    }

    /// A spool of what a run before left in a file.
    ///
    /// # Errors
    /// Those of opening.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut spool = Self::new(None, 0);
        spool.file = Some(HiddenFile::open(path)?);
        Ok(spool)
    }

    /// Moves everything to a file that stays.
    ///
    /// # Errors
    /// Those of writing.
    pub fn keep(&mut self, target: &Path) -> io::Result<()> {
        self.spill()?;
        match &mut self.file {
            Some(file) => file.keep(target),
            None => Ok(()),
        }
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.written == 0
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len() as u64;
        if self.outgrown {
            return Ok(bytes.len());
        }
        if self.memory.len() + bytes.len() > self.limit {
            if self.path.is_none() {
                self.outgrown = true;
                self.memory = Vec::new();
                return Ok(bytes.len());
            }
            self.spill()?;
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
            Spool::nameless(Some(hidden.into()), SMALL_REJECTS_BYTES)
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
