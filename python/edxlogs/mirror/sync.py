"""Brings a mirror up to date: fetches what is new or changed, several objects at once."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field

from edxlogs.errors import EdxlogsError, OutputError, S3Error, StoppedError
from edxlogs.mirror.download import Downloads, verify_local
from edxlogs.mirror.mirror import Mirror, file_time, is_full
from edxlogs.mirror.records import Record
from edxlogs.s3.client import S3, S3Object
from edxlogs.s3.errors import WHOLE_RUN
from edxlogs.text import shown
from edxlogs.threads import Workers

_PATIENCE_SECONDS = 2.0  # for transfers that were stopped, to bring to disk what has come


class Why(enum.StrEnum):
    """Why an object is fetched."""

    NEW = "new"
    RELEASED = "released again"
    """The bucket has different content under the same key."""
    GONE = "gone"
    """It was delivered once, but its file is gone."""
    UNKNOWN = "unknown"
    """The file there is not as it was delivered, so it is examined first."""


class Status(enum.StrEnum):
    """What became of an object."""

    FETCHED = "fetched"
    PRESENT = "present"
    FAILED = "failed"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object to be fetched, and why."""

    source: S3Object
    why: Why


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an object.

    Attributes:
        source: the object as listed.
        status: see `Status`.
        why: why it was to be fetched, or None.
        record: what the mirror knows about it now; None unless fetched or found present.
        error: why it failed, or None.
    """

    source: S3Object
    status: Status
    why: Why
    record: Record | None = None
    error: EdxlogsError | None = None


@dataclass(slots=True)
class Plan:
    """What a sync has to do.

    Attributes:
        wanted: objects to fetch, in the order of the listing.
        present: objects that are here already.
        refused: errors for objects that cannot become files.
    """

    wanted: list[Wanted] = field(default_factory=list)
    present: int = 0
    refused: list[EdxlogsError] = field(default_factory=list)

    @property
    def wanted_bytes(self) -> int:
        """Total size of what is to be fetched."""
        return sum(one.source.size for one in self.wanted)


def make_plan(mirror: Mirror, objects: Iterable[S3Object]) -> Plan:
    """Compare objects with what a mirror holds, by names, sizes and times alone.

    An object listed twice counts once. Empty objects whose keys end in a slash stand for folders,
    and are skipped. If two objects cannot exist side by side, the first is taken.
    """
    plan = Plan()
    files: dict[str, S3Object] = {}
    folders: set[str] = set()
    for source in objects:
        key, same = source.key, files.get(source.key)
        if (key.endswith("/") and source.size == 0) or (same and same.bucket == source.bucket):
            continue
        above = [key[:end] for end, character in enumerate(key) if character == "/"]
        try:
            if same is not None:
                raise _collision(source, f"that key, of bucket {same.bucket}")
            if key in folders or not files.keys().isdisjoint(above):
                raise _collision(source, "a key that begins, or is begun by, this one")
            why = _why(mirror, source)
        except OutputError as error:
            plan.refused.append(error)
            continue
        files[key] = source
        folders.update(above)
        if why is None:
            plan.present += 1
        else:
            plan.wanted.append(Wanted(source, why))
    return plan


def _collision(source: S3Object, other: str) -> OutputError:
    return OutputError(
        f"cannot write: {shown(source.url)}: the folder has an object of {other}; sync it to a"
        " folder of its own"
    )


def _why(mirror: Mirror, source: S3Object) -> Why | None:
    """Why an object must be fetched; None if it is here."""
    status = mirror.status(source.key)
    record = mirror.records.get(source.key)
    if record is None:
        return Why.NEW if status is None else Why.UNKNOWN
    if record.bucket != source.bucket:
        raise _collision(source, f"that key, of bucket {record.bucket}")
    if record.size != source.size or not _is_same(record, source):
        return Why.RELEASED
    if status is None:
        return Why.GONE
    delivered = (record.size, file_time(record.modified))
    return None if (status.st_size, status.st_mtime_ns) == delivered else Why.UNKNOWN


def _is_same(record: Record, source: S3Object) -> bool:
    """Whether an object has the content that was delivered, as far as its listing shows."""
    if source.etag:
        return record.etag == source.etag
    # Not every answer of a server includes fractions of a second.
    return record.modified.replace(microsecond=0) == source.modified.replace(microsecond=0)


class Sync:
    """One run of a plan.

    Args:
        s3: server and credentials.
        mirror: the mirror.
        plan: what to do.
        at_once: objects to fetch at a time.

    Attributes:
        received: bytes of the plan that have arrived.
        halted: an error that would affect every object, and so ended the run early; or None.
    """

    def __init__(
        self,
        s3: S3,
        mirror: Mirror,
        plan: Plan,
        at_once: int,
    ) -> None:
        self.received = 0
        self.halted: EdxlogsError | None = None
        self._s3 = s3
        self._mirror = mirror
        self._plan = plan
        self._at_once = at_once
        self._downloads = Downloads(s3, mirror, self._receive)
        self._lock = threading.Lock()

    def run(self) -> Generator[Settled]:
        """Fetch everything. If one object fails, the others are still fetched.

        Yields:
            One outcome for each object of the plan, in its order.
        """
        tasks = [self._task(wanted) for wanted in self._plan.wanted]
        workers = Workers(tasks, self._at_once, most_ahead=len(tasks)).start()
        try:
            yield from workers
            self._mirror.sync()
        finally:
            self._downloads.stop()
            # They write to the mirror, which is closed after this.
            workers.stop(_PATIENCE_SECONDS)

    def _task(self, wanted: Wanted) -> Callable[[], Settled]:
        return lambda: self._settle(wanted)

    def _settle(self, wanted: Wanted) -> Settled:
        source, why = wanted.source, wanted.why
        if self.halted is not None:
            return Settled(source, Status.UNTRIED, why)
        try:
            if why is Why.UNKNOWN and (record := self._present(source)) is not None:
                self._receive(source.size)
                return Settled(source, Status.PRESENT, why, record)
            replace = why in (Why.RELEASED, Why.UNKNOWN)
            record = self._downloads.fetch(source, replace=replace)
        except StoppedError:
            return Settled(source, Status.UNTRIED, why)
        except EdxlogsError as error:
            if self._halts(error):
                return Settled(source, Status.UNTRIED, why)
            return Settled(source, Status.FAILED, why, error=error)
        return Settled(source, Status.FETCHED, why, record)

    def _present(self, source: S3Object) -> Record | None:
        """The record of an existing file that holds the object, or None."""
        status = self._mirror.status(source.key)
        if status is None or status.st_size != source.size:
            return None
        known = self._mirror.records.get(source.key)
        record = verify_local(self._s3, self._mirror, source, known)
        if record is not None:
            self._mirror.adopt(source, record)
        return record

    def _halts(self, error: EdxlogsError) -> bool:
        """Whether an error would affect every other object too. The first such error is kept."""
        everywhere = isinstance(error, S3Error) and error.reason in WHOLE_RUN
        if not everywhere and not is_full(error):
            return False
        with self._lock:
            self.halted = self.halted or error
        return True

    def _receive(self, count: int) -> None:
        with self._lock:
            self.received += count
