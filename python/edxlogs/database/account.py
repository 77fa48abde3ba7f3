"""Files of packages on their way to tables, and what became of each file and row."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson

from edxlogs import _core
from edxlogs.account import Counts, Entry, Ledger, Outcome, tallies
from edxlogs.edx.members import Key, MemberName
from edxlogs.edx.tables import Table
from edxlogs.errors import InternalError
from edxlogs.sources.reading import Reading
from edxlogs.store.manifest import DataFile
from edxlogs.text import many, shown

if TYPE_CHECKING:
    from edxlogs.database.package import DatabasePackage, Member
    from edxlogs.database.tars import TarPackage

_NAME_COURSE = "; list its course in a file for --known-courses, and run again"
SHOWN = 20  # lines of one kind


@dataclass
class RowCounts(Counts):
    """Counts of rows, without headers. Every row is in exactly one class.

    Attributes:
        left: rows of courses that were not asked for.
        misfits: values kept in the column `misfits`, by column.
        zero_dates: values such as `0000-00-00 00:00:00`, which are null.
        utf8: values that were not UTF-8.
        nul: NUL characters that were left out.
        crlf: rows of files whose lines end in CR and LF; the CR was left out.
    """

    whole = "rows"
    classes = ("rows_written", "rejected", "left", "withheld")
    unjudged = (*Counts.unjudged, "blank")

    rows_written: int = 0
    left: int = 0
    zero_dates: int = 0
    utf8: int = 0
    nul: int = 0
    crlf: int = 0
    misfits: dict[str, int] = field(default_factory=dict)


@dataclass
class Converted(Reading):
    """The result of reading a file of a package.

    Attributes:
        counts: rows and bytes.
        courses: courses in the content, with the number of rows of each.
        said: what else the core reports: unknown and missing columns, literals.
    """

    counts: RowCounts = field(default_factory=RowCounts)
    courses: dict[str, int] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)


@dataclass
class MemberAccount(Entry[RowCounts]):
    """What became of one file of a package.

    Attributes:
        package: path or URL of the package.
        member: name of the file inside.
        table: the table whose rows it holds; None if unknown.
        site: its site.
        course: its course; None if it is of no single course, or unknown.
        courses: in a file of several courses, those that were wanted; empty means all.
        output: where its rows are, below the output folder.
        earlier: whether an earlier run delivered it, or had it ready.
        literals: whether values were written as Python's bytes literals.
        unknown_columns: its columns that are kept in the column `extra`.
        missing_columns: columns of the table that it lacks, which are null.
    """

    counted = RowCounts

    package: str
    member: str
    table: str | None
    site: str | None
    course: str | None = None
    output: str | None = None
    earlier: bool = False
    literals: bool = False
    unknown_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    courses: list[str] = field(default_factory=list)
    status: Outcome = field(default=Outcome.LEFT, kw_only=True)
    counts: RowCounts = field(default_factory=RowCounts, kw_only=True)

    @classmethod
    def begin(cls, package: str, path: str, name: MemberName) -> Self:
        """The account of a file that was not read yet."""
        table, status = None if name.table is None else name.table.name, Outcome.LEFT
        if table is None:
            status = Outcome.UNKNOWN
        if name.failed:
            status = Outcome.FAILED
        return cls(package, path, table, name.site, status=status)

    @property
    def label(self) -> str:
        """Its name inside."""
        return self.member

    @property
    def is_all_rejected(self) -> bool:
        """Whether it has rows, but none that can be read."""
        return 0 < self.counts.rows == self.counts.rejected

    def leave_out(self) -> None:
        """Say that none of its rows can be read. They stay rejected, with their reasons."""
        counts = self.counts
        reasons = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.reasons.items()))
        why = f"none of its {many(counts.rows, 'row')} can be read: {reasons}"
        self.error = f"{self.package}: {self.member}: {why}; look at them with --rejects"
        self.status = Outcome.WITHHELD

    def warn_of_course(self) -> None:
        """Add the warning that its course is unknown, or remove it."""
        warning = f"{self.member}: its course is not known{_NAME_COURSE}"
        if warning in self.warnings:
            self.warnings.remove(warning)
        if self.course is None:
            self.warnings.append(warning)

    def withhold(self, error: str) -> None:
        """Take back what was counted, because it failed its checks."""
        self.status, self.error, self.counts = Outcome.WITHHELD, error, self.counts.as_withheld()


@dataclass(repr=False)
class TableAccount(Ledger[MemberAccount, RowCounts]):
    """The account of a conversion.

    Attributes:
        members: files of all packages, in order.
        stays: which tables are older than the newest package, one sentence each.
        packages: bytes read of each package that is encrypted or packed as a whole. They belong to
            none of its files.
    """

    counted = RowCounts
    noun = "file"

    members: list[MemberAccount] = field(default_factory=list)
    packages: dict[str, int] = field(default_factory=dict)
    stays: list[str] = field(default_factory=list)

    @property
    def entries(self) -> Sequence[MemberAccount]:
        """The files."""
        return self.members

    @property
    def total(self) -> RowCounts:
        """All files added up, plus the bytes of packages."""
        total: RowCounts = self._added(self.members)
        total.bytes_read += sum(self.packages.values())
        return total

    @property
    def is_whole(self) -> bool:
        """Whether everything that was asked for is delivered in full, and is not nothing."""
        there = (Outcome.DELIVERED, Outcome.OLDER)
        return super().is_whole and any(one.status in there for one in self.members)

    @property
    def rows_written(self) -> int:
        """Rows in the output."""
        return self.total.rows_written

    @property
    def tables(self) -> dict[str, RowCounts]:
        """Files that were read, with whatever result, added up by table."""
        by_table: dict[str, list[MemberAccount]] = {}
        for member in self.members:
            if member.status in (Outcome.DELIVERED, Outcome.WITHHELD):
                by_table.setdefault(member.table or "", []).append(member)
        return {table: self._added(members) for table, members in by_table.items()}

    def begin(self, place: str, path: str, name: MemberName) -> MemberAccount:
        """Add a file of a package of which only the name is known."""
        self.members.append(MemberAccount.begin(place, path, name))
        return self.members[-1]

    def enter(self, told: Mapping[str, Any], size: int) -> None:
        """Add what the manifest records about a file, or a package of `size` bytes that is one."""
        if "member" in told:
            self.members.append(MemberAccount.of(told["member"]))
        for _, member in told.get("members", [])[:1]:
            self.packages[member["package"]] = size

    def check(self) -> None:
        """Check that everything adds up, and that rows come only from what is delivered.

        Raises:
            InternalError: they do not.
        """
        super().check()
        for member in self.members:
            if member.status != Outcome.DELIVERED and member.counts.rows_written:
                raise InternalError(
                    f"{member.member}: rows were counted and not delivered; please report it"
                )

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document. `more` is added at the top level."""
        tables = {name: asdict(counts) for name, counts in self.tables.items()}
        return super().report(**more, tables=tables)

    def summary(self, seconds: float | None = None) -> Iterator[str]:
        """The account as a few lines for people. Names are escaped; the time is shown if given."""
        total, of = self.total, {one: len(self.of_status(one)) for one in Outcome}
        earlier = sum(member.earlier for member in self.members)
        yield (
            f"{many(len(self.members), 'file')}: {of[Outcome.DELIVERED]:,} delivered"
            f"{f' ({earlier:,} earlier)' if earlier else ''},"
            f" {of[Outcome.WITHHELD]:,} withheld, {of[Outcome.LEFT]:,} left,"
            f" {of[Outcome.FAILED]:,} failed at their export, {of[Outcome.UNKNOWN]:,} unknown"
            f"{f', {of[Outcome.OLDER]:,} older' if of[Outcome.OLDER] else ''}"
            f"{f', {of[Outcome.COPY]:,} copied' if of[Outcome.COPY] else ''}"
        )
        yield self._bytes(seconds)
        yield (
            f"{many(total.rows, 'row')}: {total.rows_written:,} written, {total.rejected:,}"
            f" rejected, {total.withheld:,} withheld"
            f"{f', {total.left:,} of other courses' if total.left else ''}"
        )
        yield from tallies({"rejected": total.reasons, "kept in misfits": total.misfits})
        unknown = sorted({name for member in self.members for name in member.unknown_columns})
        if unknown:
            yield f"unknown columns, kept in extra: {', '.join(map(shown, unknown))}"
        odd = {"zero dates": total.zero_dates, "not UTF-8": total.utf8, "NUL left out": total.nul}
        mended = {"CR before LF left out": total.crlf}
        yield from tallies({"odd values": odd, "mended": mended})
        yield from self.stays[:SHOWN]
        if (more := len(self.stays) - SHOWN) > 0:
            yield f"{many(more, 'more table')} stay as they were; --report names them"


def key_of(*parts: object) -> str:
    """A key for a file of a package, and for what was asked of it."""
    return hashlib.sha256(orjson.dumps(parts, default=str)).hexdigest()[:40]


Group = tuple[datetime.date | None, Key]
"""The day of a snapshot, and a course in it."""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of a package.

    Attributes:
        path: its name inside, escaped.
        name: what its name says.
        size: its size in the package, in bytes.
    """

    path: str
    name: MemberName
    size: int

    @property
    def table(self) -> Table | None:
        """The table whose rows it holds, unless its export failed."""
        return None if self.name.failed else self.name.table


@dataclass(slots=True)
class KnownFile:
    """What an earlier run did with a file.

    Attributes:
        number: number of the input.
        file: its rows, in their place or ready for it.
        account: its account in that run.
        courses: courses in its rows, with the number of rows of each.
        text: length and CRC-32 of its text, if there was a copy of it.
    """

    number: int
    file: DataFile
    account: MemberAccount
    courses: dict[str, int]
    text: Sequence[int] | None = None

    @property
    def is_published(self) -> bool:
        """Whether its file is in its place."""
        return self.file.holds_rows

    @property
    def output(self) -> str:
        """The place of its file, as accounts write it."""
        return self.file.path.removesuffix("/")


@dataclass(slots=True)
class Task:
    """Rows on their way to a file: those of a file of a package, or some derived from them.

    Attributes:
        name: key of its input, after which hidden files are named.
        table: table of the rows.
        key: what its name says about the course; files of one course share it.
        file_stem: beginning of the name that it will get.
        account: what became of it.
        read: reads it, given a number of threads, and returns the result.
        size: size in the package, in bytes.
        courses: courses in its rows, with the number of rows of each.
        rows: its hidden file or folder; None if it was not read.
        rejects: hidden file of rejected rows, which exists if there are any.
        known: what an earlier run did with it, or None.
        origin: the file, if others beside it can be looked into.
        day: day of the snapshot.
        release: identifies its package.
        sum: is fed its text, if there may be a copy of it.
    """

    name: str
    table: Table
    key: Key
    file_stem: str
    account: MemberAccount
    read: Callable[[int], list[MemberAccount]] = lambda _: []
    size: int = 0
    courses: dict[str, int] = field(default_factory=dict)
    rows: Path | None = None
    rejects: Path | None = None
    known: KnownFile | None = None
    origin: tuple[DatabasePackage, Member] | None = None
    day: datetime.date | None = None
    release: str = ""
    sum: _core.TextSum | None = None

    @property
    def text(self) -> list[int] | None:
        """Length and CRC-32 of its text; None if nobody asked for them."""
        if self.known is not None:
            return None if self.known.text is None else list(self.known.text)
        return None if self.sum is None else list(self.sum.total)

    def forget(self) -> None:
        """Have it read, whatever an earlier run did with it."""
        if self.known is not None:
            self.known, self.account.earlier, self.account.status = None, False, Outcome.LEFT
            self.account.counts, self.account.warnings = RowCounts(), []

    @property
    def is_published(self) -> bool:
        """Whether an earlier run did it, and its file is in its place."""
        return self.known is not None and self.known.is_published

    @property
    def may_go(self) -> bool:
        """Whether another host can read it: it is neither compared with copies nor a join."""
        return self.origin is not None and self.sum is None

    @property
    def is_loose(self) -> bool:
        """Whether it is from a folder, which may hold another file of the same name next time."""
        return self.origin is not None and not self.origin[0].is_zip

    @property
    def output(self) -> str:
        """The place of its file, once the course is known; for unpacked content, of its folder."""
        assert self.account.output is not None
        return f"{self.account.output}/" if self.table.is_content else self.account.output


@dataclass(slots=True)
class Release:
    """A package that is a tar and is being read.

    Attributes:
        package: the package.
        identity: identifies it, and this release of it.
        tasks: its files, in the order in which they came.
        joined: what is joined, by path: day and course, and the table.
        is_whole: whether it was read to its end and passed its checks.
    """

    package: TarPackage
    identity: tuple[object, ...]
    tasks: list[Task] = field(default_factory=list)
    joined: dict[str, tuple[Group, str]] = field(default_factory=dict)
    is_whole: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it and every file in it are whole."""
        return self.is_whole and all(
            one.account.status is not Outcome.WITHHELD for one in self.tasks
        )

    def to_join(self) -> dict[str, tuple[Group, str]]:
        """What to join, for courses of which something was delivered; without copies."""
        if not self.is_good:
            return {}
        lost = (Outcome.COPY, Outcome.OLDER)
        good = [one for one in self.tasks if one.account.status is Outcome.DELIVERED]
        groups = {(one.day, one.key) for one in good}
        there = {one.account.member for one in self.tasks if one.account.status not in lost}
        return {
            path: one
            for path, one in self.joined.items()
            if one[0] in groups and shown(path) in there
        }
