"""Streams of Arrow batches to Python, fed by threads of ours."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Self

from edxlogs import _core
from edxlogs.errors import ConfigError
from edxlogs.threads import needs_thread

_EXIT_SECONDS = 0.1

# The threads that feed streams, with what stops each.
_FEEDING: weakref.WeakKeyDictionary[threading.Thread, _core.Control] = weakref.WeakKeyDictionary()


@atexit.register
def _stop_feeding() -> None:
    """End all reading before Python ends: a thread that calls into it afterwards aborts it.

    One that waits for the other end of a pipe calls nothing, and is not waited for.
    """
    feeding = dict(_FEEDING)
    for control in feeding.values():
        control.stop()
    end = time.monotonic() + _EXIT_SECONDS
    for thread in feeding:
        thread.join(max(0.0, end - time.monotonic()))


class ArrowStream(_core.BatchStream):
    """Batches in the order of what they are read from; read once.

    It has `__arrow_c_stream__`; a subclass says how many writers feed it, and feeds them.
    """

    _error: BaseException | None
    _started: bool

    @property
    def _count(self) -> int:
        """Writers that are needed, beside the one that ends the stream."""
        raise NotImplementedError

    @property
    def _control(self) -> _core.Control:
        """What stops all reading."""
        raise NotImplementedError

    def _feed(self, writers: list[_core.BatchWriter]) -> None:
        """Feed the writers in another thread; set `_error`, and close them all."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop reading. What was not read yet is lost."""
        self._control.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Start reading; the capsule of an Arrow C stream."""
        if not self._started:
            self._started = True
            # The last one ends the stream, when the account is complete.
            writers = [self.writer() for _ in range(self._count + 1)]
            capsule = super().__arrow_c_stream__(requested_schema)
            thread = threading.Thread(
                target=self._feed, args=(writers,), name="edxlogs-stream", daemon=True
            )
            with needs_thread():
                thread.start()
            _FEEDING[thread] = self._control
            return capsule
        return super().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches as `pyarrow.RecordBatch`.

        Raises:
            EdxlogsError: after the last batch, if a source failed.
        """
        try:
            import pyarrow
        except ImportError:
            raise ConfigError(
                "stream: iterating needs pyarrow; install it (pip install pyarrow), or hand the"
                " stream to a library that takes Arrow"
            ) from None
        reader = pyarrow.RecordBatchReader.from_stream(self)
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (pyarrow.ArrowException, OSError):
                # Where it was Ctrl-C that ended the wait, this call lets it through as itself.
                if (error := self._failure()) is not None:
                    raise error from None
                raise
            yield batch

    def _failure(self) -> BaseException | None:
        return self._error
