"""What a night's job meets: a closed terminal, a stop by the system, a key that is gone."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from commands import event, events, finish, hidden, pack, run, start


def test_nobody_listens(tmp_path: Path) -> None:
    """Messages that cannot be told cost no rows."""
    (tmp_path / "cut.log.gz").write_bytes(pack(events(100))[:-4])
    (tmp_path / "good.log").write_bytes(event(1))
    reader, writer = os.pipe()
    os.close(reader)
    command = ("filter", "cut.log.gz", "good.log", "-o", "out.jsonl")
    process = start(*command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    assert process.wait(60) == 1
    assert (tmp_path / "out.jsonl").read_bytes() == event(1)


def test_told_to_stop(tmp_path: Path) -> None:
    """SIGTERM leaves nothing behind, as Ctrl-C does."""
    os.mkfifo(tmp_path / "endless.log")
    process = start("filter", "endless.log", "-o", "out.jsonl", cwd=tmp_path)
    writer = os.open(tmp_path / "endless.log", os.O_WRONLY)
    os.write(writer, event())
    end = time.monotonic() + 30
    while not hidden(tmp_path) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 130
    os.close(writer)
    assert not hidden(tmp_path)
    assert not (tmp_path / "out.jsonl").exists()


def test_yesterdays_result_stays_when_nothing_was_delivered(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz").write_bytes(pack(event(1)))
    assert run("filter", "a.log.gz", "-o", "out.jsonl", cwd=tmp_path).code == 0
    (tmp_path / "a.log.gz").write_bytes(pack(event(2))[:-3])
    done = run("filter", "a.log.gz", "-o", "out.jsonl", "--overwrite", cwd=tmp_path)
    assert done.code == 1
    assert "out.jsonl is not written: no source passed its checks" in done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == event(1)


def test_standard_output_that_is_an_input(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event(1))
    with (tmp_path / "a.log").open("ab") as output:
        done = finish(start("filter", ".", cwd=tmp_path, stdout=output))
    assert done.code == 2
    assert "also an input" in done.stderr
    assert (tmp_path / "a.log").read_bytes() == event(1)


def test_values_from_a_pipe(tmp_path: Path) -> None:
    """A file of values is read once."""
    (tmp_path / "a.log").write_bytes(event(1) + event(2))
    reader, writer = os.pipe()
    os.write(writer, b"learner_2\n")
    os.close(writer)
    done = finish(
        start("filter", "a.log", "--user", f"@/dev/fd/{reader}", cwd=tmp_path, pass_fds=(reader,))
    )
    os.close(reader)
    assert (done.code, done.stdout) == (0, event(2))


def test_json_is_json_whatever_goes_wrong(tmp_path: Path) -> None:
    (tmp_path / "cut.log.gz").write_bytes(pack(event(1))[:-3])
    done = run("check", "cut.log.gz", "--json", cwd=tmp_path)
    assert (done.code, done.stderr) == (1, "")
    assert json.loads(done.stdout)["sources"][0]["status"] == "withheld"


def test_a_great_many_threads(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event(1))
    done = run("filter", "a.log", "--threads", "100000", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, event(1))
