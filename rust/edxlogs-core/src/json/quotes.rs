//! Where the strings of a text end, found 64 bytes at a time before the text is walked.
//!
//! Only texts without oddities are mapped: every escape is checked here, and a control character,
//! a surrogate or a broken escape leaves the text to the [`Scanner`](crate::json::scanner::Scanner).

use crate::json::lanes;

const BLOCK: usize = 64;

type Map = fn(&mut Quotes, &[u8]) -> Option<()>;

/// The quotes of one text that open and close its strings, and its backslashes: a bit for each
/// byte, the first lowest.
pub struct Quotes {
    quotes: Vec<u64>,
    backslashes: Vec<u64>,
    any_backslash: bool,
    map: Map,
}

impl Default for Quotes {
    fn default() -> Self {
        Self { quotes: Vec::new(), backslashes: Vec::new(), any_backslash: false, map: choose() }
    }
}

impl Quotes {
    /// Maps `text`; `None` for one that has to be searched step by step.
    pub(crate) fn map(&mut self, text: &[u8]) -> Option<()> {
        let blocks = text.len() / BLOCK + 1;
        self.quotes.resize(blocks, 0);
        self.backslashes.resize(blocks, 0);
        (self.map)(self, text)
    }

    /// The first quote from `from` on, which is inside a string: its end.
    #[inline(always)]
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let mut block = from / BLOCK;
        let mut quotes = *self.quotes.get(block)? & u64::MAX << (from % BLOCK);
        while quotes == 0 {
            block += 1;
            quotes = *self.quotes.get(block)?;
        }
        Some(block * BLOCK + quotes.trailing_zeros() as usize)
    }

    /// Whether a backslash stands in `start..end`.
    #[inline(always)]
    pub(crate) fn has_backslash(&self, start: usize, end: usize) -> bool {
        if !self.any_backslash {
            return false;
        }
        let (first, last) = (start / BLOCK, end / BLOCK);
        let from = u64::MAX << (start % BLOCK);
        let upto = !(u64::MAX << (end % BLOCK));
        if first == last {
            return self.backslashes[first] & from & upto != 0;
        }
        self.backslashes[first] & from != 0
            || self.backslashes[first + 1..last].iter().any(|&block| block != 0)
            || self.backslashes[last] & upto != 0
    }
}

/// Which bytes of a block are what, a bit each.
struct Marks {
    quotes: u64,
    backslashes: u64,
    controls: u64,
}

/// The fastest build of [`map`] that this processor runs.
fn choose() -> Map {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi1") {
        // SAFETY: the processor has the features that the function is compiled for.
        return |quotes, text| unsafe { map_avx2(quotes, text) };
    }
    |quotes, text| map(quotes, text, marks)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1")]
fn map_avx2(quotes: &mut Quotes, text: &[u8]) -> Option<()> {
    map(quotes, text, |block| marks_avx2(block))
}

#[inline(always)]
fn map(quotes: &mut Quotes, text: &[u8], marks: impl Fn(&[u8; BLOCK]) -> Marks) -> Option<()> {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    // Found first, and looked at after: so the first loop keeps all it needs in registers.
    let (mut any_backslash, mut any_control) = (0, 0);
    let maps = quotes.quotes.iter_mut().zip(&mut quotes.backslashes);
    let blocks = blocks.iter().chain(std::iter::once(&last));
    for (block, (quotes, backslashes)) in blocks.zip(maps) {
        let found = marks(block);
        (*quotes, *backslashes) = (found.quotes, found.backslashes);
        any_backslash |= found.backslashes;
        any_control |= found.controls;
    }
    if any_control != 0 {
        return None;
    }
    quotes.any_backslash = any_backslash != 0;
    if quotes.any_backslash { resolve_escapes(quotes, text) } else { Some(()) }
}

/// Takes the quotes that are escaped out of the map, and checks every escape.
fn resolve_escapes(quotes: &mut Quotes, text: &[u8]) -> Option<()> {
    // Whether the first byte of the next block is escaped.
    let mut carry = false;
    for (number, (quotes, &backslashes)) in
        quotes.quotes.iter_mut().zip(&quotes.backslashes).enumerate()
    {
        if backslashes == 0 && !carry {
            continue;
        }
        let targets = escape_targets(backslashes, &mut carry);
        let mut odd = targets & !(*quotes | backslashes);
        *quotes &= !targets;
        while odd != 0 {
            check_escape(text, number * BLOCK + odd.trailing_zeros() as usize)?;
            odd &= odd - 1;
        }
    }
    Some(())
}

/// The bytes that a backslash escapes. A backslash escapes only if it is not escaped itself, so of
/// a run of them every second one.
#[inline(always)]
fn escape_targets(backslashes: u64, carry: &mut bool) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let carried = u64::from(*carry);
    let backslashes = backslashes & !carried;
    let follows = backslashes << 1 | carried;
    // Adding the starts of the runs that begin at odd places leaves a bit behind each of them:
    // there and inside the run, even and odd change roles.
    let odd_starts = backslashes & !EVEN & !follows;
    let (behind, over) = odd_starts.overflowing_add(backslashes);
    *carry = over;
    (EVEN ^ (behind << 1)) & follows
}

/// Checks the escape whose character stands at `at`; one that is no quote and no backslash.
fn check_escape(text: &[u8], at: usize) -> Option<()> {
    match text.get(at)? {
        b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
        b'u' => {
            let digits = text.get(at + 1..at + 5)?;
            let surrogate = matches!(digits[0], b'd' | b'D') && !matches!(digits[1], b'0'..=b'7');
            (digits.iter().all(u8::is_ascii_hexdigit) && !surrogate).then_some(())
        }
        _ => None,
    }
}

#[inline(always)]
fn marks(block: &[u8; BLOCK]) -> Marks {
    let equal = |byte| lanes::each(block, |part| lanes::equal(part, byte));
    let controls = lanes::each(block, lanes::control);
    Marks { quotes: equal(b'"'), backslashes: equal(b'\\'), controls }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn marks_avx2(block: &[u8; BLOCK]) -> Marks {
    use std::arch::x86_64::*;
    let load = |half: usize| {
        // SAFETY: the block holds two halves of 32 bytes; the load needs no alignment.
        unsafe { _mm256_loadu_si256(block.as_ptr().add(32 * half).cast()) }
    };
    let (low, high) = (load(0), load(1));
    // No closure goes to a function that lacks the features: it would be called for every block.
    let (quote, backslash) = (_mm256_set1_epi8(b'"' as i8), _mm256_set1_epi8(b'\\' as i8));
    let highest = _mm256_set1_epi8(0x1f);
    Marks {
        quotes: bits(_mm256_cmpeq_epi8(low, quote), _mm256_cmpeq_epi8(high, quote)),
        backslashes: bits(_mm256_cmpeq_epi8(low, backslash), _mm256_cmpeq_epi8(high, backslash)),
        controls: bits(
            _mm256_cmpeq_epi8(_mm256_min_epu8(low, highest), low),
            _mm256_cmpeq_epi8(_mm256_min_epu8(high, highest), high),
        ),
    }
}

/// The highest bit of each byte of two halves.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn bits(low: std::arch::x86_64::__m256i, high: std::arch::x86_64::__m256i) -> u64 {
    use std::arch::x86_64::_mm256_movemask_epi8;
    let (low, high) = (_mm256_movemask_epi8(low) as u32, _mm256_movemask_epi8(high) as u32);
    u64::from(low) | u64::from(high) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The quotes and the backslashes, by the plain rule: a backslash takes the next byte with it.
    fn plain(text: &[u8]) -> Option<(Vec<usize>, Vec<usize>)> {
        let (mut quotes, mut backslashes) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                0..0x20 => return None,
                b'"' => quotes.push(at),
                b'\\' => {
                    backslashes.push(at);
                    at += 1;
                    match text.get(at)? {
                        b'"' => {}
                        b'\\' => backslashes.push(at),
                        _ => check_escape(text, at)?,
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Some((quotes, backslashes))
    }

    fn mapped(text: &[u8], map: Map) -> Option<(Vec<usize>, Vec<usize>)> {
        let mut quotes = Quotes { map, ..Quotes::default() };
        quotes.map(text)?;
        let next = |from: usize| quotes.next(from).filter(|&at| at < text.len());
        let all = std::iter::successors(next(0), |&at| next(at + 1)).collect();
        let backslash = |&at: &usize| quotes.has_backslash(at, at + 1);
        Some((all, (0..text.len()).filter(backslash).collect()))
    }

    fn agree(text: &[u8]) -> Result<(), TestCaseError> {
        let expected = plain(text);
        prop_assert_eq!(&mapped(text, choose()), &expected);
        prop_assert_eq!(&mapped(text, |quotes, text| map(quotes, text, marks)), &expected);
        Ok(())
    }

    proptest! {
        #[test]
        fn quotes_and_backslashes_are_found(text in r#"["\\\\nu0aé]{0,200}"#) {
            agree(text.as_bytes())?;
        }

        #[test]
        fn every_byte_is_told_apart(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            agree(&text)?;
        }

        #[test]
        fn backslashes_are_found_in_stretches(
            text in "[a\\\\/]{0,300}", start in 0usize..300, length in 0usize..300,
        ) {
            let text = text.replace('\\', "\\/");
            let start = start.min(text.len());
            let end = (start + length).min(text.len());
            let mut quotes = Quotes::default();
            quotes.map(text.as_bytes()).expect("no oddities");
            prop_assert_eq!(quotes.has_backslash(start, end), text[start..end].contains('\\'));
        }
    }
}
