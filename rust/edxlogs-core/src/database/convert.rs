//! One file of a package, from its text to an output or to batches; threads and order.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;

use crate::database::builder::TableBuilder;
use crate::database::csv::CsvReader;
use crate::database::documents::Documents;
use crate::database::forum::ForumReader;
use crate::database::structure;
use crate::database::tab::{self, TabReader};
use crate::database::{Dialect, Gather, MAX_ROW_BYTES, STRETCH_BYTES, Table};
use crate::encode::{Format, StretchEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::file::create_private;
use crate::frame::counts::TableStats;
use crate::frame::source::SourceInfo;
use crate::frame::types::Schema;
use crate::input::lines::{LineBatch, LineReader};
use crate::input::relay::{Steps, relay};
use crate::input::text_sum::TextSum;
use crate::input::unwrap::unwrap;
use crate::part::Output;
use crate::part::spool::RejectedRows;
use crate::scan::Control;

/// So many bytes of an output are brought to disk at a time, while others are made: at the end all
/// of them would have to be waited for.
const SYNC_BYTES: usize = 8 * 1024 * 1024;

/// An output file, to which stretches are added in order.
pub struct TableOutput {
    output: Output,
    format: Format,
    /// The same file.
    file: File,
    /// Bytes that were written since some were brought to disk.
    unsynced: usize,
}

impl TableOutput {
    /// An output to `file`; `metadata` goes to the footer of Parquet and to the schema of Arrow IPC.
    ///
    /// # Errors
    /// `Encode`.
    pub fn new(
        file: File,
        format: Format,
        schema: Arc<Schema>,
        metadata: &[(String, String)],
    ) -> Result<Self> {
        let output =
            Output::new(file.try_clone().map_err(Error::encode)?, format, schema, metadata)?;
        Ok(Self { output, format, file, unsynced: 0 })
    }

    /// Adds the bytes of a stretch.
    fn append(&mut self, encoded: Vec<u8>) -> Result<()> {
        self.unsynced += encoded.len();
        self.output.stretch(encoded)?;
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data().map_err(Error::encode)?;
        }
        Ok(())
    }

    /// Writes the rows that `work` gathers as one stretch.
    ///
    /// # Errors
    /// Those of `work`; `Encode`.
    pub fn write(
        &mut self,
        schema: &Arc<Schema>,
        work: impl FnOnce(Gather<'_>) -> Result<u64>,
    ) -> Result<u64> {
        let (made, worked) = gather(Some(self.format), schema, work)?;
        self.append(made.encoded)?;
        Ok(worked)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// `Encode`.
    pub fn finish(self) -> Result<()> {
        self.output.finish().map(drop)
    }
}

/// The text of a file.
type FileText<'t> = Box<dyn Read + Send + 't>;

/// Whole rows of a file, a stretch at a time.
fn blocks_of(input: FileText<'_>) -> LineReader<FileText<'_>> {
    LineReader::counting(input, STRETCH_BYTES, MAX_ROW_BYTES)
}

/// What becomes of the rows.
pub enum TableTarget<'o> {
    /// They are written.
    Output(&'o mut TableOutput),
    /// They are handed on.
    Batches(&'o mut (dyn FnMut(RecordBatch) -> Result<()> + Send)),
}

/// What the rows of a stretch come to.
#[derive(Default)]
struct StretchRows {
    /// How many were handed on.
    rows: u64,
    encoded: Vec<u8>,
    batches: Vec<RecordBatch>,
}

/// What one stretch comes to, as its rows were counted where they were read.
struct Done {
    made: StretchRows,
    stats: TableStats,
    rejects: RejectedRows,
}

/// What takes more of a file than its rows.
#[derive(Clone, Copy, Default)]
pub struct Aside<'a> {
    /// Place of a new file for rejected rows, made if there are any; they are there in order.
    pub rejects: Option<&'a Path>,
    /// Is told the text.
    pub sum: Option<&'a TextSum>,
}

/// Reads a file to its end. What comes out does not depend on `threads`.
///
/// # Errors
/// Beside the counts so far, what ended it early: an error of reading, `Format` for a file that
/// is no such table, `Encode`, `Interrupted`, or what the target returns.
pub fn convert(
    input: Box<dyn Read + Send>,
    table: &Table,
    source: &SourceInfo,
    target: TableTarget<'_>,
    threads: usize,
    control: &Control,
    aside: Aside<'_>,
) -> (TableStats, Result<()>) {
    let mut stats = TableStats::default();
    let rejects = RejectsFile { path: aside.rejects, file: None };
    let mut run = Conversion { table, schema: table.schema(), source, target, control, rejects };
    let mut is_tar = true;
    let result = unwrap(input, &mut |_, _| Ok(None), &mut |_, text| {
        is_tar = false;
        let mut summed;
        let text: &mut (dyn Read + Send) = match aside.sum {
            Some(sum) => {
                sum.begin();
                summed = sum.over(text);
                &mut summed
            }
            None => text,
        };
        match table.dialect {
            Dialect::Csv => run.csv(Box::new(text), &mut stats),
            Dialect::Structure => run.structure(text, &mut stats),
            Dialect::Forum => run.blocks(Box::new(Documents::new(text)), threads, &mut stats),
            Dialect::Tab | Dialect::Module => run.blocks(Box::new(text), threads, &mut stats),
        }
    });
    let result = result.and_then(|wrapping| match wrapping.trailing_bytes {
        _ if is_tar => Err(Error::new(ErrorKind::Format("is a tar, and no table".to_owned()))),
        0 => Ok(()),
        _ => Err(Error::new(ErrorKind::Format("holds other bytes after its end".to_owned()))),
    });
    (stats, result)
}

struct Conversion<'r, 'o> {
    table: &'r Table,
    schema: Arc<Schema>,
    source: &'r SourceInfo,
    target: TableTarget<'o>,
    control: &'r Control,
    rejects: RejectsFile<'r>,
}

/// The file of rejected rows.
struct RejectsFile<'r> {
    path: Option<&'r Path>,
    file: Option<File>,
}

impl RejectsFile<'_> {
    fn take(&mut self, rejects: &mut RejectedRows) -> Result<()> {
        let Some(path) = self.path.filter(|_| !rejects.is_empty()) else {
            return Ok(());
        };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(create_private(path).map_err(Error::encode)?),
        };
        rejects.copy_to(file).map_err(Error::encode)
    }
}

impl<'r> Conversion<'r, '_> {
    /// Reads rows that end with a line, all blocks alike; with several threads, where there is more
    /// than one block.
    fn blocks(
        &mut self,
        input: FileText<'_>,
        threads: usize,
        stats: &mut TableStats,
    ) -> Result<()> {
        let mut blocks = blocks_of(input);
        let (mut first, mut second) = (LineBatch::default(), LineBatch::default());
        if !blocks.read(&mut first)? {
            return Ok(());
        }
        let layout = match self.table.dialect {
            Dialect::Forum => None,
            _ if first.long.is_some() => {
                let why = "its header is too long; it is not a table of a package";
                return Err(Error::new(ErrorKind::Format(why.to_owned())));
            }
            _ => Some(tab::layout(self.table, first.bytes())?),
        };
        if let Some(layout) = &layout {
            *stats = layout.stats();
        }
        stats.misfits = vec![0; self.table.columns.len()];
        let several = threads > 1 && blocks.read(&mut second)?;
        let mut ahead = [Some(first), several.then_some(second)].into_iter().flatten();
        let (stretches, control) = (self.stretches(), self.control);
        let steps = Steps {
            read: |block: &mut LineBatch| {
                control.check()?;
                match ahead.next() {
                    Some(next) => *block = next,
                    None => return Ok(blocks.read(block)?),
                }
                Ok(true)
            },
            begin: |(): &mut (), _: &LineBatch| (),
            work: |(): &mut (), block: &LineBatch, ()| {
                stretches.make(block.offset, |builder, gather| match &layout {
                    Some(layout) => TabReader::new(layout, builder).read(block, gather),
                    None => ForumReader::new(stretches.table, builder).read(block, gather),
                })
            },
            take: |done| self.take(done, stats),
        };
        relay(if several { threads } else { 1 }, || (), steps)?
    }

    /// Where a row ends follows from all before it, so one thread reads them.
    fn csv(&mut self, input: FileText<'_>, stats: &mut TableStats) -> Result<()> {
        let mut blocks = blocks_of(input);
        let mut reader = CsvReader::new(self.table);
        let (stretches, mut block, mut more) = (self.stretches(), LineBatch::default(), true);
        while more {
            self.control.check()?;
            more = blocks.read(&mut block)?;
            let done = stretches
                .make(0, |builder, gather| reader.read(more.then_some(&block), builder, gather))?;
            self.take(done, stats)?;
        }
        Ok(())
    }

    fn structure(
        &mut self,
        mut input: &mut (dyn Read + Send),
        stats: &mut TableStats,
    ) -> Result<()> {
        let read =
            |builder: &mut _, _: Gather<'_>| structure::read(&mut input, self.table, builder);
        let done = self.stretches().make(0, read)?;
        self.take(done, stats)
    }

    fn stretches(&self) -> Stretches<'r> {
        let format = match &self.target {
            TableTarget::Output(output) => Some(output.format),
            TableTarget::Batches(_) => None,
        };
        let (table, schema, source) = (self.table, self.schema.clone(), self.source);
        Stretches { table, schema, source, rejects: self.rejects.path, format }
    }

    /// Takes a stretch, in its turn.
    fn take(&mut self, mut done: Done, stats: &mut TableStats) -> Result<()> {
        if done.made.rows != done.stats.rows_written {
            return Err(Error::internal("rows were counted in two ways"));
        }
        stats.add(&done.stats);
        self.control.bytes_expanded.fetch_add(done.stats.bytes_expanded, Ordering::Relaxed);
        self.rejects.take(&mut done.rejects)?;
        match &mut self.target {
            TableTarget::Output(output) => output.append(done.made.encoded),
            TableTarget::Batches(consume) => done.made.batches.drain(..).try_for_each(consume),
        }
    }
}

/// What all stretches of a file are made with.
struct Stretches<'r> {
    table: &'r Table,
    schema: Arc<Schema>,
    source: &'r SourceInfo,
    rejects: Option<&'r Path>,
    format: Option<Format>,
}

impl<'r> Stretches<'r> {
    /// Makes the stretch that begins at that byte of the rows that `read` builds.
    fn make(
        &self,
        offset: u64,
        read: impl FnOnce(&mut TableBuilder<'r>, Gather<'_>) -> Result<()>,
    ) -> Result<Done> {
        let rejects = RejectedRows::new(self.source, self.rejects, offset);
        let schema = self.schema.arrow().clone();
        let mut builder = TableBuilder::new(self.table, schema, self.source, rejects);
        let (made, ()) = gather(self.format, &self.schema, |gather| {
            read(&mut builder, gather)?;
            builder.finish(gather)
        })?;
        let TableBuilder { stats, rejects, .. } = builder;
        Ok(Done { made, stats, rejects })
    }
}

/// Encodes what `work` gathers, or keeps it as it is; beside it, what `work` returns.
fn gather<T>(
    format: Option<Format>,
    schema: &Arc<Schema>,
    work: impl FnOnce(Gather<'_>) -> Result<T>,
) -> Result<(StretchRows, T)> {
    let mut made = StretchRows::default();
    let worked = match format {
        Some(format) => {
            let mut encoder = StretchEncoder::new(Vec::new(), format, schema)?;
            let worked = work(&mut |batch| {
                made.rows += batch.num_rows() as u64;
                encoder.write(&batch)
            })?;
            made.encoded = encoder.finish()?;
            worked
        }
        None => work(&mut |batch| {
            made.rows += batch.num_rows() as u64;
            made.batches.push(batch);
            Ok(())
        })?,
    };
    Ok((made, worked))
}
