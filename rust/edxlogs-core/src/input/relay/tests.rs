use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{AHEAD, Steps, relay};
use crate::error::{Error, Result};

const MANY: usize = 300;

/// Where a stream of numbers goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    No,
    Read(usize),
    Work(usize),
    Take(usize),
    Panic(usize),
}

/// What came of a stream of numbers: how it ended, those that were begun and handed on, in order, and
/// the most that were read and not yet handed on.
struct Outcome {
    ended: Result<Result<()>>,
    begun: Vec<usize>,
    taken: Vec<usize>,
    most_ahead: usize,
}

fn outcome(threads: usize, pieces: usize, wrong: Wrong) -> Outcome {
    let (begun, taken) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (handed_on, most_ahead) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut read = 0;
    let steps = Steps {
        read: |piece: &mut usize| {
            if wrong == Wrong::Read(read) {
                return Err(Error::internal("reading"));
            }
            *piece = read;
            read += 1;
            let ahead = read - handed_on.load(Ordering::SeqCst);
            most_ahead.fetch_max(ahead, Ordering::SeqCst);
            Ok(read <= pieces)
        },
        begin: |worker: &mut usize, piece: &usize| {
            *worker += 1;
            begun.lock().unwrap().push(*piece);
            *piece * 10
        },
        work: |_: &mut usize, piece: &usize, tenfold: usize| {
            // Some pieces take longer than those after them.
            (0..piece % 7 * 100).for_each(|_| std::hint::spin_loop());
            assert!(wrong != Wrong::Panic(*piece));
            if wrong == Wrong::Work(*piece) { Err(Error::internal("work")) } else { Ok(tenfold) }
        },
        take: |tenfold: usize| {
            if wrong == Wrong::Take(tenfold / 10) {
                return Err(Error::internal("taking"));
            }
            taken.lock().unwrap().push(tenfold);
            handed_on.fetch_add(1, Ordering::SeqCst);
            Ok(())
        },
    };
    let ended = relay(threads, || 0, steps);
    Outcome {
        ended,
        begun: begun.into_inner().unwrap(),
        taken: taken.into_inner().unwrap(),
        most_ahead: most_ahead.into_inner(),
    }
}

#[test]
fn pieces_keep_their_order() {
    for threads in 1..=5 {
        let outcome = outcome(threads, MANY, Wrong::No);
        assert!(matches!(outcome.ended, Ok(Ok(()))));
        assert_eq!(outcome.begun, (0..MANY).collect::<Vec<_>>());
        assert_eq!(outcome.taken, (0..MANY).map(|piece| piece * 10).collect::<Vec<_>>());
        assert!(outcome.most_ahead <= AHEAD * threads, "{} of {threads}", outcome.most_ahead);
    }
}

#[test]
fn short_streams_end() {
    for round in 0..400 {
        let (threads, pieces) = (2 + round % 5, round % 4);
        let outcome = outcome(threads, pieces, Wrong::No);
        assert_eq!(outcome.taken, (0..pieces).map(|piece| piece * 10).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_read_before_an_error_is_handed_on() {
    for threads in 1..=4 {
        for wrong in [0, 1, 2, 150, MANY] {
            let outcome = outcome(threads, MANY, Wrong::Read(wrong));
            assert!(matches!(outcome.ended, Ok(Err(_))));
            assert_eq!(outcome.taken, (0..wrong).map(|piece| piece * 10).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_failure_ends_all_threads() {
    for threads in 1..=4 {
        for piece in [0, 1, 5, 150, MANY - 1] {
            for wrong in [Wrong::Work(piece), Wrong::Take(piece)] {
                let outcome = outcome(threads, MANY, wrong);
                assert!(outcome.ended.is_err());
                // Never more than what came before it, in order.
                assert!(outcome.taken.len() <= piece);
                assert!(outcome.taken.iter().enumerate().all(|(place, one)| place * 10 == *one));
            }
        }
    }
}

#[test]
fn a_panic_ends_all_threads() {
    for threads in 1..=4 {
        for piece in [0, 150, MANY - 1] {
            let ended =
                catch_unwind(AssertUnwindSafe(|| outcome(threads, MANY, Wrong::Panic(piece))));
            assert!(ended.is_err());
        }
    }
}
