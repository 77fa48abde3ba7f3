//! Typed columns of a table in the making.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::tables::value::Value;
use crate::tables::{Column, ColumnType, Origin, Table};
use crate::text::push_json_string;

/// Rows are handed on when this many are gathered, …
const BATCH_ROWS: usize = 8192;

/// … or this many bytes of them.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Gathers rows, and gives them as batches.
pub struct TableBuilder<'t> {
    schema: SchemaRef,
    origin: &'t Origin,
    names: Vec<&'t str>,
    columns: Vec<ColumnBuilder>,
    site: StringBuilder,
    package: StringBuilder,
    day: Date32Builder,
    member: StringBuilder,
    row: Int64Builder,
    extra: StringBuilder,
    misfits: StringBuilder,
    /// Objects of the row under way, without their last brace.
    extra_object: Vec<u8>,
    misfits_object: Vec<u8>,
    bytes: usize,
    batches: Vec<RecordBatch>,
}

impl<'t> TableBuilder<'t> {
    /// A builder of the columns of `table`.
    pub fn new(table: &'t Table, schema: SchemaRef, origin: &'t Origin) -> Self {
        Self {
            schema,
            origin,
            names: table.columns.iter().map(|column| column.name.as_str()).collect(),
            columns: table.columns.iter().map(ColumnBuilder::new).collect(),
            site: StringBuilder::new(),
            package: StringBuilder::new(),
            day: Date32Builder::new(),
            member: StringBuilder::new(),
            row: Int64Builder::new(),
            extra: StringBuilder::new(),
            misfits: StringBuilder::new(),
            extra_object: Vec::new(),
            misfits_object: Vec::new(),
            bytes: 0,
            batches: Vec::new(),
        }
    }

    /// Sets a column of the row under way. Each column must be set once.
    pub fn push(&mut self, column: usize, value: Value<'_>) {
        self.bytes += self.columns[column].push(value);
    }

    /// Sets a column to null, and keeps its text aside.
    pub fn push_misfit(&mut self, column: usize, text: &str) {
        self.columns[column].push(Value::Null);
        push_member(&mut self.misfits_object, self.names[column], text);
        self.bytes += text.len();
    }

    /// Keeps a value that the table has no column for.
    pub fn push_extra(&mut self, name: &str, text: &str) {
        push_member(&mut self.extra_object, name, text);
        self.bytes += text.len();
    }

    /// Keeps an object, as JSON, of what the table has no columns for.
    pub fn push_extra_json(&mut self, object: &str) {
        self.extra_object.extend_from_slice(&object.as_bytes()[..object.len() - 1]);
        self.bytes += object.len();
    }

    /// Ends the row of that number.
    ///
    /// # Errors
    /// `Internal`, should a column be left out.
    pub fn end_row(&mut self, row: u64) -> Result<()> {
        self.site.append_option(self.origin.site.as_deref());
        self.package.append_value(&self.origin.package);
        self.day.append_option(self.origin.day);
        self.member.append_value(&self.origin.member);
        self.row.append_value(i64::try_from(row).unwrap_or(i64::MAX));
        append_object(&mut self.extra, &mut self.extra_object);
        append_object(&mut self.misfits, &mut self.misfits_object);
        if self.row.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.end_batch()?;
        }
        Ok(())
    }

    fn end_batch(&mut self) -> Result<()> {
        self.bytes = 0;
        let mut columns: Vec<ArrayRef> =
            self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        columns.push(Arc::new(self.site.finish()));
        columns.push(Arc::new(self.package.finish()));
        columns.push(Arc::new(self.day.finish()));
        columns.push(Arc::new(self.member.finish()));
        columns.push(Arc::new(self.row.finish()));
        columns.push(Arc::new(self.extra.finish()));
        columns.push(Arc::new(self.misfits.finish()));
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| Error::internal(error.to_string()))?;
        self.batches.push(batch);
        Ok(())
    }

    /// The batches that are full.
    pub fn take_full(&mut self) -> std::vec::Drain<'_, RecordBatch> {
        self.batches.drain(..)
    }

    /// The last rows, which fill no batch.
    ///
    /// # Errors
    /// `Internal`, should a column be left out.
    pub fn finish(&mut self) -> Result<std::vec::Drain<'_, RecordBatch>> {
        if self.row.len() > 0 {
            self.end_batch()?;
        }
        Ok(self.batches.drain(..))
    }
}

fn push_member(object: &mut Vec<u8>, name: &str, text: &str) {
    object.push(if object.is_empty() { b'{' } else { b',' });
    push_json_string(name, object);
    object.push(b':');
    push_json_string(text, object);
}

fn append_object(column: &mut StringBuilder, object: &mut Vec<u8>) {
    if object.is_empty() {
        column.append_null();
        return;
    }
    object.push(b'}');
    column.append_value(String::from_utf8_lossy(object));
    object.clear();
}

/// One column.
enum ColumnBuilder {
    Text(StringBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
}

impl ColumnBuilder {
    fn new(column: &Column) -> Self {
        match column.column_type {
            ColumnType::Text | ColumnType::Json => Self::Text(StringBuilder::new()),
            ColumnType::Int64 => Self::Int64(Int64Builder::new()),
            ColumnType::Float64 => Self::Float64(Float64Builder::new()),
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            ColumnType::Date => Self::Date(Date32Builder::new()),
        }
    }

    /// Adds a value; about how many bytes it took. What is of another type is null.
    fn push(&mut self, value: Value<'_>) -> usize {
        match (self, value) {
            (Self::Text(builder), Value::Text(text)) => {
                builder.append_value(&text);
                return 4 + text.len();
            }
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Int64(builder), Value::Int(number)) => builder.append_value(number),
            (Self::Int64(builder), _) => builder.append_null(),
            (Self::Float64(builder), Value::Float(number)) => builder.append_value(number),
            (Self::Float64(builder), _) => builder.append_null(),
            (Self::Bool(builder), Value::Bool(truth)) => builder.append_value(truth),
            (Self::Bool(builder), _) => builder.append_null(),
            (Self::Timestamp(builder), Value::Int(micros)) => builder.append_value(micros),
            (Self::Timestamp(builder), _) => builder.append_null(),
            (Self::Date(builder), Value::Day(day)) => builder.append_value(day),
            (Self::Date(builder), _) => builder.append_null(),
        }
        8
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => {
                // The next batch will need about as much.
                let room = (builder.len(), builder.values_slice().len());
                let next = StringBuilder::with_capacity(room.0, room.1 + room.1 / 8);
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
        }
    }
}
