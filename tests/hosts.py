"""Hosts of a cluster as tests see them: in this process, in any order, and careless."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from edxlogs.groups.hosts import HostTask

T = TypeVar("T")


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

    def prepare(self, task: HostTask[Any]) -> None:
        """All are fit."""

    def do(self, tasks: Sequence[HostTask[T]]) -> Iterator[tuple[int, T]]:
        """Do them."""
        order = list(range(len(tasks)))
        self.chance.shuffle(order)
        for number in order:
            if self.most is not None and self.done >= self.most:
                raise KeyboardInterrupt
            self.done += 1
            sent: HostTask[T] = pickle.loads(pickle.dumps(tasks[number]))
            for _ in range(2 if self.chance.random() < 0.3 else 1):
                done = pickle.dumps(sent.run())
            yield number, pickle.loads(done)
