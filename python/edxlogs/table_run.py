"""A conversion: the files of packages to a folder of tables, with an account.

Each file is read into a hidden file of its own, and gets its name after it has passed its checks,
when all have been read: only then it is known for all of them which course they are of. Large files
are read one at a time, by all threads; small ones several at a time, by one thread each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edxlogs import _core
from edxlogs.course_stems import course_of
from edxlogs.database_package import DatabasePackage, Member, is_content
from edxlogs.errors import OutputError
from edxlogs.run import Workers
from edxlogs.table_account import Counts, MemberAccount, Status, TableAccount
from edxlogs.table_courses import Courses, TableChoice
from edxlogs.table_folder import TableFolder, relative_path
from edxlogs.table_reading import Converted, TableReader, core_table

LARGE_BYTES = 8 << 20  # as they are in the package; one such file keeps every thread busy
_ENDINGS = {"csv-excel-safe": "csv"}


@dataclass(slots=True)
class _Task:
    """A file to be read, and what came of it."""

    number: int
    package: DatabasePackage
    member: Member
    account: MemberAccount
    converted: Converted | None = None
    rows: Path | None = None
    rejects: Path | None = None


@dataclass
class TableRun:
    """One conversion.

    Attributes:
        reader: reads the files.
        packages: in the order of the account.
        choice: which files.
        folder: where the tables go.
        format_name: parquet, csv, csv-excel-safe, jsonl, jsonl.gz or jsonl.zst.
        course_first: whether a course's folder holds those of the tables.
        workers: threads.
        keep_rejects: whether rejected rows are kept.
        expand: whether courseware_studentmodule has columns of what is in its `state`.
        on_member: called after each file that was read, with its account.
        account: adds up after the call.
    """

    reader: TableReader
    packages: Sequence[DatabasePackage]
    choice: TableChoice
    folder: TableFolder
    format_name: str = "parquet"
    course_first: bool = False
    workers: int = 1
    keep_rejects: bool = False
    expand: bool = False
    on_member: Callable[[MemberAccount], None] = lambda _: None
    account: TableAccount = field(default_factory=TableAccount)
    _courses: Courses = field(init=False)
    _outputs: set[Path] = field(default_factory=set)
    _tasks: list[_Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._courses = Courses(self.reader, self.packages, self.choice, self.workers)

    def plan(self) -> int:
        """Decide which files are read; how many bytes they are.

        Raises:
            ConfigError: files are there that the run would replace.
        """
        tasks = list(self._wanted())
        if self.choice.courses:
            self._courses.probe([(task.package, task.member) for task in tasks])
            wants = self.choice.wants_course
            tasks = [task for task in tasks if wants(self._courses.course(task.member))]
        for task in tasks:
            task.account.course = self._courses.course(task.member)
            if task.account.course is not None or not _is_of_course(task):
                self.folder.refuse(self._relative(task))
        self._tasks = tasks
        return sum(task.member.stored.stored_bytes for task in tasks)

    @property
    def count(self) -> int:
        """Files that are read."""
        return len(self._tasks)

    def _wanted(self) -> Iterator[_Task]:
        for package in self.packages:
            for member in package.members:
                table = member.name.table
                status = Status.LEFT if table is not None else Status.UNKNOWN
                account = MemberAccount(
                    package=package.place,
                    member=member.path,
                    table=None if table is None else table.name,
                    site=member.name.site,
                    status=Status.FAILED if member.name.failed else status,
                )
                self.account.members.append(account)
                if not self.choice.wants(member) or is_content(member):
                    continue
                if table is not None and table.is_of_course:
                    if not self.choice.may_be_wanted(member.name.stem):
                        continue
                elif self.choice.courses:
                    continue  # files of an organisation are of no course
                yield _Task(len(self.account.members), package, member, account)

    def __call__(self) -> TableAccount:
        """Read what was planned, and publish what passed its checks.

        Returns:
            The account; it adds up.

        Raises:
            OutputError: the folder cannot be written.
            ConfigError: a file appeared in it.
            InternalError: the account does not add up; nothing is published.
            KeyboardInterrupt: nothing is published.
        """
        large = [task for task in self._tasks if task.member.stored.stored_bytes > LARGE_BYTES]
        small = [task for task in self._tasks if task.member.stored.stored_bytes <= LARGE_BYTES]
        try:
            self._read(large, at_once=1, threads=self.workers)
            self._read(small, at_once=self.workers, threads=1)
        except BaseException:
            self.reader.control.stop()
            raise
        self._name_courses()
        self.account.check()
        self.folder.sync()
        for task in self._tasks:
            if task.account.status is Status.DELIVERED:
                assert task.rows is not None
                assert task.account.output is not None
                self.folder.publish(task.rows, Path(task.account.output))
        return self.account

    def _read(self, tasks: Sequence[_Task], *, at_once: int, threads: int) -> None:
        def read(task: _Task) -> Callable[[], None]:
            return lambda: self._convert(task, threads)

        workers = Workers([read(task) for task in tasks], at_once).start() if tasks else None
        try:
            for task in tasks:
                assert workers is not None
                workers.take()
                self.on_member(task.account)
        except BaseException:
            self.reader.control.stop()
            if workers is not None:
                workers.stop(patience_seconds=2)
            raise

    def _convert(self, task: _Task, threads: int) -> None:
        """Read a file into a hidden one."""

        def target() -> Path:
            task.rows = self.folder.work_path(task.number)
            if self.keep_rejects:
                task.rejects = self.folder.work_path(task.number, "rejects")
                options["rejects_path"] = task.rejects
            return task.rows

        options: dict[str, object] = {"format_name": self.format_name, "threads": threads}
        options["metadata"] = [("edxlogs.version", _core.__version__)]
        account = task.account
        try:
            table = core_table(task.account.table or "", expand=self.expand)
            done = self.reader.convert(task.package, task.member, table, target, options)
        except OutputError as error:
            why = "make room, or name another folder"
            raise OutputError(f"output: {self.folder.name}: {error}; {why}") from error
        task.converted = done
        account.counts = done.counts
        account.unknown_columns = done.said.get("unknown_columns", [])
        account.missing_columns = done.said.get("missing_columns", [])
        account.literals = done.said.get("literals", False)
        if done.warning is not None:
            account.warnings.append(done.warning)
        if done.error is None:
            account.status = Status.DELIVERED
            return
        account.status = Status.WITHHELD
        account.error = str(done.error)
        account.counts = done.counts.as_withheld()
        if task.rows is not None:
            task.rows.unlink(missing_ok=True)

    def _name_courses(self) -> None:
        """Say of each file which course it is of, and where it goes."""
        for task in self._tasks:
            done = task.converted
            if done is not None and done.error is None and _is_of_course(task):
                task.account.course = course_of(done.courses, task.member.name.stem)
                if task.account.course is not None:
                    self._courses.tell(task.member, task.account.course)
        for task in self._tasks:
            account = task.account
            if account.status is not Status.DELIVERED:
                continue
            if _is_of_course(task):
                account.course = account.course or self._courses.course(task.member)
                if not self.choice.wants_course(account.course):
                    account.status = Status.LEFT
                    account.counts = Counts()
                    continue
                if account.course is None:
                    account.warnings.append("no file tells which course it is of")
            account.output = os.fspath(self._relative(task, unique=True))

    def _relative(self, task: _Task, *, unique: bool = False) -> Path:
        """Where a file's rows go; another place, if another file's rows go there."""
        table = task.member.table
        assert table is not None
        ending = _ENDINGS.get(self.format_name, self.format_name)
        stem = task.package.name.removesuffix(".zip")
        stem = f"{stem}-{task.member.name.site}" if task.member.name.site else stem
        for number in range(1, len(self._tasks) + 2):
            path = relative_path(
                table.name,
                course=task.account.course,
                is_of_course=table.is_of_course,
                stem=stem if number == 1 else f"{stem}-{number}",
                ending=ending,
                course_first=self.course_first,
            )
            if not unique:
                break
            if path not in self._outputs:
                self._outputs.add(path)
                break
        return path

    def write_rejects(self, descriptor: int) -> None:
        """Write the rejected rows of what was delivered, in the order of the account."""
        for task in self._tasks:
            if task.account.status is Status.DELIVERED and task.rejects is not None:
                if not task.rejects.exists():
                    continue
                with task.rejects.open("rb") as rejects:
                    while data := rejects.read(1 << 20):
                        os.write(descriptor, data)


def _is_of_course(task: _Task) -> bool:
    return task.member.table is not None and task.member.table.is_of_course
