//! The rows of a row group under way: text is encoded as it comes, numbers wait as they are, since
//! they are small.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use parquet::arrow::ArrowSchemaConverter;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::SchemaDescriptor;

use super::text::{TextColumn, TextOptions};
use super::{ROW_GROUP_BYTES, ROW_GROUP_ROWS, numbers};
use crate::error::{Error, Result};
use crate::frame::nulls;
use crate::frame::types::{Hint, Schema};

/// The columns of a schema, as Parquet has them.
pub struct ParquetColumns {
    schema: Arc<Schema>,
    parquet: SchemaDescriptor,
}

impl ParquetColumns {
    /// Those of that schema.
    ///
    /// # Errors
    /// `Encode`, for types that Parquet lacks.
    pub fn new(schema: Arc<Schema>) -> Result<Arc<Self>> {
        let parquet = ArrowSchemaConverter::new().convert(schema.arrow()).map_err(Error::encode)?;
        Ok(Arc::new(Self { schema, parquet }))
    }

    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }
}

/// A column of a row group.
enum ColumnValues {
    Text(Box<TextColumn>),
    /// Any other: its values as they came.
    Other(Vec<ArrayRef>),
}

/// Rows of a row group under way.
pub struct RowGroup {
    columns: Arc<ParquetColumns>,
    values: Vec<ColumnValues>,
    rows: usize,
}

impl RowGroup {
    /// One without rows. Pages of plain text end at about `page_bytes`.
    pub fn new(columns: &Arc<ParquetColumns>, page_bytes: usize) -> Self {
        let pairs = columns.schema.columns().iter().zip(columns.parquet.columns());
        let values = pairs.map(|(column, descr)| {
            let options = TextOptions {
                dictionary: column.hint != Hint::Long,
                statistics: column.has_statistics(),
                page_bytes,
            };
            match column.column_type.arrow() {
                DataType::Utf8 => {
                    ColumnValues::Text(Box::new(TextColumn::new(descr.clone(), options)))
                }
                _ => ColumnValues::Other(Vec::new()),
            }
        });
        Self { columns: Arc::clone(columns), values: values.collect(), rows: 0 }
    }

    /// Its rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory it takes, about; they follow from its rows alone.
    pub fn memory_bytes(&self) -> usize {
        let bytes = self.values.iter().map(|column| match column {
            ColumnValues::Text(text) => text.memory_bytes(),
            ColumnValues::Other(_) => size_of::<i64>() * self.rows,
        });
        bytes.sum()
    }

    /// Whether no row group should get larger.
    pub fn is_full(&self) -> bool {
        let bytes = self.values.iter().map(|column| match column {
            ColumnValues::Text(text) => text.encoded_bytes(),
            ColumnValues::Other(_) => size_of::<i64>() * self.rows,
        });
        self.rows >= ROW_GROUP_ROWS || bytes.sum::<usize>() >= ROW_GROUP_BYTES
    }

    pub(super) fn columns(&self) -> &ParquetColumns {
        &self.columns
    }

    /// Adds all rows of a batch.
    ///
    /// # Errors
    /// `Encode`.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for (column, array) in self.values.iter_mut().zip(batch.columns()) {
            match column {
                ColumnValues::Text(text) => {
                    text.write(array.as_string()).map_err(Error::encode)?;
                }
                ColumnValues::Other(arrays) => arrays.push(Arc::clone(array)),
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Adds some rows of some batches: (number of the batch, row).
    ///
    /// # Errors
    /// `Encode`.
    pub fn write_rows(&mut self, batches: &[RecordBatch], places: &[(usize, usize)]) -> Result<()> {
        for (at, column) in self.values.iter_mut().enumerate() {
            let is_null = nulls::is_null_in(batches, at);
            let nothing = || {
                let field = self.columns.schema.arrow().field(at);
                nulls::null_array(field.data_type(), places.len())
            };
            match column {
                ColumnValues::Text(text) if is_null => {
                    text.write(nothing().as_string()).map_err(Error::encode)?;
                }
                ColumnValues::Other(chosen) if is_null => chosen.push(nothing()),
                ColumnValues::Text(text) => {
                    let arrays: Vec<&StringArray> =
                        batches.iter().map(|batch| batch.column(at).as_string()).collect();
                    text.write_rows(&arrays, places).map_err(Error::encode)?;
                }
                ColumnValues::Other(chosen) => {
                    let arrays: Vec<&dyn Array> =
                        batches.iter().map(|batch| &**batch.column(at)).collect();
                    chosen.push(interleave(&arrays, places).map_err(Error::encode)?);
                }
            }
        }
        self.rows += places.len();
        Ok(())
    }

    /// Writes it to a file of those properties. It is empty then, and takes the next one.
    pub(super) fn end<W: std::io::Write + Send>(
        &mut self,
        mut out: SerializedRowGroupWriter<'_, W>,
        properties: &WriterPropertiesPtr,
    ) -> Result<()> {
        for (column, descr) in self.values.iter_mut().zip(self.columns.parquet.columns()) {
            let closed = match column {
                ColumnValues::Text(text) => text.close(),
                ColumnValues::Other(arrays) => {
                    let closed = numbers::encode(arrays, descr, properties);
                    arrays.clear();
                    closed
                }
            };
            let (chunk, close) = closed.map_err(Error::encode)?;
            out.append_column(&chunk, close).map_err(Error::encode)?;
        }
        out.close().map_err(Error::encode)?;
        self.rows = 0;
        Ok(())
    }
}
