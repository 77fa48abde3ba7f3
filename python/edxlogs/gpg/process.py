"""Decryption by the user's own GnuPG: a `gpg` process whose standard output Rust reads.

gpg writes plaintext before it knows whether the message is whole and unaltered, so all of it is
provisional until `Decryption.verdict()` says `ok`. Keys and versions are asked of python-gnupg;
the bytes of a log never pass through Python, except where the message is a part of a file or a
stream. Integrity protection shows that a message was not altered, not who sent it.
"""

from __future__ import annotations

import fcntl
import os
import random
import selectors
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from edxlogs.errors import ConfigError, DecryptError, EdxlogsError
from edxlogs.gpg.frame import Frame
from edxlogs.gpg.input import PIPE_BYTES, Feeder, MessageInput, Readable, survey
from edxlogs.gpg.verdict import StatusLines, Verdict, judge
from edxlogs.threads import needs_thread

OLDEST_GPG = (2, 2, 8)  # the first that refuses a message without integrity protection
MOST_AT_ONCE = 8  # a stock gpg-agent runs out of secure memory somewhere above 8
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


class Decryption:
    """A running gpg that decrypts one message; `Gpg.open` starts it.

    Read `stdout_fd` to its end, then ask for the `verdict()`. As a context manager it ends gpg
    and closes its descriptors when left.

    Attributes:
        source_name: what messages call the source.
        stdout_fd: where the plaintext is read. It stays ours: borrow or duplicate it, do not
            close it.
    """

    def __init__(self, gpg: Gpg, source_name: str, source: MessageInput, process: _Process) -> None:
        self.source_name = source_name
        self.stdout_fd = process.stdout_fd
        self._gpg = gpg
        self._source = source
        self._process = process.child
        self._feeder: Feeder | None = None
        self._killed = False
        self._verdict: Verdict | None = None
        self._status = StatusLines()
        self._listener = threading.Thread(
            target=self._listen, args=(process,), name="edxlogs-gpg-status", daemon=True
        )
        self._start(process)

    def _start(self, process: _Process) -> None:
        """Start the threads that serve gpg; without them it must not go on."""
        try:
            with needs_thread():
                self._listener.start()
        except EdxlogsError:
            self._process.kill()
            self._process.wait()
            process.slot.release()
            for descriptor in (process.stdin_fd, process.status_fd, process.stderr_fd):
                if descriptor >= 0:
                    os.close(descriptor)
            os.close(self.stdout_fd)
            self._source.close()
            raise
        if process.stdin_fd >= 0:
            self._feeder = Feeder(self._source, process.stdin_fd)
            try:
                with needs_thread():
                    self._feeder.start()
            except EdxlogsError:
                self._feeder = None
                os.close(process.stdin_fd)
                self.close()
                raise

    def verdict(self) -> Verdict:
        """Wait for gpg to end and judge it; output that nobody read is thrown away."""
        if self._verdict is None:
            self._wait()
            self._verdict = self._decide()
        return self._verdict

    def kill(self) -> None:
        """End gpg now, because we were interrupted: the verdict blames nobody.

        Safe from another thread; a reader of `stdout_fd` sees its end.
        """
        if self._process.poll() is None:
            self._killed = True
            self._process.terminate()

    def close(self) -> None:
        """End gpg if it still runs, and give back every descriptor."""
        if self.stdout_fd >= 0:
            self.kill()
            self._wait()
            os.close(self.stdout_fd)
            self.stdout_fd = -1
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self) -> None:
        if self._killed:
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._process.kill()
        while self.stdout_fd >= 0 and os.read(self.stdout_fd, PIPE_BYTES):
            pass
        self._process.wait()
        # A descendant of gpg could hold the status pipe open; gpg's own words have come by now.
        self._listener.join(timeout=5)
        if self._feeder is not None:
            if self._killed or not self._feeder.frame.complete:
                self._source.stopped.set()
            # A stream of the caller's may block for ever; its thread ends with the program.
            self._feeder.join(timeout=5)

    def _decide(self) -> Verdict:
        if self._killed:
            return Verdict(interrupted=True)
        code, status = self._process.returncode, self._status
        try:
            if self._feeder is not None:
                frame = self._feeder.frame
                if self._feeder.error is not None:
                    raise self._feeder.error
            elif code == 0 and status.verified:
                frame = Frame(armored=False)  # gpg read the whole file and is content
            else:
                frame = survey(self._source)
        except EdxlogsError as error:
            return Verdict(error=error)
        except Exception as cause:
            if self._source.stream is not None:
                return Verdict(error=cause)  # it is the caller's own
            failure = DecryptError(
                f"cannot decrypt: {self.source_name}: reading it failed: {cause}; try again",
                self.source_name,
            )
            failure.__cause__ = cause
            return Verdict(error=failure)
        return judge(self.source_name, code, status, frame, self._gpg.secret_key_ids)

    def _listen(self, process: _Process) -> None:
        """Take what gpg says as it says it, so that none of its pipes fills up."""
        holds_slot, tail = True, b""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.status_fd, selectors.EVENT_READ)
                selector.register(process.stderr_fd, selectors.EVENT_READ)
                while selector.get_map():
                    for key, _ in selector.select():
                        data = os.read(key.fd, 1 << 16)
                        if not data:
                            selector.unregister(key.fd)
                        elif key.fd == process.status_fd:
                            # Standard error names people, in words that change: not kept.
                            *lines, tail = (tail + data).split(b"\n")
                            tail = tail[:4096]
                            for line in lines:
                                self._status.line(line)
                    if holds_slot and self._status.begun:
                        holds_slot = False
                        process.slot.release()
        finally:
            if holds_slot:
                process.slot.release()
            os.close(process.status_fd)
            os.close(process.stderr_fd)


@dataclass(frozen=True)
class _Process:
    """A gpg that was just started, and our ends of its pipes."""

    child: subprocess.Popen[bytes]
    stdin_fd: int  # -1 where gpg reads the source by itself
    stdout_fd: int
    status_fd: int
    stderr_fd: int
    slot: threading.Semaphore  # given back once gpg needs its agent no more


_slots: dict[str, threading.Semaphore] = {}
_slots_lock = threading.Lock()


class Gpg:
    """The user's GnuPG: which program, which key ring, and how a key is unlocked.

    One key ring has one agent, whose secure memory is small: at most min(cores, 8) gpg of this
    process talk to it at a time. A slot is free again as soon as the session key is had, so a
    thread may hold any number of open decryptions.

    An agent that is out of memory for a moment is told by `Verdict.retry`; the caller opens the
    source again after each of `delays()` (of a stream or a pipe nothing is left to open)::

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
        """Remember the settings; no process is started.

        Args:
            executable: name or path of gpg, 2.2.8 or newer.
            home: the key ring's folder; None means gpg's own default.
            passphrase_file: its first line unlocks the key, and nothing asks.
            prompt: whether the agent may ask for a passphrase, where there is a terminal.

        Raises:
            ConfigError: `home` is no folder, or the passphrase file cannot be read or holds no
                passphrase.
        """
        self.executable = executable
        self.home = home.expanduser() if home else None
        if self.home and not self.home.is_dir():
            raise ConfigError(f"cannot use key ring: {self.home}: no such folder; name another")
        self._passphrase = _read_passphrase(passphrase_file) if passphrase_file else None
        self._terminal = _terminal() if prompt and not passphrase_file else None
        self._lock = threading.Lock()
        self._interface: Any = None
        self._secret_keys: frozenset[str] = frozenset()
        with _slots_lock:
            at_once = min(os.cpu_count() or 1, MOST_AT_ONCE)
            self._slot = _slots.setdefault(
                os.path.realpath(self.folder), threading.Semaphore(at_once)
            )

    @property
    def folder(self) -> Path:
        """The key ring's folder."""
        return Path(self.home or os.environ.get("GNUPGHOME") or "~/.gnupg").expanduser()

    def version(self) -> tuple[int, ...]:
        """Return gpg's version, such as (2, 4, 7).

        Raises:
            DecryptError: gpg cannot be run, or is older than 2.2.8.
        """
        version: tuple[int, ...] = self._keys().version
        return version

    def secret_key_ids(self) -> frozenset[str]:
        """Return the long ids of the keys and subkeys whose secret part is at hand."""
        interface = self._keys()
        with self._lock:
            if not self._secret_keys:  # an agent in trouble may have shown none
                ids = set()
                with needs_thread():
                    keys = interface.list_keys(secret=True)
                for key in keys:
                    parts = {key["keyid"]: key, **key.get("subkey_info", {})}
                    # "#": a stub, the secret part is elsewhere.
                    ids |= {i for i, part in parts.items() if part["token"] != "#"}
                self._secret_keys = frozenset(ids)
            return self._secret_keys

    def recipients(self, head: bytes) -> list[str]:
        """Return the long ids of the keys that a message is encrypted to.

        Args:
            head: the first bytes of the message, or all of it; nothing is decrypted.

        Raises:
            DecryptError: gpg cannot be run, or is older than 2.2.8.
        """
        keys: list[str] = self._keys().get_recipients(head)
        return keys

    @staticmethod
    def delays() -> Iterator[float]:
        """Yield the seconds to wait before each further attempt, longer and longer."""
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

        Waits for a free place at the agent. gpg reads a file itself; a range of one, armour, a
        stream and a pipe are copied to it up to the message's end.

        Args:
            source_name: what messages call the source.
            source: a path; a descriptor, read from where it stands; or an object with `read`,
                called from another thread. A descriptor or an object stays the caller's.
            offset: where the message begins, in bytes.
            length: most bytes to read from there, `head` included; None means up to the end.
            head: bytes that the caller has read already, before those still in `source`.

        Raises:
            DecryptError: gpg cannot be run, or is too old.
            OSError: the source cannot be opened.
        """
        self._keys()
        message = MessageInput(source, offset, length, head)
        try:
            self._slot.acquire()
            try:
                process = self._spawn(message)
            except BaseException:
                self._slot.release()
                raise
        except BaseException:
            message.close()
            raise
        return Decryption(self, source_name, message, process)

    def _spawn(self, message: MessageInput) -> _Process:
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
            _widen(stdout)
            if not message.direct:
                _widen(stdin)
            passed = [status]
            command = [*self._command(), "--status-fd", str(status)]
            if self._passphrase is not None:
                passphrase, writer = os.pipe()
                theirs.append(passphrase)
                passed.append(passphrase)
                os.write(writer, self._passphrase + b"\n")  # far less than a pipe holds
                os.close(writer)
                command += ["--pinentry-mode", "loopback", "--passphrase-fd", str(passphrase)]
            elif self._terminal is None:
                command += ["--pinentry-mode", "error"]
            try:
                child = subprocess.Popen(
                    [*command, "--decrypt"],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    pass_fds=passed,
                    env=self._environment(),
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
        return _Process(child, stdin_fd, ours[0], ours[1], ours[2], self._slot)

    def _command(self) -> list[str]:
        home = ["--homedir", str(self.home)] if self.home else []
        # The user's gpg.conf still holds, but gpg shall write to us only, reach no network, and
        # ask nothing of signatures: with the sender's public key absent it would fail. Not
        # --quiet: gpg 2.2 would then keep to itself why a key failed.
        return [
            self.executable,
            *home,
            *("--batch", "--no-tty", "--output", "-", "--skip-verify"),
            *("--no-auto-key-retrieve", "--disable-dirmngr", "--no-auto-check-trustdb"),
        ]

    def _environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment["LC_ALL"] = "C"
        if self._terminal is not None:
            environment.setdefault("GPG_TTY", self._terminal)
        return environment

    def _keys(self) -> Any:
        """Return python-gnupg's interface to the key ring, once gpg proved fit for use."""
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
                    env=self._environment(),
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


def _read_passphrase(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            passphrase = file.readline(4096).rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(
            f"cannot use passphrase file: {path}: {error.strerror}; name a file that can be read"
        ) from error
    if not passphrase:
        raise ConfigError(f"cannot use passphrase file: {path}: its first line is empty")
    return passphrase


def _terminal() -> str | None:
    """Return the name of the terminal that a passphrase prompt can use."""
    for fd in (2, 0, 1):
        with suppress(OSError):
            return os.ttyname(fd)
    return None


def _widen(pipe_fd: int) -> None:
    """Let the pipe hold 1 MiB where the system can; it halves the switches between processes."""
    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
