"""How far a cluster goes: a simulation of ten years of fifty organisations, by measured costs.

Reads what `cluster_costs.py` printed, and what a worker takes for a gigabyte, which `cluster.py`
tells. Plays, event by event, the largest runs that one command could be asked for: 365,000 files
into one dataset, in the order of their names, in groups and in the window that edxlogs itself uses.
The agent of each host, the scheduler and the command each do one thing at a time. Prints Markdown.

    python benches/cluster_study.py costs.json --seconds-per-gigabyte 4.9

What is assumed, and not measured here: sizes of files are log-normal over organisations (sigma
1.2) and days (0.4), grow by a seventh a year, are a third at weekends and a tenth for `edge`; a
file is 10 MB as it is stored on average, sixteen times that expanded; an organisation runs 20 to
500 courses. Hosts run eight workers each. Shared storage gives 1.25 GB a second (10 Gbit/s) over
all hosts, and a name there is given in a millisecond, as over NFS. No worker dies.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
from edxlogs.groups.hosts import Order
from edxlogs.store.inputs import GROUP_BYTES, GROUP_INPUTS

ORGANISATIONS, DAYS = 50, 3650
STORED_BYTES, RATIO = 10e6, 16
HOST_WORKERS = 8
STORAGE_BYTES, NAME_SECONDS = 1.25e9, 1e-3
AHEAD, LEAST_WINDOW, WINDOW = 1, 64, 4  # as in groups/dask.py


@dataclass(frozen=True, slots=True)
class Task:
    """A group of files.

    Attributes:
        sizes: of the files as they are stored, in bytes.
        courses: files that come of it.
    """

    sizes: Sequence[float]
    courses: int


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds.

    Attributes:
        byte: of a worker, for a byte that is stored.
        agent: of an agent, for a file.
        start: of a worker, for a file: gpg begins.
        task: of a worker, for a task.
        scheduler: of it, for a task.
        client: of the command, for a task.
        commit: of the command, for a commit, and for each file of it.
    """

    byte: float
    agent: float
    start: float
    task: float
    scheduler: float
    client: float
    commit: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it.

    Attributes:
        wall: seconds.
        agent: share of the time that the agents were busy.
        scheduler: the same of the scheduler.
        client: the same of the command.
        waiting: most results that waited for one before them.
    """

    wall: float
    agent: float
    scheduler: float
    client: float
    waiting: int


def tasks_of(chance: random.Random) -> list[Task]:
    """The groups, in the order of the names of their files."""
    scales = [chance.lognormvariate(0, 1.2) for _ in range(ORGANISATIONS)]
    files: list[tuple[float, int]] = []
    for scale in scales:
        courses = max(20, min(500, round(80 * scale)))
        for site in (1.0, 0.1):
            for day in range(DAYS):
                size = scale * site * (8 / 7) ** (day / 365) * chance.lognormvariate(0, 0.4)
                files.append((size / 3 if day % 7 in (5, 6) else size, courses))
    mean = sum(size for size, _ in files) / len(files)
    found: list[Task] = []
    group: list[float] = []
    last = 0
    for size, courses in [(size * STORED_BYTES / mean, courses) for size, courses in files]:
        is_full = len(group) == GROUP_INPUTS or sum(group) + size > GROUP_BYTES
        if group and (is_full or courses != last):
            found.append(Task(group, last))
            group = []
        group.append(size)
        last = courses
    return [*found, Task(group, last)]


class _LargestFirst(Order):
    """Without a window: what one would do that looks at the tail alone."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        self._by_size = sorted(self.left, key=lambda number: sizes[number])

    def take(self, window: int) -> int | None:
        """The largest."""
        return self._by_size.pop() if self._by_size else None


def play(
    tasks: Sequence[Task], workers: int, costs: Costs, *, is_largest_first: bool = False
) -> Played:
    """Play a run. An event is (when, a number of its own, what, of whom, of which task)."""
    sizes_of = [round(sum(task.sizes)) for task in tasks]
    order = _LargestFirst(sizes_of) if is_largest_first else Order(sizes_of)
    window = max(LEAST_WINDOW, WINDOW * workers)
    events: list[tuple[float, int, str, int, int]] = []
    free = list(range(workers))
    ready: deque[int] = deque()
    left: dict[int, list[float]] = {}  # sizes of files that a task has not begun
    agents = [0.0] * (-(-workers // HOST_WORKERS))  # until when they are busy
    scheduler = client = 0.0
    busy = {"agent": 0.0, "scheduler": 0.0, "client": 0.0}
    done: set[int] = set()
    sent = committed = waiting = count = 0
    now = 0.0

    def post(when: float, what: str, whom: int, number: int) -> None:
        nonlocal count
        count += 1
        heapq.heappush(events, (when, count, what, whom, number))

    def send(when: float) -> None:
        nonlocal sent
        while sent < workers * (1 + AHEAD) and (number := order.take(window)) is not None:
            ready.append(number)
            sent += 1
        while free and ready:
            post(when + costs.task, "file", free.pop(), ready.popleft())

    send(0.0)
    while events:
        now, _, what, whom, number = heapq.heappop(events)
        if what == "file":
            sizes = left.setdefault(number, list(tasks[number].sizes))
            if sizes:
                host = whom // HOST_WORKERS
                begin = agents[host] = max(now, agents[host]) + costs.agent
                busy["agent"] += costs.agent
                work = costs.start + sizes.pop() * costs.byte
                post(begin + work, "file", whom, number)
                continue
            del left[number]
            scheduler = max(now, scheduler) + costs.scheduler
            busy["scheduler"] += costs.scheduler
            post(scheduler, "came", whom, number)
            if ready:
                post(now + costs.task, "file", whom, ready.popleft())
            else:
                free.append(whom)
        elif what == "came":
            took = costs.client
            done.add(number)
            order.left.remove(number)
            sent -= 1
            while committed in done:
                done.remove(committed)
                took += costs.commit[0] + costs.commit[1] * tasks[committed].courses
                committed += 1
            waiting = max(waiting, len(done))
            client = max(now, client) + took
            busy["client"] += took
            post(client, "send", 0, 0)
        else:
            send(now)
    assert committed == len(tasks)
    return Played(
        now,
        busy["agent"] / len(agents) / now,
        busy["scheduler"] / now,
        busy["client"] / now,
        waiting,
    )


def costs_of(told: dict[str, Any], per_gigabyte: float) -> Costs:
    """The costs, as they were measured."""
    few, many = (one for one in told["commits"] if one["files_before"])
    a_file = (many["wall"] - few["wall"]) / (many["files"] - few["files"])
    task, agent = told["task"], told["decryption"]["without passphrase"]
    return Costs(
        byte=per_gigabyte * RATIO / 1e9,
        agent=agent["agent"],
        start=agent["gpg"],
        task=task["worker"],
        scheduler=task["scheduler"],
        client=task["client"],
        commit=(few["wall"] - few["files"] * a_file, a_file),
    )


def changed(costs: Costs, **more: Any) -> Costs:
    """The costs, but for some."""
    names = costs.__slots__
    return Costs(**{**{name: getattr(costs, name) for name in names}, **more})


def main(words: Sequence[str] | None = None) -> int:
    """Play all of it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("costs", type=Path)
    parser.add_argument("--seconds-per-gigabyte", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(words)
    told = json.loads(given.costs.read_text())
    tasks = tasks_of(random.Random(given.seed))
    files, stored = sum(len(one.sizes) for one in tasks), sum(sum(one.sizes) for one in tasks)
    print(
        f"{files:,} files, {stored / 1e12:.1f} TB stored, {stored * RATIO / 1e12:.0f} TB expanded,"
        f" {len(tasks):,} tasks\n"
    )
    costs = costs_of(told, given.seconds_per_gigabyte)
    secret = changed(costs, agent=told["decryption"]["with passphrase"]["agent"])
    memory = told["record"]["memory_bytes"] / told["record"]["files"]
    mean_courses = sum(one.courses for one in tasks) / len(tasks)
    rows = []
    for workers in (1, 8, 64, 512):
        wanted = workers / costs.byte
        shared = changed(
            costs,
            byte=costs.byte * max(1.0, wanted / STORAGE_BYTES),
            commit=(costs.commit[0], costs.commit[1] + NAME_SECONDS),
        )
        ideal = (stored * costs.byte + files * costs.start + len(tasks) * costs.task) / workers
        for name, one in (
            ("fast storage", costs),
            ("key with a passphrase", secret),
            ("shared storage", shared),
            ("largest first", costs),
        ):
            played = play(tasks, workers, one, is_largest_first=name == "largest first")
            rows.append(
                (
                    f"{workers}, {name}",
                    f"{played.wall / 3600:.2f}",
                    f"{100 * ideal / played.wall:.0f} %",
                    f"{100 * played.agent:.0f} %",
                    f"{100 * played.scheduler:.1f} %",
                    f"{100 * played.client:.0f} %",
                    f"{played.waiting:,}",
                    f"{played.waiting * memory * mean_courses / 1e6:,.0f} MB",
                )
            )
    head = ("workers", "hours", "of the ideal", "agent", "scheduler", "command")
    print(measure.table((*head, "results waiting", "memory for them"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
