//! Joins the stages: prefilter, event, predicate, columns. One batch of lines at a time.

use std::sync::Arc;

use crate::error::Result;
use crate::event::Event;
use crate::event::column::EventPlace;
use crate::event::fields::Fields;
use crate::event::mend::{Mended, Outcome, is_broken_event, mend, mend_joined, shape_mends};
use crate::frame::counts::{MendSet, Reason, Stats};
use crate::frame::rejects::{COMMENT, Origin, Rejects};
use crate::frame::source::SourceInfo;
use crate::input::lines::{LineBatch, LongLine};
use crate::json::path::Segment;
use crate::json::quotes::Quotes;
use crate::json::scanner::Oddities;
use crate::query::columns::BatchBuilder;
use crate::query::prefilter::{FoundLine, Prefilter};
use crate::query::tables::TablesBuilder;
use crate::query::{Collect, Query};
use crate::scan::gathered::{Counting, Gathered, Size};
use crate::scan::line_hashes::{LineHashes, is_held};
use crate::scan::pieces::{Message, Pieces};
use crate::scan::{Asked, Rows};
use crate::summary::Noted;
use crate::time::Time;

mod sampling;
#[cfg(test)]
mod tests;

/// The first lines of a source are always parsed: they tell whether it is a log at all.
const FIRST_LINES: u64 = 100;

const DAY_MICROS: i64 = 86_400_000_000;

/// Scans batches of lines; gathers rows until they are taken.
pub(crate) struct LineScanner<'q> {
    query: &'q Query,
    hashes: Option<&'q LineHashes>,
    counting: Option<Counting<'q>>,
    /// Whether the line at hand was held before, once that was asked.
    held: Option<bool>,
    prefilter: Prefilter,
    /// The lines of the batch at hand.
    found: Vec<FoundLine>,
    /// The messages in pieces that are complete with it, by the lines where they stand.
    messages: Vec<(usize, Message)>,
    source: Arc<SourceInfo>,
    quotes: Quotes,
    builder: BatchBuilder<'q>,
    tables: Option<TablesBuilder<'q>>,
    lines: Vec<u8>,
    kept: usize,
    /// How many rows may still be kept.
    left: u64,
    rejects: Rejects,
    stats: Stats,
    /// Makes sources differ in which of their first lines are sampled.
    salt: u64,
    /// Whether the source is a rejects file; then, where the next line came from.
    reads_rejects: bool,
    origin: Option<Origin>,
}

/// A line as it stands in its batch.
#[derive(Clone, Copy)]
struct Line<'b> {
    /// Without its LF.
    bytes: &'b [u8],
    number: u64,
    offset: u64,
}

impl<'q> LineScanner<'q> {
    pub(crate) fn new(asked: Asked<'q>, source: Arc<SourceInfo>, reads_rejects: bool) -> Self {
        let Asked { query, hashes, limit, counted, .. } = asked;
        let parses_all = query.check_full || reads_rejects;
        let prefilter = if parses_all { Prefilter::default() } else { query.predicate.prefilter() };
        let salt = u64::from(source.name.bytes().fold(0, u8::wrapping_add) % 16);
        Self {
            query,
            hashes,
            counting: counted.map(Counting::new),
            held: None,
            prefilter,
            found: Vec::new(),
            messages: Vec::new(),
            source,
            quotes: Quotes::default(),
            builder: BatchBuilder::new(&query.projection),
            tables: TablesBuilder::new(query),
            lines: Vec::new(),
            kept: 0,
            left: limit.unwrap_or(u64::MAX),
            rejects: Rejects::default(),
            stats: Stats::default(),
            salt,
            reads_rejects,
            origin: None,
        }
    }

    /// Finds the lines of a batch, which is to be scanned next, and the pieces among them; how many
    /// there are. Its first one has the number `first_line`, and the batches come in order.
    pub(crate) fn find_lines(
        &mut self,
        batch: &LineBatch,
        first_line: u64,
        pieces: &mut Pieces,
    ) -> u64 {
        if batch.is_empty_lines() {
            self.found.clear();
            return batch.bytes().len() as u64;
        }
        self.prefilter.search(batch.bytes(), &mut self.found);
        // The lines of a rejects file are of many places.
        if !self.reads_rejects {
            let limit = self.query.max_line_bytes;
            let (found, messages) = (&mut self.found, &mut self.messages);
            let time_from = self.query.time_from().map(|path| &path[..]);
            pieces.take(batch, first_line, limit, time_from, found, messages);
        }
        self.found.len() as u64 + u64::from(batch.long.is_some())
    }

    /// Scans the batch whose lines were found.
    pub(crate) fn scan(&mut self, batch: &LineBatch, first_line: u64) -> Result<()> {
        if batch.is_empty_lines() {
            let lines = batch.bytes().len() as u64;
            self.stats.lines += lines;
            self.stats.blank += lines;
            self.stats.bytes_expanded += lines;
            return Ok(());
        }
        let found = std::mem::take(&mut self.found);
        let mut messages = std::mem::take(&mut self.messages).into_iter().peekable();
        let mut start = 0;
        let mut number = first_line;
        for (at, &FoundLine { end, nominated, is_piece }) in found.iter().enumerate() {
            while let Some((_, message)) =
                messages.next_if(|(place, _)| *place == at && !self.has_all())
            {
                self.message(&message)?;
            }
            if self.has_all() {
                self.found = found;
                self.stats.bytes_expanded += start as u64;
                self.stats.lines += number - first_line;
                return Ok(());
            }
            let bytes = &batch.bytes()[start..end];
            let mut line = Line { bytes, number, offset: batch.offset + start as u64 };
            number += 1;
            start = end + 1;
            if is_piece {
                continue;
            }
            if self.reads_rejects {
                if let Some(place) = bytes.strip_prefix(COMMENT) {
                    self.origin = Origin::parse(place);
                    self.stats.blank += 1;
                    continue;
                }
                if let Some(origin) = &self.origin {
                    (line.number, line.offset) = (origin.line, origin.byte);
                }
            }
            let whole = bytes.first() == Some(&b'{')
                && bytes.trim_ascii_end().last() == Some(&b'}')
                && bytes.len() <= self.query.max_line_bytes;
            if nominated || !whole || line.number <= FIRST_LINES {
                self.line(line)?;
            } else {
                self.stats.dropped += 1;
                self.sample(line)?;
            }
            self.origin = None;
        }
        self.found = found;
        self.stats.bytes_expanded += batch.bytes().len() as u64;
        if let Some(long) = &batch.long {
            self.long_line(long, number);
            number += 1;
            self.stats.bytes_expanded += long.length;
        }
        self.stats.lines += number - first_line;
        Ok(())
    }

    fn line(&mut self, line: Line<'_>) -> Result<()> {
        self.held = None;
        if line.bytes.len() > self.query.max_line_bytes {
            let long = LongLine::of(line.bytes, line.offset);
            self.long_line(&long, line.number);
            return Ok(());
        }
        let trimmed = line.bytes.trim_ascii();
        if trimmed.is_empty() {
            self.stats.blank += 1;
            return Ok(());
        }
        if let Some((event, odd)) = self.clean(trimmed) {
            self.stats.parsed += 1;
            let keep = self.decide(&event, odd, line, 0, None)?;
            self.count(keep, 1);
            return Ok(());
        }
        match mend(line.bytes, self.time_from()) {
            Outcome::Blank => self.stats.blank += 1,
            Outcome::Rejected(reason) => self.reject(line, reason),
            Outcome::Hollow(reason) => {
                self.stats.hollow += 1;
                self.reject(line, reason);
            }
            Outcome::Events(_) if self.query.strict => self.reject(line, Reason::Strict),
            Outcome::Events(events) => {
                let keep = self.mended(line, &events)?;
                self.stats.parsed += 1;
                self.count(keep, 1);
            }
        }
        Ok(())
    }

    /// Reads a message that came in pieces: its event stands at the line of the first.
    fn message(&mut self, message: &Message) -> Result<()> {
        self.held = None;
        let pieces = message.lines.len() as u64;
        let outcome = if message.is_whole {
            self.stats.joined += pieces - 1;
            mend_joined(&message.piece, self.time_from())
        } else {
            Outcome::Rejected(Reason::Piece)
        };
        let reason = match outcome {
            Outcome::Events(_) if self.query.strict => Reason::Strict,
            Outcome::Events(events) => {
                let (number, offset, _) = message.lines[0];
                let line = Line { bytes: message.as_lines(), number, offset };
                let keep = self.mended(line, &events)?;
                self.stats.parsed += pieces;
                self.count(keep, pieces);
                return Ok(());
            }
            Outcome::Blank => Reason::NoObject,
            Outcome::Rejected(reason) => reason,
            Outcome::Hollow(reason) => {
                self.stats.hollow += pieces;
                reason
            }
        };
        for (number, offset, bytes) in message.each_line() {
            self.reject(Line { bytes, number, offset }, reason);
        }
        Ok(())
    }

    /// Rejects the pieces whose messages have no end in the source.
    pub(crate) fn end(&mut self, pieces: &mut Pieces) -> Result<()> {
        pieces.end().iter().try_for_each(|message| self.message(message))
    }

    fn time_from(&self) -> Option<&'q [Segment]> {
        self.query.time_from().map(|path| &path[..])
    }

    /// The event of a line that needs no mending of its text, nor, with `strict`, of anything.
    fn clean<'b>(&mut self, trimmed: &'b [u8]) -> Option<(Event<'b>, Oddities)>
    where
        'q: 'b,
    {
        if trimmed[0] != b'{' {
            return None;
        }
        let (fields, odd) = Fields::scan_whole(trimmed, &mut self.quotes)?;
        if odd.needs_rewriting() || !fields.is_event() {
            return None;
        }
        let text = simdutf8::basic::from_utf8(trimmed).ok()?;
        let strict = self.query.strict;
        if strict && !shape_mends(&fields, trimmed).is_empty() {
            return None;
        }
        Some((self.event(text, fields, None), odd))
    }

    /// `around` is the time that an envelope has for it, where one was asked for.
    fn event<'b>(&self, text: &'b str, fields: Fields, around: Option<Time>) -> Event<'b>
    where
        'q: 'b,
    {
        Event::new(text, fields, self.query.course_from_context, self.query.paths())
            .with_time_from(self.query.time_from(), around)
    }

    /// Takes the events of a line; whether one is kept.
    fn mended(&mut self, line: Line<'_>, events: &[Mended]) -> Result<bool> {
        let mut keep = false;
        for (item, mended) in events.iter().enumerate() {
            let Ok((fields, _, odd)) = Fields::scan(mended.text.as_bytes()) else {
                continue;
            };
            self.note_mends(mended.mends, line.number);
            let event = self.event(&mended.text, fields, mended.time);
            let first = !keep;
            let raw = self.query.collect == Collect::RawLines;
            let text = if raw { first.then_some(line.bytes) } else { Some(mended.text.as_bytes()) };
            keep |= self.decide(&event, odd, line, item as u32, Some(text))?;
        }
        Ok(keep)
    }

    /// Counts the lines of an event, or of several.
    fn count(&mut self, keep: bool, lines: u64) {
        if keep {
            self.stats.kept += lines;
        } else if self.held == Some(true) {
            self.stats.duplicate += lines;
        } else {
            self.stats.dropped += lines;
        }
    }

    /// Keeps the event if it is selected. `mended` is the text to write instead of the line.
    fn decide(
        &mut self,
        event: &Event<'_>,
        odd: Oddities,
        line: Line<'_>,
        item: u32,
        mended: Option<Option<&[u8]>>,
    ) -> Result<bool> {
        self.note_mends(shape_mends(event.fields(), event.as_str().as_bytes()), line.number);
        for odd in event.odd_values(odd).iter() {
            self.stats.odd[odd as usize] += 1;
        }
        if line.number <= FIRST_LINES || self.reads_rejects {
            self.stats.first_events += 1;
        }
        let source = self.origin.as_ref().map_or(&self.source, |origin| &origin.source);
        let text = mended.flatten().unwrap_or(line.bytes);
        let mut place = EventPlace { source, line: line.number, item, text, wanted: u64::MAX };
        place.wanted = self.query.predicate.wanted(event, place);
        if place.wanted == 0 || self.has_all() || is_held(self.hashes, &mut self.held, line.bytes)?
        {
            return Ok(false);
        }
        let rows = match self.query.collect {
            Collect::Columns if let Some(tables) = &mut self.tables => {
                tables.take_event(event, place, &mut self.builder, &mut self.stats)
            }
            Collect::Columns => {
                self.builder.push(event, place);
                1
            }
            Collect::Lines | Collect::RawLines => {
                if let Some(text) = mended.unwrap_or(Some(line.bytes)) {
                    self.lines.extend_from_slice(text);
                    self.lines.push(b'\n');
                }
                1
            }
            Collect::Nothing => 1,
        };
        if rows == 0 {
            return Ok(false);
        }
        self.query.predicate.note(event, place);
        if let Some(counting) = &mut self.counting {
            counting.event(event, place);
        }
        self.stats.rows += rows;
        self.left = self.left.saturating_sub(rows);
        if let (Some(day), Some(time)) = (source.day, event.time()) {
            let late = day - time.micros.div_euclid(DAY_MICROS);
            if late > 1 {
                self.stats.late += 1;
                self.stats.latest_days = self.stats.latest_days.max(late as u64);
                if let Some(counting) = &mut self.counting {
                    counting.note(Noted::Late, &source.name, line.number);
                }
            }
        }
        self.kept += 1;
        Ok(true)
    }

    fn note_mends(&mut self, mends: MendSet, line: u64) {
        for mend in mends.iter() {
            self.stats.mends[mend as usize] += 1;
            if let Some(counting) = &mut self.counting {
                let source = self.origin.as_ref().map_or(&self.source, |origin| &origin.source);
                counting.note(Noted::Mended(mend), &source.name, line);
            }
        }
    }

    fn reject(&mut self, line: Line<'_>, reason: Reason) {
        self.stats.parsed += 1;
        if line.bytes.trim_ascii() == b"{" {
            self.stats.lone_braces += 1;
        }
        self.push_reject(line.number, line.offset, reason, line.bytes, None);
    }

    fn long_line(&mut self, long: &LongLine, number: u64) {
        let hash = Some((long.length, long.sha256));
        self.push_reject(number, long.offset, Reason::TooLong, &long.head, hash);
    }

    fn push_reject(
        &mut self,
        line: u64,
        byte: u64,
        reason: Reason,
        bytes: &[u8],
        long: Option<(u64, [u8; 32])>,
    ) {
        self.stats.rejected += 1;
        if line <= FIRST_LINES || self.reads_rejects {
            self.stats.first_rejects += 1;
            let is_broken = matches!(reason, Reason::Truncated | Reason::BadJson);
            self.stats.first_events += u64::from(is_broken && is_broken_event(bytes));
        }
        self.stats.reasons[reason as usize] += 1;
        let source = self.origin.as_ref().map_or(&self.source, |origin| &origin.source);
        if let Some(counting) = &mut self.counting {
            counting.note(Noted::Rejected(reason), &source.name, line);
        }
        if self.query.keep_rejects {
            self.rejects.push(source, line, byte, reason, bytes, long);
        }
    }

    /// Whether it has kept as many rows as were asked for.
    pub(crate) fn has_all(&self) -> bool {
        self.left == 0
    }

    /// How much is gathered, the rows of tables aside.
    pub(crate) fn size(&self) -> Size {
        let rows = if self.builder.rows() > 0 { self.builder.rows() } else { self.kept };
        Size { rows, bytes: self.builder.bytes() + self.lines.len() }
    }

    /// The rejects since they were last taken.
    pub(crate) fn take_rejects(&mut self) -> Rejects {
        std::mem::take(&mut self.rejects)
    }

    /// What was gathered since it was last taken: where it is enough to be handed on, or `all`.
    pub(crate) fn take(&mut self, all: bool) -> Result<Gathered> {
        let mut rows = Vec::new();
        if all || self.size().is_full() {
            if self.builder.rows() > 0 {
                rows.push(self.builder.finish().map(|(batch, beside)| Rows::Batch(batch, beside))?);
            }
            if !self.lines.is_empty() {
                let room = Vec::with_capacity(self.lines.len());
                rows.push(Rows::Lines(std::mem::replace(&mut self.lines, room)));
            }
            self.kept = 0;
        }
        if let Some(tables) = &mut self.tables {
            rows.extend(tables.take(all)?.into_iter().map(Rows::Table));
        }
        Ok(Gathered { stats: std::mem::take(&mut self.stats), rows })
    }
}
