//! Escapes of values, undone in one pass from left to right. What is no escape stays as it is.

use crate::json::lanes::{self, LANES};

/// Rows that are looked at to tell whether values are bytes literals.
const SAMPLE_ROWS: usize = 1000;

/// Whether a value is null, its escapes not undone.
pub fn is_null(field: &[u8]) -> bool {
    matches!(field, b"NULL" | b"\\N")
}

/// Whether nearly all values are written like `b'…'`.
pub fn are_literals(rows: &[u8]) -> bool {
    let fields = rows
        .split(|&byte| byte == b'\n')
        .take(SAMPLE_ROWS)
        .flat_map(|row| row.split(|&byte| byte == b'\t'))
        .filter(|field| !field.is_empty() && !is_null(field));
    let (mut all, mut literals) = (0, 0);
    for field in fields {
        all += 1;
        literals += usize::from(literal(field).is_some());
    }
    literals > 0 && literals * 10 >= all * 9
}

/// What is between the quotes of a bytes literal.
pub fn literal(field: &[u8]) -> Option<&[u8]> {
    let field = match field.strip_prefix(b"bytearray(") {
        Some(inner) => inner.strip_suffix(b")")?,
        None => field,
    };
    let field = field.strip_prefix(b"b")?;
    let quote = |byte: u8| field.strip_prefix(&[byte])?.strip_suffix(&[byte]);
    quote(b'\'').or_else(|| quote(b'"'))
}

/// Undoes the escapes of most files, from left to right; the text is in `out`.
pub fn unescape_tab<'o>(text: &str, out: &'o mut Vec<u8>) -> &'o str {
    unescape(text.as_bytes(), out, |byte| match byte {
        b'\\' => Some(b'\\'),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'0' => Some(b'\0'),
        _ => None,
    })
}

/// Undoes the escapes of courseware_studentmodule, from left to right; the text is in `out`.
pub fn unescape_module<'o>(text: &str, out: &'o mut Vec<u8>) -> &'o str {
    unescape(text.as_bytes(), out, |byte| match byte {
        b'\\' => Some(b'\\'),
        b'\t' => Some(b'\t'),
        _ => None,
    })
}

/// JSON in JSON has its backslashes close to each other, so a few bytes are copied at a time, and
/// those that follow a backslash once more.
#[inline(always)]
fn unescape<'o>(text: &[u8], out: &'o mut Vec<u8>, of: impl Fn(u8) -> Option<u8>) -> &'o str {
    let room = text.len() + LANES;
    if out.len() < room {
        out.resize(room, 0);
    }
    let (mut at, mut filled) = (0, 0);
    while at < text.len() {
        if let Some(near) = text[at..].first_chunk::<LANES>() {
            out[filled..filled + LANES].copy_from_slice(near);
            let found = lanes::equal(near, b'\\');
            // Not the same for 0: the processor goes on before it knows.
            if found == 0 {
                at += LANES;
                filled += LANES;
                continue;
            }
            at += found.trailing_zeros() as usize;
            filled += found.trailing_zeros() as usize;
        }
        let escaped =
            if text[at] == b'\\' { text.get(at + 1).and_then(|&byte| of(byte)) } else { None };
        out[filled] = escaped.unwrap_or(text[at]);
        at += 1 + usize::from(escaped.is_some());
        filled += 1;
    }
    // What is put in and left out is ASCII, so it is UTF-8 as the text was.
    simdutf8::basic::from_utf8(&out[..filled]).unwrap_or_default()
}

/// Undoes the escapes of a Python bytes literal.
pub fn unescape_literal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escaped = if text[at] == b'\\' { text.get(at + 1) } else { None };
        let (byte, used) = match escaped {
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(byte @ (b'\\' | b'\'' | b'"')) => (*byte, 2),
            Some(b'x') => match hex(text.get(at + 2), text.get(at + 3)) {
                Some(byte) => (byte, 4),
                None => (b'\\', 1),
            },
            _ => (text[at], 1),
        };
        out.push(byte);
        at += used;
    }
    out
}

fn hex(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn undone(text: &str, unescape: for<'o> fn(&str, &'o mut Vec<u8>) -> &'o str) -> String {
        unescape(text, &mut Vec::new()).to_owned()
    }

    #[test]
    fn escapes_are_undone_once_from_left_to_right() {
        for (written, tab, module) in [
            (r"\\n", "\\n", "\\n"),
            (r"\n", "\n", r"\n"),
            (r"\\\n", "\\\n", "\\\\n"),
            (r"\t\r\0", "\t\r\0", r"\t\r\0"),
            (r"\x\", r"\x\", r"\x\"),
            ("a\\\tb", "a\\\tb", "a\tb"),
            (r"é\\é", r"é\é", r"é\é"),
        ] {
            assert_eq!(undone(written, unescape_tab), tab, "{written:?}");
            assert_eq!(undone(written, unescape_module), module, "{written:?}");
        }
    }

    #[test]
    fn bytes_literals_are_told_and_read() {
        assert!(are_literals(b"b'1'\tb\"it's\"\tNULL\nb'2'\tb'x'\tb''\n"));
        assert!(!are_literals(b"1\tb'x'\n"));
        assert!(!are_literals(b""));
        assert_eq!(unescape_literal(br"caf\xc3\xa9 \'\\\n"), "café '\\\n".as_bytes());
        assert_eq!(literal(b"bytearray(b'x')"), Some(&b"x"[..]));
    }

    proptest! {
        #[test]
        fn what_the_exporter_escapes_comes_back(text in r#"[\\\t\n\rntr0a"é]{0,12}"#) {
            let written = text.replace('\\', r"\\").replace('\r', r"\r").replace('\t', r"\t");
            let tab = written.replace('\n', r"\n");
            prop_assert_eq!(undone(&tab, unescape_tab), text.clone());
            let module = text.replace('\\', r"\\").replace('\t', "\\\t");
            prop_assert_eq!(undone(&module, unescape_module), text);
        }
    }
}
