"""The notebook for course teams runs, and gives what stands in it; its twin in R asks the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

import make_notebook
from edxlogs.generator import keys, semester

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "notebooks"


def texts(notebook: Any) -> list[tuple[str, list[str]]]:
    """Each cell with the text of its outputs."""
    return [
        (
            cell["source"],
            [
                output.get("text", "") or output["data"]["text/plain"]
                for output in cell.get("outputs", ())
            ],
        )
        for cell in notebook["cells"]
    ]


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_the_notebook_runs_and_gives_what_stands_in_it() -> None:
    stored = nbformat.read(FOLDER / "course_team.ipynb", as_version=4)
    with keys.home() as folder:
        made = make_notebook.run(folder)
    assert texts(made) == texts(stored), "run make docs"
    for notebook in (made, stored):
        assert len(list(make_notebook.pictures(notebook))) == len(make_notebook.PICTURES)
    (of_course, *_) = semester.rolls(semester.SITES[0])
    assert of_course.course.key == semester.MAIN
    acting = sum(bool(learner.acts) for learner in of_course.learners)
    summary = texts(made)[3][1][0].split("\n")[1].split()
    assert summary[1:3] == [str(len(of_course.enrolled)), str(acting)]


def test_pictures_are_small_and_of_the_page() -> None:
    page = (DOCS / "how-to/course-team.md").read_text("utf-8")
    assert tuple(re.findall(r"notebooks/(\w+)\.png", page)) == make_notebook.PICTURES
    for name in make_notebook.PICTURES:
        assert (FOLDER / f"{name}.png").stat().st_size < 40_000


def queries(name: str) -> list[str]:
    text = (FOLDER / name).read_text("utf-8")
    found: list[str] = re.findall(r"^ {4}select .*?(?=^\"+\))", text, re.M | re.S)
    return found


def test_r_asks_what_the_notebook_asks() -> None:
    assert queries("course_team.R") == queries("course_team.py")
    assert len(queries("course_team.R")) == 4
