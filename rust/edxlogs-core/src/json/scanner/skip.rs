//! Objects and arrays that were checked before: what is left to find is where their brackets are even.

use super::{Fault, string_end};
use crate::json::lanes::{self, LANES};
use crate::json::scanner::Oddities;

/// The end of the object or array at `at`, which was checked before.
pub(super) fn container_end(text: &[u8], mut at: usize) -> Result<usize, Fault> {
    let mut depth = 0_usize;
    'chunks: loop {
        let mut last = [b' '; LANES];
        let rest = text.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Err(Fault::End);
        }
        let bytes = rest.first_chunk().unwrap_or_else(|| {
            last[..rest.len()].copy_from_slice(rest);
            &last
        });
        let quotes = lanes::equal(bytes, b'"');
        let opening = lanes::equal(bytes, b'{') | lanes::equal(bytes, b'[');
        let mut marks = quotes | opening | lanes::equal(bytes, b'}') | lanes::equal(bytes, b']');
        while marks != 0 {
            let place = marks.trailing_zeros();
            let next = at + place as usize + 1;
            if quotes >> place & 1 == 1 {
                at = string_end(text, next, &mut Oddities::default())?.0;
                continue 'chunks;
            }
            if opening >> place & 1 == 1 {
                depth += 1;
            } else if depth > 1 {
                depth -= 1;
            } else {
                return Ok(next);
            }
            marks &= marks - 1;
        }
        at += LANES;
    }
}
