//! Parts of several datasets, of one scan: each takes the rows of its own query.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::BooleanBuilder;
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;

use super::writer::largest;
use super::{Part, PartWriter};
use crate::error::{Error, Result};
use crate::frame::rejects::Rejects;
use crate::query::Query;
use crate::query::columns::Beside;
use crate::query::tables::TableRows;
use crate::scan::{Rows, Sink};

/// Makes the parts of several datasets of what one scan keeps.
pub struct SeveralWriter {
    targets: Vec<DatasetTarget>,
}

struct DatasetTarget {
    writer: PartWriter,
    schema: SchemaRef,
    /// Where its columns stand among those of the scan.
    columns: Vec<usize>,
    /// Where its partitions stand among those of the scan; of a table they come with its rows.
    partitions: Option<usize>,
    keeps_rejects: bool,
    rows: u64,
    lines: u64,
    last_line: u64,
}

/// What one dataset has of a scan.
pub struct Share {
    /// Its part.
    pub part: Part,
    /// Its rows.
    pub rows: u64,
    /// Lines that hold them.
    pub lines: u64,
}

impl SeveralWriter {
    /// The parts of `queries`, which the writers are of, in a scan of `together`, which they were
    /// joined to by [`Query::of_several`].
    ///
    /// # Errors
    /// `Internal`, if they were not.
    pub fn new(together: &Query, queries: &[Arc<Query>], writers: Vec<PartWriter>) -> Result<Self> {
        let all = together.projection.columns();
        let target = |(query, writer): (&Arc<Query>, PartWriter)| -> Result<DatasetTarget> {
            let columns = query.projection.columns().iter().map(|column| {
                all.iter()
                    .position(|other| other == column)
                    .ok_or_else(|| Error::internal("a query that was not joined"))
            });
            let partitions = query.projection.partitions();
            let partitions = partitions.and_then(|own| together.projection.place_of(own));
            if partitions.is_none() && query.tables.is_empty() {
                return Err(Error::internal("no partitions"));
            }
            Ok(DatasetTarget {
                writer,
                partitions,
                schema: query.projection.schema().arrow().clone(),
                columns: columns.collect::<Result<_>>()?,
                keeps_rejects: query.keep_rejects,
                rows: 0,
                lines: 0,
                last_line: 0,
            })
        };
        Ok(Self { targets: queries.iter().zip(writers).map(target).collect::<Result<_>>()? })
    }

    /// Sees to it that all of them together hold no more than they may: one may have the memory that
    /// others do not need. Then half of it is left, as each would do.
    fn make_room(&mut self) -> Result<()> {
        let writers = || self.targets.iter().map(|target| &target.writer);
        let most: usize = writers().map(PartWriter::most_bytes).sum();
        let bytes: usize = writers().map(PartWriter::memory_bytes).sum();
        if bytes <= most {
            return Ok(());
        }
        let sizes = writers().flat_map(PartWriter::group_sizes).collect();
        let least_bytes = largest(sizes, bytes, most / 2);
        let mut waiting = 0;
        for target in &mut self.targets {
            target.writer.end_groups(least_bytes)?;
            waiting += target.writer.waiting_bytes();
        }
        for target in self.targets.iter_mut() {
            target.writer.hide_texts()?;
            if waiting > most / 2 {
                target.writer.hide_waiting()?;
            }
        }
        Ok(())
    }

    /// The parts, whole, in the order of the queries.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> Result<Vec<Share>> {
        let share = |target: DatasetTarget| {
            Ok(Share { part: target.writer.finish()?, rows: target.rows, lines: target.lines })
        };
        self.targets.into_iter().map(share).collect()
    }
}

impl DatasetTarget {
    /// Takes its rows, which have that bit; whether any were dealt out to partitions.
    fn rows(&mut self, batch: &RecordBatch, beside: &Beside, bit: u64) -> Result<bool> {
        let mut chosen = BooleanBuilder::with_capacity(batch.num_rows());
        let mut partitions = Vec::new();
        let Some(at) = self.partitions else {
            return Ok(false);
        };
        let numbers = &beside.partitions[at];
        for (&(line, wanted), &number) in beside.wanted.iter().zip(numbers) {
            let is_its = wanted & bit != 0;
            chosen.append_value(is_its);
            if is_its {
                partitions.push(number);
                self.rows += 1;
                self.lines += u64::from(line != self.last_line);
                self.last_line = line;
            }
        }
        if partitions.is_empty() {
            return Ok(false);
        }
        let columns = self.columns.iter().map(|&at| batch.column(at).clone()).collect();
        let own = RecordBatch::try_new(self.schema.clone(), columns).map_err(Error::encode)?;
        let own = filter_record_batch(&own, &chosen.finish()).map_err(Error::encode)?;
        self.writer.take(own, partitions)
    }

    /// Takes rows of its table; whether any were dealt out to partitions.
    fn table(&mut self, rows: TableRows) -> Result<bool> {
        self.rows += rows.lines.len() as u64;
        for line in rows.lines {
            self.lines += u64::from(line != self.last_line);
            self.last_line = line;
        }
        self.writer.take(rows.batch, rows.partitions)
    }
}

impl Sink for SeveralWriter {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        let mut dealt = false;
        match rows {
            Rows::Batch(batch, beside) => {
                for (at, target) in self.targets.iter_mut().enumerate() {
                    dealt |= target.rows(&batch, &beside, 1 << at)?;
                }
            }
            Rows::Table(rows) => {
                let target = self.targets.get_mut(rows.query);
                let target = target.ok_or_else(|| Error::internal("rows of no query"))?;
                dealt = target.table(rows)?;
            }
            Rows::Lines(_) => return Err(Error::internal("lines of several queries")),
        }
        if dealt { self.make_room() } else { Ok(()) }
    }

    fn rejects(&mut self, rejects: &Rejects) -> Result<()> {
        for target in self.targets.iter_mut().filter(|target| target.keeps_rejects) {
            target.writer.rejects(rejects)?;
        }
        Ok(())
    }
}
