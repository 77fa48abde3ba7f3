//! Batches of a stretch to bytes of an output, and those bytes put together in order.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;

use crate::encode::csv;
use crate::encode::jsonl;
use crate::encode::parquet::ParquetWriter;
use crate::error::{Error, Result};
use crate::frame::types::Schema;
use crate::part::{Compression, Encoder, Format};

/// So many bytes of an output are brought to disk at a time, while others are made: at the end all
/// of them would have to be waited for.
const SYNC_BYTES: usize = 8 * 1024 * 1024;

/// Makes the bytes that a stretch of rows adds to an output; one a thread and stretch.
pub enum BlockEncoder {
    /// Row groups, in a file of their own.
    Parquet(Box<ParquetWriter<Vec<u8>>>),
    /// Text.
    Text {
        /// Of CSV or JSON Lines.
        format: Format,
        /// Compressed here, a member or frame for the stretch.
        encoder: Box<Encoder<Vec<u8>>>,
        /// The text of a batch.
        scratch: Vec<u8>,
    },
}

impl BlockEncoder {
    /// An encoder of that format.
    ///
    /// # Errors
    /// `Config` for Arrow IPC, which tables are not written as; `Encode`.
    pub fn new(format: Format, schema: &Arc<Schema>) -> Result<Self> {
        let compression = match format {
            Format::Parquet => {
                let writer = ParquetWriter::new(Vec::new(), schema.clone(), &[])?;
                return Ok(Self::Parquet(Box::new(writer)));
            }
            Format::ArrowIpc => {
                return Err(Error::config(
                    "format: arrow: tables are written as parquet, csv or jsonl".to_owned(),
                ));
            }
            Format::JsonLines(compression) => compression,
            Format::Csv { .. } => Compression::None,
        };
        let encoder = Box::new(Encoder::new(Vec::new(), compression)?);
        Ok(Self::Text { format, encoder, scratch: Vec::new() })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `Encode`.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch),
            Self::Text { format, encoder, scratch } => {
                scratch.clear();
                match format {
                    Format::Csv { excel_safe } => csv::push_rows(batch, *excel_safe, scratch),
                    _ => jsonl::push_rows(batch, scratch),
                }
                encoder.write_all(scratch)
            }
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// `Encode`.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self {
            Self::Parquet(writer) => writer.finish(),
            Self::Text { encoder, .. } => encoder.finish(),
        }
    }
}

/// An output file, to which stretches are added in order.
pub struct TableOutput {
    writer: Writer,
    /// The same file.
    file: File,
    /// Bytes that were written since some were brought to disk.
    unsynced: usize,
}

enum Writer {
    /// Whose row groups are copied as they are.
    Parquet(Box<ParquetWriter<BufWriter<File>>>),
    /// Of CSV or JSON Lines.
    Text(BufWriter<File>),
}

impl TableOutput {
    /// An output to `file`; `metadata` goes to the footer of Parquet.
    ///
    /// # Errors
    /// `Encode`.
    pub fn new(
        file: File,
        format: Format,
        schema: &Arc<Schema>,
        metadata: &[(String, String)],
    ) -> Result<Self> {
        let mut out = BufWriter::new(file.try_clone().map_err(Error::encode)?);
        let writer = match format {
            Format::Parquet => {
                Writer::Parquet(Box::new(ParquetWriter::new(out, schema.clone(), metadata)?))
            }
            Format::Csv { .. } => {
                let mut header = Vec::new();
                csv::push_header(schema.arrow(), &mut header);
                out.write_all(&header).map_err(Error::encode)?;
                Writer::Text(out)
            }
            _ => Writer::Text(out),
        };
        Ok(Self { writer, file, unsynced: 0 })
    }

    /// Adds the bytes of a stretch.
    ///
    /// # Errors
    /// `Encode`.
    pub fn append(&mut self, encoded: Vec<u8>) -> Result<()> {
        self.unsynced += encoded.len();
        match &mut self.writer {
            Writer::Parquet(writer) => writer.copy(&Bytes::from(encoded))?,
            Writer::Text(out) => out.write_all(&encoded).map_err(Error::encode)?,
        }
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data().map_err(Error::encode)?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// `Encode`.
    pub fn finish(self) -> Result<()> {
        let mut out = match self.writer {
            Writer::Parquet(writer) => writer.finish()?,
            Writer::Text(out) => out,
        };
        out.flush().map_err(Error::encode)
    }
}
