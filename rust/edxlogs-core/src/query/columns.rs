//! Kept events to Arrow batches.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::column::EventPlace;
use crate::event::fields::Field;
use crate::frame::builder::{ColumnBuilder, push_text};
use crate::query::projection::{Expr, Projection};

/// Numbers that go beside the rows of a batch, and are not written.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The number of each row's partition; a list for each of what rows are told apart by.
    pub partitions: Vec<Vec<u32>>,
    /// With several queries, of each row its line, and which of them want it: a bit for each.
    pub wanted: Vec<(u64, u64)>,
}

impl Beside {
    /// For so many ways to tell rows apart.
    fn new(ways: usize) -> Self {
        Self { partitions: vec![Vec::new(); ways], wanted: Vec::new() }
    }

    /// Adds the numbers of rows that come after.
    pub(crate) fn append(&mut self, after: Self) {
        self.partitions.resize(after.partitions.len(), Vec::new());
        for (mine, more) in self.partitions.iter_mut().zip(after.partitions) {
            mine.extend(more);
        }
        self.wanted.extend(after.wanted);
    }
}

/// Gathers the columns of kept events, and gives them as a batch.
pub struct BatchBuilder<'q> {
    projection: &'q Projection,
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    /// Of each column, the fields it copies, if it only copies.
    copies: Vec<Option<(Field, Field)>>,
    beside: Beside,
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
        let schema = projection.schema().arrow().clone();
        let beside = Beside::new(projection.partitions.len());
        Self { projection, schema, columns, copies, beside, rows: 0, bytes: 0 }
    }

    /// Adds the row of one event.
    pub fn push(&mut self, event: &Event<'_>, place: EventPlace<'_>) {
        let columns = self.projection.columns().iter().zip(&self.copies);
        for (builder, (column, &copies)) in self.columns.iter_mut().zip(columns) {
            let plain = copies.and_then(|(field, copy)| event.plain_text(field, copy));
            self.bytes += match (plain, builder) {
                (Some(text), ColumnBuilder::Text(builder)) => push_text(builder, text),
                (_, builder) => builder.push(column.expr.value(event, place)),
            };
        }
        let partitions = self.projection.partitions.iter();
        for (numbers, partitions) in self.beside.partitions.iter_mut().zip(partitions) {
            numbers.push(partitions.number(event, place));
        }
        if self.projection.tells_queries {
            self.beside.wanted.push((place.line, place.wanted));
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

    /// The rows gathered as one batch, and what goes beside them; the builder is empty after.
    ///
    /// # Errors
    /// `Internal`, should the columns not fit each other.
    pub fn finish(&mut self) -> Result<(RecordBatch, Beside)> {
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        self.rows = 0;
        self.bytes = 0;
        let next = Beside::new(self.projection.partitions.len());
        let beside = std::mem::replace(&mut self.beside, next);
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok((batch, beside))
    }
}
