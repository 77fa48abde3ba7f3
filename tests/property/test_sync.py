"""Whatever happens to a bucket, a folder and the program: a sync that ends makes them agree.

The model knows what each version of an object holds and what is done to the folder behind the
program's back; it says which objects have to be fetched, and how many bytes at most.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edxlogs.mirror import download
from edxlogs.mirror import partial as mirror_part
from edxlogs.mirror.mirror import Mirror
from edxlogs.mirror.sync import Settled, Status, Sync, Why, make_plan
from edxlogs.s3 import retry as s3_retry
from fake_s3 import BUCKET, FakeS3, Stored, honest

KEYS = st.sampled_from(["a/b/one", "a/b/two", "a/three", "four", "a/b", "a/b/five/six"])
CONTENTS = st.binary(max_size=40)
KINDS = st.sampled_from(["single", "single", "parts", "kms", "unlisted"])


class Killed(BaseException):
    """The process ends at this very moment."""


class Syncing(RuleBasedStateMachine):
    """One bucket, one folder, and the program between them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(download, "PIECE_BYTES", 3)
        self.patch.setattr(mirror_part, "FLUSH_BYTES", 8)
        self.patch.setattr(s3_retry, "FIRST_DELAY", 0.0)
        self.patch.setattr(s3_retry, "ATTEMPTS", 1000)
        self.boot: str = "1"
        self.patch.setattr(mirror_part, "boot_id", lambda: self.boot)
        self.s3 = FakeS3()
        self.top = Path(tempfile.mkdtemp(prefix="em"))
        self.folder = self.top / "mirror"
        # What the program delivered and nobody has touched, by key: its ETag.
        self.intact: dict[str, str] = {}
        # All that may stand under a name: versions of the object, and what was put there.
        self.allowed: dict[str, set[bytes]] = {}

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.top)

    @rule(key=KEYS, content=CONTENTS, kind=KINDS)
    def put(self, key: str, content: bytes, kind: str) -> None:
        self.s3.put(key, content, kind)
        if kind == "unlisted":
            # That it is the same content as before, a listing does not tell.
            self.intact.pop(key, None)
        self.allowed.setdefault(key, set()).add(content)

    @precondition(lambda self: self.s3.stored)
    @rule(data=st.data())
    def delete_object(self, data: st.DataObject) -> None:
        del self.s3.stored[data.draw(st.sampled_from(sorted(self.s3.stored)))]

    def _files(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        names = [str(path.relative_to(self.folder)) for path in paths]
        return sorted(name for name in names if not name.startswith("_edxlogs"))

    @precondition(lambda self: self._files())
    @rule(data=st.data())
    def delete_file(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self._files()))
        (self.folder / key).unlink()
        self.intact.pop(key, None)

    @precondition(lambda self: self._files())
    @rule(data=st.data(), content=CONTENTS)
    def change_file(self, data: st.DataObject, content: bytes) -> None:
        key = data.draw(st.sampled_from(self._files()))
        (self.folder / key).write_bytes(content)
        self.allowed.setdefault(key, set()).add(content)
        self.intact.pop(key, None)

    @rule(key=KEYS, right=st.booleans(), content=CONTENTS)
    def place_file(self, key: str, right: bool, content: bytes) -> None:
        """As another program would have copied it there."""
        stored = self.s3.stored.get(key)
        content = stored.content if right and stored is not None else content
        path = self.folder / key
        if path.exists() or any(parent.is_file() for parent in path.parents):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.allowed.setdefault(key, set()).add(content)

    @rule(after=st.integers(0, 30), power=st.booleans())
    def crash(self, after: int, power: bool) -> None:
        """Die in the middle of a sync; of the machine, lose what was not flushed."""
        left = [after]

        def spoil(_: Stored, data: bytes) -> bytes:
            left[0] -= len(data)
            if left[0] < 0:
                raise Killed
            return data

        self.s3.spoil = spoil
        try:
            self._sync()
        except Killed:
            self._forget_what_changed()
        self.s3.spoil = honest
        if power:
            self.boot = str(int(self.boot) + 1)
            for part in (self.folder / "_edxlogs/parts").glob("*.part"):
                _lose(part)

    def _forget_what_changed(self) -> None:
        """The model does not follow how far the sync came."""
        for key, etag in list(self.intact.items()):
            stored = self.s3.stored.get(key)
            if stored is None or stored.etag != etag:
                del self.intact[key]

    @rule(every=st.integers(2, 7), wrong=st.booleans())
    def sync_with_faults(self, every: int, wrong: bool) -> None:
        """Connections break at every n-th piece; once, a piece comes changed."""
        count, wrongs = [0], [1] if wrong else []
        lock = threading.Lock()

        def spoil(stored: Stored, data: bytes) -> bytes:
            with lock:
                count[0] += 1
                if count[0] % every == 0:
                    raise ConnectionResetError
                if stored.is_verifiable and wrongs:
                    wrongs.pop()
                    return bytes([data[0] ^ 1]) + data[1:]
            return data

        self.s3.spoil = spoil
        try:
            self._judge(self._sync())
        finally:
            self.s3.spoil = honest

    @rule()
    def sync(self) -> None:
        intact = dict(self.intact)
        before = dict(self.s3.served)
        outcomes = self._sync()
        self._judge(outcomes)
        fetched = {one.source.key for one in outcomes if one.status is Status.FETCHED}
        for key, stored in self.s3.stored.items():
            given = self.s3.served.get((key, stored.etag), 0) - before.get((key, stored.etag), 0)
            if intact.get(key) == stored.etag:
                assert given == 0
                assert key not in fetched
            assert given <= len(stored.content)

    @rule()
    def sync_twice(self) -> None:
        self.sync()
        self.s3.requests.clear()
        with Mirror(self.folder, writable=False) as mirror:
            plan = make_plan(mirror, self.s3.objects(BUCKET))
        assert {one.source.key for one in plan.wanted} <= self._unreachable()
        assert self.s3.requests == [("list", "")]

    def _sync(self) -> list[Settled]:
        with Mirror(self.folder) as mirror:
            assert mirror.records.unreadable == []
            plan = make_plan(mirror, self.s3.objects(BUCKET))
            outcomes = list(Sync(self.s3, mirror, plan, 2).run())
        assert len(outcomes) == len(plan.wanted)
        for one in outcomes:
            assert one.source.key in self.s3.stored
            assert (one.error is not None) == (one.status is Status.FAILED)
            assert (one.record is not None) == (one.status in (Status.FETCHED, Status.PRESENT))
            if one.why is Why.NEW:
                assert one.status is not Status.PRESENT
        return outcomes

    def _unreachable(self) -> set[str]:
        """Keys in whose place, or on whose way, something else stands."""
        found = set()
        for key in self.s3.stored:
            path = self.folder / key
            if path.is_dir() or any(parent.is_file() for parent in path.parents):
                found.add(key)
        return found

    def _judge(self, outcomes: list[Settled]) -> None:
        """After a sync that ended, every object is there, as the bucket has it."""
        unreachable = self._unreachable()
        for one in outcomes:
            assert one.status is not Status.UNTRIED
            if one.status is Status.FAILED:
                assert one.source.key in unreachable
        with Mirror(self.folder, writable=False) as mirror:
            records = {record.key: record for record in mirror.records}
        for key, stored in self.s3.stored.items():
            if key in unreachable:
                continue
            assert (self.folder / key).read_bytes() == stored.content, key
            assert records[key].sha256 == hashlib.sha256(stored.content).hexdigest()
            if stored.content:
                assert (records[key].checked is None) != stored.is_verifiable
            self.intact[key] = stored.etag

    @invariant()
    def nothing_half_has_a_name(self) -> None:
        for name in self._files():
            assert (self.folder / name).read_bytes() in self.allowed[name]


def _lose(part: Path) -> None:
    """Zeros where bytes were not flushed, as a file system gives them after a power cut."""
    note = part.with_suffix(".json")
    flushed: int = json.loads(note.read_bytes())["flushed"] if note.is_file() else 0
    content = part.read_bytes()
    part.write_bytes(content[:flushed] + bytes(len(content) - flushed))


TestSyncing = Syncing.TestCase
TestSyncing.settings = settings(max_examples=60, stateful_step_count=25)
