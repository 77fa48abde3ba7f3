//! What the tests of the decoders share, and the laws that hold across them.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event_tables::decode::payload::Body;
use crate::json::text::whole_value;

/// A JSON text as the value that it is.
pub(super) fn at(text: &str) -> At<'_> {
    let (span, _) = whole_value(text.as_bytes()).expect("JSON");
    At { text, span }
}

pub(super) fn words(flags: Flags) -> String {
    let mut words = String::new();
    flags.push_words(&mut words);
    words
}

/// JSON values of any shape, with numbers as different tools write them.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let number =
        prop::sample::select(vec!["0", "-1", "2.50", "1e5", "123456789012345678901", "-0.0"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(|number| serde_json::from_str(number).expect("a number")),
        any::<String>().prop_map(Value::String),
        "[ae=&%+/\"\\\\\n\u{1}]{0,6}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(("[ab\"é]{0,2}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A value as one of several writers of JSON leaves it: with blanks and lines, without, and with all
/// that is not ASCII escaped.
pub(super) fn written(value: &Value, way: u8) -> String {
    let text = if way & 1 == 0 {
        value.to_string()
    } else {
        serde_json::to_string_pretty(value).expect("JSON")
    };
    if way & 2 == 0 {
        return text;
    }
    let mut units = [0; 2];
    text.chars().fold(String::new(), |ascii, sign| {
        let escape = |units: &mut [u16]| {
            units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
        };
        if sign.is_ascii() {
            ascii + &String::from(sign)
        } else {
            ascii + &escape(sign.encode_utf16(&mut units))
        }
    })
}

#[test]
fn flags_are_words_in_order() {
    let mut flags = Flags::default();
    assert!(flags.is_empty());
    for flag in [Flag::Worker, Flag::BrokenPayload, Flag::NaiveTime] {
        flags.insert(flag);
    }
    assert!(flags.contains(Flag::Worker) && !flags.contains(Flag::Cut512));
    assert_eq!(words(flags), "broken_payload naive_time worker");
    assert!(Flag::ALL.len() <= 16, "a bit each");
}

proptest! {
    #[test]
    fn a_payload_is_the_same_however_it_is_packed(
        value in json().prop_filter("none alone", |value| value.is_object() || value.is_array()),
        way in 0u8..4,
    ) {
        let mut packed = written(&value, way);
        for _ in 0..3 {
            let mut flags = Flags::default();
            let body = Body::new(&packed, at(&packed).span, &mut flags);
            prop_assert!(flags.is_empty() && !body.is_form() && !body.is_cut());
            let root: Value = serde_json::from_str(body.root().raw()).expect("JSON");
            prop_assert_eq!(&root, &value);
            packed = written(&Value::String(packed), way);
        }
        let mut flags = Flags::default();
        let body = Body::new(&packed, at(&packed).span, &mut flags);
        prop_assert!(!body.root().is_some());
        prop_assert_eq!(words(flags), "broken_payload");
    }

    #[test]
    fn what_is_read_of_text_and_form_and_object_is_the_same(
        members in prop::collection::btree_map("[a-c]{1,2}", "[a-z0-9.é=& +%\"]{1,6}", 1..5),
    ) {
        let encode = |text: &str| -> String {
            text.bytes().map(|byte| match byte {
                b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
                b' ' => "+".to_owned(),
                _ => format!("%{byte:02x}"),
            }).collect()
        };
        let pieces = members.iter().map(|(key, value)| format!("input_{key}={}", encode(value)));
        let form = Value::String(pieces.collect::<Vec<_>>().join("&"));
        let object = serde_json::to_value(&members).expect("JSON");
        for packed in [object.to_string(), form.to_string(), Value::String(form.to_string()).to_string()] {
            let mut flags = Flags::default();
            let body = Body::new(&packed, at(&packed).span, &mut flags);
            prop_assert!(flags.is_empty());
            for (key, value) in &members {
                let found = body.root().find([Step::Key(key)]);
                prop_assert_eq!(scalars::text(found), Some(value.into()));
            }
        }
    }
}
