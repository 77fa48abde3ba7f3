//! The members of objects.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::At;
use crate::json::scanner::{Kind, Scanner, Span};
use crate::json::text::decode;

/// So many keys are compared each with each.
const FEW: usize = 16;

/// Where key and value of each member of an object stand, in order; of duplicate keys the first gives
/// the place, the last the value. Nothing for anything else.
pub fn members(at: At<'_>) -> Vec<(Span, Span)> {
    let mut found = Vec::new();
    if at.span.kind != Kind::Object {
        return found;
    }
    // It was scanned before: nothing in it can fail.
    let _ = Scanner::new(at.text.as_bytes(), at.span.start).object(|scanner, key| {
        found.push((key, scanner.skip()?));
        Ok(())
    });
    let key = |span: Span| decode(at.text, span);
    if found.len() <= FEW {
        let mut next = 1;
        while next < found.len() {
            let (last, value) = found[next];
            let is_it = |&(first, _): &(Span, Span)| is_same(at.text, first, last);
            match found[..next].iter().position(is_it) {
                Some(first) => {
                    found[first].1 = value;
                    found.remove(next);
                }
                None => next += 1,
            }
        }
        return found;
    }
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::with_capacity(found.len());
    let mut kept: Vec<(Span, Span)> = Vec::with_capacity(found.len());
    for member in found {
        match places.entry(key(member.0)) {
            Entry::Occupied(first) => kept[*first.get()].1 = member.1,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(member);
            }
        }
    }
    kept
}

fn is_same(text: &str, one: Span, other: Span) -> bool {
    if one.escaped || other.escaped {
        decode(text, one) == decode(text, other)
    } else {
        text[one.start..one.end] == text[other.start..other.end]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event_tables::decode::tests::at;

    #[test]
    fn only_objects_have_members() {
        for text in ["{}", "[1]", "null", "\"{}\"", "5"] {
            assert_eq!(members(at(text)), []);
        }
    }

    proptest! {
        #[test]
        fn duplicate_keys_keep_the_first_place_and_the_last_value(
            keys in prop::collection::vec(
                prop::sample::select(vec!["a", "\\u0061", "b", "c", "\\u0062c", "bc", "é"]), 0..40,
            ),
        ) {
            let written: Vec<String> =
                keys.iter().enumerate().map(|(at, key)| format!("\"{key}\": {at}")).collect();
            let text = format!("{{{}}}", written.join(", "));
            let mut expected: Vec<(String, String)> = Vec::new();
            for (at, key) in keys.iter().enumerate() {
                let key = serde_json::from_str::<String>(&format!("\"{key}\"")).expect("JSON");
                match expected.iter_mut().find(|(known, _)| *known == key) {
                    Some(known) => known.1 = at.to_string(),
                    None => expected.push((key, at.to_string())),
                }
            }
            let found: Vec<(String, String)> = members(at(&text))
                .into_iter()
                .map(|(key, value)| {
                    (decode(&text, key).into_owned(), text[value.start..value.end].to_owned())
                })
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
