"""What there is instead: near names, where a condition kept nothing or a column is none."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from edxlogs import _core
from edxlogs.events.conditions import CONDITIONS
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.scanning import LineReader
from edxlogs.globs import value_matches
from edxlogs.sources.selection import Selection
from edxlogs.sources.source import Source
from edxlogs.text import shown

_SOURCES = 16
_HEAD_BYTES = 64 * 1024
_NEAREST = 3
_ASKED = 20  # names that near ones are looked for: a file may hold thousands
_COLUMNS = tuple(column for one in CONDITIONS for column in one.columns)
_CALLED = {"org": "organisation"}
_MISSPELT = 0.75  # as alike as `tiem` and `time`


def suggest(reader: LineReader, selection: Selection, conditions: Conditions) -> list[str]:
    """Name what a sample of the sources holds that is nearest to what was asked for.

    Args:
        reader: of the run that kept nothing.
        selection: a stretch of its first sources is read.
        conditions: what was asked for. People are not named.
    """
    sample = _sample(reader, selection.sources)
    # URLs are types of their own, and may name people.
    for name in ("event_type", "name"):
        sample[name] = {one for one in sample[name] if not one.startswith("/")}
    sample["site"] |= selection.sites
    hints = []
    for one in CONDITIONS:
        asked = conditions.values(one.name) if one.columns else ()
        there = set().union(*(sample[column] for column in one.columns))
        if one.name == "org":  # matched whatever its case
            asked, there = tuple(org.lower() for org in asked), {org.lower() for org in there}
        missing = [name for name in asked if not _matches_any(name, there)]
        if missing and there:
            named = ", ".join(shown(name) for name in _nearest(missing, there))
            what = _CALLED.get(one.name, one.name.replace("_", " "))
            hints.append(f"nothing was kept; {what} in a sample of the sources: {named}")
    return hints


def near_columns(columns: Iterable[str]) -> list[str]:
    """Warn of columns that look like misspelt ones: they are read as fields of the event.

    Args:
        columns: as `--columns` takes them.
    """
    known = [name for name, *_ in _core.columns()]
    warnings = []
    for column in columns:
        name = column.rpartition("=")[2].partition("::")[0].strip()
        # A path of several steps is meant as one.
        if name in known or not name.replace("-", "_").isidentifier():
            continue
        if near := difflib.get_close_matches(name, known, 1, _MISSPELT):
            warnings.append(
                f"column {shown(name)}: is none of edxlogs' own, so it is read as a field of the"
                f" event; the nearest column is {near[0]}"
            )
    return warnings


def _matches_any(asked: str, there: Collection[str]) -> bool:
    """Whether a name or glob that was asked for is there, and something else kept nothing."""
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
    if not hasattr(os, "memfd_create"):
        # Decrypted values stay in memory, or are not looked at.
        return found
    query = make_query(Conditions(), columns=_COLUMNS)
    for source in sources[:_SOURCES]:
        head = reader.first_bytes(source, _HEAD_BYTES)
        if not head:
            continue
        descriptor = os.memfd_create("edxlogs-sample")
        # Text that is too long for a cell is too long for a hint; the rest is not looked at.
        with open(descriptor, encoding="utf-8", newline="") as memory, suppress(csv.Error):
            output = _core.Output(descriptor, query, "csv", [])
            # The stretch ends anywhere, so an error at its end says nothing.
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
            for row in csv.DictReader(memory):
                for name in _COLUMNS:
                    found[name].add(row[name])
    for names in found.values():
        names.discard("")
    return found
