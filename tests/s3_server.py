"""Real S3 servers on loopback, in processes of their own.

For tests, the demo and the benches: nothing here needs pytest. moto's (`run`) keeps all objects in
memory, knows every access key, and checks neither signatures nor permissions: what a server refuses
is played by `fault_proxy`. s3s-fs (`run_large`) keeps objects in files, and checks signatures.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Credentials that the server knows, and no file of the user's."""

_LARGE = Path(__file__).parents[1] / "target" / "tools" / "bin" / "s3s-fs"
_SERVE = """
import logging, sys
logging.getLogger("werkzeug").disabled = True
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        url: its endpoint.
        pid: its process.
    """

    url: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a process of its own reaches it, and nothing else of AWS."""
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.url}

    def client(self) -> Any:
        """A boto3 client of the test's own, not the product's."""
        return client(self.url)

    def bucket(self, name: str, objects: dict[str, bytes] | None = None) -> str:
        """Make a bucket with objects, by their keys; its name."""
        s3 = self.client()
        s3.create_bucket(Bucket=name)
        for key, content in (objects or {}).items():
            s3.put_object(Bucket=name, Key=key, Body=content)
        return name

    def reset(self) -> None:
        """Delete all buckets."""
        import urllib.request

        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        urllib.request.urlopen(request).close()


def client(url: str) -> Any:
    """A boto3 client for an endpoint."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


@contextmanager
def run() -> Iterator[Server]:
    """Start a server, and end it afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C of a test is not meant for it
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def missing_large() -> str | None:
    """Say why `run_large` cannot run here, or None."""
    if _LARGE.is_file():
        return None
    return "s3s-fs is not installed: make target/tools/bin/s3s-fs"


@contextmanager
def run_large(folder: Path) -> Iterator[Server]:
    """Start a server that keeps large objects in an empty folder, and end it afterwards."""
    keys = [ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [
                str(_LARGE),
                *("--host", "127.0.0.1", "--port", "0"),
                *("--access-key", keys[0], "--secret-key", keys[1]),
                str(folder),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "RUST_LOG": "info", "NO_COLOR": "1"},
        )
        try:
            yield Server(_announced(process, log.fileno()), process.pid)
        finally:
            process.kill()
            process.wait()


def _announced(process: subprocess.Popen[bytes], log: int) -> str:
    """The endpoint, from the server's log, once it is there."""
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(rb"http://127\.0\.0\.1:[0-9]+", os.pread(log, 1 << 16, 0)):
            return found[0].decode()
        time.sleep(0.02)
    raise RuntimeError("s3s-fs does not start")
