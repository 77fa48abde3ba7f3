//! The odd line made an event, or rejected with a reason. Off the fast path: only lines that the
//! scanner does not take as they stand come here.
//!
//! What is accepted follows from what real logs hold: the prefixes of syslog and of Django's
//! logger, lines joined by concurrent writers, padding left by rotation, exports of other tools.

use std::borrow::Cow;

use crate::event::fields::Fields;
use crate::frame::counts::{Mend, MendSet, Reason, ReasonSet};
use crate::json::scanner::{Fault, Kind, Oddities};
use crate::json::text::{decode, push_strict, whole_value};

/// Places tried as the start of an event inside a torn line; more would be quadratic.
const MAX_CANDIDATES: usize = 64;

/// An event that was read from an odd line: one object of strict JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The object.
    pub text: String,
    /// What was mended.
    pub mends: MendSet,
}

/// What an odd line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// White space and NULs.
    Blank,
    /// One event or more, in order.
    Events(Vec<Mended>),
    /// None.
    Rejected(Reason),
}

/// Reads the events of a line that the scanner did not take as it stands.
pub fn mend(line: &[u8]) -> Outcome {
    let mut mends = MendSet::default();
    let mut bytes = trim(line);
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        mends.insert(Mend::Bom);
        bytes = trim(rest);
    }
    let without = strip_nuls(bytes);
    if without.is_empty() {
        return Outcome::Blank;
    }
    if without.len() < bytes.len() {
        mends.insert(Mend::Nul);
    }
    let text = match simdutf8::basic::from_utf8(without) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            mends.insert(Mend::Utf8);
            String::from_utf8_lossy(without)
        }
    };
    match read(&text, mends, 0) {
        Ok(events) => Outcome::Events(events),
        Err(reason) => Outcome::Rejected(reason),
    }
}

/// Reads `text`, which is not blank and holds no outer white space. `decoded` tells how often it
/// was decoded already.
fn read(text: &str, mends: MendSet, decoded: usize) -> Result<Vec<Mended>, Reason> {
    match text.as_bytes()[0] {
        b'{' if text.starts_with("{\\\"") && decoded < 2 => {
            if let Some(events) = read_nested(&format!("\"{text}\""), mends, decoded) {
                return Ok(events);
            }
        }
        b'"' if decoded < 2 => {
            if let Some(events) = read_nested(text, mends, decoded) {
                return Ok(events);
            }
            if whole_value(text.as_bytes()).is_ok() {
                return Err(Reason::NotAnObject);
            }
        }
        b'[' => {
            if let Ok((span, _)) = whole_value(text.as_bytes()) {
                let inside = text[span.start + 1..span.end - 1].trim();
                return match Candidate::at(inside, 0) {
                    Ok(one) if one.end == inside.len() && one.fields.is_event() => {
                        let mut mends = mends;
                        mends.insert(Mend::Array);
                        Ok(vec![one.mended(mends)])
                    }
                    _ => Err(Reason::NotAnObject),
                };
            }
        }
        _ if whole_value(text.as_bytes()).is_ok_and(|(span, _)| span.kind != Kind::Object) => {
            return Err(Reason::NotAnObject);
        }
        _ => {}
    }
    read_objects(text, mends)
}

/// A JSON string that holds a whole event.
fn read_nested(text: &str, mends: MendSet, decoded: usize) -> Option<Vec<Mended>> {
    let (span, _) = whole_value(text.as_bytes()).ok()?;
    let inner = decode(text, span);
    let inner = inner.trim();
    if !inner.starts_with(['{', '"']) {
        return None;
    }
    let mut mends = mends;
    mends.insert(Mend::NestedJson);
    read(inner, mends, decoded + 1).ok()
}

/// Tries each place where an object may start: the events among them, whatever stands between.
fn read_objects(text: &str, mends: MendSet) -> Result<Vec<Mended>, Reason> {
    let bytes = text.as_bytes();
    let mut mends = mends;
    let mut reasons = ReasonSet::default();
    let mut found: Vec<Candidate<'_>> = Vec::new();
    let (mut at, mut last_end, mut failed) = (0, 0, 0);
    while let Some(next) = memchr::memchr(b'{', &bytes[at..]) {
        at += next;
        match Candidate::at(text, at) {
            Ok(candidate) => {
                let follows = is_blank(&bytes[last_end..at]);
                let reaches_end = is_blank(&bytes[candidate.end..]);
                // Objects inside this one are its parts.
                at = candidate.end;
                if follows_key(&bytes[..at - candidate.text.len()]) {
                    // A value of a torn event is no event of its own.
                    if reaches_end {
                        reasons.insert(Reason::NotAnEvent);
                    }
                } else if candidate.is_event(follows || reaches_end) {
                    if !found.is_empty() {
                        mends.insert(Mend::Concatenated);
                    }
                    match found.is_empty() {
                        _ if follows => {}
                        true if mends.contains(Mend::Interleaved) => {}
                        true => mends.insert(Mend::Prefix),
                        false => mends.insert(Mend::TrailingText),
                    }
                    last_end = candidate.end;
                    found.push(candidate);
                } else {
                    reasons.insert(Reason::NotAnEvent);
                }
            }
            // All that follows lies inside this object.
            Err(fault @ (Fault::TooDeep | Fault::End)) => {
                let deep = fault == Fault::TooDeep;
                reasons.insert(if deep { Reason::TooDeep } else { Reason::Truncated });
                break;
            }
            Err(Fault::Syntax) => {
                reasons.insert(Reason::BadJson);
                if found.is_empty() && starts_with_key(&bytes[at..]) {
                    mends.insert(Mend::Interleaved);
                }
                at += 1;
                failed += 1;
                if failed == MAX_CANDIDATES {
                    break;
                }
            }
        }
    }
    if found.is_empty() {
        let order = [Reason::TooDeep, Reason::Truncated, Reason::BadJson, Reason::NotAnEvent];
        let reason = order.into_iter().find(|&reason| reasons.contains(reason));
        return Err(reason.unwrap_or(Reason::NoObject));
    }
    if !is_blank(&bytes[last_end..]) && !mends.contains(Mend::Interleaved) {
        mends.insert(Mend::TrailingText);
    }
    Ok(found.into_iter().map(|candidate| candidate.mended(mends)).collect())
}

/// Whether an object starts with a key: one that is no JSON then was an event once.
fn starts_with_key(object: &[u8]) -> bool {
    object[1..].trim_ascii_start().first() == Some(&b'"')
}

/// Whether a text ends with a key and its colon.
fn follows_key(before: &[u8]) -> bool {
    let colon = before.trim_ascii_end().strip_suffix(b":");
    colon.is_some_and(|key| key.trim_ascii_end().ends_with(b"\""))
}

/// An object that stands at some place of a line.
struct Candidate<'a> {
    text: &'a str,
    end: usize,
    fields: Fields,
    odd: Oddities,
}

impl<'a> Candidate<'a> {
    fn at(text: &'a str, at: usize) -> Result<Self, Fault> {
        let rest = &text[at..];
        let (fields, length, odd) = Fields::scan(rest.as_bytes())?;
        Ok(Self { text: &rest[..length], end: at + length, fields, odd })
    }

    /// Whether it is an event. What has only some of the keys of one may be a part of a torn event,
    /// unless it is `clear` of other text on one side.
    fn is_event(&self, clear: bool) -> bool {
        self.fields.is_surely_event() || clear && self.fields.is_event()
    }

    fn mended(self, mends: MendSet) -> Mended {
        let mut mends = mends;
        for (is, mend) in [
            (self.odd.nan, Mend::Nan),
            (self.odd.control, Mend::ControlCharacter),
            (self.odd.surrogate, Mend::Surrogate),
        ] {
            if is {
                mends.insert(mend);
            }
        }
        if !self.odd.needs_rewriting() {
            return Mended { text: self.text.to_owned(), mends };
        }
        let mut strict = Vec::with_capacity(self.text.len() + 16);
        push_strict(self.text.as_bytes(), &mut strict);
        Mended { text: String::from_utf8(strict).unwrap_or_default(), mends }
    }
}

/// Cuts ASCII white space off both ends.
pub fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

fn strip_nuls(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(blank)
}

fn blank(byte: &u8) -> bool {
    *byte == 0 || byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"event_type": "x", "event_source": "server", "time": "t"}"#;

    fn events(line: &[u8]) -> Vec<(String, Vec<&'static str>)> {
        match mend(line) {
            Outcome::Events(events) => events
                .into_iter()
                .map(|event| (event.text, event.mends.iter().map(Mend::as_str).collect()))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    fn reason(line: &str) -> Reason {
        match mend(line.as_bytes()) {
            Outcome::Rejected(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mends() {
        let one = |mend: &'static str| vec![(EVENT.to_owned(), vec![mend])];
        assert_eq!(events(format!("Sep 9 {{a}} {EVENT}").as_bytes()), one("prefix"));
        assert_eq!(events(format!("{EVENT},").as_bytes()), one("trailing_text"));
        assert_eq!(events(format!("\0\0{EVENT}").as_bytes()), one("nul"));
        assert_eq!(events(format!("[{EVENT}]").as_bytes()), one("array"));
        assert_eq!(events(format!("{{\"a\": \"b{EVENT}").as_bytes()), one("interleaved"));
        let nested = serde_json::to_string(EVENT).expect("text");
        assert_eq!(events(nested.as_bytes()), one("nested_json"));
        assert_eq!(events(&nested.as_bytes()[1..nested.len() - 1]), one("nested_json"));
        let two = events(format!("{EVENT} {EVENT}").as_bytes());
        assert_eq!(two, [one("concatenated"), one("concatenated")].concat());
        // What a lost line end joined: each event counts, whatever stands before it.
        let joined = events(format!("{EVENT}Sep 9 00:00:48 host {EVENT}, {EVENT}x").as_bytes());
        let mends = vec!["trailing_text", "concatenated"];
        assert_eq!(joined, vec![(EVENT.to_owned(), mends); 3]);
        let text = r#"{"name": NaN, "time": "a	b\ud800"}"#;
        let strict = r#"{"name": null, "time": "a\tb\ufffd"}"#;
        let mends = vec!["surrogate", "nan", "control_character"];
        assert_eq!(events(text.as_bytes()), [(strict.to_owned(), mends)]);
    }

    #[test]
    fn reasons() {
        assert_eq!(reason("# a comment"), Reason::NoObject);
        assert_eq!(reason(&EVENT[..EVENT.len() - 1]), Reason::Truncated);
        assert_eq!(reason("{'a': 1}"), Reason::BadJson);
        assert_eq!(reason("[1, 2]"), Reason::NotAnObject);
        assert_eq!(reason("\"text\""), Reason::NotAnObject);
        assert_eq!(reason("17"), Reason::NotAnObject);
        assert_eq!(reason("{}"), Reason::NotAnEvent);
        assert_eq!(reason(&format!("[{EVENT}, {EVENT}]")), Reason::NotAnObject);
        assert_eq!(reason(&"{\"a\":".repeat(100_000)), Reason::TooDeep);
        // The payload of a cut line may look like an event, but does not reach the line's end.
        assert_eq!(reason(r#"x", "event": {"name": "a"}, "page": null}"#), Reason::NoObject);
        assert_eq!(reason(r#"{"event": {"time": 1}, "page": "#), Reason::Truncated);
        // The tail of a line, whose objects are values.
        assert_eq!(reason(r#"o", "context": {}, "time": "t"}"#), Reason::NoObject);
        assert_eq!(reason(r#"o", "context": {"path": "/event"}"#), Reason::NotAnEvent);
        assert_eq!(mend(b" \0 \t"), Outcome::Blank);
    }
}
