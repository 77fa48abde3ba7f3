"""The bytes of one object, complete and in order, over as many connections as it takes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from edxlogs.errors import S3Error, StoppedError
from edxlogs.s3.checksums import Checksum, Expected
from edxlogs.s3.client import S3, S3Object
from edxlogs.s3.errors import Reason, explain, trouble
from edxlogs.s3.retry import Attempts

READ_BYTES = 512 * 1024  # at a time: more leaves more memory behind, less costs more calls


class S3Reader:
    """Reads an object, or a range of it, from its first byte to its last.

    Every request is pinned to the object's ETag, or to that of the first answer if the listing does
    not give one, so that all bytes are of the same content. If the connection breaks, it resumes
    after the last byte received, by the rules of `retry`. The length is checked. So is the checksum
    of the whole object, if S3 has one and all of the object is read.

    Args:
        s3: server and credentials.
        source: an object from `S3.objects` or `S3.object`.
        offset: first byte to read.
        length: number of bytes from there; None means all.

    Attributes:
        position: offset of the next byte that `read` will return.
        expected: the checksum that S3 has for the whole object, once the first byte has come; None
            if there is none, or if `offset` or `length` was given.
        answer: what S3 says about the object, once the first byte has come.
    """

    def __init__(
        self, s3: S3, source: S3Object, *, offset: int = 0, length: int | None = None
    ) -> None:
        self.source = source
        self.position = offset
        self.expected: Expected | None = None
        self.answer: Mapping[str, Any] = {}
        self._s3 = s3
        self._etag = source.etag
        self._end = source.size if length is None else min(offset + length, source.size)
        self._whole = offset == 0 and self._end == source.size
        self._stopped = threading.Event()
        self._attempts = Attempts(s3.reached, self._stopped)
        self._body: Any = None
        self._checksum: Checksum | None = None

    def read(self, size: int = READ_BYTES) -> bytes:
        """Return at most `size` bytes; none only at the end, when everything has come and is right.

        Raises:
            S3Error: it cannot be read to its end: refused, replaced, deleted, or interrupted too
                often. A wrong checksum is reported after all bytes were returned.
            StoppedError: `interrupt` was called.
        """
        while self.position < self._end:
            try:
                data = self._read(size)
            except Exception as error:
                self.close()
                self._wait(error)
                continue
            self.position += len(data)
            self._attempts.progressed(len(data))
            if self._checksum is not None:
                self._checksum.update(data)
            return data
        self.close()
        if self._checksum is not None and self.expected is not None:
            if self._checksum.digest() != self.expected.digest:
                raise trouble(Reason.DAMAGED, "cannot read", self.source.url)
            self._checksum = None
        return b""

    def _read(self, size: int) -> bytes:
        if self._body is None:
            self._open()
        if self._stopped.is_set():
            raise StoppedError("s3: stopped")
        data: bytes = self._body.read(min(size, self._end - self.position))
        if not data:
            raise ConnectionAbortedError
        return data

    def _open(self) -> None:
        client = self._s3.client(self.source.bucket)
        parameters = {
            "Bucket": self.source.bucket,
            "Key": self.source.key,
            **self._s3.payer,
        }
        if self._etag:
            parameters["IfMatch"] = self._etag
        first = self._whole and self.position == 0
        if not first:
            parameters["Range"] = f"bytes={self.position}-{self._end - 1}"
        self.answer = answer = client.get_object(**parameters)
        self._body = answer["Body"]
        length = answer.get("ContentLength")
        begins = str(answer.get("ContentRange", "")).startswith(f"bytes {self.position}-")
        self._etag = self._etag or answer.get("ETag", "")
        if not isinstance(length, int) or length < 0 or not self._etag:
            raise trouble(Reason.IMPOSSIBLE, "cannot read", self.source.url)
        if answer.get("ETag", "") != self._etag or length != self._end - self.position:
            raise trouble(Reason.CHANGED, "cannot read", self.source.url)
        if not first and not begins:
            raise trouble(Reason.OTHER, "cannot read", self.source.url, detail=" (no ranges)")
        if first and (expected := Expected.of(answer)) is not None:
            self.expected, self._checksum = expected, Checksum(expected.algorithm)

    def _wait(self, error: Exception) -> None:
        """Wait for the next attempt, or raise the reason why there is none."""
        try:
            self._attempts.wait(error)
        except Exception as last:
            failure = explain(last, "cannot read", self.source.url)
            if isinstance(failure, S3Error) and failure.reason == Reason.NO_OBJECT:
                # It was there when it was listed.
                failure = trouble(Reason.CHANGED, "cannot read", self.source.url)
            raise failure from None

    def interrupt(self) -> None:
        """Stop reading at once, for good. Call it from another thread."""
        self._stopped.set()
        with suppress(Exception):  # it may have ended by itself
            self._body._raw_stream.shutdown()

    def close(self) -> None:
        """Release the connection. May be called twice; another `read` opens a new one."""
        if self._body is not None:
            with suppress(Exception):
                self._body.close()
            self._body = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
