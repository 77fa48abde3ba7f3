"""gpg/verdict.py: messages that are not whole and unaltered, by the real gpg, and by one that says
what no real one can be made to say.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from decrypting import PLAIN, Decrypt, Ring, decrypt_file, fake_gpg
from edxlogs.generator import keys
from edxlogs.gpg.frame import looks_like_openpgp
from edxlogs.gpg.process import Gpg
from edxlogs.gpg.verdict import Verdict

pytestmark = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))


def flip(message: bytes, at: int) -> bytes:
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


@pytest.mark.parametrize("kind", ["message", "bare", "armor"])
@pytest.mark.parametrize("place", [0.4, 0.7, 0.999])
def test_altered(
    ring: Ring, decrypt: Decrypt, request: pytest.FixtureRequest, kind: str, place: float
) -> None:
    if kind == "armor":
        text = bytearray(ring.encrypt("--armor", "--compress-algo", "none"))
        at = int(len(text) * min(place, 0.99))
        at = next(i for i in range(at, len(text)) if 97 <= text[i] <= 120)
        text[at] += 1
        message = bytes(text)
    else:
        message = request.getfixturevalue(kind)
        # Clear of the length octets of the packet's parts, which stand 8193 bytes apart; the
        # last place is in the check itself.
        middle = int(len(message) * place) // 8193 * 8193 + 5000
        message = flip(message, middle if place < 0.9 else len(message) - 3)
    _, verdict = decrypt(ring.gpg, message)
    assert verdict == Verdict(altered=True, error=verdict.error)
    assert "altered" in str(verdict.error)


@pytest.mark.parametrize("kind", ["message", "bare"])
def test_cut_within_the_data(
    ring: Ring, decrypt: Decrypt, request: pytest.FixtureRequest, kind: str
) -> None:
    message = request.getfixturevalue(kind)
    choose = random.Random(3)
    for keep in [len(message) - n for n in (1, 10, 22, 23)] + [
        choose.randrange(20_000, len(message)) for _ in range(8)
    ]:
        plain, verdict = decrypt(ring.gpg, message[:keep])
        assert verdict == Verdict(unauthenticated=True, error=verdict.error), keep
        assert PLAIN.startswith(plain)
        assert len(plain) > 0
        assert "cut off" in str(verdict.error)


@pytest.mark.parametrize("keep", [12, 100, 200, 268, 271, 275, 280])
def test_cut_before_the_data(ring: Ring, decrypt: Decrypt, message: bytes, keep: int) -> None:
    plain, verdict = decrypt(ring.gpg, message[:keep])
    assert verdict == Verdict(error=verdict.error)
    assert "cut off" in str(verdict.error)
    assert plain == b""


def test_cut_armor(ring: Ring, decrypt: Decrypt) -> None:
    message = ring.encrypt("--armor", "--compress-algo", "none")
    plain, verdict = decrypt(ring.gpg, message[: len(message) // 2])
    assert verdict == Verdict(unauthenticated=True, error=verdict.error)
    assert PLAIN.startswith(plain)


@pytest.mark.parametrize("kind", ["message", "bare"])
@pytest.mark.parametrize("after", [b"garbage\n", bytes(512)], ids=["text", "zeros"])
def test_bytes_after(
    ring: Ring,
    decrypt: Decrypt,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    kind: str,
    after: bytes,
) -> None:
    whole = request.getfixturevalue(kind)
    plain, verdict = decrypt(ring.gpg, whole + after)
    if verdict.retry:
        # Read by gpg itself, whose check the bytes spoiled: again, without them.
        assert not verdict.ok
        assert verdict.length == len(whole)
        assert verdict.warning is not None
        again = decrypt_file(ring.gpg, whole + after, tmp_path, length=verdict.length)
        assert again == (PLAIN, Verdict(ok=True))
    else:
        assert verdict.ok
        assert plain == PLAIN
    assert verdict.warning == f"name: {len(after)} bytes after the OpenPGP message were ignored"


@pytest.mark.parametrize("kind", ["message", "bare"])
def test_bytes_after_an_altered_message(
    ring: Ring, decrypt: Decrypt, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    whole = flip(request.getfixturevalue(kind), 25_000)
    _, verdict = decrypt(ring.gpg, whole + b"garbage\n")
    if verdict.retry:
        _, verdict = decrypt_file(ring.gpg, whole, tmp_path, length=verdict.length)
    assert not verdict.ok
    assert verdict.altered


@pytest.mark.parametrize("kind", ["message", "bare", "armor"])
def test_two_messages_are_not_one(
    ring: Ring, decrypt: Decrypt, request: pytest.FixtureRequest, kind: str
) -> None:
    whole = ring.encrypt("--armor") if kind == "armor" else request.getfixturevalue(kind)
    between = b"some text\n" if kind == "armor" else b""
    _, verdict = decrypt(ring.gpg, whole + between + whole)
    assert verdict == Verdict(error=verdict.error)
    assert f"follows at byte {len(whole)};" in str(verdict.error)


def test_plaintext_packet_added(ring: Ring, decrypt: Decrypt, tmp_path: Path, bare: bytes) -> None:
    """What was never encrypted is not published, before or after what was."""
    added = keys.gpg(ring.path, "--store", "--compress-algo", "none", data=b"evil")
    plain, verdict = decrypt(ring.gpg, bare + added)
    if verdict.retry:
        plain, verdict = decrypt_file(ring.gpg, bare + added, tmp_path, length=verdict.length)
    assert (plain, verdict.ok) == (PLAIN, True)
    _, verdict = decrypt(ring.gpg, added + bare)
    assert not verdict.ok


def test_no_integrity_protection(ring: Ring, decrypt: Decrypt) -> None:
    try:
        message = ring.encrypt("--rfc2440", "--disable-mdc", "--cipher-algo", "3DES")
    except RuntimeError as error:
        pytest.skip(f"this gpg makes no such message: {error}")
    if not has_tag_9(message):
        pytest.skip("this gpg protects every message")
    assert looks_like_openpgp(message)
    for damaged in (message, message[:-1000], flip(message, 25_000)):
        _, verdict = decrypt(ring.gpg, damaged)
        assert verdict == Verdict(no_integrity=True, error=verdict.error)


def has_tag_9(message: bytes) -> bool:
    """Whether the packet after the only key packet is one of tag 9."""
    after_key = 3 + int.from_bytes(message[1:3])
    return message[after_key] & 0x7F in (0x49, *range(0x24, 0x28))


@pytest.mark.parametrize("options", [[], ["--armor"]], ids=["binary", "armor"])
def test_signed_only_is_not_encrypted(ring: Ring, decrypt: Decrypt, options: list[str]) -> None:
    message = keys.gpg(ring.path, *options, "--store", data=PLAIN)
    assert looks_like_openpgp(message) == bool(options)
    _, verdict = decrypt(ring.gpg, message)
    assert verdict == Verdict(error=verdict.error)
    assert "not an encrypted OpenPGP message" in str(verdict.error)


# --- a gpg that says what it is told to


GOOD = (
    "'ENC_TO 0123456789ABCDEF 1 0' BEGIN_DECRYPTION 'DECRYPTION_INFO {info}' 'PLAINTEXT 62 0 '"
    " DECRYPTION_OKAY GOODMDC END_DECRYPTION"
)


@pytest.mark.parametrize(
    ("script", "ok"),
    [
        (f"say {GOOD.format(info='2 9 0')}", True),
        (f"say {GOOD.format(info='0 9 2')}", True),
        (f"say {GOOD.format(info='2 9 0')}; exit 2", False),
        # gpg 2.2 on an altered AEAD message, and on one with bytes after it.
        (f"say {GOOD.format(info='0 9 0')}; exit 2", False),
        (f"say {GOOD.format(info='0 9 0')} 'NODATA 3'; exit 2", False),
        (f"say {GOOD.format(info='2 9 0')} 'PLAINTEXT 62 0 '", False),
        (f"say 'PLAINTEXT 62 0 ' {GOOD.format(info='2 9 0')}", False),
        (f"say {GOOD.format(info='2 9 0').replace(' GOODMDC', '')}", False),
        (f"say {GOOD.format(info='2 9 0').replace(' DECRYPTION_OKAY', '')}", False),
        (f"say {GOOD.format(info='2 9 0').replace(' END_DECRYPTION', '')}", False),
        ("say 'PLAINTEXT 62 0 '", False),
        ("true", False),
    ],
)
def test_only_all_the_signs_are_enough(
    ring: Ring, tmp_path: Path, bare: bytes, script: str, ok: bool
) -> None:
    gpg = Gpg(executable=fake_gpg(tmp_path, script), home=ring.path)
    _, verdict = decrypt_file(gpg, bare, tmp_path)
    assert verdict.ok == ok
    assert (verdict.error is None) == ok


@pytest.mark.parametrize(("info", "ok"), [("2 9 0", True), ("0 9 0", False)], ids=["mdc", "aead"])
def test_status_2_excused_by_bytes_after(
    ring: Ring, tmp_path: Path, bare: bytes, info: str, ok: bool
) -> None:
    """Not for AEAD: gpg 2.2 says the same of an altered one, so it is read again without them."""
    script = f"say {GOOD.format(info=info)} 'NODATA 3'; exit 2"
    gpg = Gpg(executable=fake_gpg(tmp_path, script), home=ring.path)
    _, verdict = decrypt_file(gpg, bare + b"garbage", tmp_path)
    assert verdict.ok == ok
    assert verdict.length == (None if ok else len(bare))


def test_a_gpg_that_cannot_begin_does_not_blame_the_message(
    tmp_path: Path, decrypt: Decrypt, bare: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs a home, and says so in words alone."""
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.delenv("GNUPGHOME", raising=False)
    _, verdict = decrypt(Gpg(prompt=False), bare)
    assert verdict == Verdict(error=verdict.error)
    assert "gpg did not start to decrypt" in str(verdict.error)


def test_a_key_ring_that_may_not_be_read(ring: Ring, tmp_path: Path, bare: bytes) -> None:
    said = (
        "'ERROR add_keyblock_resource 33587201' 'ENC_TO 0123456789ABCDEF 18 0'"
        " 'NO_SECKEY 0123456789ABCDEF' BEGIN_DECRYPTION DECRYPTION_FAILED END_DECRYPTION; exit 2"
    )
    gpg = Gpg(executable=fake_gpg(tmp_path, f"say {said}"), home=ring.path)
    _, verdict = decrypt_file(gpg, bare, tmp_path)
    assert "may not read its key ring" in str(verdict.error)


def test_much_talk_blocks_nothing(ring: Ring, tmp_path: Path, bare: bytes) -> None:
    flood = (
        "yes '[GNUPG:] ENC_TO 0123456789ABCDEF 1 0' | head -c 3000000 > /dev/fd/$fd\n"
        "head -c 300000 /dev/zero > /dev/fd/$fd; echo > /dev/fd/$fd\n"
        "yes words | head -c 3000000 >&2\n"
        f"say {GOOD.format(info='2 9 0')}; echo plain"
    )
    gpg = Gpg(executable=fake_gpg(tmp_path, flood), home=ring.path)
    assert decrypt_file(gpg, bare, tmp_path) == (b"plain\n", Verdict(ok=True))


def test_agent_in_trouble_is_worth_another_try(ring: Ring, tmp_path: Path, bare: bytes) -> None:
    held = sorted(ring.gpg.secret_key_ids())[0]
    failed = "BEGIN_DECRYPTION DECRYPTION_FAILED END_DECRYPTION; exit 2"
    for said, retry in [
        (f"'ENC_TO {held} 1 0' 'NO_SECKEY {held}'", True),
        ("'ENC_TO 0123456789ABCDEF 1 0' 'NO_SECKEY 0123456789ABCDEF'", False),
        # Cannot allocate memory, as gpg 2.2.40 reports 100 decryptions at once.
        ("'ENC_TO 0000000000000000 1 0' 'ERROR pkdecrypt_failed 16810070'", True),
    ]:
        gpg = Gpg(executable=fake_gpg(tmp_path, f"say {said} {failed}"), home=ring.path)
        _, verdict = decrypt_file(gpg, bare, tmp_path)
        assert verdict == Verdict(retry=retry, error=verdict.error)
    delays = list(Gpg.delays())
    assert len(delays) == 6
    assert 0 < delays[0] < delays[-1] < 10
