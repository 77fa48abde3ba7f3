"""gpg/frame.py: what is taken for an encrypted message, and what is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decrypting import Ring
from edxlogs.generator import keys
from edxlogs.gpg.frame import Frame, looks_like_openpgp


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{",
        b'{"event": "-----BEGIN PGP MESSAGE-----"}',
        b"-----BEGIN PGP MESSAGE-----x",
        b"-----BEGIN PGP SIGNATURE-----\n",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
        b"\x1f\x8b\x08\x00" + bytes(100),
        b"\x28\xb5\x2f\xfd" + bytes(100),
        b"BZh91AY&SY",
        b"PK\x03\x04",
        bytes(512),
        b"\xff" * 512,
        b"\xef\xbb\xbf{}",
        "\ufeff{}".encode("utf-16-le") * 20,
        "Éric {".encode() * 20,
        "Éric {".encode("latin-1") * 20,
        "é{".encode() * 100,
        "ɐɑɒɓ\0 text\n".encode() * 20,
        "Ҁ text, old Cyrillic\n".encode() * 20,
        ("été.log".encode("latin-1") + bytes(250) + b"ustar\x0000").ljust(512, b"\0"),
        (b"\x84\x5e\x03.log".ljust(257, b"\0") + b"ustar\x0000").ljust(512, b"\0"),
        b"\x85\x01\x0c",
        b"\x85\x01\x0c\x04" + bytes(100),
    ],
)
def test_not_openpgp(head: bytes) -> None:
    assert not looks_like_openpgp(head)


def test_random_text_is_never_openpgp() -> None:
    choose = random.Random(11)
    for encoding in ("utf-8", "latin-1", "cp1252"):
        for _ in range(3000):
            letters = [chr(choose.randrange(32, 0x250)) for _ in range(40)]
            text = "".join(letters).encode(encoding, "replace")
            if encoding == "latin-1":
                text = bytes(b for b in text if b >= 32)
            assert not looks_like_openpgp(text), text


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_every_first_byte_of_keys_is_known(ring: Ring, bare: bytes) -> None:
    for options in (["--hidden-recipient", "c@univx.example"], ["--recipient", "b@univx.example"]):
        message = keys.gpg(
            ring.path, "--trust-model", "always", *options, "--encrypt", data=b"tiny"
        )
        assert looks_like_openpgp(message)
        assert looks_like_openpgp(b"\xca\x03PGP" + message)
        assert not looks_like_openpgp(keys.gpg(ring.path, "--export"))


def packet(parts: list[int]) -> bytes:
    """An encrypted packet whose body comes in parts of these powers of two, and a last one."""
    body = b"".join(bytes([224 + power]) + bytes([power]) * (1 << power) for power in parts)
    return b"\xd2" + body + b"\xff" + (700).to_bytes(4, "big") + bytes(700)


@given(
    parts=st.lists(st.integers(0, 9), max_size=4),
    trailing=st.binary(max_size=60),
    cut=st.integers(0, 800),
    pieces=st.lists(st.integers(1, 400), min_size=1, max_size=50),
)
def test_what_is_passed_over_need_not_be_seen(
    parts: list[int], trailing: bytes, cut: int, pieces: list[int]
) -> None:
    recipient = b"\xc1\x03abc"
    data = recipient + packet(parts) + trailing
    data = data[: len(data) - cut]
    whole, passed = Frame(armored=False), Frame(armored=False)
    whole.feed(data)
    at = 0
    turn = 0
    while at < len(data):
        piece = data[at : at + pieces[turn % len(pieces)]]
        turn += 1
        passed.feed(piece)
        at += len(piece)
        at += passed.pass_over(len(data) - at)
    assert passed == whole
    if not cut:
        assert (passed.complete, passed.trailing) == (True, len(trailing))
