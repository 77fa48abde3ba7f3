"""What runs on a Dask worker: a task, or the reason why the worker cannot do it."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from typing import Any, TypeVar

from edxlogs.errors import EdxlogsError, written_to
from edxlogs.groups.hosts import HostTask
from edxlogs.store import disk
from edxlogs.text import shown

T = TypeVar("T")

KILLED = (
    "dask: a task was lost with its worker several times; give workers more memory, and run the"
    " same command: finished work is kept"
)


def told_of(error: object) -> str:
    """Describe a failure that Dask reports, in a few words."""
    if isinstance(error, ImportError) or "ModuleNotFoundError" in str(error):
        return "has no edxlogs that can be used; install the same version there"
    if type(error).__name__ == "KilledWorker":
        return KILLED
    return shown(f"{type(error).__name__}: {error}".splitlines()[0])


@dataclass(frozen=True, slots=True)
class Unable:
    """Says that a worker could not do a task, and why."""

    worker: str
    why: str


def run(task: HostTask[T]) -> T | Unable:
    """Do a task, on a worker."""
    try:
        with written_to(shown(", ".join(map(str, task.places)))):
            return task.run()
    except EdxlogsError as error:
        return Unable(_own_address(), str(error))
    except Exception as error:  # sent as it is, it may not arrive
        return Unable(_own_address(), told_of(error))


def _own_address() -> str:
    from distributed import get_worker

    try:
        address: str = get_worker().address
    except ValueError:
        return socket.gethostname()
    return address


def why_unfit(task: HostTask[Any], token: str) -> str | None:
    """Why a worker of this version cannot do tasks like this one, asked there; None if it can.

    Args:
        task: one of the tasks.
        token: a folder among the new files, which the worker must see.
    """
    place = task.places[0]
    if not (place / token).is_dir():
        return f"cannot see {shown(str(place.parent.parent))}; use a folder that all hosts share"
    try:
        inner = place / token / secrets.token_hex(8)
        disk.make_folder(inner)
        disk.remove(inner)
    except OSError as error:
        return f"{shown(str(place))}: {error.strerror}; let it write there"
    try:
        return task.why_unreadable()
    except (EdxlogsError, OSError) as error:
        return str(error)
