//! Lines that a log shipper wrapped: where the message stands in them.
//!
//! docker's json-file, Vector, Fluent Bit, fluentd, GELF, journald and Elasticsearch put the message
//! under a key of their own; the runtimes of Kubernetes (CRI) put a head before it. journald writes
//! text that it cannot print as the numbers of its bytes.
//! Sources: Kubernetes `kubelet/kuberuntime/logs`; the GELF 1.1 specification;
//! `systemd.journal-fields(7)`, and its JSON format in `journal-export-formats`.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::event::as_time;
use crate::event::fields::Field;
use crate::json::path::{Segment, find, key_is};
use crate::json::scanner::{Kind, Oddities, Scanner, Span};
use crate::json::text::decode;
use crate::time;

/// Envelopes that are opened, one in another.
pub(crate) const MAX_ENVELOPES: usize = 3;

/// The keys under which shippers put the message, as text or as an object.
pub(super) const MESSAGE_KEYS: [&str; 8] = [
    "log",
    "message",
    "msg",
    "short_message",
    "full_message",
    "MESSAGE",
    "tracking_json",
    "_source",
];

/// The one of them whose text may stand as the numbers of its bytes.
pub(super) const JOURNALD: &str = "MESSAGE";

/// The members of the object that fills `text`, with one of those names, in the order of the names;
/// the last of duplicates. The text was scanned before, so it scans again.
pub(super) fn members<const N: usize>(text: &str, names: [&str; N]) -> [Span; N] {
    let mut found = [Span::default(); N];
    let bytes = text.as_bytes();
    let _ = Scanner::new(bytes, 0).object(|scanner, key| {
        let value = scanner.value()?;
        if let Some(place) = names.iter().position(|name| key_is(bytes, key, name)) {
            found[place] = value;
        }
        Ok(())
    });
    found
}

/// The time at a path of an envelope, which is the whole of `object`.
pub(super) fn time_at(object: &str, path: &[Segment]) -> Option<time::Time> {
    let whole = Span { start: 0, end: object.len(), kind: Kind::Object, escaped: false };
    let found = find(object.as_bytes(), whole, path.iter().map(Segment::step))?;
    as_time(object, found)
}

/// A message that an envelope may hold.
pub(super) struct Message<'t> {
    pub bytes: Cow<'t, [u8]>,
    /// What was odd about the string that it was written as.
    pub odd: Oddities,
}

/// The messages in an object that is no event, most usual key first. Numbers are read as bytes only
/// if `numbers` says so.
pub(super) fn messages(object: &str, numbers: bool) -> impl Iterator<Item = Message<'_>> {
    let spans = MESSAGE_KEYS.into_iter().zip(members(object, MESSAGE_KEYS));
    spans.filter_map(move |(key, span)| {
        let found = match span.kind {
            Kind::Object => {
                let bytes = Cow::Borrowed(&object.as_bytes()[span.start..span.end]);
                Some(Message { bytes, odd: Oddities::default() })
            }
            _ => text_at(object, span, numbers && key == JOURNALD),
        };
        found.filter(|message| !message.bytes.trim_ascii().is_empty())
    })
}

/// The text at a place of an object, as a string or, with `numbers`, as the numbers of its bytes.
pub(super) fn text_at(object: &str, span: Span, numbers: bool) -> Option<Message<'_>> {
    match span.kind {
        Kind::String => {
            let mut scanner = Scanner::new(object.as_bytes(), span.start - 1);
            let _ = scanner.value();
            let bytes = match decode(object, span) {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            };
            Some(Message { bytes, odd: scanner.odd })
        }
        Kind::Array if numbers => {
            let list = &object[span.start + 1..span.end - 1];
            let bytes = list.split(',').map(|number| number.trim_ascii().parse().ok());
            let bytes = Cow::Owned(bytes.collect::<Option<Vec<u8>>>()?);
            Some(Message { bytes, odd: Oddities::default() })
        }
        _ => None,
    }
}

/// A line of the CRI: `TIME STREAM TAGS MESSAGE`.
pub(super) struct CriLine<'a> {
    time: time::Time,
    pub stream: &'a [u8],
    pub is_cut: bool,
    /// What follows the head.
    pub message: &'a [u8],
}

impl<'a> CriLine<'a> {
    /// Takes a line apart that begins with the head of one.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        if !may_be_cri(line) {
            return None;
        }
        let mut words = line.splitn(4, |&byte| byte == b' ');
        let (time, stream, tags) = (words.next()?, words.next()?, words.next()?);
        let time = time::parse(std::str::from_utf8(time).ok()?)?;
        // More tags may follow after a colon.
        let is_cut = match tags {
            [b'P'] | [b'P', b':', ..] => true,
            [b'F'] | [b'F', b':', ..] => false,
            _ => return None,
        };
        let message = words.next().unwrap_or_default();
        matches!(stream, b"stdout" | b"stderr").then_some(Self { time, stream, is_cut, message })
    }

    /// The time at a path of it: its head has one, which is called `time`.
    pub(super) fn time_at(&self, path: &[Segment]) -> Option<time::Time> {
        matches!(path, [Segment::Key(key)] if key == "time").then_some(self.time)
    }
}

pub(super) fn may_be_cri(line: &[u8]) -> bool {
    line.first().is_some_and(u8::is_ascii_digit) && line.get(10) == Some(&b'T')
}

/// The keys of the platform's own that no line of a shipper has.
pub(super) const PLATFORM: [(&[u8], Field); 12] = [
    (b"username\"", Field::Username),
    (b"event_source\"", Field::EventSource),
    (b"name\"", Field::Name),
    (b"event_type\"", Field::EventType),
    (b"agent\"", Field::Agent),
    (b"context\"", Field::Context),
    (b"session\"", Field::Session),
    (b"event\"", Field::Event),
    (b"ip\"", Field::Ip),
    (b"page\"", Field::Page),
    (b"accept_language\"", Field::AcceptLanguage),
    (b"referer\"", Field::Referer),
];

/// Whether a line may be one of a shipper that cuts messages or writes bytes as numbers, as far as
/// its first bytes tell: every line is asked. What begins with a key of the platform's own is none.
#[inline]
pub(crate) fn may_be_shipped(line: &[u8]) -> bool {
    match line {
        [b'{', b'"', rest @ ..] => !PLATFORM.iter().any(|(key, _)| rest.starts_with(key)),
        [b'{' | b' ' | b'\t' | b'\r', ..] => true,
        _ => may_be_cri(line),
    }
}

/// Whether the message of a line may stand as numbers, in which no needle is found. Of other lines
/// numbers are not read. A key that is spelled with escapes is found by these.
pub(crate) fn may_hold_numbers(line: &[u8]) -> bool {
    static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(JOURNALD));
    KEY.find(line).is_some()
}
