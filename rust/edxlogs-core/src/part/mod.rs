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
use arrow_ipc::writer::FileWriter;
use flate2::write::GzEncoder;

pub use self::output::Output;
use self::spool::{HiddenFile, Spool};
use crate::encode::csv;
use crate::encode::parquet::ParquetWriter;
use crate::error::{Error, Result};
use crate::frame::rejects::Rejects;
use crate::frame::types::Schema;
use crate::scan::{Rows, Sink};

/// Part that is kept as it is until it is appended, in bytes; a larger one is encoded on its own.
pub const SMALL_PART_BYTES: usize = 16 * 1024 * 1024;

/// Rejected lines of a part that stay in memory, in bytes.
const SMALL_REJECTS_BYTES: usize = 1024 * 1024;

/// How JSON Lines are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    None,
    /// As gzip, a member for each stretch.
    Gzip,
    /// As zstd, a frame for each stretch.
    Zstd,
}

/// The format of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// CSV with a header.
    Csv {
        /// Whether cells that a spreadsheet would run are made harmless.
        excel_safe: bool,
    },
    /// The lines themselves.
    JsonLines(Compression),
    /// An Arrow IPC file.
    ArrowIpc,
}

/// A stretch of JSON Lines being compressed.
pub enum Encoder<W: Write> {
    /// Not compressed.
    Plain(W),
    /// As a gzip member.
    Gzip(GzEncoder<W>),
    /// As a zstd frame.
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(output: W, compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(output),
            Compression::Gzip => Self::Gzip(GzEncoder::new(output, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(
                zstd::Encoder::new(output, zstd::DEFAULT_COMPRESSION_LEVEL)
                    .map_err(Error::encode)?,
            ),
        })
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Plain(output) => output.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
        .map_err(Error::encode)
    }

    /// Ends the member or frame.
    pub(crate) fn finish(self) -> Result<W> {
        match self {
            Self::Plain(output) => Ok(output),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
        .map_err(Error::encode)
    }
}

/// What a part holds.
enum Content {
    /// Rows, not encoded yet.
    Batches { batches: Vec<RecordBatch>, bytes: usize },
    /// Rows in an Arrow IPC file, not encoded yet either.
    Spilled(HiddenFile),
    /// Row groups of a Parquet file.
    Parquet(HiddenFile),
    /// Bytes of CSV, or lines not compressed yet.
    Bytes(Spool),
    /// Lines, compressed.
    Compressed(HiddenFile),
    /// More than memory may hold, where there is no place for a hidden file.
    Outgrown,
}

/// How the rows of a part that was kept stand in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// There are none, and no file.
    Nothing,
    /// An Arrow IPC file.
    Batches,
    /// A Parquet file.
    Parquet,
    /// CSV, or lines.
    Bytes,
    /// Compressed lines.
    Compressed,
}

impl Kept {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Nothing, Self::Batches, Self::Parquet, Self::Bytes, Self::Compressed];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Batches => "batches",
            Self::Parquet => "parquet",
            Self::Bytes => "bytes",
            Self::Compressed => "compressed",
        }
    }
}

/// All that one source adds to an output.
pub struct Part {
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
                let mut writer = ipc_writer(&hidden, &batches[0].schema())?;
                for batch in batches.iter() {
                    writer.write(batch).map_err(Error::encode)?;
                }
                writer.finish().map_err(Error::encode)?;
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
        Ok(Self { content, rejects: Spool::new(None, 0), path: None })
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
    Parquet(Box<ParquetWriter<File>>, HiddenFile),
    Ipc(Box<IpcWriter>, HiddenFile),
    Compressed(Box<Encoder<File>>, HiddenFile),
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
            Format::Csv { .. } | Format::JsonLines(_) => {
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
            Writing::Parquet(writer, hidden) => {
                writer.finish()?;
                Content::Parquet(hidden)
            }
            Writing::Ipc(mut writer, hidden) => {
                writer.finish().map_err(Error::encode)?;
                Content::Spilled(hidden)
            }
            Writing::Compressed(encoder, hidden) => {
                encoder.finish()?;
                Content::Compressed(hidden)
            }
        };
        Ok(Part { content, rejects: self.rejects, path: self.path })
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        if let Format::Csv { excel_safe } = self.format {
            self.scratch.clear();
            csv::push_rows(&batch, excel_safe, &mut self.scratch);
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
            Writing::Parquet(writer, _) => writer.write(&batch),
            Writing::Ipc(writer, _) => writer.write(&batch).map_err(Error::encode),
            _ => Ok(()),
        }
    }

    /// Turns to a hidden file: the rows are more than a small part's.
    fn outgrow_batches(&mut self) -> Result<()> {
        let outgrown = Writing::Content(Content::Outgrown);
        let Writing::Content(Content::Batches { batches, .. }) =
            std::mem::replace(&mut self.content, outgrown)
        else {
            return Ok(());
        };
        let Some(path) = &self.path else {
            return Ok(());
        };
        let hidden = HiddenFile::create(path).map_err(Error::encode)?;
        if self.format == Format::ArrowIpc {
            // Its output takes rows as they are.
            let mut writer = ipc_writer(&hidden, self.schema.arrow())?;
            for batch in &batches {
                writer.write(batch).map_err(Error::encode)?;
            }
            self.content = Writing::Ipc(Box::new(writer), hidden);
            return Ok(());
        }
        // Parquet is encoded here, beside other workers.
        let file = hidden.file.try_clone().map_err(Error::encode)?;
        let mut writer = ParquetWriter::new(file, self.schema.clone(), &[])?;
        for batch in &batches {
            writer.write(batch)?;
        }
        self.content = Writing::Parquet(Box::new(writer), hidden);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.content {
            Writing::Content(Content::Bytes(spool)) => {
                let compressed =
                    matches!(self.format, Format::JsonLines(Compression::Gzip | Compression::Zstd));
                if compressed && spool.memory_bytes() + bytes.len() > self.limit {
                    return self.outgrow_lines(bytes);
                }
                spool.write_all(bytes).map_err(Error::encode)
            }
            Writing::Compressed(encoder, _) => encoder.write_all(bytes),
            _ => Ok(()),
        }
    }

    /// Turns to a hidden file of compressed lines.
    fn outgrow_lines(&mut self, bytes: &[u8]) -> Result<()> {
        let outgrown = Writing::Content(Content::Outgrown);
        let content = std::mem::replace(&mut self.content, outgrown);
        let (Some(path), Format::JsonLines(compression)) = (&self.path, self.format) else {
            return Ok(());
        };
        let hidden = HiddenFile::create(path).map_err(Error::encode)?;
        let mut encoder =
            Encoder::new(hidden.file.try_clone().map_err(Error::encode)?, compression)?;
        if let Writing::Content(Content::Bytes(mut spool)) = content {
            let mut lines = Vec::with_capacity(spool.memory_bytes());
            spool.copy_to(&mut lines).map_err(Error::encode)?;
            encoder.write_all(&lines)?;
        }
        encoder.write_all(bytes)?;
        self.content = Writing::Compressed(Box::new(encoder), hidden);
        Ok(())
    }
}

type IpcWriter = FileWriter<BufWriter<File>>;

fn ipc_writer(hidden: &HiddenFile, schema: &arrow_schema::Schema) -> Result<IpcWriter> {
    let file = hidden.file.try_clone().map_err(Error::encode)?;
    FileWriter::try_new_buffered(file, schema).map_err(Error::encode)
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
        rejects.write_to(&mut self.rejects).map_err(Error::encode)
    }
}
