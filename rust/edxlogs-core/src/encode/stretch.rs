//! A stretch of rows to the bytes that it adds to an output: made by whoever made the rows, beside
//! others, and joined in order later.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;

use super::parquet::ParquetWriter;
use super::{Encoder, Format, csv, jsonl};
use crate::error::{Error, Result};
use crate::frame::types::Schema;

/// Makes the bytes of a stretch.
pub enum StretchEncoder<W: Write + Send> {
    /// A Parquet file, whose row groups are copied.
    Parquet(Box<ParquetWriter<W>>),
    /// An Arrow IPC stream, whose batches are taken.
    Ipc(Box<StreamWriter<W>>),
    /// Rows of CSV, or lines.
    Text {
        /// Of the two.
        format: Format,
        /// Compressed here, a member or frame for the stretch.
        encoder: Box<Encoder<W>>,
        /// The text of a batch.
        scratch: Vec<u8>,
    },
}

impl<W: Write + Send> StretchEncoder<W> {
    /// An encoder of that format, to `out`.
    ///
    /// # Errors
    /// `Encode`.
    pub fn new(out: W, format: Format, schema: &Arc<Schema>) -> Result<Self> {
        Ok(match format {
            Format::Parquet => {
                Self::Parquet(Box::new(ParquetWriter::new(out, Arc::clone(schema), &[])?))
            }
            Format::ArrowIpc => {
                let writer = StreamWriter::try_new(out, schema.arrow()).map_err(Error::encode)?;
                Self::Ipc(Box::new(writer))
            }
            Format::JsonLines(compression) | Format::Csv(_, compression) => {
                let encoder = Box::new(Encoder::new(out, compression)?);
                Self::Text { format, encoder, scratch: Vec::new() }
            }
        })
    }

    /// Adds rows; as JSON Lines, objects of all columns.
    ///
    /// # Errors
    /// `Encode`.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch),
            Self::Ipc(writer) => writer.write(batch).map_err(Error::encode),
            Self::Text { format, encoder, scratch } => {
                scratch.clear();
                match format {
                    Format::Csv(style, _) => csv::push_rows(batch, *style, scratch),
                    _ => jsonl::push_rows(batch, scratch),
                }
                encoder.write_all(scratch)
            }
        }
    }

    /// Adds lines as they are.
    ///
    /// # Errors
    /// `Encode`; `Internal` for a format of columns.
    pub fn text(&mut self, text: &[u8]) -> Result<()> {
        match self {
            Self::Text { encoder, .. } => encoder.write_all(text),
            _ => Err(Error::internal("lines for an output of columns")),
        }
    }

    /// Ends the stretch.
    ///
    /// # Errors
    /// `Encode`.
    pub fn finish(self) -> Result<W> {
        match self {
            Self::Parquet(writer) => writer.finish(),
            Self::Ipc(writer) => writer.into_inner().map_err(Error::encode),
            Self::Text { encoder, .. } => encoder.finish(),
        }
    }
}
