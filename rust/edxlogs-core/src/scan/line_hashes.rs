//! Which lines an earlier source held, byte for byte: sorted hashes in files, so that neither the
//! lines of a source nor those of the sources before it must fit in memory.
//!
//! A hash is the first 128 bits of a line's SHA-256: nobody can make two lines that pass for each
//! other, so no line is ever lost to one that is not its copy.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashSet;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::file::create_private;

#[cfg(test)]
mod tests;

/// Of a line, without its LF.
type Hash = u128;

const HASH_BYTES: usize = size_of::<Hash>();

/// Hashes that are gathered in memory before they are written as a sorted run.
const RECENT: usize = 1 << 17;

/// Hashes between two that the index of a run holds: a block, read at once.
const BLOCK: usize = 256;

/// Bits for each hash of a run in the table that says of most others that they are not there, …
const BITS: usize = 16;

/// … and most bits of it.
const MOST_BITS: usize = 1 << 27;

/// The hashes of one source's lines that are kept, and those of the sources before it.
///
/// It is shared by the threads of a scan.
#[derive(Debug)]
pub struct LineHashes {
    earlier: Vec<Run>,
    path: PathBuf,
    within: bool,
    recent: usize,
    own: Mutex<Own>,
}

/// Those of the source itself.
#[derive(Debug, Default)]
struct Own {
    recent: HashSet<Hash, ahash::RandomState>,
    runs: Vec<Run>,
    /// Holds the runs; it has no name.
    file: Option<Arc<File>>,
    end: u64,
}

impl LineHashes {
    /// Opens the files that sources before this one made; this one's will be at `path`. With
    /// `within`, a line that the source itself held before counts too.
    ///
    /// # Errors
    /// `Encode` if a file cannot be read, `Config` if it holds something else.
    pub fn new(path: PathBuf, earlier: &[PathBuf], within: bool) -> Result<Self> {
        Self::with_memory(path, earlier, within, RECENT)
    }

    fn with_memory(
        path: PathBuf,
        earlier: &[PathBuf],
        within: bool,
        recent: usize,
    ) -> Result<Self> {
        let earlier = earlier.iter().map(PathBuf::as_path).map(Run::open).collect::<Result<_>>()?;
        Ok(Self { earlier, path, within, recent, own: Mutex::default() })
    }

    /// Whether the answer depends on the order in which lines are asked for.
    pub fn within(&self) -> bool {
        self.within
    }

    /// Forgets the lines of the source itself: it is read from its start.
    pub fn begin(&self) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Own::default();
    }

    /// Whether a line was held before. If not, the source's later ones are told of it.
    ///
    /// # Errors
    /// `Encode` if hashes cannot be read or written.
    pub fn is_duplicate(&self, line: &[u8]) -> Result<bool> {
        let hash = hash(line);
        self.find_or_insert(hash).map_err(Error::encode)
    }

    fn find_or_insert(&self, hash: Hash) -> io::Result<bool> {
        for run in &self.earlier {
            if run.contains(hash)? {
                return Ok(true);
            }
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.recent.contains(&hash) {
            return Ok(self.within);
        }
        if self.within {
            for run in &own.runs {
                if run.contains(hash)? {
                    return Ok(true);
                }
            }
        }
        if own.recent.len() == self.recent {
            own.spill(&self.path)?;
        }
        own.recent.insert(hash);
        Ok(false)
    }

    /// Writes the hashes of the source, sorted, for sources after it; how many there are. Of none,
    /// no file is made.
    ///
    /// # Errors
    /// `Encode` if they cannot be written.
    pub fn finish(&self) -> Result<u64> {
        let own = std::mem::take(&mut *self.own.lock().unwrap_or_else(PoisonError::into_inner));
        own.write(&self.path).map_err(Error::encode)
    }
}

fn hash(line: &[u8]) -> Hash {
    let digest: [u8; 32] = Sha256::digest(line).into();
    let mut first = [0; HASH_BYTES];
    first.copy_from_slice(&digest[..HASH_BYTES]);
    Hash::from_be_bytes(first)
}

impl Own {
    fn sorted(&mut self) -> Vec<Hash> {
        let mut hashes: Vec<Hash> = self.recent.drain().collect();
        hashes.sort_unstable();
        hashes
    }

    /// Moves what is in memory to the file of runs.
    fn spill(&mut self, path: &Path) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let path = path.with_extension("runs");
                let file = Arc::new(create_private(&path)?);
                std::fs::remove_file(&path)?;
                Arc::clone(self.file.insert(file))
            }
        };
        let hashes = self.sorted();
        let mut bytes = Vec::with_capacity(hashes.len() * HASH_BYTES);
        for hash in &hashes {
            bytes.extend_from_slice(&hash.to_be_bytes());
        }
        file.write_all_at(&bytes, self.end)?;
        let mut run = Run::empty(file, self.end, hashes.len());
        for hash in hashes {
            run.push(hash);
        }
        self.end += bytes.len() as u64;
        self.runs.push(run);
        Ok(())
    }

    /// Merges all into one sorted file.
    fn write(mut self, path: &Path) -> io::Result<u64> {
        if self.runs.is_empty() && self.recent.is_empty() {
            return Ok(0);
        }
        let mut out = BufWriter::new(create_private(path)?);
        let mut count = 0;
        let mut put = |hash: Hash| {
            count += 1;
            out.write_all(&hash.to_be_bytes())
        };
        if self.runs.is_empty() {
            self.sorted().into_iter().try_for_each(&mut put)?;
        } else {
            self.spill(path)?;
            merge(&self.runs, put)?;
        }
        out.flush()?;
        Ok(count)
    }
}

/// Hands on the hashes of sorted runs in order, each once.
fn merge(runs: &[Run], mut put: impl FnMut(Hash) -> io::Result<()>) -> io::Result<()> {
    let mut readers: Vec<_> = runs.iter().map(Run::hashes).collect();
    let mut heads = BinaryHeap::new();
    for (number, reader) in readers.iter_mut().enumerate() {
        heads.extend(reader.next().transpose()?.map(|hash| Reverse((hash, number))));
    }
    let mut last = None;
    while let Some(Reverse((hash, number))) = heads.pop() {
        if last.replace(hash) != Some(hash) {
            put(hash)?;
        }
        heads.extend(readers[number].next().transpose()?.map(|hash| Reverse((hash, number))));
    }
    Ok(())
}

/// Sorted hashes in a stretch of a file, with what it takes to find one by a single read.
#[derive(Debug)]
struct Run {
    file: Arc<File>,
    start: u64,
    count: usize,
    /// The first hash of each block.
    blocks: Vec<Hash>,
    /// A bit for each hash, at the place that its last bits name.
    bits: Vec<u64>,
}

impl Run {
    fn empty(file: Arc<File>, start: u64, count: usize) -> Self {
        let bits = (count * BITS).next_power_of_two().clamp(64, MOST_BITS);
        let blocks = Vec::with_capacity(count.div_ceil(BLOCK));
        Self { file, start, count: 0, blocks, bits: vec![0; bits / 64] }
    }

    /// Opens a file that is a run.
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::encode)?;
        let bytes = file.metadata().map_err(Error::encode)?.len();
        let damaged = || {
            Error::config(format!(
                "dedupe: {}: holds no hashes of lines: it is damaged; remove it, and run again: its \
                 source is read anew",
                path.display()
            ))
        };
        if !bytes.is_multiple_of(HASH_BYTES as u64) {
            return Err(damaged());
        }
        let count = usize::try_from(bytes / HASH_BYTES as u64).map_err(|_| damaged())?;
        let mut run = Self::empty(Arc::new(file), 0, count);
        let whole = Self { count, ..Self::empty(Arc::clone(&run.file), 0, 0) };
        let mut last = None;
        for hash in whole.hashes() {
            let hash = hash.map_err(Error::encode)?;
            if last.replace(hash).is_some_and(|last| last >= hash) {
                return Err(damaged());
            }
            run.push(hash);
        }
        Ok(run)
    }

    /// Enters the next hash, which stands in the file already.
    fn push(&mut self, hash: Hash) {
        if self.count.is_multiple_of(BLOCK) {
            self.blocks.push(hash);
        }
        let (word, bit) = self.place(hash);
        self.bits[word] |= bit;
        self.count += 1;
    }

    fn place(&self, hash: Hash) -> (usize, u64) {
        let bit = hash as usize & (self.bits.len() * 64 - 1);
        (bit / 64, 1 << (bit % 64))
    }

    fn contains(&self, hash: Hash) -> io::Result<bool> {
        let (word, bit) = self.place(hash);
        if self.bits[word] & bit == 0 {
            return Ok(false);
        }
        let Some(block) = self.blocks.partition_point(|&first| first <= hash).checked_sub(1) else {
            return Ok(false);
        };
        let first = block * BLOCK;
        let mut bytes = [0; BLOCK * HASH_BYTES];
        let bytes = &mut bytes[..BLOCK.min(self.count - first) * HASH_BYTES];
        self.file.read_exact_at(bytes, self.start + (first * HASH_BYTES) as u64)?;
        let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
        Ok(hashes.binary_search_by_key(&hash, |&bytes| Hash::from_be_bytes(bytes)).is_ok())
    }

    /// The hashes in order.
    fn hashes(&self) -> impl Iterator<Item = io::Result<Hash>> + use<> {
        let mut left = self.count;
        let at = At { file: Arc::clone(&self.file), next: self.start };
        let mut reader = BufReader::with_capacity(BLOCK * HASH_BYTES * 4, at);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let mut bytes = [0; HASH_BYTES];
            Some(reader.read_exact(&mut bytes).map(|()| Hash::from_be_bytes(bytes)))
        })
    }
}

/// Reads a shared file from a place of its own.
struct At {
    file: Arc<File>,
    next: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.next)?;
        self.next += count as u64;
        Ok(count)
    }
}

/// Whether a line before this one was the same, if that is asked. A line that holds several events
/// is looked for once.
pub(crate) fn is_held(
    hashes: Option<&LineHashes>,
    held: &mut Option<bool>,
    line: &[u8],
) -> Result<bool> {
    let Some(hashes) = hashes else {
        return Ok(false);
    };
    match *held {
        Some(held) => Ok(held),
        None => Ok(*held.insert(hashes.is_duplicate(line)?)),
    }
}
