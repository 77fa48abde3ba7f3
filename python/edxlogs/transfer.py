"""One object into a mirror: received, resumed, verified, published."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Protocol

from edxlogs.checksums import Checksum, Expected
from edxlogs.errors import S3Error
from edxlogs.mirror import Mirror
from edxlogs.mirror_manifest import Record
from edxlogs.mirror_part import Part
from edxlogs.s3 import S3, S3Object
from edxlogs.s3_errors import Reason, trouble
from edxlogs.s3_reader import S3Reader

PIECE_BYTES = 64 << 10  # what a broken connection or a crash can cost
_LOCAL_BYTES = 1 << 20
_MOST_VERSIONS = 3  # of an object that is replaced while it is read


class Sum(Protocol):
    """A hash or checksum in the making."""

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""


def fetch(
    s3: S3, mirror: Mirror, source: S3Object, *, replace: bool, received: Callable[[int], None]
) -> Record:
    """Bring an object into the mirror, from the byte on where an earlier transfer stopped.

    One that is replaced while it is read is read anew. Bytes that are not those of S3's checksum are
    read once more.

    Args:
        s3: where it is.
        mirror: where to.
        source: as it was listed.
        replace: whether a file of that name gives way.
        received: told how many bytes have come, also those that an earlier transfer left; less
            than none when bytes do not count any more.

    Returns:
        The record, which is in the manifest.

    Raises:
        S3Error: it cannot be read to its end.
        OutputError: it cannot be written.
        StoppedError: `S3.stop()` was called; what has come stays.
    """
    for _ in range(_MOST_VERSIONS):
        try:
            return _fetch(s3, mirror, source, replace, received)
        except S3Error as error:
            if error.reason != Reason.CHANGED:
                raise
            try:
                source = s3.object(source.bucket, source.key)
            except S3Error:
                raise error from None
            changed = error
    raise changed


def _fetch(
    s3: S3, mirror: Mirror, source: S3Object, replace: bool, received: Callable[[int], None]
) -> Record:
    with closing(mirror.part(source)) as part:
        try:
            record = _receive(s3, part, source, received)
        except S3Error as error:
            if error.reason == Reason.CHANGED:
                received(-part.size)
            raise
        except OSError as error:
            raise mirror.trouble(source.key, error) from error
        mirror.publish(part, source, record, replace=replace)
    return record


def _receive(s3: S3, part: Part, source: S3Object, received: Callable[[int], None]) -> Record:
    """Receive what is missing of a part and verify all of it, twice at most."""
    try:
        return _read(s3, part, source, received)
    except S3Error as error:
        if error.reason != Reason.DAMAGED:
            raise
    received(-part.size)
    part.reset()
    return _read(s3, part, source, received)


def _read(s3: S3, part: Part, source: S3Object, received: Callable[[int], None]) -> Record:
    sha256 = hashlib.sha256()
    expected: Expected | None = None
    checksum: Checksum | None = None
    if part.size:
        expected = expected_of(s3, source)
        checksum = expected and Checksum(expected.algorithm)
        _digest(part.read_back(), sha256, checksum)
        received(part.size)
    with S3Reader(s3, source, offset=part.size) as reader:
        while data := reader.read(PIECE_BYTES):
            if not part.size:
                # The reader itself verifies what S3 has of the whole object.
                expected = reader.expected or Expected.by_etag(reader.answer)
                checksum = None if reader.expected or not expected else Checksum("MD5")
            part.write(data)
            received(len(data))
            _digest([data], sha256, checksum)
    if expected is not None and checksum is not None and checksum.digest() != expected.digest:
        raise trouble(Reason.DAMAGED, "cannot read", source.url)
    return _record(source, sha256.hexdigest(), expected)


def verify_local(s3: S3, mirror: Mirror, source: S3Object, known: Record | None) -> Record | None:
    """Tell whether a file that stands in an object's place holds that very object.

    Args:
        s3: where the object is.
        mirror: where the file is.
        source: the object.
        known: the file's record, if it has one.

    Returns:
        A record for the manifest; None if it does not hold it, or nobody can tell.

    Raises:
        S3Error: the object's checksum cannot be had.
        OutputError: the file cannot be read.
    """
    same = known is not None and (known.etag, known.size) == (source.etag, source.size)
    expected = None if same else expected_of(s3, source)
    if not same and expected is None:
        return None
    checksum = expected and Checksum(expected.algorithm)
    sha256 = hashlib.sha256()
    try:
        with mirror.read(source.key) as file:
            _digest(iter(lambda: file.read(_LOCAL_BYTES), b""), sha256, checksum)
    except OSError as error:
        raise mirror.trouble(source.key, error) from error
    if same:
        return known if known is not None and known.sha256 == sha256.hexdigest() else None
    if expected is None or checksum is None or checksum.digest() != expected.digest:
        return None
    return _record(source, sha256.hexdigest(), expected)


def expected_of(s3: S3, source: S3Object) -> Expected | None:
    """Ask S3 for the checksum of a whole object; None if it has none that can be verified here.

    Raises:
        S3Error: it was refused, or the object is another by now.
    """
    head = s3.call(
        "head_object",
        source.bucket,
        "cannot read",
        Key=source.key,
        IfMatch=source.etag,
        ChecksumMode="ENABLED",
    )
    return Expected.of(head) or Expected.by_etag(head)


def _digest(pieces: Iterable[bytes], *sums: Sum | None) -> None:
    for data in pieces:
        for one in sums:
            if one is not None:
                one.update(data)


def _record(source: S3Object, sha256: str, expected: Expected | None) -> Record:
    return Record(
        bucket=source.bucket,
        key=source.key,
        size=source.size,
        etag=source.etag,
        modified=source.modified,
        sha256=sha256,
        checked=expected and expected.algorithm,
        time=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
    )
