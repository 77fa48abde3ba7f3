"""events/suggestions.py: what there is instead, where nothing was kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import commands
import edxlogs
from decrypting import Ring
from edxlogs import _core
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.scanning import LineReader
from edxlogs.events.suggestions import near_columns, suggest
from edxlogs.generator import keys
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
        f"no event matched; course in a sample of the sources: {COURSE}",
        "no event matched; event type in a sample of the sources: problem_check",
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
        "no event matched; site in a sample of the sources: edge"
    ], "nothing was read"
    write(tmp_path / "tracking.log", lines(5))
    assert hints(tmp_path, org="universitx", event_source="sever", site="edgy") == [
        "no event matched; organisation in a sample of the sources: universityx",
        "no event matched; event source in a sample of the sources: server",
        "no event matched; site in a sample of the sources: edge",
    ]
    assert hints(tmp_path, org="UNIVERSITYX", event_source="server", site=["edge", "x"]) == [
        "no event matched; site in a sample of the sources: edge, patches"
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


def test_a_field_of_the_payload_is_no_field_of_the_event(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    some = event(event={"grade": 2, "id": 1}, id=5), event(event='{"mark": 4}')
    write(tmp_path / "logs" / "a.log", "".join(f"{json.dumps(one)}\n" for one in some).encode())
    no_event = "no event in a sample of the sources has it; the payload has"
    assert told(tmp_path, "--columns", "time,grade,mark::int64,id,other,context") == [
        f"column grade: {no_event} event.grade",
        f"column mark: {no_event} event.mark",
    ]
    assert told(tmp_path, "--columns", "time,event.grade,grade=event.grade") == []
    assert told(tmp_path, "--columns", "g=grade", "--limit", "1") == [
        f"column grade: {no_event} event.grade"
    ]
    assert told(tmp_path, "--where", "grade = 2") == [f"where: grade: {no_event} event.grade"]
    assert told(tmp_path, "--where", "mark = 4 or id = 5") == [
        f"where: mark: {no_event} event.mark"
    ]


def told(folder: Path, *words: str) -> list[str]:
    """The warnings of the command."""
    done = commands.run("filter", "logs", "-o", "out.csv", "--overwrite", *words, cwd=folder)
    assert done.code == 0, done.stderr
    assert "Secret" not in done.stderr
    return [one.removeprefix("edxlogs: warning: ") for one in done.told]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two days of events of one course."""
    (tmp_path / "logs").mkdir()
    for day in ("2014-10-01", "2014-10-02"):
        write(tmp_path / f"logs/univx-prod-events-{day}.log.gz", lines(50))
    return tmp_path


def test_values_that_match_nothing_are_named_beside_those_that_match(logs: Path) -> None:
    one = "no event that was kept has it"
    assert told(logs, "--course", COURSE, "--course", "course-v1:No+No+*") == [
        f"course: course-v1:No+No+*: {one}"
    ]
    words = ("--event-type", "problem_check", "--event-type", "prob_chek", "--category", "video")
    assert told(logs, *words) == [f"event-type: prob_chek: {one}"]
    assert told(logs, "--site", "prod", "--site", "egde") == [f"site: egde: {one}"]
    assert told(logs, "--course", COURSE, "--exclude-course", "course-v1:No+No+1") == []
    # Where nothing is kept, a sample tells which condition is to blame.
    assert told(logs, "--course", COURSE, "--event-type", "niy") == [
        "event-type: niy: no event in a sample of the sources has it"
    ]


def test_of_persons_the_places_are_told(logs: Path) -> None:
    (logs / "who.txt").write_text("1\nMs Secret\nlearner_2\nMr Secret\n")
    assert told(logs, "--user", "3", "--user", "Ms Secret") == [
        "user: value 2 of --user: no event that was kept has it"
    ]
    assert told(logs, "--user", "@who.txt") == [
        "user: values 2, 4 of --user: no event that was kept has it"
    ]


def test_fields_that_no_event_holds_get_the_nearest_names(logs: Path) -> None:
    none = "no event in a sample of the sources has it; the nearest is"
    assert told(logs, "--where", "usr_id is null or event.nuber > 1") == [
        f"where: event.nuber: {none} event.number",
        f"where: usr_id: {none} user_id",
    ]
    fields = "event.number > 0 and context.course_id != 'Ms Secret' and username is not null"
    assert told(logs, "--where", fields) == []
    assert told(logs, "--where", "contxt.course_id is null") == [f"where: contxt: {none} context"]


def test_days_outside_the_logs_are_told_with_those_that_there_are(logs: Path) -> None:
    there = "no source is from these days; there are sources from 2014-10-01 to 2014-10-02"
    assert told(logs, "--days", "2031-01-01..") == [f"days: 2031-01-01..: {there}"]
    assert told(logs, "--since", "2031-01-01") == [f"since, until: {there}"]
    assert told(logs, "--days", "2014-10-02..") == []


def test_what_a_run_does_not_read_again_is_not_missed(logs: Path) -> None:
    words = ("--partition-by", "date", "-o", "out", "--course", COURSE, "--course", "course-v1:N*")
    first = commands.run("filter", "logs", *words, cwd=logs)
    assert "course: course-v1:N*: no event that was kept has it" in first.stderr
    write(logs / "logs/univx-prod-events-2014-10-03.log", b"")
    assert "no event that was kept" not in commands.run("filter", "logs", *words, cwd=logs).stderr


def test_a_job_tells_of_each_dataset(logs: Path) -> None:
    (logs / "job.toml").write_text(
        'sources = ["logs"]\n[[dataset]]\noutput = "a"\npartition_by = "date"\n'
        f'course = ["{COURSE}", "course-v1:No+No+1"]\n'
        '[[dataset]]\noutput = "b"\npartition_by = "date"\nevent_type = ["problem_check", "niy"]\n'
    )
    done = commands.run("run", "job.toml", cwd=logs)
    assert done.code == 0
    assert [one.removeprefix("edxlogs: warning: ") for one in done.told] == [
        "course: course-v1:No+No+1: no event that was kept has it",
        "event-type: niy: no event that was kept has it",
    ]


def test_sources_that_fail_for_one_reason_are_one_line(logs: Path) -> None:
    for number in range(36):
        whole = (logs / "logs/univx-prod-events-2014-10-01.log.gz").read_bytes()
        (logs / f"logs/cut-{number}.log.gz").write_bytes(whole[: 40 + number])
    (logs / "logs/other.log.gz").write_bytes(whole[:-8] + bytes(8))
    done = commands.run("filter", "logs", "-o", "out.csv", "--report", "r.json", cwd=logs)
    assert done.code == 1
    first, second = (one for one in done.told if "warning" not in one)
    assert first.startswith("edxlogs: 36 sources failed for one reason, such as logs/cut-0.log.gz:")
    assert first.endswith("(withheld)")
    assert second.startswith("edxlogs: logs/other.log.gz: ")
    sources = commands.report(logs / "r.json")["sources"]
    assert sum(one["error"] is not None for one in sources) == 37


def test_a_zip_is_sent_to_where_it_is_converted(tmp_path: Path) -> None:
    (tmp_path / "universityx-2014-10-05.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    write(tmp_path / "a.log", lines(3))
    words = ("a.log", "universityx-2014-10-05.zip", "-o", "out.csv")
    done = commands.run("filter", *words, cwd=tmp_path)
    assert done.code == 1
    (one,) = done.told
    assert "universityx-2014-10-05.zip: is a zip archive; " in one
    assert "edxlogs db convert" in one
    assert (tmp_path / "out.csv").read_bytes().count(b"\n") == 4


def test_a_stream_tells_what_is_nowhere_as_a_file_does(logs: Path, tmp_path: Path) -> None:
    other = COURSE.replace("T1", "T2")
    several: list[dict[str, Any]] = [
        {"course": [COURSE, other]},
        {"course": other},
        {"course": other, "event_type": "problem_chek"},
        {"where": "evnet.attempts = 1"},
        {"days": "2024-01-01.."},
        {},
    ]
    for number, asked in enumerate(several):
        stream = edxlogs.filter(logs, **asked)
        for _ in stream:
            pass
        written = edxlogs.write(logs, tmp_path / f"{number}.csv", **asked)
        assert stream.account.warnings == [*written.hints, *written.account.warnings]
        assert bool(stream.account.warnings) == bool(asked)
        assert stream.verified


def test_where_rows_were_kept_a_stream_reads_nothing_again(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    monkeypatch.setattr(LineReader, "first_bytes", lambda *told: read.extend(told))
    stream = edxlogs.filter(logs, course=[COURSE, "a/b/c"], where="event_type is not null")
    assert sum(batch.num_rows for batch in stream) > 0
    assert stream.account.warnings == ["course: a/b/c: no event that was kept has it"]
    assert read == []
