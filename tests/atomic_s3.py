"""An S3 server whose conditions hold however many ask at once: one lock around its objects.

moto lets two of eight racing writers win. This one speaks as much of S3 as a dataset in a bucket
needs: PUT with `If-None-Match: *` and Content-MD5, GET with ranges, HEAD, DELETE, and listings of
version 2. It runs in a thread of the test, which may look at the objects, and age them.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from listening import listening
from s3_server import ENVIRONMENT

BUCKET = "a-bucket"


@dataclass
class Stored:
    """An object.

    Attributes:
        content: its bytes.
        metadata: headers `x-amz-meta-…` that it was put with.
        modified: when it was put.
    """

    content: bytes
    metadata: dict[str, str]
    modified: datetime.datetime

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}"'


@dataclass
class AtomicServer:
    """A server that runs, with one bucket.

    Attributes:
        url: its endpoint.
        objects: by their keys.
        honours: whether it knows conditions; else it takes no notice of them.
        requests: methods and keys, in the order in which they were answered.
        overwritten: keys of objects that were put over ones that held something else.
        losing: how many answers get lost, once what was asked for is done: by the method and a part
            of the key.
    """

    url: str = ""
    objects: dict[str, Stored] = field(default_factory=dict)
    honours: bool = True
    requests: list[tuple[str, str]] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    losing: dict[tuple[str, str], int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a process reaches it."""
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.url}

    def age(self, by: datetime.timedelta) -> None:
        """Let all objects be older."""
        with self.lock:
            for one in self.objects.values():
                one.modified -= by


@contextmanager
def run() -> Iterator[AtomicServer]:
    """Start a server in a thread, and end it afterwards."""
    server = AtomicServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _asked(self) -> tuple[str, str, dict[str, list[str]]]:
            url = urlsplit(self.path)
            _, bucket, *rest = url.path.split("/", 2)
            query = parse_qs(url.query, keep_blank_values=True)
            return unquote(bucket), unquote(rest[0] if rest else ""), query

        def do_PUT(self) -> None:
            bucket, key, _ = self._asked()
            body = self._body()
            md5 = b64encode(hashlib.md5(body).digest()).decode()
            if bucket != BUCKET:
                self._refuse(404, "NoSuchBucket")
            elif self.headers.get("Content-MD5", md5) != md5:
                self._refuse(400, "BadDigest")
            else:
                told = {
                    name.lower(): value
                    for name, value in self.headers.items()
                    if name.lower().startswith("x-amz-meta-")
                }
                one = Stored(body, told, datetime.datetime.now(datetime.UTC))
                with server.lock:
                    server.requests.append(("PUT", key))
                    is_there = key in server.objects
                    asks = self.headers.get("If-None-Match") == "*" and server.honours
                    if not (is_there and asks):
                        if is_there and server.objects[key].content != body:
                            server.overwritten.append(key)
                        server.objects[key] = one
                if is_there and asks:
                    self._refuse(412, "PreconditionFailed")
                else:
                    self._say(200, {"ETag": one.etag})

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                raise NotImplementedError
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))

        def do_GET(self) -> None:
            bucket, key, query = self._asked()
            if bucket != BUCKET:
                self._refuse(404, "NoSuchBucket")
            elif not key:
                with server.lock:
                    server.requests.append(("LIST", query["prefix"][0]))
                    body = _listing(server.objects, query)
                self._say(200, {"Content-Type": "application/xml"}, body)
            else:
                self._object("GET", key)

        def do_HEAD(self) -> None:
            self._object("HEAD", self._asked()[1])

        def _object(self, method: str, key: str) -> None:
            with server.lock:
                server.requests.append((method, key))
                one = server.objects.get(key)
            if one is None:
                self._refuse(404, "NoSuchKey")
                return
            modified = format_datetime(one.modified, usegmt=True)
            headers = {"ETag": one.etag, "Last-Modified": modified, **one.metadata}
            content, status = one.content, 200
            if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                begin, end = int(match[1]), int(match[2] or len(content) - 1)
                headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
                content, status = content[begin : end + 1], 206
            self._say(status, headers, content)

        def do_DELETE(self) -> None:
            _, key, _ = self._asked()
            with server.lock:
                server.requests.append(("DELETE", key))
                server.objects.pop(key, None)
            self._say(204, {})

        def _refuse(self, status: int, code: str) -> None:
            body = f"<Error><Code>{code}</Code></Error>".encode()
            self._say(status, {"Content-Type": "application/xml"}, body)

        def _is_lost(self) -> bool:
            with server.lock:
                for (method, part), left in server.losing.items():
                    if self.command == method and part in self.path and left:
                        server.losing[method, part] -= 1
                        return True
            return False

        def _say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            if self._is_lost():
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with listening(Handler) as server.url:
        yield server


def _listing(objects: dict[str, Stored], query: dict[str, list[str]]) -> bytes:
    prefix, after = query["prefix"][0], query.get("continuation-token", [""])[0]
    keys = sorted(
        (key for key in objects if key.startswith(prefix) and key > after),
        key=lambda key: key.encode(),
    )
    page = keys[: int(query.get("max-keys", ["1000"])[0])]
    more = len(keys) > len(page)
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    contents = "".join(
        f"<Contents><Key>{escape(quote(key, safe='/'))}</Key>"
        f"<Size>{len(objects[key].content)}</Size><ETag>{escape(objects[key].etag)}</ETag>"
        f"<LastModified>{objects[key].modified:%Y-%m-%dT%H:%M:%S.%f}Z</LastModified></Contents>"
        for key in page
    )
    encoding = "<EncodingType>url</EncodingType>"
    truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
    return (f"<ListBucketResult>{encoding}{truncated}{token}{contents}</ListBucketResult>").encode()
