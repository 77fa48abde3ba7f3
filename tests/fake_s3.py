"""A bucket in memory, behind the calls of boto3 that reading takes: for laws, which ask often.

Tests of what goes over the network use `s3_server` and `fault_proxy`.
"""

from __future__ import annotations

import datetime
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from edxlogs.s3.client import S3

BUCKET = "a-bucket"
_FIRST = datetime.datetime(2014, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Stored:
    """One version of an object.

    Attributes:
        content: its bytes.
        etag: with its quotation marks.
        modified: when it was put there.
        headers: what answers hold beside these.
        is_unlisted: whether listings do not tell its ETag.
        is_verifiable: whether it can be seen that its bytes are others.
    """

    content: bytes
    etag: str
    modified: datetime.datetime
    headers: dict[str, str]
    is_unlisted: bool

    @property
    def is_verifiable(self) -> bool:
        return "-" not in self.etag and not self.headers


class Body:
    """The body of an answer, each piece of which is served by a function."""

    def __init__(self, content: bytes, serve: Callable[[bytes], bytes]) -> None:
        self._content = io.BytesIO(content)
        self._serve = serve

    def read(self, size: int) -> bytes:
        data = self._content.read(size)
        return self._serve(data) if data else data

    def close(self) -> None:
        """Nothing is open."""


def honest(_: Stored, data: bytes) -> bytes:
    """Spoil nothing."""
    return data


class FakeS3(S3):
    """One bucket.

    Attributes:
        stored: the newest version of each key.
        requests: operations and keys, in order.
        served: bytes of each version that were given out, by key and ETag.
        spoil: applied to each piece of a version's body; may raise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Stored] = {}
        self.requests: list[tuple[str, str]] = []
        self.served: dict[tuple[str, str], int] = {}
        self.spoil: Callable[[Stored, bytes], bytes] = honest
        self._puts = 0

    def put(self, key: str, content: bytes, kind: str = "single") -> None:
        """Put an object there: `single`, in `parts`, under `kms`, or with an `unlisted` ETag."""
        self._puts += 1
        etag, headers = f'"{hashlib.md5(content).hexdigest()}"', {}
        if kind == "parts":
            etag = f'"{hashlib.md5(content + b"parts").hexdigest()}-2"'
        elif kind == "kms":
            etag = f'"{hashlib.md5(content + b"kms").hexdigest()}"'
            headers = {"ServerSideEncryption": "aws:kms"}
        modified = _FIRST + datetime.timedelta(seconds=self._puts)
        self.stored[key] = Stored(content, etag, modified, headers, kind == "unlisted")

    def client(self, bucket: str) -> Any:
        assert bucket == BUCKET
        return self

    def warning(self, bucket: str) -> str | None:
        return None

    def list_objects_v2(self, **asked: Any) -> dict[str, Any]:
        self.requests.append(("list", asked["Prefix"]))
        return {
            "Contents": [
                {
                    "Key": key,
                    "Size": len(one.content),
                    "LastModified": one.modified,
                    **({} if one.is_unlisted else {"ETag": one.etag}),
                }
                for key, one in sorted(self.stored.items())
                if key.startswith(asked["Prefix"])
            ]
        }

    def head_object(self, **asked: Any) -> dict[str, Any]:
        self.requests.append(("head", asked["Key"]))
        one = self._find(**asked)
        return {
            "ContentLength": len(one.content),
            "ETag": one.etag,
            "LastModified": one.modified,
            **one.headers,
        }

    def get_object(self, **asked: Any) -> dict[str, Any]:
        key = asked["Key"]
        self.requests.append(("get", key))
        one = self._find(**asked)
        begin = int(asked.get("Range", "bytes=0-")[6:].split("-")[0])
        answer = {"ETag": one.etag, "ContentLength": len(one.content) - begin, **one.headers}
        if "Range" in asked:
            end = len(one.content)
            answer["ContentRange"] = f"bytes {begin}-{end - 1}/{end}"

        def serve(data: bytes) -> bytes:
            given = self.spoil(one, data)
            self.served[key, one.etag] = self.served.get((key, one.etag), 0) + len(given)
            return given

        answer["Body"] = Body(one.content[begin:], serve)
        return answer

    def _find(self, **asked: Any) -> Stored:
        one = self.stored.get(asked["Key"])
        if one is None:
            raise _error("NoSuchKey", 404)
        if asked.get("IfMatch", one.etag) != one.etag:
            raise _error("PreconditionFailed", 412)
        return one


def _error(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Get"
    )
