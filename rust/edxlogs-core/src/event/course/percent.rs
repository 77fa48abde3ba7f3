//! Percent-escapes.

use memchr::memchr;

/// The byte that a percent-escape at the start of a text stands for.
pub(super) fn escape(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// The text with its percent-escapes resolved, once; `None` if it has none. Bytes that are no
/// UTF-8 become U+FFFD, which no key may hold.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut rest = text.as_bytes();
    memchr(b'%', rest)?;
    let mut decoded = Vec::with_capacity(text.len());
    let mut changed = false;
    while let Some(at) = memchr(b'%', rest) {
        decoded.extend_from_slice(&rest[..at]);
        let (byte, len) = match escape(&rest[at..]) {
            Some(byte) => (byte, 3),
            None => (b'%', 1),
        };
        changed |= len == 3;
        decoded.push(byte);
        rest = &rest[at + len..];
    }
    if !changed {
        return None;
    }
    decoded.extend_from_slice(rest);
    let text = String::from_utf8(decoded);
    Some(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
