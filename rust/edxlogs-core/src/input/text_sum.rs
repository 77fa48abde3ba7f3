//! What tells a text from others: its length and its CRC-32, as gzip has them, also those of
//! beginnings of it.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

/// The length and the CRC-32 of a text that is being read, or of several one after another.
#[derive(Debug, Default)]
pub struct TextSum {
    /// Of the beginnings that are told too, in ascending order.
    lengths: Vec<u64>,
    state: Mutex<Sums>,
}

#[derive(Clone, Debug, Default)]
struct Sums {
    length: u64,
    crc: crc32fast::Hasher,
    beginnings: Vec<u32>,
}

impl TextSum {
    /// Tells also of the beginnings of those lengths.
    #[must_use]
    pub fn new(mut lengths: Vec<u64>) -> Self {
        lengths.sort_unstable();
        lengths.dedup();
        Self { lengths, state: Mutex::default() }
    }

    /// Forgets what was read: it is read from its start.
    pub fn begin(&self) {
        self.with(|state| *state = Sums::default());
    }

    /// Takes the bytes that follow.
    pub fn update(&self, mut bytes: &[u8]) {
        self.with(|state| {
            while let Some(&length) = self.lengths.get(state.beginnings.len()) {
                let left = length.saturating_sub(state.length);
                let Some((head, rest)) =
                    usize::try_from(left).ok().and_then(|left| bytes.split_at_checked(left))
                else {
                    break;
                };
                state.take(head);
                let crc = state.crc.clone().finalize();
                state.beginnings.push(crc);
                bytes = rest;
            }
            state.take(bytes);
        });
    }

    /// Length and CRC-32 of all that was read.
    #[must_use]
    pub fn total(&self) -> (u64, u32) {
        self.with(|state| (state.length, state.crc.clone().finalize()))
    }

    /// The same of the beginnings that were asked for and were read.
    #[must_use]
    pub fn beginnings(&self) -> Vec<(u64, u32)> {
        self.with(|state| {
            self.lengths.iter().copied().zip(state.beginnings.iter().copied()).collect()
        })
    }

    /// A reader that tells it what it reads.
    pub fn over<R>(&self, inner: R) -> impl Read + use<'_, R>
    where
        R: Read,
    {
        Summed { inner, sum: self }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Sums) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sums {
    fn take(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.length += bytes.len() as u64;
    }
}

struct Summed<'s, R> {
    inner: R,
    sum: &'s TextSum,
}

impl<R: Read> Read for Summed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sum.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_those_of_the_whole_and_of_its_beginnings(
            text in proptest::collection::vec(any::<u8>(), 0..200),
            lengths in proptest::collection::vec(0_u64..250, 0..6),
            step in 1_usize..40,
        ) {
            let sum = TextSum::new(lengths.clone());
            for again in [false, true] {
                if again {
                    sum.begin();
                }
                let mut reader = sum.over(&text[..]);
                let mut buffer = vec![0; step];
                while reader.read(&mut buffer).unwrap() > 0 {}
                drop(reader);
                prop_assert_eq!(sum.total(), (text.len() as u64, crc32fast::hash(&text)));
                let mut expected: Vec<_> = lengths
                    .iter()
                    .filter(|&&length| length <= text.len() as u64)
                    .map(|&length| (length, crc32fast::hash(&text[..length as usize])))
                    .collect();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(sum.beginnings(), expected);
            }
        }
    }
}
