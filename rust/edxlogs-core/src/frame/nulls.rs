//! Columns that hold nothing: a table of events has many of them in a stretch of rows, and they
//! should cost nothing.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef, TimeUnit};
use arrow_select::concat::concat;
use arrow_select::interleave::interleave;

/// Most rows whose nulls share one buffer.
const SHARED_ROWS: usize = 16 * 1024;

static ZEROS: LazyLock<Buffer> =
    LazyLock::new(|| Buffer::from(vec![0u8; (SHARED_ROWS + 1) * size_of::<i64>()]));

/// So many nulls.
pub fn null_array(data_type: &DataType, rows: usize) -> ArrayRef {
    if rows > SHARED_ROWS {
        return new_null_array(data_type, rows);
    }
    let bits = || BooleanBuffer::new(ZEROS.clone(), 0, rows);
    let nulls = || Some(NullBuffer::new(bits()));
    match data_type {
        DataType::Utf8 => {
            let offsets = OffsetBuffer::new(ScalarBuffer::new(ZEROS.clone(), 0, rows + 1));
            Arc::new(StringArray::new(offsets, Buffer::default(), nulls()))
        }
        DataType::Int64 => {
            Arc::new(Int64Array::new(ScalarBuffer::new(ZEROS.clone(), 0, rows), nulls()))
        }
        DataType::Float64 => {
            Arc::new(Float64Array::new(ScalarBuffer::new(ZEROS.clone(), 0, rows), nulls()))
        }
        DataType::Date32 => {
            Arc::new(Date32Array::new(ScalarBuffer::new(ZEROS.clone(), 0, rows), nulls()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let values = ScalarBuffer::new(ZEROS.clone(), 0, rows);
            let moments = TimestampMicrosecondArray::new(values, nulls());
            Arc::new(moments.with_timezone_opt(zone.clone()))
        }
        DataType::Boolean => Arc::new(BooleanArray::new(bits(), nulls())),
        other => new_null_array(other, rows),
    }
}

/// Whether an array holds nothing.
pub fn is_null(array: &dyn Array) -> bool {
    array.null_count() == array.len()
}

/// Whether a column of some batches holds nothing.
pub fn is_null_in(batches: &[RecordBatch], column: usize) -> bool {
    batches.iter().all(|batch| is_null(batch.column(column)))
}

/// Rows of some batches, of which there is one or more: (number of the batch, row).
///
/// # Errors
/// Those of Arrow, should the batches not fit each other.
pub fn chosen(
    batches: &[RecordBatch],
    places: &[(usize, usize)],
) -> Result<RecordBatch, ArrowError> {
    columns(batches, places.len(), |arrays| interleave(arrays, places))
}

/// Batches that follow each other, one or more, as one.
///
/// # Errors
/// Those of Arrow, should the batches not fit each other.
pub fn joined(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    columns(batches, rows, concat)
}

fn columns(
    batches: &[RecordBatch],
    rows: usize,
    make: impl Fn(&[&dyn Array]) -> Result<ArrayRef, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let Some(first) = batches.first() else {
        return Err(ArrowError::InvalidArgumentError("no batches".to_owned()));
    };
    let schema = first.schema();
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        if is_null_in(batches, at) {
            return Ok(null_array(field.data_type(), rows));
        }
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| &**batch.column(at)).collect();
        make(&arrays)
    });
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema, columns)
}

/// The same rows without the columns that hold nothing in any of them.
///
/// # Errors
/// Those of Arrow.
pub fn filled(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    // One column is left, which says how many rows there are.
    let is_filled = |&at: &usize| at == 0 || !is_null(batch.column(at));
    batch.project(&(0..batch.num_columns()).filter(is_filled).collect::<Vec<_>>())
}

/// A batch of some columns of a schema, with the others, which are null.
///
/// # Errors
/// Those of Arrow, should a column not be null that is missing.
pub fn completed(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if batch.num_columns() == schema.fields().len() {
        return Ok(batch.clone());
    }
    let columns = schema.fields().iter().map(|field| {
        let there = batch.column_by_name(field.name()).cloned();
        there.unwrap_or_else(|| null_array(field.data_type(), batch.num_rows()))
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::types::ColumnType;

    #[test]
    fn nulls_are_those_of_arrow() {
        for &column_type in ColumnType::ALL {
            let data_type = column_type.arrow();
            for rows in [0, 1, 9, SHARED_ROWS, SHARED_ROWS + 1] {
                let array = null_array(&data_type, rows);
                assert_eq!(&array, &new_null_array(&data_type, rows), "{column_type:?}, {rows}");
                assert!(is_null(&array));
            }
        }
    }
}
