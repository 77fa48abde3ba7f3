//! Parts: the unit of trust. A part is all that one source adds to an output. It stands aside, in
//! memory while small and else in a hidden file, until the source has passed its checks; then it is
//! appended to the output, or dropped.
//!
//! Small parts are encoded together when they are appended; a large one is encoded by the worker
//! that made it, and copied. Which of the two happens depends on the part alone.

pub mod dataset;
mod output;
pub mod rewrite;
pub mod several;
pub mod split;
pub mod spool;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};

pub use self::output::Output;
use self::spool::{HiddenFile, SMALL_REJECTS_BYTES, Spool};
use crate::encode::{Compression, Format, StretchEncoder, csv};
use crate::error::{Error, Result};
use crate::frame::names::names;
use crate::frame::rejects::Rejects;
use crate::frame::types::Schema;
use crate::scan::{Rows, Sink};

/// Part that is kept as it is until it is appended, in bytes; a larger one is encoded on its own.
pub const SMALL_PART_BYTES: usize = 16 * 1024 * 1024;

/// What a part holds.
enum Content {
    /// Rows, not encoded yet.
    Batches { batches: Vec<RecordBatch>, bytes: usize },
    /// Rows in an Arrow IPC file, not encoded yet either.
    Spilled(HiddenFile),
    /// Row groups of a Parquet file.
    Parquet(HiddenFile),
    /// Rows of CSV, or lines, not compressed yet.
    Bytes(Spool),
    /// The same, compressed.
    Compressed(HiddenFile),
    /// More than memory may hold, where there is no place for a hidden file.
    Outgrown,
}

names! {
    /// How the rows of a part that was kept stand in its file.
    Kept {
        /// There are none, and no file.
        Nothing = "nothing",
        /// An Arrow IPC file.
        Batches = "batches",
        /// A Parquet file.
        Parquet = "parquet",
        /// CSV, or lines.
        Bytes = "bytes",
        /// The same, compressed.
        Compressed = "compressed",
    }
}

/// All that one source adds to an output.
pub struct Part {
    schema: Arc<Schema>,
    content: Content,
    rejects: Spool,
    path: Option<PathBuf>,
}

impl Part {
    /// Whether it could not be kept: its source must be read again.
    pub fn is_outgrown(&self) -> bool {
        match &self.content {
            Content::Outgrown => true,
            Content::Bytes(spool) => spool.is_outgrown(),
            _ => false,
        }
    }

    /// Bytes of memory it takes, about.
    pub fn memory_bytes(&self) -> usize {
        let content = match &self.content {
            Content::Batches { bytes, .. } => *bytes,
            Content::Bytes(spool) => spool.memory_bytes(),
            _ => 0,
        };
        content + self.rejects.memory_bytes()
    }

    /// Moves what is in memory to the hidden file, without encoding it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn spill(&mut self) -> Result<()> {
        match (&mut self.content, &self.path) {
            (Content::Bytes(spool), _) => spool.spill().map_err(Error::encode)?,
            (Content::Batches { batches, .. }, Some(path)) if !batches.is_empty() => {
                let hidden = HiddenFile::create(path).map_err(Error::encode)?;
                let out = BufWriter::new(&hidden.file);
                let mut stretch = StretchEncoder::new(out, Format::ArrowIpc, &self.schema)?;
                batches.iter().try_for_each(|batch| stretch.write(batch))?;
                stretch.finish()?.flush().map_err(Error::encode)?;
                self.content = Content::Spilled(hidden);
            }
            _ => {}
        }
        Ok(())
    }

    /// Moves its rows to a file at `target`, which stays; `open` takes the part up again.
    ///
    /// # Errors
    /// Those of writing; `Internal` for a part without a place for a hidden file.
    pub fn keep(&mut self, target: &Path) -> Result<Kept> {
        self.spill()?;
        let kept = match &mut self.content {
            Content::Batches { batches, .. } if batches.is_empty() => return Ok(Kept::Nothing),
            Content::Bytes(spool) if spool.is_empty() => return Ok(Kept::Nothing),
            Content::Batches { .. } | Content::Outgrown => {
                return Err(Error::internal("a part that cannot be kept"));
            }
            Content::Spilled(hidden) => hidden.keep(target).map(|()| Kept::Batches),
            Content::Parquet(hidden) => hidden.keep(target).map(|()| Kept::Parquet),
            Content::Bytes(spool) => spool.keep(target).map(|()| Kept::Bytes),
            Content::Compressed(hidden) => hidden.keep(target).map(|()| Kept::Compressed),
        };
        kept.map_err(Error::encode)
    }

    /// Takes up a part that was kept. Its rejected lines are elsewhere.
    ///
    /// # Errors
    /// Those of opening.
    pub fn open(path: &Path, kept: Kept) -> Result<Self> {
        let hidden = || HiddenFile::open(path).map_err(Error::encode);
        let content = match kept {
            Kept::Nothing => Content::Batches { batches: Vec::new(), bytes: 0 },
            Kept::Batches => Content::Spilled(hidden()?),
            Kept::Parquet => Content::Parquet(hidden()?),
            Kept::Bytes => Content::Bytes(Spool::open(path).map_err(Error::encode)?),
            Kept::Compressed => Content::Compressed(hidden()?),
        };
        let (schema, rejects) = (Schema::new(Vec::new()), Spool::new(None, 0));
        Ok(Self { schema, content, rejects, path: None })
    }

    /// Copies the rejected lines to `out`.
    ///
    /// # Errors
    /// Those of reading and writing; `Internal` for rejected lines that had no place to go.
    pub fn copy_rejects(&mut self, out: &mut dyn Write) -> Result<()> {
        if self.rejects.is_outgrown() {
            return Err(Error::internal("rejected lines were dropped"));
        }
        self.rejects.copy_to(out).map_err(Error::encode)
    }
}

/// Makes a part of what a scan keeps.
pub struct PartWriter {
    format: Format,
    schema: Arc<Schema>,
    limit: usize,
    path: Option<PathBuf>,
    content: Writing,
    rejects: Spool,
    scratch: Vec<u8>,
}

enum Writing {
    Content(Content),
    Stretch(StretchEncoder<BufWriter<File>>, HiddenFile),
}

impl PartWriter {
    /// A part of at most `limit` bytes in memory; `path` is the place of its hidden file, and
    /// `rejects_path` that of its rejected lines, if there may be any.
    pub fn new(
        format: Format,
        schema: Arc<Schema>,
        limit: usize,
        path: Option<PathBuf>,
        rejects_path: Option<PathBuf>,
    ) -> Self {
        let content = match format {
            Format::Parquet | Format::ArrowIpc => {
                Content::Batches { batches: Vec::new(), bytes: 0 }
            }
            Format::Csv(..) | Format::JsonLines(_) => {
                Content::Bytes(Spool::new(path.clone(), limit))
            }
        };
        Self {
            format,
            schema,
            limit,
            path,
            content: Writing::Content(content),
            rejects: Spool::new(rejects_path, SMALL_REJECTS_BYTES),
            scratch: Vec::new(),
        }
    }

    /// The part, whole.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> Result<Part> {
        let content = match self.content {
            Writing::Content(content) => content,
            Writing::Stretch(stretch, hidden) => {
                stretch.finish()?.flush().map_err(Error::encode)?;
                match self.format {
                    Format::Parquet => Content::Parquet(hidden),
                    Format::ArrowIpc => Content::Spilled(hidden),
                    _ => Content::Compressed(hidden),
                }
            }
        };
        Ok(Part { schema: self.schema, content, rejects: self.rejects, path: self.path })
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        if let Format::Csv(style, _) = self.format {
            self.scratch.clear();
            csv::push_rows(&batch, style, &mut self.scratch);
            let scratch = std::mem::take(&mut self.scratch);
            let result = self.bytes(&scratch);
            self.scratch = scratch;
            return result;
        }
        match &mut self.content {
            Writing::Content(Content::Batches { batches, bytes }) => {
                *bytes += used_bytes(&batch);
                batches.push(batch);
                if *bytes > self.limit {
                    self.outgrow_batches()?;
                }
                Ok(())
            }
            Writing::Stretch(stretch, _) => stretch.write(&batch),
            _ => Ok(()),
        }
    }

    /// Turns to a hidden file, encoded here, beside other workers: the rows are more than a small
    /// part's.
    fn outgrow_batches(&mut self) -> Result<()> {
        if let Writing::Content(Content::Batches { batches, .. }) = self.outgrow()?
            && let Writing::Stretch(stretch, _) = &mut self.content
        {
            batches.iter().try_for_each(|batch| stretch.write(batch))?;
        }
        Ok(())
    }

    /// Turns to a hidden file, if there is a place for one; what was in memory.
    fn outgrow(&mut self) -> Result<Writing> {
        let grown = match &self.path {
            Some(path) => {
                let hidden = HiddenFile::create(path).map_err(Error::encode)?;
                let file = BufWriter::new(hidden.file.try_clone().map_err(Error::encode)?);
                Writing::Stretch(StretchEncoder::new(file, self.format, &self.schema)?, hidden)
            }
            None => Writing::Content(Content::Outgrown),
        };
        Ok(std::mem::replace(&mut self.content, grown))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.content {
            Writing::Content(Content::Bytes(spool)) => {
                let compressed = self.format.compression() != Compression::None;
                if compressed && spool.memory_bytes() + bytes.len() > self.limit {
                    return self.outgrow_lines(bytes);
                }
                spool.write_all(bytes).map_err(Error::encode)
            }
            Writing::Stretch(stretch, _) => stretch.text(bytes),
            _ => Ok(()),
        }
    }

    /// Turns to a hidden file of compressed text.
    fn outgrow_lines(&mut self, bytes: &[u8]) -> Result<()> {
        let content = self.outgrow()?;
        if let (Writing::Content(Content::Bytes(mut spool)), Writing::Stretch(stretch, _)) =
            (content, &mut self.content)
        {
            let mut lines = Vec::with_capacity(spool.memory_bytes());
            spool.copy_to(&mut lines).map_err(Error::encode)?;
            stretch.text(&lines)?;
            stretch.text(bytes)?;
        }
        Ok(())
    }
}

/// Bytes that the rows of a batch take. Spare room is not counted: it depends on how the batch came
/// about, and what becomes of a part must not.
fn used_bytes(batch: &RecordBatch) -> usize {
    let used = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or_default();
    batch.columns().iter().map(used).sum()
}

impl Sink for PartWriter {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        match rows {
            Rows::Batch(batch, _) => self.batch(batch),
            Rows::Lines(lines) => self.bytes(&lines),
        }
    }

    fn rejects(&mut self, rejects: &Rejects) -> Result<()> {
        rejects.write_to(&mut self.rejects).map_err(|error| self.rejects.error(error))
    }
}
