"""edX's data packages: what their keys say, and how to choose among them.

Keys of edX's buckets and paths below a local folder are read alike, so a folder that `sync` filled
is understood like the buckets. `names` reads the names of files; folders add the partner and the
kind.

Source: EdX Research Guide, "Data Delivered in Data Packages" and "Package Downloads", in its
revisions of 2013 to 2023, and the keys that the tools of partner universities ask for.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from edxlogs.edx.layout import ALL_DAYS, EVENTS_BUCKET, PACKAGES_BUCKET, Days, check_partner
from edxlogs.edx.names import (
    CUMULATIVE_TAR,
    DATE,
    KNOWN_SITES,
    day_of,
    describe_name,
    is_recognised,
    rotated_log,
    without_copy_mark,
)
from edxlogs.text import shown

_EMAIL_FOLDER = "email-opt-in"
# The name of a cumulative tar begins with its date, of 2012 to 2014, whoever the partner is.
_TRACKING_PREFIX = "201"

# The date is read from the end: an organisation may hold hyphens and even a date.
_SNAPSHOT = re.compile(
    rf"(?P<org>.+)-{DATE}\.(?:zip|(?:tar(?:\.gz|\.bz2|\.xz)?|tgz)(?:\.gpg)?)", re.DOTALL
)
_DATED = re.compile(rf"(?:(?P<org>.+)-)?{DATE}", re.DOTALL)
_EVENTS_FOLDER = re.compile(
    r"(?:.*/)?(?P<partner>[^/]+)/(?P<site>[^/]+)/events/[0-9]{4}", re.DOTALL
)
_RESEARCH_FOLDER = re.compile(r"(?:.*/)?(?P<partner>[^/]+)/rdx/[^/]+", re.DOTALL)

T = TypeVar("T")


class PackageKind(enum.StrEnum):
    """What a data package contains."""

    EVENTS = "events"
    """The events of one site and day."""
    DATABASE = "database"
    """A weekly snapshot of the database, both sites in one zip."""
    EMAIL = "email"
    """A snapshot of e-mail preferences."""
    RESEARCH = "research"
    """A course, as delivered by the research exchange."""
    TRACKING = "tracking"
    """Until 2014: the events of every day up to the one in the name, in one tar."""


SNAPSHOTS = (PackageKind.DATABASE, PackageKind.EMAIL)
"""Kinds in which each package contains everything that the one before contained."""


@dataclass(frozen=True, slots=True)
class Package:
    """What a key or path says about a data package. A field is None if it says nothing.

    Attributes:
        kind: what the package contains.
        partner: its folder in the bucket, else the organisation in its name.
        site: `prod` (written `prod` or `edx`), `edge`, or another word found there; None for
            packages of all sites.
        day: for events, the day of receipt; for a snapshot, the day it was made; for a cumulative
            tar, the last day in it.
        is_rotated: whether `day` is the day on which a site rotated its log, so that the events may
            be from any day before.
    """

    kind: PackageKind
    partner: str | None = None
    site: str | None = None
    day: datetime.date | None = None
    is_rotated: bool = False


def describe_key(key: str) -> Package | None:
    """Read what a key or a local path says about a data package; None if it is not one."""
    folder, _, base = key.rpartition("/")
    if match := CUMULATIVE_TAR.fullmatch(base):
        return Package(PackageKind.TRACKING, shown(match["org"]), day=day_of(match["date"]))
    if match := _SNAPSHOT.fullmatch(without_copy_mark(base)):
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
    is_rotated = rotated_log(base) is not None
    return Package(PackageKind.EVENTS, parts.org, parts.site, parts.date, is_rotated)


def describe_folder(name: str) -> Package | None:
    """Read the name of a folder of tables, such as `universityx-2014-10-05`."""
    match = _DATED.fullmatch(name)
    if match is None or (day := day_of(match["date"])) is None:
        return None
    org = match["org"] and shown(match["org"]).removeprefix(f"{_EMAIL_FOLDER}-")
    kind = PackageKind.DATABASE if org == match["org"] else PackageKind.EMAIL
    return Package(kind, org or None, day=day)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which packages to use. A package must meet every condition, with one of its values.

    Attributes:
        partner: folder, as the bucket spells it; None means all.
        sites: sites; empty means all. A package of all sites counts for each.
        kinds: kinds; empty means all.
        days: range of days. A package without a day may be of any day.
        latest: only the newest snapshot of each organisation and site.
    """

    partner: str | None = None
    sites: tuple[str, ...] = ()
    kinds: tuple[PackageKind, ...] = ()
    days: Days = ALL_DAYS
    latest: bool = False

    def __post_init__(self) -> None:
        if self.partner is not None:
            check_partner(self.partner)
        sites = tuple(KNOWN_SITES.get(site, site) for site in self.sites)
        object.__setattr__(self, "sites", sites)

    @property
    def is_empty(self) -> bool:
        """Whether there is no condition, so that everything is wanted, packages or not."""
        return replace(self, latest=False) == Choice()

    def matches(self, package: Package | None) -> bool:
        """Tell whether a package is wanted. None stands for something that is not a package."""
        if package is None:
            return self.is_empty
        return (
            (self.partner is None or package.partner == self.partner)
            and (not self.sites or package.site is None or package.site in self.sites)
            and (not self.kinds or package.kind in self.kinds)
            and package.day in self._days_of(package.kind)
        )

    def _days_of(self, kind: PackageKind) -> Days:
        """The days that a package of this kind may bear. A cumulative tar also has earlier days."""
        return Days(self.days.first) if kind is PackageKind.TRACKING else self.days

    def prefixes(self) -> list[tuple[str, str]]:
        """What to list in edX's buckets to see a partner's packages, except events.

        For events, see `sources.remote.event_objects`. The listing may contain more than is wanted:
        a prefix `univx-` also begins the names of `univx-pro`.

        Returns:
            Pairs of bucket and prefix.
        """
        if self.partner is None:
            return []
        kinds = self.kinds or PackageKind
        return [place for kind in PackageKind if kind in kinds for place in self._places(kind)]

    def _places(self, kind: PackageKind) -> list[tuple[str, str]]:
        match kind:
            case PackageKind.EVENTS:
                return []
            case PackageKind.DATABASE:
                return [(PACKAGES_BUCKET, f"{self.partner}-")]
            case PackageKind.EMAIL:
                names = (f"{self.partner}-", f"{_EMAIL_FOLDER}-{self.partner}-")
                return [(PACKAGES_BUCKET, f"{_EMAIL_FOLDER}/{name}") for name in names]
            case PackageKind.RESEARCH:
                return [(EVENTS_BUCKET, f"{self.partner}/rdx/")]
            case PackageKind.TRACKING:
                return [(PACKAGES_BUCKET, _TRACKING_PREFIX)]

    def select(self, items: Iterable[T], package_of: Callable[[T], Package | None]) -> list[T]:
        """Leave out what is not wanted, and keep the order.

        Each cumulative tar of a partner contains the days of the one before. So only the first that
        reaches the end of `days` is taken, or the last one if none does.
        """
        wanted = [item for item in items if self.matches(package_of(item))]
        if self.latest:
            wanted = _latest(wanted, package_of)
        if self.days == ALL_DAYS:
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


def _latest(items: list[T], package_of: Callable[[T], Package | None]) -> list[T]:
    """Leave out snapshots for which there is a newer one."""
    newest: dict[tuple[object, ...], datetime.date] = {}
    packages = [package_of(item) for item in items]
    for one in packages:
        if one is not None and one.kind in SNAPSHOTS and one.day is not None:
            key = one.kind, one.partner, one.site
            newest[key] = max(one.day, newest.get(key, one.day))
    return [
        item
        for item, one in zip(items, packages, strict=True)
        if one is None or newest.get((one.kind, one.partner, one.site), one.day) == one.day
    ]


def _needed_tar(tar: Package, tars: list[Package], last: datetime.date | None) -> Package:
    """Of the tars of one partner, the one that holds the days up to `last`."""
    if tar.day is None:
        return tar
    days = [one.day for one in tars if one.partner == tar.partner and one.day is not None]
    enough = [day for day in days if last is not None and day >= last]
    return Package(PackageKind.TRACKING, tar.partner, day=min(enough) if enough else max(days))
