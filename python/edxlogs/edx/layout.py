"""Where edX puts its packages: the buckets, and the keys of the daily event files in them.

Source: EdX Research Guide, "Package Delivery". Site folders other than `prod` and `edge` are known
from real keys, so edxlogs lists what exists instead of guessing.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from edxlogs.errors import ConfigError
from edxlogs.text import shown

EVENTS_BUCKET = "edx-course-data"
"""Daily events, `{partner}/{site}/events/{year}/…`, and packages of the research exchange."""

PACKAGES_BUCKET = "course-data"
"""Weekly database packages, e-mail preferences and the old cumulative tars, of all partners."""

_PARTNER = re.compile(r"[^/\s*?\[]+")


@dataclass(frozen=True, slots=True)
class Days:
    """A range of days, both ends included. None means no limit at that end."""

    first: datetime.date | None = None
    last: datetime.date | None = None

    def __contains__(self, day: datetime.date | None) -> bool:
        """Whether a day is in the range. None counts as inside: it is not known to be outside."""
        if day is None:
            return True
        after = self.first is None or self.first <= day
        return after and (self.last is None or day <= self.last)

    def __str__(self) -> str:
        """The range as `parse_days` reads it."""
        return f"{self.first or ''}..{self.last or ''}"

    def has_year(self, year: int) -> bool:
        """Whether any day of a year is in the range."""
        after = self.first is None or self.first.year <= year
        return after and (self.last is None or year <= self.last.year)


ALL_DAYS = Days()


def parse_days(text: str | None) -> Days | None:
    """Read a day like `2014-01-31`, or `FIRST..LAST`, either of which may be left out.

    None gives None.

    Raises:
        ConfigError: the text has another form, or the last day is before the first.
    """
    if text is None:
        return None
    first, dots, last = text.strip().partition("..")
    try:
        days = Days(_day(first), _day(last) if dots else _day(first))
    except ValueError:
        days = Days()
    if days.first is None and days.last is None:
        raise ConfigError(
            f"days: '{shown(text)}': is not a range of days; write it like 2014-01-01..2014-12-31"
        )
    if days.first is not None and days.last is not None and days.last < days.first:
        raise ConfigError(f"days: '{shown(text)}': the last day is before the first")
    return days


def _day(text: str) -> datetime.date | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    return datetime.date.fromisoformat(text)


def check_partner(partner: str) -> str:
    """Check that a text can be a partner's folder, and return it.

    Raises:
        ConfigError: it cannot.
    """
    if not _PARTNER.fullmatch(partner) or partner in (".", ".."):
        raise ConfigError(
            f"partner: '{shown(partner)}': is not a folder name; write it as edX does, like"
            " universityx"
        )
    return partner
