//! Numbers and words.

use super::{Fault, Kind, Oddities, byte};

/// Where the number or word at `at` ends, and what it is.
#[inline]
pub(super) fn scalar_end(
    text: &[u8],
    at: usize,
    odd: &mut Oddities,
) -> Result<(usize, Kind), Fault> {
    match byte(text, at)? {
        b't' => word_end(text, at, b"true", Kind::True),
        b'f' => word_end(text, at, b"false", Kind::False),
        b'n' => word_end(text, at, b"null", Kind::Null),
        b'N' => {
            odd.nan = true;
            word_end(text, at, b"NaN", Kind::Null)
        }
        b'I' => {
            odd.nan = true;
            word_end(text, at, b"Infinity", Kind::Null)
        }
        b'-' | b'0'..=b'9' => number_end(text, at, odd),
        _ => Err(Fault::Syntax),
    }
}

fn word_end(text: &[u8], at: usize, word: &[u8], kind: Kind) -> Result<(usize, Kind), Fault> {
    let rest = &text[at..];
    if rest.starts_with(word) {
        Ok((at + word.len(), kind))
    } else if word.starts_with(rest) {
        Err(Fault::End)
    } else {
        Err(Fault::Syntax)
    }
}

fn number_end(text: &[u8], mut at: usize, odd: &mut Oddities) -> Result<(usize, Kind), Fault> {
    if byte(text, at)? == b'-' {
        at += 1;
        if byte(text, at)? == b'I' {
            odd.nan = true;
            return word_end(text, at, b"Infinity", Kind::Null);
        }
    }
    let whole = at;
    at = if byte(text, at)? == b'0' { at + 1 } else { digits_end(text, at)? };
    odd.big_number |= at - whole > 18;
    if text.get(at) == Some(&b'.') {
        at = digits_end(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let b'+' | b'-' = byte(text, at)? {
            at += 1;
        }
        let exponent = at;
        at = digits_end(text, at)?;
        odd.big_number |= at - exponent > 2;
    }
    Ok((at, Kind::Number))
}

/// Skips one digit or more.
fn digits_end(text: &[u8], at: usize) -> Result<usize, Fault> {
    let mut end = at;
    while text.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    if end > at {
        Ok(end)
    } else if end == text.len() {
        Err(Fault::End)
    } else {
        Err(Fault::Syntax)
    }
}
