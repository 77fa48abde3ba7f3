"""A conversion: files of packages to a folder of tables, with an account.

Each file is read into a hidden file of its own. It gets its name after it has passed its checks and
all files have been read, because only then are all their courses known. Large files are read one at
a time, by all threads; small ones several at a time, by one thread each.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, ClassVar

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.database.account import (
    Converted,
    MemberAccount,
    Release,
    RowCounts,
    TableAccount,
    Task,
    key_of,
)
from edxlogs.database.courses import Courses, TableChoice, course_of
from edxlogs.database.folder import TableFolder
from edxlogs.database.package import DatabasePackage, Member, epoch_day
from edxlogs.database.reading import (
    ORA_TABLES,
    Conversion,
    TableReader,
    TarJoins,
    join_ora,
    naming,
    ora_files,
    submissions,
    told_of,
)
from edxlogs.database.snapshots import (
    Snapshots,
    compare,
    copies,
    package_of,
    standing,
    without_copies,
)
from edxlogs.database.tars import PassingFile, TarPackage, walk
from edxlogs.edx.members import MemberName, describe_member
from edxlogs.edx.tables import JOINED, Table, joined_table, tables
from edxlogs.errors import FormatError, SourceError
from edxlogs.formats import SAFE
from edxlogs.targets import Crew, Target
from edxlogs.text import shown
from edxlogs.threads import Workers, in_worker

METADATA = "metadata_file.json"  # of a package of the research exchange
READY_BYTES = 1 << 20  # smaller files are sooner made again than brought to disk
LARGE_BYTES = 8 << 20  # as they are in the package; one such file keeps every thread busy
_KEPT = ("counts", "unknown_columns", "missing_columns", "literals", "warnings")


@dataclass
class TableTarget(Target[list[MemberAccount]]):
    """The conversion of the tables of packages.

    Attributes:
        reader: reads the files.
        packages: packages, in the order of the account.
        choice: which files to convert.
        folder: where the tables go.
        format_name: one of `FORMATS`; for cells, possibly with `SAFE`.
        workers: number of threads.
        expand: whether courseware_studentmodule gets columns taken from its `state`.
        expand_ora: whether to join the tables of open response assessments.
        unpack: whether to unpack the content of courses.
        beside: names of the files that are written beside the folder.
        elsewhere: reads files on other hosts; None reads in this process.
        account: adds up after the run.
    """

    reader: TableReader
    packages: Sequence[DatabasePackage | TarPackage]
    choice: TableChoice
    folder: TableFolder
    format_name: str = "parquet"
    workers: int = 1
    expand: bool = False
    expand_ora: bool = False
    unpack: bool = False
    beside: Sequence[str] = ()
    elsewhere: Callable[[Sequence[Task]], Crew[list[MemberAccount]]] | None = None
    account: TableAccount = field(default_factory=TableAccount)
    patience_seconds: ClassVar[float] = 2  # a file that is ready is kept
    _courses: Courses = field(init=False)
    _snapshots: Snapshots = field(init=False)
    _tasks: list[Task] = field(default_factory=list)
    _tars: list[Release] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        zips = [one for one in self.packages if isinstance(one, DatabasePackage)]
        self._courses = Courses(self.reader, zips, self.choice, self.workers)
        # The files in a tar may be from any day.
        days = {file.day for one in zips for file in one.members} if self.folder.keep_all else None
        there = standing(self.folder.store, days if len(zips) == len(self.packages) else None)
        form, keep_all = self.format_name.removesuffix(SAFE), self.folder.keep_all
        self._snapshots = Snapshots(there, form, keep_all=keep_all)

    def plan(self) -> int:
        """Decide which files to read. Returns their size in bytes.

        Raises:
            ConfigError: existing files would be replaced.
        """
        for package in self.packages:
            if isinstance(package, DatabasePackage):
                self._plan(package)
            else:
                self._plan_tar(package)
        for task in chain.from_iterable(copies(self._tasks)):
            task.sum = _core.TextSum()
            if task.text is None:  # it was delivered before there was a copy
                task.forget()
        self._snapshots.put_off(self._tasks)
        for task in self._tasks:
            if task.is_published or task.account.status is Outcome.OLDER:
                continue
            task.account.course = self._courses.course(task.key)
            if task.account.course is not None or not task.table.is_of_course:
                task.account.output = self.folder.place(task, self.format_name)
                self.folder.refuse(task.output, task.name, self._snapshots.others(task))
        return sum(task.size for task in self._to_read)

    @property
    def wrote_beside(self) -> bool:
        """Whether the files beside the folder are those that earlier runs wrote."""
        return all(map(self.folder.store.manifest.wrote, self.beside))

    @property
    def count(self) -> int:
        """Number of files to read."""
        return len(self._to_read) + len(self._tars)

    @property
    def _to_read(self) -> list[Task]:
        older = Outcome.OLDER
        return [one for one in self._tasks if not one.known and one.account.status is not older]

    def _plan(self, package: DatabasePackage) -> None:
        tasks = list(self._wanted(package))
        self.reader.unlock(package, [member for task, member in tasks if task.known is None])
        if self.choice.courses:
            self._courses.probe([(package, member) for task, member in tasks if not task.known])
            tasks = [(task, member) for task, member in tasks if self._is_chosen(task)]
        self._tasks += [task for task, _ in tasks]
        if self.expand_ora:
            wanted = {(task.day, task.key) for task, _ in tasks}
            originals = without_copies(package.members, [task for task, _ in tasks])
            for group, members in ora_files(originals).items():
                if group in wanted:
                    self._plan_ora(package, members)

    def _wanted(self, package: DatabasePackage) -> Iterator[tuple[Task, Member]]:
        for member in package.members:
            table = member.name.table
            account = self.account.begin(package.place, member.path, member.name)
            if table is None or not self.choice.may_be_of(member.name, unpack=self.unpack):
                continue
            release, day = package.release, member.day
            task = self._task(table, member.name, package, account, release, day)
            task.size = member.stored_bytes
            task.read = partial(self._read_member, task, package, member)
            task.origin = package, member
            self._recall(task, *package.release, member.path, member.size, member.checksum)
            yield task, member

    def _is_chosen(self, task: Task) -> bool:
        """Whether its course is wanted, as far as known. A file of several courses always is."""
        course, stem = self._courses.course(task.key), task.key[0]
        return not task.table.is_of_course or self.choice.wants_course(course, stem)

    def _task(
        self,
        table: Table,
        name: MemberName,
        package: DatabasePackage | TarPackage,
        account: MemberAccount,
        release: tuple[object, ...],
        day: datetime.date | None = None,
    ) -> Task:
        stem = package.stem
        file_stem = f"{stem}-{name.site}" if name.site else stem
        if not table.is_of_course and self.choice.courses:
            account.courses = sorted(self.choice.courses)
            account.courses = self._snapshots.chosen(account, key_of(*release, day)[:16])
            file_stem += f"-{key_of(*account.courses)[:8]}" if account.courses else ""
        task = Task(f"{next(self._numbers):06}", table, name.key, file_stem, account)
        task.day, task.release = day, key_of(*release, day)[:16]  # a tar may hold several days
        return task

    def _plan_ora(self, package: DatabasePackage, members: list[Member]) -> None:
        first = submissions(members)
        name, account = (
            first.name,
            MemberAccount(package.place, first.path, JOINED, first.name.site),
        )
        self.account.members.append(account)
        release, day = package.release, first.day
        task = self._task(joined_table(), name, package, account, release, day)

        def read(_threads: int) -> list[MemberAccount]:
            task.rows = self.folder.work_path(f"{task.name}-rows")
            into, in_folder = (task.rows, self.format_name), self.folder.keep_all
            join_ora(self.reader, package, members, *into, account, day_in_folder=in_folder)
            return [account]

        task.read = read
        sums = [member.checksum for member in members]
        self._recall(task, JOINED, *package.release, members[0].path, *sums)
        self._tasks.append(task)

    def _plan_tar(self, package: TarPackage) -> None:
        """Take over what an earlier run did with a package, or have the package read."""
        checksum = None
        with suppress(SourceError):  # of which its reading tells
            checksum = in_worker(package.checksum)
        release = Release(package, (package.name, package.size, checksum))
        members = self.folder.members(self._package_key(release))
        if members is None or not self._are_there(members):
            self._tars.append(release)
            return
        self.account.packages[package.place] = package.size
        for key, account in members:
            account.package = package.place
            self.account.members.append(account)
            if account.status is Outcome.DELIVERED:
                name = describe_member(account.member, package.stem)
                table, said = name.table or tables()["course"], package_of(account)
                table = joined_table() if account.table == JOINED else table
                day = None if said is None else said.day
                task = self._task(table, name, package, account, release.identity, day)
                self._tasks.append(task)
                self._recall_as(key, task)

    def _are_there(self, members: Sequence[tuple[str, MemberAccount]]) -> bool:
        delivered = [key for key, account in members if account.status is Outcome.DELIVERED]
        return all(self.folder.recall(key) is not None for key in delivered)

    def _package_key(self, release: Release) -> str:
        choice = (self.choice.courses, self.choice.tables, self.choice.sites)
        asked = (choice, self.choice.known_courses, self.unpack, self.expand, self.expand_ora)
        return key_of("package", *release.identity, *asked, *self._asked(derived=self.expand))

    @property
    def control(self) -> _core.Control:
        """The control that stops the reader."""
        return self.reader.control

    def begin(self) -> Iterator[Crew[list[MemberAccount]]]:
        """Large files one after another, small ones at once; then those that waited, and tars."""
        tasks = self._to_read
        while tasks:
            if self.elsewhere is not None:
                if sent := [task for task in tasks if task.may_go]:
                    yield self.elsewhere(sent)
                tasks = [task for task in tasks if not task.may_go]
            large = [task for task in tasks if task.size > LARGE_BYTES]
            small = [task for task in tasks if task.size <= LARGE_BYTES]
            yield Workers([partial(task.read, self.workers) for task in large], 1)
            yield Workers([partial(task.read, 1) for task in small], self.workers)
            tasks = list(self._snapshots.turns())
        yield Workers([partial(self._read_tar, one) for one in self._tars], 1)
        yield Workers([partial(compare, group) for group in copies(self._tasks)], 1)
        if self.expand_ora:
            yield Workers([partial(self._join_tar, one) for one in self._tars], 1)
        self._courses.probe(
            [
                task.origin
                for task in self.delivered
                if task.origin and task.table.is_of_course and not course_of(task.courses, None)
            ]
        )

    def take(self, done: list[MemberAccount]) -> list[MemberAccount]:
        """What became of a file. For a package that was read as a whole, the files withheld."""
        return done

    def finish(self) -> None:
        """Publish what passed its checks, now that the course of each file is known.

        Raises:
            OutputError: the folder cannot be written to.
            ConfigError: a file appeared in it.
            InternalError: the account does not add up; nothing is published.
        """
        self._courses.name(self.delivered)
        good = set(map(id, self.delivered))
        groups = [group for group in copies(self._tasks) if good.intersection(map(id, group))]
        copied = {one.name for one in chain.from_iterable(groups)}
        gone = self._snapshots.settle(self.delivered, copied)
        if not self.folder.keep_all:
            self.account.stays = self._snapshots.stay(
                self.delivered, self.account.members, self.choice
            )
        self.folder.place_all(self.delivered, self.format_name)
        self.account.check()
        releases = [(self._package_key(one), one) for one in self._tars if one.is_good]
        ended = {
            "skipped": 0,
            "failed": self.account.failed,
            "whole": self.account.is_whole,
            "outputs": self.beside,
        }
        self.folder.publish(self.delivered, releases, gone, ended)

    @property
    def delivered(self) -> list[Task]:
        """Files whose rows are, or will be, in the folder."""
        return [task for task in self._tasks if task.account.status is Outcome.DELIVERED]

    def _recall(self, task: Task, *identity: object) -> None:
        """Take over from the records what an earlier run did with a file."""
        if task.table.is_content:  # is as it is, whatever the tables are made to
            self._recall_as(key_of(*identity, self.folder.course_first, _core.__version__), task)
            return
        derived = self.expand and task.table.derived
        asked = (*task.account.courses, *self._asked(derived=derived))
        self._recall_as(key_of(*identity, *asked), task)

    def _asked(self, *, derived: object) -> tuple[object, ...]:
        return (self.format_name, derived, self.folder.course_first, _core.__version__)

    def _recall_as(self, key: str, task: Task) -> None:
        while key in self._keys:  # the same file in a package of the same name and size
            key = key_of(key)
        self._keys.add(key)
        task.name = key
        task.known = known = self.folder.recall(task.name)
        if known is None:
            return
        task.account.earlier, task.account.status = True, Outcome.DELIVERED
        for name in _KEPT:
            setattr(task.account, name, getattr(known.account, name))
        task.courses = known.courses
        course = course_of(task.courses, task.key[0])
        if task.table.is_of_course and course is not None:
            self._courses.tell(task.key, course)

    def _read_member(
        self, task: Task, package: DatabasePackage, member: Member, threads: int
    ) -> list[MemberAccount]:
        """Read a file into a hidden file or a hidden folder."""
        said = told_of(package, member)
        work = partial(self._convert, task, said, threads)
        with naming(self.folder.name):
            done = self.reader.read_stored(said["label"], lambda: package.open(member), work)
        self.enter(task, done)
        return [task.account]

    def conversion(self, task: Task, said: dict[str, Any]) -> Conversion:
        """How to turn the text of a file into rows, with what is known about the file."""
        table, courses = task.table, tuple(task.account.courses)
        how = self.format_name, self.expand, self.folder.keep_all
        return Conversion(said, table.name, *how, courses, table.tells_course, table.is_content)

    def _convert(self, task: Task, said: dict[str, Any], threads: int, text: Any) -> Converted:
        """Convert the text of a file to a hidden file, or unpack it into a hidden folder."""
        task.rows = self.folder.work_path(f"{task.name}-rows")
        if self.folder.keep_rejects and not task.table.is_content:
            task.rejects = self.folder.work_path(f"{task.name}-rejects")
        conversion, rows = self.conversion(task, said), task.rows
        more: dict[str, Any] = {"threads": threads, "text_sum": task.sum}
        return conversion.convert(self.reader, text, rows, task.rejects, **more)

    def enter(self, task: Task, done: Converted) -> None:
        """Enter the result of a file."""
        account = task.account
        task.courses = done.courses
        account.counts = done.counts
        account.unknown_columns = done.said.get("unknown_columns", [])
        account.missing_columns = done.said.get("missing_columns", [])
        account.literals = done.said.get("literals", False)
        account.warnings += done.warnings
        account.status = Outcome.DELIVERED
        if done.error is not None:
            account.withhold(str(done.error))
        elif account.is_all_rejected:
            account.leave_out()
        elif account.counts.left and not account.counts.rows_written:
            account.status, account.counts = Outcome.LEFT, RowCounts()
        elif task.size >= READY_BYTES and task.rows is not None and task.rows.is_file():
            with naming(self.folder.name):
                self.folder.add_ready(task, at_once=task.size > LARGE_BYTES)

    def _read_tar(self, release: Release) -> list[MemberAccount]:
        """Convert the tables of a tar as they come."""
        package = release.package
        tasks = release.tasks
        before = len(self.account.members)

        def work(source: Any) -> Converted:
            del self.account.members[before:]  # of a reading that has to be done again
            for task in tasks:
                self._keys.discard(task.name)
            tasks.clear()
            release.joined.clear()
            try:
                for file in walk(source, package.place):
                    tasks.append(self._read_file(release, file))
            except FormatError as error:
                return Converted(error=error)
            return Converted()

        with naming(self.folder.name):
            done = self.reader.read_stored(package.place, package.open, work)
        self.account.packages[package.place] = done.counts.bytes_read
        if done.error is not None:
            self.account.failed.append(str(done.error))
        accounts = [task.account for task in tasks]
        withheld = [one for one in accounts if one.status is Outcome.WITHHELD]
        release.is_whole = done.error is None
        for one in accounts if done.error is not None else ():
            if one.status is Outcome.DELIVERED:
                one.withhold(str(done.error))
        self._tasks += tasks
        return withheld

    def _read_file(self, release: Release, file: PassingFile) -> Task:
        """Read one file of a tar. Events, and what is not asked for, are left out."""
        package, path = release.package, file.path
        is_events = file.is_events
        name = MemberName() if is_events else describe_member(path, package.stem)
        account = self.account.begin(package.place, shown(path), name)
        table, day = name.table or tables()["course"], file.day or package.day
        task = self._task(table, name, package, account, release.identity, day)
        if is_events or os.path.basename(path) == METADATA:
            account.status = Outcome.LEFT  # events: logs like any other
        if name.table is not None and name.table.name in ORA_TABLES and not name.failed:
            release.joined[path] = (day, name.key), name.table.name
        if name.table is None or not self.choice.may_be_of(name, unpack=self.unpack):
            self._courses.look_into(file, name)
            return task
        self._recall(task, *release.identity, path)
        if task.text is not None:
            return task
        task.sum = _core.TextSum()  # a copy of it may come by
        task.forget()
        label = f"{package.place}: {shown(path)}"
        said = {
            "package": package.name,
            "member": shown(path),
            "site": name.site,
            "day": epoch_day(day),
            "label": label,
        }
        work = partial(self._convert, task, said, self.workers)
        done = self.reader.read_stored(label, file.opened, work, again=False)
        done.counts.bytes_read = 0  # those of the tar are counted
        self.enter(task, done)
        return task

    def _join_tar(self, release: Release) -> list[MemberAccount]:
        """Join the open response assessments of a tar, which is read again for them."""
        package, files = release.package, release.to_join()
        joins = TarJoins(package, files)
        left = []
        for (day, (stem, site)), path in joins.submissions.items():
            account = MemberAccount(package.place, shown(path), JOINED, site)
            self.account.members.append(account)
            name = MemberName(None, stem, site)
            task = self._task(joined_table(), name, package, account, release.identity, day)
            self._recall(task, JOINED, *release.identity, path)
            self._tasks.append(task)
            release.tasks.append(task)
            left += [task] if task.known is None else []
        error = joins.read(self.reader) if left else None
        for task in left:
            if error is not None:
                task.account.withhold(str(error))
                continue
            task.rows = self.folder.work_path(f"{task.name}-rows")
            joins.write(task, self.format_name, day_in_folder=self.folder.keep_all)
        return [task.account for task in left if error is not None]

    def rejects(self) -> Iterator[Path]:
        """Files with the rejected rows of what was read, in the order of the account."""
        for task in self._tasks:
            if task.account.status is Outcome.DELIVERED:
                yield from self.folder.all_rejects([task])
            elif task.account.counts.rejected and task.rejects is not None:
                yield task.rejects
