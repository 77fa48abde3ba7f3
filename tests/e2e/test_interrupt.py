"""Ctrl-C ends a run at once, with status 130, and nothing is published."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import commands
from commands import event, finish, hidden, pack, start
from edxlogs.generator import keys

_AT_ONCE = 0.25
# The test machine is shared: what is measured beyond the promise is how long it takes to wake up.
_ALLOWANCE = 0.25


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 GB in a few members: takes longer than any test waits."""
    path = tmp_path_factory.mktemp("big") / "big.log.gz"
    member = pack(event(1, session="x" * 500) * 20_000)
    path.write_bytes(member * 130)
    return path


def _until_it_reads(process: subprocess.Popen[bytes], path: Path) -> None:
    """Wait until the run, or a child of it, has the file open."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for task in Path("/proc").glob("[0-9]*"):
            try:
                ours = int(task.name) == process.pid or (
                    f"PPid:\t{process.pid}\n" in (task / "status").read_text()
                )
                if ours and any(os.readlink(link) == str(path) for link in (task / "fd").iterdir()):
                    return
            except OSError:
                continue
        time.sleep(0.01)
    raise AssertionError("it never opened the file")


def _interrupt(process: subprocess.Popen[bytes]) -> commands.Done:
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    done = finish(process, 30)
    took = time.monotonic() - begin
    assert done.code == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "interrupted: nothing was published"
    assert took < _AT_ONCE + _ALLOWANCE
    return done


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("ending", ["parquet", "jsonl.gz"])
def test_on_a_big_input(tmp_path: Path, big: Path, threads: str, ending: str) -> None:
    process = start("filter", big, "-o", f"out.{ending}", "--threads", threads, cwd=tmp_path)
    _until_it_reads(process, big)
    time.sleep(0.3)
    _interrupt(process)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_check_of_a_big_input(tmp_path: Path, big: Path) -> None:
    process = start("check", big, cwd=tmp_path)
    _until_it_reads(process, big)
    _interrupt(process)


@pytest.mark.parametrize("what", ["opened", "read"])
def test_on_a_pipe_that_gives_nothing(tmp_path: Path, what: str) -> None:
    fifo = tmp_path / "slow.log"
    os.mkfifo(fifo)
    process = start("filter", "slow.log", "-o", "out.csv", cwd=tmp_path)
    writer = -1
    if what == "read":
        writer = os.open(fifo, os.O_WRONLY)
        os.write(writer, event(1))
    _until(lambda: bool(hidden(tmp_path)))
    time.sleep(0.2)
    _interrupt(process)
    assert list(tmp_path.iterdir()) == [fifo]
    if writer >= 0:
        os.close(writer)


def test_on_standard_input_that_gives_nothing(tmp_path: Path) -> None:
    process = start("filter", "-", "-o", "out.csv", cwd=tmp_path, stdin=subprocess.PIPE)
    _until(lambda: bool(hidden(tmp_path)))
    stdin, process.stdin = process.stdin, None
    time.sleep(0.2)
    _interrupt(process)
    assert stdin is not None
    stdin.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_during_gpg(tmp_path: Path, big: Path) -> None:
    with keys.home() as home:
        keys.make_key(home, "czar@univx.example", "cv25519")
        message = tmp_path / "big.log.gpg"
        keys.encrypt_file(home, ["czar@univx.example"], big, message, "--compress-algo", "none")
        process = start(
            "filter", "big.log.gpg", "-o", "out.parquet", "--gnupg-home", str(home), cwd=tmp_path
        )
        _until_it_reads(process, message)
        time.sleep(0.2)
        done = _interrupt(process)
        assert done.told == [], "our own interruption is no damage of the source"
        assert list(tmp_path.iterdir()) == [message]
        _until(lambda: not _running(str(home)))


def test_python_raises_keyboard_interrupt(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slow.log")
    program = (
        "import edxlogs, sys, time\n"
        "stream = edxlogs.filter('slow.log')\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    for batch in stream: pass\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(7)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.5)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 7
        assert time.monotonic() - begin < _AT_ONCE + _ALLOWANCE
    finally:
        process.kill()
        process.communicate()


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def _running(home: str) -> bool:
    """Whether a gpg (not its agent) still works on that key ring."""
    for task in Path("/proc").glob("[0-9]*"):
        try:
            words = (task / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"gpg") and home.encode() in words:
            return True
    return False
