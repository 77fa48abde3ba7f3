//! The loop that decodes nearly all symbols, and all `unsafe` of the decoder.

use super::table::*;
use super::{Decoder, Flow};

pub(super) type Fast = fn(&mut Decoder, &mut Flow<'_>);

/// One round of the fast loop reads at most 3 refills of 8 bytes.
const INPUT_MARGIN: usize = 32;
/// One round writes at most 3 literals and a match of 258, rounded up to 384.
const OUTPUT_MARGIN: usize = 400;

/// The fastest build of [`fast`] that this processor runs.
pub(super) fn choose() -> Fast {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("bmi2") && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the features that the function is compiled for.
        return |decoder, flow| unsafe { fast_bmi2(decoder, flow) };
    }
    fast
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi2,avx2")]
fn fast_bmi2(decoder: &mut Decoder, flow: &mut Flow<'_>) {
    fast(decoder, flow);
}

/// Decodes literals and valid matches while both buffers have margin; nothing where they have none.
#[inline(always)]
pub(super) fn fast(decoder: &mut Decoder, flow: &mut Flow<'_>) {
    const LITLEN_MASK: u64 = (1 << LITLEN_BITS) - 1;
    const DIST_MASK: u64 = (1 << DIST_BITS) - 1;
    let (litlen, dist) = (&*decoder.litlen, &*decoder.dist);
    let Some(last_input) = flow.input.len().checked_sub(INPUT_MARGIN) else {
        return;
    };
    let Some(last_output) = flow.output.len().checked_sub(OUTPUT_MARGIN) else {
        return;
    };
    if flow.next > last_input || flow.at > last_output || flow.low > flow.at {
        return;
    }
    let (input, output) = (flow.input.as_ptr(), flow.output.as_mut_ptr());
    // Pointers in place of indices leave a register more, and there are none to spare.
    // SAFETY: all of them lie within their slices, as was just compared.
    let (mut next, last_input, mut at, last_output, low) = unsafe {
        let (next, last_input) = (input.add(flow.next), input.add(last_input));
        (next, last_input, output.add(flow.at), output.add(last_output), output.add(flow.low))
    };
    let mut bits = decoder.bits;
    // Only the low six bits of `count` count; what subtracting whole entries leaves above is noise.
    let mut count = decoder.count;

    // SAFETY, for all that follows: a round starts with next <= last_input and at <= last_output.
    // - Reads: a round refills at most 3 times and each moves `next` by at most 7, so the last load
    //   of 8 bytes ends within 3 * 7 + 8 < INPUT_MARGIN of its start. The refill before the first
    //   round is one of these.
    // - Writes: at most 3 literals, then a match. Entries come from LITLEN alone, so it is of at
    //   most 258 bytes, rounded up to 128s: together 387 < OUTPUT_MARGIN.
    // - Copies read from at - distance, with 1 <= distance <= at - low checked, and never beyond
    //   what they write.
    macro_rules! refill {
        () => {
            // SAFETY: see above.
            let word = unsafe { next.cast::<u64>().read_unaligned() };
            bits |= u64::from_le(word).wrapping_shl(count);
            // SAFETY: see above.
            next = unsafe { next.add(7 - (count as usize >> 3 & 7)) };
            count |= 56;
        };
    }
    macro_rules! consume {
        ($entry:expr) => {
            bits = bits.wrapping_shr($entry);
            count = count.wrapping_sub($entry);
        };
    }
    macro_rules! literal {
        ($entry:expr) => {
            // SAFETY: see above.
            at = unsafe {
                at.write(($entry >> 16) as u8);
                at.add(1)
            };
            consume!($entry);
        };
    }
    macro_rules! value {
        ($entry:expr) => {{
            let extra = bits & !(u64::MAX << ($entry & 63));
            let value = ($entry >> 16) as usize + extra.wrapping_shr($entry >> 8) as usize;
            consume!($entry);
            value
        }};
    }

    refill!();
    let mut entry = litlen[(bits & LITLEN_MASK) as usize];
    while next <= last_input && at <= last_output {
        // Here 56 bits are there: a literal takes 10, a length 20, a distance 28.
        if entry & LITERAL != 0 {
            literal!(entry);
            entry = litlen[(bits & LITLEN_MASK) as usize];
            if entry & LITERAL != 0 {
                literal!(entry);
                entry = litlen[(bits & LITLEN_MASK) as usize];
                if entry & LITERAL != 0 {
                    literal!(entry);
                    refill!();
                    entry = litlen[(bits & LITLEN_MASK) as usize];
                    continue;
                }
            }
            refill!();
        }
        let before = (bits, count);
        if entry & SPECIAL != 0 {
            if entry & (END | INVALID) != SPECIAL {
                break;
            }
            consume!(entry & 63);
            let sub = bits & !(u64::MAX << (entry >> 8 & 15));
            entry = litlen[((entry >> 16) as usize + sub as usize) % LITLEN_SIZE];
            if entry & LITERAL != 0 {
                literal!(entry);
                refill!();
                entry = litlen[(bits & LITLEN_MASK) as usize];
                continue;
            }
            if entry & SPECIAL != 0 {
                (bits, count) = before;
                break;
            }
        }
        let length = value!(entry);
        let mut place = dist[(bits & DIST_MASK) as usize];
        if place & SPECIAL != 0 {
            if place & (END | INVALID) != SPECIAL {
                (bits, count) = before;
                break;
            }
            consume!(place & 63);
            let sub = bits & !(u64::MAX << (place >> 8 & 15));
            place = dist[((place >> 16) as usize + sub as usize) % DIST_SIZE];
            if place & SPECIAL != 0 {
                (bits, count) = before;
                break;
            }
        }
        let distance = value!(place);
        if distance.wrapping_sub(1) >= at.addr() - low.addr() {
            (bits, count) = before;
            break;
        }
        // The next entry is on its way while the match is copied.
        refill!();
        entry = litlen[(bits & LITLEN_MASK) as usize];
        // SAFETY: see above.
        at = unsafe {
            copy_match(at, distance, length);
            at.add(length)
        };
    }
    flow.next = next.addr() - input.addr();
    flow.at = at.addr() - output.addr();
    decoder.count = count & 63;
    decoder.bits = bits & ((1 << decoder.count) - 1);
}

/// Copies a match to `to`; may write as far as `length` rounded up to 128s.
///
/// # Safety
///
/// `to - distance` to `to + length`, the length rounded up to 128s, lies in one buffer; `distance`
/// is not 0.
#[inline(always)]
unsafe fn copy_match(to: *mut u8, distance: usize, length: usize) {
    // SAFETY: the caller's promise; each copy is no longer than the distance, so never overlaps.
    unsafe {
        let from = to.sub(distance).cast_const();
        if distance >= 32 {
            let mut done = 0;
            loop {
                // Four at once: nearly every match is done after the first round, so the branch is
                // foreseen.
                for part in (done..done + 128).step_by(32) {
                    from.add(part).copy_to_nonoverlapping(to.add(part), 32);
                }
                done += 128;
                if done >= length {
                    break;
                }
            }
        } else if distance >= 8 {
            for done in (0..length).step_by(8) {
                from.add(done).copy_to_nonoverlapping(to.add(done), 8);
            }
        } else if distance == 1 {
            to.write_bytes(*from, length);
        } else {
            for done in 0..length {
                *to.add(done) = *from.add(done);
            }
        }
    }
}
