//! Threads that share a stream: pieces are read one after another, worked on side by side, and handed
//! on in their order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// Pieces that may be read before the oldest is handed on, for each thread.
const AHEAD: usize = 2;

/// What is done with the pieces of a stream. All but `work` are called by one thread at a time, in the
/// order of the stream.
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

/// Works through a stream with several threads, of which the caller's is one, each with a worker of its
/// own. Reading comes first: a thread that finds nobody reading reads on until enough pieces wait, while
/// the others work on them, and only then works itself. So reading, which nothing can do side by side,
/// never waits for a thread to wake up. Where the system has no more threads, fewer do the same.
///
/// # Errors
/// Of all steps but reading: the first that failed, which ended the reading, too. How the reading
/// ended is the value.
pub fn relay<P: Default + Send, W, B, D: Send>(
    threads: usize,
    worker: impl Fn() -> W + Sync,
    steps: Steps<
        impl FnMut(&mut P) -> Result<bool> + Send,
        impl FnMut(&mut W, &P) -> B + Send,
        impl Fn(&mut W, &P, B) -> Result<D> + Sync,
        impl FnMut(D) -> Result<()> + Send,
    >,
) -> Result<Result<()>> {
    let relay = Relay {
        most: if threads > 1 { AHEAD * threads } else { 1 },
        state: Mutex::new(State {
            read: Some(steps.read),
            begin: Some(steps.begin),
            take: Some(steps.take),
            count: 0,
            next: 0,
            waiting: VecDeque::new(),
            early: BTreeMap::new(),
            spare: Vec::new(),
            ended: None,
            failed: None,
        }),
        changed: Condvar::new(),
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
    let state = relay.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some(error) => Err(error),
        None => Ok(state.ended.unwrap_or(Ok(()))),
    }
}

/// What the threads share.
struct Relay<P, Read, Begin, D, Take> {
    /// Pieces that may be read before the oldest is handed on.
    most: usize,
    state: Mutex<State<P, Read, Begin, D, Take>>,
    /// There may be something to do, or nothing any more. All are woken, as each may be the one.
    changed: Condvar,
}

struct State<P, Read, Begin, D, Take> {
    /// Steps of one thread at a time: each is away while a thread takes it.
    read: Option<Read>,
    begin: Option<Begin>,
    take: Option<Take>,
    /// Pieces read so far.
    count: usize,
    /// Pieces handed on so far.
    next: usize,
    /// Pieces that were read and not begun, each with its number, in their order.
    waiting: VecDeque<(usize, P)>,
    /// By the number of the piece, what waits for an earlier one.
    early: BTreeMap<usize, D>,
    /// Pieces that are done with.
    spare: Vec<P>,
    /// How the reading ended, once it has.
    ended: Option<Result<()>>,
    /// The first failure, which ends all threads.
    failed: Option<Error>,
}

/// Ends the other threads if this one panics: they would wait for it.
struct Guard<'r, P, Read, Begin, D, Take>(&'r Relay<P, Read, Begin, D, Take>);

impl<P, Read, Begin, D, Take> Drop for Guard<'_, P, Read, Begin, D, Take> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Error::internal("a thread panicked"));
        }
    }
}

impl<P, Read, Begin, D, Take> Relay<P, Read, Begin, D, Take> {
    /// The state; of a thread that panicked it is as whole as before, and its failure stands there.
    fn state(&self) -> MutexGuard<'_, State<P, Read, Begin, D, Take>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything.
    fn fail(&self, error: Error) {
        self.state().failed.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Takes part until the stream ends or something fails.
    fn run<W, B>(&self, worker: &mut W, work: &impl Fn(&mut W, &P, B) -> Result<D>)
    where
        P: Default,
        Read: FnMut(&mut P) -> Result<bool>,
        Begin: FnMut(&mut W, &P) -> B,
        Take: FnMut(D) -> Result<()>,
    {
        let _guard = Guard(self);
        let mut state = self.state();
        while state.failed.is_none() {
            if state.ended.is_none()
                && state.count - state.next < self.most
                && let Some(read) = state.read.take()
            {
                state = self.read(state, read);
            } else if !state.waiting.is_empty()
                && let Some(mut begin) = state.begin.take()
                && let Some((number, piece)) = state.waiting.pop_front()
            {
                drop(state);
                let begun = begin(worker, &piece);
                self.state().begin = Some(begin);
                self.changed.notify_all();
                let done = work(worker, &piece, begun);
                state = self.state();
                state.spare.push(piece);
                match done {
                    Ok(done) => {
                        state.early.insert(number, done);
                        state = self.hand_on(state);
                    }
                    Err(error) => {
                        drop(state);
                        return self.fail(error);
                    }
                }
            } else if state.ended.is_some() && state.waiting.is_empty() {
                // Whoever still works on a piece hands it on.
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Reads a piece.
    fn read<'r>(
        &'r self,
        mut state: MutexGuard<'r, State<P, Read, Begin, D, Take>>,
        mut read: Read,
    ) -> MutexGuard<'r, State<P, Read, Begin, D, Take>>
    where
        P: Default,
        Read: FnMut(&mut P) -> Result<bool>,
    {
        let mut piece = state.spare.pop().unwrap_or_default();
        drop(state);
        let more = read(&mut piece);
        let mut state = self.state();
        match more {
            Ok(true) => {
                let number = state.count;
                state.count += 1;
                state.waiting.push_back((number, piece));
                state.read = Some(read);
                self.changed.notify_all();
            }
            ended => {
                state.ended = Some(ended.map(|_| ()));
                self.changed.notify_all();
            }
        }
        state
    }

    /// Hands on what is in order by now. One thread does so at a time: what others bring meanwhile, it
    /// hands on, too.
    fn hand_on<'r>(
        &'r self,
        mut state: MutexGuard<'r, State<P, Read, Begin, D, Take>>,
    ) -> MutexGuard<'r, State<P, Read, Begin, D, Take>>
    where
        Take: FnMut(D) -> Result<()>,
    {
        let Some(mut take) = state.take.take() else {
            return state;
        };
        loop {
            let next = state.next;
            let Some(ready) = state.early.remove(&next) else {
                break;
            };
            drop(state);
            let taken = take(ready);
            state = self.state();
            match taken {
                Ok(()) => state.next += 1,
                Err(error) => {
                    state.failed.get_or_insert(error);
                    self.changed.notify_all();
                    return state;
                }
            }
            self.changed.notify_all();
        }
        state.take = Some(take);
        state
    }
}
