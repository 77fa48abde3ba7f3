//! The gzip reader against flate2 (zlib-rs), on any bytes.
//!
//! - What flate2 accepts we read, to the same bytes; what we accept without padding or other bytes
//!   behind it flate2 accepts.
//! - The same holds of the input as raw DEFLATE with a fitting header and trailer put around it:
//!   few inputs have a right checksum by themselves.
//! - How the bytes come and how much is asked for changes nothing, errors included.

use std::io::Read;

use edxlogs_core::input::inflate::{GzipReader, InflateError, Trailing};
use flate2::read::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

/// More is not decoded: a small input can be a bomb.
const MOST_BYTES: usize = 128 << 10;

type Outcome = (Vec<u8>, Result<Trailing, Option<InflateError>>);

/// Panics where the two disagree.
pub fn check(data: &[u8]) {
    let (bytes, end) = agreed(data);
    if bytes.len() < MOST_BYTES {
        compare(data, &bytes, &end);
    }
    raw(data);
}

/// The outcome, by each way of reading.
fn agreed(data: &[u8]) -> Outcome {
    let whole = read(data, data.len().max(1), MOST_BYTES);
    for (input_bytes, output_bytes) in [(1, 1), (1, MOST_BYTES), (7, 40_000), (data.len(), 1)] {
        assert!(read(data, input_bytes.max(1), output_bytes) == whole);
    }
    whole
}

fn compare(data: &[u8], bytes: &[u8], end: &Result<Trailing, Option<InflateError>>) {
    let mut theirs = Vec::new();
    let accepted =
        MultiGzDecoder::new(data).take(MOST_BYTES as u64 + 1).read_to_end(&mut theirs).is_ok();
    // flate2 takes no bytes at all for a stream without members.
    if accepted && !data.is_empty() {
        assert!(end.is_ok(), "{end:?}");
        assert!(theirs == bytes);
    }
    if let Ok(trailing) = end
        && trailing.garbage == 0
        && trailing.zero_padding == 0
    {
        assert!(accepted);
    }
}

/// The input as raw DEFLATE, inside a gzip member made here.
fn raw(data: &[u8]) {
    let mut inflater = Decompress::new(false);
    let mut bytes = vec![0; MOST_BYTES];
    let status = inflater.decompress(data, &mut bytes, FlushDecompress::Finish);
    bytes.truncate(inflater.total_out() as usize);
    if bytes.len() == MOST_BYTES {
        return;
    }
    let used = inflater.total_in() as usize;
    let whole = matches!(status, Ok(Status::StreamEnd));
    let mut member = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    member.extend_from_slice(if whole { &data[..used] } else { data });
    if whole {
        member.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        member.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    }
    let (ours, end) = agreed(&member);
    match status {
        Ok(Status::StreamEnd) => {
            assert!(matches!(end, Ok(Trailing { members: 1, .. })), "{end:?}");
            assert!(ours == bytes);
        }
        // What can only turn out bad may be called so before its end: a code without symbols.
        Ok(_) => assert!(end.is_err()),
        Err(_) => assert!(matches!(end, Err(Some(InflateError::BadData { .. }))), "{end:?}"),
    }
}

/// Reads `input_bytes` of the input at a time, into slices of `output_bytes`.
fn read(data: &[u8], input_bytes: usize, output_bytes: usize) -> Outcome {
    let mut reader = GzipReader::new(Trickle { data, input_bytes });
    let mut slice = vec![0; output_bytes];
    let mut bytes = Vec::new();
    loop {
        let room = output_bytes.min(MOST_BYTES - bytes.len());
        if room == 0 {
            // Cut here whatever the size of the slices.
            return (bytes, Ok(Trailing::default()));
        }
        match reader.read(&mut slice[..room]) {
            Ok(0) => return (bytes, Ok(reader.finish())),
            Ok(count) => bytes.extend_from_slice(&slice[..count]),
            Err(error) => {
                let inner = error.get_ref().and_then(|error| error.downcast_ref());
                return (bytes, Err(inner.cloned()));
            }
        }
    }
}

struct Trickle<'a> {
    data: &'a [u8],
    input_bytes: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, output: &mut [u8]) -> std::io::Result<usize> {
        let size = self.input_bytes.min(output.len());
        self.data.read(&mut output[..size])
    }
}
