#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::ErrorKind;
use crate::input::lines::{LineReader, MAX_LINE_BYTES};
use crate::query::predicate::{Conditions, Predicate};
use crate::query::projection::Projection;
use crate::scan::{Control, Sink, pipeline};

fn query(event_type: &str) -> Query {
    let event_types = vec![event_type.to_owned()];
    let conditions = Conditions { event_types, ..Conditions::default() };
    Query {
        predicate: Predicate::new(&conditions).unwrap(),
        projection: Projection::default(),
        collect: Collect::Nothing,
        check_full: false,
        strict: false,
        course_from_context: false,
        max_line_bytes: MAX_LINE_BYTES,
        keep_rejects: false,
    }
}

fn source(name: &str) -> SourceInfo {
    SourceInfo { name: name.to_owned(), site: None, day: None }
}

fn batch(text: &str) -> LineBatch {
    let mut batch = LineBatch::default();
    assert!(LineReader::new(text.as_bytes(), MAX_LINE_BYTES).read(&mut batch).unwrap());
    batch
}

struct Nowhere;

impl Sink for Nowhere {
    fn rows(&mut self, _: Rows) -> Result<()> {
        Ok(())
    }

    fn rejects(&mut self, _: Vec<Reject>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_prefilter_that_loses_events_is_found_out() {
    let (played, paused) = (query("play_video"), query("pause_video"));
    let text = "{\"event_type\": \"play_video\"}\n".repeat(16);
    for name in ["a.log", "b.log", "tracking.log-20141001.gz"] {
        let mut scanner = LineScanner::new((&played).into(), Arc::new(source(name)), false);
        scanner.prefilter = paused.predicate.prefilter();
        let batch = batch(&text);
        scanner.find_lines(&batch);
        let error = scanner.scan(&batch, 1).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Internal(_)), "{name}");
    }
}

#[test]
fn samples_do_not_depend_on_threads() {
    let text = "{\"event_type\": \"play_video\", \"event\": \"{}\"}\n".repeat(30_000);
    let sampled = |threads| {
        let control = Control::default();
        let (stats, result) = pipeline::scan(
            text.as_bytes(),
            &source("a.log"),
            &query("pause_video"),
            threads,
            &control,
            &mut |_, _| Ok(None),
            &mut Nowhere,
        );
        result.unwrap();
        assert_eq!(stats.dropped, 30_000);
        stats.sampled
    };
    // Of 30,000 lines: the powers of two, and each 4093rd.
    assert_eq!([1, 2, 4].map(sampled), [15 + 7; 3]);
}
