"""gpg/input.py: where the message comes from, and in which pieces."""

from __future__ import annotations

from pathlib import Path

import pytest

from decrypting import PLAIN, Ring, decrypt_file, read_all
from edxlogs.generator import keys
from edxlogs.gpg.verdict import Verdict

pytestmark = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))


def test_range_of_a_file(ring: Ring, tmp_path: Path, message: bytes) -> None:
    inside = b"before" * 100 + message + message
    got = decrypt_file(ring.gpg, inside, tmp_path, offset=600, length=len(message))
    assert got == (PLAIN, Verdict(ok=True))


def test_head_was_read_already(ring: Ring, tmp_path: Path, message: bytes) -> None:
    path = tmp_path / "message"
    path.write_bytes(message)
    with path.open("rb", buffering=0) as file:
        head = file.read(512)
        with ring.gpg.open("name", file.fileno(), head=head) as decryption:
            assert read_all(decryption.stdout_fd) == PLAIN
            assert decryption.verdict().ok


class Trickle:
    """A stream that gives little at a time, and may break."""

    def __init__(self, data: bytes, size: int, breaks_at: int | None = None) -> None:
        self.data, self.size, self.at, self.breaks_at = data, size, 0, breaks_at

    def read(self, size: int, /) -> bytes:
        if self.breaks_at is not None and self.at >= self.breaks_at:
            raise ConnectionResetError("connection reset")
        self.at += min(size, self.size)
        return self.data[self.at - min(size, self.size) : self.at]


@pytest.mark.parametrize("size", [1, 7, 8192])
def test_stream_in_pieces(ring: Ring, size: int) -> None:
    message = ring.encrypt(data=PLAIN[:30_000]) + b"after"
    with ring.gpg.open("name", Trickle(message, size)) as decryption:
        assert read_all(decryption.stdout_fd) == PLAIN[:30_000]
        verdict = decryption.verdict()
    assert verdict.ok
    assert verdict.warning == "name: 5 bytes after the OpenPGP message were ignored"


def test_broken_stream_is_not_a_cut_message(ring: Ring, message: bytes) -> None:
    with ring.gpg.open("name", Trickle(message, 4096, breaks_at=100_000)) as decryption:
        read_all(decryption.stdout_fd)
        verdict = decryption.verdict()
    assert verdict == Verdict(error=verdict.error)
    assert isinstance(verdict.error, ConnectionResetError)  # as it was raised
