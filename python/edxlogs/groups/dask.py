"""The hosts of a Dask cluster: which there are, whether they are fit, and their tasks.

Rows do not pass through the scheduler: a task is sent, and its record comes back. Each future is
released as its result comes, so a worker that dies loses only what it was doing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pkgutil
import queue
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

from edxlogs import _core
from edxlogs.errors import ConfigError, EdxlogsError, OutputError, cannot_write
from edxlogs.groups.hosts import HostTask, Order
from edxlogs.groups.workers import KILLED, Unable, run, told_of, why_unfit
from edxlogs.store import disk
from edxlogs.store.store import TRY
from edxlogs.text import many, shown
from edxlogs.threads import needs_thread

T = TypeVar("T")

CONNECT_SECONDS = 10  # that a scheduler may take to answer, or to write its file
_GATHER_SECONDS = 5  # that the first fit worker may take, once one is there
_START_SECONDS = 30  # that the first worker may take
LATE_SECONDS = 60.0  # before a task runs a second time
_FETCH_SECONDS = 30  # that a result may take to come
_LOST_SECONDS = 60  # that a scheduler may be away
_LOOK_SECONDS = 2  # between looks at who is there
_WAIT_SECONDS = 0.2
_AHEAD = 1  # tasks for each thread, beside the one that it does
_LEAST_WINDOW, _WINDOW = 64, 4  # tasks, and for each thread, begun before the first is done
_MOST_TRIES = 3
_MOST_LOSSES = 3  # of a task with all workers that it was given to
_LOST = (OSError, RuntimeError, asyncio.CancelledError)  # of calls while a scheduler is away
_LOCAL = "local:"
_WORKER = (
    *(sys.executable, "-P", "-m", "distributed.cli.dask_worker", "--nthreads", "1"),
    *("--host", "127.0.0.1", "--no-nanny", "--no-dashboard", "--death-timeout", "30"),
)
_VERSION = "edxlogs._core:__version__"
_ASKS_VERSION, _LOOKS = "version-", "look-"  # keys of what workers are asked


@dataclass(frozen=True, slots=True)
class _Running:
    """A task that was sent.

    Attributes:
        number: number of the task.
        future: future of its result.
        since: when it was sent, in seconds of the monotonic clock.
        able: workers that it was given to.
    """

    number: int
    future: Any
    since: float
    able: Sequence[str]

    def told(self) -> Any:
        """The result, once it has ended: what `run` returns, or what Dask raises.

        None if it was lost with its scheduler, or with its worker before it was fetched; what was
        recorded need not be done again. The scheduler may forget it.
        """
        told: Any = None
        with suppress(*_LOST):
            if self.future.status == "finished":
                told = self.future.result(timeout=_FETCH_SECONDS)
            elif self.future.status == "error":
                told = self.future.exception(timeout=_FETCH_SECONDS)
            self.future.release()
        return told


class DaskHosts:
    """A Dask cluster, as a context manager.

    Args:
        address: address of its scheduler, path of a scheduler file, or `local:N` for N processes on
            this machine.
        warn: receives warnings about hosts.

    Raises:
        ConfigError: there is no such cluster, or it has another version.
    """

    def __init__(self, address: str, warn: Callable[[str], None]) -> None:
        self._name = f"dask: {shown(address)}"
        self._warn = warn
        self._stack = ExitStack()
        self._mark = secrets.token_hex(8)
        self._fit: dict[str, bool] = {}  # workers that were looked at
        self._asked: dict[str, Any] = {}  # futures of what those say that are looked at
        self._task: HostTask[Any] | None = None
        self._looked = 0.0
        self._told: set[tuple[str, str]] = set()  # workers, and what they could not do
        try:
            import distributed
        except ImportError:
            raise ConfigError(
                "dask: is not installed; install it with pip install 'edxlogs[dask]'"
            ) from None
        _be_silent()
        try:
            self._client = self._connect(distributed, address)
            self._check_versions(distributed)
        except BaseException:
            self._stack.close()
            raise

    def _connect(self, distributed: Any, address: str) -> Any:
        where: dict[str, Any]
        if address.startswith(_LOCAL):
            count = address.removeprefix(_LOCAL)
            if not (count.isascii() and count.isdigit() and 0 < int(count) <= 1024):
                raise ConfigError(f"{self._name}: write local:N, such as local:4")
            where = {"address": self._start_here(distributed, int(count))}
        elif "://" not in address and (os.sep in address or address.endswith(".json")):
            where = {"address": self._read_address(Path(address))}
        else:
            where = {"address": address}
        try:
            client = distributed.Client(
                **where, timeout=CONNECT_SECONDS, set_as_default=False, name="edxlogs"
            )
        except (OSError, ValueError, TypeError) as error:  # a TimeoutError is an OSError
            why = "there is no answer" if isinstance(error, OSError) else str(error)
            if "ssl_context" in why:
                raise ConfigError(
                    f"{self._name}: no certificates are configured; set"
                    " DASK_DISTRIBUTED__COMM__TLS__CA_FILE and the related variables, as"
                    " docs/how-to/cluster.md shows"
                ) from None
            raise ConfigError(
                f"{self._name}: {shown(why)}; start dask scheduler there, or name another address"
            ) from None
        return self._stack.enter_context(client)

    def _read_address(self, file: Path) -> str:
        """The address in a scheduler file. Waits for a scheduler that was just started."""
        until = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                told = json.loads(file.read_bytes())
                if isinstance(told, dict) and isinstance(address := told.get("address"), str):
                    return address
                why = "is not a scheduler file"
            except FileNotFoundError:
                why = "no such file"
            except OSError as error:
                raise ConfigError(f"{self._name}: {error.strerror}") from None
            except (ValueError, RecursionError):
                why = "is not a scheduler file"
            if why != "no such file":  # or its scheduler is writing it
                until = min(until, time.monotonic() + 1)
            if time.monotonic() >= until or not file.parent.is_dir():
                raise ConfigError(
                    f"{self._name}: {why}; start dask scheduler --scheduler-file with it"
                )
            time.sleep(_WAIT_SECONDS)

    def _start_here(self, distributed: Any, count: int) -> str:
        """Start a scheduler in this process, and workers beside it. Returns its address.

        The workers are separate programs: Dask's way to start them would run the caller's program
        again.
        """
        cluster = distributed.LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        address: str = self._stack.enter_context(cluster).scheduler_address
        place = self._stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
        words = [*_WORKER, address, "--local-directory", place]
        for _ in range(count):
            with needs_thread():
                worker = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C in our terminal is ours to handle
                )
            self._stack.callback(_end, worker)
        return address

    def _check_versions(self, distributed: Any) -> None:
        """Check the versions: two versions of Dask do not always understand each other."""
        # Only the scheduler is asked: a worker may never answer.
        theirs = self._client.run_on_scheduler(metadata.version, "distributed")
        if theirs != distributed.__version__:
            raise ConfigError(
                f"{self._name}: its scheduler has distributed {theirs}, but this host has"
                f" {distributed.__version__}; install the same version"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self._stack.close()

    def prepare(self, task: HostTask[Any]) -> None:
        """Find out who is fit, and wait a while for workers that are not there yet."""
        self._task = task
        start = time.monotonic()
        while not self._look():
            waited = time.monotonic() - start
            if waited > _START_SECONDS:
                raise ConfigError(f"{self._name}: has no workers; start dask worker on some hosts")
            if self._fit and waited > _GATHER_SECONDS:
                why = "no worker can do the work, for the reasons above"
                raise ConfigError(f"{self._name}: {why}")
            time.sleep(_WAIT_SECONDS)

    def _workers(self) -> dict[str, Any]:
        """What the scheduler knows about its workers."""
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1).get("workers", {})
        return workers

    def _look(self) -> dict[str, int]:
        """The fit workers that are present, with their threads; empty while nobody answers."""
        try:
            return self._ask()
        except EdxlogsError:
            raise
        # Dask raises many things where there is no answer.
        except (Exception, asyncio.CancelledError):
            return {}
        finally:
            self._looked = time.monotonic()

    def _ask(self) -> dict[str, int]:
        """The fit workers that are present, with their threads. New ones are asked.

        Nobody waits for an answer, because a worker may never give one.
        """
        workers, task = self._workers(), self._task
        assert task is not None
        for one in workers:
            if one not in self._fit and one not in self._asked:
                # A worker without edxlogs would die of one of our tasks.
                self._submit(one, pkgutil.resolve_name, _VERSION)
        problems: dict[str, list[str]] = {}
        for one, future in list(self._asked.items()):
            if one in workers and future.status == "pending":
                continue
            del self._asked[one]
            if one not in workers or future.status not in ("finished", "error"):
                continue  # it is gone, or will be asked again
            failure = future.exception(timeout=_FETCH_SECONDS)
            why = future.result(timeout=_FETCH_SECONDS) if failure is None else told_of(failure)
            if why == _core.__version__:
                self._submit(one, why_unfit, task, self._token(task).name)
                continue
            if failure is None and why is not None and future.key.startswith(_ASKS_VERSION):
                why = (
                    f"has edxlogs {why}, but this host has {_core.__version__}; install the same"
                    " version there"
                )
            self._fit[one] = why is None
            if why is not None:
                problems.setdefault(why, []).append(shown(str(workers[one].get("host") or one)))
        for why, hosts in problems.items():
            alike = f" (and {many(len(hosts) - 1, 'other')})" if len(hosts) > 1 else ""
            self._warn(f"dask: worker at {hosts[0]}{alike}: {why}; it gets no tasks")
        return {one: told["nthreads"] for one, told in workers.items() if self._fit.get(one)}

    def _submit(self, worker: str, what: Callable[..., Any], *asked: Any) -> None:
        """Send a question to a worker."""
        mark = _ASKS_VERSION if what is pkgutil.resolve_name else _LOOKS
        words = {"key": f"{mark}{secrets.token_hex(8)}", "pure": False, "workers": [worker]}
        self._asked[worker] = self._client.submit(what, *asked, **words)

    def _token(self, task: HostTask[Any]) -> Path:
        """A folder among the new files that workers must see; it is removed at the end.

        Raises:
            OutputError: it cannot be made.
        """
        token = task.places[0] / f"{TRY}{self._mark}"
        if not token.exists():
            try:
                disk.make_folder(token)
            except OSError as error:
                raise cannot_write(shown(str(token.parent)), error) from error
            self._stack.callback(disk.remove, token)
        return token

    def do(self, tasks: Sequence[HostTask[T]]) -> Iterator[tuple[int, T]]:
        """Have tasks done. If a host cannot do a task, another one gets it.

        When there are no more tasks to begin, a task that takes far longer than the others is
        started a second time elsewhere, because its worker may never answer.
        """
        order = Order([task.size for task in tasks])
        running: dict[str, _Running] = {}  # by key
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()  # futures
        tried: dict[int, set[str]] = {}  # workers that could not
        fit, lost_since, longest = self._look(), None, 0.0

        def submit(number: int, able: Sequence[str]) -> None:
            key = f"{tasks[number].label}-{secrets.token_hex(4)}"
            able = able or list(fit)
            future = self._client.submit(run, tasks[number], key=key, pure=False, workers=able)
            running[key] = _Running(number, future, time.monotonic(), able)
            future.add_done_callback(ended.put)

        try:
            while order.left:
                threads = sum(fit.values())
                window = max(_LEAST_WINDOW, _WINDOW * threads)
                is_idle = False
                while len(running) < threads * (1 + _AHEAD):
                    if is_idle := (number := order.take(window)) is None:
                        break
                    submit(number, [one for one in fit if one not in tried.get(number, ())])
                future = None
                with suppress(queue.Empty):
                    future = ended.get(timeout=_WAIT_SECONDS)
                if time.monotonic() - self._looked > _LOOK_SECONDS:
                    fit, lost_since = self._see(lost_since)
                    self._take_back(running, fit, order)
                    for number, able in self._late(running, fit, longest) if is_idle else ():
                        submit(number, able)
                one = None if future is None else running.pop(future.key, None)
                if one is None or one.number not in order.left:
                    continue
                told = one.told()
                if isinstance(told, BaseException):
                    raise EdxlogsError(told_of(told))
                if told is None or isinstance(told, Unable):
                    # If there is no result, the task was lost with its scheduler.
                    if told is not None:
                        self._try_another(told, tried.setdefault(one.number, set()), len(fit))
                    order.put_back(one.number)
                    continue
                longest = max(longest, time.monotonic() - one.since)
                order.left.remove(one.number)
                yield one.number, told
        finally:
            for one in running.values():
                with suppress(Exception):
                    one.future.release()

    def _take_back(
        self, running: dict[str, _Running], fit: Mapping[str, int], order: Order
    ) -> None:
        """Take back tasks whose workers are all gone; Dask would wait for them.

        A worker that was restarted is a different one.

        Raises:
            EdxlogsError: this happens to one task again and again.
        """
        gone = [key for key, one in running.items() if fit.keys().isdisjoint(one.able)]
        for key in gone if fit else ():
            one = running.pop(key)
            one.future.release()
            order.losses[one.number] += 1
            if order.losses[one.number] > _MOST_LOSSES:
                raise EdxlogsError(KILLED)
            if all(other.number != one.number for other in running.values()):
                order.put_back(one.number)

    def _late(
        self, running: Mapping[str, _Running], fit: Mapping[str, int], longest: float
    ) -> list[tuple[int, list[str]]]:
        """Tasks that were sent once and run too long, with the workers that do not run them."""
        now, count = time.monotonic(), Counter(one.number for one in running.values())
        late = {
            key: one.number
            for key, one in running.items()
            if now - one.since > max(LATE_SECONDS, 4 * longest) and count[one.number] == 1
        }
        if not late:
            return []
        try:
            doing = self._client.processing()
        except _LOST:
            return []
        found = []
        for key, number in late.items():
            able = [one for one in fit if key not in doing.get(one, ())]
            if able:
                found.append((number, able))
        return found

    def _try_another(self, told: Unable, tried: set[str], fit: int) -> None:
        """Say which worker could not do a task. Raises an OutputError after enough attempts."""
        tried.add(told.worker)
        if len(tried) >= min(_MOST_TRIES, fit):
            raise OutputError(told.why)
        if (told.worker, told.why) not in self._told:
            self._told.add((told.worker, told.why))
            self._warn(
                f"dask: worker at {shown(told.worker)}: {told.why}; other workers do its tasks"
            )

    def _see(self, lost_since: float | None) -> tuple[dict[str, int], float | None]:
        """Find out who is present. A scheduler may be away for a while.

        Raises:
            EdxlogsError: it is away too long, or nobody is left.
        """
        now, fit = time.monotonic(), self._look()
        if fit:
            return fit, None
        if lost_since is not None and now - lost_since > _LOST_SECONDS:
            raise EdxlogsError(
                f"{self._name}: no worker is left; start it again, and run the same command:"
                " finished work is kept"
            )
        return {}, lost_since or now


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()  # what it has written and not published is nobody's
    worker.wait()


def _be_silent() -> None:
    """Keep Dask from writing to the terminal; edxlogs reports what matters in one sentence."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.setLevel(logging.CRITICAL + 1)
