//! Bytes to batches of whole lines, in buffers that are used again.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// How much is read before lines are handed on: so much that threads which pass a reader on seldom
/// wait for each other, and no more than stays in the processor's caches.
pub const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// Room for the first lines of a source. Most sources are small.
const FIRST_BYTES: usize = 64 * 1024;

/// Longest line that is read, unless told otherwise.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// How much of an over-long line is kept, in bytes.
pub const LONG_LINE_HEAD_BYTES: usize = 64 * 1024;

/// Whole lines of one source. All but the very last line of a source end at LF.
#[derive(Debug, Default)]
pub struct LineBatch {
    /// Room for the lines: it keeps its length, so that it is zeroed once and not for every batch.
    buffer: Vec<u8>,
    /// How much of it is lines.
    length: usize,
    /// Offset of the first byte in the expanded source.
    pub offset: u64,
    /// Number of the first line, from 1, if the reader counts lines.
    pub line: u64,
    /// A line beyond the limit, which follows these lines.
    pub long: Option<LongLine>,
}

impl LineBatch {
    /// The lines, their LFs included.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// Whether it is of line ends alone, in which nothing has to be found.
    pub fn is_empty_lines(&self) -> bool {
        self.long.is_none() && self.bytes().iter().all(|&byte| byte == b'\n')
    }

    /// How many bytes of the source it stands for.
    pub fn expanded_bytes(&self) -> u64 {
        self.length as u64 + self.long.as_ref().map_or(0, LongLine::bytes)
    }
}

/// A line that is longer than the limit: all that is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongLine {
    /// Offset of its first byte in the expanded source.
    pub offset: u64,
    /// Its length without the LF, in bytes.
    pub length: u64,
    /// SHA-256 of the line without the LF.
    pub sha256: [u8; 32],
    /// The first [`LONG_LINE_HEAD_BYTES`] of it.
    pub head: Vec<u8>,
    /// Whether an LF ends it.
    pub has_end: bool,
}

impl LongLine {
    /// Its length with the LF, if there is one.
    pub fn bytes(&self) -> u64 {
        self.length + u64::from(self.has_end)
    }

    /// A long line that is at hand whole.
    pub fn of(line: &[u8], offset: u64) -> Self {
        let head = line[..line.len().min(LONG_LINE_HEAD_BYTES)].to_vec();
        let (length, sha256) = (line.len() as u64, Sha256::digest(line).into());
        Self { offset, length, sha256, head, has_end: true }
    }
}

/// Reads a source as batches of whole lines. Where batches end depends on the source's bytes alone.
pub struct LineReader<R> {
    input: R,
    carry: Vec<u8>,
    offset: u64,
    batch_bytes: usize,
    max_line_bytes: usize,
    ended: bool,
    failed: Option<io::Error>,
    /// Whether it counts lines; then, how many ended before the batch at hand, and how many line ends
    /// were read since.
    counts: bool,
    line: u64,
    ends: u64,
}

impl<R: Read> LineReader<R> {
    /// A reader over expanded bytes.
    pub fn new(input: R, max_line_bytes: usize) -> Self {
        Self {
            input,
            carry: Vec::new(),
            offset: 0,
            batch_bytes: BATCH_BYTES,
            max_line_bytes,
            ended: false,
            failed: None,
            counts: false,
            line: 1,
            ends: 0,
        }
    }

    /// A reader of batches of about that size, which counts the lines on the way.
    pub fn counting(input: R, batch_bytes: usize, max_line_bytes: usize) -> Self {
        Self { batch_bytes, counts: true, ..Self::new(input, max_line_bytes) }
    }

    /// Fills `batch` with the next lines; `false` at the end of the source.
    ///
    /// # Errors
    /// Those of the input, after the lines before the error were handed out; what stood of the
    /// last line is handed out too, as a line that is cut off.
    pub fn read(&mut self, batch: &mut LineBatch) -> io::Result<bool> {
        batch.long = None;
        batch.offset = self.offset;
        batch.line = self.line;
        let mut filled = self.carry.len();
        if batch.buffer.len() < filled {
            batch.buffer.resize(filled, 0);
        }
        batch.buffer[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        let mut searched = 0;
        let mut is_long = false;
        loop {
            let want = (filled + 1).next_multiple_of(self.batch_bytes);
            filled = self.fill(&mut batch.buffer, filled, want);
            if self.ended && self.failed.is_none() && filled <= self.max_line_bytes {
                // The last line may lack its LF.
                break;
            }
            if let Some(last) = memchr::memrchr(b'\n', &batch.buffer[searched..filled]) {
                let end = searched + last + 1;
                self.carry.extend_from_slice(&batch.buffer[end..filled]);
                filled = end;
                break;
            }
            searched = filled;
            is_long = searched > self.max_line_bytes;
            if self.ended || is_long {
                break;
            }
        }
        batch.length = filled;
        self.offset += filled as u64;
        self.line += std::mem::take(&mut self.ends);
        if is_long {
            self.long_line(batch);
        }
        if batch.length == 0 && batch.long.is_none() {
            return match self.failed.take() {
                Some(error) => Err(error),
                None => Ok(false),
            };
        }
        Ok(true)
    }

    /// Reads until `want` bytes of the buffer are filled, or the source ends or fails; how many are.
    fn fill(&mut self, buffer: &mut Vec<u8>, filled: usize, want: usize) -> usize {
        let mut filled = filled;
        while filled < want && !self.ended {
            if filled == buffer.len() {
                buffer.resize((2 * filled).max(FIRST_BYTES).min(want), 0);
            }
            let room = buffer.len().min(want);
            match self.input.read(&mut buffer[filled..room]) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    if self.counts {
                        // While these bytes are at hand.
                        let ends = memchr::memchr_iter(b'\n', &buffer[filled..filled + count]);
                        self.ends += ends.count() as u64;
                    }
                    filled += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    self.ended = true;
                }
            }
        }
        filled
    }

    /// Turns the line that `batch` holds the beginning of into a [`LongLine`].
    fn long_line(&mut self, batch: &mut LineBatch) {
        let mut hash = Sha256::new();
        let head = batch.bytes()[..batch.length.min(LONG_LINE_HEAD_BYTES)].to_vec();
        let (offset, sha256) = (batch.offset, [0; 32]);
        let mut long = LongLine { offset, length: 0, sha256, head, has_end: false };
        loop {
            let end = memchr::memchr(b'\n', batch.bytes());
            let line = &batch.bytes()[..end.unwrap_or(batch.length)];
            hash.update(line);
            long.length += line.len() as u64;
            if let Some(end) = end {
                self.carry.extend_from_slice(&batch.bytes()[end + 1..]);
                self.offset = long.offset + long.length + 1;
                long.has_end = true;
                self.line += 1;
                // The line ends in the rest are yet to come.
                self.ends = self.ends.saturating_sub(1);
                break;
            }
            if self.ended {
                self.offset = long.offset + long.length;
                break;
            }
            batch.length = self.fill(&mut batch.buffer, 0, self.batch_bytes);
        }
        batch.length = 0;
        batch.buffer.truncate(self.batch_bytes);
        batch.buffer.shrink_to_fit();
        long.sha256.copy_from_slice(&hash.finalize());
        batch.long = Some(long);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A reader that gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(self.1).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn batches(bytes: &[u8], step: usize, max: usize) -> Vec<(u64, Vec<u8>, Option<LongLine>)> {
        let mut reader = LineReader::new(Trickle(bytes, step), max);
        let mut batch = LineBatch::default();
        let mut all = Vec::new();
        while reader.read(&mut batch).expect("no error") {
            all.push((batch.offset, batch.bytes().to_vec(), batch.long.clone()));
        }
        all
    }

    #[test]
    fn long_lines_are_kept_in_part() {
        let long = vec![b'x'; 7_000_000];
        let text = [b"a\n", &long[..], b"\nb\n"].concat();
        for step in [1000, 1 << 20] {
            let all = batches(&text, step, 300_000);
            let long_line = all.iter().find_map(|batch| batch.2.clone()).expect("one");
            assert_eq!((long_line.offset, long_line.length), (2, 7_000_000));
            assert_eq!(long_line.sha256[..], Sha256::digest(&long)[..]);
            assert_eq!(long_line.head.len(), LONG_LINE_HEAD_BYTES);
            let rest: Vec<u8> = all.iter().flat_map(|batch| batch.1.clone()).collect();
            assert_eq!(rest, b"a\nb\n");
            assert_eq!(all.last().map(|batch| batch.0), Some(7_000_003));
        }
    }

    #[test]
    fn lines_before_an_error_come_first() {
        struct Fails(bool);
        impl Read for Fails {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("broken"));
                }
                buffer[..5].copy_from_slice(b"a\nb\nc");
                Ok(5)
            }
        }
        let mut reader = LineReader::new(Fails(false), MAX_LINE_BYTES);
        let mut batch = LineBatch::default();
        assert!(reader.read(&mut batch).expect("lines"));
        assert_eq!(batch.bytes(), b"a\nb\n");
        assert!(reader.read(&mut batch).expect("the cut line"));
        assert_eq!(batch.bytes(), b"c");
        assert!(reader.read(&mut batch).is_err());
    }

    proptest! {
        #[test]
        fn small_batches_are_whole_lines_that_are_counted(
            lines in proptest::collection::vec("[a-c\t]{0,12}", 0..30),
            batch_bytes in 1usize..40,
            last_ends in any::<bool>(),
        ) {
            let mut text = lines.join("\n");
            if last_ends { text.push('\n'); }
            let mut reader = LineReader::counting(text.as_bytes(), batch_bytes, 1000);
            let (mut joined, mut batch) = (Vec::new(), LineBatch::default());
            while reader.read(&mut batch).expect("memory") {
                prop_assert_eq!(batch.offset as usize, joined.len());
                let before = joined.iter().filter(|&&byte| byte == b'\n').count() as u64;
                prop_assert_eq!(batch.line, before + 1);
                prop_assert!(batch.long.is_none());
                prop_assert!(!batch.bytes().is_empty());
                joined.extend_from_slice(batch.bytes());
                prop_assert!(joined.ends_with(b"\n") || joined.len() == text.len());
            }
            prop_assert_eq!(joined, text.into_bytes());
        }

        #[test]
        fn long_lines_are_passed_over_alone(
            lengths in proptest::collection::vec(0usize..40, 1..12),
            batch_bytes in 1usize..30,
        ) {
            let lines: Vec<String> = lengths.iter().map(|&length| "x".repeat(length)).collect();
            let text = lines.join("\n") + "\n";
            let mut reader = LineReader::counting(text.as_bytes(), batch_bytes, 20);
            let (mut whole, mut long, mut end) = (Vec::new(), 0, 0);
            let mut batch = LineBatch::default();
            while reader.read(&mut batch).expect("memory") {
                prop_assert!(batch.offset >= end);
                end = batch.offset + batch.bytes().len() as u64;
                let text = std::str::from_utf8(batch.bytes()).expect("ASCII");
                whole.extend(text.lines().map(str::to_owned));
                if let Some(found) = &batch.long {
                    let line = &lines[batch.line as usize - 1];
                    prop_assert!(line.len() + 1 > 20);
                    prop_assert_eq!(line.len() as u64, found.length);
                    prop_assert!(line.as_bytes().starts_with(&found.head));
                    long += 1;
                }
            }
            prop_assert_eq!(whole.len() + long, lines.len());
            let lost = lines.iter().filter(|line| !whole.contains(line));
            prop_assert!(lost.into_iter().all(|line| line.len() + 1 > 20));
        }

        #[test]
        fn batches_are_the_source(
            lines in proptest::collection::vec((any::<u8>(), 0usize..2_000_000), 0..6),
            step in prop_oneof![Just(7usize), Just(4096), Just(1 << 22)],
            last_ends in any::<bool>(),
        ) {
            let mut text = Vec::new();
            for (byte, length) in lines {
                let byte = if byte == b'\n' { b' ' } else { byte };
                text.extend(std::iter::repeat_n(byte, length));
                text.push(b'\n');
            }
            if !last_ends {
                text.pop();
            }
            let all = batches(&text, step, MAX_LINE_BYTES);
            let mut at = 0;
            for (offset, bytes, long) in &all {
                prop_assert_eq!(*offset, at);
                prop_assert!(long.is_none());
                at += bytes.len() as u64;
                prop_assert!(bytes.ends_with(b"\n") || at == text.len() as u64);
            }
            let joined: Vec<u8> = all.iter().flat_map(|batch| batch.1.clone()).collect();
            prop_assert!(joined == text);
            // Where batches end does not depend on how the bytes came.
            let ends = |all: &[(u64, Vec<u8>, Option<LongLine>)]| -> Vec<u64> {
                all.iter().map(|batch| batch.0).collect()
            };
            prop_assert_eq!(ends(&all), ends(&batches(&text, 1 << 20, MAX_LINE_BYTES)));
        }
    }
}
