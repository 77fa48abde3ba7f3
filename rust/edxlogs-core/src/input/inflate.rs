//! Gzip as one [`Read`]: members to the end, and a plain word on how they ended.

use std::io::{self, Read};
use std::mem;

use crate::input::deflate::Decoder;

#[cfg(test)]
pub(crate) mod tests;

/// How far back a match may reach: what a decoder must still see of its output, in bytes.
pub const HISTORY: usize = 32 * 1024;

const INPUT_BYTES: usize = 64 * 1024;

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// A decoder of raw DEFLATE (RFC 1951) that can stop and go on at any byte of input and output.
pub trait Engine: Send {
    /// Forgets the stream, to begin another.
    fn reset(&mut self);

    /// Decodes from the front of `input` to `output[at..]`, until one of them is used up.
    ///
    /// `output[..at]` ends with what earlier steps wrote of this stream: all of it, or at least its
    /// last [`HISTORY`] bytes. What lies beyond the bytes written is undefined afterwards.
    fn step(&mut self, input: &[u8], output: &mut [u8], at: usize) -> Inflated;
}

/// What one [`Engine::step`] did; what it wrote stands, whatever the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inflated {
    /// Bytes of input used.
    pub read: usize,
    /// Bytes of output written.
    pub written: usize,
    /// How the stream stands.
    pub state: State,
}

/// How a DEFLATE stream stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// More input or more room is needed.
    More,
    /// The stream is whole; the input that was not read follows it.
    End,
    /// The stream is not DEFLATE; it stays so.
    Bad,
}

/// What is wrong with a gzip stream, and at which byte of it, counted from 0.
///
/// Inside an [`io::Error`]: `error.get_ref()` and a downcast find it. Source: RFC 1952.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// The bytes end inside a member; `offset` is their number.
    #[error("gzip data are cut off after {offset} bytes")]
    Truncated {
        /// Compressed bytes before the cut.
        offset: u64,
    },
    /// No gzip header, an unknown method or flag, or a wrong header checksum.
    #[error("no valid gzip header at byte {offset}")]
    BadHeader {
        /// Where the header begins.
        offset: u64,
    },
    /// Not DEFLATE.
    #[error("invalid compressed data before byte {offset}")]
    BadData {
        /// Compressed bytes before the place where it was seen.
        offset: u64,
    },
    /// The CRC-32 is not that of the decoded bytes.
    #[error("wrong checksum in the gzip trailer at byte {offset}")]
    BadChecksum {
        /// Where the trailer begins.
        offset: u64,
    },
    /// The checksum is right, the length is not.
    #[error("wrong length in the gzip trailer at byte {offset}")]
    BadLength {
        /// Where the trailer begins.
        offset: u64,
    },
}

impl From<InflateError> for io::Error {
    fn from(error: InflateError) -> Self {
        let kind = match error {
            InflateError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// What a gzip stream held besides its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trailing {
    /// NULs after members, in bytes.
    pub zero_padding: u64,
    /// Bytes after the last member and its padding that are neither, to the end of the stream.
    pub garbage: u64,
    /// Members that were whole.
    pub members: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MemberStage {
    Header,
    Body,
    Trailer,
    Finished,
}

/// Reads the members of a gzip stream one after another.
///
/// A member may follow zero padding. Other bytes after a member are no error; [`Self::finish`]
/// tells their number. Bytes that begin like a member are taken for one, so a stream cut in a later
/// header is [`InflateError::Truncated`].
///
/// A `read` fills its slice unless the data end or fail first. It is cheapest with slices of
/// 128 KiB and more, most of which is decoded in place. Whatever was decoded before an error is delivered
/// before it, a member with a wrong checksum too; an error is then given again by each `read`.
pub struct GzipReader<R, E = Decoder> {
    inner: R,
    engine: E,
    stage: MemberStage,
    failure: Option<io::Error>,
    input: Box<[u8]>,
    next: usize,
    end: usize,
    /// Compressed bytes before those in `input`.
    before: u64,
    /// The last output, at least [`HISTORY`] of it once there is as much; `taken..filled` is still
    /// to be delivered.
    window: Box<[u8]>,
    taken: usize,
    filled: usize,
    checksum: crc32fast::Hasher,
    /// Bytes of the member, modulo 2^32 as the trailer has it.
    length: u32,
    trailing: Trailing,
}

impl<R: Read> GzipReader<R> {
    /// A reader of the gzip stream that `inner` gives; needs no buffering of its own.
    pub fn new(inner: R) -> Self {
        Self::with_engine(inner, Decoder::default())
    }
}

impl<R: Read, E: Engine> GzipReader<R, E> {
    /// The same with a DEFLATE decoder of one's own.
    pub fn with_engine(inner: R, engine: E) -> Self {
        Self {
            inner,
            engine,
            stage: MemberStage::Header,
            failure: None,
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            next: 0,
            end: 0,
            before: 0,
            window: vec![0; 2 * HISTORY].into_boxed_slice(),
            taken: 0,
            filled: 0,
            checksum: crc32fast::Hasher::new(),
            length: 0,
            trailing: Trailing::default(),
        }
    }

    /// Compressed bytes used so far; after the end, all there were.
    pub fn bytes_in(&self) -> u64 {
        self.before + self.next as u64
    }

    /// What the stream held besides its data; whole once `read` has returned 0.
    pub fn finish(&self) -> Trailing {
        self.trailing
    }

    /// Decodes to `output[at..]` until it is full, the stream ends or fails; the new end.
    fn decode(&mut self, output: &mut [u8], mut at: usize) -> usize {
        while at < output.len() && self.failure.is_none() && self.stage != MemberStage::Finished {
            let next = match self.stage {
                MemberStage::Header => self.header(),
                MemberStage::Body => self.body(output, &mut at),
                MemberStage::Trailer => self.trailer(),
                MemberStage::Finished => Ok(MemberStage::Finished),
            };
            match next {
                Ok(stage) => self.stage = stage,
                Err(error) => self.failure = Some(error),
            }
        }
        at
    }

    fn body(&mut self, output: &mut [u8], at: &mut usize) -> io::Result<MemberStage> {
        // Without input too: bits that were read, or a match begun, may fill more than one buffer.
        let ended = self.available()?.is_empty();
        let input = &self.input[self.next..self.end];
        let step = self.engine.step(input, output, *at);
        let written = &output[*at..*at + step.written];
        self.checksum.update(written);
        self.length = self.length.wrapping_add(step.written as u32);
        self.next += step.read;
        *at += step.written;
        match step.state {
            State::End => Ok(MemberStage::Trailer),
            State::More if step.read + step.written > 0 => Ok(MemberStage::Body),
            State::More if ended => Err(self.truncated()),
            _ => Err(InflateError::BadData { offset: self.bytes_in() }.into()),
        }
    }

    fn trailer(&mut self) -> io::Result<MemberStage> {
        let offset = self.bytes_in();
        let mut word = || {
            let bytes = [self.byte()?, self.byte()?, self.byte()?, self.byte()?];
            Ok::<_, io::Error>(u32::from_le_bytes(bytes))
        };
        let (checksum, length) = (word()?, word()?);
        if checksum != mem::take(&mut self.checksum).finalize() {
            return Err(InflateError::BadChecksum { offset }.into());
        }
        if length != mem::take(&mut self.length) {
            return Err(InflateError::BadLength { offset }.into());
        }
        self.trailing.members += 1;
        Ok(MemberStage::Header)
    }

    /// Passes the next header; without one, goes to the end of the stream.
    fn header(&mut self) -> io::Result<MemberStage> {
        let mut offset = self.bytes_in();
        if self.trailing.members > 0 {
            self.skip_while(|byte| byte == 0)?;
            self.trailing.zero_padding += self.bytes_in() - offset;
            offset = self.bytes_in();
            if self.available()?.is_empty() {
                return Ok(MemberStage::Finished);
            }
        }
        if self.byte()? != 0x1f || self.byte()? != 0x8b {
            if self.trailing.members == 0 {
                return Err(InflateError::BadHeader { offset }.into());
            }
            self.skip_while(|_| true)?;
            self.trailing.garbage = self.bytes_in() - offset;
            return Ok(MemberStage::Finished);
        }
        let mut hash = crc32fast::Hasher::new();
        hash.update(&[0x1f, 0x8b]);
        let mut byte = || {
            let byte = self.byte()?;
            hash.update(&[byte]);
            Ok::<_, io::Error>(byte)
        };
        let (method, flags) = (byte()?, byte()?);
        if method != 8 || flags & RESERVED != 0 {
            return Err(InflateError::BadHeader { offset }.into());
        }
        // Time, extra flags and system say nothing about the data.
        for _ in 0..6 {
            byte()?;
        }
        if flags & FEXTRA != 0 {
            for _ in 0..u16::from_le_bytes([byte()?, byte()?]) {
                byte()?;
            }
        }
        for flag in [FNAME, FCOMMENT] {
            while flags & flag != 0 && byte()? != 0 {}
        }
        if flags & FHCRC != 0 {
            let expected = hash.finalize() as u16;
            if u16::from_le_bytes([self.byte()?, self.byte()?]) != expected {
                return Err(InflateError::BadHeader { offset }.into());
            }
        }
        self.engine.reset();
        Ok(MemberStage::Body)
    }

    /// Input not yet used; empty only at the end of the stream.
    fn available(&mut self) -> io::Result<&[u8]> {
        while self.next == self.end {
            match self.inner.read(&mut self.input) {
                Ok(count) => {
                    self.before += self.end as u64;
                    (self.next, self.end) = (0, count);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.input[self.next..self.end])
    }

    fn byte(&mut self) -> io::Result<u8> {
        let Some(&byte) = self.available()?.first() else {
            return Err(self.truncated());
        };
        self.next += 1;
        Ok(byte)
    }

    fn skip_while(&mut self, mut skip: impl FnMut(u8) -> bool) -> io::Result<()> {
        loop {
            let input = self.available()?;
            let run = input.iter().position(|&byte| !skip(byte)).unwrap_or(input.len());
            let all = run == input.len();
            self.next += run;
            if !all || run == 0 {
                return Ok(());
            }
        }
    }

    fn truncated(&self) -> io::Error {
        InflateError::Truncated { offset: self.bytes_in() }.into()
    }

    /// Decodes a stretch into the window, behind the history that is kept.
    fn refill_window(&mut self) {
        let keep = self.filled.min(HISTORY);
        let mut window = mem::take(&mut self.window);
        window.copy_within(self.filled - keep..self.filled, 0);
        self.filled = self.decode(&mut window, keep);
        self.taken = keep;
        self.window = window;
    }

    /// Keeps the last [`HISTORY`] bytes of `output` for the next matches.
    fn keep(&mut self, output: &[u8]) {
        let tail = &output[output.len() - HISTORY..];
        self.window[..HISTORY].copy_from_slice(tail);
        (self.taken, self.filled) = (HISTORY, HISTORY);
    }
}

impl<R: Read, E: Engine> Read for GzipReader<R, E> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < output.len() {
            if self.taken < self.filled {
                let run = (self.filled - self.taken).min(output.len() - done);
                output[done..done + run]
                    .copy_from_slice(&self.window[self.taken..self.taken + run]);
                self.taken += run;
                done += run;
            } else if done >= HISTORY && output.len() - done >= HISTORY {
                // What this call delivered is history enough: from here on in place.
                done = self.decode(output, done);
                self.keep(&output[..done]);
                break;
            } else {
                self.refill_window();
                if self.taken == self.filled {
                    break;
                }
            }
        }
        match &mut self.failure {
            Some(error) if done == 0 && !output.is_empty() => Err(tell(error)),
            _ => Ok(done),
        }
    }
}

/// Gives the error away and leaves its like to be given again.
fn tell(error: &mut io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<InflateError>());
    let again = inner.map_or_else(|| error.kind().into(), |inner| inner.clone().into());
    mem::replace(error, again)
}
