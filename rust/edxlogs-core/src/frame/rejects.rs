//! Rejected lines, kept with their place: a rejects file can be mended by hand and read as a source.

use std::io::{self, Write};
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

/// Rejected lines of a stretch of a source, in order. There may be one for every other byte, so that
/// no more is held of each than must be.
#[derive(Clone, Debug, Default)]
pub struct Rejects {
    /// The lines without their LF, one after another; of an over-long line, its beginning.
    bytes: Vec<u8>,
    places: Vec<Rejected>,
    /// From which line on they are of which source.
    sources: Vec<(usize, Arc<SourceInfo>)>,
    /// Which of them are over-long, with their length and SHA-256.
    long: Vec<(usize, u64, [u8; 32])>,
}

#[derive(Clone, Copy, Debug)]
struct Rejected {
    line: u64,
    byte: u64,
    /// Where its bytes end; those of a stretch are never 4 GiB.
    end: u32,
    reason: Reason,
}

impl Rejects {
    /// Adds a line of that number, which begins at that byte; of an over-long one, also its length
    /// and SHA-256.
    pub fn push(
        &mut self,
        source: &Arc<SourceInfo>,
        line: u64,
        byte: u64,
        reason: Reason,
        bytes: &[u8],
        long: Option<(u64, [u8; 32])>,
    ) {
        let at = self.places.len();
        if self.sources.last().is_none_or(|(_, known)| !Arc::ptr_eq(known, source)) {
            self.sources.push((at, Arc::clone(source)));
        }
        if let Some((length, sha256)) = long {
            self.long.push((at, length, sha256));
        }
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len().try_into().unwrap_or(u32::MAX);
        self.places.push(Rejected { line, byte, end, reason });
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Line, byte and reason of each.
    pub fn places(&self) -> impl Iterator<Item = (u64, u64, Reason)> {
        self.places.iter().map(|place| (place.line, place.byte, place.reason))
    }

    /// Writes them as a rejects file holds them.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let (mut sources, mut long) = (self.sources.iter().peekable(), self.long.iter().peekable());
        let (mut start, mut source) = (0, None);
        let mut scratch = Vec::new();
        for (at, &Rejected { line, byte, end, reason }) in self.places.iter().enumerate() {
            source = sources.next_if(|(from, _)| *from == at).map(|(_, s)| s).or(source);
            let end = end as usize;
            let long = long.next_if(|(its, ..)| *its == at).map(|&(_, length, sha)| (length, sha));
            if let Some(source) = source {
                scratch.clear();
                let bytes = &self.bytes[start..end];
                push_reject(source, line, byte, reason, bytes, long, &mut scratch);
                out.write_all(&scratch)?;
            }
            start = end;
        }
        Ok(())
    }
}

/// Appends a line, or a row, as a rejects file holds it: a comment line with its place and the
/// reason, then its bytes.
pub fn push_reject(
    source: &SourceInfo,
    line: u64,
    byte: u64,
    reason: Reason,
    bytes: &[u8],
    long: Option<(u64, [u8; 32])>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(COMMENT);
    if let Some(package) = &source.package {
        out.extend_from_slice(b"{\"package\": ");
        push_json_string(package, out);
        out.extend_from_slice(b", \"member\": ");
    } else {
        out.extend_from_slice(b"{\"source\": ");
    }
    push_json_string(&source.name, out);
    // Writing to memory does not fail.
    let _ =
        write!(out, ", \"line\": {line}, \"byte\": {byte}, \"reason\": \"{}\"", reason.as_str());
    if let Some((length, sha256)) = long {
        let _ = write!(out, ", \"length\": {length}, \"sha256\": \"{}\"", hex(&sha256));
    }
    // Whoever reads a log's lines again wants to know no less of them.
    if source.package.is_none() {
        if let Some(day) = source.day {
            let _ = write!(out, ", \"day\": {day}");
        }
        if let Some(site) = &source.site {
            out.extend_from_slice(b", \"site\": ");
            push_json_string(site, out);
        }
    }
    out.extend_from_slice(b"}\n");
    out.extend_from_slice(bytes);
    out.push(b'\n');
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
            source: Arc::new(SourceInfo {
                name,
                site,
                day: number("day"),
                ..SourceInfo::default()
            }),
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
        let (name, site) = ("a\"b\u{1f}.log".to_owned(), Some("edge".to_owned()));
        let source =
            Arc::new(SourceInfo { name, site, day: Some(16_344), ..SourceInfo::default() });
        let other = Arc::new(SourceInfo { name: "b.log".to_owned(), ..SourceInfo::default() });
        let mut rejects = Rejects::default();
        let line = b"{\"time\": ";
        for (source, number, long) in
            [(&source, 7, None), (&source, 8, Some((9, [7; 32]))), (&other, 1, None)]
        {
            rejects.push(source, number, 1234, Reason::Truncated, line, long);
        }
        let mut out = Vec::new();
        rejects.write_to(&mut out).unwrap();
        let lines: Vec<&[u8]> = out.split(|&byte| byte == b'\n').collect();
        assert_eq!(lines.len(), 7);
        for (at, (source, number)) in
            [(&source, 7), (&source, 8), (&other, 1)].into_iter().enumerate()
        {
            let origin = Origin { source: Arc::clone(source), line: number, byte: 1234 };
            assert_eq!(Origin::parse(&lines[2 * at][COMMENT.len()..]), Some(origin));
            assert_eq!(lines[2 * at + 1], line);
        }
        assert_eq!(Origin::parse(b"{\"source\": 1, \"line\": 1, \"byte\": 1}"), None);
        assert_eq!(Origin::parse(b"spoiled"), None);
    }
}
