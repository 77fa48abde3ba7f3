"""A forked run sees, says and ends as one that `subprocess` starts."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

import forked

_LOOK = """
import json, os, signal, stat, sys
print(json.dumps({
    "arguments": sys.argv,
    "environment": dict(os.environ),
    "files": os.listdir("/proc/self/fd"),
    "flags": list(sys.flags),
    "folder": os.getcwd(),
    "group": [os.getpgrp(), os.getsid(0)],
    "kinds": [stat.S_IFMT(os.fstat(number).st_mode) for number in range(3)],
    "mask": os.umask(0),
    "name": __name__,
    "path": sys.path,
    "signals": [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "stdin": sys.stdin.read(),
    "texts": [[f.encoding, f.errors, f.isatty()] for f in (sys.stdin, sys.stdout, sys.stderr)],
}, sort_keys=True))
sys.stderr.write("told")
"""
_ENDS = {
    "by itself": "",
    "by a status": "sys.exit(7)",
    "by words": "sys.exit('no more')",
    "at once": "sys.stdout.flush(); os._exit(3)",
    "by a signal": "os.kill(os.getpid(), signal.SIGKILL)",
    "after a thread": "import threading; threading.Timer(0.1, print, ['later']).start()",
    "after its exit handlers": "import atexit; atexit.register(print, 'last')",
}


@pytest.mark.parametrize("end", _ENDS.values(), ids=_ENDS)
def test_it_is_as_subprocess_gives_it(end: str, tmp_path: Path) -> None:
    words: forked.Words = [*forked.PYTHON, "-c", _LOOK + end, "a b", b"\xff", Path("c")]
    env = {**os.environ, "EDXLOGS_OWN": "\udcff"}
    stdin = b"x" * 200_000
    mask = os.umask(0o027)
    try:
        expected = subprocess.run(words, cwd=tmp_path, env=env, input=stdin, capture_output=True)
        forked.run([*forked.PYTHON, "-c", ""], cwd=tmp_path, env=env, seconds=60)
        got = forked.run(words, cwd=tmp_path, env=env, seconds=60, stdin=stdin)
    finally:
        os.umask(mask)
    assert (got.returncode, got.stderr) == (expected.returncode, expected.stderr)
    assert got.stdout == expected.stdout


def test_what_is_read_at_the_start_is_read(tmp_path: Path) -> None:
    words = [*forked.PYTHON, "-c", "import sys; print(sys.stdout.encoding)"]
    for encoding in ("iso8859-1", "iso8859-1", "utf-8", "iso8859-1"):
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        told = forked.run(words, cwd=tmp_path, env=env, seconds=60).stdout
        assert told == f"{encoding}\n".encode()


def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    forked.run([*forked.PYTHON, "-c", ""], cwd=tmp_path, env=os.environ, seconds=60)
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        forked.run([*forked.PYTHON, "-c", script], cwd=tmp_path, env=os.environ, seconds=1)
    pid = int(caught.value.stdout or b"")
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)
