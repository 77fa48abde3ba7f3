"""Tables that are documents: the structure of a course, a forum; and the one that is CSV."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import make_package
import oracle_tables
from edxlogs import _core
from edxlogs.database.courses import course_in_structure
from edxlogs.database.reading import core_table
from edxlogs.edx.tables import tables
from edxlogs.errors import FormatError
from edxlogs.generator import exporter
from product import table_rows

Rows = list[dict[str, Any]]


def convert(
    data: bytes, name: str, error: type[Exception] | None = None, threads: int = 1
) -> tuple[Rows, dict[str, Any], bytes]:
    """Rows, counts and rejects of a file."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "in").write_bytes(data)
        counts, ended = _core.convert(
            folder / "in",
            core_table(name),
            folder / "out",
            package="p.zip",
            member="m",
            label="p.zip: m",
            rejects_path=folder / "rejects",
            threads=threads,
            control=_core.Control(),
        )
        if error is not None:
            assert isinstance(ended, error)
            return [], counts, b""
        assert ended is None
        rejects = folder / "rejects"
        assert counts["rows"] == counts["rows_written"] + sum(counts["reasons"].values())
        kept = rejects.read_bytes() if rejects.exists() else b""
        return table_rows(pq.read_table(folder / "out")), counts, kept


def rebuilt(rows: Rows) -> dict[str, list[str]]:
    """The children of each block, by the parents that the rows tell alone."""
    children: dict[str, list[tuple[int, str]]] = {row["usage_key"]: [] for row in rows}
    for row in rows:
        if row["parent"] is not None:
            children[row["parent"]].append((row["position"], row["usage_key"]))
    return {key: [child for _, child in sorted(its)] for key, its in children.items()}


@pytest.mark.parametrize("course", make_package.COURSES)
def test_the_tree_is_rebuilt_from_the_rows(course: str) -> None:
    text = make_package.structure(course)
    document = json.loads(text)
    rows, counts, _ = convert(text, "course_structure")
    assert [row["usage_key"] for row in rows] == list(document)
    assert rebuilt(rows) == {key: block["children"] for key, block in document.items()}
    assert {row["usage_key"]: json.loads(row["children"]) for row in rows} == rebuilt(rows)
    for row in rows:
        assert json.loads(row["metadata"]) == document[row["usage_key"]]["metadata"]
        assert row["category"] == row["block_type"] == document[row["usage_key"]]["category"]
    assert max(counts["courses"], key=counts["courses"].get) == course
    assert course_in_structure(text) in (course, None)


def test_paths_lead_from_the_course_to_each_block() -> None:
    course = make_package.COURSES[0]
    text = make_package.structure(course)
    document = json.loads(text)
    by_key = {row["usage_key"]: row for row in convert(text, "course_structure")[0]}
    above: dict[str, str] = {}
    for key, block in document.items():
        above |= dict.fromkeys(block["children"], key)
    for key, row in by_key.items():
        path = [key]
        while path[0] in above:
            path.insert(0, above[path[0]])
        assert json.loads(row["path"]) == path
        names = [document[one]["metadata"].get("display_name") for one in path]
        assert json.loads(row["path_names"]) == names
        is_in_course = document[path[0]]["category"] == "course"
        assert row["depth"] == (len(path) - 1 if is_in_course else None)
        for category in ("chapter", "sequential", "vertical"):
            found = [one for one in path if document[one]["category"] == category]
            assert row[category] == (found[-1] if found else None)
        metadata = document[key]["metadata"]
        assert row["display_name"] == metadata.get("display_name")
        assert (row["graded"], row["format"]) == (metadata.get("graded"), metadata.get("format"))
        for name in ("start", "due"):
            expected = metadata.get(name)
            assert row[name] == (expected and oracle_tables.moment(expected))


def test_odd_structures() -> None:
    blocks = {
        "a": {"category": "chapter", "children": ["b", "b", "gone", 7], "metadata": {}},
        "b": {"category": "vertical", "children": ["a"], "metadata": {"due": "soon"}},
        "c": {"category": "course", "children": ["a"], "redacted_metadata": ["start"]}
        | {"n": 1.50, "of": {"a": "b\n"}},
        "d": ["no block"],
        "e": {},
    }
    rows, counts, rejects = convert(json.dumps(blocks).encode(), "course_structure")
    by_key = {row["usage_key"]: row for row in rows}
    assert list(by_key) == ["a", "b", "c", "e"]
    assert (by_key["a"]["parent"], by_key["b"]["parent"]) == ("b", "a")  # a circle has an end
    assert json.loads(by_key["b"]["misfits"]) == {"due": "soon"}
    assert json.loads(by_key["c"]["extra"]) == {
        "redacted_metadata": ["start"],
        "n": 1.50,
        "of": {"a": "b\n"},
    }
    assert by_key["e"]["metadata"] is None
    assert counts["reasons"] == {"not_an_object": 1}
    assert b'["no block"]\n' in rejects


@pytest.mark.parametrize("text", [b"[1]", b'{"a": ', b"hello"])
def test_what_is_no_structure_is_refused(text: bytes) -> None:
    convert(text, "course_structure", FormatError)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (text, name)
        for text in (b"", b"\n")
        for name in ("course_structure", "forum", "email_opt_in")
    ]
    + [(b"{}", "course_structure")],
)
def test_files_without_rows(text: bytes, name: str) -> None:
    assert convert(text, name)[0] == []


def plain(value: Any) -> Any:
    """Extended JSON as plain values."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("$oid", text)]:
            return text
        case [("$numberLong", text)]:
            return int(text)
        case [("$date", {"$numberLong": text})]:
            return int(text) * 1000
        case [("$date", int(millis))]:
            return millis * 1000
        case [("$date", text)]:
            return oracle_tables.moment(text)
    return {key: plain(item) for key, item in value.items()}


def test_posts_of_every_version_of_extended_json() -> None:
    lines = list(make_package.posts(make_package.COURSES[1], 60, 5))
    rows, counts, _ = convert(b"".join(lines), "forum")
    kinds: Counter[str] = Counter()
    for row, line in zip(rows, lines, strict=True):
        post = plain(json.loads(line))
        is_thread = post["_type"] == "CommentThread"
        answers = "comment" if post.get("parent_ids") else "response"
        kinds[row["kind"]] += 1
        assert row["kind"] == ("thread" if is_thread else answers)
        votes = post.pop("votes")
        assert json.loads(row["votes_up"]) == votes["up"]
        assert json.loads(row["votes_down"]) == votes["down"]
        assert (row["votes_up_count"], row["votes_down_count"]) == (len(votes["up"]), 0)
        surprise = post.pop("surprise")
        assert json.loads(row["extra"]) == {"votes": {"point": 1}, "surprise": surprise}
        for name, value in post.items():
            mine = json.loads(row[name]) if isinstance(value, list) else row[name]
            assert mine == value, name
        others = set(dict(tables()["forum"].columns)) - set(post) - {"kind"}
        assert all(row[name] is None for name in others if not name.startswith("votes_"))
    assert set(kinds) == {"thread", "response", "comment"}
    assert counts["courses"] == {make_package.COURSES[1]: 60}


def test_posts_that_are_none_are_rejected_alone() -> None:
    good = b'{"_id": {"$oid": "1"}, "created_at": {"$date": "never"}, "depth": 2.0}\n'
    data = good + b'{"cut": \n' + b"[1]\n" + b"\n" + good.replace(b"2.0", b"2.5")
    rows, counts, rejects = convert(data, "forum")
    assert [(row["_id"], row["depth"], row["row"]) for row in rows] == [("1", 2, 1), ("1", None, 5)]
    assert json.loads(rows[0]["misfits"]) == {"created_at": '{"$date":"never"}'}
    assert counts["reasons"] == {"bad_json": 1, "not_an_object": 1}
    assert counts["blank"] == 1
    assert b'"line": 2, "byte": ' in rejects
    assert b'\n{"cut": \n' in rejects


TEXT = st.text("ab,\"'\r\n \u00e9", max_size=8).filter(lambda text: "\r" not in text)


@given(st.lists(st.lists(TEXT, min_size=7, max_size=7), max_size=5))
def test_csv_is_read_as_python_wrote_it(records: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    names = [name for name, _ in tables()["email_opt_in"].columns]
    csv.writer(text).writerows([names, *records])
    rows, counts, _ = convert(text.getvalue().encode(), "email_opt_in")
    assert counts["rows_written"] == len(records) == len(rows)
    for row, record in zip(rows, records, strict=True):
        texts = {"username": 1, "email": 2, "full_name": 3, "course_id": 4}
        assert {name: row[name] for name in texts} == {
            name: record[at] for name, at in texts.items()
        }


def test_e_mail_preferences_of_both_eras() -> None:
    new = make_package.opt_ins(make_package.COURSES, 30, 3)
    records = list(csv.DictReader(io.StringIO(new.decode(), newline="")))
    rows, counts, _ = convert(new, "email_opt_in")
    for row, record in zip(rows, records, strict=True):
        assert row["user_id"] == int(record["user_id"])
        assert row["full_name"] == record["full_name"]
        assert row["is_opted_in_for_email"] is (record["is_opted_in_for_email"] == "True")
        moment = oracle_tables.moment(record["preference_set_datetime"])
        assert row["preference_set_datetime"] == moment
    old = b"email,full_name,course_id,is_opted_in_for_email,preference_set_datetime\r\n"
    old += (
        b'a@x,"A ""B"",\nC",U/C/R,False,2014-12-01 00:00:00+00:00\r\nn\0ul,,,maybe,\r\nx,y\r\n"open'
    )
    rows, counts, rejects = convert(old, "email_opt_in")
    assert counts["missing_columns"] == ["user_id", "username"]
    assert [row["full_name"] for row in rows] == ['A "B",\nC', ""]
    assert rows[1]["email"] == "nul"
    assert counts["nul"] == 1
    assert json.loads(rows[1]["misfits"]) == {"is_opted_in_for_email": "maybe"}
    assert counts["reasons"] == {"fields": 1, "quote": 1}
    assert b'"line": 5, ' in rejects


@pytest.mark.parametrize("name", ["forum", "courseware_studentmodule"])
def test_threads_change_nothing(name: str) -> None:
    """Enough for several stretches."""
    table = tables()[name]
    course = make_package.COURSES[0]
    if name == "forum":
        data = b"".join(make_package.posts(course, 500, 3)) * 200
    else:
        lines = list(exporter.tab_lines(table, make_package.rows(table, course, 500, 3)))
        data = lines[0] + b"".join(lines[1:]) * 280
    assert len(data) > 40 << 20
    one = convert(data, name)
    assert convert(data, name, threads=3) == one
    assert [row["row"] for row in one[0]] == list(range(1, len(one[0]) + 1))
