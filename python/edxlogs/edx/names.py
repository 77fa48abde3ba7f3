"""What the names of files say: which are logs, whose, of which site and day.

Names may hold undecodable bytes as surrogates, as the system gives them; what is shown to people
or stands in rows goes through `shown`.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from edxlogs.text import shown

# Names that are taken from a searched folder, a tar or (later) an S3 prefix.
_RECOGNISED = re.compile(
    r".*\.log(\.gz)?(\.gpg)?"
    r"|.*-events-.*\.gpg"
    r"|tracking\.log.*"
    r"|.*-tracking\.tar"
    r"|.*\.(json|jsonl|ndjson)(\.gz)?(\.gpg)?"
    r"|.*\.tar\.gz\.gpg"
    r"|.*\.log\.([0-9]{1,6}|[0-9]{8}-[0-9]{6})(\.gz)?(\.gpg)?",
    re.DOTALL,
)

# Files of a database package that end as logs may.
_OF_TABLES = re.compile(
    r"(.+-)?course_structure-.+|metadata_file\..+|.+-analytics\.(json|mongo|sql|csv)(\.gz)?(\.gpg)?",
    re.DOTALL,
)

DATE = r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
_ENDING = r"(\.gz)?(\.gpg)?"
# Tried in this order. An organisation may hold hyphens and even a date, so the parts that have a
# fixed shape are read from the end of the name.
_DAILY = re.compile(rf"(?P<org>.+)-(?P<site>[^-]+)-events-{DATE}(\.log)?{_ENDING}", re.DOTALL)
_RESEARCH = re.compile(rf".+-events-{DATE}\.log{_ENDING}", re.DOTALL)
_NO_EVENTS = re.compile(rf"(?P<org>.+)-(?P<site>edge|edx|prod)-{DATE}\.log{_ENDING}", re.DOTALL)
_PER_SERVER = re.compile(rf"{DATE}-(?P<org>.+)\.log{_ENDING}", re.DOTALL)
CUMULATIVE_TAR = re.compile(rf"{DATE}-(?P<org>.+)-tracking\.tar", re.DOTALL)
# Years before 2000 are the first digits of a Unix time: `tracking.log-1420070400.gz`.
_ROTATED = re.compile(r"(?P<log>tracking\.log)-(?P<date>2[0-9]{3}[0-9]{2}[0-9]{2}).*", re.DOTALL)
# Names under which another text stands after each rotation: the live log of a site, of Docker and
# of kubelet, and numbers and stamps behind the name of a log.
_TURNS = re.compile(
    r"tracking\.log|.*-json\.log|[0-9]+\.log"
    r"|.*\.log\.([0-9]{1,6}|[0-9]{8}-[0-9]{6})(\.gz)?(\.gpg)?",
    re.DOTALL,
)
# As Vector writes them: the hour is no organisation, and the day that of writing.
_HOURLY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}[_.].*", re.DOTALL)
# What file managers and browsers make of a name when they copy it.
_COPIED = re.compile(r"Copy of (?=.)| \([0-9]+\)(?=\.[^/]*\Z)")
_SERVER_FOLDER = re.compile(r"prod-(?P<site>[a-z]+)-[0-9]+")
KNOWN_SITES = {"edx": "prod", "prod": "prod", "edge": "edge", "patches": "patches"}


@dataclass(frozen=True, slots=True)
class NameParts:
    """What a name says about the file; None where it says nothing.

    Attributes:
        org: organisation as written, mostly lower case whatever the case of the events' own.
        site: `prod` (written `prod` or `edx`), `edge`, or what stands there.
        date: the day on which the events were received, or on which the log was rotated.
    """

    org: str | None = None
    site: str | None = None
    date: datetime.date | None = None


def is_recognised(name: str) -> bool:
    """Tell whether a base name is one that searching takes for a log."""
    return _RECOGNISED.fullmatch(name) is not None and _OF_TABLES.fullmatch(name) is None


def rotated_log(name: str) -> str | None:
    """Name of the log that a site rotated, where a base name carries the day of that; else None.

    Its events are those since the rotation before, which may be long ago.
    """
    match = _ROTATED.fullmatch(name)
    return None if match is None else match["log"]


def is_given_once(name: str) -> bool:
    """Tell whether a base name is one that edX gives to one file alone, whatever its folder."""
    return any(one.fullmatch(name) for one in (_DAILY, _RESEARCH, _NO_EVENTS))


def is_rotated(name: str) -> bool:
    """Tell whether rotation puts another text under a base name, and the old text elsewhere."""
    return _TURNS.fullmatch(name) is not None or _ROTATED.fullmatch(name) is not None


def without_copy_mark(name: str) -> str:
    """A base name as it was before a file manager or a browser marked it as a copy."""
    return _COPIED.sub("", name)


def describe_name(name: str) -> NameParts:
    """Read organisation, site and day from a name that follows one of edX's patterns.

    The decrypted and inflated forms of a name say the same as the name itself. A day that is not
    in the calendar is none, and the rest still counts. The old weekly `-tracking.tar` has no day:
    it holds every day up to the one in its name. Research-exchange files have neither organisation
    nor site, since `{org}_{course}_{run}` cannot be split safely.

    Args:
        name: base name, or a path: the folder of a server tells the site of the oldest files.

    Source: EdX Research Guide, the names of event files in its revisions of 2013 to 2023; the
    per-server names stand in the weekly tars from before October 2014.
    """
    *folders, base = name.split("/")
    base = without_copy_mark(base)
    if match := _DAILY.fullmatch(base):
        org, site = match["org"], match["site"]
        if site in KNOWN_SITES or org.count("_") < 2:
            return _parts(match["date"], org, KNOWN_SITES.get(site, site))
    if match := _RESEARCH.fullmatch(base):
        return _parts(match["date"], None, None)
    if match := _NO_EVENTS.fullmatch(base):
        return _parts(match["date"], match["org"], KNOWN_SITES[match["site"]])
    if _HOURLY.fullmatch(base):
        return NameParts()
    if match := _PER_SERVER.fullmatch(base):
        return _parts(match["date"], match["org"], _site_of_server(folders))
    if match := CUMULATIVE_TAR.fullmatch(base):
        return _parts(None, match["org"], None)
    if match := _ROTATED.fullmatch(base):
        return _parts(match["date"], None, None)
    return NameParts()


def _parts(date: str | None, org: str | None, site: str | None) -> NameParts:
    return NameParts(org and shown(org), site and shown(site), day_of(date) if date else None)


def day_of(text: str) -> datetime.date | None:
    """Read `YYYY-MM-DD` or `YYYYMMDD`; None if the calendar has no such day."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _site_of_server(folders: list[str]) -> str | None:
    for folder in reversed(folders):
        if match := _SERVER_FOLDER.fullmatch(folder):
            return "edge" if match["site"] == "edge" else "prod"
    return None


def is_of_macos(path: str) -> bool:
    """Tell whether a member of an archive is one that the Finder adds to what it packs."""
    base = path.rpartition("/")[2]
    return "__MACOSX" in path.split("/") or base.startswith("._") or base == ".DS_Store"


def is_hidden(name: str) -> bool:
    """Tell whether searching passes over a name: a hidden one, or our own records."""
    return name.startswith(".") or name == "_edxlogs"
