#![allow(clippy::unwrap_used)]

use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::*;
use crate::input::inflate::HISTORY;
use crate::input::inflate::tests::{ZlibRs, text};

/// Only the careful loop, or the fast one as built for this processor or for any.
fn decoder(fast: Fast) -> Decoder {
    Decoder { fast, ..Decoder::default() }
}

/// Decodes all of `input`, seeing no more of its own output than an engine is promised.
fn run(engine: &mut impl Engine, input: &[u8], chunk: usize, room: usize) -> (Vec<u8>, Inflated) {
    let mut output = Vec::new();
    let mut buffer = vec![0xaa; HISTORY + room];
    let (mut at, mut read) = (0, 0);
    loop {
        if at > HISTORY {
            buffer.copy_within(at - HISTORY..at, 0);
            at = HISTORY;
        }
        let limit = at + room;
        let given = &input[read..input.len().min(read + chunk)];
        let step = engine.step(given, &mut buffer[..limit], at);
        output.extend_from_slice(&buffer[at..at + step.written]);
        at += step.written;
        read += step.read;
        let stuck = step.read + step.written == 0;
        assert!(!stuck || step.state != State::More || given.is_empty(), "no progress");
        if step.state != State::More || stuck {
            return (output, Inflated { read, written: 0, state: step.state });
        }
    }
}

/// All loops, with any chunks and room, do as zlib-rs does with all at once.
fn agree(input: &[u8], chunk: usize, room: usize) -> (Vec<u8>, State) {
    let (_, ours) = run(&mut Decoder::default(), input, chunk, room);
    let (output, step) = run(&mut ZlibRs::default(), input, usize::MAX >> 1, 1 << 20);
    for fast in [fast::choose(), fast::fast, |_, _| {}] {
        for (chunk, room) in [(chunk, room), (usize::MAX >> 1, 1 << 16), (1, 1 << 10)] {
            let (got, end) = run(&mut decoder(fast), input, chunk, room);
            assert!(got == output, "{} bytes, not {}", got.len(), output.len());
            assert_eq!(end.state, step.state);
            assert_eq!(end.read, ours.read);
            if end.state == State::End {
                assert_eq!(end.read, step.read);
            }
        }
    }
    (output, step.state)
}

fn deflate(data: &[u8], level: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(data.len() + data.len() / 8 + 1000);
    let mut encoder = Compress::new(Compression::new(level), false);
    encoder.compress_vec(data, &mut bytes, FlushCompress::Finish).unwrap();
    bytes
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    count: usize,
}

impl BitWriter {
    fn put(&mut self, value: usize, bits: usize) {
        for bit in 0..bits {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> bit & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
    }

    /// A Huffman code, whose first bit is its highest.
    fn put_code(&mut self, (code, bits): (usize, usize)) {
        for bit in (0..bits).rev() {
            self.put(code >> bit, 1);
        }
    }

    /// The header of a dynamic block; lengths 0 to 15 as 4 bits each, without runs.
    fn put_header(&mut self, last: bool, litlen: &[u8], dist: &[u8]) {
        self.put(usize::from(last) | 2 << 1, 3);
        self.put(litlen.len() - 257, 5);
        self.put(dist.len() - 1, 5);
        self.put(15, 4);
        for symbol in PRECODE_ORDER {
            self.put(if symbol < 16 { 4 } else { 0 }, 3);
        }
        for &length in litlen.iter().chain(dist) {
            self.put_code((usize::from(length), 4));
        }
    }
}

/// The canonical codes for `lengths`, by the recipe of RFC 1951, section 3.2.2.
fn canonical(lengths: &[u8]) -> Vec<(usize, usize)> {
    let mut next = [0; 17];
    for length in 1..16 {
        let count = lengths.iter().filter(|&&other| usize::from(other) == length).count();
        next[length + 1] = (next[length] + count) << 1;
    }
    let code = |&length: &u8| {
        let length = usize::from(length);
        next[length] += usize::from(length > 0);
        (next[length].saturating_sub(1), length)
    };
    lengths.iter().map(code).collect()
}

/// Lengths of a complete code: leaves of a tree that `splits` grew, spread over `symbols`.
fn complete(symbols: usize, leaves: usize, splits: &[u16]) -> Vec<u8> {
    let mut depths = vec![1u8, 1];
    for split in splits.iter().cycle().take(leaves - 2) {
        // Half of the splits at the deepest place make codes of 15 bits likely.
        let place = usize::from(*split) % depths.len();
        let place = if split & 0x8000 == 0 { depths.len() - 1 } else { place };
        let place = if depths[place] < 15 {
            place
        } else {
            depths.iter().position(|&depth| depth < 15).unwrap()
        };
        depths[place] += 1;
        depths.push(depths[place]);
    }
    depths.resize(symbols, 0);
    let shift = usize::from(splits[0]) % symbols;
    depths.rotate_right(shift);
    if symbols > 256 && depths[256] == 0 {
        let used = depths.iter().position(|&depth| depth > 0).unwrap();
        depths.swap(256, used);
    }
    depths
}

fn extra_bits(symbol: usize, table: &[u32]) -> usize {
    (table[symbol] & 63) as usize
}

/// A block of random codes and symbols; some distances reach too far, some symbols are invalid.
fn put_block(writer: &mut BitWriter, last: bool, litlen: &[u8], dist: &[u8], picks: &[u32]) {
    writer.put_header(last, litlen, dist);
    let (litlen_codes, dist_codes) = (canonical(litlen), canonical(dist));
    let used = |lengths: &[u8], but: usize| {
        (0..lengths.len()).filter(|&s| lengths[s] > 0 && s != but).collect::<Vec<_>>()
    };
    let (litlens, dists) = (used(litlen, 256), used(dist, usize::MAX));
    for &pick in picks {
        let pick = pick as usize;
        let symbol = litlens[pick % litlens.len()];
        writer.put_code(litlen_codes[symbol]);
        if symbol > 256 {
            writer.put(pick >> 8, extra_bits(symbol, &LITLEN));
            let symbol = dists[(pick >> 10) % dists.len().min(1 + (pick >> 3) % 30)];
            writer.put_code(dist_codes[symbol]);
            writer.put(pick >> 15, extra_bits(symbol, &DIST));
        }
    }
    writer.put_code(litlen_codes[256]);
}

#[test]
fn entries_hold_the_values_of_the_rfc() {
    // RFC 1951, section 3.2.5: symbol, extra bits, first value.
    for (symbol, extra, base) in [
        (257, 0, 3),
        (264, 0, 10),
        (265, 1, 11),
        (268, 1, 17),
        (269, 2, 19),
        (276, 3, 59),
        (277, 4, 67),
        (280, 4, 115),
        (281, 5, 131),
        (284, 5, 227),
        (285, 0, 258),
    ] {
        assert_eq!(LITLEN[symbol], base << 16 | extra);
    }
    for (symbol, extra, base) in [
        (0, 0, 1),
        (3, 0, 4),
        (4, 1, 5),
        (5, 1, 7),
        (6, 2, 9),
        (15, 6, 193),
        (28, 13, 16385),
        (29, 13, 24577),
    ] {
        assert_eq!(DIST[symbol], base << 16 | extra);
    }
    assert_eq!([LITLEN[286], LITLEN[287], DIST[30], DIST[31]], [INVALID; 4]);
}

#[test]
fn a_decoder_can_be_used_again() {
    let mut decoder = Decoder::default();
    let stream = deflate(b"once and once more and once more", 6);
    for cut in 0..=stream.len() {
        decoder.reset();
        run(&mut decoder, &stream[..cut], 3, 100);
    }
    decoder.reset();
    let (output, end) = run(&mut decoder, &stream, 3, 100);
    assert_eq!((&output[..], end.state), (&b"once and once more and once more"[..], State::End));
}

#[test]
fn a_match_before_the_stream_is_bad() {
    // Fixed codes: a literal, then a match of 3 at distance 2; and of 1, which is good.
    for (dist_symbol, expected) in [(1, (&b"a"[..], State::Bad)), (0, (b"aaaa", State::End))] {
        let mut writer = BitWriter::default();
        writer.put(1 | 1 << 1, 3);
        writer.put_code((0x30 + usize::from(b'a'), 8));
        writer.put_code((1, 7));
        writer.put_code((dist_symbol, 5));
        writer.put_code((0, 7));
        // Room for the fast loop on both sides.
        writer.bytes.extend([0; 64]);
        let (output, state) = agree(&writer.bytes, 1, 1);
        assert_eq!((&output[..], state), expected);
    }
}

#[test]
fn output_may_end_anywhere() {
    let data = b"a match of many bytes, a match of many bytes; aaaaaaaaaaaaaaaaaaaaaa".repeat(9);
    for level in [0, 1, 9] {
        let stream = deflate(&data, level);
        for room in 1..data.len() + 1 {
            let (output, end) = run(&mut Decoder::default(), &stream, stream.len(), room);
            assert_eq!((&output, end.state, end.read), (&data.to_vec(), State::End, stream.len()));
        }
    }
}

#[test]
fn matches_of_every_length_and_distance() {
    // Fixed codes; each match checked against a byte-by-byte copy.
    let lengths = canonical(&[vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat());
    for distance in (1..100).chain([255, 256, 257, 4096, 32_767, 32_768]) {
        let mut expected = (0..32_768u32).map(|n| ((n * n) >> 7) as u8).collect::<Vec<_>>();
        let mut writer = BitWriter::default();
        writer.put(0, 3);
        writer.put(0, 5);
        writer.put(0x8000 | 0x7fff << 16, 32);
        writer.bytes.extend(&expected);
        writer.count += 8 * expected.len();
        writer.put(1 | 1 << 1, 3);
        for length in 3..259 {
            let symbol = (257..286).rfind(|&s| (LITLEN[s] >> 16) as usize <= length).unwrap();
            writer.put_code(lengths[symbol]);
            let rest = length - (LITLEN[symbol] >> 16) as usize;
            writer.put(rest, extra_bits(symbol, &LITLEN));
            let symbol = (0..30).rfind(|&s| (DIST[s] >> 16) as usize <= distance).unwrap();
            writer.put_code((symbol, 5));
            let rest = distance - (DIST[symbol] >> 16) as usize;
            writer.put(rest, extra_bits(symbol, &DIST));
            for _ in 0..length {
                expected.push(expected[expected.len() - distance]);
            }
        }
        writer.put_code(lengths[256]);
        assert!(agree(&writer.bytes, 1000, 777) == (expected, State::End), "{distance}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn compressed_text_comes_back(
        data in text(), level in 0..10u32, chunk in 1..3000usize, room in 1..3000usize,
    ) {
        let stream = deflate(&data, level);
        let (output, state) = agree(&stream, chunk, room);
        prop_assert!(output == data);
        prop_assert_eq!(state, State::End);
    }

    #[test]
    fn damaged_streams_end_as_in_zlib(
        data in text(),
        level in 1..10u32,
        flips in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        cut in any::<prop::sample::Index>(),
        chunk in 1..300usize,
        room in 1..3000usize,
    ) {
        let mut stream = deflate(&data, level);
        for flip in flips {
            let bit = flip.index(8 * stream.len());
            stream[bit / 8] ^= 1 << (bit % 8);
        }
        agree(&stream, chunk, room);
        stream.truncate(cut.index(stream.len()));
        agree(&stream, chunk, room);
    }

    #[test]
    fn random_bytes_end_as_in_zlib(
        mut stream in prop::collection::vec(any::<u8>(), 1..2000),
        kind in 0..3u8,
        chunk in 1..300usize,
        room in 1..3000usize,
    ) {
        stream[0] = stream[0] & !7 | kind << 1;
        agree(&stream, chunk, room);
    }

    #[test]
    fn random_codes_end_as_in_zlib(
        blocks in prop::collection::vec(
            (
                prop::collection::vec(any::<u16>(), 300),
                2..=286usize,
                2..=30usize,
                prop::collection::vec(any::<u32>(), 0..400),
            ),
            1..4,
        ),
        start in text(),
        chunk in 1..300usize,
        room in 1..3000usize,
    ) {
        let mut writer = BitWriter::default();
        // A stored block first, for the distances to reach into.
        let start = &start[..start.len().min(40_000)];
        writer.put(0, 8);
        writer.put(start.len() | (start.len() ^ 0xffff) << 16, 32);
        writer.bytes.extend(start);
        writer.count += 8 * start.len();
        for (index, (splits, litlens, dists, picks)) in blocks.iter().enumerate() {
            let litlen = complete(286, *litlens, splits);
            let dist = complete(30, *dists, splits);
            put_block(&mut writer, index + 1 == blocks.len(), &litlen, &dist, picks);
        }
        agree(&writer.bytes, chunk, room);
    }

    #[test]
    fn code_lengths_that_make_no_code_are_bad(
        litlen in prop::collection::vec(prop::sample::select(&[0u8, 0, 0, 1, 7, 8, 15]), 257..=286),
        dist in prop::collection::vec(prop::sample::select(&[0u8, 0, 1, 2, 15]), 1..=30),
        rest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut writer = BitWriter::default();
        writer.put_header(true, &litlen, &dist);
        writer.bytes.extend(rest);
        agree(&writer.bytes, 5, 50);
    }

    #[test]
    fn codes_of_one_symbol_or_none_end_as_in_zlib(
        symbol in 0..=286usize,
        dist in prop::sample::select(&[0u8, 1, 2]),
        value in any::<u64>(),
    ) {
        let mut litlen = vec![0; 286];
        litlen[256] = 1;
        if symbol < 286 {
            litlen[symbol] = 1;
        }
        let mut writer = BitWriter::default();
        writer.put_header(true, &litlen, &[dist]);
        writer.put(value as usize, 64);
        agree(&writer.bytes, 5, 50);
    }
}
