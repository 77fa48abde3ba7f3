"""Lines that log shippers wrapped, by the command and from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import edxlogs
import product
from commands import event, events, report, run

HEAD = "2024-05-01 10:00:00,123 INFO 20 [tracking] [user 7] logger.py:41 - "
ASKED = ("--columns", "line,line_item,username,course_id", "--format", "csv")


def text_of(**fields: Any) -> str:
    return event(1, **fields).decode().rstrip()


def docker(text: str, stream: str = "stderr") -> bytes:
    members = {"log": text, "stream": stream, "time": "2024-05-01T10:00:00.123456789Z"}
    return json.dumps(members).encode() + b"\n"


def cri(text: str, tag: str = "F", stream: str = "stderr") -> bytes:
    return f"2024-05-01T10:00:00.1Z {stream} {tag} {text}\n".encode()


def columns(folder: Path, *options: str, code: int = 0) -> list[list[str]]:
    """The rows of `in.log`, cell by cell."""
    done = run(
        "filter", "in.log", *ASKED, *options, "--overwrite", "--report", "report.json", cwd=folder
    )
    assert done.code == code, done.stderr
    return [line.split(",")[:3] for line in done.stdout.decode().splitlines()[1:]]


def counts(folder: Path) -> dict[str, Any]:
    total: dict[str, Any] = report(folder / "report.json")["total"]
    return total


def test_one_wrapped_line_among_thousands_is_found(tmp_path: Path) -> None:
    course = "course-v1:UniX+CS101+2024"
    inside = text_of(username="ana", context={"course_id": course, "org_id": "Unix\u00e9"})
    for line in (docker(HEAD + inside + "\n"), cri(inside), b'{"_source": %b}\n' % inside.encode()):
        (tmp_path / "in.log").write_bytes(events(5_000) + line + events(10))
        assert columns(tmp_path, "--course", course) == [["5001", "0", "ana"]]
        assert counts(tmp_path)["parsed"] < 200
        assert counts(tmp_path)["mends"]["envelope"] == 1


def test_no_wrapper_becomes_a_row_of_nulls(tmp_path: Path) -> None:
    bunyan = b'{"name": "app", "hostname": "h", "msg": "hello", "time": "2024-05-01T10:00:00Z"}\n'
    ordinary = docker("2024-05-01 10:00:00,200 INFO 20 [lms.app] views.py:9 - a line\n")
    (tmp_path / "in.log").write_bytes(ordinary + docker(text_of() + "\n") + bunyan + cri("a line"))
    assert len(columns(tmp_path)) == 1
    assert counts(tmp_path)["reasons"] == {"not_an_event": 2, "no_object": 1}
    assert counts(tmp_path)["hollow"] == 3


def test_json_lines_hold_the_event_and_raw_ones_the_line(tmp_path: Path) -> None:
    inside = text_of()
    half = len(inside) // 2
    pieces = cri(inside[:half], "P") + cri(inside[half:])
    lines = docker(inside + "\n") + pieces
    (tmp_path / "in.log").write_bytes(lines)
    done = run("filter", "in.log", cwd=tmp_path)
    assert done.stdout.decode() == f"{inside}\n" * 2
    assert run("filter", "in.log", "--raw", cwd=tmp_path).stdout == lines
    assert columns(tmp_path, "--strict") == []
    assert counts(tmp_path)["reasons"] == {"strict": 3}


def test_pieces_are_joined_and_counted(tmp_path: Path) -> None:
    inside = HEAD + text_of(username="cy", event={"answer": "x" * 40_000})
    cut = [inside[at : at + 16_384] for at in range(0, len(inside), 16_384)]
    other = docker(text_of(username="bo") + "\n", "stdout")
    pieces = [docker(text) for text in (*cut[:-1], cut[-1] + "\n")]
    (tmp_path / "in.log").write_bytes(pieces[0] + other + b"".join(pieces[1:]) + event(2))
    rows = columns(tmp_path, "--event-type", "problem_check")
    assert rows == columns(tmp_path, "--event-type", "problem_check", "--check", "full")
    assert [row[0] for row in columns(tmp_path)] == ["1", "2", "5"]
    total = counts(tmp_path)
    assert (total["lines"], total["kept"], total["rows"], total["joined"]) == (5, 5, 3, 2)
    assert columns(tmp_path, "--user", "bo") == [["2", "0", "bo"]]
    assert (counts(tmp_path)["kept"], counts(tmp_path)["dropped"]) == (1, 4)
    assert "2 pieces of messages joined" in run("check", "in.log", cwd=tmp_path).stderr


def fluentd(text: str, number: int, last: bool, **other: str) -> bytes:
    """A piece as docker's driver for fluentd marks it."""
    names = {"container_id": "c0ffee", "container_name": "/lms", "source": "stderr"}
    marks = {"partial_message": "true", "partial_id": "5af1", "partial_ordinal": str(number)}
    record = names | {"log": text} | marks | {"partial_last": str(last).lower()} | other
    return json.dumps(record).encode() + b"\n"


def test_pieces_that_docker_numbers_are_joined(tmp_path: Path) -> None:
    course = "course-v1:UniX+CS101+2024"
    inside = HEAD + text_of(username="cy", context={"course_id": course})
    at = inside.index("CS101") + 2  # what is looked for is cut in two
    cut = [inside[:at], inside[at : at + 9], inside[at + 9 :]]
    pieces = [fluentd(text, number, number == 3) for number, text in enumerate(cut, start=1)]
    other = fluentd(inside, 1, True, partial_id="6be2")
    with_head = [b"2024-05-01T10:00:00+00:00\tdocker.lms\t" + piece for piece in pieces]
    for lines in ([*pieces[:2], other, pieces[2]], pieces[::-1], with_head):
        (tmp_path / "in.log").write_bytes(events(200) + b"".join(lines))
        rows = columns(tmp_path, "--course", course)
        assert rows[0] == ["201", "0", "cy"]
        assert len(rows) == len(lines) - 2
        total = counts(tmp_path)
        assert (total["joined"], total["kept"], total["rejected"]) == (2, len(lines), 0)
    # One that was sent again, and what was joined before, with the marks of its first piece.
    whole = fluentd(inside, 1, False, partial_id="7cf3")
    again = [pieces[0], *pieces[:2], whole, pieces[1], pieces[2]]
    (tmp_path / "in.log").write_bytes(b"".join(again))
    assert [row[0] for row in columns(tmp_path)] == ["1", "4"]
    assert counts(tmp_path)["joined"] == 4
    for lost in range(3):
        rest = [piece for number, piece in enumerate(pieces) if number != lost]
        (tmp_path / "in.log").write_bytes(b"".join(rest) + event(1))
        assert [row[0] for row in columns(tmp_path)] == ["3"]
        assert counts(tmp_path)["reasons"] == {"piece": 2}


def test_pieces_of_older_docker_drivers_are_joined(tmp_path: Path) -> None:
    inside = text_of(username="cy")
    names = {"source": "stderr", "container_name": "/lms", "container_id": "c0ffee"}
    cut = [{"partial_message": "true", "log": inside[:40]}, {"log": inside[40:]}]
    other = {"log": "a line", "source": "stdout", "container_name": "/lms"}
    lines = [names | cut[0], other, names | cut[1], names | {"log": inside}]
    (tmp_path / "in.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [row[0] for row in columns(tmp_path)] == ["1", "4"]
    assert counts(tmp_path)["joined"] == 1


def journald(text: bytes, **other: str) -> bytes:
    record = {"PRIORITY": "3", "MESSAGE": list(text), "_COMM": "gunicorn"} | other
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def test_text_that_journald_writes_as_numbers_is_read(tmp_path: Path) -> None:
    course = "course-v1:UniX+CS101+2024"
    inside = text_of(username="zo\u00eb", context={"course_id": course}).encode()
    line = journald(b"\x1b[32m" + HEAD.encode() + inside)
    (tmp_path / "in.log").write_bytes(events(5_000) + line + events(10))
    assert columns(tmp_path, "--course", course) == [["5001", "0", "zo\u00eb"]]
    assert counts(tmp_path)["parsed"] < 200
    assert counts(tmp_path)["mends"] == {"envelope": 1, "prefix": 1}
    spelled = line.replace(b'"MESSAGE":[', b'"M\\u0045SSAGE" : [ ')
    torn = journald(inside.replace(b'"username": "zo', b'"username": "\xff'))
    none = journald(b"a line") + line.replace(b"[27,", b"[277,") + line.replace(b"[27,", b"[2.7,")
    (tmp_path / "in.log").write_bytes(events(200) + spelled + none + torn)
    assert [row[0] for row in columns(tmp_path, "--course", course)] == ["201", "205"]
    assert counts(tmp_path)["mends"] == {"envelope": 2, "prefix": 1, "utf8": 1}
    (tmp_path / "in.log").write_bytes(line)
    done = run("filter", "in.log", cwd=tmp_path)
    assert done.stdout == inside + b"\n"


def test_pieces_in_journald_are_joined_byte_by_byte(tmp_path: Path) -> None:
    inside = json.dumps(json.loads(text_of(username="zo\u00eb")), ensure_ascii=False).encode()
    at = inside.index("\u00eb".encode()) + 1  # within a character
    marks = {"CONTAINER_PARTIAL_MESSAGE": "true", "CONTAINER_PARTIAL_ID": "5af1"}
    first = journald(inside[:at], **marks, CONTAINER_PARTIAL_ORDINAL="1")
    del marks["CONTAINER_PARTIAL_MESSAGE"]
    last = journald(
        inside[at:], **marks, CONTAINER_PARTIAL_ORDINAL="2", CONTAINER_PARTIAL_LAST="true"
    )
    (tmp_path / "in.log").write_bytes(first + last)
    assert columns(tmp_path) == [["1", "0", "zo\u00eb"]]
    assert counts(tmp_path)["mends"] == {"envelope": 1}


def test_a_piece_without_the_others_is_a_reject(tmp_path: Path) -> None:
    inside = text_of()
    half = len(inside) // 2
    lost = cri(inside[:half], "P", "stdout")
    rest = b"".join(cri(text) for text in ("a line", inside))
    (tmp_path / "in.log").write_bytes(lost + rest)
    (tmp_path / "next.log").write_bytes(cri(inside[half:], "F", "stdout"))
    done = run("filter", "in.log", "next.log", "--rejects", "bad.txt", cwd=tmp_path)
    assert (done.code, done.stdout.decode()) == (0, inside + "\n")
    bad = (tmp_path / "bad.txt").read_bytes()
    assert b'"in.log", "line": 1, "byte": 0, "reason": "piece"}\n' + lost in bad
    # Mended by hand, the lines keep their places.
    mended = bad.replace(lost, lost[:-1] + inside[half:].encode() + b"\n")
    (tmp_path / "mended.txt").write_bytes(mended)
    done = run("filter", "mended.txt", *ASKED, cwd=tmp_path)
    assert [line.split(b",")[0] for line in done.stdout.splitlines()] == [b"line", b"1"]


def test_open_pieces_are_bounded(tmp_path: Path) -> None:
    inside = text_of(event={"answer": "x" * 3_000})
    pieces = [cri(inside[:1_500], "P"), cri(inside[1_500:2_500], "P"), cri(inside[2_500:])]
    (tmp_path / "in.log").write_bytes(b"".join(pieces) + event(2))
    assert [row[0] for row in columns(tmp_path, "--max-line-bytes", "8000")] == ["1", "4"]
    assert [row[0] for row in columns(tmp_path, "--max-line-bytes", "2000")] == ["4"]
    assert counts(tmp_path)["reasons"] == {"piece": 3}


def test_lines_that_two_files_hold(tmp_path: Path) -> None:
    inside = text_of()
    pieces = cri(inside[:50], "P") + cri(inside[50:])
    names = [f"{org}-prod-events-2014-10-01.log" for org in ("univx", "othx")]
    for name in names:
        (tmp_path / name).write_bytes(pieces + docker(inside + "\n"))
    words = (*names, "--dedupe", "-o", "out.jsonl", "--report", "report.json")
    assert run("filter", *words, cwd=tmp_path).code == 0
    assert (tmp_path / "out.jsonl").read_text() == f"{inside}\n" * 2
    assert (counts(tmp_path)["kept"], counts(tmp_path)["duplicate"]) == (3, 3)


WITHOUT_TIME = {"username": "ana", "event_type": "page_close", "event": "{}"}
MOMENT = 1_714_557_600_123_456


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (WITHOUT_TIME | {"@timestamp": "2024-05-01T10:00:00.123456Z"}, "@timestamp"),
        (WITHOUT_TIME | {"ship": {"at": [str(MOMENT)]}}, "ship.at[0]"),
        (WITHOUT_TIME | {"context": {"received_at": MOMENT}}, "context.received_at"),
        (WITHOUT_TIME | {"time": "2020-01-01T00:00:00Z", "at": MOMENT / 1e6}, "at"),
        ({"_source": WITHOUT_TIME, "at": "2024-05-01 10:00:00.123456 UTC"}, "at"),
        ({"message": json.dumps(WITHOUT_TIME), "fields": {"at": MOMENT}}, '"fields"."at"'),
        ({"message": json.dumps(WITHOUT_TIME | {"at": MOMENT}), "at": 0}, "at"),
        ({"at": 0, "_source": {"at": MOMENT, "message": json.dumps(WITHOUT_TIME)}}, "at"),
        (WITHOUT_TIME | {"time": "2024-05-01 10:00:00.123456+00"}, "missing"),
    ],
)
def test_the_time_is_looked_for_where_it_is_told(line: dict[str, Any], path: str) -> None:
    with product.log(event(1) + json.dumps(line).encode() + b"\n") as log:
        rows = product.rows(log, time_from=path, columns=["time"])
        assert [row["time"] for row in rows[1:]] == [MOMENT]
        since = "2024-05-01T10:00:00Z"
        rows = product.rows(log, time_from=path, since=since, event_type="page_close")
        assert [row["line"] for row in rows] == [2]


def test_the_head_of_a_line_of_kubernetes_has_a_time(tmp_path: Path) -> None:
    text = json.dumps(WITHOUT_TIME)
    (tmp_path / "in.log").write_bytes(cri(text[:30], "P") + cri(text[30:]) + cri(text))
    for words in (["--time-from", "time"], []):
        done = run(
            "filter", "in.log", "--columns", "line,time", "--format", "csv", *words, cwd=tmp_path
        )
        time = "2024-05-01T10:00:00.100000Z" if words else ""
        assert done.stdout.decode() == f"line,time\n1,{time}\n3,{time}\n"


def test_a_path_of_a_time_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "in.log").write_bytes(event(1))
    for path in ("a..b", "a::timestamp", ""):
        done = run("filter", "in.log", "--time-from", path, cwd=tmp_path)
        assert (done.code, done.told[0][:20]) == (2, "edxlogs: time-from: ")
    with pytest.raises(edxlogs.ConfigError, match="time-from: "):
        edxlogs.filter(tmp_path / "in.log", time_from="a.")


def test_job_files_say_it_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    line = {"_source": WITHOUT_TIME, "@timestamp": "2024-05-01T10:00:00Z"}
    (tmp_path / "in" / "a.log").write_text(json.dumps(line) + "\n")
    job = 'sources = ["in"]\ntime_from = "@timestamp"\n[[dataset]]\noutput = "out"\n'
    (tmp_path / "job.toml").write_text(job + 'partition_by = ["date"]\n')
    assert run("run", "job.toml", cwd=tmp_path).code == 0
    assert (tmp_path / "out" / "date=2024-05-01").is_dir()
