"""events/suggestions.py: what there is instead, where nothing was kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import edxlogs
import keys
from decrypting import Ring
from edxlogs import _core
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.scanning import LineReader
from edxlogs.events.suggestions import near_columns, suggest
from edxlogs.gpg.process import Gpg
from edxlogs.sources.selection import select
from small_logs import COURSE, event, lines, write


def hints(path: Path, home: Path | None = None, **asked: Any) -> list[str]:
    conditions = Conditions.of(**asked)
    reader = LineReader(make_query(conditions), Gpg(home=home, prompt=False), _core.Control())
    return suggest(reader, select(path, conditions.window), conditions)


def test_the_nearest_course_and_type(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log.gz", lines(50))
    assert hints(path, course=COURSE.replace("T1", "T2"), event_type="problem_chek") == [
        f"nothing was kept; course in a sample of the sources: {COURSE}",
        "nothing was kept; event type in a sample of the sources: problem_check",
    ]


def test_what_is_there_needs_no_hint(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", lines(50))
    assert hints(path, course=COURSE, event_type="problem_check", user="nobody") == []
    assert hints(write(tmp_path / "empty.log", b""), course="A/B/C") == []


def test_urls_are_no_suggestion_and_names_are_escaped(tmp_path: Path) -> None:
    content = b"".join(
        json.dumps(event(0, event_type=name)).encode() + b"\n"
        for name in ("/u/learner_17", "evil\x1b[31m")
    )
    (hint,) = hints(write(tmp_path / "a.log", content), event_type="evil")
    assert "learner_17" not in hint
    assert "\x1b" not in hint
    assert "evil\\x1b[31m" in hint


def test_a_value_of_any_length(tmp_path: Path) -> None:
    content = json.dumps(event(0, event_type="x" * 300_000)).encode() + b"\n"
    path = write(tmp_path / "a.log.gz", content + lines(5))
    assert len(hints(path, event_type="problem")) <= 1


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_of_encrypted_sources(tmp_path: Path, ring: Ring) -> None:
    path = tmp_path / "a.log.gpg"
    path.write_bytes(ring.encrypt(data=lines(2000)))
    (hint,) = hints(path, ring.path, course="UniversityX/CS101/2014_T1")
    assert COURSE in hint


def test_of_organisations_event_sources_and_sites(tmp_path: Path) -> None:
    for site in ("edge", "patches"):
        write(tmp_path / f"univx-{site}-events-2014-10-01.log", lines(5))
    assert hints(tmp_path, org="nobody", site="edgy") == [
        "nothing was kept; site in a sample of the sources: edge"
    ], "nothing was read"
    write(tmp_path / "tracking.log", lines(5))
    assert hints(tmp_path, org="universitx", event_source="sever", site="edgy") == [
        "nothing was kept; organisation in a sample of the sources: universityx",
        "nothing was kept; event source in a sample of the sources: server",
        "nothing was kept; site in a sample of the sources: edge",
    ]
    assert hints(tmp_path, org="UNIVERSITYX", event_source="server", site=["edge", "x"]) == [
        "nothing was kept; site in a sample of the sources: edge, patches"
    ]


def test_a_glob_that_matches_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", lines(5))
    assert hints(path, course="course-v1:Uni*", event_type="problem_c?eck", user="nobody") == []
    (hint,) = hints(path, course="course-v1:Uni[v]*")
    assert COURSE in hint, "a bracket stands for itself"


def test_columns_that_are_misspelt(tmp_path: Path) -> None:
    for name, near in [("tiem", "time"), ("evnt_type", "event_type"), ("user-id", "user_id")]:
        (warning,) = near_columns([name])
        assert warning.startswith(f"column {name}: ")
        assert warning.endswith(f" nearest column is {near}")
    # Columns, fields that are like none, and paths.
    assert near_columns(["time", "mongoid", "event.a", 'event."x"', "events[0]", "context.a"]) == []
    stream = edxlogs.filter(write(tmp_path / "a.log", lines(1)), columns=["tiem::timestamp"])
    assert stream.account.warnings == near_columns(["tiem"])
