//! Kept events to Arrow batches.

use std::borrow::Cow;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::fields::Field;
use crate::frame::builder::ColumnBuilder;
use crate::frame::types::Value;
use crate::query::projection::{Expr, Place, Projection};

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
        let columns = projection.columns().iter();
        let columns = columns.map(|c| ColumnBuilder::new(c.expr.column_type())).collect();
        let copies = projection.columns().iter().map(|column| match column.expr {
            Expr::Column(column) => column.copies(),
            _ => None,
        });
        let copies = copies.collect();
        Self {
            projection,
            schema: projection.schema().arrow().clone(),
            columns,
            copies,
            rows: 0,
            bytes: 0,
        }
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
