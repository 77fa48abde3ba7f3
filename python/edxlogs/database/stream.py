"""The tables of packages to Python, each as a stream of Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.arrow_stream import ArrowStream
from edxlogs.database.account import MemberAccount, TableAccount
from edxlogs.database.courses import Courses, TableChoice, course_of
from edxlogs.database.package import DatabasePackage, Member
from edxlogs.database.reading import Converted, TableReader, core_table
from edxlogs.edx.tables import tables as known_tables
from edxlogs.errors import OutputError, StoppedError
from edxlogs.gpg.process import Gpg
from edxlogs.text import table

_File = tuple[DatabasePackage, Member, str | None]


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
    _reader: TableReader
    _files: Sequence[_File]
    _table: _core.Table

    @property
    def _count(self) -> int:
        return len(self._files)

    @property
    def _control(self) -> _core.Control:
        return self._reader.control

    def _read(self, number: int, writer: _core.BatchWriter) -> Converted:
        package, member, course = self._files[number]
        options = {"threads": max(1, self._threads // len(self._files)), "course": course}
        return self._reader.convert(package, member, self._table, lambda: writer, options)

    def _enter(self, number: int, done: Converted) -> BaseException | None:
        """Enter a file into the account. Rows of one that failed went out, but do not count."""
        if isinstance(done.error, StoppedError | OutputError):
            raise done.error
        package, member, course = self._files[number]
        assert member.table is not None
        failed = done.error is not None
        self.account.members.append(
            MemberAccount(
                package=package.place,
                member=member.path,
                table=member.table.name,
                site=member.name.site,
                course=course or course_of(done.courses, member.name.stem),
                status=Outcome.WITHHELD if failed else Outcome.DELIVERED,
                counts=done.counts.as_withheld() if failed else done.counts,
                error=None if done.error is None else str(done.error),
            )
        )
        return done.error

    def _end(self) -> None:
        """Nothing is held between files."""


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
    ) -> None:
        self.packages = packages
        self._gpg = gpg
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
        for package, member in wanted:
            assert member.table is not None
            course = courses.course(member.name.key) if member.table.is_of_course else None
            if choice.wants_course(course):
                files = self._files.setdefault(member.table.name, [])
                files.append((package, member, course))

    def __getitem__(self, name: str) -> TableStream:
        control = _core.Control()
        table = core_table(name, expand=self._expand, has_course=True)
        stream = TableStream(table, control)
        stream.account = TableAccount()
        stream._reader = TableReader(self._gpg, control)
        stream._files = self._files[name]
        stream._table = table
        stream._threads = self._threads
        stream._error = None
        stream._started = False
        return stream

    def __iter__(self) -> Iterator[str]:
        return (name for name in known_tables() if name in self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __str__(self) -> str:
        rows = [[name, f"{len(self._files[name]):,}"] for name in self]
        return "\n".join(table([["table", "files"], *rows], right=(1,)))

    __repr__ = __str__
