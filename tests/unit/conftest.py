"""Key rings and messages, made once for all modules that decrypt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from decrypting import NAMES, PLAIN, Ring, decrypt_file, decrypt_pipe
from edxlogs.generator import keys
from edxlogs.gpg.process import Gpg


@pytest.fixture(scope="session")
def ring() -> Iterator[Ring]:
    with keys.home() as path:
        for kind, name in NAMES.items():
            keys.make_key(path, name, kind)
        yield Ring(path, Gpg(home=path, prompt=False))


@pytest.fixture(scope="session")
def stranger() -> Iterator[Path]:
    """A key ring with a key that the other ring does not know."""
    with keys.home() as path:
        keys.make_key(path, "stranger@elsewhere.example", "cv25519")
        yield path


@pytest.fixture(scope="session")
def locked() -> Iterator[Path]:
    with keys.home() as path:
        keys.make_key(path, "locked@univx.example", "cv25519", passphrase="open sesame")
        yield path


@pytest.fixture(scope="session")
def message(ring: Ring) -> bytes:
    """Packets of unknown length around a compression layer: the hardest case for gpg 2.2."""
    return ring.encrypt("--compress-algo", "zlib")


@pytest.fixture(scope="session")
def bare(ring: Ring, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A packet of known length, not compressed."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "plain").write_bytes(PLAIN)
    keys.encrypt_file(
        ring.path, ["a@univx.example"], folder / "plain", folder / "out", "--compress-algo", "none"
    )
    return (folder / "out").read_bytes()


@pytest.fixture(params=["file", "pipe"])
def decrypt(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    if request.param == "file":
        return lambda gpg, message: decrypt_file(gpg, message, tmp_path)
    return decrypt_pipe
