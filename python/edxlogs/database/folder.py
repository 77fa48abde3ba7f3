"""The folder that tables are written to: one dataset a table, files that appear whole.

`{table}/course_id={id}/{package}-{site}.parquet`, or with the course first. The folder of a course
is called as in datasets of events, so that both are joined by it; no file is ever called by a name
from inside a package.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from edxlogs import _core
from edxlogs.errors import ConfigError, OutputError, cannot_write
from edxlogs.stops import put_off
from edxlogs.store import disk
from edxlogs.text import shown

_WORK = ".tables.edxlogs"
_NAME_BYTES = 200  # of the 255 that file systems allow


def relative_path(
    table: str,
    *,
    partition: str | None,
    stem: str,
    ending: str | None,
    course_first: bool = False,
) -> Path:
    """Where the rows of a file of a package go, below the folder.

    Args:
        table: whose rows.
        partition: folder of the course of the rows; None where a file holds several.
        stem: of the file's name: package and site.
        ending: of the file's name, by the format; None for a folder.
        course_first: whether the course's folder holds the table's.
    """
    name = _safe(stem) if ending is None else f"{_safe(stem)}.{ending}"
    if partition is None:
        return Path(table, name)
    return Path(partition, table, name) if course_first else Path(table, partition, name)


def _safe(text: str) -> str:
    """Percent-encode all but letters, digits, `_`, `.`, `-`; cut what no file system takes."""
    name = quote(text, safe="").replace("~", "%7E")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= _NAME_BYTES:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"{name[: _NAME_BYTES - 20]}~{digest}"


def state_of(path: Path) -> tuple[int, int]:
    """What tells a file, or a folder of files, from one that was changed since.

    Returns:
        Bytes, and the latest time of modification of a file in nanoseconds; folders have another
        after they were renamed on some systems.

    Raises:
        OSError: it is not there.
    """
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size, status.st_mtime_ns
    inside = [state_of(one) for one in path.iterdir()]
    return sum(size for size, _ in inside), max((time for _, time in inside), default=0)


class TableFolder:
    """A folder with files in the making, each whole under its name or not there at all.

    As a context manager it removes what was not published, unless a run that goes on can use it.

    Args:
        target: the folder; made if it is not there.
        overwrite: whether files that are there may be replaced.
        mode: permissions of the files; folders can be searched by those who can read them.

    Raises:
        ConfigError: it is no folder, or holds a dataset of events.
        OutputError: it cannot be written, or another run writes to it.
    """

    def __init__(
        self, target: str | os.PathLike[str], *, overwrite: bool = False, mode: int = 0o600
    ) -> None:
        self.target = Path(target)
        self.name = shown(os.fspath(self.target))
        self.overwrite = overwrite
        self.mode = mode
        self._work = self.target / _WORK
        if (self.target / "_edxlogs" / "head").exists():
            raise ConfigError(
                f"output: {self.name}: holds a dataset of events; name another folder"
            )
        self._lock = self._claim()

    def _claim(self) -> int:
        """Make the hidden folder ours."""
        try:
            disk.make_folders(self.target, disk.folder_mode(self.mode))
        except (FileExistsError, NotADirectoryError):
            raise ConfigError(f"output: {self.name}: is no folder; name another") from None
        except OSError as error:
            raise self._cannot(error) from error
        return disk.claim(self._work, self.name, "folder")

    def _cannot(self, error: OSError) -> OutputError:
        return cannot_write(self.name, error)

    def partition(self, course: str | None) -> str:
        """The folder of a course; None: it is not known."""
        ignores_case = os.path.lexists(self._work / "LOCK")
        return _core.course_folder(course, encodes_case=ignores_case)

    @property
    def journal(self) -> Path:
        """Place for what is ready in the hidden folder."""
        return self._work / "journal"

    def keep(self, names: Container[str]) -> None:
        """Remove what an earlier run has left in the hidden folder, but for files of these names.

        Raises:
            OutputError: it cannot be removed.
        """
        try:
            for path in self._work.iterdir():
                if path.name not in (disk.LOCK, "journal") and path.name not in names:
                    disk.remove(path)
        except OSError as error:
            raise self._cannot(error) from error

    def work_path(self, name: str) -> Path:
        """Place for a hidden file or folder; what is there is removed.

        Raises:
            OutputError: it cannot be.
        """
        path = self._work / name
        try:
            disk.remove(path)
        except OSError as error:
            raise self._cannot(error) from error
        return path

    def left_path(self, name: str) -> Path:
        """Where a hidden file is that an earlier run has left."""
        return self._work / name

    def refuse(self, relative: Path) -> None:
        """Refuse a file that is there.

        Raises:
            ConfigError: it is, and may not be replaced.
        """
        if not self.overwrite and os.path.lexists(self.target / relative):
            raise self._exists(relative)

    def _exists(self, relative: Path) -> ConfigError:
        return ConfigError(
            f"output: {self.name}/{relative}: exists; name another folder, or add --overwrite"
        )

    def sync(self) -> None:
        """Bring what was written to the disk; files then only lack their names.

        Raises:
            OutputError: it cannot be.
        """
        try:
            disk.sync_all(self.target)
        except OSError as error:
            raise self._cannot(error) from error

    def publish(self, work: Path, relative: Path) -> None:
        """Give a hidden file or folder its name.

        Raises:
            ConfigError: there is such a file.
            OutputError: it cannot be done.
        """
        target = self.target / relative
        try:
            self._make_folders(target.parent)
            if work.is_dir():
                self._publish_folder(work, target)
                return
            disk.set_mode(work, self.mode)
            if self.overwrite:
                disk.rename(work, target)
                return
            disk.name_new(work, target)
            disk.unlink(work)
        except FileExistsError:
            raise self._exists(relative) from None
        except OSError as error:
            raise self._cannot(error) from error

    def move(self, earlier: Path, relative: Path) -> None:
        """Give a file or folder that has a name another; places that are empty then are removed.

        Raises:
            ConfigError: there is such a file.
            OutputError: it cannot be done.
        """
        source, target = self.target / earlier, self.target / relative
        self.refuse(relative)
        try:
            self._make_folders(target.parent)
            if os.path.lexists(target):
                disk.remove(source)
            else:
                disk.rename(source, target)
            with suppress(OSError):
                os.removedirs(source.parent)
        except OSError as error:
            raise self._cannot(error) from error

    def _publish_folder(self, work: Path, target: Path) -> None:
        for folder, _, files in os.walk(work):
            disk.set_mode(Path(folder), disk.folder_mode(self.mode))
            for name in files:
                disk.set_mode(Path(folder, name), self.mode)
        if os.path.lexists(target):
            if not self.overwrite or not target.is_dir() or target.is_symlink():
                raise FileExistsError
            disk.rename(target, self._work / f"{work.name}-old")
        disk.rename(work, target)

    def _make_folders(self, folder: Path) -> None:
        disk.make_folders(folder, disk.folder_mode(self.mode), below=self.target)

    def close(self, *, finished: bool) -> None:
        """Remove all that is not published, but what a further run can go on with.

        Args:
            finished: whether the run came to its end, so that none goes on.
        """
        with put_off():
            if self._lock >= 0:
                if finished or not self.journal.exists():
                    disk.release(self._lock, self._work)
                else:
                    os.close(self._lock)
                self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(finished=kind is None)
