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

/// Appends a text as a string, quotes included.
pub(super) fn push_text(text: &str, out: &mut String) {
    let mut at = 0;
    out.push('"');
    loop {
        let plain = plain_end(text.as_bytes(), at);
        out.push_str(&text[at..plain]);
        let Some(&odd) = text.as_bytes().get(plain) else { break };
        push_escaped(char::from(odd), out);
        at = plain + 1;
    }
    out.push('"');
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event_tables::decode::tests::{at, json, written};

    fn compact(text: &str) -> String {
        let mut out = String::new();
        push_compact(at(text), &mut out);
        out
    }

    #[test]
    fn compact_json() {
        for (text, expected) in [
            (" [ 1 , 2.50,\n1e5 ] ", "[1,2.50,1e5]"),
            (r#"{"a b" : " c ", "d": [ ]}"#, r#"{"a b":" c ","d":[]}"#),
            (
                r#"["\u00e9\/\ud83d\ude00", "\u0022\u005c\u000a\u0001\b\f"]"#,
                r#"["é/😀","\"\\\n\u0001\b\f"]"#,
            ),
            (r#"["\ud83d", NaN, -Infinity, -1, "N"]"#, "[\"\u{fffd}\",null,null,-1,\"N\"]"),
            ("[\"a\tb\"]", r#"["a\tb"]"#),
            ("[\"a\u{7f}b\"]", "[\"a\u{7f}b\"]"),
            (r#""a\u00e9""#, "\"aé\""),
            ("true", "true"),
            (" -0.0", "-0.0"),
        ] {
            assert_eq!(compact(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn compact_json_is_what_serde_json_writes(value in json(), way in 0u8..4) {
            prop_assert_eq!(compact(&written(&value, way)), value.to_string());
        }

        #[test]
        fn texts_are_what_serde_json_writes(text in any::<String>()) {
            let mut json = String::new();
            push_text(&text, &mut json);
            prop_assert_eq!(json, serde_json::to_string(&text).expect("JSON"));
        }
    }
}
