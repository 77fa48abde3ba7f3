//! The files of a tar, one after another, as a stream gives them.
//!
//! Reads what GNU tar, BSD tar and Python write: the old, ustar, GNU and pax forms. Several tars may
//! follow one another. Source: POSIX.1-2017, `pax`; the GNU tar manual, "Basic Tar Format".

use std::io::{self, Read};

use crate::error::{Error, ErrorKind, Result};
use crate::input::unwrap::read_error;

/// What a tar is made of, in bytes.
pub(crate) const BLOCK_BYTES: usize = 512;

/// Longest name or list of pax records that is read. No system takes a name of that length, but a
/// tar made to harm may claim gigabytes.
const MAX_RECORDS_BYTES: u64 = 1 << 20;

type Block = [u8; BLOCK_BYTES];

/// One file of a tar; its bytes are read from the [`TarReader`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TarFile {
    /// Its path inside.
    pub path: Vec<u8>,
    /// Whether its bytes stand in the tar as they are: not so for links, devices and sparse files.
    pub is_regular: bool,
}

/// Walks over a tar.
pub(crate) struct TarReader<R> {
    input: R,
    /// Bytes read of the tar.
    at: u64,
    /// Bytes left of the file under way, and of the padding after it.
    left: u64,
    padding: u64,
    /// Whether the last block was one of zeros: the end of a tar has two or more of them.
    at_end: bool,
    /// Bytes after an end that are no tar.
    trailing_bytes: u64,
}

/// What records before a header say of its file.
#[derive(Default)]
struct Records {
    path: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, at: 0, left: 0, padding: 0, at_end: false, trailing_bytes: 0 }
    }

    /// Bytes after the end that are no tar.
    pub(crate) fn trailing_bytes(&self) -> u64 {
        self.trailing_bytes
    }

    /// Goes to the next file, over what was not read of the one before; folders are passed over.
    /// `None` at the end of the input.
    ///
    /// # Errors
    /// `Truncated` without the blocks of zeros that end a tar, `Format` for what is no tar, and
    /// those of the input.
    pub(crate) fn next_file(&mut self) -> Result<Option<TarFile>> {
        let mut records = Records::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let written = number(&header[124..136]).ok_or_else(|| self.damaged("a bad size"))?;
            self.set_size(written)?;
            match header[156] {
                b'L' => records.path = Some(until_nul(&self.records()?).to_vec()),
                b'x' | b'X' => {
                    let text = self.records()?;
                    records.read(&text).ok_or_else(|| self.damaged("a bad record"))?;
                }
                b'g' | b'K' => {}
                kind => {
                    let Records { path, size, is_sparse } = std::mem::take(&mut records);
                    match kind {
                        // Links, devices, folders and pipes have no bytes, whatever stands there.
                        b'1'..=b'6' => self.set_size(0)?,
                        _ => self.set_size(size.unwrap_or(written))?,
                    }
                    if kind == b'S' {
                        self.skip_map_of_holes(&header)?;
                    }
                    let path = path.unwrap_or_else(|| path_of(&header));
                    // The old form knows a folder by its slash.
                    if kind == b'5' || path.ends_with(b"/") {
                        continue;
                    }
                    let is_regular = matches!(kind, 0 | b'0' | b'7') && !is_sparse;
                    return Ok(Some(TarFile { path, is_regular }));
                }
            }
        }
    }

    fn set_size(&mut self, size: u64) -> Result<()> {
        // Nothing is longer than a disk can be; sums of it must not overflow.
        if size > i64::MAX as u64 {
            return Err(self.damaged("an impossible size"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        Ok(())
    }

    /// Reads over what is left of the file under way.
    fn skip(&mut self) -> Result<()> {
        let rest = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        let skipped =
            io::copy(&mut (&mut self.input).take(rest), &mut io::sink()).map_err(read_error)?;
        self.at += skipped;
        if skipped < rest { Err(Error::new(ErrorKind::Truncated)) } else { Ok(()) }
    }

    /// The next header; `None` at the end.
    fn header(&mut self) -> Result<Option<Block>> {
        loop {
            let (block, length) = self.block()?;
            if block.iter().all(|&byte| byte == 0) && (length == BLOCK_BYTES || self.at_end) {
                if length < BLOCK_BYTES {
                    return Ok(None);
                }
                self.at_end = true;
            } else if length == BLOCK_BYTES && has_checksum(&block) {
                self.at_end = false;
                return Ok(Some(block));
            } else if self.at_end && !has_magic(&block) {
                let rest = io::copy(&mut self.input, &mut io::sink());
                self.trailing_bytes = length as u64 + rest.map_err(read_error)?;
                return Ok(None);
            } else if length < BLOCK_BYTES {
                return Err(Error::new(ErrorKind::Truncated));
            } else {
                self.at -= BLOCK_BYTES as u64;
                return Err(self.damaged("no file's header"));
            }
        }
    }

    /// The next block and how much of it there is.
    fn block(&mut self) -> Result<(Block, usize)> {
        let mut block = [0; BLOCK_BYTES];
        let mut length = 0;
        while length < BLOCK_BYTES {
            match self.input.read(&mut block[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(error)),
            }
        }
        self.at += length as u64;
        Ok((block, length))
    }

    /// The bytes of the entry under way, which describes the next one.
    fn records(&mut self) -> Result<Vec<u8>> {
        if self.left > MAX_RECORDS_BYTES {
            return Err(self.damaged("an endless name"));
        }
        let mut records = Vec::new();
        self.read_to_end(&mut records).map_err(read_error)?;
        Ok(records)
    }

    /// Reads over the blocks that go on with the map of a sparse file in GNU's own form.
    fn skip_map_of_holes(&mut self, header: &Block) -> Result<()> {
        let mut goes_on = header[482] != 0;
        while goes_on {
            let (block, length) = self.block()?;
            if length < BLOCK_BYTES {
                return Err(Error::new(ErrorKind::Truncated));
            }
            goes_on = block[504] != 0;
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> Error {
        let at = self.at;
        let why = format!("damaged tar: {what} at byte {at}; unpack it with tar, name the folder");
        Error::new(ErrorKind::Format(why))
    }
}

/// Reads the file under way.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.input.read(&mut buffer[..most])?;
        self.left -= count as u64;
        self.at += count as u64;
        Ok(count)
    }
}

impl Records {
    /// Takes pax records: `LENGTH KEY=VALUE` and a line's end each, the length being that of all.
    /// `None` if one is none: what it meant may be the size of the file.
    fn read(&mut self, mut records: &[u8]) -> Option<()> {
        while let Some(space) = memchr::memchr(b' ', records) {
            let (record, rest) = records.split_at_checked(decimal(&records[..space])?)?;
            let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
            if let Some(equals) = memchr::memchr(b'=', record) {
                let value = &record[equals + 1..];
                match &record[..equals] {
                    // A sparse file's own path is made up.
                    b"path" if !self.is_sparse => self.path = Some(value.to_vec()),
                    b"size" => self.size = Some(decimal(value)?),
                    b"GNU.sparse.name" => self.path = Some(value.to_vec()),
                    _ => {}
                }
                self.is_sparse |= record.starts_with(b"GNU.sparse.");
            }
            records = rest;
        }
        Some(())
    }
}

fn decimal<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether a block is the header of a tar's file, sound or not: by its magic, or in old tars by its
/// checksum.
pub(crate) fn is_header(block: &[u8]) -> bool {
    let Some(block) = block.first_chunk() else {
        return false;
    };
    block[0] != 0 && (has_magic(block) || has_checksum(block))
}

/// The magic of POSIX or of GNU; either holds a NUL, so a line of text never has it.
fn has_magic(block: &Block) -> bool {
    block[257..].starts_with(b"ustar\0") || block[257..].starts_with(b"ustar  \0")
}

/// Whether a header's checksum is right, of bytes or, as some old programs made it, of signed ones.
fn has_checksum(block: &Block) -> bool {
    let others = || block[..148].iter().chain(&block[156..]);
    let blanks = 8 * i64::from(b' ');
    let sum: i64 = others().map(|&byte| i64::from(byte)).sum();
    let signed_sum: i64 = others().map(|&byte| i64::from(byte as i8)).sum();
    octal(&block[148..156])
        .and_then(|written| i64::try_from(written).ok())
        .is_some_and(|written| written == sum + blanks || written == signed_sum + blanks)
}

/// A number of a header: octal digits, or GNU's binary form for large ones.
fn number(field: &[u8]) -> Option<u64> {
    match field[0] {
        0x80 => {
            let (high, low) = field[1..].split_at_checked(field.len() - 9)?;
            let low = u64::from_be_bytes(low.try_into().ok()?);
            high.iter().all(|&byte| byte == 0).then_some(low)
        }
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn path_of(header: &Block) -> Vec<u8> {
    let (prefix, name) = (until_nul(&header[345..500]), until_nul(&header[..100]));
    if header[257..].starts_with(b"ustar\0") && !prefix.is_empty() {
        [prefix, b"/", name].concat()
    } else {
        name.to_vec()
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tar::{Builder, EntryType, Header};

    use super::*;

    const LINE: &[u8] = b"{\"time\": 1}\n";

    fn header(kind: EntryType, path: &str, size: usize) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path(path).unwrap();
        header.set_size(size as u64);
        header.set_cksum();
        header
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = header(EntryType::Regular, "x", bytes.len());
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// Path, whether regular, and bytes of each file.
    type Files = Vec<(Vec<u8>, bool, Vec<u8>)>;

    /// The files of a tar, and what stopped the reading.
    fn files(bytes: &[u8]) -> (Files, Result<u64>) {
        let mut reader = TarReader::new(bytes);
        let mut all = Vec::new();
        loop {
            match reader.next_file() {
                Ok(Some(file)) => {
                    let mut content = Vec::new();
                    reader.read_to_end(&mut content).unwrap();
                    all.push((file.path, file.is_regular, content));
                }
                Ok(None) => return (all, Ok(reader.trailing_bytes())),
                Err(error) => return (all, Err(error)),
            }
        }
    }

    #[test]
    fn kinds_of_files() {
        let mut builder = Builder::new(Vec::new());
        builder.append_pax_extensions([("comment", &b"none"[..]), ("size", b"12")]).unwrap();
        builder.append(&header(EntryType::Regular, "a.log", 12), LINE).unwrap();
        builder.append(&header(EntryType::Directory, "folder/", 0), &b""[..]).unwrap();
        builder.append(&header(EntryType::Regular, "old/", 0), &b""[..]).unwrap();
        // A link has no bytes, whatever its size says.
        builder.append(&header(EntryType::Symlink, "b.log", 12), &b""[..]).unwrap();
        builder.append(&header(EntryType::Fifo, "c.log", 0), &b""[..]).unwrap();
        builder.append(&header(EntryType::XGlobalHeader, "g", 12), LINE).unwrap();
        builder.append(&header(EntryType::new(b'V'), "volume.log", 12), LINE).unwrap();
        let records = [("GNU.sparse.name", &b"d.log"[..]), ("path", b"GNUSparseFile.0/d.log")];
        builder.append_pax_extensions(records).unwrap();
        builder.append(&header(EntryType::Regular, "made-up", 12), LINE).unwrap();
        builder.append(&header(EntryType::Regular, "e.log", 0), &b""[..]).unwrap();
        let (all, end) = files(&builder.into_inner().unwrap());
        let plain =
            |path: &str, is_regular, bytes: &[u8]| (path.into(), is_regular, bytes.to_vec());
        assert_eq!(
            all,
            [
                plain("a.log", true, LINE),
                plain("b.log", false, b""),
                plain("c.log", false, b""),
                plain("volume.log", false, LINE),
                plain("d.log", false, LINE),
                plain("e.log", true, b""),
            ]
        );
        assert_eq!(end.unwrap(), 0);
    }

    #[test]
    fn sparse_files_of_gnu_have_maps_of_any_length() {
        let mut sparse = header(EntryType::GNUSparse, "s.log", 12);
        sparse.as_gnu_mut().unwrap().set_is_extended(true);
        sparse.set_cksum();
        let mut map = [0; BLOCK_BYTES];
        map[504] = 1;
        let after = tar(&[("x.log", LINE)]);
        let mut bytes = [&sparse.as_bytes()[..], &map, &[0; BLOCK_BYTES], LINE].concat();
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes.extend_from_slice(&after);
        let (all, end) = files(&bytes);
        assert_eq!(all.len(), 2);
        assert_eq!((&all[0].0[..], all[0].1), (&b"s.log"[..], false));
        assert_eq!((&all[1].0[..], &all[1].2[..]), (&b"x.log"[..], LINE));
        assert!(end.is_ok());
    }

    #[test]
    fn ends() {
        let one = tar(&[("x.log", LINE)]);
        let whole = |bytes: &[u8]| {
            let (all, end) = files(bytes);
            (all.len(), end.unwrap())
        };
        assert_eq!(whole(&one), (1, 0));
        assert_eq!(whole(&[&one[..], &one].concat()), (2, 0));
        assert_eq!(whole(&[&one[..], &[0; 100]].concat()), (1, 0));
        assert_eq!(whole(&[&one[..], b"more"].concat()), (1, 4));
        assert_eq!(whole(&one[..1536]), (1, 0));
        for end in [0, 100, 512, 515, 600, 1023, 1024, 1100] {
            let error = files(&one[..end]).1.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Truncated), "{end}");
        }
        for (at, is_header) in [(0, true), (130, true), (515, false), (2048, true), (2200, true)] {
            let mut bytes = [&one[..], &one].concat();
            bytes[at] ^= 1;
            let error = files(&bytes).1.err();
            let is_damaged = error.is_some_and(|e| matches!(e.kind(), ErrorKind::Format(_)));
            assert_eq!(is_damaged, is_header, "{at}");
        }
    }

    #[test]
    fn impossible_sizes_and_endless_names_are_damage() {
        let mut huge = header(EntryType::Regular, "x.log", 0);
        let mut endless = header(EntryType::GNULongName, "x", 1 << 30);
        endless.set_cksum();
        huge.set_size(u64::MAX);
        huge.set_cksum();
        for header in [huge, endless] {
            let error = files(&[&header.as_bytes()[..], &[0; 4096]].concat()).1.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Format(_)), "{error}");
        }
    }

    #[test]
    fn records_that_are_none_are_damage() {
        for text in
            ["11 size=-5\n", "12 size=1_0\n", "12 size=abc\n", "9999 size=5\n", "0 size=5\n"]
        {
            let records = [text.as_bytes(), &vec![0; BLOCK_BYTES - text.len()]].concat();
            let kind = EntryType::XHeader;
            let pax = [header(kind, "p", text.len()).as_bytes(), &records[..]].concat();
            let error = files(&[&pax[..], &tar(&[("x.log", LINE)])].concat()).1.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Format(_)), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_another_program_wrote(
            entries in proptest::collection::vec(
                ("[a-z]{1,9}(/[a-z]{1,90}){0,4}", proptest::collection::vec(any::<u8>(), 0..1500)),
                0..5,
            ),
        ) {
            let named: Vec<(&str, &[u8])> =
                entries.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
            let (all, end) = files(&tar(&named));
            let expected: Vec<_> = entries
                .iter()
                .map(|(path, bytes)| (path.clone().into_bytes(), true, bytes.clone()))
                .collect();
            prop_assert_eq!(all, expected);
            prop_assert!(end.is_ok());
        }

        #[test]
        fn no_bytes_break_it(
            flips in proptest::collection::vec((0usize..4096, any::<u8>()), 0..6),
            cut in 0usize..4096,
        ) {
            let long = "n".repeat(150);
            let mut bytes = tar(&[("x.log", LINE), (&long, LINE)]);
            for (at, byte) in flips {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(cut);
            let _ = files(&bytes);
        }
    }
}
