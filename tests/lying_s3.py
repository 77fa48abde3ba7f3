"""A server that says what a test tells it to say, true or not: raw answers to S3's requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from listening import listening

BUCKET = "a-bucket"


@dataclass
class LyingServer:
    """See `run`.

    Attributes:
        url: its endpoint.
        listing: the body of each answer to a listing, told the number of the request from 0; one
            that is no bytes is sent without a length, until nobody takes more.
        head: headers of the answer to HEAD.
        get: headers of the answer to GET of an object.
        body: what follows them.
        sent: bytes of bodies that were sent.
        requests: the methods of those that came.
    """

    url: str = ""
    listing: Callable[[int], bytes | Iterable[bytes]] = lambda _: listing()
    head: dict[str, str] = field(default_factory=dict)
    get: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    sent: int = 0
    requests: list[str] = field(default_factory=list)


def contents(key: str = "a.log", size: object = 5, etag: str = '"e"') -> str:
    """An object in a listing."""
    return (
        f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag>"
        "<LastModified>2014-10-05T12:00:00.000Z</LastModified></Contents>"
    )


def listing(*objects: str, token: str | None = None, more: bool | None = None) -> bytes:
    """A page of a listing."""
    truncated = str(token is not None if more is None else more).lower()
    said = "" if token is None else f"<NextContinuationToken>{token}</NextContinuationToken>"
    return (
        f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{said}{''.join(objects)}"
        "</ListBucketResult>"
    ).encode()


@contextmanager
def run() -> Iterator[LyingServer]:
    """Start a server in a thread, and end it afterwards."""
    server = LyingServer()
    listings = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            server.requests.append("HEAD")
            self._say(server.head)

        def do_GET(self) -> None:
            nonlocal listings
            if "list-type=2" in self.path:
                server.requests.append("LIST")
                body = server.listing(listings)
                listings += 1
                length = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {}
                self._say({"Content-Type": "application/xml", **length}, body)
            else:
                server.requests.append("GET")
                self._say(server.get, server.body)

        def _say(self, headers: dict[str, str], body: bytes | Iterable[bytes] = b"") -> None:
            self.send_response_only(206 if "Content-Range" in headers else 200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            with suppress(OSError):
                for piece in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(piece)
                    server.sent += len(piece)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with listening(Handler) as server.url:
        yield server
