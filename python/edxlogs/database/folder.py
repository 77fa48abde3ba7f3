"""The output folder of a conversion: a store whose inputs are the files of packages.

A file is identified by the package's name and size; by its own name, size and checksum in the zip;
and by what was asked for. Large files that are ready wait beside the manifest, so that an
interrupted run can be resumed. At the end, when the courses of all files are known, one commit
gives all of them their places. Rejected rows stay beside the manifest.

Paths are `{table}/course_id={id}/{package}-{site}.parquet`, or with the course first. If every
snapshot is kept, there is a folder for the day below. The folder of a course has the same name as
in datasets of events, so that both join by it. No file gets a name from inside a package.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edxlogs import _core
from edxlogs.database.account import KnownFile, MemberAccount, Release, Task
from edxlogs.errors import ConfigError, cannot_write
from edxlogs.formats import ending_of
from edxlogs.stops import put_off
from edxlogs.store import disk
from edxlogs.store.manifest import DataFile, Identity, Input, Segment, now
from edxlogs.store.place import Place
from edxlogs.store.segments import REPLACED
from edxlogs.store.store import READY, REJECTS, Store

DAY, NO_VALUE = "snapshot_date", "__HIVE_DEFAULT_PARTITION__"
COMMIT_SECONDS = 1.0  # between commits of what is ready
HOLDS = "tables of packages"
_NAME_BYTES = 200  # of the 255 that file systems allow


def day_folder(day: object) -> str:
    """The folder for the snapshots of a day, if all are kept."""
    return f"{DAY}={day or NO_VALUE}"


class TableFolder:
    """The folder with the tables of a run. Threads may report what is ready.

    Args:
        store: takes the files.
        overwrite: whether existing files may be replaced.
        course_first: whether there is a folder per course with its tables in it.
        keep_rejects: whether to keep rejected rows.
        keep_all: whether each snapshot has a folder for its day, and none replaces another.

    Raises:
        ConfigError: the store holds something else.
    """

    def __init__(
        self,
        store: Store,
        *,
        overwrite: bool = False,
        course_first: bool = False,
        keep_rejects: bool = False,
        keep_all: bool = False,
    ) -> None:
        self.store = store
        self.name = store.name
        self.course_first = course_first
        self.keep_rejects = keep_rejects
        self._overwrite = overwrite
        self._started = now()
        self._ready: list[Task] = []
        self._committed = time.monotonic()
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}  # in the names of files, by the name without one
        self.keep_all = keep_all
        query = {"holds": HOLDS, "partition_by": ["course_id", *[DAY] * keep_all]}
        there = store.manifest.query
        if there is not None and there.get("holds") == HOLDS and there != query:
            kept = "newest" if keep_all else "all"
            raise ConfigError(
                f"output: {self.name}: was made with --snapshots {kept}; say so again, or name"
                " another folder"
            )
        store.claim(query, overwrite=False)

    @property
    def is_resumable(self) -> bool:
        """Whether the next run would find something that is ready."""
        return any(True for _ in self.store.manifest.files(f"{READY}/"))

    def work_path(self, name: str) -> Path:
        """Path for a hidden file or folder. Anything there is removed.

        Raises:
            OutputError: it cannot be removed.
        """
        path = self.store.new / name
        try:
            disk.remove(path)
        except OSError as error:
            raise cannot_write(self.name, error) from error
        return path

    def place(self, task: Task, format_name: str, taken: Collection[str] = ()) -> str:
        """Where the rows of a task go, below the folder: a place that is not taken."""
        ending = "" if task.table.is_content else ending_of(format_name)
        folders = [task.table.name]
        if task.table.is_of_course:
            ignores_case = self.store.place.ignores_case
            course = _core.course_folder(task.account.course, encodes_case=ignores_case)
            folders.insert(0 if self.course_first else 1, course)
        if self.keep_all:
            folders.append(day_folder(task.day))
        first = "/".join([*folders, f"{_safe(task.file_stem)}{ending}"])
        path = first
        # Places stay taken, so the search continues where the last one ended.
        number = self._numbers.get(first, 1)
        while path in taken or self._is_kept(path):
            number += 1
            path = "/".join([*folders, f"{_safe(f'{task.file_stem}-{number}')}{ending}"])
        self._numbers[first] = number
        return path

    def _is_kept(self, path: str) -> bool:
        """Whether somebody may still be reading what is at a place that is being replaced."""
        manifest = self.store.manifest
        stays = not self.store.place.puts_over and manifest.file(path) is not None
        return stays or manifest.is_retired(path)

    def place_all(self, tasks: Sequence[Task], format_name: str) -> None:
        """Set the place of each task, now that the courses are known."""
        there = (task.known for task in tasks if task.is_published)
        taken = {known.output for known in there if known is not None}
        for task in tasks:
            account, known = task.account, task.known if task.is_published else None
            # A file that was joined with others stays where it is.
            if known and (account.course == known.account.course or len(known.file.runs) > 1):
                account.output = known.output
            else:
                account.output = self.place(task, format_name, taken)
            taken.add(account.output or "")

    def refuse(self, path: str, name: str, gone: Collection[int] = ()) -> None:
        """Refuse a place that holds something other than a file of this input.

        Args:
            path: the place.
            name: name of the input.
            gone: numbers of inputs that are being replaced.

        Raises:
            ConfigError: something else is there.
        """
        place = self.store.place
        if self._overwrite or not place.is_taken(path):
            return
        one, file = self.store.manifest.newest(name), self.store.manifest.file(path)
        if file is not None and gone and all(number in gone for number, _ in file.runs):
            return
        if one is None or file is None or not _is_of(file, one) or not is_there(place, file, one):
            raise ConfigError(
                f"output: {self.name}/{path.rstrip('/')}: exists; name another folder, or add"
                " --overwrite"
            )

    def recall(self, name: str) -> KnownFile | None:
        """What an earlier run did with a file; None if nothing, or not as is asked for now.

        What is published does not count if it is to be overwritten.
        """
        manifest = self.store.manifest
        one = manifest.newest(name)
        if one is None or "member" not in one.account:
            return None
        file = manifest.file(one.account["path"])
        if file is None:  # it may have been joined with others
            file = next((one for one in manifest.holding([one.number]) if one.holds_rows), None)
        account = MemberAccount.of(one.account["member"])
        if file is None or (file.holds_rows and self._overwrite):
            return None
        rejects = manifest.file(f"{REJECTS}/{one.number}")
        if self.keep_rejects and account.counts.rejected and rejects is None:
            return None
        if not is_there(self.store.place, file, one):
            return None
        return KnownFile(one.number, file, account, one.account["courses"], one.account.get("text"))

    def rejects(self, number: int) -> Path | None:
        """Where the rejected rows of an input are, or None."""
        file = self.store.manifest.file(f"{REJECTS}/{number}")
        return None if file is None else self.store.place.local(file)

    def all_rejects(self, tasks: Iterable[Task]) -> Iterator[Path]:
        """Files with the rejected rows of what is published, in order."""
        for task in tasks:
            one = self.store.manifest.newest(task.name)
            path = None if one is None else self.rejects(one.number)
            if path is not None:
                yield path

    def members(self, name: str) -> list[tuple[str, MemberAccount]] | None:
        """The files of a package that an earlier run delivered, with their accounts.

        Returns:
            Key and account of each; None if there was no such run.
        """
        one = None if self._overwrite else self.store.manifest.newest(name)
        if one is None:
            return None
        return [(key, MemberAccount.of(account)) for key, account in one.account["members"]]

    def add_ready(self, task: Task, *, at_once: bool) -> None:
        """Store finished rows for a run that resumes this one.

        Args:
            task: task of the rows.
            at_once: whether to flush them to disk now; otherwise with others before long.

        Raises:
            OutputError: they cannot be stored.
        """
        with self._lock:
            self._ready.append(task)
            if not at_once and time.monotonic() - self._committed < COMMIT_SECONDS:
                return
            segment = Segment(self._started)
            for task in self._ready:
                number = self._number(segment)
                segment.added += self._files(number, task, f"{READY}/{number}")
                segment.inputs.append(self._input(number, task, f"{READY}/{number}"))
            self._commit(segment)
            for task in self._ready:
                task.known = self.recall(task.name)
            self._ready = []
            self._committed = time.monotonic()

    def publish(
        self,
        tasks: Sequence[Task],
        releases: Sequence[tuple[str, Release]],
        gone: Collection[int],
        ended: dict[str, Any],
    ) -> None:
        """Give files their places in one commit; files that have a place may move.

        Args:
            tasks: tasks that are delivered.
            releases: packages that were read as a whole, each with its key.
            gone: numbers of inputs whose files newer ones replace.
            ended: how the run ended.

        Raises:
            ConfigError: something is in a file's place.
            OutputError: it fails; nothing is published then.
        """
        manifest = self.store.manifest
        segment = Segment(self._started)
        ready = {run[0] for file in manifest.files(f"{READY}/") for run in file.runs}
        replaced = ready.union(gone)
        renewed: set[int] = set()
        for task in tasks:
            file = None if task.known is None else task.known.file
            if file is not None and (file.path == task.output or len(file.runs) > 1):
                continue
            self.refuse(task.output, task.name, gone)
            before = manifest.newest(task.name)
            there = manifest.file(task.output)
            renewed.update(() if before is None else [before.number])
            replaced.update(() if there is None else [number for number, _ in there.runs])
            number = self._number(segment)
            segment.added += self._files(number, task, task.output)
            segment.inputs.append(self._input(number, task, task.output))
        for name, release in releases:
            members = [(task.name, asdict(task.account)) for task in release.tasks]
            identity = Identity(name, release.package.size)
            number = self._number(segment)
            segment.inputs.append(Input(number, identity, "delivered", 0, {"members": members}))
        if lost := replaced - renewed:
            # Otherwise, ready files of other settings and replaced files would be read again.
            gone_inputs = [one for one in manifest.inputs() if one.number in lost]
            segment.inputs += replaced_inputs(gone_inputs, self._number(segment))
        added, segment.removed = self.store.without(replaced | renewed)
        segment.added += added
        if segment.inputs or not all(map(manifest.wrote, ended["outputs"])):
            segment.ended = ended
            self._commit(segment)

    def clean(self) -> None:
        """Remove what was written but not published."""
        try:
            for left in self.store.new.iterdir():
                disk.remove(left)
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def _commit(self, segment: Segment) -> None:
        with put_off():
            self.store.commit(segment)

    def _number(self, segment: Segment) -> int:
        return self.store.manifest.next_number + len(segment.inputs)

    def _input(self, number: int, task: Task, path: str) -> Input:
        told = {
            "member": asdict(task.account),
            "courses": task.courses,
            "path": path,
            "release": task.release,
            "text": task.text,
            "modified": disk.state_of(self.store.new / _staged(number))[1],
        }
        identity = Identity(task.name, task.size)
        written = task.account.counts.rows_written
        return Input(number, identity, task.account.status, written, told)

    def _files(self, number: int, task: Task, path: str) -> list[DataFile]:
        """Move the files of a task, its rows and rejects, to the new files.

        Raises:
            OutputError: they cannot be moved there.
        """
        counts, known = task.account.counts, task.known
        rejects = task.rejects if known is None else self.rejects(known.number)
        made = []
        try:
            rows = task.rows if known is None else self.store.place.local(known.file)
            assert rows is not None
            sha256 = None if known is None else known.file.sha256
            made.append(
                self._file(path, rows, _staged(number), (number, counts.rows_written), sha256)
            )
            if rejects is not None and rejects.exists():
                place = f"{REJECTS}/{number}"
                staged = f"{_staged(number)}-rejects"
                made.append(self._file(place, rejects, staged, (number, counts.rejected)))
            if known is not None:
                self.store.place.forget([known.file])
        except OSError as error:
            raise cannot_write(self.name, error) from error
        return made

    def _file(
        self, path: str, source: Path, staged: str, run: tuple[int, int], sha256: str | None = None
    ) -> DataFile:
        """A file for that path, made from a new file or from a copy of one in its place."""
        target = self.store.new / staged
        disk.remove(target)
        if source.parent == self.store.new:
            disk.rename(source, target)
        else:
            disk.link_or_copy(source, target)
        if sha256 is None and not target.is_dir():
            return self.store.new_file(path, target, [run])
        return DataFile(path, staged, run[1], disk.state_of(target)[0], sha256 or "", [run])


def replaced_inputs(inputs: Iterable[Input], first: int) -> list[Input]:
    """Inputs whose files were replaced, numbered from `first` on, with nothing known about them."""
    return [
        replace(one, number=first + at, status=REPLACED, rows=0, account={})
        for at, one in enumerate(inputs)
    ]


def _staged(number: int) -> str:
    return f"table-{number}"


def _is_of(file: DataFile, one: Input) -> bool:
    return [number for number, _ in file.runs] == [one.number]


def is_there(place: Place, file: DataFile, one: Input) -> bool:
    """Whether a file is as it was when published."""
    if (state := place.state(file)) is None:
        return False
    size, modified = state
    # A file that was joined from several by compacting has a time of its own.
    is_own = modified is not None and _is_of(file, one)
    return size == file.bytes and (not is_own or modified == one.account["modified"])


def _safe(text: str) -> str:
    """Percent-encode all but letters, digits, `_`, `.` and `-`; cut names that are too long."""
    name = quote(text, safe="").replace("~", "%7E")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= _NAME_BYTES:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"{name[: _NAME_BYTES - 20]}~{digest}"
