"""Hosts of a cluster as tests see them: in this process, in any order, and careless."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edxlogs.groups.task import GroupTask, Made, do


@dataclass
class CarelessHosts:
    """Do tasks in any order, some of them twice, and send all by its bytes.

    Attributes:
        chance: what they do by.
        done: how many tasks they were given.
        most: tasks that they do before they are gone; None: all.
    """

    chance: random.Random
    done: int = 0
    most: int | None = None
    labels: list[str] = field(default_factory=list)

    def prepare(self, task: GroupTask) -> None:
        """All are fit."""

    def do(self, tasks: Sequence[GroupTask]) -> Iterator[tuple[int, Made]]:
        """Do them."""
        order = list(range(len(tasks)))
        self.chance.shuffle(order)
        for number in order:
            if self.most is not None and self.done >= self.most:
                raise KeyboardInterrupt
            self.done += 1
            sent: GroupTask = pickle.loads(pickle.dumps(tasks[number]))
            self.labels += [one.label for one in sent.sources]
            record = do(sent).document()
            if self.chance.random() < 0.3:
                record = do(sent).document()
            yield number, Made.of(record, tasks[number])
