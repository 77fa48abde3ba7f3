//! The compiled module `edxlogs._core`: a thin boundary, crossed once a source and once a batch.

mod crc;
mod dataset;
mod errors;
mod keywrap;
mod output;
mod query;
mod scan;
mod source;
mod stored;
mod stream;
mod summary;
mod system;
mod tables;

use pyo3::prelude::*;

/// Column buffers of some hundred kilobytes come and go for every batch: the system's allocator
/// would hand them back to the kernel, and fault them in again. It asks for no huge pages (`no_thp`):
/// they are no faster here, and twice the memory, since little of each is used.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`: milliseconds after which freed memory goes back to the kernel. The
/// next batch wants it long before that.
const PURGE_DELAY: (libmimalloc_sys::mi_option_t, std::ffi::c_long) = (15, 1000);

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // SAFETY: it sets a number, and the module is made once, before any thread of ours.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY.0, PURGE_DELAY.1) };
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DEBUG", cfg!(debug_assertions))?;
    module.add_class::<crc::Crc>()?;
    module.add_class::<query::Query>()?;
    module.add_class::<output::PartWriter>()?;
    module.add_class::<output::Part>()?;
    module.add_class::<output::Output>()?;
    module.add_class::<dataset::SeveralWriter>()?;
    module.add_class::<dataset::DatasetFiles>()?;
    module.add_class::<scan::Control>()?;
    module.add_class::<scan::LineHashes>()?;
    module.add_class::<stored::StoredQuery>()?;
    module.add_class::<scan::TextSum>()?;
    module.add_class::<query::EventTables>()?;
    module.add_class::<stream::Batch>()?;
    module.add_class::<stream::BatchStream>()?;
    module.add_class::<stream::BatchWriter>()?;
    module.add_class::<summary::Summary>()?;
    module.add_class::<tables::Table>()?;
    module.add_class::<tables::OraJoin>()?;
    module.add_class::<tables::OraTarget>()?;
    module.add_function(wrap_pyfunction!(tables::convert, module)?)?;
    module.add_function(wrap_pyfunction!(scan::scan, module)?)?;
    module.add_function(wrap_pyfunction!(dataset::copy_lines, module)?)?;
    module.add_function(wrap_pyfunction!(dataset::rewrite, module)?)?;
    module.add_function(wrap_pyfunction!(dataset::header, module)?)?;
    module.add_function(wrap_pyfunction!(system::sync_file_system, module)?)?;
    module.add_function(wrap_pyfunction!(keywrap::rewrap_key, module)?)?;
    module.add_function(wrap_pyfunction!(query::columns, module)?)?;
    module.add_function(wrap_pyfunction!(summary::exactness, module)?)?;
    module.add_function(wrap_pyfunction!(summary::summary_keys, module)?)?;
    module.add_function(wrap_pyfunction!(query::course_folder, module)?)?;
    module.add_function(wrap_pyfunction!(query::expression, module)?)?;
    module.add_function(wrap_pyfunction!(query::partition_keys, module)?)?;
    module.add_function(wrap_pyfunction!(query::parse_time, module)?)?;
    Ok(())
}
