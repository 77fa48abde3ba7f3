"""Suggests similar names if a condition kept nothing or a column does not exist."""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from edxlogs import _core, system
from edxlogs.events.conditions import CONDITIONS, Condition
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.scanning import LineReader
from edxlogs.globs import value_matches
from edxlogs.sources.selection import Selection
from edxlogs.sources.source import Source
from edxlogs.text import shown, some

_SOURCES = 16
_HEAD_BYTES = 64 * 1024
_NEAREST = 3
_ASKED = 20  # names that near ones are looked for: a file may hold thousands
_COLUMNS = tuple(column for one in CONDITIONS for column in one.columns)
_CALLED = {"org": "organisation"}
_KEY = re.compile(r'"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_-]*')
Path = tuple[str, ...]
_PAYLOAD = "event"
_MISSPELT = 0.75  # as alike as `tiem` and `time`


def nowhere(
    reader: LineReader,
    selection: Selection,
    read: Sequence[Source],
    conditions: Conditions,
    query: _core.Query,
    found: Sequence[tuple[str, int]],
    rows: int,
) -> list[str]:
    """Warn about values that were asked for but not found. Reads a sample only if necessary.

    Args:
        reader: reader of the run.
        selection: its sources.
        read: the sources that it has read.
        conditions: what was asked for.
        query: the query made from it.
        found: condition values that match nothing kept, as `_core.Query.unmet` returns them.
        rows: number of rows kept.
    """
    warnings = absent_days(selection, conditions)
    if conditions.asked.get("where"):
        warnings += near_fields(reader, read, query, rows)
    if 0 < len(read) == len(selection.sources):
        warnings += unmet(reader, selection, conditions, found, rows)
    return warnings


def suggest(reader: LineReader, selection: Selection, conditions: Conditions) -> list[str]:
    """Name the values in a sample of the sources that are nearest to those asked for.

    Args:
        reader: reader of a run that kept nothing.
        selection: sources; a stretch at the beginning is read.
        conditions: what was asked for. People are not named.
    """
    hints = []
    for one, missing, there in _missing(reader, selection, conditions):
        if there:
            named = ", ".join(shown(name) for name in _nearest(missing, there))
            what = _CALLED.get(one.name, one.name.replace("_", " "))
            hints.append(f"no event matched; {what} in a sample of the sources: {named}")
    return hints


def _missing(
    reader: LineReader, selection: Selection, conditions: Conditions
) -> Iterator[tuple[Condition, list[str], set[str]]]:
    """Conditions, values that a sample of the sources does not hold, and those that it holds."""
    sample = _sample(reader, selection.sources)
    # URLs are types of their own, and may name people.
    for name in ("event_type", "name"):
        sample[name] = {one for one in sample[name] if not one.startswith("/")}
    sample["site"] |= selection.sites
    for one in CONDITIONS:
        asked = conditions.values(one.name) if one.columns else ()
        there = set().union(*(sample[column] for column in one.columns))
        if one.name == "org":  # matched whatever its case
            asked, there = tuple(org.lower() for org in asked), {org.lower() for org in there}
        if missing := [name for name in asked if not _matches_any(name, there)]:
            yield one, missing, there


def near_columns(columns: Iterable[str]) -> list[str]:
    """Warn about columns that look misspelt: they are read as fields of the event.

    Args:
        columns: as `--columns` takes them.
    """
    known = [name for name, *_ in _core.columns()]
    warnings = []
    for name in _bare(columns):
        if near := difflib.get_close_matches(name, known, 1, _MISSPELT):
            warnings.append(
                f"column {shown(name)}: is not a column of edxlogs, so it is read as a field of"
                f" the event; the nearest column is {near[0]}"
            )
    return warnings


def payload_columns(
    reader: LineReader, sources: Sequence[Source], columns: Iterable[str]
) -> list[str]:
    """Warn about columns that name a field of the payload as if it were one of the event.

    A sample of the sources is read if a column may be one.
    """
    names = _bare(columns)
    outside, inside = set[str](), set[str]()
    for event in _events(reader, sources) if names else ():
        outside |= {name for name in names if _holds(event, (name,), {})}
        if outside.issuperset(names):
            return []
        inside |= {name for name in names if _holds(event, (_PAYLOAD, name), {})}
    return [_in_payload("column ", name) for name in names if name in inside - outside]


def _in_payload(option: str, path: str) -> str:
    """Tell of a path that only the payload has."""
    return (
        f"{option}{shown(path)}: no event in a sample of the sources has it; the payload has"
        f" {_PAYLOAD}.{shown(path)}"
    )


def _bare(columns: Iterable[str]) -> list[str]:
    """The names among columns that are no columns of edxlogs, so that the event's field is read."""
    known = {name for name, *_ in _core.columns()}
    names = [column.rpartition("=")[2].partition("::")[0].strip() for column in columns]
    # A path with several steps is intended as a path.
    names = [name for name in names if name.replace("-", "_").isidentifier()]
    return [name for name in dict.fromkeys(names) if name not in known]


def absent_days(selection: Selection, conditions: Conditions) -> list[str]:
    """Say which days there are, if none of the days asked for is."""
    window = conditions.window
    if window.days is None and window.since is None and window.until is None:
        return []
    there = [one for one in selection.inputs if one.date and window.wants_site(one.site)]
    days = [one.date for one in there if one.date is not None]
    if not days or any(one.date for one in window.select(there)[0]):
        return []
    what = "since, until" if window.days is None else f"days: {window.days}"
    return [
        f"{what}: no source is from these days; there are sources from {min(days)} to {max(days)}"
    ]


def unmet(
    reader: LineReader,
    selection: Selection,
    conditions: Conditions,
    found: Sequence[tuple[str, int]],
    rows: int,
) -> list[str]:
    """Name condition values that no kept event matches; for people, only their positions.

    Args:
        reader: reader of the run.
        selection: its sources, all of which it has read.
        conditions: what was asked for.
        found: those values, as `_core.Query.unmet` returns them.
        rows: number of rows kept. If there are none, any of several conditions may be to blame.
            Then only values are named that a sample of the sources does not hold.
    """
    if rows == 0 and len(conditions.shown()) > 1:
        return [
            f"{one.option}: {some(list(map(shown, missing)), _ASKED)}: no event in a sample of"
            " the sources has it"
            for one, missing, _ in _missing(reader, selection, conditions)
        ]
    places: dict[str, list[int]] = {}
    for into, place in found:
        places.setdefault(into, []).append(place)
    warnings = []
    for one in CONDITIONS:
        values = conditions.values(one.name) if one.into in places else ()
        # The types of categories come after those that were named.
        missing = [place for place in places.get(one.into, ()) if place < len(values)]
        if not missing or one.name == "category":
            continue
        if one.is_hidden:
            told = some([str(place + 1) for place in missing], _ASKED)
            several = "values" if len(missing) > 1 else "value"
            warnings.append(
                f"{one.option}: {several} {told} of --{one.option}: no event that was kept has it"
            )
            continue
        told = some([shown(values[place]) for place in missing], _ASKED)
        warnings.append(f"{one.option}: {told}: no event that was kept has it")
    return warnings


def near_fields(
    reader: LineReader, sources: Sequence[Source], query: _core.Query, rows: int
) -> list[str]:
    """Warn about fields in `--where` that no event of a sample has, and that look misspelt.

    Args:
        reader: reader of the run.
        sources: the first ones are read again, until every field that no kept event had was seen.
        query: the query of the scans.
        rows: number of rows kept. If there are none, less similar names count as near too.
    """
    known = {name for name, *_ in _core.columns()}
    paths = set(map(_keys, query.unheld()))
    there: dict[Path, set[str]] = {}
    inside: set[Path] = set()
    for event in _events(reader, sources) if paths else ():
        inside |= {path for path in paths if _holds(event, (_PAYLOAD, *path), {})}
        paths -= {path for path in paths if _holds(event, path, there)}
        if not paths:
            return []
    warnings = []
    for path in sorted(paths):
        if path in inside:
            warnings.append(_in_payload("where: ", ".".join(path)))
            continue
        parents = (path[:count] for count in range(len(path)))
        parent = next((one for one in parents if path[len(one)] not in there.get(one, ())), ())
        names = there.get(parent, set()) | (set() if parent else known if there else set())
        cutoff = _MISSPELT if rows else 0.4
        if alike := difflib.get_close_matches(path[len(parent)], names, 1, cutoff):
            field, nearest = (".".join((*parent, one)) for one in (path[len(parent)], alike[0]))
            warnings.append(
                f"where: {shown(field)}: no event in a sample of the sources has it; the nearest"
                f" is {shown(nearest)}"
            )
    return warnings


def _keys(path: str) -> Path:
    """The keys of a path, up to the first index."""
    keys = _KEY.findall(path.partition("[")[0])
    return tuple(key[1:-1].replace('""', '"') if key.startswith('"') else key for key in keys)


def _holds(event: Any, path: Path, there: dict[Path, set[str]]) -> bool:
    """Whether an event has a path. `there` collects the keys on the way."""
    value = event
    for count, key in enumerate(path):
        if isinstance(value, str) and count:
            with suppress(ValueError):
                value = json.loads(value)
        if not isinstance(value, dict):
            return False
        there.setdefault(path[:count], set()).update(value)
        if key not in value:
            return False
        value = value[key]
    return True


def _events(reader: LineReader, sources: Sequence[Source]) -> Iterator[Any]:
    """The events at the beginning of sources."""
    query = make_query(Conditions(), collect="lines")
    for source in sources[:_SOURCES]:
        for line in _head(reader, source, query, "jsonl").split("\n"):
            with suppress(ValueError):
                yield json.loads(line)


def _head(reader: LineReader, source: Source, query: _core.Query, form: str) -> str:
    """What a query keeps of the beginning of a source. It stays in memory, or is not looked at."""
    memory = system.memory_file("edxlogs-sample")
    if memory is None:
        return ""
    with memory:
        head = reader.first_bytes(source, _HEAD_BYTES)
        if not head:
            return ""
        output = _core.Output(memory.fileno(), query, form, [])
        # The stretch may end anywhere, so an error at its end means nothing.
        _core.scan(
            io.BytesIO(head),
            query,
            output,
            name=source.name,
            site=source.site,
            control=_core.Control(),
        )
        output.finish(sync=False)
        memory.seek(0)
        return memory.read().decode("utf-8", "replace")


def _matches_any(asked: str, there: Collection[str]) -> bool:
    """Whether a name or glob that was asked for exists, so that something else kept nothing."""
    return any(value_matches(name, asked) for name in there)


def _nearest(missing: Sequence[str], there: Collection[str]) -> list[str]:
    near = [
        close
        for name in missing[:_ASKED]
        for close in difflib.get_close_matches(name, there, _NEAREST, 0.4)
    ]
    return list(dict.fromkeys(near))[:_NEAREST] or sorted(there)[:_NEAREST]


def _sample(reader: LineReader, sources: Sequence[Source]) -> dict[str, set[str]]:
    """The values of some columns at the beginning of sources."""
    found: dict[str, set[str]] = {name: set() for name in _COLUMNS}
    query = make_query(Conditions(), columns=_COLUMNS)
    for source in sources[:_SOURCES]:
        text = _head(reader, source, query, "csv")
        # Text too long for a cell is too long for a hint, so the rest is skipped.
        with suppress(csv.Error):
            for row in csv.DictReader(io.StringIO(text, newline="")):
                for name in _COLUMNS:
                    found[name].add(row[name])
    for names in found.values():
        names.discard("")
    return found
