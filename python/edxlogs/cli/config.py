"""The config file: what never changes for a user, as defaults of the command's options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edxlogs import toml
from edxlogs.errors import ConfigError
from edxlogs.text import shown
from edxlogs.values import MOST_TOML_BYTES, read_text

ENVIRONMENT = "EDXLOGS_CONFIG"


def read_config() -> dict[str, Any]:
    """Read the config file of the user.

    It is the file that the variable `EDXLOGS_CONFIG` names (none if that is empty), else
    `edxlogs/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`, where it may be missing.

    Returns:
        Values by the names of options, with underscores; paths are absolute.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or has a key or value that is unknown.
    """
    path = _place()
    if path is None:
        return {}
    name = shown(str(path))
    try:
        text = read_text(path, MOST_TOML_BYTES)
    except FileNotFoundError as error:
        if ENVIRONMENT not in os.environ:
            return {}
        raise ConfigError(f"cannot read config file: {name}: it does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read config file: {name}: {why}") from error
    where = f"config file: {name}"
    known = _kinds(path.absolute().parent)
    return toml.check(where, toml.parse(where, text), known, "there is no such key")


def _place() -> Path | None:
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        return Path(named) if named else None
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(folder) if os.path.isabs(folder) else Path("~/.config")
    try:
        return base.expanduser() / "edxlogs" / "config.toml"
    except RuntimeError:  # a user without a home
        return None


def _kinds(folder: Path) -> dict[str, toml.Value]:
    """The keys; a relative path begins at the config file's folder, and `~` is the user's home."""

    def path(value: Any) -> Path | None:
        text = toml.text(value)
        try:
            return folder / Path(text).expanduser() if text else None
        except RuntimeError:
            return None

    text = toml.Value("it must be a text", lambda value: toml.text(value) or None)
    texts = toml.Value(
        "it must be a text, or a list of texts",
        lambda value: listed if (listed := toml.several(value)) and all(listed) else None,
    )
    return {
        "partner": text,
        "profile": texts,
        "region": text,
        "endpoint_url": text,
        "requester_pays": toml.Value("it must be true or false", toml.flag),
        "gnupg_home": toml.Value("it must be a path", path),
        "passphrase_file": toml.Value("it must be a path", path),
        "salt_file": toml.Value("it must be a path", path),
    }
