"""Counts that add up: what became of every line, for each source and in total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from edxlogs.errors import InternalError
from edxlogs.text import many, size

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA_VERSION = 1


def add_fields(counts: DataclassInstance, more: DataclassInstance) -> None:
    """Add counts of the same class: numbers, and dicts of numbers by their keys."""
    for item in fields(counts):
        mine, other = getattr(counts, item.name), getattr(more, item.name)
        if isinstance(mine, dict):
            for name, count in other.items():
                mine[name] = mine.get(name, 0) + count
        else:
            setattr(counts, item.name, mine + other)


@dataclass(slots=True)
class Counts:
    """Counts of one source, or of several added up.

    Each line is in one class: `blank`, `rejected`, `kept`, `dropped`, `duplicate` or `withheld`;
    the classes add up to `lines`. Rejects by reason, mends and odd values are counted over the
    lines that were `parsed`; the others were dropped by their bytes alone.
    """

    bytes_read: int = 0
    bytes_expanded: int = 0
    lines: int = 0
    blank: int = 0
    rejected: int = 0
    kept: int = 0
    dropped: int = 0
    duplicate: int = 0
    withheld: int = 0
    parsed: int = 0
    sampled: int = 0
    rows: int = 0
    late: int = 0
    latest_days: int = 0
    members: int = 0
    trailing_bytes: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    mends: dict[str, int] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: Mapping[str, Any]) -> Self:
        """Take the counts of a scan."""
        return cls(**counts)

    def add(self, other: Counts) -> None:
        """Add the counts of `other`."""
        latest = max(self.latest_days, other.latest_days)
        add_fields(self, other)
        self.latest_days = latest

    def as_withheld(self) -> Counts:
        """The counts of a source that failed its checks: all its lines are withheld."""
        return Counts(
            bytes_read=self.bytes_read,
            bytes_expanded=self.bytes_expanded,
            lines=self.lines,
            withheld=self.lines,
        )

    def check(self, what: str) -> None:
        """Raise `InternalError` unless the classes add up to the lines."""
        classes = self.blank + self.rejected + self.kept + self.dropped
        classes += self.duplicate + self.withheld
        if classes != self.lines or sum(self.reasons.values()) != self.rejected:
            raise InternalError(
                f"the account of {what} does not add up: {self.lines} lines, {classes} in classes;"
                " please report it"
            )


@dataclass(slots=True)
class SourceAccount:
    """What became of one source.

    Attributes:
        source: base name.
        path: as it was opened, with the member if it is one.
        status: `delivered`, `salvaged`, or `withheld`.
        unauthenticated: salvaged from an OpenPGP message whose end was never checked.
        error: why not delivered whole.
        warnings: one sentence each.
        counts: lines by class, and the rest.
        ignored: members of it, if it is a tar, whose names are not recognised.
        skipped: members of it that are not of the site or the days asked for.
    """

    source: str
    path: str
    status: str
    counts: Counts
    unauthenticated: bool = False
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Take a document apart, as `asdict` makes it."""
        return cls(**{**document, "counts": Counts.of(document["counts"])})


@dataclass(slots=True)
class Account:
    """What a run did.

    Attributes:
        sources: in the order they were read.
        failed: what should have been read and could not be found or opened.
        skipped: paths of sources, and of members of tars, left unopened because of their date or
            site.
        ignored: files in searched folders and tars whose names are not recognised.
        warnings: one sentence each.
        rows_written: rows in the output.
    """

    sources: list[SourceAccount] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rows_written: int = 0

    def enter(self, source: SourceAccount) -> None:
        """Take the next source, whichever run has read it."""
        self.sources.append(source)
        self.rows_written += source.counts.rows
        self.ignored += source.ignored
        self.skipped += source.skipped

    @property
    def total(self) -> Counts:
        """All sources added up."""
        total = Counts()
        for source in self.sources:
            total.add(source.counts)
        return total

    @property
    def is_whole(self) -> bool:
        """Whether every source was delivered whole."""
        return not self.failed and all(one.status == "delivered" for one in self.sources)

    @property
    def is_all_withheld(self) -> bool:
        """Whether something failed and no source is left: an empty output would pass for whole."""
        return not self.is_whole and all(one.status == "withheld" for one in self.sources)

    def check(self) -> None:
        """Raise `InternalError` unless everything adds up."""
        for source in self.sources:
            source.counts.check(source.source)
        total = self.total
        total.check("the run")
        if total.rows != self.rows_written:
            raise InternalError(
                f"{total.rows} rows were counted and {self.rows_written} written; please report it"
            )

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document; `more` joins it at the top level."""
        return {
            "schema_version": SCHEMA_VERSION,
            **more,
            "total": asdict(self.total),
            "rows_written": self.rows_written,
            "sources": [asdict(source) for source in self.sources],
            "failed": self.failed,
            "skipped": self.skipped,
            "ignored": self.ignored,
            "warnings": self.warnings,
        }


def summary(account: Account, seconds: float) -> list[str]:
    """The account in a few lines for a person, names escaped."""
    total = account.total
    duplicates = f", {many(total.duplicate, 'duplicate')}" if total.duplicate else ""
    lines = [
        f"{many(len(account.sources), 'source')}, {size(total.bytes_read)} read,"
        f" {size(total.bytes_expanded)} expanded, {seconds:.1f} s",
        f"{many(total.lines, 'line')}: {total.kept:,} kept, {total.dropped:,} dropped,"
        f" {total.blank:,} blank, {total.rejected:,} rejected, {total.withheld:,} withheld"
        f"{duplicates} ({total.parsed:,} parsed)",
    ]
    for title, counts in (
        ("rejected", total.reasons),
        ("mended", total.mends),
        ("odd values", total.odd),
    ):
        if counts:
            listed = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
            lines.append(f"{title}: {listed}")
    if total.late:
        lines.append(
            f"{many(total.late, 'late event')}, up to {many(total.latest_days, 'day')} older"
            " than the day of their file"
        )
    if account.skipped:
        lines.append(f"{many(len(account.skipped), 'source')} skipped by date or site")
    if account.ignored:
        lines.append(f"{many(len(account.ignored), 'file')} ignored: the name is not recognised")
    return lines
