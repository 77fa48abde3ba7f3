//! What one system has and another lacks.

use std::io;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;

use crate::errors::of_system;

/// Brings all that was written to the file system of a folder to the disk, where the system has a
/// call for that; described in `_core.pyi`.
#[pyfunction]
pub fn sync_file_system(py: Python<'_>, folder: PathBuf) -> PyResult<bool> {
    py.detach(|| sync(&folder)).map_err(of_system)
}

#[cfg(target_os = "linux")]
fn sync(folder: &Path) -> io::Result<bool> {
    rustix::fs::syncfs(&std::fs::File::open(folder)?)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn sync(_: &Path) -> io::Result<bool> {
    Ok(false)
}
