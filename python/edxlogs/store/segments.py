"""What a commit contains: a segment, with inputs that were read and files that come and go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self, overload

import orjson

from edxlogs.text import shown

Run = tuple[int, int]
REPLACED = "replaced"  # the status of an input whose rows have made room for others
COPY = "copy"  # and of one whose text another input holds
HEAD_LENGTHS = tuple(1 << power for power in range(8, 40))
"""Lengths of the prefixes that are recorded of texts without a day: they may grow and move."""
_NOT_DONE = ("withheld", "no_log")  # and of those that the next run reads again


def outputs_beside(*paths: str | None) -> list[str]:
    """Absolute names, in the form of manifests, of files that a run writes beside its store."""
    return sorted(shown(os.path.abspath(path)) for path in paths if path)


@dataclass(frozen=True, slots=True)
class Identity:
    """Identifies one release of a file.

    Attributes:
        key: where it is: an absolute path or a URL, and the member if it is in a tar.
        size: size in bytes.
        time: time of its last change, microseconds since 1970, or None.
        etag: as S3 gave it, or None.
        sha256: SHA-256 of its bytes as stored; None for an S3 object.
    """

    key: str
    size: int
    time: int | None = None
    etag: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Identifies a text, wherever it is and however it is packed.

    Attributes:
        origin: where it comes from: site, organisation and day, as names give them.
        length: length in bytes.
        crc32: its CRC-32.
    """

    origin: str
    length: int
    crc32: int

    def heads(self, beginnings: Iterable[tuple[int, int]]) -> list[list[int]]:
        """Those of its prefixes that are recorded."""
        kept = HEAD_LENGTHS if may_move(self.origin) else ()
        return [[length, crc32] for length, crc32 in beginnings if length in kept]


def may_move(origin: str) -> bool:
    """Whether texts of an origin may grow and get another name. Those of a single day do not."""
    return origin.endswith("/")


@dataclass(frozen=True, slots=True)
class Input:
    """Something that was read, and what became of it.

    Attributes:
        number: its number among everything that was ever read.
        identity: which release of it; its key stays, wherever the text moves.
        status: outcome in its owner's words; `withheld` if its rows are not in the dataset.
        rows: number of its rows in the dataset.
        account: what its owner will want to know again: plain JSON data, which only the owner makes
            and reads.
        compared: numbers of the inputs whose lines it does not repeat, in order.
        name: the name that its rows show, or None.
        text: identifies its text; None if it is not identified by text.
        root: number of the input as which its text began, before it grew; None means its own.
        heads: length and CRC-32 of prefixes of its text, for `HEAD_LENGTHS`.
    """

    number: int
    identity: Identity
    status: str
    rows: int
    account: dict[str, Any]
    compared: list[int] = field(default_factory=list)
    name: str | None = None
    text: Text | None = None
    root: int | None = None
    heads: list[list[int]] = field(default_factory=list)

    @property
    def first_number(self) -> int:
        """The number of the input as which its text began."""
        return self.number if self.root is None else self.root

    @property
    def holds_text(self) -> bool:
        """Whether it stands for its text, because its rows are in the dataset."""
        return self.text is not None and self.status not in (*_NOT_DONE, REPLACED, COPY)

    @property
    def is_done(self) -> bool:
        """Whether its rows are in the dataset. A withheld input is read again."""
        return self.status not in _NOT_DONE

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Rebuild it from a document."""
        text = document.get("text")
        told = {
            "identity": Identity(**document["identity"]),
            "text": None if text is None else Text(**text),
        }
        return cls(**{**document, **told})


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where an input was last seen.

    Attributes:
        identity: identity of the file there, under its own key.
        key: key of the input.
    """

    identity: Identity
    key: str

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Rebuild it from a document."""
        return cls(Identity(**document["identity"]), document["key"])


class Runs(Sequence[Run]):
    """Whose rows follow each other in a file, as text that is parsed when needed.

    First the least and the greatest number of an input, then the runs: their rows and, before them,
    how many numbers are skipped, if any. `3-9 3:70 80 4:5` is 70 rows of input 3, 80 of input 4,
    and 5 of input 9.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Self:
        """Convert runs to text."""
        if isinstance(runs, cls):
            return runs
        if not runs:
            return cls("")
        numbers = [number for number, _ in runs]
        words = [f"{min(numbers)}-{max(numbers)}"]
        expected = 0
        for number, rows in runs:
            words.append(f"{rows}" if number == expected else f"{number - expected}:{rows}")
            expected = number + 1
        return cls(" ".join(words))

    def __iter__(self) -> Iterator[Run]:
        expected = 0
        for word in self.text.split()[1:]:
            step, colon, rows = word.partition(":")
            number = expected + int(step) if colon else expected
            expected = number + 1
            yield number, int(rows if colon else step)

    @overload
    def __getitem__(self, at: int) -> Run: ...
    @overload
    def __getitem__(self, at: slice) -> list[Run]: ...
    def __getitem__(self, at: int | slice) -> Run | list[Run]:
        return list(self)[at]

    def __len__(self) -> int:
        return self.text.count(" ")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(self.text)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the dataset.

    Attributes:
        path: path relative to the dataset.
        staged: its name in the folder of new files; empty if it is certainly in its place.
        rows: number of rows, without a header.
        bytes: size in bytes.
        sha256: SHA-256 of all its bytes, in hex.
        runs: whose rows follow each other in it: (number of the input, rows).
    """

    path: str
    staged: str
    rows: int
    bytes: int
    sha256: str
    runs: Sequence[Run]

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files that are not rows, such as unpacked content."""
        return self.path.endswith("/")

    @property
    def holds_rows(self) -> bool:
        """Whether it is data, rather than rejected lines or hashes."""
        return holds_rows(self.path)


def record_of(file: DataFile) -> bytes:
    """The record of a file."""
    told = (file.path, str(file.rows), str(file.bytes), file.sha256, Runs.of(file.runs).text)
    return "\t".join(told).encode()


def file_of(record: bytes) -> DataFile:
    """Rebuild a file from its record. Its runs are parsed when needed."""
    path, rows, size, sha256, runs = record.decode().rsplit("\t", 4)
    return DataFile(path, "", int(rows), int(size), sha256, Runs(runs))


def marks_of(record: bytes) -> tuple[int, int] | None:
    """The least and the greatest number of the inputs whose rows a file holds, from its record."""
    low, _, high = record.rpartition(b"\t")[2].partition(b" ")[0].partition(b"-")
    return (int(low), int(high)) if low else None


def holds_rows(path: str) -> bool:
    """Whether a file at that place in a dataset is data."""
    return not path.startswith("_edxlogs/")


@dataclass(slots=True)
class Segment:
    """What one commit changes.

    Attributes:
        run: the run that made it, by the time it began.
        inputs: inputs that were read.
        seen: sightings of inputs, including those read earlier, whose files are not under their own
            keys.
        added: files added.
        removed: paths of files removed.
        query: what the dataset holds, in the first segment and after a change.
        keeps_removed: whether replaced files of rows stay in place for a time of grace.
        cleaned: paths of files that stayed in that way and whose time is over.
        replaces_all: whether nothing before it counts.
        ended: how a run ended: what it left out, what it wrote beside the dataset.
    """

    run: str
    inputs: list[Input] = field(default_factory=list)
    added: list[DataFile] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    seen: list[Sighting] = field(default_factory=list)
    query: dict[str, Any] | None = None
    keeps_removed: bool = False
    cleaned: list[str] = field(default_factory=list)
    replaces_all: bool = False
    ended: dict[str, Any] | None = None

    @property
    def changes_files(self) -> bool:
        """Whether it adds or removes files."""
        return bool(self.added or self.removed or self.cleaned)

    @property
    def retired(self) -> list[str]:
        """Paths of files that it replaces and that stay in place for a time of grace."""
        if not self.keeps_removed:
            return []
        added = {file.path for file in self.added}
        files = (path for path in self.removed if holds_rows(path) and not path.endswith("/"))
        return [path for path in files if path not in added]

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Rebuild it from a document."""
        document = orjson.loads(content)
        document["inputs"] = [Input.of(one) for one in document["inputs"]]
        document["seen"] = [Sighting.of(one) for one in document.get("seen", ())]
        document["added"] = [
            DataFile(**{**one, "runs": Runs(one["runs"])}) for one in document["added"]
        ]
        return cls(**document)

    def document(self) -> bytes:
        """The segment as a document, without empty fields."""
        told = {name: getattr(self, name) for name in self.__slots__}
        told["inputs"] = [asdict(one) for one in self.inputs]
        told["seen"] = [asdict(one) for one in self.seen]
        told["added"] = [
            {name: getattr(one, name) for name in DataFile.__slots__}
            | {"runs": Runs.of(one.runs).text}
            for one in self.added
        ]
        always = ("run", "inputs", "added")
        return orjson.dumps({key: value for key, value in told.items() if value or key in always})

    def summary(self) -> dict[str, Any]:
        """What the history of the dataset keeps of it."""
        done = [one for one in self.inputs if one.is_done]
        return {
            "run": self.run,
            "sources": len(done),
            "withheld": len(self.inputs) - len(done),
            "rows": sum(one.rows for one in self.inputs),
            "added": sum(file.holds_rows for file in self.added),
            "removed": sum(holds_rows(path) for path in self.removed),
            "ended": None if self.ended is None else bool(self.ended.get("whole")),
        }
