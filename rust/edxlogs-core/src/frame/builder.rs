//! Typed columns in the making, of events and of tables.

use arrow_array::ArrayRef;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};

use crate::frame::types::{ColumnType, Value};

/// Takes the values of a column.
pub trait Push {
    /// Adds a value; about how many bytes it took. What is of another type is null.
    fn push(&mut self, value: Value<'_>) -> usize;
}

impl Push for StringBuilder {
    #[inline(always)]
    fn push(&mut self, value: Value<'_>) -> usize {
        let Value::Text(text) = value else {
            self.append_null();
            return 0;
        };
        push_text(self, &text)
    }
}

/// Adds a text; about how many bytes it took.
#[inline(always)]
pub fn push_text(builder: &mut StringBuilder, text: &str) -> usize {
    builder.append_value(text);
    4 + text.len()
}

macro_rules! push {
    ($($builder:ty: $value:ident),*) => {$(
        impl Push for $builder {
            #[inline(always)]
            fn push(&mut self, value: Value<'_>) -> usize {
                match value {
                    Value::$value(value) => self.append_value(value),
                    _ => self.append_null(),
                }
                8
            }
        }
    )*};
}

push! {
    Int64Builder: Int, Float64Builder: Float, BooleanBuilder: Bool,
    TimestampMicrosecondBuilder: Time, Date32Builder: Day
}

/// One column in the making.
pub enum ColumnBuilder {
    /// Text, or JSON.
    Text(StringBuilder),
    /// Integers.
    Int64(Int64Builder),
    /// Numbers.
    Float64(Float64Builder),
    /// Truth values.
    Bool(BooleanBuilder),
    /// Moments.
    Timestamp(TimestampMicrosecondBuilder),
    /// Days.
    Date(Date32Builder),
}

impl ColumnBuilder {
    /// An empty one.
    pub fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Text | ColumnType::Json => Self::Text(StringBuilder::new()),
            ColumnType::Int64 => Self::Int64(Int64Builder::new()),
            ColumnType::Float64 => Self::Float64(Float64Builder::new()),
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Timestamp => Self::Timestamp(timestamps(0)),
            ColumnType::Date => Self::Date(Date32Builder::new()),
        }
    }

    /// Adds a value; about how many bytes it took.
    #[inline]
    pub fn push(&mut self, value: Value<'_>) -> usize {
        match self {
            Self::Text(builder) => builder.push(value),
            Self::Int64(builder) => builder.push(value),
            Self::Float64(builder) => builder.push(value),
            Self::Bool(builder) => builder.push(value),
            Self::Timestamp(builder) => builder.push(value),
            Self::Date(builder) => builder.push(value),
        }
    }

    /// Adds so many nulls.
    pub fn push_nulls(&mut self, count: usize) {
        match self {
            Self::Text(builder) => builder.append_nulls(count),
            Self::Int64(builder) => builder.append_nulls(count),
            Self::Float64(builder) => builder.append_nulls(count),
            Self::Bool(builder) => builder.append_nulls(count),
            Self::Timestamp(builder) => builder.append_nulls(count),
            Self::Date(builder) => builder.append_nulls(count),
        }
    }

    /// The values; the builder is empty after.
    pub fn finish(&mut self) -> ArrayRef {
        // The next batch will need about as much room.
        match self {
            Self::Text(builder) => {
                let bytes = builder.values_slice().len();
                finish(builder, |rows| StringBuilder::with_capacity(rows, bytes + bytes / 8))
            }
            Self::Int64(builder) => finish(builder, Int64Builder::with_capacity),
            Self::Float64(builder) => finish(builder, Float64Builder::with_capacity),
            Self::Bool(builder) => finish(builder, BooleanBuilder::with_capacity),
            Self::Timestamp(builder) => finish(builder, timestamps),
            Self::Date(builder) => finish(builder, Date32Builder::with_capacity),
        }
    }
}

fn timestamps(rows: usize) -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")
}

/// The array of a builder, in whose place comes another for as many rows.
fn finish<B: ArrayBuilder>(builder: &mut B, next: impl FnOnce(usize) -> B) -> ArrayRef {
    let next = next(builder.len());
    ArrayBuilder::finish(&mut std::mem::replace(builder, next))
}
