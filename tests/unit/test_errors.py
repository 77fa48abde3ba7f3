"""errors.py: messages on one line, and errors that survive a way between processes."""

from __future__ import annotations

import errno
import pickle

import pytest

from edxlogs.errors import (
    ConfigError,
    DecryptError,
    EdxlogsError,
    OutputError,
    SourceError,
    cannot_write,
)


@pytest.mark.parametrize("kind", [EdxlogsError, SourceError, DecryptError, ConfigError])
def test_errors_are_one_line_and_travel(kind: type[EdxlogsError]) -> None:
    error = kind("cannot read: a\nb\x1b[31m\udcff: why", "a\nb", 3, 17, errno.EIO)
    assert str(error) == "cannot read: a\\nb\\x1b[31m\\udcff: why"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.source, copy.line, copy.byte) == (str(error), "a\nb", 3, 17)
    assert copy.errno == errno.EIO
    assert isinstance(DecryptError("x"), OSError)
    assert isinstance(ConfigError("x"), ValueError)


def test_an_output_is_named_once() -> None:
    """The advice follows from the number, whatever the message says."""
    unplaced = OutputError("cannot be written: (os error 13)", errno=errno.ENOSPC, is_placed=False)
    error = cannot_write("a.csv", unplaced)
    assert str(error).startswith("output: a.csv: No space left on device; make room")
    assert error.errno == errno.ENOSPC
    assert cannot_write("elsewhere", error) is error
    mine = OutputError("cannot write: b.csv: why")
    assert cannot_write("a.csv", mine) is mine
    assert "fix that" in str(cannot_write("a.csv", OSError("output: why (os error 28)")))
