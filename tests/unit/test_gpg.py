"""gpg.py against the real gpg, and against one that says what no real one can be made to say."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import keys
from edxlogs.errors import ConfigError, DecryptError, EdxlogsError, SourceError
from edxlogs.gpg import Gpg, Verdict, looks_like_openpgp

pytestmark = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))

NAMES = {"rsa2048": "a@univx.example", "rsa3072": "b@univx.example", "cv25519": "c@univx.example"}
# Text of which a compressor still leaves most: several packets' worth whatever the options.
PLAIN = random.Random(7).randbytes(400_000).hex().encode()


@dataclass(frozen=True)
class Ring:
    """A key ring with one key of each kind, none of them locked."""

    path: Path
    gpg: Gpg

    def encrypt(self, *options: str, to: str = "a@univx.example", data: bytes = PLAIN) -> bytes:
        return keys.encrypt(self.path, [to], data, *options)


@pytest.fixture(scope="module")
def ring() -> Iterator[Ring]:
    with keys.home() as path:
        for kind, name in NAMES.items():
            keys.make_key(path, name, kind)
        yield Ring(path, Gpg(home=path, prompt=False))


@pytest.fixture(scope="module")
def stranger() -> Iterator[Path]:
    """A key ring with a key that the other ring does not know."""
    with keys.home() as path:
        keys.make_key(path, "stranger@elsewhere.example", "cv25519")
        yield path


@pytest.fixture(scope="module")
def locked() -> Iterator[Path]:
    with keys.home() as path:
        keys.make_key(path, "locked@univx.example", "cv25519", passphrase="open sesame")
        yield path


@pytest.fixture(scope="module")
def message(ring: Ring) -> bytes:
    """Packets of unknown length around a compression layer: the hardest case for gpg 2.2."""
    return ring.encrypt("--compress-algo", "zlib")


@pytest.fixture(scope="module")
def bare(ring: Ring, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A packet of known length, not compressed."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "plain").write_bytes(PLAIN)
    keys.encrypt_file(
        ring.path, ["a@univx.example"], folder / "plain", folder / "out", "--compress-algo", "none"
    )
    return (folder / "out").read_bytes()


def read_all(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))


def decrypt_file(
    gpg: Gpg, message: bytes, folder: Path, offset: int = 0, length: int | None = None
) -> tuple[bytes, Verdict]:
    path = folder / "message"
    path.write_bytes(message)
    with gpg.open("name", path, offset=offset, length=length) as decryption:
        return read_all(decryption.stdout_fd), decryption.verdict()


def decrypt_pipe(gpg: Gpg, message: bytes) -> tuple[bytes, Verdict]:
    reader, writer = os.pipe()

    def write() -> None:
        try:
            with open(writer, "wb") as pipe:
                pipe.write(message)
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with gpg.open("name", reader) as decryption:
            return read_all(decryption.stdout_fd), decryption.verdict()
    finally:
        os.close(reader)
        thread.join()


@pytest.fixture(params=["file", "pipe"])
def decrypt(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    if request.param == "file":
        return lambda gpg, message: decrypt_file(gpg, message, tmp_path)
    return decrypt_pipe


def flip(message: bytes, at: int) -> bytes:
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


# --- messages that are whole


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize(
    "options",
    [
        ["--compress-algo", "none"],
        ["--compress-algo", "zlib"],
        ["--compress-algo", "bzip2"],
        ["--armor"],
        ["--throw-keyids"],
    ],
    ids=" ".join,
)
def test_whole(ring: Ring, decrypt, kind: str, options: list[str]) -> None:
    message = ring.encrypt(*options, to=NAMES[kind])
    assert looks_like_openpgp(message[:512])
    plain, verdict = decrypt(ring.gpg, message)
    assert verdict == Verdict(ok=True)
    assert plain == PLAIN


def test_known_length_and_empty(ring: Ring, decrypt, bare: bytes) -> None:
    assert decrypt(ring.gpg, bare) == (PLAIN, Verdict(ok=True))
    assert decrypt(ring.gpg, ring.encrypt(data=b"")) == (b"", Verdict(ok=True))


def test_signed_by_someone_unknown(ring: Ring, decrypt) -> None:
    with keys.home() as sender:
        keys.make_key(sender, "sender@elsewhere.example")
        keys.copy_public_key(ring.path, sender, "a@univx.example")
        message = keys.encrypt(sender, ["a@univx.example"], PLAIN, "--sign")
    assert decrypt(ring.gpg, message) == (PLAIN, Verdict(ok=True))


def test_two_recipients_one_secret_present(ring: Ring, stranger: Path, decrypt) -> None:
    keys.copy_public_key(ring.path, stranger, "a@univx.example")
    both = ["stranger@elsewhere.example", "a@univx.example"]
    assert decrypt(ring.gpg, keys.encrypt(stranger, both, PLAIN)) == (PLAIN, Verdict(ok=True))


def test_armor_after_mark_and_white_space(ring: Ring, decrypt) -> None:
    message = b"\xef\xbb\xbf\r\n  " + ring.encrypt("--armor").replace(b"\n", b"\r\n")
    assert looks_like_openpgp(message[:512])
    assert decrypt(ring.gpg, message) == (PLAIN, Verdict(ok=True))


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
    assert "connection reset" in str(verdict.error)


# --- messages that are not


@pytest.mark.parametrize("kind", ["message", "bare", "armor"])
@pytest.mark.parametrize("place", [0.4, 0.7, 0.999])
def test_altered(ring: Ring, decrypt, request, kind: str, place: float) -> None:
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
def test_cut_within_the_data(ring: Ring, decrypt, request, kind: str) -> None:
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
def test_cut_before_the_data(ring: Ring, decrypt, message: bytes, keep: int) -> None:
    plain, verdict = decrypt(ring.gpg, message[:keep])
    assert verdict == Verdict(error=verdict.error)
    assert "cut off" in str(verdict.error)
    assert plain == b""


def test_cut_armor(ring: Ring, decrypt) -> None:
    message = ring.encrypt("--armor", "--compress-algo", "none")
    plain, verdict = decrypt(ring.gpg, message[: len(message) // 2])
    assert verdict == Verdict(unauthenticated=True, error=verdict.error)
    assert PLAIN.startswith(plain)


@pytest.mark.parametrize("kind", ["message", "bare"])
@pytest.mark.parametrize("after", [b"garbage\n", bytes(512)], ids=["text", "zeros"])
def test_bytes_after(ring: Ring, decrypt, tmp_path: Path, request, kind: str, after: bytes) -> None:
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
    ring: Ring, decrypt, tmp_path: Path, request, kind: str
) -> None:
    whole = flip(request.getfixturevalue(kind), 25_000)
    _, verdict = decrypt(ring.gpg, whole + b"garbage\n")
    if verdict.retry:
        _, verdict = decrypt_file(ring.gpg, whole, tmp_path, length=verdict.length)
    assert not verdict.ok
    assert verdict.altered


@pytest.mark.parametrize("kind", ["message", "bare", "armor"])
def test_two_messages_are_not_one(ring: Ring, decrypt, request, kind: str) -> None:
    whole = ring.encrypt("--armor") if kind == "armor" else request.getfixturevalue(kind)
    between = b"some text\n" if kind == "armor" else b""
    _, verdict = decrypt(ring.gpg, whole + between + whole)
    assert verdict == Verdict(error=verdict.error)
    assert f"follows at byte {len(whole)};" in str(verdict.error)


def test_plaintext_packet_added(ring: Ring, decrypt, tmp_path: Path, bare: bytes) -> None:
    """What was never encrypted is not published, before or after what was."""
    added = keys.gpg(ring.path, "--store", "--compress-algo", "none", data=b"evil")
    plain, verdict = decrypt(ring.gpg, bare + added)
    if verdict.retry:
        plain, verdict = decrypt_file(ring.gpg, bare + added, tmp_path, length=verdict.length)
    assert (plain, verdict.ok) == (PLAIN, True)
    _, verdict = decrypt(ring.gpg, added + bare)
    assert not verdict.ok


def test_no_integrity_protection(ring: Ring, decrypt) -> None:
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
def test_signed_only_is_not_encrypted(ring: Ring, decrypt, options: list[str]) -> None:
    message = keys.gpg(ring.path, *options, "--store", data=PLAIN)
    assert looks_like_openpgp(message) == bool(options)
    _, verdict = decrypt(ring.gpg, message)
    assert verdict == Verdict(error=verdict.error)
    assert "not an encrypted OpenPGP message" in str(verdict.error)


# --- keys


def test_no_secret_key_names_the_keys(ring: Ring, stranger: Path, decrypt) -> None:
    listed = keys.gpg(stranger, "--with-colons", "--list-keys", "stranger@elsewhere.example")
    subkey = next(x.split(b":")[4] for x in listed.splitlines() if x.startswith(b"sub:")).decode()
    _, verdict = decrypt(ring.gpg, keys.encrypt(stranger, ["stranger@elsewhere.example"], PLAIN))
    assert verdict == Verdict(error=verdict.error)
    assert subkey in str(verdict.error)
    assert "gpg --import" in str(verdict.error)
    assert verdict.error is not None
    assert verdict.error.source == "name"


def test_locked_key_asks_nobody(locked: Path, decrypt) -> None:
    keys.kill_agents(locked)
    message = keys.encrypt(locked, ["locked@univx.example"], PLAIN)
    _, verdict = decrypt(Gpg(home=locked, prompt=False), message)
    assert verdict == Verdict(error=verdict.error)
    assert "locked" in str(verdict.error)


def test_passphrase_file(locked: Path, decrypt, tmp_path: Path) -> None:
    message = keys.encrypt(locked, ["locked@univx.example"], PLAIN)
    file = tmp_path / "passphrase"
    file.write_text("wrong\n")
    keys.kill_agents(locked)
    _, verdict = decrypt(Gpg(home=locked, passphrase_file=file), message)
    assert verdict == Verdict(error=verdict.error)
    assert "passphrase is wrong" in str(verdict.error)
    file.write_text("open sesame\r\nsecond line\n")
    assert decrypt(Gpg(home=locked, passphrase_file=file), message) == (PLAIN, Verdict(ok=True))


def test_encrypted_by_passphrase(ring: Ring, decrypt, tmp_path: Path) -> None:
    secret = ("--pinentry-mode", "loopback", "--passphrase", "open sesame")
    message = keys.gpg(ring.path, *secret, "--symmetric", data=PLAIN)
    assert looks_like_openpgp(message)
    keys.kill_agents(ring.path)
    _, verdict = decrypt(ring.gpg, message)
    assert "no passphrase was given" in str(verdict.error)
    file = tmp_path / "passphrase"
    for passphrase, ok in [("wrong", False), ("open sesame", True)]:
        file.write_text(passphrase)
        plain, verdict = decrypt(Gpg(home=ring.path, passphrase_file=file), message)
        assert verdict.ok == ok
        assert plain == (PLAIN if ok else b"")
        assert not verdict.altered


def test_passphrase_is_nowhere_to_be_seen(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passphrase"
    file.write_text("open sesame")
    seen = []
    spawn = subprocess.Popen

    def spy(*args, **options):  # type: ignore[no-untyped-def]
        seen.append((args, options.get("env")))
        return spawn(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", spy)
    message = keys.encrypt(locked, ["locked@univx.example"], PLAIN)
    gpg = Gpg(home=locked, passphrase_file=file)
    assert decrypt_file(gpg, message, tmp_path)[1].ok
    assert any("--passphrase-fd" in args[0] for args, _ in seen)
    assert "sesame" not in repr(seen)
    assert "sesame" not in repr(gpg)


def test_secret_key_ids(ring: Ring, stranger: Path) -> None:
    ids = ring.gpg.secret_key_ids()
    assert len(ids) == 2 * len(NAMES)
    listed = keys.gpg(ring.path, "--with-colons", "--list-secret-keys").decode().splitlines()
    assert ids == {x.split(":")[4] for x in listed if x.startswith(("sec:", "ssb:"))}


# --- processes


def test_many_at_once(ring: Ring, tmp_path: Path) -> None:
    paths = []
    for i in range(24):
        paths.append(tmp_path / str(i))
        name = list(NAMES.values())[i % 3]
        paths[-1].write_bytes(ring.encrypt(to=name, data=b"%d" % i))

    def one(path: Path) -> tuple[bytes, bool]:
        with ring.gpg.open(path.name, path) as decryption:
            return read_all(decryption.stdout_fd), decryption.verdict().ok

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, paths)) == [(b"%d" % i, True) for i in range(24)]


def test_one_thread_may_hold_many(ring: Ring, tmp_path: Path, message: bytes) -> None:
    """The agent's places are given back once the session key is had, not at the end."""
    (tmp_path / "message").write_bytes(message)
    held = [ring.gpg.open(str(i), tmp_path / "message") for i in range(12)]
    try:
        for decryption in held:
            assert read_all(decryption.stdout_fd) == PLAIN
            assert decryption.verdict().ok
    finally:
        for decryption in held:
            decryption.close()


@pytest.mark.parametrize("when", ["at once", "midway"])
def test_kill_blames_nobody(ring: Ring, when: str) -> None:
    reader, writer = os.pipe()
    message = ring.encrypt("--compress-algo", "none")
    try:
        with ring.gpg.open("name", reader) as decryption:
            if when == "midway":
                os.write(writer, message[:60_000])
                assert os.read(decryption.stdout_fd, 1000) == PLAIN[:1000]
            began = time.monotonic()
            decryption.kill()
            assert decryption.verdict() == Verdict(interrupted=True)
            assert time.monotonic() - began < 2
    finally:
        os.close(reader)
        os.close(writer)


def test_kill_after_the_end_changes_nothing(ring: Ring, tmp_path: Path, message: bytes) -> None:
    (tmp_path / "message").write_bytes(message)
    with ring.gpg.open("name", tmp_path / "message") as decryption:
        read_all(decryption.stdout_fd)
        assert decryption.verdict().ok
        decryption.kill()
        assert decryption.verdict().ok


def test_ended_by_someone_else(ring: Ring, tmp_path: Path) -> None:
    message = ring.encrypt("--compress-algo", "none", data=PLAIN * 10)
    (tmp_path / "message").write_bytes(message)
    with ring.gpg.open("name", tmp_path / "message") as decryption:
        os.read(decryption.stdout_fd, 1000)
        os.kill(decryption._process.pid, signal.SIGKILL)
        verdict = decryption.verdict()
    assert verdict == Verdict(error=verdict.error)
    assert "signal 9" in str(verdict.error)


def test_gpg_has_a_session_of_its_own(ring: Ring, tmp_path: Path, message: bytes) -> None:
    (tmp_path / "message").write_bytes(message * 20)
    with ring.gpg.open("name", tmp_path / "message") as decryption:
        os.read(decryption.stdout_fd, 1)
        pid = decryption._process.pid
        assert os.getsid(pid) == pid != os.getsid(0)


def test_output_that_nobody_reads(ring: Ring, tmp_path: Path) -> None:
    message = ring.encrypt(data=PLAIN * 10)
    (tmp_path / "message").write_bytes(message)
    with ring.gpg.open("name", tmp_path / "message") as decryption:
        assert decryption.verdict() == Verdict(ok=True)


def test_nothing_leaks(ring: Ring, tmp_path: Path, message: bytes) -> None:
    armor = ring.encrypt("--armor", data=b"small")
    small = ring.encrypt(data=b"small")

    def rounds(count: int) -> None:
        for i in range(count):
            if i % 5 == 4:
                with ring.gpg.open("name", tmp_path / "message") as decryption:
                    os.read(decryption.stdout_fd, 10)
            else:
                decrypt_file(ring.gpg, [small, armor, small[:-9], message][i % 5], tmp_path)

    def open_fds() -> int:
        return len(os.listdir("/proc/self/fd"))

    rounds(5)
    before = open_fds(), threading.active_count()
    rounds(50)
    assert (open_fds(), threading.active_count()) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    with pytest.raises(FileNotFoundError):
        ring.gpg.open("name", tmp_path / "absent")
    with pytest.raises(ValueError, match="only a file"):
        ring.gpg.open("name", Trickle(b"", 1), offset=1)
    assert (open_fds(), threading.active_count()) == before


def test_child_gets_no_descriptor_of_ours(ring: Ring, tmp_path: Path) -> None:
    """Standard streams and the status pipe, whatever else is open and inheritable."""
    listing = tmp_path / "listing"
    fake = fake_gpg(tmp_path, f"ls -l /proc/$$/fd > {listing}; cat > /dev/null")
    with open(os.devnull) as other:
        os.set_inheritable(other.fileno(), True)
        decrypt_file(Gpg(executable=fake, home=ring.path), b"x" * 600, tmp_path)
    # The shell itself holds its script open, and nothing else that is not given to it.
    kinds = [line.rsplit("-> ")[-1] for line in listing.read_text().splitlines()[1:]]
    assert sum(kind.startswith("pipe:") for kind in kinds) <= 3
    assert not any(kind == os.devnull for kind in kinds)


# --- a gpg that says what it is told to


def fake_gpg(folder: Path, script: str) -> str:
    """The real gpg, but for --decrypt, which runs `script` with the status descriptor as $fd."""
    path = folder / "fake-gpg"
    path.write_text(
        '#!/bin/sh\ncase "$*" in *--decrypt*) ;; *) exec gpg "$@";; esac\n'
        'while [ $# -gt 0 ]; do [ "$1" = --status-fd ] && fd=$2; shift; done\n'
        'say() { for l in "$@"; do echo "[GNUPG:] $l" >/dev/fd/$fd; done; }\n' + script + "\n"
    )
    path.chmod(0o700)
    return str(path)


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


def test_gpg_missing_or_too_old(ring: Ring, tmp_path: Path) -> None:
    assert ring.gpg.version() >= (2, 2, 8)
    with pytest.raises(DecryptError, match=r"no-such-gpg: no such program; install GnuPG 2\.2\.8"):
        Gpg(executable="no-such-gpg").open("name", tmp_path / "message")
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho cfg:version:2.2.7\n")
    old.chmod(0o700)
    with pytest.raises(DecryptError, match=r"it is 2\.2\.7; install GnuPG 2\.2\.8 or newer"):
        Gpg(executable=str(old)).version()
    old.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(DecryptError, match="does not answer"):
        Gpg(executable=str(old)).version()


def test_wrong_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        Gpg(home=tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        Gpg(passphrase_file=tmp_path / "absent")
    (tmp_path / "empty").write_text("\nsecret\n")
    with pytest.raises(ConfigError, match="first line is empty"):
        Gpg(passphrase_file=tmp_path / "empty")


# --- recognition and errors


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


def test_every_first_byte_of_keys_is_known(ring: Ring, bare: bytes) -> None:
    for options in (["--hidden-recipient", "c@univx.example"], ["--recipient", "b@univx.example"]):
        message = keys.gpg(
            ring.path, "--trust-model", "always", *options, "--encrypt", data=b"tiny"
        )
        assert looks_like_openpgp(message)
        assert looks_like_openpgp(b"\xca\x03PGP" + message)
        assert not looks_like_openpgp(keys.gpg(ring.path, "--export"))


@pytest.mark.parametrize("kind", [EdxlogsError, SourceError, DecryptError, ConfigError])
def test_errors_are_one_line_and_travel(kind: type[EdxlogsError]) -> None:
    error = kind("cannot read: a\nb\x1b[31m\udcff: why", "a\nb", 3, 17)
    assert str(error) == "cannot read: a\\nb\\x1b[31m\\udcff: why"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.source, copy.line, copy.byte) == (str(error), "a\nb", 3, 17)
    assert isinstance(DecryptError("x"), OSError)
    assert isinstance(ConfigError("x"), ValueError)
