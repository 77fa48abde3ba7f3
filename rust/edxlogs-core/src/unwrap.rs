//! What a source is, told by its bytes: gzip up to three deep, a tar of such files, or plain text.

use std::io::{self, Read};

use crate::error::{Error, ErrorKind, Result};
use crate::inflate::{GzipReader, InflateError};

/// Deepest gzip inside gzip that is read.
pub const MAX_LAYERS: usize = 3;

const TAR_BLOCK: usize = 512;

/// What was met beside the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrapping {
    /// Gzip members.
    pub members: u64,
    /// Bytes after the last member that are neither a member nor zero padding.
    pub trailing_bytes: u64,
}

/// Calls `text` for each text in `input`: once with the whole of it, or with each file of a tar, by
/// its name inside.
///
/// # Errors
/// Those of `text`, and of reading: `Truncated`, `Damaged`, and `Format` for what cannot be read
/// as a log, such as OpenPGP inside gzip.
pub fn unwrap<'r>(input: impl Read + 'r, text: &mut Text<'_>) -> Result<Wrapping> {
    let mut wrapping = Wrapping::default();
    layer(Box::new(input), 0, None, text, &mut wrapping)?;
    Ok(wrapping)
}

/// What is done with one text: its name inside a tar, and its bytes.
pub type Text<'t> = dyn FnMut(Option<&str>, &mut dyn Read) -> Result<()> + 't;

fn layer(
    input: Box<dyn Read + '_>,
    depth: usize,
    member: Option<&str>,
    text: &mut Text<'_>,
    wrapping: &mut Wrapping,
) -> Result<()> {
    let mut input = Peeked::new(input)?;
    let head = input.head();
    if head.starts_with(&[0x1f, 0x8b]) {
        if depth == MAX_LAYERS {
            let why = "gzip inside gzip more than three deep; unpack it first".to_owned();
            return Err(Error::new(ErrorKind::Format(why)));
        }
        let mut gzip = GzipReader::new(input);
        // The layer inside is read to its end even where it stops early, for the checksum's sake.
        layer(Box::new(&mut gzip), depth + 1, member, text, wrapping)?;
        io::copy(&mut gzip, &mut io::sink()).map_err(read_error)?;
        let trailing = gzip.finish();
        wrapping.members += trailing.members;
        wrapping.trailing_bytes += trailing.garbage;
        return Ok(());
    }
    if is_openpgp(head) {
        let why = match member {
            Some(name) => format!("{name} inside it is encrypted (OpenPGP); unpack the tar first"),
            None if depth > 0 => {
                "holds an OpenPGP message inside gzip; unwrap it first: gunzip -c FILE > FILE.gpg"
                    .to_owned()
            }
            None => "is an OpenPGP message; it must be decrypted first".to_owned(),
        };
        return Err(Error::new(ErrorKind::Format(why)));
    }
    if member.is_none() && is_tar(head) {
        return tar_members(input, depth, text, wrapping);
    }
    text(member, &mut input)
}

fn tar_members(
    input: Peeked<'_>,
    depth: usize,
    text: &mut Text<'_>,
    wrapping: &mut Wrapping,
) -> Result<()> {
    let mut archive = tar::Archive::new(ZeroTail { inner: input, zeros: 0 });
    // A second tar may follow the end of the first.
    archive.set_ignore_zeros(true);
    for entry in archive.entries().map_err(read_error)? {
        let mut entry = entry.map_err(read_error)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path_bytes();
        let name = shown(path.rsplit(|&byte| byte == b'/').next().unwrap_or(&path));
        if name.is_empty() || name.starts_with('.') {
            continue;
        }
        let size = entry.size();
        let mut counted = Counted { inner: &mut entry, count: 0 };
        layer(Box::new(&mut counted), depth, Some(&name), text, wrapping)?;
        io::copy(&mut counted, &mut io::sink()).map_err(read_error)?;
        if counted.count < size {
            return Err(Error::new(ErrorKind::Truncated));
        }
    }
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(read_error)?;
    if rest.zeros < TAR_BLOCK as u64 {
        // Every tar ends with blocks of zeros: this one was cut between two of its files.
        return Err(Error::new(ErrorKind::Truncated));
    }
    Ok(())
}

/// Counts the zeros at the end of what was read.
struct ZeroTail<R> {
    inner: R,
    zeros: u64,
}

impl<R: Read> Read for ZeroTail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let zeros = buffer[..count].iter().rev().take_while(|&&byte| byte == 0).count();
        self.zeros = if zeros == count { self.zeros } else { 0 } + zeros as u64;
        Ok(count)
    }
}

/// A name with what a terminal or a UTF-8 column cannot hold escaped, as `\xNN` or `\uNNNN`.
fn shown(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                // Those that reorder or break a line of a terminal.
                '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    text.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                _ if c.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
                _ => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// A reader whose first bytes can be looked at.
struct Peeked<'r> {
    head: Vec<u8>,
    taken: usize,
    rest: Box<dyn Read + 'r>,
}

impl<'r> Peeked<'r> {
    fn new(mut rest: Box<dyn Read + 'r>) -> Result<Self> {
        let mut head = Vec::with_capacity(TAR_BLOCK);
        let first = (&mut rest).take(TAR_BLOCK as u64).read_to_end(&mut head);
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

/// Whether a block is the header of a tar: by its magic, or in old archives by its checksum.
fn is_tar(block: &[u8]) -> bool {
    if block.len() < TAR_BLOCK || block[0] == 0 {
        return false;
    }
    let written = std::str::from_utf8(&block[148..156])
        .ok()
        .map(|text| text.trim_matches([' ', '\0']))
        .and_then(|text| u32::from_str_radix(text, 8).ok());
    let blank = 8 * u32::from(b' ');
    let sum: u32 = block[..148].iter().chain(&block[156..]).map(|&byte| u32::from(byte)).sum();
    written == Some(sum + blank)
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
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, name, *bytes).expect("memory");
        }
        archive.into_inner().expect("memory")
    }

    type Texts = Vec<(Option<String>, Vec<u8>)>;

    fn texts(bytes: &[u8]) -> (Texts, Result<Wrapping>) {
        let mut all = Vec::new();
        let result = unwrap(bytes, &mut |name, read| {
            let mut text = Vec::new();
            let result = read.read_to_end(&mut text).map_err(read_error);
            all.push((name.map(str::to_owned), text));
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
        let archive = tar(&[("a/x.log", &line), ("a/y.log.gz", &gzip(&line)), ("a/.hidden", b"z")]);
        for bytes in [&archive, &gzip(&archive)] {
            let (all, result) = texts(bytes);
            let named = |name: &str| (Some(name.to_owned()), line.clone());
            assert_eq!(all, [named("x.log"), named("y.log.gz")]);
            assert!(result.is_ok());
        }
        let cut = &archive[..600];
        let shorter = texts(&gzip(&cut[..515])).1;
        assert!(matches!(
            shorter.expect_err("cut").kind(),
            ErrorKind::Truncated | ErrorKind::Io(_)
        ));
    }

    #[test]
    fn names_are_fit_to_be_shown() {
        let odd = "n\n\u{1b}\u{202e}é".as_bytes();
        assert_eq!(shown(odd), "n\\x0a\\x1b\\u202eé");
        assert_eq!(shown(b"\xff.log"), "\\xff.log");
    }

    #[test]
    fn tars_that_are_joined_or_cut() {
        let line = b"{\"time\": 1}\n".to_vec();
        let archive = tar(&[("x.log", &line)]);
        let joined = gzip(&[&archive[..], &tar(&[("y.log", &line)])].concat());
        let (all, result) = texts(&joined);
        assert_eq!(all.len(), 2);
        assert!(result.is_ok());
        // Cut after its only file, before the blocks of zeros.
        let (_, result) = texts(&gzip(&archive[..1024]));
        assert!(matches!(result.expect_err("cut").kind(), ErrorKind::Truncated));
    }

    #[test]
    fn openpgp_is_not_read() {
        let armoured = b"-----BEGIN PGP MESSAGE-----\n\n";
        let binary = [0x85, 0x01, 0x0c, 0x03, 1, 2, 3];
        for message in [&armoured[..], &binary[..]] {
            let refused = |bytes: &[u8]| texts(bytes).1.expect_err("refused").to_string();
            assert!(refused(message).contains("must be decrypted"));
            assert!(refused(&gzip(message)).contains("gunzip"));
            assert!(refused(&tar(&[("x.log.gpg", message)])).contains("x.log.gpg"));
        }
        for text in [&b"{}"[..], b"\xEF\xBB\xBF{}", b"Sep  9", b"\0\0{}", b"\x1f\x8b", b"[\n"] {
            assert!(!is_openpgp(text));
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
