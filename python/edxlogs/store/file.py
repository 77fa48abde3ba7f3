"""Where rows go: formats by name, files that appear whole or not at all.

An output is made in a hidden folder beside its place, together with the parts that wait for their
turn, and takes its name by one rename when everything is written.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from edxlogs import _core
from edxlogs.errors import ConfigError, cannot_write
from edxlogs.sources.source import Source, is_dataset
from edxlogs.stops import put_off
from edxlogs.store import disk
from edxlogs.text import shown

_JOURNAL = "journal"


def refuse_inside(place: Path, name: str) -> None:
    """Refuse a place in a dataset: readers would take what is there for a part of it.

    Raises:
        ConfigError: it is in one.
    """
    above: Iterable[Path] = ()
    with suppress(ValueError):  # a name that is none is told by who opens it
        above = Path(os.path.realpath(place)).parents
    for folder in above:
        if is_dataset(folder):
            raise ConfigError(
                f"output: {name}: is inside the dataset {shown(os.fspath(folder))}; name a place"
                " outside of it"
            )


def refuse(target: Path, *, overwrite: bool, inputs: Iterable[Source]) -> None:
    """Refuse a target that must not be written.

    Raises:
        ConfigError: it exists, is an input, is no file, or would be among those of a dataset.
        OutputError: it cannot be examined.
    """
    name = shown(os.fspath(target))
    refuse_inside(target, name)
    try:
        status = os.stat(target)
    except FileNotFoundError:
        if target.is_symlink():
            raise ConfigError(f"output: {name}: is a broken link; name another file") from None
        return
    except OSError as error:
        raise cannot_write(name, error) from error
    except ValueError as error:
        raise ConfigError(f"output: {name}: {shown(str(error))}; name another file") from error
    if stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"output: {name}: is a folder; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(
            f"output: {name}: is not a regular file; name another, or write to standard output"
        )
    if any(_is_file(source, target, status) for source in inputs):
        raise ConfigError(f"output: {name}: is also an input; name another file")
    if not overwrite:
        raise ConfigError(f"output: {name}: exists; name another file, or add --overwrite")


def _is_file(source: Source, target: Path, status: os.stat_result) -> bool:
    if source.identity is not None:
        return source.identity == (status.st_dev, status.st_ino)
    return os.path.realpath(source.path) == os.path.realpath(target)


def journal_of(target: Path) -> Path:
    """Place beside an output for what outlives a run, in its hidden folder."""
    return target.parent / f".{target.name}.edxlogs" / _JOURNAL


class OutputFile:
    """A file in the making, whole under its name or not there at all.

    As a context manager it removes what was not published.

    Args:
        target: path of the file.
        overwrite: whether a file that is there may be replaced.
        mode: permissions of the file.
        inputs: must not be the output itself.
        name: as messages call it; None: the path.

    Attributes:
        journal: place for what outlives a run that does not come to its end.
        keeps_journal: whether it stays, should the file not be published.

    Raises:
        ConfigError: the target exists, is an input, or cannot be an output.
        OutputError: the folder cannot be written, or another run writes the same output.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        mode: int = 0o600,
        inputs: Iterable[Source] = (),
        name: str | None = None,
    ) -> None:
        self.target = Path(target)
        self.name = shown(os.fspath(self.target)) if name is None else name
        self._mode = mode
        self._descriptor = -1
        self.journal = journal_of(self.target)
        self._folder = self.journal.parent
        self._overwrite = overwrite or self._was_named()
        refuse(self.target, overwrite=self._overwrite, inputs=inputs)
        self.keeps_journal = False
        self._lock = self._claim()
        self.path = self._folder / "output"

    def _was_named(self) -> bool:
        """Whether a run was killed between giving the file its name and ending: it is its own."""
        try:
            return os.path.samefile(self.target, self._folder / "output")
        except (OSError, ValueError):
            return False

    def _claim(self) -> int:
        """Make the hidden folder ours; what a run that was killed left in it is removed."""
        lock = disk.claim(self._folder, self.name, "file")
        try:
            for left in os.listdir(self._folder):
                if left not in (disk.LOCK, _JOURNAL):
                    disk.remove(self._folder / left)
        except OSError as error:
            os.close(lock)
            raise cannot_write(self.name, error) from error
        return lock

    def create(self) -> int:
        """Make the file; a descriptor that is ours, and on disk when the file is published."""
        try:
            self._descriptor = disk.make_file(self.path)
        except OSError as error:
            raise cannot_write(self.name, error) from error
        return self._descriptor

    def write(self, content: bytes) -> None:
        """Make the file with all of its content."""
        descriptor = self.create()
        try:
            disk.write_all(descriptor, content)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def join(self, files: Iterable[Path]) -> None:
        """Make the file of others, one after another."""
        descriptor = self.create()
        try:
            with open(descriptor, "wb", closefd=False) as stream:
                for path in files:
                    with open(path, "rb") as file:
                        shutil.copyfileobj(file, stream)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def part_path(self, number: int) -> Path:
        """Place for the hidden file of a part."""
        return self._folder / f"part-{number:06}"

    def store(self) -> None:
        """Bring the content to where it will be, which takes time; it then only lacks its name."""
        try:
            if self._descriptor >= 0:
                os.fsync(self._descriptor)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def publish(self) -> None:
        """Give the file its name. Its content must be written, and on disk unless we made it."""
        try:
            self.take_name()
        finally:
            self.discard()

    def take_name(self) -> None:
        """Give the file its name, with all that is hidden still there.

        A run that is killed after it leaves what tells that the file is its own.
        """
        self.store()
        try:
            disk.publish(self.path, self.target, self._mode, overwrite=self._overwrite)
            self.keeps_journal = False
        except FileExistsError:
            raise ConfigError(
                f"output: {self.name}: appeared during the run; name another file, or add"
                " --overwrite"
            ) from None
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def discard(self) -> None:
        """Remove all that is not published. May be called twice."""
        with put_off():
            if self._lock >= 0:
                if self.keeps_journal:
                    with suppress(OSError):  # the next run removes it
                        disk.unlink(self.path)
                    os.close(self._lock)
                else:
                    disk.release(self._lock, self._folder, _JOURNAL, self.path.name)
                self._lock = -1
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def open_output(
    target: OutputFile | int,
    query: _core.Query,
    format_name: str,
    metadata: Sequence[tuple[str, str]] = (),
) -> _core.Output:
    """Begin an output in the making, or on a descriptor.

    Raises:
        OutputError: it cannot be written.
    """
    place = target if isinstance(target, int) else target.path
    try:
        return _core.Output(place, query, format_name, list(metadata))
    except OSError as error:
        where = "standard output" if isinstance(target, int) else target.name
        raise cannot_write(where, error) from error
