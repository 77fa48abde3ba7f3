//! Typed columns of a table in the making.

use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, Int64Builder, StringBuilder};
use arrow_array::{Array, ArrayRef, Date32Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;

use crate::database::Table;
use crate::error::{Error, Result};
use crate::frame::builder::ColumnBuilder;
use crate::frame::source::SourceInfo;
use crate::frame::types::Value;
use crate::json::text::push_json_string;

/// Rows are handed on when this many are gathered, …
const BATCH_ROWS: usize = 8192;

/// … or this many bytes of them.
const BATCH_BYTES: usize = 512 * 1024;

/// Gathers rows, and gives them as batches.
pub struct TableBuilder<'t> {
    schema: SchemaRef,
    names: Vec<&'t str>,
    columns: Vec<ColumnBuilder>,
    /// What is the same in all rows, as often as a batch has rows.
    place: Vec<ArrayRef>,
    /// The course of the file, and its column, where it stands in place of the rows' own.
    course: Option<(usize, ArrayRef)>,
    row: Int64Builder,
    extra: Objects,
    misfits: Objects,
    bytes: usize,
    batches: Vec<RecordBatch>,
}

impl<'t> TableBuilder<'t> {
    /// A builder of the columns of `table`.
    pub fn new(table: &'t Table, schema: SchemaRef, source: &SourceInfo) -> Self {
        let day = source.day.and_then(|day| day.try_into().ok());
        let of_file = table.has_course.then(|| repeated(source.course.as_deref()));
        let (of_file, course) = match table.own_course() {
            Some(own) => (None, of_file.filter(|_| source.course.is_some()).map(|its| (own, its))),
            None => (of_file, None),
        };
        let place: [ArrayRef; 4] = [
            repeated(source.site.as_deref()),
            repeated(source.package.as_deref()),
            Arc::new(Date32Array::from(vec![day; BATCH_ROWS])),
            repeated(Some(&source.name)),
        ];
        Self {
            schema,
            names: table.columns.iter().map(|column| column.name.as_str()).collect(),
            columns: table.columns.iter().map(|c| ColumnBuilder::new(c.column_type)).collect(),
            place: of_file.into_iter().chain(place).collect(),
            course,
            row: Int64Builder::new(),
            extra: Objects::default(),
            misfits: Objects::default(),
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
        self.keep_misfit(column, text);
    }

    /// Keeps the text of a value that is null.
    pub fn keep_misfit(&mut self, column: usize, text: &str) {
        self.misfits.push(self.names[column], text);
        self.bytes += text.len();
    }

    /// Keeps a value that the table has no column for.
    pub fn push_extra(&mut self, name: &str, text: &str) {
        self.extra.push(name, text);
        self.bytes += text.len();
    }

    /// Keeps an object, as JSON, of what the table has no columns for.
    pub fn push_extra_json(&mut self, object: &str) {
        self.extra.object.extend_from_slice(&object.as_bytes()[..object.len() - 1]);
        self.bytes += object.len();
    }

    /// Sets a column of rows under way, of all of them: `set` is given the column, and says about
    /// how many bytes its values took.
    pub fn push_rows(&mut self, column: usize, set: impl FnOnce(&mut ColumnBuilder) -> usize) {
        self.bytes += set(&mut self.columns[column]);
    }

    /// How many rows the batch under way still takes.
    pub fn room(&self) -> usize {
        BATCH_ROWS - self.row.len()
    }

    /// Ends the row of that number.
    ///
    /// # Errors
    /// `Internal`, should a column be left out.
    pub fn end_row(&mut self, row: u64) -> Result<()> {
        self.end_aside(0);
        self.end_rows([row])
    }

    /// Ends what is kept aside of the row that comes so many after the last that ended.
    pub fn end_aside(&mut self, row: usize) {
        let rows = self.row.len() + row + 1;
        self.extra.end_row(rows);
        self.misfits.end_row(rows);
    }

    /// Ends the rows of those numbers, for which there is [`room`](Self::room).
    ///
    /// # Errors
    /// `Internal`, should a column be left out.
    pub fn end_rows(&mut self, rows: impl IntoIterator<Item = u64>) -> Result<()> {
        for row in rows {
            self.row.append_value(row.cast_signed());
        }
        if self.row.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.end_batch()?;
        }
        Ok(())
    }

    fn end_batch(&mut self) -> Result<()> {
        self.bytes = 0;
        let mut columns: Vec<ArrayRef> =
            self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let rows = self.row.len();
        if let Some((own, course)) = &self.course {
            columns[*own] = course.slice(0, rows);
        }
        columns.extend(self.place.iter().map(|column| column.slice(0, rows)));
        columns.push(Arc::new(self.row.finish()));
        columns.push(self.extra.finish(rows));
        columns.push(self.misfits.finish(rows));
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

/// A text as often as a batch has rows.
fn repeated(text: Option<&str>) -> ArrayRef {
    match text {
        Some(text) => {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, BATCH_ROWS)))
        }
        None => Arc::new(StringArray::new_null(BATCH_ROWS)),
    }
}

/// A column of JSON objects that nearly no row has.
#[derive(Default)]
struct Objects {
    column: StringBuilder,
    /// The object of the row under way, without its last brace.
    object: Vec<u8>,
}

impl Objects {
    fn push(&mut self, name: &str, text: &str) {
        self.object.push(if self.object.is_empty() { b'{' } else { b',' });
        push_json_string(name, &mut self.object);
        self.object.push(b':');
        push_json_string(text, &mut self.object);
    }

    /// Ends the row, which is the batch's last of so many.
    fn end_row(&mut self, rows: usize) {
        if self.object.is_empty() {
            return;
        }
        self.object.push(b'}');
        self.fill(rows - 1);
        self.column.append_value(String::from_utf8_lossy(&self.object));
        self.object.clear();
    }

    /// Sets those of the first `rows` to null that were passed over.
    fn fill(&mut self, rows: usize) {
        for _ in self.column.len()..rows {
            self.column.append_null();
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.column.is_empty() {
            return Arc::new(StringArray::new_null(rows));
        }
        self.fill(rows);
        Arc::new(self.column.finish())
    }
}
