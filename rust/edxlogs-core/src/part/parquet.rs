//! Parquet, written for its readers: row groups of sensible size, dictionaries, statistics, and
//! zstd. Row groups of other files are copied without encoding them again.

use std::fs::File;
use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};

/// Most rows of a row group: what DuckDB scans at a time.
pub const ROW_GROUP_ROWS: usize = 122_880;

/// A row group also ends at about this many encoded bytes.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Longest text in the statistics, in bytes.
const STATISTICS_BYTES: usize = 64;

/// Columns of long, mostly distinct text: no dictionary, which would be given up soon.
const JSON_COLUMNS: [&str; 2] = ["context", "event"];

/// Columns that no reader asks for a range of, so that statistics would cost and not help.
const WITHOUT_STATISTICS: [&str; 10] = [
    "accept_language",
    "agent",
    "context",
    "event",
    "host",
    "ip",
    "page",
    "path",
    "referer",
    "session",
];

/// Columns of numbers that grow, or nearly: written as differences.
const GROWING_COLUMNS: [&str; 2] = ["time", "line"];

/// Writes one Parquet file.
pub struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    group: Vec<ArrowColumnWriter>,
    group_rows: usize,
    groups: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A file of that schema, with `metadata` in its footer.
    ///
    /// # Errors
    /// `Encode`, when the output cannot be written.
    pub fn new(output: W, schema: SchemaRef, metadata: &[(String, String)]) -> Result<Self> {
        let writer = ArrowWriter::try_new(output, schema.clone(), Some(properties(metadata)))
            .map_err(Error::encode)?;
        let (file, factory) = writer.into_serialized_writer().map_err(Error::encode)?;
        Ok(Self { file, factory, schema, group: Vec::new(), group_rows: 0, groups: 0 })
    }

    /// Adds rows to the row group under way; full groups are written out.
    ///
    /// # Errors
    /// `Encode`.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut offset = 0;
        while offset < batch.num_rows() {
            if self.group.is_empty() {
                self.group =
                    self.factory.create_column_writers(self.groups).map_err(Error::encode)?;
            }
            let rows = (ROW_GROUP_ROWS - self.group_rows).min(batch.num_rows() - offset);
            let slice = batch.slice(offset, rows);
            let mut writers = self.group.iter_mut();
            for (field, column) in self.schema.fields().iter().zip(slice.columns()) {
                for leaf in compute_leaves(field, column).map_err(Error::encode)? {
                    let writer = writers.next().ok_or_else(|| Error::internal("a column more"))?;
                    writer.write(&leaf).map_err(Error::encode)?;
                }
            }
            offset += rows;
            self.group_rows += rows;
            let bytes: usize = self.group.iter().map(|w| w.get_estimated_total_bytes()).sum();
            if self.group_rows == ROW_GROUP_ROWS || bytes >= ROW_GROUP_BYTES {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Writes the row group under way, if there is one.
    fn end_group(&mut self) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        let mut out = self.file.next_row_group().map_err(Error::encode)?;
        for writer in self.group.drain(..) {
            let chunk = writer.close().map_err(Error::encode)?;
            chunk.append_to_row_group(&mut out).map_err(Error::encode)?;
        }
        out.close().map_err(Error::encode)?;
        self.group_rows = 0;
        self.groups += 1;
        Ok(())
    }

    /// Copies the row groups of a Parquet file of the same schema, after those written so far.
    ///
    /// # Errors
    /// `Encode`, also when the file cannot be read.
    pub fn copy(&mut self, input: &File) -> Result<()> {
        self.end_group()?;
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(input)
            .map_err(Error::encode)?;
        for (group, rows) in metadata.row_groups().iter().enumerate() {
            let mut out = self.file.next_row_group().map_err(Error::encode)?;
            for (column, chunk) in rows.columns().iter().enumerate() {
                let index = metadata.page_index();
                let close = ColumnCloseResult {
                    bytes_written: chunk.compressed_size() as u64,
                    rows_written: rows.num_rows() as u64,
                    metadata: chunk.clone(),
                    bloom_filter: None,
                    column_index: index.and_then(|i| i.column_index(group, column)).cloned(),
                    offset_index: index.and_then(|i| i.offset_index(group, column)).cloned(),
                };
                out.append_column(input, close).map_err(Error::encode)?;
            }
            out.close().map_err(Error::encode)?;
            self.groups += 1;
        }
        Ok(())
    }

    /// Writes what is left, and the footer.
    ///
    /// # Errors
    /// `Encode`.
    pub fn finish(mut self) -> Result<W> {
        self.end_group()?;
        self.file.into_inner().map_err(Error::encode)
    }
}

fn properties(metadata: &[(String, String)]) -> WriterProperties {
    let key_values =
        metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("edxlogs {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(key_values));
    for name in JSON_COLUMNS {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    for name in WITHOUT_STATISTICS {
        builder =
            builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
    }
    for name in GROWING_COLUMNS {
        builder = builder
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    builder.build()
}
