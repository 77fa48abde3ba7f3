//! Conditions on the rows of a dataset, and their way to an output.

use std::ffi::CStr;
use std::fs::File;

use arrow_array::RecordBatch;
use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_schema::ArrowError;
use edxlogs_core::part::Output;
use edxlogs_core::query::stored;
use edxlogs_core::scan::{Rows, Sink};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::{config, to_python};
use crate::query::{conditions_of, format};
use crate::source::duplicate;

const SCHEMA: &CStr = c"arrow_schema";
const STREAM: &CStr = c"arrow_array_stream";

/// Which rows of a dataset, and what of them; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct StoredQuery {
    inner: stored::StoredQuery,
}

#[pymethods]
impl StoredQuery {
    #[new]
    #[pyo3(signature = (
        schema, *, conditions=vec![], since=None, until=None, by_received_at=false, columns=None,
    ))]
    fn new(
        schema: &Bound<'_, PyAny>,
        conditions: Vec<(String, Vec<String>)>,
        since: Option<i64>,
        until: Option<i64>,
        by_received_at: bool,
        columns: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let capsule = schema.call_method0("__arrow_c_schema__")?;
        let capsule = capsule.cast::<PyCapsule>()?;
        let pointer = capsule.pointer_checked(Some(SCHEMA))?.cast::<FFI_ArrowSchema>();
        // SAFETY: a capsule of that name holds such a struct, by Arrow's PyCapsule interface.
        let schema = unsafe { pointer.as_ref() };
        let schema = arrow_schema::Schema::try_from(schema)
            .map_err(|error| config(format!("dataset: its columns cannot be read: {error}")))?;
        let asked = conditions_of(conditions, since, until, by_received_at)?;
        let inner = stored::StoredQuery::new(&schema, &asked, columns.as_deref());
        Ok(Self { inner: inner.map_err(to_python)? })
    }

    #[getter]
    fn needed(&self) -> Vec<String> {
        self.inner.needed()
    }

    /// Writes the rows of a stream that are wanted to a descriptor.
    fn write(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        descriptor: i32,
        format_name: &str,
        metadata: Vec<(String, String)>,
    ) -> PyResult<u64> {
        let reader = reader_of(rows)?;
        let file = File::from(duplicate(descriptor)?);
        let form = format(format_name)?;
        py.detach(|| {
            let mut output =
                Output::new(file, form, self.inner.schema(), &metadata).map_err(to_python)?;
            let mut written = 0;
            for batch in reader {
                let kept = self.select(&batch.map_err(damaged)?)?;
                written += kept.num_rows() as u64;
                let rows = Rows::Batch(kept, Default::default());
                output.rows(rows).map_err(to_python)?;
            }
            output.finish().map_err(to_python)?;
            Ok(written)
        })
    }
}

impl StoredQuery {
    /// The rows that are wanted, with the columns that are.
    pub fn select(&self, rows: &RecordBatch) -> PyResult<RecordBatch> {
        self.inner.select(rows).map_err(to_python)
    }
}

/// What reads a stream of rows.
pub fn reader_of(rows: &Bound<'_, PyAny>) -> PyResult<RecordBatchStreamReader> {
    let capsule = rows.call_method0("__arrow_c_stream__")?;
    let capsule = capsule.cast::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of that name holds such a struct, by Arrow's PyCapsule interface; the reader
    // takes the stream out of it.
    let reader = unsafe { RecordBatchStreamReader::from_raw(pointer.as_ptr()) };
    reader.map_err(damaged)
}

/// What the reader of a dataset says.
pub fn damaged(error: ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
