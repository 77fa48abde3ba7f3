"""Which course files are of, and which are chosen by it."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

import make_package
from commands import Done, run
from converting import NAME
from edxlogs.edx.tables import tables
from edxlogs.generator import exporter

COURSES = make_package.COURSES[:2]
STEMS = [exporter.stem(course) for course in COURSES]
USERS = tables()["auth_user"]


def write(folder: Path, *, only: tuple[str, ...] = (), **replaced: bytes) -> None:
    """A package of those tables, some of their texts replaced."""
    contents = []
    for name, chunks in make_package.members(COURSES, count=8):
        table = next((one for one in (*only, *replaced) if f"-{one}-" in name), None)
        if table in replaced:
            contents.append((name, iter([replaced[table]])))
        elif table is not None or not only:
            contents.append((name, chunks))
    exporter.write(folder / NAME, contents)


def convert(folder: Path, *words: str) -> tuple[Done, set[tuple[str, str | None]]]:
    """A conversion, and what it delivered: tables and courses."""
    options = ("--overwrite", "--format", "csv", "--report", "report.json", "-o", "out")
    done = run("db", "convert", NAME, *options, *words, cwd=folder)
    members = json.loads((folder / "report.json").read_bytes())["members"]
    delivered = (one for one in members if one["status"] == "delivered")
    return done, {(one["table"], one["course"]) for one in delivered}


def test_a_table_alone_finds_its_course_beside_it(tmp_path: Path) -> None:
    write(tmp_path)
    done, found = convert(tmp_path, "--table", "auth_user")
    assert done.code == 0, done.stderr
    assert found == {("auth_user", course) for course in COURSES}
    assert "warning" not in done.stderr


@pytest.mark.parametrize("table", ["grades_persistentsubsectiongrade", "credit_crediteligibility"])
def test_whatever_table_is_beside_it(tmp_path: Path, table: str) -> None:
    write(tmp_path, only=("auth_user", table))
    done, found = convert(tmp_path, "--table", "auth_user")
    assert done.code == 0, done.stderr
    assert found == {("auth_user", course) for course in COURSES}


def test_a_course_is_looked_for_as_deep_as_it_lies(tmp_path: Path) -> None:
    """The first row is larger than what is looked into at first, and others are broken."""
    course = COURSES[0]
    for number, end in enumerate((b"\n", b"\r\n")):
        rows = [b"id\tstate\tcourse_id", b"1\t" + b"x" * 3_000_000 + b"\t" + course.encode()]
        if number:
            rows[1:1] = [b"broken", b"0\t\tNULL", b"0\t\t", b"0\t\tb'" + course.encode() + b"'"]
        text = end.join(rows) + end
        contents = [
            (exporter.file_name(USERS, course, "prod"), iter([b"id\tusername\n1\ta\n"])),
            (f"{STEMS[0]}-courseware_studentmodule-prod-analytics.sql", iter([text])),
        ]
        exporter.write(tmp_path / NAME, contents)
        done, found = convert(tmp_path, "--table", "auth_user")
        assert done.code == 0, done.stderr
        assert found == {("auth_user", course)}


@pytest.mark.parametrize("name", [STEMS[0], STEMS[0].lower(), "UniversityX-CS101-*", COURSES[0]])
def test_a_course_is_chosen_as_it_is_listed(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    listed = run("db", "list", NAME, "--by", "course", cwd=tmp_path).stdout.decode()
    assert STEMS[0] in listed
    done, found = convert(tmp_path, "--course", name)
    assert done.code == 0, done.stderr
    assert {course for _, course in found} == {COURSES[0], None}
    assert {table for table, course in found if course is None} == {"email_opt_in"}


@pytest.mark.parametrize("name", [*COURSES, *STEMS, "*CS101*", "course-v1:*"])
def test_preferences_are_filtered_by_course(tmp_path: Path, name: str) -> None:
    text = make_package.opt_ins(COURSES, 8, 7)
    write(tmp_path)
    done, found = convert(tmp_path, "--course", name, "--table", "email_opt_in")
    wanted = COURSES[1] if name in (COURSES[1], STEMS[1]) else COURSES[0]
    rows = [row for row in csv.DictReader(io.StringIO(text.decode())) if row["course_id"] == wanted]
    assert found == {("email_opt_in", None)}
    assert f"8 rows: {len(rows)} written, 0 rejected, 0 withheld, {8 - len(rows)} of other" in (
        done.stderr
    )
    (path,) = (tmp_path / "out" / "email_opt_in").glob("*.csv")
    with path.open(newline="") as file:
        mine = list(csv.DictReader(file))
    assert [row["username"] for row in mine] == [row["username"] for row in rows]


def test_courses_that_nothing_is_of_are_named_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path)
    words = ("--course", COURSES[0], "--course", "course-v1:UniversityX+CS102+2014_T1")
    done, found = convert(tmp_path, *words, "--table", "auth_user", "--table", "email_opt_in")
    assert done.code == 0
    assert ("auth_user", COURSES[0]) in found
    hint = "course: course-v1:UniversityX+CS102+2014_T1: no file belongs to it; near: "
    assert hint in done.stderr
    near = done.stderr.partition(hint)[2].splitlines()[0].split(", ")
    assert near[0] in (STEMS[0], COURSES[0])
    assert done.stderr.count("no file belongs to it") == 1
    shutil.rmtree(tmp_path / "out")
    done, found = convert(tmp_path, "--course", "course-v1:UniversityX+CS102+2014_T1")
    assert (done.code, found) == (1, set())
    assert done.stderr.splitlines()[0].startswith("nothing was converted")


def test_nothing_delivered_is_no_success(tmp_path: Path) -> None:
    exporter.write(
        tmp_path / NAME, [("a-auth_user-prod-analytics.sql.failed", iter([b"a traceback"]))]
    )
    done, found = convert(tmp_path)
    assert (done.code, found) == (1, set())
    assert "nothing was converted" in done.stderr
    assert "1 failed at their export" in done.stderr
    # No folder is left, but one that was there, or that has to know whose report it is.
    (tmp_path / "there").mkdir()
    for folder, words in (("new/below", ()), ("there", ()), ("of-report", ("--report", "r.json"))):
        for _ in range(2):
            done = run("db", "convert", NAME, "-o", folder, *words, cwd=tmp_path)
            assert done.code == 1
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "there").iterdir()) == []
