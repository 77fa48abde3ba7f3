"""A summary as plain data: what was counted, and what was odd."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edxlogs import _core
from edxlogs.account import Account, Outcome
from edxlogs.errors import ConfigError
from edxlogs.mirror.inventory import stretches
from edxlogs.summaries.counting import CUBES

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY = datetime.timedelta(days=1)
_ODD = (Outcome.WITHHELD, Outcome.SALVAGED, Outcome.NO_LOG, Outcome.COPY)
URL = "(url)"
_STRAY = 1000  # one event in so many may lie outside of what is drawn

Row = tuple[Any, ...]
Note = tuple[str, str, int, Sequence[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Table:
    """Groups of events: column names, and rows in the order of their keys."""

    columns: Sequence[str]
    rows: Sequence[Row]

    def place(self, column: str) -> int:
        """The number of a column, from 0."""
        return list(self.columns).index(column)

    def sums(self, *keys: str) -> dict[Any, int]:
        """Number of events by some of the keys: a value, or a tuple of values."""
        places, events = [self.place(key) for key in keys], self.place("events")
        found: dict[Any, int] = defaultdict(int)
        for row in self.rows:
            key = tuple(row[place] for place in places)
            found[key if len(key) > 1 else key[0]] += row[events]
        return dict(found)

    def documents(self) -> list[dict[str, Any]]:
        """The rows as dicts by column name. Times are ISO text."""
        times = [number for number, name in enumerate(self.columns) if name.endswith("_time")]
        told = []
        for row in self.rows:
            values = list(row)
            for number in times:
                values[number] = iso(values[number])
            told.append(dict(zip(self.columns, values, strict=True)))
        return told


@dataclass(frozen=True, slots=True)
class Delivered:
    """The files of a site: the days in their names, and the days missing between them.

    Attributes:
        site: site in their names, or None.
        first: day of the first file.
        last: day of the last file.
        missing: days without a file, in order.
    """

    site: str | None
    first: datetime.date
    last: datetime.date
    missing: Sequence[datetime.date]


@dataclass(frozen=True, slots=True)
class Digest:
    """What is in logs.

    Attributes:
        tables: tables of `CUBES`, by name. A table with too many groups is empty.
        files: files of each site, if their names have days.
        notes: what was odd: kind, name, how often, and the first places.
        keys: undocumented keys: whether in the context, the key, and the events that have it.
        account: account of what was read.
        left_out: names of tables that had too many groups.
    """

    tables: dict[str, Table]
    files: Sequence[Delivered]
    notes: Sequence[Note]
    keys: Sequence[tuple[bool, str, int]]
    account: Account
    left_out: Sequence[str] = field(default_factory=tuple)

    @classmethod
    def of(
        cls,
        summary: _core.Summary,
        account: Account,
        files: Sequence[Delivered],
        *,
        of_dataset: bool = False,
    ) -> Digest:
        """The result of a summary. A dataset does not know where in its logs something was odd."""
        tables, left_out = {}, []
        for name, keys, people in CUBES:
            try:
                tables[name] = Table(*summary.table(name))
            except ConfigError:
                left_out.append(name)
                counts = ("events",) if people is None else ("events", "people", "people_exact")
                tables[name] = Table((*keys, *counts, "first_time", "last_time"), ())
        notes = list(_noted(account, [] if of_dataset else summary.notes()))
        return cls(tables, files, notes, summary.other_keys(), account, left_out)

    @property
    def events(self) -> int:
        """Number of all events."""
        return sum(self.tables["sites"].sums("site").values())

    @property
    def people(self) -> tuple[int, bool]:
        """How many people were active, and whether that is exact. Each site counts separately."""
        table = self.tables["sites"]
        people, exact = table.place("people"), table.place("people_exact")
        return sum(row[people] for row in table.rows), all(row[exact] for row in table.rows)

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and the last time of an event, in microseconds, or None."""
        table = self.tables["sites"]
        first, last = table.place("first_time"), table.place("last_time")
        timed = [row for row in table.rows if row[first] is not None]
        if not timed:
            return None
        return min(row[first] for row in timed), max(row[last] for row in timed)

    @property
    def window(self) -> list[datetime.date]:
        """The first and the last day to draw, such that a few strays do not squeeze the rest."""
        counts = self.tables["days"].sums("date")
        days = sorted(day for day in counts if day is not None)
        if not days:
            return []
        most = sum(counts[day] for day in days) // _STRAY
        ends = []
        for order in (days, days[::-1]):
            left, place = most, 0
            while place < len(order) - 1 and counts[order[place]] <= left:
                left -= counts[order[place]]
                place += 1
            ends.append(datetime.date.fromisoformat(order[place]))
        return [min(ends), max(ends)]

    @property
    def courses(self) -> dict[str | None, int]:
        """Number of events by course, largest first. None stands for no course."""
        return most_first(self.tables["courses"].sums("course_id"))

    @property
    def unknown_types(self) -> dict[str, int]:
        """Number of events by undocumented type, largest first."""
        sums = self.tables["types"].sums("category", "event_type")
        return most_first({one: n for (of, one), n in sums.items() if of is None and one})

    @property
    def odd_sources(self) -> list[dict[str, Any]]:
        """Sources that were not delivered in full, or in which something was odd."""
        told = []
        for one in self.account.sources:
            counts = one.counts
            odd = {
                "rejected": counts.rejected,
                "mended": sum(counts.mends.values()),
                "late": counts.late,
            }
            if one.status in _ODD or any(odd.values()):
                told.append(
                    {"source": one.source, "status": str(one.status), "lines": counts.lines, **odd}
                )
        return told

    def document(self) -> dict[str, Any]:
        """The summary as plain data for JSON."""
        people, is_exact = self.people
        (exact, error), (exact_of_site, error_of_site) = _core.exactness()
        span = self.span or (None, None)
        weeks: dict[Any, list[list[Any]]] = defaultdict(list)
        for course, week, events, *_ in self.tables["course_weeks"].rows:
            weeks[course].append([week, events])
        by_course = self.tables["courses"].documents()
        return {
            "events": self.events,
            "people": people,
            "people_exact": is_exact,
            "exactness": {
                "site": {"exact_up_to": exact_of_site, "standard_error": error_of_site},
                "others": {"exact_up_to": exact, "standard_error": error},
            },
            "first_time": iso(span[0]),
            "last_time": iso(span[1]),
            **{
                name: self.tables[name].documents()
                for name in ("sites", "days", "weeks", "types", "hours")
            },
            "courses": by_course,
            "course_weeks": [{"course_id": course, "weeks": one} for course, one in weeks.items()],
            "files": [
                {
                    "site": one.site,
                    "first": one.first,
                    "last": one.last,
                    "missing_days": len(one.missing),
                    "missing": [
                        {"first": first, "last": last} for first, last in stretches(one.missing)
                    ],
                }
                for one in self.files
            ],
            "odd": [
                {
                    "kind": kind,
                    "name": name,
                    "times": times,
                    "places": [{"source": source, "line": line} for source, line in places],
                }
                for kind, name, times, places in self.notes
            ],
            "unknown_event_types": [
                {"event_type": one, "events": events} for one, events in self.unknown_types.items()
            ],
            "unknown_keys": [
                {"key": f"context.{key}" if in_context else key, "events": events}
                for in_context, key, events in self.keys
            ],
            "left_out": list(self.left_out),
        }


def delivered(files: Iterable[tuple[str | None, datetime.date | None]]) -> list[Delivered]:
    """The files of each site, given the site and day in each name."""
    days: dict[str | None, set[datetime.date]] = defaultdict(set)
    for site, day in files:
        if day is not None:
            days[site].add(day)
    return [_delivered(site, of) for site, of in sorted(days.items(), key=lambda one: one[0] or "")]


def _delivered(site: str | None, days: set[datetime.date]) -> Delivered:
    first, last = min(days), max(days)
    window = (first + number * _DAY for number in range((last - first).days + 1))
    return Delivered(site, first, last, [day for day in window if day not in days])


def _noted(account: Account, notes: Iterable[Note]) -> Iterator[Note]:
    """What an account reports as odd, with places that are known."""
    total = account.total
    places = {(kind, name): found for kind, name, _, found in notes}
    late = {"late": total.late} if total.late else {}
    counted = {"rejected": total.reasons, "mended": total.mends, "late": late}
    for kind, counts in counted.items():
        for name, times in most_first(counts).items():
            yield kind, name, times, places.get((kind, name), ())


def most_first(counts: Mapping[Any, int]) -> dict[Any, int]:
    """Counts, largest first; equal ones by name."""
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0] is None, str(one[0]))))


def iso(micros: int | None) -> str | None:
    """A time as ISO 8601, to the second."""
    if micros is None:
        return None
    moment = EPOCH + datetime.timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
