//! Forms as browsers send them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use memchr::{memchr, memchr2};

use super::json::push_text;
use super::{Flag, Flags};

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
    let mut json = String::with_capacity(form.len() + 16);
    json.push('{');
    let mut values = values.into_iter().peekable();
    for (number, (key, is_list)) in keys.iter().enumerate() {
        if number > 0 {
            json.push(',');
        }
        push_text(key, &mut json);
        json.push_str(if *is_list { ":[" } else { ":" });
        let mut is_first = true;
        while let Some((_, value)) = values.next_if(|&(of, _)| of == number) {
            if !is_first {
                json.push(',');
            }
            is_first = false;
            push_text(&value, &mut json);
        }
        if *is_list {
            json.push(']');
        }
    }
    json.push('}');
    json
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
    let bytes = text.as_bytes();
    let marked = if plus_is_blank { memchr2(b'%', b'+', bytes) } else { memchr(b'%', bytes) };
    let Some(first) = marked else {
        return (Cow::Borrowed(text), false);
    };
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn forms_are_objects() {
        for (form, json) in [
            ("a=1&b=2", r#"{"a":"1","b":"2"}"#),
            ("&&a=1&", r#"{"a":"1"}"#),
            ("a&b=c=d&=e", r#"{"a":"","b":"c=d","":"e"}"#),
            ("b=1&a=2&b=3", r#"{"b":["1","3"],"a":"2"}"#),
            ("a[]=1", r#"{"a":["1"]}"#),
            ("a=1&a[]=2&a{}=3", r#"{"a":["1","2","3"]}"#),
            ("input_a%5B%5D=choice_0&input_a%5B%5D=choice_2", r#"{"a":["choice_0","choice_2"]}"#),
            ("input_a{}=%7B%22x%22%3A+1%7D", r#"{"a":"{\"x\": 1}"}"#),
            ("input_input_a=1", r#"{"input_a":"1"}"#),
            ("%69nput_a+b=1%2B2%2", r#"{"a b":"1+2%2"}"#),
            ("", "{}"),
        ] {
            let mut flags = Flags::default();
            assert_eq!(to_json(form, &mut flags), json, "{form}");
            assert!(flags.is_empty());
        }
        let mut flags = Flags::default();
        assert_eq!(to_json("a=%C3x%A9", &mut flags), "{\"a\":\"\u{fffd}x\u{fffd}\"}");
        assert!(flags.contains(Flag::BadUtf8));
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            pairs in prop::collection::vec(("[abé&= +]{1,3}", any::<String>()), 0..40),
            all in any::<bool>(),
        ) {
            let encode = |text: &str| -> String {
                let encode = |byte: u8| match byte {
                    b' ' if !all => "+".to_owned(),
                    byte if !all && byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                    byte => format!("%{byte:02X}"),
                };
                text.bytes().map(encode).collect()
            };
            let pieces = pairs.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value)));
            let form = pieces.collect::<Vec<_>>().join("&");
            let mut flags = Flags::default();
            let json: Value = serde_json::from_str(&to_json(&form, &mut flags)).expect("JSON");
            prop_assert!(flags.is_empty());
            for (key, _) in &pairs {
                let of_key = pairs.iter().filter(|(other, _)| other == key);
                let values: Vec<Value> = of_key.map(|(_, value)| value.as_str().into()).collect();
                match <[Value; 1]>::try_from(values) {
                    Ok([value]) => prop_assert_eq!(&json[key], &value),
                    Err(values) => prop_assert_eq!(&json[key], &Value::Array(values)),
                }
            }
        }

        #[test]
        fn any_form_is_json(form in "[a%=&+\\[\\]{}0-9fé\"\\\\\n]{0,24}") {
            let json = to_json(&form, &mut Flags::default());
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok_and(|json| json.is_object()));
        }
    }
}
