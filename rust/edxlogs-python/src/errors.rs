//! The one mapping of the core's errors to Python's exceptions.

use std::io;

use edxlogs_core::error::{Error, ErrorKind};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

mod python {
    pyo3::import_exception!(edxlogs.errors, ConfigError);
    pyo3::import_exception!(edxlogs.errors, FormatError);
    pyo3::import_exception!(edxlogs.errors, InflateError);
    pyo3::import_exception!(edxlogs.errors, InternalError);
    pyo3::import_exception!(edxlogs.errors, MissingSourceError);
    pyo3::import_exception!(edxlogs.errors, OutputError);
    pyo3::import_exception!(edxlogs.errors, ParseError);
    pyo3::import_exception!(edxlogs.errors, SourceError);
    pyo3::import_exception!(edxlogs.errors, StoppedError);
}

/// The exception for an error: its message, source, line, byte offset and the system's number. What
/// Python raised while it was asked for bytes comes back as it was.
pub fn to_python(error: Error) -> PyErr {
    if let ErrorKind::Io(io) = error.kind()
        && let Some(raised) = io.get_ref().and_then(|inner| inner.downcast_ref::<PyErr>())
    {
        return Python::attach(|py| raised.clone_ref(py));
    }
    let source = error.source_name().map(str::to_owned);
    let arguments = (error.to_string(), source, error.line(), error.byte(), error.errno());
    match error.kind() {
        ErrorKind::Io(io) if io.kind() == io::ErrorKind::NotFound => {
            python::MissingSourceError::new_err(arguments)
        }
        ErrorKind::Io(_) => python::SourceError::new_err(arguments),
        ErrorKind::Truncated | ErrorKind::Damaged(_) => python::InflateError::new_err(arguments),
        ErrorKind::Format(_) => python::FormatError::new_err(arguments),
        ErrorKind::Parse(_) => python::ParseError::new_err(arguments),
        ErrorKind::Config(_) => python::ConfigError::new_err(arguments),
        // The core does not know which output it is: whoever opened it says so.
        ErrorKind::Encode { .. } => {
            let (message, source, line, byte, errno) = arguments;
            python::OutputError::new_err((message, source, line, byte, errno, false))
        }
        ErrorKind::Interrupted => python::StoppedError::new_err(arguments),
        _ => python::InternalError::new_err(arguments),
    }
}

/// An exception for what the system refused: Python's own for its number.
pub fn of_system(error: io::Error) -> PyErr {
    let Some(errno) = error.raw_os_error() else {
        return PyOSError::new_err(error.to_string());
    };
    Python::attach(|py| {
        let why = py.import("os").and_then(|os| os.call_method1("strerror", (errno,)));
        why.map_or_else(|failed| failed, |why| PyOSError::new_err((errno, why.unbind())))
    })
}

/// An exception for wrong use.
pub fn config(why: impl Into<String>) -> PyErr {
    to_python(Error::config(why.into()))
}
