"""stops.py: a stop is put off, never lost; and where that is needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import commands
from commands import event
from edxlogs import cli
from edxlogs.stops import STOPS, put_off
from edxlogs.store.file import OutputFile


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Stops that raise, as in the command; afterwards as they were."""
    before = {stop: signal.signal(stop, signal.default_int_handler) for stop in STOPS}
    yield
    now = {stop: signal.getsignal(stop) for stop in STOPS}
    for stop, handler in before.items():
        signal.signal(stop, handler)
    assert set(now.values()) <= {signal.default_int_handler, signal.SIG_IGN}


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_comes_at_the_end(stop: signal.Signals) -> None:
    done = []

    def work() -> None:
        with put_off():
            signal.raise_signal(stop)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done


def test_what_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with put_off():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_in_another_thread_it_does_nothing() -> None:
    def work() -> None:
        with put_off():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_all_files_take_their_names_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is told that nothing was published when something was; the account is told."""
    monkeypatch.chdir(tmp_path)
    Path("a.log").write_bytes(event(1) + b"no event\n")
    link = os.link

    def interrupted(*names: Any) -> None:
        link(*names)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "link", interrupted)
    files = ["-o", "out.csv", "--rejects", "bad.txt", "--report", "r.json"]
    assert cli.execute(["filter", "a.log", *files]) == 0
    assert sorted(os.listdir()) == ["a.log", "bad.txt", "out.csv", "r.json"]
    assert "1 row to out.csv" in capsys.readouterr().err


def test_stopped_while_a_file_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.log").write_bytes(event(1))
    claim = OutputFile._claim

    def claimed(file: OutputFile) -> int:
        lock = claim(file)
        signal.raise_signal(signal.SIGTERM)
        return lock

    monkeypatch.setattr(OutputFile, "_claim", claimed)
    assert cli.execute(["filter", "a.log", "-o", "out.csv"]) == 130
    assert os.listdir() == ["a.log"]


def test_stopped_while_a_file_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = os.rmdir

    def removed(*names: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        remove(*names, **options)

    monkeypatch.setattr(os, "rmdir", removed)
    file = OutputFile(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        file.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("module", ["click", "orjson", "edxlogs._core"])
def test_stopped_while_it_is_imported(tmp_path: Path, module: str) -> None:
    """No traceback, and no crash of a compiled module that is half made."""
    (tmp_path / "a.log").write_bytes(event(1))
    program = (
        "import signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
        "sys.argv[1:] = ['filter', 'a.log', '-o', 'out.csv']\n"
        "from edxlogs.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True)
    judged = commands.judge(done.returncode, done.stdout, done.stderr)
    assert judged.code == 130
    assert judged.stderr.strip() == "interrupted: nothing was published"
    assert os.listdir(tmp_path) == ["a.log"]


def test_a_command_is_run_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    """A module of a subcommand takes its name in the package: no function may have it too."""
    for name in cli._COMMANDS:
        assert cli.execute([name, "--help"]) == 0
    assert capsys.readouterr().out.count("Usage: edxlogs") == len(cli._COMMANDS)
