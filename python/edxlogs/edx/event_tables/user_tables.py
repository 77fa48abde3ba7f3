"""Tables that users define, checked as strictly as the project's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edxlogs import toml
from edxlogs.edx.event_tables.definition import EventTable, Kind
from edxlogs.edx.event_tables.homes import OTHER, REQUESTS, Homes, homes
from edxlogs.edx.event_tables.keys import OF_USER_TABLE, checked
from edxlogs.edx.event_tables.reading import event_tables, table_of_types
from edxlogs.errors import ConfigError
from edxlogs.text import shown
from edxlogs.values import MOST_TOML_BYTES, read_text


@dataclass(frozen=True, slots=True)
class UserTables:
    """Tables that a user defined.

    Attributes:
        tables: tables by name, in the order of their files. Their kind is apart or home.
        homes: the home of each event type, these tables included.
    """

    tables: Mapping[str, EventTable]
    homes: Homes


def read_user_tables(paths: Iterable[str | os.PathLike[str]]) -> UserTables:
    """Read tables that a user defined, one per file.

    A table has one row for each event of its types, in addition to the row in the event's home.
    With `home = true` it is the home, and takes its types out of `other_events`.

    Args:
        paths: paths of the TOML files.

    Raises:
        ConfigError: a file cannot be read, or its definition is invalid. The message names file,
            table, place and reason.
    """
    tables: dict[str, EventTable] = {}
    files: dict[str, str] = {}
    of = dict(homes().of)
    for path in paths:
        file = shown(os.fspath(path))
        values = checked(
            file,
            toml.parse(file, _text(file, Path(path))),
            OF_USER_TABLE,
            ("name", "about", "columns"),
        )
        name = values["name"]
        where = f"{file}: {name}"
        if name in event_tables():
            raise ConfigError(f"{where}: name: edxlogs has a table of this name; choose another")
        if name in files:
            raise ConfigError(f"{where}: name: {files[name]} has the same name; choose another")
        is_home = values.get("home", False)
        types = _types(where, values)
        for place, one in types:
            if not one or "*" in one:
                raise ConfigError(f"{where}: {place}: {shown(one)}: must be a whole event type")
            if is_home and (its := _home(of, one)) != OTHER:
                raise ConfigError(
                    f"{where}: {place}: {shown(one)}: its home is {its}; leave out home = true"
                )
        listed = tuple(dict.fromkeys(one for _, one in types))
        table = table_of_types(where, values, Kind.HOME if is_home else Kind.APART, listed)
        of |= dict.fromkeys(listed if is_home else (), name)
        tables[name] = table
        files[name] = file
    own = (one.name for one in tables.values() if one.kind is Kind.HOME)
    return UserTables(tables, Homes(of, (*homes().tables, *own)))


def _text(file: str, path: Path) -> str:
    try:
        return read_text(path, MOST_TOML_BYTES)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; name a file with a table") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8; save it as UTF-8") from None


def _home(of: Mapping[str, str], event_type: str) -> str:
    return of.get(event_type, REQUESTS if event_type.startswith("/") else OTHER)


def _types(where: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The types of a table, each with its place in the file."""
    if "types" in values:
        if "actions" in values:
            raise ConfigError(
                f"{where}: types: actions give them already; leave one of the two out"
            )
        return [("types", one) for one in values["types"]]
    found = [
        (f"actions, number {number}", one)
        for number, action in enumerate(values.get("actions", ()), 1)
        if isinstance(action, dict)
        for one in toml.several(action.get("types")) or ()
    ]
    if not found:
        raise ConfigError(f"{where}: types is missing: a list of event types, or actions with some")
    return found
