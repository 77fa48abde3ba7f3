//! Kept events to Arrow batches.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::fields::Field;
use crate::query::projection::{ColumnType, Expr, Place, Projection, Value};

/// Gathers the columns of kept events, and gives them as a batch.
pub struct BatchBuilder<'q> {
    projection: &'q Projection,
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    /// Of each column, the fields it copies, if it only copies.
    copies: Vec<Option<(Field, Field)>>,
    rows: usize,
    bytes: usize,
}

impl<'q> BatchBuilder<'q> {
    /// A builder of the columns of `projection`.
    pub fn new(projection: &'q Projection) -> Self {
        let column = |column_type: ColumnType| ColumnBuilder::new(column_type);
        let columns = projection.columns().iter().map(|c| column(c.expr.column_type())).collect();
        let copies = projection.columns().iter().map(|column| match column.expr {
            Expr::Column(column) => column.copies(),
            _ => None,
        });
        let copies = copies.collect();
        Self { projection, schema: projection.schema(), columns, copies, rows: 0, bytes: 0 }
    }

    /// Adds the row of one event.
    pub fn push(&mut self, event: &Event<'_>, place: Place<'_>) {
        let columns = self.projection.columns().iter().zip(&self.copies);
        for (builder, (column, &copies)) in self.columns.iter_mut().zip(columns) {
            let plain = copies.and_then(|(field, copy)| event.plain_text(field, copy));
            self.bytes += builder.push(match plain {
                Some(text) => Value::Text(Cow::Borrowed(text)),
                None => column.expr.value(event, place),
            });
        }
        self.rows += 1;
    }

    /// Rows gathered.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes gathered, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows gathered as one batch; the builder is empty after.
    ///
    /// # Errors
    /// `Internal`, should the columns not fit each other.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| Error::internal(error.to_string()))
    }
}

/// One column in the making.
enum ColumnBuilder {
    Text(StringBuilder),
    Int64(Int64Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Float64(Float64Builder),
    Bool(BooleanBuilder),
}

impl ColumnBuilder {
    fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Int64 => Self::Int64(Int64Builder::new()),
            ColumnType::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            ColumnType::Float64 => Self::Float64(Float64Builder::new()),
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
        }
    }

    /// Adds a value; about how many bytes it took. A value of another type than the column's cannot
    /// come, and would be null.
    fn push(&mut self, value: Value<'_>) -> usize {
        match (self, value) {
            (Self::Text(builder), Value::Text(text)) => {
                builder.append_value(&text);
                return 4 + text.len();
            }
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Int64(builder), Value::Int(number)) => builder.append_value(number),
            (Self::Int64(builder), _) => builder.append_null(),
            (Self::Timestamp(builder), Value::Time(micros)) => builder.append_value(micros),
            (Self::Timestamp(builder), _) => builder.append_null(),
            (Self::Float64(builder), Value::Float(number)) => builder.append_value(number),
            (Self::Float64(builder), _) => builder.append_null(),
            (Self::Bool(builder), Value::Bool(truth)) => builder.append_value(truth),
            (Self::Bool(builder), _) => builder.append_null(),
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
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Bool(builder) => Arc::new(builder.finish()),
        }
    }
}
