//! Holds the prefilter to its promise: some of the lines that it dropped are parsed all the same.

use super::{Line, LineScanner};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::column::EventPlace;
use crate::event::fields::Fields;
use crate::event::mend::{Outcome, mend};
use crate::event::piece::Piece;

/// Of the lines that the prefilter dropped, one in this many is parsed all the same, and more of the
/// first ones, so that short sources are sampled too.
const SAMPLE_EVERY: u64 = 4093;

impl LineScanner<'_> {
    /// Now and then, parses a line that the prefilter dropped: it must not match. Which lines are
    /// chosen follows from the source's name and their numbers alone, whatever the threads.
    pub(super) fn sample(&mut self, line: Line<'_>) -> Result<()> {
        let turn = line.number ^ self.salt;
        if !turn.is_power_of_two() && !turn.is_multiple_of(SAMPLE_EVERY) {
            return Ok(());
        }
        self.stats.sampled += 1;
        let clean = self.clean(line.bytes.trim_ascii());
        let source = self.origin.as_ref().map_or(&self.source, |origin| &origin.source);
        let matches = |event: &Event<'_>| {
            let (number, text) = (line.number, line.bytes);
            let place = EventPlace { source, line: number, item: 0, text, wanted: u64::MAX };
            self.query.predicate.matches(event, place)
        };
        let matched = match clean {
            Some((event, _)) => matches(&event),
            None => match mend(line.bytes, self.time_from()) {
                Outcome::Events(events) if !self.query.strict => events.iter().any(|mended| {
                    Fields::scan(mended.text.as_bytes()).is_ok_and(|(fields, ..)| {
                        matches(&self.event(&mended.text, fields, mended.time))
                    })
                }),
                _ => false,
            },
        };
        let begins = |piece: Piece| piece.begins_message();
        if !matched && !self.reads_rejects && Piece::read(line.bytes, None).is_some_and(begins) {
            let why = format!("line {} was dropped, which is a piece of a message", line.number);
            return Err(Error::internal(why));
        }
        if matched {
            let why = format!("the prefilter dropped line {}, which matches", line.number);
            return Err(Error::internal(why));
        }
        Ok(())
    }
}
