"""What gpg said, and what may be done with its output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edxlogs.errors import DecryptError
from edxlogs.gpg.frame import SED, Frame

# libgpg-error codes, their low 16 bits.
_BAD_PASSPHRASE, _NO_MEMORY, _NO_ACCESS = 11, 32768 | 86, 32768 | 1
_NOT_UNLOCKED = frozenset({62, 85, 99, 177, 198})  # timeout, no pinentry, cancelled, no passphrase


@dataclass
class StatusLines:
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
        # Before that, the key of one recipient may fail and another one may work.
        self.spoiled = self.spoiled or self.begun > 0

    @property
    def verified(self) -> bool:
        """Whether one message was decrypted to its end, and its integrity was shown."""
        counts = {self.begun, self.plaintexts, self.okay, self.good, self.ended}
        return counts == {1} and not self.spoiled


@dataclass(frozen=True)
class Verdict:
    """What may be done with the output of a decryption.

    Attributes:
        ok: complete and unaltered, and gpg has no objection: it may be published.
        unauthenticated: the message was cut off, so its end was never checked. Salvage may deliver
            what came, under that name.
        altered: the integrity check failed: never deliver it.
        no_integrity: the message has no integrity protection: never deliver it.
        interrupted: edxlogs ended gpg itself. This says nothing about the source.
        warning: one sentence about bytes that were left aside, or None.
        retry: opening the source again may succeed.
        length: with `retry`, open only this many bytes, since others follow the message.
        error: why not ok, and what to do, or what the caller's stream raised; None if ok or
            interrupted.
    """

    ok: bool = False
    unauthenticated: bool = False
    altered: bool = False
    no_integrity: bool = False
    interrupted: bool = False
    warning: str | None = None
    retry: bool = False
    length: int | None = None
    error: Exception | None = None


def judge(
    source: str,
    exit_code: int,
    status: StatusLines,
    frame: Frame,
    secret_keys: Callable[[], frozenset[str]],
) -> Verdict:
    """Judge what gpg said in the light of the message's frame."""

    def fail(why: str, **flags: Any) -> Verdict:
        return Verdict(error=DecryptError(f"cannot decrypt: {source}: {why}", source), **flags)

    if exit_code < 0:
        return fail(f"gpg was killed by signal {-exit_code}; run again")
    left = frame.trailing if frame.complete else 0
    if left and frame.several and status.opened:
        return fail(
            f"another OpenPGP message follows at byte {frame.length}; split it into files of one"
            " message each"
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
    if status.unprotected or frame.tag == SED:
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
        salvage = ", or use --salvage for what comes before the cut" if status.plaintexts else ""
        return fail(
            f"the message is cut off; fetch the file again{salvage}",
            unauthenticated=status.plaintexts > 0,
        )
    return fail("the message was altered or damaged; fetch the file again", altered=True)


def _judge_unopened(
    status: StatusLines,
    frame: Frame,
    secret_keys: Callable[[], frozenset[str]],
    fail: Callable[..., Verdict],
) -> Verdict:
    """Say why gpg did not get as far as the data."""
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
                f"gpg could not use the secret key ({named}): its agent is busy, or it is"
                f" locked; run again, or unlock it beforehand",
                retry=True,
            )
        if _NO_ACCESS in status.codes:
            return fail("gpg may not read its key ring; allow it, or name another key ring")
        return fail(
            f"it is encrypted to {named} and no such secret key is in the key ring; import it"
            " with gpg --import"
        )
    if frame.cut:
        return fail("the message is cut off before its data; fetch the file again")
    if frame.tag is not None:
        return fail(
            "gpg did not start to decrypt; see what gpg --list-secret-keys says, or name a key ring"
        )
    return fail("it is not an encrypted OpenPGP message; look at it with gpg --list-packets")
