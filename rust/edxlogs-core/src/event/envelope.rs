//! Lines that a log shipper wrapped: where the message stands in them, and which are pieces of one.
//!
//! docker's json-file, Vector, Fluent Bit, fluentd, GELF, journald and Elasticsearch put the message
//! under a key of their own; the runtimes of Kubernetes (CRI) put a head before it. Two of them cut
//! long messages. docker cuts after 16 KiB, and the last piece alone ends with LF; CRI marks each
//! piece with `P` and the last one with `F`.
//! Sources: moby `daemon/logger/copier.go`, `jsonfilelog/jsonlog`; Kubernetes
//! `kubelet/kuberuntime/logs`; the GELF 1.1 specification; `systemd.journal-fields(7)`.

use std::borrow::Cow;

use crate::event::as_time;
use crate::event::fields::{Field, Fields};
use crate::event::mend::{Outcome, mend_inside, mends_of};
use crate::frame::counts::{Mend, MendSet, Reason};
use crate::json::path::{Segment, find, key_is};
use crate::json::scanner::{Kind, Oddities, Scanner, Span};
use crate::json::text::decode;
use crate::time;

/// Envelopes that are opened, one in another.
pub(crate) const MAX_ENVELOPES: usize = 3;

/// The keys under which shippers put the message, as text or as an object.
const MESSAGE_KEYS: [&str; 8] = [
    "log",
    "message",
    "msg",
    "short_message",
    "full_message",
    "MESSAGE",
    "tracking_json",
    "_source",
];

/// The keys that tell one stream of docker's from another.
const STREAM_KEYS: [&str; 4] = ["stream", "container_id", "container_name", "kubernetes"];

/// After so many bytes docker cuts a message.
const DOCKER_PIECE_BYTES: usize = 16 * 1024;

/// The members of the object that fills `text`, with one of those names, in the order of the names;
/// the last of duplicates. The text was scanned before, so it scans again.
fn members<const N: usize>(text: &str, names: [&str; N]) -> [Span; N] {
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
    /// Without white space around it.
    pub text: Cow<'t, str>,
    /// What was odd about the string that it was written as.
    pub odd: Oddities,
}

/// The messages in an object that is no event, most usual key first.
pub(super) fn messages(object: &str) -> impl Iterator<Item = Message<'_>> {
    members(object, MESSAGE_KEYS).into_iter().filter_map(|span| message(object, span))
}

fn message(object: &str, span: Span) -> Option<Message<'_>> {
    match span.kind {
        Kind::Object => {
            let text = Cow::Borrowed(&object[span.start..span.end]);
            Some(Message { text, odd: Oddities::default() })
        }
        Kind::String => {
            let mut scanner = Scanner::new(object.as_bytes(), span.start - 1);
            let _ = scanner.value();
            let text = match decode(object, span) {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
                Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_owned()),
            };
            (!text.is_empty()).then_some(Message { text, odd: scanner.odd })
        }
        _ => None,
    }
}

/// A line of the CRI: `TIME STREAM TAGS MESSAGE`.
pub(super) struct CriLine<'a> {
    time: time::Time,
    stream: &'a [u8],
    is_cut: bool,
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

fn may_be_cri(line: &[u8]) -> bool {
    line.first().is_some_and(u8::is_ascii_digit) && line.get(10) == Some(&b'T')
}

/// The keys of the platform's own that no line of docker's has.
const PLATFORM: [(&[u8], Field); 12] = [
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

/// Whether a line may be a piece of a message, or the end of one, as far as its first bytes tell:
/// every line is asked. What begins with a key of the platform's own is none.
#[inline]
pub(crate) fn may_be_piece(line: &[u8]) -> bool {
    match line {
        [b'{', b'"', rest @ ..] => {
            !PLATFORM.iter().any(|(key, _)| rest.starts_with(key)) && names_stream(rest)
        }
        [b'{' | b' ' | b'\t' | b'\r', ..] => names_stream(line),
        _ => may_be_cri(line),
    }
}

/// Whether a key of docker's or the stream of a CRI line may stand in a line, in any spelling.
#[cold]
fn names_stream(line: &[u8]) -> bool {
    let holds = |needle: &[u8]| memchr::memmem::find(line, needle).is_some();
    [&b"stream"[..], b" stdout ", b" stderr ", b"\\u00"].into_iter().any(holds)
}

/// A piece of a message, the end of one, or a whole message, of a shipper that cuts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Pieces of one message have the same.
    pub stream: Vec<u8>,
    /// As it was before it was cut.
    pub text: Vec<u8>,
    /// Whether the message ends with it.
    pub is_last: bool,
    /// Whether the shipper says that it is cut.
    is_marked: bool,
    /// What had to be mended to read it.
    pub mends: MendSet,
    /// How many envelopes are around it.
    pub depth: usize,
    /// What stands at the path that is asked for a time, in the innermost envelope that has it.
    pub time: Option<time::Time>,
}

impl Piece {
    /// What a line is, if it is of a shipper that cuts messages. `time_from` leads to a time in the
    /// envelopes.
    pub(crate) fn read(line: &[u8], time_from: Option<&[Segment]>) -> Option<Self> {
        Self::within(line, 0, time_from)
    }

    fn within(text: &[u8], depth: usize, time_from: Option<&[Segment]>) -> Option<Self> {
        if depth == MAX_ENVELOPES {
            return None;
        }
        let depth = depth + 1;
        if let Some(line) = CriLine::parse(text) {
            let CriLine { stream, is_cut, message, .. } = line;
            let inner = if is_cut { None } else { Self::within(message, depth, time_from) };
            let whole = || Self {
                text: message.to_owned(),
                is_last: !is_cut,
                is_marked: is_cut,
                depth,
                ..Self::default()
            };
            let time = || line.time_at(time_from?);
            return Some(inner.unwrap_or_else(whole).inside(stream, MendSet::default(), time));
        }
        let mut mends = MendSet::default();
        let text = String::from_utf8_lossy(text.trim_ascii());
        if matches!(text, Cow::Owned(_)) {
            mends.insert(Mend::Utf8);
        }
        if !text.starts_with('{') {
            return None;
        }
        let (fields, length, _) = Fields::scan(text.as_bytes()).ok()?;
        let is_platforms = PLATFORM.iter().any(|&(_, field)| fields.get(field).is_present());
        if length < text.len() || is_platforms {
            return None;
        }
        let time = || time_at(&text, time_from?);
        let [log, other, tag] = members(&text, ["log", "message", "logtag"]);
        // Fluent Bit takes the head of a CRI line apart, and keeps its tag.
        let is_cut = match &text[tag.start..tag.end] {
            "P" => Some(true),
            "F" => Some(false),
            _ => None,
        };
        let log = if is_cut.is_some() && log.kind != Kind::String { other } else { log };
        let streams = members(&text, STREAM_KEYS);
        if log.kind != Kind::String || streams[0].kind != Kind::String {
            let mut inner = |message: Message<'_>| {
                let inner = Self::within(message.text.as_bytes(), depth, time_from);
                inner.map(|inner| inner.inside(b"", mends.union(mends_of(message.odd)), time))
            };
            return messages(&text).find_map(&mut inner);
        }
        let mut scanner = Scanner::new(text.as_bytes(), log.start - 1);
        let _ = scanner.value();
        mends = mends.union(mends_of(scanner.odd));
        let message = decode(&text, log);
        let is_last = is_cut.map_or(message.ends_with('\n'), |is_cut| !is_cut);
        let is_marked = is_cut == Some(true);
        let inner = if is_last { message.trim_ascii() } else { "" };
        let inner = Self::within(inner.as_bytes(), depth, time_from);
        let whole = || Self {
            text: message.as_bytes().to_owned(),
            is_last,
            is_marked,
            depth,
            ..Self::default()
        };
        let stream = streams.map(|span| decode(&text, span)).join("\0");
        Some(inner.unwrap_or_else(whole).inside(stream.as_bytes(), mends, time))
    }

    /// The piece as it stands in one envelope more.
    fn inside(
        mut self,
        stream: &[u8],
        mends: MendSet,
        time: impl FnOnce() -> Option<time::Time>,
    ) -> Self {
        self.stream.extend_from_slice(stream);
        self.stream.push(0);
        self.mends = self.mends.union(mends);
        self.time = self.time.or_else(time);
        self
    }

    /// Whether its text is a message of its own: it holds an event.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(mend_inside(&self.text, self.depth), Outcome::Events(_))
    }

    /// Whether it is the first piece of a message, where none is open. Shippers may have taken the
    /// LFs of docker's messages, so only what ends within an event is one.
    pub(crate) fn begins_message(&self) -> bool {
        let is_cut = || match mend_inside(&self.text, self.depth) {
            Outcome::Events(_) => false,
            Outcome::Rejected(Reason::Truncated) => true,
            _ => self.text.len() >= DOCKER_PIECE_BYTES,
        };
        !self.is_last && (self.is_marked || is_cut())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::mend::mend;

    fn piece(line: &str) -> Option<(String, bool, bool)> {
        assert!(may_be_piece(line.as_bytes()) || Piece::read(line.as_bytes(), None).is_none());
        let piece = Piece::read(line.as_bytes(), None)?;
        let begins = piece.begins_message();
        Some((String::from_utf8(piece.text).expect("UTF-8"), piece.is_last, begins))
    }

    #[test]
    fn pieces() {
        let of = |text: &str, is_last, begins| Some((text.to_owned(), is_last, begins));
        assert_eq!(piece("2024-05-01T10:00:00Z stdout P {\"a "), of("{\"a ", false, true));
        assert_eq!(piece("2024-05-01T10:00:00Z stdout F  b\"}"), of(" b\"}", true, false));
        assert_eq!(piece("2024-05-01T10:00:00Z stdin P {"), None);
        assert_eq!(piece("2024-05-01T10:00:00Z stdout X {"), None);
        assert_eq!(piece("2024-13-01T10:00:00Z stdout P {"), None);
        let docker = |text: &str| format!("{{\"log\":\"{text}\",\"stream\":\"stderr\"}}");
        assert_eq!(piece(&docker(r#"{\"a"#)), of("{\"a", false, true));
        assert_eq!(piece(&docker(r#"b\"}\n"#)), of("b\"}\n", true, false));
        // Whoever took the LFs of docker's messages took those of all.
        assert_eq!(piece(&docker("an ordinary line")), of("an ordinary line", false, false));
        let event = r#"{\"event_type\": \"a\"}"#;
        assert!(piece(&docker(event)).is_some_and(|(_, is_last, begins)| !is_last && !begins));
        let long = "x".repeat(DOCKER_PIECE_BYTES);
        assert_eq!(piece(&docker(&long)), of(&long, false, true));
        assert_eq!(piece(r#"{"username": "a", "log": "{", "stream": "stderr"}"#), None);
        assert_eq!(piece(r#"{"log": "{", "time": 1}"#), None);
        assert_eq!(
            piece(r#"{"l\u006fg": "{", "stream": "stderr", "username": "a"}"#),
            None,
            "a key of the platform's"
        );
        assert_eq!(piece(r#"{"l\u006fg": "{", "stream": "stderr"}"#), of("{", false, true));
        let tagged = |tag: &str, text: &str| {
            format!("{{\"stream\":\"stderr\",\"logtag\":\"{tag}\",\"message\":\"{text}\"}}")
        };
        assert_eq!(piece(&tagged("P", "a")), of("a", false, true));
        assert_eq!(piece(&tagged("F", "b")), of("b", true, false));
        // docker's piece in a dump, and behind the kubelet's head.
        let dump = format!("{{\"_source\": {}}}", docker("{"));
        assert_eq!(piece(&dump), of("{", false, true));
        assert_eq!(
            piece(&format!("2024-05-01T10:00:00Z stdout F {}", docker("{"))),
            of("{", false, true)
        );
    }

    #[test]
    fn streams() {
        let stream = |line: &str| Piece::read(line.as_bytes(), None).expect("a piece").stream;
        let docker = r#"{"log": "{", "stream": "stderr"}"#;
        assert_eq!(stream(docker), stream(r#"{"stream":"std\u0065rr","log":"x\n","time":1}"#));
        for other in [
            r#"{"log": "{", "stream": "stdout"}"#,
            r#"{"log": "{", "stream": "stderr", "container_id": "1"}"#,
            r#"{"message": {"log": "{", "stream": "stderr"}}"#,
            r#"2024-05-01T10:00:00Z stderr F {"log": "{", "stream": "stderr"}"#,
        ] {
            assert_ne!(stream(docker), stream(other), "{other}");
        }
    }

    /// Text of pieces that shippers' lines are made of.
    fn shipped() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            6 => prop::sample::select(vec![
                "{", "}", "\"", "\\", ":", ",", " ", "\"log\": ", "\"stream\": \"stdout\"", "\"message\": ",
                "\"_source\": {", "\"event_type\": \"a\"", "\"l\\u006fg\":\"{", "2024-05-01T10:00:00Z",
                " stdout P ", " stderr F ", "{\\\"event_type\\\": 1}", "\\n", "\"username\": 1", "\0", "[",
            ])
            .prop_map(|piece| piece.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_piece_is_told_by_its_first_bytes(line in shipped()) {
            let _ = mend(&line, None);
            if let Some(piece) = Piece::read(&line, None) {
                prop_assert!(may_be_piece(&line));
                prop_assert!(piece.is_last || piece.begins_message() || piece.is_whole()
                    || piece.text.len() < DOCKER_PIECE_BYTES);
            }
        }
    }
}
