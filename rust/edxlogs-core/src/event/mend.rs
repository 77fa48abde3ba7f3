//! The odd line made an event, or rejected with a reason. Off the fast path: only lines that the
//! scanner does not take as they stand come here.
//!
//! What is accepted follows from what real logs hold: the prefixes of syslog and of Django's
//! logger, lines joined by concurrent writers, padding left by rotation, exports of other tools.

use std::borrow::Cow;

use crate::event::envelope::{CriLine, MAX_ENVELOPES, Message, may_be_shipped, messages, time_at};
use crate::event::fields::Fields;
use crate::event::piece::Piece;
use crate::frame::counts::{Mend, MendSet, Reason, ReasonSet};
use crate::json::path::Segment;
use crate::json::scanner::{Fault, Kind, Oddities};
use crate::json::text::{decode, push_strict, whole_value};
use crate::time::Time;

#[cfg(test)]
mod tests;

/// Places tried as the start of an event inside a torn line; more would be quadratic.
const MAX_CANDIDATES: usize = 64;

/// An event that was read from an odd line: one object of strict JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The object.
    pub text: String,
    /// What was mended.
    pub mends: MendSet,
    /// What stands at the path that was asked for a time, in the innermost envelope that has it.
    pub time: Option<Time>,
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
    /// None, though a log shipper wrapped it soundly: a line of another logger, most likely.
    Hollow(Reason),
}

/// Reads the events of a line that the scanner did not take as it stands. `time_from` leads to a
/// time in the envelopes around them.
pub fn mend(line: &[u8], time_from: Option<&[Segment]>) -> Outcome {
    let numbers = line.first() != Some(&b'{') || may_be_shipped(line);
    mend_around(line, Around { numbers, time_from, ..Around::default() })
}

/// The same of a message that stood in so many envelopes.
pub(crate) fn mend_inside(message: &[u8], envelopes: usize) -> Outcome {
    mend_around(message, Around { numbers: true, envelopes, ..Around::default() })
}

/// The same of one whose pieces were joined.
pub(crate) fn mend_joined(piece: &Piece, time_from: Option<&[Segment]>) -> Outcome {
    let Piece { mut mends, depth, time, .. } = *piece;
    mends.insert(Mend::Envelope);
    let numbers = true;
    let around = Around { mends, numbers, envelopes: depth, time_from, time, ..Around::default() };
    mend_around(&piece.text, around)
}

fn mend_around(line: &[u8], mut around: Around<'_>) -> Outcome {
    let mends = &mut around.mends;
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
    match read(&text, around) {
        Ok(events) => Outcome::Events(events),
        Err(Failure { reason, hollow: true }) => Outcome::Hollow(reason),
        Err(Failure { reason, .. }) => Outcome::Rejected(reason),
    }
}

/// What is known of a text before it is read.
#[derive(Clone, Copy, Default)]
struct Around<'p> {
    mends: MendSet,
    /// Whether text may stand as the numbers of its bytes: no needle is found in them.
    numbers: bool,
    /// How often it was decoded already, and how many envelopes are around it.
    decoded: usize,
    envelopes: usize,
    time_from: Option<&'p [Segment]>,
    time: Option<Time>,
}

impl Around<'_> {
    fn with(mut self, mend: Mend) -> Self {
        self.mends.insert(mend);
        self
    }

    /// What is known of the message of an envelope, which may have a time.
    fn envelope(mut self, time: Option<Time>) -> Self {
        self.envelopes += 1;
        self.decoded = 0;
        self.time = time.or(self.time);
        self.with(Mend::Envelope)
    }
}

/// Why no event was read.
#[derive(Clone, Copy)]
struct Failure {
    reason: Reason,
    /// Whether there was an envelope, and it is sound.
    hollow: bool,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, hollow: false }
    }
}

impl Failure {
    /// The same of the envelope around it: an event that was cut in it is no other logger's line.
    fn in_envelope(reason: Reason) -> Self {
        Self { reason, hollow: !matches!(reason, Reason::Truncated | Reason::TooDeep) }
    }
}

/// Reads `text`, which is not blank and holds no outer white space.
fn read(text: &str, around: Around<'_>) -> Result<Vec<Mended>, Failure> {
    if around.envelopes < MAX_ENVELOPES
        && let Some(line) = CriLine::parse(text.as_bytes())
    {
        let message = text[text.len() - line.message.len()..].trim_ascii();
        let time = around.time_from.and_then(|path| line.time_at(path));
        return match message {
            "" => Err(Failure::in_envelope(Reason::NoObject)),
            _ => read(message, around.envelope(time))
                .map_err(|failure| Failure::in_envelope(failure.reason)),
        };
    }
    match text.as_bytes()[0] {
        b'{' if text.starts_with("{\\\"") && around.decoded < 2 => {
            if let Some(events) = read_nested(&format!("\"{text}\""), around) {
                return Ok(events);
            }
        }
        b'"' if around.decoded < 2 => {
            if let Some(events) = read_nested(text, around) {
                return Ok(events);
            }
            if whole_value(text.as_bytes()).is_ok() {
                return Err(Reason::NotAnObject.into());
            }
        }
        b'[' => {
            if let Ok((span, _)) = whole_value(text.as_bytes()) {
                let inside = text[span.start + 1..span.end - 1].trim();
                return match Candidate::at(inside, 0) {
                    Ok(one) if one.end == inside.len() && one.fields.is_event() => {
                        Ok(vec![one.mended(around.with(Mend::Array))])
                    }
                    _ => Err(Reason::NotAnObject.into()),
                };
            }
        }
        _ if whole_value(text.as_bytes()).is_ok_and(|(span, _)| span.kind != Kind::Object) => {
            return Err(Reason::NotAnObject.into());
        }
        _ => {}
    }
    read_objects(text, around)
}

/// A JSON string that holds a whole event.
fn read_nested(text: &str, around: Around<'_>) -> Option<Vec<Mended>> {
    let (span, _) = whole_value(text.as_bytes()).ok()?;
    let inner = decode(text, span);
    let inner = inner.trim();
    if !inner.starts_with(['{', '"']) {
        return None;
    }
    let around = around.with(Mend::NestedJson);
    read(inner, Around { decoded: around.decoded + 1, ..around }).ok()
}

/// Events that were found in a line.
enum FoundEvents<'a> {
    /// One that stands in it.
    Event(Box<Candidate<'a>>),
    /// Those of an envelope.
    Inside(Vec<Mended>),
}

/// Tries each place where an object may start: the events among them, whatever stands between.
fn read_objects(text: &str, around: Around<'_>) -> Result<Vec<Mended>, Failure> {
    let bytes = text.as_bytes();
    let mut mends = around.mends;
    let (mut reasons, mut hollow) = (ReasonSet::default(), false);
    let mut found: Vec<FoundEvents<'_>> = Vec::new();
    let (mut at, mut last_end, mut failed) = (0, 0, 0);
    while let Some(next) = memchr::memchr(b'{', &bytes[at..]) {
        at += next;
        match Candidate::at(text, at) {
            Ok(candidate) => {
                let follows = is_blank(&bytes[last_end..at]);
                let reaches_end = is_blank(&bytes[candidate.end..]);
                let clear = follows || reaches_end;
                let is_value = follows_key(&bytes[..at]);
                // Objects inside this one are its parts.
                at = candidate.end;
                let one = if is_value {
                    // A value of a torn event is no event of its own.
                    if reaches_end {
                        reasons.insert(Reason::NotAnEvent);
                    }
                    None
                } else if candidate.is_event(clear) {
                    Some(FoundEvents::Event(Box::new(candidate)))
                } else {
                    reasons.insert(Reason::NotAnEvent);
                    let may = clear && around.envelopes < MAX_ENVELOPES;
                    let mut messages =
                        may.then(|| messages(candidate.text, around.numbers)).into_iter().flatten();
                    messages.find_map(|message| {
                        hollow = true;
                        let inside = candidate.open(&message, around);
                        if let Err(Failure { reason, .. }) = inside
                            && !Failure::in_envelope(reason).hollow
                        {
                            reasons.insert(reason);
                        }
                        inside.ok().map(FoundEvents::Inside)
                    })
                };
                let Some(one) = one else {
                    continue;
                };
                if !found.is_empty() {
                    mends.insert(Mend::Concatenated);
                }
                match found.is_empty() {
                    _ if follows => {}
                    true if mends.contains(Mend::Interleaved) => {}
                    true => mends.insert(Mend::Prefix),
                    false => mends.insert(Mend::TrailingText),
                }
                last_end = at;
                found.push(one);
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
        let reason = reason.unwrap_or(Reason::NoObject);
        return Err(if hollow { Failure::in_envelope(reason) } else { reason.into() });
    }
    if !is_blank(&bytes[last_end..]) && !mends.contains(Mend::Interleaved) {
        mends.insert(Mend::TrailingText);
    }
    let around = Around { mends, ..around };
    let events = found.into_iter().flat_map(|one| match one {
        FoundEvents::Event(candidate) => vec![candidate.mended(around)],
        FoundEvents::Inside(mut events) => {
            events.iter_mut().for_each(|event| event.mends = event.mends.union(mends));
            events
        }
    });
    Ok(events.collect())
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

    /// Reads the message of the envelope that it is.
    fn open(&self, message: &Message<'_>, around: Around<'_>) -> Result<Vec<Mended>, Failure> {
        let time = around.time_from.and_then(|path| time_at(self.text, path));
        let mut inside = around.envelope(time);
        inside.mends = inside.mends.union(mends_of(message.odd));
        match mend_around(&message.bytes, inside) {
            Outcome::Blank => Err(Reason::NoObject.into()),
            Outcome::Events(events) => Ok(events),
            Outcome::Rejected(reason) => Err(reason.into()),
            Outcome::Hollow(reason) => Err(Failure { reason, hollow: true }),
        }
    }

    fn mended(self, around: Around<'_>) -> Mended {
        let (mends, time) = (around.mends.union(mends_of(self.odd)), around.time);
        if !self.odd.needs_rewriting() {
            return Mended { text: self.text.to_owned(), mends, time };
        }
        let mut strict = Vec::with_capacity(self.text.len() + 16);
        push_strict(self.text.as_bytes(), &mut strict);
        Mended { text: String::from_utf8(strict).unwrap_or_default(), mends, time }
    }
}

/// Whether a rejected line is what is left of an event: it begins as one, and names a key of one.
pub(crate) fn is_broken_event(line: &[u8]) -> bool {
    let names = |key: &[u8]| memchr::memmem::find(line, key).is_some();
    line.trim_ascii_start().starts_with(b"{\"")
        && (names(b"\"event_type\"") || names(b"\"event_source\""))
}

/// Mends of an event's shape: its text is JSON and stays as it is.
pub(crate) fn shape_mends(fields: &Fields, text: &[u8]) -> MendSet {
    let mut mends = MendSet::default();
    for (is, mend) in [
        (fields.has_duplicate(), Mend::DuplicateKey),
        (fields.is_prelog(), Mend::PrelogShape),
        (fields.is_mongo_export(text), Mend::MongoExport),
    ] {
        if is {
            mends.insert(mend);
        }
    }
    mends
}

/// What must be mended to make strict JSON of a text.
pub(crate) fn mends_of(odd: Oddities) -> MendSet {
    let mut mends = MendSet::default();
    for (is, mend) in [
        (odd.nan, Mend::Nan),
        (odd.control, Mend::ControlCharacter),
        (odd.surrogate, Mend::Surrogate),
    ] {
        if is {
            mends.insert(mend);
        }
    }
    mends
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
