"""What file names say: which files are logs, and their organisation, site and day.

Names may contain undecodable bytes as surrogates, as the system gives them. Use `shown` before a
name is shown to people or put into rows.
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
# As Vector writes them: the hour is not an organisation, and the day is that of writing.
_HOURLY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}[_.].*", re.DOTALL)
# Marks that file managers and browsers add to copies.
_COPIED = re.compile(r"Copy of (?=.)| \([0-9]+\)(?=\.[^/]*\Z)")
_SERVER_FOLDER = re.compile(r"prod-(?P<site>[a-z]+)-[0-9]+")
KNOWN_SITES = {"edx": "prod", "prod": "prod", "edge": "edge", "patches": "patches"}


@dataclass(frozen=True, slots=True)
class NameParts:
    """What a name says about a file. A field is None if the name says nothing about it.

    Attributes:
        org: organisation as written; mostly in lower case, whatever the case in the events.
        site: `prod` (written `prod` or `edx`), `edge`, or another word found there.
        date: the day on which the events were received, or on which the log was rotated.
    """

    org: str | None = None
    site: str | None = None
    date: datetime.date | None = None


def is_recognised(name: str) -> bool:
    """Tell whether a base name is one that a search accepts as a log."""
    return _RECOGNISED.fullmatch(name) is not None and _OF_TABLES.fullmatch(name) is None


def rotated_log(name: str) -> str | None:
    """Name of the log, if a base name shows that a site rotated it on some day; else None.

    Its events are those since the rotation before, which may have been long ago.
    """
    match = _ROTATED.fullmatch(name)
    return None if match is None else match["log"]


def is_given_once(name: str) -> bool:
    """Tell whether a base name is one that edX gives to a single file, in whatever folder."""
    return any(one.fullmatch(name) for one in (_DAILY, _RESEARCH, _NO_EVENTS))


def is_rotated(name: str) -> bool:
    """Tell whether rotation moves the text to another name, and puts a new text under this one."""
    return _TURNS.fullmatch(name) is not None or _ROTATED.fullmatch(name) is not None


def without_copy_mark(name: str) -> str:
    """A base name without the mark by which a file manager or a browser names a copy."""
    return _COPIED.sub("", name)


def describe_name(name: str) -> NameParts:
    """Read organisation, site and day from a name that follows one of edX's patterns.

    The decrypted and inflated forms of a name say the same as the name itself. A day that is not in
    the calendar counts as no day; the rest of the name still counts. The old weekly `-tracking.tar`
    has no day, because it holds every day up to the one in its name. Files of the research exchange
    have neither organisation nor site, since `{org}_{course}_{run}` cannot be split safely.

    Args:
        name: base name, or a path: for the oldest files, the folder of a server tells the site.

    Source: EdX Research Guide, the names of event files in its revisions of 2013 to 2023. The names
    per server are found in the weekly tars from before October 2014.
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
    """Tell whether a file in an archive is one that the Finder adds when it packs."""
    base = path.rpartition("/")[2]
    return "__MACOSX" in path.split("/") or base.startswith("._") or base == ".DS_Store"


def is_hidden(name: str) -> bool:
    """Tell whether a search skips a name: hidden files, and edxlogs' own records."""
    return name.startswith(".") or name in ("_edxlogs", "_delta_log")
