"""Measure what a cluster adds to the work: a task, a commit, a decryption, a listing.

Prints JSON, which `cluster_study.py` reckons with, to standard output, and what it is doing to
standard error. Seconds are of this machine; processor time unless the name says `wall`.

    python benches/cluster_costs.py > costs.json          some ten minutes
    python benches/cluster_costs.py --scale 0.1           a tenth of each count, to try it
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cluster as overhead
import manifests
import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import commands
import lean_s3
from clusters import cluster_in
from edxlogs.generator import keys
from s3_server import ENVIRONMENT

Costs = dict[str, Any]
PASSPHRASE = "of a bench"
INPUTS, MANY = 16, 500  # of a commit, and its files
FILES = 7300


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """What the block takes of this process: `cpu` and `wall`, in seconds."""
    took: dict[str, float] = {}
    before, start = _cpu(), time.perf_counter()
    yield took
    took["wall"], took["cpu"] = time.perf_counter() - start, _cpu() - before


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def task(place: Path, count: int) -> Costs:
    """What a task costs beside its work: tiny logs, one a task, on a cluster and here.

    The same logs here, one a group, are the work and its commits; two counts of tasks leave what
    a run costs however many they are.
    """
    logs = []
    for name, lines in (("few", count // 10), ("many", count)):
        folder = place / name
        folder.mkdir()
        for number in range(lines):
            (folder / f"{number:05}.log").write_bytes(commands.event(number))
        logs.append(folder)
    found: list[list[overhead.Run]] = []
    with cluster_in(place / "cluster", 1) as workers:
        for folder in (logs[0], *logs):  # the first runs are for the imports
            there = overhead.run(folder, None, folder / "there", cluster=workers, group=1)
            here = overhead.run(folder, None, folder / "here", threads=1, group=1)
            found.append([there, here])
            for out in ("there", "here"):
                subprocess.run(["rm", "-r", folder / out], check=True)
    (few, few_here), (many, many_here) = found[1:]
    more = count - count // 10

    def of(name: str) -> float:
        there = (getattr(many, name) - getattr(few, name)) / more
        return float(there)

    work = (many_here.command - few_here.command) / more
    return {
        "client": of("command"),
        "scheduler": of("scheduler"),
        "worker": of("workers"),
        "work": work,
        "wall": of("wall"),
        "wall_here": (many_here.wall - few_here.wall) / more,
    }


def commits(place: Path, before: int) -> list[Costs]:
    """What a commit costs, by its files and by the size of the manifest."""
    found = []
    for commits, files in ((0, 20), (0, MANY), (before, 20), (before, MANY)):
        words = [sys.executable, __file__, "--commit", place, str(commits), str(files)]
        done = subprocess.run([str(one) for one in words], check=True, capture_output=True)
        found.append(json.loads(done.stdout))
        say(f"  {found[-1]}")
    return found


def commit(place: Path, before: int, files: int) -> Costs:
    """Do some commits, a checkpoint among them, in this process; what one costs."""
    from edxlogs.store.place import Folder
    from edxlogs.store.store import Store

    sync, count = os.fsync, 16
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name, "out")
        folder.mkdir()
        (folder / "_edxlogs").mkdir()
        manifests.make(folder / "_edxlogs", before, INPUTS, MANY, 0)
        os.fsync = sync
        with Store(Folder(folder)) as store:
            store.claim({"format": "parquet", "partition_by": ["course_id"]}, overwrite=False)
            took = []
            for number in range(before, before + count):
                segment = manifests.a_night(number, INPUTS, files)
                for file in segment.added:
                    (store.new / file.staged).write_bytes(b"rows")
                with timed() as one:
                    store.commit(segment)
                took.append(one)
            size = sum(
                path.stat().st_size for path in (folder / "_edxlogs").iterdir() if path.is_file()
            )
    return {
        "inputs": INPUTS,
        "files": files,
        "files_before": before * MANY,
        "manifest_bytes": size,
        "cpu": sum(one["cpu"] for one in took) / count,
        "wall": sum(one["wall"] for one in took) / count,
    }


def record(place: Path) -> Costs:
    """How many bytes a task and what comes of it are as they are sent, and in memory."""
    import tracemalloc

    from edxlogs.account import LineCounts, Outcome, SourceAccount
    from edxlogs.groups.reading import Arrived, GroupFile, Known
    from edxlogs.groups.task import GroupTask, Made
    from edxlogs.sources.source import Source
    from edxlogs.store.manifest import Identity, Text

    names = [f"universityx-prod-events-2014-10-{day + 1:02}.log.gz.gpg" for day in range(INPUTS)]
    sources = [Source(f"/shared/{name}", name, size=10**7) for name in names]
    known = [
        Known(Identity(f"/shared/{name}", 10**7, 10**15, None, "0" * 64), [True]) for name in names
    ]
    sent = GroupTask([], [place], sources, known)
    arrived = [
        Arrived(
            source,
            one.identity,
            SourceAccount(
                status=Outcome.DELIVERED, counts=LineCounts(), source=source.name, path=source.path
            ),
            Text("universityx", 10**8, 10**9),
            [],
            [],
            True,
        )
        for source, one in zip(sources, known, strict=True)
    ]
    runs = [(number, 1000) for number in range(INPUTS)]
    files = [
        GroupFile(
            f"course_id=course-v1%3AUnivX%2BCS{at:04}%2B2014",
            0,
            f"task-{at:040}/part.{at}.0",
            16000,
            10**6,
            f"{at:064}",
            runs,
        )
        for at in range(MANY)
    ]
    accounts = [one.account for one in arrived]
    keys_of = [one.identity.key for one in known]
    came = pickle.dumps(Made(accounts, keys_of, [arrived], [files], [[]]))
    tracemalloc.start()
    held = pickle.loads(came)
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(held.files[0]) == MANY
    return {
        "files": MANY,
        "task_bytes": len(pickle.dumps(sent)),
        "record_bytes": len(came),
        "memory_bytes": memory,
    }


def decryption(place: Path, count: int) -> Costs:
    """What gpg costs a file beside its bytes: with and without a passphrase, eight at once."""
    found: Costs = {}
    for kind, passphrase in (("without passphrase", ""), ("with passphrase", PASSPHRASE)):
        with keys.home() as home:
            key = keys.make_key(home, "Data Czar <czar@universityx.example>", passphrase=passphrase)
            message = place / "message.gpg"
            message.write_bytes(keys.encrypt(home, [key], commands.event()))
            secret = ("--pinentry-mode", "loopback", "--passphrase", passphrase)

            def decrypt(
                _: int, home: Path = home, message: Path = message, secret: Sequence[str] = secret
            ) -> None:
                keys.gpg(home, *secret, "--decrypt", str(message))

            decrypt(0)  # the agent starts
            agent = _agent(home)
            before = overhead.cpu_of([agent])
            with timed() as alone:
                for number in range(count):
                    decrypt(number)
            agent_cpu = overhead.cpu_of([agent]) - before
            with timed() as together, ThreadPoolExecutor(8) as pool:
                list(pool.map(decrypt, range(count)))
        found[kind] = {
            "gpg": alone["cpu"] / count,
            "agent": agent_cpu / count,
            "wall": alone["wall"] / count,
            "wall_eight_at_once": together["wall"] / count,
        }
        say(f"  {kind}: {found[kind]}")
    return found


def _agent(home: Path) -> int:
    words = ["gpg-connect-agent", "--homedir", str(home), "getinfo pid", "/bye"]
    return int(subprocess.run(words, check=True, capture_output=True).stdout.split()[1])


def listing(place: Path, count: int) -> Costs:
    """What finding the sources costs: a local folder, and pages of S3."""
    from edxlogs.s3.client import S3
    from edxlogs.sources import local, remote

    folder = place / "listed"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}.log.gz.gpg").touch()
    with timed() as here:
        found = local.find([folder])
    assert len(found.sources) == count
    os.environ.update(ENVIRONMENT)
    with lean_s3.run(count, 0, place / "asked.log") as server:
        s3 = S3(endpoint_url=server.url)
        remote.list_url(s3, f"s3://{lean_s3.BUCKET}/")
        with timed() as there:
            assert sum(1 for _ in remote.list_url(s3, f"s3://{lean_s3.BUCKET}/")) == count
    return {
        "files": count,
        "local": here["cpu"] / count,
        "local_wall": here["wall"] / count,
        "s3": there["cpu"] / count,
        "s3_wall": there["wall"] / count,
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure all of it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--commit", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.commit is not None:
        folder, before, files = given.commit
        print(json.dumps(commit(Path(folder), int(before), int(files))))
        return 0
    scale: float = given.scale
    measures: dict[str, Callable[[Path], Any]] = {
        "task": lambda place: task(place, max(20, int(400 * scale))),
        "record": record,
        "commits": lambda place: commits(place, int(1000 * scale)),
        "decryption": lambda place: decryption(place, max(8, int(60 * scale))),
        "listing": lambda place: listing(place, int(FILES * scale)),
    }
    found: Costs = {"machine": measure.machine()}
    for name, one in measures.items():
        say(name)
        with tempfile.TemporaryDirectory(dir=".") as place:
            found[name] = one(Path(place).absolute())
        say(f"  {found[name]}")
    found["load"] = os.getloadavg()[1]
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
