"""How a key is unlocked: with a passphrase from a file, or one that the agent asks for."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edxlogs.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Unlocking:
    """A key ring, and how its keys are unlocked.

    Attributes:
        home: its folder; None means gpg's default.
        passphrase: passphrase of its keys; None leaves them to the agent.
        terminal: where the agent may ask; None means that it never does.
    """

    home: Path | None
    passphrase: bytes | None
    terminal: str | None


def read_passphrase(path: Path) -> tuple[bytes, list[str]]:
    """The first line of a file, and warnings about the file.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            passphrase = file.readline(4096).rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(
            f"cannot use passphrase file: {path}: {error.strerror}; name a file that can be read"
        ) from error
    if not passphrase:
        raise ConfigError(f"cannot use passphrase file: {path}: its first line is empty")
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        return passphrase, [f"passphrase file: {path}: others can read it; run chmod 600 on it"]
    return passphrase, []


def find_terminal() -> str | None:
    """The name of the terminal on which a passphrase can be asked for, or None."""
    for fd in (2, 0, 1):
        with suppress(OSError):
            return os.ttyname(fd)
    return None
