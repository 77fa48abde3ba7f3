//! Kept events counted by keys.

use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use edxlogs_core::error::Error;
use edxlogs_core::part::Output;
use edxlogs_core::scan::{Rows, Sink};
use edxlogs_core::summary::people::Exactness;
use edxlogs_core::summary::{self, Counted, CubeQuery, Key, MOST_KEYS, SummaryQuery, Table};
use edxlogs_core::time;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::errors::{config, to_python};
use crate::output::Once;
use crate::query::{format, known};
use crate::source::duplicate;
use crate::stored::{StoredQuery, reader_of};

/// Counts events by keys; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct Summary {
    query: Arc<SummaryQuery>,
    pub counted: Counted,
    whole: Once<summary::Summary>,
}

#[pymethods]
impl Summary {
    #[new]
    #[pyo3(signature = (cubes, categories, *, by_received_at=false))]
    fn new(
        cubes: Vec<(String, Vec<String>, Option<bool>)>,
        categories: std::collections::HashMap<String, String>,
        by_received_at: bool,
    ) -> PyResult<Self> {
        let cubes = cubes.into_iter().map(cube).collect::<PyResult<_>>()?;
        let categories = categories.into_iter().collect();
        let query = Arc::new(SummaryQuery { cubes, by_received_at, categories });
        Ok(Self::of(query))
    }

    /// An empty one, which counts the same.
    fn another(&self) -> Self {
        Self::of(Arc::clone(&self.query))
    }

    fn add(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        py.detach(|| self.whole.with(|whole| whole.merge(&other.counted.whole())))
    }

    /// Counts the rows of a stream that are wanted.
    fn rows(&self, py: Python<'_>, query: &StoredQuery, rows: &Bound<'_, PyAny>) -> PyResult<u64> {
        let reader = reader_of(rows)?;
        py.detach(|| {
            let mut counted = 0;
            for batch in reader {
                let kept = query.select(&batch.map_err(crate::stored::damaged)?)?;
                counted += kept.num_rows() as u64;
                self.whole.with(|whole| whole.rows(&kept))?.map_err(to_python)?;
            }
            Ok(counted)
        })
    }

    fn table<'py>(
        &self,
        py: Python<'py>,
        name: &str,
    ) -> PyResult<(Vec<String>, Bound<'py, PyList>)> {
        let table = self.made(py, name)?;
        let names = table.schema.columns().iter().map(|column| column.name.clone()).collect();
        let columns = table.rows.columns();
        let rows = (0..table.rows.num_rows()).map(|row| {
            let values = columns.iter().map(|column| value(py, column, row));
            PyTuple::new(py, values.collect::<PyResult<Vec<_>>>()?)
        });
        Ok((names, PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)?))
    }

    fn write(
        &self,
        py: Python<'_>,
        name: &str,
        descriptor: i32,
        format_name: &str,
        metadata: Vec<(String, String)>,
    ) -> PyResult<u64> {
        let file = File::from(duplicate(descriptor)?);
        let form = format(format_name)?;
        let Table { schema, rows } = self.made(py, name)?;
        py.detach(|| {
            let count = rows.num_rows() as u64;
            let mut output = Output::new(file, form, schema, &metadata)?;
            output.rows(Rows::Batch(rows, Default::default()))?;
            output.finish().map(drop)?;
            Ok(count)
        })
        .map_err(|error: Error| to_python(error))
    }

    #[allow(clippy::type_complexity, reason = "a row of Python")]
    fn notes(&self) -> PyResult<Vec<(&'static str, &'static str, u64, Vec<(String, u64)>)>> {
        self.whole.with(|whole| {
            let notes = whole.notes().map(|(what, count, places)| {
                let (kind, name) = what.names();
                let places = places.iter().map(|(source, line)| (source.to_string(), *line));
                (kind, name, count, places.collect())
            });
            notes.collect()
        })
    }

    fn other_keys(&self) -> PyResult<Vec<(bool, String, u64)>> {
        self.whole.with(|whole| {
            let keys = whole.other_keys().into_iter();
            keys.map(|(in_context, key, events)| (in_context, key.to_owned(), events)).collect()
        })
    }
}

impl Summary {
    fn of(query: Arc<SummaryQuery>) -> Self {
        let whole = Once::new(summary::Summary::new(Arc::clone(&query)));
        Self { counted: Counted::new(Arc::clone(&query)), query, whole }
    }

    fn made(&self, py: Python<'_>, name: &str) -> PyResult<Table> {
        py.detach(|| self.whole.with(|whole| whole.table(name)))?.map_err(to_python)
    }
}

fn cube((name, keys, whole): (String, Vec<String>, Option<bool>)) -> PyResult<CubeQuery> {
    let mut named: Vec<Key> = Vec::new();
    for key in &keys {
        let key = known("by", key, Key::named)?;
        if named.contains(&key) {
            return Err(config(format!("by: {}: named twice; name it once", key.as_str())));
        }
        named.push(key);
    }
    if named.len() > MOST_KEYS {
        return Err(config(format!("by: {} keys: name {MOST_KEYS} at most", named.len())));
    }
    let people = whole.map(|is| if is { Exactness::OF_WHOLE } else { Exactness::OF_GROUP });
    Ok(CubeQuery { name, keys: named, people })
}

/// The names of all keys, in order.
#[pyfunction]
pub fn summary_keys() -> Vec<&'static str> {
    Key::ALL.iter().map(|key| key.as_str()).collect()
}

/// How many people are counted exactly in a group and in a whole, and the error of what counts more.
#[pyfunction]
pub fn exactness() -> ((usize, f64), (usize, f64)) {
    let told = |one: Exactness| (one.exact, one.error());
    (told(Exactness::OF_GROUP), told(Exactness::OF_WHOLE))
}

/// A value of a table: a day as ISO text, a time in microseconds.
fn value<'py>(py: Python<'py>, column: &ArrayRef, row: usize) -> PyResult<Bound<'py, PyAny>> {
    if column.is_null(row) {
        return Ok(py.None().into_bound(py));
    }
    Ok(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into_pyobject(py)?.into_any(),
        DataType::Int64 => {
            column.as_primitive::<Int64Type>().value(row).into_pyobject(py)?.into_any()
        }
        DataType::Boolean => {
            column.as_boolean().value(row).into_pyobject(py)?.to_owned().into_any()
        }
        DataType::Date32 => {
            let mut text = Vec::new();
            time::push_day(column.as_primitive::<Date32Type>().value(row).into(), &mut text);
            String::from_utf8_lossy(&text).into_owned().into_pyobject(py)?.into_any()
        }
        _ => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            times.value(row).into_pyobject(py)?.into_any()
        }
    })
}
