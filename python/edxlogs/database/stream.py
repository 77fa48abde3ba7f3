"""The tables of packages to Python, each as a stream of Arrow batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.arrow_stream import ArrowStream
from edxlogs.database.account import MemberAccount, TableAccount
from edxlogs.database.courses import Courses, TableChoice
from edxlogs.database.package import DatabasePackage, Member, open_package
from edxlogs.database.reading import Converted, TableReader, core_table
from edxlogs.database.stems import course_of
from edxlogs.edx.names import KNOWN_SITES
from edxlogs.edx.tables import tables as known_tables
from edxlogs.errors import OutputError, StoppedError
from edxlogs.gpg.process import Gpg
from edxlogs.s3.client import S3
from edxlogs.threads import worker_count
from edxlogs.values import Values, values

OnePackage = str | PathLike[str]
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


def tables(
    packages: OnePackage | Iterable[OnePackage],
    *,
    course: Values = None,
    site: Values = None,
    known_courses: Values = None,
    expand: bool = False,
    s3: S3 | None = None,
    gnupg_home: OnePackage | None = None,
    passphrase_file: OnePackage | None = None,
    prompt: bool = False,
    threads: int = 0,
) -> Tables:
    """Open database packages, and give their tables as streams of Arrow batches.

    To find the course of files whose rows do not tell it, the beginning of another file of each
    course is read.

    Args:
        packages: paths or `s3://` URLs of zips.
        course: course ids or globs, or `@FILE` with one a line; None means all, and files of no
            single course, too.
        site: `prod`, `edge`, …; None means all.
        known_courses: ids that exist; a file whose course nothing tells is of one spelled like it.
        expand: whether courseware_studentmodule has columns of what is in its `state`.
        s3: where URLs lead; None: as the AWS configuration says.
        gnupg_home: the key ring's folder; None: GnuPG's own default.
        passphrase_file: its first line unlocks the key.
        prompt: whether the agent may ask for a passphrase.
        threads: files read at once; 0 means one per core. Never changes the answer.

    Returns:
        Tables by name, those alone that a package holds. Rows have the columns that
        `edxlogs db convert` writes, and `course_id`: the course of their file, where it is known.

    Raises:
        ConfigError: a file of values cannot be read, or holds none.
        FormatError: a package is no zip, or must not be trusted.
        SourceError: a package cannot be opened.

    Source: EdX Research Guide, "Data Delivered in Data Packages".
    """
    places = [packages] if isinstance(packages, str | PathLike) else packages
    gpg = Gpg(
        home=None if gnupg_home is None else Path(gnupg_home),
        passphrase_file=None if passphrase_file is None else Path(passphrase_file),
        prompt=prompt,
    )
    choice = TableChoice(
        courses=tuple(values("course", course)),
        sites=tuple(KNOWN_SITES.get(one, one) for one in values("site", site)),
        known_courses=tuple(values("known-courses", known_courses)),
    )
    opened = [open_package(fspath(place), s3) for place in places]
    return Tables(opened, choice, gpg, worker_count(threads), expand=expand)
