"""Definitions of tables of events that are wrong: each is told in one sentence, with its place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxlogs.edx import event_tables as definitions
from edxlogs.edx.event_tables import EventTable, event_tables, homes, read_table
from edxlogs.errors import ConfigError
from toml_values import VALUES

FOLDER = Path(definitions.__file__).parent

HOME = """\
name = "other_events"
about = "What else there is."
kind = "home"
actions = [
    { action = "one", types = ["site_search"] },
    { action = "two", types = ["site_search"], source = "browser" },
    { action = "two", types = ["grade"] },
]
[[columns]]
name = "first"
type = "float64"
about = "The first."
decoder = "number"
paths = ["event.first"]
when = { one = ["event.other"] }
"""
TYPES = dataclasses.replace(homes(), of={"site_search": "other_events", "grade": "other_events"})
SECOND = '[[columns]]\nname = "second"\nabout = "It."\n'
CHILDREN = """\
name = "parts"
about = "Its parts."
kind = "children"
parent = "other_events"
actions = ["one"]
[[rows]]
path = "event.parts.*"
mark = "p"
[[columns]]
name = "first"
type = "string"
about = "The first."
decoder = "text"
paths = ["event.parts.*.first"]
[[columns]]
name = "key"
type = "string"
about = "The key."
decoder = "row key"
"""


def test_the_smallest_definitions_are_read() -> None:
    home = read_table("mine.toml", HOME, TYPES)
    assert [name for name, _ in home.schema][-1] == "first"
    children = read_table("mine.toml", CHILDREN, TYPES, {"other_events": home})
    assert children.actions == home.actions[:1]
    assert children.schema[-2:] == (("first", "string"), ("key", "string"))


def said(text: str, parents: Mapping[str, EventTable] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read_table("mine.toml", text, TYPES, parents)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name = "other_events"\n', "", "mine.toml: name is missing"),
        (
            'about = "What',
            'abuot = "What',
            "mine.toml: abuot: is not one of its keys; did you mean about?",
        ),
        ('"home"', '"hmoe"', "mine.toml: kind: must be one of home, children"),
        ('"home"', "[]", "mine.toml: kind: must be one of home, children"),
        ('"home"', '"apart"', "mine.toml: kind: must be one of home, children"),
        ('"home"', '"home"\ntypes = ["grade"]', "mine.toml: types: is not one of its keys"),
        (
            '"home"',
            '"home"\naction_is_type = true',
            "mine.toml: other_events: actions: there must be a list, or action_is_type = true",
        ),
        ('"home"', '"home"\naction_is_type = false', "mine.toml: action_is_type: must be true"),
        ('"home"', '"home"\nwithout = ["_x"]', "mine.toml: other_events: without: only tables of"),
        ('"other_events"', '"my_events"', "mine.toml: my_events: name: no event type has its home"),
        ("actions = [", "actions = [1,", "mine.toml: other_events: actions, number 1: must be a"),
        (
            '["grade"]',
            '["grdae"]',
            "mine.toml: other_events: actions, number 3: grdae: the table is",
        ),
        (
            '["grade"]',
            '["grade", "site_search"]',
            "mine.toml: other_events: actions: site_search belongs to two of them",
        ),
        (
            '    { action = "two", types = ["grade"] },\n',
            "",
            "mine.toml: other_events: actions: grade: no",
        ),
        (
            'source = "browser"',
            'source = ""',
            "mine.toml: other_events: actions, number 2: source: must",
        ),
        (
            'source = "browser"',
            'has = "a b"',
            "mine.toml: other_events: actions, number 2: path a b: no",
        ),
        ('"first"', '"First"', "mine.toml: other_events: column First: name: must be a name"),
        ('name = "first"\n', "", "mine.toml: other_events: column number 1: name is missing"),
        (
            'name = "first"',
            'name = "time"',
            "mine.toml: other_events: column time: time is a column that",
        ),
        (
            'name = "first"',
            'name = "subject_user_id"',
            "mine.toml: other_events: column subject_user_id: must be int64",
        ),
        (
            '"float64"',
            '"float"',
            "mine.toml: other_events: column first: type: must be one of string",
        ),
        (
            '"float64"',
            '"string"',
            "mine.toml: other_events: column first: type: number gives float64",
        ),
        (
            'type = "float64"\n',
            "",
            "mine.toml: other_events: column first: type: number gives float64",
        ),
        (
            '"number"',
            '"nubmer"',
            "mine.toml: other_events: column first: decoder: nubmer is unknown; did you mean",
        ),
        (
            'decoder = "number"',
            "decoder = 1",
            "mine.toml: other_events: column first: decoder: must be",
        ),
        (
            '["event.first"]',
            '["event.first."]',
            "mine.toml: other_events: column first: path event.first.: not a path from . on",
        ),
        (
            '["event.first"]',
            '["evnt.first"]',
            "mine.toml: other_events: column first: path evnt.first: evnt is not a field of",
        ),
        (
            '["event.first"]',
            '["event.*"]',
            "mine.toml: other_events: column first: path event.*: * is only for tables of children",
        ),
        (
            '["event.first"]',
            '["*.first"]',
            "mine.toml: other_events: column first: path *.first: * is only for tables of children",
        ),
        (
            '["event.first"]',
            '["form.*"]',
            "mine.toml: other_events: column first: path form.*: * is only for tables of children",
        ),
        (
            '["event.first"]',
            '["event.a", "event.a"]',
            "mine.toml: other_events: column first: path event.a appears twice",
        ),
        (
            "one = [",
            "won = [",
            "mine.toml: other_events: column first: when: won is not an action of the",
        ),
        (
            '["event.other"]',
            "1",
            "mine.toml: other_events: column first: when: one: must be a list",
        ),
        (
            'paths = ["event.first"]\nwhen = { one = ["event.other"] }\n',
            "",
            "mine.toml: other_events: column first: paths are missing",
        ),
        ("[[columns]]", "[columns]", "mine.toml: columns: must be a list of tables"),
    ],
)
def test_a_wrong_definition_is_told_with_its_place(old: str, new: str, why: str) -> None:
    assert HOME.count(old) >= 1
    message = said(HOME.replace(old, new, 1))
    assert message.startswith(why)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("min = 2\nmax = 1\n", "column first: min is greater than max"),
        ("min = true\n", "column first: min: must be a number"),
        ("min = nan\n", "column first: min: must be a number"),
        ('role = "nmae"\n', "column first: role: must be one of person id"),
        ('needs = "third"\n', "column first: needs: third is not another column"),
        ('unequal_to = "first"\n', "column first: unequal_to: first is not another column"),
        ("required = true\n", "column first: required: only the decoder block id has one"),
        ("nulls = [[]]\n", "column first: nulls: must be a list of texts and numbers"),
        (
            SECOND.replace("second", "first")
            + 'type = "bool"\ndecoder = "bool"\npaths = ["event"]\n',
            "column first: first appears twice",
        ),
        (SECOND + 'decoder = "input id"\n', "column second: decoder: input id is for tables of"),
        (
            SECOND + 'decoder = "block id"\ntype = "string"\npaths = ["event.a"]\n',
            "column second: type: block id fills columns of its own types",
        ),
        (
            SECOND + 'decoder = "block id"\nrole = "address"\npaths = ["event.a"]\n',
            "column second: role: block id fills several columns",
        ),
        (
            SECOND + 'decoder = "block id"\nrequired = ["too"]\npaths = ["event.a"]\n',
            "column second: required: too is not an action of the table; did you mean two?",
        ),
        (
            SECOND + 'decoder = "kind"\ntype = "string"\n',
            "column second: decoder: kind: no action has a kind",
        ),
        ('flag = "truncated"\n', "column first: flag: only the decoder bool has one"),
        ('items = ["a"]\n', "column first: items: only the decoder sum has one"),
        (
            SECOND + 'decoder = "sum"\ntype = "float64"\npaths = ["event.a"]\n',
            "column second: items is missing: paths",
        ),
        (
            SECOND + 'decoder = "sum"\ntype = "float64"\npaths = ["event.a"]\nitems = ["a."]\n',
            "column second: items: path a.: not a path from . on",
        ),
        (
            SECOND + 'decoder = "sum"\ntype = "float64"\npaths = ["event.a"]\nitems = ["a.*"]\n',
            "column second: items: path a.*: appears twice, or has a *",
        ),
        (SECOND + 'decoder = "place"\ntype = "string"\n', "column second: decoder: place is for"),
        (
            'role = "free text"\nrows = [{ path = "event.a.*", mark = "a" }]\n',
            "column first: rows: is not one of its keys",
        ),
        (
            SECOND + 'decoder = "form inputs"\ntype = "int64"\npaths = ["event.a"]\n',
            "column second: its decoder reads no paths",
        ),
        (
            '[[flags]]\nflag = "double"\nactions = ["one"]\nsince = 2015-09-01\n',
            "flags, number 1: flag: must be one of broken_payload",
        ),
        (
            '[[flags]]\nflag = "worker"\nactions = ["three"]\nsince = 2015-09-01\n',
            "flags, number 1: three is not an action",
        ),
        (
            '[[flags]]\nflag = "worker"\nactions = ["one"]\n',
            "flags, number 1: needs one of since",
        ),
        (
            '[[flags]]\nflag = "worker"\nactions = ["one"]\nsince = "2015-09-01"\n',
            "flags, number 1: since: must be a day",
        ),
        (
            '[[flags]]\nflag = "worker"\nactions = ["one"]\n'
            "since = 2015-09-01\nuntil = 2015-09-01\n",
            "flags, number 1: needs one of since",
        ),
    ],
)
def test_what_is_wrong_in_a_column_or_flag_is_told(more: str, why: str) -> None:
    assert said(HOME + more).startswith(f"mine.toml: other_events: {why}")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('parent = "other_events"\n', "", "parent is missing"),
        ('"children"', '"children"\naction_is_type = true', "action_is_type: tables of children"),
        ('"other_events"', '"others"', "parent: others is not a known table"),
        ('["one"]', '["oen"]', "actions: oen is not an action of the table; did you mean one?"),
        ('["one"]', "[{ action = 1 }]", "actions: must be a list of those of other_events"),
        ('"event.parts.*"', '"event.parts"', "rows, number 1: path event.parts: must end in *"),
        (
            '"event.parts.*"',
            '"event.parts.*.a"',
            "rows, number 1: path event.parts.*.a: must end in *",
        ),
        ('mark = "p"', 'mark = "p p"', "rows, number 1: mark: must be a letter or a word"),
        ('mark = "p"', 'mark = ""', "rows, number 1: mark: must be a letter or a word"),
        (
            'mark = "p"',
            'mark = "pp"\n[[columns]]\nname = "where"\ntype = "string"\nabout = "It."\n'
            'decoder = "found in"',
            "rows: marks must be letters",
        ),
        ('"row key"', '"text"\npaths = ["*"]', "columns: one must say which row it is, by a"),
        (
            '"row key"\n',
            '"row key"\n[[columns]]\nname = "number"\ntype = "int64"\nabout = "It."\n'
            'decoder = "item number"\n',
            "columns: rows are keys or items, not both: key of keys, number of items",
        ),
        ('"event.parts.*"', '"*"', "rows, number 1: path *: must end in *, which is the row"),
        (
            "[[columns]]",
            '[[rows]]\npath = "event.b.*"\nmark = "p"\n[[columns]]',
            "rows, number 2: path or",
        ),
        (
            '"event.parts.*.first"',
            '"event.part.*.first"',
            "column first: path event.part.*.first: * is",
        ),
        ('name = "first"', 'name = "block_id"', "column block_id: block_id is a column that every"),
    ],
)
def test_wrong_tables_of_children_are_told(old: str, new: str, why: str) -> None:
    parents = {"other_events": read_table("", HOME, TYPES)}
    assert CHILDREN.count(old) >= 1
    assert said(CHILDREN.replace(old, new, 1), parents).startswith(f"mine.toml: parts: {why}")


def told(text: str) -> str:
    """What is said of a definition; nothing if it is right."""
    try:
        read_table("mine.toml", text, homes(), event_tables())
    except ConfigError as error:
        return str(error)
    return "mine.toml: "


@given(st.data())
def test_no_value_in_any_place_is_more_than_one_sentence(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["problem_events", "problem_inputs", "video_events"]))
    lines = (FOLDER / f"{name}.toml").read_text().splitlines()
    places = [
        at for at, line in enumerate(lines) if re.fullmatch(r"\w+ = .*[^\[{\"]|\w+ = .*\"", line)
    ]
    at = data.draw(st.sampled_from(places))
    lines[at] = lines[at].partition(" = ")[0] + " = " + data.draw(st.sampled_from(VALUES))
    message = told("\n".join(lines))
    assert message.startswith("mine.toml: ")
    assert "\n" not in message
