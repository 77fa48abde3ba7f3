//! Makes a part of what a scan keeps.
//!
//! Without partitions, rows wait in memory while they are few; once they are many, they are encoded
//! as they come, into the hidden file.
//!
//! Else they are gathered over all partitions together, then dealt out to them. A partition that has
//! enough of them for a row group of its own encodes them as they come; the rows of the others wait
//! for more. Where memory is short, row groups move to the hidden file, the largest first, and then
//! the rows that wait, as they are. So memory does not depend on how many partitions there are, and
//! one file is open for all of them.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;

use super::hidden::HiddenFile;
use super::spool::{SMALL_REJECTS_BYTES, Spool};
use super::{Form, Part, Portion, hide, hide_batch, used_bytes};
use crate::encode::parquet::{ParquetColumns, RowGroup, write_group};
use crate::encode::{Compression, Format, StretchEncoder, csv, jsonl};
use crate::error::{Error, Result};
use crate::frame::nulls;
use crate::frame::rejects::Rejects;
use crate::frame::types::Schema;
use crate::query::columns::Beside;
use crate::query::partition::Partitions;
use crate::query::projection::Projection;
use crate::scan::{Rows, Sink};

/// Of the memory of a part with partitions, what it may have and stay as it is: its rows are encoded
/// together with its neighbours'.
const SMALL_SHARE: usize = 4;

/// Of these, what is gathered of a larger part before it is dealt out: little, so that it is still
/// in the processor's cache, …
const GATHER_SHARE: usize = 32;

/// … but not less than this in bytes: of many columns few rows are little, …
const LEAST_GATHERED: usize = 384 * 1024;

/// … unless partitions would get fewer rows than this on average.
const DEAL_ROWS: usize = 16;

/// Rows of a partition with which a row group begins.
const GROUP_ROWS: usize = 1024;

/// Pages are small, since there are two under way for each row group; with the value that fills it,
/// one stays within a quarter of a MiB, to which its room has doubled.
const PAGE_BYTES: usize = 248 * 1024;

/// Rows of a partition that wait for more.
#[derive(Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

/// Makes a part of what a scan keeps.
pub struct PartWriter {
    format: Format,
    schema: Arc<Schema>,
    most: usize,
    batches: Vec<RecordBatch>,
    /// Text by partition, and its rows.
    texts: BTreeMap<u32, (Vec<u8>, u64)>,
    /// Bytes of both.
    gathered: usize,
    /// A large part without partitions, on its way to the hidden file.
    stretch: Option<StretchEncoder<BufWriter<HiddenFile>>>,
    numbers: Option<Arc<Partitions>>,
    /// Whether its rows are lines as they stood.
    are_lines: bool,
    columns: Arc<ParquetColumns>,
    /// Of each of the rows of `batches`, the number of its partition.
    partitions: Vec<Vec<u32>>,
    /// What is gathered before it is dealt out.
    enough: usize,
    /// Whether nothing was dealt out yet.
    is_small: bool,
    /// Of a partition, rows wait or a row group is under way, never both.
    waiting: BTreeMap<u32, Waiting>,
    waiting_bytes: usize,
    groups: BTreeMap<u32, RowGroup>,
    part: Part,
}

impl PartWriter {
    /// A part of rows of that projection, by partition if it tells one. `path` is the place of its
    /// hidden file, `rejects_path` that of its rejected lines, if there may be any. It holds about
    /// `memory_bytes`.
    ///
    /// # Errors
    /// `Encode`, for columns that no format has.
    pub fn new(
        format: Format,
        projection: &Projection,
        memory_bytes: usize,
        path: Option<PathBuf>,
        rejects_path: Option<PathBuf>,
    ) -> Result<Self> {
        let schema = projection.schema();
        let rejects = Spool::new(rejects_path, SMALL_REJECTS_BYTES);
        Ok(Self {
            format,
            columns: ParquetColumns::new(schema.clone())?,
            schema,
            most: memory_bytes,
            batches: Vec::new(),
            texts: BTreeMap::new(),
            gathered: 0,
            stretch: None,
            numbers: projection.partitions().cloned(),
            are_lines: projection.is_of_lines(),
            partitions: Vec::new(),
            enough: (memory_bytes / SMALL_SHARE).max(LEAST_GATHERED),
            is_small: true,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            groups: BTreeMap::new(),
            part: Part::new(HiddenFile::new(path), rejects),
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
    pub fn finish(mut self) -> Result<Part> {
        if let Some(stretch) = self.stretch.take() {
            let hidden =
                stretch.finish()?.into_inner().map_err(|e| Error::encode(e.into_error()))?;
            let form = match (self.format, self.format.compression()) {
                (Format::Parquet, _) => Form::Parquet,
                (Format::ArrowIpc, _) => Form::Batches,
                (_, Compression::None) => Form::Bytes,
                _ => Form::Compressed,
            };
            let length = hidden.bytes();
            self.part.hidden = hidden;
            self.part.push(0, Portion::Hidden { form, offset: 0, length, rows: 0 });
        } else if self.numbers.is_some() && self.is_small {
            self.choose();
        } else if self.numbers.is_some() {
            self.deal_out()?;
            self.end_groups(0)?;
            for (partition, waiting) in std::mem::take(&mut self.waiting) {
                let portions = waiting.batches.into_iter().map(Portion::Batch);
                self.part.partitions.entry(partition).or_default().extend(portions);
            }
        }
        for batch in self.batches {
            self.part.push(0, Portion::Batch(batch));
        }
        for (partition, (text, rows)) in self.texts {
            self.part.push(partition, Portion::Text { text, rows });
        }
        self.part.hidden.close();
        self.part.rejects.close();
        Ok(self.part)
    }

    /// Takes rows of a part without partitions.
    fn rows_of_one(&mut self, rows: Rows) -> Result<()> {
        let rows = match (rows, self.format) {
            (Rows::Batch(batch, _), Format::Csv(style, _)) => {
                let mut text = Vec::new();
                csv::push_rows(&batch, style, &mut text);
                Rows::Lines(text)
            }
            (rows, _) => rows,
        };
        if self.stretch.is_none() && !self.part.is_outgrown {
            self.gathered += match &rows {
                Rows::Batch(batch, _) => used_bytes(batch),
                Rows::Lines(text) => text.len(),
                Rows::Table(_) => 0,
            };
            if self.gathered > self.most {
                self.outgrow()?;
            }
        }
        match (rows, &mut self.stretch) {
            _ if self.part.is_outgrown => {}
            (Rows::Batch(batch, _), Some(stretch)) => stretch.write(&batch)?,
            (Rows::Lines(text), Some(stretch)) => stretch.text(&text)?,
            (Rows::Batch(batch, _), None) => self.batches.push(batch),
            (Rows::Lines(text), None) => self.texts.entry(0).or_default().0.extend(text),
            // They come with their partitions.
            (Rows::Table(_), _) => return Err(Error::internal("rows of a table alone")),
        }
        Ok(())
    }

    /// Turns to the hidden file, if there is a place for it, encoded here, beside other workers: the
    /// rows are more than a small part's.
    fn outgrow(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.batches);
        let texts = std::mem::take(&mut self.texts);
        if !self.part.hidden.has_place() {
            self.part.is_outgrown = true;
            return Ok(());
        }
        self.part.hidden.made().map_err(Error::encode)?;
        let hidden = BufWriter::new(std::mem::take(&mut self.part.hidden));
        let stretch = StretchEncoder::new(hidden, self.format, &self.schema)?;
        let stretch = self.stretch.insert(stretch);
        batches.iter().try_for_each(|batch| stretch.write(batch))?;
        texts.values().try_for_each(|(text, _)| stretch.text(text))
    }

    /// Takes rows, each of the partition of its number; whether any were dealt out to them.
    pub(super) fn take(&mut self, batch: RecordBatch, partitions: Vec<u32>) -> Result<bool> {
        self.numbers.as_ref().map_or(Ok(()), |numbers| numbers.check())?;
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
        self.enough = (self.most / GATHER_SHARE).max(LEAST_GATHERED);
        self.is_small = false;
        self.deal_out()?;
        Ok(true)
    }

    /// Where the gathered rows of each partition stand: (number of the batch, row).
    fn places(&mut self) -> BTreeMap<u32, Vec<(usize, usize)>> {
        let mut places: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
        for (at, partitions) in std::mem::take(&mut self.partitions).into_iter().enumerate() {
            for (row, number) in partitions.into_iter().enumerate() {
                places.entry(number).or_default().push((at, row));
            }
        }
        places
    }

    /// Leaves the rows of a small part where they were gathered, and notes whose they are.
    fn choose(&mut self) {
        let places = self.places();
        let gathered = Arc::new(std::mem::take(&mut self.batches));
        let rows: usize = places.values().map(Vec::len).sum();
        for (partition, places) in places {
            let bytes = self.gathered * places.len() / rows;
            let gathered = Arc::clone(&gathered);
            self.part.push(partition, Portion::Chosen { gathered, places, bytes });
        }
    }

    /// Deals the gathered rows out to their partitions; one that has enough of them begins a row
    /// group.
    fn deal_out(&mut self) -> Result<()> {
        let places = self.places();
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
            if waiting.rows >= GROUP_ROWS {
                self.begin_group(partition, &batches, &places)?;
                continue;
            }
            let batch = nulls::chosen(&batches, &places).map_err(Error::encode)?;
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
            let hidden = &mut self.part.hidden;
            let portion = hide(hidden, Form::Parquet, rows, |out| write_group(group, out))?;
            self.part.push(partition, portion);
        }
        Ok(())
    }

    /// Moves row groups that take so many bytes, or more, to the hidden file.
    pub(super) fn end_groups(&mut self, least_bytes: usize) -> Result<()> {
        let groups = self.groups.iter();
        let large = groups.filter(|(_, group)| group.memory_bytes() >= least_bytes);
        let large: Vec<u32> = large.map(|(&partition, _)| partition).collect();
        large.into_iter().try_for_each(|partition| self.end_group(partition))
    }

    /// Sees to it that what was dealt out takes no more than half of the memory: the largest row
    /// groups move to the hidden file; where that is not enough, so do the rows that wait.
    fn make_room(&mut self) -> Result<()> {
        let sizes = self.group_sizes().collect();
        self.end_groups(largest(sizes, self.memory_bytes(), self.most / 2))?;
        if self.waiting_bytes > self.most / 2 {
            self.hide_waiting()?;
        }
        self.hide_texts()
    }

    /// Bytes of each row group under way.
    pub(super) fn group_sizes(&self) -> impl Iterator<Item = usize> {
        self.groups.values().map(RowGroup::memory_bytes)
    }

    /// Bytes of rows that wait for more of their partitions.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Moves the rows that wait to the hidden file.
    pub(super) fn hide_waiting(&mut self) -> Result<()> {
        for (partition, waiting) in std::mem::take(&mut self.waiting) {
            let batch = nulls::joined(&waiting.batches).map_err(Error::encode)?;
            let portion = hide_batch(&mut self.part.hidden, &batch)?;
            self.part.push(partition, portion);
        }
        self.waiting_bytes = 0;
        Ok(())
    }

    /// Moves text to the hidden file.
    pub(super) fn hide_texts(&mut self) -> Result<()> {
        for (partition, (text, rows)) in std::mem::take(&mut self.texts) {
            let portion = hide(&mut self.part.hidden, Form::Bytes, rows, |out| {
                out.write_all(&text).map_err(Error::encode)
            })?;
            self.part.push(partition, portion);
            self.gathered = 0;
        }
        Ok(())
    }

    /// Deals lines, or rows of CSV, out to their partitions.
    fn deal_text(&mut self, rows: &RecordBatch, partitions: &[u32]) {
        let keys = jsonl::Keys::of(rows);
        for (row, &number) in partitions.iter().enumerate() {
            let (text, count) = self.texts.entry(number).or_default();
            let before = text.len();
            match self.format {
                Format::Csv(style, _) => csv::push_row(rows, row, style, text),
                _ if !self.are_lines => keys.push_row(rows, row, text),
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

/// Which row groups must go for no more than `most` bytes to be left of `bytes`: those of so many
/// bytes, or more. Numbers of partitions follow from the order in which threads met them, so sizes
/// decide.
pub(super) fn largest(mut sizes: Vec<usize>, bytes: usize, most: usize) -> usize {
    sizes.sort_unstable_by_key(|&bytes| std::cmp::Reverse(bytes));
    let (mut left, mut least_bytes) = (bytes, usize::MAX);
    for bytes in sizes {
        if left <= most {
            break;
        }
        least_bytes = bytes;
        left -= bytes;
    }
    least_bytes
}

impl Sink for PartWriter {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        if self.numbers.is_none() {
            return self.rows_of_one(rows);
        }
        let (batch, partitions) = match rows {
            Rows::Batch(batch, Beside { mut partitions, .. }) => (batch, partitions.pop()),
            Rows::Table(rows) => (rows.batch, Some(rows.partitions)),
            Rows::Lines(_) => return Err(Error::internal("lines without their partition")),
        };
        let partitions = partitions.ok_or_else(|| Error::internal("no partitions"))?;
        if self.take(batch, partitions)? && self.memory_bytes() > self.most {
            self.make_room()?;
        }
        Ok(())
    }

    fn rejects(&mut self, rejects: &Rejects) -> Result<()> {
        rejects.write_to(&mut self.part.rejects).map_err(|error| self.part.rejects.error(error))
    }
}
