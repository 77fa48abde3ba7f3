#![allow(clippy::unwrap_used)]

use super::*;
use crate::frame::counts::{Mend, Reason};
use crate::input::lines::BATCH_BYTES;
use crate::query::Collect;
use crate::query::predicate::{ConditionKind, Conditions, Predicate};
use crate::query::projection::Projection;

/// A text of many batches: every third line is kept, every hundredth is no event.
fn text() -> String {
    let filler = "x".repeat(1000);
    (0..12 * BATCH_BYTES / 1000)
        .map(|number| match number {
            _ if number % 100 == 0 => format!("{number}\n"),
            _ if number % 3 == 0 => {
                format!(
                    "{{\"event_type\": \"play_video\", \"n\": {number}, \"x\": \"{filler}\"}}\n"
                )
            }
            _ => {
                format!("{{\"event_type\": \"seq_next\", \"n\": {number}, \"x\": \"{filler}\"}}\n")
            }
        })
        .collect()
}

fn query() -> Query {
    let conditions = Conditions::default().and(ConditionKind::EventType, &["play_video"]);
    let predicate = Predicate::new(&conditions).unwrap();
    let mut query = Query::new(predicate, Projection::default(), Collect::Lines);
    query.keep_rejects = true;
    query
}

/// Keeps what it gets, and fails or panics when it has been called so often.
#[derive(Default)]
struct Kept {
    lines: Vec<Vec<u8>>,
    rejected: Vec<u64>,
    fails_at: Option<usize>,
    panics: bool,
}

impl Sink for Kept {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        let Rows::Lines(lines) = rows else { panic!("lines were asked for") };
        self.lines.push(lines);
        if Some(self.lines.len()) == self.fails_at {
            assert!(!self.panics, "the sink panics");
            return Err(Error::from(std::io::Error::other("the disk is full")));
        }
        Ok(())
    }

    fn rejects(&mut self, rejects: &Rejects) -> Result<()> {
        self.rejected.extend(rejects.places().map(|(line, ..)| line));
        Ok(())
    }
}

fn run(input: impl Read + Send, threads: usize, sink: &mut Kept) -> (Stats, Result<()>) {
    let source = SourceInfo::default();
    let members: &mut Members<'_> = &mut |_, _| Ok(None);
    scan(input, &source, &query(), threads, &Control::default(), members, sink)
}

#[test]
fn threads_change_nothing() {
    let text = text();
    let expected: Vec<&str> = text.lines().filter(|line| line.contains("play_video")).collect();
    let results = [1, 2, 3, 8].map(|threads| {
        let mut kept = Kept::default();
        let (stats, result) = run(text.as_bytes(), threads, &mut kept);
        result.unwrap();
        assert_eq!(stats.lines as usize, text.lines().count());
        (kept.lines, kept.rejected)
    });
    assert_eq!(
        String::from_utf8(results[0].0.concat()).unwrap().lines().collect::<Vec<_>>(),
        expected
    );
    let rejected: Vec<u64> = (0..text.lines().count() as u64).step_by(100).map(|n| n + 1).collect();
    assert_eq!(results[0].1, rejected);
    for other in &results[1..] {
        assert!(*other == results[0]);
    }
}

/// A line of Kubernetes' runtimes.
fn cri(stream: &str, tag: &str, text: &str) -> String {
    format!("2024-05-01T10:00:00Z {stream} {tag} {text}\n")
}

#[test]
fn pieces_are_joined_across_batches_whatever_the_threads() {
    let (begin, end) = (r#"{"event_type": "play_"#, r#"video", "n": "joined"}"#);
    let whole = "{\"event_type\": \"play_video\", \"n\": \"joined\"}\n";
    let plain = text();
    let split = plain.find("\n200\n").unwrap() + 1;
    let text = [
        // Of the first one the end is far away; of the second one near.
        &*cri("stdout", "P", begin),
        &*cri("stderr", "P", begin),
        &plain[..split],
        &*cri("stderr", "F", end),
        &plain[split..],
        &*cri("stdout", "F", end),
        // A piece that stays one, and the next message of its stream.
        &*cri("stderr", "P", begin),
        &*cri("stderr", "F", whole.trim_end()),
        &*cri("stdout", "P", begin),
    ]
    .concat();
    let results = [1, 2, 8].map(|threads| {
        let mut kept = Kept::default();
        let (stats, result) = run(text.as_bytes(), threads, &mut kept);
        result.unwrap();
        assert_eq!(stats.joined, 2);
        assert_eq!(stats.reasons[Reason::Piece as usize], 2);
        assert_eq!(stats.mends[Mend::Envelope as usize], 3);
        (String::from_utf8(kept.lines.concat()).unwrap(), kept.rejected, stats)
    });
    let rows = &results[0].0;
    assert!(rows.starts_with(whole), "the event stands where its first piece stood");
    assert!(rows.ends_with(&whole.repeat(2)));
    let lines = text.lines().count() as u64;
    assert_eq!(results[0].1[results[0].1.len() - 2..], [lines - 2, lines]);
    for other in &results[1..] {
        assert!(*other == results[0]);
    }
}

#[test]
fn open_pieces_are_few_bytes() {
    let mut query = query();
    query.max_line_bytes = 100;
    let pieces = [
        cri("stdout", "P", r#"{"event_type": "play_"#),
        cri("stderr", "P", r#"{"event_type": "play_"#),
        cri("stdout", "P", r#"video", "#),
        cri("stdout", "F", r#""x": 1}"#),
        cri("stderr", "F", r#"video"}"#),
    ];
    let mut kept = Kept::default();
    let members: &mut Members<'_> = &mut |_, _| Ok(None);
    let (source, control) = (SourceInfo::default(), Control::default());
    let text = pieces.concat();
    let (stats, result) = scan(text.as_bytes(), &source, &query, 1, &control, members, &mut kept);
    result.unwrap();
    assert_eq!(kept.lines.concat(), b"");
    assert_eq!((stats.rejected, stats.reasons[Reason::Piece as usize]), (5, 5));
    query.max_line_bytes = 200;
    let (stats, result) = scan(text.as_bytes(), &source, &query, 1, &control, members, &mut kept);
    result.unwrap();
    assert_eq!((stats.kept, stats.rows, stats.joined), (5, 2, 3));
}

#[test]
fn a_sink_that_failed_is_left_alone() {
    let text = text();
    for threads in [1, 2, 8] {
        let mut kept = Kept { fails_at: Some(2), ..Kept::default() };
        let error = run(text.as_bytes(), threads, &mut kept).1.unwrap_err();
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert_eq!(kept.lines.len(), 2);
    }
}

#[test]
fn a_panic_ends_every_thread() {
    let text = text();
    for threads in [1, 2, 8] {
        let mut kept = Kept { fails_at: Some(2), panics: true, ..Kept::default() };
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(text.as_bytes(), threads, &mut kept).0
        }));
        assert!(caught.is_err());
        assert_eq!(kept.lines.len(), 2);
    }
}

#[test]
fn what_precedes_a_read_error_is_delivered() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is broken"))
        }
    }
    let text = text();
    for threads in [1, 2, 8] {
        let mut kept = Kept::default();
        let (stats, result) = run(text.as_bytes().chain(Fails), threads, &mut kept);
        assert!(result.unwrap_err().to_string().contains("the disk is broken"));
        assert_eq!(stats.bytes_expanded as usize, text.len());
        let rows = text.lines().filter(|line| line.contains("play_video")).count();
        assert_eq!(kept.lines.concat().iter().filter(|&&byte| byte == b'\n').count(), rows);
    }
}

#[test]
fn a_stop_ends_every_thread() {
    let control = Control::default();
    control.stop.store(true, Ordering::Relaxed);
    for threads in [1, 4] {
        let mut kept = Kept::default();
        let members: &mut Members<'_> = &mut |_, _| Ok(None);
        let source = SourceInfo::default();
        let text = text();
        let (_, result) =
            scan(text.as_bytes(), &source, &query(), threads, &control, members, &mut kept);
        assert!(matches!(result.unwrap_err().kind(), crate::error::ErrorKind::Interrupted));
        assert!(kept.lines.is_empty());
    }
}
