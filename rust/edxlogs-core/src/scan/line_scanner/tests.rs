#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::ErrorKind;
use crate::input::lines::{LineReader, MAX_LINE_BYTES};
use crate::query::predicate::{ConditionKind, Conditions, Predicate};
use crate::query::projection::Projection;
use crate::scan::{Control, Sink, pipeline};

fn query(kind: ConditionKind, value: &str) -> Query {
    let predicate = Predicate::new(&Conditions::default().and(kind, &[value])).unwrap();
    Query::new(predicate, Projection::default(), Collect::Nothing)
}

fn of_type(event_type: &str) -> Query {
    query(ConditionKind::EventType, event_type)
}

fn of_expression(expression: &str) -> Query {
    query(ConditionKind::Expression, expression)
}

fn source(name: &str) -> SourceInfo {
    SourceInfo { name: name.to_owned(), ..SourceInfo::default() }
}

fn batch(text: &str) -> LineBatch {
    let mut batch = LineBatch::default();
    assert!(LineReader::new(text.as_bytes(), MAX_LINE_BYTES).read(&mut batch).unwrap());
    batch
}

/// The number of a line behind those that are always parsed.
const BEHIND: u64 = FIRST_LINES + 1;

struct Nowhere;

impl Sink for Nowhere {
    fn rows(&mut self, _: Rows) -> Result<()> {
        Ok(())
    }

    fn rejects(&mut self, _: &Rejects) -> Result<()> {
        Ok(())
    }
}

/// The text of an event as docker wraps it.
fn in_envelope(event: &str) -> String {
    let mut line = b"{\"log\":".to_vec();
    crate::json::text::push_json_string(&format!("{event}\n"), &mut line);
    line.extend_from_slice(b",\"stream\":\"stdout\"}");
    String::from_utf8(line).unwrap()
}

#[test]
fn a_prefilter_that_loses_what_was_wrapped_is_found_out() {
    let line = in_envelope("{\"event_type\": \"play_video\"}") + "\n";
    let asked = of_type("play_video");
    let mut scanner = LineScanner::new((&asked).into(), Arc::new(source("a.log")), false);
    scanner.prefilter = of_type("pause_video").predicate.prefilter();
    let batch = batch(&line.repeat(200));
    scanner.find_lines(&batch, BEHIND, &mut Pieces::default());
    let error = scanner.scan(&batch, BEHIND).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Internal(_)));
}

#[test]
fn a_piece_that_is_dropped_is_found_out() {
    let piece = "{\"log\": \"{\\\"event_type\\\": \\\"play\", \"stream\": \"stdout\"}\n";
    let asked = of_type("play_video");
    let mut scanner = LineScanner::new((&asked).into(), Arc::new(source("a.log")), false);
    let batch = batch(&piece.repeat(200));
    scanner.find_lines(&batch, BEHIND, &mut Pieces::default());
    assert!(scanner.found.iter().all(|line| line.is_piece));
    scanner.found.iter_mut().for_each(|line| line.is_piece = false);
    let error = scanner.scan(&batch, BEHIND).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Internal(_)));
}

#[test]
fn a_prefilter_that_loses_events_is_found_out() {
    let text = "{\"event_type\": \"play_video\", \"event\": {\"code\": 1}}\n".repeat(200);
    for (asked, lost) in [
        (of_type("play_video"), of_type("pause_video")),
        (of_expression("event_type = 'play_video'"), of_expression("event_type = 'pause'")),
        (of_expression("not event.code is null"), of_expression("event.speed > 1")),
    ] {
        for name in ["a.log", "b.log", "tracking.log-20141001.gz"] {
            let mut scanner = LineScanner::new((&asked).into(), Arc::new(source(name)), false);
            scanner.prefilter = lost.predicate.prefilter();
            let batch = batch(&text);
            scanner.find_lines(&batch, BEHIND, &mut Pieces::default());
            let error = scanner.scan(&batch, BEHIND).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Internal(_)), "{name}");
        }
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
            &of_type("pause_video"),
            threads,
            &control,
            &mut |_, _| Ok(None),
            &mut Nowhere,
        );
        result.unwrap();
        assert_eq!(stats.dropped, 30_000);
        stats.sampled
    };
    // Of 30,000 lines: the powers of two behind the first lines, and each 4093rd.
    assert_eq!([1, 2, 4].map(sampled), [8 + 7; 3]);
}
