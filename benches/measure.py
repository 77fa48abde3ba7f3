"""What a command costs: processor and wall time, memory, open files, its children's included."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Cost:
    """One run.

    Attributes:
        cpu_seconds: user and system, of the process and all descendants that were waited for. An
            agent that gpg leaves behind is not among them.
        wall_seconds: from start to end.
        memory_bytes: largest sum of resident memory of the process and its descendants, sampled
            every 50 ms, or the peak of one of them if that is more. Shared pages count once a
            process. (ru_maxrss is of no use: it begins with what this process holds.)
        descriptors: most files, pipes and the like that one of them had open, as sampled.
    """

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    descriptors: int


class CommandError(Exception):
    """A command that failed; the message is its last words."""


def run(command: Sequence[str | Path], *, seconds: float = 3600, **environment: str) -> Cost:
    """Run a command to its end.

    Raises:
        CommandError: it is missing, takes too long or fails.
    """
    start = time.perf_counter()
    try:
        # Its words go to a file without a name: a full pipe would stop it.
        with _nameless() as words:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                start_new_session=True,
                env={**os.environ, **environment},
            )
            with Memory(process.pid) as memory:
                timer = threading.Timer(seconds, os.killpg, (process.pid, 9))
                timer.start()
                _, status, usage = os.wait4(process.pid, 0)
                wall = time.perf_counter() - start
                timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                os.lseek(words, 0, os.SEEK_SET)
                told = os.read(words, 1 << 20).decode(errors="replace").strip().splitlines()
                last = told[-1] if told else f"ended with status {process.returncode}"
                raise CommandError(last)
    except OSError as error:
        raise CommandError(f"{command[0]}: {error.strerror}") from None
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(cpu, wall, memory.peak_bytes, memory.peak_descriptors)


@contextlib.contextmanager
def _nameless() -> Iterator[int]:
    """Yield a descriptor of a file that is gone afterwards."""
    descriptor = os.memfd_create("stderr")
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Memory:
    """Samples memory and open files of a process and its descendants while the block runs."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = self.peak_descriptors = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            pids = _tree(self._pid)
            self.peak_descriptors = max(self.peak_descriptors, *map(_descriptors, pids))
            each = [_resident(pid) for pid in pids]
            total = sum(now for now, _ in each)
            self.peak_bytes = max(self.peak_bytes, total, *(peak for _, peak in each))


def _tree(pid: int) -> list[int]:
    """A process and its descendants, whichever thread started them.

    A child that has not become its own program yet is left out: it shares its parent's memory.
    """
    pids = [pid]
    for parent in pids:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{parent}/cmdline").read_bytes()
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = (task / "children").read_text().split()
                pids += [one for one in map(int, children) if _command(one) not in (b"", words)]
    return pids


def _command(pid: int) -> bytes:
    """The words of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _descriptors(pid: int) -> int:
    """How many a process has open; none when it has ended."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def _resident(pid: int) -> tuple[int, int]:
    """Resident memory of a process now and at most, in bytes; zeros when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    kib = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in status.splitlines())
        if name in ("VmRSS", "VmHWM")
    }
    return kib.get("VmRSS", 0) * 1024, kib.get("VmHWM", 0) * 1024


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure; of memory and descriptors, the most."""
    return Cost(
        statistics.median(cost.cpu_seconds for cost in costs),
        statistics.median(cost.wall_seconds for cost in costs),
        max(cost.memory_bytes for cost in costs),
        max(cost.descriptors for cost in costs),
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Processor, cores, memory and system in one line."""
    facts: Mapping[str, str] = dict(
        line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line
    )
    model = next((value.strip() for key, value in facts.items() if "model name" in key), "unknown")
    memory = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES / 2**30
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB,"
        f" {os.uname().sysname} {os.uname().release}, Python {sys.version.split()[0]}"
    )
