"""Files that are published in one step: the commit of their manifest.

New files are written to a folder that no reader looks into. A commit flushes them to disk, adds a
segment to the manifest, and switches its head. Only then do they get their places, and the files
that they replace are removed. If a run finds the last commit half carried out, it finishes it: a
file that is still among the new ones gets its place, and a replaced one is removed. So a crash at
any moment leaves, by the manifest, the state before a commit or after it.

The store does not care what the rows are. Whoever publishes with it opens a `Store`; `claim`s it
for a query (`format`, `partition_by`, and whatever distinguishes its rows from others); writes new
files below `new`; and `commit`s a `Segment` with files added and removed, and with the `Input`s
that were read, each with the account that its owner reads back from `manifest.newest`.
"""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import orjson

from edxlogs import _core
from edxlogs.errors import ConfigError, cannot_write
from edxlogs.formats import ending_of, format_by_ending
from edxlogs.store import disk
from edxlogs.store.manifest import DataFile, Manifest, Segment, now
from edxlogs.store.place import HOME as HOME
from edxlogs.store.place import Folder, Place
from edxlogs.text import shown
from edxlogs.threads import in_worker

REJECTS = f"{HOME}/rejects"
HASHES = f"{HOME}/hashes"
READY = f"{HOME}/ready"  # tables that have no place yet
EVENTS = "a dataset of events"
HMAC = "hmac"  # in a query: of the values that are shown nowhere
# What begins the names of folders among the new files where others put theirs: an attempt at a
# task, and one that is done.
TRY = "try-"
TASK = "task-"
_OLD_SECONDS = 2 * 86_400  # no attempt lasts that long

TARGET_FILE_BYTES = 128 << 20  # about how large a file of rows may get
GRACE = datetime.timedelta(days=7)  # of files that went where others may still read them


class Store:
    """A dataset, open for writing.

    As a context manager it lets others write at its end.

    Args:
        place: where the dataset is.

    Raises:
        ConfigError: something else is there, or the manifest is invalid.
        OutputError: it cannot be written to, or another run writes to it.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = place.name
        self.new = place.new
        self.query: dict[str, Any] = {}
        self._replaces_all = False
        self._over: list[str] = []  # files whose time of grace is over
        self.manifest = Manifest(place)
        place.open()
        try:
            self.manifest.load()
            self.manifest.tidy()
            disk.make_folder(self.new)
            self._carry_out(self.manifest.last, is_own=False)
            self._clean()
            self._over = self.retired()[0]
        except OSError as error:
            place.close()
            raise cannot_write(self.name, error) from error
        except BaseException:
            place.close()
            raise

    @property
    def on_disk(self) -> Folder:
        """Its place, as a folder on disk.

        Raises:
            ConfigError: the place is not on disk.
        """
        if not isinstance(self.place, Folder):
            raise ConfigError(
                f"dataset: {self.name}: only datasets in local folders can be changed this way;"
                " copy it to one"
            )
        return self.place

    def claim(self, query: dict[str, Any], *, overwrite: bool) -> None:
        """Declare what the rows of this run are.

        Raises:
            ConfigError: the existing rows are different ones, and `overwrite` is false.
        """
        there = self.manifest.query
        self.query = query
        holds = EVENTS if there is None else there.get("holds", EVENTS)
        if there is not None and holds != query.get("holds", EVENTS):
            raise ConfigError(f"output: {self.name}: holds {holds}; name another folder")
        if there is None or there == query:
            return
        if not overwrite:
            raise ConfigError(
                f"output: {self.name}: holds the rows of a different query; name another output, or"
                f" add --overwrite. {difference(there, query)}"
            )
        self._replaces_all = True

    def commit(self, segment: Segment) -> None:
        """Publish the new files of a segment, and remove those that it replaces.

        Raises:
            OutputError: it cannot be written. What was committed before stays.
        """
        if self.manifest.query is None or self._replaces_all:
            segment.query = self.query
        if self._replaces_all:
            segment.replaces_all = True
            segment.removed = [file.path for file in self.manifest.files()]
        segment.keeps_removed = self.keeps_removed and bool(segment.removed)
        segment.cleaned = [path for path in self._over if path not in segment.removed]
        try:
            synced = segment.changes_files or self.manifest.is_due
            segment.added = self.place.bring(segment.added, self._names, synced=synced)
            self.manifest.commit(segment)
            self._replaces_all, self._over = False, []
            self._carry_out(segment, is_own=True)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    @property
    def replaces_all(self) -> bool:
        """Whether the next commit replaces everything."""
        return self._replaces_all

    @property
    def keeps_removed(self) -> bool:
        """Whether replaced files stay for a time of grace, because others may still read them."""
        return self.place.keeps_removed

    def _names(self, path: str) -> bool:
        """Whether the manifest knows a path, of a present file or of a replaced one still kept."""
        return self.manifest.file(path) is not None or self.manifest.is_retired(path)

    def enter_publication(self) -> None:
        """Record that others were told of all commits, now.

        Raises:
            OutputError: it cannot be written.
        """
        there = self.on_disk.publications()
        begin = sum(moment <= _grace_began() for _, moment in there) - 1
        kept = [*there[max(0, begin) :], (self.manifest.commits, now())]
        self.on_disk.write_publications(kept)

    def begin_publications(self) -> None:
        """From now on keep files that are replaced, because others will be told of what exists.

        Raises:
            OutputError: it cannot be written.
        """
        if not self.keeps_removed:
            self.on_disk.write_publications([])

    def retired(self) -> tuple[list[str], list[str]]:
        """Replaced files that were kept: those whose time of grace is over, and those that wait.

        Raises:
            ConfigError: the record of publications is damaged.
            OutputError: it cannot be read.
        """
        over: list[str] = []
        wait: list[str] = []
        told = self.place.commits_told(_grace_began()) if self.keeps_removed else None
        for path, number in self.manifest.retired():
            (over if told is None or number < told else wait).append(path)
        return over, wait

    def _carry_out(self, segment: Segment | None, *, is_own: bool) -> None:
        """Put the files of a commit in their places, as far as they are not there yet."""
        if segment is not None:
            cleaned = [path for path in segment.cleaned if self.manifest.file(path) is None]
            self.place.carry_out(segment, cleaned, is_own=is_own)

    def _clean(self) -> None:
        """Remove what a killed run left among the new files.

        Others may still be working on their tasks, so only old files are removed.
        """
        for left in self.new.iterdir():
            if left.name.startswith((TRY, TASK)):
                with suppress(FileNotFoundError):
                    if time.time() - left.stat().st_mtime < _OLD_SECONDS:
                        continue
            disk.remove(left)

    def _format(self, path: str) -> str:
        """The format of the rows in a file. Tables in one folder may have different ones."""
        query = self.manifest.query or self.query
        named: str | None = query.get("format")
        return named or format_by_ending(path) or ""

    def without(
        self, inputs: Collection[int], stay: Collection[str] = ()
    ) -> tuple[list[DataFile], list[str]]:
        """Make files that hold rows of some inputs again, without these rows.

        Files whose paths are in `stay` are skipped.

        Returns:
            New files, and the paths of those that they replace.

        Raises:
            OutputError: they cannot be read or written.
        """
        added: list[DataFile] = []
        removed: list[str] = []
        for file in self.manifest.holding(inputs):
            if file.path in stay:
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
                added.append(self.remake([(file, rows)], runs))
        return added, removed

    def header(self, file: DataFile) -> bytes:
        """What precedes the rows of a file. Files with other columns have another header.

        Raises:
            OutputError: it cannot be read.
        """
        place, form = self.place.local(file), self._format(file.path)
        header = in_worker(lambda: _core.header(place, form))
        self.place.forget([file])
        return header

    def remake(
        self,
        pieces: Sequence[tuple[DataFile, Sequence[tuple[int, int]]]],
        runs: Sequence[tuple[int, int]],
    ) -> DataFile:
        """Make a new file from rows of other files of a partition, named after its content.

        Args:
            pieces: files with the same `header`, each with the rows to take: (first, count).
            runs: whose rows those are, one after another.

        Raises:
            OutputError: they cannot be read, or it cannot be written.
        """
        form = self._format(pieces[0][0].path)
        told = [(file.sha256, list(rows)) for file, rows in pieces]
        name = f"part-{hashlib.sha256(repr(told).encode()).hexdigest()[:20]}"
        folder = pieces[0][0].path.rpartition("/")[0]
        staged = self.new / f"{name}.{hashlib.sha256(folder.encode()).hexdigest()[:20]}"
        sources = [(self.place.local(file), list(rows)) for file, rows in pieces]
        rows, size, sha256 = in_worker(lambda: _core.rewrite(sources, form, staged))
        self.place.forget(file for file, _ in pieces)
        return DataFile(f"{folder}/{name}{ending_of(form)}", staged.name, rows, size, sha256, runs)

    def new_file(self, path: str, staged: Path, runs: Sequence[tuple[int, int]]) -> DataFile:
        """How a commit describes a new file with rows of these inputs.

        Raises:
            OSError: the file cannot be read.
        """
        size, sha256 = measured(staged)
        rows = sum(rows for _, rows in runs)
        return DataFile(path, staged.name, rows, size, sha256, runs)

    def beside(self, path: str) -> Path | None:
        """A file beside the manifest, readable until the place has to forget it, or None.

        Raises:
            OutputError: it cannot be read.
        """
        file = self.manifest.file(path)
        try:
            place = None if file is None else self.place.local(file)
        except OSError as error:
            raise cannot_write(self.name, error) from error
        return place if place is not None and place.exists() else None

    def close(self) -> None:
        """Let others write. May be called twice.

        If a run came to nothing, nothing is left in a shared folder, nor is a folder that the run
        made.
        """
        if self.manifest.is_empty:
            self.place.discard()
        self.place.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _grace_began() -> str:
    """The moment before which others must have been told of what was replaced."""
    return (datetime.datetime.now(datetime.UTC) - GRACE).isoformat(timespec="microseconds")


def measured(path: Path) -> tuple[int, str]:
    """The size of a file, and the SHA-256 of all its bytes, in hex.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), sha256


def open_manifest(place: Place) -> Manifest:
    """The manifest of a dataset in its current state, for reading.

    Raises:
        ConfigError: there is none, or it is invalid.
        OutputError: it cannot be read.
    """
    if not place.exists:
        above = place.above()
        if above is not None:
            raise ConfigError(
                f"dataset: {place.name}: belongs to the dataset {above[0].name}; name that"
            )
        raise ConfigError(
            f"dataset: {place.name}: is not a dataset; name a folder that edxlogs filter"
            " --partition-by or edxlogs db convert wrote"
        )
    manifest = Manifest(place)
    manifest.load()
    return manifest


def difference(there: dict[str, Any], query: dict[str, Any]) -> str:
    """How two queries differ, in a sentence or two."""
    there, query = dict(there), dict(query)
    if there.pop(HMAC, None) != query.pop(HMAC, None) and there == query:
        return (
            "The values of --user or --where differ, or are the same with another salt: give the"
            " --salt-file of the first"
        )
    return f"There: {_one_line(there)} Asked for: {_one_line(query)}"


def _one_line(query: dict[str, Any]) -> str:
    return shown(orjson.dumps(query, option=orjson.OPT_SORT_KEYS).decode())
