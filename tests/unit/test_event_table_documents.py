"""The document of definitions, read back, says of each table what its definition says."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from edxlogs.edx.event_tables import (
    EventTable,
    Kind,
    document,
    event_tables,
    homes,
    read_user_tables,
)
from edxlogs.edx.event_tables.definition import Action, Column, FlagRule, Paths, Rows
from edxlogs.edx.event_tables.paths import Path

PARTS = """\
name = "parts"
about = "Parts of what somebody wrote."
types = ["grade"]
action_is_type = true
[[columns]]
name = "block"
about = "The block."
decoder = "block id"
paths = ['event."the block"', "event.blocks[0]"]
required = true
[[columns]]
name = "points"
type = "float64"
role = "free text"
about = "Points."
decoder = "sum"
when = { grade = ["event.parts"] }
items = ["points", 'of."all parts"[0]']
"""


def path(steps: Any) -> Path | None:
    return None if steps is None else Path("", tuple(steps))


def paths(told: Any) -> tuple[Any, ...]:
    return tuple(path(one) for one in told)


def column(told: dict[str, Any]) -> Column:
    """A column as the document says it; it says neither what it is about nor its unit."""
    instead = {one: paths(its) for one, its in told["paths"]["instead"].items()}
    texts = ("name", "type", "decoder", "role", "needs", "unequal_to", "flag")
    return Column(
        **{key: told[key] for key in texts},
        about="",
        paths=Paths(paths(told["paths"]["otherwise"]), instead),
        items=paths(told["items"]),
        minimum=told["minimum"],
        maximum=told["maximum"],
        nulls=tuple(told["nulls"]),
        required=tuple(told["required"]),
        forms=tuple(told["forms"]),
    )


def table(told: dict[str, Any]) -> EventTable:
    actions = [
        Action(one["name"], tuple(one["types"]), one["source"], path(one["has"]), one["kind"])
        for one in told["actions"]
    ]
    flags = [
        FlagRule(**(one | {"actions": tuple(one["actions"]), "has": path(one["has"])}))
        for one in told["flags"]
    ]
    return EventTable(
        name=told["name"],
        about="",
        kind=Kind(told["kind"]),
        actions=tuple(actions),
        columns=tuple(map(column, told["columns"])),
        flags=tuple(flags),
        parent=told["parent"],
        rows=tuple(Rows(Path("", tuple(one["path"])), one["mark"]) for one in told["rows"]),
        without=tuple(told["without"]),
        action_is_type=told["action_is_type"],
    )


def silent(value: Any) -> Any:
    """A definition without what the document leaves out: texts for people, spellings of paths."""
    if isinstance(value, Path):
        return Path("", value.steps)
    if isinstance(value, Action | FlagRule | Rows | Paths):
        return type(value)(*map(silent, value))
    if isinstance(value, tuple):
        return tuple(map(silent, value))
    if isinstance(value, dict):
        return {key: silent(one) for key, one in value.items()}
    if isinstance(value, EventTable | Column):
        its = {one.name: silent(getattr(value, one.name)) for one in dataclasses.fields(value)}
        return type(value)(**its | {one: "" for one in ("about", "unit") if one in its})
    return value


@pytest.fixture
def mine(tmp_path: pathlib.Path) -> EventTable:
    """A table that a user wrote."""
    path = tmp_path / "mine.toml"
    path.write_text(PARTS)
    return read_user_tables([path]).tables["parts"]


def test_a_table_of_a_user_read_back_is_the_table(mine: EventTable) -> None:
    (told,) = json.loads(document([mine], homes()))["tables"]
    assert table(told) == silent(mine)


@pytest.mark.parametrize("one", event_tables().values(), ids=lambda one: one.name)
def test_a_table_read_back_is_the_table(one: EventTable) -> None:
    (told,) = json.loads(document([one], homes()))["tables"]
    assert table(told) == silent(one)
    assert tuple(map(tuple, told["spine"])) == one.spine
    own = [tuple(field) for its in told["columns"] for field in its["fields"]]
    subject = {"subject_user_id", "subject_username"}
    assert one.schema == (*one.spine, *(field for field in own if field[0] not in subject))


def test_the_document_has_all_tables_in_order_and_all_homes() -> None:
    told = json.loads(document(event_tables().values(), homes()))
    assert [one["name"] for one in told["tables"]] == list(event_tables())
    assert told["homes"] == homes().of
    assert set(told) == {"homes", "tables"}


def test_what_the_core_is_told_of_a_column(mine: EventTable) -> None:
    (told,) = json.loads(document([mine], homes()))["tables"]
    assert told["kind"] == "apart"
    assert told["action_is_type"] is True
    assert told["actions"] == [
        {"name": "grade", "types": ["grade"], "source": "", "has": None, "kind": ""}
    ]
    block, points = told["columns"]
    assert block["paths"] == {
        "otherwise": [["event", "the block"], ["event", "blocks", 0]],
        "instead": {},
    }
    assert block["required"] == ["grade"]
    assert [name for name, _ in block["fields"]] == [
        "block_key",
        "block_type",
        "block_id",
        "block_from",
    ]
    assert points == {
        "name": "points",
        "type": "float64",
        "decoder": "sum",
        "paths": {"otherwise": [], "instead": {"grade": [["event", "parts"]]}},
        "items": [["points"], ["of", "all parts", 0]],
        "role": "free text",
        "minimum": None,
        "maximum": None,
        "nulls": [],
        "needs": "",
        "unequal_to": "",
        "required": [],
        "flag": "",
        "forms": [],
        "fields": [["points", "float64"]],
    }
