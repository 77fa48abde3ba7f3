"""The worked examples of course attribution through the product."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import oracle
import product

CASES: list[dict[str, Any]] = product.json_lines(
    (Path(__file__).parents[1] / "data" / "course-id-cases.jsonl").read_bytes()
)
COURSES = sorted({case["course_id"] for case in CASES if case["course_id"] is not None})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events of the cases, one a line, in their order."""
    path = tmp_path_factory.mktemp("courses") / "tracking.log"
    # What makes a fragment an event must not name a course.
    events = [{"time": "2015-10-01T03:02:38+00:00"} | case["event"] for case in CASES]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def test_each_case_has_its_course(log: Path) -> None:
    rows = product.rows(log)
    assert len(rows) == len(CASES) == 71
    for case, row in zip(CASES, rows, strict=True):
        found = (row["course_id"], row["course_source"])
        assert found == (case["course_id"], case["course_source"]), case


def test_the_platforms_own_attribution_alone(log: Path) -> None:
    expected = oracle.filter_file(log, course_from="context")
    assert {row["course_source"] for row in expected} == {"context", None}
    product.assert_same_rows(product.rows(log, course_from="context"), expected)


@pytest.mark.parametrize("course", COURSES)
def test_a_condition_on_a_course_selects_its_cases(log: Path, course: str) -> None:
    lines = [number for number, case in enumerate(CASES, start=1) if case["course_id"] == course]
    for check in ("fast", "full"):
        rows = product.rows(log, course=course, check=check, columns=["line"])
        assert [row["line"] for row in rows] == lines
