//! Parts: the unit of trust. A part is all that one source adds to an output. It stands aside, in
//! memory while small and else in a hidden file, until the source has passed its checks; then it
//! joins the output, or is dropped.
//!
//! A dataset has rows of many partitions, told apart in each part; a single file is one partition.
//! Small parts are encoded together when they join the output; a large one is encoded by the worker
//! that made it, and copied. Which of the two happens depends on the part alone.

pub mod dataset;
mod hidden;
mod output;
pub mod rewrite;
pub mod several;
pub mod spool;
mod writer;

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;

use self::hidden::HiddenFile;
pub use self::output::Output;
use self::spool::Spool;
pub use self::writer::PartWriter;
use crate::error::{Error, Result};
use crate::frame::names::names;
use crate::frame::nulls;

/// Part that is kept as it is until it is appended, in bytes; a larger one is encoded on its own.
pub const SMALL_PART_BYTES: usize = 16 * 1024 * 1024;

names! {
    /// How rows stand in a hidden file.
    Form {
        /// As Arrow IPC streams, not encoded yet.
        Batches = "batches",
        /// As a Parquet file.
        Parquet = "parquet",
        /// As CSV, or lines.
        Bytes = "bytes",
        /// The same, compressed.
        Compressed = "compressed",
    }
}

/// Rows of one partition, in their order. They are counted where there are several partitions.
enum Portion {
    /// Not encoded yet.
    Batch(RecordBatch),
    /// Not encoded yet, and still among those of other partitions: (number of the batch, row).
    Chosen { gathered: Arc<Vec<RecordBatch>>, places: Vec<(usize, usize)>, bytes: usize },
    /// Lines, or CSV without a header, not compressed yet.
    Text { text: Vec<u8>, rows: u64 },
    /// In the hidden file.
    Hidden { form: Form, offset: u64, length: u64, rows: u64 },
}

impl Portion {
    fn rows(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.num_rows() as u64,
            Self::Chosen { places, .. } => places.len() as u64,
            Self::Text { rows, .. } | Self::Hidden { rows, .. } => *rows,
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Batch(batch) => used_bytes(batch),
            Self::Chosen { bytes, .. } => *bytes,
            Self::Text { text, .. } => text.len(),
            Self::Hidden { .. } => 0,
        }
    }
}

/// All that one source adds to an output: its rows, by partition.
pub struct Part {
    partitions: BTreeMap<u32, Vec<Portion>>,
    hidden: HiddenFile,
    rejects: Spool,
    is_outgrown: bool,
}

impl Part {
    /// Whether it could not be kept, as it is more than memory may hold and there is no place for a
    /// hidden file: its source must be read again.
    pub fn is_outgrown(&self) -> bool {
        self.is_outgrown
    }

    /// Bytes of memory it takes, about.
    pub fn memory_bytes(&self) -> usize {
        let portions = self.partitions.values().flatten();
        portions.map(Portion::memory_bytes).sum::<usize>() + self.rejects.memory_bytes()
    }

    /// Moves what is in memory to the hidden file, if there is a place for it, without encoding it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn spill(&mut self) -> Result<()> {
        if !self.hidden.has_place() {
            return Ok(());
        }
        for portion in self.partitions.values_mut().flatten() {
            *portion = match &*portion {
                Portion::Batch(batch) => hide_batch(&mut self.hidden, batch)?,
                Portion::Chosen { gathered, places, .. } => {
                    let batch = nulls::chosen(gathered, places).map_err(Error::encode)?;
                    hide_batch(&mut self.hidden, &batch)?
                }
                Portion::Text { text, rows } => {
                    hide(&mut self.hidden, Form::Bytes, *rows, |out| {
                        out.write_all(text).map_err(Error::encode)
                    })?
                }
                Portion::Hidden { .. } => continue,
            };
        }
        self.hidden.close();
        Ok(())
    }

    /// Moves its rows, of one partition, to a file at `target`, which stays, for `open` to take the
    /// part up again; how they stand there, or None if there are none.
    ///
    /// # Errors
    /// Those of writing; `Internal` for a part without a place for a hidden file.
    pub fn keep(&mut self, target: &Path) -> Result<Option<Form>> {
        self.spill()?;
        let portions: Vec<&Portion> = self.partitions.values().flatten().collect();
        match portions.first() {
            None if !self.is_outgrown => Ok(None),
            Some(&&Portion::Hidden { form, .. }) if self.partitions.len() == 1 => {
                self.hidden.keep(target).map_err(Error::encode)?;
                Ok(Some(form))
            }
            _ => Err(Error::internal("a part that cannot be kept")),
        }
    }

    /// Takes up a part that was kept. Its rejected lines are elsewhere.
    ///
    /// # Errors
    /// Those of opening.
    pub fn open(path: &Path, kept: Option<Form>) -> Result<Self> {
        let mut part = Self::new(HiddenFile::default(), Spool::new(None, 0));
        if let Some(form) = kept {
            part.hidden = HiddenFile::open(path).map_err(Error::encode)?;
            let length = part.hidden.bytes();
            part.push(0, Portion::Hidden { form, offset: 0, length, rows: 0 });
        }
        Ok(part)
    }

    /// Copies the rejected lines to `out`.
    ///
    /// # Errors
    /// Those of reading and writing; `Internal` for rejected lines that had no place to go.
    pub fn copy_rejects(&self, out: &mut dyn Write) -> Result<()> {
        if self.rejects.is_outgrown() {
            return Err(Error::internal("rejected lines were dropped"));
        }
        self.rejects.copy_to(out).map_err(Error::encode)
    }

    /// One without rows.
    fn new(hidden: HiddenFile, rejects: Spool) -> Self {
        Self { partitions: BTreeMap::new(), hidden, rejects, is_outgrown: false }
    }

    fn push(&mut self, partition: u32, portion: Portion) {
        self.partitions.entry(partition).or_default().push(portion);
    }
}

/// Moves rows to the hidden file, as `write` puts them there.
fn hide(
    hidden: &mut HiddenFile,
    form: Form,
    rows: u64,
    write: impl FnOnce(&mut HiddenFile) -> Result<()>,
) -> Result<Portion> {
    let offset = hidden.bytes();
    write(hidden)?;
    Ok(Portion::Hidden { form, offset, length: hidden.bytes() - offset, rows })
}

/// Moves rows to the hidden file as they are, without the columns that hold nothing in any of them.
fn hide_batch(hidden: &mut HiddenFile, batch: &RecordBatch) -> Result<Portion> {
    hide(hidden, Form::Batches, batch.num_rows() as u64, |out| {
        let out = BufWriter::new(out);
        let batch = nulls::filled(batch).map_err(Error::encode)?;
        let mut writer = StreamWriter::try_new(out, &batch.schema()).map_err(Error::encode)?;
        writer.write(&batch).map_err(Error::encode)?;
        writer.into_inner().map_err(Error::encode)?.flush().map_err(Error::encode)
    })
}

/// What an array takes beside its values: of many columns and few rows it is the most.
const ARRAY_BYTES: usize = 200;

/// Bytes that the rows of a batch take. Spare room is not counted: it depends on how the batch came
/// about, and what becomes of a part must not.
fn used_bytes(batch: &RecordBatch) -> usize {
    let used = |column: &ArrayRef| {
        ARRAY_BYTES + column.to_data().get_slice_memory_size().unwrap_or_default()
    };
    batch.columns().iter().filter(|column| !nulls::is_null(column)).map(used).sum()
}
