//! What a source is, told by its bytes: gzip up to three deep, a tar of such files, or plain text.

use std::io::{self, Read};

use crate::error::{Error, ErrorKind, Result};
use crate::frame::source::SourceInfo;
use crate::input::inflate::{GzipReader, InflateError};
use crate::input::tar::{self, BLOCK_BYTES, TarReader};

/// Deepest gzip inside gzip that is read.
pub const MAX_LAYERS: usize = 3;

/// What was met beside the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrapping {
    /// Gzip members.
    pub members: u64,
    /// Bytes after the last member, or the end of a tar, that are neither another nor zeros.
    pub trailing_bytes: u64,
}

/// Decides what a file of a tar is, by its path inside and whether it is a regular one: a source, or
/// nothing that is read.
pub type Members<'m> = dyn FnMut(&[u8], bool) -> Result<Option<SourceInfo>> + 'm;

/// What is done with one text: its source where that is a file of a tar, and its bytes.
pub type TakeText<'t> = dyn FnMut(Option<&SourceInfo>, &mut (dyn Read + Send)) -> Result<()> + 't;

/// Calls `text` for each text in `input`: once with the whole of it, or with each file of a tar that
/// `members` takes, in the order of the tar.
///
/// # Errors
/// Those of `members` and `text`, and of reading: `Truncated`, `Damaged`, and `Format` for what
/// cannot be read as a log, such as OpenPGP inside gzip.
pub fn unwrap<'r>(
    input: impl Read + Send + 'r,
    members: &mut Members<'_>,
    text: &mut TakeText<'_>,
) -> Result<Wrapping> {
    let mut unwrapping = Unwrapping { members, text, wrapping: Wrapping::default() };
    unwrapping.layer(Box::new(input), 0, None)?;
    Ok(unwrapping.wrapping)
}

struct Unwrapping<'m, 't, 'u> {
    members: &'u mut Members<'m>,
    text: &'u mut TakeText<'t>,
    wrapping: Wrapping,
}

impl Unwrapping<'_, '_, '_> {
    fn layer(
        &mut self,
        input: Box<dyn Read + Send + '_>,
        depth: usize,
        member: Option<&SourceInfo>,
    ) -> Result<()> {
        let mut input = Peeked::new(input)?;
        let head = input.head();
        if head.starts_with(&[0x1f, 0x8b]) {
            if depth == MAX_LAYERS {
                return Err(format("gzip inside gzip more than three deep; unpack it first"));
            }
            let mut gzip = GzipReader::new(input);
            // The layer inside is read to its end even where it stops early, for the checksum's
            // sake.
            self.layer(Box::new(&mut gzip), depth + 1, member)?;
            io::copy(&mut gzip, &mut io::sink()).map_err(read_error)?;
            let trailing = gzip.finish();
            self.wrapping.members += trailing.members;
            self.wrapping.trailing_bytes += trailing.garbage;
            return Ok(());
        }
        if is_openpgp(head) {
            return Err(format(match member {
                Some(_) => "is encrypted (OpenPGP) inside a packed tar; unpack the tar first",
                None if depth > 0 => {
                    "holds an OpenPGP message inside gzip; unwrap it first: gunzip -c FILE > \
                     FILE.gpg"
                }
                None => "is an OpenPGP message; it must be decrypted first",
            }));
        }
        if let Some(why) = foreign(head) {
            return Err(format(why));
        }
        match member {
            None if tar::is_header(head) => self.tar(TarReader::new(input), depth),
            Some(_) if tar::is_header(head) => {
                Err(format("is a tar inside a packed tar; unpack the outer one first"))
            }
            _ => (self.text)(member, &mut input),
        }
    }

    fn tar(&mut self, mut tar: TarReader<Peeked<'_>>, depth: usize) -> Result<()> {
        while let Some(file) = tar.next_file()? {
            let Some(source) = (self.members)(&file.path, file.is_regular)? else {
                continue;
            };
            self.layer(Box::new(&mut tar), depth, Some(&source))
                .map_err(|error| error.in_source(&source.name))?;
        }
        self.wrapping.trailing_bytes += tar.trailing_bytes();
        Ok(())
    }
}

/// Why a file of another format holds no line as it stands.
fn foreign(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'P', b'K', 3, 4, ..] => Some(
            "is a zip archive; convert a database package with edxlogs db convert, unpack another \
             one first: unzip FILE",
        ),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Some("is packed by zstd; unpack it first: zstd -d FILE"),
        [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => {
            Some("is packed by xz; unpack it first: xz -d FILE")
        }
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => {
            Some("is packed by bzip2; unpack it first: bzip2 -d FILE")
        }
        [b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => {
            Some("is packed by 7-Zip; unpack it first: 7z x FILE")
        }
        [b'R', b'a', b'r', b'!', 0x1A, 0x07, ..] => {
            Some("is packed by RAR; unpack it first: unrar x FILE")
        }
        [0x04, 0x22, 0x4D, 0x18, ..] => Some("is packed by LZ4; unpack it first: lz4 -d FILE"),
        [0x1F, 0x9D, ..] => Some("is packed by compress; unpack it first: zcat FILE > NEW"),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => {
            Some("is UTF-32 text; make it UTF-8 first: iconv -f UTF-32 -t UTF-8 FILE > NEW")
        }
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
            Some("is UTF-16 text; make it UTF-8 first: iconv -f UTF-16 -t UTF-8 FILE > NEW")
        }
        [b'A', b'R', b'R', b'O', b'W', b'1', 0, 0, ..] => {
            Some("is an Arrow file and no log; leave it out")
        }
        [b'P', b'A', b'R', b'1', 0x15, ..] => Some("is a Parquet file and no log; leave it out"),
        _ => None,
    }
}

fn format(why: &str) -> Error {
    Error::new(ErrorKind::Format(why.to_owned()))
}

/// A reader whose first bytes can be looked at.
struct Peeked<'r> {
    head: Vec<u8>,
    taken: usize,
    rest: Box<dyn Read + Send + 'r>,
}

impl<'r> Peeked<'r> {
    fn new(mut rest: Box<dyn Read + Send + 'r>) -> Result<Self> {
        let mut head = Vec::with_capacity(BLOCK_BYTES);
        let first = (&mut rest).take(BLOCK_BYTES as u64).read_to_end(&mut head);
        match first {
            // What came before the error may be lines; the error comes again.
            Err(error) if head.is_empty() => Err(read_error(error)),
            _ => Ok(Self { head, taken: 0, rest }),
        }
    }

    fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Read for Peeked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ahead = &self.head[self.taken..];
        if ahead.is_empty() {
            return self.rest.read(buffer);
        }
        let count = ahead.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ahead[..count]);
        self.taken += count;
        Ok(count)
    }
}

/// Tells damage from an end that came too early, and both from a failing disk.
pub fn read_error(error: io::Error) -> Error {
    let inflate = error.get_ref().and_then(|inner| inner.downcast_ref::<InflateError>());
    let (kind, byte) = match inflate {
        Some(InflateError::Truncated { offset }) => (ErrorKind::Truncated, *offset),
        Some(InflateError::BadHeader { offset }) => {
            (ErrorKind::Damaged("no valid gzip header"), *offset)
        }
        Some(InflateError::BadData { offset }) => (ErrorKind::Damaged("invalid data"), *offset),
        Some(InflateError::BadChecksum { offset }) => {
            (ErrorKind::Damaged("wrong checksum"), *offset)
        }
        Some(InflateError::BadLength { offset }) => (ErrorKind::Damaged("wrong length"), *offset),
        None => return Error::from(error),
    };
    Error::new(kind).at_byte(byte)
}

/// Whether bytes begin like an encrypted OpenPGP message: binary (an encrypted session key or
/// encrypted data packet, RFC 9580 section 4.2) or armoured.
pub fn is_openpgp(head: &[u8]) -> bool {
    if head.trim_ascii_start().starts_with(b"-----BEGIN PGP MESSAGE-----") {
        return true;
    }
    let Some((&first, rest)) = head.split_first() else {
        return false;
    };
    let (tag, body) = match first {
        0xC0.. => (first & 0x3F, rest.get(new_length(rest)..)),
        0x80..0xC0 => {
            let length_bytes = [1, 2, 4, 0][usize::from(first & 3)];
            (first >> 2 & 0x0F, rest.get(length_bytes..))
        }
        _ => return false,
    };
    let version = body.and_then(|body| body.first()).copied();
    match tag {
        1 => matches!(version, Some(2 | 3 | 6)),
        3 => matches!(version, Some(4..=6)),
        18 => matches!(version, Some(1 | 2)),
        20 => version == Some(1),
        _ => false,
    }
}

/// How many bytes the length of a new-format packet takes.
fn new_length(rest: &[u8]) -> usize {
    match rest.first() {
        Some(0xC0..=0xDF) => 2,
        Some(0xFF) => 5,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = ::tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, name, *bytes).expect("memory");
        }
        archive.into_inner().expect("memory")
    }

    type Texts = Vec<(Option<String>, Vec<u8>)>;

    /// The texts in some bytes; of a tar, those of regular files whose paths begin with `a/`.
    fn texts(bytes: &[u8]) -> (Texts, Result<Wrapping>) {
        let mut all = Vec::new();
        let mut members = |path: &[u8], is_regular: bool| {
            let name = path.strip_prefix(b"a/").filter(|_| is_regular);
            let name = name.map(|name| String::from_utf8(name.to_vec()).expect("a plain name"));
            Ok(name.map(|name| SourceInfo { name, ..SourceInfo::default() }))
        };
        let result = unwrap(bytes, &mut members, &mut |source, read| {
            let mut text = Vec::new();
            let result = read.read_to_end(&mut text).map_err(read_error);
            all.push((source.map(|source| source.name.clone()), text));
            result.map(|_| ())
        });
        (all, result)
    }

    #[test]
    fn layers() {
        let line = b"{\"time\": 1}\n".to_vec();
        let once = gzip(&line);
        let thrice = gzip(&gzip(&once));
        for bytes in [&line, &once, &thrice] {
            let (all, result) = texts(bytes);
            assert_eq!(all, [(None, line.clone())]);
            assert!(result.is_ok());
        }
        assert!(texts(&gzip(&thrice)).1.is_err());
        assert_eq!(texts(b"").0, [(None, Vec::new())]);
    }

    #[test]
    fn tars_of_logs() {
        let line = b"{\"time\": 1}\n".to_vec();
        let files =
            [("a/x.log", &line[..]), ("b/other", b"z"), ("a/y.log.gz", &gzip(&line)), ("a/z", b"")];
        let archive = tar(&files);
        for bytes in [&archive, &gzip(&archive)] {
            let (all, result) = texts(bytes);
            let named = |name: &str, text: &[u8]| (Some(name.to_owned()), text.to_vec());
            assert_eq!(all, [named("x.log", &line), named("y.log.gz", &line), named("z", b"")]);
            assert!(result.is_ok());
        }
        let (_, result) = texts(&gzip(&[&archive[..], b"more"].concat()));
        assert_eq!(result.expect("a warning").trailing_bytes, 4);
    }

    #[test]
    fn tars_that_are_cut_damaged_or_inside_another() {
        let line = b"{\"time\": 1}\n".to_vec();
        let archive = tar(&[("a/x.log", &line), ("a/y.log.gz", &gzip(&gzip(&line)[..20]))]);
        let error = |bytes: &[u8]| texts(&gzip(bytes)).1.expect_err("not whole");
        for end in [515, 600, 1024] {
            assert!(matches!(error(&archive[..end]).kind(), ErrorKind::Truncated));
        }
        let cut_inside = error(&archive).in_source("logs.tar.gz");
        assert!(matches!(cut_inside.kind(), ErrorKind::Truncated));
        assert_eq!(cut_inside.source_name(), Some("logs.tar.gz: y.log.gz"));
        // A damaged header is no reason to take a tar for text.
        let mut damaged = archive.clone();
        damaged[0] ^= 1;
        assert!(error(&damaged).to_string().starts_with("damaged tar"));
        let nested = error(&tar(&[("a/inner.tar", &tar(&[("a/x.log", &line)]))]));
        assert!(nested.to_string().contains("a tar inside a packed tar"));
    }

    #[test]
    fn openpgp_is_not_read() {
        let armoured = b"-----BEGIN PGP MESSAGE-----\n\n";
        let binary = [0x85, 0x01, 0x0c, 0x03, 1, 2, 3];
        for message in [&armoured[..], &binary[..]] {
            let refused = |bytes: &[u8]| texts(bytes).1.expect_err("refused").to_string();
            assert!(refused(message).contains("must be decrypted"));
            assert!(refused(&gzip(message)).contains("gunzip"));
            let packed = tar(&[("a/x.log.gpg", message)]);
            assert!(refused(&packed).starts_with("x.log.gpg: is encrypted"));
        }
        for text in [&b"{}"[..], b"\xEF\xBB\xBF{}", b"Sep  9", b"\0\0{}", b"\x1f\x8b", b"[\n"] {
            assert!(!is_openpgp(text));
        }
    }

    #[test]
    fn other_formats_are_named() {
        for (magic, command) in [
            (&b"PK\x03\x04..."[..], "unzip"),
            (b"\x28\xb5\x2f\xfd", "zstd -d"),
            (b"\xfd7zXZ\0", "xz -d"),
            (b"BZh91AY&SY", "bzip2 -d"),
            (b"PAR1\x15", "Parquet"),
        ] {
            for bytes in [magic, &gzip(magic), &gzip(&tar(&[("a/x.log", magic)]))] {
                assert!(texts(bytes).1.expect_err("refused").to_string().contains(command));
            }
        }
        for text in [&b"BZh9 is a host {}"[..], b"PAR1 too {}", b"PK too {}"] {
            assert!(texts(text).1.is_ok());
        }
    }

    #[test]
    fn damage_is_told_apart() {
        let whole = gzip(&b"some text".repeat(50));
        let error = |bytes: &[u8]| texts(bytes).1.expect_err("damaged");
        assert!(matches!(error(&whole[..whole.len() - 9]).kind(), ErrorKind::Truncated));
        let mut bad = whole.clone();
        let at = bad.len() - 6;
        bad[at] ^= 1;
        assert!(matches!(error(&bad).kind(), ErrorKind::Damaged("wrong checksum")));
        assert_eq!(texts(&bad).0[0].1.len(), 450, "what was decoded is delivered first");
        let (_, trailing) = texts(&[&whole[..], b"\0\0abc"].concat());
        assert_eq!(trailing.expect("a warning").trailing_bytes, 3);
    }
}
