"""Inputs of a dataset: told apart by release, and grouped to be committed together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence

from edxlogs.errors import ConfigError, SourceError
from edxlogs.sources.source import STDIN, Source, cannot_open
from edxlogs.store.segments import Identity

GROUP_INPUTS = 16
GROUP_BYTES = 256 << 20  # as they are stored

_HASH_BYTES = 1 << 20


def identify(source: Source) -> Identity:
    """What tells the release of a source, as far as it shows without opening it.

    Raises:
        SourceError: it cannot be looked at.
        ConfigError: it is a stream, which nobody can tell from another one.
    """
    if source.size is None or source.path == STDIN:
        raise ConfigError(
            f"sources: {source.label}: is a stream, and could not be told from one that was read"
            " before; store it in a file"
        )
    if source.remote is not None:
        found = source.remote.object
        time = round(found.modified.timestamp() * 1_000_000)
        return Identity(_key(source.path, source), source.size, time, found.etag)
    try:
        status = os.stat(source.path)
    except OSError as error:
        raise cannot_open(source.path, error) from error
    size = status.st_size if source.length is None else source.length
    return Identity(_key(os.path.abspath(source.path), source), size, status.st_mtime_ns // 1000)


def _key(place: str, source: Source) -> str:
    key = place if source.member is None else f"{place}: {source.member} @{source.offset}"
    # Bytes of a name that are not UTF-8 are told as they are escaped in messages.
    return key.encode("utf-8", "backslashreplace").decode()


def with_checksum(source: Source, identity: Identity) -> Identity:
    """The identity with the SHA-256 of the stored bytes; of an object of S3, its ETag stands.

    Raises:
        SourceError: it cannot be read.
    """
    if source.remote is not None:
        return identity
    digest = hashlib.sha256()
    left = identity.size
    try:
        with open(source.path, "rb") as file:
            file.seek(source.offset)
            while left > 0 and (piece := file.read(min(left, _HASH_BYTES))):
                digest.update(piece)
                left -= len(piece)
    except OSError as error:
        raise cannot_open(source.path, error) from error
    return Identity(identity.key, identity.size, identity.time, identity.etag, digest.hexdigest())


def is_same(source: Source, now: Identity, known: Identity) -> bool:
    """Whether a source is still the release that is known.

    Where its size is the same and its time is not, its bytes decide.
    """
    if now.size != known.size:
        return False
    if now.etag is not None or known.etag is not None:
        return now.etag == known.etag
    if now.time == known.time:
        return True
    return with_checksum(source, now).sha256 == known.sha256


def check_unchanged(source: Source, before: Identity) -> None:
    """Raise a SourceError if a local file has changed since it was looked at."""
    if source.remote is None and identify(source) != before:
        raise SourceError(
            f"{source.label}: it changed while it was read; run again when it is whole",
            source.label,
        )


def groups(sources: Sequence[Source]) -> Iterator[list[int]]:
    """Numbers of neighbouring sources whose rows share files: this follows from the list alone."""
    group: list[int] = []
    stored = 0
    for number, source in enumerate(sources):
        size = source.size or 0
        if group and (len(group) == GROUP_INPUTS or stored + size > GROUP_BYTES):
            yield group
            group, stored = [], 0
        group.append(number)
        stored += size
    if group:
        yield group


def stem(query: bytes, sources: Sequence[tuple[Source, Identity]]) -> str:
    """A name for the files that sources make together: the same ones make the same name."""
    digest = hashlib.sha256(query)
    for source, identity in sources:
        told = (source.name, source.site, source.member, identity.etag, identity.sha256)
        digest.update(repr(told).encode("utf-8", "backslashreplace"))
    return f"part-{digest.hexdigest()[:20]}"
