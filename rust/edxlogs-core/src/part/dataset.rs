//! The files of a dataset that several parts make together: one for each partition, or several where
//! a partition has much.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::hidden::HiddenFile;
use super::{Output, Part, Portion};
use crate::encode::Format;
use crate::error::{Error, Result};
use crate::file::create_private;
use crate::frame::types::Schema;
use crate::json::text::hex;
use crate::query::partition::Partitions;
use crate::query::projection::Projection;

/// Rows of parts that wait in memory for their neighbours, in bytes.
const WAITING_BYTES: usize = 24 * 1024 * 1024;

/// Of a file, what is hashed at a time.
const HASH_BYTES: usize = 256 * 1024;

/// A file that was made, not published yet.
#[derive(Clone, Debug)]
pub struct MadeFile {
    /// Where it stands now.
    pub path: PathBuf,
    /// Folder of its partition, relative to the dataset's.
    pub folder: String,
    /// Its number in that folder, from 0, among those made together.
    pub number: usize,
    /// Its rows, without a header.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Of all its bytes, in hex.
    pub sha256: String,
    /// Whose rows follow each other in it: the number of the input, and how many.
    pub runs: Vec<(u32, u64)>,
}

/// Files in the making.
pub struct Dataset {
    format: Format,
    schema: Arc<Schema>,
    numbers: Arc<Partitions>,
    metadata: Vec<(String, String)>,
    partitions: BTreeMap<u32, Vec<(usize, Portion)>>,
    /// Of each part, its input and its hidden file.
    parts: Vec<(u32, HiddenFile)>,
    memory: usize,
}

impl Dataset {
    /// Files of that format; `metadata` goes to the footer of Parquet.
    ///
    /// # Errors
    /// `Internal`, if the projection tells no partition.
    pub fn new(
        format: Format,
        projection: &Projection,
        metadata: Vec<(String, String)>,
    ) -> Result<Self> {
        let numbers = projection.partitions().ok_or_else(|| Error::internal("no partitions"))?;
        Ok(Self {
            format,
            schema: projection.schema(),
            numbers: Arc::clone(numbers),
            metadata,
            partitions: BTreeMap::new(),
            parts: Vec::new(),
            memory: 0,
        })
    }

    /// Takes the rows of one input, after those taken before.
    ///
    /// # Errors
    /// Those of writing.
    pub fn append(&mut self, input: u32, mut part: Part) -> Result<()> {
        let bytes = part.memory_bytes();
        if self.memory + bytes > WAITING_BYTES {
            part.spill()?;
        } else {
            self.memory += bytes;
        }
        let at = self.parts.len();
        for (partition, portions) in part.partitions {
            let all = self.partitions.entry(partition).or_default();
            all.extend(portions.into_iter().map(|portion| (at, portion)));
        }
        self.parts.push((input, part.hidden));
        Ok(())
    }

    /// Writes the files into `folder`, under names that begin with `prefix`, by that many threads.
    /// A file ends at about `file_bytes`. Which file holds what depends on the rows alone.
    ///
    /// # Errors
    /// Those of reading the parts and of writing.
    pub fn finish(
        self,
        folder: &Path,
        prefix: &str,
        file_bytes: u64,
        threads: usize,
    ) -> Result<Vec<MadeFile>> {
        let mut tasks: Vec<(String, &Vec<(usize, Portion)>)> = self
            .partitions
            .iter()
            .map(|(&at, portions)| (self.numbers.folder(at), portions))
            .collect();
        tasks.sort_by(|one, other| one.0.cmp(&other.0));
        let next = AtomicUsize::new(0);
        let made = Mutex::new(Vec::new());
        let work = || -> Result<()> {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((name, portions)) = tasks.get(at) else {
                    return Ok(());
                };
                let stem = folder.join(format!("{prefix}.{at}"));
                let files = self.write(&stem, name, portions, file_bytes)?;
                made.lock().unwrap_or_else(PoisonError::into_inner).extend(files);
            }
        };
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads.min(tasks.len()))
                .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
                .collect();
            let mut result = work();
            for helper in helpers {
                let helped = helper.join().unwrap_or_else(|_| Err(Error::internal("a panic")));
                result = result.and(helped);
            }
            result
        })?;
        let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        made.sort_by(|one: &MadeFile, other| {
            (&one.folder, one.number).cmp(&(&other.folder, other.number))
        });
        Ok(made)
    }

    /// Writes the files of one partition.
    fn write(
        &self,
        stem: &Path,
        folder: &str,
        portions: &[(usize, Portion)],
        file_bytes: u64,
    ) -> Result<Vec<MadeFile>> {
        let mut made = Vec::new();
        let mut open: Option<OpenFile> = None;
        for (part, portion) in portions {
            let (input, hidden) = &self.parts[*part];
            let mut file = match open.take() {
                Some(file) => file,
                None => {
                    let mut path = stem.as_os_str().to_owned();
                    path.push(format!(".{}", made.len()));
                    let path = PathBuf::from(path);
                    OpenFile::create(path, self.format, &self.schema, &self.metadata)?
                }
            };
            file.append(*input, hidden, portion)?;
            if file.bytes()? >= file_bytes {
                made.push(file.finish(folder, made.len())?);
            } else {
                open = Some(file);
            }
        }
        if let Some(file) = open {
            made.push(file.finish(folder, made.len())?);
        }
        Ok(made)
    }
}

/// A file that is being written.
struct OpenFile {
    path: PathBuf,
    file: File,
    output: Output,
    rows: u64,
    runs: Vec<(u32, u64)>,
}

impl OpenFile {
    fn create(
        path: PathBuf,
        format: Format,
        schema: &Arc<Schema>,
        metadata: &[(String, String)],
    ) -> Result<Self> {
        let file = create_private(&path).map_err(Error::encode)?;
        let output = file.try_clone().map_err(Error::encode)?;
        let output = Output::new(output, format, schema.clone(), metadata)?;
        Ok(Self { path, file, output, rows: 0, runs: Vec::new() })
    }

    fn append(&mut self, input: u32, hidden: &HiddenFile, portion: &Portion) -> Result<()> {
        let rows = portion.rows();
        self.rows += rows;
        match self.runs.last_mut() {
            Some((last, count)) if *last == input => *count += rows,
            _ => self.runs.push((input, rows)),
        }
        self.output.portion(hidden, portion)
    }

    /// What has reached the file so far; of Parquet and gzip, the last buffer is missing.
    fn bytes(&mut self) -> Result<u64> {
        self.output.flush()?;
        Ok(self.file.metadata().map_err(Error::encode)?.len())
    }

    fn finish(mut self, folder: &str, number: usize) -> Result<MadeFile> {
        self.output.finish()?;
        let (bytes, sha256) = digest(&mut self.file).map_err(Error::encode)?;
        Ok(MadeFile {
            path: self.path,
            folder: folder.to_owned(),
            number,
            rows: self.rows,
            bytes,
            sha256,
            runs: self.runs,
        })
    }
}

/// The size of a file, and the digest of all its bytes in hex.
pub(super) fn digest(file: &mut File) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; HASH_BYTES];
    let mut bytes = 0;
    file.rewind()?;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((bytes, hex(&hash.finalize())));
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
}
