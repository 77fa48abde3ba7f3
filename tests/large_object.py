"""An S3 server of one object that is larger than any memory should be: its bytes are made as asked.

It speaks as much of S3 as `edxlogs sync` needs: a list of one object, HEAD, and GET with a range.
"""

from __future__ import annotations

import hashlib
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BUCKET, KEY = "a-bucket", "universityx-2014-10-05.zip"
_BLOCK = random.Random(3).randbytes(1 << 20)
_ETAG = '"0123456789abcdef0123456789abcdef-384"'


def pieces(begin: int, end: int) -> Iterator[bytes]:
    """The bytes of the object from `begin` to before `end`; no mebibyte is like another."""
    while begin < end:
        number, offset = divmod(begin, len(_BLOCK))
        block = number.to_bytes(8) + _BLOCK[8:]
        piece = block[offset : offset + end - begin]
        begin += len(piece)
        yield piece


def sha256(size: int) -> str:
    """Of the whole object."""
    digest = hashlib.sha256()
    for piece in pieces(0, size):
        digest.update(piece)
    return digest.hexdigest()


@dataclass
class LargeObject:
    """A server that runs.

    Attributes:
        url: its endpoint.
        size: bytes of the object.
        asked: the first byte of each GET.
    """

    url: str
    size: int
    asked: list[int] = field(default_factory=list)


@contextmanager
def run(size: int) -> Iterator[LargeObject]:
    """Start a server of an object of that size, and end it afterwards."""
    server: LargeObject

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path)
            if path.path == f"/{BUCKET}":
                self._answer(200, [_listing(size)])
                return
            asked = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", "bytes=0-"))
            assert asked is not None
            begin = int(asked[1])
            server.asked.append(begin)
            self._answer(206 if begin else 200, pieces(begin, size), begin)

        def do_HEAD(self) -> None:
            self._answer(200, [])

        def _answer(self, status: int, body: Iterator[bytes] | list[bytes], begin: int = 0) -> None:
            self.send_response(status)
            length = sum(map(len, body)) if isinstance(body, list) and body else size - begin
            if not (isinstance(body, list) and body):
                self.send_header("ETag", _ETAG)
                self.send_header("Last-Modified", "Sun, 05 Oct 2014 12:00:00 GMT")
                if begin:
                    self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
            self.send_header("Content-Length", str(length))
            self.end_headers()
            for piece in body:
                self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that goes away is no error here."""

    listener = Listener(("127.0.0.1", 0), Handler)
    server = LargeObject(f"http://127.0.0.1:{listener.server_address[1]}", size)
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _listing(size: int) -> bytes:
    return (
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
        f"<Key>{KEY}</Key><Size>{size}</Size><ETag>{_ETAG}</ETag>"
        "<LastModified>2014-10-05T12:00:00.000Z</LastModified>"
        "</Contents></ListBucketResult>"
    ).encode()
