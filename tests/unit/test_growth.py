"""Work grows as what is asked for does, and not as its square: it is counted, never timed."""

from __future__ import annotations

import difflib
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edxlogs import cli
from edxlogs.database import courses as course_names
from edxlogs.database import folder

TABLE = "student_courseenrollment-prod-analytics.sql"


def counting(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, calls: Counter[str]
) -> None:
    """Count the calls of a function."""
    function: Callable[..., Any] = getattr(where, name)

    def counted(*arguments: Any, **keywords: Any) -> Any:
        calls[name] += 1
        return function(*arguments, **keywords)

    monkeypatch.setattr(where, name, counted)


def test_files_of_one_table_and_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows tell the course: each gets a number of its own, which was looked for from 1 on."""
    count = 40
    package = tmp_path / "universityx-2014-10-05.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for number in range(count):
            row = f"{number}\t2\tcourse-v1:X+C+2014"
            archive.writestr(f"X-C-{number}-{TABLE}", f"id\tuser_id\tcourse_id\n{row}\n")
    calls: Counter[str] = Counter()
    counting(monkeypatch, folder, "_safe", calls)
    out = tmp_path / "out"
    assert cli.execute(["db", "convert", str(package), "-q", "-o", str(out)]) == 0
    names = {path.name for path in out.rglob("*.parquet")}
    assert names == {
        "universityx-2014-10-05-prod.parquet",
        *(f"universityx-2014-10-05-prod-{number}.parquet" for number in range(2, count + 1)),
    }
    assert calls["_safe"] <= 3 * count


def test_many_courses_are_asked_of_many_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, files = 50, 60
    package = tmp_path / "universityx-2014-10-05.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for number in range(files):
            row = f"1\t2\tcourse-v1:X+C{number}+2014"
            archive.writestr(f"X-C{number}-2014-{TABLE}", f"id\tuser_id\tcourse_id\n{row}\n")
    values = tmp_path / "courses.txt"
    values.write_text("".join(f"course-v1:X+C{number}+2014\n" for number in range(asked)))
    calls: Counter[str] = Counter()
    counting(monkeypatch, course_names, "spellings", calls)
    counting(monkeypatch, course_names, "value_matches", calls)
    out = tmp_path / "out"
    command = ["db", "convert", str(package), "-q", "-o", str(out), "--course"]
    assert cli.execute([*command, f"@{values}"]) == 0
    assert len(list(out.rglob("*.parquet"))) == asked
    assert calls.total() < 6 * (asked + files)


def test_near_names_are_looked_for_of_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "tracking.log"
    event = {"time": "2014-10-05T12:00:00Z", "event_type": "x", "username": "ana"}
    log.write_text(json.dumps({**event, "context": {"course_id": "course-v1:X+C+2014"}}) + "\n")
    package = tmp_path / "universityx-2014-10-05.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(f"X-C-2014-{TABLE}", "id\tuser_id\n")
    values = tmp_path / "courses.txt"
    values.write_text("".join(f"course-v1:X+D{number}+2015\n" for number in range(500)))
    calls: Counter[str] = Counter()
    counting(monkeypatch, difflib, "get_close_matches", calls)
    counting(monkeypatch, course_names, "get_close_matches", calls)
    course = ("--course", f"@{values}", "-o")
    cli.execute(["filter", str(log), *course, str(tmp_path / "out.csv")])
    cli.execute(["db", "convert", str(package), *course, str(tmp_path / "out")])
    told = capsys.readouterr().err
    assert "course-v1:X+C+2014" in told
    assert "X-C-2014" in told
    assert 0 < calls.total() <= 50  # twenty in each, and words of other kinds
