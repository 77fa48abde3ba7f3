//! Forms as browsers send them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use super::{Flag, Flags};
use crate::json::text::push_json_string;

/// A form as the JSON text of an object: each key with its text, or with the list of its texts where
/// it stands more than once or ends in `[]`. Keys go without `input_`, `[]` and `{}`, in the order in
/// which they are first seen.
pub fn to_json(form: &str, flags: &mut Flags) -> String {
    let mut numbers: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let mut keys: Vec<(Cow<'_, str>, bool)> = Vec::new();
    let mut values = Vec::new();
    let mut decoded = |text| {
        let (text, is_bad) = percent_decoded(text, true);
        if is_bad {
            flags.insert(Flag::BadUtf8);
        }
        text
    };
    for piece in form.split('&').filter(|piece| !piece.is_empty()) {
        let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (key, value) = (decoded(key), decoded(value));
        let (range, is_list) = bare_key(&key);
        let key = match key {
            Cow::Borrowed(key) => Cow::Borrowed(&key[range]),
            Cow::Owned(key) => Cow::Owned(key[range].to_owned()),
        };
        let number = match numbers.entry(key) {
            Entry::Occupied(known) => {
                let number = *known.get();
                keys[number].1 = true;
                number
            }
            Entry::Vacant(new) => {
                keys.push((new.key().clone(), is_list));
                *new.insert(keys.len() - 1)
            }
        };
        values.push((number, value));
    }
    // Those of one key next to each other, in their order.
    values.sort_by_key(|&(number, _)| number);
    let mut json = Vec::with_capacity(form.len() + 16);
    json.push(b'{');
    let mut values = values.into_iter().peekable();
    for (number, (key, is_list)) in keys.iter().enumerate() {
        if number > 0 {
            json.push(b',');
        }
        push_json_string(key, &mut json);
        json.extend_from_slice(if *is_list { b":[" } else { b":" });
        let mut is_first = true;
        while let Some((_, value)) = values.next_if(|&(of, _)| of == number) {
            if !is_first {
                json.push(b',');
            }
            is_first = false;
            push_json_string(&value, &mut json);
        }
        if *is_list {
            json.push(b']');
        }
    }
    json.push(b'}');
    // UTF-8 was put together of UTF-8.
    String::from_utf8(json).unwrap_or_default()
}

/// Where a key stands without its marks, and whether it says that its value is a list.
fn bare_key(key: &str) -> (Range<usize>, bool) {
    let name = key.strip_prefix("input_").unwrap_or(key);
    let start = key.len() - name.len();
    if let Some(name) = name.strip_suffix("[]") {
        return (start..start + name.len(), true);
    }
    let name = name.strip_suffix("{}").unwrap_or(name);
    (start..start + name.len(), false)
}

/// A text without `%XX`, and whether their bytes were no UTF-8: those become U+FFFD. `+` may stand for
/// a blank.
pub(super) fn percent_decoded(text: &str, plus_is_blank: bool) -> (Cow<'_, str>, bool) {
    let is_marked = |&byte: &u8| byte == b'%' || plus_is_blank && byte == b'+';
    let Some(first) = text.as_bytes().iter().position(is_marked) else {
        return (Cow::Borrowed(text), false);
    };
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(text.len());
    decoded.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        decoded.push(match byte {
            b'%' => match bytes.get(at..at + 2).and_then(hex_byte) {
                Some(byte) => {
                    at += 2;
                    byte
                }
                None => b'%',
            },
            b'+' if plus_is_blank => b' ',
            other => other,
        });
    }
    match String::from_utf8(decoded) {
        Ok(text) => (Cow::Owned(text), false),
        Err(error) => (Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()), true),
    }
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}
