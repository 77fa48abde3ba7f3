"""Where edX puts its data packages: what a key says, and what to list for a choice of them.

A key of edX's buckets and a path below a local folder are read alike, so a folder that `sync`
filled is understood as the buckets are. What a file's own name says is read by `names`; the folders
add the partner and the kind.

Source: EdX Research Guide, "Data Delivered in Data Packages" and "Package Downloads", in its
revisions of 2013 to 2023, and the keys that the tools of partner universities ask for.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from edxlogs.errors import ConfigError
from edxlogs.names import (
    CUMULATIVE_TAR,
    DATE,
    KNOWN_SITES,
    day_of,
    describe_name,
    is_recognised,
    shown,
)

EVENTS_BUCKET = "edx-course-data"
"""A folder a partner: daily event logs, and packages of the research exchange."""
COURSE_BUCKET = "course-data"
"""All partners beside one another: weekly databases, e-mail preferences, the oldest logs."""

_EMAIL_FOLDER = "email-opt-in"
_TRACKING_YEARS = range(2012, 2015)
_MOST_YEARS = 20  # a longer window is not worth a request a year

# The date is read from the end: an organisation may hold hyphens and even a date.
_SNAPSHOT = re.compile(rf"(?P<org>.+)-{DATE}\.zip", re.DOTALL)
_EVENTS_FOLDER = re.compile(
    r"(?:.*/)?(?P<partner>[^/]+)/(?P<site>[^/]+)/events/[0-9]{4}", re.DOTALL
)
_RESEARCH_FOLDER = re.compile(r"(?:.*/)?(?P<partner>[^/]+)/rdx/[^/]+", re.DOTALL)
_WINDOW = re.compile(r"(?P<first>[0-9-]{10})?\.\.(?P<last>[0-9-]{10})?|(?P<day>[0-9-]{10})")

T = TypeVar("T")


class PackageKind(enum.StrEnum):
    """What a data package holds."""

    EVENTS = "events"
    """The events of one site and day."""
    DATABASE = "database"
    """A weekly snapshot of the database, both sites in one zip."""
    EMAIL = "email"
    """A snapshot of e-mail preferences."""
    RESEARCH = "research"
    """A course as the research exchange gives it."""
    TRACKING = "tracking"
    """Until 2014: the events of every day up to that of the name, in one tar."""


@dataclass(frozen=True, slots=True)
class Package:
    """What a key or path says of a data package; None where it says nothing.

    Attributes:
        kind: what it holds.
        partner: its folder in the bucket, else the organisation in its name.
        site: `prod` (written `prod` or `edx`), `edge`, or what stands there; None for packages of
            all sites.
        day: of events, the day of their receipt; of a snapshot, the day it was made; of a
            cumulative tar, the last day it holds.
    """

    kind: PackageKind
    partner: str | None = None
    site: str | None = None
    day: datetime.date | None = None


def describe_key(key: str) -> Package | None:
    """Read what a key, or a local path, says of a data package; None if it is none."""
    folder, _, base = key.rpartition("/")
    if match := CUMULATIVE_TAR.fullmatch(base):
        return Package(PackageKind.TRACKING, shown(match["org"]), day=day_of(match["date"]))
    if match := _SNAPSHOT.fullmatch(base):
        org = match["org"].removeprefix(f"{_EMAIL_FOLDER}-")
        is_email = org != match["org"] or folder.rpartition("/")[2] == _EMAIL_FOLDER
        kind = PackageKind.EMAIL if is_email else PackageKind.DATABASE
        return Package(kind, shown(org), day=day_of(match["date"]))
    if base.endswith(".tar.gz.gpg"):
        match = _RESEARCH_FOLDER.fullmatch(folder)
        return Package(PackageKind.RESEARCH, shown(match["partner"]) if match else None)
    if not is_recognised(base):
        return None
    parts = describe_name(key)
    if match := _EVENTS_FOLDER.fullmatch(folder):
        site = parts.site or shown(KNOWN_SITES.get(match["site"], match["site"]))
        return Package(PackageKind.EVENTS, shown(match["partner"]), site, parts.date)
    return Package(PackageKind.EVENTS, parts.org, parts.site, parts.date)


@dataclass(frozen=True, slots=True)
class Days:
    """A window of days, both ends included; None leaves an end open."""

    first: datetime.date | None = None
    last: datetime.date | None = None

    def __contains__(self, day: datetime.date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        return f"{self.first or ''}..{self.last or ''}"


def parse_days(text: str) -> Days:
    """Read `A..B`, `A..`, `..B` or one day, all as `YYYY-MM-DD`.

    Raises:
        ConfigError: the text is none of these, or ends before it begins.
    """
    advice = "write it like 2014-01-01..2014-12-31"
    match = _WINDOW.fullmatch(text.strip())
    given = match.groupdict().items() if match else ()
    ends = {name: day_of(end) for name, end in given if end is not None}
    if not ends or None in ends.values():
        raise ConfigError(f"days: {shown(text)!r}: is no window of days; {advice}")
    day = ends.get("day")
    days = Days(ends.get("first", day), ends.get("last", day))
    if days.first and days.last and days.last < days.first:
        raise ConfigError(f"days: {shown(text)!r}: ends before it begins; {advice}")
    return days


@dataclass(frozen=True, slots=True)
class Choice:
    """Which packages are meant: conditions of different kinds joined by and, values by or.

    Attributes:
        partners: folders, as the bucket spells them; none means all.
        sites: none means all. A package of all sites is one of each.
        kinds: none means all.
        days: None means all; a package without a day is on none.
    """

    partners: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    kinds: tuple[PackageKind, ...] = ()
    days: Days | None = None

    def __post_init__(self) -> None:
        for partner in self.partners:
            if not partner or "/" in partner or partner in (".", ".."):
                raise ConfigError(
                    f"partner: {shown(partner)!r}: is no folder of a bucket; write it like"
                    " universityx"
                )
        sites = tuple(KNOWN_SITES.get(site, site) for site in self.sites)
        object.__setattr__(self, "sites", sites)

    @property
    def is_empty(self) -> bool:
        """Whether there is no condition, so that everything is meant, packages or not."""
        return not (self.partners or self.sites or self.kinds or self.days)

    def matches(self, package: Package | None) -> bool:
        """Tell whether a package is meant; None is what is no package."""
        if package is None:
            return self.is_empty
        return (
            (not self.partners or package.partner in self.partners)
            and (not self.sites or package.site is None or package.site in self.sites)
            and (not self.kinds or package.kind in self.kinds)
            and (self.days is None or self._is_within(package, self.days))
        )

    def _is_within(self, package: Package, days: Days) -> bool:
        if package.day is None:
            return False
        if package.kind is PackageKind.TRACKING:
            return days.first is None or days.first <= package.day
        return package.day in days

    def prefixes(self) -> list[tuple[str, str]]:
        """What to list in edX's buckets to see every package that is meant.

        More may be listed than is meant: a prefix `univx-` also begins the names of `univx-pro`.

        Returns:
            Pairs of bucket and prefix, none of which begins with another.

        Raises:
            ConfigError: no partner is given.
        """
        if not self.partners:
            raise ConfigError("partner: none given; name your folder in edX's buckets")
        asked: list[tuple[str, str]] = []
        for partner in self.partners:
            for kind in self.kinds or PackageKind:
                asked += self._prefixes_of(partner, kind)
        asked = sorted(set(asked))
        return [
            (bucket, prefix)
            for bucket, prefix in asked
            if not any(
                bucket == other and prefix != begin and prefix.startswith(begin)
                for other, begin in asked
            )
        ]

    def _prefixes_of(self, partner: str, kind: PackageKind) -> list[tuple[str, str]]:
        match kind:
            case PackageKind.EVENTS:
                folders = [f"{partner}/{token}/events/" for token in self._site_tokens()]
                years = self._years()
                if folders and years is not None:
                    folders = [f"{folder}{year}/" for folder in folders for year in years]
                return [(EVENTS_BUCKET, folder) for folder in folders or [f"{partner}/"]]
            case PackageKind.RESEARCH:
                # None of them has a day in its name.
                return [] if self.days else [(EVENTS_BUCKET, f"{partner}/rdx/")]
            case PackageKind.DATABASE:
                return [(COURSE_BUCKET, f"{partner}-")]
            case PackageKind.EMAIL:
                names = (f"{partner}-", f"{_EMAIL_FOLDER}-{partner}-")
                return [(COURSE_BUCKET, f"{_EMAIL_FOLDER}/{name}") for name in names]
            case PackageKind.TRACKING:
                # The name begins with its date, whoever the partner is.
                return [(COURSE_BUCKET, f"{year}-") for year in _TRACKING_YEARS]

    def _site_tokens(self) -> list[str]:
        """The ways in which keys write the sites."""
        known = [token for token, site in KNOWN_SITES.items() if site in self.sites]
        return known + [site for site in self.sites if site not in KNOWN_SITES]

    def _years(self) -> range | None:
        """The years of the days, or None for all."""
        if self.days is None or self.days.first is None or self.days.last is None:
            return None
        years = range(self.days.first.year, self.days.last.year + 1)
        return years if len(years) <= _MOST_YEARS else None

    def select(self, items: Iterable[T], package_of: Callable[[T], Package | None]) -> list[T]:
        """Leave out what is not meant; the order stays.

        Of the cumulative tars of a partner, each of which holds the days of the one before, only
        the first that reaches the end of `days` is taken, or the last one if none does.
        """
        wanted = [item for item in items if self.matches(package_of(item))]
        if self.days is None:
            return wanted
        packages = [package for package in map(package_of, wanted) if package is not None]
        tars = [package for package in packages if package.kind is PackageKind.TRACKING]
        needed = {_needed_tar(tar, tars, self.days.last) for tar in tars}
        return [
            item
            for item in wanted
            if (package := package_of(item)) in needed
            or package is None
            or package.kind is not PackageKind.TRACKING
        ]


def _needed_tar(tar: Package, tars: list[Package], last: datetime.date | None) -> Package:
    """Of the tars of the same partner, the one that holds the days up to `last`."""
    days = [one.day for one in tars if one.partner == tar.partner and one.day is not None]
    enough = [day for day in days if last is not None and day >= last]
    return Package(PackageKind.TRACKING, tar.partner, day=min(enough) if enough else max(days))
