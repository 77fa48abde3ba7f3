"""Tables of what learners did: which events belong to each, and what its columns hold.

Each table is defined by a TOML file beside this module. `homes.toml` says to which table each event
type belongs. The definitions are read and checked here; events are not.
"""

from __future__ import annotations

from edxlogs.edx.event_tables.definition import EventTable, Kind
from edxlogs.edx.event_tables.document import document
from edxlogs.edx.event_tables.homes import Home, Homes, homes
from edxlogs.edx.event_tables.reading import event_tables, read_table
from edxlogs.edx.event_tables.user_tables import UserTables, read_user_tables

__all__ = [
    "EventTable",
    "Home",
    "Homes",
    "Kind",
    "UserTables",
    "document",
    "event_tables",
    "homes",
    "read_table",
    "read_user_tables",
]
