"""Anything that is stored, read to its verdict.

gpg decrypts what is encrypted, and Rust reads the bytes: from a file, from gpg's standard output,
or as they are handed on in large pieces. Here it is decided whether what came of them may be
trusted; what is done with them is passed in.
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
    """What reading something came to.

    Attributes:
        error: why it must not be trusted, or None; what a caller's file raised is as it was raised.
        judged: whether the bytes themselves are trusted: they were not encrypted, or gpg has
            nothing against them.
        salvageable: with an error: what came before the damage is sound as far as it goes.
        unauthenticated: salvageable, but from an OpenPGP message whose end was never checked.
        is_cut: whether reading ended before the end, since nothing more was wanted: no check was
            done.
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
    """Bytes as they are stored, opened."""

    def peek(self) -> bytes:
        """The first bytes, which stay: enough to tell what they are."""

    @property
    def handed(self) -> Any:
        """What Rust reads, if they are not encrypted: a path, or an object with `read`."""

    def decrypt(self, gpg: Gpg, label: str, length: int | None) -> Decryption:
        """Have gpg read them, at most `length` bytes."""


class StoredFile:
    """A file on disk, or a range of one, which Rust and gpg open by themselves."""

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
        """Have gpg read it."""
        return gpg.open(label, self.handed, offset=self._source.offset, length=length)


class StoredStream:
    """Bytes that come once.

    Args:
        read: gives at most so many bytes, and none at the end only.
        descriptor: of a pipe that `read` reads, which gpg can then wait for by itself.
    """

    def __init__(self, read: Callable[[int], bytes], descriptor: int | None = None) -> None:
        self.bytes_read = 0
        self._given = read
        self._descriptor = descriptor
        self._head = b""

    @property
    def handed(self) -> StoredStream:
        """Itself."""
        return self

    def peek(self) -> bytes:
        """The first bytes, which are read once more after."""
        while len(self._head) < HEAD_BYTES and (more := self._read(HEAD_BYTES - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end only."""
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._given(size)
        self.bytes_read += len(data)
        return data

    def drain(self) -> None:
        """Read what is left, for what is wrong with it."""
        while self.read(_DRAIN_BYTES):
            pass

    def decrypt(self, gpg: Gpg, label: str, length: int | None) -> Decryption:
        """Have gpg read them."""
        if self._descriptor is None:
            return gpg.open(label, self, length=length)
        return gpg.open(label, self._descriptor, head=self._head, length=length)


class Reader:
    """Reads sources of any kind with one key ring. May be used by many threads.

    Attributes:
        gpg: decrypts.
        control: stops everything that is read.
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
        """Read something to its end, have it worked on, and weigh what gpg says of it.

        Args:
            label: what messages call it.
            opener: opens it as it is stored; called again if it has to be read again.
            work: takes the text, as a path, a descriptor or an object with `read`; what comes of
                it is provisional until the end.
            length: bytes that it has at most, as it is stored; None: to the end.
            again: whether it can be opened again.

        Returns:
            What came of the work, with the verdict.

        Raises:
            EdxlogsError: it cannot be opened, or decrypted at all; or the work raised it.
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
        """Work on what gpg gives, and hear its verdict."""
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
            label: what messages call it.
            stored: gives the first bytes as they are stored, at most so many.
            size: of what is given.
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
    """The first bytes that something gives, at most `size`."""
    head = b""
    while len(head) < size and (more := read(size - len(head))):
        head += more
    return head
