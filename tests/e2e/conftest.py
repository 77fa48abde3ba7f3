"""The command `edxlogs sync` before a server and a proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Done, run
from fault_proxy import FaultProxy
from s3_server import ENVIRONMENT
from syncing import Sync


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "packages"


@pytest.fixture
def sync(proxy: FaultProxy, folder: Path, tmp_path: Path) -> Sync:
    """Runs the command against the proxy; a credential is never told."""

    def sync(*words: str, code: int = 0, **environment: str) -> Done:
        environment["AWS_ENDPOINT_URL"] = proxy.url
        done = run("sync", *words, folder.name, cwd=tmp_path, stdin=b"", seconds=60, **environment)
        assert done.code == code, done.stderr
        for secret in (ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]):
            assert secret not in done.stderr + done.stdout.decode()
        return done

    return sync
