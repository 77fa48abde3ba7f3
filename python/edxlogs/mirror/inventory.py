"""Lists data packages in buckets or local folders: counts, sizes, days, gaps."""

from __future__ import annotations

import datetime
import difflib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from edxlogs.edx.layout import ALL_DAYS, EVENTS_BUCKET, Days
from edxlogs.edx.names import is_hidden
from edxlogs.edx.packages import Choice, Package, PackageKind, describe_key
from edxlogs.errors import (
    ConfigError,
    EdxlogsError,
    MissingObjectError,
    MissingSourceError,
    S3Error,
)
from edxlogs.s3.client import S3, S3Object
from edxlogs.s3.errors import WHOLE_RUN, Reason, trouble
from edxlogs.sources.remote import event_objects, list_url
from edxlogs.sources.source import cannot_open
from edxlogs.text import shown

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Item:
    """An object or a file.

    Attributes:
        place: its URL or path, escaped.
        package: what its name says; None if it is not a data package.
        size: size in bytes.
        modified: when it was put there, UTC.
    """

    place: str
    package: Package | None
    size: int
    modified: datetime.datetime


@dataclass(slots=True)
class FoundObjects:
    """The objects found.

    Attributes:
        objects: each once. For edX's buckets, events come first; otherwise in the order of the
            URLs.
        failed: what could not be listed.
        warnings: one sentence each.
    """

    objects: list[S3Object] = field(default_factory=list)
    failed: list[EdxlogsError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def list_objects(s3: S3, urls: Iterable[str], choice: Choice) -> FoundObjects:
    """List the objects below `s3://` URLs or, without any, those in edX's buckets.

    If something cannot be listed, the rest still is. But a URL that names nothing is an error.

    Args:
        s3: server and credentials.
        urls: URLs of objects or prefixes; empty means edX's buckets, if the choice names a partner.
        choice: which of the objects to use.

    Raises:
        MissingObjectError: a URL names nothing.
        ConfigError: neither URLs nor a partner is given, or the settings are invalid.
    """
    urls = list(urls)
    searches = [(url, list_url(s3, url)) for url in urls]
    if not searches:
        if choice.partner is None:
            raise ConfigError(
                "sources: none given; name an s3:// URL, or your folder in edX's buckets with"
                " --partner"
            )
        searches = [(EVENTS_BUCKET, _events(s3, choice.partner, choice))]
        searches += [(bucket, s3.objects(bucket, prefix)) for bucket, prefix in choice.prefixes()]
    listing = FoundObjects()
    found: dict[tuple[str, str], S3Object] = {}
    hopeless: set[str] = set()
    for place, search in searches:
        if place in hopeless:
            continue
        is_there = False
        try:
            for one in search:
                is_there = True
                found.setdefault((one.bucket, one.key), one)
        except S3Error as error:
            if urls and isinstance(error, MissingObjectError):
                raise
            listing.failed.append(error)
            if error.reason in WHOLE_RUN:
                break
            if error.reason in (Reason.NO_BUCKET, Reason.REGION):
                hopeless.add(place)
            continue
        if urls and not is_there:
            raise trouble(Reason.NO_PREFIX, "cannot list", place)
    listing.objects = choice.select(found.values(), lambda one: describe_key(one.key))
    warnings = {s3.warning(bucket) for bucket in {one.bucket for one in listing.objects}}
    listing.warnings = [warning for warning in warnings if warning is not None]
    return listing


def _events(s3: S3, partner: str, choice: Choice) -> Iterator[S3Object]:
    """The daily events of a partner, who may have none although there are other packages."""
    if choice.kinds and PackageKind.EVENTS not in choice.kinds:
        return
    sites = choice.sites
    try:
        yield from event_objects(s3, partner, lambda site: not sites or site in sites, choice.days)
    except S3Error as error:
        if error.reason != Reason.NO_PREFIX or choice.kinds == (PackageKind.EVENTS,):
            raise


def why_nothing(choice: Choice, find: Callable[[Choice], Iterable[Package | None]], s3: S3) -> str:
    """Say what exists instead, if nothing that was asked for does.

    Args:
        choice: the choice that matched nothing.
        find: finds packages; without a partner, not those in edX's buckets.
        s3: lists the partners in edX's buckets, if that is allowed.
    """
    ways: list[tuple[str, Callable[[Choice], Choice]]] = [
        ("days", lambda one: replace(one, days=ALL_DAYS)),
        ("kinds", lambda one: replace(one, kinds=())),
        ("sites", lambda one: replace(one, sites=())),
    ]
    wider = choice
    for name, widen in ways:
        if (wide := widen(wider)) == wider:
            continue
        wider = wide
        if not (there := [one for one in find(wider) if one is not None]):
            continue
        if name == "days":
            if not (days := [one.day for one in there if one.day is not None]):
                continue
            return (
                f"days: {choice.days}: no package is from these days; there are packages from"
                f" {min(days)} to {max(days)}"
            )
        values = {one.kind if name == "kinds" else one.site for one in there}
        asked = ", ".join(map(shown, getattr(choice, name)))
        named = ", ".join(sorted(value for value in values if value is not None))
        return f"{name.removesuffix('s')}: {asked}: no package matches; there is {named}"
    if choice.partner is None:
        return "no file is there; check the path, or name another"
    partner = shown(choice.partner)
    try:
        there = [one for one in find(Choice()) if one is not None]
        partners = {one.partner for one in there if one.partner is not None}
    except ConfigError:  # of edX's buckets
        try:
            folders = s3.level(EVENTS_BUCKET).folders
        except EdxlogsError:  # partners may look into their own folders alone
            folders = []
        partners = {shown(folder.removesuffix("/")) for folder in folders}
    near = difflib.get_close_matches(partner, partners, 3, 0.4)
    advice = f"the nearest: {', '.join(near)}" if near else "check how the folder is spelled"
    return f"partner: {partner}: nothing from this partner is there; {advice}"


def object_items(objects: Iterable[S3Object]) -> Iterator[Item]:
    """Objects as items, without those that stand for folders."""
    for one in objects:
        if one.size or not one.key.endswith("/"):
            yield Item(shown(one.url), describe_key(one.key), one.size, one.modified)


def local_items(paths: Iterable[str], failed: list[EdxlogsError]) -> Iterator[Item]:
    """Yield files, and those in folders, at every depth and through links; each once.

    Args:
        paths: folders and files. Hidden files below them are skipped.
        failed: receives an error for each that cannot be looked at.

    Raises:
        MissingSourceError: one of the paths does not exist.
    """
    pending = list(paths)[::-1]
    named = set(pending)
    folders: set[tuple[int, int]] = set()
    files: set[str] = set()
    while pending:
        path = pending.pop()
        try:
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode):
                if (absolute := os.path.abspath(path)) not in files:
                    files.add(absolute)
                    yield _file(path, status)
            elif stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in folders:
                folders.add((status.st_dev, status.st_ino))
                names = sorted(os.listdir(path), key=os.fsencode, reverse=True)
                pending += [os.path.join(path, name) for name in names if not is_hidden(name)]
        except OSError as error:
            refused = cannot_open(path, error)
            if path in named and isinstance(refused, MissingSourceError):
                raise refused from error
            failed.append(refused)


def _file(path: str, status: os.stat_result) -> Item:
    modified = datetime.datetime.fromtimestamp(int(status.st_mtime), datetime.UTC)
    # The folders above the given one count too.
    return Item(shown(path), describe_key(os.path.abspath(path)), status.st_size, modified)


@dataclass(slots=True)
class Group:
    """Items of one partner, site, kind and period.

    Attributes:
        partner: as in `Package`.
        site: as in `Package`.
        kind: kind of package; None for anything else.
        period: a year or a day; None if the name has none.
        files: number of files.
        bytes: their total size.
        days: the days in their names.
        newest: when the latest one was put there.
    """

    partner: str | None
    site: str | None
    kind: PackageKind | None
    period: str | None
    files: int = 0
    bytes: int = 0
    days: set[datetime.date] = field(default_factory=set)
    newest: datetime.datetime | None = None

    def add(self, item: Item) -> None:
        """Count an item."""
        self.files += 1
        self.bytes += item.size
        if item.package is not None and item.package.day is not None:
            self.days.add(item.package.day)
        self.newest = max(self.newest or item.modified, item.modified)


def group(items: Iterable[Item], *, by: str = "year") -> list[Group]:
    """Group items by partner, site, kind and `year` or `day`, in that order."""
    groups: dict[tuple[str, ...], Group] = {}
    for item in items:
        package = item.package
        if package is None:
            parts: tuple[str | None, str | None, PackageKind | None] = (None, None, None)
        else:
            parts = (package.partner, package.site, package.kind)
        day = package.day if package is not None else None
        period = None if day is None else str(day.year) if by == "year" else str(day)
        # What has no name comes last.
        key = tuple("\U0010ffff" if part is None else part for part in (*parts, period))
        groups.setdefault(key, Group(*parts, period)).add(item)
    return [groups[key] for key in sorted(groups)]


@dataclass(frozen=True, slots=True)
class Gaps:
    """The days without events of one partner and site.

    Attributes:
        partner: as in `Package`.
        site: as in `Package`.
        window: the days that were looked at, both ends included.
        missing: the days without a file, in order.
    """

    partner: str | None
    site: str | None
    window: Days
    missing: list[datetime.date]


def find_gaps(items: Iterable[Item], days: Days = ALL_DAYS, *, today: datetime.date) -> list[Gaps]:
    """Find the days without events, for each partner and site that has any events.

    Args:
        items: what exists.
        days: the window to look at. An open end is that of what exists.
        today: files come after their day, so no day from this one on is missing.
    """
    found: dict[tuple[str | None, str | None], set[datetime.date]] = {}
    for item in items:
        package = item.package
        if package is None or package.kind is not PackageKind.EVENTS or package.is_rotated:
            continue
        if package.day is not None:
            found.setdefault((package.partner, package.site), set()).add(package.day)
    gaps = []
    for (partner, site), there in sorted(found.items(), key=lambda one: [p or "" for p in one[0]]):
        first = days.first or min(there)
        last = min(days.last, today - _DAY) if days.last else max(there)
        window = [first + number * _DAY for number in range((last - first).days + 1)]
        if not window:
            continue
        missing = [day for day in window if day not in there]
        gaps.append(Gaps(partner, site, Days(first, last), missing))
    return gaps


def stretches(days: Iterable[datetime.date]) -> list[tuple[datetime.date, datetime.date]]:
    """Combine consecutive days, which must be in order, into pairs of first and last."""
    found: list[tuple[datetime.date, datetime.date]] = []
    for day in days:
        if found and found[-1][1] == day - _DAY:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
