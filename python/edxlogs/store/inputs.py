"""Inputs of a dataset: identified by release, and grouped for common commits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edxlogs.edx.names import is_rotated
from edxlogs.errors import ConfigError, SourceError
from edxlogs.sources.source import STDIN, Source, cannot_open, crc_of
from edxlogs.store.segments import COPY, REPLACED, Identity, Input, Segment, Sighting, Text

if TYPE_CHECKING:
    from edxlogs.store.store import Store

GROUP_INPUTS = 16
GROUP_BYTES = 256 << 20  # as they are stored

_HASH_BYTES = 1 << 20


def identify(source: Source) -> Identity:
    """Identify the release of a source, as far as possible without opening it.

    Raises:
        SourceError: it cannot be looked at.
        ConfigError: it is a stream, which cannot be identified.
    """
    if source.size is None or source.path == STDIN:
        raise ConfigError(
            f"sources: {source.label}: is a stream, which a later run could not recognise; save"
            " it to a file"
        )
    if source.remote is not None:
        found = source.remote.object
        time = round(found.modified.timestamp() * 1_000_000)
        return Identity(_key(source.path, source), source.size, time, found.etag)
    try:
        status = os.stat(source.file_path)
    except OSError as error:
        raise cannot_open(source.path, error) from error
    size = status.st_size if source.length is None else source.length
    return Identity(
        _key(os.path.abspath(source.file_path), source), size, status.st_mtime_ns // 1000
    )


def _key(place: str, source: Source) -> str:
    key = place if source.member is None else f"{place}: {source.member} @{source.offset}"
    # Bytes of a name that are not UTF-8 are escaped as in messages.
    return key.encode("utf-8", "backslashreplace").decode()


def with_checksum(source: Source, identity: Identity) -> Identity:
    """Add the SHA-256 of the stored bytes to an identity. An S3 object keeps its ETag instead.

    Raises:
        SourceError: the source cannot be read.
    """
    if source.remote is not None:
        return identity
    digest = hashlib.sha256()
    left = identity.size
    try:
        with open(source.file_path, "rb") as file:
            file.seek(source.offset)
            while left > 0 and (piece := file.read(min(left, _HASH_BYTES))):
                digest.update(piece)
                left -= len(piece)
    except OSError as error:
        raise cannot_open(source.path, error) from error
    return Identity(identity.key, identity.size, identity.time, identity.etag, digest.hexdigest())


def is_same(source: Source, now: Identity, known: Identity) -> bool:
    """Whether a source is still the known release.

    If its size is equal and its time is not, its bytes decide.
    """
    if now.size != known.size:
        return False
    if now.etag is not None or known.etag is not None:
        return now.etag == known.etag
    if now.time == known.time:
        return True
    return with_checksum(source, now).sha256 == known.sha256


def check_unchanged(source: Source, before: Identity, text: Text | None) -> None:
    """Raise a SourceError if a local file has changed since it was looked at.

    A log may have grown: what was read of it is still there, and the rest is for another run.
    """
    if source.remote is not None:
        return
    now = identify(source)
    if now.size > before.size and text is not None and text.length <= before.size:
        has_changed = crc_of(source, text.length) != text.crc32
    else:
        has_changed = now != before
    if has_changed:
        raise SourceError(
            f"{source.label}: it changed while it was read; run again when it is complete",
            source.label,
        )


@dataclass
class Commit:
    """A commit in preparation.

    Attributes:
        segment: its segment.
        delivered: sources whose rows it contains.
        replaced: numbers of the inputs that it replaces.
        numbers: numbers of the inputs of its files, by their keys.
    """

    segment: Segment
    delivered: list[tuple[Source, Identity]] = field(default_factory=list)
    replaced: set[int] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """What a text means to a dataset.

    Attributes:
        key: key of its input.
        holder: the input that holds it already, or None.
        is_copy: whether that input has a file of its own.
        root: number of the input from which it has grown.
    """

    key: str
    holder: Input | None = None
    is_copy: bool = False
    root: int | None = None


class KnownInputs:
    """What a dataset knows about its inputs, while a run adds to them.

    An input is its text: it stays the same if its file is moved or packed differently, or if the
    text grows. If a file holds another text than before, the old text is removed, unless rotation
    moves texts from name to name.

    Args:
        store: store of the dataset.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._manifest = store.manifest
        self._held: dict[str, dict[Text, Input]] = {}  # by origin, when the run began
        self._taken: dict[Text, Input] = {}  # by this run
        self._begun: dict[Text, Input] = {}  # beginnings of those
        self._now: dict[str, Input] = {}  # inputs of this run, by key
        self._there: set[str] = set()  # keys of inputs whose files the run has come by
        self._gone: set[int] = set()  # inputs that made room
        self._compares = False

    def _seen(self, identity: Identity) -> tuple[Sighting, Input | None] | None:
        """How a file was when it was last looked at, and what it held, if that counts."""
        return None if self._store.replaces_all else self._manifest.seen(identity.key)

    def known(self, identity: Identity) -> Input | None:
        """The input that a file held when it was last looked at."""
        seen = self._seen(identity)
        return None if seen is None else seen[1]

    def is_done(self, source: Source, identity: Identity) -> bool:
        """Whether the rows of a file, as it is now, are in the dataset."""
        seen = self._seen(identity)
        if seen is None or seen[1] is None or not seen[1].is_done:
            return False
        return is_same(source, identity, seen[0].identity)

    def begin(
        self, there: Iterable[Identity], origins: Iterable[str], *, compares: bool = False
    ) -> None:
        """Begin a run.

        Args:
            there: files that are done.
            origins: origins of the texts that are read.
            compares: whether lines are compared with those of others. Then the rows of the same
                text may differ from before.
        """
        self._compares = compares
        known = filter(None, map(self.known, there))
        self._there.update(one.identity.key for one in known)
        if not self._store.replaces_all:
            self._held = {origin: dict(self._manifest.texts(origin)) for origin in origins}

    def begun(self, origin: str) -> dict[tuple[int, int], str]:
        """Texts from which others may have grown: names in their rows, by length and CRC-32."""
        held = self._held.get(origin, {})
        return {
            (text.length, text.crc32): one.name or ""
            for text, one in held.items()
            if one.text == text
        }

    def may_name(self, name: str, identity: Identity) -> bool:
        """Whether the rows of a file may show a name: no other text that stays has it."""
        owner = None if self._store.replaces_all else self._manifest.named(name)
        known = self.known(identity)
        if owner is None or known is None:
            return owner is None
        return known.identity.key == owner and self._makes_room(identity, known)

    def began(self, text: Text, beginnings: Sequence[tuple[int, int]]) -> Input | None:
        """The input from which a text has grown: of several, the one with the longest text."""
        for length, crc32 in reversed(beginnings):
            begun = Text(text.origin, length, crc32)
            one = self._held.get(text.origin, {}).get(begun)
            if length < text.length and one is not None and one.text == begun:
                return one
        return None

    def settle(
        self,
        commit: Commit,
        identity: Identity,
        text: Text | None,
        beginnings: Sequence[tuple[int, int]],
    ) -> Place:
        """Find out what a file's text is to the dataset, and make room for it in a commit."""
        known, holder = self.known(identity), None if text is None else self._holder(text)
        if holder is None and text is not None and is_rotated(os.path.basename(identity.key)):
            # A log that was copied but not truncated yet has grown beyond its copy.
            holder = self._begun.get(text)
        if holder is not None:
            key = holder.identity.key
            is_own = known is not None and known.number == holder.number
            if key in self._there and not is_own:
                self._make_room(commit, identity, known, holder)
                return Place(f"{identity.key} copy", holder, is_copy=True)
            self._there.add(key)
            if self._compares:
                self._drop(commit, holder)
                self._make_room(commit, identity, known, holder)
                return Place(key, root=holder.first_number)
            commit.numbers[identity.key] = holder.number
            commit.segment.seen.append(Sighting(identity, key))
            self._make_room(commit, identity, known, holder)
            return Place(key, holder)
        began = None if text is None else self.began(text, beginnings)
        if began is not None and began.number not in self._gone:
            self._drop(commit, began)
            self._make_room(commit, identity, known, began)
            return Place(began.identity.key, root=began.first_number)
        if known is not None and known.status == COPY:
            self._make_room(commit, identity, known)
        elif known is not None and self._makes_room(identity, known):
            self._drop(commit, known)
            return Place(known.identity.key)
        before = None if self._store.replaces_all else self._manifest.newest(identity.key)
        if before is None or not before.is_done:
            return Place(identity.key)
        return Place(f"{identity.key} ~{0 if text is None else text.crc32:08x}")

    def _holder(self, text: Text) -> Input | None:
        """The input that holds a text, from this run or an earlier one."""
        one = self._taken.get(text)
        if one is None:
            one = self._held.get(text.origin, {}).get(text)
        if one is not None and one.number in self._gone:
            now = self._now.get(one.identity.key)  # it may have grown in this run
            is_of_it = now is not None and now.first_number == one.first_number
            one = now if is_of_it else None
        return one if one is not None and one.holds_text else None

    def _makes_room(self, identity: Identity, known: Input) -> bool:
        """Whether another text in a file replaces what the file held."""
        if not known.is_done:
            return True
        is_elsewhere = known.identity.key in self._there
        return not is_elsewhere and not is_rotated(os.path.basename(identity.key))

    def _make_room(
        self, commit: Commit, identity: Identity, known: Input | None, stays: Input | None = None
    ) -> None:
        """Remove what a file held, if the text that it holds now has a key of its own."""
        if known is None or known.number in self._gone:
            return
        if stays is not None and known.number == stays.number:
            return
        if self._makes_room(identity, known):
            self._drop(commit, known)
            gone = replace(known, status=REPLACED, rows=0, name=None, text=None)
            commit.segment.inputs.append(replace(gone, number=self.next_number(commit)))

    def _drop(self, commit: Commit, one: Input) -> None:
        """Remove the rows of an input."""
        commit.replaced.add(one.number)
        self._gone.add(one.number)

    def put(
        self,
        commit: Commit,
        identity: Identity,
        one: Input,
        beginnings: Iterable[tuple[int, int]] = (),
    ) -> None:
        """Enter the input of a file, which may have a key of its own."""
        key = one.identity.key
        commit.segment.inputs.append(one)
        commit.numbers[identity.key] = one.number
        seen = self._seen(identity)
        if key != identity.key or (seen is not None and seen[0].key != key):
            commit.segment.seen.append(Sighting(identity, key))
        self._there.add(key)
        self._now[key] = one
        if one.text is not None and one.text.length:
            self._taken[one.text] = one
            for length, crc32 in beginnings:
                if 0 < length < one.text.length:
                    self._begun[Text(one.text.origin, length, crc32)] = one

    def next_number(self, commit: Commit) -> int:
        """The number of the next input, after those in its commit."""
        return self._manifest.next_number + len(commit.segment.inputs)

    def numbers(self, keys: Iterable[str], commit: Commit) -> list[int]:
        """The numbers of files whose rows are, or are about to be, in the dataset."""
        found = []
        for key in keys:
            number = commit.numbers.get(key)
            known = self.known(Identity(key, 0)) if number is None else None
            if known is not None and known.is_done:
                number = known.number
            if number is not None:
                found.append(number)
        return found


def groups(sources: Sequence[Source], *, together: bool = False) -> Iterator[list[int]]:
    """Numbers of neighbouring sources whose rows share files. They depend only on the list.

    Args:
        sources: sources in order.
        together: whether all sources of a site and day are in one group, as neighbours.
    """
    group: list[int] = []
    stored = 0
    for numbers in by_day(sources) if together else ([number] for number in range(len(sources))):
        size = sum(sources[number].size or 0 for number in numbers)
        is_full = len(group) + len(numbers) > GROUP_INPUTS or stored + size > GROUP_BYTES
        if group and is_full:
            yield group
            group, stored = [], 0
        group += numbers
        stored += size
    if group:
        yield group


def by_day(sources: Sequence[Source]) -> Iterable[list[int]]:
    """Numbers of sources by site and day. A source without a day in its name is alone."""
    days: dict[object, list[int]] = {}
    for number, source in enumerate(sources):
        key = number if source.date is None else (source.site, source.date)
        days.setdefault(key, []).append(number)
    return days.values()


def stem(query: bytes, sources: Sequence[tuple[Source, Identity]]) -> str:
    """A name for the files that sources make together: the same sources give the same name."""
    digest = hashlib.sha256(query)
    for source, identity in sources:
        told = (source.name, source.site, source.member, identity.etag, identity.sha256)
        digest.update(repr(told).encode("utf-8", "backslashreplace"))
    return f"part-{digest.hexdigest()[:20]}"
