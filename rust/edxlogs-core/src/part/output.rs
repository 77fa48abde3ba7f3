//! The output that parts are appended to, in the order of their sources.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::FileWriter;
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::file::reader::ChunkReader;

use super::hidden::HiddenFile;
use super::{Form, Part, Portion, SMALL_PART_BYTES};
use crate::encode::parquet::ParquetWriter;
use crate::encode::{Compression, Encoder, Format, csv, jsonl};
use crate::error::{Error, Result};
use crate::frame::nulls;
use crate::frame::rejects::Rejects;
use crate::frame::types::Schema;
use crate::query::tables::TableRows;
use crate::scan::{BATCH_ROWS, Rows, Sink};

const BUFFER_BYTES: usize = 1024 * 1024;

type Out = BufWriter<File>;

/// One output file, or standard output.
pub struct Output {
    writer: Writer,
    format: Format,
    schema: Arc<Schema>,
    scratch: Vec<u8>,
}

enum Writer {
    Parquet(Box<ParquetWriter<Out>>),
    Bytes(Out),
    Lines { out: Option<Out>, member: Option<Box<Encoder<Out>>>, in_member: usize },
    Ipc { writer: Box<FileWriter<Out>>, waiting: Vec<RecordBatch>, rows: usize },
}

impl Output {
    /// An output of that format to `file`. `metadata` goes to the footer of Parquet and to the
    /// schema of Arrow IPC.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(
        file: File,
        format: Format,
        schema: Arc<Schema>,
        metadata: &[(String, String)],
    ) -> Result<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let writer = match format {
            Format::Parquet => {
                Writer::Parquet(Box::new(ParquetWriter::new(out, schema.clone(), metadata)?))
            }
            Format::JsonLines(Compression::None) | Format::Csv(_, Compression::None) => {
                Writer::Bytes(out)
            }
            Format::JsonLines(_) | Format::Csv(..) => {
                Writer::Lines { out: Some(out), member: None, in_member: 0 }
            }
            Format::ArrowIpc => {
                let metadata: std::collections::HashMap<_, _> = metadata.iter().cloned().collect();
                let schema = schema.arrow().as_ref().clone().with_metadata(metadata);
                let writer = FileWriter::try_new(out, &schema).map_err(Error::encode)?;
                Writer::Ipc { writer: Box::new(writer), waiting: Vec::new(), rows: 0 }
            }
        };
        let mut output = Self { writer, format, schema, scratch: Vec::new() };
        if let Format::Csv(style, _) = format {
            let mut header = Vec::new();
            csv::push_header(output.schema.arrow(), style, &mut header);
            output.lines(&header)?;
        }
        Ok(output)
    }

    /// Appends what a source adds. The part's rejected lines are the caller's business.
    ///
    /// # Errors
    /// Those of reading the part and of writing.
    pub fn append(&mut self, part: &mut Part) -> Result<()> {
        if part.is_outgrown() {
            return Err(Error::internal("an outgrown part was appended"));
        }
        for portion in std::mem::take(&mut part.partitions).into_values().flatten() {
            self.portion(&part.hidden, &portion)?;
        }
        Ok(())
    }

    /// Appends rows of a part that has that hidden file.
    pub(super) fn portion(&mut self, hidden: &HiddenFile, portion: &Portion) -> Result<()> {
        let (form, mut stretch) = match portion {
            Portion::Batch(batch) => return self.batch(batch.clone()),
            Portion::Chosen { gathered, places, .. } => return self.chosen(gathered, places),
            Portion::Text { text, .. } => return self.lines(text),
            Portion::Hidden { form, offset, length, .. } => {
                (form, hidden.stretch(*offset, *length).map_err(Error::encode)?)
            }
        };
        match (form, &mut self.writer) {
            (Form::Batches, _) => self.batches(BufReader::new(stretch)),
            (Form::Parquet, _) => self.row_groups(&stretch),
            (Form::Bytes, Writer::Bytes(out)) => {
                std::io::copy(&mut stretch, out).map(drop).map_err(Error::encode)
            }
            (Form::Bytes, _) => {
                let mut text = Vec::new();
                stretch.read_to_end(&mut text).map_err(Error::encode)?;
                self.lines(&text)
            }
            (Form::Compressed, _) => {
                self.end_member()?;
                match &mut self.writer {
                    Writer::Lines { out: Some(out), .. } => {
                        std::io::copy(&mut stretch, out).map(drop).map_err(Error::encode)
                    }
                    _ => Err(Error::internal("text for an output of columns")),
                }
            }
        }
    }

    /// Appends a stretch of rows, as `StretchEncoder` made it in the format of this output.
    ///
    /// # Errors
    /// Those of writing.
    pub fn stretch(&mut self, encoded: Vec<u8>) -> Result<()> {
        self.end_member()?;
        match &mut self.writer {
            Writer::Parquet(writer) => writer.copy(&Bytes::from(encoded)),
            Writer::Ipc { .. } => self.batches(&encoded[..]),
            Writer::Bytes(out) | Writer::Lines { out: Some(out), .. } => {
                out.write_all(&encoded).map_err(Error::encode)
            }
            Writer::Lines { .. } => Err(Error::internal("the output is gone")),
        }
    }

    /// Takes the batches of Arrow IPC streams, one after another.
    fn batches(&mut self, mut streams: impl BufRead) -> Result<()> {
        while !streams.fill_buf().map_err(Error::encode)?.is_empty() {
            for batch in StreamReader::try_new(&mut streams, None).map_err(Error::encode)? {
                let batch = batch.and_then(|batch| nulls::completed(self.schema.arrow(), &batch));
                self.batch(batch.map_err(Error::encode)?)?;
            }
        }
        Ok(())
    }

    pub(super) fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        match &mut self.writer {
            Writer::Parquet(writer) => writer.write(&batch),
            Writer::Ipc { waiting, rows, .. } => {
                *rows += batch.num_rows();
                waiting.push(batch);
                if *rows >= BATCH_ROWS { self.write_waiting() } else { Ok(()) }
            }
            Writer::Bytes(_) | Writer::Lines { .. } => {
                let mut text = std::mem::take(&mut self.scratch);
                text.clear();
                match self.format {
                    Format::Csv(style, _) => csv::push_rows(&batch, style, &mut text),
                    // Rows of columns, as objects.
                    _ => jsonl::push_rows(&batch, &mut text),
                }
                let written = self.lines(&text);
                self.scratch = text;
                written
            }
        }
    }

    /// Takes some rows of some batches: (number of the batch, row).
    fn chosen(&mut self, batches: &[RecordBatch], places: &[(usize, usize)]) -> Result<()> {
        match &mut self.writer {
            Writer::Parquet(writer) => writer.write_rows(batches, places),
            _ => self.batch(nulls::chosen(batches, places).map_err(Error::encode)?),
        }
    }

    /// Copies the row groups of a Parquet file.
    pub(super) fn row_groups<R: ChunkReader>(&mut self, file: &R) -> Result<()> {
        match &mut self.writer {
            Writer::Parquet(writer) => writer.copy(file),
            _ => Err(Error::internal("row groups for an output that has none")),
        }
    }

    /// Writes the batches that wait for company as one.
    fn write_waiting(&mut self) -> Result<()> {
        let Writer::Ipc { writer, waiting, rows } = &mut self.writer else {
            return Ok(());
        };
        if waiting.is_empty() {
            return Ok(());
        }
        let batch = concat_batches(self.schema.arrow(), waiting.iter()).map_err(Error::encode)?;
        waiting.clear();
        *rows = 0;
        let batch = batch.with_schema(Arc::clone(writer.schema())).map_err(Error::encode)?;
        writer.write(&batch).map_err(Error::encode)
    }

    /// Adds text as it is: lines, or rows of CSV.
    pub(super) fn lines(&mut self, lines: &[u8]) -> Result<()> {
        match &mut self.writer {
            Writer::Bytes(out) => out.write_all(lines).map_err(Error::encode)?,
            Writer::Lines { out, member, in_member } => {
                if member.is_none() {
                    let out = out.take().ok_or_else(|| Error::internal("the output is gone"))?;
                    *member = Some(Box::new(Encoder::new(out, self.format.compression())?));
                }
                if let Some(member) = member {
                    member.write_all(lines)?;
                }
                *in_member += lines.len();
                if *in_member >= SMALL_PART_BYTES {
                    self.end_member()?;
                }
            }
            _ => return Err(Error::internal("lines for an output of columns")),
        }
        Ok(())
    }

    fn end_member(&mut self) -> Result<()> {
        if let Writer::Lines { out, member, in_member } = &mut self.writer {
            if let Some(member) = member.take() {
                *out = Some(member.finish()?);
            }
            *in_member = 0;
        }
        Ok(())
    }

    /// Passes on what is written so far, as far as the format allows it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.writer {
            Writer::Bytes(out) => out.flush().map_err(Error::encode),
            _ => Ok(()),
        }
    }

    /// Writes what is left, and hands the file back; its bytes have left this process.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> Result<File> {
        self.write_waiting()?;
        if let (Writer::Lines { member: None, out: Some(_), .. }, Format::JsonLines(_)) =
            (&self.writer, self.format)
        {
            // Even no lines make a valid file.
            self.lines(b"")?;
        }
        self.end_member()?;
        let mut out = match self.writer {
            Writer::Parquet(writer) => writer.finish()?,
            Writer::Bytes(out) => out,
            Writer::Lines { out, .. } => {
                out.ok_or_else(|| Error::internal("the output is gone"))?
            }
            Writer::Ipc { mut writer, .. } => {
                writer.finish().map_err(Error::encode)?;
                writer.into_inner().map_err(Error::encode)?
            }
        };
        out.flush().map_err(Error::encode)?;
        out.into_inner().map_err(|error| Error::encode(error.into_error()))
    }
}

/// Rows that need no verdict go straight to the output.
impl Sink for Output {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        match rows {
            Rows::Batch(batch, _) | Rows::Table(TableRows { batch, .. }) => self.batch(batch),
            Rows::Lines(lines) => self.lines(&lines),
        }
    }

    fn rejects(&mut self, _rejects: &Rejects) -> Result<()> {
        Ok(())
    }
}
