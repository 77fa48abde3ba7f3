"""Passes the bytes of one OpenPGP message to gpg."""

from __future__ import annotations

import os
import select
import stat
import threading
from typing import Protocol

from edxlogs.gpg.frame import HEAD_BYTES, Frame, armor_start

PIPE_BYTES = 1 << 20


class Readable(Protocol):
    """An object that can be read like a binary file."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""


class MessageInput:
    """The source of one message: a range of a file, a pipe, or a stream.

    Attributes:
        fd: our own descriptor, or -1 for a stream.
        start: where the message begins in a regular file, else None.
        stream: the stream, or None.
        direct: whether gpg can read the descriptor directly.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | int | Readable,
        offset: int,
        length: int | None,
        head: bytes,
    ) -> None:
        self.fd = -1
        self.start: int | None = None
        self.stopped = threading.Event()
        self.stream: Readable | None = None
        if isinstance(source, int):
            self.fd = os.dup(source)
        elif isinstance(source, str | os.PathLike):
            self.fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        else:
            self.stream = source
        if self.fd >= 0 and stat.S_ISREG(os.fstat(self.fd).st_mode):
            here = os.lseek(self.fd, 0, os.SEEK_CUR)
            self.start = os.lseek(self.fd, here + offset, os.SEEK_SET)
        elif offset:
            self.close()
            raise ValueError("only a file can be opened at an offset")
        self.direct = (
            self.start is not None
            and length is None
            and not head
            and armor_start(os.pread(self.fd, HEAD_BYTES, self.start)) is None
        )
        self._head = head if length is None else head[:length]
        self._left = None if length is None else length - len(self._head)

    def read(self) -> bytes:
        """Return the next bytes; none at the end, or after it was stopped."""
        if self._head:
            head, self._head = self._head, b""
            return head
        size = PIPE_BYTES if self._left is None else min(PIPE_BYTES, self._left)
        if self.stream is not None:
            data = b"" if self.stopped.is_set() else self.stream.read(size)
        else:
            data = os.read(self.fd, size) if self._ready() else b""
        if self._left is not None:
            self._left -= len(data)
        return data

    def peek(self) -> bytes:
        """Return the first bytes, which will be read again; for a pipe, those given already."""
        if self.start is not None:
            return os.pread(self.fd, HEAD_BYTES, self.start)
        if self.stream is not None and not self._head:
            self._head = self.read()
        return self._head

    def close(self) -> None:
        """Release the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _ready(self) -> bool:
        """Wait for bytes, until `stopped` is set."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while not self.stopped.is_set():
            if poll.poll(100):
                return True
        return False


class Feeder(threading.Thread):
    """Copies one message to gpg, up to its end and no further, and watches its frame."""

    def __init__(self, source: MessageInput, sink_fd: int) -> None:
        super().__init__(name="edxlogs-gpg-input", daemon=True)
        self.frame = Frame(armored=False)
        self.error: BaseException | None = None
        self._source = source
        self._sink_fd = sink_fd

    def run(self) -> None:
        """Copy until the input ends, gpg ends, or the source is stopped."""
        try:
            head = b""
            while len(head) < HEAD_BYTES and (more := self._source.read()):
                head += more
            start = armor_start(head)
            self.frame.armored = start is not None
            chunk = head[start or 0 :]  # gpg knows no armour after white space
            while chunk:
                if not self._copy(chunk):
                    return
                chunk = self._source.read()
            self.frame.ended = not self._source.stopped.is_set()
        except BaseException as error:  # a caller's stream may raise anything
            self.error = error
        finally:
            self._close_sink()

    def _copy(self, chunk: bytes) -> bool:
        """Whether gpg accepts more. If it has seen enough, its own messages say why."""
        rest = memoryview(chunk)[: self.frame.feed(chunk)]
        try:
            while rest:
                rest = rest[os.write(self._sink_fd, rest) :]
        except BrokenPipeError:
            return False
        if self.frame.complete:
            self._close_sink()
        return True

    def _close_sink(self) -> None:
        if self._sink_fd >= 0:
            os.close(self._sink_fd)
            self._sink_fd = -1


def survey(source: MessageInput) -> Frame:
    """Read a binary message again, from its start, only for its frame."""
    frame = Frame(armored=False)
    at = source.start or 0
    end = os.fstat(source.fd).st_size
    while frame.trailing < HEAD_BYTES and (chunk := os.pread(source.fd, PIPE_BYTES, at)):
        at += len(chunk)
        frame.feed(chunk)
        at += frame.pass_over(end - at)
    frame.trailing += max(0, end - at)
    frame.ended = True
    return frame
