"""A summary once more in plain Python, of rows of the oracle."""

from __future__ import annotations

import csv
import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

EPOCH = datetime.date(1970, 1, 1)
KEYS = (
    *("course_id", "org_id", "site", "event_type", "category", "event_source", "date", "week"),
    *("month", "year", "hour", "weekday"),
)
_LISTED = Path(__file__).parents[1] / "python/edxlogs/edx/categories.tsv"

Row = Mapping[str, Any]
Groups = dict[tuple[Any, ...], tuple[int, int, int | None, int | None]]


def _categories() -> dict[str, str]:
    with _LISTED.open() as file:
        lines = csv.DictReader((one for one in file if one[0] != "#"), delimiter="\t")
        listed = [(row["name"], row["alias"], row["category"]) for row in lines]
    found: dict[str, str] = {}
    for name, alias, category in listed:
        found.setdefault(name, category)
        if alias:
            found.setdefault(alias, category)
    return found


CATEGORY = _categories()


def category(row: Row) -> str | None:
    """The type decides where it is listed; else the name; a request is known by its type alone."""
    for one in (row["event_type"], row["name"]):
        if one in CATEGORY and not one.startswith("/"):
            return CATEGORY[one]
    return "implicit" if (row["event_type"] or "").startswith("/") else None


def value(row: Row, key: str, clock: str) -> Any:
    """The value of a key of a row."""
    if key == "event_type":
        return "(url)" if (row[key] or "").startswith("/") else row[key]
    if key == "category":
        return category(row)
    if key in ("course_id", "org_id", "site", "event_source"):
        return row.get(key)
    moment = _moment(row, clock)
    if moment is None:
        return None
    day = EPOCH + datetime.timedelta(days=moment // 86_400_000_000)
    return {
        "date": day.isoformat(),
        "week": (day - datetime.timedelta(days=day.weekday())).isoformat()
        if day.toordinal() > 7
        else None,
        "month": day.isoformat()[:7],
        "year": day.year,
        "hour": moment % 86_400_000_000 // 3_600_000_000,
        "weekday": day.isoweekday(),
    }[key]


def _moment(row: Row, clock: str) -> int | None:
    moment: int | None = row["time"]
    if clock == "received_at" and row["received_at"] is not None:
        moment = row["received_at"]
    return moment


def groups(rows: Iterable[Row], keys: Sequence[str], clock: str = "time") -> Groups:
    """Events, people, first and last time by the values of keys."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(value(row, key, clock) for key in keys)].append(row)
    told = {}
    for group, its in found.items():
        times = [moment for one in its if (moment := _moment(one, clock)) is not None]
        people = {(one.get("site"), one["username"] or one["user_id"]) for one in its}
        acting = {person for person in people if person[1] is not None and person[1] != ""}
        told[group] = (len(its), len(acting), min(times, default=None), max(times, default=None))
    return told
