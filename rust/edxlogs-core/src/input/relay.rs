//! Threads that take turns: pieces of a stream are read one after another, worked on side by side,
//! and handed on in their order.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// Pieces that may be begun before the oldest is handed on, for each thread.
const AHEAD: usize = 2;

/// What is done with the pieces of a stream. The first, second and last are called by one thread at
/// a time, in the order of the stream.
pub struct Steps<Read, Begin, Work, Take> {
    /// Reads the next piece in the place of one that is done with; `false` at the end.
    pub read: Read,
    /// What must be known of all pieces before one is worked on, such as the number of its lines.
    pub begin: Begin,
    /// All that takes long.
    pub work: Work,
    /// Takes what came of a piece.
    pub take: Take,
}

/// Works through a stream with several threads, of which the caller's is one, each with a worker and
/// a piece of its own. All run the same loop: read a piece, begin it, work on it, hand it on. The locks
/// of the first two are taken in that order, each before the one before it is let go, so that pieces
/// pass them in the order of the stream. Where the system has no more threads, fewer do the same.
///
/// # Errors
/// Of all steps but reading: the first that failed, which ended the reading, too. How the reading
/// ended is the value.
pub fn relay<P: Default, W, B, D: Send>(
    threads: usize,
    worker: impl Fn() -> W + Sync,
    steps: Steps<
        impl FnMut(&mut P) -> Result<bool> + Send,
        impl FnMut(&mut W, &P) -> B + Send,
        impl Fn(&mut W, &P, B) -> Result<D> + Sync,
        impl FnMut(D) -> Result<()> + Send,
    >,
) -> Result<Result<()>> {
    let take = Some(steps.take);
    let relay = Relay {
        reading: Mutex::new(Reading { read: steps.read, count: 0, ended: None }),
        begin: Mutex::new(steps.begin),
        slots: (0..AHEAD * threads).map(|_| Mutex::new(())).collect(),
        done: Mutex::new(InOrder { early: BTreeMap::new(), next: 0, take, failed: None }),
    };
    let run = || relay.run(&mut worker(), &steps.work);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            if std::thread::Builder::new().spawn_scoped(scope, run).is_err() {
                break;
            }
        }
        run();
    });
    match unlocked(relay.done).failed {
        Some(error) => Err(error),
        None => Ok(unlocked(relay.reading).ended.unwrap_or(Ok(()))),
    }
}

/// What the threads share.
struct Relay<Read, Begin, D, Take> {
    reading: Mutex<Reading<Read>>,
    begin: Mutex<Begin>,
    /// A piece holds one from its reading to its end, so no thread runs far ahead of another.
    slots: Vec<Mutex<()>>,
    done: Mutex<InOrder<D, Take>>,
}

struct Reading<Read> {
    read: Read,
    /// Pieces read so far.
    count: usize,
    /// How the reading ended, once it has.
    ended: Option<Result<()>>,
}

/// What came of the pieces, and how far it is in order.
struct InOrder<D, Take> {
    /// By the number of the piece, what waits for an earlier one.
    early: BTreeMap<usize, D>,
    next: usize,
    /// Away while a thread hands on; gone once it has failed.
    take: Option<Take>,
    failed: Option<Error>,
}

impl<Read, Begin, D, Take> Relay<Read, Begin, D, Take>
where
    Take: FnMut(D) -> Result<()>,
{
    /// Takes part until the stream ends or something fails.
    fn run<P: Default, W, B>(&self, worker: &mut W, work: &impl Fn(&mut W, &P, B) -> Result<D>)
    where
        Read: FnMut(&mut P) -> Result<bool>,
        Begin: FnMut(&mut W, &P) -> B,
    {
        let mut piece = P::default();
        loop {
            match self.step(worker, &mut piece, work) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    // Whoever still finds a lock whole after a panic ends with the stream.
                    if let Ok(mut done) = lock(&self.done) {
                        done.failed.get_or_insert(error);
                    }
                    if let Ok(mut reading) = lock(&self.reading) {
                        reading.ended.get_or_insert(Ok(()));
                    }
                    return;
                }
            }
        }
    }

    /// Brings one piece all the way; whether there may be more.
    fn step<P, W, B>(
        &self,
        worker: &mut W,
        piece: &mut P,
        work: &impl Fn(&mut W, &P, B) -> Result<D>,
    ) -> Result<bool>
    where
        Read: FnMut(&mut P) -> Result<bool>,
        Begin: FnMut(&mut W, &P) -> B,
    {
        let mut reading = lock(&self.reading)?;
        if reading.ended.is_some() {
            return Ok(false);
        }
        let number = reading.count;
        let _slot = lock(&self.slots[number % self.slots.len()])?;
        match (reading.read)(piece) {
            Ok(true) => reading.count += 1,
            ended => {
                reading.ended = Some(ended.map(|_| ()));
                return Ok(false);
            }
        }
        let mut begin = lock(&self.begin)?;
        drop(reading);
        let begun = begin(worker, piece);
        drop(begin);
        let done = work(worker, piece, begun)?;
        self.hand_on(number, done)?;
        Ok(true)
    }

    /// Puts what came of a piece in its place, and hands on what is in order by now. One thread does
    /// so at a time, whose piece keeps its slot: what others bring meanwhile, it hands on, too.
    fn hand_on(&self, number: usize, one: D) -> Result<()> {
        let mut done = lock(&self.done)?;
        done.early.insert(number, one);
        let Some(mut take) = done.take.take() else {
            return Ok(());
        };
        let mut next = done.next;
        while let Some(ready) = done.early.remove(&next) {
            drop(done);
            take(ready)?;
            next += 1;
            done = lock(&self.done)?;
        }
        (done.next, done.take) = (next, Some(take));
        Ok(())
    }
}

/// Waits for a lock. One that a panic poisoned ends all threads.
fn lock<T>(lock: &Mutex<T>) -> Result<MutexGuard<'_, T>> {
    lock.lock().map_err(|_| Error::internal("a thread panicked"))
}

/// The content of a lock that no other thread waits for any more, or that outlives a panic.
fn unlocked<T>(lock: Mutex<T>) -> T {
    lock.into_inner().unwrap_or_else(PoisonError::into_inner)
}
