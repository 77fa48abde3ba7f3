"""A run to a dataset: sources to parts, parts to files by partition, groups of them committed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from edxlogs import _core
from edxlogs.account import Account, Counts, SourceAccount
from edxlogs.errors import ConfigError, EdxlogsError, InternalError, OutputError, StoppedError
from edxlogs.inputs import check_unchanged, groups, identify, is_same, stem, with_checksum
from edxlogs.manifest import DataFile, Identity, Input, Segment, now
from edxlogs.names import shown
from edxlogs.reading import Reader, Scanned, Sink
from edxlogs.run import Room, Workers, account_of, in_worker, is_wanted
from edxlogs.sources import Source
from edxlogs.stops import put_off
from edxlogs.store import REJECTS, Store

TARGET_FILE_BYTES = 128 << 20
MOST_AHEAD = 32  # parts, so that a run keeps few files open

ENDINGS = {
    "parquet": ".parquet",
    "csv": ".csv",
    "csv-excel-safe": ".csv",
    "jsonl": ".jsonl",
    "jsonl.gz": ".jsonl.gz",
    "jsonl.zst": ".jsonl.zst",
}


@dataclass(slots=True)
class _Finished:
    """A scanned source, its release and its part."""

    identity: Identity
    scanned: Scanned
    part: _core.SplitPart | None


@dataclass
class DatasetRun:
    """One run over sources, into a dataset.

    Attributes:
        reader: reads the sources.
        sources: all of them, in the order of delivery; those that are done are not opened.
        store: takes the files.
        format_name: a key of `ENDINGS`.
        metadata: for the footer of Parquet.
        workers: sources read at once.
        salvage: whether the sound part of a damaged source is delivered.
        keeps_rejects: whether rejected lines are kept.
        file_bytes: about how large a file may get.
        on_source: called after each source that was read, with its account.
        account: of all sources at the end, also of those that runs before have read.
        started: when the run began, UTC.
        commits: made so far.
        read: sources read by this run.
    """

    reader: Reader
    sources: Sequence[Source]
    store: Store
    format_name: str
    metadata: Sequence[tuple[str, str]]
    workers: int
    salvage: bool = False
    keeps_rejects: bool = False
    file_bytes: int = TARGET_FILE_BYTES
    on_source: Callable[[SourceAccount], None] = lambda _: None
    account: Account = field(default_factory=Account)
    started: str = field(default_factory=now)
    commits: int = 0
    read: int = 0
    _room: Room = field(default_factory=Room)
    _held: list[Input] = field(default_factory=list)
    _withheld: dict[str, SourceAccount] = field(default_factory=dict)

    def __call__(self) -> Account:
        """Read what is new, and commit it group by group.

        Returns:
            The account; it adds up.

        Raises:
            OutputError: the dataset cannot be written. What was committed stays.
            ConfigError: there are too many partitions, or a source is a stream.
            InternalError: a promise is broken.
        """
        identities = [identify(source) for source in self.sources]
        pending = in_worker(lambda: self._pending(identities))
        tasks = [self._task(number, identities[number]) for number in sorted(pending)]
        workers = Workers(tasks, self.workers, MOST_AHEAD).start()
        try:
            for group in groups(self.sources):
                numbers = [number for number in group if number in pending]
                if numbers:
                    self._deliver(numbers, workers)
        finally:
            self.reader.control.stop()
            self.reader.close()
            workers.stop()
        self._tell_all(identities)
        self.account.check()
        return self.account

    def _pending(self, identities: Sequence[Identity]) -> set[int]:
        """Numbers of the sources whose rows are not there yet."""
        if self.store.replaces_all:
            return set(range(len(self.sources)))

        def is_done(number: int) -> bool:
            known = self._known(identities[number])
            return (
                known is not None
                and known.is_done
                and is_same(self.sources[number], identities[number], known.identity)
            )

        return {number for number in range(len(self.sources)) if not is_done(number)}

    def _known(self, identity: Identity) -> Input | None:
        return self.store.manifest.newest(identity.key)

    def _task(self, number: int, identity: Identity) -> Callable[[], _Finished]:
        source = self.sources[number]
        hidden = self.store.new / f"part-{number:06}"

        def make_sink() -> Sink:
            return _core.SplitWriter(
                self.reader.query,
                self.format_name,
                path=hidden,
                rejects_path=hidden.with_suffix(".rejects"),
            )

        def task() -> _Finished:
            left = len(self.sources) - number
            try:
                stored = with_checksum(source, identity)
            except EdxlogsError as error:
                return _Finished(identity, Scanned(Counts(), None, error), None)
            scanned = self.reader.scan(source, make_sink, threads=max(1, self.workers // left))
            try:
                check_unchanged(source, identity)
            except EdxlogsError as error:
                scanned.error, scanned.salvageable = scanned.error or error, False
            part = None
            if isinstance(scanned.sink, _core.SplitWriter) and self._wanted(scanned):
                part = scanned.sink.finish()
                self._room.enter(part, stays=False)
            scanned.sink = None
            return _Finished(stored, scanned, part)

        return task

    def _wanted(self, scanned: Scanned) -> bool:
        return is_wanted(scanned, salvage=self.salvage)

    def _deliver(self, numbers: Sequence[int], workers: Workers[_Finished]) -> None:
        """Take the parts of a group in order, make their files, and commit them."""
        files = _core.DatasetFiles(self.reader.query, self.format_name, list(self.metadata))
        segment = Segment(self.started, inputs=self._held)
        delivered: list[tuple[Source, Identity]] = []
        replaced: set[int] = set()
        for number in numbers:
            source, finished = self.sources[number], workers.take()
            one = self._input(source, finished, len(segment.inputs))
            known = self._known(one.identity)
            if one.is_done:
                delivered.append((source, one.identity))
                if known is not None and not self.store.replaces_all:
                    replaced.add(known.number)
            elif known is not None and known.is_done and not self.store.replaces_all:
                # The rows that are there stay, until its new release is whole.
                self._withheld[one.identity.key] = one.account
                continue
            segment.inputs.append(one)
            if finished.part is not None:
                segment.added += self._rejects(one, finished.part)
                self._append(files, one.number, finished.part)
        if not segment.inputs:
            return
        if self.store.replaces_all and not delivered:
            # Nothing is better than what is there.
            self._held = segment.inputs
            return
        self._held = []
        segment.added += self._files(files, self._name(delivered))
        added, segment.removed = without(self.store, self.format_name, replaced)
        segment.added += added
        with put_off():
            self.store.commit(segment)
            self.commits += 1

    def _input(self, source: Source, finished: _Finished, ahead: int) -> Input:
        """What became of a source, with the number it gets."""
        error = finished.scanned.error
        if isinstance(error, OutputError | InternalError | StoppedError | ConfigError):
            raise error
        delivered = finished.part is not None
        account = account_of(source, finished.scanned, delivered=delivered)
        self.account.ignored += finished.scanned.ignored
        self.account.skipped += finished.scanned.skipped
        self.read += 1
        self.on_source(account)
        return Input(self.store.manifest.next_number() + ahead, finished.identity, account)

    def _append(self, files: _core.DatasetFiles, number: int, part: _core.SplitPart) -> None:
        size = part.memory_bytes
        in_worker(lambda: files.append(number, part))
        self._room.leave(size)

    def _name(self, delivered: Sequence[tuple[Source, Identity]]) -> str:
        """A name for the files of a group that no file has yet."""
        name = stem(orjson.dumps(self.store.query, option=orjson.OPT_SORT_KEYS), delivered)
        if not self.store.replaces_all:
            taken = {stem_of(path) for path in self.store.manifest.files}
            while name in taken:
                name += "x"
        return name

    def _files(self, files: _core.DatasetFiles, name: str) -> list[DataFile]:
        """Make the files of a group, among the new ones."""
        made = in_worker(
            lambda: files.finish(
                self.store.new, name, file_bytes=self.file_bytes, threads=self.workers
            )
        )
        ending = ENDINGS[self.format_name]
        return [
            DataFile(
                path=f"{folder}/{name}{f'-{number}' if number else ''}{ending}",
                staged=Path(path).name,
                rows=rows,
                bytes=size,
                sha256=sha256,
                runs=runs,
            )
            for path, folder, number, rows, size, sha256, runs in made
        ]

    def _rejects(self, one: Input, part: _core.SplitPart) -> list[DataFile]:
        """The rejected lines of an input as a file beside the manifest."""
        if not self.keeps_rejects or one.account.counts.rejected == 0:
            return []
        staged = self.store.new / f"rejects-{one.number}"
        try:
            descriptor = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "rb") as file:
                part.copy_rejects(descriptor)
                file.seek(0)
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as error:
            raise OutputError(f"output: {self.store.name}: {error.strerror}") from error
        runs = [(one.number, one.account.counts.rejected)]
        path = f"{REJECTS}/{one.number}"
        return [DataFile(path, staged.name, one.account.counts.rejected, size, sha256, runs)]

    def _tell_all(self, identities: Sequence[Identity]) -> None:
        """The account of all sources, as the manifest has it."""
        held = {one.identity.key: one.account for one in self._held}
        for identity in identities:
            account = self._withheld.get(identity.key) or held.get(identity.key)
            if account is None:
                known = self._known(identity)
                if known is None:
                    raise InternalError(f"{shown(identity.key)}: is in no segment; report it")
                account = known.account
            self.account.sources.append(account)
            self.account.rows_written += account.counts.rows

    def rejects(self) -> Iterator[Path]:
        """Files of rejected lines, of all sources in their order."""
        manifest = self.store.manifest
        by_input = {file.runs[0][0]: file for file in manifest.files.values() if file.is_rejects}
        for source in self.sources:
            known = self._known(identify(source))
            if known is not None and known.number in by_input:
                yield self.store.folder / by_input[known.number].path


def without(store: Store, format_name: str, inputs: set[int]) -> tuple[list[DataFile], list[str]]:
    """Files that hold rows of some inputs, made anew without them; and the paths of those files.

    Raises:
        OutputError: they cannot be read or written.
    """
    added: list[DataFile] = []
    removed: list[str] = []
    for file in store.manifest.files.values():
        if not any(number in inputs for number, _ in file.runs):
            continue
        removed.append(file.path)
        rows: list[tuple[int, int]] = []
        runs: list[tuple[int, int]] = []
        first = 0
        for number, count in file.runs:
            if number not in inputs:
                rows.append((first, count))
                runs.append((number, count))
            first += count
        if runs:
            added.append(remake(store, format_name, [(file, rows)], runs))
    return added, removed


def remake(
    store: Store,
    format_name: str,
    pieces: Sequence[tuple[DataFile, Sequence[tuple[int, int]]]],
    runs: list[tuple[int, int]],
) -> DataFile:
    """A new file of rows of others of the same partition, named after what it holds."""
    told = [(file.sha256, list(rows)) for file, rows in pieces]
    name = f"part-{hashlib.sha256(repr(told).encode()).hexdigest()[:20]}"
    first = pieces[0][0]
    folder, ending = first.path.rpartition("/")[0], ENDINGS[format_name]
    staged = store.new / f"{name}.{hashlib.sha256(folder.encode()).hexdigest()[:20]}"
    sources = [(store.folder / file.path, list(rows)) for file, rows in pieces]
    rows, size, sha256 = in_worker(lambda: _core.rewrite(sources, format_name, staged))
    return DataFile(f"{folder}/{name}{ending}", staged.name, rows, size, sha256, runs)


def stem_of(path: str) -> str:
    """The name of a file's group."""
    name = path.rpartition("/")[2].partition(".")[0]
    return "-".join(name.split("-")[:2])
