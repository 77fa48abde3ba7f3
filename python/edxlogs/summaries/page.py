"""A summary as one page that opens offline: charts, and a table for each."""

from __future__ import annotations

import base64
import datetime
import html
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.mirror.inventory import stretches
from edxlogs.summaries.digest import URL, Digest, Table, iso
from edxlogs.text import many, shown, size

_ASSETS = Path(__file__).with_name("assets")
_EPOCH = datetime.date(1970, 1, 1)
_COURSES = 1000  # whose weeks are on the page, at most
_ROWS = 20_000  # of a table on the page, at most


def page(digest: Digest, conditions: Mapping[str, Any]) -> bytes:
    """The page, in UTF-8. The same summary always gives the same bytes.

    Args:
        digest: what to show.
        conditions: the conditions asked for, in a form that may be shown.
    """
    (group, error), (site, site_error) = _core.exactness()
    words = {
        "version": html.escape(_core.__version__),
        "title": html.escape(_title(digest)),
        "lead": html.escape(_lead(digest, conditions)),
        "facts": _facts(digest),
        "exact_group": f"{group:,}",
        "exact_site": f"{site:,}",
        "error_group": f"{100 * error:.1f} %",
        "error_site": f"{100 * site_error:.1f} %",
        "css": _asset("page.css"),
        # A script must not contain what would end it.
        "vega": _asset("vega.js").replace("</script", "<\\/script"),
        "js": _asset("page.js").replace("</script", "<\\/script"),
        "data": _packed(_data(digest)),
    }
    parts = _asset("page.html").split("{{")
    text = [parts[0]]
    for part in parts[1:]:
        name, after = part.split("}}", 1)
        text += (words[name], after)
    return "".join(text).encode()


@cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


def _packed(data: Any) -> str:
    """Data as base64 of deflated JSON."""
    return base64.b64encode(zlib.compress(orjson.dumps(data), 9)).decode()


def _title(digest: Digest) -> str:
    span = digest.span
    if span is None:
        return "What is in the logs"
    first, last = ((iso(moment) or "")[:10] for moment in span)
    return f"What is in the logs, {first} to {last}"


def _lead(digest: Digest, conditions: Mapping[str, Any]) -> str:
    told = [many(len(digest.account.sources), "source")]
    if conditions:
        asked = ", ".join(f"{name}: {_told(value)}" for name, value in conditions.items())
        told.append(f"asked for {asked}")
    return "; ".join(told) + "."


def _told(value: Any) -> str:
    values = value if isinstance(value, list | tuple) else [value]
    few = [shown(str(one)) for one in values[:3]]
    return ", ".join(few) + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def _facts(digest: Digest) -> str:
    total = digest.account.total
    people, is_exact = digest.people
    span = digest.span
    courses = sum(course is not None for course in digest.courses)
    missing = sum(len(one.missing) for one in digest.files)
    told = [
        ("Events", f"{digest.events:,}"),
        ("People", f"{'' if is_exact else '~'}{people:,}"),
        ("Courses", f"{courses:,}"),
        ("First event", "none" if span is None else _minute(span[0])),
        ("Last event", "none" if span is None else _minute(span[1])),
        ("Lines", f"{total.lines:,}"),
        ("Text", size(total.bytes_expanded)),
        ("Days without a file", f"{missing:,}" if digest.files else "unknown"),
        ("Lines rejected", f"{total.rejected:,}"),
        ("Lines withheld", f"{total.withheld:,}"),
    ]
    return "\n".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in told
    )


def _minute(micros: int) -> str:
    return (iso(micros) or "")[:16].replace("T", " ")


def _data(digest: Digest) -> dict[str, Any]:
    """The data for charts and tables: columns of numbers, and each name once."""
    sites = [row[0] for row in digest.tables["sites"].rows]
    number_of = {site: number for number, site in enumerate(sites)}
    courses = list(digest.courses)
    window = digest.window
    tables = digest.tables
    starts: dict[Any, int] = {}
    weeks: dict[Any, list[int]] = defaultdict(list)  # weeks since the one before, and events
    last: dict[Any, int] = {}
    for course, week, events, *_ in tables["course_weeks"].rows:
        if week is not None:
            monday = _day(week)
            starts.setdefault(course, monday)
            weeks[course] += ((monday - last.get(course, monday)) // 7, events)
            last[course] = monday
    drawn = [course for course in courses if course is not None][:_COURSES]
    return {
        "sites": [_name(site) for site in sites],
        "window": [(day - _EPOCH).days for day in window],
        "events": digest.events,
        "days": _people(tables["days"], number_of),
        "weeks": _people(tables["weeks"], number_of),
        "hours": _columns(tables["hours"], number_of),
        "courses": _courses(tables["courses"], number_of, courses),
        "courseWeeks": [[starts.get(course, 0), weeks.get(course, [])] for course in drawn],
        "types": _types(tables["types"]),
        "files": [
            {
                "site": number_of.get(one.site, -1),
                "name": _name(one.site),
                "first": (one.first - _EPOCH).days,
                "last": (one.last - _EPOCH).days,
                "missing": [
                    [(first - _EPOCH).days, (last - _EPOCH).days]
                    for first, last in stretches(one.missing)
                ],
            }
            for one in digest.files
        ],
        "notes": [
            [kind, name, times, [[shown(source), line] for source, line in places]]
            for kind, name, times, places in digest.notes
        ],
        "sources": [
            [shown(source), *rest] for source, *rest in (one.values() for one in digest.odd_sources)
        ][:_ROWS],
        "unknownTypes": [[shown(one), n] for one, n in digest.unknown_types.items()][:_ROWS],
        "unknownKeys": [
            [f"context.{shown(key)}" if in_context else shown(key), events]
            for in_context, key, events in digest.keys
        ],
        "leftOut": list(digest.left_out),
    }


def _people(table: Table, number_of: Mapping[Any, int]) -> list[list[int]]:
    """Site, day (counted from 1970), events, people, and whether these are exact."""
    rows = [
        (number_of[site], _day(day), events, people, int(is_exact))
        for site, day, events, people, is_exact, *_ in table.rows
        if day is not None
    ]
    return [list(column) for column in zip(*rows, strict=True)] or [[]] * 5


def _columns(table: Table, number_of: Mapping[Any, int]) -> list[list[int]]:
    """Site, weekday, hour and events."""
    rows = [(number_of[site], day, hour, n) for site, day, hour, n, *_ in table.rows if day]
    return [list(column) for column in zip(*rows, strict=True)] or [[]] * 4


def _courses(
    table: Table, number_of: Mapping[Any, int], courses: Sequence[str | None]
) -> list[list[Any]]:
    """Course, site, events, people, whether exact, first and last second; most events first."""
    place = {course: number for number, course in enumerate(courses)}
    rows = sorted(table.rows, key=lambda row: (place[row[0]], row[1] is None, row[1] or ""))
    return [
        [_name(course), number_of[site], events, people, int(is_exact), _second(a), _second(b)]
        for course, site, events, people, is_exact, a, b in rows[:_ROWS]
    ]


def _types(table: Table) -> list[list[Any]]:
    """Category, type, source and events; most events first."""
    rows = sorted(table.rows, key=lambda row: -row[3])[:_ROWS]
    return [
        [_name(category), "(url)" if one == URL else _name(one), _name(source), events]
        for category, one, source, events, *_ in rows
    ]


def _name(text: str | None) -> str | None:
    return None if text is None else shown(text)


def _day(text: str) -> int:
    return (datetime.date.fromisoformat(text) - _EPOCH).days


def _second(micros: int | None) -> int | None:
    return None if micros is None else micros // 1_000_000
