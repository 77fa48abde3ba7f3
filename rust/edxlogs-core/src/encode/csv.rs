//! CSV that can be read back without loss: RFC 4180 quoting, LF line ends. Null is an empty cell;
//! empty text is a quoted one, `""`. TSV is the same with tabs for commas.
//!
//! Where there is one column alone, an empty cell would be an empty line, which many readers pass
//! over. There null is `""`, or in a column of text, where that is empty text, the bare word `NULL`;
//! text that is `NULL` or blank is quoted.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};

use super::CsvStyle;
use crate::time;

/// Characters that make a spreadsheet run a cell as a formula.
const FORMULA_STARTS: [u8; 6] = [b'=', b'+', b'-', b'@', b'\t', b'\r'];

/// Null in a file of one column of text.
const LONE_NULL: &str = "NULL";

/// Appends the line of column names.
pub fn push_header(schema: &Schema, style: CsvStyle, out: &mut Vec<u8>) {
    let style = CsvStyle { excel_safe: false, ..style };
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            out.push(style.separator);
        }
        push_text(field.name(), false, style, out);
    }
    out.push(b'\n');
}

/// Appends the rows. Text that a spreadsheet would run gets a `'` in front, if it is to be safe.
pub fn push_rows(batch: &RecordBatch, style: CsvStyle, out: &mut Vec<u8>) {
    for row in 0..batch.num_rows() {
        push_row(batch, row, style, out);
    }
}

/// Appends one of the rows.
pub fn push_row(batch: &RecordBatch, row: usize, style: CsvStyle, out: &mut Vec<u8>) {
    let is_alone = batch.num_columns() == 1;
    for (at, column) in batch.columns().iter().enumerate() {
        if at > 0 {
            out.push(style.separator);
        }
        if column.is_null(row) {
            if is_alone {
                let is_text = *column.data_type() == DataType::Utf8;
                out.extend_from_slice(if is_text { LONE_NULL.as_bytes() } else { b"\"\"" });
            }
            continue;
        }
        match column.data_type() {
            DataType::Utf8 => {
                let text = column.as_string::<i32>().value(row);
                let quoted = is_alone && (text == LONE_NULL || text.trim_ascii().is_empty());
                push_text(text, quoted, style, out);
            }
            DataType::Int64 => {
                // Writing to memory does not fail.
                let _ = write!(out, "{}", column.as_primitive::<Int64Type>().value(row));
            }
            DataType::Float64 => {
                let _ = write!(out, "{:?}", column.as_primitive::<Float64Type>().value(row));
            }
            DataType::Boolean => {
                let _ = write!(out, "{}", column.as_boolean().value(row));
            }
            DataType::Date32 => {
                time::push_day(column.as_primitive::<Date32Type>().value(row).into(), out);
            }
            _ => {
                let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
                time::push_iso(micros, out);
            }
        }
    }
    out.push(b'\n');
}

fn push_text(text: &str, quoted: bool, style: CsvStyle, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let special = |byte: &u8| matches!(byte, b'"' | b'\n' | b'\r') || *byte == style.separator;
    let quoted = quoted || bytes.is_empty() || bytes.iter().any(special);
    if quoted {
        out.push(b'"');
    }
    if style.excel_safe && bytes.first().is_some_and(|first| FORMULA_STARTS.contains(first)) {
        out.push(b'\'');
    }
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"\"\"");
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    if quoted {
        out.push(b'"');
    }
}
