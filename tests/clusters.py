"""A Dask cluster as tests and benches start it: each part a process, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Cluster:
    """A scheduler and workers, each a process, on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.address = ""
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.port = _free_port()
        self.known = 0

    def start(self, count: int, *options: str) -> Cluster:
        """Start the scheduler and so many workers."""
        self.start_scheduler(*options)
        for _ in range(count):
            self.add_worker()
        return self

    def start_scheduler(self, *options: str) -> None:
        """Start the scheduler, always at the same address."""
        self.address = f"tcp://127.0.0.1:{self.port}"
        where = ("--host", "127.0.0.1", "--port", str(self.port))
        file = ("--scheduler-file", str(self.file))
        self.scheduler = self._run("dask_scheduler", *where, *file, "--no-dashboard", *options)

    def add_worker(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker of one thread."""
        place = ("--local-directory", str(self.folder), "--no-dashboard")
        how = ("--nthreads", "1", "--no-nanny", "--death-timeout", "60")
        worker = self._run("dask_worker", self.address, *place, *how, *options, **environment)
        self.workers.append(worker)
        self.known += 1
        log = self.folder / "dask_scheduler.log"
        while log.read_text().count("Register worker") < self.known:
            assert worker.poll() is None, (self.folder / "dask_worker.log").read_text()
            time.sleep(0.05)
        return worker

    def _run(self, module: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-P", "-m", f"distributed.cli.{module}", *options]
        with open(self.folder / f"{module}.log", "ab") as log:
            env = {**os.environ, **environment}
            return subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder, env=env)

    def stop(self) -> None:
        """End all of it."""
        for one in (*self.workers, self.scheduler):
            if one is not None:
                with suppress(ProcessLookupError):
                    one.kill()
                one.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def cluster_in(folder: Path, count: int, *options: str) -> Iterator[Cluster]:
    """A cluster with so many workers; the options are its scheduler's."""
    folder.mkdir(exist_ok=True)
    cluster = Cluster(folder)
    try:
        yield cluster.start(count, *options)
    finally:
        cluster.stop()
