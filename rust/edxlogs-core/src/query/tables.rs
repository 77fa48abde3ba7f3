//! Rows of tables of events, gathered side by side in one scan.

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::column::EventPlace;
use crate::event_tables::{EventTables, TableBuilder};
use crate::frame::counts::Stats;
use crate::frame::nulls;
use crate::query::Query;
use crate::query::columns::BatchBuilder;
use crate::query::partition::Partitions;

/// A table of events that a query asks for.
#[derive(Clone, Debug)]
pub struct TableQuery {
    /// The tables, of which it is one.
    pub tables: Arc<EventTables>,
    /// Its number among them.
    pub number: usize,
    /// What its rows are told apart by, if they are.
    pub partitions: Option<Arc<Partitions>>,
    /// The number of the query, where several are asked at once.
    pub query: usize,
}

/// Rows are handed on when this many are gathered, …
pub const BATCH_ROWS: usize = 8192;

/// … or this many bytes of them.
pub const BATCH_BYTES: usize = 1024 * 1024;

/// Whether rows are enough to be handed on.
pub(crate) fn is_full(rows: usize, bytes: usize) -> bool {
    rows >= BATCH_ROWS || bytes >= BATCH_BYTES
}

/// Rows of one of several tables.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// The number of its query.
    pub query: usize,
    /// The rows.
    pub batch: RecordBatch,
    /// Of each, the line of its event.
    pub lines: Vec<u64>,
    /// Of each, the number of its partition; empty where they are not told apart.
    pub partitions: Vec<u32>,
    /// Bytes that they take, about.
    pub bytes: usize,
}

impl TableRows {
    /// Rows of one table that follow each other, as one.
    ///
    /// # Errors
    /// `Internal`, should they not fit each other.
    pub(crate) fn joined(rows: Vec<Self>) -> Result<Self> {
        let (mut batches, mut lines, mut partitions) = (Vec::new(), Vec::new(), Vec::new());
        let (mut query, mut bytes) = (0, 0);
        for one in rows {
            query = one.query;
            bytes += one.bytes;
            batches.push(one.batch);
            lines.extend(one.lines);
            partitions.extend(one.partitions);
        }
        let batch = nulls::joined(&batches).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self { query, batch, lines, partitions, bytes })
    }
}

/// Gathers the rows of the tables of a query.
pub(crate) struct TablesBuilder<'q> {
    query: &'q Query,
    tables: &'q EventTables,
    gathering: Vec<Gathering<'q>>,
    /// Of each table, its place in `gathering`.
    places: Vec<Option<usize>>,
}

struct Gathering<'q> {
    query: &'q TableQuery,
    builder: TableBuilder,
    lines: Vec<u64>,
    partitions: Vec<u32>,
    /// Line and item of the event of the last row.
    last: (u64, u32),
}

impl<'q> TablesBuilder<'q> {
    /// One for the tables of a query, if it asks for some.
    pub fn new(query: &'q Query) -> Option<Self> {
        let tables = &*query.tables.first()?.tables;
        let mut places = vec![None; tables.len()];
        for (at, table) in query.tables.iter().enumerate() {
            places[table.number] = Some(at);
        }
        let gathering = |query: &'q TableQuery| Gathering {
            query,
            builder: TableBuilder::new(tables.table(query.number)),
            lines: Vec::new(),
            partitions: Vec::new(),
            last: (0, 0),
        };
        Some(Self {
            query,
            tables,
            gathering: query.tables.iter().map(gathering).collect(),
            places,
        })
    }

    /// Adds what is asked of an event: its rows here, its columns to `builder` where a query wants
    /// these, and counts its home. How many rows there are; of several queries it is one row for all.
    pub fn take_event(
        &mut self,
        event: &Event<'_>,
        place: EventPlace<'_>,
        builder: &mut BatchBuilder<'_>,
        stats: &mut Stats,
    ) -> u64 {
        let (rows, home) = self.push(event, place);
        if place.wanted & self.query.other_queries() != 0 {
            builder.push(event, place);
        }
        let rows = if self.query.projection.tells_queries() { 1 } else { rows };
        if let Some(home) = home.filter(|_| rows > 0) {
            stats.count_home(home);
        }
        rows
    }

    /// Adds the rows of an event: how many, and the number of its home.
    fn push(&mut self, event: &Event<'_>, place: EventPlace<'_>) -> (u64, Option<usize>) {
        let Self { tables, gathering, places, .. } = self;
        let mut rows = 0;
        let home = tables.rows(event, place, &mut |table, row| {
            let Some(one) = places[table].map(|at| &mut gathering[at]) else {
                return;
            };
            if place.wanted >> one.query.query & 1 == 0 {
                return;
            }
            one.builder.push(row);
            one.lines.push(place.line);
            if let Some(partitions) = &one.query.partitions {
                // Rows of one event are of one partition.
                let same = one.partitions.last().filter(|_| one.last == (place.line, place.item));
                let number = same.copied().unwrap_or_else(|| partitions.number(event, place));
                one.partitions.push(number);
                one.last = (place.line, place.item);
            }
            rows += 1;
        });
        (rows, home)
    }

    /// What was gathered since it was last taken, of each table that has enough to be handed on, or
    /// of `all` that have rows.
    ///
    /// # Errors
    /// `Internal`, should columns not fit each other.
    pub fn take(&mut self, all: bool) -> Result<Vec<TableRows>> {
        let is_due = |one: &&mut Gathering<'_>| {
            let (rows, bytes) = (one.builder.rows(), one.builder.bytes());
            rows > 0 && (all || is_full(rows, bytes))
        };
        let due = self.gathering.iter_mut().filter(is_due);
        due.map(|one| {
            one.last = (0, 0);
            Ok(TableRows {
                query: one.query.query,
                bytes: one.builder.bytes(),
                batch: one.builder.finish()?,
                lines: std::mem::take(&mut one.lines),
                partitions: std::mem::take(&mut one.partitions),
            })
        })
        .collect()
    }
}
