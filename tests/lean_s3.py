"""An S3 server that costs little beside its clients, of many objects or of a very large one.

For benches and tests of memory: the bytes of an object, a plain log, are made as they are asked
for. It speaks as much of S3 as edxlogs and its peers need: lists with prefixes and pages, HEAD, and
GET with a range. `lean_s3.py COUNT SIZE LOG` serves until it is ended.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import commands
from listening import Listener

BUCKET = "a-bucket"
BLOCK_BYTES = 1 << 20
_PLACE_BYTES = 16  # a block begins with a line that says which one it is
_MODIFIED = "2014-10-05T12:00:00.000Z", "Sun, 05 Oct 2014 12:00:00 GMT"
_LARGE = 8 << 20  # from here on an object counts as put in parts, so that its ETag is no MD5


def key_of(number: int) -> str:
    """The key of one of the objects."""
    return f"universityx/prod/events/{2000 + number // 336}/{number:06}.log.gz.gpg"


def _events() -> list[bytes]:
    """The lines of every block after its first one, the last of them blank."""
    lines: list[bytes] = []
    left = BLOCK_BYTES - _PLACE_BYTES
    while left > 2000:
        lines.append(commands.event(len(lines)))
        left -= len(lines[-1])
    return [*lines, b" " * (left - 1) + b"\n"]


_EVENTS = _events()
EVENTS = len(_EVENTS) - 1  # in a block, of users 0, 1, …
_BLOCK = b"".join(_EVENTS)


def pieces(number: int, begin: int, end: int) -> Iterator[bytes]:
    """Bytes of an object from `begin` to before `end`; no block is like another."""
    while begin < end:
        block, offset = divmod(begin, BLOCK_BYTES)
        content = b"%07d%08d\n" % (number, block) + _BLOCK
        piece = content[offset : offset + end - begin]
        begin += len(piece)
        yield piece


def sha256_of(number: int, size: int) -> str:
    """Of all bytes of an object."""
    return _digest("sha256", number, size)


def _digest(name: str, number: int, size: int) -> str:
    digest = hashlib.new(name)
    for piece in pieces(number, 0, size):
        digest.update(piece)
    return digest.hexdigest()


@dataclass(frozen=True)
class LeanServer:
    """A server that runs, in a process of its own.

    Attributes:
        url: its endpoint.
        log: file to which it writes the first byte of each GET of an object.
    """

    url: str
    log: Path

    def asked(self) -> list[int]:
        """The first byte of each GET of an object, in their order."""
        return [int(line) for line in self.log.read_text().splitlines()]


@contextmanager
def run(count: int, size: int, log: Path) -> Iterator[LeanServer]:
    """Start a server of so many objects of that size, and end it afterwards."""
    log.touch()
    process = subprocess.Popen(
        [sys.executable, __file__, str(count), str(size), str(log)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield LeanServer(f"http://127.0.0.1:{int(process.stdout.readline())}", log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def serve(count: int, size: int, log: Path) -> None:
    """Serve until the process is ended; the port is told on standard output."""
    numbers = {key_of(number): number for number in range(count)}
    etags = {
        key: f'"{"0" * 32}-2"' if size >= _LARGE else f'"{_digest("md5", number, size)}"'
        for key, number in numbers.items()
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # it would wait 40 ms for the last bytes of a body

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            key = unquote(url.path).removeprefix(f"/{BUCKET}").lstrip("/")
            if not key:
                body = _listing(parse_qs(url.query), etags, size)
                self._head(200, len(body), {"Content-Type": "application/xml"})
                self.wfile.write(body)
                return
            match = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", "bytes=0-"))
            begin = int(match[1]) if match else 0
            with log.open("a") as file:
                file.write(f"{begin}\n")
            self._object(key, begin)
            for piece in pieces(numbers[key], begin, size):
                self.wfile.write(piece)

        def do_HEAD(self) -> None:
            self._object(unquote(self.path).removeprefix(f"/{BUCKET}/"), 0)

        def _object(self, key: str, begin: int) -> None:
            headers = {"ETag": etags[key], "Last-Modified": _MODIFIED[1]}
            if begin:
                headers["Content-Range"] = f"bytes {begin}-{size - 1}/{size}"
            self._head(206 if begin else 200, size - begin, headers)

        def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listener = Listener(("127.0.0.1", 0), Handler)
    print(listener.server_address[1], flush=True)
    listener.serve_forever()


def _listing(query: dict[str, list[str]], etags: dict[str, str], size: int) -> bytes:
    prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
    keys = [key for key in sorted(etags) if key.startswith(prefix) and key > after]
    page = keys[: int(query.get("max-keys", ["1000"])[0])]
    more = len(keys) > len(page)
    token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
    contents = "".join(
        f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etags[key]}</ETag>"
        f"<LastModified>{_MODIFIED[0]}</LastModified></Contents>"
        for key in page
    )
    truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
    return f"<ListBucketResult>{truncated}{token}{contents}</ListBucketResult>".encode()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
