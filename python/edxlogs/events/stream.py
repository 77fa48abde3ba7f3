"""Events to Python, as a stream of Arrow batches."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from edxlogs import _core
from edxlogs.account import Account
from edxlogs.arrow_stream import ArrowStream
from edxlogs.errors import ParseError, StoppedError
from edxlogs.events.dedupe import Dedupe, remarks
from edxlogs.events.run import account_of
from edxlogs.events.scanning import LineReader, Scanned
from edxlogs.sources.selection import Selection
from edxlogs.sources.source import Source


class BatchStream(ArrowStream):
    """Kept events as Arrow batches, in the order of the sources; read once.

    It has `__arrow_c_stream__`, so `pyarrow.table(stream)`, `polars.DataFrame(stream)`,
    DuckDB (`select … from stream`) and
    `pandas.DataFrame.from_arrow(stream)` take it without a copy.
    Batches come as they are read, before the checks of their source are done. A source that fails
    its checks makes the stream raise before its end; until `verified` is true, nothing is sure.

    Attributes:
        account: what became of every line, complete after the end.
    """

    account: Account
    _reader: LineReader
    _sources: Sequence[Source]
    _dedupe: Dedupe | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def _count(self) -> int:
        return len(self._sources)

    @property
    def _control(self) -> _core.Control:
        return self._reader.control

    def _read(self, number: int, writer: _core.BatchWriter) -> Scanned:
        left = len(self._sources) - number
        threads = max(2, self._threads // left)
        hashes = None if self._dedupe is None else self._dedupe.hashes(number)
        scanned = self._reader.scan(
            self._sources[number], lambda: writer, threads=threads, hashes=hashes
        )
        if self._dedupe is not None:
            self._dedupe.settle(number, hashes, delivered=scanned.error is None)
        return scanned

    def _enter(self, number: int, done: Scanned) -> BaseException | None:
        if isinstance(done.error, StoppedError | ParseError):
            raise done.error
        # Rows of one that failed went out, but do not count.
        self.account.enter(account_of(self._sources[number], done, delivered=done.error is None))
        if self._dedupe is not None:
            self._dedupe.done(number)
        return done.error

    def _end(self) -> None:
        self._reader.close()
        if self._dedupe is not None:
            self._dedupe.stop()
        if self._folder is not None:
            self._folder.cleanup()

    @classmethod
    def of(
        cls,
        query: _core.Query,
        reader: LineReader,
        selection: Selection,
        workers: int,
        kind: str | None,
    ) -> Self:
        """A stream of what a selection holds.

        Args:
            query: of its rows.
            reader: with that query.
            selection: the sources, and the account.
            workers: sources read at once.
            kind: which lines are compared, as `Dedupe` takes it, or None.
        """
        stream = cls(query, reader.control)
        stream.account = selection.account
        stream._reader = reader
        stream._sources = selection.sources
        stream._threads = workers
        stream._error = selection.failures[0] if selection.failures else None
        stream._started = False
        if kind is not None:
            selection.account.warnings += remarks(selection.sources)
            folder = stream._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            stream._dedupe = Dedupe(
                selection.sources, kind, lambda number: Path(folder.name, str(number))
            )
        return stream
