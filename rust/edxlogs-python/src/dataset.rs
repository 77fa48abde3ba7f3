//! Parts of a dataset and the files they make.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use edxlogs_core::part::{dataset, rewrite as rewriting, several};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::to_python;
use crate::output::{Once, Part, PartWriter};
use crate::query::{Query, format};
use crate::source::duplicate;

/// Makes the parts of several datasets; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct SeveralWriter {
    pub inner: Once<several::SeveralWriter>,
}

#[pymethods]
impl SeveralWriter {
    #[new]
    fn new(
        together: &Query,
        queries: Vec<PyRef<'_, Query>>,
        writers: Vec<PyRef<'_, PartWriter>>,
    ) -> PyResult<Self> {
        let queries: Vec<_> = queries.iter().map(|query| Arc::clone(&query.inner)).collect();
        let writers = writers.iter().map(|writer| writer.inner.take()).collect::<PyResult<_>>()?;
        let writer =
            several::SeveralWriter::new(&together.inner, &queries, writers).map_err(to_python)?;
        Ok(Self { inner: Once::new(writer) })
    }

    fn finish(&self, py: Python<'_>) -> PyResult<Vec<(Part, u64, u64)>> {
        let writer = py.detach(|| self.inner.take())?;
        let shares = py.detach(|| writer.finish()).map_err(to_python)?;
        let plain = |share: several::Share| {
            (Part { inner: Once::new(share.part) }, share.rows, share.lines)
        };
        Ok(shares.into_iter().map(plain).collect())
    }
}

type Made = (PathBuf, String, usize, u64, u64, String, Vec<(u32, u64)>);

/// The files of a dataset that several parts make together; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct DatasetFiles {
    inner: Once<dataset::Dataset>,
}

#[pymethods]
impl DatasetFiles {
    #[new]
    fn new(query: &Query, format_name: &str, metadata: Vec<(String, String)>) -> PyResult<Self> {
        let dataset =
            dataset::Dataset::new(format(format_name)?, &query.inner.projection, metadata)
                .map_err(to_python)?;
        Ok(Self { inner: Once::new(dataset) })
    }

    fn append(&self, py: Python<'_>, input: u32, part: &Part) -> PyResult<()> {
        py.detach(|| {
            let part = part.inner.take()?;
            self.inner.with(|dataset| dataset.append(input, part))
        })?
        .map_err(to_python)
    }

    #[pyo3(signature = (folder, prefix, *, file_bytes, threads))]
    fn finish(
        &self,
        py: Python<'_>,
        folder: PathBuf,
        prefix: &str,
        file_bytes: u64,
        threads: usize,
    ) -> PyResult<Vec<Made>> {
        let made = py.detach(|| {
            let dataset = self.inner.take()?;
            dataset.finish(&folder, prefix, file_bytes, threads).map_err(to_python)
        })?;
        let plain = |file: dataset::MadeFile| {
            (file.path, file.folder, file.number, file.rows, file.bytes, file.sha256, file.runs)
        };
        Ok(made.into_iter().map(plain).collect())
    }
}

/// Makes a file of a dataset of rows of others; described in `_core.pyi`.
#[pyfunction]
pub fn rewrite(
    py: Python<'_>,
    pieces: Vec<(PathBuf, Vec<(u64, u64)>)>,
    format_name: &str,
    path: PathBuf,
) -> PyResult<(u64, u64, String)> {
    let format = format(format_name)?;
    let pieces: Vec<_> =
        pieces.into_iter().map(|(path, rows)| rewriting::Excerpt { path, rows }).collect();
    let made = py.detach(|| rewriting::rewrite(&pieces, format, &path)).map_err(to_python)?;
    Ok((made.rows, made.bytes, made.sha256))
}

/// What stands above the rows of a file of a dataset; described in `_core.pyi`.
#[pyfunction]
pub fn header<'py>(
    py: Python<'py>,
    path: PathBuf,
    format_name: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let format = format(format_name)?;
    let header = py.detach(|| rewriting::header(&path, format)).map_err(to_python)?;
    Ok(PyBytes::new(py, &header))
}

/// Copies the lines of a file of a dataset, without their compression; described in `_core.pyi`.
#[pyfunction]
pub fn copy_lines(
    py: Python<'_>,
    path: PathBuf,
    format_name: &str,
    descriptor: i32,
) -> PyResult<()> {
    let format = format(format_name)?;
    let mut out = File::from(duplicate(descriptor)?);
    py.detach(|| rewriting::copy_lines(&path, format, &mut out)).map_err(to_python)
}
