"""The command as a user runs it: a process of its own, with a time limit, and lines to feed it."""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked

COMMAND = (*forked.PYTHON, "-m", "edxlogs")
SECONDS = 60.0  # no run of a test takes this long: it hangs


# The same, as one that keeps what it has done from its first moment on, two inputs at a time.
EAGER = (
    *(*forked.PYTHON, "-c"),
    "import sys\n"
    "from edxlogs import cli\n"
    "from edxlogs.store import inputs, journal\n"
    "journal.BEGIN_SECONDS = journal.COMMIT_SECONDS = 0.0\n"
    "inputs.GROUP_INPUTS = 2\n"
    "sys.exit(cli.execute(sys.argv[1:]))\n",
)


@dataclass(frozen=True)
class Done:
    """A run that ended. Negative codes are signals."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def told(self) -> list[str]:
        """The messages: what begins with the name of the command."""
        return [line for line in self.stderr.splitlines() if line.startswith("edxlogs: ")]


def run(
    *arguments: str | bytes | Path,
    cwd: Path,
    stdin: bytes = b"",
    seconds: float = SECONDS,
    **environment: str,
) -> Done:
    """Run the command to its end.

    Raises:
        subprocess.TimeoutExpired: it hangs.
        AssertionError: it gave a traceback or a panic, which it must never do.
    """
    done = forked.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        seconds=seconds,
        stdin=stdin,
    )
    return judge(done.returncode, done.stdout, done.stderr)


def start(*arguments: str | Path, cwd: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command, its streams pipes unless told otherwise; `finish` ends it."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*COMMAND, *arguments], cwd=cwd, **{**pipes, **options})


def finish(process: subprocess.Popen[bytes], seconds: float = SECONDS) -> Done:
    """Wait for a run that was started; one that hangs is killed, and the test fails."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        raise
    return judge(process.returncode, stdout or b"", stderr or b"")


def small_files() -> None:
    """A disk that is full after 64 KiB, as seen by one process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def judge(code: int, stdout: bytes, stderr: bytes) -> Done:
    """What holds of every run: no traceback, no panic, no crash by a signal of its own making."""
    text = stderr.decode("utf-8", "replace")
    for sign in ("Traceback", "panicked", "Exception ignored", "Fatal Python"):
        assert sign not in text, text
    assert code not in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS), text
    return Done(code, stdout, text)


def event(number: int = 0, **fields: Any) -> bytes:
    """One line, with its LF; `fields` replace those of a plain problem_check."""
    line: dict[str, Any] = {
        "username": f"learner_{number}",
        "event_type": "problem_check",
        "name": "problem_check",
        "event_source": "server",
        "time": f"2014-10-01T12:00:00.{number % 1_000_000:06}+00:00",
        "ip": "192.0.2.1",
        "session": "",
        "context": {
            "course_id": "course-v1:UnivX+CS101+2014",
            "org_id": "UnivX",
            "user_id": number,
        },
        "event": {"attempts": number},
    }
    return json.dumps({**line, **fields}).encode() + b"\n"


def events(count: int, first: int = 0) -> bytes:
    """Lines that differ by their number."""
    return b"".join(event(number) for number in range(first, first + count))


def incompressible(count: int) -> bytes:
    """Lines whose gzip is about half their size, so that there is something to cut."""
    rng = random.Random(count)
    return b"".join(event(n, session=rng.randbytes(64).hex()) for n in range(count))


def pack(data: bytes) -> bytes:
    """One gzip member, always the same bytes for the same data."""
    return gzip.compress(data, 6, mtime=0)


def report(path: Path) -> dict[str, Any]:
    """Read a report, and check that it adds up, by its own numbers alone."""
    document: dict[str, Any] = json.loads(path.read_bytes())
    classes = ("blank", "rejected", "kept", "dropped", "duplicate", "withheld")
    counted = [source["counts"] for source in document["sources"]]
    for counts in [*counted, document["total"]]:
        assert sum(counts[name] for name in classes) == counts["lines"]
        assert sum(counts["reasons"].values()) == counts["rejected"]
    for name in (*classes, "lines", "rows", "bytes_read", "bytes_expanded", "parsed"):
        assert sum(counts[name] for counts in counted) == document["total"][name], name
    assert document["rows_written"] == document["total"]["rows"]
    return document


def hidden(folder: Path) -> list[str]:
    """What lies hidden in a folder: after a run, nothing should."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


# Waits for the command and prints its peak; a process of its own, since a child starts with the
# peak of its parent, and a test run is large.
_MEASURE = (
    "import os, subprocess, sys\n"
    "_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)\n"
    "print(usage.ru_maxrss)\n"
    "sys.exit(os.waitstatus_to_exitcode(status))\n"
)


def run_measured(
    *arguments: str | Path, cwd: Path, seconds: float = SECONDS, **options: Any
) -> tuple[Done, int]:
    """Run the command, which must not write to standard output.

    Returns:
        The run, and the peak resident memory of it or of one child of it, in bytes.
    """
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", _MEASURE, *COMMAND, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **options,
    )
    try:
        done = finish(process, seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return done, int(done.stdout) * 1024
