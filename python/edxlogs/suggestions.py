"""When nothing was kept: which course ids and event types there are instead."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Sequence

from edxlogs import _core
from edxlogs.names import shown
from edxlogs.query import Conditions, make_query, values
from edxlogs.reading import Reader
from edxlogs.sources import Source

_SOURCES = 16
_HEAD_BYTES = 64 * 1024
_NEAREST = 3


def suggest(reader: Reader, sources: Sequence[Source], conditions: Conditions) -> list[str]:
    """Name the course ids and event types of a sample that are nearest to those asked for.

    Args:
        reader: of the run that kept nothing.
        sources: a stretch of the first ones is read.
        conditions: what was asked for.
    """
    courses, event_types = _sample(reader, sources)
    hints = []
    for what, asked, there in (
        ("course", values("course", conditions.course), courses),
        ("event type", values("event-type", conditions.event_type), event_types),
    ):
        missing = [name for name in asked if name not in there]
        if not missing or not there:
            continue
        near = [
            close
            for name in missing
            for close in difflib.get_close_matches(name, there, _NEAREST, 0.4)
        ]
        listed = list(dict.fromkeys(near))[:_NEAREST] or sorted(there)[:_NEAREST]
        named = ", ".join(shown(name) for name in listed)
        hints.append(f"nothing was kept; {what} in a sample of the sources: {named}")
    return hints


def _sample(reader: Reader, sources: Sequence[Source]) -> tuple[set[str], set[str]]:
    """Course ids and event types at the beginning of sources."""
    courses: set[str] = set()
    event_types: set[str] = set()
    if not hasattr(os, "memfd_create"):
        # Decrypted values stay in memory, or are not looked at.
        return courses, event_types
    query = make_query(Conditions(), columns=["course_id", "event_type", "name"])
    for source in sources[:_SOURCES]:
        head = reader.head(source, _HEAD_BYTES)
        if not head:
            continue
        with open(os.memfd_create("edxlogs-sample"), "w+b") as memory:
            output = _core.Output(memory.fileno(), query, "csv", [])
            # The stretch ends anywhere, so an error at its end says nothing.
            _core.scan(io.BytesIO(head), query, output, name=source.name, control=_core.Control())
            output.finish(sync=False)
            memory.seek(0)
            for row in csv.reader(io.TextIOWrapper(memory, "utf-8", newline="")):
                courses.add(row[0])
                # URLs are types of their own, and may name people.
                event_types.update(text for text in row[1:] if not text.startswith("/"))
    for names in (courses, event_types):
        names.difference_update({"", "course_id", "event_type", "name"})
    return courses, event_types
