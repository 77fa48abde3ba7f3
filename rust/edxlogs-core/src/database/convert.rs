//! One file of a package, from its text to an output or to batches; threads and order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;
use crossbeam_channel::bounded;

use crate::database::builder::TableBuilder;
use crate::database::csv::CsvReader;
use crate::database::forum::ForumReader;
use crate::database::structure;
use crate::database::tab::{self, TabReader};
use crate::database::{Dialect, MAX_ROW_BYTES, STRETCH_BYTES, Table};
use crate::encode::{Format, StretchEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::file::create_private;
use crate::frame::counts::TableStats;
use crate::frame::source::SourceInfo;
use crate::frame::types::Schema;
use crate::input::lines::{LineBatch, LineReader};
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
        work: &mut dyn FnMut(Gather<'_>) -> Result<()>,
    ) -> Result<()> {
        self.append(gather(Some(self.format), schema, work)?.encoded)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// `Encode`.
    pub fn finish(self) -> Result<()> {
        self.output.finish().map(drop)
    }
}

/// Whole rows of a file, a stretch at a time.
struct Blocks(LineReader<Box<dyn Read + Send>>);

impl Blocks {
    fn of(input: Box<dyn Read + Send>) -> Self {
        Self(LineReader::counting(input, STRETCH_BYTES, MAX_ROW_BYTES))
    }

    /// The next stretch, in the room of one that is done with: fresh memory costs more than reading
    /// into it.
    fn read(&mut self, mut block: LineBatch) -> Result<Option<LineBatch>> {
        Ok(self.0.read(&mut block)?.then_some(block))
    }
}

/// What becomes of the rows.
pub enum Target<'o> {
    /// They are written.
    Output(&'o mut TableOutput),
    /// They are handed on.
    Batches(&'o mut (dyn FnMut(RecordBatch) -> Result<()> + Send)),
}

/// Takes the batches of a stretch.
pub type Gather<'g> = &'g mut dyn FnMut(RecordBatch) -> Result<()>;

/// What one stretch comes to.
struct Done {
    made: Made,
    /// As they were counted where they were read.
    stats: TableStats,
    rejects: RejectedRows,
}

/// What the rows of a stretch come to.
#[derive(Default)]
struct Made {
    /// How many were handed on.
    rows: u64,
    encoded: Vec<u8>,
    batches: Vec<RecordBatch>,
}

/// Reads a file to its end.
///
/// Rejected rows go, in order, to a new file at `rejects`, made if there are any. What comes out does
/// not depend on `threads`.
///
/// # Errors
/// Beside the counts so far, what ended it early: an error of reading, `Format` for a file that
/// is no such table, `Encode`, `Interrupted`, or what the target returns.
pub fn convert(
    input: Box<dyn Read + Send>,
    table: &Table,
    source: &SourceInfo,
    target: Target<'_>,
    threads: usize,
    control: &Control,
    rejects: Option<&Path>,
) -> (TableStats, Result<()>) {
    let mut stats = TableStats::default();
    let rejects = RejectsFile { path: rejects, file: None };
    let mut run = Run { schema: table.schema(), source, target, control, rejects };
    let result = match table.dialect {
        Dialect::Tab | Dialect::Module => run.tab(input, table, threads, &mut stats),
        Dialect::Csv => run.csv(input, table, &mut stats),
        Dialect::Structure => run.structure(input, table, &mut stats),
        Dialect::Forum => run.forum(input, table, threads, &mut stats),
    };
    (stats, result)
}

struct Run<'r, 'o> {
    schema: Arc<Schema>,
    source: &'r SourceInfo,
    target: Target<'o>,
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

impl Run<'_, '_> {
    fn tab(
        &mut self,
        input: Box<dyn Read + Send>,
        table: &Table,
        threads: usize,
        stats: &mut TableStats,
    ) -> Result<()> {
        let mut blocks = Blocks::of(input);
        let Some(first) = blocks.read(LineBatch::default())? else {
            return Ok(());
        };
        if first.long.is_some() {
            let why = "its header is too long; it is no table of a package";
            return Err(Error::new(ErrorKind::Format(why.to_owned())));
        }
        let layout = tab::layout(table, first.bytes())?;
        *stats = layout.stats();
        stats.misfits = vec![0; table.columns.len()];
        let (schema, source, rejects) = (self.schema.clone(), self.source, self.rejects.path);
        let work = move |block: &LineBatch, gather: Gather<'_>| {
            let rejects = RejectedRows::new(source, rejects, block.offset);
            let mut reader = TabReader::new(&layout, schema.arrow().clone(), source, rejects);
            reader.read(block, gather)?;
            Ok((reader.stats, reader.rejects))
        };
        self.all(first, blocks, threads, &work, stats)
    }

    fn forum(
        &mut self,
        input: Box<dyn Read + Send>,
        table: &Table,
        threads: usize,
        stats: &mut TableStats,
    ) -> Result<()> {
        let mut blocks = Blocks::of(input);
        let Some(first) = blocks.read(LineBatch::default())? else {
            return Ok(());
        };
        let (schema, source, rejects) = (self.schema.clone(), self.source, self.rejects.path);
        let work = move |block: &LineBatch, gather: Gather<'_>| {
            let rejects = RejectedRows::new(source, rejects, block.offset);
            let mut reader = ForumReader::new(table, schema.arrow().clone(), source, rejects);
            reader.read(block, gather)?;
            Ok((reader.stats, reader.rejects))
        };
        self.all(first, blocks, threads, &work, stats)
    }

    /// Where a row ends follows from all before it, so one thread reads them.
    fn csv(
        &mut self,
        input: Box<dyn Read + Send>,
        table: &Table,
        stats: &mut TableStats,
    ) -> Result<()> {
        let mut blocks = Blocks::of(input);
        let (source, path) = (self.source, self.rejects.path);
        let none = || RejectedRows::new(source, path, 0);
        let mut reader = CsvReader::new(table, self.schema.arrow().clone(), source, none());
        let mut spare = LineBatch::default();
        loop {
            self.control.check()?;
            let block = blocks.read(spare)?;
            let made = self.gather(&mut |gather| reader.read(block.as_ref(), gather))?;
            let counts =
                TableStats { misfits: vec![0; table.columns.len()], ..TableStats::default() };
            let counts = std::mem::replace(&mut reader.stats, counts);
            if !counts.missing_columns.is_empty() || !counts.unknown_columns.is_empty() {
                stats.add_header(&counts);
            }
            let rejects = std::mem::replace(&mut reader.rejects, none());
            self.take(Done { made, stats: counts, rejects }, stats)?;
            match block {
                Some(block) => spare = block,
                None => return Ok(()),
            }
        }
    }

    fn structure(
        &mut self,
        mut input: Box<dyn Read + Send>,
        table: &Table,
        stats: &mut TableStats,
    ) -> Result<()> {
        let (schema, source, rejects) = (self.schema.clone(), self.source, self.rejects.path);
        let mut counts =
            TableStats { misfits: vec![0; table.columns.len()], ..TableStats::default() };
        let mut rejects = RejectedRows::new(source, rejects, 0);
        let made = self.gather(&mut |gather| {
            let mut builder = TableBuilder::new(table, schema.arrow().clone(), source);
            structure::read(&mut input, table, &mut builder, &mut counts, &mut rejects)?;
            builder.finish()?.try_for_each(gather)
        })?;
        self.take(Done { made, stats: counts, rejects }, stats)
    }

    /// Reads all blocks; several threads, where there is more than one.
    fn all(
        &mut self,
        first: LineBatch,
        mut blocks: Blocks,
        threads: usize,
        work: &(impl Fn(&LineBatch, Gather<'_>) -> Result<(TableStats, RejectedRows)> + Sync),
        stats: &mut TableStats,
    ) -> Result<()> {
        let (schema, control, format) = (self.schema.clone(), self.control, self.format());
        let whole = |block: &LineBatch| -> Result<Done> {
            let mut counted = None;
            let made = gather(format, &schema, &mut |gather| {
                counted = Some(work(block, gather)?);
                Ok(())
            })?;
            let (stats, rejects) = counted.ok_or_else(|| Error::internal("nothing was read"))?;
            Ok(Done { made, stats, rejects })
        };
        let second = if threads > 1 { blocks.read(LineBatch::default())? } else { None };
        let Some(second) = second else {
            let mut next = Some(first);
            while let Some(block) = next {
                control.check()?;
                self.take(whole(&block)?, stats)?;
                next = blocks.read(block)?;
            }
            return Ok(());
        };
        let ahead = [first, second].into_iter();
        in_order(ahead, blocks, threads, control, &whole, &mut |done| self.take(done, stats))
    }

    fn format(&self) -> Option<Format> {
        match &self.target {
            Target::Output(output) => Some(output.format),
            Target::Batches(_) => None,
        }
    }

    fn gather(&self, work: &mut dyn FnMut(Gather<'_>) -> Result<()>) -> Result<Made> {
        gather(self.format(), &self.schema, work)
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
            Target::Output(output) => output.append(done.made.encoded),
            Target::Batches(consume) => done.made.batches.drain(..).try_for_each(consume),
        }
    }
}

/// Encodes what `work` gathers, or keeps it as it is.
fn gather(
    format: Option<Format>,
    schema: &Arc<Schema>,
    work: &mut dyn FnMut(Gather<'_>) -> Result<()>,
) -> Result<Made> {
    let mut made = Made::default();
    match format {
        Some(format) => {
            let mut encoder = StretchEncoder::new(Vec::new(), format, schema)?;
            work(&mut |batch| {
                made.rows += batch.num_rows() as u64;
                encoder.write(&batch)
            })?;
            made.encoded = encoder.finish()?;
        }
        None => work(&mut |batch| {
            made.rows += batch.num_rows() as u64;
            made.batches.push(batch);
            Ok(())
        })?,
    }
    Ok(made)
}

/// Reads blocks in one thread, works on them in `threads`, and takes what comes of them in order.
fn in_order(
    ahead: impl Iterator<Item = LineBatch> + Send,
    mut blocks: Blocks,
    threads: usize,
    control: &Control,
    work: &(impl Fn(&LineBatch) -> Result<Done> + Sync),
    take: &mut dyn FnMut(Done) -> Result<()>,
) -> Result<()> {
    // A place for each block that is worked on, and for one before and one after: no more are held.
    let places = threads + 2;
    let (free, places_free) = bounded::<()>(places);
    let (to_workers, tasks) = bounded::<(u64, LineBatch)>(places);
    let (to_writer, done) = bounded::<(u64, Result<Done>)>(places);
    let (to_reader, spare) = bounded::<LineBatch>(places);
    for _ in 0..places {
        // There is room for all of them.
        let _ = free.send(());
    }
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || -> Result<()> {
            let mut ahead = ahead;
            for number in 0.. {
                if places_free.recv().is_err() {
                    break;
                }
                control.check()?;
                let block = match ahead.next() {
                    Some(block) => Some(block),
                    None => blocks.read(spare.try_recv().unwrap_or_default())?,
                };
                let Some(block) = block else {
                    break;
                };
                if to_workers.send((number, block)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        for _ in 0..threads {
            let (tasks, to_writer) = (tasks.clone(), to_writer.clone());
            let to_reader = to_reader.clone();
            scope.spawn(move || {
                for (number, block) in tasks {
                    let done = work(&block);
                    let _ = to_reader.try_send(block);
                    if to_writer.send((number, done)).is_err() {
                        break;
                    }
                }
            });
        }
        drop((tasks, to_writer, to_reader));
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        let mut result = Ok(());
        'all: for (number, outcome) in &done {
            waiting.insert(number, outcome);
            while let Some(outcome) = waiting.remove(&next) {
                result = outcome.and_then(&mut *take);
                if result.is_err() {
                    break 'all;
                }
                next += 1;
                // The reader may have ended.
                let _ = free.try_send(());
            }
        }
        // Whoever waits for one of these ends.
        drop((done, free));
        let read = reader.join().unwrap_or_else(|_| Err(Error::internal("a reader panicked")));
        result.and(read)
    })
}
