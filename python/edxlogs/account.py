"""Accounts, in counts that add up: what became of every line or row, by input and in total."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Generic, Self, TypeVar

from edxlogs import _core
from edxlogs.errors import InternalError
from edxlogs.text import many, size

SCHEMA_VERSION = 1


class Outcome(enum.StrEnum):
    """What became of a source of events, or of a file of a package."""

    DELIVERED = "delivered"
    SALVAGED = "salvaged"
    """It is damaged. What comes before the damage is delivered."""
    WITHHELD = "withheld"
    """It failed its checks. Nothing of it is delivered."""
    COPY = "copy"
    """It holds the same text as another source, which is delivered."""
    NO_LOG = "no_log"
    """It has lines, but none of the first ones is an event, and nothing of it was kept."""
    LEFT = "left"
    """It is of other courses, tables or sites than asked for, or content not to be unpacked."""
    UNVERIFIED = "unverified"
    """It supplied the last row asked for. The rest was not read, and no check was done."""
    FAILED = "failed"
    """It holds the error message of a failed export instead of a table."""
    OLDER = "older"
    """A newer snapshot holds the same table of the same course."""
    UNKNOWN = "unknown"
    """Its name matches no table."""


@dataclass
class Counts:
    """Counts of one input, or of several added up.

    Attributes:
        bytes_read: bytes as stored.
        bytes_expanded: bytes of text, decrypted and inflated.
        blank: empty lines.
        rows: for events, rows delivered; for tables, rows read.
        rejected: lines or rows that cannot be read.
        withheld: lines or rows of inputs that failed their checks.
        reasons: number rejected, by reason.
    """

    whole: ClassVar[str]
    """Name of the count that the classes add up to."""
    classes: ClassVar[Sequence[str]]
    unjudged: ClassVar[Sequence[str]] = ("bytes_read", "bytes_expanded")
    """Counts that an input keeps, besides the whole, if it failed its checks."""

    bytes_read: int = 0
    bytes_expanded: int = 0
    blank: int = 0
    rows: int = 0
    rejected: int = 0
    withheld: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, other: Self) -> None:
        """Add the counts of `other`: numbers, and dicts of numbers key by key."""
        for name, more in vars(other).items():
            if not more:  # most are zero, of most inputs
                continue
            mine = getattr(self, name)
            if isinstance(mine, dict):
                for key, count in more.items():
                    mine[key] = mine.get(key, 0) + count
            else:
                setattr(self, name, mine + more)

    def as_withheld(self) -> Self:
        """The counts of an input that failed its checks: all of it is withheld."""
        whole = getattr(self, self.whole)
        kept = {name: getattr(self, name) for name in self.unjudged}
        return type(self)(**{**kept, self.whole: whole, "withheld": whole})

    def check(self, what: str) -> None:
        """Check that the classes add up to the whole.

        Raises:
            InternalError: they do not.
        """
        whole = getattr(self, self.whole)
        is_whole = sum(getattr(self, name) for name in self.classes) == whole
        if not is_whole or sum(self.reasons.values()) != self.rejected:
            counted = {name: getattr(self, name) for name in self.classes}
            told = ", ".join(f"{count} {name}" for name, count in counted.items())
            raise InternalError(
                f"the account of {what} does not add up: {whole} {self.whole} read: {told};"
                f" {sum(self.reasons.values())} rejected for a reason; please report it"
            )


@dataclass
class LineCounts(Counts):
    """Counts of lines. Every line is in exactly one class.

    Only lines that were `parsed` can be counted as rejected, mended or odd. The others were dropped
    by their bytes alone.

    Attributes:
        lines: all lines.
        kept: lines with an event that matches.
        dropped: lines that do not match.
        duplicate: lines that an earlier source held.
        parsed: lines that were parsed.
        sampled: dropped lines that were parsed all the same, to check that dropping them is right.
        joined: pieces of messages that a log shipper had cut, except the first piece. They are in
            the class of the first piece's line.
        hollow: rejected lines that a log shipper wrapped soundly around something other than an
            event.
        first_events: events among the first 100 lines, broken ones included.
        first_rejects: rejected lines among the first 100.
        lone_braces: rejected lines that are only a `{`.
        late: selected events more than a day older than the day of their file.
        latest_days: the most days that an event was late.
        members: gzip members.
        trailing_bytes: bytes after the last gzip member that are not padding.
        mends: mended lines, by kind.
        odd: odd values, by kind.
        homes: for event tables, kept events by their home table.
    """

    whole = "lines"
    classes = ("blank", "rejected", "kept", "dropped", "duplicate", "withheld")

    lines: int = 0
    kept: int = 0
    dropped: int = 0
    duplicate: int = 0
    parsed: int = 0
    sampled: int = 0
    joined: int = 0
    hollow: int = 0
    first_events: int = 0
    first_rejects: int = 0
    lone_braces: int = 0
    late: int = 0
    latest_days: int = 0
    members: int = 0
    trailing_bytes: int = 0
    mends: dict[str, int] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    homes: dict[str, int] = field(default_factory=dict)

    def as_copy(self) -> Self:
        """The counts of a source whose text another source holds: all its lines are duplicates."""
        kept = {name: getattr(self, name) for name in self.unjudged}
        return type(self)(**kept, lines=self.lines, duplicate=self.lines)

    def add(self, other: Self) -> None:
        """Add the counts of `other`. `latest_days` is the larger of the two."""
        latest = max(self.latest_days, other.latest_days)
        super().add(other)
        self.latest_days = latest


C = TypeVar("C", bound=Counts)


@dataclass(kw_only=True)
class Entry(ABC, Generic[C]):
    """What became of one input.

    Attributes:
        status: the outcome, in a word.
        counts: bytes, and lines or rows by class.
        error: why it is not delivered in full, or None.
        warnings: one sentence each.
    """

    counted: ClassVar[type[Counts]]

    status: Outcome
    counts: C
    error: str | None = None
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Rebuild an entry from a document that `asdict` made."""
        counts = cls.counted(**document["counts"])
        return cls(**{**document, "status": Outcome(document["status"]), "counts": counts})

    @property
    @abstractmethod
    def label(self) -> str:
        """Its name in messages of the account."""


@dataclass
class SourceAccount(Entry[LineCounts]):
    """What became of one source.

    Attributes:
        source: its base name.
        path: its path as opened, with the member if it is in a tar.
        unauthenticated: whether it was salvaged from an OpenPGP message whose end was never
            checked.
        ignored: for a tar, its members without a recognised name.
        skipped: for a tar, its members of other sites or days than asked for.
    """

    counted = LineCounts

    source: str
    path: str
    unauthenticated: bool = False
    ignored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Its base name."""
        return self.source


E = TypeVar("E", bound=Entry[Any])


@dataclass(kw_only=True, repr=False)
class Ledger(ABC, Generic[E, C]):
    """The account of a run, entry by entry. It prints as a few lines.

    Attributes:
        failed: inputs that could not be found or opened, with the reason.
    """

    counted: ClassVar[type[Counts]]
    noun: ClassVar[str]
    """What an input is called."""

    failed: list[str] = field(default_factory=list)

    @property
    @abstractmethod
    def entries(self) -> Sequence[E]:
        """The entries, in the order they were read."""

    @property
    def total(self) -> C:
        """All entries added up."""
        total: C = self._added(self.entries)
        return total

    @classmethod
    def _added(cls, entries: Iterable[E]) -> Any:
        total = cls.counted()
        for one in entries:
            total.add(one.counts)
        return total

    @property
    def is_whole(self) -> bool:
        """Whether everything that was asked for is delivered in full."""
        lacking = (Outcome.WITHHELD, Outcome.SALVAGED, Outcome.NO_LOG)
        return not self.failed and all(one.status not in lacking for one in self.entries)

    def of_status(self, status: Outcome) -> list[E]:
        """The entries with this outcome."""
        return [one for one in self.entries if one.status == status]

    def check(self) -> None:
        """Check that everything adds up.

        Raises:
            InternalError: it does not.
        """
        for one in self.entries:
            one.counts.check(one.label)
        self.total.check("the run")

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document. `more` is added at the top level."""
        total = asdict(self.total)
        return {"schema_version": SCHEMA_VERSION, **more, "total": total, **asdict(self)}

    def __str__(self) -> str:
        return "\n".join(self.summary())

    __repr__ = __str__

    @abstractmethod
    def summary(self, seconds: float | None = None) -> Iterator[str]:
        """The account as a few lines for people. Names are escaped; the time is shown if given."""

    def _bytes(self, seconds: float | None) -> str:
        total, took = self.total, "" if seconds is None else f", {seconds:.1f} s"
        return f"{size(total.bytes_read)} read, {size(total.bytes_expanded)} expanded{took}"


@dataclass(frozen=True, slots=True)
class TableRows:
    """How many rows an event table has.

    Attributes:
        table: name of the table.
        kind: how its rows relate to events: `home`, `children` or `apart`.
        rows: number of rows, over all inputs.
    """

    table: str
    kind: str
    rows: int


@dataclass(frozen=True, repr=False)
class Done(ABC):
    """The result of a function that keeps an account. It prints as a few lines.

    Attributes:
        account: what became of everything that was read.
    """

    account: Ledger[Any, Any]

    @property
    def is_whole(self) -> bool:
        """Whether everything that was asked for is delivered in full."""
        return self.account.is_whole

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document. `more` is added at the top level."""
        return self.account.report(version=_core.__version__, **more)

    @abstractmethod
    def __str__(self) -> str: ...

    def __repr__(self) -> str:
        return str(self)


def tallies(titles: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """One line for each title with at least one count that is not zero."""
    for title, counts in titles.items():
        named = [f"{name} {count:,}" for name, count in sorted(counts.items()) if count]
        if named:
            yield f"{title}: {', '.join(named)}"


@dataclass(repr=False)
class Account(Ledger[SourceAccount, LineCounts]):
    """The account of a run over events.

    Attributes:
        sources: the sources, in the order they were read.
        skipped: paths of sources and tar members that were not opened because of their date or
            site.
        ignored: files in searched folders and tars whose names are not recognised.
        unread: paths of sources that were no longer needed once there were enough rows.
        warnings: one sentence each.
        rows_written: rows in the output.

    Examples:
        >>> account = edxlogs.check("logs/").account
        >>> account.total.lines, account.total.reasons
        >>> [one.source for one in account.sources if one.error is not None]
    """

    counted = LineCounts
    noun = "source"

    sources: list[SourceAccount] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rows_written: int = 0

    @property
    def entries(self) -> Sequence[SourceAccount]:
        """The sources."""
        return self.sources

    def enter(self, source: SourceAccount) -> None:
        """Add the next source, whichever run read it."""
        self.sources.append(source)
        self.rows_written += source.counts.rows
        self.ignored += source.ignored
        self.skipped += source.skipped

    @property
    def is_all_withheld(self) -> bool:
        """Whether something failed and nothing is left: an empty output would look complete."""
        return not self.is_whole and all(one.status == Outcome.WITHHELD for one in self.sources)

    def check(self) -> None:
        """Check that everything adds up, including the rows written.

        Raises:
            InternalError: it does not.
        """
        super().check()
        if self.total.rows != self.rows_written:
            raise InternalError(
                f"{self.total.rows} rows were counted and {self.rows_written} written; please"
                " report it"
            )

    def summary(self, seconds: float | None = None) -> Iterator[str]:
        """The account as a few lines for people. Names are escaped; the time is shown if given."""
        total = self.total
        duplicates = f", {many(total.duplicate, 'duplicate')}" if total.duplicate else ""
        yield f"{many(len(self.sources), 'source')}, {self._bytes(seconds)}"
        yield (
            f"{many(total.lines, 'line')}: {total.kept:,} kept, {total.dropped:,} dropped,"
            f" {total.blank:,} blank, {total.rejected:,} rejected, {total.withheld:,} withheld"
            f"{duplicates} ({total.parsed:,} parsed)"
        )
        yield from tallies(
            {"rejected": total.reasons, "mended": total.mends, "odd values": total.odd}
        )
        if total.joined:
            yield f"{many(total.joined, 'piece')} of messages joined to the lines before"
        if total.late:
            yield (
                f"{many(total.late, 'late event')}, up to {many(total.latest_days, 'day')} older"
                " than the day of their file"
            )
        if cut := self.of_status(Outcome.UNVERIFIED):
            more = many(len(self.unread), "source")
            yield f"{cut[0].path}: unverified: read up to the last row only; {more} not read"
        if self.skipped:
            yield f"{many(len(self.skipped), 'source')} skipped by date or site"
        if self.ignored:
            ignored = many(len(self.ignored), "file")
            yield f"{ignored} ignored: not named like a log, or written by edxlogs"
