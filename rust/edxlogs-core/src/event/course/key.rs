//! The grammar of course keys: which text is one, and which course a longer key names.

use std::borrow::Cow;

use memchr::memchr;

/// The organisation of a key: its first part, as written.
pub fn org(key: &str) -> Option<&str> {
    // A slash key holds no colon, so the first one ends a namespace.
    let body = memchr(b':', key.as_bytes()).map_or(key, |at| &key[at + 1..]);
    let end = body.bytes().position(|byte| matches!(byte, b'+' | b'/'))?;
    (end > 0).then(|| &body[..end])
}

/// A namespace of new-style keys, and the namespace of the courses that its keys name.
pub(super) struct Namespace {
    pub(super) prefix: &'static str,
    pub(super) course: &'static str,
}

const COURSE: &str = "course-v1:";
pub(super) const CCX: &str = "ccx-v1:";
const LIBRARY: &str = "library-v1:";

/// Those of usage keys first.
pub(super) const NAMESPACES: [Namespace; USAGE_NAMESPACES + 2] = [
    Namespace { prefix: "block-v1:", course: COURSE },
    Namespace { prefix: "ccx-block-v1:", course: CCX },
    Namespace { prefix: "asset-v1:", course: COURSE },
    Namespace { prefix: COURSE, course: COURSE },
    Namespace { prefix: CCX, course: CCX },
];
pub(super) const USAGE_NAMESPACES: usize = 3;

/// What may follow the course in a key, and is cut.
const TAILS: [&str; 3] = ["type@", "branch@", "version@"];

/// The course of a text that is a new-style key from its first byte to its last.
pub(super) fn new_style<'a>(text: &'a str, namespaces: &[Namespace]) -> Option<Cow<'a, str>> {
    let namespace = namespaces.iter().find(|namespace| text.starts_with(namespace.prefix))?;
    let course = CourseBody::at_start(&text[namespace.prefix.len()..], namespace)?;
    (course.rest.is_empty() || course.has_tail()).then(|| course.key(text, namespace))
}

pub(super) fn library(text: &str) -> Option<Cow<'_, str>> {
    let body = text.strip_prefix(LIBRARY)?;
    let (len, separator) = leading_parts(body, NEW_STYLE, 2)?;
    let rest = &body[len..];
    if !rest.is_empty() && !is_tail(rest, separator) {
        return None;
    }
    let key = &text[..LIBRARY.len() + len];
    Some(if separator == b' ' { Cow::Owned(key.replace(' ', "+")) } else { Cow::Borrowed(key) })
}

/// The course at the start of the body of a new-style key.
pub(super) struct CourseBody<'a> {
    body: &'a str,
    pub(super) rest: &'a str,
    pub(super) separator: u8,
}

impl<'a> CourseBody<'a> {
    pub(super) fn at_start(text: &'a str, namespace: &Namespace) -> Option<Self> {
        let (mut len, separator) = leading_parts(text, NEW_STYLE, 3)?;
        if namespace.course == CCX {
            let number = after(&text[len..], separator)?.strip_prefix("ccx@")?;
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            // What is no digit but could be part of a word makes it another key.
            if digits == 0 || number[digits..].starts_with(is_word) {
                return None;
            }
            len += "+ccx@".len() + digits;
        }
        Some(CourseBody { body: &text[..len], rest: &text[len..], separator })
    }

    fn has_tail(&self) -> bool {
        is_tail(self.rest, self.separator)
    }

    /// The key, borrowed from `text`, which starts with the namespace, if it stands there.
    pub(super) fn key<'t>(&self, text: &'t str, namespace: &Namespace) -> Cow<'t, str> {
        if namespace.prefix == namespace.course && self.separator == b'+' {
            Cow::Borrowed(&text[..namespace.prefix.len() + self.body.len()])
        } else {
            Cow::Owned(format!("{}{}", namespace.course, self.body.replace(' ', "+")))
        }
    }
}

/// The length of the first `count` legal parts of a key of this kind, and what separates them: of
/// a slash key `/`, of a new-style key `+` or the space that form decoding made of it.
fn leading_parts(text: &str, kind: u8, count: usize) -> Option<(usize, u8)> {
    let mut len = legal_len(text, kind);
    let separator = *text.as_bytes().get(len)?;
    if len == 0 || !matches!((kind, separator), (SLASH, b'/') | (NEW_STYLE, b'+' | b' ')) {
        return None;
    }
    for _ in 1..count {
        let part = legal_len(after(&text[len..], separator)?, kind);
        if part == 0 {
            return None;
        }
        len += 1 + part;
    }
    Some((len, separator))
}

pub(super) fn is_slash_key(text: &str) -> bool {
    leading_parts(text, SLASH, 3).is_some_and(|(len, _)| len == text.len())
}

fn after(text: &str, separator: u8) -> Option<&str> {
    text.strip_prefix(char::from(separator))
}

pub(super) fn is_tail(rest: &str, separator: u8) -> bool {
    after(rest, separator).is_some_and(|part| TAILS.iter().any(|tail| part.starts_with(tail)))
}

pub(super) const SLASH: u8 = 1;
pub(super) const NEW_STYLE: u8 = 2;

/// In which kinds of key an ASCII character may stand; 0 for the bytes of all others.
const LEGAL: [u8; 256] = {
    let mut legal = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        legal[byte as usize] = match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' | b'-' => SLASH | NEW_STYLE,
            b'%' => SLASH,
            b'~' | b':' => NEW_STYLE,
            _ => 0,
        };
        byte += 1;
    }
    legal
};

/// How many bytes at the start of a text may stand in a part of a key of this kind.
pub(super) fn legal_len(text: &str, kind: u8) -> usize {
    let is_illegal = |byte: &u8| LEGAL[usize::from(*byte)] & kind == 0;
    match text.as_bytes().iter().position(is_illegal) {
        None => text.len(),
        Some(at) if text.as_bytes()[at].is_ascii() => at,
        Some(at) => at + legal_len_unicode(&text[at..], kind),
    }
}

/// The same, for a text with letters and digits of any script.
#[cold]
fn legal_len_unicode(text: &str, kind: u8) -> usize {
    let is_illegal = |c: char| match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => LEGAL[usize::from(byte)] & kind == 0,
        _ => !c.is_alphanumeric(),
    };
    text.find(is_illegal).unwrap_or(text.len())
}

pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
