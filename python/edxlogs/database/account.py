"""Files of packages on their way, and what became of each and of every row in it."""

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
    """Counts of rows, headers aside, each in one class.

    Attributes:
        left: rows of courses that were not asked for.
        misfits: values kept in the column `misfits`, by column.
        zero_dates: values such as `0000-00-00 00:00:00`, which are null.
        utf8: values that were not UTF-8.
        nul: NUL characters that were left out.
        crlf: rows of files whose lines end at CR and LF, of which the CR was left out.
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
    """What reading a file of a package came to.

    Attributes:
        counts: rows and bytes.
        courses: that the content tells, with the rows of each.
        said: what else the core says: unknown and missing columns, literals.
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
        table: whose rows it holds; None: not known.
        site: whose platform.
        course: whose rows they are; None: of no single course, or not known.
        courses: that alone were wanted, of a file of several; none means all.
        output: where its rows are, below the folder of the output.
        earlier: an earlier run has delivered it, or had it ready.
        literals: values were written as Python's bytes literals.
        unknown_columns: of the file, kept in the column `extra`.
        missing_columns: of the table, null.
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
        """That of a file which was not read yet."""
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
        """Whether it has rows, of which none can be read."""
        return 0 < self.counts.rows == self.counts.rejected

    def leave_out(self) -> None:
        """Say that none of its rows can be read; they stay rejected, for a reason."""
        counts = self.counts
        reasons = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.reasons.items()))
        why = f"none of its {many(counts.rows, 'row')} can be read: {reasons}"
        self.error = f"{self.package}: {self.member}: {why}; look at them with --rejects"
        self.status = Outcome.WITHHELD

    def warn_of_course(self) -> None:
        """Say that its course is not known, or no more that it was not."""
        warning = f"{self.member}: its course is not known{_NAME_COURSE}"
        if warning in self.warnings:
            self.warnings.remove(warning)
        if self.course is None:
            self.warnings.append(warning)

    def withhold(self, error: str) -> None:
        """Take back what was counted of it: it failed its checks."""
        self.status, self.error, self.counts = Outcome.WITHHELD, error, self.counts.as_withheld()


@dataclass(repr=False)
class TableAccount(Ledger[MemberAccount, RowCounts]):
    """What a conversion did.

    Attributes:
        members: of all packages, in their order.
        stays: which tables are older than the newest package, a sentence each.
        packages: bytes read of each that is encrypted or packed as one, none of which are of one
            of its files alone.
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
        """All files added up, and the bytes of packages beside them."""
        total: RowCounts = self._added(self.members)
        total.bytes_read += sum(self.packages.values())
        return total

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for is delivered whole, and that is not nothing."""
        there = (Outcome.DELIVERED, Outcome.OLDER)
        return super().is_whole and any(one.status in there for one in self.members)

    @property
    def rows_written(self) -> int:
        """Rows in the output."""
        return self.total.rows_written

    @property
    def tables(self) -> dict[str, RowCounts]:
        """Files that were read, whatever came of it, added up by table."""
        by_table: dict[str, list[MemberAccount]] = {}
        for member in self.members:
            if member.status in (Outcome.DELIVERED, Outcome.WITHHELD):
                by_table.setdefault(member.table or "", []).append(member)
        return {table: self._added(members) for table, members in by_table.items()}

    def begin(self, place: str, path: str, name: MemberName) -> MemberAccount:
        """Take a file of a package of which nothing is known but its name."""
        self.members.append(MemberAccount.begin(place, path, name))
        return self.members[-1]

    def enter(self, told: Mapping[str, Any], size: int) -> None:
        """Take what the manifest has of a file, or of a package of so many bytes that was one."""
        if "member" in told:
            self.members.append(MemberAccount.of(told["member"]))
        for _, member in told.get("members", [])[:1]:
            self.packages[member["package"]] = size

    def check(self) -> None:
        """Raise `InternalError` unless everything adds up, and rows are of what is delivered."""
        super().check()
        for member in self.members:
            if member.status != Outcome.DELIVERED and member.counts.rows_written:
                raise InternalError(
                    f"{member.member}: rows were counted and not delivered; please report it"
                )

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document; `more` joins it at the top level."""
        tables = {name: asdict(counts) for name, counts in self.tables.items()}
        return super().report(**more, tables=tables)

    def summary(self, seconds: float | None = None) -> Iterator[str]:
        """The account in a few lines for a person, names escaped, and the time that it took."""
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
    """A name for a file of a package, and for what was asked of it."""
    return hashlib.sha256(orjson.dumps(parts, default=str)).hexdigest()[:40]


Group = tuple[datetime.date | None, Key]
"""The day of a snapshot, and a course in it."""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of a package.

    Attributes:
        path: its name inside, escaped.
        name: what its name says.
        size: its bytes, as they are in the package.
    """

    path: str
    name: MemberName
    size: int

    @property
    def table(self) -> Table | None:
        """The table that it holds rows of, unless its export failed."""
        return None if self.name.failed else self.name.table


@dataclass(slots=True)
class KnownFile:
    """What an earlier run has done of a file.

    Attributes:
        number: of the input.
        file: its rows, in their place or ready for it.
        account: as that run had it.
        courses: that its rows tell, with how many are of each.
        text: length and CRC-32 of its text, where there was a copy of it.
    """

    number: int
    file: DataFile
    account: MemberAccount
    courses: dict[str, int]
    text: Sequence[int] | None = None

    @property
    def is_published(self) -> bool:
        """Whether its file has its place."""
        return self.file.holds_rows

    @property
    def output(self) -> str:
        """Place of its file, as accounts have it."""
        return self.file.path.removesuffix("/")


@dataclass(slots=True)
class Task:
    """Rows on their way to a file: those of a file of a package, or what follows from them.

    Attributes:
        name: the key of its input; hidden files are called by it.
        table: whose rows.
        key: what its name says of the course, which files of one course share.
        file_stem: of the name it will get.
        account: what became of it.
        read: reads it with so many threads; what became of it.
        size: bytes in the package.
        courses: that its rows tell, with how many are of each.
        rows: its hidden file, or folder; None: it was not read.
        rejects: the hidden file of rejected rows, which is there if there are any.
        known: what an earlier run has done of it.
        origin: the file, where it can be looked for what is beside it.
        day: of the snapshot.
        release: tells its package from others.
        sum: is told its text, where there may be a copy of it.
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
        """Length and CRC-32 of its text; None where nobody asked for them."""
        if self.known is not None:
            return None if self.known.text is None else list(self.known.text)
        return None if self.sum is None else list(self.sum.total)

    def forget(self) -> None:
        """Have it read, whatever an earlier run has done of it."""
        if self.known is not None:
            self.known, self.account.earlier, self.account.status = None, False, Outcome.LEFT
            self.account.counts, self.account.warnings = RowCounts(), []

    @property
    def is_published(self) -> bool:
        """Whether an earlier run has done it, and its file has its place."""
        return self.known is not None and self.known.is_published

    @property
    def may_go(self) -> bool:
        """Whether another host can read it: it is not compared with copies, nor a join."""
        return self.origin is not None and self.sum is None

    @property
    def is_loose(self) -> bool:
        """Whether it is of a folder, which may hold another file of that name the next time."""
        return self.origin is not None and not self.origin[0].is_zip

    @property
    def output(self) -> str:
        """Place of its file, known when its course is; that of unpacked content is a folder's."""
        assert self.account.output is not None
        return f"{self.account.output}/" if self.table.is_content else self.account.output


@dataclass(slots=True)
class Release:
    """A tar of a package that is read.

    Attributes:
        package: it.
        identity: what tells it from others and from other releases of it.
        tasks: its files, as they came by.
        joined: what is joined of it, by path: day and course, and the table.
        is_whole: whether it was read to its end, and passed its checks.
    """

    package: TarPackage
    identity: tuple[object, ...]
    tasks: list[Task] = field(default_factory=list)
    joined: dict[str, tuple[Group, str]] = field(default_factory=dict)
    is_whole: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it is whole, and so is every file of it."""
        return self.is_whole and all(
            one.account.status is not Outcome.WITHHELD for one in self.tasks
        )

    def to_join(self) -> dict[str, tuple[Group, str]]:
        """What is joined of it, of courses that something was delivered of; copies left out."""
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
