"""The tables of packages to Python, each as a stream of Arrow batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.arrow_stream import PIECES_AHEAD, ArrowStream, StreamTarget
from edxlogs.database.account import Converted, MemberAccount, TableAccount
from edxlogs.database.courses import Courses, TableChoice, course_of
from edxlogs.database.package import DatabasePackage, Member, find_packages
from edxlogs.database.reading import TableReader, core_table
from edxlogs.database.snapshots import Snapshot, older, snapshot_of
from edxlogs.edx.tables import tables as known_tables
from edxlogs.errors import EdxlogsError, FormatError, OutputError, StoppedError
from edxlogs.gpg.process import Gpg
from edxlogs.s3.client import S3
from edxlogs.text import table
from edxlogs.threads import Workers

_File = tuple[DatabasePackage, Member, str | None]


def opened(
    places: str | PathLike[str] | Iterable[str | PathLike[str]], s3: S3 | None
) -> list[DatabasePackage]:
    """Open packages whose files can be read in any order.

    Raises:
        EdxlogsError: one cannot be opened, or is a tar.
    """

    def fail(error: EdxlogsError) -> None:
        raise error

    several = [places] if isinstance(places, str | PathLike) else places
    packages = []
    for one in find_packages([os.fspath(place) for place in several], s3 or S3(), fail):
        if not isinstance(one, DatabasePackage):
            why = "is a tar, of which no stream can be made; convert it with edxlogs.convert"
            raise FormatError(f"{one.place}: {why}", one.place)
        packages.append(one)
    return packages


def _snapshot(file: _File) -> Snapshot:
    package, member, course = file
    account = MemberAccount.begin(package.place, member.path, member.name)
    account.course = course
    return snapshot_of(account, "", package.place, 0)


class TableStream(ArrowStream):
    """The rows of one table, of all its files; read once.

    `pyarrow.table(stream)`, `polars.DataFrame(stream)`, DuckDB and
    `pandas.DataFrame.from_arrow(stream)` take it without a copy. Rows come as they are read, before
    the checks of their file are done. A file that fails its checks makes the stream raise before
    its end; until `verified` is true, nothing is sure.

    Attributes:
        account: what became of every file and row, complete after the end.
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
        package, member, course = file
        options = {"threads": max(1, self._workers // self.count), "course": course}
        try:
            done = self._reader.convert(package, member, self._rows, lambda: writer, options)
            return file, done
        finally:
            writer.close()

    def take(self, read: tuple[_File, Converted]) -> Sequence[MemberAccount]:
        """Enter a file into the account. Rows of one that failed went out, but do not count."""
        (package, member, course), done = read
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
        self.error = self.error or done.error
        self.account.members.append(entry)
        return [entry]

    def finish(self) -> None:
        self.account.check()


class Tables(Mapping[str, TableStream]):
    """The tables of packages by their names; each look gives a stream of its own.

    It prints as a table: their names, and from how many files each is read.

    Attributes:
        packages: that were opened.
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
                found.append((package, member, course))
        lost = set() if keep_all else {id(file) for file, _ in older(found, _snapshot)}
        for file in found:
            if id(file) not in lost and file[1].table is not None:
                self._files.setdefault(file[1].table.name, []).append(file)

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
