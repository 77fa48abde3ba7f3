"""A Slurm of three nodes on this machine, as root and without systemd."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "munged")
PACKAGES = "slurmctld slurmd slurm-client munge"


def missing() -> str | None:
    """Say why there is no Slurm here, or None."""
    lacking = [one for one in PROGRAMS if shutil.which(one, path=_path()) is None]
    if lacking:
        return f"{', '.join(lacking)} missing: apt-get install {PACKAGES}"
    return None if os.getuid() == 0 else "starting Slurm needs root"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Slurm:
    """Its nodes, and how jobs are given to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self._others: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{_path()}",
            "SLURM_CONF": str(folder / "slurm.conf"),
        }

    def start(self) -> None:
        """Start all of it, and wait until the nodes are idle."""
        socket, key = self.folder / "munge.socket", self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        (self.folder / "slurm.conf").write_text(_settings(self.folder, socket))
        munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket}"]
        munge += [f"--{one}-file={self.folder / f'munge.{one}'}" for one in ("log", "pid", "seed")]
        self._others.append(self._run(*munge))
        wait_until(socket.exists)
        self._others.append(self._run("slurmctld", "-D", "-c", "-f", str(self._settings)))
        for name in ("n1", "n2", "n3"):
            self.add(name)
        wait_until(self._is_idle, 60)

    def _is_idle(self) -> bool:
        words = ("sinfo", "-h", "-o", "%T %D")
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        return done.stdout.strip() == "idle 3"

    @property
    def _settings(self) -> Path:
        return self.folder / "slurm.conf"

    def add(self, name: str) -> None:
        """Start a node."""
        self.nodes[name] = self._run("slurmd", "-D", "-f", str(self._settings), "-N", name)

    def _run(self, *words: str) -> subprocess.Popen[bytes]:
        with open(self.folder / f"{words[0]}.log", "ab") as log:
            return subprocess.Popen(
                words, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )

    def ask(self, *words: str) -> str:
        """What a command says.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self, script: Path, *options: str) -> str:
        """Give it a job; its number."""
        words = ("sbatch", "--parsable", f"--chdir={script.parent}", *options, str(script))
        return self.ask(*words).strip()

    def wait(self, job: str, seconds: float = 120) -> None:
        """Wait until a job has ended."""
        wait_until(lambda: not self.ask("squeue", "-h", "-j", job).strip(), seconds)

    def kill_node(self, name: str) -> None:
        """Let a node die, and what runs on it."""
        node = self.nodes.pop(name)
        node.kill()
        node.wait()
        for step in _processes("slurmstepd"):
            with suppress(ProcessLookupError):
                os.kill(step, 9)

    def stop(self) -> None:
        """End all of it."""
        for one in (*self.nodes.values(), *reversed(self._others)):
            with suppress(ProcessLookupError):
                one.kill()
            one.wait()


def _settings(folder: Path, socket: Path) -> str:
    here = os.uname().nodename
    return f"""
ClusterName=test
SlurmctldHost={here}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={socket}
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
SlurmctldPort=17100
SlurmdTimeout=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ReturnToService=2
NodeName=n[1-3] NodeHostname={here} NodeAddr=127.0.0.1 Port=[17101-17103] CPUs=2 RealMemory=1000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def _processes(name: str) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_text().strip() == name:
                yield int(path.parent.name)


def wait_until(is_so: object, seconds: float = 30) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it is not.
    """
    assert callable(is_so)
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.1)


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """A Slurm that runs."""
    (folder / "state").mkdir(parents=True)
    found = Slurm(folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()
