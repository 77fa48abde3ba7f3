//! Pieces of messages that a log shipper cut.
//!
//! docker cuts after 16 KiB, and in its json-file the last piece alone ends with LF. The runtimes of
//! Kubernetes (CRI) mark each piece with `P` and the last one with `F`. docker's drivers for fluentd
//! and for journald, and what follows them, number the pieces of a message and name the last one;
//! older ones mark all pieces but the last.
//! Sources: moby `daemon/logger/copier.go`, `jsonfilelog/jsonlog`, `fluentd/fluentd.go`,
//! `journald/journald.go`; fluent-plugin-concat, `use_partial_metadata`.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::event::envelope::{
    CriLine, JOURNALD, MAX_ENVELOPES, MESSAGE_KEYS, Message, PLATFORM, may_be_cri, members,
    messages, text_at, time_at,
};
use crate::event::fields::Fields;
use crate::event::mend::{Outcome, mend_inside, mends_of};
use crate::frame::counts::{Mend, MendSet, Reason};
use crate::json::path::Segment;
use crate::json::scanner::{Kind, Span};
use crate::json::text::decode;
use crate::time;

/// The keys that tell one stream of messages from another. A line with one of the first three is of
/// docker's, as json-file, fluentd's driver and journald's write them.
const STREAM_KEYS: [&str; 7] = [
    "stream",
    "source",
    "CONTAINER_ID_FULL",
    "container_id",
    "container_name",
    "kubernetes",
    "PRIORITY",
];

/// What docker says of a piece: that it is one, of which message, its number from 1, and whether it
/// is the last. fluentd's driver, journald's, and journald's as fluentd hands it on.
const MARKS: [[&str; 4]; 3] = [
    ["partial_message", "partial_id", "partial_ordinal", "partial_last"],
    [
        "CONTAINER_PARTIAL_MESSAGE",
        "CONTAINER_PARTIAL_ID",
        "CONTAINER_PARTIAL_ORDINAL",
        "CONTAINER_PARTIAL_LAST",
    ],
    [
        "container_partial_message",
        "container_partial_id",
        "container_partial_ordinal",
        "container_partial_last",
    ],
];

/// After so many bytes docker cuts a message.
const DOCKER_PIECE_BYTES: usize = 16 * 1024;

/// Whether a line that may be of a shipper may be a piece, or the end of a message: it names a stream
/// or a mark, in any spelling.
pub(crate) fn may_be_piece(line: &[u8]) -> bool {
    static SIGNS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
        let signs =
            ["stream", " stdout ", " stderr ", "\\u00", "\"source", "CONTAINER_", "partial_"];
        AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(signs).ok()
    });
    may_be_cri(line) || SIGNS.as_ref().is_none_or(|signs| signs.is_match(line))
}

/// What docker says of a piece of a message.
#[derive(Default)]
struct Marks {
    is_cut: bool,
    id: String,
    ordinal: Option<u64>,
    is_last: bool,
}

impl Marks {
    fn of(object: &str) -> Self {
        let each = MARKS.map(|keys| members(object, keys));
        let mark = |at: usize| {
            let span = each.iter().map(|spans| spans[at]).find(Span::is_present);
            span.map_or(Cow::Borrowed(""), |span| decode(object, span))
        };
        let is_last = mark(3) == "true";
        let ordinal = mark(2).parse().ok().filter(|_| !mark(1).is_empty());
        let is_cut = mark(0) == "true" && !is_last || ordinal.is_some();
        Self { is_cut, id: mark(1).into_owned(), ordinal, is_last }
    }
}

/// A piece of a message, the end of one, or a whole message, of a shipper that cuts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Pieces of one message have the same.
    pub stream: Vec<u8>,
    /// As it was before it was cut.
    pub text: Vec<u8>,
    /// Its number in the message, from 1, where the shipper says it.
    pub ordinal: Option<u64>,
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
        let mut text = &*text;
        // fluentd's files have a time and a tag before each record.
        if may_be_cri(text.as_bytes())
            && let Some(record) = text.splitn(3, '\t').nth(2)
        {
            mends.insert(Mend::Prefix);
            text = record;
        }
        if !text.starts_with('{') {
            return None;
        }
        let (fields, length, _) = Fields::scan(text.as_bytes()).ok()?;
        let is_platforms = PLATFORM.iter().any(|&(_, field)| fields.get(field).is_present());
        if length < text.len() || is_platforms {
            return None;
        }
        let time = || time_at(text, time_from?);
        let marks = Marks::of(text);
        let [tag] = members(text, ["logtag"]);
        // Fluent Bit takes the head of a CRI line apart, and keeps its tag.
        let tagged = match &text[tag.start..tag.end] {
            "P" => Some(true),
            "F" => Some(false),
            _ => None,
        };
        let streams = members(text, STREAM_KEYS);
        let Some(message) = message_of_piece(text, &streams, tagged.is_some(), marks.is_cut) else {
            let mut inner = |message: Message<'_>| {
                let inner = Self::within(&message.bytes, depth, time_from);
                inner.map(|inner| inner.inside(b"", mends.union(mends_of(message.odd)), time))
            };
            return messages(text, true).find_map(&mut inner);
        };
        mends = mends.union(mends_of(message.odd));
        let is_last = match tagged {
            _ if marks.is_cut => marks.is_last,
            Some(is_cut) => !is_cut,
            // Only in json-file LFs tell.
            None => streams[0].kind != Kind::String || message.bytes.ends_with(b"\n"),
        };
        let is_marked = marks.is_cut || tagged == Some(true);
        let inner = if is_last && !is_marked { message.bytes.trim_ascii() } else { b"" };
        let inner = Self::within(inner, depth, time_from);
        let whole = || Self {
            text: message.bytes.into_owned(),
            ordinal: marks.ordinal,
            is_last,
            is_marked,
            depth,
            ..Self::default()
        };
        let mut stream = streams.map(|span| decode(text, span)).join("\0");
        stream.push_str(&marks.id);
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
        match self.ordinal {
            // Whoever joined pieces may have left the marks of the first one.
            Some(1) => !self.is_last && !self.is_whole(),
            Some(_) => true,
            None => !self.is_last && (self.is_marked || is_cut()),
        }
    }
}

/// The text of a line that is a piece, or would be one if its message were cut.
fn message_of_piece<'t>(
    object: &'t str,
    streams: &[Span; 7],
    is_tagged: bool,
    is_cut: bool,
) -> Option<Message<'t>> {
    let spans = members(object, MESSAGE_KEYS);
    let is_string = |at: usize| streams[at].kind == Kind::String;
    let may = |key| match key {
        _ if is_cut => true,
        "log" => is_string(0) || is_string(1),
        "message" => is_string(0) && is_tagged,
        _ => key == JOURNALD && is_string(2),
    };
    let mut texts = MESSAGE_KEYS.into_iter().zip(spans).filter(|(key, _)| may(key));
    texts.find_map(|(key, span)| text_at(object, span, key == JOURNALD))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::envelope::may_be_shipped;
    use crate::event::mend::mend;

    fn is_told(line: &[u8]) -> bool {
        may_be_shipped(line) && may_be_piece(line)
    }

    fn piece(line: &str) -> Option<(String, bool, bool)> {
        assert!(is_told(line.as_bytes()) || Piece::read(line.as_bytes(), None).is_none());
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
        // docker's driver for fluentd numbers them; an older one marks all but the last.
        let marked = |marks: &str| format!("{{\"log\":\"{{\",\"source\":\"stderr\"{marks}}}");
        let numbered = |number: u32, last: bool| {
            marked(&format!(
                ",\"partial_id\":\"a\",\"partial_ordinal\":\"{number}\",\"partial_last\":\"{last}\""
            ))
        };
        assert_eq!(piece(&numbered(1, false)), of("{", false, true));
        assert_eq!(piece(&numbered(3, true)), of("{", true, true));
        assert_eq!(piece(&numbered(1, true)), of("{", true, false));
        assert_eq!(piece(&marked(",\"partial_message\":\"true\"")), of("{", false, true));
        assert_eq!(piece(&marked("")), of("{", true, false));
        // journald has bytes, and a file of fluentd's a time and a tag before them.
        let journald = "{\"MESSAGE\":[32, 123],\"CONTAINER_PARTIAL_MESSAGE\":\"true\"}";
        assert_eq!(piece(journald), of(" {", false, true));
        let in_file = format!("2024-05-01T10:00:00+00:00\tdocker\t{journald}");
        assert_eq!(piece(&in_file), of(" {", false, true));
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
                "\"source\": \"a\", ", "\"partial_id\": \"1\"", "\"partial_ordinal\": \"2\"",
                "\"partial_message\": \"true\"", "\"MESSAGE\": [123, 34]", "\tdocker\t",
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
                prop_assert!(is_told(&line));
                prop_assert!(piece.is_last || piece.begins_message() || piece.is_whole()
                    || piece.text.len() < DOCKER_PIECE_BYTES);
            }
        }
    }
}
