"""groups/hosts.py: which task is next."""

from __future__ import annotations

import random

from edxlogs.groups.hosts import Order


def test_the_largest_of_a_window_is_next() -> None:
    order = Order([1, 5, 3, 9])
    assert order.take(3) == 1
    assert order.take(3) == 2
    order.left.remove(1)
    assert order.take(3) == 0  # the others are too far from it
    assert order.take(3) is None
    order.left.remove(0)
    assert order.take(3) == 3
    order.put_back(2)
    assert order.take(3) == 2
    order.left -= {2, 3}
    assert (order.take(3), order.left) == (None, set())


def test_all_are_done_and_few_wait_whatever_is_slow() -> None:
    """Workers end in any order, and some tasks are taken twice."""
    chance = random.Random(1)
    sizes = [chance.randrange(100) for _ in range(300)]
    order, running, done, first = Order(sizes), list[int](), set[int](), 0
    while order.left:
        while len(running) < 8 and (number := order.take(20)) is not None:
            running.append(number)
        assert running  # or nothing would ever end
        number = running.pop(chance.randrange(len(running)))
        if chance.random() < 0.1:
            order.put_back(number)
            continue
        order.left.remove(number)
        done.add(number)
        while first in done:
            first += 1
        assert max(done) < first + 20
    assert done == set(range(300))
