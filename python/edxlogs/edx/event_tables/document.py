"""Definitions in the form that the core reads: JSON that says how each column is decoded.

A path is a list of steps: a key, the number of an item, or null for `*`. It starts at `event` (the
payload), at `context`, or at another field or column of the event. Null as the first step starts at
the row of a child table, and `["form", null]` means the inputs of a browser's form.

Rows of child tables are the keys of objects, each once over all places, or the items of lists, one
list after another; the decoders of the columns tell which. A table without actions has null for
`action`. If `action_is_type` is true, each type is listed as the action of its own name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from edxlogs.edx.event_tables.definition import Action, Column, EventTable, FlagRule
from edxlogs.edx.event_tables.homes import Homes
from edxlogs.edx.event_tables.paths import Path


def document(tables: Iterable[EventTable], homes: Homes) -> bytes:
    """Definitions of tables, and the home of each event type, as JSON.

    Args:
        tables: the tables. A child table comes with its parent, whose block and subject its rows
            repeat.
        homes: where each type belongs, whether or not its table is among the tables.

    Returns:
        `{"homes": {event type: table}, "tables": [table]}`, in ASCII. Keys that a definition leaves
            out are present: null for numbers and paths, else empty or false.
    """
    told = {"homes": dict(homes.of), "tables": [_table(one) for one in tables]}
    return json.dumps(told, separators=(",", ":")).encode("ascii")


def _steps(path: Path | None) -> list[str | int | None] | None:
    return None if path is None else list(path.steps)


def _table(table: EventTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "kind": table.kind.value,
        "parent": table.parent,
        "action_is_type": table.action_is_type,
        "actions": [_action(one) for one in table.actions],
        "columns": [_column(one) for one in table.columns],
        "flags": [_flag(one) for one in table.flags],
        "rows": [{"path": _steps(one.path), "mark": one.mark} for one in table.rows],
        "without": list(table.without),
        "spine": [list(field) for field in table.spine],
    }


def _action(action: Action) -> dict[str, Any]:
    return {
        "name": action.name,
        "types": list(action.types),
        "source": action.source,
        "has": _steps(action.has),
        "kind": action.kind,
    }


def _column(column: Column) -> dict[str, Any]:
    paths = column.paths
    return {
        "name": column.name,
        "type": column.type,
        "decoder": column.decoder,
        "paths": {
            "otherwise": [_steps(one) for one in paths.otherwise],
            "instead": {of: [_steps(one) for one in its] for of, its in paths.instead.items()},
        },
        "items": [_steps(one) for one in column.items],
        "role": column.role,
        "minimum": column.minimum,
        "maximum": column.maximum,
        "nulls": list(column.nulls),
        "needs": column.needs,
        "unequal_to": column.unequal_to,
        "required": list(column.required),
        "flag": column.flag,
        "forms": list(column.forms),
        "fields": [list(field) for field in column.fields],
    }


def _flag(rule: FlagRule) -> dict[str, Any]:
    return {
        "flag": rule.flag,
        "actions": list(rule.actions),
        "since": rule.since,
        "until": rule.until,
        "source": rule.source,
        "has": _steps(rule.has),
    }
