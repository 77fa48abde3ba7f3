"""Where other tools lose data: each of their traps, and what edxlogs makes of it."""

from __future__ import annotations

import datetime
import json
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import commands
from commands import event, events, pack, run
from edxlogs.generator import keys

_NEEDS_GPG = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))


def _rows(folder: Path, *options: str) -> list[dict[str, Any]]:
    """The rows of `in.log`, by way of Parquet."""
    done = run("filter", "in.log", "-o", "out.parquet", *options, cwd=folder)
    assert done.code == 0, done.stderr
    table = pyarrow.parquet.ParquetFile(folder / "out.parquet").read()
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _counts(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = run("check", *arguments, "--report", "report.json", cwd=folder)
    assert done.code == code, done.stderr
    counts: dict[str, Any] = commands.report(folder / "report.json")["total"]
    return counts


def test_one_malformed_line_among_a_thousand_costs_one_line(tmp_path: Path) -> None:
    cut = event(500)[:100]
    lines = events(500) + cut + b"\n" + events(499, 501)
    (tmp_path / "in.log").write_bytes(lines)
    done = run("filter", "in.log", "--rejects", "bad.txt", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, events(500) + events(499, 501))
    place, rejected, end = (tmp_path / "bad.txt").read_bytes().split(b"\n")
    assert json.loads(place.removeprefix(b"# edxlogs reject: ")) == {
        "source": "in.log",
        "line": 501,
        "byte": len(events(500)),
        "reason": "truncated",
    }
    assert (rejected, end) == (cut, b"")


def test_payload_an_object_in_one_line_and_text_in_the_next(tmp_path: Path) -> None:
    payloads = [{"a": 1}, '{"a": 1}', "input_1=x&input_2=y", "", None, [1], 7]
    (tmp_path / "in.log").write_bytes(b"".join(event(event=payload) for payload in payloads))
    wanted = ['{"a": 1}', '{"a": 1}', '"input_1=x&input_2=y"', '""', None, "[1]", "7"]
    assert [row["event"] for row in _rows(tmp_path)] == wanted


def test_keys_first_seen_late_in_the_file(tmp_path: Path) -> None:
    late = event(30_000, novelty={"deep": "seen"}, event={"novelty": 5})
    (tmp_path / "in.log").write_bytes(events(30_000) + late)
    rows = _rows(tmp_path, "--columns", "username,novelty.deep,event.novelty::int64")
    assert len(rows) == 30_001
    assert [row for row in rows if row["novelty.deep"] is not None] == [
        {"username": "learner_30000", "novelty.deep": "seen", "event.novelty": 5}
    ]


def test_context_and_event_type_that_are_null(tmp_path: Path) -> None:
    odd = event(1, context=None, event_type=None, name=None)
    (tmp_path / "in.log").write_bytes(odd + event(2))
    first, second = _rows(tmp_path)
    assert (first["context"], first["event_type"], first["course_id"]) == (None, None, None)
    assert first["username"] == "learner_1"
    assert second["course_id"] == "course-v1:UnivX+CS101+2014"


def test_neither_user_id_nor_username(tmp_path: Path) -> None:
    line = json.loads(event())
    del line["username"], line["context"]["user_id"]
    (tmp_path / "in.log").write_bytes(json.dumps(line).encode())
    (row,) = _rows(tmp_path)
    assert (row["user_id"], row["username"]) == (None, None)
    assert row["event_type"] == "problem_check"


def test_a_float_is_an_id_only_where_it_is_exact(tmp_path: Path) -> None:
    written = ["7.0", "1e3", "9007199254740991.0", "9007199254740993.0", "7.5", "9007199254740993"]
    lines = [b'{"name":"x","context":{"user_id":%s}}\n' % number.encode() for number in written]
    (tmp_path / "in.log").write_bytes(b"".join(lines))
    told = [row["user_id"] for row in _rows(tmp_path)]
    assert told == [7, 1000, 2**53 - 1, None, None, 2**53 + 1]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_prod_and_edge_of_one_day_in_one_run(tmp_path: Path, threads: str) -> None:
    for site, first in (("edge", 10), ("prod", 20)):
        path = tmp_path / f"univx-{site}-events-2014-10-01.log.gz"
        path.write_bytes(pack(events(2, first)))
    done = run("filter", ".", "-o", "out.parquet", "--threads", threads, cwd=tmp_path)
    assert done.code == 0
    rows = pyarrow.parquet.ParquetFile(tmp_path / "out.parquet").read().to_pylist()
    told = [(row["site"], row["user_id"], row["source"], row["line"]) for row in rows]
    edge, prod = (f"univx-{site}-events-2014-10-01.log.gz" for site in ("edge", "prod"))
    assert told == [
        ("edge", 10, edge, 1),
        ("edge", 11, edge, 2),
        ("prod", 20, prod, 1),
        ("prod", 21, prod, 2),
    ]


def test_course_only_in_the_url(tmp_path: Path) -> None:
    course = "course-v1:UnivX+CS101+2014"
    quoted = "course-v1%3AUnivX%2BCS101%2B2014"
    page = f"https://courses.univx.example/courses/{quoted}/courseware/"
    by_type = event(event_type=f"/courses/{course}/info", context={"course_id": "", "path": "/"})
    by_page = event(page=page, event_type="page_close", context={})
    other = event(page="https://courses.univx.example/dashboard", context={})
    (tmp_path / "in.log").write_bytes(by_type + by_page + other)
    rows = _rows(tmp_path, "--course", course)
    assert [row["course_id"] for row in rows] == [course, course]
    assert {row["course_source"] for row in rows}.isdisjoint({None, "context"})
    done = run("filter", "in.log", "--course", course, "--course-from", "context", cwd=tmp_path)
    assert done.stdout == b""


def test_log_prefix_before_the_brace(tmp_path: Path) -> None:
    line = event()
    (tmp_path / "in.log").write_bytes(b"Oct  1 00:00:48 host [tracking][{x}] " + line)
    assert run("filter", "in.log", cwd=tmp_path).stdout == line
    assert _counts(tmp_path, "in.log")["mends"] == {"prefix": 1}


def test_invalid_utf8(tmp_path: Path) -> None:
    line = event(username="caf%").replace(b"%", b"\xe9")
    (tmp_path / "in.log").write_bytes(line)
    (row,) = _rows(tmp_path)
    assert row["username"] == "caf\N{REPLACEMENT CHARACTER}"
    written = run("filter", "in.log", cwd=tmp_path).stdout
    assert written == line.replace(b"\xe9", "\N{REPLACEMENT CHARACTER}".encode())
    assert _counts(tmp_path, "in.log")["mends"] == {"utf8": 1}


@pytest.mark.parametrize(
    "spelling",
    [
        '"x": NaN',
        '"x": -Infinity',
        '"x": "\\ud83d"',
        '"username": "other", "username": "learner_0"',
        '"x": 123456789012345678901234567890',
        '"x": 1e400',
        '"x": 1.10',
    ],
)
def test_values_that_pythons_json_reads(tmp_path: Path, spelling: str) -> None:
    line = b"{" + spelling.encode() + b", " + event()[1:]
    assert json.loads(line)["username"] == "learner_0", "the judge is Python's own reader"
    (tmp_path / "in.log").write_bytes(line)
    (row,) = _rows(tmp_path)
    assert (row["username"], row["user_id"]) == ("learner_0", 0)
    assert run("filter", "in.log", "--raw", cwd=tmp_path).stdout == line
    written = run("filter", "in.log", cwd=tmp_path).stdout
    strict = json.loads(written, parse_constant=pytest.fail)
    assert strict["context"] == json.loads(line)["context"]
    if not set(spelling) & set("N I\\") - {" "} and "other" not in spelling:
        assert written == line, "a clean line is written byte for byte"


def test_very_deep_nesting_costs_its_line_alone(tmp_path: Path) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        deep = opening * 100_000 + "1" + closing * 100_000
        line = b'{"deep": ' + deep.encode() + b", " + event(1)[1:]
        (tmp_path / "in.log").write_bytes(event(0) + line + event(2))
        done = run("filter", "in.log", "--check", "full", cwd=tmp_path)
        assert (done.code, done.stdout) == (0, event(0) + event(2))
        assert _counts(tmp_path, "in.log", "--overwrite")["reasons"] == {"too_deep": 1}


def test_gz_with_many_members(tmp_path: Path) -> None:
    members = [pack(event(number)) for number in range(300)] + [pack(b""), pack(event(300))]
    (tmp_path / "in.log").write_bytes(b"".join(members))
    assert run("filter", "in.log", cwd=tmp_path).stdout == events(301)
    assert _counts(tmp_path, "in.log")["members"] == 302


def test_gz_members_that_split_a_line(tmp_path: Path) -> None:
    lines = events(3)
    (tmp_path / "in.log").write_bytes(pack(lines[:400]) + pack(lines[400:]))
    assert run("filter", "in.log", cwd=tmp_path).stdout == lines


def test_gz_with_zero_padding_is_silent(tmp_path: Path) -> None:
    (tmp_path / "in.log").write_bytes(pack(events(3)) + bytes(1536))
    done = run("filter", "in.log", cwd=tmp_path)
    assert (done.code, done.stdout, done.told) == (0, events(3), [])


@pytest.mark.parametrize("tail", [b"garbage", b"\0\0\0garbage", b"PK\x03\x04" * 100])
def test_gz_with_other_trailing_bytes_is_a_warning(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "in.log").write_bytes(pack(events(3)) + tail)
    done = run("filter", "in.log", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, events(3))
    (warning,) = done.told
    assert warning.startswith("edxlogs: warning: trailing bytes: in.log: ")


@pytest.mark.parametrize("place", ["cut", "checksum"])
def test_gz_cut_off_or_with_a_bad_checksum(tmp_path: Path, place: str) -> None:
    lines = events(2000)
    whole = bytearray(pack(lines))
    if place == "cut":
        del whole[len(whole) // 2 :]
    else:
        whole[-8] ^= 1
    (tmp_path / "in.log").write_bytes(whole)
    (tmp_path / "good.log").write_bytes(event(5000))
    done = run("filter", "in.log", "good.log", "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 1
    assert (tmp_path / "out.jsonl").read_bytes() == event(5000), "nothing of the damaged file"
    (told,) = done.told
    assert told.startswith("edxlogs: in.log: ")
    assert told.endswith("(withheld)")

    done = run("filter", "in.log", "--salvage", cwd=tmp_path)
    assert done.code == 1
    assert lines.startswith(done.stdout[: done.stdout.rindex(b"\n", 0, -1) + 1])
    assert len(done.stdout) > 10_000
    assert done.told[0].endswith("(salvaged)")


@pytest.fixture(scope="module")
def ring() -> Iterator[Path]:
    with keys.home() as path:
        keys.make_key(path, "czar@univx.example", "cv25519")
        yield path


@_NEEDS_GPG
@pytest.mark.parametrize("damage", ["altered", "cut"])
def test_openpgp_message_altered_or_cut(tmp_path: Path, ring: Path, damage: str) -> None:
    message = bytearray(
        keys.encrypt(ring, ["czar@univx.example"], pack(commands.incompressible(3000)))
    )
    if damage == "cut":
        del message[-1000:]
    else:
        message[len(message) // 2] ^= 1
    (tmp_path / "in.log").write_bytes(message)
    (tmp_path / "good.log").write_bytes(event(5000))
    done = run("filter", "in.log", "good.log", "--gnupg-home", str(ring), cwd=tmp_path)
    assert (done.code, done.stdout) == (1, event(5000))
    (told,) = done.told
    assert told.startswith("edxlogs: cannot decrypt: in.log: the message ")


@_NEEDS_GPG
def test_many_messages_at_once_on_one_agent(tmp_path: Path, ring: Path) -> None:
    for number in range(24):
        message = keys.encrypt(ring, ["czar@univx.example"], event(number))
        (tmp_path / f"{number:02}.log.gpg").write_bytes(message)
    done = run("filter", ".", "--threads", "16", "--gnupg-home", str(ring), cwd=tmp_path)
    assert (done.code, done.stdout, done.told) == (0, events(24), [])


def test_mobile_event_logged_nine_days_late(tmp_path: Path) -> None:
    late = event(
        7,
        time="2014-10-01T08:00:00+00:00",
        event_source="mobile",
        context={"received_at": "2014-10-10T09:00:00+00:00", "user_id": 7},
    )
    day = datetime.date(2014, 10, 10)
    (tmp_path / f"univx-prod-events-{day}.log.gz").write_bytes(
        pack(event(1, time="2014-10-10T01:00:00+00:00") + late)
    )
    window = ["--since", "2014-10-01", "--until", "2014-10-02"]
    done = run("filter", ".", *window, "--report", "../report.json", cwd=tmp_path)
    assert done.stdout == late, "found by its own time, in the file of a later day"
    assert commands.report(tmp_path / "../report.json")["total"]["latest_days"] == 9
    assert run("filter", ".", *window, "--by", "received_at", cwd=tmp_path).stdout == b""


def test_damage_of_any_kind_at_any_place_is_never_delivered(tmp_path: Path) -> None:
    """One bit of a gzip wrong: either it is seen, or it is nothing that the format covers."""
    rng = random.Random(20141001)
    lines = commands.events(40)
    whole = pack(lines)
    damaged = {}
    for number in range(60):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        name = f"{number:02}.log"
        damaged[name] = bytes(data)
        (tmp_path / name).write_bytes(data)
    done = run("filter", *damaged, "-o", "out.jsonl", "--report", "report.json", cwd=tmp_path)
    assert done.code == 1
    sources = commands.report(tmp_path / "report.json")["sources"]
    delivered = {source["source"] for source in sources if source["status"] == "delivered"}
    for name in delivered:
        # Not seen as gzip any more, or a byte of the header that says nothing of the data.
        expanded = damaged[name]
        if expanded.startswith(b"\x1f\x8b"):
            assert zlib.decompress(expanded, 31) == lines
    assert 0 < len(delivered) < 30
