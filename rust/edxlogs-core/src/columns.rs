//! Kept events to Arrow batches.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::schema::{ColumnType, Place, Projection, Value};

/// Gathers the columns of kept events, and gives them as a batch.
pub struct BatchBuilder<'q> {
    projection: &'q Projection,
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
}

impl<'q> BatchBuilder<'q> {
    /// A builder of the columns of `projection`.
    pub fn new(projection: &'q Projection) -> Self {
        let column = |column_type: ColumnType| ColumnBuilder::new(column_type);
        let columns = projection.columns().iter().map(|c| column(c.expr.column_type())).collect();
        Self { projection, schema: projection.schema(), columns, rows: 0, bytes: 0 }
    }

    /// Adds the row of one event.
    pub fn push(&mut self, event: &Event<'_>, place: Place<'_>) {
        for (builder, column) in self.columns.iter_mut().zip(self.projection.columns()) {
            self.bytes += builder.push(column.expr.value(event, place));
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
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<_>>()?;
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| Error::internal(error.to_string()))
    }
}

/// One column in the making.
struct ColumnBuilder {
    nulls: NullBufferBuilder,
    values: Values,
}

enum Values {
    Text { bytes: Vec<u8>, offsets: Vec<i32> },
    Int64(Vec<i64>),
    Timestamp(Vec<i64>),
    Float64(Vec<f64>),
    Bool(Vec<bool>),
}

impl ColumnBuilder {
    fn new(column_type: ColumnType) -> Self {
        let values = match column_type {
            ColumnType::Text => Values::Text { bytes: Vec::new(), offsets: vec![0] },
            ColumnType::Int64 => Values::Int64(Vec::new()),
            ColumnType::Timestamp => Values::Timestamp(Vec::new()),
            ColumnType::Float64 => Values::Float64(Vec::new()),
            ColumnType::Bool => Values::Bool(Vec::new()),
        };
        Self { nulls: NullBufferBuilder::new(0), values }
    }

    /// Adds a value; about how many bytes it took. A value of another type than the column's cannot
    /// come, and would be null.
    fn push(&mut self, value: Value<'_>) -> usize {
        let (valid, bytes) = match (&mut self.values, value) {
            (Values::Text { bytes, offsets }, value) => {
                let text = if let Value::Text(text) = &value { Some(text) } else { None };
                bytes.extend_from_slice(text.map_or(b"", |text| text.as_bytes()));
                // A batch is finished long before 2 GiB.
                offsets.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
                (text.is_some(), 4 + text.map_or(0, |text| text.len()))
            }
            (Values::Int64(values), value) => {
                let number = if let Value::Int(number) = value { Some(number) } else { None };
                values.push(number.unwrap_or_default());
                (number.is_some(), 8)
            }
            (Values::Timestamp(values), value) => {
                let micros = if let Value::Time(micros) = value { Some(micros) } else { None };
                values.push(micros.unwrap_or_default());
                (micros.is_some(), 8)
            }
            (Values::Float64(values), value) => {
                let number = if let Value::Float(number) = value { Some(number) } else { None };
                values.push(number.unwrap_or_default());
                (number.is_some(), 8)
            }
            (Values::Bool(values), value) => {
                let truth = if let Value::Bool(truth) = value { Some(truth) } else { None };
                values.push(truth.unwrap_or_default());
                (truth.is_some(), 1)
            }
        };
        self.nulls.append(valid);
        bytes
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let nulls = self.nulls.finish();
        Ok(match &mut self.values {
            Values::Text { bytes, offsets } => {
                let room = bytes.len() + bytes.len() / 8;
                let rows = offsets.len();
                let bytes = std::mem::replace(bytes, Vec::with_capacity(room));
                let mut next = Vec::with_capacity(rows);
                next.push(0);
                let offsets = std::mem::replace(offsets, next);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                let array = StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls)
                    .map_err(|error| Error::internal(error.to_string()))?;
                Arc::new(array)
            }
            Values::Int64(values) => {
                Arc::new(Int64Array::new(ScalarBuffer::from(std::mem::take(values)), nulls))
            }
            Values::Timestamp(values) => {
                let values = ScalarBuffer::from(std::mem::take(values));
                Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone("UTC"))
            }
            Values::Float64(values) => {
                Arc::new(Float64Array::new(ScalarBuffer::from(std::mem::take(values)), nulls))
            }
            Values::Bool(values) => {
                Arc::new(BooleanArray::new(std::mem::take(values).into(), nulls))
            }
        })
    }
}
