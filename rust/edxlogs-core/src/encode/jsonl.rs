//! Rows as JSON Lines: an object a row, every column in it, null where there is no value.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use crate::json::text::push_json_string;
use crate::time;

/// Appends the rows, a line each.
pub fn push_rows(batch: &RecordBatch, out: &mut Vec<u8>) {
    let schema = batch.schema();
    let keys: Vec<Vec<u8>> = schema
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
    for row in 0..batch.num_rows() {
        for (key, column) in keys.iter().zip(batch.columns()) {
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
