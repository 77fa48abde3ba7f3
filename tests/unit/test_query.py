"""events/query.py: conditions in words, files of values, moments."""

from __future__ import annotations

import ast
import datetime
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edxlogs
from edxlogs import _core
from edxlogs.cli.filter import command as filter_command
from edxlogs.errors import ConfigError
from edxlogs.events.conditions import NAMES
from edxlogs.events.query import Conditions, make_query
from edxlogs.sources.window import Slack, Window
from edxlogs.values import micros, values

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("given_values", "listed"),
    [
        (None, []),
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        (("a",), ["a"]),
        (iter(["a", "b"]), ["a", "b"]),
        ([], []),
    ],
)
def test_one_or_several(given_values: Any, listed: list[str]) -> None:
    assert values("course", given_values) == listed


def test_a_file_of_values(tmp_path: Path) -> None:
    path = tmp_path / "courses"
    path.write_bytes("\ufeffA/B/C\r\n\n  D/E/F  \n@not-a-file\n".encode())
    assert values("course", ["X/Y/Z", f"@{path}"]) == ["X/Y/Z", "A/B/C", "D/E/F", "@not-a-file"]


@pytest.mark.parametrize("content", [None, b"", b" \n\n", b"\xff\xfe\x00"])
def test_a_file_without_values(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "courses"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="course: @"):
        values("course", f"@{path}")


@pytest.mark.parametrize("wrong", ["", "  ", ["a", ""], 5, [5], b"a", "@", "@/", [None]])
def test_values_that_are_none(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"^user: "):
        values("user", wrong)


@given(st.datetimes(min_value=datetime.datetime(1, 1, 2), max_value=datetime.datetime(9999, 1, 1)))
def test_moments(moment: datetime.datetime) -> None:
    aware = moment.replace(tzinfo=datetime.UTC)
    exact = (aware - EPOCH) // datetime.timedelta(microseconds=1)
    assert micros("since", moment) == micros("since", aware) == exact
    east = aware.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    assert micros("since", east) == exact
    assert micros("since", aware.isoformat()) == exact
    midnight = datetime.datetime.combine(moment.date(), datetime.time(), datetime.UTC)
    day = (midnight - EPOCH) // datetime.timedelta(microseconds=1)
    assert micros("since", moment.date()) == micros("since", moment.date().isoformat()) == day


@pytest.mark.parametrize("wrong", ["", "tomorrow", "2014-13-01", "2014-02-30", "\x1b[31m", 5, []])
def test_no_moment(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"^since: ") as caught:
        micros("since", wrong)
    assert "\x1b" not in str(caught.value)


def test_conditions_are_those_of_one_table() -> None:
    """Where types need them written out, they are those of the table."""
    commands = {parameter.name for parameter in filter_command.params}
    assert set(NAMES) <= commands
    assert set(NAMES) <= inspect.signature(edxlogs.filter).parameters.keys()
    stubs = ast.parse(Path(edxlogs.__file__).with_name("_core.pyi").read_text())
    query = next(one for one in stubs.body if isinstance(one, ast.ClassDef) and one.name == "Query")
    (new,) = [one for one in query.body if isinstance(one, ast.FunctionDef) and "new" in one.name]
    arguments = [one.arg for one in new.args.kwonlyargs]
    keywords = Conditions().keywords()
    named = {name for name, value in keywords.items() if isinstance(value, list)}
    until_columns = set(arguments[: arguments.index("columns")])
    assert until_columns == {"conditions"} | (keywords.keys() - named)
    for name in named:
        _core.Query(conditions=[(name, ["name is null"])])
    for name in ("course", "exclude_", "exclude_since"):
        with pytest.raises(ConfigError, match="conditions"):
            _core.Query(conditions=[(name, ["a"])])


def test_conditions_can_be_sent_elsewhere() -> None:
    """What is meant does not hang on which object it is."""
    asked = Conditions.of(course=["a/b/c"], since="2014-10-01", by="received_at", days="2014-10-01")
    copy = pickle.loads(pickle.dumps(asked))
    assert copy == asked
    assert copy.window.edx_slack == Slack(1, 1)
    assert copy.window.slack == Slack(1, 30)


def test_no_condition_of_another_name() -> None:
    with pytest.raises(TypeError, match="courses"):
        Conditions.of(courses="a/b/c")


def test_categories_join_event_types() -> None:
    keywords = Conditions.of(event_type="mine", category="video").keywords()
    assert keywords["event_types"][0] == "mine"
    assert "play_video" in keywords["event_types"]
    assert keywords["exclude_event_types"] == []
    excluded = Conditions.of(exclude_event_type="mine", exclude_category=["video"]).keywords()
    assert excluded["exclude_event_types"] == keywords["event_types"]


def test_a_window_must_hold_an_instant() -> None:
    assert Conditions.of(since="2014-10-01", until="2014-10-01T00:00:00.000001Z").keywords()
    for until in ("2014-10-01", "2014-09-30"):
        with pytest.raises(ConfigError, match="since: is not before until"):
            Conditions.of(since="2014-10-01", until=until).keywords()


@pytest.mark.parametrize(
    ("window", "has"),
    [
        (Window(), {"prod", "edge", None}),
        (Window.of(site="prod"), {"prod", None}),
        (Window.of(site="edx"), {"prod", None}),
        (Window.of(site=["prod", "edge"]), {"prod", "edge", None}),
        (Window.of(exclude_site="prod"), {"edge", None}),
        (Window.of(site=["prod", "edge"], exclude_site="edge"), {"prod", None}),
    ],
)
def test_sites(window: Window, has: set[str | None]) -> None:
    """Of a source without one, each line is asked."""
    assert {site for site in ("prod", "edge", None) if window.wants_site(site)} == has


def test_shown_is_what_was_asked_for() -> None:
    assert Conditions().shown() == {}
    assert Conditions().hidden() == b""
    asked = Conditions.of(course=["a/b/c"], site="prod", since="1970-01-02", where="name is null")
    assert asked.shown() == {
        "courses": ["a/b/c"],
        "sites": ["prod"],
        "since": 86_400_000_000,
        "expressions": ["name is null"],
    }


def test_persons_are_shown_by_their_number_and_expressions_without_values() -> None:
    asked = Conditions.of(user=["ann", "7"], exclude_user="bob", where="event.x in('ann',7)")
    assert asked.shown() == {
        "users": 2,
        "exclude_users": 1,
        "expressions": ["event.x in (…)"],
    }
    assert "ann" not in repr(asked)


def test_what_is_hidden_is_the_same_where_the_query_is() -> None:
    def hidden(**words: Any) -> bytes:
        return Conditions.of(**words).hidden()

    wanted = hidden(user=["ann", "bob"], where=["a = 1", "b = 2"])
    assert hidden(user=["bob", "ann", "bob"], where=["b=2", " a == 1"]) == wanted
    others: list[dict[str, Any]] = [
        {"user": ["ann"], "where": ["a = 1", "b = 2"]},
        {"exclude_user": ["ann", "bob"], "where": ["a = 1", "b = 2"]},
        {"user": ["ann", "bob"], "where": ["a = 1", "b = 3"]},
    ]
    for other in others:
        assert hidden(**other) not in (wanted, b"")
    assert hidden(course="ann", site="bob") == b""


def test_the_epoch_is_asked_for_too() -> None:
    assert Conditions.of(since="1970-01-01").shown() == {"since": 0}


@pytest.mark.parametrize(
    "options",
    [
        {"check": "quick"},
        {"course_from": "page"},
        {"max_line_bytes": 0},
        {"columns": []},
        {"columns": ["a.b", "a.b"]},
        {"columns": ["a..b"]},
        {"columns": ["course_id::int64"]},
        {"collect": "everything"},
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make_query(Conditions(), **options)


def test_columns_keep_their_order() -> None:
    names = ["line", 'event."a.b"[0]', "time"]
    assert make_query(Conditions(), columns=names).column_names == names
    assert make_query(Conditions(), columns="time").column_names == ["time"]


@pytest.mark.parametrize("where", ["event.a ==", "(a = 1", "a in ()", "a like 5", "= 1", "a = 'x"])
def test_expressions_that_cannot_be_read(where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_query(Conditions.of(where=where))
    assert "\n" not in str(caught.value)
