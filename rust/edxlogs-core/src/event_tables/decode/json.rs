//! JSON text without white space.

use super::At;
use crate::json::scanner::{Kind, plain_end};
use crate::json::text::unicode_escape;

/// Appends a value as strict JSON without white space: numbers as they are written, `null` for those
/// that are none, in strings no escapes but those that they need. Lone surrogates become U+FFFD.
pub fn push_compact(at: At<'_>, out: &mut String) {
    match at.span.kind {
        Kind::Absent => {}
        Kind::Null => out.push_str("null"),
        Kind::String => {
            out.push('"');
            push_inside(at.text, at.span.start, out);
        }
        Kind::True | Kind::False | Kind::Number => out.push_str(at.raw()),
        Kind::Object | Kind::Array => push_container(at, out),
    }
}

fn push_container(At { text, span }: At<'_>, out: &mut String) {
    let bytes = text.as_bytes();
    let mut at = span.start;
    // Before it, all is copied.
    let mut copied = at;
    while at < span.end {
        let (skipped, word) = match bytes[at] {
            b'"' => {
                let inside = at + 1;
                at = plain_end(bytes, inside);
                if bytes.get(at) != Some(&b'"') {
                    out.push_str(&text[copied..inside]);
                    at = push_inside(text, inside, out);
                    copied = at;
                } else {
                    at += 1;
                }
                continue;
            }
            b' ' | b'\n' | b'\r' | b'\t' => (1, ""),
            b'N' => ("NaN".len(), "null"),
            b'I' => ("Infinity".len(), "null"),
            b'-' if bytes.get(at + 1) == Some(&b'I') => ("-Infinity".len(), "null"),
            _ => {
                at += 1;
                continue;
            }
        };
        out.push_str(&text[copied..at]);
        out.push_str(word);
        at += skipped;
        copied = at;
    }
    out.push_str(&text[copied..span.end]);
}

/// Appends the string whose inside begins at `at`, its closing quote included; the place after that.
fn push_inside(text: &str, mut at: usize, out: &mut String) -> usize {
    let bytes = text.as_bytes();
    loop {
        let plain = plain_end(bytes, at);
        out.push_str(&text[at..plain]);
        at = plain + 1;
        match bytes.get(plain) {
            Some(b'\\') => match bytes.get(at) {
                Some(b'u') => {
                    let (character, used) = unicode_escape(&bytes[at + 1..]);
                    push_escaped(character, out);
                    at += 1 + used;
                }
                Some(b'/') => {
                    out.push('/');
                    at += 1;
                }
                _ => {
                    out.push_str(&text[plain..=at]);
                    at += 1;
                }
            },
            Some(&control @ ..0x20) => push_escaped(char::from(control), out),
            _ => {
                out.push('"');
                return at;
            }
        }
    }
}

fn push_escaped(character: char, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\0'..' ' => {
            let byte = character as usize;
            out.push_str("\\u00");
            out.push(char::from(HEX[byte >> 4]));
            out.push(char::from(HEX[byte & 15]));
        }
        _ => out.push(character),
    }
}
