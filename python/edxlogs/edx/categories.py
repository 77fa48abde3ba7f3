"""Groups of event types, for ``--category``.

Source: EdX Research Guide, "Events in the Tracking Logs", and the platform's public code.
"""

from __future__ import annotations

import csv
import difflib
from pathlib import Path

from edxlogs.errors import ConfigError


def categories() -> dict[str, tuple[str, ...]]:
    """Return every category with its event types.

    An event may stand under another name in ``name`` or in older logs, so the aliases of a type
    follow it. ``implicit`` is the one category that no list can hold, since such a type is the
    path of a request: it is the glob ``/*``.

    Returns:
        Category to event types, each once, both in the order of the data.
    """
    text = Path(__file__).with_name("categories.tsv").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    types_of: dict[str, dict[str, None]] = {}
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        types = types_of.setdefault(row["category"], {})
        types[row["name"]] = None
        if row["alias"]:
            types[row["alias"]] = None
    return {category: tuple(types) for category, types in types_of.items()}


def event_types_of(category: str) -> tuple[str, ...]:
    """Return the event types of one category, aliases included.

    Args:
        category: a name such as ``video``.

    Returns:
        Exact event types, or the glob ``/*`` for ``implicit``.

    Raises:
        ConfigError: there is no such category; the message names the nearest ones.
    """
    known = categories()
    if category in known:
        return known[category]
    nearest = difflib.get_close_matches(category.lower(), known) or sorted(known)
    raise ConfigError(f"category: {category!r} is unknown: try {', '.join(nearest)}")
