"""The config file: what never changes for a user, as defaults of the command's options."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edxlogs.errors import ConfigError
from edxlogs.text import shown

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
    where = shown(str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if ENVIRONMENT not in os.environ:
            return {}
        raise ConfigError(f"cannot read config file: {where}: it does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read config file: {where}: {why}") from error
    import tomllib  # few have a config file, and all would wait for it

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config file: {where}: {shown(str(error))}") from error
    except RecursionError:
        raise ConfigError(f"config file: {where}: it is nested too deeply") from None
    return {key: _value(key, value, path) for key, value in values.items()}


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


def _value(key: str, value: Any, path: Path) -> Any:
    where = f"config file: {shown(str(path))}: {shown(key)}"
    if key not in _KEYS:
        import difflib

        near = difflib.get_close_matches(key, _KEYS, 1)
        hint = f"did you mean {near[0]}" if near else f"known are {', '.join(_KEYS)}"
        raise ConfigError(f"{where}: there is no such key; {hint}")
    wanted, read = _KEYS[key]
    taken = read(value, path)
    if taken is None:
        raise ConfigError(f"{where}: it must be {wanted}")
    return taken


def _text(value: Any, _path: Path) -> str | None:
    return value if isinstance(value, str) and value and "\0" not in value else None


def _texts(value: Any, path: Path) -> list[str] | None:
    texts = value if isinstance(value, list) else [value]
    return texts if texts and all(_text(text, path) for text in texts) else None


def _truth(value: Any, _path: Path) -> bool | None:
    return value if isinstance(value, bool) else None


def _file(value: Any, path: Path) -> Path | None:
    """A path, `~` being the user's home; a relative one begins at the config file's folder."""
    text = _text(value, path)
    try:
        return None if text is None else path.absolute().parent / Path(text).expanduser()
    except RuntimeError:
        return None


_KEYS: dict[str, tuple[str, Callable[[Any, Path], Any]]] = {
    "partner": ("a text", _text),
    "profile": ("a text, or a list of texts", _texts),
    "region": ("a text", _text),
    "endpoint_url": ("a text", _text),
    "requester_pays": ("true or false", _truth),
    "gnupg_home": ("a path", _file),
    "passphrase_file": ("a path", _file),
}
