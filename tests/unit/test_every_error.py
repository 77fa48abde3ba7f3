"""Every exception that edxlogs has, raised by a real case."""

from __future__ import annotations

import errno
import gzip
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edxlogs
import edxlogs.errors
import fault_proxy
from decrypting import Ring
from edxlogs import _core
from edxlogs.account import Account, LineCounts, Outcome, SourceAccount
from edxlogs.errors import (
    ConfigError,
    DecryptError,
    EdxlogsError,
    FormatError,
    InflateError,
    InternalError,
    MissingObjectError,
    MissingSourceError,
    OutputError,
    ParseError,
    S3Error,
    SourceError,
    StoppedError,
)
from edxlogs.events.query import Conditions, make_query
from edxlogs.generator import keys
from edxlogs.s3.client import S3
from edxlogs.store.file import OutputFile
from fault_proxy import Fault
from small_logs import lines

pytestmark = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))


def read(path: Path, content: bytes, **options: Any) -> None:
    path.write_bytes(content)
    for _ in edxlogs.filter(path, **options):
        pass


def stopped(path: Path) -> None:
    path.write_bytes(lines(5))
    with edxlogs.filter(path) as stream:
        stream.close()
        list(stream)


def wrong_account() -> None:
    counts = LineCounts(lines=1)
    Account(
        sources=[SourceAccount("a.log", "a.log", status=Outcome.DELIVERED, counts=counts)]
    ).check()


def from_s3(fault: Fault) -> None:
    """A listing that a server refuses."""
    with fault_proxy.run("http://127.0.0.1:1") as proxy:
        proxy.plan(fault)
        list(S3(endpoint_url=proxy.url).objects("logs"))


def unreadable(path: Path) -> None:
    os.mkfifo(path.parent / "pipe")
    source = edxlogs.Source(str(path.parent), "folder.log", None)
    list(edxlogs.filter(source))


CASES: dict[type[EdxlogsError], tuple[type[Exception], Callable[[Path, Ring], object]]] = {
    SourceError: (OSError, lambda path, ring: unreadable(path)),
    MissingSourceError: (FileNotFoundError, lambda path, ring: edxlogs.filter(path)),
    S3Error: (OSError, lambda path, ring: from_s3(Fault(status=403, code="AccessDenied"))),
    MissingObjectError: (
        FileNotFoundError,
        lambda path, ring: from_s3(Fault(status=404, code="NoSuchBucket")),
    ),
    DecryptError: (
        OSError,
        lambda path, ring: read(path, ring.encrypt()[:5000], gnupg_home=ring.path),
    ),
    FormatError: (
        ValueError,
        lambda path, ring: read(path, gzip.compress(b"-----BEGIN PGP MESSAGE-----\n\n")),
    ),
    InflateError: (ValueError, lambda path, ring: read(path, gzip.compress(lines(9))[:-8])),
    ParseError: (ValueError, lambda path, ring: read(path, b"no event", raise_rejects=True)),
    ConfigError: (ValueError, lambda path, ring: read(path, b"", where="a =")),
    OutputError: (OSError, lambda path, ring: OutputFile(path.parent / "none" / "out")),
    StoppedError: (EdxlogsError, lambda path, ring: stopped(path)),
    InternalError: (RuntimeError, lambda path, ring: wrong_account()),
}
WITH_SOURCE = {
    SourceError,
    MissingSourceError,
    S3Error,
    MissingObjectError,
    DecryptError,
    FormatError,
    InflateError,
    ParseError,
}


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: str(kind.__name__))
def test_every_kind(kind: type[EdxlogsError], ring: Ring, tmp_path: Path) -> None:
    standard, case = CASES[kind]
    with pytest.raises(kind) as caught:
        case(tmp_path / "a.log", ring)
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, standard)
    assert isinstance(error, EdxlogsError)
    message = str(error)
    assert message
    assert "\n" not in message
    assert (error.source is not None) == (kind in WITH_SOURCE)


@pytest.mark.parametrize(
    ("name", "content", "kind", "number"),
    [
        ("none", None, MissingSourceError, errno.ENOENT),
        ("", None, SourceError, errno.EISDIR),
        ("a" * 300, None, SourceError, errno.ENAMETOOLONG),
        ("a.log", gzip.compress(lines(9))[:-9], InflateError, None),
        ("a.log", gzip.compress(lines(9))[:-8] + bytes(8), InflateError, None),
        ("a.log", b"PK\3\4" + bytes(99), FormatError, None),
        ("a.log", b"no event\n", ParseError, None),
    ],
)
def test_every_kind_of_the_core(
    tmp_path: Path, name: str, content: bytes | None, kind: type[EdxlogsError], number: int | None
) -> None:
    """Kind and number come with the error, not in its message."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    query = make_query(Conditions(), keep_rejects=True)
    control = _core.Control()
    stream = _core.BatchStream(query, control)
    _, error = _core.scan(tmp_path / name, query, stream.writer(), name="x", control=control)
    assert type(error) is kind
    assert (error.source, error.errno) == ("x", number)


def test_none_is_left_out() -> None:
    kinds = {
        kind
        for _, kind in inspect.getmembers(edxlogs.errors, inspect.isclass)
        if issubclass(kind, EdxlogsError)
    }
    assert kinds == set(CASES) | {EdxlogsError}
    assert {kind.__name__ for kind in kinds} <= set(edxlogs.__all__)


def test_damage_tells_its_byte(tmp_path: Path) -> None:
    """The byte is that of the file as it was read."""
    path = tmp_path / "a.log.gz"
    content = gzip.compress(lines(2000))
    path.write_bytes(content[: len(content) // 2])
    query = make_query(Conditions(), collect="nothing")
    _, error = _core.scan(path, query, None, name="a.log.gz", control=_core.Control())
    assert isinstance(error, InflateError)
    assert (error.source, error.line) == ("a.log.gz", None)
    assert error.byte is None or error.byte <= len(content) // 2


@pytest.mark.parametrize("threads", [1, 4])
def test_a_line_that_is_no_event_tells_its_place(tmp_path: Path, threads: int) -> None:
    good, bad = tmp_path / "a.log", tmp_path / "b.log.gz"
    good.write_bytes(lines(3))
    head = lines(2000)
    bad.write_bytes(gzip.compress(head + b"cut off\n" + lines(9) + b'{"a": 1}\n'))
    options: dict[str, Any] = {"columns": ["source", "line"], "threads": threads}
    stream = edxlogs.filter([good, bad], raise_rejects=True, **options)
    batches = iter(stream)
    assert len(next(batches)) == 3
    with pytest.raises(ParseError) as caught:
        list(batches)
    error = caught.value
    assert (error.source, error.line, error.byte) == (str(bad), 2001, len(head))
    assert str(error).startswith(f"{bad}: line 2001: byte {len(head)}: no event can be read")
    assert "cut off" not in str(error)
    assert not stream.verified
    # Unless asked to, it goes on.
    stream = edxlogs.filter([good, bad], **options)
    assert sum(len(batch) for batch in stream) == 2012
    assert stream.verified
    assert stream.account.total.rejected == 2


def test_a_rejected_line_of_an_encrypted_source(tmp_path: Path, ring: Ring) -> None:
    path = tmp_path / "a.log.gpg"
    path.write_bytes(ring.encrypt(data=lines(5000) + b"no event\n" + lines(5000)))
    with pytest.raises(ParseError, match="line 5001"):
        list(edxlogs.filter(path, raise_rejects=True, gnupg_home=ring.path))
