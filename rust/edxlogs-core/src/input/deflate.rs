//! A decoder of raw DEFLATE (RFC 1951) made for text that repeats itself.
//!
//! Output goes straight into a buffer that still holds the bytes before it, so a match is one copy
//! inside that buffer and nothing is copied twice. Input and output may end anywhere.
//!
//! Two loops decode the symbols of a block. The careful one is safe Rust, takes one symbol at a
//! time, stops wherever input or room ends, and alone judges what is valid. The fast one runs while
//! both sides have margin; at anything but a plain literal or a valid match it stops *in front of*
//! that symbol and leaves it to the careful one.

use self::fast::Fast;
use self::table::*;
use crate::input::inflate::{Engine, Inflated, State};

mod fast;
mod table;
#[cfg(test)]
mod tests;

/// What comes next in the stream.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Block,
    StoredHeader,
    Stored { left: usize },
    DynamicHeader,
    Precode { index: usize },
    Lengths { index: usize },
    Codes,
    Copy { length: usize, distance: usize },
    Done,
    Bad,
}

/// Why decoding stands still.
enum Halt {
    Input,
    Output,
    Done,
    Bad,
}

/// The two buffers of one step.
struct Flow<'a> {
    input: &'a [u8],
    next: usize,
    output: &'a mut [u8],
    at: usize,
    /// Where the stream's output begins, or the buffer if later: no match reaches before it.
    low: usize,
}

/// Decodes one raw DEFLATE stream; see the module for how.
pub struct Decoder {
    bits: u64,
    count: u32,
    stage: Stage,
    last: bool,
    /// The tables are those of the fixed codes.
    fixed: bool,
    produced: u64,
    lengths: [u8; 320],
    litlen_count: usize,
    dist_count: usize,
    precode_count: usize,
    precode: [u32; 1 << PRECODE_BITS],
    dist: Box<[u32; DIST_SIZE]>,
    litlen: Box<[u32; LITLEN_SIZE]>,
    fast: Fast,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            bits: 0,
            count: 0,
            stage: Stage::Block,
            last: false,
            fixed: false,
            produced: 0,
            lengths: [0; 320],
            litlen_count: 0,
            dist_count: 0,
            precode_count: 0,
            precode: [0; 1 << PRECODE_BITS],
            dist: Box::new([0; DIST_SIZE]),
            litlen: Box::new([0; LITLEN_SIZE]),
            fast: fast::choose(),
        }
    }
}

impl Engine for Decoder {
    fn reset(&mut self) {
        self.bits = 0;
        self.count = 0;
        self.stage = Stage::Block;
        self.last = false;
        self.produced = 0;
    }

    fn step(&mut self, input: &[u8], output: &mut [u8], at: usize) -> Inflated {
        let low = at.saturating_sub(usize::try_from(self.produced).unwrap_or(usize::MAX));
        let mut flow = Flow { input, next: 0, output, at, low };
        let state = loop {
            match self.advance(&mut flow) {
                Ok(()) => {}
                Err(Halt::Input) => break State::More,
                Err(halt) => {
                    // Whole bytes that were read ahead go back. Bits that an earlier step kept for
                    // want of input stay: they are part of the first symbol of this one.
                    let back = flow.next.min(self.count as usize / 8);
                    flow.next -= back;
                    self.count -= 8 * back as u32;
                    self.bits &= (1 << self.count) - 1;
                    break match halt {
                        Halt::Done => State::End,
                        Halt::Bad => State::Bad,
                        _ => State::More,
                    };
                }
            }
        };
        let written = flow.at - at;
        self.produced += written as u64;
        Inflated { read: flow.next, written, state }
    }
}

impl Decoder {
    /// Goes to the end of the present stage, or says why not.
    fn advance(&mut self, flow: &mut Flow<'_>) -> Result<(), Halt> {
        let next = match self.stage {
            Stage::Block => self.block(flow),
            Stage::StoredHeader => self.stored_header(flow),
            Stage::Stored { left } => self.stored(flow, left),
            Stage::DynamicHeader => self.dynamic_header(flow),
            Stage::Precode { index } => self.precode(flow, index),
            Stage::Lengths { index } => self.lengths(flow, index),
            Stage::Codes => self.codes(flow),
            Stage::Copy { length, distance } => self.copy(flow, length, distance),
            Stage::Done => Err(Halt::Done),
            Stage::Bad => Err(Halt::Bad),
        };
        match next {
            Ok(stage) => self.stage = stage,
            Err(Halt::Bad) => {
                self.stage = Stage::Bad;
                return Err(Halt::Bad);
            }
            Err(halt) => return Err(halt),
        }
        Ok(())
    }

    /// Fills up to 56 bits at least, more than any symbol takes, and 63 at most.
    fn refill(&mut self, flow: &mut Flow<'_>) {
        while self.count < 56 && flow.next < flow.input.len() {
            self.bits |= u64::from(flow.input[flow.next]) << self.count;
            self.count += 8;
            flow.next += 1;
        }
    }

    fn consume(&mut self, bits: u32) {
        self.bits >>= bits;
        self.count -= bits;
    }

    /// The next `bits` bits, at most 32.
    fn take(&mut self, flow: &mut Flow<'_>, bits: u32) -> Result<usize, Halt> {
        self.refill(flow);
        if self.count < bits {
            return Err(Halt::Input);
        }
        let value = self.bits & ((1 << bits) - 1);
        self.consume(bits);
        Ok(value as usize)
    }

    fn block(&mut self, flow: &mut Flow<'_>) -> Result<Stage, Halt> {
        if self.last {
            self.last = false;
            self.consume(self.count % 8);
            return Ok(Stage::Done);
        }
        let header = self.take(flow, 3)?;
        self.last = header & 1 == 1;
        match header >> 1 {
            0 => {
                self.consume(self.count % 8);
                Ok(Stage::StoredHeader)
            }
            1 => {
                if !self.fixed {
                    self.lengths[..144].fill(8);
                    self.lengths[144..256].fill(9);
                    self.lengths[256..280].fill(7);
                    self.lengths[280..288].fill(8);
                    self.lengths[288..].fill(5);
                    (self.litlen_count, self.dist_count) = (288, 32);
                    self.build_codes()?;
                    self.fixed = true;
                }
                Ok(Stage::Codes)
            }
            2 => Ok(Stage::DynamicHeader),
            _ => Err(Halt::Bad),
        }
    }

    fn stored_header(&mut self, flow: &mut Flow<'_>) -> Result<Stage, Halt> {
        let both = self.take(flow, 32)?;
        let left = both & 0xffff;
        if left ^ (both >> 16) == 0xffff { Ok(Stage::Stored { left }) } else { Err(Halt::Bad) }
    }

    fn stored(&mut self, flow: &mut Flow<'_>, mut left: usize) -> Result<Stage, Halt> {
        while left > 0 && self.count > 0 && flow.at < flow.output.len() {
            flow.output[flow.at] = self.bits as u8;
            self.consume(8);
            flow.at += 1;
            left -= 1;
        }
        if self.count == 0 {
            let room = flow.output.len() - flow.at;
            let run = left.min(room).min(flow.input.len() - flow.next);
            flow.output[flow.at..flow.at + run]
                .copy_from_slice(&flow.input[flow.next..flow.next + run]);
            flow.at += run;
            flow.next += run;
            left -= run;
        }
        if left == 0 {
            return Ok(Stage::Block);
        }
        self.stage = Stage::Stored { left };
        Err(if flow.at == flow.output.len() { Halt::Output } else { Halt::Input })
    }

    fn dynamic_header(&mut self, flow: &mut Flow<'_>) -> Result<Stage, Halt> {
        let counts = self.take(flow, 14)?;
        self.litlen_count = 257 + (counts & 31);
        self.dist_count = 1 + (counts >> 5 & 31);
        self.precode_count = 4 + (counts >> 10);
        if self.litlen_count > 286 || self.dist_count > 30 {
            return Err(Halt::Bad);
        }
        self.lengths[..19].fill(0);
        Ok(Stage::Precode { index: 0 })
    }

    fn precode(&mut self, flow: &mut Flow<'_>, index: usize) -> Result<Stage, Halt> {
        let order = PRECODE_ORDER.iter().enumerate();
        for (index, &symbol) in order.take(self.precode_count).skip(index) {
            self.stage = Stage::Precode { index };
            self.lengths[usize::from(symbol)] = self.take(flow, 3)? as u8;
        }
        let lengths = &self.lengths[..19];
        if !build(&mut self.precode, PRECODE_BITS, lengths, &PRECODE, false) {
            return Err(Halt::Bad);
        }
        Ok(Stage::Lengths { index: 0 })
    }

    fn lengths(&mut self, flow: &mut Flow<'_>, mut index: usize) -> Result<Stage, Halt> {
        let end = self.litlen_count + self.dist_count;
        while index < end {
            self.stage = Stage::Lengths { index };
            self.refill(flow);
            let entry = self.precode[self.bits as usize % self.precode.len()];
            let bits = entry & 63;
            let symbol = (entry >> 16) as u8;
            let (extra, least) = match symbol {
                16 => (2, 3),
                17 => (3, 3),
                18 => (7, 11),
                _ => (0, 1),
            };
            if self.count < bits + extra {
                return Err(Halt::Input);
            }
            let run = least + (self.bits >> bits & ((1 << extra) - 1)) as usize;
            self.consume(bits + extra);
            let length = match symbol {
                0..16 => symbol,
                16 if index == 0 => return Err(Halt::Bad),
                16 => self.lengths[index - 1],
                _ => 0,
            };
            if run > end - index {
                return Err(Halt::Bad);
            }
            self.lengths[index..index + run].fill(length);
            index += run;
        }
        // Without an end of block there would be no way out.
        if self.lengths[256] == 0 {
            return Err(Halt::Bad);
        }
        self.build_codes()?;
        self.fixed = false;
        Ok(Stage::Codes)
    }

    fn build_codes(&mut self) -> Result<(), Halt> {
        let (litlen, rest) = self.lengths.split_at(self.litlen_count);
        let dist = &rest[..self.dist_count];
        // Not those of any block until both are whole.
        self.fixed = false;
        if !build(&mut *self.litlen, LITLEN_BITS, litlen, &LITLEN, true)
            || !build(&mut *self.dist, DIST_BITS, dist, &DIST, true)
        {
            return Err(Halt::Bad);
        }
        Ok(())
    }

    fn codes(&mut self, flow: &mut Flow<'_>) -> Result<Stage, Halt> {
        loop {
            (self.fast)(self, flow);
            self.refill(flow);
            let (mut bits, mut left) = (self.bits, self.count);
            let entry = lookup(&*self.litlen, LITLEN_BITS, &mut bits, &mut left)?;
            if entry & LITERAL != 0 {
                if flow.at == flow.output.len() {
                    return Err(Halt::Output);
                }
                flow.output[flow.at] = (entry >> 16) as u8;
                flow.at += 1;
                self.consume(self.count - left + (entry & 63));
                continue;
            }
            if entry & SPECIAL != 0 {
                self.consume(self.count - left + (entry & 63));
                return if entry & END == END { Ok(Stage::Block) } else { Err(Halt::Bad) };
            }
            let length = value(entry, &mut bits, &mut left)?;
            let entry = lookup(&*self.dist, DIST_BITS, &mut bits, &mut left)?;
            let distance = value(entry, &mut bits, &mut left)?;
            self.consume(self.count - left);
            if entry & SPECIAL != 0 || distance > flow.at - flow.low {
                return Err(Halt::Bad);
            }
            return Ok(Stage::Copy { length, distance });
        }
    }

    fn copy(&mut self, flow: &mut Flow<'_>, length: usize, distance: usize) -> Result<Stage, Halt> {
        let run = length.min(flow.output.len() - flow.at);
        if distance >= run {
            let from = flow.at - distance;
            flow.output.copy_within(from..from + run, flow.at);
        } else {
            for at in flow.at..flow.at + run {
                flow.output[at] = flow.output[at - distance];
            }
        }
        flow.at += run;
        if run == length {
            return Ok(Stage::Codes);
        }
        self.stage = Stage::Copy { length: length - run, distance };
        Err(Halt::Output)
    }
}

/// The entry of the next code, its first level consumed if it had two.
fn lookup(table: &[u32], index: u32, bits: &mut u64, left: &mut u32) -> Result<u32, Halt> {
    let mut entry = table[(*bits & ((1 << index) - 1)) as usize];
    if entry & (SPECIAL | END | INVALID) == SPECIAL {
        if *left < index {
            return Err(Halt::Input);
        }
        *bits >>= index;
        *left -= index;
        let sub = *bits & ((1 << (entry >> 8 & 15)) - 1);
        entry = table[(entry >> 16) as usize + sub as usize];
    }
    // The code is known only if all its bits are there: zeros stand for the others.
    if *left < (entry >> 8 & 15) { Err(Halt::Input) } else { Ok(entry) }
}

/// A length or a distance: its base and extra bits.
fn value(entry: u32, bits: &mut u64, left: &mut u32) -> Result<usize, Halt> {
    let (all, code) = (entry & 63, entry >> 8 & 15);
    if *left < all {
        return Err(Halt::Input);
    }
    let extra = (*bits & ((1 << all) - 1)) >> code;
    *bits >>= all;
    *left -= all;
    Ok((entry >> 16) as usize + extra as usize)
}
