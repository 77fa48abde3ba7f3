"""The tables of packages for Python, each as a stream of Arrow batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.arrow_stream import PIECES_AHEAD, ArrowStream, StreamTarget
from edxlogs.database.account import Converted, MemberAccount, TableAccount
from edxlogs.database.courses import Courses, TableChoice, course_of
from edxlogs.database.package import DatabasePackage, Member, find_packages
from edxlogs.database.reading import TableReader, core_table
from edxlogs.database.snapshots import Snapshot, copy_name, leave_copy, older, snapshot_of
from edxlogs.edx.tables import tables as known_tables
from edxlogs.errors import EdxlogsError, FormatError, OutputError, StoppedError
from edxlogs.gpg.process import Gpg
from edxlogs.s3.client import S3
from edxlogs.text import table
from edxlogs.threads import Workers


@dataclass(eq=False, slots=True)
class _File:
    """A file to read, its course and, if it is a copy, the original whose rows are sent."""

    package: DatabasePackage
    member: Member
    course: str | None
    original: _File | None = None
    sum: _core.TextSum | None = None
    entry: MemberAccount | None = None


def opened(
    places: str | PathLike[str] | Iterable[str | PathLike[str]], s3: S3 | None
) -> list[DatabasePackage]:
    """Open packages whose files can be read in any order.

    Raises:
        EdxlogsError: a package cannot be opened, or is a tar.
    """

    def fail(error: EdxlogsError) -> None:
        raise error

    several = [places] if isinstance(places, str | PathLike) else places
    packages = []
    for one in find_packages([os.fspath(place) for place in several], s3 or S3(), fail):
        if not isinstance(one, DatabasePackage):
            why = "is a tar, which cannot be streamed; convert it with edxlogs.convert"
            raise FormatError(f"{one.place}: {why}", one.place)
        packages.append(one)
    return packages


def _snapshot(file: _File, *, keep_all: bool) -> Snapshot:
    account = MemberAccount.begin(file.package.place, file.member.path, file.member.name)
    account.course = file.course
    release = file.package.place, file.member.day
    return snapshot_of(account, "", release, 0, keep_all=keep_all)


def _without_copies(files: Sequence[_File]) -> list[_File]:
    """The files, with those that are copies of others moved to the end."""
    groups: dict[object, list[_File]] = {}
    for file in files:
        name = copy_name(file.package.place, file.member.path, file.member.name)
        groups.setdefault((file.member.day, name), []).append(file)
    for group in groups.values():
        package, newest = group[0].package, group[-1]
        if not package.is_zip:
            newest = max(group, key=lambda one: one.member.checksum)
        for one in group if len(group) > 1 else ():
            one.sum, one.original = _core.TextSum(), None if one is newest else newest
    return sorted(files, key=lambda one: one.original is not None)


class TableStream(ArrowStream):
    """The rows of one table, from all its files. It can be read once.

    `pyarrow.table(stream)`, `polars.DataFrame(stream)`, `pandas.DataFrame.from_arrow(stream)` and
    DuckDB take it without a copy.

    Rows arrive while their file is still being read, before its checks are done. If a file fails
    its checks, the stream raises an error before its end. Do not rely on any row until `verified`
    is true.

    Attributes:
        account: what became of every file and row; complete once the stream has ended.
    """

    account: TableAccount


class _TableStreamTarget(StreamTarget[tuple[_File, Converted]]):
    def __init__(
        self, reader: TableReader, rows: _core.Table, files: Sequence[_File], workers: int
    ) -> None:
        self.account = TableAccount()
        self._reader = reader
        self._rows = rows
        self._files = files
        self._workers = workers

    @property
    def count(self) -> int:
        return len(self._files)

    @property
    def control(self) -> _core.Control:
        return self._reader.control

    def begin(self) -> list[Workers[tuple[_File, Converted]]]:
        tasks = [partial(self._read, number) for number in range(self.count)]
        return [Workers(tasks, self._workers, self._workers + PIECES_AHEAD)]

    def _read(self, number: int) -> tuple[_File, Converted]:
        file, writer = self._files[number], self.writers[number]
        options: dict[str, Any] = {
            "threads": max(1, self._workers // self.count),
            "course": file.course,
        }
        options["text_sum"] = file.sum
        target = writer if file.original is None else None
        try:
            done = self._reader.convert(
                file.package, file.member, self._rows, lambda: target, options
            )
            return file, done
        finally:
            writer.close()

    def take(self, read: tuple[_File, Converted]) -> Sequence[MemberAccount]:
        """Enter a file into the account. The rows of a failed file were sent, but do not count."""
        file, done = read
        package, member, course = file.package, file.member, file.course
        if isinstance(done.error, StoppedError | OutputError):
            raise done.error
        assert member.table is not None
        entry = MemberAccount(
            package=package.place,
            member=member.path,
            table=member.table.name,
            site=member.name.site,
            course=course or course_of(done.courses, member.name.stem),
            status=Outcome.DELIVERED,
            counts=done.counts,
        )
        if done.error is not None:
            entry.withhold(str(done.error))
        elif entry.is_all_rejected:
            entry.leave_out()
            done.error = FormatError(entry.error or "", entry.label)
        elif file.original is not None and (original := file.original.entry) is not None:
            is_same = file.sum and file.original.sum and file.sum.total == file.original.sum.total
            leave_copy(entry, original, is_same=bool(is_same))
            if entry.error is not None:
                done.error = FormatError(entry.error, entry.label)
        file.entry = entry
        self.error = self.error or done.error
        self.account.members.append(entry)
        return [entry]

    def finish(self) -> None:
        self.account.check()


class Tables(Mapping[str, TableStream]):
    """The tables of packages by name. Each lookup returns a new stream.

    It prints as a list of the tables, with the number of files of each.

    Attributes:
        packages: the packages that were opened.
    """

    def __init__(
        self,
        packages: Sequence[DatabasePackage],
        choice: TableChoice,
        gpg: Gpg,
        threads: int,
        *,
        expand: bool,
        keep_all: bool = False,
    ) -> None:
        self.packages = packages
        self._gpg = gpg
        self._choice = choice
        self._threads = threads
        self._expand = expand
        courses = Courses(TableReader(gpg, _core.Control()), packages, choice, threads)
        wanted = [
            (package, member)
            for package in packages
            for member in package.members
            if choice.wants(member.name) and member.table is not None
            if not member.table.is_content
        ]
        courses.probe(wanted)
        self._files: dict[str, list[_File]] = {}
        found: list[_File] = []
        for package, member in wanted:
            assert member.table is not None
            course = courses.course(member.name.key) if member.table.is_of_course else None
            if not member.table.is_of_course or choice.wants_course(course, member.name.stem):
                found.append(_File(package, member, course))
        lost = {id(file) for file, _ in older(found, partial(_snapshot, keep_all=keep_all))}
        for file in found:
            if id(file) not in lost and file.member.table is not None:
                self._files.setdefault(file.member.table.name, []).append(file)
        self._files = {name: _without_copies(files) for name, files in self._files.items()}

    def __getitem__(self, name: str) -> TableStream:
        courses = () if known_tables()[name].is_of_course else self._choice.courses
        rows = core_table(name, expand=self._expand, has_course=True, courses=courses)
        reader = TableReader(self._gpg, _core.Control())
        return TableStream.of(
            rows, _TableStreamTarget(reader, rows, self._files[name], self._threads)
        )

    def __iter__(self) -> Iterator[str]:
        return (name for name in known_tables() if name in self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __str__(self) -> str:
        rows = [[name, f"{len(self._files[name]):,}"] for name in self]
        return "\n".join(table([["table", "files"], *rows], right=(1,)))

    __repr__ = __str__
