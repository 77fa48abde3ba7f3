"""Files that a dataset has replaced, and kept for readers that might still need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edxlogs import _core
from edxlogs.buckets.bucket import Bucket
from edxlogs.buckets.sweep import unnamed
from edxlogs.store.manifest import Segment, now
from edxlogs.store.store import GRACE, Store
from edxlogs.text import many

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, repr=False)
class Cleaned:
    """What became of replaced files. It prints as one line.

    Attributes:
        removed: number of files removed.
        waiting: number of files whose time of grace is not over.
    """

    removed: int
    waiting: int

    def __add__(self, other: Cleaned) -> Cleaned:
        """The sum of both."""
        return Cleaned(self.removed + other.removed, self.waiting + other.waiting)

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        counts = {"removed": self.removed, "waiting": self.waiting}
        return {"schema_version": SCHEMA_VERSION, "version": _core.__version__, **counts}

    def __str__(self) -> str:
        told = f"{many(self.removed, 'file')} removed"
        if self.waiting:
            wait = "waits" if self.waiting == 1 else "wait"
            told += f"; {self.waiting:,} {wait} until {GRACE.days} days have passed"
        return told

    __repr__ = __str__


def clean(store: Store) -> Cleaned:
    """Remove files that were replaced so long ago that nobody reads them any more.

    Raises:
        ConfigError: the record of publications is damaged.
        OutputError: the dataset cannot be written.
    """
    over, wait = store.retired()
    # A file that has come back since does not count.
    gone, waiting = (sum(store.manifest.file(path) is None for path in one) for one in (over, wait))
    place = store.place
    left = unnamed(place, store.manifest) if isinstance(place, Bucket) else []
    if over or left:
        store.commit(Segment(now(), ended={"whole": True}))
    if isinstance(place, Bucket):
        place.delete(left)
    return Cleaned(gone + len(left), waiting)
