"""What the benches measure: known costs come out, and failures are told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import measure

HELD_BYTES = 150 << 20
# A grandchild that works for a while and holds memory; its parents do neither.
WORK = f"""
import time
end = time.process_time() + 0.5
held = bytearray(b"x" * {HELD_BYTES})
while time.process_time() < end:
    pass
"""


def test_children_count(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORK)
    cost = measure.run(["sh", "-c", f"{sys.executable} {script}; true"])
    assert 0.5 <= cost.cpu_seconds < 20
    assert cost.wall_seconds > 0.4
    assert HELD_BYTES < cost.memory_bytes < 4 * HELD_BYTES


def test_memory_of_this_process_does_not_count() -> None:
    held = bytearray(b"x" * HELD_BYTES)
    cost = measure.run(["sleep", "0.3"])
    assert 0 < cost.memory_bytes < len(held) / 2


def test_open_files_are_those_of_one_process() -> None:
    script = "import time; held = [open('/dev/null') for _ in range(70)]; time.sleep(0.5)"
    cost = measure.run(["sh", "-c", f'{sys.executable} -c "{script}"; true'])
    assert 70 < cost.descriptors < 100


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["sh", "-c", "echo first >&2; echo last >&2; exit 3"], "last"),
        (["sh", "-c", "exit 3"], "status 3"),
        (["no-such-command"], "no-such-command: No such file"),
    ],
)
def test_failures_are_told(command: list[str], told: str) -> None:
    with pytest.raises(measure.CommandError, match=told):
        measure.run(command)


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(measure.CommandError, match="status -9"):
        measure.run(["sh", "-c", "sleep 30; true"], seconds=0.3)


def test_median_takes_the_most_memory_and_files() -> None:
    costs = [measure.Cost(3, 30, 7, 5), measure.Cost(1, 10, 9, 4), measure.Cost(2, 50, 8, 6)]
    assert measure.median(costs) == measure.Cost(2, 30, 9, 6)
