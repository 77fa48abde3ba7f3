"""Columns are told apart by what they are, never by what they are called."""

from __future__ import annotations

import csv
import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

import edxlogs
from commands import run
from edxlogs import _core
from edxlogs.edx.tables import joined_table, tables

NAMES = ("id", "created", "modified", "row", "state", "body", "content", "metadata", "raw_answer")
"""Names that columns of tables have too, whose values grow or are long there."""
MOMENT = datetime.datetime(2014, 10, 1, 12, 30, 5, 250_000, datetime.UTC)
WRITTEN: dict[str, tuple[list[Any], list[Any]]] = {
    "float64": ([0.5, -3, None, 1e9, "2.25"], [0.5, -3.0, None, 1e9, 2.25]),
    "bool": ([True, False, None, "true", "0"], [True, False, None, True, False]),
    "int64": ([9, -8, None, 2**53, "7"], [9, -8, None, 2**53, 7]),
    "timestamp": (["2014-10-01T12:30:05.250000+00:00", None], [MOMENT, None]),
    "text": (["a", "", None, "b,c"], ["a", "", None, "b,c"]),
}
"""Values as an event has them, and as a column of that type has them."""


def _read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]]
    if path.suffix == ".parquet":
        rows = pyarrow.parquet.read_table(path).to_pylist()
    else:
        with pa.OSFile(str(path)) as file:
            rows = pa.ipc.open_file(file).read_all().to_pylist()
    return rows


def _cell(value: Any) -> str:
    """A value as CSV has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        return "2014-10-01T12:30:05.250000Z"
    return "" if value is None else str(value)


@pytest.mark.parametrize("kind", WRITTEN)
def test_any_name_may_have_any_type(tmp_path: Path, kind: str) -> None:
    written, wanted = WRITTEN[kind]
    lines = [
        {"event_type": "x", "time": MOMENT.isoformat(), **dict.fromkeys(NAMES, value)}
        for value in written
    ]
    log = tmp_path / "a.log"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    cast = "" if kind == "text" else f"::{kind}"
    columns = ",".join(["time", *(name + cast for name in NAMES)])
    for name in ("out.parquet", "out.arrow", "out.csv"):
        done = run("filter", log, "--columns", columns, "-o", name, cwd=tmp_path)
        assert done.code == 0, done.stderr
    rows = [{"time": MOMENT, **dict.fromkeys(NAMES, value)} for value in wanted]
    assert _read(tmp_path / "out.parquet") == rows
    assert _read(tmp_path / "out.arrow") == rows
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    if kind == "float64":
        assert [row["id"] and float(row["id"]) for row in cells] == [
            "" if value is None else value for value in wanted
        ]
    else:
        assert [row["id"] for row in cells] == [_cell(value) for value in wanted]


@pytest.mark.parametrize("name", ["time", "line"])
def test_a_default_column_has_its_own_type(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.log").write_text("")
    done = run("filter", "a.log", "--columns", f"{name}::float64", "--format", "csv", cwd=tmp_path)
    assert done.code == 2
    assert f"column {name}: has a type of its own" in done.stderr


def test_columns_say_what_they_tell_of_a_person() -> None:
    roles = {name: role for name, *_, role in _core.columns()}
    assert roles["user_id"] == roles["session"] == "person id"
    assert roles["username"] == "username"
    assert roles["ip"] == "address"
    assert roles["context"] == roles["event"] == "free text"
    assert roles["course_id"] == roles["time"] == roles["line"] == ""


def test_columns_of_tables_say_what_they_tell_of_a_person() -> None:
    named = {
        (table.name, column.name): column
        for table in [*tables().values(), joined_table()]
        for column in table.defined
    }
    known = {"", "person id", "username", "e-mail", "address", "free text"}
    assert {column.role for column in named.values()} == known
    assert {column.hint for column in named.values()} == {"", "grows", "long"}
    for (table, name), column in named.items():
        # Every id of a person is called so, but for some.
        if name in ("user_id", "student_id", "author_id") and "peerworkflowitem" not in table:
            assert column.role == "person id", (table, name)
        if name.endswith("username"):
            assert column.role == "username", (table, name)
        if column.hint == "grows":
            assert column.type in ("int64", "timestamp"), (table, name)
    assert named["auth_user", "email"].role == "e-mail"
    assert named["wiki_articlerevision", "ip_address"].role == "address"
    assert named["courseware_studentmodule", "state"].role == "free text"


def test_a_name_before_a_path_is_that_of_the_column(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"event_type": "x", "event": {"id": name, "grade": grade, "a=b": 1}, "username": "ann"}
        for name, grade in (("i4x://a", 0.5), ("i4x://b", None))
    ]
    log = tmp_path / "a.log"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = 'video=event.id, grade = event.grade::float64,who=username,event."a=b",line=line'
    wanted: list[dict[str, Any]] = [
        {
            "video": line["event"]["id"],
            "grade": line["event"]["grade"],
            "who": "ann",
            'event."a=b"': "1",
            "line": number,
        }
        for number, line in enumerate(lines, 1)
    ]
    for form in ("parquet", "arrow", "csv"):
        path = tmp_path / f"out.{form}"
        done = run("filter", log, "-o", path, "--columns", asked, cwd=tmp_path)
        assert (done.code, [line for line in done.told if "column" in line]) == (0, [])
        if form == "csv":
            cells = [[_cell(value) for value in row.values()] for row in wanted]
            assert list(csv.reader(path.read_text().splitlines())) == [list(wanted[0]), *cells]
        else:
            assert _read(path) == wanted
    stream = edxlogs.filter(log, columns=["video=event.id"])
    assert pa.table(stream).to_pylist() == [{"video": row["video"]} for row in wanted]
    job = 'sources = ["a.log"]\n[[dataset]]\noutput = "out"\npartition_by = "event_type"\n'
    (tmp_path / "job.toml").write_text(f'{job}columns = ["video=event.id", "who=username"]\n')
    assert run("run", "job.toml", cwd=tmp_path).code == 0
    rows = edxlogs.dataset(tmp_path / "out").to_table(columns=["video", "who"]).to_pylist()
    assert rows == [{"video": row["video"], "who": "ann"} for row in wanted]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("course_id=event.id", "column course_id: is one of edxlogs' own; take another name"),
        ("x=event.id,x=event.grade", "column x: named twice; name it once"),
        ("user_id,x=event.user_id,user_id", "column user_id: named twice; name it once"),
        ("x=", "columns: the path is empty"),
        ("1x=event.id", "columns: expected"),
        ("a b=event.id", "columns: expected"),
    ],
)
def test_names_that_a_column_cannot_have(tmp_path: Path, asked: str, told: str) -> None:
    (tmp_path / "a.log").write_text('{"event_type": "x"}\n')
    done = run("filter", "a.log", "-o", "out.csv", "--columns", asked, cwd=tmp_path)
    assert done.code == 2
    assert told in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_misspelt_column_is_told_with_a_name_too(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text('{"event_type": "x"}\n')
    done = run("filter", "a.log", "-o", "o.csv", "--columns", "tiem,x=usernam", cwd=tmp_path)
    assert done.code == 0
    assert "column tiem: is not" in done.stderr
    assert "column usernam: is not" in done.stderr
    assert "the nearest column is username" in done.stderr
