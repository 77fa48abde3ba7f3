//! Runs the stages over one source, in one thread or in several. What comes out is the same.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_select::concat::concat_batches;

use crate::error::{Error, ErrorKind, Result};
use crate::frame::counts::Stats;
use crate::frame::rejects::{COMMENT, Rejects};
use crate::frame::source::SourceInfo;
use crate::input::lines::{LineBatch, LineReader};
use crate::input::relay::{Steps, relay};
use crate::input::unwrap::{Members, read_error, unwrap};
use crate::query::Query;
use crate::query::columns::Beside;
use crate::query::tables::TableRows;
use crate::scan::gathered::{Gathered, Size};
use crate::scan::line_hashes::LineHashes;
use crate::scan::line_scanner::LineScanner;
use crate::scan::pieces::Pieces;
use crate::scan::{Asked, Control, Rows, Sink};

#[cfg(test)]
mod tests;

/// Scans a source to its end: `input` as it was read (decrypted), into `sink`; a query alone asks
/// for what it keeps. Of a tar, those files
/// that `members` takes, each as the source that it is said to be.
///
/// With one thread everything happens in the caller's. With more one of them inflates batches of lines
/// ahead, and the others scan them.
///
/// With a limit it ends at the line of the last row, in one thread, and the rest is not looked at.
///
/// The counts are those of all that was read, also beside an error. An error names the file of a
/// tar; the source itself is named by who opened it.
pub fn scan<'q>(
    input: impl Read + Send,
    source: &SourceInfo,
    asked: impl Into<Asked<'q>>,
    threads: usize,
    control: &Control,
    members: &mut Members<'_>,
    sink: &mut dyn Sink,
) -> (Stats, Result<()>) {
    let mut stats = Stats::default();
    let asked = asked.into();
    // Which of two lines is the first one is sure only if they come in order.
    let ordered = asked.hashes.is_some_and(LineHashes::within);
    let threads = if ordered || asked.limit.is_some() { 1 } else { threads };
    if let Some(hashes) = asked.hashes {
        hashes.begin();
    }
    if let Some(sum) = asked.sum {
        sum.begin();
    }
    if let Some(counted) = asked.counted {
        counted.begin();
    }
    let mut input = Metered { inner: input, control, count: 0 };
    let mut has_all = false;
    let result = unwrap(&mut input, members, &mut |member, text| {
        let source = Arc::new(member.unwrap_or(source).clone());
        let mut summed;
        let text: &mut (dyn Read + Send) = match asked.sum {
            Some(sum) => {
                summed = sum.over(text);
                &mut summed
            }
            None => text,
        };
        let left = asked.limit.map(|limit| limit - stats.rows);
        let asked = Asked { limit: left, ..asked };
        let (reads_rejects, text) = &mut is_rejects_file(text);
        // A comment line tells of the line after it, so such a file is read in one piece.
        let (counts, result) = if threads < 2 || *reads_rejects {
            let scanner = LineScanner::new(asked, source, *reads_rejects);
            scan_inline(text, scanner, asked.query, control, sink)
        } else {
            scan_threaded(text, source, asked, threads, control, sink)
        };
        stats.add(&counts);
        has_all = result.is_ok() && left == Some(counts.rows);
        // No layer around the text is read to its end.
        if has_all { Err(Error::new(ErrorKind::Interrupted)) } else { result }
    });
    stats.bytes_read = input.count;
    let result = match result {
        Err(_) if has_all => {
            stats.close_classes();
            Ok(())
        }
        result => result.map(|wrapping| {
            stats.members += wrapping.members;
            stats.trailing_bytes += wrapping.trailing_bytes;
        }),
    };
    let result = result.and_then(|()| {
        if stats.adds_up() { Ok(()) } else { Err(Error::internal("the counts do not add up")) }
    });
    (stats, result)
}

/// Counts the bytes that are read, and stops when the caller wants it.
struct Metered<'c, R> {
    inner: R,
    control: &'c Control,
    count: u64,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        self.control.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Whether a text is a rejects file, and the text, whole again.
fn is_rejects_file<'t>(text: &'t mut (dyn Read + Send)) -> (bool, impl Read + Send + use<'t>) {
    let mut head = Vec::with_capacity(COMMENT.len());
    let mut failed = None;
    // An error comes after the bytes before it, as everywhere.
    if let Err(error) = text.take(COMMENT.len() as u64).read_to_end(&mut head) {
        failed = Some(error);
    }
    let is = head == COMMENT;
    (is, std::io::Cursor::new(head).chain(Failing(failed)).chain(text))
}

/// Fails once, or has nothing.
struct Failing(Option<std::io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

fn scan_inline(
    text: &mut dyn Read,
    mut scanner: LineScanner<'_>,
    query: &Query,
    control: &Control,
    sink: &mut dyn Sink,
) -> (Stats, Result<()>) {
    let mut stats = Stats::default();
    let run = || -> Result<()> {
        let mut reader = LineReader::new(text, query.max_line_bytes);
        let mut batch = LineBatch::default();
        let (mut first_line, mut pieces) = (1, Pieces::default());
        let mut read = Ok(true);
        while let Ok(true) = read {
            control.check()?;
            read = reader.read(&mut batch);
            if let Ok(true) = read {
                let lines = scanner.find_lines(&batch, first_line, &mut pieces);
                scanner.scan(&batch, first_line)?;
                first_line += lines;
                control.bytes_expanded.fetch_add(batch.bytes().len() as u64, Ordering::Relaxed);
            } else {
                scanner.end(&mut pieces)?;
            }
            let rejects = scanner.take_rejects();
            if !rejects.is_empty() {
                sink.rejects(&rejects)?;
            }
            let has_all = scanner.has_all();
            let gathered = scanner.take(has_all || !matches!(read, Ok(true)))?;
            stats.add(&gathered.stats);
            gathered.rows.into_iter().try_for_each(|rows| sink.rows(rows))?;
            if has_all {
                break;
            }
        }
        read.map(|_| ()).map_err(read_error)
    };
    let result = run();
    (stats, result)
}

/// What was made of one batch of lines.
struct Scanned {
    gathered: Gathered,
    size: Size,
    rejects: Rejects,
}

/// Scans with several threads, of which the caller's is one.
fn scan_threaded(
    text: &mut (dyn Read + Send),
    source: Arc<SourceInfo>,
    asked: Asked<'_>,
    threads: usize,
    control: &Control,
    sink: &mut dyn Sink,
) -> (Stats, Result<()>) {
    let query = asked.query;
    let mut reader = LineReader::new(text, query.max_line_bytes);
    let (mut next_line, mut pieces) = (1, Pieces::default());
    let (mut stats, mut portion) = (Stats::default(), Portion::default());
    let mut tables = TablePortions::default();
    let steps = Steps {
        read: |batch: &mut LineBatch| {
            control.check()?;
            reader.read(batch).map_err(read_error)
        },
        begin: |scanner: &mut LineScanner<'_>, batch: &LineBatch| {
            let first_line = next_line;
            next_line += scanner.find_lines(batch, first_line, &mut pieces);
            first_line
        },
        work: |scanner: &mut LineScanner<'_>, batch: &LineBatch, first_line| {
            scanner.scan(batch, first_line)?;
            control.bytes_expanded.fetch_add(batch.bytes().len() as u64, Ordering::Relaxed);
            let (size, rejects) = (scanner.size(), scanner.take_rejects());
            Ok(Scanned { gathered: scanner.take(true)?, size, rejects })
        },
        // In the same portions as one thread would.
        take: |Scanned { gathered, size, rejects }| {
            stats.add(&gathered.stats);
            if !rejects.is_empty() {
                sink.rejects(&rejects)?;
            }
            portion.size.add(size);
            for rows in gathered.rows {
                match rows {
                    Rows::Table(rows) => tables.take(rows, sink)?,
                    rows => portion.rows.push(rows),
                }
            }
            if portion.size.is_full() {
                std::mem::take(&mut portion).hand_on(query, sink)?;
            }
            Ok(())
        },
    };
    let scanner = || LineScanner::new(asked, Arc::clone(&source), false);
    let ended = relay(threads, scanner, steps);
    let result = ended.and_then(|read| {
        if !pieces.is_empty() {
            let mut scanner = scanner();
            scanner.end(&mut pieces)?;
            stats.add(&scanner.take(true)?.stats);
            sink.rejects(&scanner.take_rejects())?;
        }
        tables.hand_on(sink)?;
        portion.hand_on(query, sink).and(read)
    });
    (stats, result)
}

#[derive(Default)]
struct Portion {
    rows: Vec<Rows>,
    size: Size,
}

impl Portion {
    fn hand_on(self, query: &Query, sink: &mut dyn Sink) -> Result<()> {
        let (mut batches, mut beside) = (Vec::new(), Beside::default());
        let mut lines = Vec::new();
        for rows in self.rows {
            match rows {
                Rows::Batch(batch, its) => {
                    batches.push(batch);
                    beside.append(its);
                }
                Rows::Lines(more) if lines.is_empty() => lines = more,
                Rows::Lines(more) => lines.extend_from_slice(&more),
                Rows::Table(_) => return Err(Error::internal("rows of a table among others")),
            }
        }
        if !batches.is_empty() {
            let batch = concat_batches(query.projection.schema().arrow(), &batches)
                .map_err(|error| Error::internal(error.to_string()))?;
            sink.rows(Rows::Batch(batch, beside))?;
        }
        if !lines.is_empty() {
            sink.rows(Rows::Lines(lines))?;
        }
        Ok(())
    }
}

/// Rows of tables that wait for more of the same, by their queries.
#[derive(Default)]
struct TablePortions(BTreeMap<usize, (Vec<TableRows>, Size)>);

impl TablePortions {
    /// Takes rows, and hands on those of their table if they are enough.
    fn take(&mut self, rows: TableRows, sink: &mut dyn Sink) -> Result<()> {
        let (waiting, size) = self.0.entry(rows.query).or_default();
        size.add(Size { rows: rows.lines.len(), bytes: rows.bytes });
        waiting.push(rows);
        if !size.is_full() {
            return Ok(());
        }
        *size = Size::default();
        sink.rows(Rows::Table(TableRows::joined(std::mem::take(waiting))?))
    }

    /// Hands on what is left.
    fn hand_on(self, sink: &mut dyn Sink) -> Result<()> {
        let left = self.0.into_values().filter(|(rows, _)| !rows.is_empty());
        left.map(|(rows, _)| TableRows::joined(rows))
            .try_for_each(|rows| sink.rows(Rows::Table(rows?)))
    }
}
