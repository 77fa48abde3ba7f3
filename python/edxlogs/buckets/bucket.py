"""A dataset in a bucket: the documents and files of one on disk, as objects below a prefix.

A commit is one request: the object of the next number is put on the condition that it does not
exist yet. It holds the head of the manifest and the segment. Numbers count down in the keys, so
that a listing shows the newest commit first. There is no lock: of two runs, one gets the number,
and the other ends.

Objects never overwrite others that a state names, and readers do not see objects that no state
names. So a crash at any moment leaves the state before a commit or after it, and perhaps unnamed
objects. A run that makes the same objects reuses young ones, and `clean` removes old ones. Those in
between are left alone, so that the two never compete for an object.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import tempfile
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from edxlogs.buckets.requests import (
    LIST,
    READ,
    SHA256,
    WRITE,
    Ranges,
    get,
    honours_conditions,
    now_of,
    put_file,
    without_conditions,
)
from edxlogs.errors import ConfigError, OutputError, S3Error, cannot_write
from edxlogs.s3.client import S3, SCHEME, S3Object, split_url
from edxlogs.s3.errors import Reason, trouble
from edxlogs.s3.reader import S3Reader
from edxlogs.store import checkpoint, disk
from edxlogs.store.checkpoint import Checkpoint, Record
from edxlogs.store.place import HOME, Marks, Place
from edxlogs.store.segments import DataFile, Segment
from edxlogs.store.store import GRACE, TASK
from edxlogs.text import shown
from edxlogs.threads import Workers

_AT_ONCE = 16  # requests
_ATTEMPTS = 8  # of a commit that meets another
_DELAY = 0.25  # seconds before the next one
_LAST = 10**12 - 1  # what the numbers in the keys of commits count down from
_YOUNG = GRACE / 2  # of an object that a run made before goes on with
SEGMENTS, _BEGUN, CHECKPOINT = "segments/", "begun", "checkpoint-"
_COPIES = "copies"  # of a run that writes; a kill leaves them to the next one
_MARK = "edxlogs-commit"  # metadata: which attempt has made a commit


class Bucket(Place):
    """A dataset below a prefix of a bucket.

    New files are made in a folder that only the user can read, below the system's temporary one.

    Args:
        url: URL of the prefix, with or without its slash.
        s3: server and credentials.

    Attributes:
        bucket: name of the bucket.
        prefix: the prefix with its slash, or empty.
        home: prefix of the manifest, with its slash.

    Raises:
        ConfigError: the URL names no bucket.
    """

    def __init__(self, url: str, s3: S3) -> None:
        self.s3 = s3
        self.bucket, key = split_url(url)
        self.prefix = f"{key.rstrip('/')}/" if key.rstrip("/") else ""
        self.home = f"{self.prefix}{HOME}/"
        self.name = shown(self.below.rstrip("/"))
        told = f"{os.getuid()} {self.below}".encode("utf-8", "surrogateescape")
        digest = hashlib.sha256(told).hexdigest()
        self._folder = Path(tempfile.gettempdir(), f"edxlogs-{digest[:32]}")
        self.new = self._folder / "new"
        self._lock = -1
        self._newest = -1
        self._lines: dict[int, bytes] = {}
        self._asking = threading.Lock()
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        self._copied: dict[str, Path] = {}
        self._sizes: dict[str, int] = {}

    @property
    def below(self) -> str:
        """The URL with its slash."""
        return f"{SCHEME}{self.bucket}/{self.prefix}"

    @property
    def exists(self) -> bool:
        """Whether any part of a manifest exists."""
        return self._holds(self.home)

    def _holds(self, prefix: str) -> bool:
        page = self._call("list_objects_v2", LIST, Prefix=prefix, MaxKeys=1)
        return bool(page.get("Contents"))

    def above(self) -> tuple[Place, str] | None:
        """By the prefixes above it."""
        parts = self.prefix.split("/")[:-1]
        if not parts or self.exists:
            return None
        for count in range(len(parts) - 1, -1, -1):
            url = f"{SCHEME}{self.bucket}/{'/'.join(parts[:count])}"
            if (one := Bucket(url, self.s3)).exists:
                return one, self.prefix.removeprefix(one.prefix)
        return None

    def _call(self, operation: str, what: str, **parameters: Any) -> dict[str, Any]:
        return self.s3.call(operation, self.bucket, what, **parameters)

    def _url(self, key: str) -> str:
        return f"{SCHEME}{self.bucket}/{key}"

    def open(self) -> None:
        """Check that the server honours conditions, and that the bucket can be written to."""
        self._lock = disk.claim(self._folder, self.name, "output")
        try:
            disk.remove(self._folder / _COPIES)
            if not self.exists:
                self._refuse_foreign()
            if not honours_conditions(self.s3, self.bucket, self.home + _BEGUN):
                raise without_conditions(self.name)
        except OSError as error:
            self.close()
            raise cannot_write(self.name, error) from None
        except BaseException:
            self.close()
            raise

    def _refuse_foreign(self) -> None:
        """Refuse a prefix in a dataset, or one with objects other than the prefix itself."""
        if (above := self.above()) is not None:
            raise ConfigError(
                f"output: {self.name}: is inside the dataset {above[0].name}; name a place outside"
                " of it"
            )
        page = self._call("list_objects_v2", LIST, Prefix=self.prefix, MaxKeys=2)
        holds = any(one.get("Key") != self.prefix for one in page.get("Contents", ()))
        if holds and not self.exists:  # another run may have begun it just now
            raise ConfigError(
                f"output: {self.name}: holds other objects; name a new prefix, or an empty one, for"
                " the dataset"
            )

    def close(self) -> None:
        """Remove what is on this host, except what hosts have made for the next run."""
        self._copied.clear()
        if self._copies is not None:
            self._copies.cleanup()
            self._copies = None
        if self._lock >= 0:
            if any(self.new.glob(f"{TASK}*")):
                os.close(self._lock)
            else:
                disk.release(self._lock, self._folder)
            self._lock = -1

    def discard(self, *, is_refused: bool = False) -> None:
        """There is nothing to remove."""

    def _commit_key(self, number: int) -> str:
        return f"{self.home}{SEGMENTS}{_LAST - number:012}"

    def head(self) -> bytes | None:
        """That of the newest commit."""
        page = self._call("list_objects_v2", LIST, Prefix=self.home + SEGMENTS, MaxKeys=2)
        numbers = [self.number_of(one["Key"]) for one in page.get("Contents", ())]
        if not numbers:
            return None
        if len(numbers) > 1 and numbers[0] != numbers[1] + 1:
            raise ConfigError(
                f"manifest: {self.name}: a commit is missing, or the server lists keys out of"
                " order; restore it, or name another --endpoint-url"
            )
        self._newest = numbers[0]
        head, line = self.read_commit(self._newest)
        self._lines = {self._newest: line}
        return head

    def number_of(self, key: str) -> int:
        """The number of a commit, from its key.

        Raises:
            ConfigError: it is not a commit's key.
        """
        name = key.removeprefix(self.home + SEGMENTS)
        if not (name.isascii() and name.isdigit() and len(name) == len(str(_LAST))):
            raise ConfigError(
                f"manifest: {self.name}: {HOME}/{SEGMENTS}{shown(name)}: is not a commit; remove it"
            )
        return _LAST - int(name)

    def read_commit(self, number: int) -> tuple[bytes, bytes]:
        """The head and the line of a commit. Raises S3Error."""
        head, _, line = get(self.s3, self.bucket, self._commit_key(number)).partition(b"\n")
        return head, line

    def segments(self, name: str, size: int) -> bytes:
        """The lines of the commits from the first one of that name on."""
        first = name.partition("-")[2] or "0"
        numbers = [] if not first.isdigit() else range(int(first), self._newest + 1)
        tasks = [partial(self._line, number) for number in numbers]
        with Workers(tasks, _AT_ONCE, _AT_ONCE) as workers:
            return b"".join(workers)[:size]

    def _line(self, number: int) -> bytes:
        line = self._lines.get(number)
        return self.read_commit(number)[1] if line is None else line

    def checkpoint(self, told: dict[str, Any]) -> Checkpoint:
        """An object, fetched by ranges."""
        source = self._object(f"{self.home}{told['name']}", told["bytes"])
        return Checkpoint(told, Ranges(self.s3, source).read)

    def _object(self, key: str, size: int) -> S3Object:
        """An object that is never overwritten. The first answer gives its ETag."""
        return S3Object(self.bucket, key, size, "", datetime.datetime.now(datetime.UTC))

    def write_checkpoint(
        self, number: int, records: Iterable[Record], marks: Marks
    ) -> dict[str, Any]:
        """An object with a name that no other attempt uses."""
        path = self.new / f"{CHECKPOINT}{number:08}-{uuid.uuid4().hex}"
        told = checkpoint.write(path, records, 0o600, marks)
        self._put(path, f"{self.home}{path.name}", told["sha256"])
        disk.unlink(path)
        return told

    def commit(self, number: int, name: str, end: int, line: bytes, head: bytes) -> None:
        """Put the next number, if it does not exist."""
        key, body, mark = self._commit_key(number), head + line, uuid.uuid4().hex
        md5 = b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        disk.step("put-commit", self._url(key))
        for attempt in range(_ATTEMPTS):
            try:
                self._call(
                    "put_object",
                    WRITE,
                    Key=key,
                    Body=body,
                    ContentMD5=md5,
                    IfNoneMatch="*",
                    Metadata={_MARK: mark},
                )
                return
            except S3Error as error:
                # The answer to an attempt may have been lost although the attempt succeeded.
                found = self._mark_of(key, error)
                if found == mark:
                    return
                if found is not None:
                    raise OutputError(
                        f"output: {self.name}: another run has written to it since this one began;"
                        " run the same command again"
                    ) from None
                if error.reason != Reason.CHANGED or attempt == _ATTEMPTS - 1:
                    raise
            time.sleep(_DELAY)

    def _mark_of(self, key: str, error: S3Error) -> str | None:
        """Which attempt made a commit; None if there is none. Raises `error` if that is unknown."""
        try:
            metadata: dict[str, str] = self._call("head_object", WRITE, Key=key)["Metadata"]
            return metadata.get(_MARK, "")
        except S3Error as failure:
            if failure.reason == Reason.NO_OBJECT:
                return None
            raise error from None

    def tidy(self, kept: Iterable[str]) -> None:
        """Commits stay: their numbers must not be used again. `clean` removes checkpoints."""

    @property
    def keeps_removed(self) -> bool:
        """Always, since readers cannot be seen."""
        return True

    def commits_told(self, before: str) -> int:
        """The commits that existed then."""
        moment = datetime.datetime.fromisoformat(before)
        with self._reads():
            for one in self.s3.objects(self.bucket, self.home + SEGMENTS):
                if one.modified <= moment:
                    return self.number_of(one.key) + 1
        return 0

    @contextmanager
    def _reads(self) -> Iterator[None]:
        """Name what cannot be read."""
        try:
            yield
        except S3Error as error:
            raise cannot_write(self.name, error) from None

    def bring(
        self, files: Sequence[DataFile], is_named: Callable[[str], bool], *, synced: bool
    ) -> list[DataFile]:
        """Upload files under their own keys, or under others if those are taken."""
        tasks = [partial(self._bring, file, is_named) for file in files]
        with Workers(tasks, _AT_ONCE, _AT_ONCE) as workers:
            return list(workers)

    def _bring(self, file: DataFile, is_named: Callable[[str], bool]) -> DataFile:
        staged = self.new / file.staged
        if not file.holds_rows:
            self._put(staged, self._key(file), file.sha256)
            return file
        while not self._put_new(staged, file):
            with self._asking:
                named = is_named(file.path)
            if not named and self._is_same(file):
                break
            folder, slash, name = file.path.rpartition("/")
            stem, dot, ending = name.partition(".")
            file = replace(file, path=f"{folder}{slash}{stem}x{dot}{ending}")
        return file

    def _key(self, file: DataFile) -> str:
        """The key of a file. What is beside the manifest is named after its content, too."""
        key = self.prefix + file.path
        return key if file.holds_rows else f"{key}-{file.sha256}"

    def _put_new(self, staged: Path, file: DataFile) -> bool:
        """Upload a file. Returns False if something is there."""
        try:
            self._put(staged, self._key(file), file.sha256, IfNoneMatch="*")
        except S3Error as error:
            if error.reason != Reason.CHANGED:
                raise
            return False
        return True

    def _is_same(self, file: DataFile) -> bool:
        """Whether the object at the key of a file has the same content and will not be swept."""
        try:
            answer = self._call("head_object", WRITE, Key=self._key(file))
        except S3Error as error:
            if error.reason != Reason.NO_OBJECT:
                raise
            return False
        is_young: bool = now_of(answer) - answer["LastModified"] < _YOUNG
        return is_young and answer.get("Metadata", {}).get(SHA256) == file.sha256

    def _put(self, path: Path, key: str, sha256: str, **condition: str) -> None:
        put_file(self.s3, self.bucket, key, path, sha256, **condition)

    def carry_out(self, segment: Segment, cleaned: Iterable[str], *, is_own: bool) -> None:
        """Remove local copies of what was uploaded, and objects whose time of grace is over.

        What an earlier run did not remove is left to `clean`, because it may just be being made
        again.
        """
        for file in segment.added:
            disk.remove(self.new / file.staged)
        if is_own:
            self.delete([self.prefix + path for path in cleaned])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects with one attempt each: a later attempt could hit another object."""

        def delete(key: str) -> None:
            disk.step("delete-object", self._url(key))
            with suppress(S3Error):  # it is swept
                self._call("delete_object", WRITE, Key=key, again=False)

        with Workers([partial(delete, key) for key in keys], _AT_ONCE, _AT_ONCE) as workers:
            for _ in workers:
                pass

    @property
    def ignores_case(self) -> bool:
        """Keys are bytes."""
        return False

    def is_taken(self, path: str) -> bool:
        """Objects are never overwritten: see `bring`."""
        return False

    @property
    def puts_over(self) -> bool:
        """Others may still be reading what is replaced."""
        return False

    def state(self, file: DataFile) -> tuple[int, int | None] | None:
        """Its size. An object that exists is as it was put."""
        key = self._key(file)
        if key not in self._sizes:
            self._sizes = self._listed()
        size = self._sizes.get(key)
        return None if size is None else (size, None)

    def _listed(self) -> dict[str, int]:
        """The sizes of all objects, by their keys."""
        return {one.key: one.size for one in self.s3.objects(self.bucket, self.prefix)}

    def local(self, file: DataFile) -> Path:
        """A copy, compared with its checksum."""
        if (path := self._copied.get(file.path)) is not None:
            return path
        if self._lock >= 0:
            copies = self._folder / _COPIES
            disk.make_folder(copies)
        else:
            self._copies = self._copies or tempfile.TemporaryDirectory(prefix="edxlogs-")
            copies = Path(self._copies.name)
        path = copies / uuid.uuid4().hex
        one, digest = self._object(self._key(file), file.bytes), hashlib.sha256()
        with S3Reader(self.s3, one) as reader, open(path, "wb") as copy:
            while piece := reader.read():
                digest.update(piece)
                copy.write(piece)
        if digest.hexdigest() != file.sha256:
            raise trouble(Reason.DAMAGED, READ, one.url)
        self._copied[file.path] = path
        return path

    def forget(self, files: Iterable[DataFile]) -> None:
        """Remove the copies."""
        for file in files:
            if (path := self._copied.pop(file.path, None)) is not None:
                path.unlink()

    def arrow(self, files: Sequence[DataFile]) -> tuple[Any, list[str]]:
        """A file system over edxlogs' own requests: same servers, credentials and retries."""
        from edxlogs.buckets.arrow import file_system

        objects = [self._object(self._key(file), file.bytes) for file in files]
        return file_system(self.s3, objects), [f"{self.bucket}/{one.key}" for one in objects]

    def note(self, name: str) -> bytes | None:
        """A small object."""
        with self._reads():
            try:
                return get(self.s3, self.bucket, self.home + name)
            except S3Error as error:
                if error.reason != Reason.NO_OBJECT:
                    raise
                return None

    def write_note(self, name: str, content: bytes) -> None:
        """A small object, which replaces the one before."""
        disk.step("put-object", self._url(self.home + name))
        with self._reads():
            self._call("put_object", WRITE, Key=self.home + name, Body=content)
