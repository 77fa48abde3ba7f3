//! JSON strings, decoded and encoded; strict JSON made of what the scanner tolerates.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::json::lanes::{self, LANES};
use crate::json::scanner::{Fault, Oddities, Scanner, Span};

/// Appends the text that the inside of a JSON string stands for, as UTF-8. Lone surrogates become
/// U+FFFD. The escapes must be well formed, as the scanner has seen to.
pub fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    loop {
        // JSON inside a string holds a backslash every few bytes: a call for each stretch between
        // two would cost more than the stretch.
        while let Some(bytes) = rest.first_chunk::<LANES>() {
            let backslashes = lanes::equal(bytes, b'\\');
            let plain = LANES.min(backslashes.trailing_zeros() as usize);
            out.extend_from_slice(bytes);
            out.truncate(out.len() - LANES + plain);
            rest = &rest[plain..];
            if backslashes != 0 {
                break;
            }
        }
        let Some((&first, after)) = rest.split_first() else {
            return;
        };
        rest = after;
        if first != b'\\' {
            out.push(first);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else {
            return;
        };
        rest = after;
        let byte = match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, used) = unicode_escape(rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[used..];
                continue;
            }
            other => other,
        };
        out.push(byte);
    }
}

/// The character after a `\u`, and how many bytes it took; a partner's `\u` is included.
pub(crate) fn unicode_escape(rest: &[u8]) -> (char, usize) {
    let unit = |at: usize| -> Option<u32> {
        let digits = std::str::from_utf8(rest.get(at..at + 4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(high) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, rest.len().min(4));
    };
    if (0xD800..0xDC00).contains(&high)
        && rest[4..].starts_with(b"\\u")
        && let Some(low) = unit(6).filter(|low| (0xDC00..0xE000).contains(low))
    {
        let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

/// The text of a string span: borrowed where nothing is escaped.
pub fn decode(text: &str, span: Span) -> Cow<'_, str> {
    let raw = &text[span.start..span.end];
    if !span.escaped {
        return Cow::Borrowed(raw);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    unescape(raw.as_bytes(), &mut decoded);
    // Unescaping valid UTF-8 gives valid UTF-8, so this never replaces anything.
    Cow::Owned(String::from_utf8(decoded).unwrap_or_default())
}

/// Appends `text` as a JSON string, quotes included.
pub fn push_json_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// One JSON value that fills `text`, white space around it aside.
///
/// # Errors
/// The [`Fault`] that makes it none.
pub fn whole_value(text: &[u8]) -> Result<(Span, Oddities), Fault> {
    let mut scanner = Scanner::new(text, 0);
    scanner.space();
    let span = scanner.value()?;
    if !scanner.at_end() {
        return Err(Fault::Syntax);
    }
    Ok((span, scanner.odd))
}

/// Appends `text`, which the scanner has accepted, as strict JSON: `NaN` and the infinities become
/// `null`, raw control characters are escaped, lone surrogates become U+FFFD; every other byte
/// stays as it was.
pub fn push_strict(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = push_strict_string(text, at, out),
            b'N' => {
                out.extend_from_slice(b"null");
                at += "NaN".len();
            }
            b'I' => {
                out.extend_from_slice(b"null");
                at += "Infinity".len();
            }
            b'-' if text.get(at + 1) == Some(&b'I') => {
                out.extend_from_slice(b"null");
                at += "-Infinity".len();
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
}

/// Copies the string at `at`; the offset after it.
fn push_strict_string(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    out.push(b'"');
    let mut at = at + 1;
    while at < text.len() {
        match text[at] {
            b'"' => {
                out.push(b'"');
                return at + 1;
            }
            b'\\' if text.get(at + 1) == Some(&b'u') => {
                let (character, used) = unicode_escape(&text[at + 2..]);
                let end = (at + 2 + used).min(text.len());
                if character == char::REPLACEMENT_CHARACTER {
                    out.extend_from_slice(b"\\ufffd");
                } else {
                    out.extend_from_slice(&text[at..end]);
                }
                at = end;
            }
            b'\\' => {
                let end = (at + 2).min(text.len());
                out.extend_from_slice(&text[at..end]);
                at = end;
            }
            byte @ 0..0x20 => {
                let mut escaped = Vec::with_capacity(8);
                push_json_string(char::from(byte).encode_utf8(&mut [0; 4]), &mut escaped);
                out.extend_from_slice(&escaped[1..escaped.len() - 1]);
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    at
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strict_rewrites_only_what_is_not() {
        let mut out = Vec::new();
        push_strict(
            b"{\"a\": [NaN, -Infinity, -1], \"b\": \"N\x00\\ud83dI\\ud83d\\ude00\"}",
            &mut out,
        );
        let expected = "{\"a\": [null, null, -1], \"b\": \"N\\u0000\\ufffdI\\ud83d\\ude00\"}";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    proptest! {
        #[test]
        fn strings_survive(text in any::<String>()) {
            let mut json = Vec::new();
            push_json_string(&text, &mut json);
            prop_assert_eq!(serde_json::from_slice::<String>(&json).expect("valid"), text.clone());
            let json = String::from_utf8(json).expect("UTF-8");
            let (span, odd) = whole_value(json.as_bytes()).expect("valid");
            prop_assert!(!odd.needs_rewriting());
            prop_assert_eq!(decode(&json, span), text);
        }

        #[test]
        fn decodes_as_serde_json_does(units in proptest::collection::vec(any::<u16>(), 0..6)) {
            let json = units.iter().fold("\"".to_owned(), |s, u| s + &format!("\\u{u:04X}")) + "\"";
            let (span, odd) = whole_value(json.as_bytes()).expect("valid");
            match serde_json::from_str::<String>(&json) {
                Ok(text) => prop_assert_eq!(decode(&json, span), text),
                Err(_) => prop_assert!(odd.surrogate),
            }
            prop_assert_eq!(decode(&json, span), String::from_utf16_lossy(&units));
        }
    }
}
