//! JSON without oddities, walked from quote to quote: nearly all there is, and in half the time that
//! the [`Scanner`] takes. It checks the same grammar, and leaves to the scanner whatever is odd.

use crate::json::quotes::Quotes;
use crate::json::scanner::{Kind, Oddities, Scanner};

/// Deepest nesting that is taken: one bit a level.
const MAX_DEPTH: usize = 63;

/// The containers that are open.
#[derive(Default)]
pub(crate) struct Containers {
    /// A bit each, the innermost lowest: set for objects.
    objects: u64,
    /// How many there are.
    pub(crate) depth: usize,
}

impl Containers {
    /// Opens one; `None` if it lies too deep.
    #[inline(always)]
    pub(crate) fn open(&mut self, is_object: bool) -> Option<()> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.objects = self.objects << 1 | u64::from(is_object);
        self.depth += 1;
        Some(())
    }

    /// Whether the innermost is an object.
    #[inline(always)]
    pub(crate) fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// Skips what follows a value that ends at `at`: a comma, perhaps with the space behind it, or
    /// the end of the innermost, which is closed then. Where that ends, and whether what was closed is
    /// an object.
    #[inline(always)]
    pub(crate) fn after_value(&mut self, text: &[u8], at: usize) -> Option<(usize, Option<bool>)> {
        // As Python writes it.
        if let Some(b", ") = text.get(at..)?.first_chunk() {
            return Some((at + 2, None));
        }
        let at = space_end(text, at);
        let byte = *text.get(at)?;
        if byte == b',' {
            return Some((at + 1, None));
        }
        let is_object = self.in_object();
        if byte != if is_object { b'}' } else { b']' } {
            return None;
        }
        self.objects >>= 1;
        self.depth -= 1;
        Some((at + 1, Some(is_object)))
    }
}

/// Whether a text is one object or array and nothing else, strict JSON, and plain. `quotes` is room.
pub(crate) fn is_container(text: &[u8], quotes: &mut Quotes) -> bool {
    quotes.map(text).is_some() && walk(text, quotes).is_some()
}

fn walk(text: &[u8], quotes: &Quotes) -> Option<()> {
    let mut at = 0;
    let mut containers = Containers::default();
    loop {
        // Here a value begins.
        match *text.get(at)? {
            opening @ (b'{' | b'[') => {
                containers.open(opening == b'{')?;
                at = space_end(text, at + 1);
                if *text.get(at)? != opening + 2 {
                    if opening == b'{' {
                        at = key_end(text, at, quotes)?;
                    }
                    continue;
                }
            }
            _ if containers.depth == 0 => return None,
            b'"' => at = quotes.next(at + 1)? + 1,
            _ => at = scalar_end(text, at)?.0,
        }
        // Here a value has ended, or a container that is empty has begun.
        loop {
            let (end, closed) = containers.after_value(text, at)?;
            at = end;
            if closed.is_none() {
                at = space_end(text, at);
                if containers.in_object() {
                    at = key_end(text, at, quotes)?;
                }
                break;
            }
            if containers.depth == 0 {
                return (at == text.len()).then_some(());
            }
        }
    }
}

/// Skips a key, its colon, and the spaces around them.
#[inline(always)]
fn key_end(text: &[u8], at: usize, quotes: &Quotes) -> Option<usize> {
    if *text.get(at)? != b'"' {
        return None;
    }
    value_start(text, quotes.next(at + 1)? + 1)
}

/// Skips the colon at `at`, and the spaces around it.
#[inline(always)]
pub(crate) fn value_start(text: &[u8], at: usize) -> Option<usize> {
    // As Python writes it.
    if let Some(&[b':', b' ', next]) = text.get(at..)?.first_chunk()
        && next != b' '
    {
        return Some(at + 2);
    }
    let at = space_end(text, at);
    (*text.get(at)? == b':').then(|| space_end(text, at + 1))
}

/// The end of a number or a word at `start`, and what it is.
#[inline(always)]
pub(crate) fn scalar_end(text: &[u8], start: usize) -> Option<(usize, Kind)> {
    let mut end = start;
    while text.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    let plain = (end == start + 1 || end > start && text[start] != b'0') && end - start <= 18;
    if plain && matches!(text.get(end), Some(b',' | b'}' | b']')) {
        return Some((end, Kind::Number));
    }
    let mut scanner = Scanner::new(text, start);
    let span = scanner.value().ok()?;
    (scanner.odd == Oddities::default()).then_some((span.end, span.kind))
}

/// Where the next byte that is no space stands. Other white space is a control character, and in
/// no text that is mapped.
#[inline(always)]
pub(crate) fn space_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while text.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::json::text::whole_value;

    pub(crate) fn value() -> impl Strategy<Value = Value> {
        let text = "[a\"\\\\/ é]{0,70}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (-1e3..1e3).prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(text, inner, 0..6).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn plain_containers_are_taken(value in value(), spaces in " {0,3}") {
            let spaced = format!("{spaces},{spaces}");
            let text = value.to_string().replace(',', &spaced).replace(':', &format!(":{spaces}"));
            let taken = is_container(text.as_bytes(), &mut Quotes::default());
            prop_assert_eq!(taken, value.is_object() || value.is_array());
        }

        #[test]
        fn what_is_taken_is_strict_json(text in "[\\[\\]{}:,\"\\\\u0019e.+ \\-truefalsn\t]{0,40}") {
            if is_container(text.as_bytes(), &mut Quotes::default()) {
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
                let (_, odd) = whole_value(text.as_bytes()).expect("JSON");
                prop_assert_eq!(odd, Oddities::default());
            }
        }

        #[test]
        fn a_changed_byte_is_told(value in value(), at in any::<proptest::sample::Index>(), byte in proptest::sample::select(&b"\"\\{}[]:,0 e-\x01"[..])) {
            let mut text = value.to_string().into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            if let Ok(text) = String::from_utf8(text) && serde_json::from_str::<Value>(&text).is_err() {
                prop_assert!(!is_container(text.as_bytes(), &mut Quotes::default()), "{text}");
            }
        }
    }
}
