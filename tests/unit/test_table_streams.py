"""Tables to Python: streams, their rows, their trust."""

from __future__ import annotations

import inspect
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pytest

import edxlogs
import make_package
import oracle_tables
from edxlogs.account import Outcome
from edxlogs.edx.tables import Dialect, tables
from edxlogs.errors import ConfigError, FormatError
from edxlogs.generator import exporter
from product import table_rows

COURSES = make_package.COURSES[:3]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    contents = make_package.members(COURSES, sites=("prod", "edge"), count=8)
    return exporter.write(tmp_path / "universityx-2014-10-05.zip", contents)


def test_every_table_is_a_stream_of_all_courses(package: Path) -> None:
    found = edxlogs.database_tables(package)
    assert list(found) == [name for name in tables() if name != "course"]
    for name, stream in found.items():
        table = tables()[name]
        read = pa.table(stream)
        rows = table_rows(read)
        assert read.column_names.count("course_id") == 1
        assert stream.verified
        assert stream.account.total.rows_written == len(rows)
        if table.dialect not in (Dialect.TAB, Dialect.MODULE):
            continue
        key = table.columns[0][0]
        expected = [
            (course, site, course if key == "course_id" else row[key])
            for site in ("prod", "edge")
            for course in COURSES
            for row in oracle_tables.read_tab(
                b"".join(exporter.tab_lines(table, make_package.rows(table, course, 8, 7))),
                table.columns,
                module=table.dialect is Dialect.MODULE,
            ).rows
        ]
        assert [(row["course_id"], row["site"], row[key]) for row in rows] == expected


def test_courses_and_sites_are_chosen(package: Path) -> None:
    found = edxlogs.database_tables(package, course="course-v1:*", site="edge")
    assert "email_opt_in" not in found
    rows = table_rows(pa.table(found["auth_user"]))
    assert {(row["course_id"], row["site"]) for row in rows} == {(COURSES[0], "edge")}
    found = edxlogs.database_tables(package, course="none")
    assert list(found) == ["email_opt_in"]  # of the organisation: its rows are looked through
    assert table_rows(pa.table(found["email_opt_in"])) == []
    (package.parent / "courses.txt").write_text(f"\n{COURSES[0]} \n{COURSES[1]}\n")
    listed = f"@{package.parent}/courses.txt"
    found = edxlogs.database_tables(package, course=listed, site="edge", known_courses=listed)
    rows = table_rows(pa.table(found["auth_user"]))
    assert {row["course_id"] for row in rows} == set(COURSES[:2])
    with pytest.raises(ConfigError, match="course: @nowhere"):
        edxlogs.database_tables(package, course="@nowhere")
    with pytest.raises(KeyError):
        found["auth_users"]


def test_a_table_says_the_course_where_nothing_else_does(package: Path) -> None:
    rows = table_rows(pa.table(edxlogs.database_tables(package)["email_opt_in"]))
    assert {row["course_id"] for row in rows} == set(COURSES)


def test_what_tables_and_filter_share_has_one_default() -> None:
    mine, others = (
        {name: one.default for name, one in inspect.signature(function).parameters.items()}
        for function in (edxlogs.database_tables, edxlogs.filter)
    )
    shared = mine.keys() & others.keys()
    assert {"course", "site", "prompt", "gnupg_home", "threads"} <= shared
    assert {name: mine[name] for name in shared} == {name: others[name] for name in shared}


def test_other_libraries_take_a_stream(package: Path) -> None:
    found = edxlogs.database_tables(str(package), expand=True)
    frame = polars.DataFrame(found["courseware_studentmodule"])
    assert frame.height == 48
    assert "state_attempts" in frame.columns
    reader = pa.RecordBatchReader.from_stream(found["auth_user"])
    counted = duckdb.connect().from_arrow(reader).aggregate("count(*)").fetchall()
    assert counted == [(48,)]


def test_a_stream_of_a_damaged_file_raises_before_its_end(package: Path) -> None:
    with package.open("rb") as file:
        data = bytearray(file.read())
    at = data.index(b"\tis_staff\t", data.index(b"UniversityX-HY-101-2013-Fall-auth_user-prod"))
    data[at + 300] ^= 1
    package.write_bytes(data)
    stream = edxlogs.database_tables(package)["auth_user"]
    with pytest.raises(FormatError, match="does not match its checksum"):
        list(stream)
    assert not stream.verified
    assert len(stream.account.of_status(Outcome.WITHHELD)) == 1
    assert pa.table(edxlogs.database_tables(package)["auth_userprofile"]).num_rows == 48


def test_a_stream_is_read_once(package: Path) -> None:
    stream = edxlogs.database_tables(package)["auth_user"]
    pa.table(stream)
    with pytest.raises(ConfigError, match="read already"):
        pa.table(stream)


def test_a_stream_can_be_left(package: Path) -> None:
    with edxlogs.database_tables(package)["auth_user"] as stream:
        next(iter(stream))
    assert not stream.verified
