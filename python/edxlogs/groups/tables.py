"""Files of database packages that hosts of a cluster convert, taken in order."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edxlogs import _core
from edxlogs.database.account import Converted, MemberAccount, Task
from edxlogs.database.reading import Conversion, TableReader, told_of
from edxlogs.database.target import TableTarget
from edxlogs.errors import cannot_write
from edxlogs.gpg.input import Readable
from edxlogs.gpg.process import Gpg
from edxlogs.groups.hosts import HostCrew, Hosts, why_unreadable
from edxlogs.sources.reading import read_up_to
from edxlogs.store import disk
from edxlogs.store.store import TRY
from edxlogs.text import shown


@dataclass(frozen=True, slots=True)
class MemberDone:
    """The result of a file, and where its rows are.

    Attributes:
        converted: counts and verdict.
        rows: file or folder of its rows, among the new ones, or None.
        rejects: file of its rejected rows, or None.
    """

    converted: Converted
    rows: Path | None
    rejects: Path | None


@dataclass(frozen=True, slots=True)
class MemberTask:
    """A file of a package, to be read and converted by whoever gets the task.

    Attributes:
        label: how messages call it.
        size: bytes that it takes in the package.
        places: absolute path for new files: a single one.
        open: begins to read it, as stored.
        conversion: how to turn its text into rows.
        keeps_rejects: whether to keep rejected rows.
        gnupg_home: folder of the keys; None means the user's own on that host.
        passphrase_file: file whose first line unlocks the key; None asks the agent.
    """

    label: str
    size: int
    places: Sequence[Path]
    open: Callable[[], AbstractContextManager[Readable]]
    conversion: Conversion
    keeps_rejects: bool = False
    gnupg_home: Path | None = None
    passphrase_file: Path | None = None

    def _gpg(self) -> Gpg:
        return Gpg(home=self.gnupg_home, passphrase_file=self.passphrase_file, prompt=False)

    def why_unreadable(self) -> str | None:
        """Why it cannot be read on this host; None if it can."""

        def head(size: int) -> bytes:
            with self.open() as reader:
                return read_up_to(reader.read, size)

        return why_unreadable(self.label, head, self._gpg)

    def run(self) -> MemberDone:
        """Convert it, and flush its rows to disk.

        Raises:
            ConfigError: the key ring or the passphrase cannot be used.
            OutputError: the rows cannot be written.
        """
        mark = f"{TRY}{secrets.token_hex(12)}"
        rows, rejects = self.places[0] / f"{mark}-rows", self.places[0] / f"{mark}-rejects"
        is_kept = self.keeps_rejects and not self.conversion.is_content
        gpg = self._gpg()
        reader = TableReader(gpg, _core.Control())

        def work(text: Any) -> Converted:
            for path in (rows, rejects):  # of a reading that has to be done again
                disk.remove(path)
            kept = rejects if is_kept else None
            return self.conversion.convert(reader, text, rows, kept, threads=1, text_sum=None)

        try:
            done = reader.read_stored(self.label, self.open, work)
            for path in (rows, rejects):
                _sync_all(path)
        except BaseException as error:
            for path in (rows, rejects):
                with suppress(OSError):
                    disk.remove(path)
            if isinstance(error, OSError):
                raise cannot_write(shown(os.fspath(self.places[0])), error) from error
            raise
        finally:
            gpg.close()
        there = [path if path.exists() else None for path in (rows, rejects)]
        return MemberDone(done, *there)


def _sync_all(path: Path) -> None:
    """Wait until a file, or everything in a folder, is on disk."""
    if path.is_dir():
        for one in path.iterdir():
            _sync_all(one)
        disk.sync_folder(path)
    elif path.exists():
        with open(path, "rb") as file:
            disk.sync(file.fileno())


@dataclass
class MemberCrew:
    """Files that hosts convert, for the target of a conversion.

    Attributes:
        hosts: do the tasks.
        target: takes the results.
        tasks: the files, in order.
        gnupg_home: folder of the keys on each host; None means the user's own there.
        passphrase_file: file on each host whose first line unlocks the key; None asks the agent.
    """

    hosts: Hosts
    target: TableTarget
    tasks: Sequence[Task]
    gnupg_home: Path | None
    passphrase_file: Path | None

    def start(self) -> Iterator[list[MemberAccount]]:
        """Begin."""
        sent = [self._sent(task) for task in self.tasks]
        count = self.target.reader.count_bytes
        crew = HostCrew(self.hosts, sent, on_done=lambda done: count(_bytes_of(done)))
        for task, done in zip(self.tasks, crew.start(), strict=True):
            task.rows, task.rejects = done.rows, done.rejects
            self.target.enter(task, done.converted)
            yield [task.account]

    def stop(self, patience_seconds: float = 0.0) -> None:
        """What hosts have begun is removed by the next run."""

    def _sent(self, task: Task) -> MemberTask:
        assert task.origin is not None
        package, member = task.origin
        said = told_of(package, member)
        return MemberTask(
            said["label"],
            task.size,
            [self.target.folder.store.new.absolute()],
            partial(replace(package, members=(), beside=()).open, member),
            self.target.conversion(task, said),
            self.target.folder.keep_rejects,
            None if self.gnupg_home is None else self.gnupg_home.absolute(),
            None if self.passphrase_file is None else self.passphrase_file.absolute(),
        )


def _bytes_of(done: MemberDone) -> int:
    return done.converted.counts.bytes_read
