"""What a dataset holds, and what was read for it: a head, segments, and checkpoints.

A commit adds a segment, which is one line: a document, and before it the document's SHA-256,
chained to that of the previous segment. The head is a small file that is replaced by a rename. It
says how many bytes of the segments count, and which checkpoints come before them. So a commit costs
what it changes, and a crash leaves the state before it or after it: bytes beyond those that count
were left by a crash, and the next commit overwrites them.

Once there are many segments, the next commit puts their result into a checkpoint
(`edxlogs.store.checkpoint`), and starts new segments. Checkpoints of equally many commits are
merged into one. So they stay few, and over the years a record is rewritten only a few times.
Nothing here takes as long as the history unless all of it is asked for: states are looked up by
key.
"""

from __future__ import annotations

import datetime
import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.errors import ConfigError, EdxlogsError, OutputError
from edxlogs.store import checkpoint
from edxlogs.store.checkpoint import Checkpoint, DamagedError, Record, escaped
from edxlogs.store.place import Place
from edxlogs.store.segments import (
    DataFile,
    Identity,
    Input,
    Segment,
    Sighting,
    Text,
    file_of,
    holds_rows,
    marks_of,
    record_of,
)

__all__ = [
    "DataFile",
    "Identity",
    "Input",
    "Manifest",
    "Segment",
    "Sighting",
    "Text",
    "holds_rows",
    "now",
]

FORMAT = 3  # 1 had neither checkpoints nor this number, 2 did not know inputs by their texts

CHECKPOINT_COMMITS = 16
_MERGED = 8  # checkpoints of a level that become one of the next
_ATTEMPTS = 5  # of a reader, while a writer takes away what it is about to open

_SEGMENTS = "segments"
_START = hashlib.sha256(b"edxlogs manifest").hexdigest()

# Prefixes of the keys of records, in order.
_FILE, _HISTORY, _INPUT, _NAME, _OUTPUT, _QUERY = (one.encode() for one in "fhinoq")
_RETIRED, _SEEN, _TEXT = (one.encode() for one in "rst")
_ENDS = b"\\/"  # of one part of a key, where another follows: escaped text never holds it
_STAYS = (_HISTORY, _OUTPUT, _RETIRED)  # what a commit that replaces all leaves


class Manifest:
    """The manifest of a dataset.

    Args:
        place: where its documents are.

    Attributes:
        next_number: number of the next input.
        last: the last segment that changes files, if they may not all be in their places yet.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = place.name
        self.next_number = 0
        self.last: Segment | None = None
        self._head: dict[str, Any] = {
            "commits": 0,
            "segments": {"name": _SEGMENTS, "start": _START, "bytes": 0, "sha256": _START},
            "checkpoints": [],
        }
        self._checkpoints: list[Checkpoint] = []  # the newest first
        self._fresh: dict[bytes, bytes] = {}  # records of the segments
        self._staged: dict[str, str] = {}
        self._order: list[bytes] | None = None  # their keys, sorted
        self._number = 0  # of the next commit
        self._since = 0  # commits since the last checkpoint

    @property
    def commits(self) -> int:
        """Number of commits."""
        return self._number

    @property
    def sha256(self) -> str:
        """Identifies its state: the end of the chain of checksums of all commits."""
        sha256: str = self._head["segments"]["sha256"]
        return sha256

    @property
    def is_empty(self) -> bool:
        """Whether there was no commit yet."""
        return self._number == 0

    def load(self) -> None:
        """Read the state of the last commit.

        Raises:
            ConfigError: it was changed by hand, is damaged, or has another format.
            OutputError: it cannot be read.
        """
        for attempt in range(_ATTEMPTS):
            try:
                self._load()
                break
            except FileNotFoundError as error:
                # A writer may have replaced the files that the head listed.
                if attempt == _ATTEMPTS - 1:
                    raise self._unreadable(error) from error
            except OSError as error:
                raise self._unreadable(error) from error

    def _load(self) -> None:
        if (head := self.place.head()) is None:
            return
        try:
            known = orjson.loads(head)
            if (form := known.get("format", 1)) == FORMAT:
                told = known["segments"]
                name, start, end, last = (told[key] for key in ("name", "start", "bytes", "sha256"))
                checkpoints = known["checkpoints"]
                self.next_number = known["inputs"]
                self._head = {key: known[key] for key in self._head}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._damaged("its head cannot be read") from None
        if form != FORMAT:
            raise self._of_another_form(form)
        content = self.place.segments(name, end)
        try:
            self._checkpoints = [self.place.checkpoint(one) for one in checkpoints]
        except DamagedError as error:
            raise self._damaged(str(error)) from None
        digest, read = start, 0
        lines = content.split(b"\n")[:-1]
        self._begin(known["commits"] - len(lines))
        for number, line in enumerate(lines, 1):
            sha256, _, document = line.partition(b" ")
            digest = _chain(digest, document)
            if sha256 != digest.encode():
                raise self._damaged(f"segment {number} does not match its checksum")
            read += len(line) + 1
            self._take(Segment.of(document))
        if digest != last or read != end:
            raise self._damaged("its head and its segments do not match")

    def _of_another_form(self, form: Any) -> ConfigError:
        if isinstance(form, int) and form < FORMAT:
            return ConfigError(
                f"manifest: {self.name}: is in an older form, which edxlogs no longer reads; run"
                " the same command with another output, and remove this one"
            )
        return ConfigError(
            f"manifest: {self.name}: was written by a newer edxlogs; update this one"
        )

    def _unreadable(self, error: OSError) -> OutputError:
        if isinstance(error, EdxlogsError):
            return OutputError(str(error), error.source)
        return OutputError(
            f"manifest: {self.name}: {error.strerror}; let edxlogs read its folder _edxlogs, or"
            " restore a copy of it"
        )

    def _damaged(self, why: str) -> ConfigError:
        return ConfigError(
            f"manifest: {self.name}: {why}: it was changed by hand, or is damaged; restore a"
            " copy, or make the dataset again in another folder"
        )

    def tidy(self) -> None:
        """Remove what an interrupted commit left. Only for writers."""
        checkpoints = (one.told["name"] for one in self._checkpoints)
        self.place.tidy([self._head["segments"]["name"], *checkpoints])

    def _begin(self, number: int) -> None:
        """Start without segments; the next one gets this number."""
        self._fresh, self._staged, self._order = {}, {}, None
        self._number, self._since, self.last = number, 0, None

    def _take(self, segment: Segment) -> None:
        """Enter a segment into the records."""
        records = self._fresh
        if segment.query is not None:
            records[_QUERY] = orjson.dumps(segment.query)
        for one in segment.inputs:
            key = escaped(one.identity.key)
            records[_INPUT + key] = orjson.dumps(one)
            if one.name is not None:
                records[_NAME + escaped(one.name)] = orjson.dumps(one.identity.key)
            if one.text is not None and one.text.length:
                told = [one.identity.key, one.first_number]
                records[_TEXT + _text_key(one.text)] = orjson.dumps(told)
        for sighting in segment.seen:
            records[_SEEN + escaped(sighting.identity.key)] = orjson.dumps(sighting)
        for path in segment.removed:
            self._staged.pop(path, None)
            records[_FILE + escaped(path)] = b""
        for file in segment.added:
            records[_FILE + escaped(file.path)] = record_of(file)
            self._staged[file.path] = file.staged
        for path in segment.retired:
            records[_RETIRED + escaped(path)] = orjson.dumps([path, self._number])
        for path in segment.cleaned:
            records[_RETIRED + escaped(path)] = b""
        for path in (segment.ended or {}).get("outputs", ()):
            records[_OUTPUT + escaped(path)] = b"1"
        records[_HISTORY + f"{self._number:012}".encode()] = orjson.dumps(segment.summary())
        self._order = None
        self._number += 1
        self._since += 1
        if segment.changes_files:
            self.last = segment

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Describe what is wrong with a checkpoint."""
        try:
            yield
        except DamagedError as error:
            raise self._damaged(str(error)) from None
        except OSError as error:
            raise self._unreadable(error) from error

    def _get(self, key: bytes) -> bytes | None:
        """The newest value of a key, or None."""
        value = self._fresh.get(key)
        with self._reading():
            for one in self._checkpoints:
                if value is not None:
                    break
                value = one.get(key)
        return value or None

    def _scan(self, prefix: bytes) -> Iterator[Record]:
        """The newest records whose keys begin with `prefix`, in order."""
        with self._reading():
            older = [one.scan(prefix) for one in self._checkpoints]
            for key, value in checkpoint.merge([self._fresh_records(prefix), *older]):
                if value:
                    yield key, value

    def _fresh_records(self, prefix: bytes = b"") -> Iterator[Record]:
        order = self._order = sorted(self._fresh) if self._order is None else self._order
        for at in range(bisect_left(order, prefix), len(order)):
            if not order[at].startswith(prefix):
                return
            yield order[at], self._fresh[order[at]]

    @property
    def query(self) -> dict[str, Any] | None:
        """What the rows are; None before the first commit."""
        value = self._get(_QUERY)
        query: dict[str, Any] | None = None if value is None else orjson.loads(value)
        return query

    def newest(self, key: str) -> Input | None:
        """The newest release of an input."""
        value = self._get(_INPUT + escaped(key))
        return None if value is None else Input.of(orjson.loads(value))

    def seen(self, key: str) -> tuple[Sighting, Input | None] | None:
        """What a file was like when it was last looked at, and the input that it held."""
        value = self._get(_SEEN + escaped(key))
        if value is not None:
            sighting = Sighting.of(orjson.loads(value))
            return sighting, self.newest(sighting.key)
        one = self.newest(key)
        return None if one is None else (Sighting(one.identity, key), one)

    def named(self, name: str) -> str | None:
        """The key of the input whose rows show this name, or None."""
        value = self._get(_NAME + escaped(name))
        key: str | None = None if value is None else orjson.loads(value)
        return key

    def texts(self, origin: str) -> Iterator[tuple[Text, Input]]:
        """Texts of an origin that the dataset holds, each with the input that holds it.

        Texts that have grown since are included, with the input that they have grown to.
        """
        begin = escaped(origin) + _ENDS
        for record, value in self._scan(_TEXT + begin):
            length, crc32 = record[len(_TEXT) + len(begin) :].split(b" ")
            key, first = orjson.loads(value)
            one = self.newest(key)
            if one is not None and one.holds_text and one.first_number == first:
                yield Text(origin, int(length, 16), int(crc32, 16)), one

    def inputs(self) -> list[Input]:
        """The newest release of each input, in the order in which they were read."""
        found = [Input.of(orjson.loads(value)) for _, value in self._scan(_INPUT)]
        return sorted(found, key=lambda one: one.number)

    def file(self, path: str) -> DataFile | None:
        """The file at a place."""
        value = self._get(_FILE + escaped(path))
        return None if value is None else self._file(value)

    def files(self, below: str = "") -> Iterator[DataFile]:
        """Files whose paths begin with `below`, by the bytes of their paths."""
        return (self._file(value) for _, value in self._scan(_FILE + escaped(below)))

    def _file(self, record: bytes) -> DataFile:
        file = file_of(record)
        staged = self._staged.get(file.path)
        return file if staged is None else replace(file, staged=staged)

    def holding(self, numbers: Collection[int]) -> list[DataFile]:
        """Files that hold anything from these inputs, by path."""
        if not numbers:
            return []
        least, greatest = min(numbers), max(numbers)

        def is_near(low: int, high: int) -> bool:
            return low <= greatest and least <= high

        found: dict[bytes, DataFile] = {}
        with self._reading():
            every = [self._fresh_records(_FILE)]
            every += [one.scan(_FILE, is_near) for one in self._checkpoints]
            for key, value in chain.from_iterable(every):
                marks = marks_of(value) if value else None
                if marks is None or not is_near(*marks) or self._get(key) != value:
                    continue
                file = self._file(value)
                if any(number in numbers for number, _ in file.runs):
                    found[key] = file
        return [found[key] for key in sorted(found)]

    def retired(self) -> Iterator[tuple[str, int]]:
        """Files that were replaced but kept: paths, and the number of commits before that.

        A file that has come back since may be among them.
        """
        for _, value in self._scan(_RETIRED):
            path, number = orjson.loads(value)
            yield path, number

    def is_retired(self, path: str) -> bool:
        """Whether what is at a place was replaced but kept."""
        return self._get(_RETIRED + escaped(path)) is not None and self.file(path) is None

    def wrote(self, path: str) -> bool:
        """Whether one of its runs wrote a file beside it, such as a report, to that place."""
        return self._get(_OUTPUT + escaped(path)) is not None

    def history(self) -> Iterator[dict[str, Any]]:
        """What each commit did, oldest first, as `Segment.summary` describes it."""
        for _, value in self._scan(_HISTORY):
            yield orjson.loads(value)

    @property
    def is_due(self) -> bool:
        """Whether the next commit makes a checkpoint, for which all files must be in place."""
        return self._since >= CHECKPOINT_COMMITS

    def commit(self, segment: Segment) -> None:
        """Add a segment. When this returns, it counts, whatever happens.

        Raises:
            OSError: it cannot be written, and does not count.
            ConfigError: a checkpoint is damaged.
        """
        told, checkpoints = self._head["segments"], self._head["checkpoints"]
        renews = self.is_due or (segment.replaces_all and not self.is_empty)
        if renews:
            checkpoints = self._checkpoint(replaces_all=segment.replaces_all)
            last = told["sha256"]
            name = f"{_SEGMENTS}-{self._number}"
            told = {"name": name, "start": last, "bytes": 0, "sha256": last}
        document = segment.document()
        digest = _chain(told["sha256"], document)
        line = digest.encode() + b" " + document + b"\n"
        next_number = max([self.next_number, *(one.number + 1 for one in segment.inputs)])
        head = {
            "format": FORMAT,
            "version": _core.__version__,
            "commits": self._number + 1,
            "inputs": next_number,
            "segments": {**told, "bytes": told["bytes"] + len(line), "sha256": digest},
            "checkpoints": checkpoints,
        }
        content = orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE)
        self.place.commit(self._number, told["name"], told["bytes"], line, content)
        self._head, self.next_number = head, next_number
        if renews:
            self._renew()
        self._take(segment)

    def _checkpoint(self, *, replaces_all: bool) -> list[dict[str, Any]]:
        """Put the result of the segments into a checkpoint. Returns those that count, newest first.

        When a level has enough checkpoints, they become one of the next level.
        """
        there = self._head["checkpoints"]
        merged, level = 0, 1
        while [one["level"] for one in there[merged:]].count(level) >= _MERGED - 1:
            merged += _MERGED - 1
            level += 1
        if replaces_all:
            merged = len(there)
        keeps_removed = merged < len(there)
        with self._reading():
            older = [one.scan() for one in self._checkpoints[:merged]]
            records = (
                (key, value)
                for key, value in checkpoint.merge([self._fresh_records(), *older])
                if (value or keeps_removed) and (not replaces_all or key[:1] in _STAYS)
            )
            told = self.place.write_checkpoint(self._number, records, _marks)
        return [{**told, "level": level}, *there[merged:]]

    def _renew(self) -> None:
        """Switch to the checkpoints that the head lists, and release those that they replace."""
        there = {one.told["name"]: one for one in self._checkpoints}
        self._checkpoints = [
            there.get(one["name"]) or self.place.checkpoint(one)
            for one in self._head["checkpoints"]
        ]
        self._begin(self._number)
        self.tidy()


def _marks(record: Record) -> tuple[int, int] | None:
    return marks_of(record[1]) if record[0].startswith(_FILE) and record[1] else None


def _text_key(text: Text) -> bytes:
    return escaped(text.origin) + _ENDS + f"{text.length:012x} {text.crc32:08x}".encode()


def _chain(before: str, document: bytes) -> str:
    return hashlib.sha256(before.encode() + document).hexdigest()


def now() -> str:
    """The present moment in UTC, in the form of manifests."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
