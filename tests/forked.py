"""Runs of the program without the start of an interpreter, which takes longer than most of them.

A process that has imported the program, and done nothing else, forks one for each run: with the
arguments, environment, folder, pipes and end of its own that `subprocess` would give it. There is
one such process for each setting of what an interpreter reads when it starts; what is asked for
once only is started by `subprocess`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import os
import pickle
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

Words = Sequence[str | bytes | Path]

PYTHON = (sys.executable, "-P")
"""With what the words of a run begin; `-m MODULE` or `-c SCRIPT` follows."""

# How the names of variables begin that are read at the start.
_STARTUP = ("GLIBC_", "LANG", "LC_", "LD_", "MALLOC_", "MIMALLOC_", "PYTHON", "TZ")
_NUMBER = 8  # bytes of a number on a socket or a pipe


def run(
    words: Words,
    *,
    cwd: Path,
    env: Mapping[str, str],
    seconds: float,
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run words that begin with `PYTHON` to their end.

    Raises:
        subprocess.TimeoutExpired: it hangs.
    """
    startup = frozenset(pair for pair in env.items() if pair[0].startswith(_STARTUP))
    _asked[startup] += 1
    if _asked[startup] > 1:
        return _server(startup).run(words, cwd, env, seconds, stdin)
    return subprocess.run(
        words, cwd=cwd, env=env, timeout=seconds, input=stdin, capture_output=True
    )


_Startup = frozenset[tuple[str, str]]
_asked: Counter[_Startup] = Counter()


class _Server:
    """The process that forks, as this one sees it.

    Args:
        startup: the variables that it reads when it starts.
    """

    def __init__(self, startup: _Startup) -> None:
        others = {k: v for k, v in os.environ.items() if not k.startswith(_STARTUP)}
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*PYTHON, __file__, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env={**others, **dict(startup)},
            )
        self._lock = threading.Lock()

    def close(self) -> None:
        self._socket.close()
        self._process.communicate()

    def run(
        self,
        words: Words,
        cwd: Path,
        env: Mapping[str, str],
        seconds: float,
        stdin: bytes,
    ) -> subprocess.CompletedProcess[bytes]:
        (input_, to), (out, output), (err, errors), (state, states) = (os.pipe() for _ in range(4))
        mask = os.umask(0)
        os.umask(mask)
        arguments = [os.fsencode(word) for word in words[len(PYTHON) :]]
        environment = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
        request = pickle.dumps((arguments, os.fsencode(cwd), environment, mask))
        theirs = [input_, output, errors, states]
        with self._lock:
            socket.send_fds(self._socket, [len(request).to_bytes(_NUMBER)], theirs)
            self._socket.sendall(request)
        for end in theirs:
            os.close(end)
        got: dict[int, bytes] = {}
        readers = [threading.Thread(target=_read, args=(end, got)) for end in (out, err)]
        with open(state, "rb") as numbers:
            pid = int.from_bytes(numbers.read(_NUMBER))
            expired = threading.Event()
            timer = threading.Timer(seconds, _kill, (pid, expired))
            for thread in (timer, *readers):
                thread.start()
            with suppress(BrokenPipeError), open(to, "wb") as writer:
                writer.write(stdin)
            for reader in readers:
                reader.join()
            status = numbers.read(_NUMBER)
            timer.cancel()
            timer.join()
        assert len(status) == _NUMBER, "the process that forks is gone"
        if expired.is_set():
            raise subprocess.TimeoutExpired(list(words), seconds, got[out], got[err])
        code = os.waitstatus_to_exitcode(int.from_bytes(status))
        return subprocess.CompletedProcess(list(words), code, got[out], got[err])


@functools.cache
def _server(startup: _Startup) -> _Server:
    server = _Server(startup)
    atexit.register(server.close)
    return server


def _read(end: int, got: dict[int, bytes]) -> None:
    with open(end, "rb") as file:
        got[end] = file.read()


def _kill(pid: int, expired: threading.Event) -> None:
    expired.set()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _serve(end: int) -> None:
    """Fork for each request; returns in a process that is to be the program, and at the end."""
    for module in pkgutil.walk_packages(importlib.import_module("edxlogs").__path__, "edxlogs."):
        package, _, name = module.name.rpartition(".")
        # A module that is imported takes the name of a function in its package.
        if name != "__main__" and not hasattr(sys.modules[package], name):
            with suppress(ImportError):  # it needs what only some users install
                importlib.import_module(module.name)
    with suppress(ImportError):
        importlib.import_module("boto3")
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=end) as requests:
        while True:
            head, ends, *_ = socket.recv_fds(requests, _NUMBER, 4)
            if not head:
                return
            request = b""
            while len(request) < int.from_bytes(head):
                request += requests.recv(int.from_bytes(head) - len(request))
            if os.fork() == 0:
                break
            for end in ends:
                os.close(end)
    # This process waits for the one that runs, so that many can run at a time.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *pipes, states = ends
    if (pid := os.fork()) != 0:
        for end in pipes:
            os.close(end)
        os.write(states, pid.to_bytes(_NUMBER))
        os.write(states, os.waitpid(pid, 0)[1].to_bytes(_NUMBER))
        os._exit(0)
    os.close(states)
    for number, end in enumerate(pipes):
        os.dup2(end, number)
        os.close(end)
    (kind, program, *words), folder, environment, mask = pickle.loads(request)
    os.chdir(folder)
    os.environb.clear()
    os.environb.update(environment)
    os.umask(mask)
    sys.argv = [os.fsdecode(word) for word in (kind, *words)]
    if kind == b"-m":
        runpy.run_module(os.fsdecode(program), run_name="__main__", alter_sys=True)
    else:
        exec(os.fsdecode(program), {"__name__": "__main__"})


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
