"""Counts that add up: what became of every file of a package, and of every row in it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from edxlogs.account import add_fields
from edxlogs.errors import InternalError
from edxlogs.text import many, shown, size

SCHEMA_VERSION = 1


class Status(enum.StrEnum):
    """What became of a file of a package."""

    DELIVERED = "delivered"
    WITHHELD = "withheld"
    """It failed its checks: no row of it is delivered."""
    LEFT = "left"
    """Not of the courses, tables or sites asked for, or content that was not to be unpacked."""
    FAILED = "failed"
    """In place of a table, the words of an export that failed."""
    UNKNOWN = "unknown"
    """Its name says no table."""


@dataclass(slots=True)
class Counts:
    """Counts of one file, or of several added up.

    `rows` are `rows_written`, `rejected` and `withheld`.

    Attributes:
        bytes_read: as they are in the package.
        bytes_expanded: of text, decrypted.
        blank: lines that hold nothing.
        rows: read, headers aside.
        misfits: values kept in the column `misfits`, by column.
        zero_dates: values such as `0000-00-00 00:00:00`, which are null.
        utf8: values that were not UTF-8.
        nul: NUL characters that were left out.
        reasons: rejected rows by reason.
    """

    bytes_read: int = 0
    bytes_expanded: int = 0
    blank: int = 0
    rows: int = 0
    rows_written: int = 0
    rejected: int = 0
    withheld: int = 0
    zero_dates: int = 0
    utf8: int = 0
    nul: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    misfits: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: Mapping[str, Any], bytes_read: int) -> Self:
        """Take the counts of a conversion."""
        names = {item.name for item in fields(cls)}
        taken = {name: count for name, count in counts.items() if name in names}
        rejected = sum(counts["reasons"].values())
        return cls(**taken, bytes_read=bytes_read, rejected=rejected)

    def add(self, other: Counts) -> None:
        """Add the counts of `other`."""
        add_fields(self, other)

    def as_withheld(self) -> Counts:
        """The counts of a file that failed its checks."""
        return Counts(
            bytes_read=self.bytes_read,
            bytes_expanded=self.bytes_expanded,
            blank=self.blank,
            rows=self.rows,
            withheld=self.rows,
        )

    def check(self, what: str) -> None:
        """Raise `InternalError` unless the rows add up."""
        if self.rows != self.rows_written + self.rejected + self.withheld:
            raise InternalError(
                f"the account of {what} does not add up: {self.rows} rows read,"
                f" {self.rows_written} written, {self.rejected} rejected, {self.withheld} withheld;"
                " please report it"
            )


@dataclass(slots=True)
class MemberAccount:
    """What became of one file of a package.

    Attributes:
        package: path or URL of the package.
        member: name of the file inside.
        table: whose rows it holds; None: not known.
        site: whose platform.
        course: whose rows they are; None: of no single course, or not known.
        status: what became of it.
        counts: rows and bytes.
        output: where its rows are, below the folder of the output.
        earlier: an earlier run has delivered it, or had it ready.
        error: why it is withheld.
        literals: values were written as Python's bytes literals.
        unknown_columns: of the file, kept in the column `extra`.
        missing_columns: of the table, null.
        warnings: one sentence each.
    """

    package: str
    member: str
    table: str | None
    site: str | None
    course: str | None = None
    status: Status = Status.LEFT
    counts: Counts = field(default_factory=Counts)
    output: str | None = None
    earlier: bool = False
    error: str | None = None
    literals: bool = False
    unknown_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class TableAccount:
    """What a conversion did.

    Attributes:
        members: of all packages, in their order.
        packages: bytes read of each that is encrypted or packed as one, none of which are of one
            of its files alone.
        failed: packages that could not be opened: why.
    """

    members: list[MemberAccount] = field(default_factory=list)
    packages: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    @property
    def total(self) -> Counts:
        """All files added up, and the bytes of packages beside them."""
        total = _total(self.members)
        total.bytes_read += sum(self.packages.values())
        return total

    @property
    def tables(self) -> dict[str, Counts]:
        """Files that were read, added up by table."""
        by_table: dict[str, list[MemberAccount]] = {}
        for member in self.read:
            by_table.setdefault(member.table or "", []).append(member)
        return {table: _total(members) for table, members in by_table.items()}

    @property
    def read(self) -> list[MemberAccount]:
        """Files that were read, whatever came of it."""
        return [one for one in self.members if one.status in (Status.DELIVERED, Status.WITHHELD)]

    @property
    def is_whole(self) -> bool:
        """Whether every file that was asked for is delivered."""
        return not self.failed and all(one.status != Status.WITHHELD for one in self.members)

    def of_status(self, status: Status) -> list[MemberAccount]:
        """Files of which that became."""
        return [member for member in self.members if member.status == status]

    def check(self) -> None:
        """Raise `InternalError` unless everything adds up."""
        for member in self.members:
            member.counts.check(member.member)
            if member.status != Status.DELIVERED and member.counts.rows_written:
                raise InternalError(
                    f"{member.member}: rows were counted and not delivered; please report it"
                )
        self.total.check("the run")

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document; `more` joins it at the top level."""
        return {
            "schema_version": SCHEMA_VERSION,
            **more,
            "total": asdict(self.total),
            "tables": {name: asdict(counts) for name, counts in self.tables.items()},
            "packages": self.packages,
            "members": [asdict(member) for member in self.members],
            "failed": self.failed,
        }


def _total(members: list[MemberAccount]) -> Counts:
    total = Counts()
    for member in members:
        total.add(member.counts)
    return total


def summary(account: TableAccount, seconds: float) -> list[str]:
    """The account in a few lines for a person, names escaped."""
    earlier = sum(member.earlier for member in account.members)
    total, counted = account.total, {one: len(account.of_status(one)) for one in Status}
    lines = [
        f"{many(len(account.members), 'file')}: {counted[Status.DELIVERED]:,} delivered"
        f"{f' ({earlier:,} earlier)' if earlier else ''},"
        f" {counted[Status.WITHHELD]:,} withheld, {counted[Status.LEFT]:,} left,"
        f" {counted[Status.FAILED]:,} failed at their export, {counted[Status.UNKNOWN]:,} unknown",
        f"{size(total.bytes_read)} read, {size(total.bytes_expanded)} expanded, {seconds:.1f} s",
        f"{many(total.rows, 'row')}: {total.rows_written:,} written, {total.rejected:,} rejected,"
        f" {total.withheld:,} withheld",
    ]
    for title, counts in (("rejected", total.reasons), ("kept in misfits", total.misfits)):
        if counts:
            listed = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
            lines.append(f"{title}: {listed}")
    unknown = sorted({name for member in account.members for name in member.unknown_columns})
    if unknown:
        lines.append(f"unknown columns, kept in extra: {', '.join(map(shown, unknown))}")
    odd = {"zero dates": total.zero_dates, "not UTF-8": total.utf8, "NUL left out": total.nul}
    if any(odd.values()):
        named = ", ".join(f"{name} {count:,}" for name, count in odd.items() if count)
        lines.append(f"odd values: {named}")
    return lines
