//! The cyclic redundancy checks of S3.

use std::sync::{Mutex, PoisonError};

use crc_fast::{CrcAlgorithm, Digest};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::config;

/// A CRC in the making; described in `_core.pyi`.
#[pyclass(frozen, module = "edxlogs._core")]
pub struct Crc {
    digest: Mutex<Digest>,
    size: usize,
}

#[pymethods]
impl Crc {
    #[new]
    fn new(algorithm: &str) -> PyResult<Self> {
        let (algorithm, size) = match algorithm {
            "CRC32" => (CrcAlgorithm::Crc32IsoHdlc, 4),
            "CRC32C" => (CrcAlgorithm::Crc32Iscsi, 4),
            "CRC64NVME" => (CrcAlgorithm::Crc64Nvme, 8),
            _ => return Err(config("checksum: is not a CRC of S3")),
        };
        Ok(Self { digest: Mutex::new(Digest::new(algorithm)), size })
    }

    fn update(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) {
        let data = data.as_bytes();
        py.detach(|| self.digest.lock().unwrap_or_else(PoisonError::into_inner).update(data));
    }

    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let value = self.digest.lock().unwrap_or_else(PoisonError::into_inner).finalize();
        let bytes = value.to_be_bytes();
        PyBytes::new(py, &bytes[bytes.len() - self.size..])
    }
}
