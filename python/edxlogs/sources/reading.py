"""Reads anything that is stored, to its verdict.

gpg decrypts what is encrypted. Rust reads the bytes: from a file, from gpg's standard output, or
passed on in large pieces. This module decides whether the result can be trusted. The caller passes
in what to do with the bytes.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from edxlogs import _core
from edxlogs.errors import EdxlogsError, FormatError, InflateError
from edxlogs.gpg.decryption import Decryption
from edxlogs.gpg.frame import HEAD_BYTES
from edxlogs.gpg.process import Gpg
from edxlogs.gpg.verdict import Verdict
from edxlogs.sources.source import SNIFF_BYTES, Packing, Source, packing_of, stored_head

_DRAIN_BYTES = 1 << 20
_MESSAGE_BYTES = 1 << 16  # more than a message holds beside its text


@dataclass(kw_only=True)
class Reading:
    """The result of reading something.

    Attributes:
        error: why it must not be trusted, or None. An error that a caller's file raised is kept as
            it was raised.
        judged: whether the bytes themselves are trusted: they were not encrypted, or gpg has no
            objection.
        salvageable: with an error, whether the bytes before the damage are sound.
        unauthenticated: salvageable, but from an OpenPGP message whose end was never checked.
        is_cut: whether reading stopped before the end because nothing more was wanted, so that no
            check was done.
        warnings: one sentence each.
    """

    error: Exception | None = None
    judged: bool = True
    salvageable: bool = False
    unauthenticated: bool = False
    is_cut: bool = False
    warnings: list[str] = field(default_factory=list)


R = TypeVar("R", bound=Reading)


class Stored(Protocol):
    """Opened bytes, as stored."""

    def peek(self) -> bytes:
        """The first bytes, without consuming them: enough to recognise the content."""

    @property
    def handed(self) -> Any:
        """What Rust reads if the bytes are not encrypted: a path, or an object with `read`."""

    def decrypt(self, gpg: Gpg, label: str, length: int | None) -> Decryption:
        """Let gpg read the bytes, at most `length` of them."""


class StoredFile:
    """A file on disk, or a range of one. Rust and gpg open it themselves."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def handed(self) -> str:
        """Its path."""
        return self._source.file_path

    def peek(self) -> bytes:
        """Its first 64 KiB."""
        return stored_head(self._source, SNIFF_BYTES)

    def decrypt(self, gpg: Gpg, label: str, length: int | None) -> Decryption:
        """Let gpg read it."""
        return gpg.open(label, self.handed, offset=self._source.offset, length=length)


class StoredStream:
    """Bytes that can be read only once.

    Args:
        read: returns at most the given number of bytes, and none only at the end.
        descriptor: of a pipe that `read` reads, so that gpg can wait for it directly.
    """

    def __init__(self, read: Callable[[int], bytes], descriptor: int | None = None) -> None:
        self.bytes_read = 0
        self._given = read
        self._descriptor = descriptor
        self._head = b""

    @property
    def handed(self) -> StoredStream:
        """The stream itself."""
        return self

    def peek(self) -> bytes:
        """The first bytes, which will be read again afterwards."""
        while len(self._head) < HEAD_BYTES and (more := self._read(HEAD_BYTES - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none only at the end."""
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._given(size)
        self.bytes_read += len(data)
        return data

    def drain(self) -> None:
        """Read the rest, to find out whether anything is wrong with it."""
        while self.read(_DRAIN_BYTES):
            pass

    def decrypt(self, gpg: Gpg, label: str, length: int | None) -> Decryption:
        """Let gpg read the bytes."""
        if self._descriptor is None:
            return gpg.open(label, self, length=length)
        return gpg.open(label, self._descriptor, head=self._head, length=length)


class Reader:
    """Reads sources of any kind with one key ring. Many threads may share one.

    Attributes:
        gpg: decrypts.
        control: stops everything that is being read.
    """

    def __init__(self, gpg: Gpg, control: _core.Control) -> None:
        self.gpg = gpg
        self.control = control

    def read(
        self,
        label: str,
        opener: Callable[[], AbstractContextManager[Stored]],
        work: Callable[[Any], R],
        *,
        length: int | None = None,
        again: bool = True,
    ) -> R:
        """Read something to its end, pass it to `work`, and take gpg's verdict into account.

        Args:
            label: how messages call it.
            opener: opens it as stored; called again if it has to be read again.
            work: receives the text, as a path, a descriptor or an object with `read`. Its result is
                provisional until the end.
            length: most bytes to read, as stored; None means up to the end.
            again: whether it can be opened again.

        Returns:
            The result of the work, and the verdict.

        Raises:
            EdxlogsError: it cannot be opened, or cannot be decrypted at all; or the work raised it.
            OSError: it cannot be opened.
        """
        delays: Iterator[float] = self.gpg.delays() if again else iter(())
        warning: str | None = None
        while True:
            with opener() as stored:
                if packing_of(stored.peek()) is not Packing.OPENPGP:
                    done = work(stored.handed)
                    done.salvageable = isinstance(done.error, InflateError)
                    return done
                with stored.decrypt(self.gpg, label, length) as decryption:
                    done, verdict = self._weigh(decryption, work)
            warning = warning or verdict.warning
            delay = next(delays, None) if verdict.retry else None
            if delay is None:
                break
            length = verdict.length if verdict.length is not None else length
            time.sleep(delay)
        if warning is not None and warning not in done.warnings:
            done.warnings.append(warning)
        return done

    def _weigh(self, decryption: Decryption, work: Callable[[Any], R]) -> tuple[R, Verdict]:
        """Do the work on gpg's output, and get gpg's verdict."""
        done = work(decryption.stdout_fd)
        if self.control.stopped or done.is_cut:
            decryption.kill()
            return done, Verdict(interrupted=True)
        # gpg says what is wrong with a message only when all of it was taken.
        while os.read(decryption.stdout_fd, _DRAIN_BYTES):
            pass
        verdict = decryption.verdict()
        if verdict.warning:
            done.warnings.insert(0, verdict.warning)
        if verdict.ok:
            done.salvageable = isinstance(done.error, InflateError)
            return done, verdict
        # Damage of the text itself is only the trace of a damaged message.
        trace = done.error is None or isinstance(done.error, FormatError)
        if trace and verdict.error is not None:
            done.error = verdict.error
        done.judged, done.salvageable = False, trace and verdict.unauthenticated
        done.unauthenticated = verdict.unauthenticated
        return done, verdict

    def head(self, label: str, stored: Callable[[int], bytes], size: int) -> bytes:
        """The first decrypted bytes of something, at most `size`; empty if it cannot be read.

        Args:
            label: how messages call it.
            stored: returns the first bytes as stored, at most as many as asked for.
            size: most bytes to return.
        """
        with suppress(EdxlogsError, OSError):
            head = stored(size + _MESSAGE_BYTES)
            if packing_of(head) is not Packing.OPENPGP:
                return head[:size]
            # A message that is cut off is decrypted up to the cut.
            with self.gpg.open(label, io.BytesIO(head)) as decryption:
                return read_up_to(lambda left: os.read(decryption.stdout_fd, left), size)
        return b""


def read_up_to(read: Callable[[int], bytes], size: int) -> bytes:
    """The first bytes that `read` returns, at most `size`."""
    head = b""
    while len(head) < size and (more := read(size - len(head))):
        head += more
    return head
