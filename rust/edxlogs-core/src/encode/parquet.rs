//! Parquet, written for its readers: row groups of sensible size, dictionaries, statistics, and
//! zstd. Row groups of other files are copied without encoding them again.
//!
//! Pages of text are encoded here, not by the crate, for the memory of many open row groups: a
//! dataset has one under way for each of its partitions, and the crate would hold for each column
//! of each of them the pages, a hash table and buffers of its own. It is faster as well. Numbers are
//! encoded by the crate, and compressed here. Columns are encoded as their [`Hint`] says, never by
//! their name.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Field;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

pub use self::row_group::{ParquetColumns, RowGroup};
use crate::error::{Error, Result};
use crate::frame::types::{Column, ColumnType, Hint, Schema};

mod chunk;
mod dictionary;
mod hybrid;
mod numbers;
mod row_group;
mod text;

/// Most rows of a row group: what DuckDB scans at a time.
pub const ROW_GROUP_ROWS: usize = 122_880;

/// A row group also ends at about this many encoded bytes.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// A page of plain text ends at about this many bytes: with the value that fills it, within a MiB, to
/// which its room has doubled.
const PAGE_BYTES: usize = 1008 * 1024;

/// Writes one Parquet file.
pub struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    group: RowGroup,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A file of that schema, with `metadata` in its footer.
    ///
    /// # Errors
    /// `Encode`, when the output cannot be written.
    pub fn new(output: W, schema: Arc<Schema>, metadata: &[(String, String)]) -> Result<Self> {
        let columns = ParquetColumns::new(schema)?;
        let file = begin(output, &columns, metadata)?;
        let group = RowGroup::new(&columns, PAGE_BYTES);
        Ok(Self { file, group })
    }

    /// Adds rows to the row group under way; full groups are written out.
    ///
    /// # Errors
    /// `Encode`.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let rows = (ROW_GROUP_ROWS - self.group.rows()).min(batch.num_rows() - offset);
            self.group.write(&batch.slice(offset, rows))?;
            offset += rows;
            if self.group.is_full() {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Adds some rows of some batches: (number of the batch, row).
    ///
    /// # Errors
    /// `Encode`.
    pub fn write_rows(
        &mut self,
        batches: &[RecordBatch],
        mut places: &[(usize, usize)],
    ) -> Result<()> {
        while !places.is_empty() {
            let rows = (ROW_GROUP_ROWS - self.group.rows()).min(places.len());
            self.group.write_rows(batches, &places[..rows])?;
            places = &places[rows..];
            if self.group.is_full() {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Writes the row group under way, if there is one.
    fn end_group(&mut self) -> Result<()> {
        if self.group.rows() == 0 {
            return Ok(());
        }
        let properties = Arc::clone(self.file.properties());
        let out = self.file.next_row_group().map_err(Error::encode)?;
        self.group.end(out, &properties)
    }

    /// Copies the row groups of a Parquet file of the same schema, after those written so far.
    ///
    /// # Errors
    /// `Encode`, also when the file cannot be read.
    pub fn copy<R: ChunkReader>(&mut self, input: &R) -> Result<()> {
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

/// The schema of Parquet files that are alike, with the hints that they were encoded by.
///
/// # Errors
/// `Internal` for a type that no column has.
pub fn schema_of(arrow: &arrow_schema::Schema, files: &[&ParquetMetaData]) -> Result<Arc<Schema>> {
    let column = |(at, field): (usize, &Arc<Field>)| {
        let column_type = ColumnType::of_arrow(field.data_type())
            .ok_or_else(|| Error::internal(format!("column {}: of another type", field.name())))?;
        let groups = files.iter().flat_map(|file| file.row_groups());
        let chunks = || groups.clone().map(|group| group.column(at));
        let is_long = column_type == ColumnType::Text
            && chunks().all(|chunk| chunk.dictionary_page_offset().is_none());
        let grows = |chunk: &ColumnChunkMetaData| {
            chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED)
        };
        Ok(Column {
            nullable: field.is_nullable(),
            hint: match column_type {
                _ if is_long => Hint::Long,
                _ if chunks().any(grows) => Hint::Grows,
                _ => Hint::Plain,
            },
            statistics: chunks().all(|chunk| chunk.statistics().is_some()),
            ..Column::new(field.name(), column_type)
        })
    };
    let columns = arrow.fields().iter().enumerate().map(column);
    Ok(Schema::new(columns.collect::<Result<_>>()?))
}

fn level() -> ZstdLevel {
    ZstdLevel::default()
}

/// Writes a Parquet file of that row group alone.
///
/// # Errors
/// `Encode`.
pub fn write_group(mut group: RowGroup, output: impl Write + Send) -> Result<()> {
    let mut file = begin(output, group.columns(), &[])?;
    let properties = Arc::clone(file.properties());
    let out = file.next_row_group().map_err(Error::encode)?;
    group.end(out, &properties)?;
    file.into_inner().map(drop).map_err(Error::encode)
}

/// Begins a file of those columns.
fn begin<W: Write + Send>(
    output: W,
    columns: &ParquetColumns,
    metadata: &[(String, String)],
) -> Result<SerializedFileWriter<W>> {
    let schema = columns.schema();
    let properties = properties(schema, metadata);
    let writer = ArrowWriter::try_new(output, schema.arrow().clone(), Some(properties));
    let begun = writer.and_then(ArrowWriter::into_serialized_writer).map_err(Error::encode)?;
    Ok(begun.0)
}

fn properties(schema: &Schema, metadata: &[(String, String)]) -> WriterProperties {
    let key_values =
        metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("edxlogs {}", env!("CARGO_PKG_VERSION")))
        // Pages are compressed here: the crate need not prepare for it.
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(key_values));
    for column in schema.columns() {
        let path = ColumnPath::from(column.name.as_str());
        if !column.has_statistics() {
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if column.hint == Hint::Grows {
            // Written as differences.
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_select::concat::concat_batches;
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::statistics::Statistics;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::types::Role;

    /// A text with a dictionary, one that may be null, one without a dictionary, a number, and ids
    /// of persons.
    fn schema() -> Arc<Schema> {
        let column =
            |name, column_type, nullable| Column { nullable, ..Column::new(name, column_type) };
        let event = column("event", ColumnType::Text, true);
        let line = column("line", ColumnType::Int64, false);
        Schema::new(vec![
            column("source", ColumnType::Text, false),
            column("course_id", ColumnType::Text, true),
            Column { hint: Hint::Long, statistics: false, ..event },
            Column { hint: Hint::Grows, ..line },
            Column { role: Some(Role::PersonId), ..column("user_id", ColumnType::Int64, true) },
            Column { role: Some(Role::Username), ..column("username", ColumnType::Text, true) },
        ])
    }

    fn batch(values: &[(String, Option<String>)], first: i64) -> RecordBatch {
        let column = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let lines = Int64Array::from_iter_values(first..first + values.len() as i64);
        let columns = vec![
            column(values.iter().map(|(text, _)| Some(text.as_str())).collect()),
            column(values.iter().map(|(_, text)| text.as_deref()).collect()),
            column(values.iter().map(|(_, text)| text.as_deref()).collect()),
            Arc::new(lines.clone()),
            Arc::new(lines),
            column(values.iter().map(|(text, _)| Some(text.as_str())).collect()),
        ];
        RecordBatch::try_new(schema().arrow().clone(), columns).expect("columns that fit")
    }

    fn written(batches: &[RecordBatch]) -> Bytes {
        let mut writer = ParquetWriter::new(Vec::new(), schema(), &[]).expect("memory");
        for batch in batches {
            writer.write(batch).expect("memory");
        }
        Bytes::from(writer.finish().expect("memory"))
    }

    fn comes_back(batches: &[RecordBatch]) -> std::result::Result<(), TestCaseError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(written(batches)).expect("Parquet");
        let read: Vec<RecordBatch> =
            builder.build().expect("Parquet").map(|batch| batch.expect("rows")).collect();
        let expected = concat_batches(schema().arrow(), batches).expect("one schema");
        prop_assert_eq!(concat_batches(schema().arrow(), &read).expect("one schema"), expected);
        Ok(())
    }

    /// Rows enough for several pages, of so many distinct values, each so many bytes longer.
    fn rows(count: usize, distinct: usize, longer: usize) -> Vec<(String, Option<String>)> {
        let text = |at: usize| format!("{:05}{}", at * 7 % distinct, "é".repeat(longer));
        let row = |at| (text(at), (at % 3 > 0).then(|| text(at + 1)));
        (0..count).map(row).collect()
    }

    #[test]
    fn pages_and_dictionaries_of_every_size_come_back() {
        for (count, distinct, longer) in
            [(1, 1, 0), (19_999, 1, 3), (20_000, 2, 0), (50_000, 300, 9), (45_000, 40_000, 30)]
        {
            let batches: Vec<RecordBatch> = rows(count, distinct, longer)
                .chunks(8192)
                .enumerate()
                .map(|(at, rows)| batch(rows, 8192 * at as i64))
                .collect();
            comes_back(&batches).expect("as written");
        }
        comes_back(&[batch(&rows(ROW_GROUP_ROWS + 10, 500, 2), 0)]).expect("as written");
    }

    #[test]
    fn one_value_many_times_comes_back() {
        let long = "x".repeat(700_000);
        let values = ["a", "", "é", "a", long.as_str(), "b", long.as_str()];
        let mut batches = Vec::new();
        for (at, value) in values.into_iter().enumerate() {
            let count = if value.len() > 10 { 3 } else { 8192 + at };
            for payload in [None, Some(value.to_owned())] {
                let rows = vec![(value.to_owned(), payload); count];
                batches.push(batch(&rows, at as i64));
            }
            // As many bytes, but other ends of values.
            let odd = ["ab", "a", "aba"].map(|text| (text.to_owned(), Some(text.to_owned())));
            batches.push(batch(&odd, 0));
            batches.push(batch(&odd[..1], 0));
        }
        comes_back(&batches).expect("as written");
    }

    #[test]
    fn the_footer_tells_bounds_and_nulls() {
        let long = "m".repeat(100);
        let values = ["k", long.as_str(), "b"].map(|text| (text.to_owned(), Some(text.to_owned())));
        let rows: Vec<_> = values.into_iter().chain([("z".to_owned(), None)]).collect();
        let file = written(&[batch(&rows, 0)]);
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).expect("Parquet");
        let statistics = |at: usize| metadata.row_group(0).column(at).statistics().cloned();
        let Some(Statistics::ByteArray(course)) = statistics(1) else {
            panic!("no statistics of texts");
        };
        assert_eq!(course.min_opt().map(|text| text.data()), Some(&b"b"[..]));
        assert_eq!(course.max_opt(), None, "too long to be told");
        assert_eq!(course.null_count_opt(), Some(1));
        assert!(statistics(2).is_none(), "nobody asks for a range of payloads");
        assert!(statistics(3).is_some(), "a number that names nobody");
        assert!(statistics(4).is_none() && statistics(5).is_none(), "bounds would name persons");
        let hints = |schema: &Schema| -> Vec<_> {
            schema.columns().iter().map(|column| (column.hint, column.has_statistics())).collect()
        };
        let told = schema_of(schema().arrow(), &[&metadata]).expect("types that columns have");
        assert_eq!(hints(&told), hints(&schema()), "the file tells how it was encoded");
        let Some(Statistics::ByteArray(source)) = statistics(0) else {
            panic!("no statistics of texts");
        };
        assert_eq!(source.max_opt().map(|text| text.data()), Some(&b"z"[..]));
    }

    proptest! {
        #[test]
        fn any_rows_come_back(
            parts in proptest::collection::vec(
                proptest::collection::vec(("[a-c]{0,3}", proptest::option::of(".{0,6}")), 1..40),
                1..5,
            ),
        ) {
            let batches: Vec<RecordBatch> = parts.iter().map(|rows| batch(rows, 5)).collect();
            comes_back(&batches)?;
        }
    }
}
