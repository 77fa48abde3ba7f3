"""A run to datasets: sources to parts, one pass over the logs for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edxlogs import _core
from edxlogs.account import Counts, SourceAccount
from edxlogs.dataset_target import DatasetTarget, Share, share_of
from edxlogs.errors import ConfigError, EdxlogsError, InternalError, OutputError, StoppedError
from edxlogs.inputs import check_unchanged, groups, identify, with_checksum
from edxlogs.manifest import Identity
from edxlogs.reading import Reader, Scanned, Sink
from edxlogs.run import Room, Workers, account_of, in_worker
from edxlogs.sources import Source

MOST_AHEAD = 32  # sources, so that a run keeps few files open
MEMORY_BYTES = 24 << 20  # for rows of one source, over all datasets

_Kept = tuple[_core.SplitPart, int, int]


@dataclass(slots=True)
class _Finished:
    """A scanned source, its release, and what each dataset has of it."""

    identity: Identity
    scanned: Scanned
    kept: list[_Kept | None]


@dataclass
class DatasetRun:
    """One run over sources, into one dataset or several.

    Attributes:
        reader: reads the sources; its query is that of the dataset, or of all of them together.
        sources: all of them, in the order of delivery; those that are done are not opened.
        targets: the datasets.
        workers: sources read at once.
        on_source: called after each source that was read, with its account.
    """

    reader: Reader
    sources: Sequence[Source]
    targets: Sequence[DatasetTarget]
    workers: int
    on_source: Callable[[SourceAccount], None] = lambda _: None
    _room: Room = field(default_factory=Room)

    def __call__(self) -> None:
        """Read what is new, and commit it group by group; the accounts of the targets add up.

        Raises:
            OutputError: a dataset cannot be written. What was committed stays.
            ConfigError: there are too many partitions, or a source is a stream.
            InternalError: a promise is broken.
        """
        identities = [identify(source) for source in self.sources]

        def pending_of_all() -> list[set[int]]:
            return [target.pending(self.sources, identities) for target in self.targets]

        pending = in_worker(pending_of_all)
        to_read = set().union(*pending)
        tasks = [self._task(number, identities[number], pending) for number in sorted(to_read)]
        workers = Workers(tasks, self.workers, MOST_AHEAD).start()
        try:
            for group in groups(self.sources):
                self._deliver(
                    [number for number in group if number in set(to_read)], pending, workers
                )
        finally:
            self.reader.control.stop()
            self.reader.close()
            workers.stop()
        for target in self.targets:
            target.tell_all(identities)

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
                return _Finished(identity, Scanned(Counts(), None, error), nothing)
            scanned = self.reader.scan(source, make_sink, threads=max(1, self.workers // left))
            try:
                check_unchanged(source, identity)
            except EdxlogsError as error:
                scanned.error, scanned.salvageable = scanned.error or error, False
            kept = nothing
            if any(target.wants(scanned) for target in self.targets):
                kept = self._parts(scanned, wanted)
            scanned.sink = None
            return _Finished(stored, scanned, kept)

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
        self, numbers: Sequence[int], pending: Sequence[set[int]], workers: Workers[_Finished]
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
                        yield share_of(source, one.identity, one.scanned, one.kept[at])

            target.deliver(shares(), self._room, self.workers)

    def _taken(self, number: int, workers: Workers[_Finished]) -> _Finished:
        finished = workers.take()
        error = finished.scanned.error
        if isinstance(error, OutputError | InternalError | StoppedError | ConfigError):
            raise error
        delivered = any(target.wants(finished.scanned) for target in self.targets)
        self.on_source(account_of(self.sources[number], finished.scanned, delivered=delivered))
        return finished
