"""A group of sources as a task, which is done and recorded here or on another host.

A task contains everything that it needs, so it can be sent. Its files are made in a folder for this
attempt alone, flushed to disk, and published with their record by one rename. Two attempts at the
same time make the same bytes, and either will do. Whoever finds a record need not do the task
again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import orjson

from edxlogs import _core
from edxlogs.account import SourceAccount
from edxlogs.errors import cannot_write
from edxlogs.events.dedupe import Dedupe
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.scanning import LineReader
from edxlogs.events.target import Read
from edxlogs.gpg.process import Gpg
from edxlogs.groups.hosts import why_unreadable
from edxlogs.groups.reading import Arrived, Form, GroupFile, GroupTarget, Known, make_files
from edxlogs.sources.source import Source, stored_head
from edxlogs.sources.window import Window
from edxlogs.store import disk
from edxlogs.store.manifest import Identity, Text
from edxlogs.store.store import TASK, TRY
from edxlogs.targets import fill
from edxlogs.text import many, shown

_RECORD = "record.json"


@dataclass(frozen=True, slots=True)
class FormSettings:
    """How the files of a dataset are made, in a form that can be sent; see `Form`.

    Attributes:
        conditions: conditions on the events.
        words: the other keywords of `make_query`.
        asked: distinguishes its rows from others; names no people.
        format_name: one of `DATASET_FORMATS`, possibly with `SAFE`.
        metadata: key-value pairs for the footer of Parquet.
        salvage: whether to deliver the sound part of a damaged source.
        keeps_rejects: whether to keep rejected lines.
        file_bytes: approximate largest file.
    """

    conditions: Conditions
    words: Mapping[str, Any]
    asked: Mapping[str, Any]
    format_name: str
    metadata: Sequence[tuple[str, str]]
    salvage: bool
    keeps_rejects: bool
    file_bytes: int

    def form(self, new: Path) -> Form:
        """The form with its query, for new files in this folder.

        Raises:
            ConfigError: a condition, a column or an option is invalid.
        """
        query = make_query(self.conditions, **self.words)
        more = self.salvage, self.keeps_rejects, self.file_bytes, self.words.get("table")
        return Form(query, self.format_name, self.metadata, new, *more)

    @property
    def told(self) -> tuple[object, ...]:
        """Identifies it; names no people."""
        asked = orjson.dumps(self.asked, option=orjson.OPT_SORT_KEYS)
        more = self.salvage, self.keeps_rejects, self.file_bytes
        return asked, self.format_name, list(self.metadata), *more


@dataclass(frozen=True)
class GroupTask:
    """What to read, and what to make from it.

    Attributes:
        forms: how to make the files of each dataset.
        places: absolute paths for their new files.
        sources: sources of the group, including those with which others are only compared.
        known: what the datasets know about each.
        window: chooses among the members of a tar.
        dedupe: which lines to compare, as `Dedupe` takes it, or None.
        gnupg_home: folder of the keys; None means the user's own on that host.
        passphrase_file: file whose first line unlocks the key; None asks the agent.
    """

    forms: Sequence[FormSettings]
    places: Sequence[Path]
    sources: Sequence[Source]
    known: Sequence[Known]
    window: Window = field(default_factory=Window)
    dedupe: str | None = None
    gnupg_home: Path | None = None
    passphrase_file: Path | None = None

    @cached_property
    def digest(self) -> str:
        """Identifies it: equal tasks make equal bytes."""
        sources = [(one.label, one.name, one.size, one.site, one.date) for one in self.sources]
        known = [
            (one.identity, list(one.pending), one.keeps_name, list(one.lengths), list(one.begun))
            for one in self.known
        ]
        forms = [one.told for one in self.forms]
        told = _core.__version__, forms, sources, known, self.window, self.dedupe
        return hashlib.sha256(repr(told).encode("utf-8", "backslashreplace")).hexdigest()[:24]

    @property
    def size(self) -> int:
        """Bytes of the sources that are read, as stored."""
        both = zip(self.sources, self.known, strict=True)
        return sum(source.size or 0 for source, known in both if any(known.pending))

    @property
    def label(self) -> str:
        """How a dashboard calls it: its sources."""
        both = zip(self.sources, self.known, strict=True)
        read = [one.name for one, known in both if any(known.pending)]
        return read[0] if len(read) == 1 else f"{read[0]} and {many(len(read) - 1, 'other')}"

    def gpg(self) -> Gpg:
        """Make the `Gpg` that decrypts on the host of the task.

        Raises:
            ConfigError: the key ring does not exist, or the passphrase cannot be read.
        """
        return Gpg(home=self.gnupg_home, passphrase_file=self.passphrase_file, prompt=False)

    def why_unreadable(self) -> str | None:
        """Why its first source cannot be read on this host; None if it can."""
        both = zip(self.sources, self.known, strict=True)
        source = next(one for one, known in both if any(known.pending))
        return why_unreadable(source.label, partial(stored_head, source), self.gpg)

    def run(self) -> Made:
        """Do it."""
        return do(self)

    def left(self) -> Iterator[Path]:
        """What attempts at it have left, published or not."""
        yield from attempts(self.places).get(self.digest, ())


@dataclass(frozen=True, slots=True)
class Made:
    """The result of a task.

    Attributes:
        accounts: what became of each source that was read, over all datasets.
        keys: keys of the files of those sources.
        arrived: for each dataset, the sources that it lacked.
        files: for each dataset, the new files.
        unmet: for each dataset, condition values that match nothing kept, as `_core.Query.unmet`
            returns them.
    """

    accounts: Sequence[SourceAccount]
    keys: Sequence[str]
    arrived: Sequence[Sequence[Arrived]]
    files: Sequence[Sequence[GroupFile]]
    unmet: Sequence[Sequence[tuple[str, int]]]

    def document(self) -> bytes:
        """The result as JSON. Of a source, only what its name tells."""
        told = asdict(replace(self, arrived=[]))
        told["arrived"] = [[_told(one) for one in several] for several in self.arrived]
        return orjson.dumps(told)

    @classmethod
    def of(cls, document: bytes, task: GroupTask) -> Self:
        """Rebuild it from a document.

        Raises:
            ValueError: it is not a result of that task.
        """
        told = orjson.loads(document)
        sources = {
            known.identity.key: source
            for known, source in zip(task.known, task.sources, strict=True)
        }
        try:
            return cls(
                [SourceAccount.of(one) for one in told["accounts"]],
                told["keys"],
                [[_arrived(one, sources) for one in several] for several in told["arrived"]],
                [[GroupFile(**one) for one in several] for several in told["files"]],
                [[(kind, place) for kind, place in several] for several in told["unmet"]],
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(str(error)) from error


def _told(arrived: Arrived) -> dict[str, Any]:
    told = {name: getattr(arrived, name) for name in Arrived.__slots__ if name != "source"}
    return {
        **told,
        "name": arrived.source.name,
        "release": asdict(arrived.release),
        "account": asdict(arrived.account),
        "text": None if arrived.text is None else asdict(arrived.text),
    }


def _arrived(told: dict[str, Any], sources: Mapping[str, Source]) -> Arrived:
    release, text = Identity(**told.pop("release")), told.pop("text")
    return Arrived(
        source=replace(sources[release.key], name=told.pop("name")),
        release=release,
        account=SourceAccount.of(told.pop("account")),
        text=None if text is None else Text(**text),
        beginnings=[(length, crc32) for length, crc32 in told.pop("beginnings")],
        **told,
    )


@dataclass
class _TaskTarget(GroupTarget):
    """Reads the sources of a task, all of which are at hand."""

    reads: list[Read] = field(default_factory=list)

    def turns(self) -> list[int]:
        """Only the sources that are read."""
        return sorted(self._to_read)

    def deliver(self, read: Read) -> SourceAccount:
        """Keep it until all are read."""
        self.reads.append(read)
        return self.told(read)

    def made(self, at: int) -> tuple[list[Arrived], list[GroupFile]]:
        """What one dataset gets: the sources, and files of all those that have rows."""
        shares = [share for read in self.reads if (share := self.share(read, at)) is not None]
        places = [place for place, share in enumerate(shares) if share.part is not None]
        files = make_files(self.forms[at], shares, self._room, self.workers, places, "part")
        return [share.arrived for share in shares], files


def attempts(places: Sequence[Path]) -> dict[str, list[Path]]:
    """What attempts at tasks have left among new files, by the digests of the tasks."""
    found: dict[str, list[Path]] = {}
    for place in places:
        for path in place.iterdir():
            if path.name.startswith((TASK, TRY)):
                found.setdefault(path.name.split("-")[1], []).append(path)
    return found


def recorded(task: GroupTask) -> Made | None:
    """The result of a task, if it was done before and its files still exist."""
    for folder in sorted(task.places[0].glob(f"{TASK}{task.digest}-*")):
        with suppress(OSError, ValueError):
            made = Made.of((folder / _RECORD).read_bytes(), task)
            if all(
                os.stat(place / file.staged).st_size == file.bytes
                for place, files in zip(task.places, made.files, strict=True)
                for file in files
            ):
                return made
    return None


def do(task: GroupTask, threads: int = 1) -> Made:
    """Do a task, unless it was done already, and publish its files.

    Returns:
        The result. Its sources may have failed; their accounts say so.

    Raises:
        ConfigError: the key ring or the passphrase cannot be used.
        OutputError: its files cannot be written.
        EdxlogsError: a guarantee does not hold, or there are no threads.
    """
    if (made := recorded(task)) is not None:
        return made
    with _attempt(task) as tries:
        forms = [one.form(new) for one, new in zip(task.forms, tries, strict=True)]
        queries = [one.query for one in forms]
        query = queries[0] if len(queries) == 1 else _core.Query.of_several(queries)
        gpg = task.gpg()
        try:
            reader = LineReader(query, gpg, _core.Control(), task.window)
            target = _TaskTarget(reader, task.sources, threads, forms=forms, known=task.known)
            if task.dedupe is not None:
                hashes = tries[0]
                target.dedupe = Dedupe(
                    task.sources, task.dedupe, lambda number: hashes / f"held-{number}"
                )
            fill(target)
        finally:
            gpg.close()
        accounts = [target.told(read) for read in target.reads]
        keys = [task.known[read.number].identity.key for read in target.reads]
        both = [target.made(at) for at in range(len(forms))]
        made = Made(
            accounts,
            keys,
            [arrived for arrived, _ in both],
            [
                [replace(file, staged=f"{_published(new).name}/{file.staged}") for file in files]
                for new, (_, files) in zip(tries, both, strict=True)
            ],
            [one.unmet() for one in queries],
        )
        target.reads.clear()  # with their hidden files
        _publish(task, tries, made)
    return made


@contextmanager
def _attempt(task: GroupTask) -> Iterator[list[Path]]:
    """A folder of this attempt for the new files of each dataset. What is left there is removed."""
    mark = secrets.token_hex(6)
    tries = [place / f"{TRY}{task.digest}-{mark}" for place in task.places]
    try:
        try:
            for one in tries:
                disk.make_folder(one)
        except OSError as error:
            raise cannot_write(shown(os.fspath(tries[0].parent)), error) from error
        yield tries
    finally:
        for one in tries:
            with suppress(OSError):
                disk.remove(one)


def _publish(task: GroupTask, tries: Sequence[Path], made: Made) -> None:
    """Flush the files to disk, and put them in their places. The last one holds the record."""
    try:
        wanted = {file.staged.rpartition("/")[2] for files in made.files for file in files}
        disk.write(tries[0] / _RECORD, made.document())
        for folder in tries:
            for path in sorted(folder.iterdir()):
                if path.name in wanted or path.name == _RECORD:
                    _sync(path)
                else:
                    disk.unlink(path)
            disk.sync_folder(folder)
        for folder in reversed(tries):
            disk.rename(folder, _published(folder))
            disk.sync_folder(folder.parent)
    except OSError as error:
        raise cannot_write(shown(os.fspath(tries[0].parent)), error) from error


def _published(attempt: Path) -> Path:
    """Where the folder of an attempt is once it is done."""
    return attempt.with_name(f"{TASK}{attempt.name.removeprefix(TRY)}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        disk.sync(descriptor)
    finally:
        os.close(descriptor)
