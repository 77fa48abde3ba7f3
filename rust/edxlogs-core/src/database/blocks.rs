//! The text of a file in stretches of whole rows, whose ends follow from the text alone.

use std::io::{self, Read};

/// Bytes of a stretch, about; what one thread holds at a time.
pub const BLOCK_BYTES: usize = 16 * 1024 * 1024;

/// Room that is made before anything is read. Most files are smaller than a stretch by far.
const FIRST_BYTES: usize = 128 * 1024;

/// Longest row that is read, in bytes. The exporter leaves out values above 4 MiB.
pub const MAX_ROW_BYTES: usize = 64 * 1024 * 1024;

/// Bytes kept of a row that is too long.
const LONG_ROW_HEAD: usize = 64 * 1024;

/// A stretch of whole rows.
#[derive(Debug, Default)]
pub struct Block {
    /// The rows, each with its LF; the last of a file may lack it.
    pub bytes: Vec<u8>,
    /// Number of the first line in the file, from 1.
    pub line: u64,
    /// Offset of the first byte in the file.
    pub offset: u64,
    /// A row too long to be read, after these: its first bytes, …
    pub long: Option<Vec<u8>>,
    /// … and how many it has.
    pub long_bytes: u64,
}

/// Cuts a stream into blocks.
pub struct Blocks<R> {
    input: R,
    block_bytes: usize,
    max_row_bytes: usize,
    rest: Vec<u8>,
    spare: Vec<u8>,
    line: u64,
    /// Line ends that were read since.
    ends: u64,
    offset: u64,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    /// Blocks of the usual size.
    pub fn new(input: R) -> Self {
        Self::with_sizes(input, BLOCK_BYTES, MAX_ROW_BYTES)
    }

    /// Blocks of about that many bytes, rows of at most that many.
    pub fn with_sizes(input: R, block_bytes: usize, max_row_bytes: usize) -> Self {
        let (rest, spare) = (Vec::new(), Vec::new());
        let (line, ends, offset, ended) = (1, 0, 0, false);
        Self { input, block_bytes, max_row_bytes, rest, spare, line, ends, offset, ended }
    }

    /// Takes the bytes of a block that is done with, to be used again: fresh memory costs more than
    /// reading into it.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        self.spare = bytes;
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(&mut self) -> io::Result<Option<Block>> {
        let mut bytes = std::mem::take(&mut self.spare);
        let mut filled = self.rest.len();
        bytes.resize(bytes.len().max(filled), 0);
        bytes[..filled].copy_from_slice(&self.rest);
        self.rest.clear();
        let mut wanted = self.block_bytes.max(filled + 1);
        loop {
            filled = self.fill(&mut bytes, filled, wanted)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if self.ended && bytes.len() < wanted {
                return Ok(Some(self.block(bytes, None)));
            }
            if let Some(end) = memchr::memrchr(b'\n', &bytes) {
                self.rest.extend_from_slice(&bytes[end + 1..]);
                bytes.truncate(end + 1);
                return Ok(Some(self.block(bytes, None)));
            }
            if bytes.len() > self.max_row_bytes {
                return self.skip_long(bytes).map(Some);
            }
            wanted = (bytes.len() * 2).min(self.max_row_bytes + 1);
        }
    }

    /// Reads behind the `filled` bytes that count until there are as many as wanted, or no more;
    /// how many count then, and no others are left.
    fn fill(&mut self, bytes: &mut Vec<u8>, filled: usize, wanted: usize) -> io::Result<usize> {
        let mut filled = filled;
        while filled < wanted && !self.ended {
            if filled == bytes.len() {
                bytes.resize((4 * filled).max(FIRST_BYTES).min(wanted), 0);
            }
            let end = bytes.len().min(wanted);
            match self.input.read(&mut bytes[filled..end]) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    // While these bytes are at hand.
                    let ends = memchr::memchr_iter(b'\n', &bytes[filled..filled + read]);
                    self.ends += ends.count() as u64;
                    filled += read;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(filled)
    }

    fn block(&mut self, bytes: Vec<u8>, long: Option<Vec<u8>>) -> Block {
        let block = Block { bytes, line: self.line, offset: self.offset, long, long_bytes: 0 };
        self.offset += block.bytes.len() as u64;
        self.line += std::mem::take(&mut self.ends);
        block
    }

    /// Passes over the rest of a row that began in `bytes`.
    fn skip_long(&mut self, mut bytes: Vec<u8>) -> io::Result<Block> {
        let mut length = bytes.len() as u64;
        let head = bytes[..bytes.len().min(LONG_ROW_HEAD)].to_vec();
        loop {
            self.fill(&mut bytes, 0, self.block_bytes)?;
            let end = memchr::memchr(b'\n', &bytes);
            length += end.map_or(bytes.len(), |end| end + 1) as u64;
            if let Some(end) = end {
                self.rest.extend_from_slice(&bytes[end + 1..]);
            }
            if end.is_some() || bytes.is_empty() {
                // The line ends in the rest are yet to come.
                let ends = std::mem::replace(&mut self.ends, 1);
                let mut block = self.block(Vec::new(), Some(head));
                self.ends = ends.saturating_sub(1);
                block.long_bytes = length;
                self.offset += length;
                return Ok(block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_are_whole_rows_and_lose_nothing(
            rows in proptest::collection::vec("[a-c\t]{0,12}", 0..30),
            block_bytes in 1usize..40,
            ended in any::<bool>(),
        ) {
            let mut text = rows.join("\n");
            if ended { text.push('\n'); }
            let mut blocks = Blocks::with_sizes(text.as_bytes(), block_bytes, 1000);
            let mut joined = Vec::new();
            while let Some(block) = blocks.read().expect("memory") {
                prop_assert_eq!(block.offset as usize, joined.len());
                let before = joined.iter().filter(|&&byte| byte == b'\n').count() as u64;
                prop_assert_eq!(block.line, before + 1);
                prop_assert!(block.long.is_none());
                prop_assert!(!block.bytes.is_empty());
                joined.extend_from_slice(&block.bytes);
                prop_assert!(joined.ends_with(b"\n") || joined.len() == text.len());
            }
            prop_assert_eq!(joined, text.into_bytes());
        }

        #[test]
        fn long_rows_are_passed_over_alone(
            lengths in proptest::collection::vec(0usize..40, 1..12),
            block_bytes in 1usize..30,
        ) {
            let rows: Vec<String> = lengths.iter().map(|&length| "x".repeat(length)).collect();
            let text = rows.join("\n") + "\n";
            let mut blocks = Blocks::with_sizes(text.as_bytes(), block_bytes, 20);
            let (mut whole, mut long, mut end) = (Vec::new(), 0, 0);
            while let Some(block) = blocks.read().expect("memory") {
                prop_assert!(block.offset >= end);
                end = block.offset + block.bytes.len() as u64;
                let text = String::from_utf8(block.bytes).expect("ASCII");
                whole.extend(text.lines().map(str::to_owned));
                if let Some(head) = block.long {
                    let row = &rows[block.line as usize - 1];
                    prop_assert!(row.len() + 1 > 20);
                    prop_assert!(row.as_bytes().starts_with(&head));
                    long += 1;
                }
            }
            prop_assert_eq!(whole.len() + long, rows.len());
            let lost = rows.iter().filter(|row| !whole.contains(row));
            prop_assert!(lost.into_iter().all(|row| row.len() + 1 > 20));
        }
    }
}
