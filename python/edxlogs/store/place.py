"""Where a dataset is: the documents of its manifest, and its files. Here: in a folder on disk.

`Manifest` defines the documents, `Store` decides what to do with the files and when, and a place
carries it out. What a crash between two steps leaves is described there.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from edxlogs.errors import ConfigError, cannot_write
from edxlogs.sources.source import is_dataset
from edxlogs.store import checkpoint, disk
from edxlogs.store.checkpoint import Checkpoint, Record
from edxlogs.store.file import refuse_inside
from edxlogs.store.segments import DataFile, Segment
from edxlogs.text import shown

HOME = "_edxlogs"
_PUBLISHED = "published"  # in the home of the manifest: where others read the files by a list
_NEW = "new"
_HEAD, _SEGMENTS, _CHECKPOINT = "head", "segments", "checkpoint"

Marks = Callable[[Record], tuple[int, int] | None]


class Place(ABC):
    """Where a dataset is.

    Attributes:
        name: how messages call it.
        new: folder on this host in which new files are made.
    """

    name: str
    new: Path

    @property
    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a dataset, even without a commit."""

    @abstractmethod
    def above(self) -> tuple[Place, str] | None:
        """The nearest dataset that contains this place, and how the paths of this part begin.

        None if this is a dataset itself, or is in none.
        """

    @property
    @abstractmethod
    def below(self) -> str:
        """How the paths or URLs of everything in it begin."""

    @abstractmethod
    def open(self) -> None:
        """Begin to write: check that this is possible, and make the folder for new files.

        Raises:
            ConfigError: something else is there.
            OutputError: it cannot be written to, or another run on this host writes to it.
        """

    @abstractmethod
    def close(self) -> None:
        """Let others write. May be called twice."""

    @abstractmethod
    def discard(self, *, is_refused: bool = False) -> None:
        """Remove what `open` made if nothing came of it, and let others write."""

    @abstractmethod
    def head(self) -> bytes | None:
        """The head of the manifest, or None. Raises OSError."""

    @abstractmethod
    def segments(self, name: str, size: int) -> bytes:
        """The first `size` bytes of the segments of a name, as in the head. Raises OSError."""

    @abstractmethod
    def checkpoint(self, told: dict[str, Any]) -> Checkpoint:
        """A checkpoint that the head lists. Raises OSError, DamagedError."""

    @abstractmethod
    def write_checkpoint(
        self, number: int, records: Iterable[Record], marks: Marks
    ) -> dict[str, Any]:
        """Write a checkpoint of all commits before a number. Returns what `checkpoint` needs.

        Raises:
            OSError: it cannot be written.
        """

    @abstractmethod
    def commit(self, number: int, name: str, end: int, line: bytes, head: bytes) -> None:
        """Add a segment to those of that name, and switch the head. When this returns, it counts.

        Args:
            number: number of the commit.
            name: name of the segments.
            end: number of their bytes that count so far.
            line: the segment.
            head: the new head.

        Raises:
            OSError: it does not count.
        """

    @abstractmethod
    def tidy(self, kept: Iterable[str]) -> None:
        """Remove segments and checkpoints that the head does not list, if nobody reads them."""

    @abstractmethod
    def note(self, name: str) -> bytes | None:
        """What is stored beside the manifest under a name, or None.

        Raises:
            OutputError: it cannot be read.
        """

    @abstractmethod
    def write_note(self, name: str, content: bytes) -> None:
        """Store something beside the manifest under a name, replacing what was there.

        Raises:
            OutputError: it cannot be written.
        """

    @property
    @abstractmethod
    def keeps_removed(self) -> bool:
        """Whether replaced files stay for a time of grace, because others may still read them."""

    @abstractmethod
    def commits_told(self, before: str) -> int:
        """How many commits every reader must know of by now.

        Args:
            before: when the time of grace began, in the form of the manifest's `now`.

        Raises:
            ConfigError: the record of this is damaged.
            OutputError: it cannot be read.
        """

    @abstractmethod
    def bring(
        self, files: Sequence[DataFile], is_named: Callable[[str], bool], *, synced: bool
    ) -> list[DataFile]:
        """Put new files where a crash does not lose them, before the commit that names them.

        Args:
            files: files of the commit.
            is_named: tells whether the manifest knows a path already.
            synced: whether what earlier commits did must be on disk by now, too.

        Returns:
            The files, with the paths that they get.

        Raises:
            OSError: it cannot be done.
        """

    @abstractmethod
    def carry_out(self, segment: Segment, cleaned: Iterable[str], *, is_own: bool) -> None:
        """Do what a commit says, unless it is done already: put files in place, and remove others.

        Args:
            segment: segment of the commit.
            cleaned: paths of files that were replaced earlier and may be removed now.
            is_own: whether this run has just made it; otherwise an earlier run did not get this
                far.

        Raises:
            OSError: it cannot be done.
        """

    @property
    @abstractmethod
    def ignores_case(self) -> bool:
        """Whether it takes names that differ only in case as the same. Ask once it is open."""

    @abstractmethod
    def is_taken(self, path: str) -> bool:
        """Whether something that would be lost is at the path of a new file."""

    @property
    @abstractmethod
    def puts_over(self) -> bool:
        """Whether a new file may have the path of one that the same commit replaces."""

    @abstractmethod
    def state(self, file: DataFile) -> tuple[int, int | None] | None:
        """Size of a file, or of those in a folder, and the time of modification if that counts.

        None if it does not exist. Raises OSError.
        """

    @abstractmethod
    def local(self, file: DataFile) -> Path:
        """Path of a file on this host, to be read until `forget`. Raises OSError."""

    @abstractmethod
    def forget(self, files: Iterable[DataFile]) -> None:
        """Files from `local` are no longer read."""

    @abstractmethod
    def arrow(self, files: Sequence[DataFile]) -> tuple[Any, list[str]]:
        """A file system for pyarrow, and the paths of files in it.

        Raises:
            ConfigError: pyarrow cannot read them.
        """

    def first_not_whole(self, files: Iterable[DataFile]) -> DataFile | None:
        """The first file that is missing or has another size, or None. Raises OSError."""
        states = ((file, self.state(file)) for file in files)
        return next((file for file, one in states if one is None or one[0] != file.bytes), None)


class Folder(Place):
    """A dataset in a folder on disk.

    Args:
        folder: folder of the files.
        home: folder of the manifest and of new files; None means the one in `folder`.
        name: how messages call it.
        mode: permissions of the files. Whoever may read a file may enter its folders.
        shared: whether the folder may hold other files.
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
        self.name = shown(os.fspath(folder)) if name is None else name
        self.home = folder / HOME if home is None else home
        self.new = self.home / _NEW
        self._mode = mode
        self._shared = shared
        self._lock = -1
        self._made: list[Path] = []

    @property
    def exists(self) -> bool:
        """Whether it has a home."""
        return self.home.is_dir()

    def above(self) -> tuple[Place, str] | None:
        """By the folders above it."""
        if self.exists or not self.folder.is_dir():
            return None
        absolute = self.folder.absolute()
        for one in absolute.parents:
            if (one / HOME).is_dir():
                return Folder(one), f"{absolute.relative_to(one)}/"
        return None

    @property
    def below(self) -> str:
        """Without links."""
        return f"{os.path.realpath(self.folder)}{os.sep}"

    def open(self) -> None:
        """Lock it, once it is there."""
        if self.home == self.folder / HOME:
            self._refuse_foreign()
            folders = (self.folder, *self.folder.parents)
            self._made = [one for one in folders if not one.exists()]
            try:
                disk.make_folders(self.folder, disk.folder_mode(self._mode))
            except OSError as error:
                raise cannot_write(self.name, error) from error
        mode = disk.folder_mode(self._mode)
        self._lock = disk.claim(self.home, self.name, "output", mode)

    def _refuse_foreign(self) -> None:
        """Refuse a folder that holds files but no manifest of ours, or is in another dataset."""
        if not is_dataset(self.folder):
            refuse_inside(self.folder, self.name)
        try:
            status = os.stat(self.folder)
            if not stat.S_ISDIR(status.st_mode):
                raise ConfigError(f"output: {self.name}: is not a folder; name one for the dataset")
            entries = set(os.listdir(self.folder))
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_write(self.name, error) from error
        if (self.home / "tables.jsonl").exists():
            raise ConfigError(
                f"output: {self.name}: holds tables in an older form; name a new folder, or"
                " remove this one and run again"
            )
        inside = (
            [] if HOME in entries else [one for one in entries if is_dataset(self.folder / one)]
        )
        if inside:
            raise ConfigError(
                f"output: {self.name}: holds the dataset {shown(min(inside))}; name a folder beside"
                " it"
            )
        if entries and HOME not in entries and not self._shared:
            raise ConfigError(
                f"output: {self.name}: holds other files; name a new folder, or an empty one, for"
                " the dataset"
            )

    def close(self) -> None:
        """Unlock it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def discard(self, *, is_refused: bool = False) -> None:
        """Remove its home in a shared folder, and folders that `open` made."""
        if (self._shared or is_refused) and self._lock >= 0:
            disk.release(self._lock, self.home)
            self._lock = -1
            with suppress(OSError):
                for folder in self._made:
                    folder.rmdir()

    def head(self) -> bytes | None:
        """A small file; a crash before the first commit leaves none."""
        try:
            return (self.home / _HEAD).read_bytes()
        except FileNotFoundError:
            return None

    def segments(self, name: str, size: int) -> bytes:
        """The beginning of a file."""
        with open(self.home / name, "rb") as file:
            return file.read(size)

    def checkpoint(self, told: dict[str, Any]) -> Checkpoint:
        """A file, which may be removed while it is read."""
        return Checkpoint.of_file(self.home / told["name"], told)

    def write_checkpoint(
        self, number: int, records: Iterable[Record], marks: Marks
    ) -> dict[str, Any]:
        """A new file."""
        path = self.home / f"{_CHECKPOINT}-{number:08}"
        return checkpoint.write(path, records, self._mode, marks)

    def commit(self, number: int, name: str, end: int, line: bytes, head: bytes) -> None:
        """Append to the segments, and replace the head."""
        path = self.home / name
        disk.append(path, end, line)
        os.chmod(path, self._mode)
        disk.replace(self.home / _HEAD, head, self._mode)

    def tidy(self, kept: Iterable[str]) -> None:
        """Interrupted commits, and commits that make a checkpoint, leave such files."""
        kept = set(kept)
        for path in self.home.iterdir():
            stem = path.name.partition("-")[0]
            if stem in (_SEGMENTS, _CHECKPOINT) and path.name not in kept:
                disk.unlink(path)

    @property
    def keeps_removed(self) -> bool:
        """If it is published."""
        return (self.home / _PUBLISHED).exists()

    def commits_told(self, before: str) -> int:
        """By the publications."""
        told = (number for number, moment in self.publications() if moment <= before)
        return max(told, default=0)

    def publications(self) -> list[tuple[int, str]]:
        """How many commits others were told of, and when; oldest first.

        Raises:
            ConfigError: the record is damaged.
            OutputError: it cannot be read.
        """
        try:
            told = orjson.loads(self.note(_PUBLISHED) or b"[]")
            return [(int(number), str(moment)) for number, moment in told]
        except (TypeError, ValueError):
            raise ConfigError(
                f"dataset: {self.name}: {HOME}/{_PUBLISHED} is damaged; remove it, and publish"
                " again"
            ) from None

    def write_publications(self, told: Sequence[tuple[int, str]]) -> None:
        """Replace the record of publications.

        Raises:
            OutputError: it cannot be written.
        """
        self.write_note(_PUBLISHED, orjson.dumps(told))

    def note(self, name: str) -> bytes | None:
        """A small file."""
        try:
            return (self.home / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def write_note(self, name: str, content: bytes) -> None:
        """A small file, replaced whole."""
        try:
            disk.replace(self.home / name, content, 0o600)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def bring(
        self, files: Sequence[DataFile], is_named: Callable[[str], bool], *, synced: bool
    ) -> list[DataFile]:
        """Sync the file system, including the names that the commit before gave."""
        for file in files:
            disk.set_modes(self.new / file.staged, self._mode if file.holds_rows else 0o600)
        if synced:
            disk.sync_all(self.folder)
        return list(files)

    def carry_out(self, segment: Segment, cleaned: Iterable[str], *, is_own: bool) -> None:
        """Rename new files into their places, and unlink those that are replaced."""
        for file in segment.added:
            staged, target = self.new / file.staged, self.folder / file.path
            if not staged.exists():
                continue
            # Only the owner may read what is beside the manifest.
            mode = disk.folder_mode(self._mode if file.holds_rows else 0o600)
            disk.make_folders(target.parent, mode, below=self.folder)
            if target.is_dir() and not target.is_symlink():
                disk.rename(target, staged.with_name(f"{staged.name}-before"))
            disk.rename(staged, target)
        stay = {*segment.retired, *(file.path for file in segment.added)}
        for path in (*segment.removed, *cleaned):
            if path not in stay:
                disk.remove(self.folder / path)
                disk.remove_empty((self.folder / path).parent, self.folder)

    @property
    def ignores_case(self) -> bool:
        """Tested with the lock, which exists."""
        return os.path.lexists(self.home / disk.LOCK.upper())

    def is_taken(self, path: str) -> bool:
        """Whatever is there."""
        return os.path.lexists(self.folder / path)

    @property
    def puts_over(self) -> bool:
        """By a rename."""
        return True

    def state(self, file: DataFile) -> tuple[int, int | None] | None:
        """By its status."""
        try:
            return disk.state_of(self.local(file))
        except OSError:
            return None

    def local(self, file: DataFile) -> Path:
        """Its place, or that of the new file until it has it."""
        place, staged = self.folder / file.path, self.new / file.staged
        if not file.staged:
            return place
        # A file may have got its place in the meantime.
        return staged if not place.exists() and staged.exists() else place

    def forget(self, files: Iterable[DataFile]) -> None:
        """Nothing was copied."""

    def arrow(self, files: Sequence[DataFile]) -> tuple[Any, list[str]]:
        """The one on disk."""
        from pyarrow.fs import LocalFileSystem

        try:
            os.fspath(self.folder).encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"dataset: {self.name}: pyarrow reads only names in UTF-8; rename the folder"
            ) from None
        return LocalFileSystem(), [os.fspath(self.local(file)) for file in files]
