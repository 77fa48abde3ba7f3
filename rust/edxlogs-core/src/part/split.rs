//! Parts of a dataset: the rows of one source, told apart by partition.
//!
//! Rows are gathered over all partitions together, then dealt out to them. A partition that has
//! enough of them for a row group of its own is encoded; the rows of the others wait for more, and
//! where memory is short they move to the hidden file as they are. So memory does not depend on how
//! many partitions there are, and one file is open for all of them.

use std::collections::{BTreeMap, HashSet};
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

/// Rows of all partitions that a part holds in memory, in bytes.
pub const MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// Of these, what a part may hold that stays as it is: its rows are encoded together with its
/// neighbours'.
const SMALL_SHARE: usize = 4;

/// Of these, what is gathered before it is dealt out, …
const GATHER_SHARE: usize = 8;

/// … unless partitions would get fewer rows than this on average.
const DEAL_ROWS: usize = 16;

/// Rows that make a row group, …
const GROUP_ROWS: usize = 16 * 1024;

/// … and where others wait for memory.
const SMALL_GROUP_ROWS: usize = 2048;

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
                Piece::Batch(batch) => {
                    let bytes = to_ipc(std::slice::from_ref(batch), &batch.schema())?;
                    self.hidden.push(Kind::Batch, &bytes, rows)?
                }
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

/// Rows of a partition that wait for more.
#[derive(Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

/// Makes a part of a dataset of what a scan keeps.
pub struct SplitWriter {
    format: Format,
    schema: SchemaRef,
    numbers: Arc<Partitions>,
    most: usize,
    batches: Vec<RecordBatch>,
    gathered: usize,
    /// What is gathered before it is dealt out.
    enough: usize,
    waiting: BTreeMap<u32, Waiting>,
    waiting_bytes: usize,
    is_large: bool,
    /// Text by partition, and its rows.
    texts: BTreeMap<u32, (Vec<u8>, u64)>,
    part: SplitPart,
    scratch: Vec<u8>,
}

impl SplitWriter {
    /// A part of rows of that projection, whose last column tells the partition. `path` is the place
    /// of its hidden file, `rejects_path` that of its rejected lines, if there may be any. It holds
    /// about `memory_bytes`.
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
            most: memory_bytes,
            batches: Vec::new(),
            gathered: 0,
            enough: memory_bytes / GATHER_SHARE,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            is_large: false,
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
        self.deal_out()?;
        for (partition, waiting) in std::mem::take(&mut self.waiting) {
            if self.is_large && waiting.rows >= SMALL_GROUP_ROWS {
                self.encode(partition, waiting)?;
            } else {
                let pieces = waiting.batches.into_iter().map(Piece::Batch);
                self.part.partitions.entry(partition).or_default().extend(pieces);
            }
        }
        for (partition, (text, rows)) in std::mem::take(&mut self.texts) {
            self.push(partition, Piece::Text { text, rows });
        }
        self.part.hidden.close();
        Ok(self.part)
    }

    fn push(&mut self, partition: u32, piece: Piece) {
        self.part.partitions.entry(partition).or_default().push(piece);
    }

    /// Takes rows of all partitions.
    fn gather(&mut self, batch: RecordBatch) -> Result<()> {
        self.gathered += used_bytes(&batch);
        self.batches.push(batch);
        if self.gathered < self.enough {
            return Ok(());
        }
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let partitions: HashSet<i64> =
            self.batches.iter().flat_map(|batch| self.partitions_of(batch)).copied().collect();
        if rows < DEAL_ROWS * partitions.len() && self.gathered < self.most {
            // Dealing them out would cost more than their bytes are worth.
            self.enough = 2 * self.gathered;
            return Ok(());
        }
        self.enough = self.most / GATHER_SHARE;
        self.deal_out()?;
        self.make_room()
    }

    fn partitions_of<'b>(&self, batch: &'b RecordBatch) -> &'b [i64] {
        batch.column(self.schema.fields().len()).as_primitive::<Int64Type>().values()
    }

    /// Deals the gathered rows out to their partitions, and encodes those of a partition that has
    /// enough of them.
    fn deal_out(&mut self) -> Result<()> {
        let mut places: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
        for (at, batch) in self.batches.iter().enumerate() {
            for (row, &number) in self.partitions_of(batch).iter().enumerate() {
                places.entry(number as u32).or_default().push((at, row));
            }
        }
        let batches = std::mem::take(&mut self.batches);
        let batches: Vec<RecordBatch> = batches
            .iter()
            .map(|batch| without_partition(batch, &self.schema))
            .collect::<Result<_>>()?;
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        self.gathered = 0;
        for (partition, places) in places {
            let batch = interleave_record_batch(&batches, &places).map_err(Error::encode)?;
            let bytes = used_bytes(&batch);
            let waiting = self.waiting.entry(partition).or_default();
            waiting.rows += batch.num_rows();
            waiting.bytes += bytes;
            waiting.batches.push(batch);
            self.waiting_bytes += bytes;
            if waiting.rows >= GROUP_ROWS {
                self.encode_waiting(partition)?;
            }
        }
        self.is_large |= self.waiting_bytes > self.most / SMALL_SHARE;
        Ok(())
    }

    /// Sees to it that no more than half of the memory is taken: first the partitions with most rows
    /// are encoded; where that is not enough, the others move to the hidden file as they are.
    fn make_room(&mut self) -> Result<()> {
        if self.waiting_bytes <= self.most {
            return Ok(());
        }
        let mut sizes: Vec<(usize, usize, u32)> =
            self.waiting.iter().map(|(&at, waiting)| (waiting.rows, waiting.bytes, at)).collect();
        sizes.sort_by_key(|&(rows, ..)| std::cmp::Reverse(rows));
        // Numbers of partitions follow from the order in which threads met them, so rows decide.
        let mut least = usize::MAX;
        let mut left = self.waiting_bytes;
        for &(rows, bytes, _) in &sizes {
            if rows < SMALL_GROUP_ROWS || left <= self.most / 2 {
                break;
            }
            least = rows;
            left -= bytes;
        }
        for &(_, _, partition) in sizes.iter().take_while(|(rows, ..)| *rows >= least) {
            self.encode_waiting(partition)?;
        }
        if self.waiting_bytes > self.most / 2 {
            for (partition, waiting) in std::mem::take(&mut self.waiting) {
                let bytes = to_ipc(&waiting.batches, &self.schema)?;
                let piece = self.part.hidden.push(Kind::Batch, &bytes, waiting.rows as u64)?;
                self.push(partition, piece);
            }
            self.waiting_bytes = 0;
        }
        Ok(())
    }

    fn encode_waiting(&mut self, partition: u32) -> Result<()> {
        let Some(waiting) = self.waiting.remove(&partition) else {
            return Ok(());
        };
        self.waiting_bytes -= waiting.bytes;
        self.is_large = true;
        self.encode(partition, waiting)
    }

    /// Writes rows of a partition to the hidden file, as a Parquet file of one row group.
    fn encode(&mut self, partition: u32, waiting: Waiting) -> Result<()> {
        let mut writer = ParquetWriter::new(Vec::new(), self.schema.clone(), &[])?;
        for batch in &waiting.batches {
            writer.write(batch)?;
        }
        let rows = waiting.rows as u64;
        let piece = self.part.hidden.push(Kind::Parquet, &writer.finish()?, rows)?;
        self.push(partition, piece);
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
        self.gather(batch)
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

fn to_ipc(batches: &[RecordBatch], schema: &SchemaRef) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(Error::encode)?;
    for batch in batches {
        writer.write(batch).map_err(Error::encode)?;
    }
    writer.into_inner().map_err(Error::encode)
}

/// The batches of an Arrow IPC stream.
pub(super) fn from_ipc(bytes: &[u8]) -> Result<Vec<RecordBatch>> {
    let reader = StreamReader::try_new(bytes, None).map_err(Error::encode)?;
    reader.collect::<std::result::Result<_, _>>().map_err(Error::encode)
}
