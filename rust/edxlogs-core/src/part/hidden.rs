//! Hidden files beside an output: what memory is not to hold of rows that wait for a verdict.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};

use crate::file::create_private;

/// Of a stretch, what is read at a time.
const BUFFER_BYTES: u64 = 64 * 1024;

/// A file that is made when something is written to it, and deleted when it is dropped.
#[derive(Debug, Default)]
pub(super) struct HiddenFile {
    /// None without a place for it, and once its name is no more, or another's.
    path: Option<PathBuf>,
    file: Option<Arc<File>>,
    end: u64,
    is_nameless: bool,
}

impl HiddenFile {
    /// One to be made at that path, if there is a place for it.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path, file: None, end: 0, is_nameless: false }
    }

    /// The same, but it has its name no longer than it takes to open it: it is gone with whoever has
    /// it open, however that ends.
    pub(super) fn nameless(path: Option<PathBuf>) -> Self {
        Self { path, file: None, end: 0, is_nameless: true }
    }

    /// Opens one that a run before has kept; it stays.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        Ok(Self { path: None, file: Some(Arc::new(file)), end, is_nameless: false })
    }

    /// Where it is, or will be.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether it can be written to.
    pub(super) fn has_place(&self) -> bool {
        self.path.is_some() || self.file.is_some()
    }

    /// What was written.
    pub(super) fn bytes(&self) -> u64 {
        self.end
    }

    /// Lets the open file go until it is wanted: many may wait.
    pub(super) fn close(&mut self) {
        self.file.take_if(|_| self.path.is_some());
    }

    /// Gives it a name that stays.
    pub(super) fn keep(&mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = Some(self.opened()?);
            std::fs::rename(path, target)?;
            self.path = None;
        }
        Ok(())
    }

    /// A stretch of it, to be read.
    pub(super) fn stretch(&self, offset: u64, length: u64) -> io::Result<Stretch> {
        Ok(Stretch { file: self.opened()?, at: offset, end: offset + length })
    }

    /// The file, which is there.
    fn opened(&self) -> io::Result<Arc<File>> {
        match (&self.file, &self.path) {
            (Some(file), _) => Ok(Arc::clone(file)),
            (None, Some(path)) => {
                Ok(Arc::new(OpenOptions::new().read(true).append(true).open(path)?))
            }
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The file, made if it is not there yet.
    pub(super) fn made(&mut self) -> io::Result<Arc<File>> {
        if let (None, 0, Some(path)) = (&self.file, self.end, &self.path) {
            self.file = Some(Arc::new(create_private(path)?));
            if self.is_nameless {
                self.path.take().map_or(Ok(()), std::fs::remove_file)?;
            }
        }
        let file = self.opened()?;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }
}

impl Write for HiddenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&*self.made()?).write(bytes)?;
        self.end += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for HiddenFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take().filter(|_| self.end > 0 || self.file.is_some()) {
            // Nothing can be done about a file that is gone already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A stretch of a hidden file; threads may read the file at once.
pub(super) struct Stretch {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Length for Stretch {
    fn len(&self) -> u64 {
        self.end - self.at
    }
}

/// As a file of its own, with Parquet in it.
impl ChunkReader for Stretch {
    type T = BufReader<Self>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let rest = Self { file: Arc::clone(&self.file), at: self.at + start, end: self.end };
        let capacity = rest.len().min(BUFFER_BYTES) as usize;
        Ok(BufReader::with_capacity(capacity, rest))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.at + start)?;
        Ok(bytes.into())
    }
}
