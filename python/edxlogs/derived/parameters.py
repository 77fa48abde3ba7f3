"""What a run of derived tables may be told: one frozen set of parameters, for all courses."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

_MICROS = 60_000_000  # of a minute


@dataclass(frozen=True, slots=True)
class Parameters:
    """What definitions are asked with.

    Attributes:
        as_of: the last day that counts; None: all that is there counts.
        tz: time zone of days.
        gap: minutes without an act after which a new session begins.
        cap: most minutes that are credited after an act.
        cap_long: the same after acts of video and text.
        min_n: least number of learners whose statistics are told.
        with_email_domain: whether the domains of e-mail addresses are told.
    """

    as_of: datetime.date | None = None
    tz: str = "UTC"
    gap: float = 30
    cap: float = 5
    cap_long: float = 30
    min_n: int = 10
    with_email_domain: bool = False

    def told(self) -> dict[str, Any]:
        """They as a document."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {**told, "as_of": None if self.as_of is None else self.as_of.isoformat()}

    def end_of(self, day: datetime.date) -> datetime.datetime:
        """When a day ends in its time zone."""
        after = datetime.datetime.combine(day + datetime.timedelta(1), datetime.time())
        return after.replace(tzinfo=ZoneInfo(self.tz))

    def variables(self) -> dict[str, Any]:
        """What statements read by `getvariable`, but for those that a course has: durations in µs.

        Returns:
            Values of Python by name.
        """
        return {
            "tz": self.tz,
            "gap": round(self.gap * _MICROS),
            "cap": round(self.cap * _MICROS),
            "cap_long": round(self.cap_long * _MICROS),
            "min_n": self.min_n,
            "with_email_domain": self.with_email_domain,
        }
