//! One scan of one source, with the interpreter released.

use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use edxlogs_core::error::{Error, Result};
use edxlogs_core::frame::counts::{Mend, Odd, Reason};
use edxlogs_core::frame::rejects::Rejects;
use edxlogs_core::frame::source::SourceInfo;
use edxlogs_core::input::text_sum;
use edxlogs_core::scan::line_hashes;
use edxlogs_core::scan::pipeline;
use edxlogs_core::scan::{Asked, Control as CoreControl, Rows, Sink};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict};

use crate::dataset::SeveralWriter;
use crate::errors::to_python;
use crate::output::{Output, PartWriter};
use crate::query::Query;
use crate::source::Input;
use crate::stream::BatchWriter;
use crate::summary::Summary;

/// Stops scans, and tells how far they are; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
#[derive(Default)]
pub struct Control {
    pub inner: Arc<CoreControl>,
}

#[pymethods]
impl Control {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn stop(&self) {
        self.inner.stop.store(true, Ordering::Relaxed);
    }

    #[getter]
    fn stopped(&self) -> bool {
        self.inner.stop.load(Ordering::Relaxed)
    }

    #[getter]
    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read.load(Ordering::Relaxed)
    }

    #[getter]
    fn bytes_expanded(&self) -> u64 {
        self.inner.bytes_expanded.load(Ordering::Relaxed)
    }
}

/// Which lines earlier sources held; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct LineHashes {
    inner: Arc<line_hashes::LineHashes>,
}

#[pymethods]
impl LineHashes {
    #[new]
    #[pyo3(signature = (path, earlier, *, within=false))]
    fn new(py: Python<'_>, path: PathBuf, earlier: Vec<PathBuf>, within: bool) -> PyResult<Self> {
        let hashes = py.detach(|| line_hashes::LineHashes::new(path, &earlier, within));
        Ok(Self { inner: Arc::new(hashes.map_err(to_python)?) })
    }

    fn finish(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.inner.finish()).map_err(to_python)
    }
}

/// What tells a text from others; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct TextSum {
    pub inner: Arc<text_sum::TextSum>,
}

#[pymethods]
impl TextSum {
    #[new]
    #[pyo3(signature = (lengths=vec![]))]
    fn new(lengths: Vec<u64>) -> Self {
        Self { inner: Arc::new(text_sum::TextSum::new(lengths)) }
    }

    fn update(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) {
        let data = data.as_bytes();
        py.detach(|| self.inner.update(data));
    }

    #[getter]
    fn total(&self) -> (u64, u32) {
        self.inner.total()
    }

    #[getter]
    fn beginnings(&self) -> Vec<(u64, u32)> {
        self.inner.beginnings()
    }
}

/// Takes nothing: for counting.
struct Nowhere;

impl Sink for Nowhere {
    fn rows(&mut self, _rows: Rows) -> Result<()> {
        Ok(())
    }

    fn rejects(&mut self, _rejects: &Rejects) -> Result<()> {
        Ok(())
    }
}

/// Scans one source; the counts, and the exception that ended it early or None.
#[pyfunction]
#[pyo3(signature = (
    input, query, sink, *, name, label=None, site=None, day=None, offset=0, length=None, members=None,
    threads=1, control, hashes=None, text_sum=None, limit=None,
))]
#[allow(clippy::too_many_arguments, reason = "keywords that describe one source")]
pub fn scan<'py>(
    py: Python<'py>,
    input: &Bound<'py, PyAny>,
    query: &Bound<'py, Query>,
    sink: Option<&Bound<'py, PyAny>>,
    name: String,
    label: Option<String>,
    site: Option<String>,
    day: Option<i64>,
    offset: u64,
    length: Option<u64>,
    members: Option<Py<PyAny>>,
    threads: usize,
    control: &Bound<'py, Control>,
    hashes: Option<&Bound<'py, LineHashes>>,
    text_sum: Option<&Bound<'py, TextSum>>,
    limit: Option<NonZeroU64>,
) -> PyResult<(Bound<'py, PyDict>, Option<PyErr>)> {
    let input = Input::new(input, offset, length)?;
    let source = SourceInfo { name, site, day, ..SourceInfo::default() };
    let query = Arc::clone(&query.get().inner);
    let hashes = hashes.map(|hashes| Arc::clone(&hashes.get().inner));
    let sum = text_sum.map(|sum| Arc::clone(&sum.get().inner));
    let limit = limit.map(NonZeroU64::get);
    let summary = sink.and_then(|sink| sink.cast::<Summary>().ok()).map(|summary| summary.get());
    let counted = summary.map(|summary| &summary.counted);
    let (hashes, sum) = (hashes.as_deref(), sum.as_deref());
    let asked = Asked { query: &query, hashes, sum, limit, counted };
    let control = Arc::clone(&control.get().inner);
    let members = members.as_ref();
    let label = label.as_ref().unwrap_or(&source.name);
    let run = |sink: &mut dyn Sink| {
        input.read(py, &control, label, |input| {
            let members = &mut |path: &[u8], is_regular| describe(members, path, is_regular);
            pipeline::scan(input, &source, asked, threads, &control, members, sink)
        })
    };
    let (stats, error) = match sink {
        None => run(&mut Nowhere),
        Some(_) if counted.is_some() => run(&mut Nowhere),
        Some(sink) => {
            if let Ok(part) = sink.cast::<PartWriter>() {
                part.get().inner.with(|part| run(part))?
            } else if let Ok(parts) = sink.cast::<SeveralWriter>() {
                parts.get().inner.with(|parts| run(parts))?
            } else if let Ok(output) = sink.cast::<Output>() {
                output.get().inner.with(|output| run(output))?
            } else {
                run(&mut sink.cast::<BatchWriter>()?.get().sender())
            }
        }
    };
    let counts = stats.sums().into_py_dict(py)?;
    counts.set_item("latest_days", stats.latest_days)?;
    counts
        .set_item("reasons", named(py, Reason::ALL.iter().map(|r| r.as_str()), &stats.reasons)?)?;
    counts.set_item("mends", named(py, Mend::ALL.iter().map(|m| m.as_str()), &stats.mends)?)?;
    if let Some(tables) = query.tables.first().map(|table| &table.tables) {
        let names = (0..tables.len()).map(|number| tables.table(number).name());
        counts.set_item("homes", named(py, names, &stats.homes)?)?;
    }
    counts.set_item("odd", named(py, Odd::ALL.iter().map(|o| o.as_str()), &stats.odd)?)?;
    Ok((counts, error))
}

/// What a file of a tar is, as the caller says.
fn describe(
    members: Option<&Py<PyAny>>,
    path: &[u8],
    is_regular: bool,
) -> Result<Option<SourceInfo>> {
    type Described = Option<(String, Option<String>, Option<i64>)>;
    let Some(members) = members else {
        return Ok(None);
    };
    Python::attach(|py| -> PyResult<Described> {
        members.bind(py).call1((PyBytes::new(py, path), is_regular))?.extract()
    })
    .map(|described| {
        described.map(|(name, site, day)| SourceInfo { name, site, day, ..SourceInfo::default() })
    })
    .map_err(|raised| Error::from(io::Error::other(raised)))
}

/// The counts that are not 0, by name.
pub fn named<'py, 'n>(
    py: Python<'py>,
    names: impl Iterator<Item = &'n str>,
    counts: &[u64],
) -> PyResult<Bound<'py, PyDict>> {
    names.zip(counts).filter(|&(_, &count)| count > 0).into_py_dict(py)
}
