"""Finds the sources that `s3://` arguments name: objects, prefixes and globs."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from edxlogs.edx.layout import ALL_DAYS, EVENTS_BUCKET, Days
from edxlogs.edx.names import describe_name, is_hidden, is_recognised
from edxlogs.errors import S3Error, SourceError
from edxlogs.globs import is_path_glob, name_matches
from edxlogs.s3.client import S3, S3Object, split_url
from edxlogs.s3.errors import Reason, trouble
from edxlogs.s3.reader import S3Reader
from edxlogs.sources.source import FoundSources, Source, row_name
from edxlogs.text import shown

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from edxlogs.sources.window import Window

_SEEK_BYTES = 16 * 1024  # a tar's headers are far apart: more would be read for nothing


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the bytes of a source are, if they are not on this machine."""

    s3: S3
    object: S3Object

    def open(self, offset: int = 0, length: int | None = None) -> S3Reader:
        """Open a reader of the object, or of a range of it."""
        return S3Reader(self.s3, self.object, offset=offset, length=length)

    def open_seekable(self) -> BinaryIO:
        """The object as a seekable file. Each look is a request."""
        return io.BufferedReader(_Seekable(self), _SEEK_BYTES)


class _Seekable(io.RawIOBase):
    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_CUR: self._position, io.SEEK_END: self._remote.object.size}.get(whence, 0)
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        with self._remote.open(self._position, len(view)) as reader:
            data = reader.read(len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def find_objects(s3: S3, url: str) -> FoundSources:
    """Find the sources that an `s3://` URL names.

    The URL names an object; else a prefix, which ends in a slash even if the URL does not; else a
    glob, in which `*` and `?` do not match a slash and `**` matches any number of folders. Below a
    prefix, and below the matches of a glob, recognised names are taken and hidden ones skipped.

    Returns:
        Sources by the bytes of their keys. Unrecognised names are in `ignored`.

    Raises:
        ConfigError: the text is not an S3 URL, or the settings are invalid.
        MissingObjectError: the URL names nothing.
        S3Error: it cannot be looked up.
        SourceError: no name below the prefix is recognised.
    """
    bucket, key = split_url(url)
    is_glob = is_path_glob(key)
    if key and not key.endswith("/"):
        try:
            one = s3.object(bucket, key)
            return FoundSources(sources=[_source(s3, one, one.name)])
        except S3Error as error:
            # Where listing is not allowed, S3 does not say whether an object exists.
            unsaid = error.reason == Reason.DENIED and is_glob
            if error.reason != Reason.NO_OBJECT and not unsaid:
                raise
    patterns = key.removesuffix("/").split("/") if key else []
    found = _take(s3, s3.objects(bucket, _literal(patterns)), patterns, url)
    if not found.sources and not found.ignored:
        reason = Reason.NO_OBJECT if key and not key.endswith("/") else Reason.NO_PREFIX
        raise trouble(reason, "cannot open", url)
    return found


def list_url(s3: S3, url: str) -> Iterator[S3Object]:
    """Yield the objects that an `s3://` URL names, as `find_objects` takes it, by listing alone.

    All of them, whatever their names, by the bytes of their keys; nothing if there are none.

    Raises:
        ConfigError: the text is not an S3 URL, or the settings are invalid.
        S3Error: it cannot be listed.
    """
    bucket, key = split_url(url)
    if key and not key.endswith("/"):
        first = next(s3.objects(bucket, key), None)
        if first is not None and first.key == key:
            yield first
            return
    patterns = key.removesuffix("/").split("/") if key else []
    for one in s3.objects(bucket, _literal(patterns)):
        if _below(patterns, one.key.split("/")) is not None:
            yield one


def find_events(s3: S3, partner: str, window: Window) -> FoundSources:
    """Find a partner's events in edX's own layout, for the sites and days wanted.

    Raises:
        MissingObjectError: the partner has no folder of events, or none for such a site.
        SourceError: there are no events for such days.
        S3Error: they cannot be listed.
    """
    objects = event_objects(s3, partner, window.wants_site, window.days or Days())
    found = _take(s3, objects, [], f"s3:// {partner}")
    if not found.sources:
        every = event_objects(s3, partner, window.wants_site, ALL_DAYS)
        days = [day for one in every if (day := describe_name(one.key).date) is not None]
        there = "look at what is there with edxlogs list"
        if days:
            there = f"there are files from {min(days)} to {max(days)}"
        raise SourceError(
            f"nothing to read: {shown(partner)}: edX's bucket holds no event file for these days"
            f" and sites; {there}",
            shown(partner),
        )
    return found


def _literal(patterns: Sequence[str]) -> str:
    """The longest prefix, a folder, that is common to all keys that the patterns match."""
    literal = ""
    for pattern in patterns:
        if is_path_glob(pattern):
            break
        literal += f"{pattern}/"
    return literal


def _take(s3: S3, objects: Iterable[S3Object], patterns: Sequence[str], where: str) -> FoundSources:
    """Take the objects that the patterns match, or that are below a match."""
    found, literal = FoundSources(), _literal(patterns)
    for one in objects:
        below = _below(patterns, one.key.split("/"))
        if below is None or one.key.endswith("/") or any(map(is_hidden, below)):
            continue
        if not below or is_recognised(one.name):
            found.sources.append(_source(s3, one, one.key.removeprefix(literal)))
        else:
            found.ignored.append(shown(one.url))
    if not found.sources and found.ignored:
        raise SourceError(
            f"nothing to read: {shown(where)}: no object is named like a log"
            f" ({len(found.ignored)} ignored); name the objects themselves to read them",
            shown(where),
        )
    return found


def _below(patterns: Sequence[str], names: Sequence[str]) -> Sequence[str] | None:
    """The names in a key after those that the patterns match; None if they do not match."""
    if not patterns:
        return names
    if not names:
        return None
    pattern, name, *_ = patterns[0], names[0]
    if pattern == "**":
        ways: Iterator[Sequence[str] | None] = (
            _below(patterns[1:], names[count:])
            for count in range(len(names))
            if not any(map(is_hidden, names[:count]))
        )
        return min((way for way in ways if way is not None), key=len, default=None)
    if is_hidden(name) and not pattern.startswith((".", "_")):
        return None
    if not name_matches(name, pattern):
        return None
    return _below(patterns[1:], names[1:])


def _source(s3: S3, one: S3Object, below: str) -> Source:
    parts = describe_name(one.key)
    return Source(
        path=one.url,
        name=row_name(below),
        size=one.size,
        org=parts.org,
        site=parts.site,
        date=parts.date,
        remote=Remote(s3, one),
    )


def event_objects(
    s3: S3, partner: str, wants_site: Callable[[str | None], bool], days: Days
) -> Iterator[S3Object]:
    """Yield the objects in a partner's folders of events, in the order of their keys.

    Args:
        s3: server and credentials.
        partner: the partner's folder in `EVENTS_BUCKET`.
        wants_site: tells whether a site is wanted, by its name in rows (`prod`, never `edx`).
        days: days that are wanted. Objects without a day in their name are always wanted.

    Raises:
        MissingObjectError: the partner has no folder of events there, or none for such a site.
        S3Error: the bucket cannot be listed.
    """
    folders = []
    for folder in s3.level(EVENTS_BUCKET, f"{partner}/").folders:
        token = folder.split("/")[-2]
        if wants_site("prod" if token == "edx" else token):
            # Beside the sites there are other folders, such as that of the research exchange.
            folders += [one for one in s3.level(EVENTS_BUCKET, folder).folders if _events(one)]
    if not folders:
        raise trouble(Reason.NO_PREFIX, "cannot open", f"s3://{EVENTS_BUCKET}/{partner}/*/events/")
    for folder in folders:
        if days == ALL_DAYS:
            # All years at once: fewer requests.
            yield from (one for one in s3.objects(EVENTS_BUCKET, folder) if _is_of_days(one, days))
            continue
        level = s3.level(EVENTS_BUCKET, folder)
        yield from (one for one in level.objects if _is_of_days(one, days))
        for year in level.folders:
            name = year.split("/")[-2]
            if not re.fullmatch(r"[0-9]{4}", name) or days.has_year(int(name)):
                yield from (
                    one for one in s3.objects(EVENTS_BUCKET, year) if _is_of_days(one, days)
                )


def _events(folder: str) -> bool:
    return folder.endswith("/events/")


def _is_of_days(one: S3Object, days: Days) -> bool:
    return not one.key.endswith("/") and describe_name(one.key).date in days
