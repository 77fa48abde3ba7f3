"""gpg/slots.py: how many gpg talk to an agent at a time, over all processes of a host."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from edxlogs.gpg import slots
from edxlogs.gpg.slots import Slots, at_once


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of the test's own, and many cores."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr(os, "cpu_count", lambda: 32)
    monkeypatch.setattr(slots, "MOST_AT_ONCE", 2)
    return folder


def _work(ring: Path, log: Path, count: int) -> None:
    """Note when places are taken and released."""
    own = Slots(ring)
    for _ in range(count):
        slot = own.take()
        for what in "+-":
            with open(log, "a") as file:
                file.write(what)
            time.sleep(0.005)
        slot.release()


def _most(log: Path) -> int:
    """How many held a place at a time."""
    held = most = 0
    for what in log.read_text():
        held += 1 if what == "+" else -1
        most = max(most, held)
    return most


def test_processes_share_the_places(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    workers = [context.Process(target=_work, args=(tmp_path, log, 8)) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
        assert one.exitcode == 0
    assert len(log.read_text()) == 2 * 4 * 8
    assert _most(log) == 2


def test_a_process_that_dies_gives_its_place_back(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")

    def take_and_die() -> None:
        Slots(tmp_path).take()
        os._exit(9)

    for _ in range(3):
        process = context.Process(target=take_and_die)
        process.start()
        process.join()
        assert process.exitcode == 9
    own, taken = Slots(tmp_path), []
    for _ in range(2):
        waiter = threading.Thread(target=lambda: taken.append(own.take()), daemon=True)
        waiter.start()
        waiter.join(10)
    assert len(taken) == 2
    for slot in taken:
        slot.release()


@pytest.mark.parametrize("harm", ["missing", "others may write"])
def test_without_a_folder_of_ones_own_a_process_counts_for_itself(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    if harm == "missing":
        runtime.rmdir()
    else:
        runtime.chmod(0o777)
    monkeypatch.setattr(slots, "_candidates", lambda _: iter([runtime]))
    own = Slots(tmp_path)
    taken = [own.take(), own.take()]
    waiter = threading.Thread(target=lambda: taken.append(own.take()), daemon=True)
    waiter.start()
    waiter.join(0.1)
    assert len(taken) == 2
    taken[0].release()
    waiter.join(5)
    assert len(taken) == 3
    assert harm == "missing" or not list(runtime.iterdir())


def test_an_agent_whose_memory_grows_takes_as_many_as_there_are_cores(tmp_path: Path) -> None:
    assert at_once(tmp_path) == 2
    (tmp_path / "gpg-agent.conf").write_text("# settings\nauto-expand-secmem 65536\n")
    assert at_once(tmp_path) == 32
    (tmp_path / "gpg-agent.conf").write_text("#auto-expand-secmem\n")
    assert at_once(tmp_path) == 2
