//! What is odd, with the first places where it stands; never what stands there.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::event::Event;
use crate::frame::counts::{Mend, Reason};
use crate::json::text;

/// Places that are told of each thing.
const MOST_PLACES: usize = 5;

/// Keys that are told, of the line and of the context each.
const MOST_KEYS: usize = 500;

/// Longest key that is told, in bytes; of a longer one the beginning.
const MOST_KEY_BYTES: usize = 100;

/// Something that is noted of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noted {
    /// It was mended.
    Mended(Mend),
    /// No event can be read from it.
    Rejected(Reason),
    /// Its event is dated long before the day in the name of its file.
    Late,
}

impl Noted {
    /// What kind of thing it is, and which.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Mended(mend) => ("mended", mend.as_str()),
            Self::Rejected(reason) => ("rejected", reason.as_str()),
            Self::Late => ("late", "late"),
        }
    }
}

type Place = (Box<str>, u64);

/// How often each thing was noted, and where first.
#[derive(Debug, Default)]
pub(super) struct Notes(BTreeMap<Noted, (u64, Vec<Place>)>);

impl Notes {
    pub fn note(&mut self, what: Noted, source: &str, line: u64, times: u64) {
        let (count, places) = self.0.entry(what).or_default();
        *count += times;
        let is_before = |place: &Place| (&*place.0, place.1) < (source, line);
        let at = places.partition_point(is_before);
        let is_there = places.get(at).is_some_and(|place| (&*place.0, place.1) == (source, line));
        if at < MOST_PLACES && !is_there {
            places.insert(at, (source.into(), line));
            places.truncate(MOST_PLACES);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (&what, (count, places)) in &other.0 {
            for (source, line) in places {
                self.note(what, source, *line, 0);
            }
            self.0.entry(what).or_default().0 += count;
        }
    }

    pub fn all(&self) -> impl Iterator<Item = (Noted, u64, &[Place])> {
        self.0.iter().map(|(&what, (count, places))| (what, *count, &places[..]))
    }
}

/// Keys of events that neither the Research Guide nor the platform's public code has, the first ones
/// in the order of their bytes.
#[derive(Debug, Default)]
pub(super) struct OtherKeys([BTreeMap<Box<str>, u64>; 2]);

impl OtherKeys {
    pub fn event(&mut self, event: &Event<'_>) {
        event.fields().each_other(event.as_str().as_bytes(), &mut |key, in_context| {
            if !is_documented(key, in_context) {
                let mut decoded = Vec::with_capacity(key.len());
                text::unescape(key, &mut decoded);
                decoded.truncate(MOST_KEY_BYTES);
                let key = String::from_utf8_lossy(&decoded);
                self.add(in_context, key, 1);
            }
        });
    }

    fn add(&mut self, in_context: bool, key: Cow<'_, str>, events: u64) {
        let keys = &mut self.0[usize::from(in_context)];
        if let Some(count) = keys.get_mut(&*key) {
            *count += events;
            return;
        }
        // One that was left out comes after all that are there, so it never comes back.
        let is_full = keys.len() >= MOST_KEYS;
        if is_full && keys.last_key_value().is_some_and(|(last, _)| **last < *key) {
            return;
        }
        keys.insert(key.into(), events);
        if is_full {
            keys.pop_last();
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for in_context in [false, true] {
            for (key, &events) in &other.0[usize::from(in_context)] {
                self.add(in_context, Cow::Borrowed(key), events);
            }
        }
    }

    pub fn all(&self) -> Vec<(bool, &str, u64)> {
        let each = |in_context: bool| {
            let keys = &self.0[usize::from(in_context)];
            keys.iter().map(move |(key, &events)| (in_context, &**key, events))
        };
        each(false).chain(each(true)).collect()
    }
}

/// Whether a key that is no field is documented all the same.
///
/// Source: EdX Research Guide, "Events in the Tracking Logs", and the platform's public code.
fn is_documented(key: &[u8], in_context: bool) -> bool {
    if !in_context {
        return false;
    }
    matches!(
        key,
        b"application"
            | b"asides"
            | b"client"
            | b"command"
            | b"component"
            | b"course_user_tags"
            | b"device"
            | b"enterprise_uuid"
            | b"label"
            | b"location"
            | b"mode"
            | b"open_in_browser_url"
            | b"timestamp"
    )
}
