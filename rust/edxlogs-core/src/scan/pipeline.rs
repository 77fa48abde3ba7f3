//! Runs the stages over one source, in one thread or in several. What comes out is the same.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_select::concat::concat_batches;

use crate::error::{Error, Result};
use crate::frame::counts::Stats;
use crate::frame::rejects::{COMMENT, Rejects};
use crate::frame::source::SourceInfo;
use crate::input::lines::{LineBatch, LineReader};
use crate::input::unwrap::{Members, read_error, unwrap};
use crate::query::Query;
use crate::query::columns::Beside;
use crate::scan::line_hashes::LineHashes;
use crate::scan::line_scanner::{Gathered, LineScanner, Size};
use crate::scan::{Asked, Control, Rows, Sink};

#[cfg(test)]
mod tests;

/// Batches that may be begun before the oldest is delivered, for each thread.
const BATCHES_AHEAD: usize = 2;

/// Scans a source to its end: `input` as it was read (decrypted), into `sink`; a query alone asks
/// for what it keeps. Of a tar, those files
/// that `members` takes, each as the source that it is said to be.
///
/// With one thread everything happens in the caller's. With more they take turns: each inflates a
/// batch of lines and scans it while the next one inflates.
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
    let threads = if ordered { 1 } else { threads };
    if let Some(hashes) = asked.hashes {
        hashes.begin();
    }
    let mut input = Metered { inner: input, control, count: 0 };
    let result = unwrap(&mut input, members, &mut |member, text| {
        let source = Arc::new(member.unwrap_or(source).clone());
        let (reads_rejects, text) = &mut is_rejects_file(text);
        // A comment line tells of the line after it, so such a file is read in one piece.
        let (counts, result) = if threads < 2 || *reads_rejects {
            let scanner = LineScanner::new(asked, source, *reads_rejects);
            scan_inline(text, scanner, asked.query, control, sink)
        } else {
            scan_threaded(text, source, asked, threads, control, sink)
        };
        stats.add(&counts);
        result
    });
    stats.bytes_read = input.count;
    let result = result.map(|wrapping| {
        stats.members += wrapping.members;
        stats.trailing_bytes += wrapping.trailing_bytes;
    });
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
        let mut first_line = 1;
        let mut read = Ok(true);
        while let Ok(true) = read {
            control.check()?;
            read = reader.read(&mut batch);
            if let Ok(true) = read {
                let lines = scanner.find_lines(&batch);
                scanner.scan(&batch, first_line)?;
                first_line += lines;
                control.bytes_expanded.fetch_add(batch.bytes().len() as u64, Ordering::Relaxed);
            }
            let rejects = scanner.take_rejects();
            if !rejects.is_empty() {
                sink.rejects(&rejects)?;
            }
            if scanner.size().is_full() || !matches!(read, Ok(true)) {
                let gathered = scanner.take()?;
                stats.add(&gathered.stats);
                if let Some(rows) = gathered.rows {
                    sink.rows(rows)?;
                }
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

/// Scans with several threads, of which the caller's is one. All run the same loop: read a batch,
/// number it, scan it, deliver it. Three locks are taken in that order, each before the one before
/// it is let go, so that batches pass them in the order of the source.
fn scan_threaded(
    text: &mut (dyn Read + Send),
    source: Arc<SourceInfo>,
    asked: Asked<'_>,
    threads: usize,
    control: &Control,
    sink: &mut dyn Sink,
) -> (Stats, Result<()>) {
    let query = asked.query;
    let relay = Relay {
        query,
        control,
        reading: Mutex::new(Reading {
            reader: LineReader::new(text, query.max_line_bytes),
            batches: 0,
            ended: None,
        }),
        next_line: Mutex::new(1),
        slots: (0..BATCHES_AHEAD * threads).map(|_| Mutex::new(())).collect(),
        scanned: Mutex::new(InOrder::default()),
        sink: Mutex::new(Some(sink)),
    };
    let work = || relay.work(LineScanner::new(asked, Arc::clone(&source), false));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where the system has no more of them, fewer do the same.
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let InOrder { stats, portion, failed, .. } = unlocked(relay.scanned);
    let read = unlocked(relay.reading).ended.unwrap_or(Ok(()));
    // What went wrong behind the reader is why the reader stopped.
    let result = match (failed, unlocked(relay.sink)) {
        (Some(error), _) => Err(error),
        (None, sink) => sink.map_or(Ok(()), |sink| portion.hand_on(query, sink)).and(read),
    };
    (stats, result)
}

/// What the threads of one scan share.
struct Relay<'s, 't> {
    query: &'s Query,
    control: &'s Control,
    reading: Mutex<Reading<'t>>,
    /// The number of the first line that is not yet numbered.
    next_line: Mutex<u64>,
    /// A batch holds one from its reading to its delivery, so no thread runs far ahead of another.
    slots: Vec<Mutex<()>>,
    scanned: Mutex<InOrder>,
    /// Gone once it has failed.
    sink: Mutex<Option<&'s mut dyn Sink>>,
}

struct Reading<'t> {
    reader: LineReader<&'t mut (dyn Read + Send)>,
    /// Batches read so far.
    batches: usize,
    /// How the reading ended, once it has.
    ended: Option<Result<()>>,
}

/// What was made of the batches, and how far it is in order.
#[derive(Default)]
struct InOrder {
    /// By the number of the batch, what waits for an earlier one.
    early: BTreeMap<usize, Scanned>,
    next: usize,
    portion: Portion,
    stats: Stats,
    failed: Option<Error>,
}

impl Relay<'_, '_> {
    /// Takes part until the source ends or something fails.
    fn work(&self, mut scanner: LineScanner<'_>) {
        let mut batch = LineBatch::default();
        loop {
            match self.step(&mut scanner, &mut batch) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    // Whoever still finds a lock whole after a panic ends with the source.
                    if let Ok(mut scanned) = lock(&self.scanned) {
                        scanned.failed.get_or_insert(error);
                    }
                    if let Ok(mut reading) = lock(&self.reading) {
                        reading.ended.get_or_insert(Ok(()));
                    }
                    return;
                }
            }
        }
    }

    /// Brings one batch from the reader to the sink; whether there may be more.
    fn step(&self, scanner: &mut LineScanner<'_>, batch: &mut LineBatch) -> Result<bool> {
        let mut reading = lock(&self.reading)?;
        if reading.ended.is_some() {
            return Ok(false);
        }
        let number = reading.batches;
        let _slot = lock(&self.slots[number % self.slots.len()])?;
        let may = self.control.check();
        match may.and_then(|()| reading.reader.read(batch).map_err(read_error)) {
            Ok(true) => reading.batches += 1,
            ended => {
                reading.ended = Some(ended.map(|_| ()));
                return Ok(false);
            }
        }
        let mut next_line = lock(&self.next_line)?;
        drop(reading);
        let first_line = *next_line;
        *next_line += scanner.find_lines(batch);
        drop(next_line);

        scanner.scan(batch, first_line)?;
        self.control.bytes_expanded.fetch_add(batch.bytes().len() as u64, Ordering::Relaxed);
        let (size, rejects) = (scanner.size(), scanner.take_rejects());
        self.deliver(number, Scanned { gathered: scanner.take()?, size, rejects })?;
        Ok(true)
    }

    /// Puts what was made of a batch in its place, and hands on what is in order by now, in the
    /// same portions as one thread would.
    fn deliver(&self, number: usize, scanned: Scanned) -> Result<()> {
        let mut in_order = lock(&self.scanned)?;
        in_order.early.insert(number, scanned);
        while let Some(ready) = in_order.take() {
            let mut sink = lock(&self.sink)?;
            drop(in_order);
            let taken = sink.as_deref_mut().map_or(Ok(()), |sink| ready.hand_on(self.query, sink));
            if taken.is_err() {
                *sink = None;
                return taken;
            }
            drop(sink);
            in_order = lock(&self.scanned)?;
        }
        Ok(())
    }
}

/// Waits for a lock. One that a panic poisoned ends all threads of the scan.
fn lock<T>(lock: &Mutex<T>) -> Result<MutexGuard<'_, T>> {
    lock.lock().map_err(|_| Error::internal("a thread of the scan panicked"))
}

/// What is ready for the sink.
struct Ready {
    rejects: Rejects,
    portion: Portion,
}

impl Ready {
    fn hand_on(self, query: &Query, sink: &mut dyn Sink) -> Result<()> {
        if !self.rejects.is_empty() {
            sink.rejects(&self.rejects)?;
        }
        self.portion.hand_on(query, sink)
    }
}

impl InOrder {
    /// The next that is ready, if anything is.
    fn take(&mut self) -> Option<Ready> {
        while let Some(Scanned { gathered, size, rejects }) = self.early.remove(&self.next) {
            self.next += 1;
            self.stats.add(&gathered.stats);
            self.portion.size.add(size);
            self.portion.rows.extend(gathered.rows);
            let full = self.portion.size.is_full();
            if full || !rejects.is_empty() {
                let portion =
                    if full { std::mem::take(&mut self.portion) } else { Portion::default() };
                return Some(Ready { rejects, portion });
            }
        }
        None
    }
}

/// The content of a lock that no other thread waits for any more, or that outlives a panic.
fn unlocked<T>(lock: Mutex<T>) -> T {
    lock.into_inner().unwrap_or_else(PoisonError::into_inner)
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
