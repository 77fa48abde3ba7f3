//! Rows as JSON Lines: an object a row, every column in it, null where there is no value.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use crate::json::text::push_json_string;
use crate::time;

/// What stands before the values of a row.
pub struct Keys(Vec<Vec<u8>>);

/// Appends the rows, a line each.
pub fn push_rows(batch: &RecordBatch, out: &mut Vec<u8>) {
    let keys = Keys::of(batch);
    for row in 0..batch.num_rows() {
        keys.push_row(batch, row, out);
    }
}

impl Keys {
    /// Those of the rows of a batch.
    pub fn of(batch: &RecordBatch) -> Self {
        let schema = batch.schema();
        let keys = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| {
                let mut key = vec![if at == 0 { b'{' } else { b',' }];
                push_json_string(field.name(), &mut key);
                key.push(b':');
                key
            })
            .collect();
        Self(keys)
    }

    /// Appends a row of such a batch.
    pub fn push_row(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        for (key, column) in self.0.iter().zip(batch.columns()) {
            out.extend_from_slice(key);
            push_value(column, row, out);
        }
        out.extend_from_slice(b"}\n");
    }
}

fn push_value(column: &dyn Array, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    // Writing to memory does not fail.
    let _ = match column.data_type() {
        DataType::Utf8 => {
            push_json_string(column.as_string::<i32>().value(row), out);
            Ok(())
        }
        DataType::Int64 => write!(out, "{}", column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => write!(out, "{:?}", column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => write!(out, "{}", column.as_boolean().value(row)),
        DataType::Date32 => {
            out.push(b'"');
            time::push_day(column.as_primitive::<Date32Type>().value(row).into(), out);
            out.push(b'"');
            Ok(())
        }
        _ => {
            out.push(b'"');
            time::push_iso(column.as_primitive::<TimestampMicrosecondType>().value(row), out);
            out.push(b'"');
            Ok(())
        }
    };
}
