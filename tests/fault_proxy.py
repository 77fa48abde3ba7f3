"""An HTTP proxy between boto and a server that does what networks and servers do at their worst.

Each request takes the first fault that is meant for it; without one it is passed on as it is. All
requests are written down.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """A request as it came, and what was sent of its answer.

    Attributes:
        method: GET, PUT, ….
        path: path, decoded.
        query: what follows the question mark.
        range: the Range header, or None.
        status: of the answer; 0 if there was none.
        sent: bytes of its body that were passed on.
    """

    method: str
    path: str
    query: str
    range: str | None
    status: int
    sent: int

    @property
    def is_list(self) -> bool:
        """Whether it lists objects."""
        return self.method == "GET" and "list-type=2" in self.query


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong; exactly the attributes that are set do.

    Attributes:
        cut: break the connection after so many bytes of the body.
        stall: say nothing for `seconds` after so many bytes of the body, then break.
        status: answer with this status, and `code` in the body as S3 does, without asking the
            server.
        headers: of that answer.
        etag: claim this ETag.
        wrong: change the last byte of the body, and keep its length.
        rate: pass on so many bytes of the body a second.
        silent: break the connection without an answer.
        before: called before the request is passed on, to change what is there; what comes
            meanwhile, as from a client that waits no longer, is passed on when it is changed.
    """

    cut: int | None = None
    stall: int | None = None
    seconds: float = 30.0
    status: int | None = None
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = None
    wrong: bool = False
    rate: float | None = None
    silent: bool = False
    before: Callable[[], object] | None = None


@dataclass
class _Planned:
    fault: Fault
    method: str
    part: str
    times: int


class FaultProxy:
    """See `run`.

    Attributes:
        url: the endpoint to give to boto.
        rate: pass on so many bytes of every body a second, where no fault says another rate.
    """

    def __init__(self, server: str) -> None:
        upstream = urlsplit(server)
        self._upstream = (upstream.hostname or "", upstream.port or 80)
        self._planned: list[_Planned] = []
        self._lock = threading.Condition()
        self._changing = threading.Lock()
        self.rate: float | None = None
        self._requests: list[Request] = []
        self._under_way = 0
        self._ended = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A client that goes away is no error here."""

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}"
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def plan(self, fault: Fault, *, method: str = "GET", part: str = "", times: int = 1) -> None:
        """Let a fault happen to the next requests that it is meant for.

        Args:
            fault: what happens.
            method: of the request.
            part: something that its path or query holds, as it was sent.
            times: to how many; a fault that was planned earlier goes first.
        """
        with self._lock:
            self._planned.append(_Planned(fault, method, part, times))

    @property
    def requests(self) -> list[Request]:
        """All that came, in the order in which their answers ended."""
        with self._lock:
            # A client may have its answer before we have written it down.
            self._lock.wait_for(lambda: self._under_way == 0, timeout=5)
            return list(self._requests)

    def reset(self) -> None:
        """Forget all plans and requests."""
        with self._lock:
            self._lock.wait_for(lambda: self._under_way == 0, timeout=5)
            self._planned.clear()
            self._requests.clear()

    def close(self) -> None:
        """End it, and what waits in it."""
        self._ended.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def _take(self, method: str, target: str) -> Fault:
        with self._lock:
            self._under_way += 1
            for planned in self._planned:
                if planned.times and planned.method == method and planned.part in target:
                    planned.times -= 1
                    return planned.fault
        return Fault()

    def _handle(self, client: BaseHTTPRequestHandler) -> None:
        body = client.rfile.read(int(client.headers.get("Content-Length", 0)))
        fault = self._take(client.command, client.path)
        url = urlsplit(client.path)
        status = sent = 0
        try:
            with self._changing:
                if fault.before is not None:
                    fault.before()
            if fault.silent:
                _break(client)
            elif fault.status is not None:
                status = fault.status
                self._refuse(client, fault)
            else:
                connection = http.client.HTTPConnection(*self._upstream, timeout=60)
                try:
                    headers = {k: v for k, v in client.headers.items() if k != "Connection"}
                    connection.request(client.command, client.path, body, headers)
                    answer = connection.getresponse()
                    status = answer.status
                    for count in self._pass_on(client, answer, fault):
                        sent += count
                finally:
                    connection.close()
        except OSError:
            client.close_connection = True
        finally:
            with self._lock:
                self._under_way -= 1
                self._lock.notify_all()
                self._requests.append(
                    Request(
                        client.command,
                        unquote(url.path),
                        url.query,
                        client.headers.get("Range"),
                        status,
                        sent,
                    )
                )

    def _refuse(self, client: BaseHTTPRequestHandler, fault: Fault) -> None:
        assert fault.status is not None
        text = f"<Error><Code>{fault.code}</Code><Message>planned</Message></Error>".encode()
        client.send_response(fault.status)
        for name, value in fault.headers.items():
            client.send_header(name, value)
        client.send_header("Content-Type", "application/xml")
        client.send_header("Content-Length", str(len(text)))
        client.end_headers()
        if client.command != "HEAD":
            client.wfile.write(text)

    def _pass_on(
        self, client: BaseHTTPRequestHandler, answer: http.client.HTTPResponse, fault: Fault
    ) -> Iterator[int]:
        """Pass an answer on, yielding the sizes of the pieces of its body."""
        client.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() in ("connection", "transfer-encoding"):
                continue
            if name.lower() == "etag" and fault.etag is not None:
                value = fault.etag
            client.send_header(name, value)
        client.end_headers()
        left = 0 if client.command == "HEAD" else int(answer.headers.get("Content-Length", 0))
        sent = 0
        end = fault.cut if fault.cut is not None else fault.stall
        rate = self.rate if fault.rate is None else fault.rate
        while left:
            size = min(left, _CHUNK_BYTES)
            if rate is not None:
                size = max(1, min(size, int(rate / 20)))
            if end is not None:
                size = min(size, end - sent)
            if size == 0:
                client.wfile.flush()
                if fault.stall is not None:
                    self._ended.wait(fault.seconds)
                _break(client)
                return
            data = answer.read(size)
            if not data:
                raise ConnectionResetError
            left -= len(data)
            if fault.wrong and not left:
                data = data[:-1] + bytes([data[-1] ^ 1])
            client.wfile.write(data)
            sent += len(data)
            yield len(data)
            if rate is not None:
                time.sleep(len(data) / rate)


def _break(client: BaseHTTPRequestHandler) -> None:
    """Close so that the other side gets a reset, not an end."""
    with suppress(OSError):
        linger = struct.pack("ii", 1, 0)
        client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close_connection = True


@contextmanager
def run(server: str) -> Iterator[FaultProxy]:
    """Start a proxy before a server's endpoint, and end it afterwards."""
    proxy = FaultProxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
