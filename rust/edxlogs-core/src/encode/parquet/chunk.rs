//! The bytes of one column in a row group: compressed pages, and what is read back of them.

use std::cell::RefCell;
use std::io::Read;

use bytes::Bytes;
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

use super::level;
use super::text::Result;

/// What the header of a page takes, about.
const PAGE_HEADER_BYTES: usize = 64;

thread_local! {
    /// For all columns that a thread writes, one after another: it takes a MiB.
    pub(super) static COMPRESSOR: RefCell<Compressor> = RefCell::default();
}

/// Compresses pages, in buffers that are used again.
#[derive(Default)]
pub(super) struct Compressor {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    /// A page that has to be put together first.
    pub(super) page: Vec<u8>,
    out: Vec<u8>,
}

impl Compressor {
    pub(super) fn compress(&mut self, page: &[u8]) -> Result<Bytes> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Compressor::new(level().compression_level())?),
        };
        self.out.clear();
        self.out.reserve(zstd::zstd_safe::compress_bound(page.len()));
        zstd.compress_to_buffer(page, &mut self.out)?;
        Ok(Bytes::copy_from_slice(&self.out))
    }
}

/// The bytes of a column in the file: its pages, the dictionary first.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) pages: Vec<Bytes>,
    pub(super) bytes: usize,
    pub(super) uncompressed: usize,
}

impl Chunk {
    pub(super) fn push(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        self.insert(self.pages.len(), page)
    }

    pub(super) fn insert(&mut self, at: usize, page: CompressedPage) -> Result<PageWriteSpec> {
        let mut out = TrackedWrite::new(Vec::with_capacity(page.data().len() + PAGE_HEADER_BYTES));
        let written = SerializedPageWriter::new(&mut out).write_page(page)?;
        let page = Bytes::from(out.into_inner()?);
        self.bytes += page.len();
        self.uncompressed += written.uncompressed_size;
        self.pages.insert(at, page);
        Ok(written)
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.bytes as u64
    }
}

impl ChunkReader for Chunk {
    type T = ChunkBytes;

    fn get_read(&self, start: u64) -> Result<ChunkBytes> {
        let mut bytes = ChunkBytes(self.pages.clone().into_iter(), Bytes::new());
        std::io::copy(&mut bytes.by_ref().take(start), &mut std::io::sink())?;
        Ok(bytes)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Reads pages one after another.
pub(super) struct ChunkBytes(std::vec::IntoIter<Bytes>, Bytes);

impl Read for ChunkBytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.1.is_empty() {
            match self.0.next() {
                Some(page) => self.1 = page,
                None => return Ok(0),
            }
        }
        let count = self.1.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.1.split_to(count));
        Ok(count)
    }
}
