"""Fetches objects into a mirror: receives, resumes, verifies, publishes."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

from edxlogs.errors import S3Error, StoppedError
from edxlogs.mirror.mirror import Mirror
from edxlogs.mirror.partial import Partial
from edxlogs.mirror.records import Record
from edxlogs.s3.checksums import Checksum, Expected
from edxlogs.s3.client import S3, S3Object
from edxlogs.s3.errors import Reason, trouble
from edxlogs.s3.reader import S3Reader

PIECE_BYTES = 64 << 10  # what a broken connection or a crash can cost
_LOCAL_BYTES = 1 << 20
_MOST_VERSIONS = 3  # of an object that is replaced while it is read


class Downloads:
    """Fetches objects into a mirror, any number at once.

    Args:
        s3: server and credentials.
        mirror: the mirror.
        received: called with the number of bytes received, including those left by an earlier
            transfer; negative if bytes no longer count. Called from the threads that fetch.
    """

    def __init__(self, s3: S3, mirror: Mirror, received: Callable[[int], None]) -> None:
        self._s3 = s3
        self._mirror = mirror
        self._received = received
        self._readers: set[S3Reader] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def fetch(self, source: S3Object, *, replace: bool) -> Record:
        """Fetch an object into the mirror, resuming at the byte where an earlier transfer stopped.

        If the object is replaced meanwhile, it is fetched again. Bytes that do not match S3's
        checksum are fetched once more.

        Args:
            source: the object as listed.
            replace: whether an existing file of that name may be replaced.

        Returns:
            The record, which is stored.

        Raises:
            S3Error: it cannot be read to its end.
            OutputError: it cannot be written.
            StoppedError: `stop` was called; what has arrived stays.
        """
        if not source.etag:
            # Bytes on disk are identified by the content that they belong to.
            source = self._s3.object(source.bucket, source.key)
        for _ in range(_MOST_VERSIONS):
            try:
                return self._fetch(source, replace)
            except S3Error as error:
                if error.reason != Reason.CHANGED:
                    raise
                try:
                    source = self._s3.object(source.bucket, source.key)
                except S3Error:
                    raise error from None
                changed = error
        raise changed

    def stop(self) -> None:
        """End all transfers now, and begin no others."""
        with self._lock:
            self._stopped = True
            for reader in self._readers:
                reader.interrupt()

    def _fetch(self, source: S3Object, replace: bool) -> Record:
        with closing(self._mirror.partial(source)) as part:
            try:
                record = self._receive(part, source)
            except S3Error as error:
                if error.reason == Reason.CHANGED:
                    self._received(-part.size)
                raise
            except OSError as error:
                raise self._mirror.trouble(source.key, error) from error
            self._mirror.publish(part, source, record, replace=replace)
        return record

    def _receive(self, part: Partial, source: S3Object) -> Record:
        """Receive what is missing of a part, and verify all of it; twice at most."""
        try:
            return self._read(part, source)
        except S3Error as error:
            if error.reason != Reason.DAMAGED:
                raise
        self._received(-part.size)
        part.reset()
        return self._read(part, source)

    def _read(self, part: Partial, source: S3Object) -> Record:
        sums = _Sums()
        if part.size:
            sums.expected = expected_of(self._s3, source)
            sums.update_all(part.read_back())
            self._received(part.size)
        with S3Reader(self._s3, source, offset=part.size) as reader, self._stoppable(reader):
            while data := reader.read(PIECE_BYTES):
                if not part.size:
                    sums.expected = reader.expected or Expected.by_etag(reader.answer)
                part.write(data)
                sums.update(data)
                self._received(len(data))
        if not sums.are_right:
            raise trouble(Reason.DAMAGED, "cannot read", source.url)
        return sums.record(source)

    @contextmanager
    def _stoppable(self, reader: S3Reader) -> Iterator[None]:
        with self._lock:
            if self._stopped:
                raise StoppedError("s3: stopped")
            self._readers.add(reader)
        try:
            yield
        finally:
            with self._lock:
                self._readers.discard(reader)


def verify_local(s3: S3, mirror: Mirror, source: S3Object, known: Record | None) -> Record | None:
    """Tell whether a file in an object's place holds that very object.

    Args:
        s3: server and credentials.
        mirror: mirror with the file.
        source: the object.
        known: the file's record, if it has one.

    Returns:
        A record of it; None if it does not hold the object, or that cannot be determined.

    Raises:
        S3Error: the object's checksum cannot be obtained.
        OutputError: the file cannot be read.
    """
    if not source.etag:
        source = s3.object(source.bucket, source.key)
    same = known is not None and (known.etag, known.size) == (source.etag, source.size)
    sums = _Sums(None if same else expected_of(s3, source))
    if not same and sums.expected is None:
        return None
    try:
        with mirror.read(source.key) as file:
            sums.update_all(iter(lambda: file.read(_LOCAL_BYTES), b""))
    except OSError as error:
        raise mirror.trouble(source.key, error) from error
    record = sums.record(source)
    if known is not None and same:
        is_right = known.sha256 == record.sha256
        return dataclasses.replace(record, checked=known.checked) if is_right else None
    return record if sums.are_right else None


def expected_of(s3: S3, source: S3Object) -> Expected | None:
    """Ask S3 for the checksum of a whole object; None if it has none that can be verified here.

    Raises:
        S3Error: the request was refused, or the object has changed.
    """
    head = s3.call(
        "head_object",
        source.bucket,
        "cannot read",
        Key=source.key,
        IfMatch=source.etag,
    )
    return Expected.of(head) or Expected.by_etag(head)


class _Sums:
    """The SHA-256 of bytes, and their checksum if `expected` is set before the first of them."""

    def __init__(self, expected: Expected | None = None) -> None:
        self.expected = expected
        self._sha256 = hashlib.sha256()
        self._checksum: Checksum | None = None

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        if self.expected is not None:
            if self._checksum is None:
                self._checksum = Checksum(self.expected.algorithm)
            self._checksum.update(data)

    def update_all(self, pieces: Iterable[bytes]) -> None:
        for data in pieces:
            self.update(data)

    @property
    def are_right(self) -> bool:
        """Whether the bytes are those that S3 has, as far as it says."""
        if self.expected is None or self._checksum is None:
            return True
        return self._checksum.digest() == self.expected.digest

    def record(self, source: S3Object) -> Record:
        return Record(
            bucket=source.bucket,
            key=source.key,
            size=source.size,
            etag=source.etag,
            modified=source.modified,
            sha256=self._sha256.hexdigest(),
            checked=None if self.expected is None else self.expected.algorithm,
            time=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        )
