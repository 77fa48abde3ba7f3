//! Parts and the outputs they are appended to.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use edxlogs_core::file::create_private;
use edxlogs_core::part::{self, Form, SMALL_PART_BYTES};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use crate::errors::{config, of_system, to_python};
use crate::query::{Query, format, known};
use crate::source::duplicate;

/// Something that is used up once, behind a lock.
pub struct Once<T>(Mutex<Option<T>>);

impl<T> Once<T> {
    pub fn new(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }

    pub fn take(&self) -> PyResult<T> {
        let mut value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        value.take().ok_or_else(|| config("it was used up already; make a new one"))
    }

    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> PyResult<R> {
        let mut value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        value.as_mut().map(f).ok_or_else(|| config("it was used up already; make a new one"))
    }
}

/// Makes a part of what a scan keeps; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct PartWriter {
    pub inner: Once<part::PartWriter>,
}

#[pymethods]
impl PartWriter {
    #[new]
    #[pyo3(signature = (
        query, format_name, *, path=None, rejects_path=None, memory_bytes=SMALL_PART_BYTES,
    ))]
    fn new(
        query: &Query,
        format_name: &str,
        path: Option<PathBuf>,
        rejects_path: Option<PathBuf>,
        memory_bytes: usize,
    ) -> PyResult<Self> {
        let projection = &query.inner.projection;
        let format = format(format_name)?;
        let writer = part::PartWriter::new(format, projection, memory_bytes, path, rejects_path);
        Ok(Self { inner: Once::new(writer.map_err(to_python)?) })
    }

    fn finish(&self, py: Python<'_>) -> PyResult<Part> {
        let writer = py.detach(|| self.inner.take())?;
        let part = py.detach(|| writer.finish()).map_err(to_python)?;
        Ok(Part { inner: Once::new(part) })
    }
}

/// All that one source adds to an output; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct Part {
    pub inner: Once<part::Part>,
}

#[pymethods]
impl Part {
    #[getter]
    fn outgrown(&self) -> PyResult<bool> {
        self.inner.with(|part| part.is_outgrown())
    }

    #[getter]
    fn memory_bytes(&self) -> PyResult<usize> {
        self.inner.with(|part| part.memory_bytes())
    }

    fn spill(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.with(part::Part::spill))?.map_err(to_python)
    }

    fn keep(&self, py: Python<'_>, path: PathBuf) -> PyResult<Option<&'static str>> {
        let kept = py.detach(|| self.inner.with(|part| part.keep(&path)))?;
        Ok(kept.map_err(to_python)?.map(Form::as_str))
    }

    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, kept: Option<&str>) -> PyResult<Self> {
        let kept = kept.map(|kept| known("kept", kept, Form::named)).transpose()?;
        let part = py.detach(|| part::Part::open(&path, kept)).map_err(to_python)?;
        Ok(Self { inner: Once::new(part) })
    }

    fn copy_rejects(&self, py: Python<'_>, descriptor: i32) -> PyResult<()> {
        let mut file = File::from(duplicate(descriptor)?);
        py.detach(|| self.inner.with(|part| part.copy_rejects(&mut file)))?.map_err(to_python)
    }
}

/// An output file, or a descriptor such as standard output; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct Output {
    pub inner: Once<part::Output>,
}

#[pymethods]
impl Output {
    #[new]
    #[pyo3(signature = (target, query, format_name, metadata))]
    fn new(
        target: &Bound<'_, PyAny>,
        query: &Query,
        format_name: &str,
        metadata: Vec<(String, String)>,
    ) -> PyResult<Self> {
        let file = if target.is_instance_of::<PyInt>() {
            File::from(duplicate(target.extract()?)?)
        } else {
            create_private(&target.extract::<PathBuf>()?).map_err(of_system)?
        };
        let schema = query.inner.projection.schema();
        let output =
            part::Output::new(file, format(format_name)?, schema, &metadata).map_err(to_python)?;
        Ok(Self { inner: Once::new(output) })
    }

    fn append(&self, py: Python<'_>, part: &Part) -> PyResult<()> {
        py.detach(|| self.inner.with(|output| part.inner.with(|part| output.append(part))))??
            .map_err(to_python)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.with(part::Output::flush))?.map_err(to_python)
    }

    #[pyo3(signature = (*, sync))]
    fn finish(&self, py: Python<'_>, sync: bool) -> PyResult<()> {
        let output = py.detach(|| self.inner.take())?;
        py.detach(|| {
            let file = output.finish()?;
            if sync {
                file.sync_all().map_err(edxlogs_core::error::Error::encode)?;
            }
            Ok(())
        })
        .map_err(to_python)
    }
}
