"""A run to datasets: sources to parts, one pass over the logs for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edxlogs import _core
from edxlogs.account import LineCounts, SourceAccount
from edxlogs.errors import ConfigError, EdxlogsError, InternalError, OutputError, StoppedError
from edxlogs.events.dedupe import Dedupe
from edxlogs.events.run import Room, account_of
from edxlogs.events.scanning import LineReader, Scanned, Sink
from edxlogs.events.target import DatasetTarget, Share, share_of
from edxlogs.sources.source import Source
from edxlogs.store.inputs import check_unchanged, groups, identify, with_checksum
from edxlogs.store.manifest import Identity
from edxlogs.threads import Workers, in_worker

MOST_AHEAD = 32  # sources, so that a run keeps few files open
MEMORY_BYTES = 24 << 20  # for rows of one source, over all datasets

_Kept = tuple[_core.SplitPart, int, int]


@dataclass(slots=True)
class _Finished:
    """A scanned source, its release, and what each dataset has of it."""

    identity: Identity
    scanned: Scanned
    kept: list[_Kept | None]
    hashes: Path | None = None


@dataclass
class DatasetRun:
    """One run over sources, into one dataset or several.

    Attributes:
        reader: reads the sources; its query is that of the dataset, or of all of them together.
        sources: all of them, in the order of delivery; those that are done are not opened.
        targets: the datasets.
        workers: sources read at once.
        on_source: called after each source that was read, with its account.
        dedupe: which lines are compared, or None.
    """

    reader: LineReader
    sources: Sequence[Source]
    targets: Sequence[DatasetTarget]
    workers: int
    on_source: Callable[[SourceAccount], None] = lambda _: None
    dedupe: str | None = None
    _room: Room = field(default_factory=Room)
    _held: Dedupe | None = None

    def __call__(self) -> None:
        """Read what is new, and commit it group by group; the accounts of the targets add up.

        Raises:
            OutputError: a dataset cannot be written. What was committed stays.
            ConfigError: there are too many partitions, or a source is a stream.
            InternalError: a promise is broken.
        """
        identities = [identify(source) for source in self.sources]

        if self.dedupe is not None:
            self._held = Dedupe(self.sources, self.dedupe, self._place_of_hashes)

        def pending_of_all() -> list[set[int]]:
            return [target.pending(self.sources, identities, self._held) for target in self.targets]

        pending = in_worker(pending_of_all)
        to_read = set().union(*pending)
        self._tell_held(identities, to_read)
        tasks = [self._task(number, identities[number], pending) for number in sorted(to_read)]
        workers = Workers(tasks, self.workers, MOST_AHEAD).start()
        try:
            for group in groups(self.sources):
                self._deliver(
                    [number for number in group if number in to_read], identities, pending, workers
                )
        finally:
            self.reader.control.stop()
            if self._held is not None:
                self._held.stop()
            self.reader.close()
            workers.stop()
        for target in self.targets:
            target.tell_all(identities)

    def _place_of_hashes(self, number: int) -> Path:
        return self.targets[0].store.new / f"held-{number}"

    def _tell_held(self, identities: Sequence[Identity], to_read: set[int]) -> None:
        """Tell which lines the datasets hold already."""
        if self._held is None:
            return
        for group in self._held.groups:
            if to_read.isdisjoint(group):
                continue
            for number in group:
                paths = [path for one in self.targets for path in one.hashes(identities[number])]
                self._held.found(number, paths, is_read=number in to_read)

    def _task(
        self, number: int, identity: Identity, pending: Sequence[set[int]]
    ) -> Callable[[], _Finished]:
        source = self.sources[number]
        wanted = [number in numbers for numbers in pending]

        def make_sink() -> Sink:
            memory = MEMORY_BYTES // len(self.targets)
            writers = [target.writer(number, memory) for target in self.targets]
            if len(writers) == 1:
                return writers[0]
            queries = [target.query for target in self.targets]
            return _core.SeveralWriter(self.reader.query, queries, writers)

        def task() -> _Finished:
            left = len(self.sources) - number
            nothing: list[_Kept | None] = [None] * len(self.targets)
            try:
                stored = with_checksum(source, identity)
            except EdxlogsError as error:
                if self._held is not None:
                    self._held.settle(number, None, delivered=False)
                return _Finished(identity, Scanned(LineCounts(), error=error), nothing)
            held = None if self._held is None else self._held.hashes(number)
            threads = max(1, self.workers // left)
            if self._held is not None:
                threads += min(self._held.waiting(number, self.workers - 1), self.workers - threads)
            scanned = self.reader.scan(source, make_sink, threads=threads, hashes=held)
            try:
                check_unchanged(source, identity)
            except EdxlogsError as error:
                scanned.error, scanned.salvageable = scanned.error or error, False
            kept = nothing
            if any(target.wants(scanned) for target in self.targets):
                kept = self._parts(scanned, wanted)
            scanned.sink = None
            path = None
            if self._held is not None:
                delivered = all(target.wants(scanned) for target in self.targets)
                path = self._held.settle(number, held, delivered=delivered)
            return _Finished(stored, scanned, kept, path)

        return task

    def _parts(self, scanned: Scanned, wanted: Sequence[bool]) -> list[_Kept | None]:
        """What came of a scan, for the datasets that lack it."""
        if isinstance(scanned.sink, _core.SplitWriter):
            counts = scanned.counts
            parts = [(scanned.sink.finish(), counts.rows, counts.kept)]
        elif isinstance(scanned.sink, _core.SeveralWriter):
            parts = scanned.sink.finish()
        else:
            return [None] * len(self.targets)
        kept: list[_Kept | None] = []
        for part, target, is_wanted in zip(parts, self.targets, wanted, strict=True):
            if is_wanted and target.wants(scanned):
                self._room.enter(part[0], stays=False)
                kept.append(part)
            else:
                kept.append(None)
        return kept

    def _deliver(
        self,
        numbers: Sequence[int],
        identities: Sequence[Identity],
        pending: Sequence[set[int]],
        workers: Workers[_Finished],
    ) -> None:
        """Take the sources of a group in order, and hand each dataset its share of them."""
        if not numbers:
            return
        finished = [self._taken(number, workers) for number in numbers]
        for at, target in enumerate(self.targets):

            def shares(at: int = at) -> Iterator[Share]:
                for number, one in zip(numbers, finished, strict=True):
                    if number in pending[at]:
                        source = self.sources[number]
                        share = share_of(source, one.identity, one.scanned, one.kept[at])
                        if self._held is not None:
                            share.hashes = one.hashes
                            earlier = self._held.earlier(number)
                            share.earlier = [identities[other].key for other in earlier]
                        yield share

            target.deliver(shares(), self._room, self.workers)
        if self._held is not None:
            for number in numbers:
                self._held.done(number)

    def _taken(self, number: int, workers: Workers[_Finished]) -> _Finished:
        finished = workers.take()
        error = finished.scanned.error
        if isinstance(error, OutputError | InternalError | StoppedError | ConfigError):
            raise error
        delivered = any(target.wants(finished.scanned) for target in self.targets)
        self.on_source(account_of(self.sources[number], finished.scanned, delivered=delivered))
        return finished
