"""Requests that transfer files to and from a bucket, and what the server guarantees about them."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from base64 import b64encode
from collections import deque
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

from edxlogs.errors import ConfigError, OutputError, S3Error
from edxlogs.s3.client import S3, S3Object
from edxlogs.s3.errors import Reason, explain
from edxlogs.s3.reader import S3Reader
from edxlogs.s3.retry import Attempts
from edxlogs.store import disk
from edxlogs.text import shown

MOST_BYTES = 5 << 30  # that one request can put
SHA256 = "edxlogs-sha256"  # metadata of what is put here
WRITE, READ, LIST = "cannot write", "cannot read", "cannot list"
WINDOW_BYTES = 512 << 10  # fetched at once
_BEGUN = b"A dataset of edxlogs.\n"
_WINDOWS = 2  # kept


def put_file(s3: S3, bucket: str, key: str, path: Path, sha256: str, **condition: str) -> None:
    """Put a file. The server compares its bytes with their MD5.

    Raises:
        S3Error: it was refused, or every attempt failed.
        OSError: the file cannot be read, or is too large.
    """
    url = f"s3://{bucket}/{key}"
    if path.stat().st_size > MOST_BYTES:
        raise OutputError(
            f"output: {shown(url)}: is larger than 5 GiB, the most that one request can put; give a"
            " smaller --target-file-size"
        )
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).digest()

        def send() -> None:
            file.seek(0)
            s3.client(bucket).put_object(
                Bucket=bucket,
                Key=key,
                Body=file,
                ContentMD5=b64encode(digest).decode(),
                Metadata={SHA256: sha256},
                **s3.payer,
                **condition,
            )

        disk.step("put-object", url)
        try:
            Attempts(s3.reached).run(send)
        except Exception as error:
            raise explain(error, WRITE, url) from None


def get(s3: S3, bucket: str, key: str) -> bytes:
    """A small object. Raises S3Error."""

    def fetch() -> bytes:
        with s3.client(bucket).get_object(Bucket=bucket, Key=key, **s3.payer)["Body"] as body:
            content: bytes = body.read()
            return content

    try:
        return Attempts(s3.reached).run(fetch)
    except Exception as error:
        raise explain(error, READ, f"s3://{bucket}/{key}") from None


def read_range(s3: S3, source: S3Object, at: int, size: int) -> bytes:
    """Bytes of an object; fewer only if it ends. Raises S3Error."""
    with S3Reader(s3, source, offset=at, length=size) as reader:
        return b"".join(iter(reader.read, b""))


class Ranges:
    """Bytes of an object, fetched in larger pieces than are asked for."""

    def __init__(self, s3: S3, source: S3Object) -> None:
        self._s3 = s3
        self._source = source
        self._windows: deque[tuple[int, bytes]] = deque(maxlen=_WINDOWS)

    def read(self, at: int, size: int) -> bytes:
        """The `size` bytes from an offset. Raises S3Error."""
        for begin, content in self._windows:
            if begin <= at and at + size <= begin + len(content):
                return content[at - begin : at - begin + size]
        begin = 0 if self._source.size <= WINDOW_BYTES else at
        content = read_range(self._s3, self._source, begin, max(size, WINDOW_BYTES))
        self._windows.append((begin, content))
        return content[at - begin : at - begin + size]


def honours_conditions(s3: S3, bucket: str, key: str) -> bool:
    """Whether a server accepts an object only if it does not exist. The object exists afterwards.

    Raises:
        S3Error: the bucket cannot be written to.
    """
    for _ in range(2):
        try:
            disk.step("put-object", f"s3://{bucket}/{key}")
            s3.call("put_object", bucket, WRITE, Key=key, IfNoneMatch="*", Body=_BEGUN)
        except S3Error as error:
            if error.reason == Reason.UNSUPPORTED:
                return False
            if error.reason != Reason.CHANGED:
                raise
            return True
    return False


def without_conditions(name: str) -> ConfigError:
    """The error for a server that cannot hold datasets."""
    return ConfigError(
        f"output: {name}: the server does not honour If-None-Match, so two runs at once could undo"
        " each other's commits; name a local folder, or another --endpoint-url"
    )


def probe(s3: S3, bucket: str, prefix: str) -> None:
    """Find out whether a dataset can be below a prefix, and leave nothing there.

    Raises:
        ConfigError: the server does not honour conditions.
        S3Error: the bucket cannot be written to, or objects there cannot be deleted.
    """
    key = f"{prefix}probe-{uuid.uuid4().hex}"
    honours = honours_conditions(s3, bucket, key)
    s3.call("delete_object", bucket, "cannot delete", Key=key)
    if not honours:
        raise without_conditions(f"s3://{bucket}/{shown(prefix)}")


def now_of(answer: dict[str, Any]) -> datetime.datetime:
    """When a server answered, by its own clock."""
    told = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(told).astimezone(datetime.UTC)
    return datetime.datetime.now(datetime.UTC)
