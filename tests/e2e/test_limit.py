"""`--limit`: the first rows of the whole output, whatever the threads, and no reading beyond."""

from __future__ import annotations

import csv
import io
import json
import random
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edxlogs
from commands import event, events, incompressible, pack, report, run
from edxlogs.generator import keys

CZAR = "Data Czar <czar@univx.example>"


def _limited(folder: Path, limit: int, *words: str, code: int = 0) -> tuple[bytes, dict[str, Any]]:
    """What `filter --limit` writes to a file, and its report, which adds up."""
    files = ("-o", "few.out", "--format", "jsonl", "--report", "r.json", "--overwrite", "-q")
    done = run("filter", *words, "--limit", str(limit), *files, cwd=folder)
    assert done.code == code, done.stderr
    return (folder / "few.out").read_bytes(), report(folder / "r.json")


def _docker(text: bytes, pieces: int) -> bytes:
    """A line as docker's json-file driver writes it, cut into pieces."""
    whole = text.decode()
    size = -(-len(whole) // pieces)
    cut = [whole[at : at + size] for at in range(0, len(whole), size)]
    return b"".join(
        json.dumps({"log": piece, "stream": "stdout", "time": "2014-10-01T12:00:00Z"}).encode()
        + b"\n"
        for piece in cut
    )


@st.composite
def _logs(draw: st.DrawFn) -> list[bytes]:
    """Logs of few lines: events that match and others, several a line, blank, broken, in pieces."""
    number = iter(range(1_000_000))

    def line(kind: str) -> bytes:
        one = event(next(number))
        other = event(next(number), event_type="play_video", name="play_video")
        return {
            "match": one,
            "other": other,
            "two": one.strip() + event(next(number)),
            "mixed": one.strip() + other,
            "blank": b"\n",
            "broken": one[:40] + b"\n",
            "pieces": _docker(one, 3),
            "lost": _docker(one, 3)[: len(_docker(one, 3)) // 2].rpartition(b"\n")[0] + b"\n",
        }[kind]

    kinds = st.sampled_from(["match", "other", "two", "mixed", "blank", "broken", "pieces", "lost"])
    files = draw(st.lists(st.lists(kinds, max_size=12), min_size=1, max_size=5))
    return [b"".join(map(line, ["match", *one])) for one in files]


@settings(max_examples=40)
@given(_logs(), st.integers(1, 30), st.sampled_from([1, 2, 5]), st.booleans())
def test_rows_are_the_first_ones(
    logs: list[bytes], limit: int, threads: int, is_packed: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"{at}.log" for at in range(len(logs))]
        for path, content in zip(paths, logs, strict=True):
            path.write_bytes(pack(content) if is_packed else content)
        words: dict[str, Any] = {"event_type": "problem_check", "threads": threads}
        edxlogs.write(paths, folder / "all.csv", **words, columns=["source", "line", "user_id"])
        written = edxlogs.write(
            paths, folder / "few.csv", **words, columns=["source", "line", "user_id"], limit=limit
        )
        every = list(csv.reader(io.StringIO((folder / "all.csv").read_text())))
        few = list(csv.reader(io.StringIO((folder / "few.csv").read_text())))
        assert few == every[: 1 + limit]

        account = written.account
        assert written.is_whole
        assert account.rows_written == len(few) - 1
        if len(every) - 1 < limit:
            assert {one.status for one in account.sources} == {"delivered"}
            assert not account.unread
            assert len(account.sources) == len(paths)
            return
        *before, cut = account.sources
        assert {one.status for one in before} <= {"delivered"}
        assert cut.status == "unverified"
        assert cut.source == few[-1][0]
        assert account.unread == [str(path) for path in paths[len(account.sources) :]]
        # The lines that were read are those up to the last row, and the pieces of a message there.
        last = int(few[-1][1])
        texts = logs[len(before)].splitlines()[last - 1 :]
        pieces = [at for at, text in enumerate(texts) if b'{"log"' in text]
        assert last <= cut.counts.lines <= last + max(pieces, default=0)


def test_what_follows_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz").write_bytes(pack(events(10)))
    large = pack(incompressible(30_000))
    (tmp_path / "b.log.gz").write_bytes(large[:-4] + b"oops")  # nobody comes to see it
    (tmp_path / "c.log").write_bytes(b"no log\n")
    rows, account = _limited(tmp_path, 12, ".")
    assert rows == events(10) + incompressible(30_000)[: len(rows) - len(events(10))]
    assert rows.count(b"\n") == 12
    first, second = account["sources"]
    assert (first["status"], second["status"]) == ("delivered", "unverified")
    assert second["counts"]["lines"] == second["counts"]["kept"] == 2
    assert second["counts"]["bytes_read"] < len(large) / 2
    assert account["unread"] == ["./c.log"]

    logs = ("a.log.gz", "b.log.gz", "c.log")
    done = run("filter", *logs, "--limit", "12", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, rows)
    told = "b.log.gz: unverified: read up to the last row only; 1 source not read"
    assert told in done.stderr.splitlines()
    assert run("filter", *logs, "--limit", "12", "--unverified", cwd=tmp_path).stdout == rows


def test_a_damaged_source_before_gives_no_row(tmp_path: Path) -> None:
    packed = pack(events(50))
    (tmp_path / "a.log.gz").write_bytes(packed[:-4] + b"oops")
    (tmp_path / "b.log").write_bytes(events(50, first=50))
    rows, account = _limited(tmp_path, 60, ".", code=1)
    assert rows == events(50, first=50)
    assert [one["status"] for one in account["sources"]] == ["withheld", "delivered"]
    rows, account = _limited(tmp_path, 40, "b.log")
    assert rows == events(40, first=50)


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_encrypted(tmp_path: Path) -> None:
    with keys.home() as home:
        keys.make_key(home, CZAR)
        text = incompressible(20_000)
        message = keys.encrypt(home, [CZAR], pack(text))
        (tmp_path / "a.log.gz.gpg").write_bytes(keys.encrypt(home, [CZAR], pack(events(3))))
        (tmp_path / "b.log.gz.gpg").write_bytes(message[:-40] + bytes(40))  # altered at its end
        for threads in ("1", "4"):
            words = (".", "--gnupg-home", str(home), "--threads", threads)
            rows, account = _limited(tmp_path, 5, *words)
            assert rows == events(3) + b"".join(text.splitlines(keepends=True)[:2])
            assert [one["status"] for one in account["sources"]] == ["delivered", "unverified"]
            assert account["sources"][1]["error"] is None
            _, account = _limited(tmp_path, 30_000, *words, code=1)
            assert [one["status"] for one in account["sources"]] == ["delivered", "withheld"]


def test_streams_wait_for_those_before(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(events(4))
    given = ("filter", "a.log", "-", "--limit", "6", "--threads", "4")
    done = run(*given, cwd=tmp_path, stdin=events(100, first=4))
    assert (done.code, done.stdout) == (0, events(6))
    done = run(*given, "--unverified", cwd=tmp_path, stdin=events(100, first=4))
    assert (done.code, done.stdout) == (0, events(6))

    for limit, count in ((7, 7), (None, 12)):
        files = [io.BytesIO(events(3, first=3 * at)) for at in range(4)]
        edxlogs.write(files, tmp_path / "out.jsonl", limit=limit, threads=3, overwrite=True)
        assert (tmp_path / "out.jsonl").read_bytes() == events(count)


def test_members_of_a_tar(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "logs.tar.gz", "w:gz") as tar:
        for at in range(3):
            content = events(5, first=5 * at)
            member = tarfile.TarInfo(f"{at}.log")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    rows, account = _limited(tmp_path, 8, "logs.tar.gz")
    assert rows == events(8)
    assert account["total"]["lines"] == 8


def test_a_copy_gives_no_row(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "univx-edge-events-2014-10-01.log.gz").write_bytes(pack(events(5)))
    other = tmp_path / "b/univx-edge-events-2014-10-02.log.gz"
    other.write_bytes(pack(events(5, first=5)))
    rows, _ = _limited(tmp_path, 8, "a", "b")
    assert rows == events(8)


def test_names_are_those_of_the_whole(tmp_path: Path) -> None:
    """Files of one name are told apart by their text, which a cut one must be read for."""
    rng = random.Random(1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        lines = events(20, first=rng.randrange(1000))
        half = len(lines) // 2
        (tmp_path / name / "tracking.log.gz").write_bytes(pack(lines[:half]) + pack(lines[half:]))
    files = ("--columns", "source,line", "-q")
    every = run("filter", "a", "b", *files, "--format", "csv", cwd=tmp_path).stdout.splitlines()
    few = run("filter", "a", "b", *files, "--format", "csv", "--limit", "25", cwd=tmp_path)
    assert few.stdout.splitlines() == every[:26]
    assert b"tracking.log.gz~" in every[25]


def test_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(events(3))
    for words, told in {
        ("--limit", "0"): "--limit",
        ("--limit", str(2**63)): "edxlogs: limit: must be 1 or more, below 2 to the 63rd",
        ("--limit", "2", "--partition-by", "date", "-o", "d"): "edxlogs: limit: does not go with",
    }.items():
        done = run("filter", "a.log", *words, cwd=tmp_path)
        assert done.code == 2
        assert told in done.stderr
    with pytest.raises(edxlogs.ConfigError, match="limit: must be 1 or more"):
        edxlogs.write(tmp_path / "a.log", tmp_path / "out.csv", limit=0)


def test_nothing_is_said_of_what_was_not_read(tmp_path: Path) -> None:
    """A course that was not met yet may be in the rest."""
    (tmp_path / "a.log").write_bytes(events(3))
    courses = ("--course", "course-v1:UnivX+CS101+2014", "--course", "course-v1:UnivX+CS102+2014")
    assert "warning" in run("filter", "a.log", *courses, cwd=tmp_path).stderr
    assert "warning" not in run("filter", "a.log", *courses, "--limit", "2", cwd=tmp_path).stderr
