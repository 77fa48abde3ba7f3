"""Reads TOML that users write, and checks it key by key. Errors say what a key must be."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edxlogs.errors import ConfigError
from edxlogs.text import shown


@dataclass(frozen=True, slots=True)
class Value:
    """What a key accepts.

    Attributes:
        told: what a value must be, for messages about one that is not.
        read: converts a value; None if it is not acceptable.
    """

    told: str
    read: Callable[[Any], Any]


def parse(where: str, text: str, no_toml: str = "") -> dict[str, Any]:
    """Parse a document. `no_toml` begins the message if it is not TOML.

    Raises:
        ConfigError: the text is not TOML.
    """
    import tomllib  # few commands need it, and all would wait for it

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: {no_toml}{shown(str(error))}") from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise ConfigError(f"{where}: {no_toml}a number has too many digits") from None
    except RecursionError:
        raise ConfigError(f"{where}: it is nested too deeply; write it as in the docs") from None


def check(
    where: str, table: Mapping[str, Any], known: Mapping[str, Value], unknown: str
) -> dict[str, Any]:
    """Check a table, and return its converted values.

    Args:
        where: how messages call the table.
        table: the table.
        known: keys, and what each accepts.
        unknown: what messages say about a key that is not known.

    Raises:
        ConfigError: a key is unknown, or its value is of the wrong kind.
    """
    values = {}
    for key, value in table.items():
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise ConfigError(f"{where}: {shown(key)}: {unknown}; {hint}")
        values[key] = known[key].read(value)
        if values[key] is None:
            raise ConfigError(f"{where}: {key}: {known[key].told}")
    return values


def text(value: Any) -> str | None:
    """A text that the system accepts as a name."""
    return value if isinstance(value, str) and "\0" not in value else None


def several(value: Any) -> list[str] | None:
    """A text, or a list of texts."""
    listed = value if isinstance(value, list) else [value]
    return listed if listed and all(text(one) is not None for one in listed) else None


def flag(value: Any) -> bool | None:
    """True or false."""
    return value if isinstance(value, bool) else None


def number(value: Any) -> int | None:
    """A number, at least 1, that fits every counter."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 1 <= value < 10**18 else None


def reals(value: Any) -> list[float] | None:
    """A number, or a list of numbers."""
    listed = value if isinstance(value, list) else [value]
    are_numbers = all(isinstance(one, int | float) and one is not True for one in listed)
    return [float(one) for one in listed] if listed and are_numbers else None


def day(value: Any) -> str | None:
    """A day, as TOML writes it or as text."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    return text(value)
