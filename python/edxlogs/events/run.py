"""A run: sources to parts to one output, in order, with an account.

Workers take the sources in their order, each into a part of its own. A part joins the output only
after its source has passed its checks, and only in the order of the sources; a worker may run
ahead. What is in memory is bounded: small parts, of which those that wait too long move to a hidden
file beside the output.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edxlogs import _core
from edxlogs.account import Account, Outcome, SourceAccount
from edxlogs.errors import InternalError, OutputError, SourceError, StoppedError, told
from edxlogs.events.dedupe import Dedupe
from edxlogs.events.scanning import LineReader, Scanned, Sink
from edxlogs.sources.source import Source
from edxlogs.store.file import OutputFile
from edxlogs.threads import MOST_AHEAD, Workers, in_worker

if TYPE_CHECKING:
    from pathlib import Path

    from edxlogs.store.journal import Journal, KeptPart

WAITING_BYTES = 16 << 20  # parts in memory that wait for their turn
STDOUT_PART_BYTES = 64 << 20  # a part that goes to standard output after its verdict
_SMALL_PART_BYTES = 8 << 20


@dataclass(slots=True)
class Delivery:
    """Where a run delivers.

    Attributes:
        format_name: one of `sinks.FORMATS`.
        output: takes the parts in order; None only counts.
        file: the file in the making behind it; None for standard output.
        rejects: descriptor that takes the rejected lines, or None.
        rejects_file: the file in the making behind `rejects`.
        salvage: whether the sound part of a damaged source is delivered.
        unverified: whether rows go out before their source's verdict.
        journal: keeps parts for a run that goes on after this one, or None.
    """

    format_name: str = "parquet"
    output: _core.Output | None = None
    file: OutputFile | None = None
    rejects: int | None = None
    rejects_file: OutputFile | None = None
    salvage: bool = False
    unverified: bool = False
    journal: Journal | None = None


class Room:
    """The memory that parts take while they wait for their turn, in `bytes`."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.Lock()

    def enter(self, part: _core.Part | _core.SplitPart, *, stays: bool) -> None:
        """Let a part wait: in memory if it fits or `stays`, else in its hidden file."""
        with self._lock:
            if stays or self.bytes + part.memory_bytes <= WAITING_BYTES:
                self.bytes += part.memory_bytes
                return
        part.spill()
        with self._lock:
            self.bytes += part.memory_bytes

    def leave(self, part_bytes: int) -> None:
        """The turn of a part of that size has come."""
        with self._lock:
            self.bytes -= part_bytes


@dataclass(slots=True)
class _Finished:
    """A scanned source and its part, or the part that a run before has kept."""

    scanned: Scanned | None
    part: _core.Part | None
    kept: KeptPart | None = None
    hashes: Path | None = None


@dataclass
class Run:
    """One run over sources.

    Attributes:
        reader: reads the sources.
        sources: in the order of delivery.
        delivery: where to.
        workers: sources read at once.
        on_source: called after each source, with its account.
        dedupe: compares their lines, or None.
    """

    reader: LineReader
    sources: Sequence[Source]
    delivery: Delivery
    workers: int
    on_source: Callable[[SourceAccount], None] = lambda _: None
    account: Account = field(default_factory=Account)
    dedupe: Dedupe | None = None
    _room: Room = field(default_factory=Room)
    _to_read: set[int] = field(default_factory=set)

    def __call__(self) -> Account:
        """Read everything, deliver what passed its checks.

        Returns:
            The account; it adds up. The output is written but not published.

        Raises:
            OutputError: the output cannot be written.
            InternalError: a promise is broken; nothing must be published.
        """
        self._begin()
        direct = self.delivery.unverified or self.delivery.output is None
        count = 1 if self.delivery.unverified else self.workers
        make = self._direct if direct else self._task
        tasks = [make(number) for number in range(len(self.sources))]
        # Without a place for hidden files, parts that wait stay in memory: let them be few.
        ahead = count if self.delivery.file is None and not direct else MOST_AHEAD
        workers = self._pool = Workers(tasks, count, ahead)
        workers.start()
        try:
            for number in range(len(self.sources)):
                self._deliver(number, workers.take())
                if self.dedupe is not None and number in self._to_read:
                    self.dedupe.done(number)
        finally:
            self.reader.control.stop()
            if self.dedupe is not None:
                self.dedupe.stop()
            self.reader.close()
            # Before the hidden folder goes: a worker could still make a file in it.
            workers.stop()
        self.account.check()
        return self.account

    def _begin(self) -> None:
        """Find out which sources are read, and which a run before has finished."""
        journal = self.delivery.journal
        if journal is not None:
            journal.begin(self.sources)
        known = [None if journal is None else journal.known(one) for one in self.sources]
        self._to_read = {number for number, one in enumerate(known) if one is None}
        if self.dedupe is None:
            return
        paths = [None if one is None or journal is None else journal.hashes(one) for one in known]
        by_number = {one.number: path for one, path in zip(known, paths, strict=True) if one}
        self.dedupe.extend(self._to_read, known.__getitem__, lambda one: by_number[one.number])
        for number, path in enumerate(paths):
            if number not in self._to_read:
                self.dedupe.found(number, [] if path is None else [path], is_read=False)

    def _threads(self, number: int) -> int:
        """Threads for one source: also those that would have nothing to do meanwhile."""
        if self.delivery.unverified:
            return self.workers
        left = len(self.sources) - number
        threads = max(1, self.workers // left)
        if self.dedupe is not None:
            threads += min(self.dedupe.waiting(number, self.workers - 1), self.workers - threads)
        return threads

    def _scan(self, number: int, make_sink: Callable[[], Sink]) -> tuple[Scanned, Path | None]:
        """Scan a source; what came of it, and where the hashes of its lines are."""
        hashes = None if self.dedupe is None else self.dedupe.hashes(number)
        threads = self._threads(number)
        scanned = self.reader.scan(self.sources[number], make_sink, threads=threads, hashes=hashes)
        if self.dedupe is None:
            return scanned, None
        delivered = self._wanted(scanned) or self.delivery.unverified
        return scanned, self.dedupe.settle(number, hashes, delivered=delivered)

    def _direct(self, number: int) -> Callable[[], _Finished]:
        """Read a source without a part: for counting, or straight to the output."""

        def task() -> _Finished:
            sink = self.delivery.output
            scanned, _ = self._scan(number, lambda: sink)
            if sink is not None:
                sink.flush()
            return _Finished(scanned, None)

        return task

    def _task(self, number: int) -> Callable[[], _Finished]:
        """Read a source into a part."""
        file = self.delivery.file
        rejects_file = self.delivery.rejects_file
        memory = STDOUT_PART_BYTES if file is None else _SMALL_PART_BYTES

        def make_sink() -> Sink:
            rejects = None if rejects_file is None else rejects_file.part_path(number)
            return _core.PartWriter(
                self.reader.query,
                self.delivery.format_name,
                path=None if file is None else file.part_path(number),
                rejects_path=None if rejects is None else rejects.with_suffix(".rejects"),
                memory_bytes=memory,
            )

        def task() -> _Finished:
            source, journal = self.sources[number], self.delivery.journal
            if journal is not None and number not in self._to_read:
                kept = journal.find(source)
                return _Finished(None, None if kept is None else kept.part, kept)
            scanned, hashes = self._scan(number, make_sink)
            part = None
            if isinstance(scanned.sink, _core.PartWriter) and self._wanted(scanned):
                part = scanned.sink.finish()
                stays = self._pool.is_next(number) or self.delivery.file is None
                self._room.enter(part, stays=stays)
            # A part that is not wanted goes, with its hidden file.
            scanned.sink = None
            return _Finished(scanned, part, hashes=hashes)

        return task

    def _wanted(self, scanned: Scanned) -> bool:
        return is_wanted(scanned, salvage=self.delivery.salvage)

    def _deliver(self, number: int, finished: _Finished) -> None:
        source = self.sources[number]
        scanned, part = finished.scanned, finished.part
        if scanned is None:
            self._deliver_kept(finished.kept)
            return
        error = scanned.error
        if isinstance(error, OutputError | InternalError | StoppedError):
            raise error
        if part is not None and part.outgrown:
            scanned = self._again(number, scanned)
            error = scanned.error
        delivered = self._wanted(scanned) or self.delivery.unverified
        account = account_of(source, scanned, delivered=delivered)
        if part is not None:
            size = part.memory_bytes
            if delivered:
                in_worker(lambda: self._append(number, account, part, finished.hashes))
            self._room.leave(size)
        self.account.enter(account)
        self.on_source(account)

    def _deliver_kept(self, kept: KeptPart | None) -> None:
        """Deliver what a run before has finished."""
        if kept is None:
            raise InternalError("a source without a part; please report it")
        output, rejects = self.delivery.output, self.delivery.rejects
        if output is not None:
            in_worker(lambda: output.append(kept.part))
        if rejects is not None and kept.rejects is not None:
            with open(kept.rejects, "rb") as lines, open(rejects, "wb", closefd=False) as out:
                shutil.copyfileobj(lines, out)
        self.account.enter(kept.account)
        self.on_source(kept.account)

    def _append(
        self, number: int, account: SourceAccount, part: _core.Part, hashes: Path | None
    ) -> None:
        if self.delivery.journal is not None:
            before = [] if self.dedupe is None else self.dedupe.earlier(number)
            earlier = [self.sources[other] for other in before]
            self.delivery.journal.keep(self.sources[number], account, part, hashes, earlier)
        output = self.delivery.output
        if output is not None:
            if not part.outgrown:
                output.append(part)
            if self.delivery.file is None:
                output.flush()
        if self.delivery.rejects is not None:
            part.copy_rejects(self.delivery.rejects)

    def _again(self, number: int, first: Scanned) -> Scanned:
        """Read a source that passed its checks once more, straight to standard output."""
        source = self.sources[number]
        if source.is_stream:
            why = (
                f"{source.label}: its rows outgrow {STDOUT_PART_BYTES >> 20} MiB before its"
                " checks are done, and it cannot be read twice; write to a file with -o, or add"
                " --unverified"
            )
            return Scanned(first.counts, error=SourceError(why, source.label))
        output = self.delivery.output
        hashes = None if self.dedupe is None else self.dedupe.hashes(number)
        again = in_worker(
            lambda: self.reader.scan(source, lambda: output, threads=self.workers, hashes=hashes)
        )
        if isinstance(again.error, OutputError | StoppedError):
            raise again.error
        if str(again.error) != str(first.error) or again.counts != first.counts:
            raise InternalError(
                f"{source.label}: changed while it was read; rows of it may be out already:"
                " discard the output and run again"
            )
        return again


def is_wanted(scanned: Scanned, *, salvage: bool) -> bool:
    """Whether what came of a source is delivered."""
    return scanned.error is None or (salvage and scanned.salvageable)


def account_of(source: Source, scanned: Scanned, *, delivered: bool) -> SourceAccount:
    """What became of a source."""
    error = scanned.error
    status = Outcome.DELIVERED
    if error is not None:
        status = Outcome.SALVAGED if delivered else Outcome.WITHHELD
    return SourceAccount(
        source=source.name,
        path=source.label,
        status=status,
        counts=scanned.counts if delivered else scanned.counts.as_withheld(),
        unauthenticated=delivered and scanned.unauthenticated,
        error=None if error is None else told(error, source.label),
        warnings=scanned.warnings,
        ignored=scanned.ignored,
        skipped=scanned.skipped,
    )
