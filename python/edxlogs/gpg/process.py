"""Decryption by the user's own GnuPG: a `gpg` process whose standard output Rust reads.

gpg writes plaintext before it knows whether the message is complete and unaltered. So everything is
provisional until `Decryption.verdict()` says `ok`. python-gnupg answers questions about keys and
versions. The bytes of a log do not pass through Python, unless the message is a part of a file or a
stream. Integrity protection shows that a message was not altered, not who sent it.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from edxlogs import system
from edxlogs.errors import ConfigError, DecryptError
from edxlogs.gpg.decryption import Decryption, GpgProcess
from edxlogs.gpg.frame import key_ids
from edxlogs.gpg.input import PIPE_BYTES, MessageInput, Readable
from edxlogs.gpg.passphrase import Unlocking, find_terminal, read_passphrase
from edxlogs.gpg.slots import Slot, Slots
from edxlogs.gpg.unlocked import UnlockedKeys, unlock
from edxlogs.threads import needs_thread

OLDEST_GPG = (2, 2, 8)  # the first that refuses a message without integrity protection
RETRIES = 6
# What gpg, an agent that it starts, and the agent's pinentry need: nothing else of ours, such as
# the secrets of AWS. The latter part is what gpg tells an agent of a session.
# Source: GnuPG, common/session-env.c.
_ENVIRONMENT = (
    *("PATH", "HOME", "USER", "LOGNAME", "GNUPGHOME", "LD_LIBRARY_PATH", "TMPDIR", "TZ"),
    *("XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"),
    *("GPG_TTY", "TERM", "DISPLAY", "XAUTHORITY", "XMODIFIERS", "WAYLAND_DISPLAY"),
    *("XDG_SESSION_TYPE", "QT_QPA_PLATFORM", "GTK_IM_MODULE", "DBUS_SESSION_BUS_ADDRESS"),
    *("QT_IM_MODULE", "INSIDE_EMACS", "PINENTRY_USER_DATA", "PINENTRY_GEOM_HINT"),
)


_slots: dict[str, Slots] = {}
_slots_lock = threading.Lock()


class Gpg:
    """The user's GnuPG: which program, which key ring, and how a key is unlocked.

    Attributes:
        warnings: warnings about how the key is kept, one sentence each.
        unlocking: the key ring, and how its keys are unlocked.

    One key ring has one agent, whose secure memory is small: see `edxlogs.gpg.slots`. A slot is
    free again as soon as gpg has the session key, so a thread may hold any number of open
    decryptions.

    If the agent is briefly out of memory, `Verdict.retry` is set. The caller then opens the source
    again after each of `delays()` (but a stream or a pipe cannot be opened again)::

        for delay in (0.0, *Gpg.delays()):
            time.sleep(delay)
            with gpg.open(name, path, length=length) as decryption:
                consume(decryption.stdout_fd)
                verdict = decryption.verdict()
            length = verdict.length or length
            if not verdict.retry:
                break
    """

    def __init__(
        self,
        *,
        executable: str = "gpg",
        home: Path | None = None,
        passphrase_file: Path | None = None,
        prompt: bool = True,
    ) -> None:
        """Store the settings. No process is started.

        Args:
            executable: name or path of gpg, 2.2.8 or later.
            home: folder of the key ring; None means gpg's default.
            passphrase_file: its first line unlocks the key, and nobody is asked.
            prompt: whether the agent may ask for a passphrase, if there is a terminal.

        Raises:
            ConfigError: `home` is not a folder, or the passphrase file cannot be read or holds no
                passphrase.
        """
        self.executable = executable
        self.home = home.expanduser() if home else None
        if self.home and not self.home.is_dir():
            raise ConfigError(f"cannot use key ring: {self.home}: no such folder; name another")
        self.warnings: list[str] = []
        passphrase = None
        if passphrase_file:
            passphrase, self.warnings = read_passphrase(passphrase_file)
        terminal = find_terminal() if prompt and not passphrase_file else None
        self.unlocking = Unlocking(self.home, passphrase, terminal)
        self._unlocked: UnlockedKeys | None = None
        self._lock = threading.Lock()
        self._interface: Any = None
        self._secret_keys: dict[str, str] = {}  # keygrips, by long id
        with _slots_lock:
            place = os.path.realpath(self.folder)
            if place not in _slots:
                _slots[place] = Slots(self.folder)
            self._slots = _slots[place]

    @property
    def folder(self) -> Path:
        """Folder of the key ring."""
        return Path(self.home or os.environ.get("GNUPGHOME") or "~/.gnupg").expanduser()

    def version(self) -> tuple[int, ...]:
        """The version of gpg, such as (2, 4, 7).

        Raises:
            DecryptError: gpg cannot be run, or is older than 2.2.8.
        """
        version: tuple[int, ...] = self._keys().version
        return version

    def secret_key_ids(self) -> frozenset[str]:
        """Long ids of the keys and subkeys whose secret part is available."""
        return frozenset(self.secret_keys())

    def secret_keys(self) -> dict[str, str]:
        """Keygrips of the keys and subkeys whose secret part is available, by long id."""
        interface = self._keys()
        with self._lock:
            if not self._secret_keys:  # an agent in trouble may have shown none
                grips: dict[str, str] = {}
                with needs_thread():
                    keys = interface.list_keys(secret=True)
                for key in keys:
                    parts = {key["keyid"]: key, **key.get("subkey_info", {})}
                    # "#": a stub, the secret part is elsewhere.
                    there = {i: part for i, part in parts.items() if part["token"] != "#"}
                    grips |= {i: part.get("keygrip") or "" for i, part in there.items()}
                self._secret_keys = grips
            return self._secret_keys

    def public_keys(self, key_ids: Iterable[str]) -> bytes:
        """The public parts of keys, in the form that gpg imports."""
        with needs_thread():
            keys: bytes = self._keys().export_keys(list(key_ids), armor=False)
        return keys

    def unlock(self, head: Callable[[], bytes], count: int) -> None:
        """Unlock the keys of a message once, for all messages that will be decrypted.

        The agent asks for the passphrase here, if it may. If nothing would be gained, or the agent
        does not give a key away, the key is unlocked for each message. `close` ends it; gpg can
        still be used afterwards.

        Args:
            head: returns the first bytes of the message, if they are needed.
            count: number of messages that will be decrypted.
        """
        if self._unlocked is not None:
            return
        found = unlock(self, head, count)
        self._unlocked = found.keys
        if found.refused:  # once is enough
            self.unlocking = replace(self.unlocking, terminal=None)
        elif found.asks:
            # Any error is reported by whoever reads the message.
            with suppress(OSError), self.open("", io.BytesIO(head())) as decryption:
                os.read(decryption.stdout_fd, 1)

    @property
    def is_unlocked(self) -> bool:
        """Whether `unlock` has unlocked a key."""
        return self._unlocked is not None

    def lock(self, unlocked: UnlockedKeys) -> None:
        """Stop using these keys."""
        with self._lock:
            if self._unlocked is unlocked:
                self._unlocked = None

    def close(self) -> None:
        """Forget what was unlocked. May be called twice."""
        with self._lock:
            unlocked, self._unlocked = self._unlocked, None
        if unlocked is not None:
            unlocked.close()

    def recipients(self, head: bytes) -> list[str]:
        """Long ids of the keys that a message is encrypted to.

        Args:
            head: the first bytes of the message, or all of it. Nothing is decrypted.

        Raises:
            DecryptError: gpg cannot be run, or is older than 2.2.8.
        """
        interface, keys = self._keys(), list[str]()
        with suppress(BrokenPipeError):  # gpg ends before it reads if it cannot use its key ring
            keys = interface.get_recipients(head)
        return keys or sorted(key_ids(head))

    @staticmethod
    def delays() -> Iterator[float]:
        """Yield the seconds to wait before each further attempt, longer each time."""
        for attempt in range(RETRIES):
            yield 0.1 * 2**attempt * random.uniform(0.5, 1.5)

    def open(
        self,
        source_name: str,
        source: str | os.PathLike[str] | int | Readable,
        *,
        offset: int = 0,
        length: int | None = None,
        head: bytes = b"",
    ) -> Decryption:
        """Start to decrypt one message.

        Waits for a free slot at the agent. gpg reads a file directly. A range of a file, armour, a
        stream and a pipe are copied to it, up to the end of the message.

        Args:
            source_name: how messages call the source.
            source: a path; a descriptor, read from its current position; or an object with `read`,
                which is called from another thread. A descriptor or an object is not closed.
            offset: where the message begins, in bytes.
            length: most bytes to read from there, including `head`; None means up to the end.
            head: bytes that the caller has read already, ahead of those in `source`.

        Raises:
            DecryptError: gpg cannot be run, or is too old.
            OSError: the source cannot be opened.
        """
        self._keys()
        message = MessageInput(source, offset, length, head)
        try:
            unlocked = self._unlocked
            if unlocked is not None and unlocked.key_ids.isdisjoint(key_ids(message.peek())):
                unlocked = None
            slot = self._slots.take()
            try:
                unlocking = self.unlocking if unlocked is None else unlocked.own
                process = self._spawn(message, unlocking, slot)
            except BaseException:
                slot.release()
                raise
        except BaseException:
            message.close()
            raise
        return Decryption(self, source_name, message, process, unlocked)

    def _spawn(self, message: MessageInput, unlocking: Unlocking, slot: Slot) -> GpgProcess:
        ours: list[int] = []
        theirs: list[int] = []

        def pipe(ours_reads: bool) -> int:
            reader, writer = os.pipe()
            ours.append(reader if ours_reads else writer)
            theirs.append(writer if ours_reads else reader)
            return theirs[-1]

        try:
            stdout, status, stderr = pipe(True), pipe(True), pipe(True)
            stdin = message.fd if message.direct else pipe(False)
            system.widen_pipe(stdout, PIPE_BYTES)
            if not message.direct:
                system.widen_pipe(stdin, PIPE_BYTES)
            passed = [status]
            command = [*self._command(unlocking.home), "--status-fd", str(status)]
            if unlocking.passphrase is not None:
                passphrase, writer = os.pipe()
                theirs.append(passphrase)
                passed.append(passphrase)
                os.write(writer, unlocking.passphrase + b"\n")  # far less than a pipe holds
                os.close(writer)
                command += ["--pinentry-mode", "loopback", "--passphrase-fd", str(passphrase)]
            elif unlocking.terminal is None:
                command += ["--pinentry-mode", "error"]
            try:
                child = subprocess.Popen(
                    [*command, "--decrypt"],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    pass_fds=passed,
                    env=self.environment(),
                    start_new_session=True,  # Ctrl-C in our terminal is ours to handle
                )
            except OSError as error:
                raise DecryptError(
                    f"cannot run gpg: {self.executable}: {error.strerror}"
                ) from error
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        stdin_fd = -1 if message.direct else ours[3]
        return GpgProcess(child, stdin_fd, ours[0], ours[1], ours[2], slot)

    def _command(self, folder: Path | None) -> list[str]:
        home = ["--homedir", str(folder)] if folder else []
        # The user's gpg.conf still holds, but gpg shall write to us only, reach no network, and
        # ask nothing of signatures: with the sender's public key absent it would fail. Not
        # --quiet: gpg 2.2 would then keep to itself why a key failed.
        return [
            self.executable,
            *home,
            *("--batch", "--no-tty", "--output", "-", "--skip-verify"),
            *("--no-auto-key-retrieve", "--disable-dirmngr", "--no-auto-check-trustdb"),
        ]

    def environment(self) -> dict[str, str]:
        """The environment of gpg and of the programs that it starts."""
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment["LC_ALL"] = "C"
        if self.unlocking.terminal is not None:
            environment.setdefault("GPG_TTY", self.unlocking.terminal)
        return environment

    def _keys(self) -> Any:
        """python-gnupg's interface to the key ring, once gpg has proved usable."""
        with self._lock:
            if self._interface is None:
                self._interface = self._checked_interface()
            return self._interface

    def _checked_interface(self) -> Any:
        import gnupg  # 30 ms, so not before it is needed

        oldest = ".".join(map(str, OLDEST_GPG))
        advice = f"install GnuPG {oldest} or newer"
        if shutil.which(self.executable) is None:
            raise DecryptError(f"cannot run gpg: {self.executable}: no such program; {advice}")
        try:
            with needs_thread():
                interface = gnupg.GPG(
                    gpgbinary=self.executable,
                    gnupghome=str(self.home) if self.home else None,
                    env=self.environment(),
                )
        except (OSError, ValueError) as error:
            raise DecryptError(
                f"cannot run gpg: {self.executable}: it does not answer; {advice}"
            ) from error
        version = interface.version
        if version is None or version < OLDEST_GPG:
            found = ".".join(map(str, version or ())) or "an unknown version"
            raise DecryptError(f"cannot use gpg: {self.executable}: it is {found}; {advice}")
        return interface
