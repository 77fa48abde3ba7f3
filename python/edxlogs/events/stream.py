"""Events for Python, as a stream of Arrow batches."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from edxlogs.account import Account, SourceAccount
from edxlogs.arrow_stream import PIECES_AHEAD, ArrowStream, StreamTarget, needs_pyarrow
from edxlogs.errors import ConfigError, FormatError, ParseError, StoppedError
from edxlogs.events.dedupe import Dedupe, remarks
from edxlogs.events.query import Conditions
from edxlogs.events.scanning import LineReader, Sink
from edxlogs.events.suggestions import nowhere, suggest
from edxlogs.events.target import EventTarget, Read, account_of
from edxlogs.sources.selection import Selection
from edxlogs.threads import Workers


class BatchStream(ArrowStream):
    """Matching events as Arrow batches, in the order of the sources. It can be read once.

    It has `__arrow_c_stream__`, so other libraries take it without a copy: `pyarrow.table(stream)`,
    `polars.DataFrame(stream)`, `pandas.DataFrame.from_arrow(stream)`, or DuckDB
    (`select … from stream`). A loop over it gives `pyarrow.RecordBatch` objects.

    Batches arrive while their source is still being read, before its checks are done. If a source
    fails its checks, the stream raises an error before its end. Do not rely on any row until
    `verified` is true.

    Attributes:
        account: what became of every line; complete once the stream has ended.
    """

    account: Account

    @classmethod
    def over(
        cls,
        reader: LineReader,
        selection: Selection,
        workers: int,
        dedupe: str | None,
        conditions: Conditions,
    ) -> Self:
        """Make a stream of the events in a selection of sources.

        Args:
            reader: holds the query for the rows.
            selection: the sources, and the account.
            workers: sources to read at once.
            dedupe: which lines to compare, as `Dedupe` takes it, or None.
            conditions: of the query, for warnings about values not found.
        """
        sources, account = selection.sources, selection.account
        target = _EventStreamTarget(reader, sources, workers, account)
        target.selection, target.conditions = selection, conditions
        if dedupe is not None:
            account.warnings += remarks(sources)
            folder = target.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            place = Path(folder.name)
            target.dedupe = Dedupe(sources, dedupe, lambda number: place / str(number))
        error = selection.failures[0] if selection.failures else None
        return cls.of(reader.query, target, error)


class EventTableBatches(BatchStream):
    """Batches of several event tables from one pass, each with its table's name. Read it once.

    Batches come in the order of the sources, before the checks of their source are done. What that
    means, and `verified` and `close`, are described at `BatchStream`.

    Attributes:
        tables: names of the tables.
    """

    tables: Sequence[str]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield pairs of a table's name and a `pyarrow.RecordBatch` of its rows.

        Raises:
            EdxlogsError: after the last batch, if a source failed.
        """
        pyarrow = needs_pyarrow()
        if self._started:
            raise ConfigError("stream: was read already; call batches() again")
        self._start(lambda: None)
        while (found := self.next_batch()) is not None:
            number, batch = found
            yield self.tables[number], pyarrow.record_batch(batch)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Raise a ConfigError: an Arrow stream holds a single table."""
        raise ConfigError("stream: has rows of several tables; loop over it, or take one table")


class EventTables(Mapping[str, BatchStream]):
    """Event tables by name. Each lookup returns a new stream, and reads the sources once more.

    Args:
        names: names of the tables, in the order of their definitions.
        opened: makes the stream of one table.
        together: makes the stream of all tables.
    """

    def __init__(
        self,
        names: Sequence[str],
        opened: Callable[[str], BatchStream],
        together: Callable[[], EventTableBatches],
    ) -> None:
        self._names = tuple(names)
        self._opened = opened
        self._together = together

    def batches(self) -> EventTableBatches:
        """Return the batches of all tables, read in one pass, each with its table's name."""
        return self._together()

    def __getitem__(self, name: str) -> BatchStream:
        if name not in self._names:
            raise KeyError(name)
        return self._opened(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __str__(self) -> str:
        return "\n".join(self._names)

    __repr__ = __str__


@dataclass
class _EventStreamTarget(EventTarget, StreamTarget[Read]):
    selection: Selection = field(default_factory=Selection)
    conditions: Conditions = field(default_factory=Conditions)
    folder: tempfile.TemporaryDirectory[str] | None = None

    least_threads = 2
    fatal = (StoppedError, ParseError)

    @property
    def count(self) -> int:
        return len(self.sources)

    def pool(self, tasks: Sequence[Callable[[], Read]]) -> Workers[Read]:
        return Workers(tasks, self.workers, self.workers + PIECES_AHEAD)

    def sink(self, number: int) -> Sink:
        return self.writers[number]

    def _read(self, number: int) -> Read:
        try:
            return super()._read(number)
        finally:
            self.writers[number].close()

    def deliver(self, read: Read) -> SourceAccount:
        """Enter a source. The rows of a failed source were sent, but do not count."""
        assert read.scanned is not None
        error, no_log = read.scanned.error, read.scanned.no_log
        if error is None and no_log is not None:
            self.error = self.error or FormatError(no_log, read.source.label)
        self.error = self.error or error
        entry = account_of(read.source, read.scanned, delivered=error is None)
        self.account.enter(entry)
        if self.dedupe is not None:
            self.dedupe.done(read.number)
        return entry

    def finish(self) -> None:
        """Complete the account, and add warnings about values that were asked for but not found.

        If nothing was kept, this reads part of the sources again.
        """
        super().finish()
        reader, selection, conditions = self.reader, self.selection, self.conditions
        rows, warnings = self.account.total.rows, self.account.warnings
        if rows == 0 and conditions.shown():
            warnings += suggest(reader, selection, conditions)
        told = conditions, reader.query, reader.query.unmet(), rows
        warnings += nowhere(reader, selection, self.read_now, *told)

    def close(self) -> None:
        """Stop the processes that decrypt."""
        self.reader.gpg.close()

    def stop(self) -> None:
        super().stop()
        if self.folder is not None:
            self.folder.cleanup()
