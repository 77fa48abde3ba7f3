"""Decryption by the user's own GnuPG: a `gpg` process whose standard output Rust reads.

gpg writes plaintext before it knows whether the message is whole and unaltered, so all of it is
provisional until `Decryption.verdict()` says `ok`. Keys and versions are asked of python-gnupg;
the bytes of a log never pass through Python, except where the message is a part of a file or a
stream. Integrity protection shows that a message was not altered, not who sent it.

gpg's exit status and status lines leave two questions open, which the frame of the packets
(RFC 9580, section 4) answers: whether a bad message was cut off or altered (gpg calls many cut
ones manipulated), and whether bytes after the message spoiled the check (gpg 2.2 takes them for
part of a message in partial-length packets).
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import selectors
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from edxlogs.errors import ConfigError, DecryptError

OLDEST_GPG = (2, 2, 8)  # the first that refuses a message without integrity protection
HEAD_BYTES = 512  # enough for `looks_like_openpgp`
PIPE_BYTES = 1 << 20
MOST_AT_ONCE = 8  # a stock gpg-agent runs out of secure memory somewhere above 8
RETRIES = 6

_ARMOR = b"-----BEGIN PGP MESSAGE-----"
_ARMOR_END = b"-----END PGP MESSAGE-----"
_BOM = b"\xef\xbb\xbf"
_MARKERS = (b"\xca\x03PGP", b"\xa8\x03PGP")

# Packet tags, RFC 9580 section 5.
_PKESK, _SKESK, _SED, _MARKER, _SEIPD, _AEAD, _PADDING = 1, 3, 9, 10, 18, 20, 21
_ENCRYPTED = (_SED, _SEIPD, _AEAD)
_KEY_ALGORITHMS = frozenset({1, 2, 8, 16, 18, 25, 26, 35, 36})

# libgpg-error codes, their low 16 bits.
_BAD_PASSPHRASE, _NO_MEMORY = 11, 32768 | 86
_NOT_UNLOCKED = frozenset({62, 85, 99, 177, 198})  # timeout, no pinentry, cancelled, no passphrase


class Readable(Protocol):
    """What a stream must offer to be decrypted."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none at the end only."""


def looks_like_openpgp(head: bytes) -> bool:
    """Tell from its first bytes whether a file is an encrypted OpenPGP message.

    A message that is only signed or compressed is not taken: it protects nothing. Armour says
    no more than that it is a message, so it is always taken.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of a shorter one.
    """
    if _armor_start(head) is not None:
        return True
    if head[257:262] == b"ustar":
        return False
    if head.startswith(_MARKERS):
        head = head[5:]
    header = _packet_header(head)
    if header is None:
        return False
    tag, size, length, more = header
    body = head[size:]
    if len(body) < 4:
        return False
    match tag:
        case 1:
            v3 = body[0] == 3 and body[9:10] != b"" and body[9] in _KEY_ALGORITHMS
            v6 = body[0] == 6 and body[1] in (0, 21, 33)
            return (v3 or v6) and not more and 12 <= length <= 8192
        case 3:
            known = body[0] in (4, 5, 6) and (1 <= body[1] <= 13 or body[0] == 6)
            return known and not more and 4 <= length <= 512
        case 9:
            # Nothing in it has a fixed value: ask for bytes that no text has.
            return length > 18 and any(b < 32 and b not in b"\0\t\n\r\x0b\x0c" for b in body[:64])
        case 18:
            return length > 40 and (body[0] == 1 or (body[0] == 2 and 1 <= body[1] <= 13))
        case 20:
            return length > 32 and body[0] == 1 and 1 <= body[1] <= 13 and 1 <= body[2] <= 3
    return False


def _armor_start(head: bytes) -> int | None:
    """Return where armour begins, after a byte order mark and white space, or None."""
    text = head.removeprefix(_BOM).lstrip()
    after = text[len(_ARMOR) : len(_ARMOR) + 1]
    if text.startswith(_ARMOR) and after in (b"", b"\r", b"\n", b" ", b"\t"):
        return len(head) - len(text)
    return None


def _packet_header(data: bytes | bytearray) -> tuple[int, int, int, bool] | None:
    """Return (tag, header size, length of the body, whether it goes on in further parts).

    A body of unknown length, up to the end of the file, has the length -1. None if `data` is
    too short, or is no packet.
    """
    if not data or not data[0] & 0x80:
        return None
    if data[0] & 0x40:
        parsed = _new_length(data[1:])
        return parsed and (data[0] & 0x3F, 1 + parsed[0], parsed[1], parsed[2])
    tag, octets = data[0] >> 2 & 15, 1 << (data[0] & 3)
    if octets == 8:
        return tag, 1, -1, False
    if len(data) <= octets:
        return None
    return tag, 1 + octets, int.from_bytes(data[1 : 1 + octets]), False


def _new_length(data: bytes | bytearray) -> tuple[int, int, bool] | None:
    """Return (size, length, whether further parts follow) of a new-format length."""
    if not data:
        return None
    if data[0] < 192:
        return 1, data[0], False
    if 224 <= data[0] < 255:
        return 1, 1 << (data[0] & 31), True
    size = 5 if data[0] == 255 else 2
    if len(data) < size:
        return None
    if size == 5:
        return 5, int.from_bytes(data[1:5]), False
    return 2, (data[0] - 192 << 8) + data[1] + 192, False


@dataclass
class _Frame:
    """Finds the end of one message in bytes that are fed to it, whatever their pieces."""

    armored: bool
    length: int = 0  # bytes of the message so far
    complete: bool = False
    ended: bool = False  # the input has no more bytes
    tag: int | None = None  # of the encrypted packet, once it was met
    trailing: int = 0
    trailing_head: bytearray = field(default_factory=bytearray)
    another: bool = False  # armour: a further message begins after this one
    _known: bool = True  # False: not a sequence of packets that has an end
    _left: int = 0
    _parts: bool = False
    _current: int = 0
    _carry: bytearray = field(default_factory=bytearray)

    @property
    def cut(self) -> bool:
        """Whether the input ended before the message did."""
        return self.ended and self._known and not self.complete

    def feed(self, data: bytes) -> int:
        """Take the next bytes; return how many of them belong to the message."""
        at = 0
        if not self.complete:
            at = self._feed_armor(data) if self.armored else self._feed_packets(data)
            self.length += at
        rest = data[at:]
        self.trailing += len(rest)
        if self.armored:
            window = self.trailing_head[-len(_ARMOR) :] + rest
            self.another = self.another or _ARMOR in window
            self.trailing_head = window[-len(_ARMOR) :]
        elif len(self.trailing_head) < HEAD_BYTES:
            self.trailing_head += rest[:HEAD_BYTES]
        return at

    @property
    def several(self) -> bool:
        """Whether another message follows this one."""
        return self.another or looks_like_openpgp(bytes(self.trailing_head[:HEAD_BYTES]))

    def _feed_armor(self, data: bytes) -> int:
        window = bytes(self._carry) + data
        found = window.find(_ARMOR_END)
        if found < 0:
            self._carry = bytearray(window[1 - len(_ARMOR_END) :])
            return len(data)
        self.complete = True
        end = found + len(_ARMOR_END)
        end += len(window[end : end + 2]) - len(window[end : end + 2].lstrip(b"\r\n"))
        return end - len(self._carry)

    def _feed_packets(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.complete:
            if not self._known:
                return len(data)
            if self._left:
                step = min(self._left, len(data) - at)
                at, self._left = at + step, self._left - step
            else:
                self._carry.append(data[at])
                at += 1
                if not self._read_header():
                    continue
            if not self._left and not self._parts and self._known:
                self.complete = self._current in _ENCRYPTED
        return at

    def _read_header(self) -> bool:
        """Read the header that has gathered; False while it is too short."""
        if self._parts:
            parsed = _new_length(self._carry)
            if parsed is None:
                return False
            _, self._left, self._parts = parsed
        else:
            if not self._carry[0] & 0x80:
                self._known = False
                return True
            header = _packet_header(self._carry)
            if header is None:
                return False
            self._current, _, self._left, self._parts = header
            if self._current in _ENCRYPTED:
                self.tag = self._current
            elif self._current not in (_PKESK, _SKESK, _MARKER, _PADDING):
                self._known = False
            if self._left < 0:
                self._known = False
        self._carry.clear()
        return True


class _Input:
    """The bytes of one message's source: a range of a file, a pipe, or a stream.

    Attributes:
        fd: a descriptor of our own, or -1 for a stream.
        start: where the message begins in a regular file, else None.
        direct: whether gpg can read the descriptor by itself.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | int | Readable,
        offset: int,
        length: int | None,
        head: bytes,
    ) -> None:
        self.fd = -1
        self.start: int | None = None
        self.stopped = threading.Event()
        self._stream: Readable | None = None
        if isinstance(source, int):
            self.fd = os.dup(source)
        elif isinstance(source, str | os.PathLike):
            self.fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        else:
            self._stream = source
        if self.fd >= 0 and stat.S_ISREG(os.fstat(self.fd).st_mode):
            here = os.lseek(self.fd, 0, os.SEEK_CUR)
            self.start = os.lseek(self.fd, here + offset, os.SEEK_SET)
        elif offset:
            self.close()
            raise ValueError("only a file can be opened at an offset")
        self.direct = (
            self.start is not None
            and length is None
            and not head
            and _armor_start(os.pread(self.fd, HEAD_BYTES, self.start)) is None
        )
        self._head = head if length is None else head[:length]
        self._left = None if length is None else length - len(self._head)

    def read(self) -> bytes:
        """Return the next bytes; none at the end, or once it was stopped."""
        if self._head:
            head, self._head = self._head, b""
            return head
        size = PIPE_BYTES if self._left is None else min(PIPE_BYTES, self._left)
        if self._stream is not None:
            data = b"" if self.stopped.is_set() else self._stream.read(size)
        else:
            data = os.read(self.fd, size) if self._ready() else b""
        if self._left is not None:
            self._left -= len(data)
        return data

    def close(self) -> None:
        """Give back the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _ready(self) -> bool:
        """Wait for bytes, but not beyond `stopped`."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while not self.stopped.is_set():
            if poll.poll(100):
                return True
        return False


class _Feeder(threading.Thread):
    """Copies one message to gpg, up to its end and no further, and watches its frame."""

    def __init__(self, source: _Input, sink_fd: int) -> None:
        super().__init__(name="edxlogs-gpg-input", daemon=True)
        self.frame = _Frame(armored=False)
        self.error: Exception | None = None
        self._source = source
        self._sink_fd = sink_fd

    def run(self) -> None:
        """Copy until the input ends, gpg ends, or the source is stopped."""
        try:
            head = b""
            while len(head) < HEAD_BYTES and (more := self._source.read()):
                head += more
            start = _armor_start(head)
            self.frame.armored = start is not None
            chunk = head[start or 0 :]  # gpg knows no armour after white space
            while chunk:
                self._copy(chunk)
                chunk = self._source.read()
            self.frame.ended = not self._source.stopped.is_set()
        except BrokenPipeError:
            pass  # gpg has seen enough; its own words say why
        except Exception as error:  # a caller's stream may raise anything
            self.error = error
        finally:
            self._close_sink()

    def _copy(self, chunk: bytes) -> None:
        rest = memoryview(chunk)[: self.frame.feed(chunk)]
        while rest:
            rest = rest[os.write(self._sink_fd, rest) :]
        if self.frame.complete:
            self._close_sink()

    def _close_sink(self) -> None:
        if self._sink_fd >= 0:
            os.close(self._sink_fd)
            self._sink_fd = -1


@dataclass
class _Status:
    """What gpg said on its status descriptor (GnuPG's doc/DETAILS), in bounded space."""

    keys: list[str] = field(default_factory=list)  # ids the message is encrypted to
    codes: set[int] = field(default_factory=set)
    asked_passphrase: bool = False
    no_secret_key: bool = False
    opened: bool = False  # the session key was had
    mdc: bool = False
    plaintexts: int = 0
    begun: int = 0
    okay: int = 0
    good: int = 0
    ended: int = 0
    spoiled: bool = False  # anything that must not be there
    unprotected: bool = False
    bytes_after: bool = False

    def line(self, line: bytes) -> None:
        """Take one line."""
        words = line.decode("ascii", "replace").split()
        if len(words) < 2 or words[0] != "[GNUPG:]":
            return
        keyword, args = words[1], words[2:]
        match keyword:
            case "ENC_TO" if args and args[0] not in self.keys and len(self.keys) < 64:
                self.keys.append(args[0])
            case "NO_SECKEY":
                self.no_secret_key = True
            case "NEED_PASSPHRASE_SYM":
                self.asked_passphrase = True
            case "BEGIN_DECRYPTION":
                self.begun += 1
            case "DECRYPTION_INFO":
                self.opened = True
                self.mdc = args[:1] not in ([], ["0"])
            case "PLAINTEXT":
                self.plaintexts += 1
                self.spoiled = self.spoiled or self.begun != self.ended + 1
            case "DECRYPTION_OKAY":
                self.okay += 1
            case "GOODMDC":
                self.good += 1
            case "END_DECRYPTION":
                self.ended += 1
            case "BADMDC" | "DECRYPTION_FAILED" | "UNEXPECTED":
                self.spoiled = True
            case "NODATA":
                self.bytes_after = self.ended > 0
                self.spoiled = self.spoiled or not self.ended
            case "ERROR":
                self._error(args)

    def _error(self, args: list[str]) -> None:
        code = args[1].split("_")[0] if len(args) > 1 else ""
        if code.isdigit():
            self.codes.add(int(code) & 0xFFFF)
        self.unprotected = self.unprotected or args[:1] == ["nomdc_with_legacy_cipher"]
        # Before that, the key of one recipient may fail and that of another do.
        self.spoiled = self.spoiled or self.begun > 0

    @property
    def verified(self) -> bool:
        """Whether one message was decrypted, to its end, and its integrity shown."""
        counts = {self.begun, self.plaintexts, self.okay, self.good, self.ended}
        return counts == {1} and not self.spoiled


@dataclass(frozen=True)
class Verdict:
    """What may be done with the bytes that a decryption gave.

    Attributes:
        ok: whole, unaltered, gpg content: they may be published.
        unauthenticated: the message was cut off, so its end was never checked; salvage may
            deliver what came, under that name.
        altered: the integrity check failed: never deliver.
        no_integrity: the message has no integrity protection: never deliver.
        interrupted: we ended gpg ourselves; says nothing about the source.
        warning: one sentence about bytes that were left aside, or None.
        retry: opening the source again may succeed.
        length: with `retry`: open this many bytes only, since others follow the message.
        error: why not ok, and what to do; None if ok or interrupted.
    """

    ok: bool = False
    unauthenticated: bool = False
    altered: bool = False
    no_integrity: bool = False
    interrupted: bool = False
    warning: str | None = None
    retry: bool = False
    length: int | None = None
    error: DecryptError | None = None


def _judge(
    source: str,
    exit_code: int,
    status: _Status,
    frame: _Frame,
    secret_keys: Callable[[], frozenset[str]],
) -> Verdict:
    """Weigh what gpg said against the frame of the message."""

    def fail(why: str, **flags: Any) -> Verdict:
        return Verdict(error=DecryptError(f"cannot decrypt: {source}: {why}", source), **flags)

    if exit_code < 0:
        return fail(f"gpg was ended by signal {-exit_code}; run again")
    left = frame.trailing if frame.complete else 0
    if left and frame.several and status.opened:
        return fail(
            f"another OpenPGP message follows at byte {frame.length}; split the file into one"
            " message a file"
        )
    warning = f"{source}: {left} bytes after the OpenPGP message were ignored" if left else None
    # Status 2 for nothing but bytes after the message. Not so for AEAD, where gpg 2.2 claims
    # GOODMDC and this status for an altered message too.
    only_bytes_after = exit_code == 2 and status.bytes_after and status.mdc and left > 0
    if status.verified and (only_bytes_after or (exit_code == 0 and not status.bytes_after)):
        return Verdict(ok=True, warning=warning)
    if not status.opened:
        return _judge_unopened(status, frame, secret_keys, fail)
    if status.asked_passphrase and not status.plaintexts and _BAD_PASSPHRASE in status.codes:
        return fail("the passphrase is wrong; correct the passphrase file")
    if status.unprotected or frame.tag == _SED:
        return fail(
            "the message has no integrity protection; ask its sender for one that has",
            no_integrity=True,
        )
    if left:
        return fail(
            f"{left} bytes follow the message and spoil its check; keep only its first"
            f" {frame.length} bytes",
            retry=True,
            length=frame.length,
            warning=warning,
        )
    if frame.cut:
        salvage = ", or use --salvage for what precedes the cut" if status.plaintexts else ""
        return fail(
            f"the message is cut off; fetch the file again{salvage}",
            unauthenticated=status.plaintexts > 0,
        )
    return fail("the message was altered or damaged; fetch the file again", altered=True)


def _judge_unopened(
    status: _Status,
    frame: _Frame,
    secret_keys: Callable[[], frozenset[str]],
    fail: Callable[..., Verdict],
) -> Verdict:
    """Say why gpg did not come to the data."""
    if frame.cut and frame.tag is None:
        return fail("the message is cut off before its data; fetch the file again")
    if _BAD_PASSPHRASE in status.codes:
        return fail("the passphrase is wrong; correct the passphrase file")
    if _NO_MEMORY in status.codes:
        return fail(
            "gpg-agent is out of secure memory; put auto-expand-secmem into gpg-agent.conf",
            retry=True,
        )
    if status.codes & _NOT_UNLOCKED:
        what = "no passphrase was given" if status.asked_passphrase else "the secret key is locked"
        return fail(f"{what}; give a passphrase file, or unlock the key in gpg-agent beforehand")
    if status.keys and not (frame.cut and not status.no_secret_key):
        named = ", ".join("hidden" if set(key) == {"0"} else key for key in status.keys)
        if secret_keys().intersection(status.keys):
            return fail(
                f"gpg could not use the secret key ({named}), whose agent is busy or which is"
                " locked; run again, or unlock it beforehand",
                retry=True,
            )
        return fail(
            f"it is encrypted to {named} and no such secret key is in the key ring; import it"
            " with gpg --import"
        )
    if frame.cut:
        return fail("the message is cut off before its data; fetch the file again")
    return fail("it is not an encrypted OpenPGP message; look at it with gpg --list-packets")


class Decryption:
    """A running gpg that decrypts one message; `Gpg.open` starts it.

    Read `stdout_fd` to its end, then ask for the `verdict()`. As a context manager it ends gpg
    and closes its descriptors when left.

    Attributes:
        source_name: what messages call the source.
        stdout_fd: where the plaintext is read. It stays ours: borrow or duplicate it, do not
            close it.
    """

    def __init__(self, gpg: Gpg, source_name: str, source: _Input, process: _Process) -> None:
        self.source_name = source_name
        self.stdout_fd = process.stdout_fd
        self._gpg = gpg
        self._source = source
        self._process = process.child
        self._feeder: _Feeder | None = None
        self._killed = False
        self._verdict: Verdict | None = None
        self._status = _Status()
        self._listener = threading.Thread(
            target=self._listen, args=(process,), name="edxlogs-gpg-status", daemon=True
        )
        self._listener.start()
        if process.stdin_fd >= 0:
            self._feeder = _Feeder(source, process.stdin_fd)
            self._feeder.start()

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
                frame = _Frame(armored=False)  # gpg read the whole file and is content
            else:
                frame = _survey(self._source)
        except Exception as cause:  # as in _Feeder.run
            error = DecryptError(
                f"cannot decrypt: {self.source_name}: reading it failed: {cause}; try again",
                self.source_name,
            )
            error.__cause__ = cause
            return Verdict(error=error)
        return _judge(self.source_name, code, status, frame, self._gpg.secret_key_ids)

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


def _survey(source: _Input) -> _Frame:
    """Read a binary message once more, from its start, for its frame alone."""
    frame = _Frame(armored=False)
    at = source.start or 0
    while frame.trailing < HEAD_BYTES and (chunk := os.pread(source.fd, PIPE_BYTES, at)):
        at += len(chunk)
        frame.feed(chunk)
    frame.trailing += max(0, os.fstat(source.fd).st_size - at)
    frame.ended = True
    return frame


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
            ConfigError: `home` is no folder, or the passphrase file holds no passphrase.
            OSError: the passphrase file cannot be read.
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
        ring = str(self.home or os.environ.get("GNUPGHOME", "")) or "~/.gnupg"
        with _slots_lock:
            at_once = min(os.cpu_count() or 1, MOST_AT_ONCE)
            self._slot = _slots.setdefault(
                os.path.realpath(os.path.expanduser(ring)), threading.Semaphore(at_once)
            )

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
                for key in interface.list_keys(secret=True):
                    parts = {key["keyid"]: key, **key.get("subkey_info", {})}
                    # "#": a stub, the secret part is elsewhere.
                    ids |= {i for i, part in parts.items() if part["token"] != "#"}
                self._secret_keys = frozenset(ids)
            return self._secret_keys

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
        message = _Input(source, offset, length, head)
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

    def _spawn(self, message: _Input) -> _Process:
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
        environment = {**os.environ, "LC_ALL": "C"}
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
        import gnupg  # type: ignore[import-untyped]  # 30 ms, so not before it is needed

        oldest = ".".join(map(str, OLDEST_GPG))
        advice = f"install GnuPG {oldest} or newer"
        if shutil.which(self.executable) is None:
            raise DecryptError(f"cannot run gpg: {self.executable}: no such program; {advice}")
        try:
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
    with path.open("rb") as file:
        passphrase = file.readline(4096).rstrip(b"\r\n")
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
