"""What a dataset holds, and what was read for it: segments that are only added, and a head.

A segment is one line: the SHA-256 of the line's document chained to that of the segment before it,
and the document. The head, a small file that is replaced by a rename, says how many bytes of the
segments count. So a commit costs what it changes, and a crash leaves the state before it or after
it: bytes beyond those that count are what a crash left, and the next commit writes over them.
"""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from edxlogs import _core
from edxlogs.errors import ConfigError, OutputError
from edxlogs.store import disk
from edxlogs.text import shown

SCHEMA_VERSION = 1

_HEAD, _SEGMENTS = "head", "segments"
_START = hashlib.sha256(b"edxlogs manifest").hexdigest()


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one release of a file from another.

    Attributes:
        key: where it is: an absolute path or a URL, and the member of a tar.
        size: bytes.
        time: of its last change; microseconds since 1970, or None.
        etag: as S3 gave it, or None.
        sha256: of its bytes as they are stored, or None for an object of S3.
    """

    key: str
    size: int
    time: int | None = None
    etag: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """Something that was read, and what became of it.

    Attributes:
        number: its own, among all that were ever read.
        identity: which release of it.
        status: as its owner calls it; `withheld` if its rows are not in the dataset.
        rows: of it that are in the dataset.
        account: what its owner wants to know of it again: plain data for JSON, which only its
            owner makes and reads.
        compared: numbers of those whose lines it does not hold again, in their order.
    """

    number: int
    identity: Identity
    status: str
    rows: int
    account: dict[str, Any]
    compared: list[int] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether its rows are in the dataset; one that was withheld is read again."""
        return self.status != "withheld"

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Take a document apart."""
        return cls(**{**document, "identity": Identity(**document["identity"])})


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the dataset.

    Attributes:
        path: relative to the dataset.
        staged: its name in the folder of new files, until it has its place.
        rows: without a header.
        bytes: its size.
        sha256: of all its bytes, in hex.
        runs: whose rows follow each other in it: (number of the input, rows).
    """

    path: str
    staged: str
    rows: int
    bytes: int
    sha256: str
    runs: list[tuple[int, int]]

    @property
    def holds_rows(self) -> bool:
        """Whether it is data; else it holds rejected lines, or hashes."""
        return holds_rows(self.path)


def holds_rows(path: str) -> bool:
    """Whether a file at that place in a dataset is data."""
    return not path.startswith("_edxlogs/")


@dataclass(slots=True)
class Segment:
    """What one commit changes.

    Attributes:
        run: which run made it: the time it began.
        inputs: that were read.
        added: files.
        removed: paths of files that are no longer there.
        query: what the dataset holds, in the first segment and after a change of mind.
        replaces_all: whether nothing before it counts.
        ended: the last words of a run: what it left out, and its time.
    """

    run: str
    inputs: list[Input] = field(default_factory=list)
    added: list[DataFile] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    query: dict[str, Any] | None = None
    replaces_all: bool = False
    ended: dict[str, Any] | None = None

    @property
    def changes_files(self) -> bool:
        """Whether files come or go by it."""
        return bool(self.added or self.removed)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Take a document apart."""
        known = {name: document[name] for name in cls.__slots__ if name in document}
        known["inputs"] = [Input.of(one) for one in known["inputs"]]
        known["added"] = [
            DataFile(**{**one, "runs": [(run[0], run[1]) for run in one["runs"]]})
            for one in known["added"]
        ]
        return cls(**known)


class Manifest:
    """The manifest in a folder.

    Args:
        folder: holds it, and nothing else but what edxlogs puts there.
        name: what messages call it.
        mode: permissions of its files, for a new one.

    Attributes:
        query: what the rows are; None before the first commit.
        inputs: by number, with those whose rows were replaced since.
        current: number of the newest release of each input, by key.
        files: by path.
        next_number: what the next input gets.
        outputs: absolute paths of what its runs wrote beside it: reports, rejects.
        last: the last segment that changes files, which may not all have their place yet.
    """

    def __init__(self, folder: Path, name: str | None = None, mode: int = 0o600) -> None:
        self.folder = folder
        self._mode = mode
        self.name = shown(os.fspath(folder)) if name is None else name
        self.query: dict[str, Any] | None = None
        self.inputs: dict[int, Input] = {}
        self.current: dict[str, int] = {}
        self.files: dict[str, DataFile] = {}
        self.outputs: set[str] = set()
        self.next_number = 0
        self.last: Segment | None = None
        self._end = 0
        self._digest = _START
        self._segments = 0
        self._lock = -1

    @property
    def is_empty(self) -> bool:
        """Whether there was no commit yet."""
        return self._segments == 0

    def lock(self) -> None:
        """Make the folder, and keep other runs from writing to it until this process ends.

        Raises:
            OutputError: another run has it, or the file system has no locks.
            ConfigError: the folder is not edxlogs' own.
        """
        mode = disk.folder_mode(self._mode)
        self._lock = disk.claim(self.folder, self.name, "output", mode)

    def close(self) -> None:
        """Let others write. May be called twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _unreadable(self, error: OSError) -> OutputError:
        return OutputError(
            f"manifest: {self.name}: {error.strerror}; let edxlogs read its folder _edxlogs, or"
            " bring back a copy of it"
        )

    def load(self) -> None:
        """Read all segments that count.

        Raises:
            ConfigError: it was changed by hand, is damaged, or was written by a newer version.
            OutputError: it cannot be read.
        """
        for segment in self.segments():
            self._take(segment)

    def segments(self) -> Iterator[Segment]:
        """Read the segments that count, in order.

        Raises:
            ConfigError: it was changed by hand, is damaged, or was written by a newer version.
            OutputError: it cannot be read.
        """
        try:
            head = (self.folder / _HEAD).read_bytes()
        except FileNotFoundError:
            # A crash before the first commit leaves nothing that counts.
            return
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            known = orjson.loads(head)
            version, end, last = known["schema_version"], known["bytes"], known["sha256"]
        except (KeyError, TypeError, ValueError):
            raise self._damaged("its head cannot be read") from None
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"manifest: {self.name}: was written by a newer edxlogs; update this one"
            )
        try:
            with open(self.folder / _SEGMENTS, "rb") as file:
                content = file.read(end)
        except OSError as error:
            raise self._unreadable(error) from error
        digest = _START
        for number, line in enumerate(content.split(b"\n")[:-1], 1):
            told, _, document = line.partition(b" ")
            digest = _chain(digest, document)
            if told != digest.encode():
                raise self._damaged(f"segment {number} does not match its checksum")
            self._end += len(line) + 1
            self._digest = digest
            self._segments = number
            yield Segment.of(orjson.loads(document))
        if digest != last or self._end != end:
            raise self._damaged("its head and its segments do not belong together")

    def _damaged(self, why: str) -> ConfigError:
        return ConfigError(
            f"manifest: {self.name}: {why}: it was changed by hand, or is damaged; bring back a"
            " copy, or make the dataset anew in another folder"
        )

    def _take(self, segment: Segment) -> None:
        if segment.replaces_all:
            self.current.clear()
            self.files.clear()
        if segment.query is not None:
            self.query = segment.query
        for one in segment.inputs:
            self.inputs[one.number] = one
            self.next_number = one.number + 1
            self.current[one.identity.key] = one.number
        for path in segment.removed:
            self.files.pop(path, None)
        for file in segment.added:
            self.files[file.path] = file
        if segment.ended is not None:
            self.outputs.update(segment.ended["outputs"])
        if segment.changes_files:
            self.last = segment

    def newest(self, key: str) -> Input | None:
        """The newest release of an input."""
        number = self.current.get(key)
        return None if number is None else self.inputs[number]

    def commit(self, segment: Segment) -> None:
        """Add a segment: when this returns, it counts, whatever happens.

        Raises:
            OSError: it cannot be written; it does not count then.
        """
        document = orjson.dumps(_plain(segment))
        digest = _chain(self._digest, document)
        line = digest.encode() + b" " + document + b"\n"
        disk.append(self.folder / _SEGMENTS, self._end, line)
        end = self._end + len(line)
        head = {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "segments": self._segments + 1,
            "bytes": end,
            "sha256": digest,
        }
        os.chmod(self.folder / _SEGMENTS, self._mode)
        content = orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE)
        disk.replace(self.folder / _HEAD, content, self._mode)
        self._end, self._digest, self._segments = end, digest, self._segments + 1
        self._take(segment)


def _plain(segment: Segment) -> dict[str, Any]:
    """A segment as a document, without what is not there."""
    document = {name: getattr(segment, name) for name in Segment.__slots__}
    document["inputs"] = [asdict(one) for one in segment.inputs]
    document["added"] = [asdict(one) for one in segment.added]
    return {name: value for name, value in document.items() if value or name in _ALWAYS}


_ALWAYS = ("run", "inputs", "added")


def _chain(before: str, document: bytes) -> str:
    return hashlib.sha256(before.encode() + document).hexdigest()


def now() -> str:
    """This moment, UTC, as manifests have it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
