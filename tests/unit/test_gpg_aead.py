"""Messages with AEAD instead of an MDC, by the real gpg: GnuPG 2.3 and later write them.

`data/aead/` holds a throw-away key and a message of packet 20 with AES-256 in OCB mode, in chunks
of 1 KiB. GnuPG 2.2 only reads such messages, so this one was put together by a library's OCB.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from decrypting import Decrypt, decrypt_file
from edxlogs.generator import keys
from edxlogs.gpg.process import Gpg

DATA = Path(__file__).parents[1] / "data" / "aead"
MESSAGE = (DATA / "message.gpg").read_bytes()
PLAIN = b"".join(b"line %d\n" % number for number in range(1000))


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    if keys.missing():
        pytest.skip(str(keys.missing()))
    with keys.home() as path:
        keys.gpg(path, "--import", str(DATA / "key.asc"))
        gpg = Gpg(home=path, prompt=False)
        if gpg.version() < (2, 2, 21):
            pytest.skip("this gpg reads no AEAD")
        yield gpg


def test_whole(gpg: Gpg, decrypt: Decrypt) -> None:
    plain, verdict = decrypt(gpg, MESSAGE)
    assert plain == PLAIN
    assert verdict.ok
    assert verdict.warning is None


def test_altered_anywhere_is_never_ok(gpg: Gpg, tmp_path: Path) -> None:
    """Also in the last tag, which no byte of plaintext depends on."""
    for at in (150, 200, len(MESSAGE) // 2, len(MESSAGE) - 20, len(MESSAGE) - 1):
        message = bytearray(MESSAGE)
        message[at] ^= 1
        _, verdict = decrypt_file(gpg, bytes(message), tmp_path)
        assert not verdict.ok
        assert not verdict.unauthenticated, at
        assert verdict.error is not None


def test_what_precedes_a_cut_is_unauthenticated(gpg: Gpg, decrypt: Decrypt) -> None:
    """Where gpg gives nothing, there is nothing to salvage. gpg 2.2 may end with zeros."""
    for length in (len(MESSAGE) - 3, len(MESSAGE) - 20, len(MESSAGE) // 2, 300):
        plain, verdict = decrypt(gpg, MESSAGE[:length])
        assert PLAIN.startswith(plain.rstrip(b"\0"))
        assert not verdict.ok
        assert verdict.unauthenticated is bool(plain)
        assert verdict.unauthenticated or length < len(MESSAGE) - 1024
        assert "cut off" in str(verdict.error)


def test_bytes_after_it_are_left_aside(gpg: Gpg, tmp_path: Path) -> None:
    """They spoil the check, so the message is read again without them."""
    _, verdict = decrypt_file(gpg, MESSAGE + b"garbage", tmp_path)
    assert (verdict.ok, verdict.retry, verdict.length) == (False, True, len(MESSAGE))
    plain, verdict = decrypt_file(gpg, MESSAGE + b"garbage", tmp_path, length=len(MESSAGE))
    assert (plain, verdict.ok) == (PLAIN, True)
