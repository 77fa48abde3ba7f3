"""gpg/process.py against the real gpg: whole messages, keys, processes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from decrypting import NAMES, PLAIN, Decrypt, Ring, decrypt_file, fake_gpg, read_all
from edxlogs.errors import ConfigError, DecryptError
from edxlogs.generator import keys
from edxlogs.gpg.frame import key_ids, looks_like_openpgp
from edxlogs.gpg.process import Gpg
from edxlogs.gpg.verdict import Verdict

pytestmark = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))


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
def test_whole(ring: Ring, decrypt: Decrypt, kind: str, options: list[str]) -> None:
    message = ring.encrypt(*options, to=NAMES[kind])
    assert looks_like_openpgp(message[:512])
    plain, verdict = decrypt(ring.gpg, message)
    assert verdict == Verdict(ok=True)
    assert plain == PLAIN


def test_known_length_and_empty(ring: Ring, decrypt: Decrypt, bare: bytes) -> None:
    assert decrypt(ring.gpg, bare) == (PLAIN, Verdict(ok=True))
    assert decrypt(ring.gpg, ring.encrypt(data=b"")) == (b"", Verdict(ok=True))


def test_signed_by_someone_unknown(ring: Ring, decrypt: Decrypt) -> None:
    with keys.home() as sender:
        keys.make_key(sender, "sender@elsewhere.example")
        keys.copy_public_key(ring.path, sender, "a@univx.example")
        message = keys.encrypt(sender, ["a@univx.example"], PLAIN, "--sign")
    assert decrypt(ring.gpg, message) == (PLAIN, Verdict(ok=True))


def test_two_recipients_one_secret_present(ring: Ring, stranger: Path, decrypt: Decrypt) -> None:
    keys.copy_public_key(ring.path, stranger, "a@univx.example")
    both = ["stranger@elsewhere.example", "a@univx.example"]
    assert decrypt(ring.gpg, keys.encrypt(stranger, both, PLAIN)) == (PLAIN, Verdict(ok=True))


def test_armor_after_mark_and_white_space(ring: Ring, decrypt: Decrypt) -> None:
    message = b"\xef\xbb\xbf\r\n  " + ring.encrypt("--armor").replace(b"\n", b"\r\n")
    assert looks_like_openpgp(message[:512])
    assert decrypt(ring.gpg, message) == (PLAIN, Verdict(ok=True))


# --- keys


def test_no_secret_key_names_the_keys(ring: Ring, stranger: Path, decrypt: Decrypt) -> None:
    listed = keys.gpg(stranger, "--with-colons", "--list-keys", "stranger@elsewhere.example")
    subkey = next(x.split(b":")[4] for x in listed.splitlines() if x.startswith(b"sub:")).decode()
    _, verdict = decrypt(ring.gpg, keys.encrypt(stranger, ["stranger@elsewhere.example"], PLAIN))
    assert verdict == Verdict(error=verdict.error)
    assert subkey in str(verdict.error)
    assert "gpg --import" in str(verdict.error)
    assert isinstance(verdict.error, DecryptError)
    assert verdict.error.source == "name"


def test_locked_key_asks_nobody(locked: Path, decrypt: Decrypt) -> None:
    keys.kill_agents(locked)
    message = keys.encrypt(locked, ["locked@univx.example"], PLAIN)
    _, verdict = decrypt(Gpg(home=locked, prompt=False), message)
    assert verdict == Verdict(error=verdict.error)
    assert "locked" in str(verdict.error)


def test_passphrase_file(locked: Path, decrypt: Decrypt, tmp_path: Path) -> None:
    message = keys.encrypt(locked, ["locked@univx.example"], PLAIN)
    file = tmp_path / "passphrase"
    file.write_text("wrong\n")
    keys.kill_agents(locked)
    _, verdict = decrypt(Gpg(home=locked, passphrase_file=file), message)
    assert verdict == Verdict(error=verdict.error)
    assert "passphrase is wrong" in str(verdict.error)
    file.write_text("open sesame\r\nsecond line\n")
    assert decrypt(Gpg(home=locked, passphrase_file=file), message) == (PLAIN, Verdict(ok=True))


def test_encrypted_by_passphrase(ring: Ring, decrypt: Decrypt, tmp_path: Path) -> None:
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

    def children() -> set[str]:
        # Other tests of this process may have a server that runs.
        tasks = Path("/proc/self/task").iterdir()
        return {pid for task in tasks for pid in (task / "children").read_text().split()}

    rounds(5)
    before, born = (open_fds(), threading.active_count()), children()
    rounds(50)
    assert (open_fds(), threading.active_count()) == before
    assert children() == born
    with pytest.raises(FileNotFoundError):
        ring.gpg.open("name", tmp_path / "absent")
    with pytest.raises(ValueError, match="only a file"):
        ring.gpg.open("name", io.BytesIO(), offset=1)
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


# --- settings


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
    with pytest.raises(ConfigError, match="No such file"):
        Gpg(passphrase_file=tmp_path / "absent")
    (tmp_path / "empty").write_text("\nsecret\n")
    with pytest.raises(ConfigError, match="first line is empty"):
        Gpg(passphrase_file=tmp_path / "empty")


def test_no_secret_of_another_is_in_the_environment_of_gpg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "EDXLOGS_PLANTED"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("PINENTRY_USER_DATA", "USE_CURSES=1")
    told = tmp_path / "told"
    spy = tmp_path / "gpg"  # every call, that of python-gnupg's too
    spy.write_text(f'#!/bin/sh\nenv >> {told}\nexec gpg "$@"\n')
    spy.chmod(0o700)
    gpg = Gpg(executable=str(spy))
    with gpg.open("x", io.BytesIO(b"x")) as decryption:
        decryption.verdict()
    gpg.recipients(b"x")
    environment = told.read_text()
    assert environment.count("\nLC_ALL=C\n") >= 2
    assert "planted" not in environment
    for needed in ("PINENTRY_USER_DATA=USE_CURSES=1\n", "PATH=", "HOME="):
        assert f"\n{needed}" in environment


def test_recipients_are_told_by_a_gpg_that_cannot_use_its_key_ring(
    ring: Ring, tmp_path: Path, bare: bytes
) -> None:
    """It may end before it has read anything, which breaks the pipe to it."""
    wanted = sorted(key_ids(bare))
    assert wanted
    gpg = Gpg(executable=fake_gpg(tmp_path, "exit 2"))
    assert gpg.recipients(bare) == wanted
    assert gpg.recipients(bare + bytes(1 << 20)) == wanted
