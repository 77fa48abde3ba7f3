//! Batches to Python, in the order of the sources, as an Arrow C stream.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, RecordBatch, RecordBatchReader, StructArray};
use arrow_schema::{ArrowError, SchemaRef};
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use edxlogs_core::error::{Error, ErrorKind, Result};
use edxlogs_core::frame::rejects::Rejects;
use edxlogs_core::scan::{Control, Rows, Sink};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::{config, to_python};
use crate::query::Query;
use crate::scan;
use crate::tables::Table;

/// Batches of one source that may wait to be read.
const BATCHES_AHEAD: usize = 4;

/// How often a reader that waits looks for Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a source sends: batches, or why the stream ends here.
enum Sent {
    /// Of the query of that number, where there are several.
    Batch(usize, RecordBatch),
    Failed(PyErr),
}

/// What the readers of a stream share.
struct Shared {
    sources: Mutex<VecDeque<Receiver<Sent>>>,
    control: Arc<Control>,
    exhausted: Arc<AtomicBool>,
}

impl Shared {
    /// The next batch of the first source that has any; `None` after the last. The interpreter is
    /// released while it waits, whoever calls.
    fn next(&self) -> std::result::Result<Option<(usize, RecordBatch)>, ArrowError> {
        loop {
            let front = lock(&self.sources).front().cloned();
            let Some(front) = front else {
                self.exhausted.store(true, Ordering::Relaxed);
                return Ok(None);
            };
            let received = Python::attach(|py| py.detach(|| front.recv_timeout(PATIENCE)));
            match received {
                Ok(Sent::Batch(query, batch)) => return Ok(Some((query, batch))),
                Ok(Sent::Failed(error)) => {
                    return Err(ArrowError::ExternalError(Box::new(error)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if Python::attach(interrupted) {
                        return Err(ArrowError::ExternalError("interrupted".into()));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    // Another reader of the same stream may have taken it away already.
                    let mut sources = lock(&self.sources);
                    if sources.front().is_some_and(|first| first.same_channel(&front)) {
                        sources.pop_front();
                    }
                }
            }
        }
    }
}

/// Whether Ctrl-C was pressed. Arrow makes an error of its own of the one that is told here, so the
/// exception is made to come once more, when Python runs again.
fn interrupted(py: Python<'_>) -> bool {
    let interrupted = py.check_signals().is_err();
    if interrupted {
        let again = py.import("_thread").and_then(|thread| thread.call_method0("interrupt_main"));
        drop(again);
    }
    interrupted
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody reads any more: the workers can stop.
        self.control.stop.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream of batches, read once; described in `_core.pyi`.
#[pyclass(frozen, subclass, module = "edxlogs._core")]
pub struct BatchStream {
    schema: SchemaRef,
    shared: Mutex<Option<Arc<Shared>>>,
    /// Seen also after the stream was handed on.
    state: std::sync::Weak<Shared>,
    exhausted: Arc<AtomicBool>,
}

#[pymethods]
impl BatchStream {
    /// A stream of as many sources as `writers` will be asked for.
    #[new]
    #[pyo3(signature = (query, control))]
    fn new(query: &Bound<'_, PyAny>, control: &scan::Control) -> PyResult<Self> {
        let exhausted = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            sources: Mutex::default(),
            control: Arc::clone(&control.inner),
            exhausted: Arc::clone(&exhausted),
        });
        let state = Arc::downgrade(&shared);
        let schema = match query.cast::<Table>() {
            Ok(table) => Arc::clone(table.get().inner.schema().arrow()),
            Err(_) => Arc::clone(query.cast::<Query>()?.get().inner.projection.schema().arrow()),
        };
        Ok(Self { schema, shared: Mutex::new(Some(shared)), state, exhausted })
    }

    #[getter]
    fn exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }

    /// The writer of the next source; all are made before the first batch is read.
    fn writer(&self) -> PyResult<BatchWriter> {
        let (sender, receiver) = bounded(BATCHES_AHEAD);
        let shared = self.state.upgrade().ok_or_else(|| config("the stream is closed"))?;
        lock(&shared.sources).push_back(receiver);
        let control = Arc::clone(&shared.control);
        Ok(BatchWriter { sender: Mutex::new(Some(sender)), control })
    }

    /// The next batch, and the number of its query among several; None after the last.
    fn next_batch(&self, py: Python<'_>) -> PyResult<Option<(usize, Batch)>> {
        let Some(shared) = self.state.upgrade() else {
            return Err(config("stream: was read already; call it again"));
        };
        let next = py.detach(|| shared.next());
        match next {
            Ok(next) => Ok(next.map(|(query, inner)| (query, Batch { inner }))),
            Err(ArrowError::ExternalError(error)) => Err(match error.downcast::<PyErr>() {
                Ok(raised) => *raised,
                Err(other) => to_python(Error::internal(other.to_string())),
            }),
            Err(error) => Err(to_python(Error::internal(error.to_string()))),
        }
    }

    /// The schema alone: DuckDB asks for it before it reads.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.schema)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let Some(shared) = lock(&self.shared).take() else {
            return Err(config("stream: was read already; call filter() again"));
        };
        let reader = Reader { schema: Arc::clone(&self.schema), shared };
        let stream = FFI_ArrowArrayStream::new(Box::new(reader));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

/// The stream, as Arrow sees it.
struct Reader {
    schema: SchemaRef,
    shared: Arc<Shared>,
}

impl Iterator for Reader {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.shared.next().map(|next| next.map(|(_, batch)| batch)).transpose()
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// One batch, as Arrow hands it on; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct Batch {
    inner: RecordBatch,
}

#[pymethods]
impl Batch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.inner.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, self.inner.schema_ref())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema;
        let array = StructArray::from(self.inner.clone());
        let array = FFI_ArrowArray::new(&array.to_data());
        let array = PyCapsule::new_with_value(py, array, c"arrow_array")?;
        Ok((schema_capsule(py, self.inner.schema_ref())?, array))
    }
}

fn schema_capsule<'py>(py: Python<'py>, schema: &SchemaRef) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema.as_ref())
        .map_err(|error| to_python(Error::internal(error.to_string())))?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

/// Sends the batches of one source; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct BatchWriter {
    sender: Mutex<Option<Sender<Sent>>>,
    control: Arc<Control>,
}

impl BatchWriter {
    pub fn sender(&self) -> BatchSender {
        let control = Arc::clone(&self.control);
        BatchSender { sender: lock(&self.sender).clone(), control }
    }
}

#[pymethods]
impl BatchWriter {
    /// Ends the source; with an exception, the stream ends there with it.
    #[pyo3(signature = (error=None))]
    fn close(&self, py: Python<'_>, error: Option<Bound<'_, PyAny>>) {
        let error = error.map(PyErr::from_value);
        let sender = lock(&self.sender).take();
        py.detach(|| {
            if let (Some(sender), Some(error)) = (sender, error) {
                // A reader that is gone needs no error.
                let _ = sender.send(Sent::Failed(error));
            }
        });
    }
}

/// The sending end, for one scan.
pub struct BatchSender {
    sender: Option<Sender<Sent>>,
    control: Arc<Control>,
}

impl Sink for BatchSender {
    fn rows(&mut self, rows: Rows) -> Result<()> {
        let (query, batch) = match rows {
            Rows::Batch(batch, _) => (0, batch),
            Rows::Table(rows) => (rows.query, rows.batch),
            Rows::Lines(_) => return Ok(()),
        };
        let Some(sender) = &self.sender else {
            return Ok(());
        };
        let mut message = Sent::Batch(query, batch);
        loop {
            // In turns: a reader may keep the stream and read it no more.
            match sender.send_timeout(message, PATIENCE) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(unsent)) => message = unsent,
                Err(SendTimeoutError::Disconnected(_)) => {
                    return Err(Error::new(ErrorKind::Interrupted));
                }
            }
            self.control.check()?;
        }
    }

    /// Nobody reads rejected lines here: a query that keeps them asks for an error at the first.
    fn rejects(&mut self, rejects: &Rejects) -> Result<()> {
        rejects.places().next().map_or(Ok(()), |(line, byte, reason)| {
            Err(Error::new(ErrorKind::Parse(reason.as_str())).at_line(line, byte))
        })
    }
}
