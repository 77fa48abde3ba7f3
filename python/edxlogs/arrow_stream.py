"""Streams of Arrow batches to Python, fed by threads of ours."""

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

PIECES_AHEAD = 1  # under way beside those that the workers read
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


def needs_pyarrow() -> Any:
    """The library whose batches a loop over a stream gives.

    Raises:
        ConfigError: it is not installed.
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
    """What a stream is read from, in pieces: each goes to a writer of its own.

    Attributes:
        account: of the pieces, complete at the end: a `Ledger`.
        error: of the first piece that failed.
        writers: one for each piece.
    """

    account: Any
    error: BaseException | None = None
    writers: Sequence[_core.BatchWriter] = ()

    @property
    @abstractmethod
    def count(self) -> int:
        """Pieces."""

    def close(self) -> None:
        """Give back what is needed until the account is complete."""


class ArrowStream(_core.BatchStream):
    """Batches in the order of the pieces they are read from, several of them at once; read once.

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
        """A stream of rows.

        Args:
            rows: what they are.
            target: reads them.
            error: what failed before: it ends the stream.
        """
        stream = cls(rows, target.control)
        stream.account, stream._target = target.account, target
        stream._error, stream._started = error, False
        return stream

    @property
    def verified(self) -> bool:
        """Whether all was read, and every piece passed its checks."""
        return self.exhausted and self._error is None and self.account.is_whole

    @property
    def stats(self) -> dict[str, Any]:
        """The account so far as plain data."""
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
        """Stop reading. What was not read yet is lost."""
        self._target.control.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Start reading; the capsule of an Arrow C stream."""
        if self._started:
            return super().__arrow_c_stream__(requested_schema)
        return self._start(lambda: super(ArrowStream, self).__arrow_c_stream__(requested_schema))

    def _start(self, begin: Callable[[], R]) -> R:
        """Start reading; what `begin` gives, which is called once there are the writers."""
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
                # Where it was Ctrl-C that ended the wait, this call lets it through as itself.
                if (error := self._failure()) is None:
                    raise
            else:
                yield batch
                continue
            raise error  # outside of the block above: with its own cause and context

    def _failure(self) -> BaseException | None:
        return self._error
