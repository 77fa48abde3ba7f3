//! Bytes of expanded text per second of each stage, and of a whole scan.
//!
//! The text is `make_logs.py`'s, 16 MB with a fixed seed, made under `target/` at first use. Every
//! stage asserts its answer, most against what serde_json says of the same lines. Run it by
//! `cargo bench`; `cargo bench -- inflate` runs a part.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use edxlogs_core::error::Result;
use edxlogs_core::event::Event;
use edxlogs_core::event::column::EventPlace;
use edxlogs_core::event::fields::Fields;
use edxlogs_core::event::paths::EventPaths;
use edxlogs_core::frame::rejects::Rejects;
use edxlogs_core::frame::source::SourceInfo;
use edxlogs_core::input::inflate::GzipReader;
use edxlogs_core::input::lines::{LineBatch, LineReader, MAX_LINE_BYTES};
use edxlogs_core::query::columns::BatchBuilder;
use edxlogs_core::query::predicate::{ConditionKind, Conditions, Predicate};
use edxlogs_core::query::projection::Projection;
use edxlogs_core::query::{Collect, Query};
use edxlogs_core::scan::pipeline;
use edxlogs_core::scan::{Control, Rows, Sink};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

const COURSE: &str = "course-v1:UniversityX+CS101+2014_T1";
const EVENT_TYPE: &str = "problem_check";
const MEGABYTES: &str = "16";
const READ_BYTES: usize = 256 << 10;

/// The log, and what serde_json makes of it.
struct Log {
    gzip: Vec<u8>,
    text: String,
    lines: usize,
    /// Lines of the event type; those that the course's own context names as well.
    of_type: usize,
    in_context: usize,
}

fn made() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("target/stages").join(MEGABYTES);
    let log = folder.join("universityx-prod-events-2014-10-01.log.gz");
    if !log.exists() {
        let done = Command::new("python3")
            .arg(root.join("benches/make_logs.py"))
            .arg(folder)
            .args(["--days", "1", "--sites", "prod", "--megabytes", MEGABYTES])
            .status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "the log cannot be made: python3 (3.11 or later) is missing, or benches/make_logs.py failed"
        );
    }
    log
}

impl Log {
    fn new() -> Self {
        let gzip = fs::read(made()).expect("the log is there");
        let mut text = String::new();
        MultiGzDecoder::new(&gzip[..]).read_to_string(&mut text).expect("gzip");
        let mut log = Self {
            gzip,
            lines: text.lines().count(),
            of_type: 0,
            in_context: 0,
            text: String::new(),
        };
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).expect("JSON");
            let of_type = event["event_type"] == EVENT_TYPE || event["name"] == EVENT_TYPE;
            log.of_type += usize::from(of_type);
            let in_course = event["context"]["course_id"] == COURSE;
            log.in_context += usize::from(of_type && in_course);
        }
        assert!(log.in_context > 0);
        log.text = text;
        log
    }
}

/// Counts rows.
#[derive(Default)]
struct Counting(usize);

impl Sink for Counting {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        if let Rows::Batch(batch, _) = rows {
            self.0 += batch.num_rows();
        }
        Ok(())
    }

    fn rejects(&mut self, rejects: &Rejects) -> Result<()> {
        assert!(rejects.is_empty());
        Ok(())
    }
}

fn conditions() -> Conditions {
    Conditions::default()
        .and(ConditionKind::Course, &[COURSE])
        .and(ConditionKind::EventType, &[EVENT_TYPE])
}

fn query(conditions: &Conditions) -> Query {
    let predicate = Predicate::new(conditions).expect("conditions");
    let mut query = Query::new(predicate, Projection::default(), Collect::Columns);
    query.keep_rejects = true;
    query
}

/// Reads to the end; how many bytes there were.
fn drain(mut input: impl Read) -> usize {
    let mut buffer = vec![0; READ_BYTES];
    let mut total = 0;
    loop {
        match input.read(&mut buffer).expect("whole gzip") {
            0 => return total,
            count => total += count,
        }
    }
}

fn fields(line: &str) -> Fields {
    Fields::scan(line.as_bytes()).expect("an object").0
}

fn scanned(log: &Log, query: &Query, threads: usize) -> usize {
    let mut rows = Counting::default();
    let control = Control::default();
    let source = SourceInfo::default();
    let (input, members) = (&log.gzip[..], &mut |_: &[u8], _| Ok(None));
    let (stats, result) =
        pipeline::scan(input, &source, query, threads, &control, members, &mut rows);
    result.expect("a whole log");
    assert_eq!(stats.lines as usize, log.lines);
    rows.0
}

fn stages(criterion: &mut Criterion) {
    let log = Log::new();
    let predicate = Predicate::new(&conditions()).expect("conditions");
    let projection = Projection::default();
    let paths = EventPaths::default();
    let source = SourceInfo::default();
    let place = EventPlace { source: &source, line: 1, item: 0, text: b"", wanted: u64::MAX };
    // The predicate over every line, without prefilter or threads, is what the scans must keep.
    let kept = |lines: &mut dyn Iterator<Item = (&str, Fields)>| {
        lines
            .filter(|(line, fields)| {
                predicate.matches(&Event::new(line, fields.clone(), false, &paths), place)
            })
            .count()
    };
    let expected = kept(&mut log.text.lines().map(|line| (line, fields(line))));
    // A course's events that only a URL or the payload names come on top.
    assert!(log.in_context < expected && expected < log.of_type);

    let mut group = criterion.benchmark_group("stages");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(log.text.len() as u64));
    group.bench_function("inflate", |b| {
        b.iter(|| assert_eq!(drain(GzipReader::new(&log.gzip[..])), log.text.len()));
    });
    group.bench_function("inflate by zlib-rs", |b| {
        b.iter(|| assert_eq!(drain(MultiGzDecoder::new(&log.gzip[..])), log.text.len()));
    });
    group.bench_function("lines", |b| {
        b.iter(|| {
            let mut reader = LineReader::new(log.text.as_bytes(), MAX_LINE_BYTES);
            let mut batch = LineBatch::default();
            let mut lines = 0;
            while reader.read(&mut batch).expect("no error") {
                lines += memchr::memchr_iter(b'\n', batch.bytes()).count();
            }
            assert_eq!(lines, log.lines);
        });
    });
    group.bench_function("prefilter", |b| {
        let (prefilter, mut lines) = (predicate.prefilter(), Vec::new());
        b.iter(|| {
            prefilter.search(log.text.as_bytes(), &mut lines);
            let nominated = lines.iter().filter(|line| line.nominated).count();
            assert!((expected..log.lines / 2).contains(&nominated));
        });
    });
    group.bench_function("scanner", |b| {
        b.iter(|| {
            let events = log.text.lines().filter(|line| fields(line).is_event());
            assert_eq!(events.count(), log.lines);
        });
    });
    let located: Vec<(&str, Fields)> = log.text.lines().map(|line| (line, fields(line))).collect();
    group.bench_function("predicate", |b| {
        b.iter(|| assert_eq!(kept(&mut located.iter().cloned()), expected));
    });
    group.bench_function("columns", |b| {
        b.iter(|| {
            let mut builder = BatchBuilder::new(&projection);
            let mut rows = 0;
            for (number, (line, fields)) in located.iter().enumerate() {
                builder.push(&Event::new(line, fields.clone(), false, &paths), place);
                if number % 8192 == 8191 {
                    rows += black_box(builder.finish().expect("a batch").0).num_rows();
                }
            }
            rows += black_box(builder.finish().expect("a batch").0).num_rows();
            assert_eq!(rows, log.lines);
        });
    });
    for (name, conditions, rows) in
        [("filter", conditions(), expected), ("every event", Conditions::default(), log.lines)]
    {
        let query = query(&conditions);
        for (how, threads) in [("inline", 1), ("threaded", 2)] {
            group.bench_function(format!("scan, {name}, {how}"), |b| {
                b.iter(|| assert_eq!(scanned(&log, &query, threads), rows));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
