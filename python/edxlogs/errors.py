"""The exceptions of edxlogs. The compiled module raises the same ones."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class EdxlogsError(Exception):
    """The base class of every error of edxlogs.

    `str()` gives one line of the form `what: where: why; what to do`. Control characters, which may
    come from names and data, are escaped.

    Attributes:
        source: path of the source, with the member if it is in a tar; None if no source is
            concerned.
        line: number of the physical line in the source, from 1, or None.
        byte: offset from 0, or None. With a line, where it begins in the expanded source;
            otherwise, where the source as stored is damaged.
        errno: the system's error number; None if the system did not cause the error.
    """

    errno: int | None = None  # in front of OSError's own, which gets lost between processes

    def __init__(
        self,
        message: str,
        source: str | None = None,
        line: int | None = None,
        byte: int | None = None,
        errno: int | None = None,
    ) -> None:
        # One argument only: OSError would take several for errno, strerror and file names.
        super().__init__(message)
        self.source = source
        self.line = line
        self.byte = byte
        self.errno = errno

    def __str__(self) -> str:
        message = str(self.args[0]) if self.args else ""
        # A lone surrogate stands for a byte of a file name that is not UTF-8.
        return "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in message
        )


class SourceError(EdxlogsError, OSError):
    """A source cannot be opened, or cannot be read to its end."""


class MissingSourceError(SourceError, FileNotFoundError):
    """A source does not exist."""


class S3Error(SourceError):
    """S3 refused a request, or the connection broke for good.

    Attributes:
        reason: why, as a value of `s3.errors.Reason` that programs can test.
    """

    def __init__(self, message: str, source: str | None = None, reason: str = "other") -> None:
        super().__init__(message, source)
        self.reason = reason


class MissingObjectError(S3Error, MissingSourceError):
    """A bucket, an object or a prefix does not exist."""


class DecryptError(SourceError):
    """An OpenPGP message cannot be decrypted, or must not be trusted."""


class FormatError(EdxlogsError, ValueError):
    """The bytes of a source are not a log."""


class InflateError(FormatError):
    """Compressed data are damaged or cut off."""


class ParseError(FormatError):
    """A line is not an event. Raised only if the caller asked for errors."""


class ConfigError(EdxlogsError, ValueError):
    """A condition, a column or an option is invalid."""


class OutputError(EdxlogsError, OSError):
    """An output cannot be written.

    Attributes:
        is_placed: whether the message names the output; the compiled module does not know its name.
    """

    def __init__(
        self,
        message: str,
        source: str | None = None,
        line: int | None = None,
        byte: int | None = None,
        errno: int | None = None,
        is_placed: bool = True,
    ) -> None:
        super().__init__(message, source, line, byte, errno)
        self.is_placed = is_placed


class StoppedError(EdxlogsError):
    """The caller stopped a scan."""


class InternalError(EdxlogsError, RuntimeError):
    """A bug in edxlogs: a guarantee does not hold. Please report it."""


class ResumableInterrupt(KeyboardInterrupt):
    """Ctrl-C after part of the work was finished; the same command need not repeat that part."""


def told(error: Exception, where: str) -> str:
    """Describe an error in one line. A caller's file may raise any error; `where` is its place."""
    if isinstance(error, EdxlogsError):
        return str(error)
    return str(EdxlogsError(f"{where}: reading it failed: {type(error).__name__}: {error}"))


def cannot_write(where: str, error: OSError) -> OutputError:
    """Make the error for an output that cannot be written, with what to do.

    Args:
        where: the output, as messages call it.
        error: from the system or the compiled module. One that names its place is returned as it
            is.
    """
    if isinstance(error, OutputError) and error.is_placed:
        return error
    if isinstance(error, S3Error):
        return OutputError(str(error), error.source)
    number = error.errno
    why = str(error) if number is None else os.strerror(number)
    return OutputError(f"output: {where}: {why}; {_what_to_do(number)}", errno=number)


@contextmanager
def written_to(where: str, beside: tuple[str, str] | None = None) -> Iterator[None]:
    """Name the output in errors raised inside the block.

    Args:
        where: the output, as messages call it.
        beside: hidden folder and name of another output that is written together with this one.
    """
    try:
        yield
    except OutputError as error:
        if beside is not None and error.source is not None and error.source.startswith(beside[0]):
            where = beside[1]
        raise cannot_write(where, error) from error


def _what_to_do(number: int | None) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "make room, or name another place, and run again"
    if number in (errno.ENOENT, errno.ENOTDIR):
        return "make the folder, or name another place"
    if number in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
        return "name a place on a file system that has locks and renames"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "let edxlogs write there, or name another place, and run again"
    return "fix that, or name another place, and run again"
