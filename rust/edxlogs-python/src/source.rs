//! What a source is opened as: a path, a descriptor or a Python file object, each to `Read`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use edxlogs_core::error::{Error, ErrorKind, Result};
use edxlogs_core::scan::Control;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyInt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::errors::to_python;

/// How often a reader that waits looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Bytes asked of a Python file object at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Where the bytes of a source come from.
pub enum Input {
    /// A file, or a stretch of one.
    Path { path: PathBuf, offset: u64, length: Option<u64> },
    /// A descriptor of ours: a duplicate of the caller's.
    Descriptor(OwnedFd),
    /// An object with `read(size)`.
    Object(Py<PyAny>),
}

impl Input {
    /// Takes a path, a descriptor's number or a file object.
    pub fn new(input: &Bound<'_, PyAny>, offset: u64, length: Option<u64>) -> PyResult<Self> {
        if input.is_instance_of::<PyInt>() {
            return Ok(Self::Descriptor(duplicate(input.extract()?)?));
        }
        if input.hasattr("read")? {
            return Ok(Self::Object(input.clone().unbind()));
        }
        Ok(Self::Path { path: input.extract()?, offset, length })
    }

    /// Opens it. A reader that waits for another process stops when `control` says so.
    fn open(self, control: &Arc<Control>) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Path { path, offset, length } => {
                let mut file = File::open(path)?;
                if file.metadata()?.is_dir() {
                    return Err(rustix::io::Errno::ISDIR.into());
                }
                if offset == 0 && length.is_none() {
                    return Ok(Box::new(Patient::new(file, control)?));
                }
                file.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(file.take(length.unwrap_or(u64::MAX))))
            }
            Self::Descriptor(descriptor) => {
                Ok(Box::new(Patient::new(File::from(descriptor), control)?))
            }
            Self::Object(object) => Ok(Box::new(FileObject { object, chunk: None, taken: 0 })),
        }
    }

    /// Reads it, with the interpreter released: what `read` counts, and the exception that ended it
    /// early or None, which names `label`.
    pub fn read<S: Default + Send>(
        self,
        py: Python<'_>,
        control: &Arc<Control>,
        label: &str,
        read: impl FnOnce(Box<dyn Read + Send>) -> (S, Result<()>) + Send,
    ) -> (S, Option<PyErr>) {
        let (stats, result) = py.detach(|| match self.open(control) {
            Ok(input) => read(input),
            Err(error) => (S::default(), Err(Error::from(error))),
        });
        let error = result.err().map(|error| {
            // What a stopped reader says is not what is wrong with the source.
            if control.check().is_err() || matches!(error.kind(), ErrorKind::Interrupted) {
                return to_python(Error::new(ErrorKind::Interrupted));
            }
            to_python(error.in_source(label))
        });
        (stats, error)
    }
}

/// A duplicate of a descriptor that the caller holds open.
pub fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: it is not -1, and is borrowed for this one call, during which the caller, a Python
    // function that holds the interpreter, keeps it open. A number that is not open is an error of
    // the system call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    borrowed.try_clone_to_owned()
}

/// A file that may be a pipe: waits for bytes in short turns, between which it can be stopped.
struct Patient {
    file: File,
    waits: bool,
    control: Arc<Control>,
}

impl Patient {
    fn new(file: File, control: &Arc<Control>) -> io::Result<Self> {
        let waits = !file.metadata()?.is_file();
        Ok(Self { file, waits, control: Arc::clone(control) })
    }

    /// Waits until a read would not block.
    fn wait(&self) -> io::Result<()> {
        let turn = Timespec { tv_sec: 0, tv_nsec: PATIENCE.subsec_nanos().into() };
        loop {
            if self.control.check().is_err() {
                return Err(io::Error::other("stopped"));
            }
            let mut ready = [PollFd::from_borrowed_fd(self.file.as_fd(), PollFlags::IN)];
            match poll(&mut ready, Some(&turn)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.waits {
            self.wait()?;
        }
        self.file.read(buffer)
    }
}

/// A Python file object, asked for a large chunk at a time.
struct FileObject {
    object: Py<PyAny>,
    /// Read without the interpreter, which the readers of other sources may hold.
    chunk: Option<PyBackedBytes>,
    taken: usize,
}

impl FileObject {
    fn next_chunk(&self) -> io::Result<PyBackedBytes> {
        Python::attach(|py| {
            let chunk = self.object.bind(py).call_method1("read", (CHUNK_BYTES,));
            // What it raises goes back to Python as it is.
            let chunk = chunk.map_err(io::Error::other)?;
            let Ok(bytes) = chunk.cast::<PyBytes>() else {
                let kind = chunk.get_type().qualname().map_err(io::Error::other)?;
                return Err(io::Error::other(format!("gives {kind}, not bytes; open it as 'rb'")));
            };
            Ok(bytes.clone().into())
        })
    }
}

impl Read for FileObject {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = match self.chunk.take() {
            Some(chunk) if self.taken < chunk.len() => self.chunk.insert(chunk),
            _ => {
                self.taken = 0;
                let next = self.next_chunk()?;
                self.chunk.insert(next)
            }
        };
        let ahead = &chunk[self.taken..];
        let count = ahead.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ahead[..count]);
        self.taken += count;
        Ok(count)
    }
}
