"""Reads times, in every form that logs contain, as microseconds since 1970 UTC."""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from edxlogs.plain.course import SPACES

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
_MILLISECONDS_FROM = 100_000_000_000
_MICROSECONDS_FROM = 1_000_000_000_000_000
_MISSING_DIGITS = {10: 6, 13: 3, 16: 0}
"""How many digits a number in text lacks to be in microseconds, by its number of digits."""
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?: ?(?:Z|UTC|([+-])([0-9]{2})(?::?([0-9]{2}))?))?"
)
_MOMENT_DIGITS = re.compile(r"([0-9]{10}|[0-9]{13}|[0-9]{16})(?:\.([0-9]+))?")
_DIGITS = re.compile(r"[+-]?[0-9]+")


def integer(text: str) -> int | None:
    """Text of digits alone as a number, or None."""
    # Python refuses to convert more digits than this; no field holds that many.
    return int(text) if _DIGITS.fullmatch(text) and len(text) < 4000 else None


def microseconds(value: object) -> int | None:
    """A time in any form that logs contain, in microseconds since 1970 UTC; None if unreadable.

    A number is in milliseconds; in seconds if its magnitude is below 1e11; or in microseconds from
    1e15 on. Text is a date and a time of day, with T or a space between, and any number of digits
    after the second (cut after the sixth), in UTC unless it names an offset; or ten digits of
    seconds, 13 of milliseconds, 16 of microseconds. MongoDB's `{"$date": ...}` holds text, or
    milliseconds of any magnitude, also as `{"$numberLong": "..."}`.
    """
    of_mongo = isinstance(value, dict)
    if isinstance(value, dict) and "$date" in value:
        value = value["$date"]
        if isinstance(value, dict):
            value = value.get("$numberLong")
            value = integer(value) if isinstance(value, str) else value
        elif isinstance(value, str) and _DIGITS.fullmatch(value):
            value = integer(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        unit = 1000 if of_mongo or abs(value) >= _MILLISECONDS_FROM else 1_000_000
        if abs(value) >= _MICROSECONDS_FROM and not of_mongo:
            unit = 1
        low, high = _MICROSECONDS
        # Beyond the years 1 to 9999 whatever the unit is; also keeps infinities out.
        if not abs(value) < 1e18:
            return None
        whole = int(Decimal(value * unit).to_integral_value(ROUND_HALF_UP))
        return whole if low <= whole <= high else None
    return _microseconds_of_text(value) if isinstance(value, str) else None


def _microseconds_of_text(text: str) -> int | None:
    if digits := _MOMENT_DIGITS.fullmatch(text.strip(SPACES)):
        return int(digits[1] + ((digits[2] or "") + "000000")[: _MISSING_DIGITS[len(digits[1])]])
    match = _TIME.fullmatch(text.strip(SPACES))
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    offset_hours, offset_minutes = int(match[9] or 0), int(match[10] or 0)
    if hour > 23 or minute > 59 or second > 59 or offset_hours > 23 or offset_minutes > 59:
        return None
    offset_seconds = (offset_hours * 60 + offset_minutes) * 60 * (-1 if match[8] == "-" else 1)
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset_seconds
    micros = seconds * 1_000_000 + int(((match[7] or "") + "000000")[:6])
    low, high = _MICROSECONDS
    return micros if low <= micros <= high else None
