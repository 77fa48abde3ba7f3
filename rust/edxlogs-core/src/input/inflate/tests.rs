#![allow(clippy::unwrap_used)]

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compression, Decompress, FlushDecompress, GzBuilder, Status};
use proptest::prelude::*;

use super::*;

/// The second opinion: zlib-rs behind the same trait.
pub(crate) struct ZlibRs(Decompress);

impl Default for ZlibRs {
    fn default() -> Self {
        Self(Decompress::new(false))
    }
}

impl Engine for ZlibRs {
    fn reset(&mut self) {
        self.0.reset(false);
    }

    fn step(&mut self, input: &[u8], output: &mut [u8], at: usize) -> Inflated {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, &mut output[at..], FlushDecompress::None);
        Inflated {
            read: (self.0.total_in() - before.0) as usize,
            written: (self.0.total_out() - before.1) as usize,
            state: match status {
                Ok(Status::StreamEnd) => State::End,
                Ok(_) => State::More,
                Err(_) => State::Bad,
            },
        }
    }
}

/// Gives at most `chunk` bytes at a time, and is interrupted before each.
struct Chunks<'a> {
    bytes: &'a [u8],
    chunk: usize,
    interrupt: bool,
}

impl Read for Chunks<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = self.chunk.min(output.len());
        self.bytes.read(&mut output[..size])
    }
}

type Outcome = (Vec<u8>, Result<Trailing, InflateError>);

fn read_with(engine: impl Engine, bytes: &[u8], chunk: usize, slice: usize) -> Outcome {
    let input = Chunks { bytes, chunk, interrupt: false };
    let mut reader = GzipReader::with_engine(input, engine);
    let mut data = Vec::new();
    let mut buffer = vec![0; slice];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => {
                assert_eq!(reader.bytes_in(), bytes.len() as u64);
                return (data, Ok(reader.finish()));
            }
            Ok(count) => data.extend_from_slice(&buffer[..count]),
            Err(error) => {
                let again = reader.read(&mut buffer).unwrap_err();
                let error = inflate_error(&error);
                assert_eq!(error, inflate_error(&again));
                return (data, Err(error));
            }
        }
    }
}

fn inflate_error(error: &io::Error) -> InflateError {
    error.get_ref().unwrap().downcast_ref::<InflateError>().unwrap().clone()
}

/// One outcome, reached by each engine with small and large chunks and slices.
fn read(bytes: &[u8]) -> Outcome {
    let outcome = read_with(Decoder::default(), bytes, 1 << 20, 256 << 10);
    for (chunk, slice) in [(1, 1), (1, 256 << 10), (1 << 20, 1), (7, 1000), (333, 70_000)] {
        assert_eq!(read_with(Decoder::default(), bytes, chunk, slice), outcome);
    }
    for (chunk, slice) in [(1, 1000), (1 << 20, 256 << 10)] {
        let (data, mut end) = read_with(ZlibRs::default(), bytes, chunk, slice);
        // How far it had read ahead when it saw bad data is its own affair.
        if let (
            Err(InflateError::BadData { offset }),
            Err(InflateError::BadData { offset: ours }),
        ) = (&mut end, &outcome.1)
        {
            *offset = *ours;
        }
        assert_eq!((data, end), outcome);
    }
    outcome
}

fn gzip(data: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn lines(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|n| {
            let user = n * 7919 % 1000;
            format!("{{\"user_id\": {user}, \"event_type\": \"play_video\", \"time\": {n}}}\n")
                .into_bytes()
        })
        .collect()
}

fn members(count: u64) -> Trailing {
    Trailing { members: count, ..Trailing::default() }
}

#[test]
fn one_member() {
    assert_eq!(read(&gzip(&lines(9000), 6)), (lines(9000), Ok(members(1))));
}

#[test]
fn two_members_are_one_text() {
    let bytes = [gzip(b"a\n", 6), gzip(b"b\n", 9)].concat();
    assert_eq!(read(&bytes), (b"a\nb\n".to_vec(), Ok(members(2))));
}

#[test]
fn an_empty_member_adds_nothing() {
    let bytes = [gzip(b"", 6), gzip(b"b\n", 6), gzip(b"", 0)].concat();
    assert_eq!(read(&bytes), (b"b\n".to_vec(), Ok(members(3))));
}

#[test]
fn zero_padding_is_counted() {
    let bytes = [gzip(b"a\n", 6), vec![0; 512]].concat();
    let trailing = Trailing { zero_padding: 512, ..members(1) };
    assert_eq!(read(&bytes), (b"a\n".to_vec(), Ok(trailing)));
}

#[test]
fn a_member_after_padding_is_read() {
    let bytes = [gzip(b"a\n", 6), vec![0; 100], gzip(b"b\n", 6), vec![0; 9]].concat();
    let trailing = Trailing { zero_padding: 109, ..members(2) };
    assert_eq!(read(&bytes), (b"a\nb\n".to_vec(), Ok(trailing)));
}

#[test]
fn garbage_is_counted_exactly() {
    for garbage in [&b"garbage"[..], b"x", b"\x1f\x00\x00", b"\x1f\x1f\x8b\x08", &[7; 100_000]] {
        let bytes = [&gzip(b"a\n", 6)[..], &[0; 5], garbage].concat();
        let garbage = garbage.len() as u64;
        let trailing = Trailing { zero_padding: 5, garbage, members: 1 };
        assert_eq!(read(&bytes), (b"a\n".to_vec(), Ok(trailing)));
    }
}

#[test]
fn every_cut_is_seen_and_loses_nothing_before_it() {
    for level in [0, 1, 6] {
        let data = lines(20);
        let whole = gzip(&data, level);
        for cut in 0..whole.len() {
            let (got, end) = read(&whole[..cut]);
            assert_eq!(end, Err(InflateError::Truncated { offset: cut as u64 }));
            assert!(data.starts_with(&got));
            assert!(cut < whole.len() - 8 || got == data, "all of it but the trailer");
        }
    }
}

/// A byte of such a stream stands for up to 1032 bytes, so one that was read may still fill a buffer
/// that ends inside of them.
#[test]
fn a_cut_keeps_all_that_its_last_byte_stands_for() {
    let whole = gzip(&[b'v'; 100_000], 6);
    for cut in 20..whole.len() - 8 {
        let (data, end) = read(&whole[..cut]);
        assert!(data.iter().all(|&byte| byte == b'v'));
        assert_eq!(end, Err(InflateError::Truncated { offset: cut as u64 }));
    }
}

#[test]
fn every_cut_in_a_second_member_is_seen() {
    let first = gzip(b"a\n", 6);
    let whole = [first.clone(), gzip(b"b\n", 6)].concat();
    for cut in first.len() + 1..whole.len() {
        let (got, end) = read(&whole[..cut]);
        assert_eq!(end, Err(InflateError::Truncated { offset: cut as u64 }));
        assert!(b"a\nb\n".starts_with(&got[..]) && got.starts_with(b"a\n"));
    }
}

#[test]
fn a_wrong_checksum_comes_after_the_data() {
    let mut bytes = gzip(&lines(9000), 6);
    let offset = bytes.len() - 8;
    bytes[offset] ^= 1;
    let error = InflateError::BadChecksum { offset: offset as u64 };
    assert_eq!(read(&bytes), (lines(9000), Err(error)));
}

#[test]
fn a_wrong_length_is_told_from_a_wrong_checksum() {
    let mut bytes = gzip(b"a\n", 6);
    let offset = bytes.len() - 8;
    bytes[offset + 4] ^= 1;
    let error = InflateError::BadLength { offset: offset as u64 };
    assert_eq!(read(&bytes), (b"a\n".to_vec(), Err(error)));
}

#[test]
fn bad_data_come_after_the_good() {
    // A stored block of "abc", then the block type that does not exist.
    let header = &gzip(b"", 6)[..10];
    let bytes = [header, b"\x00\x03\x00\xfc\xffabc\x07", &[0; 20]].concat();
    let error = InflateError::BadData { offset: 19 };
    assert_eq!(read(&bytes), (b"abc".to_vec(), Err(error)));
}

#[test]
fn all_header_fields_are_passed_over() {
    let builder = GzBuilder::new().extra(vec![0x1f; 65_535]).filename("a.log").comment("\u{e9}");
    let mut encoder = builder.mtime(7).write(Vec::new(), Compression::fast());
    encoder.write_all(b"a\n").unwrap();
    let bytes = encoder.finish().unwrap();
    assert_eq!(read(&bytes), (b"a\n".to_vec(), Ok(members(1))));
}

#[test]
fn a_header_checksum_is_checked() {
    let plain = gzip(b"a\n", 6);
    let mut header = plain[..10].to_vec();
    header[3] = FHCRC;
    let sum = (crc32fast::hash(&header) as u16).to_le_bytes();
    let bytes = [&header[..], &sum, &plain[10..]].concat();
    assert_eq!(read(&bytes), (b"a\n".to_vec(), Ok(members(1))));
    let bytes = [&header[..], &[sum[0], !sum[1]], &plain[10..]].concat();
    assert_eq!(read(&bytes), (vec![], Err(InflateError::BadHeader { offset: 0 })));
}

#[test]
fn bad_headers_are_told() {
    let good = gzip(b"a\n", 6);
    for (place, value) in [(0, b'{'), (1, b'"'), (2, 7), (3, 0x20), (3, 0x40), (3, 0x80)] {
        let mut bad = good.clone();
        bad[place] = value;
        assert_eq!(read(&bad), (vec![], Err(InflateError::BadHeader { offset: 0 })));
        if place > 1 {
            // Behind a member too, once it has a member's first bytes.
            let bytes = [&good[..], &bad].concat();
            let error = InflateError::BadHeader { offset: good.len() as u64 };
            assert_eq!(read(&bytes), (b"a\n".to_vec(), Err(error)));
        }
    }
}

#[test]
fn no_flipped_bit_passes_for_good_data() {
    let data = lines(20);
    let first = gzip(&data, 6).len();
    let whole = [gzip(&data, 6), gzip(b"b\n", 6)].concat();
    let expected = [&data[..], b"b\n"].concat();
    for bit in 0..8 * whole.len() {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (got, end) = read(&bytes);
        match end {
            Err(_) => {}
            Ok(trailing) if trailing.garbage > 0 => assert_eq!(got, data),
            Ok(_) => {
                assert_eq!(got, expected);
                // The text flag, time, extra flags, system; what fills up the last byte of data.
                let (start, end) = if bit < 8 * first { (0, first) } else { (first, whole.len()) };
                let byte = bit / 8 - start;
                assert!(
                    bit == 8 * (start + 3) || (4..10).contains(&byte) || byte == end - start - 9
                );
            }
        }
    }
}

#[test]
fn an_error_of_the_source_keeps_its_kind_and_the_data_before_it() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let data = lines(9000);
    let whole = gzip(&data, 6);
    let mut reader = GzipReader::new(whole[..whole.len() / 2].chain(Broken));
    let mut got = Vec::new();
    let error = reader.read_to_end(&mut got).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(got.len() > data.len() / 3 && data.starts_with(&got));
    assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

proptest! {
    #[test]
    fn members_and_padding_give_the_plain_data(
        parts in prop::collection::vec((text(), 0..10u32, 0..600usize), 1..5),
        chunk in prop_oneof![1..10usize, 1000..100_000usize],
        slice in prop_oneof![1..10usize, 30_000..70_000usize, Just(256 << 10)],
    ) {
        let data = parts.iter().flat_map(|part| part.0.clone()).collect::<Vec<_>>();
        let bytes = parts.iter().flat_map(|(data, level, padding)| {
            [gzip(data, *level), vec![0; *padding]].concat()
        });
        let padding = parts.iter().map(|part| part.2 as u64).sum();
        let trailing = Trailing { zero_padding: padding, garbage: 0, members: parts.len() as u64 };
        let bytes = bytes.collect::<Vec<_>>();
        let outcome = (data, Ok(trailing));
        prop_assert_eq!(&read_with(Decoder::default(), &bytes, chunk, slice), &outcome);
        prop_assert_eq!(&read_with(ZlibRs::default(), &bytes, chunk, slice), &outcome);
    }
}

/// Bytes that compress badly, well, and very well, up to several windows long.
pub(crate) fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(prop::sample::select(b"abc\n".to_vec()), 0..300),
        (any::<u8>(), 0..2000usize).prop_map(|(byte, count)| vec![byte; count]),
        (0..400usize).prop_map(lines),
    ];
    // Each piece comes back after others, so that matches reach far and near.
    prop::collection::vec((piece, 1..4usize), 0..8).prop_map(|pieces| {
        let mut data = Vec::new();
        for round in 0..3 {
            for (piece, count) in &pieces {
                if round % count == 0 {
                    data.extend_from_slice(piece);
                }
            }
        }
        data
    })
}
