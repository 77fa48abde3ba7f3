"""The salt: a key of the user's own, by which hidden values can be recognised again."""

from __future__ import annotations

import errno
import hmac
import os
import secrets
from pathlib import Path

from edxlogs.errors import ConfigError, OutputError
from edxlogs.store import disk
from edxlogs.text import shown

_LEAST_BYTES, _MOST_BYTES = 16, 4096
_BYTES = 32  # of a new one, in hex
_STATE = "XDG_STATE_HOME"


def digest(values: bytes, path: Path | None = None) -> str:
    """The HMAC-SHA256 of values, in hex. Without the salt, nobody can find the values by guessing.

    Args:
        values: a text that is the same whenever the values are.
        path: path of the salt, which is created if it does not exist. None means `edxlogs/salt` in
            `$XDG_STATE_HOME` or `~/.local/state`.

    Raises:
        ConfigError: the file is not a salt.
        OutputError: the file cannot be read or created.
    """
    place = _place() if path is None else path
    return hmac.digest(_salt(place, follows=path is not None), values, "sha256").hex()


def _place() -> Path:
    folder = os.environ.get(_STATE, "")
    base = Path(folder) if os.path.isabs(folder) else Path("~/.local/state")
    try:
        return base.expanduser() / "edxlogs" / "salt"
    except RuntimeError:
        raise OutputError("salt: there is no home folder; name a file with --salt-file") from None


def _salt(path: Path, *, follows: bool) -> bytes:
    """The content of the file, without surrounding white space."""
    try:
        try:
            content = _read(path, follows=follows)
        except FileNotFoundError:
            if not follows:
                disk.make_folders(path.parent)
            _make(path)
            content = _read(path, follows=follows)
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else error.strerror
        raise OutputError(
            f"salt: {shown(os.fspath(path))}: {why}; name another file with --salt-file"
        ) from error
    salt = content.strip()
    if not _LEAST_BYTES <= len(salt) <= _MOST_BYTES:
        raise ConfigError(
            f"salt: {shown(os.fspath(path))}: holds no salt of {_LEAST_BYTES} to {_MOST_BYTES}"
            " bytes; name another file, or a new one to make it"
        )
    return salt


def _read(path: Path, *, follows: bool) -> bytes:
    """The first bytes of the file. A link is followed only if the user named it."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follows else os.O_NOFOLLOW)
    with open(os.open(path, flags), "rb") as file:
        return file.read(_MOST_BYTES + 3) or b""


def _make(path: Path) -> None:
    """Create a salt. It appears whole; if several are created at once, one remains."""
    new = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        os.close(disk.make_file(new))
        disk.append(new, 0, f"{secrets.token_hex(_BYTES)}\n".encode())
        try:
            disk.name_new(new, path)
        except FileExistsError:
            return
        disk.sync_folder(path.parent)
    finally:
        disk.unlink(new)
