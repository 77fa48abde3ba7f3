//! Parts of a dataset: the rows of one source, told apart by partition.
//!
//! Rows are gathered over all partitions together, then dealt out to them. A partition that has
//! enough of them for a row group of its own encodes them as they come; the rows of the others wait
//! for more. Where memory is short, row groups move to the hidden file, the largest first, and then
//! the rows that wait, as they are. So memory does not depend on how many partitions there are, and
//! one file is open for all of them.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;

use super::spool::{SMALL_REJECTS_BYTES, Spool};
use super::used_bytes;
use crate::encode::parquet::{Columns, RowGroup, file_of};
use crate::encode::{Format, csv};
use crate::error::{Error, Result};
use crate::file::create_private;
use crate::frame::rejects::Rejects;
use crate::frame::types::Schema;
use crate::query::columns::Beside;
use crate::query::partition::Partitions;
use crate::query::projection::Projection;
use crate::scan::{Rows, Sink};

/// Rows of all partitions that a part holds in memory, in bytes.
pub const MEMORY_BYTES: usize = 24 * 1024 * 1024;

/// Of these, what a part may have that stays as it is: its rows are encoded together with its
/// neighbours'.
const SMALL_SHARE: usize = 4;

/// Of these, what is gathered of a larger part before it is dealt out: little, so that it is still
/// in the processor's cache, …
const GATHER_SHARE: usize = 32;

/// … unless partitions would get fewer rows than this on average.
const DEAL_ROWS: usize = 16;

/// Rows of a partition with which a row group begins.
const GROUP_ROWS: usize = 1024;

/// Pages are small, since there are two under way for each row group; with the value that fills it,
/// one stays within a quarter of a MiB, to which its room has doubled.
const PAGE_BYTES: usize = 248 * 1024;

/// Rows of one partition, in their order.
pub(super) enum Piece {
    /// Not encoded yet.
    Batch(RecordBatch),
    /// Text, not compressed yet: lines, or CSV without a header.
    Text { text: Vec<u8>, rows: u64 },
    /// The same, in the hidden file.
    Hidden { kind: HiddenKind, offset: u64, length: usize, rows: u64 },
}

/// What stands in the hidden file.
#[derive(Clone, Copy)]
pub(super) enum HiddenKind {
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
    fn push(&mut self, kind: HiddenKind, bytes: &[u8], rows: u64) -> Result<Piece> {
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
                    self.hidden.push(HiddenKind::Batch, &bytes, rows)?
                }
                Piece::Text { text, .. } => self.hidden.push(HiddenKind::Text, text, rows)?,
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
    schema: Arc<Schema>,
    columns: Arc<Columns>,
    numbers: Arc<Partitions>,
    most: usize,
    batches: Vec<RecordBatch>,
    /// Of each of their rows, the number of its partition.
    partitions: Vec<Vec<u32>>,
    gathered: usize,
    /// What is gathered before it is dealt out.
    enough: usize,
    /// Whether nothing was dealt out yet.
    is_small: bool,
    /// Of a partition, rows wait or a row group is under way, never both.
    waiting: BTreeMap<u32, Waiting>,
    waiting_bytes: usize,
    groups: BTreeMap<u32, RowGroup>,
    /// Text by partition, and its rows.
    texts: BTreeMap<u32, (Vec<u8>, u64)>,
    part: SplitPart,
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
        let schema = projection.schema();
        Ok(Self {
            format,
            columns: Columns::new(schema.clone())?,
            schema,
            numbers: Arc::clone(numbers),
            most: memory_bytes,
            batches: Vec::new(),
            partitions: Vec::new(),
            gathered: 0,
            enough: memory_bytes / SMALL_SHARE,
            is_small: true,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            groups: BTreeMap::new(),
            texts: BTreeMap::new(),
            part,
        })
    }

    /// What it may hold, in bytes.
    pub(super) fn most_bytes(&self) -> usize {
        self.most
    }

    /// What it holds, in bytes, about; it follows from the rows alone.
    pub(super) fn memory_bytes(&self) -> usize {
        let groups = self.groups.values().map(RowGroup::memory_bytes);
        self.gathered + self.waiting_bytes + groups.sum::<usize>()
    }

    /// The part, whole.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> Result<SplitPart> {
        self.deal_out(if self.is_small { usize::MAX } else { GROUP_ROWS })?;
        self.end_groups(0)?;
        for (partition, waiting) in std::mem::take(&mut self.waiting) {
            let pieces = waiting.batches.into_iter().map(Piece::Batch);
            self.part.partitions.entry(partition).or_default().extend(pieces);
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

    /// Takes rows, each of the partition of its number; whether any were dealt out to them.
    pub(super) fn take(&mut self, batch: RecordBatch, partitions: Vec<u32>) -> Result<bool> {
        self.numbers.check()?;
        if self.format != Format::Parquet {
            self.deal_text(&batch, &partitions);
            return Ok(true);
        }
        self.gathered += used_bytes(&batch);
        self.batches.push(batch);
        self.partitions.push(partitions);
        if self.gathered < self.enough {
            return Ok(false);
        }
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let partitions: HashSet<u32> = self.partitions.iter().flatten().copied().collect();
        if rows < DEAL_ROWS * partitions.len() && self.gathered < self.most {
            // Dealing them out would cost more than their bytes are worth.
            self.enough = 2 * self.gathered;
            return Ok(false);
        }
        self.enough = self.most / GATHER_SHARE;
        self.is_small = false;
        self.deal_out(GROUP_ROWS)?;
        Ok(true)
    }

    /// Deals the gathered rows out to their partitions; one that has `group_rows` of them begins a
    /// row group.
    fn deal_out(&mut self, group_rows: usize) -> Result<()> {
        let mut places: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
        for (at, partitions) in std::mem::take(&mut self.partitions).into_iter().enumerate() {
            for (row, number) in partitions.into_iter().enumerate() {
                places.entry(number).or_default().push((at, row));
            }
        }
        let batches = std::mem::take(&mut self.batches);
        self.gathered = 0;
        for (partition, places) in places {
            if let Some(group) = self.groups.get_mut(&partition) {
                group.write_rows(&batches, &places)?;
                if group.is_full() {
                    self.end_group(partition)?;
                }
                continue;
            }
            let waiting = self.waiting.entry(partition).or_default();
            waiting.rows += places.len();
            if waiting.rows >= group_rows {
                self.begin_group(partition, &batches, &places)?;
                continue;
            }
            let borrowed: Vec<&RecordBatch> = batches.iter().collect();
            let batch = interleave_record_batch(&borrowed, &places).map_err(Error::encode)?;
            let bytes = used_bytes(&batch);
            waiting.bytes += bytes;
            waiting.batches.push(batch);
            self.waiting_bytes += bytes;
        }
        Ok(())
    }

    /// Begins a row group with the rows of a partition that wait, and those at `places`.
    fn begin_group(
        &mut self,
        partition: u32,
        batches: &[RecordBatch],
        places: &[(usize, usize)],
    ) -> Result<()> {
        let mut group = RowGroup::new(&self.columns, PAGE_BYTES);
        if let Some(waiting) = self.waiting.remove(&partition) {
            self.waiting_bytes -= waiting.bytes;
            for batch in &waiting.batches {
                group.write(batch)?;
            }
        }
        group.write_rows(batches, places)?;
        self.groups.insert(partition, group);
        Ok(())
    }

    /// Moves the row group of a partition to the hidden file, as a Parquet file of its own.
    fn end_group(&mut self, partition: u32) -> Result<()> {
        if let Some(group) = self.groups.remove(&partition) {
            let rows = group.rows() as u64;
            let file = file_of(group)?;
            let piece = self.part.hidden.push(HiddenKind::Parquet, &file, rows)?;
            self.push(partition, piece);
        }
        Ok(())
    }

    /// Moves row groups that take so many bytes, or more, to the hidden file.
    fn end_groups(&mut self, least_bytes: usize) -> Result<()> {
        let groups = self.groups.iter();
        let large = groups.filter(|(_, group)| group.memory_bytes() >= least_bytes);
        let large: Vec<u32> = large.map(|(&partition, _)| partition).collect();
        large.into_iter().try_for_each(|partition| self.end_group(partition))
    }

    /// Sees to it that what was dealt out takes no more than half of the memory: the largest row
    /// groups move to the hidden file; where that is not enough, so do the rows that wait.
    pub(super) fn make_room(&mut self) -> Result<()> {
        // Numbers of partitions follow from the order in which threads met them, so sizes decide.
        let mut sizes: Vec<usize> = self.groups.values().map(RowGroup::memory_bytes).collect();
        sizes.sort_unstable_by_key(|&bytes| std::cmp::Reverse(bytes));
        let mut left = self.memory_bytes();
        let mut least_bytes = usize::MAX;
        for bytes in sizes {
            if left <= self.most / 2 {
                break;
            }
            least_bytes = bytes;
            left -= bytes;
        }
        self.end_groups(least_bytes)?;
        if self.waiting_bytes > self.most / 2 {
            for (partition, waiting) in std::mem::take(&mut self.waiting) {
                let bytes = to_ipc(&waiting.batches, self.schema.arrow())?;
                let piece =
                    self.part.hidden.push(HiddenKind::Batch, &bytes, waiting.rows as u64)?;
                self.push(partition, piece);
            }
            self.waiting_bytes = 0;
        }
        for (partition, (text, rows)) in std::mem::take(&mut self.texts) {
            let piece = self.part.hidden.push(HiddenKind::Text, &text, rows)?;
            self.push(partition, piece);
            self.gathered = 0;
        }
        Ok(())
    }

    /// Deals lines, or rows of CSV, out to their partitions.
    fn deal_text(&mut self, rows: &RecordBatch, partitions: &[u32]) {
        for (row, &number) in partitions.iter().enumerate() {
            let (text, count) = self.texts.entry(number).or_default();
            let before = text.len();
            match self.format {
                Format::Csv(style, _) => csv::push_row(rows, row, style, text),
                _ => {
                    text.extend_from_slice(rows.column(0).as_string::<i32>().value(row).as_bytes());
                    text.push(b'\n');
                }
            }
            *count += 1;
            self.gathered += text.len() - before;
        }
    }
}

impl Sink for SplitWriter {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        let Rows::Batch(batch, Beside { mut partitions, .. }) = rows else {
            return Err(Error::internal("lines without their partition"));
        };
        let partitions = partitions.pop().ok_or_else(|| Error::internal("no partitions"))?;
        if self.take(batch, partitions)? && self.memory_bytes() > self.most {
            self.make_room()?;
        }
        Ok(())
    }

    fn rejects(&mut self, rejects: &Rejects) -> Result<()> {
        rejects.write_to(&mut self.part.rejects).map_err(|error| self.part.rejects.error(error))
    }
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
