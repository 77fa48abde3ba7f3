"""Values and moments as users give them: one, several, or a file of them."""

from __future__ import annotations

import datetime
import errno
from collections.abc import Iterable
from os import fspath
from os.path import samefile
from pathlib import Path
from typing import Any

from edxlogs import _core
from edxlogs.errors import ConfigError
from edxlogs.text import shown, size

Values = str | Iterable[str] | None
Moment = str | datetime.date | datetime.datetime | None

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


MOST_BYTES = 64 << 20  # of a file of values
MOST_TOML_BYTES = 1 << 20


def read_text(path: Path, most: int, encoding: str = "utf-8") -> str:
    """Read a text file that a user names. It may be a device without end, so the size is limited.

    Raises:
        OSError: the file cannot be read, or is longer than `most` bytes.
        UnicodeDecodeError: the file is not in this encoding.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"is longer than {size(most)}")
    return data.decode(encoding)


def _check_text(what: str, text: str, told: str | None = None) -> None:
    """Refuse an argument from the system that is not valid text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        told = shown(text) if told is None else told
        raise ConfigError(f"{what}: {told}: is not UTF-8; write it as UTF-8") from None


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    # A text would iterate over its characters, and a number not at all: each is a single value.
    one = isinstance(given, str | bytes) or not isinstance(given, Iterable)
    return [given] if one else list(given)


def texts(what: str, given: Values, *, is_hidden: bool = False) -> list[str]:
    """The values of one option, unchanged. Messages call hidden ones by their number."""
    for number, value in enumerate(listed := _listed(given), 1):
        told = f"value {number}" if is_hidden else None
        if not isinstance(value, str):
            told = shown(repr(value)) if told is None else told
            raise ConfigError(f"{what}: {told}: is not text; give it as text")
        if not value.startswith("@"):  # the name of a file may be any bytes
            _check_text(what, value, told)
    return listed


def values(what: str, given: Values, *, is_hidden: bool = False) -> list[str]:
    """The values of one option. `@FILE` stands for the lines of a file, except blank ones.

    Messages call hidden values by their number, even those that begin with `@`: any may name a
    person.
    """
    result = []
    for number, value in enumerate(texts(what, given, is_hidden=is_hidden), 1):
        told = f"the file of value {number}" if is_hidden else shown(value)
        if not value.startswith("@"):
            result.append(value)
            continue
        try:
            text = read_text(Path(value[1:]), MOST_BYTES, "utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise ConfigError(
                f"{what}: {told}: {why}; name a file with a value on each line"
            ) from None
        listed = [line.strip() for line in text.split("\n") if line.strip()]
        if not listed:
            raise ConfigError(f"{what}: {told}: holds no value; put one on each line")
        result += listed
    if any(not value.strip() for value in result):
        raise ConfigError(f"{what}: an empty value matches nothing; leave it out")
    return result


def refuse_values(outputs: Iterable[Any], given: Iterable[Any]) -> None:
    """Refuse an output that is a file of values, `@FILE`.

    Args:
        outputs: paths, or None.
        given: values as users give them.

    Raises:
        ConfigError: there is such an output.
    """
    several = [[one] if isinstance(one, str) else one for one in given]
    listed = [value for one in several if isinstance(one, list | tuple) for value in one]
    files = [value[1:] for value in listed if isinstance(value, str) and value.startswith("@")]
    for output in outputs if files else ():
        if output is not None and any(_is_same(fspath(output), file) for file in files):
            name = shown(fspath(output))
            raise ConfigError(f"output: {name}: is also an input; name another file")


def _is_same(one: str, other: str) -> bool:
    try:
        return samefile(one, other)
    except (OSError, ValueError):  # it is new, or whoever opens it says what is wrong
        return False


def names(what: str, given: Values) -> list[str]:
    """The names of one option. Each value is a name, or several separated by commas."""
    listed = values(what, given)
    found = [name for value in listed for part in value.split(",") if (name := part.strip())]
    if listed and not found:
        raise ConfigError(f"{what}: {shown(listed[0])}: holds no name; name one, or leave it out")
    return found


def micros(what: str, moment: Moment) -> int | None:
    """Convert a day or an instant to microseconds since 1970 UTC. A time without a zone is UTC."""
    if moment is None:
        return None
    if isinstance(moment, str):
        _check_text(what, moment)
        parsed = _core.parse_time(moment)
        if parsed is None:
            raise ConfigError(
                f"{what}: '{shown(moment)}': is not a time; write a day like 2014-10-01, or an"
                " instant like 2014-10-01T12:00:00Z"
            )
        return parsed
    if not isinstance(moment, datetime.date):
        raise ConfigError(f"{what}: {shown(repr(moment))}: is not a time; give a date or text")
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.combine(moment, datetime.time())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1)
