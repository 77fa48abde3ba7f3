//! Values found by a path of keys and indexes.

use crate::json::scanner::{Kind, Scanner, Span};

/// The value at `path` inside `value`, the last of duplicate keys; `None` where there is none.
///
/// `key_is` compares the raw text of a key with a step's name; steps are object keys or indexes.
pub fn find<'p>(
    text: &[u8],
    value: Span,
    path: impl IntoIterator<Item = Step<'p>>,
) -> Option<Span> {
    let mut value = value;
    for step in path {
        let mut found = Span::default();
        let mut scanner = Scanner::new(text, value.start);
        match step {
            Step::Key(name) if value.kind == Kind::Object => scanner
                .object(|scanner, key| {
                    let matches = key_is(text, key, name);
                    let span = scanner.value()?;
                    if matches {
                        found = span;
                    }
                    Ok(())
                })
                .ok()?,
            Step::Index(index) if value.kind == Kind::Array => {
                scanner.at += 1;
                scanner.space();
                if scanner.byte().ok()? == b']' {
                    return None;
                }
                for n in 0.. {
                    let span = scanner.value().ok()?;
                    if n == index {
                        found = span;
                        break;
                    }
                    scanner.space();
                    if scanner.byte().ok()? != b',' {
                        return None;
                    }
                    scanner.at += 1;
                    scanner.space();
                }
            }
            _ => return None,
        }
        if !found.is_present() {
            return None;
        }
        value = found;
    }
    Some(value)
}

/// One step of a path into a JSON value.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The member of that name.
    Key(&'a str),
    /// The element at that place, from 0.
    Index(usize),
}

/// Whether the key at `key` of `text` is `name`, whatever way it is spelled.
pub fn key_is(text: &[u8], key: Span, name: &str) -> bool {
    let raw = &text[key.start..key.end];
    if key.escaped {
        let mut decoded = Vec::new();
        crate::json::text::unescape(raw, &mut decoded);
        decoded == name.as_bytes()
    } else {
        raw == name.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_path() {
        let text = br#"{"a": {"x.y": [10, {"z": "w"}]}, "\u0061": {"b": 2}}"#;
        let whole = Span { start: 0, end: text.len(), kind: Kind::Object, escaped: false };
        let at = |path: &[Step<'_>]| {
            find(text, whole, path.iter().copied()).map(|span| &text[span.start..span.end])
        };
        assert_eq!(at(&[Step::Key("a"), Step::Key("b")]), Some(&b"2"[..]), "the last duplicate");
        assert_eq!(at(&[Step::Key("a"), Step::Key("x.y")]), None);
        let text = br#"[10, {"z": "w"}]"#;
        let whole = Span { start: 0, end: text.len(), kind: Kind::Array, escaped: false };
        let path = [Step::Index(1), Step::Key("z")];
        assert_eq!(find(text, whole, path).map(|span| span.start), Some(12));
        assert_eq!(find(text, whole, [Step::Index(2)]), None);
    }
}
