"""Streams of Arrow batches for Python, filled by background threads."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar

from edxlogs import _core
from edxlogs.account import Ledger
from edxlogs.errors import ConfigError
from edxlogs.targets import Target, fill
from edxlogs.threads import needs_thread

T = TypeVar("T")
R = TypeVar("R")

PIECES_AHEAD = 1  # under way in addition to those that the workers read
_EXIT_SECONDS = 0.1

# The threads that fill streams, each with the control that stops it.
_FEEDING: weakref.WeakKeyDictionary[threading.Thread, _core.Control] = weakref.WeakKeyDictionary()


@atexit.register
def _stop_feeding() -> None:
    """Stop all reading before Python exits: a thread that calls into it later would abort it.

    A thread that waits for the other end of a pipe calls nothing, and is not waited for.
    """
    feeding = dict(_FEEDING)
    for control in feeding.values():
        control.stop()
    end = time.monotonic() + _EXIT_SECONDS
    for thread in feeding:
        thread.join(max(0.0, end - time.monotonic()))


def needs_pyarrow() -> Any:
    """Import pyarrow, whose batches a loop over a stream yields.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise ConfigError(
            "stream: iterating needs pyarrow; install it (pip install pyarrow), or hand the"
            " stream to a library that takes Arrow"
        ) from None
    return pyarrow


class StreamTarget(Target[T]):
    """Reads the pieces of a stream, each into a writer of its own.

    Attributes:
        account: a `Ledger` of the pieces, complete at the end.
        error: error of the first piece that failed.
        writers: one for each piece.
    """

    account: Any
    error: BaseException | None = None
    writers: Sequence[_core.BatchWriter] = ()

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of pieces."""

    def close(self) -> None:
        """Release what was needed to complete the account."""


class ArrowStream(_core.BatchStream):
    """Batches in the order of their pieces, several of which are read at once. It can be read once.

    It has `__arrow_c_stream__`.
    """

    account: Ledger[Any, Any]
    _target: StreamTarget[Any]
    _error: BaseException | None
    _started: bool

    @classmethod
    def of(
        cls,
        rows: _core.Query | _core.Table,
        target: StreamTarget[Any],
        error: BaseException | None = None,
    ) -> Self:
        """Make a stream of rows.

        Args:
            rows: the query or table that describes them.
            target: reads them.
            error: an earlier error, with which the stream will end.
        """
        stream = cls(rows, target.control)
        stream.account, stream._target = target.account, target
        stream._error, stream._started = error, False
        return stream

    @property
    def verified(self) -> bool:
        """Whether everything was read, and every piece passed its checks."""
        return self.exhausted and self._error is None and self.account.is_whole

    @property
    def stats(self) -> dict[str, Any]:
        """The account so far, as plain data."""
        return self.account.report()

    def _feed(self, writers: list[_core.BatchWriter]) -> None:
        """Read the pieces, each into its writer."""
        error = self._error
        self._target.writers = writers
        try:
            fill(self._target)
            error = error or self._target.error
        except BaseException as failure:
            error = failure
        finally:
            self._target.close()
        self._error = error
        for writer in writers[:-1]:
            writer.close()
        writers[-1].close(error)

    def close(self) -> None:
        """Stop reading. Batches that were not read yet are lost."""
        self._target.control.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Start reading, and return the capsule of an Arrow C stream."""
        if self._started:
            return super().__arrow_c_stream__(requested_schema)
        return self._start(lambda: super(ArrowStream, self).__arrow_c_stream__(requested_schema))

    def _start(self, begin: Callable[[], R]) -> R:
        """Start reading. Returns what `begin` returns, which is called once the writers exist."""
        self._started = True
        # The last one ends the stream, when the account is complete.
        writers = [self.writer() for _ in range(self._target.count + 1)]
        begun = begin()
        thread = threading.Thread(
            target=self._feed, args=(writers,), name="edxlogs-stream", daemon=True
        )
        with needs_thread():
            thread.start()
        _FEEDING[thread] = self._target.control
        return begun

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches as `pyarrow.RecordBatch`.

        Raises:
            EdxlogsError: after the last batch, if a source failed.
        """
        pyarrow = needs_pyarrow()
        reader = pyarrow.RecordBatchReader.from_stream(self)
        while True:
            error: BaseException | None
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (pyarrow.ArrowException, OSError):
                # If Ctrl-C ended the wait, this call raises it unchanged.
                if (error := self._failure()) is None:
                    raise
            else:
                yield batch
                continue
            raise error  # outside of the block above: with its own cause and context

    def _failure(self) -> BaseException | None:
        return self._error
