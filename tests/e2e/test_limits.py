"""Hostile and extreme input: bounded memory, one clear sentence, never a traceback or a hang."""

from __future__ import annotations

import datetime
import io
import json
import os
import resource
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import commands
import make_logs
from commands import event, events, pack, report, run, run_measured
from edxlogs.generator import keys

MB = 1_000_000
_BOUND = 300 * MB  # of the contract
_TIGHT = 200 * MB  # of runs that keep nothing


def _members(member: bytes, count: int) -> bytes:
    return pack(member) * count


def test_a_line_of_200_mb(tmp_path: Path) -> None:
    data = pack(event(0)) + _members(b"x" * 10 * MB, 20) + pack(b"\n" + event(1))
    (tmp_path / "a.log.gz").write_bytes(data)
    done, peak = run_measured(
        "filter", "a.log.gz", "-o", "out.jsonl", "--rejects", "bad.txt", cwd=tmp_path
    )
    assert done.code == 0, done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == event(0) + event(1)
    place = (tmp_path / "bad.txt").read_bytes().split(b"\n")[0]
    told = json.loads(place.removeprefix(b"# edxlogs reject: "))
    assert (told["reason"], told["length"], told["line"]) == ("too_long", 200 * MB, 2)
    assert peak < _TIGHT


def test_a_line_of_200_mb_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz").write_bytes(_members(b'{"a": "' + b"x" * 10 * MB, 20))
    done, peak = run_measured("check", "a.log.gz", "--threads", "2", cwd=tmp_path)
    assert done.code == 1, "no log"
    assert "too_long 1" in done.stderr
    assert peak < _TIGHT


@pytest.mark.parametrize("threads", ["1", "2"])
def test_memory_does_not_depend_on_how_many_lines_are_rejected(
    tmp_path: Path, threads: str
) -> None:
    (tmp_path / "a.log").write_bytes(event(0) + b"x\n" * (8 * MB) + event(1))
    words = ("filter", "a.log", "-o", "out.csv", "--rejects", "bad.txt", "--threads", threads)
    done, peak = run_measured(*words, cwd=tmp_path)
    assert done.code == 0, done.stderr
    with (tmp_path / "bad.txt").open("rb") as bad:
        assert sum(line == b"x\n" for line in bad) == 8 * MB
    assert peak < _BOUND


@pytest.mark.parametrize("byte", [b"\0", b" ", b"{", b"\n", b'"'])
def test_a_gzip_that_expands_a_thousandfold(tmp_path: Path, byte: bytes) -> None:
    data = _members(byte * 10 * MB, 30)
    assert len(data) * 500 < 300 * MB
    (tmp_path / "a.log.gz").write_bytes(pack(data))  # and once more: 10,000 times and above
    done, peak = run_measured("check", "a.log.gz", cwd=tmp_path)
    assert done.code == (0 if byte == b"\n" else 1), "an empty line is no sign of another format"
    assert "300.0 MB expanded" in done.stderr
    assert peak < _TIGHT


def test_lines_that_are_all_rejected_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz").write_bytes(_members(b"no event at all\n" * 100_000, 50))
    done, peak = run_measured(
        "filter", "a.log.gz", "-o", "out.csv", "--rejects", "bad.txt", cwd=tmp_path
    )
    assert done.code == 1, "no log"
    assert (tmp_path / "bad.txt").read_bytes().count(b"\n") == 10 * MB
    assert peak < _TIGHT


def test_thousands_of_tiny_files(tmp_path: Path) -> None:
    """More than a process may hold open, and each with something to say."""
    for number in range(3000):
        data = event(number) if number % 2 else pack(event(number) + b"no event\n")
        (tmp_path / f"{number:04}.log").write_bytes(data)
    done, peak = run_measured(
        "filter", ".", "-o", "out.jsonl", "--rejects", "bad.txt", "--report", "r.json",
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == events(3000)
    assert report(tmp_path / "r.json")["total"]["rejected"] == 1500
    assert (tmp_path / "bad.txt").read_bytes().count(b"\n") == 3000
    assert peak < _TIGHT


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A disk that fails, for which the memory of a process stands in: its start is not mapped."""
    if not os.path.exists("/proc/self/mem"):
        pytest.skip("no /proc here")
    (tmp_path / "a.log").write_bytes(event())
    for command in (["filter", "-o", "out.jsonl"], ["check"]):
        done = run(
            *command, "/proc/self/mem", "a.log", "--report", "r.json", "--overwrite", cwd=tmp_path
        )
        assert done.code == 1
        (told,) = done.told
        assert told == "edxlogs: cannot open: /proc/self/mem: Input/output error"
    assert (tmp_path / "out.jsonl").read_bytes() == event()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    (tmp_path / "b.log").write_bytes(event())
    (tmp_path / "b.log").chmod(0)
    (tmp_path / "folder").mkdir(mode=0)
    done = run("filter", ".", cwd=tmp_path)
    assert (done.code, done.stdout) == (1, event())
    assert all(told.endswith(": Permission denied") for told in done.told)
    assert len(done.told) == 2


def test_a_file_that_disappears_or_shrinks(tmp_path: Path) -> None:
    """What was found may be gone when its turn comes: others are delivered."""
    os.mkfifo(tmp_path / "a.log")
    (tmp_path / "b.log").write_bytes(event(1))
    (tmp_path / "c.log").write_bytes(event(2))
    process = commands.start("filter", "a.log", "b.log", "c.log", "--threads", "1", cwd=tmp_path)
    writer = os.open(tmp_path / "a.log", os.O_WRONLY)
    (tmp_path / "b.log").unlink()
    os.write(writer, event(0))
    os.close(writer)
    done = commands.finish(process)
    assert (done.code, done.stdout) == (1, event(0) + event(2))
    assert done.told == ["edxlogs: cannot open: b.log: no such file or folder (withheld)"]


def test_names_that_are_not_text(tmp_path: Path) -> None:
    names = [b"\xff\xfe.log", b"new\nline.log", "r\u202eevo.log".encode(), b"\x1b[31m.log"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(pack(event())[:-1])
    done = run("filter", ".", b"\xffmissing.log", "-q", cwd=tmp_path)
    assert done.code == 2
    assert done.told == [r"edxlogs: cannot open: \xffmissing.log: no such file or folder"]
    done = run("filter", ".", "--report", "r.json", "-q", cwd=tmp_path)
    assert done.code == 1
    (told,) = done.told
    assert "4 sources failed for one reason, such as ./" in told
    assert all(one.isprintable() for one in done.stderr.splitlines())
    sources = {one["source"] for one in report(tmp_path / "r.json")["sources"]}
    assert sources == {r"\xff\xfe.log", r"new\x0aline.log", r"r\u202eevo.log", r"\x1b[31m.log"}


def test_output_names_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    done = run("filter", "a.log", "-o", b"\xff.jsonl", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (tmp_path / os.fsdecode(b"\xff.jsonl")).read_bytes() == event()
    assert done.stderr.splitlines()[-1] == r"1 row to \xff.jsonl"


def test_reports_of_datasets_whose_names_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    words = (b"--report", b"\xff.json", b"--rejects", b"\xff.txt")
    for command in (
        ("filter", "a.log", "-o", "rows", "--partition-by", "date"),
        ("tables", "a.log", "-o", "tables"),
    ):
        for _ in range(2):  # the second run writes its own files anew
            done = run(*command, *words, cwd=tmp_path)
            assert done.code == 0, done.stderr
        assert report(tmp_path / os.fsdecode(b"\xff.json"))["total"]["kept"] == 1
        for name in (b"\xff.json", b"\xff.txt"):
            (tmp_path / os.fsdecode(name)).unlink()


def test_folders_that_go_round_in_circles(tmp_path: Path) -> None:
    (tmp_path / "logs/deep").mkdir(parents=True)
    (tmp_path / "logs/deep/up").symlink_to("../..")
    (tmp_path / "logs/a.log").write_bytes(event())
    for argument in ("logs", "logs/**", "."):
        done = run("filter", argument, cwd=tmp_path)
        assert (done.code, done.stdout) == (0, event()), argument


_HOSTILE = [
    "../../escape.log",
    "/absolute.log",
    "a/../b.log",
    "new\nline.log",
    "\x1b[31m.log",
    "é.log",
]


def _tar(names: list[str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, name in enumerate(names):
            member = tarfile.TarInfo(name)
            member.size = len(event(number))
            tar.addfile(member, io.BytesIO(event(number)))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"special{kind.decode()}.log")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    return out.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_a_tar_with_hostile_names(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    archive = _tar(_HOSTILE)
    (folder / "x-tracking.tar").write_bytes(pack(archive) if packed else archive)
    done = run("filter", "x-tracking.tar", "--report", "r.json", cwd=folder)
    assert done.code == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(events(len(_HOSTILE)).splitlines())
    assert {path.name for path in folder.iterdir()} == {"x-tracking.tar", "r.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"work"}, "nothing is extracted"
    assert all(line.isprintable() for line in done.stderr.splitlines())
    rows = run(
        "filter", "x-tracking.tar", "--format", "csv", "--columns", "source", cwd=folder
    ).stdout.decode()
    assert all(line.isprintable() for line in rows.splitlines()), "no control character in rows"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("at", [100, 512, 700, 512 * 3, 512 * 3 + 100])
def test_a_tar_that_is_cut(tmp_path: Path, packed: bool, at: int) -> None:
    archive = _tar(["a.log", "b.log"])[:at]
    (tmp_path / "x.tar").write_bytes(pack(archive) if packed else archive)
    (tmp_path / "good.log").write_bytes(event(9))
    done = run("filter", "x.tar", "good.log", cwd=tmp_path)
    if at < 512:
        # Not known for a tar: a line that is no event.
        assert (done.code, done.stdout) == (1, event(9))
        assert "holds no event" in done.stderr or "is neither text" in done.stderr
        return
    assert (done.code, done.stdout) == (1, event(9))
    assert len(done.told) == 1
    assert "x.tar" in done.told[0]


def test_hidden_folder_name_too_long(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    done = run("filter", "a.log", "-o", "x" * 248 + ".csv", cwd=tmp_path)
    assert done.code == 1
    assert "File name too long" in done.told[0]
    assert stat.S_ISREG((tmp_path / "a.log").stat().st_mode)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl.gz", "arrow"])
def test_memory_of_a_thousand_small_files(tmp_path: Path, ending: str) -> None:
    data = commands.incompressible(1000)
    for number in range(1000):
        text = data + b"\n" * number  # no copy of another
        (tmp_path / f"{number:04}.log.gz").write_bytes(pack(text))
    done, peak = run_measured(
        "filter", ".", "-o", f"out.{ending}", "--threads", "2", cwd=tmp_path, seconds=600
    )
    assert done.code == 0
    assert "1,000,000 rows" in done.stderr
    assert peak < _BOUND


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl.gz", "arrow"])
def test_memory_of_one_file_of_a_gigabyte(tmp_path: Path, ending: str) -> None:
    lines = commands.incompressible(20_000)
    count = 1_000_000_000 // len(lines) + 1
    (tmp_path / "a.log.gz").write_bytes(pack(lines) * count)
    done, peak = run_measured(
        "filter", "a.log.gz", "-o", f"out.{ending}", "--threads", "2", cwd=tmp_path, seconds=600
    )
    assert done.code == 0
    assert f"{20_000 * count:,} rows" in done.stderr
    assert peak < _BOUND


@pytest.fixture(scope="module")
def large_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight days of the generator, 120 MB each: row groups of every thread get full."""
    folder = tmp_path_factory.mktemp("large")
    day = datetime.date(2014, 10, 1)
    text = pack(b"".join(make_logs.lines(1, day, "prod", 120)))
    for offset in range(8):
        name = f"universityx-prod-events-{day + datetime.timedelta(days=offset)}.log.gz"
        (folder / name).write_bytes(text)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "each"),
    [(["-o", "out.parquet"], 45), (["-o", "out", "--partition-by", "course_id"], 60)],
    ids=["file", "dataset"],
)
@pytest.mark.parametrize("threads", [1, 2, 4, 8])
def test_memory_follows_the_threads(
    tmp_path: Path, large_logs: Path, threads: int, words: list[str], each: int
) -> None:
    """100 MB, and so much for each thread, as docs/reference/filter.md says: all of all events."""
    words = [*words, "--threads", str(threads)]
    done, peak = run_measured("filter", large_logs, *words, cwd=tmp_path, seconds=600)
    assert done.code == 0, done.stderr
    assert peak < (100 + each * threads) * MB


@pytest.fixture(scope="module")
def ring() -> Iterator[Path]:
    with keys.home() as path:
        if keys.missing() is None:
            keys.make_key(path, "czar@univx.example", "cv25519")
        yield path


# Room for a stack that no machine has: every new thread fails.
_NO_STACK = 1 << 46


def test_a_machine_without_threads_for_one_source(tmp_path: Path) -> None:
    """Without those that the core starts, the one that is there does it all."""
    (tmp_path / "a.log").write_bytes(events(5))
    for threads in ("1", "4"):
        done = run(
            "filter", "a.log", "--threads", threads, cwd=tmp_path, RUST_MIN_STACK=str(_NO_STACK)
        )
        assert (done.code, done.stdout, done.told) == (0, events(5), [])


@pytest.mark.parametrize("spare", range(4))
def test_a_machine_that_gives_few_threads(tmp_path: Path, ring: Path, spare: int) -> None:
    """Of those that Python starts: a run makes do with one, and says what it had none for."""
    for number in range(4):
        data = event(number)
        if keys.missing() is None and number == 1:
            data = keys.encrypt(ring, ["czar@univx.example"], data)
        (tmp_path / f"{number}.log").write_bytes(data)
    code = (
        "import threading\n"
        "start, spare = threading.Thread.start, %d\n"
        "def start_few(thread):\n"
        "    global spare\n"
        '    if not spare: raise RuntimeError("can\'t start new thread")\n'
        "    spare -= 1\n"
        "    start(thread)\n"
        "threading.Thread.start = start_few\n"
        "from edxlogs.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code % spare, "filter", ".", "--gnupg-home", ring],
        cwd=tmp_path,
        capture_output=True,
        timeout=commands.SECONDS,
    )
    judged = commands.judge(done.returncode, done.stdout, done.stderr)
    assert judged.code == 1, judged.stderr
    assert judged.told
    assert all("cannot start a thread" in told for told in judged.told)


@pytest.mark.parametrize("sources", [("a.log",), ("b.log", "a.log")])
@pytest.mark.parametrize("words", [("filter", "-o", "out.jsonl"), ("check",)])
def test_rejects_without_room_are_named(
    tmp_path: Path, words: tuple[str, ...], sources: tuple[str, ...]
) -> None:
    (tmp_path / "b.log").write_bytes(event(1))
    (tmp_path / "a.log").write_bytes(event(0) + b"no event\n" * (MB // 4))
    command, *output = words
    asked = (command, *sources, *output, "--rejects", "bad.txt")
    process = commands.start(*asked, cwd=tmp_path, preexec_fn=commands.small_files)
    done = commands.finish(process)
    assert done.code == 1
    assert done.told == [
        "edxlogs: output: bad.txt: File too large; make room, or name another place, and run again"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "b.log"]


@pytest.mark.parametrize("threads", ["1", "2", "16", "64"])
def test_many_threads_change_no_row(tmp_path: Path, threads: str) -> None:
    for number in range(6):
        text = b"".join(event(100 * number + at) for at in range(100))
        (tmp_path / f"univx-edx-events-2014-10-0{number + 1}.log").write_bytes(text)
    words = ("filter", ".", "-o", "out", "--partition-by", "event_type,date", "--threads", threads)
    assert run(*words, "--format", "jsonl", cwd=tmp_path).code == 0
    there = b"".join(path.read_bytes() for path in sorted((tmp_path / "out").rglob("*.jsonl")))
    wanted = [event(number) for number in range(600)]
    assert sorted(there.splitlines(keepends=True)) == sorted(wanted)


def test_a_gigabyte_of_line_ends_is_counted(tmp_path: Path) -> None:
    lines = 64 * MB
    (tmp_path / "a.log.gz").write_bytes(_members(b"\n" * 16 * MB, 4) + pack(event(0)))
    done, peak = run_measured("check", "a.log.gz", cwd=tmp_path)
    assert done.code == 0
    assert f"{lines + 1:,} lines: 1 kept, 0 dropped, {lines:,} blank" in done.stderr
    assert peak < _TIGHT


def test_columns_have_a_bound(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event(0))
    columns = ",".join(f"c{number}=event.x{number}" for number in range(1001))
    done = run("filter", "a.log", "--columns", columns, "-o", "out.csv", cwd=tmp_path)
    assert done.code == 2
    assert done.told == ["edxlogs: columns: 1001 are named; name 1000 at most"]
