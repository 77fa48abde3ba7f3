"""threads.py: tasks in several threads, results in order, and an end."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from edxlogs.threads import Workers, in_worker
from small_logs import settles_to, usage


def test_results_come_in_order() -> None:
    def task(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number

    workers = Workers([partial(task, number) for number in range(30)], 4).start()
    assert [workers.take() for _ in range(30)] == list(range(30))
    workers.stop()


@pytest.mark.parametrize(("count", "ahead"), [(1, 1), (2, 2), (4, 3), (3, 128)])
def test_a_worker_runs_ahead_no_further_than_told(count: int, ahead: int) -> None:
    begun: list[int] = []
    workers = Workers([partial(begun.append, number) for number in range(20)], count, ahead).start()
    for taken in range(20):
        time.sleep(0.02)
        assert len(begun) <= taken + ahead
        if taken < 5:
            assert len(begun) == min(20, taken + ahead)
        workers.take()
    workers.stop()
    assert sorted(begun) == list(range(20))


def test_every_thread_has_work_while_one_takes_long() -> None:
    """As where a machine has more cores than results may wait by default."""
    count, begun, all_begun = 150, list[int](), threading.Event()

    def task(number: int) -> None:
        begun.append(number)
        if len(begun) == count:
            all_begun.set()
        all_begun.wait(30)

    workers = Workers([partial(task, number) for number in range(count)], count).start()
    assert all_begun.wait(30)
    workers.stop()


def test_what_a_task_raises_is_raised_in_its_turn() -> None:
    def fail() -> int:
        raise KeyError("task")

    workers: Workers[int] = Workers([lambda: 1, fail, lambda: 3], 2).start()
    assert workers.take() == 1
    with pytest.raises(KeyError, match="task"):
        workers.take()
    assert workers.take() == 3
    workers.stop()


def test_stopping_ends_every_thread() -> None:
    before = usage()
    release = threading.Event()
    workers = Workers([lambda: release.wait(5) for _ in range(50)], 3, 10).start()
    threading.Timer(0.1, release.set).start()
    start = time.monotonic()
    workers.stop()
    assert time.monotonic() - start < 1
    assert settles_to(before)


def test_stopping_waits_for_nobody_who_hangs() -> None:
    release = threading.Event()
    workers = Workers([lambda: release.wait(5)], 1).start()
    start = time.monotonic()
    workers.stop(0.1)
    assert 0.05 < time.monotonic() - start < 1
    release.set()


def test_in_worker() -> None:
    here = threading.get_ident()
    assert in_worker(threading.get_ident) != here
    with pytest.raises(ZeroDivisionError):
        in_worker(lambda: 1 // 0)
