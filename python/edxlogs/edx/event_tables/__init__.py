"""Tables of what learners did: which events each is the home of, and what its columns hold.

A definition is a TOML file beside this module, one for each table; `homes.toml` says where each
type of event belongs. They are read here, and checked; nothing here reads events.
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
