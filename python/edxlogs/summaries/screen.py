"""A summary on one screen of a terminal."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edxlogs.mirror.inventory import stretches
from edxlogs.summaries.digest import URL, Digest, Table, iso, most_first
from edxlogs.text import fitted, many, shown, table

_BARS = "▁▂▃▄▅▆▇█"
_BUCKETS = 30  # of a sparkline
_COURSES, _CATEGORIES, _TYPES, _NAMED = 8, 6, 5, 3
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONGEST = 60  # characters of a name


def screen(digest: Digest, columns: int | None = None) -> Iterator[str]:
    """The lines of a screen. Names are escaped.

    Args:
        digest: the counts.
        columns: of the terminal, which shall not break the lines of tables; None for no bound.
    """
    if not digest.events:
        yield "no events"
        yield from _odd(digest)
        return
    yield from _totals(digest)
    days = digest.window
    yield ""
    yield from _sites(digest, days, columns)
    yield ""
    yield from _courses(digest, days, columns)
    yield ""
    if digest.tables["types"].rows:  # else there are too many
        yield from _types(digest, columns)
        yield ""
    yield from _clock(digest, columns)
    odd = list(_odd(digest))
    if odd:
        yield ""
        yield from odd


def groups(told: Table) -> Iterator[str]:
    """The lines of a table with the user's own keys."""
    names = [name for name in told.columns if name != "people_exact"]
    exact = told.place("people_exact") if "people_exact" in told.columns else None
    right = {number for number, name in enumerate(names) if name in ("events", "people")}
    rows = [[name.removesuffix("_time") for name in names]]
    for row in told.rows:
        cells = []
        for name, value in zip(told.columns, row, strict=True):
            if name == "people":
                is_exact = exact is None or row[exact]
                cells.append(f"{'' if is_exact else '~'}{value:,}")
            elif name == "events":
                cells.append(f"{value:,}")
            elif name.endswith("_time"):
                cells.append(iso(value) or "")
            elif name != "people_exact":
                cells.append("" if value is None else shown(str(value)))
        rows.append(cells)
    yield from table(rows, right=right)


def _totals(digest: Digest) -> Iterator[str]:
    first, last = (_minute(moment) for moment in digest.span or (None, None))
    courses = sum(course is not None for course in digest.courses)
    people, is_exact = digest.people
    noun = "person" if people == 1 else "people"
    told = [many(digest.events, "event"), f"{_people(people, is_exact=is_exact)} {noun}"]
    told.append(many(courses, "course"))
    yield ", ".join(told)
    if first:
        yield f"{first} to {last} UTC"


def _sites(digest: Digest, days: Sequence[datetime.date], columns: int | None) -> Iterator[str]:
    by_day = digest.tables["days"].sums("site", "date")
    files = {one.site: one for one in digest.files}
    rows = [["site", "events", "people", "first", "last", "days missing", _scale("by day", days)]]
    sites = digest.tables["sites"]
    for site, events, people, is_exact, first, last in sites.rows:
        missing = "" if site not in files else f"{len(files[site].missing):,}"
        counts = {day: n for (of, day), n in by_day.items() if of == site and day is not None}
        rows.append(
            [
                _name(site),
                f"{events:,}",
                _people(people, is_exact=is_exact),
                _day(first),
                _day(last),
                missing,
                _spark(counts, days),
            ]
        )
    yield from table(fitted(rows, columns), right={1, 2, 5})


def _courses(digest: Digest, days: Sequence[datetime.date], columns: int | None) -> Iterator[str]:
    people: dict[Any, list[Any]] = {}
    for course, _, _, count, is_exact, first, last in digest.tables["courses"].rows:
        known = people.setdefault(course, [0, True, [], []])
        known[0] += count
        known[1] &= is_exact
        known[2] += [] if first is None else [first]
        known[3] += [] if last is None else [last]
    weeks: dict[Any, dict[str, int]] = {}
    for (course, week), events in digest.tables["course_weeks"].sums("course_id", "week").items():
        if week is not None:
            weeks.setdefault(course, {})[week] = events
    rows = [["course", "events", "share", "people", "first", "last", "by week"]]
    courses = {course: n for course, n in digest.courses.items() if course is not None}
    drawn: list[tuple[str | None, int]] = []
    drawn += list(courses.items())[:_COURSES]
    if None in digest.courses:
        drawn.append((None, digest.courses[None]))
    for course, events in drawn:
        count, is_exact, first, last = people[course]
        rows.append(
            [
                _name(course, "no course"),
                f"{events:,}",
                _share(events, digest),
                _people(count, is_exact=is_exact),
                _day(min(first, default=None)),
                _day(max(last, default=None)),
                _spark(weeks.get(course, {}), days, 7),
            ]
        )
    yield from table(fitted(rows, columns), right={1, 2, 3})
    if len(courses) > _COURSES:
        yield f"and {many(len(courses) - _COURSES, 'more course')}: --by course shows all of them"


def _types(digest: Digest, columns: int | None) -> Iterator[str]:
    types = digest.tables["types"]
    of_category = types.sums("category", "event_type")
    rows = [["category", "events", "share", "event types"]]
    categories = most_first(types.sums("category"))
    for category, events in list(categories.items())[:_CATEGORIES]:
        its = most_first({one: n for (of, one), n in of_category.items() if of == category})
        named = [_name(one, "none") for one in list(its)[:_NAMED]]
        if len(its) > _NAMED:
            named.append(f"{len(its) - _NAMED:,} more")
        name = _name(category, "unknown")
        rows.append([name, f"{events:,}", _share(events, digest), ", ".join(named)])
    yield from table(fitted(rows, columns, is_text=True), right={1, 2})
    rest = list(categories.values())[_CATEGORIES:]
    if rest:
        noun = "category" if len(rest) == 1 else "categories"
        yield f"and {sum(rest):,} events of {len(rest):,} more {noun}: --by category"
    sources = most_first(types.sums("event_source"))
    shares = [f"{_name(one, 'none')} {_share(n, digest)}" for one, n in sources.items()]
    yield f"event sources: {', '.join(shares[:_TYPES])}"


def _clock(digest: Digest, columns: int | None) -> Iterator[str]:
    hours, weekdays = (digest.tables["hours"].sums(key) for key in ("hour", "weekday"))
    by_hour = "".join(_bars([hours.get(hour, 0) for hour in range(24)]))
    bars = _bars([weekdays.get(day, 0) for day in range(1, 8)])
    by_day = " ".join(f"{name} {bar}" for name, bar in zip(_WEEKDAYS, bars, strict=True))
    parts = [f"hours, UTC: 0 {by_hour} 23", f"weekdays: {by_day}"]
    one = "   ".join(parts)
    yield from [one] if columns is None or len(one) <= columns else parts
    people, exact = (digest.tables["days"].place(name) for name in ("people", "people_exact"))
    counts = sorted((row[people], row[exact]) for row in digest.tables["days"].rows if row[1])
    if counts:
        middle, most = counts[len(counts) // 2], counts[-1]
        yield (
            "active people per day and site: median"
            f" {_people(middle[0], is_exact=middle[1])}, most {_people(most[0], is_exact=most[1])}"
        )


def _odd(digest: Digest) -> Iterator[str]:
    """What is odd, one line per kind."""
    by_kind: dict[str, list[str]] = {}
    for kind, name, times, places in digest.notes:
        where = f", first at {shown(places[0][0])} line {places[0][1]}" if places else ""
        told = f"{times:,}{where}" if kind == "late" else f"{name} {times:,}{where}"
        by_kind.setdefault(kind, []).append(told)
    for kind, names in by_kind.items():
        more = f"; {many(len(names) - _NAMED, 'more kind')}" if len(names) > _NAMED else ""
        yield f"{kind}: {'; '.join(names[:_NAMED])}{more}"
    for one in digest.files:
        if one.missing:
            runs = [_run(*run) for run in stretches(one.missing)]
            more = f" and {len(runs) - _TYPES} more" if len(runs) > _TYPES else ""
            days = many(len(one.missing), "day")
            yield f"missing from {_name(one.site)}: {days}: {', '.join(runs[:_TYPES])}{more}"
    if unknown := digest.unknown_types:
        named = [f"{_name(one)} {events:,}" for one, events in list(unknown.items())[:_TYPES]]
        more = f" and {len(unknown) - _TYPES} more" if len(unknown) > _TYPES else ""
        yield f"undocumented event types: {', '.join(named)}{more}"
    if digest.keys:
        keys = sorted(digest.keys, key=lambda one: -one[2])
        named = [f"{'context.' if of else ''}{_name(key)} {n:,}" for of, key, n in keys[:_TYPES]]
        more = f" and {len(keys) - _TYPES} more" if len(keys) > _TYPES else ""
        yield f"undocumented keys: {', '.join(named)}{more}"
    for name in digest.left_out:
        yield f"left out because it has too many groups: {name}"


def _scale(what: str, days: Sequence[datetime.date]) -> str:
    return what if not days else f"{what}, {days[0]} to {days[1]}"


def _spark(counts: Mapping[str, int], days: Sequence[datetime.date], step: int = 1) -> str:
    """A sparkline of counts by day or, with a `step`, by the Monday of each week."""
    if not days:
        return ""
    first, length = days[0], (days[1] - days[0]).days + 1
    buckets = [0] * min(_BUCKETS, -(-length // step))
    for day, count in counts.items():
        # A week that begins before the first day is drawn at the first day.
        after = max((datetime.date.fromisoformat(day) - first).days, -6)
        at = max(after, 0) * len(buckets) // length
        if after > -6 and at < len(buckets):
            buckets[at] += count
    return "".join(_bars(buckets))


def _bars(counts: Sequence[int]) -> list[str]:
    """A bar for each count, and a blank for zero."""
    most = max(counts, default=0)
    return [
        _BARS[min(count * len(_BARS) // most, len(_BARS) - 1)] if count else " " for count in counts
    ]


def _people(count: int, *, is_exact: bool) -> str:
    return f"{count:,}" if is_exact else f"~{count:,}"


def _share(events: int, digest: Digest) -> str:
    share = 100 * events / digest.events
    return f"{share:.1f} %" if share >= 0.05 else "<0.1 %"


def _name(text: str | None, none: str = "unknown") -> str:
    if text is None:
        return none
    if text == URL:
        return "URLs of requests"
    name = shown(text)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _day(micros: int | None) -> str:
    return (iso(micros) or "")[:10]


def _minute(micros: int | None) -> str:
    return (iso(micros) or "")[:16].replace("T", " ")


def _run(first: datetime.date, last: datetime.date) -> str:
    return str(first) if first == last else f"{first}..{last}"
