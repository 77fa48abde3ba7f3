//! Pieces of messages that a log shipper cut, kept until the last one comes. Which lines are pieces
//! follows from the lines before them, so this is done in the order of the source, before lines are
//! scanned; a line that cannot be one is told by its first bytes.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::envelope::{may_be_shipped, may_hold_numbers};
use crate::event::piece::{Piece, may_be_piece};
use crate::input::lines::LineBatch;
use crate::json::path::Segment;
use crate::query::prefilter::FoundLine;

/// Most streams whose pieces are known to be too many.
const MOST_SPOILED: usize = 1024;

/// The pieces of one message, in order, or those of which the rest is missing.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// The first piece; with the text of all, once it is whole.
    pub piece: Piece,
    /// Numbers and texts of the others.
    others: Vec<(Option<u64>, Vec<u8>)>,
    /// Those of all, where pieces have numbers: one that was sent again counts once.
    numbers: BTreeSet<u64>,
    /// The number of the last piece, once it has come.
    last: Option<u64>,
    /// Number, offset, and where its bytes end, of each line.
    pub lines: Vec<(u64, u64, usize)>,
    /// The lines, each ended by LF.
    pub bytes: Vec<u8>,
    /// Whether the last piece is there.
    pub is_whole: bool,
    /// Which line of the batch at hand is its first, if that is one of its lines.
    begins: Option<usize>,
}

impl Message {
    /// The bytes of its lines, without the last LF.
    pub(crate) fn as_lines(&self) -> &[u8] {
        self.bytes.strip_suffix(b"\n").unwrap_or_default()
    }

    /// Number, offset and bytes of each line.
    pub(crate) fn each_line(&self) -> impl Iterator<Item = (u64, u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.lines.iter().map(|line| line.2 + 1));
        starts
            .zip(&self.lines)
            .map(|(start, &(number, offset, end))| (number, offset, &self.bytes[start..end]))
    }

    fn push(&mut self, piece: Piece, line: (u64, u64), bytes: &[u8]) {
        if piece.is_last {
            self.last = piece.ordinal;
        }
        self.numbers.extend(piece.ordinal);
        if self.lines.is_empty() {
            self.piece = piece;
        } else {
            self.piece.mends = self.piece.mends.union(piece.mends);
            self.others.push((piece.ordinal, piece.text));
        }
        self.bytes.extend_from_slice(bytes);
        self.lines.push((line.0, line.1, self.bytes.len()));
        self.bytes.push(b'\n');
    }

    /// Whether its last piece is the one that came last. Pieces with numbers come in any order.
    fn has_ended(&self, is_last: bool) -> bool {
        match self.piece.ordinal {
            Some(_) => self.last.is_some_and(|last| self.numbers.len() as u64 >= last),
            None => is_last,
        }
    }

    /// Joins the texts of the pieces, if all are there.
    fn join(&mut self) {
        let first = (self.piece.ordinal, std::mem::take(&mut self.piece.text));
        let mut texts = vec![first];
        texts.append(&mut self.others);
        texts.sort_by_key(|text| text.0);
        texts.dedup_by(|a, b| a.0.is_some() && a == b);
        self.is_whole =
            texts.iter().zip(1..).all(|((number, _), at)| number.is_none_or(|n| n == at));
        self.piece.text = texts.into_iter().flat_map(|text| text.1).collect();
    }
}

/// The messages of a source of which the last piece has not come, one a stream.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    open: BTreeMap<Vec<u8>, Message>,
    /// Bytes of their lines.
    bytes: usize,
    /// Streams of which the message at hand was given up.
    spoiled: BTreeSet<Vec<u8>>,
}

impl Pieces {
    /// Marks the lines of a batch that are pieces, and those that no needle can tell. Puts the messages that end in it, or are given up,
    /// in `messages`, each with the line of the batch where it stands: that of its first piece, if that
    /// is in the batch. Open messages are at most `limit` bytes of lines.
    pub(crate) fn take(
        &mut self,
        batch: &LineBatch,
        first_line: u64,
        limit: usize,
        time_from: Option<&[Segment]>,
        found: &mut [FoundLine],
        messages: &mut Vec<(usize, Message)>,
    ) {
        let mut end = 0;
        for (at, line) in found.iter_mut().enumerate() {
            let start = std::mem::replace(&mut end, line.end + 1);
            let bytes = &batch.bytes()[start..line.end];
            if !may_be_shipped(bytes) {
                continue;
            }
            line.nominated |= may_hold_numbers(bytes);
            if may_be_piece(bytes)
                && bytes.len() <= limit
                && let Some(piece) = Piece::read(bytes, time_from)
            {
                let place = (first_line + at as u64, batch.offset + start as u64);
                line.is_piece = self.put(piece, at, place, bytes, limit, messages);
            }
        }
        // The next batch counts its lines anew.
        self.open.values_mut().for_each(|message| message.begins = None);
        messages.sort_by_key(|(at, _)| *at);
    }

    /// Takes a line; whether it is a piece.
    fn put(
        &mut self,
        piece: Piece,
        at: usize,
        place: (u64, u64),
        bytes: &[u8],
        limit: usize,
        messages: &mut Vec<(usize, Message)>,
    ) -> bool {
        let is_known =
            self.open.contains_key(&piece.stream) || self.spoiled.contains(&piece.stream);
        if is_known && piece.ordinal.is_none() && piece.is_whole() {
            // The end of the message before it is missing.
            self.spoiled.remove(&piece.stream);
            if let Some(message) = self.close(&piece.stream) {
                messages.push((message.begins.unwrap_or(at), message));
            }
        } else if is_known {
            let (stream, is_last) = (piece.stream.clone(), piece.is_last);
            let has_room = self.bytes + bytes.len() <= limit;
            let mut message = self.close(&stream).unwrap_or_default();
            let is_open = !message.lines.is_empty();
            message.begins = message.begins.or((!is_open).then_some(at));
            message.push(piece, place, bytes);
            let has_ended = message.has_ended(is_last);
            if is_open && has_room && !has_ended {
                self.bytes += message.bytes.len();
                self.open.insert(stream, message);
                return true;
            }
            if is_open && has_room {
                message.join();
            }
            if has_ended || is_last {
                self.spoiled.remove(&stream);
            } else {
                self.spoil(stream);
            }
            messages.push((message.begins.unwrap_or(at), message));
            return true;
        }
        if !piece.begins_message() {
            return false;
        }
        let stream = piece.stream.clone();
        let mut message = Message { begins: Some(at), ..Message::default() };
        message.push(piece, place, bytes);
        if self.bytes + message.bytes.len() <= limit {
            self.bytes += message.bytes.len();
            self.open.insert(stream, message);
        } else {
            self.spoil(stream);
            messages.push((at, message));
        }
        true
    }

    fn close(&mut self, stream: &[u8]) -> Option<Message> {
        let message = self.open.remove(stream)?;
        self.bytes -= message.bytes.len();
        Some(message)
    }

    fn spoil(&mut self, stream: Vec<u8>) {
        if self.spoiled.len() < MOST_SPOILED {
            self.spoiled.insert(stream);
        }
    }

    /// Whether no message is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The messages whose ends did not come, at the end of the source, in order.
    pub(crate) fn end(&mut self) -> Vec<Message> {
        let mut messages: Vec<Message> = std::mem::take(self).open.into_values().collect();
        messages.sort_by_key(|message| message.lines.first().map(|line| line.0));
        messages
    }
}
