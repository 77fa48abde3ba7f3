//! Runs the stages over one source, in one thread or in several. What comes out is the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use arrow_select::concat::concat_batches;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::account::Stats;
use crate::error::{Error, Result};
use crate::lines::{LineBatch, LineReader};
use crate::rejects::{COMMENT, Reject};
use crate::scan::{Control, Gathered, LineScanner, Query, Rows, Sink, Size};
use crate::schema::SourceInfo;
use crate::unwrap::{Members, read_error, unwrap};

/// Batches of lines under way for each thread that scans.
const BATCHES_AHEAD: usize = 2;

/// Scans a source to its end: `input` as it was read (decrypted), into `sink`. Of a tar, those files
/// that `members` takes, each as the source that it is said to be.
///
/// With one thread everything happens in the caller's. With more, the caller's reads and inflates,
/// one feeds the sink, and the others scan.
///
/// The counts are those of all that was read, also beside an error.
pub fn scan(
    input: impl Read,
    source: &SourceInfo,
    query: &Query,
    threads: usize,
    control: &Control,
    members: &mut Members<'_>,
    sink: &mut dyn Sink,
) -> (Stats, Result<()>) {
    let mut stats = Stats::default();
    let mut input = Metered { inner: input, control, count: 0 };
    let result = unwrap(&mut input, members, &mut |member, text| {
        let source = Cow::Borrowed(member.unwrap_or(source));
        let (reads_rejects, text) = &mut is_rejects_file(text);
        // A comment line tells of the line after it, so such a file is read in one piece.
        let (counts, result) = if threads < 2 || *reads_rejects {
            let scanner = LineScanner::new(query, source, *reads_rejects);
            scan_inline(text, scanner, query, control, sink)
        } else {
            scan_threaded(text, source, query, threads - 1, control, sink)
        };
        stats.add(&counts);
        result
    });
    stats.bytes_read = input.count;
    let result = result.map(|wrapping| {
        stats.members += wrapping.members;
        stats.trailing_bytes += wrapping.trailing_bytes;
    });
    let result = result.map_err(|error| error.in_source(&source.name)).and_then(|()| {
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
fn is_rejects_file<'t>(text: &'t mut dyn Read) -> (bool, impl Read + use<'t>) {
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
                let lines = scanner.scan(&batch, first_line)?;
                first_line += lines;
                control.bytes_expanded.fetch_add(batch.bytes().len() as u64, Ordering::Relaxed);
            }
            let rejects = scanner.take_rejects();
            if !rejects.is_empty() {
                sink.rejects(rejects)?;
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

/// What a scanning thread made of one batch of lines.
struct Scanned {
    gathered: Gathered,
    size: Size,
    rejects: Vec<Reject>,
}

struct Numbered<T> {
    number: u64,
    content: T,
}

type Dealt = Numbered<(LineBatch, u64)>;

fn scan_threaded(
    text: &mut dyn Read,
    source: Cow<'_, SourceInfo>,
    query: &Query,
    scanners: usize,
    control: &Control,
    sink: &mut dyn Sink,
) -> (Stats, Result<()>) {
    let ahead = scanners * BATCHES_AHEAD;
    let (to_scan, batches) = bounded::<Dealt>(ahead);
    let (to_sink, scanned) = bounded::<Numbered<Result<Scanned>>>(ahead);
    let (to_reuse, used) = bounded::<LineBatch>(2 * ahead + 2);
    let sunk = AtomicU64::new(0);
    let source = source.as_ref();
    std::thread::scope(|scope| {
        let worker = || Worker {
            scanner: LineScanner::new(query, Cow::Borrowed(source), false),
            control,
            to_sink: to_sink.clone(),
            to_reuse: to_reuse.clone(),
        };
        let mut started = Ok(());
        for _ in 0..scanners {
            let (worker, batches) = (worker(), batches.clone());
            started = started.and_then(|()| start(scope, || worker.run(batches)).map(drop));
        }
        let helper = worker();
        drop((batches, to_sink, to_reuse));
        let feed = || feed_sink(query, scanned, &sunk, sink);
        let sinking = match started.and_then(|()| start(scope, feed)) {
            Ok(sinking) => sinking,
            Err(error) => {
                // Those that did start wait for this end, and the scope for them.
                drop(to_scan);
                return (Stats::default(), Err(error));
            }
        };
        let dealer = Dealer { to_scan, helper, used, sunk: &sunk, window: 4 * ahead as u64 };
        let read = dealer.deal(text, query, control);
        let (stats, sunk) = match sinking.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // What went wrong behind the reader is why the reader stopped.
        (stats, sunk.and(read))
    })
}

/// Starts a thread, where the system has one left.
fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    std::thread::Builder::new().spawn_scoped(scope, run).map_err(|error| {
        let why = format!("cannot start a thread ({error}); try fewer --threads");
        Error::from(std::io::Error::new(error.kind(), why))
    })
}

/// Reads the text and deals its batches out, numbered; while the others have enough to do, it scans
/// one itself.
struct Dealer<'s, 'q> {
    to_scan: Sender<Dealt>,
    helper: Worker<'q>,
    used: Receiver<LineBatch>,
    /// How many batches the sink has had, and how far beyond that one is scanned here: results
    /// that wait for an earlier one take memory.
    sunk: &'s AtomicU64,
    window: u64,
}

impl Dealer<'_, '_> {
    fn deal(mut self, text: &mut dyn Read, query: &Query, control: &Control) -> Result<()> {
        let mut reader = LineReader::new(text, query.max_line_bytes);
        let mut first_line = 1;
        for number in 0.. {
            control.check()?;
            let mut batch = self.used.try_recv().unwrap_or_default();
            if !reader.read(&mut batch).map_err(read_error)? {
                break;
            }
            let lines = LineScanner::count_lines(&batch);
            // Where the sink has failed, it says why.
            if !self.hand_out(Numbered { number, content: (batch, first_line) }) {
                break;
            }
            first_line += lines;
        }
        Ok(())
    }

    /// Whether somebody has taken it.
    fn hand_out(&mut self, dealt: Dealt) -> bool {
        match self.to_scan.try_send(dealt) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(dealt)) => {
                if dealt.number < self.sunk.load(Ordering::Relaxed) + self.window {
                    self.helper.scan(dealt)
                } else {
                    self.to_scan.send(dealt).is_ok()
                }
            }
        }
    }
}

/// Scans batches for the sink.
struct Worker<'q> {
    scanner: LineScanner<'q>,
    control: &'q Control,
    to_sink: Sender<Numbered<Result<Scanned>>>,
    to_reuse: Sender<LineBatch>,
}

impl Worker<'_> {
    fn run(mut self, batches: Receiver<Dealt>) {
        for dealt in batches {
            if !self.scan(dealt) {
                return;
            }
        }
    }

    /// Whether there may be more.
    fn scan(&mut self, Numbered { number, content: (batch, first_line) }: Dealt) -> bool {
        let scanner = &mut self.scanner;
        let scanned = scanner.scan(&batch, first_line).and_then(|_| {
            let size = scanner.size();
            let rejects = scanner.take_rejects();
            Ok(Scanned { gathered: scanner.take()?, size, rejects })
        });
        self.control.bytes_expanded.fetch_add(batch.bytes().len() as u64, Ordering::Relaxed);
        let goes_on = scanned.is_ok();
        let taken = self.to_sink.send(Numbered { number, content: scanned }).is_ok();
        // A full shelf means enough buffers are about.
        let _ = self.to_reuse.try_send(batch);
        goes_on && taken
    }
}

/// Brings what the scanning threads made back into order, and hands it on in the same portions as
/// one thread would.
fn feed_sink(
    query: &Query,
    scanned: Receiver<Numbered<Result<Scanned>>>,
    sunk: &AtomicU64,
    sink: &mut dyn Sink,
) -> (Stats, Result<()>) {
    let mut stats = Stats::default();
    let run = || -> Result<()> {
        let mut early = BTreeMap::new();
        let mut next = 0;
        let mut portion = Portion::default();
        for Numbered { number, content } in scanned {
            early.insert(number, content);
            while let Some(content) = early.remove(&next) {
                next += 1;
                sunk.store(next, Ordering::Relaxed);
                let content = content?;
                stats.add(&content.gathered.stats);
                if !content.rejects.is_empty() {
                    sink.rejects(content.rejects)?;
                }
                portion.size.add(content.size);
                portion.rows.extend(content.gathered.rows);
                if portion.size.is_full() {
                    portion.hand_on(query, sink)?;
                }
            }
        }
        portion.hand_on(query, sink)
    };
    let result = run();
    (stats, result)
}

#[derive(Default)]
struct Portion {
    rows: Vec<Rows>,
    size: Size,
}

impl Portion {
    fn hand_on(&mut self, query: &Query, sink: &mut dyn Sink) -> Result<()> {
        let mut batches = Vec::new();
        let mut lines = Vec::new();
        for rows in self.rows.drain(..) {
            match rows {
                Rows::Batch(batch) => batches.push(batch),
                Rows::Lines(more) if lines.is_empty() => lines = more,
                Rows::Lines(more) => lines.extend_from_slice(&more),
            }
        }
        self.size = Size::default();
        if !batches.is_empty() {
            let batch = concat_batches(&query.projection.schema(), &batches)
                .map_err(|error| Error::internal(error.to_string()))?;
            sink.rows(Rows::Batch(batch))?;
        }
        if !lines.is_empty() {
            sink.rows(Rows::Lines(lines))?;
        }
        Ok(())
    }
}
