//! Lines, a needle and what may hide it, found in one pass over a batch. Every byte that is read is
//! searched for them, and nearly none is one.

use memchr::arch::all::packedpair::Pair;

use super::{hides_needle, is_escape};

const BLOCK: usize = 64;

/// What a line was found to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub needle: bool,
    pub escape: bool,
    pub percent: bool,
}

/// The search for one needle, and for percent escapes where `encoded`.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnePass<'n> {
    needle: &'n [u8],
    /// Two bytes of the needle that are seldom met together.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "none is made there"))]
    pair: Pair,
    encoded: bool,
}

impl<'n> OnePass<'n> {
    /// `None` where this processor has no fast build of it.
    pub(super) fn new(needle: &'n [u8], encoded: bool) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
        {
            return Pair::new(needle).map(|pair| Self { needle, pair, encoded });
        }
        let _ = (needle, encoded);
        None
    }

    /// Calls `line` with the end of each line and what was found in it.
    pub(super) fn search(&self, batch: &[u8], mut line: impl FnMut(usize, Held)) {
        let mut found = Held::default();
        let mut at = 0;
        loop {
            let (block, mut marks) = self.next_block(batch, at);
            at = block;
            if marks == 0 {
                break;
            }
            while marks != 0 {
                let place = block + marks.trailing_zeros() as usize;
                self.look_at(batch, place, &mut found, &mut line);
                marks &= marks - 1;
            }
            at += BLOCK;
        }
        // Less is left than a block and the needle.
        for at in at..batch.len() {
            self.look_at(batch, at, &mut found, &mut line);
        }
        if batch.last().is_some_and(|&byte| byte != b'\n') {
            line(batch.len(), found);
        }
    }

    /// The next block from `at` on that holds anything worth a look, and a bit for each such byte; 0
    /// where less is left than a block and the needle.
    #[inline(always)]
    fn next_block(&self, batch: &[u8], at: usize) -> (usize, u64) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: there is no `OnePass` where the processor has not these features.
        unsafe {
            if self.encoded {
                self.next_block_avx2::<true>(batch, at)
            } else {
                self.next_block_avx2::<false>(batch, at)
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = batch;
            (at, 0)
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1")]
    fn next_block_avx2<const ENCODED: bool>(&self, batch: &[u8], mut at: usize) -> (usize, u64) {
        use std::arch::x86_64::*;
        let (first, second) = (usize::from(self.pair.index1()), usize::from(self.pair.index2()));
        let same = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
        let (rare, other) = (same(self.needle[first]), same(self.needle[second]));
        let (newline, backslash, small_u) = (same(b'\n'), same(b'\\'), same(b'u'));
        let percent = same(b'%');
        let farthest = first.max(second).max(1);
        while at + farthest + BLOCK <= batch.len() {
            let marks = [0, 32].map(|half| {
                let load = |offset: usize| {
                    // SAFETY: half + 32 is at most BLOCK and offset at most `farthest`, so the load
                    // ends within the batch.
                    unsafe { _mm256_loadu_si256(batch.as_ptr().add(at + half + offset).cast()) }
                };
                let (bytes, equal) = (load(0), |a, b| _mm256_cmpeq_epi8(a, b));
                let needle = _mm256_and_si256(equal(load(first), rare), equal(load(second), other));
                let escape = _mm256_and_si256(equal(bytes, backslash), equal(load(1), small_u));
                let marks = _mm256_or_si256(_mm256_or_si256(needle, escape), equal(bytes, newline));
                if ENCODED { _mm256_or_si256(marks, equal(bytes, percent)) } else { marks }
            });
            let any = _mm256_or_si256(marks[0], marks[1]);
            if _mm256_testz_si256(any, any) == 0 {
                let [low, high] = marks.map(|half| u64::from(_mm256_movemask_epi8(half) as u32));
                return (at, low | high << 32);
            }
            at += BLOCK;
        }
        (at, 0)
    }

    /// Takes one byte of the batch for what it is.
    #[inline(always)]
    fn look_at(
        &self,
        batch: &[u8],
        at: usize,
        found: &mut Held,
        line: &mut impl FnMut(usize, Held),
    ) {
        let rest = &batch[at..];
        match rest[0] {
            b'\n' => line(at, std::mem::take(found)),
            b'\\' => found.escape |= is_escape(rest),
            b'%' if self.encoded => found.percent |= hides_needle(rest),
            _ => {}
        }
        if rest[0] == self.needle[0] {
            found.needle = found.needle || rest.starts_with(self.needle);
        }
    }
}
