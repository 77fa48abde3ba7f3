//! What can go wrong, where, and why.

use std::fmt;
use std::io;

/// The result of an operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The compressed data end too early.
    #[error("the compressed data are cut off; fetch the file again, or use --salvage")]
    Truncated,
    /// The compressed data are damaged: how.
    #[error("the compressed data are damaged ({0}); fetch the file again, or use --salvage")]
    Damaged(&'static str),
    /// Bytes that are no log: why, and what to do.
    #[error("{0}")]
    Format(String),
    /// A line that no event can be read from, where the caller asked for an error: why.
    #[error("no event can be read from the line ({0}); mend it, or have such lines counted")]
    Parse(&'static str),
    /// A condition, column or option that cannot be used.
    #[error("{0}")]
    Config(String),
    /// The output cannot be written: why, and the system's number of that, where it is to blame.
    #[error("cannot be written: {why}")]
    #[allow(missing_docs, reason = "said above")]
    Encode { why: String, errno: Option<i32> },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A promise of this program is broken.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

/// An error: what, and in which source.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    source: Option<String>,
    line: Option<u64>,
    byte: Option<u64>,
}

impl Error {
    /// An error of that kind, at no place yet.
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, source: None, line: None, byte: None }))
    }

    /// A condition, column or option that cannot be used.
    pub fn config(why: String) -> Self {
        Self::new(ErrorKind::Config(why))
    }

    /// A promise of this program is broken.
    pub fn internal(why: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal(why.into()))
    }

    /// The output cannot be written. The first cause is told, not in which library it was met.
    pub fn encode(error: impl std::error::Error + 'static) -> Self {
        let mut cause: &(dyn std::error::Error + 'static) = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let errno = cause.downcast_ref().and_then(io::Error::raw_os_error);
        Self::new(ErrorKind::Encode { why: cause.to_string(), errno })
    }

    /// Names a file that cannot be written, where it is not the output itself.
    pub fn at_path(mut self, path: &std::path::Path) -> Self {
        self.0.source = Some(path.to_string_lossy().into_owned());
        self
    }

    /// Names the source, unless the output is to blame; of a file of a tar, the tar before it.
    pub fn in_source(mut self, name: &str) -> Self {
        if matches!(self.0.kind, ErrorKind::Encode { .. }) {
            return self;
        }
        self.0.source = Some(match self.0.source.take() {
            Some(member) => format!("{name}: {member}"),
            None => name.to_owned(),
        });
        self
    }

    /// Tells the line, and where it begins in the expanded source.
    pub fn at_line(mut self, line: u64, byte: u64) -> Self {
        (self.0.line, self.0.byte) = (Some(line), Some(byte));
        self
    }

    /// Tells the byte offset in the source as it was read.
    pub fn at_byte(mut self, byte: u64) -> Self {
        self.0.byte = Some(byte);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The system's number of what went wrong, where it is to blame.
    pub fn errno(&self) -> Option<i32> {
        match &self.0.kind {
            ErrorKind::Io(error) => error.raw_os_error(),
            ErrorKind::Encode { errno, .. } => *errno,
            _ => None,
        }
    }

    /// The source's name.
    pub fn source_name(&self) -> Option<&str> {
        self.0.source.as_deref()
    }

    /// The number of the line in the source, from 1.
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }

    /// A byte offset: of a line in the expanded source, else in the source as it was read.
    pub fn byte(&self) -> Option<u64> {
        self.0.byte
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(ErrorKind::Io(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.0.source {
            write!(f, "{source}: ")?;
        }
        if let Some(line) = self.0.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(byte) = self.0.byte {
            write!(f, "byte {byte}: ")?;
        }
        write!(f, "{}", self.0.kind)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.kind)
    }
}
