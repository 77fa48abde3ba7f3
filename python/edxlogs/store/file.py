"""Output files: they appear whole or not at all.

An output is made in a hidden folder beside its place, together with the parts that wait for their
turn. When everything is written, it gets its name by one rename.
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
    """Refuse a place inside a dataset, whose readers would take it for a part of the dataset.

    Raises:
        ConfigError: the place is in a dataset.
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
        ConfigError: it exists, is an input, is not a file, or would be among those of a dataset.
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
    """Place beside an output, in its hidden folder, for what outlives a run."""
    return target.parent / f".{target.name}.edxlogs" / _JOURNAL


class OutputFile:
    """A file being written, which appears whole under its name or not at all.

    As a context manager it removes what was not published.

    Args:
        target: path of the file.
        overwrite: whether an existing file may be replaced.
        mode: permissions of the file.
        inputs: inputs, which the output must not be.
        name: how messages call it; None means the path.

    Attributes:
        journal: place for what outlives a run that is interrupted.
        keeps_journal: whether to keep that if the file is not published.

    Raises:
        ConfigError: the target exists, is an input, or cannot be an output.
        OutputError: the folder cannot be written to, or another run writes the same output.
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
        """Whether a run was killed between naming the file and its end: the file is its own."""
        try:
            return os.path.samefile(self.target, self._folder / "output")
        except (OSError, ValueError):
            return False

    def _claim(self) -> int:
        """Claim the hidden folder. What a killed run left in it is removed."""
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
        """Make the file. Returns a descriptor that stays ours, and is synced at publication."""
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
        """Make the file by joining others, one after another."""
        descriptor = self.create()
        try:
            with open(descriptor, "wb", closefd=False) as stream:
                for path in files:
                    with open(path, "rb") as file:
                        shutil.copyfileobj(file, stream)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def part_path(self, number: int) -> Path:
        """Path for the hidden file of a part."""
        return self._folder / f"part-{number:06}"

    def store(self) -> None:
        """Do the slow work of storing the content, so that it only lacks its name."""
        try:
            if self._descriptor >= 0:
                os.fsync(self._descriptor)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def publish(self) -> None:
        """Give the file its name. Its content must be written, and synced if we did not make it."""
        try:
            self.take_name()
        finally:
            self.discard()

    def take_name(self) -> None:
        """Give the file its name, and leave everything hidden where it is.

        If the run is killed after that, what is left tells that the file is its own.
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
        """Remove everything that is not published. May be called twice."""
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
    """Begin an output in the file, or on a descriptor.

    Raises:
        OutputError: it cannot be written.
    """
    place = target if isinstance(target, int) else target.path
    try:
        return _core.Output(place, query, format_name, list(metadata))
    except OSError as error:
        where = "standard output" if isinstance(target, int) else target.name
        raise cannot_write(where, error) from error
