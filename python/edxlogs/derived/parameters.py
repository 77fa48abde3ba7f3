"""The parameters of a run of derived tables: one frozen set for all courses."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

_MICROS = 60_000_000  # of a minute


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of the definitions.

    Attributes:
        as_of: last day that counts; None means everything counts.
        tz: time zone in which days begin.
        gap: minutes of inactivity after which a new session begins.
        cap: most minutes credited after an act.
        cap_long: the same after acts of video and text.
        min_n: fewest learners for whom statistics are given.
        with_email_domain: whether to include the domains of e-mail addresses.
    """

    as_of: datetime.date | None = None
    tz: str = "UTC"
    gap: float = 30
    cap: float = 5
    cap_long: float = 30
    min_n: int = 10
    with_email_domain: bool = False

    def told(self) -> dict[str, Any]:
        """The parameters as a document."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {**told, "as_of": None if self.as_of is None else self.as_of.isoformat()}

    def end_of(self, day: datetime.date) -> datetime.datetime:
        """When a day ends in its time zone."""
        after = datetime.datetime.combine(day + datetime.timedelta(1), datetime.time())
        return after.replace(tzinfo=ZoneInfo(self.tz))

    def variables(self) -> dict[str, Any]:
        """What statements read with `getvariable`, except per course. Durations are in µs.

        Returns:
            Python values by name.
        """
        return {
            "tz": self.tz,
            "gap": round(self.gap * _MICROS),
            "cap": round(self.cap * _MICROS),
            "cap_long": round(self.cap_long * _MICROS),
            "min_n": self.min_n,
            "with_email_domain": self.with_email_domain,
        }
