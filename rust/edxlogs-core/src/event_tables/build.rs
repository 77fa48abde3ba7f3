//! Rows of a table to Arrow columns.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::Table;
use super::definition::TableDefinition;
use super::plan::{ActPlan, column_named};
use super::row::Row;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::column::{EventColumn, EventPlace};
use crate::event::fields::Field;
use crate::frame::builder::ColumnBuilder;
use crate::frame::nulls::null_array;
use crate::frame::types::{Column, ColumnType, Role, Schema, Value};

/// What stands in one of the first columns of a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    /// A default column, and the fields that it copies, if it only copies.
    Event(EventColumn, Option<(Field, Field)>),
    Action,
    SubjectId,
    SubjectName,
    Flags,
    BlockKey,
    BlockId,
}

/// Where a table's own columns stand, and the numbers of those that the first ones show, or that
/// children copy.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnPlaces {
    /// Of each, its place among all columns; none where a first one shows it.
    pub columns: Vec<Option<usize>>,
    pub subject_id: Option<usize>,
    pub subject_name: Option<usize>,
    pub block_key: Option<usize>,
    pub block_id: Option<usize>,
}

/// What the row of an event and those of its children have in common.
pub(super) struct Shared<'v> {
    pub action: Value<'v>,
    pub subject_id: Value<'v>,
    pub subject_name: Value<'v>,
    pub block_key: Value<'v>,
    pub block_id: Value<'v>,
    /// Words; empty for none.
    pub flags: String,
}

impl<'v> Shared<'v> {
    pub fn of(table: &Table, act: &'v ActPlan, spelling: Option<&'v str>, row: &Row<'v>) -> Self {
        let at = |place: Option<usize>| place.map_or(Value::Null, |at| row.value(at).clone());
        let action = if table.action_is_type { spelling } else { Some(&*act.name) };
        let action = action.filter(|action| !action.is_empty());
        Self {
            action: action.map(Cow::Borrowed).into(),
            subject_id: at(table.own.subject_id),
            subject_name: at(table.own.subject_name),
            block_key: at(table.own.block_key),
            block_id: at(table.own.block_id),
            flags: String::new(),
        }
    }
}

/// A row, whole.
pub struct TableRow<'v, 'e> {
    pub(super) table: &'v Table,
    pub(super) event: &'v Event<'e>,
    pub(super) place: EventPlace<'v>,
    pub(super) shared: &'v Shared<'v>,
    pub(super) row: &'v Row<'v>,
}

/// The columns of a table, what stands in the first ones, and where its own are.
pub(super) fn layout(definition: &TableDefinition) -> (Arc<Schema>, Vec<Cell>, OwnPlaces) {
    let (mut columns, mut cells) = (Vec::new(), Vec::new());
    for name in &definition.spine {
        let plain = |column_type| Column::new(name, column_type);
        let (cell, column) = match (&**name, column_named(name)) {
            (_, Some(column)) => (Cell::Event(column, column.copies()), column.definition()),
            ("subject_user_id", _) => {
                let role = Some(Role::PersonId);
                (Cell::SubjectId, Column { role, ..plain(ColumnType::Int64) })
            }
            ("subject_username", _) => {
                let role = Some(Role::Username);
                (Cell::SubjectName, Column { role, ..plain(ColumnType::Text) })
            }
            ("flags", _) => (Cell::Flags, plain(ColumnType::Text)),
            ("block_key", _) => (Cell::BlockKey, plain(ColumnType::Text)),
            ("block_id", _) => (Cell::BlockId, plain(ColumnType::Text)),
            _ => (Cell::Action, plain(ColumnType::Text)),
        };
        columns.push(column);
        cells.push(cell);
    }
    let mut own = OwnPlaces::default();
    for field in definition.columns.iter().flat_map(|column| &column.fields) {
        let at = Some(own.columns.len());
        match &*field.name {
            "subject_user_id" => own.subject_id = at,
            "subject_username" => own.subject_name = at,
            "block_key" => own.block_key = at,
            "block_id" => own.block_id = at,
            _ => {}
        }
        let is_shown = at == own.subject_id || at == own.subject_name;
        own.columns.push((!is_shown).then_some(columns.len()));
        if !is_shown {
            columns.push(field.clone());
        }
    }
    (Schema::new(columns), cells, own)
}

/// Gathers the rows of a table, and gives them as a batch.
pub struct TableBuilder {
    schema: Arc<Schema>,
    /// Each with the rows that it has: what it lacks of the others is null.
    columns: Vec<(ColumnBuilder, usize)>,
    rows: usize,
    bytes: usize,
}

impl TableBuilder {
    /// A builder of the rows of a table.
    pub fn new(table: &Table) -> Self {
        let schema = Arc::clone(&table.schema);
        let columns = schema.columns().iter();
        let columns = columns.map(|c| (ColumnBuilder::new(c.column_type), 0)).collect();
        Self { schema, columns, rows: 0, bytes: 0 }
    }

    /// Adds a row.
    pub fn push(&mut self, row: &TableRow<'_, '_>) {
        for (at, cell) in row.table.cells.iter().enumerate() {
            let plain = match cell {
                Cell::Event(_, Some((field, copy))) => row.event.plain_text(*field, *copy),
                _ => None,
            };
            match plain {
                Some(text) => self.set(at, Value::Text(Cow::Borrowed(text))),
                None => self.set(at, row.value(*cell)),
            }
        }
        for (number, value) in row.row.values() {
            if let Some(at) = row.table.own.columns[*number] {
                self.set(at, value.borrowed());
            }
        }
        self.rows += 1;
    }

    /// Sets a cell of the next row. Most are null: these are added with the next value that is not.
    #[inline]
    fn set(&mut self, column: usize, value: Value<'_>) {
        if value.is_null() {
            return;
        }
        let (builder, filled) = &mut self.columns[column];
        if *filled < self.rows {
            builder.push_nulls(self.rows - *filled);
        }
        *filled = self.rows + 1;
        self.bytes += builder.push(value);
    }

    /// Rows gathered.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes gathered, about; a null takes some, too.
    pub fn bytes(&self) -> usize {
        self.bytes + self.rows * self.columns.len()
    }

    /// The rows gathered as one batch; the builder is empty after.
    ///
    /// # Errors
    /// `Internal`, should the columns not fit each other.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let fields = self.schema.arrow().fields().iter();
        let columns = self.columns.iter_mut().zip(fields).map(|((builder, filled), field)| {
            match std::mem::take(filled) {
                0 => null_array(field.data_type(), rows),
                filled => {
                    builder.push_nulls(rows - filled);
                    builder.finish()
                }
            }
        });
        let columns = columns.collect();
        self.bytes = 0;
        RecordBatch::try_new(self.schema.arrow().clone(), columns)
            .map_err(|error| Error::internal(error.to_string()))
    }
}

impl TableRow<'_, '_> {
    fn value(&self, cell: Cell) -> Value<'_> {
        let shared = self.shared;
        match cell {
            Cell::Event(column, _) => return column.value(self.event, self.place),
            Cell::Action => &shared.action,
            Cell::SubjectId => &shared.subject_id,
            Cell::SubjectName => &shared.subject_name,
            Cell::BlockKey => &shared.block_key,
            Cell::BlockId => &shared.block_id,
            Cell::Flags if shared.flags.is_empty() => &Value::Null,
            Cell::Flags => return Value::Text(shared.flags.as_str().into()),
        }
        .borrowed()
    }
}
