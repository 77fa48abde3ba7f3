"""What `edxlogs list` shows: a table by year or day, a calendar of gaps, or JSON."""

from __future__ import annotations

import calendar
import datetime
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
import orjson

from edxlogs import _core
from edxlogs.cli.choosing import choice_of
from edxlogs.cli.options import s3_of
from edxlogs.cli.progress import tell
from edxlogs.cli.tables import table
from edxlogs.edx.layout import Days
from edxlogs.edx.packages import Choice
from edxlogs.errors import ConfigError, EdxlogsError
from edxlogs.mirror.inventory import (
    Gaps,
    Group,
    Item,
    find_gaps,
    group,
    list_objects,
    local_items,
    object_items,
    stretches,
)
from edxlogs.s3.client import SCHEME
from edxlogs.text import many, size

SCHEMA_VERSION = 1
_THERE, _MISSING = "#", "-"


def run_list(sources: Sequence[str], **options: Any) -> int:
    """Run `edxlogs list`; its exit status."""
    choice = choice_of(options, sources)
    if not sources and choice.partner is None:
        raise ConfigError(
            "sources: none given; name folders or s3:// URLs, or your folder in edX's buckets with"
            " --partner"
        )
    found = _find(sources, choice, options)
    gaps = find_gaps(found.items, choice.days, today=datetime.datetime.now(datetime.UTC).date())
    groups = group(found.items, by=options["by"])
    if options["as_json"]:
        document = _document(found, groups, gaps)
        click.echo(orjson.dumps(document, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode())
        return 1 if found.failed or not found.items else 0
    for message in (*(f"warning: {one}" for one in found.warnings), *found.failed):
        tell(f"edxlogs: {message}")
    if found.items:
        for line in [*_table(groups, gaps, by=options["by"]), *_calendars(gaps)]:
            click.echo(line)
    elif not found.failed:
        tell("edxlogs: nothing is there, or nothing that was asked for")
    return 1 if found.failed or not found.items else 0


@dataclass
class _Found:
    """All that the sources hold, and what could not be looked at."""

    items: list[Item] = field(default_factory=list)
    failed: list[EdxlogsError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _find(sources: Sequence[str], choice: Choice, options: dict[str, Any]) -> _Found:
    found = _Found()
    urls = [source for source in sources if source.startswith(SCHEME)]
    if urls or not sources:
        listing = list_objects(s3_of(options), urls, choice)
        found.failed += listing.failed
        found.warnings += listing.warnings
        found.items += object_items(listing.objects)
    items = local_items([path for path in sources if path not in urls], found.failed)
    found.items += choice.select(items, lambda item: item.package)
    return found


def _table(groups: Sequence[Group], gaps: Sequence[Gaps], *, by: str) -> list[str]:
    missing = {(gap.partner, gap.site): gap.missing for gap in gaps}
    rows = []
    for one in groups:
        count = ""
        if by == "year" and one.period is not None and one.kind == "events":
            days = missing[one.partner, one.site]
            count = str(sum(day.year == int(one.period) for day in days))
        rows.append(
            [
                one.partner or "",
                one.site or "",
                one.kind or "other",
                one.period or "",
                f"{one.files:,}",
                size(one.bytes),
                str(min(one.days, default="")),
                str(max(one.days, default="")),
                count,
            ]
        )
    files, total = sum(one.files for one in groups), sum(one.bytes for one in groups)
    rows.append(["total", "", "", "", f"{files:,}", size(total), "", "", ""])
    header = ["partner", "site", "kind", by, "files", "size", "first", "last", "missing"]
    columns = 6 if by == "day" else len(header)
    return table([row[:columns] for row in (header, *rows)], right=(4, 5, 8))


def _calendars(gaps: Sequence[Gaps]) -> Iterator[str]:
    """The months in which days are missing, a line each."""
    for one in gaps:
        if one.missing:
            whose = " ".join(filter(None, (one.partner, one.site)))
            first, last = one.window.first, one.window.last
            yield ""
            missing = f"{many(len(one.missing), 'day')} missing"
            marks = f"{_THERE} there, {_MISSING} missing"
            yield f"{missing}{whose and f' of {whose}'}, {first}..{last} ({marks})"
            yield from _calendar(one)


def _calendar(gaps: Gaps) -> Iterator[str]:
    """The days of each month with a gap; months without any file are put together."""
    months = itertools.groupby(gaps.missing, key=lambda day: (day.year, day.month))
    empty: list[str] = []
    for (year, month), missing in months:
        days = list(missing)
        name = f"{year}-{month:02}"
        if len(days) == calendar.monthrange(year, month)[1]:
            empty.append(name)
            continue
        yield from _empty(empty)
        yield f"{name}  {_marks(gaps.window, year, month, days):31}  {_spelled(days)}"
    yield from _empty(empty)


def _empty(months: list[str]) -> Iterator[str]:
    """A line for months that follow one another; the list is emptied."""
    if months:
        yield f"{'..'.join(sorted({months[0], months[-1]}))}  every day"
        months.clear()


def _marks(window: Days, year: int, month: int, missing: list[datetime.date]) -> str:
    last = calendar.monthrange(year, month)[1]
    days = [datetime.date(year, month, number) for number in range(1, last + 1)]
    return "".join(
        " " if day not in window else _MISSING if day in missing else _THERE for day in days
    )


def _spelled(days: list[datetime.date]) -> str:
    """Days of one month, such as `4, 7..9`."""
    return ", ".join(
        f"{first.day}" if first == last else f"{first.day}..{last.day}"
        for first, last in stretches(days)
    )


def _document(found: _Found, groups: Sequence[Group], gaps: Sequence[Gaps]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "version": _core.__version__,
        "total": {"files": len(found.items), "bytes": sum(one.size for one in found.items)},
        "groups": [
            {
                "partner": one.partner,
                "site": one.site,
                "kind": one.kind,
                "period": one.period,
                "files": one.files,
                "bytes": one.bytes,
                "first": min(one.days, default=None),
                "last": max(one.days, default=None),
                "newest": one.newest,
            }
            for one in groups
        ],
        "gaps": [
            {
                "partner": one.partner,
                "site": one.site,
                "first": one.window.first,
                "last": one.window.last,
                "missing_days": len(one.missing),
                "missing": [
                    {"first": first, "last": last} for first, last in stretches(one.missing)
                ],
            }
            for one in gaps
        ],
        "packages": [
            {
                "place": one.place,
                "partner": one.package and one.package.partner,
                "site": one.package and one.package.site,
                "kind": one.package and one.package.kind,
                "day": one.package and one.package.day,
                "bytes": one.size,
                "modified": one.modified,
            }
            for one in found.items
        ],
        "failed": [str(error) for error in found.failed],
        "warnings": found.warnings,
    }
