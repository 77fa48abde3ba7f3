//! The one mapping of the core's errors to Python's exceptions.

use edxlogs_core::error::{Error, ErrorKind};
use pyo3::PyErr;

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

/// The exception for an error: its message, source, line and byte offset.
pub fn to_python(error: &Error) -> PyErr {
    let source = error.source_name().map(str::to_owned);
    let arguments = (error.to_string(), source, error.line(), error.byte());
    match error.kind() {
        ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::NotFound => {
            python::MissingSourceError::new_err(arguments)
        }
        ErrorKind::Io(_) => python::SourceError::new_err(arguments),
        ErrorKind::Truncated | ErrorKind::Damaged(_) => python::InflateError::new_err(arguments),
        ErrorKind::Format(_) => python::FormatError::new_err(arguments),
        ErrorKind::Parse(_) => python::ParseError::new_err(arguments),
        ErrorKind::Config(_) => python::ConfigError::new_err(arguments),
        ErrorKind::Encode(_) => python::OutputError::new_err(arguments),
        ErrorKind::Interrupted => python::StoppedError::new_err(arguments),
        _ => python::InternalError::new_err(arguments),
    }
}

/// An exception for a file object that failed.
pub fn config(why: impl Into<String>) -> PyErr {
    to_python(&Error::config(why.into()))
}
