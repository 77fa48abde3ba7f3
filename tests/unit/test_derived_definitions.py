"""Definitions of derived tables: what a header says, and how a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from edxlogs.derived.definition import PEERS, Kind, read_definition, read_definitions, schema_of
from edxlogs.errors import ConfigError

GOOD = """\
-- table: watched
-- about: What was watched,
--   and by whom.
-- inputs: video_events! db_auth_user?
-- needs: sessions spans?
-- order: user_id, block_id
-- columns:
--   user_id int64 [role: person id]: Who.
--   block_id string: The video.
--   seconds float64 [s]: How long,
--     in all.
select 1
"""


def test_a_header_says_what_a_table_is() -> None:
    one = read_definition("watched.sql", GOOD)
    assert (one.name, one.kind) == ("watched", Kind.TABLE)
    assert one.about == "What was watched, and by whom."
    assert one.inputs == {"video_events": True, "db_auth_user": False}
    assert one.needs == {"sessions": True, "spans": False}
    assert one.order == ("user_id", "block_id")
    told = [(its.name, its.type, its.unit, its.role, its.about) for its in one.columns]
    assert told == [
        ("user_id", "int64", "", "person id", "Who."),
        ("block_id", "string", "", "", "The video."),
        ("seconds", "float64", "s", "", "How long, in all."),
    ]


COLUMNS = "-- about: A.\n-- order: a\n-- columns:\n--   a int64: An a.\nselect 1 as a\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("select 1", "line 1: must say once what it makes"),
        (f"-- table: one\n-- account: two\n{COLUMNS}", "must say once what it makes"),
        ("-- table: one\n-- order: a\n", "about is missing"),
        (f"-- table: One\n{COLUMNS}", "line 1: One: is not a name"),
        (f"-- table: one\n-- as: file\n{COLUMNS}", "as: file: write internal table"),
        (f"-- table: one\n-- inputs: logins\n{COLUMNS}", "inputs: logins: no such table"),
        (f"-- table: one\n-- inputs: db_course\n{COLUMNS}", "db_course: no such table"),
        (f"-- table: one\n-- input: video_events\n{COLUMNS}", "line 2: input is not known"),
        (f"-- table: one\n-- table: one\n{COLUMNS}", "line 2: table appears twice"),
        (f"-- table: one\n--words\n{COLUMNS}", "line 2: is not a header line"),
        ("-- table: one\n-- about: A.\n-- order: b\n-- columns:\n--   a int64: A.\n", "order: b"),
        ("-- table: one\n-- about: A.\n-- columns:\n--   a number: A.\n", "a number: A."),
        ("-- table: one\n-- about: A.\n-- columns:\n--   a int64 [role: king]: A.\n", "king"),
        (
            "-- table: one\n-- about: A.\n-- columns:\n--   a int64: A.\n--   a int64: A.\n",
            "columns: a appears twice",
        ),
        (f"-- account: one\n{COLUMNS}", "an account has neither columns nor an order"),
    ],
)
def test_what_is_wrong_in_a_header_is_named(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"^sql: x\.sql: line \d+: ") as caught:
        read_definition("x.sql", text)
    assert told in str(caught.value)


def _written(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


def _table(name: str, needs: str = "") -> str:
    needed = f"-- needs: {needs}\n" if needs else ""
    return f"-- table: {name}\n{needed}{COLUMNS}"


def test_each_stands_behind_what_it_needs(tmp_path: Path) -> None:
    own = {
        "zeta": _table("zeta"),
        "beta": _table("beta", "zeta"),
        "alpha": _table("alpha", "beta?"),
    }
    found = read_definitions(_written(tmp_path, **own))
    names = [name for name in found.by_name if name in own]
    assert names == ["zeta", "beta", "alpha"]
    assert found.custom == ("alpha", "beta", "zeta")
    assert [one.name for one in found.needed(["beta"])] == ["zeta", "beta"]


def test_a_digest_is_that_of_a_definition_and_of_what_it_needs(tmp_path: Path) -> None:
    own = {"zeta": _table("zeta"), "beta": _table("beta", "zeta"), "alpha": _table("alpha")}
    before = read_definitions(_written(tmp_path, **own))
    after = read_definitions(_written(tmp_path, zeta=own["zeta"] + "limit 1\n"))
    assert before.digest(["beta"]) != after.digest(["beta"])
    assert before.digest(["alpha"]) == after.digest(["alpha"])


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"a": _table("a", "b"), "b": _table("b", "a")}, "depends on itself"),
        ({"a": _table("a", "nobody")}, "needs: nobody: no such table"),
        ({"a": _table("b")}, "makes b; call the file b.sql"),
        ({"video_events": _table("video_events")}, "is a table of events"),
        ({}, "holds no SQL file"),
    ],
)
def test_a_folder_that_makes_no_sense_is_refused(
    tmp_path: Path, texts: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_definitions(_written(tmp_path, **texts))
    assert told in str(caught.value)


def test_the_own_definitions_read_what_there_is() -> None:
    found = read_definitions()
    assert found.tables
    assert found.custom == ()
    for one in found.by_name.values():
        assert all(schema_of(name) for name in one.inputs)
        assert one.about


def test_tables_by_the_names_of_peers_say_where_they_differ() -> None:
    plain, found = read_definitions(), read_definitions(peers=PEERS)
    more = [one for name, one in found.by_name.items() if name not in plain.by_name]
    assert more
    for one in more:
        assert one.name.startswith("simeon_")
        assert one.needs
        assert one.differs
    assert found.custom == ()
