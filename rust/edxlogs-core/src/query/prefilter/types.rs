//! The search for event types, of which a condition may name hundreds: by the keys that lead to them.
//!
//! A type stands as the value of `event_type` or `name`. So a line is passed over whose values there
//! are others, however often the keys stand in it; where a key or a value is spelled in any other
//! way than plainly, the line is nominated.

use ahash::AHashSet;
use memchr::memmem::Finder;

use super::is_escape;

const EVENT_TYPE: &[u8] = b"event_type";
const NAME: &[u8] = b"name";

/// The types of which one must stand in a line.
#[derive(Debug)]
pub(super) struct Types {
    types: AHashSet<Vec<u8>>,
    event_type: Finder<'static>,
    name: Finder<'static>,
    escape: Finder<'static>,
}

impl Types {
    pub fn new(types: impl Iterator<Item = String>) -> Self {
        Self {
            types: types.map(String::into_bytes).collect(),
            event_type: Finder::new(EVENT_TYPE),
            name: Finder::new(NAME),
            escape: Finder::new(b"\\u00"),
        }
    }

    /// Whether a line may be an event of one of the types.
    pub fn nominates(&self, line: &[u8]) -> bool {
        let mut has_type = false;
        for at in self.event_type.find_iter(line) {
            if self.may_lead(line, at, at + EVENT_TYPE.len()) {
                return true;
            }
            has_type = true;
        }
        !has_type
            || self.name.find_iter(line).any(|at| self.may_lead(line, at, at + NAME.len()))
            || self.escape.find_iter(line).any(|at| is_escape(&line[at..]))
    }

    /// Whether what stands there is a key that may lead to one of the types.
    fn may_lead(&self, line: &[u8], start: usize, end: usize) -> bool {
        if start == 0 || line[start - 1] != b'"' {
            return false; // the end of a longer word
        }
        let after = match line[end..].split_first() {
            Some((b'"', after)) => after.trim_ascii_start(),
            // The text of an envelope, or of a payload; else a longer word.
            other => return other.is_none_or(|(&byte, _)| byte == b'\\'),
        };
        let Some((b':', after)) = after.split_first() else {
            return false; // a value
        };
        let Some((b'"', value)) = after.trim_ascii_start().split_first() else {
            return !after.trim_ascii_start().starts_with(b"null");
        };
        match memchr::memchr2(b'"', b'\\', value) {
            Some(end) if value[end] == b'"' => self.types.contains(&value[..end]),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn types() -> Types {
        Types::new(["play_video", "pause_video"].into_iter().map(str::to_owned))
    }

    #[test]
    fn only_plain_lines_of_other_types_are_passed_over() {
        for line in [
            r#"{"event_type": "play_video"}"#,
            r#"{"event_type":"x" , "name" : "pause_video"}"#,
            r#"{"event_type": "x", "event": {"name": "play_video"}}"#,
            r#"{"event_type": "play\u005fvideo"}"#,
            r#"{"event\u005ftype": "play_video"}"#,
            r#"{"event_type": "x", "n\u0061me": "play_video"}"#,
            r#"{"log": "{\"event_type\": \"play_video\"}"}"#,
            r#"{"event_type": "x", "log": "{\"name\": \"play_video\"}"}"#,
            r#"{"name": "x"}"#,
            r#"{"event_type": 7}"#,
            r#"{"event_type": "play"#,
            r#"{"event_type"#,
        ] {
            assert!(types().nominates(line.as_bytes()), "{line}");
        }
        for line in [
            r#"{"event_type": "play_videos", "name": null}"#,
            r#"{"username": "play_video", "event_type": "x"}"#,
            r#"{"name": "event_type", "event_type": "/name"}"#,
            r#"{"event_type": "x", "event": "{\"display_name\": \"play_video\"}"}"#,
        ] {
            assert!(!types().nominates(line.as_bytes()), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_line_that_has_a_type_is_nominated(
            others in prop::collection::vec(("[a-z_\"\\\\]{1,12}", "[a-z\"\\\\]{0,8}"), 0..4),
            key in prop::sample::select(vec!["event_type", "name"]),
            value in prop::sample::select(vec!["play_video", "pause_video"]),
            place in 0usize..4,
            wrapped in 0usize..3,
        ) {
            let mut members: Vec<(String, String)> = others;
            members.insert(place.min(members.len()), (key.to_owned(), value.to_owned()));
            let member = |(key, value): &(String, String)| format!(
                "{}: {}", serde_json::json!(key), serde_json::json!(value)
            );
            let members: Vec<String> = members.iter().map(member).collect();
            let mut line = format!("{{{}}}", members.join(", "));
            for _ in 0..wrapped {
                line = serde_json::json!({ "log": line }).to_string();
            }
            prop_assert!(types().nominates(line.as_bytes()), "{}", line);
        }
    }
}
