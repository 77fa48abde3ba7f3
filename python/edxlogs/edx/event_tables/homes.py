"""Which table an event belongs to, by its type and its name."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edxlogs import toml
from edxlogs.edx.categories import categories
from edxlogs.errors import ConfigError
from edxlogs.text import shown

REQUESTS = "requests"
"""The home of types that are paths of requests."""
OTHER = "other_events"
"""The home of unknown types."""


class Home(NamedTuple):
    """Where an event belongs.

    Attributes:
        table: name of the table.
        spelling: the type or the name that decided; None if neither is known.
        name_disagrees: whether the name leads to another table than the type.
    """

    table: str
    spelling: str | None
    name_disagrees: bool = False


@dataclass(frozen=True, slots=True)
class Homes:
    """The home of each event type.

    Attributes:
        of: table by event type; without the glob for requests.
        tables: names of the tables, in the order of their definitions.
    """

    of: Mapping[str, str]
    tables: tuple[str, ...]

    def types(self, table: str) -> tuple[str, ...]:
        """The event types whose home is this table, in the order of the categories."""
        return tuple(one for one, its in self.of.items() if its == table)

    def home(self, event_type: str | None, name: str | None) -> Home:
        """Find where an event belongs.

        Args:
            event_type: type of the event, as written. Decides if it is known.
            name: name of the event. Decides if the type is not known.
        """
        by_type = self.of.get(event_type or "")
        by_name = self.of.get(name or "")
        if by_type is not None:
            return Home(by_type, event_type, by_name not in {None, by_type})
        if by_name is not None:
            return Home(by_name, name)
        return Home(REQUESTS if (event_type or "").startswith("/") else OTHER, None)


_KNOWN = {
    "categories": toml.Value("must be a list of categories", toml.several),
    "types": toml.Value("must be a list of event types", toml.several),
}


def read_homes(where: str, text: str, known: Mapping[str, tuple[str, ...]]) -> Homes:
    """Read which table is the home of which types.

    Args:
        where: how messages call the text.
        text: TOML with a table for each event table, with `categories` and `types`.
        known: event types by category.

    Raises:
        ConfigError: a type has no home or two, or a name in the text is unknown.
    """
    tables = toml.parse(where, text)
    of_category: dict[str, str] = {}
    of_type: dict[str, str] = {}
    for table, value in tables.items():
        place = f"{where}: {shown(table)}"
        if not isinstance(value, dict):
            raise ConfigError(f"{place}: must be a table with categories or types")
        values = toml.check(place, value, _KNOWN, "is not a key of a home")
        for key, into in (("categories", of_category), ("types", of_type)):
            for one in values.get(key, ()):
                if into.setdefault(one, table) != table:
                    raise ConfigError(f"{place}: {shown(one)} belongs to {into[one]} already")
    everything = {one for types in known.values() for one in types}
    for one in [*(set(of_category) - set(known)), *(set(of_type) - everything)]:
        raise ConfigError(f"{where}: {shown(one)}: no such category or event type")
    homes = {}
    for category, types in known.items():
        for one in types:
            home = of_type.get(one) or of_category.get(category)
            if home is None:
                raise ConfigError(f"{where}: {one} of category {category} has no home")
            if "*" not in one:
                homes[one] = home
    for table in (REQUESTS, OTHER):
        if table not in tables:
            raise ConfigError(f"{where}: {table} is missing: events of no other table go there")
    return Homes(homes, tuple(tables))


@functools.cache
def homes() -> Homes:
    """The homes of all types in the project's own categories."""
    path = Path(__file__).with_name("homes.toml")
    return read_homes(path.name, path.read_text("utf-8"), categories())
