"""Groups of event types, for ``--category``.

Source: EdX Research Guide, "Events in the Tracking Logs", and the platform's public code.
"""

from __future__ import annotations

import csv
import difflib
from pathlib import Path

from edxlogs.errors import ConfigError


def categories() -> dict[str, tuple[str, ...]]:
    """Every category with its event types.

    An event may have another name in ``name`` or in older logs, so each type is followed by its
    aliases. No list can hold the types of ``implicit``, which are paths of requests. Its type is
    the glob ``/*``.

    Returns:
        Event types by category, each once, both in the order of the data.
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
    """The event types of one category, including aliases.

    Args:
        category: a name such as ``video``.

    Returns:
        Exact event types, or the glob ``/*`` for ``implicit``.

    Raises:
        ConfigError: the category is unknown; the message suggests similar names.
    """
    known = categories()
    if category in known:
        return known[category]
    nearest = difflib.get_close_matches(category.lower(), known) or sorted(known)
    raise ConfigError(f"category: {category!r} is unknown: try {', '.join(nearest)}")
