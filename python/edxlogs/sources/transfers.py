"""Reads objects ahead of those who work on them, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Self

from edxlogs import _core
from edxlogs.errors import EdxlogsError, StoppedError
from edxlogs.s3.reader import READ_BYTES, S3Reader
from edxlogs.sources.source import Source
from edxlogs.threads import needs_thread

AHEAD = 4  # transfers that wait for their turn, beside those that are worked on
BUFFER_BYTES = 1 << 20  # of each
_PATIENCE_SECONDS = 0.1


class Transfer(threading.Thread):
    """One object, which a thread reads into a bounded buffer.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, reader: S3Reader, control: _core.Control) -> None:
        super().__init__(name="edxlogs-s3", daemon=True)
        self._reader = reader
        self._control = control
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._ended = False
        self._failure: Exception | None = None

    def run(self) -> None:
        """Read until the end, or until nobody wants more."""
        failure: Exception | None = None
        try:
            with self._reader:
                while chunk := self._reader.read(READ_BYTES):
                    with self._changed:
                        self._chunks.append(chunk)
                        self._bytes += len(chunk)
                        self._changed.notify()
                        self._changed.wait_for(lambda: self._ended or self._bytes < BUFFER_BYTES)
                        if self._ended:
                            return
        except Exception as error:  # it is raised where it is taken
            failure = error
        finally:
            with self._changed:
                self._failure, self._ended = failure, True
                self._changed.notify()

    def _wait(self) -> None:
        """With the lock held, wait until there is something to take or nothing more will come."""
        while not self._chunks and not self._ended:
            self._changed.wait(_PATIENCE_SECONDS)
            if self._control.stopped:
                raise StoppedError("s3: stopped")

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none only at the end.

        Raises:
            S3Error: the object cannot be read to its end.
            StoppedError: the run was stopped.
        """
        with self._changed:
            self._wait()
            if not self._chunks:
                if self._failure is not None:
                    raise self._failure
                return b""
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            self._bytes -= len(chunk)
            self._changed.notify()
            return chunk

    def close(self) -> None:
        """Discard what was not taken, and release the connection."""
        with self._changed:
            self._ended = True
            self._chunks.clear()
            self._changed.notify()
        self._reader.interrupt()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transfers:
    """Opens the remote sources of a run, some of them ahead of their turn.

    Args:
        sources: sources of the run, in the order in which they will be opened.
        control: control of the run; when it stops, so do the transfers.
    """

    def __init__(self, sources: Sequence[Source], control: _core.Control) -> None:
        self._control = control
        self._sources = [source for source in sources if source.remote is not None]
        self._place = {_range(source): place for place, source in enumerate(self._sources)}
        self._begun: dict[int, Transfer] = {}
        self._next = 0
        self._lock = threading.Lock()

    def open(self, source: Source) -> Transfer:
        """Take the transfer of a source, from its first byte. A further call begins another one."""
        with self._lock:
            place = self._place.get(_range(source), -1)
            while self._next < min(place + 1 + AHEAD, len(self._sources)):
                try:
                    self._begun[self._next] = self._begin(self._sources[self._next])
                except EdxlogsError:  # no thread to read ahead: each is begun at its turn
                    self._next = max(self._next, place + 1)
                    break
                self._next += 1
            transfer = self._begun.pop(place, None)
        return self._begin(source) if transfer is None else transfer

    def _begin(self, source: Source) -> Transfer:
        assert source.remote is not None
        transfer = Transfer(source.remote.open(source.offset, source.length), self._control)
        with needs_thread():
            transfer.start()
        return transfer

    def close(self) -> None:
        """End the transfers that nobody took."""
        with self._lock:
            self._next = len(self._sources)
            begun = list(self._begun.values())
            self._begun.clear()
        for transfer in begun:
            transfer.close()


def _range(source: Source) -> tuple[str, int]:
    """Which range of which object to read, whatever the source is called."""
    return source.path, source.offset
