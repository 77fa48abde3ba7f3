"""One file of many inputs: a run that was stopped goes on, and the file is the same."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

import commands
from commands import event, hidden, pack, report
from datasets import run
from small_logs import real_shaped

FORMATS = ["parquet", "csv", "jsonl", "jsonl.gz", "jsonl.zst", "arrow"]
OPTIONS = ("--report", "report.json", "--rejects", "rejects", "-q")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    real_shaped(folder, days=4, megabytes=0.1)
    return folder


def _state(cwd: Path, name: str) -> tuple[Any, ...]:
    assert hidden(cwd) == []
    document = report(cwd / "report.json")
    del document["seconds"]
    return (cwd / name).read_bytes(), document, (cwd / "rejects").read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_killed_and_run_again(tmp_path: Path, logs: Path, form: str) -> None:
    name = f"out.{form}"
    whole = tmp_path / "whole"
    whole.mkdir()
    assert commands.run("filter", logs, "-o", name, *OPTIONS, cwd=whole).code == 0
    wanted = _state(whole, name)
    watched = tmp_path / "watched"
    watched.mkdir()
    steps = run("filter", logs, "-o", name, *OPTIONS, cwd=watched)[1]
    assert _state(watched, name) == wanted
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    assert len(heads) == 5  # four inputs, and the end
    for at in (heads[0], heads[1], heads[1] + 2, heads[3] + 1, heads[4] - 1, heads[4] + 1):
        cwd = tmp_path / str(at)
        cwd.mkdir()
        assert run("filter", logs, "-o", name, *OPTIONS, cwd=cwd, kill_at=at)[0] < 0
        again = run("filter", logs, "-o", name, *OPTIONS, cwd=cwd)[1]
        assert _state(cwd, name) == wanted
        done = sum(head < at for head in heads[:4])
        assert sum(step.paths[-1].name == "head" for step in again) == 5 - done


def test_killed_while_files_get_their_names(
    tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edxlogs import cli
    from edxlogs.store import disk, journal
    from edxlogs.store.file import OutputFile

    class KilledError(BaseException):
        pass

    monkeypatch.setattr(journal, "BEGIN_SECONDS", 0.0)
    monkeypatch.setattr(journal, "COMMIT_SECONDS", 0.0)
    take_name, discard = OutputFile.take_name, OutputFile.discard
    command = ["filter", str(logs), "-o", "out.csv", *OPTIONS]
    for kill in range(1, 4):
        cwd = tmp_path / str(kill)
        cwd.mkdir()
        monkeypatch.chdir(cwd)
        published = 0

        def let_go(self: OutputFile) -> None:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

        def killed(self: OutputFile, kill: int = kill) -> None:
            nonlocal published
            published += 1
            if published == kill:
                # As the kernel leaves it: nothing is removed, and the lock is gone.
                monkeypatch.setattr(OutputFile, "discard", let_go)
                if kill == 3:
                    disk.name_new(self.path, self.target)
                raise KilledError
            take_name(self)

        monkeypatch.setattr(OutputFile, "take_name", killed)
        with pytest.raises(KilledError):
            cli.execute(command)
        monkeypatch.setattr(OutputFile, "take_name", take_name)
        monkeypatch.setattr(OutputFile, "discard", discard)
        assert cli.execute(command) == 0
        assert hidden(cwd) == []
        assert (
            report(cwd / "report.json")["rows_written"]
            == (cwd / "out.csv").read_bytes().count(b"\n") - 1
        )
        # Somebody else's file is still refused.
        assert cli.execute(command) == 2


def test_killed_while_the_journal_is_removed(tmp_path: Path, logs: Path) -> None:
    """Half a journal promises parts that are not there any more."""
    words = ("filter", logs, "-o", "out.csv", *OPTIONS)
    whole, cwd = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    cwd.mkdir()
    steps = run(*words, cwd=whole)[1]
    (at,) = (
        at
        for at, step in enumerate(steps)
        if step.name == "remove" and step.paths[-1].name.startswith("journal")
    )
    run(*words, cwd=cwd, kill_at=at)
    (journal,) = (cwd / ".out.csv.edxlogs").glob("journal*")
    for part in journal.glob("[0-9]*"):
        part.unlink()
    assert run(*words, cwd=cwd)[0] == 0
    assert _state(cwd, "out.csv") == _state(whole, "out.csv")


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path: Path, logs: Path, kills: int) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    command = (*commands.EAGER, "filter", logs, "-o", "out.csv", *OPTIONS)
    start = time.monotonic()
    subprocess.run(command, cwd=whole, check=True)
    seconds = time.monotonic() - start
    wanted = _state(whole, "out.csv")
    rng = random.Random(kills)
    stopped = 0
    for kill in range(kills):
        cwd = tmp_path / str(kill)
        cwd.mkdir()
        for _ in range(rng.randint(1, 3)):
            process = subprocess.Popen(command, cwd=cwd, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.3, 1.0) * seconds)
            process.kill()
            stopped += process.wait() == -signal.SIGKILL
        # What it published before it was killed may be there: it is its own.
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        # One that was killed after its very last step has left nothing to do.
        assert done.returncode == 0 or ": exists; " in done.stderr, done.stderr
        assert _state(cwd, "out.csv") == wanted
    assert stopped > kills // 2


def test_a_short_run_killed_at_its_end(tmp_path: Path, logs: Path) -> None:
    """Without parts that are kept, what got its name is still known for its own."""
    script = (
        "import os, signal, sys\n"
        "from edxlogs import cli\n"
        "from edxlogs.store.file import OutputFile\n"
        "left, take_name = int(sys.argv[1]), OutputFile.take_name\n"
        "def killed(self):\n"
        "    global left\n"
        "    take_name(self)\n"
        "    left -= 1\n"
        "    if left == 0:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "OutputFile.take_name = killed\n"
        "cli.execute(sys.argv[2:])\n"
    )
    arguments = ("filter", logs, "-o", "out.csv", *OPTIONS)
    whole = tmp_path / "whole"
    whole.mkdir()
    assert commands.run(*arguments, cwd=whole).code == 0
    for kill in (1, 2, 3):
        cwd = tmp_path / str(kill)
        cwd.mkdir()
        words: list[str | Path] = [sys.executable, "-P", "-c", script, str(kill), *arguments]
        assert subprocess.run(words, cwd=cwd, check=False).returncode == -signal.SIGKILL
        assert (cwd / "report.json").exists()
        done = commands.run(*arguments, cwd=cwd)
        assert done.code == 0, done.stderr
        assert _state(cwd, "out.csv") == _state(whole, "out.csv")
        # A file that is there by now is nobody's leftover.
        assert commands.run(*arguments, cwd=cwd).code == 2


def test_another_query_is_refused(tmp_path: Path, logs: Path) -> None:
    steps = run("filter", logs, "-o", "whole.csv", "-q", cwd=tmp_path)[1]
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    assert run("filter", logs, "-o", "out.csv", "-q", cwd=tmp_path, kill_at=heads[1])[0] < 0
    done = commands.run("filter", logs, "-o", "out.csv", "--site", "prod", cwd=tmp_path)
    assert done.code == 2
    assert '"sites":["prod"]' in done.stderr
    again = ("filter", logs, "-o", "out.csv", "--site", "prod", "--overwrite", "-q")
    assert commands.run(*again, cwd=tmp_path).code == 0
    assert commands.run("filter", logs, "-o", "new.csv", "--site", "prod", cwd=tmp_path).code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "new.csv").read_bytes()
    assert hidden(tmp_path) == []


def test_an_input_that_changed_is_read_again(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"tracking.log-{number}").write_bytes(event(number))
    inputs = [f"tracking.log-{number}" for number in range(3)]
    steps = run("filter", *inputs, "-o", "out.jsonl", "-q", cwd=tmp_path)[1]
    (tmp_path / "out.jsonl").unlink()
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    run("filter", *inputs, "-o", "out.jsonl", "-q", cwd=tmp_path, kill_at=heads[2])
    (tmp_path / inputs[0]).write_bytes(event(7))
    assert commands.run("filter", *inputs, "-o", "out.jsonl", "-q", cwd=tmp_path).code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == event(7) + event(1) + event(2)


def test_ctrl_c_leaves_what_is_done(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"tracking.log-{number:02}").write_bytes(commands.events(20_000, number))
    arguments = ("filter", *sorted(path.name for path in tmp_path.iterdir()), "-o", "out.csv")
    process = commands.start(*arguments, "--threads", "1", cwd=tmp_path)
    kept = tmp_path / ".out.csv.edxlogs" / "journal" / "head"
    end = time.monotonic() + 30
    while not kept.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    done = commands.finish(process)
    if done.code == 0:
        pytest.skip("this machine was done before it could be stopped")
    assert done.code == 130
    assert done.stderr.splitlines()[-1].startswith("interrupted: finished work is kept")
    assert commands.run(*arguments, "-q", cwd=tmp_path).code == 0
    assert commands.run(*arguments[:-1], "new.csv", "-q", cwd=tmp_path).code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "new.csv").read_bytes()
    assert hidden(tmp_path) == []


def _packed_tar(path: Path, day: str) -> Path:
    """A log of that day, one of another day, and a file that is no log."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in (f"x-edx-events-{day}.log", "x-edx-events-2001-01-01.log", "notes.txt"):
            member = tarfile.TarInfo(name)
            member.size = len(event())
            tar.addfile(member, io.BytesIO(event()))
    path.write_bytes(pack(content.getvalue()))
    return path


@pytest.mark.parametrize("options", [(), ("--partition-by", "site")])
def test_what_tars_hold_besides_is_told_again(tmp_path: Path, options: tuple[str, ...]) -> None:
    packed = [_packed_tar(tmp_path / f"{day}.tar.gz", f"2014-10-0{day}") for day in (1, 2)]
    words: list[str | Path] = [
        "filter",
        *packed,
        "--days",
        "2014-10-01..2014-10-31",
        "-q",
        *options,
    ]
    words += ["-o", "out" if options else "out.csv", "--report", "report.json"]
    steps = run(*words, cwd=tmp_path, group=1)[1]
    wanted = report(tmp_path / "report.json")
    assert [name.rpartition(" ")[2] for name in wanted["ignored"]] == ["notes.txt"] * 2
    assert len(wanted["skipped"]) == 2
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    if not options:
        for name in ("out.csv", "report.json"):
            (tmp_path / name).unlink()
        assert run(*words, cwd=tmp_path, group=1, kill_at=heads[1])[0] < 0
    assert run(*words, cwd=tmp_path, group=1)[0] == 0
    again = report(tmp_path / "report.json")
    assert (again["ignored"], again["skipped"]) == (wanted["ignored"], wanted["skipped"])
