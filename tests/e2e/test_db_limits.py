"""Memory of `edxlogs db convert`: bounded by the threads, not by the size of a table."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

import make_package
from commands import run_measured
from edxlogs.edx.tables import tables
from edxlogs.generator import exporter

NAME = "universityx-2014-10-05.zip"
MEGABYTE = 1_000_000


def package(folder: Path, megabytes: int) -> Path:
    """Two large tables and one row of more than a block."""
    table = tables()["courseware_studentmodule"]
    contents = []
    for course in make_package.COURSES[:2]:
        header, *deck = exporter.tab_lines(table, make_package.rows(table, course, 2000, 7))
        body = b"".join(deck)
        long = deck[0].replace(b'{"', b'{"' + b"x" * (20 * MEGABYTE), 1)
        many = itertools.repeat(body, megabytes * MEGABYTE // len(body))
        name = exporter.file_name(table, course, "prod")
        contents.append((name, itertools.chain([header, long], many)))
    return exporter.write(folder / NAME, contents)


@pytest.mark.parametrize(
    "megabytes", [150, pytest.param(2000, marks=pytest.mark.slow)]
)  # fmt: skip
def test_memory_is_bounded(tmp_path: Path, megabytes: int) -> None:
    package(tmp_path, megabytes)
    words = ("db", "convert", NAME, "-o", "out", "--threads", "2", "-q")
    done, peak = run_measured(*words, cwd=tmp_path, seconds=300)
    assert done.code == 0, done.stderr
    assert peak < 400 * MEGABYTE


def test_memory_does_not_depend_on_how_many_rows_are_rejected(tmp_path: Path) -> None:
    table = tables()["auth_user"]
    course = make_package.COURSES[0]
    header, row, *_ = exporter.tab_lines(table, make_package.rows(table, course, 2, 7))
    lines = b"x\n" * (8 * MEGABYTE)
    name = exporter.file_name(table, course, "prod")
    exporter.write(tmp_path / NAME, [(name, iter([header, row, lines, row]))])
    words = ("db", "convert", NAME, "-o", "out", "--threads", "2", "-q")
    done, peak = run_measured(*words, "--rejects", "bad", cwd=tmp_path, seconds=300)
    assert done.code == 0, done.stderr
    assert peak < 400 * MEGABYTE
    with (tmp_path / "bad").open("rb") as bad:
        assert sum(line == b"x\n" for line in bad) == 8 * MEGABYTE
    assert {path.name for path in tmp_path.iterdir()} == {NAME, "out", "bad"}


def test_a_row_of_millions_of_fields_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    table = tables()["auth_user"]
    course = make_package.COURSES[0]
    header, row, *_ = exporter.tab_lines(table, make_package.rows(table, course, 2, 7))
    name = exporter.file_name(table, course, "prod")
    tabs = b"\t" * (50 * MEGABYTE) + b"\n"
    exporter.write(tmp_path / NAME, [(name, iter([header, row, tabs, row]))])
    words = ("db", "convert", NAME, "-o", "out", "--threads", "2", "-q")
    done, peak = run_measured(*words, "--report", "report.json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    total = json.loads((tmp_path / "report.json").read_bytes())["total"]
    assert (total["rows"], total["rejected"], total["reasons"]) == (3, 1, {"fields": 1})
    assert peak < 400 * MEGABYTE


def test_a_structure_of_a_million_blocks_is_refused(tmp_path: Path) -> None:
    table = tables()["course_structure"]
    name = exporter.file_name(table, make_package.COURSES[0], "prod")
    block = b'"block-v1:X+Y+Z+type@html+block@%d": {"category": "html", "metadata": {}}'
    blocks = b",\n".join(block % number for number in range(MEGABYTE))
    exporter.write(tmp_path / NAME, [(name, iter([b"{", blocks, b"}"]))])
    done, peak = run_measured("db", "convert", NAME, "-o", "out", "-q", cwd=tmp_path)
    assert done.code == 1
    assert "it holds more objects than a course has blocks" in done.stderr
    assert peak < 400 * MEGABYTE
