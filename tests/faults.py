"""A disk that fails, for one run of the command: full, out of reach, unreadable, without locks."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import commands
import forked


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        calls: names of the calls that fail, as in `faults.c`.
        error: its errno.
        stays: whether what comes after the first failure fails as well.
    """

    calls: str
    error: int
    stays: bool


FULL = Fault("write,create,mkdir,rename,link", errno.ENOSPC, stays=True)
DENIED = Fault("create,open,mkdir,rename,link,unlink,chmod", errno.EACCES, stays=True)
BROKEN = Fault("write,sync,truncate,rename,link,create,mkdir", errno.EIO, stays=False)
UNREADABLE = Fault("read", errno.EIO, stays=True)
NO_LOCKS = Fault("lock", errno.ENOLCK, stays=True)
NO_RENAMES = Fault("rename", errno.ENOTSUP, stays=True)


def build() -> Path:
    """The library that is preloaded; the test is skipped where none can be made."""
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("needs Linux and a C compiler")
    library = Path(tempfile.mkdtemp(prefix="faults-"), "faults.so")
    source = Path(__file__).with_suffix(".c")
    words: list[str | Path] = ["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the C compiler has no headers of Linux: {done.stderr[:200]}")
    return library


def run(
    library: Path, fault: Fault, at: int, below: Path, *arguments: str | Path, cwd: Path
) -> tuple[commands.Done, int]:
    """Run the command; the numbered call below a folder fails, or none for -1.

    Returns:
        The run, and how many calls could have failed.
    """
    with tempfile.NamedTemporaryFile() as count:
        faulty = environment(library, fault, at, below, Path(count.name))
        begin = "import ctypes; ctypes.CDLL(None).begin_faults()\n"
        done = forked.run(
            [*commands.EAGER[:-1], begin + commands.EAGER[-1], *arguments],
            cwd=cwd,
            env={**os.environ, **faulty},
            seconds=commands.SECONDS,
        )
        calls = int.from_bytes(Path(count.name).read_bytes(), sys.byteorder)
    return commands.judge(done.returncode, done.stdout, done.stderr), calls


def environment(library: Path, fault: Fault, at: int, below: Path, count: Path) -> dict[str, str]:
    """What a process is started with, for the numbered call below a folder to fail.

    Args:
        library: made by `build`.
        fault: what goes wrong.
        at: the number of the call; none fails for -1.
        below: the folder.
        count: a file that gets to hold how many calls there were.
    """
    count.write_bytes(bytes(8))
    return {
        "LD_PRELOAD": os.fspath(library),
        "FAULT_BELOW": os.path.realpath(below),
        "FAULT_CALLS": fault.calls,
        "FAULT_AT": str(at),
        "FAULT_STAYS": str(int(fault.stays)),
        "FAULT_ERRNO": str(fault.error),
        "FAULT_COUNT": os.fspath(count),
    }
