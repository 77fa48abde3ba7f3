//! Typed columns of a table in the making, and the count of what became of its rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, Int64Builder, StringBuilder};
use arrow_array::{Array, ArrayRef, Date32Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;

use crate::database::{Gather, Table};
use crate::error::{Error, Result};
use crate::frame::builder::ColumnBuilder;
use crate::frame::counts::{Reason, TableStats};
use crate::frame::source::SourceInfo;
use crate::frame::types::Value;
use crate::frame::value::{self, NoValue};
use crate::json::text::push_json_string;
use crate::part::spool::RejectedRows;

/// Rows are handed on when this many are gathered, …
const BATCH_ROWS: usize = 8192;

/// … or this many bytes of them.
const BATCH_BYTES: usize = 512 * 1024;

/// Gathers rows, and hands them on as batches.
pub struct TableBuilder<'t> {
    table: &'t Table,
    schema: SchemaRef,
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
    /// What became of the rows.
    pub stats: TableStats,
    /// Those that were rejected.
    pub rejects: RejectedRows,
}

impl<'t> TableBuilder<'t> {
    /// A builder of the columns of `table`, to which rejected rows go, too.
    pub fn new(
        table: &'t Table,
        schema: SchemaRef,
        source: &SourceInfo,
        rejects: RejectedRows,
    ) -> Self {
        let day = source.day.and_then(|day| day.try_into().ok());
        let of_file = table.has_course.then(|| repeated(source.course.as_deref()));
        let (of_file, course) = match table.own_course() {
            Some(own) => (None, of_file.filter(|_| source.course.is_some()).map(|its| (own, its))),
            None => (of_file, None),
        };
        let day: ArrayRef = Arc::new(Date32Array::from(vec![day; BATCH_ROWS]));
        let place = [repeated(source.site.as_deref()), repeated(source.package.as_deref())];
        let member = repeated(Some(&source.name));
        Self {
            table,
            schema,
            columns: table.columns.iter().map(|c| ColumnBuilder::new(c.column_type)).collect(),
            place: of_file.into_iter().chain(place).chain([day, member]).collect(),
            course,
            row: Int64Builder::new(),
            extra: Objects::default(),
            misfits: Objects::default(),
            bytes: 0,
            batches: Vec::new(),
            stats: TableStats { misfits: vec![0; table.columns.len()], ..TableStats::default() },
            rejects,
        }
    }

    /// Sets a column of the row under way. Each column must be set once.
    pub fn push(&mut self, column: usize, value: Value<'_>) {
        self.bytes += self.columns[column].push(value);
    }

    /// Sets a column to what a text is, and keeps aside what does not fit.
    pub fn push_text(&mut self, column: usize, text: Cow<'_, str>) {
        let text = without_nul(text, &mut self.stats.nul);
        match value::parse(&text, self.table.columns[column].column_type) {
            Ok(value) => return self.push(column, value),
            Err(NoValue::Misfit) => {
                self.stats.misfits[column] += 1;
                self.keep_misfit(column, &text);
            }
            Err(NoValue::ZeroDate) => self.stats.zero_dates += 1,
        }
        self.push(column, Value::Null);
    }

    /// Keeps the text of a value that is null.
    pub fn keep_misfit(&mut self, column: usize, text: &str) {
        self.misfits.push(&self.table.columns[column].name, text);
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

    /// Sets a column of rows under way, of all of them: `set` is given the column and the counts, and
    /// says about how many bytes its values took.
    pub fn push_rows(
        &mut self,
        column: usize,
        set: impl FnOnce(&mut ColumnBuilder, &mut TableStats) -> usize,
    ) {
        self.bytes += set(&mut self.columns[column], &mut self.stats);
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
            self.stats.rows += 1;
            self.stats.rows_written += 1;
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

    /// Counts a row that cannot be read, and keeps it.
    pub fn reject(&mut self, row: &[u8], line: u64, byte: u64, reason: Reason) {
        self.stats.rows += 1;
        self.stats.rejected[reason as usize] += 1;
        self.rejects.push(row, line, byte, reason);
    }

    /// Hands on the batches that are full.
    ///
    /// # Errors
    /// Those of `consume`.
    pub fn hand_on(&mut self, consume: Gather<'_>) -> Result<()> {
        self.batches.drain(..).try_for_each(consume)
    }

    /// Hands on all, the last rows, too, which fill no batch.
    ///
    /// # Errors
    /// Those of `consume`; `Internal`, should a column be left out.
    pub fn finish(&mut self, consume: Gather<'_>) -> Result<()> {
        if self.row.len() > 0 {
            self.end_batch()?;
        }
        self.hand_on(consume)
    }
}

/// A text without its NUL characters, which are counted.
pub(super) fn without_nul<'a>(text: Cow<'a, str>, nul: &mut u64) -> Cow<'a, str> {
    if memchr::memchr(b'\0', text.as_bytes()).is_none() {
        return text;
    }
    *nul += text.matches('\0').count() as u64;
    Cow::Owned(text.replace('\0', ""))
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
