"""derived/olx.py: what the content of a course tells derived tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import edxlogs
from derived import COURSE, rows_of, write_database
from edxlogs import _core
from edxlogs.derived.account import Derived
from edxlogs.derived.olx import contents, read_content
from edxlogs.errors import ConfigError

POLICY = {
    "GRADER": [
        {"type": "Homework", "short_label": "HW", "weight": 0.4, "min_count": 3, "drop_count": 1},
        {"type": "Exam", "weight": "0.6"},
    ],
    "GRADE_CUTOFFS": {"A": 0.9, "Pass": 0.6},
}
FILES = {
    "course.xml": '<course url_name="2014_T1" org="UniversityX" course="CS101"/>',
    "video/intro.xml": '<video><video_asset duration="195.5"/></video>',
    "video/short.xml": '<video><video_asset duration="0.0"/></video>',
    "video/bare.xml": '<video youtube_id_1_0="x"/>',
    "problem/p1.xml": "<problem><label>How  many <b>eggs</b>?</label>"
    '<numericalresponse><textline label="A number"/></numericalresponse></problem>',
    "problem/broken.xml": "<problem>",
    "policies/2014_T1/grading_policy.json": json.dumps(POLICY),
}


def write(folder: Path, **replaced: str) -> Path:
    for name, text in {**FILES, **replaced}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def key(kind: str, name: str) -> str:
    return f"block-v1:UniversityX+CS101+2014_T1+type@{kind}+block@{name}"


def test_what_a_content_tells(tmp_path: Path) -> None:
    found = read_content(write(tmp_path), COURSE)
    assert found.rows == {
        "olx_blocks": [
            (key("video", "bare"), "bare", "video", None, None),
            (key("video", "intro"), "intro", "video", 195.5, None),
            (key("video", "short"), "short", "video", None, None),
            (key("problem", "p1"), "p1", "problem", None, "How many eggs?\nA number"),
        ],
        "olx_policy": [
            ("Homework", "HW", 0.4, 3, 1),
            ("Exam", None, 0.6, None, None),
        ],
        "olx_cutoffs": [("A", 0.9), ("Pass", 0.6)],
    }
    assert found.odd == ("problem/broken.xml",)


def test_keys_of_old_courses(tmp_path: Path) -> None:
    found = read_content(write(tmp_path), "UniversityX/CS101/2014_T1")
    assert found.rows["olx_blocks"][0][0] == "i4x://UniversityX/CS101/video/bare"


def test_courses_are_found_by_folders_and_by_their_own_words(tmp_path: Path) -> None:
    other = "UniversityX/HY-101/2013-Fall"
    folder = tmp_path / "course" / _core.course_folder(other)
    write(folder / "universityx-2014-10-05-prod")
    newest = write(folder / "universityx-2014-10-12-prod", **{"video/new.xml": "<video/>"})
    write(tmp_path / "alone")
    found = contents(tmp_path)
    assert set(found) == {other, COURSE}
    names = [row[1] for row in found[other].rows["olx_blocks"]]
    assert ("new" in names) == (newest.name == "universityx-2014-10-12-prod")
    assert set(contents(tmp_path / "alone")) == {COURSE}


@pytest.mark.parametrize("policy", ["", "[]", '{"GRADER": [1]}', '{"GRADE_CUTOFFS": {"A": "x"}}'])
def test_a_policy_that_cannot_be_read_is_named(tmp_path: Path, policy: str) -> None:
    place = "policies/2014_T1/grading_policy.json"
    found = read_content(write(tmp_path, **{place: policy}), COURSE)
    assert place in found.odd


def test_a_folder_without_courses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"olx: .*: holds no course"):
        contents(tmp_path)


LENGTHS = """\
-- table: lengths
-- about: How long videos are.
-- inputs: olx_blocks olx_cutoffs
-- order: block_id
-- columns:
--   block_id string: The video.
--   video_s float64 [s]: How long it is.
--   cutoff float64: The lowest cut-off.
select block_id, video_s, (select min(cutoff) from olx_cutoffs) as cutoff
from olx_blocks where block_type = 'video'
"""


def test_statements_read_it(tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "lengths.sql").write_text(LENGTHS)
    write(tmp_path / "olx")
    tables = write_database(tmp_path / "tables", {"auth_user": []})

    def run(olx: Path | None) -> Derived:
        words: dict[str, Any] = {"db": tables, "sql_dir": tmp_path / "sql", "table": "lengths"}
        return edxlogs.derive(tmp_path / "out", olx=olx, **words)

    done = run(None)
    assert done.courses[0].lacking == {"olx_blocks": ["lengths"], "olx_cutoffs": ["lengths"]}
    assert rows_of(tmp_path / "out", "lengths") == []
    done = run(tmp_path / "olx")
    assert done.courses[0].made == ["lengths"]
    assert done.courses[0].warnings == ["olx: problem/broken.xml: cannot be read"]
    told = [(row["block_id"], row["video_s"]) for row in rows_of(tmp_path / "out", "lengths")]
    assert told == [("bare", None), ("intro", 195.5), ("short", None)]
    assert run(tmp_path / "olx").courses[0].made == []
