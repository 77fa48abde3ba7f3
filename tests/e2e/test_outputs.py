"""Outputs appear whole, for their owner alone, and never over something else."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import time
from pathlib import Path

import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

import commands
from commands import event, events, finish, hidden, pack, run, start

FORMATS = ["parquet", "csv", "jsonl", "jsonl.gz", "jsonl.zst", "arrow"]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _wait_for(condition, seconds: float = 30) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def _blocked(folder: Path, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    """A run in its middle: the first source is read, the second a pipe that gives nothing yet."""
    (folder / "a.log").write_bytes(events(1000))
    os.mkfifo(folder / "slow.log")
    process = start("filter", "a.log", "slow.log", "-o", "out.jsonl", *options, cwd=folder)
    writer = os.open(folder / "slow.log", os.O_WRONLY)  # waits until the run reads it
    os.write(writer, event(1000))
    return process, writer


def test_killed_in_the_middle_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    files = ("--rejects", "bad.txt", "--report", "r.json")
    process, writer = _blocked(tmp_path, *files)
    _wait_for(lambda: len(hidden(tmp_path)) == 3)
    process.kill()
    process.communicate()
    os.close(writer)
    names = {path.name for path in tmp_path.iterdir()} - set(hidden(tmp_path))
    assert names == {"a.log", "slow.log"}

    done = run("filter", "a.log", "-o", "out.jsonl", *files, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == events(1000)
    assert hidden(tmp_path) == []


def test_nothing_under_the_name_before_the_end(tmp_path: Path) -> None:
    process, writer = _blocked(tmp_path)
    _wait_for(lambda: hidden(tmp_path))
    (folder,) = (tmp_path / name for name in hidden(tmp_path))
    assert _mode(folder) == 0o700
    for path in folder.iterdir():
        assert _mode(path) == 0o600, path
    assert not (tmp_path / "out.jsonl").exists()
    os.close(writer)
    assert finish(process).code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == events(1001)
    assert hidden(tmp_path) == []


def test_two_runs_on_one_output(tmp_path: Path) -> None:
    process, writer = _blocked(tmp_path)
    done = run("filter", "a.log", "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 1
    assert done.told == [
        "edxlogs: output: out.jsonl: another edxlogs is writing it; wait for it, or name another"
        " file"
    ]
    os.close(writer)
    assert finish(process).code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == events(1001), "the first run is undisturbed"


def test_an_output_that_appears_during_the_run(tmp_path: Path) -> None:
    process, writer = _blocked(tmp_path)
    (tmp_path / "out.jsonl").write_text("another's")
    os.close(writer)
    done = finish(process)
    assert done.code == 2
    assert "appeared during the run" in done.told[0]
    assert (tmp_path / "out.jsonl").read_text() == "another's"
    assert hidden(tmp_path) == []


def test_modes(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x\n" + event())
    outputs = ["out.csv", "bad.txt", "r.json"]
    options = ["-o", "out.csv", "--rejects", "bad.txt", "--report", "r.json"]
    old = os.umask(0)
    try:
        assert run("filter", "a.log", *options, cwd=tmp_path).code == 0
        assert [_mode(tmp_path / name) for name in outputs] == [0o600] * 3
        done = run("filter", "a.log", *options, "--overwrite", "--mode", "640", cwd=tmp_path)
        assert done.code == 0
        assert [_mode(tmp_path / name) for name in outputs] == [0o640] * 3
    finally:
        os.umask(old)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out.jsonl").symlink_to("precious")
    assert run("filter", "a.log", "-o", "out.jsonl", cwd=tmp_path).code == 2
    done = run("filter", "a.log", "-o", "out.jsonl", "--overwrite", cwd=tmp_path)
    assert done.code == 0
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "out.jsonl").is_symlink()
    (tmp_path / "out.csv").symlink_to("nowhere")
    for options in ([], ["--overwrite"]):
        done = run("filter", "a.log", "-o", "out.csv", *options, cwd=tmp_path)
        assert done.code == 2
        assert done.told == ["edxlogs: output: out.csv: is a broken link; name another file"]
    assert not (tmp_path / "nowhere").exists()


def test_a_link_in_place_of_the_hidden_folder(tmp_path: Path) -> None:
    """What a run deletes must be its own: somebody may have laid a link there."""
    (tmp_path / "a.log").write_bytes(event())
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("mine")
    (tmp_path / ".out.csv.edxlogs").symlink_to("precious")
    done = run("filter", "a.log", "-o", "out.csv", cwd=tmp_path)
    assert done.code == 2
    assert "is not edxlogs' own" in done.told[0]
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["file"]


@pytest.mark.parametrize("how", ["link", "hard link", "standard input"])
def test_an_output_that_is_an_input_by_another_name(tmp_path: Path, how: str) -> None:
    (tmp_path / "a.log").write_bytes(event())
    target = tmp_path / "out.jsonl"
    source = "a.log"
    if how == "link":
        target.symlink_to("a.log")
    elif how == "hard link":
        target.hardlink_to(tmp_path / "a.log")
    else:
        target, source = tmp_path / "a.log", "-"
    with (tmp_path / "a.log").open("rb") as stdin:
        process = start(
            "filter", source, "-o", target.name, "--overwrite", cwd=tmp_path, stdin=stdin
        )
        done = finish(process)
    assert done.code == 2
    assert "is also an input" in done.told[0]
    assert (tmp_path / "a.log").read_bytes() == event()


def test_a_pipe_or_a_device_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    os.mkfifo(tmp_path / "out.csv")
    done = run("filter", "a.log", "-o", "out.csv", "--overwrite", cwd=tmp_path)
    assert done.code == 2
    assert "is not a regular file" in done.told[0]
    assert stat.S_ISFIFO((tmp_path / "out.csv").stat().st_mode)
    done = run("filter", "a.log", "-o", "/dev/full", "--format", "csv", cwd=tmp_path)
    assert done.code == 2
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize("ending", FORMATS)
def test_disk_full(tmp_path: Path, ending: str) -> None:
    (tmp_path / "a.log.gz").write_bytes(pack(commands.incompressible(10_000)))
    process = start(
        "filter", "a.log.gz", "-o", f"out.{ending}", cwd=tmp_path, preexec_fn=commands.small_files
    )
    done = finish(process)
    assert done.code == 1
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"edxlogs: output: out.{ending}: File too large")
    assert told.endswith("; make room, or name another place, and run again")
    assert [path.name for path in tmp_path.iterdir()] == ["a.log.gz"]


def test_disk_full_for_rejects(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"no event\n" * 100_000)
    process = start(
        "filter", "a.log", "-o", "out.csv", "--rejects", "bad.txt", cwd=tmp_path,
        preexec_fn=commands.small_files,
    )  # fmt: skip
    done = finish(process)
    assert done.code == 1
    (told,) = done.stderr.splitlines()
    assert "File too large" in told
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]


@pytest.mark.parametrize("ending", FORMATS)
def test_standard_output_is_full(tmp_path: Path, ending: str) -> None:
    (tmp_path / "a.log").write_bytes(events(100))
    with open("/dev/full", "wb") as full:
        done = finish(start("filter", "a.log", "--format", ending, cwd=tmp_path, stdout=full))
    assert done.code == 1
    (told,) = done.stderr.splitlines()
    assert told.startswith("edxlogs: output: stdout: No space left on device")


@pytest.mark.parametrize("target", ["file", "standard output"])
@pytest.mark.parametrize("ending", FORMATS)
def test_formats(tmp_path: Path, ending: str, target: str) -> None:
    """Readers that are not ours read what was written, in order, from two sources."""
    (tmp_path / "a.log").write_bytes(events(300))
    (tmp_path / "b.log.gz").write_bytes(pack(events(300, 300)))
    out = tmp_path / f"out.{ending}"
    if target == "file":
        done = run("filter", "a.log", "b.log.gz", "-o", out.name, cwd=tmp_path)
    else:
        done = run("filter", "a.log", "b.log.gz", "--format", ending, cwd=tmp_path)
        out.write_bytes(done.stdout)
    assert done.code == 0, done.stderr
    if ending.startswith("jsonl"):
        data = out.read_bytes()
        if ending == "jsonl.gz":
            data = gzip.decompress(data)
        elif ending == "jsonl.zst":
            data = pyarrow.CompressedInputStream(pyarrow.py_buffer(data), "zstd").read()
        assert data == events(600)
        return
    if ending == "parquet":
        table = pyarrow.parquet.ParquetFile(out).read()
    elif ending == "csv":
        table = pyarrow.csv.read_csv(out)
    else:
        table = pyarrow.ipc.open_file(out).read_all()
    assert table["user_id"].to_pylist() == list(range(600))
    assert table["line"].to_pylist() == [*range(1, 301)] * 2


@pytest.mark.parametrize("command", ["filter", "check"])
@pytest.mark.parametrize("option", ["--report", "--rejects"])
@pytest.mark.parametrize(
    ("target", "code", "told"),
    [
        ("none/x", 1, "make the folder"),
        ("a.log/x", 1, "Not a directory"),
        ("there", 2, "exists"),
        (".", 2, "is a folder"),
        ("-", 2, "name a file"),
    ],
)
def test_files_that_cannot_be_written_are_found_out_first(
    tmp_path: Path, command: str, option: str, target: str, code: int, told: str
) -> None:
    """A night's work is not thrown away for a folder that was never there."""
    (tmp_path / "a.log").write_bytes(events(3))
    (tmp_path / "there").write_bytes(b"")
    os.mkfifo(tmp_path / "b.log")  # whoever opens it waits for ever
    output = ["-o", "out.jsonl"] if command == "filter" else []
    done = run(command, "a.log", "b.log", option, target, *output, cwd=tmp_path)
    assert (done.code, done.stdout) == (code, b"")
    assert len(done.stderr.splitlines()) == 1
    assert told in done.told[0]
    assert sorted(os.listdir(tmp_path)) == ["a.log", "b.log", "there"]


def test_a_report_of_a_run_that_fails_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(events(3))
    done = run(
        "filter", "a.log", "-o", "none/out", "--report", "r.json", "--format", "csv", cwd=tmp_path
    )
    assert done.code == 1
    assert os.listdir(tmp_path) == ["a.log"]


@pytest.mark.parametrize("mask", [0o000, 0o777])
@pytest.mark.parametrize("kind", ["file", "dataset"])
def test_modes_under_any_umask(tmp_path: Path, mask: int, kind: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for org in ("aorg", "borg"):
        content = events(30) + b"no event\n"
        (folder / f"{org}-prod-events-2014-10-01.log").write_bytes(content)
    target = {
        "file": ("-o", "out/rows.csv"),
        "dataset": ("-o", "out/rows", "--partition-by", "course_id,date", "--dedupe"),
    }[kind]
    (tmp_path / "out").mkdir()
    words = ("filter", "in", *target, "--rejects", "out/bad", "--report", "out/report.json", "-q")
    process = start(*words, cwd=tmp_path, umask=mask)
    assert finish(process).code == 0
    there = list((tmp_path / "out").rglob("*"))
    assert len(there) > (2 if kind == "file" else 12)
    for path in there:
        assert _mode(path) == (0o700 if path.is_dir() else 0o600), path
