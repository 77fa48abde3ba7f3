//! Rejected lines, kept with their place: a rejects file can be mended by hand and read as a source.

use std::sync::Arc;

use crate::frame::counts::Reason;
use crate::frame::source::SourceInfo;
use crate::json::path::{Step, find};
use crate::json::scanner::{Kind, Span};
use crate::json::text::{self, hex, push_json_string};

/// How the comment line begins that tells the place of the line after it.
pub const COMMENT: &[u8] = b"# edxlogs reject: ";

/// Where a line came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its source, which all its rejects share: there may be one for every few bytes.
    pub source: Arc<SourceInfo>,
    /// Its number there, from 1.
    pub line: u64,
    /// Offset of its first byte in the expanded source.
    pub byte: u64,
}

/// A line that no event can be read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it stands.
    pub origin: Origin,
    /// Why.
    pub reason: Reason,
    /// The line without its LF; of an over-long line, its beginning.
    pub bytes: Vec<u8>,
    /// Length and SHA-256 of an over-long line.
    pub long: Option<Box<(u64, [u8; 32])>>,
}

impl Reject {
    /// Appends the line as a rejects file holds it: a comment line with its place and the reason,
    /// then its bytes.
    pub fn push(&self, out: &mut Vec<u8>) {
        let Origin { source, line, byte } = &self.origin;
        out.extend_from_slice(COMMENT);
        out.extend_from_slice(b"{\"source\": ");
        push_json_string(&source.name, out);
        let mut place = format!(", \"line\": {line}, \"byte\": {byte}");
        place += &format!(", \"reason\": \"{}\"", self.reason.as_str());
        if let Some((length, sha256)) = self.long.as_deref() {
            place += &format!(", \"length\": {length}, \"sha256\": \"{}\"", hex(sha256));
        }
        if let Some(day) = source.day {
            place += &format!(", \"day\": {day}");
        }
        out.extend_from_slice(place.as_bytes());
        if let Some(site) = &source.site {
            out.extend_from_slice(b", \"site\": ");
            push_json_string(site, out);
        }
        out.extend_from_slice(b"}\n");
        out.extend_from_slice(&self.bytes);
        out.push(b'\n');
    }
}

impl Origin {
    /// The place that a comment line tells, after [`COMMENT`]; `None` if it was spoiled.
    pub fn parse(place: &[u8]) -> Option<Self> {
        let place = std::str::from_utf8(place).ok()?;
        let (object, _) = text::whole_value(place.as_bytes()).ok()?;
        let member = |name: &str| find(place.as_bytes(), object, [Step::Key(name)]);
        let string = |span: Span| text::decode(place, span).into_owned();
        let number = |name: &str| -> Option<i64> {
            let span = member(name).filter(|span| span.kind == Kind::Number)?;
            place[span.start..span.end].parse().ok()
        };
        let name = member("source").filter(|span| span.kind == Kind::String).map(string)?;
        let site = member("site").filter(|span| span.kind == Kind::String).map(string);
        Some(Self {
            source: Arc::new(SourceInfo { name, site, day: number("day") }),
            line: number("line")?.try_into().ok()?,
            byte: number("byte")?.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives() {
        let site = Some("edge".to_owned());
        let source =
            Arc::new(SourceInfo { name: "a\"b\u{1f}.log".to_owned(), site, day: Some(16_344) });
        let origin = Origin { source, line: 7, byte: 1234 };
        for long in [None, Some(Box::new((9, [7; 32])))] {
            let reason = Reason::Truncated;
            let bytes = b"{\"time\": ".to_vec();
            let reject = Reject { origin: origin.clone(), reason, bytes, long };
            let mut out = Vec::new();
            reject.push(&mut out);
            let (comment, line) = out.split_at(out.iter().position(|&b| b == b'\n').unwrap());
            assert_eq!(Origin::parse(&comment[COMMENT.len()..]), Some(origin.clone()));
            assert_eq!(line, b"\n{\"time\": \n");
        }
        assert_eq!(Origin::parse(b"{\"source\": 1, \"line\": 1, \"byte\": 1}"), None);
        assert_eq!(Origin::parse(b"spoiled"), None);
    }
}
