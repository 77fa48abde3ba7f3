"""What events are read into, of whatever kind: sources in order, and a part for each."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from edxlogs import _core
from edxlogs.account import Account, LineCounts, Outcome, SourceAccount
from edxlogs.errors import (
    EdxlogsError,
    InternalError,
    OutputError,
    SourceError,
    StoppedError,
    told,
)
from edxlogs.events.dedupe import Dedupe
from edxlogs.events.scanning import LineReader, Scanned, Sink
from edxlogs.sources.source import Source, TextSums, crc_of, likely_text, whole_lines
from edxlogs.store.manifest import Identity, Text
from edxlogs.targets import Target
from edxlogs.threads import Workers

WAITING_BYTES = 16 << 20  # parts in memory that wait for their turn


class Room:
    """The memory, in `bytes`, of parts that wait for their turn."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.Lock()

    def enter(self, part: _core.Part, *, stays: bool) -> None:
        """Let a part wait: in memory if it fits or `stays`, else in its hidden file."""
        with self._lock:
            if stays or self.bytes + part.memory_bytes <= WAITING_BYTES:
                self.bytes += part.memory_bytes
                return
        part.spill()
        with self._lock:
            self.bytes += part.memory_bytes

    def leave(self, part_bytes: int) -> None:
        """Release the memory of a part whose turn has come."""
        with self._lock:
            self.bytes -= part_bytes


@dataclass(slots=True)
class Read:
    """The result of reading a source in a worker.

    Attributes:
        number: number of the source.
        source: the source, with the name that its rows show.
        scanned: counts and verdict; None if it was not read, because an earlier run did it.
        parts: its rows, for each output that takes them.
        hashes: where the hashes of its lines are, or None.
        release: which release of it was read, if that is known.
        text: identifies its text; None if it was not read to its end.
        beginnings: length and CRC-32 of the prefixes of its text that were asked for.
    """

    number: int
    source: Source
    scanned: Scanned | None = None
    parts: Sequence[Any] = ()
    hashes: Path | None = None
    release: Identity | None = None
    text: Text | None = None
    beginnings: Sequence[tuple[int, int]] = ()


@dataclass
class EventTarget(Target[Read]):
    """What the events of sources are read into.

    Workers take the sources in order, and may run ahead. Memory is bounded: small parts wait in
    memory, and those that wait too long move to hidden files.

    Attributes:
        reader: reads the sources.
        sources: the sources, in the order of delivery.
        workers: threads, for several sources at once.
        account: account of the sources, complete at the end.
        dedupe: compares their lines, or None.
    """

    reader: LineReader
    sources: Sequence[Source]
    workers: int
    account: Account = field(default_factory=Account)
    dedupe: Dedupe | None = None
    _room: Room = field(default_factory=Room)
    _first: dict[str, int] = field(default_factory=dict)  # of the sources of each name
    _origins: Counter[str] = field(default_factory=Counter)
    _to_read: set[int] = field(default_factory=set)

    least_threads: ClassVar[int] = 1  # for a source
    fatal: ClassVar[tuple[type[Exception], ...]] = (OutputError, InternalError, StoppedError)
    """Errors that are not the source's fault: they end the run."""

    @property
    def read_now(self) -> list[Source]:
        """The sources that this run has read, rather than an earlier one."""
        return [self.sources[number] for number in sorted(self._to_read)]

    @property
    def control(self) -> _core.Control:
        """The control that stops the reader."""
        return self.reader.control

    def pool(self, tasks: Sequence[Callable[[], Read]]) -> Workers[Read]:
        """The workers: how many sources they read at once, and how many ahead of their turn."""
        return Workers(tasks, self.workers)

    def pending(self) -> set[int]:
        """Numbers of the sources to read."""
        return set(range(len(self.sources)))

    def held(self, number: int) -> list[Path]:
        """Where the hashes are of lines that earlier runs kept of a source."""
        return []

    def turns(self) -> Iterable[int]:
        """Numbers of the sources that `take` will be given."""
        return range(len(self.sources))

    @abstractmethod
    def sink(self, number: int) -> Sink:
        """Make what takes the rows of a source; called in a worker."""

    @property
    def takes_back(self) -> bool:
        """Whether a source can be scanned again, because none of its rows were passed on."""
        return False

    def wants(self, scanned: Scanned) -> bool:
        """Whether to deliver the result of a source."""
        return scanned.error is None

    def rows_wanted(self, number: int) -> int | None:
        """How many rows of a source are wanted, at least 1; None means all."""
        return None

    def lengths(self, number: int) -> Sequence[int]:
        """Lengths of texts from which the numbered source may have grown."""
        return ()

    def is_compared(self, number: int) -> bool:
        """Whether the text of a source may equal that of another one: they have the same origin."""
        return self._origins[self.sources[number].origin] > 1

    def is_named_by_text(self, number: int) -> bool:
        """Whether the name that rows show depends on the text of the source."""
        return self._first[self.sources[number].name] != number

    def name(self, read: Read) -> str:
        """The name that rows show: the source's own, unless another text has it."""
        name = self.sources[read.number].name
        is_first = self._first[name] == read.number
        return name if is_first or read.text is None else told_apart(name, read.text)

    def release(self, number: int) -> Identity | None:
        """Which release of a source is about to be read.

        Raises:
            SourceError: that cannot be determined.
        """

    def confirm(self, read: Read) -> None:
        """Check that a source is still what it was when reading began."""

    def pack(self, read: Read) -> Sequence[Any]:
        """Make parts from the result of a source, in its worker."""
        return ()

    @abstractmethod
    def deliver(self, read: Read) -> SourceAccount:
        """Take the next source, in order, and return what became of it."""

    def begin(self) -> Iterator[Workers[Read]]:
        """Find out which sources to read, and which lines are known."""
        for number, source in enumerate(self.sources):
            self._first.setdefault(source.name, number)
        self._origins = Counter(source.origin for source in self.sources)
        self._to_read = self.pending()
        self.reader.unlock([self.sources[number] for number in sorted(self._to_read)])
        for group in [] if self.dedupe is None else self.dedupe.groups:
            assert self.dedupe is not None
            for number in () if self._to_read.isdisjoint(group) else group:
                self.dedupe.found(number, self.held(number), is_read=number in self._to_read)
        self._pool = self.pool([partial(self._read, one) for one in self.turns()])
        yield self._pool

    def _threads(self, number: int) -> int:
        """Threads for one source, including those that would otherwise be idle."""
        threads = max(self.least_threads, self.workers // (len(self.sources) - number))
        if self.dedupe is not None:
            spare = max(0, self.workers - threads)
            threads += min(self.dedupe.waiting(number, self.workers - 1), spare)
        return threads

    def _read(self, number: int) -> Read:
        """Read a source, in a worker."""
        source = self.sources[number]
        read = Read(number, source)
        if number not in self._to_read:
            return read
        hashes = None
        try:
            read.release = self.release(number)
        except EdxlogsError as error:
            read.scanned = Scanned(LineCounts(), error=error)
        else:
            hashes = None if self.dedupe is None else self.dedupe.hashes(number)
            read.scanned = self._scan(read, hashes)
            self.confirm(read)
        if self.dedupe is not None:
            delivered = self.wants(read.scanned)
            read.hashes = self.dedupe.settle(number, hashes, delivered=delivered)
        read.parts = self.pack(read)
        # Drop what is not wanted, with its hidden files.
        read.scanned.sink = None
        return read

    def _scan(self, read: Read, hashes: _core.LineHashes | None) -> Scanned:
        """Scan a source; again, if its text shows that rows must show another name.

        Of a file to which a line is being added, only whole lines are read.
        """
        source, number = self.sources[read.number], read.number
        threads, limit = self._threads(number), self.rows_wanted(number)
        length = source.size
        if self.is_named_by_text(number):
            self._guess(read, threads)
        name = self.name(read)
        is_told = self.is_compared(number) or self.is_named_by_text(number)
        while True:
            text_sum = _core.TextSum(self.lengths(number)) if is_told else None
            read.source = replace(source, name=name, size=length)
            scanned = self.reader.scan(
                read.source,
                lambda: self.sink(number),
                threads=threads,
                hashes=hashes,
                text_sum=text_sum,
                limit=limit,
            )
            if not self.wants(scanned):
                read.text = None
                return scanned
            if text_sum is not None and scanned.is_cut and not source.is_stream:
                text_sum = _core.TextSum()
                self.reader.scan(source, lambda: None, threads=threads, text_sum=text_sum)
            if text_sum is not None:
                read.text = Text(source.origin, *text_sum.total)
                read.beginnings = text_sum.beginnings
            expanded = scanned.counts.bytes_expanded
            if not self.takes_back or source.is_stream:
                return scanned
            whole = length if scanned.is_cut else _whole_lines(read, expanded)
            right = self.name(read)
            if (right, whole) == (name, length):
                return scanned
            name, length = right, whole

    def _guess(self, read: Read, threads: int) -> None:
        """Identify a text before the scan, if that is cheap or if rows are passed on at once."""
        source = read.source
        sums = likely_text(source, self.lengths(read.number))
        if sums is None and not self.takes_back and not source.is_stream:
            text_sum = _core.TextSum()
            self.reader.scan(source, lambda: None, threads=threads, text_sum=text_sum)
            sums = TextSums(text_sum.total)
        if sums is not None:
            read.text, read.beginnings = Text(source.origin, *sums.total), sums.beginnings

    def take(self, read: Read) -> list[SourceAccount]:
        """Take the next source, in order."""
        if read.scanned is not None and isinstance(read.scanned.error, self.fatal):
            raise read.scanned.error
        return [self.deliver(read)]

    def stop(self) -> None:
        """Release everybody who waits for another source."""
        if self.dedupe is not None:
            self.dedupe.stop()
        self.reader.close()

    def finish(self) -> None:
        """Check that the account adds up."""
        self.account.check()


def _whole_lines(read: Read, length: int) -> int | None:
    """How many bytes of a file are whole lines, if lines were added while it was read.

    Args:
        read: the file, and its text if that is known.
        length: bytes of text that were read.
    """
    source, text = read.source, read.text
    if source.is_stream or source.remote is not None or source.length is not None:
        return source.size
    try:
        # If the text has another length, it was packed, and added bytes are not its lines.
        if os.stat(source.file_path).st_size - source.offset > length == source.size:
            is_there = text is None or crc_of(source, length) == text.crc32
            return whole_lines(source, length) if is_there else source.size
    except (OSError, SourceError):
        pass
    return source.size


def is_wanted(scanned: Scanned, *, salvage: bool) -> bool:
    """Whether to deliver the result of a source."""
    return scanned.error is None or (salvage and scanned.salvageable)


def told_apart(name: str, text: Text) -> str:
    """A name for a text whose source has the same name as another text's."""
    return f"{name}~{text.crc32:08x}"


def copy_of(account: SourceAccount, first: str) -> SourceAccount:
    """What became of a source that holds the text of another one, which is called `first`."""
    told = f"{account.path}: holds the same text as {first}: delivered once"
    counts, warnings = account.counts.as_copy(), [*account.warnings, told]
    return replace(account, status=Outcome.COPY, counts=counts, error=None, warnings=warnings)


def account_of(source: Source, scanned: Scanned, *, delivered: bool) -> SourceAccount:
    """What became of a source."""
    error = scanned.error
    status = Outcome.DELIVERED if scanned.no_log is None else Outcome.NO_LOG
    if scanned.is_cut:
        status = Outcome.UNVERIFIED
    if error is not None:
        status = Outcome.SALVAGED if delivered else Outcome.WITHHELD
    return SourceAccount(
        source=source.name,
        path=source.label,
        status=status,
        counts=scanned.counts if delivered else scanned.counts.as_withheld(),
        unauthenticated=delivered and scanned.unauthenticated,
        error=scanned.no_log if error is None else told(error, source.label),
        warnings=scanned.warnings,
        ignored=scanned.ignored,
        skipped=scanned.skipped,
    )
