//! A query, made of keywords.

use std::collections::HashSet;
use std::sync::Arc;

use edxlogs_core::encode::{Compression, CsvStyle, Format};
use edxlogs_core::event::column::COLUMNS;
use edxlogs_core::event_tables;
use edxlogs_core::frame::types::Role;
use edxlogs_core::query::partition::{MOST_PARTITIONS, PartitionKey, Partitions};
use edxlogs_core::query::predicate::{
    By, Condition, ConditionKind, Conditions, Predicate, expression_of,
};
use edxlogs_core::query::projection::Projection;
use edxlogs_core::query::tables::TableQuery;
use edxlogs_core::query::{self, Collect};
use edxlogs_core::time;
use pyo3::prelude::*;

use crate::errors::{config, to_python};

/// Which events, and what of them; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct Query {
    pub inner: Arc<query::Query>,
}

#[pymethods]
impl Query {
    #[new]
    #[pyo3(signature = (
        *, conditions=vec![], since=None, until=None, by_received_at=false, columns=None,
        collect="columns",
        check_full=false, strict=false, course_from_context=false, time_from=None,
        max_line_bytes=None, keep_rejects=false, partition_by=vec![], known_courses=None,
        encodes_case=false, tables=None, table=None,
    ))]
    #[allow(clippy::too_many_arguments, reason = "keywords, each an option of its own")]
    fn new(
        conditions: Vec<(String, Vec<String>)>,
        since: Option<i64>,
        until: Option<i64>,
        by_received_at: bool,
        columns: Option<Vec<String>>,
        collect: &str,
        check_full: bool,
        strict: bool,
        course_from_context: bool,
        time_from: Option<&str>,
        max_line_bytes: Option<usize>,
        keep_rejects: bool,
        partition_by: Vec<String>,
        known_courses: Option<HashSet<String>>,
        encodes_case: bool,
        tables: Option<PyRef<'_, EventTables>>,
        table: Option<&str>,
    ) -> PyResult<Self> {
        let conditions = conditions_of(conditions, since, until, by_received_at)?;
        let keys = partition_by.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(to_python)?;
        let mut collect = known("collect", collect, Collect::named)?;
        let mut projection = match columns {
            Some(names) => Projection::new(&names).map_err(to_python)?,
            None => Projection::default(),
        };
        let mut told_apart = None;
        if !keys.is_empty() {
            let most = MOST_PARTITIONS;
            let partitions =
                Partitions::new(keys, known_courses, encodes_case, most).map_err(to_python)?;
            let partitions = Arc::clone(told_apart.insert(Arc::new(partitions)));
            if collect == Collect::Lines {
                projection = Projection::of_lines();
            }
            projection = projection.partitioned(partitions);
            // Lines, too, come with the partition they belong to.
            collect = Collect::Columns;
        }
        let predicate = Predicate::new(&conditions).map_err(to_python)?;
        let mut query = match (tables, table) {
            (Some(tables), Some(name)) => {
                let tables = Arc::clone(&tables.inner);
                let number = known("table", name, |name| tables.number(name))?;
                let table = TableQuery { tables, number, partitions: told_apart, query: 0 };
                query::Query::of_table(predicate, table)
            }
            _ => query::Query::new(predicate, projection, collect),
        };
        query.check_full = check_full;
        query.strict = strict;
        query.course_from_context = course_from_context;
        if let Some(path) = time_from {
            query.look_for_time_at(path).map_err(to_python)?;
        }
        query.max_line_bytes = max_line_bytes.unwrap_or(query.max_line_bytes);
        query.keep_rejects = keep_rejects;
        let inner = Arc::new(query);
        Ok(Self { inner })
    }

    #[staticmethod]
    fn of_several(queries: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let queries = queries.iter().map(|query| Arc::clone(&query.inner)).collect();
        let inner = query::Query::of_several(queries).map_err(to_python)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    fn unmet(&self) -> Vec<(&'static str, usize)> {
        let unmet = self.inner.predicate.unmet();
        unmet.into_iter().map(|(kind, at)| (kind.as_str(), at)).collect()
    }

    fn unheld(&self) -> Vec<String> {
        self.inner.predicate.unheld()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        if self.inner.projection.is_of_lines() {
            return Vec::new();
        }
        let schema = self.inner.projection.schema();
        schema.columns().iter().map(|column| column.name.clone()).collect()
    }
}

/// Tables of events, and the home of each event type; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct EventTables {
    inner: Arc<event_tables::EventTables>,
}

#[pymethods]
impl EventTables {
    #[new]
    #[pyo3(signature = (document, *, no_text=false))]
    fn new(document: &[u8], no_text: bool) -> PyResult<Self> {
        let document = std::str::from_utf8(document).map_err(|_| config("tables: not UTF-8"))?;
        let inner = event_tables::EventTables::new(document, no_text).map_err(to_python)?;
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Conditions as they are given, by their names.
pub fn conditions_of(
    given: Vec<(String, Vec<String>)>,
    since: Option<i64>,
    until: Option<i64>,
    by_received_at: bool,
) -> PyResult<Conditions> {
    let asked = given.into_iter().map(|(name, values)| condition(&name, values));
    let by = if by_received_at { By::ReceivedAt } else { By::Time };
    Ok(Conditions { asked: asked.collect::<PyResult<_>>()?, since, until, by })
}

/// The condition of that name; `exclude_` stands before that of one that leaves out.
fn condition(name: &str, values: Vec<String>) -> PyResult<Condition> {
    let wanted = name.strip_prefix("exclude_");
    let kind = known("conditions", wanted.unwrap_or(name), ConditionKind::named)?;
    Ok(Condition { kind, values, excluded: wanted.is_some() })
}

/// What goes by that name.
pub fn known<T>(what: &str, name: &str, named: impl FnOnce(&str) -> Option<T>) -> PyResult<T> {
    named(name).ok_or_else(|| config(format!("{what}: '{name}' is not known")))
}

/// The format of that name.
pub fn format(name: &str) -> PyResult<Format> {
    let (plain, excel_safe) = match name.strip_suffix("-excel-safe") {
        Some(plain) => (plain, true),
        None => (name, false),
    };
    let (kind, compression) = match plain.split_once('.') {
        None => (plain, Some(Compression::None)),
        Some((kind, "gz")) => (kind, Some(Compression::Gzip)),
        Some((kind, "zst")) => (kind, Some(Compression::Zstd)),
        Some((kind, _)) => (kind, None),
    };
    Ok(match (kind, compression) {
        ("parquet", Some(Compression::None)) if !excel_safe => Format::Parquet,
        ("arrow", Some(Compression::None)) if !excel_safe => Format::ArrowIpc,
        ("jsonl", Some(compression)) if !excel_safe => Format::JsonLines(compression),
        ("csv", Some(compression)) => {
            Format::Csv(CsvStyle { separator: b',', excel_safe }, compression)
        }
        ("tsv", Some(compression)) => {
            Format::Csv(CsvStyle { separator: b'\t', excel_safe }, compression)
        }
        _ => return Err(config(format!("format: '{name}' is not known"))),
    })
}

/// Name, type, origin, null rule and role of each default column, in order.
#[pyfunction]
pub fn columns() -> Vec<(&'static str, String, &'static str, &'static str, &'static str)> {
    COLUMNS
        .iter()
        .map(|column| {
            let arrow = match column.column_type().arrow() {
                arrow_schema::DataType::Utf8 => "string".to_owned(),
                arrow_schema::DataType::Timestamp(..) => "timestamp[us, UTC]".to_owned(),
                other => other.to_string().to_lowercase(),
            };
            let role = column.role().map_or("", Role::as_str);
            (column.name(), arrow, column.from_where(), column.null_when(), role)
        })
        .collect()
}

/// A day or instant in microseconds since 1970 UTC, or None.
#[pyfunction]
pub fn parse_time(text: &str) -> Option<i64> {
    time::parse_bound(text)
}

/// An expression in its one spelling; without its values on request.
#[pyfunction]
#[pyo3(signature = (text, *, hides_values=false))]
pub fn expression(text: &str, hides_values: bool) -> PyResult<String> {
    let expression = expression_of(text).map_err(to_python)?;
    Ok(if hides_values { format!("{expression:#}") } else { expression.to_string() })
}

/// The folder of a course in a partitioned dataset.
#[pyfunction]
#[pyo3(signature = (course, *, encodes_case=false))]
pub fn course_folder(course: Option<&str>, encodes_case: bool) -> String {
    edxlogs_core::query::partition::course_folder(course, encodes_case)
}

/// The keys that a dataset may be partitioned by.
#[pyfunction]
pub fn partition_keys() -> Vec<&'static str> {
    PartitionKey::ALL.iter().map(|key| key.as_str()).collect()
}
