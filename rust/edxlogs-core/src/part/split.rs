//! Parts of a dataset: the rows of one source, told apart by partition.
//!
//! Rows are gathered over all partitions together. When they are many, a partition that has enough
//! of them for a row group of its own is encoded; the rows of the others wait for more, and what
//! waits too long moves to the hidden file as it is. So memory does not depend on how many
//! partitions there are, and one file is open for all of them.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;

use super::parquet::ParquetWriter;
use super::spool::{Spool, create_private};
use super::{Format, SMALL_REJECTS_BYTES, csv, used_bytes};
use crate::error::{Error, Result};
use crate::partition::Partitions;
use crate::rejects::Reject;
use crate::scan::{Rows, Sink};
use crate::schema::Projection;

/// Rows of all partitions that are gathered before any of them are encoded, in bytes.
pub const GATHER_BYTES: usize = 40 * 1024 * 1024;

/// Of these, what a part may hold that stays as it is: its rows are encoded together with its
/// neighbours'.
const SMALL_SHARE: usize = 5;

/// Rows that make a row group where others wait for memory.
const GROUP_ROWS: usize = 2048;

/// Rows of one partition, in their order.
pub(super) enum Piece {
    /// Not encoded yet.
    Batch(RecordBatch),
    /// Text, not compressed yet: lines, or CSV without a header.
    Text { text: Vec<u8>, rows: u64 },
    /// The same, in the hidden file.
    Hidden { kind: Kind, offset: u64, length: usize, rows: u64 },
}

/// What stands in the hidden file.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// An Arrow IPC stream.
    Batch,
    /// A Parquet file.
    Parquet,
    Text,
}

impl Piece {
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.num_rows() as u64,
            Self::Text { rows, .. } | Self::Hidden { rows, .. } => *rows,
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Batch(batch) => used_bytes(batch),
            Self::Text { text, .. } => text.len(),
            Self::Hidden { .. } => 0,
        }
    }
}

/// The hidden file of a part: pieces one after another. It is open only while it is written.
pub(super) struct Pieces {
    path: Option<PathBuf>,
    file: Option<File>,
    end: u64,
}

impl Pieces {
    fn push(&mut self, kind: Kind, bytes: &[u8], rows: u64) -> Result<Piece> {
        let path = self.path.as_ref().ok_or_else(|| Error::internal("no place for a part"))?;
        let file = match &mut self.file {
            Some(file) => file,
            None if self.end == 0 => self.file.insert(create_private(path).map_err(Error::encode)?),
            None => {
                let again = OpenOptions::new().append(true).open(path).map_err(Error::encode)?;
                self.file.insert(again)
            }
        };
        file.write_all(bytes).map_err(Error::encode)?;
        let piece = Piece::Hidden { kind, offset: self.end, length: bytes.len(), rows };
        self.end += bytes.len() as u64;
        Ok(piece)
    }

    /// Lets the file go until it is wanted: many parts may wait.
    fn close(&mut self) {
        self.file = None;
    }

    /// Reads a stretch back.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let path = self.path.as_ref().ok_or_else(|| Error::internal("a part without its file"))?;
        let mut bytes = vec![0; length];
        let read = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, offset));
        read.map_err(Error::encode)?;
        Ok(bytes)
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if let Some(path) = self.path.as_ref().filter(|_| self.end > 0 || self.file.is_some()) {
            // Nothing can be done about a file that is gone already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The rows of one source, by partition.
pub struct SplitPart {
    pub(super) partitions: BTreeMap<u32, Vec<Piece>>,
    pub(super) hidden: Pieces,
    rejects: Spool,
}

impl SplitPart {
    /// Bytes of memory it takes, about.
    pub fn memory_bytes(&self) -> usize {
        let pieces = self.partitions.values().flatten();
        pieces.map(Piece::memory_bytes).sum::<usize>() + self.rejects.memory_bytes()
    }

    /// Moves what is in memory to the hidden file, without encoding it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn spill(&mut self) -> Result<()> {
        for piece in self.partitions.values_mut().flatten() {
            let rows = piece.rows();
            *piece = match &*piece {
                Piece::Batch(batch) => self.hidden.push(Kind::Batch, &to_ipc(batch)?, rows)?,
                Piece::Text { text, .. } => self.hidden.push(Kind::Text, text, rows)?,
                Piece::Hidden { .. } => continue,
            };
        }
        self.hidden.close();
        Ok(())
    }

    /// Copies the rejected lines to `out`.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn copy_rejects(&mut self, out: &mut File) -> Result<()> {
        self.rejects.copy_to(out).map_err(Error::encode)
    }
}

/// Makes a part of a dataset of what a scan keeps.
pub struct SplitWriter {
    format: Format,
    schema: SchemaRef,
    numbers: Arc<Partitions>,
    batches: Vec<RecordBatch>,
    gathered: usize,
    most: usize,
    /// Text by partition, and its rows.
    texts: BTreeMap<u32, (Vec<u8>, u64)>,
    part: SplitPart,
    scratch: Vec<u8>,
}

impl SplitWriter {
    /// A part of rows of that projection, whose last column tells the partition. `path` is the place
    /// of its hidden file, `rejects_path` that of its rejected lines, if there may be any. It gathers
    /// at most `memory_bytes`.
    ///
    /// # Errors
    /// `Internal`, if the projection tells no partition.
    pub fn new(
        format: Format,
        projection: &Projection,
        memory_bytes: usize,
        path: PathBuf,
        rejects_path: Option<PathBuf>,
    ) -> Result<Self> {
        let numbers = projection.partitions().ok_or_else(|| Error::internal("no partitions"))?;
        let part = SplitPart {
            partitions: BTreeMap::new(),
            hidden: Pieces { path: Some(path), file: None, end: 0 },
            rejects: Spool::new(rejects_path, SMALL_REJECTS_BYTES),
        };
        Ok(Self {
            format,
            schema: row_schema(&projection.schema()),
            numbers: Arc::clone(numbers),
            batches: Vec::new(),
            gathered: 0,
            most: memory_bytes,
            texts: BTreeMap::new(),
            part,
            scratch: Vec::new(),
        })
    }

    /// The part, whole.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> Result<SplitPart> {
        self.encode(self.gathered > self.most / SMALL_SHARE, false)?;
        for (partition, (text, rows)) in std::mem::take(&mut self.texts) {
            self.push(partition, Piece::Text { text, rows });
        }
        self.part.hidden.close();
        Ok(self.part)
    }

    fn push(&mut self, partition: u32, piece: Piece) {
        self.part.partitions.entry(partition).or_default().push(piece);
    }

    /// Deals the gathered rows out to their partitions: encoded, where `encodes` and they are enough
    /// for a row group. The others go on waiting if they may, unless they are half of what memory
    /// holds.
    fn encode(&mut self, encodes: bool, waits: bool) -> Result<()> {
        let mut places: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
        let last = self.schema.fields().len();
        let mut rows = 0;
        for (at, batch) in self.batches.iter().enumerate() {
            rows += batch.num_rows();
            let numbers = batch.column(last).as_primitive::<Int64Type>().values();
            for (row, &number) in numbers.iter().enumerate() {
                places.entry(number as u32).or_default().push((at, row));
            }
        }
        let batches = std::mem::take(&mut self.batches);
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let gathered = std::mem::take(&mut self.gathered);
        let is_small = |places: &Vec<(usize, usize)>| !encodes || places.len() < GROUP_ROWS;
        let left: Vec<(usize, usize)> =
            places.values().filter(|places| is_small(places)).flatten().copied().collect();
        let waits = waits && left.len() < rows / 2;
        for (partition, places) in places {
            if is_small(&places) && waits {
                continue;
            }
            let batch = interleave_record_batch(&batches, &places).map_err(Error::encode)?;
            let batch = without_partition(&batch, &self.schema)?;
            let rows = batch.num_rows() as u64;
            let piece = if !is_small(&places) {
                let mut writer = ParquetWriter::new(Vec::new(), self.schema.clone(), &[])?;
                writer.write(&batch)?;
                self.part.hidden.push(Kind::Parquet, &writer.finish()?, rows)?
            } else if gathered > self.most / SMALL_SHARE {
                self.part.hidden.push(Kind::Batch, &to_ipc(&batch)?, rows)?
            } else {
                Piece::Batch(batch)
            };
            self.push(partition, piece);
        }
        if waits && !left.is_empty() {
            let batch = interleave_record_batch(&batches, &left).map_err(Error::encode)?;
            self.gathered = used_bytes(&batch);
            self.batches.push(batch);
        }
        Ok(())
    }

    /// Deals lines, or rows of CSV, out to their partitions.
    fn deal(&mut self, batch: &RecordBatch) -> Result<()> {
        let last = self.schema.fields().len();
        let numbers = batch.column(last).as_primitive::<Int64Type>().values();
        let rows = without_partition(batch, &self.schema)?;
        for (row, &number) in numbers.iter().enumerate() {
            let (text, count) = self.texts.entry(number as u32).or_default();
            let before = text.len();
            match self.format {
                Format::Csv { excel_safe } => csv::push_row(&rows, row, excel_safe, text),
                _ => {
                    text.extend_from_slice(rows.column(0).as_string::<i32>().value(row).as_bytes());
                    text.push(b'\n');
                }
            }
            *count += 1;
            self.gathered += text.len() - before;
        }
        if self.gathered > self.most {
            self.gathered = 0;
            for (partition, (text, rows)) in std::mem::take(&mut self.texts) {
                let piece = self.part.hidden.push(Kind::Text, &text, rows)?;
                self.push(partition, piece);
            }
        }
        Ok(())
    }
}

impl Sink for SplitWriter {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        self.numbers.check()?;
        let Rows::Batch(batch) = rows else {
            return Err(Error::internal("lines without their partition"));
        };
        if self.format != Format::Parquet {
            return self.deal(&batch);
        }
        self.gathered += used_bytes(&batch);
        self.batches.push(batch);
        if self.gathered > self.most { self.encode(true, true) } else { Ok(()) }
    }

    fn rejects(&mut self, rejects: Vec<Reject>) -> Result<()> {
        for reject in rejects {
            self.scratch.clear();
            reject.push(&mut self.scratch);
            self.part.rejects.write_all(&self.scratch).map_err(Error::encode)?;
        }
        Ok(())
    }
}

/// The schema of a partitioned projection as it is written: without the number of the partition.
pub(super) fn row_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields();
    arrow_schema::Schema::new(fields[..fields.len().saturating_sub(1)].to_vec()).into()
}

fn without_partition(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns()[..schema.fields().len()].to_vec();
    RecordBatch::try_new(schema.clone(), columns).map_err(Error::encode)
}

fn to_ipc(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(Error::encode)?;
    writer.write(batch).map_err(Error::encode)?;
    writer.into_inner().map_err(Error::encode)
}

/// The batches of an Arrow IPC stream.
pub(super) fn from_ipc(bytes: &[u8]) -> Result<Vec<RecordBatch>> {
    let reader = StreamReader::try_new(bytes, None).map_err(Error::encode)?;
    reader.collect::<std::result::Result<_, _>>().map_err(Error::encode)
}
