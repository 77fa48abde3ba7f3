"""errors.py: messages on one line, and errors that survive a way between processes."""

from __future__ import annotations

import pickle

import pytest

from edxlogs.errors import ConfigError, DecryptError, EdxlogsError, SourceError


@pytest.mark.parametrize("kind", [EdxlogsError, SourceError, DecryptError, ConfigError])
def test_errors_are_one_line_and_travel(kind: type[EdxlogsError]) -> None:
    error = kind("cannot read: a\nb\x1b[31m\udcff: why", "a\nb", 3, 17)
    assert str(error) == "cannot read: a\\nb\\x1b[31m\\udcff: why"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.source, copy.line, copy.byte) == (str(error), "a\nb", 3, 17)
    assert isinstance(DecryptError("x"), OSError)
    assert isinstance(ConfigError("x"), ValueError)
