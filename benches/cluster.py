"""Measure what a Dask cluster costs beside a run of two threads, on encrypted logs, in one run.

Two workers of one thread each and their scheduler, processes on loopback, against `--threads 2`:
every event, every column, split by course. Both kinds of run alternate within a round, so that a
slow spell of the machine falls on both, and the ratio told is the median over the rounds. Start of
the cluster, imports and connection are told apart and are in no ratio. After each round both
datasets must be equal, byte for byte. Prints Markdown to standard output and what it is doing to
standard error; the exit status is 1 if a dataset differs or the wall time is above the aim.

    python benches/cluster.py                      8 GB expanded in 240 files
    python benches/cluster.py --megabytes 1000     less, in as many files
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import make_logs
import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from clusters import Cluster, cluster_in
from edxlogs.generator import keys

ROOT = Path(__file__).parents[1]
FILES, SITES = 240, "prod,edge"
AIM = 1.25
_TICKS = os.sysconf("SC_CLK_TCK")

# The command with everything imported before it begins; tells the times of its stretches.
_DRIVER = """
import json, resource, sys, time
started, told, group = float(sys.argv[1]), sys.argv[2], int(sys.argv[3])
from edxlogs import cli
from edxlogs.jobs import filter
from edxlogs.jobs.datasets import write
from edxlogs.store import inputs
inputs.GROUP_INPUTS = group or inputs.GROUP_INPUTS
connect = 0.0
if "--dask" in sys.argv:
    import distributed
    from edxlogs.groups import dask
    def timed(method):
        def run(self, *words):
            global connect
            begin = time.monotonic()
            try:
                return method(self, *words)
            finally:
                connect += time.monotonic() - begin
        return run
    dask.DaskHosts.__init__ = timed(dask.DaskHosts.__init__)
    dask.DaskHosts.__exit__ = timed(dask.DaskHosts.__exit__)
def cpu():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)
begin, before = time.monotonic(), cpu()
status = cli.execute(sys.argv[4:])
wall = time.monotonic() - begin
with open(told, "w") as file:
    json.dump([begin - started, connect, wall - connect, cpu() - before], file)
sys.exit(status)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run took, in seconds.

    Attributes:
        imports: start of the interpreter, and what is imported.
        connect: to a cluster, and away from it.
        wall: all the rest.
        command: processor time of the command, gpg included, without imports.
        workers: the same of the workers.
        scheduler: the same of the scheduler.
    """

    imports: float
    connect: float
    wall: float
    command: float
    workers: float = 0.0
    scheduler: float = 0.0

    @property
    def cpu(self) -> float:
        """Processor time of all of them."""
        return self.command + self.workers + self.scheduler


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def logs_in(folder: Path, megabytes: float) -> Path:
    """Daily files of two sites, made once."""
    logs = folder / f"logs-{megabytes:g}"
    if not logs.exists():
        say(f"Making {logs} …")
        part = folder / f".logs-{megabytes:g}.part"
        sizes = ["--days", str(FILES // 2), "--megabytes", str(megabytes / FILES)]
        with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
            make_logs.main([str(part), *sizes, "--sites", SITES])
        part.rename(logs)
    return logs


@contextlib.contextmanager
def encrypted(logs: Path) -> Iterator[tuple[Path, Path]]:
    """The same logs encrypted, and the key ring that opens them."""
    with keys.home() as home, tempfile.TemporaryDirectory(dir=logs.parent) as place:
        key = keys.make_key(home, "Data Czar <czar@universityx.example>")
        for log in sorted(logs.iterdir()):
            keys.encrypt_file(home, [key], log, Path(place, f"{log.name}.gpg"), "-z", "0")
        yield Path(place), home


def cpu_of(pids: Iterable[int]) -> float:
    """Processor time of processes and of those of their children that have ended, in seconds."""
    total = 0
    for pid in pids:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, told[11:15]))
    return total / _TICKS


def run(
    logs: Path,
    home: Path | None,
    out: Path,
    cluster: Cluster | None = None,
    threads: int = 2,
    group: int = 0,
) -> Run:
    """Split logs by course.

    Args:
        logs: file or folder.
        home: key ring for them, or None.
        out: the dataset.
        cluster: that does it; None: this machine.
        threads: of this machine.
        group: most inputs of a group; 0 leaves it.
    """
    workers: list[int] = []
    scheduler: list[int] = []
    where = ["--threads", str(threads)]
    if cluster is not None:
        assert cluster.scheduler is not None
        workers = [one.pid for one in cluster.workers]
        scheduler = [cluster.scheduler.pid]
        where = ["--dask", cluster.address]
    before = cpu_of(workers), cpu_of(scheduler)
    words = ["filter", logs, "-o", out, "--partition-by", "course_id", *where, "--quiet"]
    if home is not None:
        words += ["--gnupg-home", home, "--no-prompt"]
    with tempfile.NamedTemporaryFile("r") as told:
        begin = [str(time.monotonic()), told.name, str(group)]
        command = [sys.executable, "-P", "-c", _DRIVER, *begin, *words]
        subprocess.run([str(word) for word in command], check=True)
        imports, connect, wall, cpu = json.load(told)
    after = cpu_of(workers), cpu_of(scheduler)
    return Run(imports, connect, wall, cpu, after[0] - before[0], after[1] - before[1])


def digests(dataset: Path) -> dict[str, str]:
    """The SHA-256 of each file of a dataset that readers see."""
    return {
        str(path.relative_to(dataset)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and "_edxlogs" not in path.parts
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run both kinds in turns; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-data" / "cluster")
    parser.add_argument("--megabytes", type=float, default=8000, help="expanded, over all files")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(argv)
    given.folder.mkdir(parents=True, exist_ok=True)
    logs = logs_in(given.folder, given.megabytes)
    with (
        encrypted(logs) as (messages, home),
        tempfile.TemporaryDirectory(dir=given.folder) as place,
    ):
        begin = time.monotonic()
        with cluster_in(Path(place, "cluster"), 2) as cluster:
            start = time.monotonic() - begin
            # The workers import what they need in a run that is not counted.
            first = run(min(messages.iterdir()), home, Path(place, "first"), cluster=cluster)
            rounds = [
                one_round(number, messages, home, Path(place), cluster)
                for number in range(given.rounds)
            ]
    print(f"{measure.machine()}; load {os.getloadavg()[1]:.1f} over five minutes\n")
    print(
        f"{given.megabytes / 1000:g} GB expanded, {FILES} files; medians of {given.rounds} rounds\n"
    )
    ratio = statistics.median(there.wall / here.wall for here, there in rounds)
    here, there = (median([one[kind] for one in rounds]) for kind in (0, 1))
    print(
        measure.table(("seconds", "two threads", "two workers", "ratio"), _rows(here, there, ratio))
    )
    print(
        f"\nStart of the cluster: {start:.1f} s; a first run of one file: {first.wall:.1f} s."
        f" Imports: {here.imports:.1f} and {there.imports:.1f} s."
        f" Connection: {there.connect:.1f} s."
    )
    return 0 if ratio <= AIM else 1


def one_round(
    number: int, logs: Path, home: Path, place: Path, cluster: Cluster
) -> tuple[Run, Run]:
    """Both runs, each first in turns; an AssertionError if the datasets differ."""
    found: dict[bool, Run] = {}
    outs = {False: place / "here", True: place / "there"}
    for is_there in (False, True) if number % 2 == 0 else (True, False):
        shutil.rmtree(outs[is_there], ignore_errors=True)
        found[is_there] = run(logs, home, outs[is_there], cluster=cluster if is_there else None)
        say(f"  {'two workers' if is_there else 'two threads'}: {found[is_there]}")
    here, there = (digests(out) for out in outs.values())
    assert here
    assert here == there, "the datasets differ"
    return found[False], found[True]


def median(runs: Sequence[Run]) -> Run:
    """The median of each figure."""
    names = [one.name for one in fields(Run)]
    return Run(*(statistics.median(getattr(one, name) for one in runs) for name in names))


def _rows(here: Run, there: Run, ratio: float) -> list[tuple[str, str, str, str]]:
    by_whom = [
        (f"CPU of the {name}", f"{getattr(here, name):.2f}", f"{getattr(there, name):.2f}", "")
        for name in ("command", "workers", "scheduler")
    ]
    return [
        ("wall", f"{here.wall:.1f}", f"{there.wall:.1f}", f"{ratio:.2f} (aim {AIM})"),
        ("CPU", f"{here.cpu:.1f}", f"{there.cpu:.1f}", f"{there.cpu / here.cpu:.2f}"),
        *by_whom,
    ]


if __name__ == "__main__":
    sys.exit(main())
