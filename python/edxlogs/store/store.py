"""Files that are published by one step: the commit of their manifest.

New files are written to a folder that no reader looks into. A commit brings them to disk, adds a
segment to the manifest, and switches its head; only then do they get their places, and those they
replace go. A run that finds the last commit half carried out carries it out: a file that still
stands among the new ones gets its place, and one that was replaced goes. So a crash at any moment
leaves, by the manifest, the state before a commit or after it.

What the rows are of is nothing to the store. Whoever publishes by it opens a `Store`, `claim`s it
for a query (`format`, `partition_by`, and whatever tells its rows from others), writes new files
below `new`, and `commit`s a `Segment`: files added and removed, and the `Input`s that were read,
each with the account that its owner reads back from `manifest.newest`.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import stat
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
from edxlogs.text import shown
from edxlogs.threads import in_worker

HOME = "_edxlogs"
REJECTS = f"{HOME}/rejects"
HASHES = f"{HOME}/hashes"
READY = f"{HOME}/ready"  # tables that have no place yet
PUBLISHED = "published"  # in the home of the manifest: where others read the files by a list
EVENTS = "a dataset of events"
HMAC = "hmac"  # in a query: of the values that are shown nowhere
_NEW = "new"
# What begins the names of folders among the new files where others put theirs: an attempt at a
# task, and one that is done.
TRY = "try-"
TASK = "task-"
_OLD_SECONDS = 2 * 86_400  # no attempt lasts that long

TARGET_FILE_BYTES = 128 << 20  # about how large a file of rows may get
GRACE = datetime.timedelta(days=7)  # of files that went where others may still read them


class Store:
    """A folder of files with a manifest, open for writing.

    As a context manager it lets others write at its end.

    Args:
        folder: of the files.
        home: of the manifest and of new files; None: the one in `folder`.
        name: as messages call it.
        mode: permissions of the files; who may read a file may enter its folders.
        shared: whether the folder may hold files of others.

    Raises:
        ConfigError: the folder holds other files, or its manifest cannot be used.
        OutputError: it cannot be written, or another run writes to it.
    """

    def __init__(
        self,
        folder: Path,
        home: Path | None = None,
        name: str | None = None,
        mode: int = 0o600,
        *,
        shared: bool = False,
    ) -> None:
        self.folder = folder
        self._mode = mode
        self.name = shown(os.fspath(folder)) if name is None else name
        self.home = folder / HOME if home is None else home
        self.new = self.home / _NEW
        self.query: dict[str, Any] = {}
        self._replaces_all = False
        self._over: list[str] = []  # files whose time of grace is over
        self._shared = False  # as long as what is there is not known
        self._made: list[Path] = []
        if home is None:
            _refuse_foreign(folder, self.name, shared=shared)
            self._made = [one for one in (folder, *folder.parents) if not one.exists()]
            try:
                disk.make_folders(folder, disk.folder_mode(self._mode))
            except OSError as error:
                raise cannot_write(self.name, error) from error
        self.manifest = Manifest(self.home, self.name, mode)
        self.manifest.lock()
        try:
            self.manifest.load()
            disk.make_folder(self.new)
            self._carry_out(self.manifest.last)
            self._clean()
            self._over = self.retired()[0]
        except OSError as error:
            self.close()
            raise cannot_write(self.name, error) from error
        except BaseException:
            self.close()
            raise
        self._shared = shared

    def claim(self, query: dict[str, Any], *, overwrite: bool) -> None:
        """Say what the rows of this run are.

        Raises:
            ConfigError: those that are there are others, and `overwrite` does not say otherwise.
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
                f"output: {self.name}: holds the rows of another query; name another output, or"
                f" add --overwrite. {difference(there, query)}"
            )
        self._replaces_all = True

    def commit(self, segment: Segment) -> None:
        """Publish the new files of a segment, and take away those it removes.

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
            for file in segment.added:
                self._give_mode(self.new / file.staged, self._mode if file.holds_rows else 0o600)
            if segment.changes_files or self.manifest.is_due:
                disk.sync_all(self.home)
            self.manifest.commit(segment)
            self._replaces_all, self._over = False, []
            self._carry_out(segment)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    @property
    def replaces_all(self) -> bool:
        """Whether the next commit does away with all that is there."""
        return self._replaces_all

    @property
    def keeps_removed(self) -> bool:
        """Whether files that go stay for a time of grace, as others may still read them."""
        return (self.home / PUBLISHED).exists()

    def publications(self) -> list[tuple[int, str]]:
        """How many commits others were told of, and when: the oldest first.

        Raises:
            ConfigError: what is kept of it is damaged.
            OutputError: it cannot be read.
        """
        try:
            told = orjson.loads((self.home / PUBLISHED).read_bytes())
            return [(int(number), str(moment)) for number, moment in told]
        except FileNotFoundError:
            return []
        except (TypeError, ValueError):
            raise ConfigError(
                f"dataset: {self.name}: {HOME}/{PUBLISHED} is damaged; remove it, and publish again"
            ) from None
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def enter_publication(self) -> None:
        """Keep that others were told of all commits, now.

        Raises:
            OutputError: it cannot be written.
        """
        there = self.publications()
        begin = sum(moment <= _grace_began() for _, moment in there) - 1
        kept = [*there[max(0, begin) :], (self.manifest.commits, now())]
        self._write_publications(kept)

    def begin_publications(self) -> None:
        """Keep from now on what goes, as others will be told of what there is.

        Raises:
            OutputError: it cannot be written.
        """
        if not self.keeps_removed:
            self._write_publications([])

    def _write_publications(self, told: Sequence[tuple[int, str]]) -> None:
        try:
            disk.replace(self.home / PUBLISHED, orjson.dumps(told), 0o600)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def retired(self) -> tuple[list[str], list[str]]:
        """Files that went and were kept: those whose time of grace is over, and those that wait."""
        over: list[str] = []
        wait: list[str] = []
        told = [number for number, moment in self.publications() if moment <= _grace_began()]
        for path, number in self.manifest.retired():
            is_over = not self.keeps_removed or number < max(told, default=0)
            (over if is_over else wait).append(path)
        return over, wait

    def _carry_out(self, segment: Segment | None) -> None:
        """Give the files of a commit their places, as far as they have them not yet."""
        if segment is None:
            return
        for file in segment.added:
            staged, target = self.new / file.staged, self.folder / file.path
            if not staged.exists():
                continue
            # What is beside the manifest is its owner's alone.
            mode = disk.folder_mode(self._mode if file.holds_rows else 0o600)
            disk.make_folders(target.parent, mode, below=self.folder)
            if target.is_dir() and not target.is_symlink():
                disk.rename(target, staged.with_name(f"{staged.name}-before"))
            disk.rename(staged, target)
        stay = {*segment.retired, *(file.path for file in segment.added)}
        cleaned = [path for path in segment.cleaned if self.manifest.file(path) is None]
        for path in (*segment.removed, *cleaned):
            if path not in stay:
                disk.remove(self.folder / path)
                self._remove_empty((self.folder / path).parent)

    def _give_mode(self, path: Path, mode: int) -> None:
        """Give a new file its mode, or each of a folder."""
        for folder, _, names in os.walk(path):
            disk.set_mode(Path(folder), disk.folder_mode(mode))
            for name in names:
                disk.set_mode(Path(folder, name), mode)
        if not path.is_dir():
            disk.set_mode(path, mode)

    def _remove_empty(self, folder: Path) -> None:
        """Remove folders that held nothing but files that went."""
        while folder != self.folder and self.folder in folder.parents:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def _clean(self) -> None:
        """Remove what a run that was killed left among the new files.

        Others may still be at work at their tasks: only old ones go.
        """
        for left in self.new.iterdir():
            if left.name.startswith((TRY, TASK)):
                with suppress(FileNotFoundError):
                    if time.time() - left.stat().st_mtime < _OLD_SECONDS:
                        continue
            disk.remove(left)

    def _format(self, path: str) -> str:
        """What the rows of a file are written as: tables of one folder may differ in it."""
        query = self.manifest.query or self.query
        named: str | None = query.get("format")
        return named or format_by_ending(path) or ""

    def without(
        self, inputs: Collection[int], stay: Collection[str] = ()
    ) -> tuple[list[DataFile], list[str]]:
        """Make files that hold rows of some inputs anew without them.

        Those whose paths are in `stay` are passed over.

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
        """What stands above its rows; files whose columns differ have different ones.

        Raises:
            OutputError: it cannot be read.
        """
        place, form = self.folder / file.path, self._format(file.path)
        return in_worker(lambda: _core.header(place, form))

    def remake(
        self,
        pieces: Sequence[tuple[DataFile, Sequence[tuple[int, int]]]],
        runs: Sequence[tuple[int, int]],
    ) -> DataFile:
        """Make a new file of rows of others of a partition, named after what it holds.

        Args:
            pieces: files with one `header`, and which of their rows: (first, count).
            runs: whose rows those are, one after another.

        Raises:
            OutputError: they cannot be read, or it cannot be written.
        """
        form = self._format(pieces[0][0].path)
        told = [(file.sha256, list(rows)) for file, rows in pieces]
        name = f"part-{hashlib.sha256(repr(told).encode()).hexdigest()[:20]}"
        folder = pieces[0][0].path.rpartition("/")[0]
        staged = self.new / f"{name}.{hashlib.sha256(folder.encode()).hexdigest()[:20]}"
        sources = [(self.folder / file.path, list(rows)) for file, rows in pieces]
        rows, size, sha256 = in_worker(lambda: _core.rewrite(sources, form, staged))
        return DataFile(f"{folder}/{name}{ending_of(form)}", staged.name, rows, size, sha256, runs)

    def new_file(self, path: str, staged: Path, runs: Sequence[tuple[int, int]]) -> DataFile:
        """What a commit says of a new file, for a path and with rows of those inputs.

        Raises:
            OSError: it cannot be read.
        """
        size, sha256 = measured(staged)
        rows = sum(rows for _, rows in runs)
        return DataFile(path, staged.name, rows, size, sha256, runs)

    def close(self) -> None:
        """Let others write. May be called twice.

        Of a run that came to nothing, nothing is left in a folder that others share, nor the folder
        where the run had made it.
        """
        if self._shared and self.manifest.is_empty:
            self.manifest.discard()
            with suppress(OSError):
                for folder in self._made:
                    folder.rmdir()
        self.manifest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _grace_began() -> str:
    """The moment before which others must have been told of what went."""
    return (datetime.datetime.now(datetime.UTC) - GRACE).isoformat(timespec="microseconds")


def measured(path: Path) -> tuple[int, str]:
    """The size of a file, and the SHA-256 of all its bytes, in hex.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), sha256


def open_manifest(folder: Path) -> Manifest:
    """The manifest of a dataset as it stands, to read.

    Raises:
        ConfigError: there is none, or it cannot be used.
        OutputError: it cannot be read.
    """
    name = shown(os.fspath(folder))
    if not (folder / HOME).is_dir():
        above = dataset_above(folder) if folder.is_dir() else None
        if above is not None:
            raise ConfigError(
                f"dataset: {name}: is a folder of the dataset {shown(os.fspath(above))}; name that"
            )
        raise ConfigError(
            f"dataset: {name}: is none; name a folder that edxlogs filter has written with"
            " --partition-by, or edxlogs db convert"
        )
    manifest = Manifest(folder / HOME, name)
    manifest.load()
    return manifest


def dataset_above(folder: Path) -> Path | None:
    """The nearest dataset that a folder stands in; None if it is one itself, or in none."""
    if (folder / HOME).is_dir():
        return None
    return next((one for one in folder.absolute().parents if (one / HOME).is_dir()), None)


def place_of(folder: Path, file: DataFile) -> Path:
    """Where a file of the manifest is: its place, or that of new files until it has it."""
    place, staged = folder / file.path, folder / HOME / _NEW / file.staged
    if not file.staged:
        return place
    # One that was not there yet may have got its place since.
    return staged if not place.exists() and staged.exists() else place


def _refuse_foreign(folder: Path, name: str, *, shared: bool) -> None:
    """Refuse a folder that holds files, and no manifest of ours."""
    try:
        status = os.stat(folder)
        if not stat.S_ISDIR(status.st_mode):
            raise ConfigError(f"output: {name}: is no folder; name one for the dataset")
        entries = set(os.listdir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(name, error) from error
    if (folder / HOME / "tables.jsonl").exists():
        raise ConfigError(
            f"output: {name}: holds tables of an older form; name a new folder, or remove this one"
            " to make it anew"
        )
    if entries and HOME not in entries and not shared:
        raise ConfigError(
            f"output: {name}: holds other files; name a new folder, or an empty one, for the"
            " dataset"
        )


def difference(there: dict[str, Any], query: dict[str, Any]) -> str:
    """What tells two queries apart, in a sentence or two."""
    there, query = dict(there), dict(query)
    if there.pop(HMAC, None) != query.pop(HMAC, None) and there == query:
        return (
            "They have other values of --user or --where, or the same ones by another salt: give"
            " the --salt-file of the first"
        )
    return f"There: {_one_line(there)} Asked for: {_one_line(query)}"


def _one_line(query: dict[str, Any]) -> str:
    return shown(orjson.dumps(query, option=orjson.OPT_SORT_KEYS).decode())
