"""Hosts of a Dask cluster that cannot go on: a disk that is full, memory that is not enough."""

from __future__ import annotations

import datetime
import errno
import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import commands
import datasets
import faults
import make_logs
from clusters import Cluster, cluster_in

pytest.importorskip("distributed")

DAYS, LAST = 8, "2014-10-08"
BY = ("--partition-by", "course_id")
# Writes alone, so that the host is fit until it has work.
FULL = faults.Fault("write", errno.ENOSPC, stays=True)
# As the kernel ends a process that wants too much memory, each time it has a certain source.
KILL = f"""
import os, signal
from edxlogs.events.scanning import LineReader
def scan_or_die(reader, source, *words, scan=LineReader.scan, **more):
    if "{LAST}" in source.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return scan(reader, source, *words, **more)
LineReader.scan = scan_or_die
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of some days, each smaller than the one before: the last is done last."""
    folder = tmp_path_factory.mktemp("packages")
    for number in range(DAYS):
        day = datetime.date(2014, 10, 1) + datetime.timedelta(days=number)
        text = b"".join(make_logs.lines(number, day, "prod", 0.1 - number / 100, odd=0.03))
        name = f"universityx-prod-events-{day}.log.gz"
        (folder / name).write_bytes(gzip.compress(text, 1))
    return folder


@pytest.fixture(scope="module")
def here(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset as it is made here."""
    out = tmp_path_factory.mktemp("here") / "out"
    assert run([logs], out).code == 0
    return out


def run(logs: Sequence[Path], out: Path, *more: str) -> commands.Done:
    """Bring a dataset up to date, two inputs a group."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "COMMAND", commands.EAGER)
        words: list[str | Path] = ["filter", *logs, "-o", out, *BY, *more]
        return commands.run(*words, cwd=out.parent, seconds=120)


def assert_whole(out: Path) -> None:
    """Fail unless a dataset is sound; those that could not go on may have left new files."""
    for left in (out / "_edxlogs" / "new").iterdir():
        assert left.name.startswith(("task-", "try-"))
        shutil.rmtree(left, ignore_errors=True)
    datasets.assert_whole(out)


def assert_same(here: Path, there: Path) -> None:
    """Fail unless a dataset is the one that was made here."""
    assert_whole(there)
    assert datasets.files(there) == datasets.files(here)
    assert datasets.manifest(there)["inputs"] == datasets.manifest(here)["inputs"]


def add_full(cluster: Cluster, library: Path, out: Path, at: int) -> None:
    """Start a worker for which the disk of the dataset is full from its numbered write on."""
    count = cluster.folder / f"count-{len(cluster.workers)}"
    cluster.add_worker(**faults.environment(library, FULL, at, out, count))


@pytest.mark.parametrize("at", [0, pytest.param(6, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_on_one_host(logs: Path, here: Path, tmp_path: Path, at: int) -> None:
    library, out = faults.build(), tmp_path / "out"
    with cluster_in(tmp_path / "cluster", 1) as cluster:
        add_full(cluster, library, out, at)
        done = run([logs], out, "--dask", cluster.address)
    assert done.code == 0, done.stderr
    (told,) = done.told  # the tasks are dealt to both, and it is told once
    assert f": output: {out}/_edxlogs/new: No space left on device; make room" in told
    assert told.endswith("; other workers do its tasks")
    assert_same(here, out)


@pytest.mark.slow
def test_a_disk_that_is_full_on_all_hosts(logs: Path, here: Path, tmp_path: Path) -> None:
    library, out = faults.build(), tmp_path / "out"
    first = sorted(logs.iterdir())[:4]
    assert run(first, out).code == 0
    before = datasets.files(out), datasets.manifest(out)
    with cluster_in(tmp_path / "cluster", 0) as cluster:
        for _ in range(2):
            add_full(cluster, library, out, 0)
        done = run([logs], out, "--dask", cluster.address)
    assert done.code == 1, done.stderr
    *others, last = done.told
    assert last == (
        f"edxlogs: output: {out}/_edxlogs/new: No space left on device; make room, or name another"
        " place, and run again"
    )
    assert len(others) <= 2
    assert all(told.endswith("; other workers do its tasks") for told in others)
    assert (datasets.files(out), datasets.manifest(out)) == before
    assert run([logs], out).code == 0
    assert_same(here, out)


@pytest.mark.slow
def test_what_nobody_foresaw_is_one_sentence(logs: Path, tmp_path: Path) -> None:
    """Also what cannot be sent: Dask would wait for it for ever."""
    preload = tmp_path / "preload.py"
    preload.write_text(
        "from edxlogs.events.scanning import LineReader\n"
        "def scan(*words, **more):\n    return LineReader.scan(*words, **more)\n"
        "LineReader.scan = scan\n"
    )
    with cluster_in(tmp_path / "cluster", 0) as cluster:
        cluster.add_worker("--preload", str(preload))
        done = run([logs], tmp_path / "out", "--dask", cluster.address)
    assert done.code == 1
    (told,) = done.told
    assert told.startswith("edxlogs: RecursionError: maximum recursion depth exceeded")


@pytest.mark.slow
def test_a_worker_that_runs_out_of_memory(logs: Path, here: Path, tmp_path: Path) -> None:
    kill, out = tmp_path / "kill.py", tmp_path / "out"
    kill.write_text(KILL)
    with cluster_in(tmp_path / "cluster", 0) as cluster:
        # Its nanny starts a worker again.
        cluster.add_worker("--nanny", "--preload", str(kill))
        done = run([logs], out, "--dask", cluster.address)
        assert done.code == 1, done.stderr
        (told,) = done.told
        assert told == (
            "edxlogs: dask: a task was lost with its worker several times; give workers more"
            " memory, and run the same command: finished work is kept"
        )
        assert_whole(out)
        kept = list(datasets.manifest(out)["inputs"])
        assert kept
        assert not any(LAST in key for key in kept)
        cluster.workers[0].kill()
        cluster.add_worker()
        done = run([logs], out, "--dask", cluster.address)
        assert done.code == 0, done.stderr
        assert f"{len(kept)} done before" in done.stderr
    assert_same(here, out)
