//! Tables of a database package: one file to an output, or to a stream of batches.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use edxlogs_core::database::convert::{Aside, TableOutput, TableTarget, convert as convert_file};
use edxlogs_core::database::ora;
use edxlogs_core::database::{self, Derived, Dialect, WantedCourses};
use edxlogs_core::error::Error;
use edxlogs_core::file;
use edxlogs_core::frame::counts::Reason;
use edxlogs_core::frame::source::SourceInfo;
use edxlogs_core::frame::types::{Column, ColumnType, Hint, Role};
use edxlogs_core::query::columns::Beside;
use edxlogs_core::scan::{Rows, Sink};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use crate::errors::{config, to_python};
use crate::query::{format, known};
use crate::scan::{Control, TextSum, named};
use crate::source::Input;
use crate::stream::{BatchSender, BatchWriter};

/// A table: how its files are written, and what columns come of them; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct Table {
    pub inner: Arc<database::Table>,
}

#[pymethods]
impl Table {
    #[new]
    #[pyo3(signature = (
        dialect, columns, renamed=vec![], derived=vec![], *, has_course=false,
        day_in_folder=false,
        courses=None,
    ))]
    fn new(
        dialect: &str,
        columns: Vec<(String, String, String, String)>,
        renamed: Vec<(String, String)>,
        derived: Vec<(String, String, String, Vec<String>)>,
        has_course: bool,
        day_in_folder: bool,
        courses: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let dialect = known("dialect", dialect, Dialect::named)?;
        let columns = columns.into_iter().map(|(name, named, hint, role)| {
            let column_type = known("type", &named, ColumnType::named)?;
            let hint = match hint.as_str() {
                "" => Hint::Plain,
                "grows" => Hint::Grows,
                "long" => Hint::Long,
                other => return Err(config(format!("hint: '{other}' is not known"))),
            };
            let role = match role.as_str() {
                "" => None,
                named => Some(known("role", named, Role::named)?),
            };
            // Nobody asks for a range of long texts.
            let statistics = hint != Hint::Long;
            Ok(Column { hint, statistics, role, ..Column::new(name, column_type) })
        });
        let mut columns = columns.collect::<PyResult<Vec<_>>>()?;
        let mut taken = Vec::new();
        for (name, named, source, path) in derived {
            let column_type = known("type", &named, ColumnType::named)?;
            let source = columns.iter().position(|column| column.name == source);
            let source = source.ok_or_else(|| config("derived: from no column of the table"))?;
            taken.push(Derived { column: columns.len(), column_type, source, path });
            // A number that is taken out of a text tells nothing of what the text says.
            let is_text = matches!(column_type, ColumnType::Text | ColumnType::Json);
            let role = columns[source].role.filter(|_| is_text);
            columns.push(Column { role, ..Column::new(name, column_type) });
        }
        let courses = courses.map(|texts| WantedCourses::new(&texts));
        let derived = taken;
        let table = database::Table {
            dialect,
            columns,
            derived,
            has_course,
            day_in_folder,
            renamed,
            courses,
        };
        Ok(Self { inner: Arc::new(table) })
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.inner.schema().columns().iter().map(|column| column.name.clone()).collect()
    }
}

/// Gathers the tables of open response assessments; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
#[derive(Default)]
pub struct OraJoin {
    inner: Arc<Mutex<ora::OraJoin>>,
}

#[pymethods]
impl OraJoin {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// What takes the rows of one table, from its beginning.
    fn target(&self, table: String) -> OraTarget {
        lock(&self.inner).begin(&table);
        OraTarget { join: Arc::clone(&self.inner), table }
    }

    #[pyo3(signature = (
        target, table, *, format_name="parquet", package, member, site=None, day=None, metadata=vec![],
    ))]
    #[allow(clippy::too_many_arguments, reason = "keywords that describe one file")]
    fn write(
        &self,
        py: Python<'_>,
        target: PathBuf,
        table: &Table,
        format_name: &str,
        package: String,
        member: String,
        site: Option<String>,
        day: Option<i64>,
        metadata: Vec<(String, String)>,
    ) -> PyResult<u64> {
        let format = format(format_name)?;
        let source = SourceInfo { name: member, site, day, package: Some(package), course: None };
        let file = create(&target)?;
        py.detach(|| {
            let (table, schema) = (&table.inner, table.inner.schema());
            let mut output = TableOutput::new(file, format, Arc::clone(&schema), &metadata)?;
            let join = lock(&self.inner);
            let rows = output.write(&schema, |gather| join.join(table, &source, gather))?;
            output.finish()?;
            Ok(rows)
        })
        .map_err(to_python)
    }
}

/// Makes the file of an output.
fn create(path: &Path) -> PyResult<File> {
    file::create_private(path).map_err(|error| to_python(Error::encode(error)))
}

/// Takes the rows of one table.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct OraTarget {
    join: Arc<Mutex<ora::OraJoin>>,
    table: String,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where rows go.
enum Sending {
    File(Box<TableOutput>),
    Stream(BatchSender),
    Join(Arc<Mutex<ora::OraJoin>>, String),
    /// They are counted alone.
    Nowhere,
}

/// Reads one file of a package; the counts, and the exception that ended it early or None.
#[pyfunction]
#[pyo3(signature = (
    input, table, target, *, format_name="parquet", package, member, course=None, site=None,
    day=None, label,
    rejects_path=None, metadata=vec![], threads=1, control, text_sum=None,
))]
#[allow(clippy::too_many_arguments, reason = "keywords that describe one file")]
pub fn convert<'py>(
    py: Python<'py>,
    input: &Bound<'py, PyAny>,
    table: &Bound<'py, Table>,
    target: &Bound<'py, PyAny>,
    format_name: &str,
    package: String,
    member: String,
    course: Option<String>,
    site: Option<String>,
    day: Option<i64>,
    label: &str,
    rejects_path: Option<PathBuf>,
    metadata: Vec<(String, String)>,
    threads: usize,
    control: &Bound<'py, Control>,
    text_sum: Option<&Bound<'py, TextSum>>,
) -> PyResult<(Bound<'py, PyDict>, Option<PyErr>)> {
    let input = Input::new(input, 0, None)?;
    let table = Arc::clone(&table.get().inner);
    let control = Arc::clone(&control.get().inner);
    let sum = text_sum.map(|sum| Arc::clone(&sum.get().inner));
    let format = format(format_name)?;
    let source = SourceInfo { name: member, site, day, package: Some(package), course };
    let mut sending = if let Ok(writer) = target.cast::<BatchWriter>() {
        Sending::Stream(writer.get().sender())
    } else if let Ok(target) = target.cast::<OraTarget>() {
        let target = target.get();
        Sending::Join(Arc::clone(&target.join), target.table.clone())
    } else if target.is_none() {
        Sending::Nowhere
    } else {
        let file = create(&target.extract::<PathBuf>()?)?;
        let output =
            TableOutput::new(file, format, table.schema(), &metadata).map_err(to_python)?;
        Sending::File(Box::new(output))
    };
    let (stats, error) = input.read(py, &control, label, |input| {
        let (mut send, mut gather, mut count);
        let target = match &mut sending {
            Sending::Join(join, table) => {
                gather = |batch| {
                    lock(join).take(table, batch);
                    Ok(())
                };
                TableTarget::Batches(&mut gather)
            }
            Sending::Nowhere => {
                count = |_| Ok(());
                TableTarget::Batches(&mut count)
            }
            Sending::File(output) => TableTarget::Output(output),
            Sending::Stream(sender) => {
                send = |batch| sender.rows(Rows::Batch(batch, Beside::default()));
                TableTarget::Batches(&mut send)
            }
        };
        let aside = Aside { rejects: rejects_path.as_deref(), sum: sum.as_deref() };
        let (stats, result) =
            convert_file(input, &table, &source, target, threads, &control, aside);
        let finished = result.and_then(|()| match sending {
            Sending::File(output) => output.finish(),
            Sending::Stream(_) | Sending::Join(..) | Sending::Nowhere => Ok(()),
        });
        (stats, finished)
    });
    let counts = stats.sums().into_py_dict(py)?;
    let names = Reason::ALL.iter().map(|reason| reason.as_str());
    counts.set_item("reasons", named(py, names, &stats.rejected)?)?;
    let names = table.columns.iter().map(|column| column.name.as_str());
    counts.set_item("misfits", named(py, names, &stats.misfits)?)?;
    counts.set_item("literals", stats.literals)?;
    counts.set_item("unknown_columns", &stats.unknown_columns)?;
    counts.set_item("missing_columns", &stats.missing_columns)?;
    let (courses, rows): (Vec<&str>, Vec<u64>) =
        stats.courses.iter().map(|(course, rows)| (course.as_str(), *rows)).unzip();
    counts.set_item("courses", named(py, courses.into_iter(), &rows)?)?;
    Ok((counts, error))
}
