"""What events look like: their types, the keys of their payloads, and the kinds of values."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

REQUESTS = "/…"
"""Stands for all event types that are the path of a request."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?=[T ])")
_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
}


@dataclass(slots=True)
class Shape:
    """Events of one type.

    Attributes:
        count: number of events.
        sources: number of events by event_source.
        payloads: number of events by kind of payload. `JSON text` is an object or a list written as
            text.
        keys: for payloads that are objects, number of values by key and kind.
    """

    count: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    payloads: Counter[str] = field(default_factory=Counter)
    keys: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, event: dict[str, Any]) -> None:
        """Add one event."""
        self.count += 1
        if isinstance(source := event.get("event_source"), str):
            self.sources[source] += 1
        payload = event.get("event", event.get("data"))
        kind = _KINDS[type(payload)]
        if isinstance(payload, str) and payload[:1] in ("{", "["):
            with suppress(ValueError):  # one that is cut is text like any other
                payload, kind = parsed(payload), "JSON text"
        self.payloads[kind] += 1
        for key, value in payload.items() if isinstance(payload, dict) else ():
            self.keys.setdefault(key, Counter())[_KINDS[type(value)]] += 1

    def fields(self) -> list[str]:
        """The keys, each with the kinds of its values, most frequent first."""
        return [
            f"{key} {' or '.join(kind for kind, _ in kinds.most_common())}"
            for key, kinds in sorted(self.keys.items(), key=lambda one: -one[1].total())
        ]


def parsed(text: str | bytes) -> Any:
    """Parse a JSON value. Numbers may be of any size.

    Raises:
        ValueError: the text is not JSON.
    """
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def shapes_of(events: Iterable[dict[str, Any]]) -> dict[str, Shape]:
    """Shapes by event type, most frequent first. All requests count as one type."""
    found: dict[str, Shape] = {}
    for event in events:
        name = event.get("event_type") or event.get("name")
        name = name if isinstance(name, str) else ""
        found.setdefault(REQUESTS if name.startswith("/") else name, Shape()).add(event)
    return dict(sorted(found.items(), key=lambda one: -one[1].count))


def days_of(events: Iterable[dict[str, Any]]) -> Counter[str]:
    """Number of events by day, taken from the time as written in the event."""
    days: Counter[str] = Counter()
    for event in events:
        time = event.get("time", event.get("timestamp"))
        if isinstance(time, str) and (day := _DAY.match(time)):
            days[day[0]] += 1
    return days
