"""Courses by stems: content first, then most files, then what is known; never by hyphens."""

from __future__ import annotations

import make_package
from edxlogs.database.courses import Stems, course_of, spellings
from edxlogs.generator import exporter

NEW, OLD = "course-v1:U+C+R", "U/C/R"
KEY = ("U-C-R", "prod")


def test_every_course_is_spelled_as_the_exporter_does() -> None:
    for course in make_package.COURSES:
        assert exporter.stem(course).lower() in spellings(course)
    assert "u_c_r" in spellings(NEW)  # the research exchange
    assert "u-c-r-ccx-7" in spellings("ccx-v1:U+C+R+ccx@7")


def test_a_broken_row_does_not_name_the_course() -> None:
    assert course_of({"nonsense": 9, NEW: 1}, "U-C-R") == NEW
    assert course_of({"A/B/C": 2, "D/E/F": 1}, "cut-name") == "A/B/C"
    assert course_of({}, "U-C-R") is None


def test_most_files_decide_and_none_where_they_are_at_odds() -> None:
    stems = Stems()
    assert stems.course(KEY) is None
    stems.tell(KEY, NEW)
    assert stems.course(KEY) == NEW
    stems.tell(KEY, OLD)
    assert stems.course(KEY) is None
    stems.tell(KEY, NEW)
    assert stems.course(KEY) == NEW
    assert stems.course(("u-c-r", "edge")) is None, "two courses are known by that name"


def test_known_courses_are_the_last_resort() -> None:
    stems = Stems([OLD])
    assert stems.course(KEY) == OLD
    assert stems.course(("U-C", "prod")) is None
    stems.tell(KEY, NEW)
    assert stems.course(KEY) == NEW, "content has the last word"
