"""A real S3 server on loopback, in a process of its own.

For tests, the demo and the benches: nothing here needs pytest. moto's (`run`) keeps all objects in
memory, knows every access key, and checks neither signatures nor permissions: what a server refuses
is played by `fault_proxy`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
