"""Parts of a single output file that outlive the run, so that finished work is not repeated.

The journal is a store (`edxlogs.store`) in the hidden folder beside the output. It begins once a
run has taken a while, and is removed when the output has its name. A later run with the same words
uses its parts, and makes the output from them and from what was missing: the same bytes as without
an interruption.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edxlogs import _core
from edxlogs.account import SourceAccount
from edxlogs.errors import ConfigError, OutputError, SourceError, cannot_write
from edxlogs.formats import STDOUT
from edxlogs.sources.source import STDIN, Source
from edxlogs.store import disk
from edxlogs.store.file import OutputFile, journal_of
from edxlogs.store.inputs import identify
from edxlogs.store.manifest import DataFile, Identity, Input, Manifest, Segment, Text, now
from edxlogs.store.place import Folder
from edxlogs.store.store import Store
from edxlogs.text import shown

BEGIN_SECONDS = 1.0  # a shorter run is done again as quickly
COMMIT_SECONDS = 1.0

_REJECTS, _HASHES = "rejects", "hashes"


@dataclass(frozen=True, slots=True)
class KeptPart:
    """A part that an earlier run finished."""

    account: SourceAccount
    part: _core.Part
    rejects: Path | None


class Journal:
    """The parts of one output, kept beside it.

    Args:
        file: the output being written.
        query: what its rows are.
        overwrite: whether parts of another query may be removed.

    Raises:
        ConfigError: there are parts of another query, or the manifest is invalid.
        OutputError: it cannot be read.
    """

    def __init__(self, file: OutputFile, query: dict[str, Any], *, overwrite: bool) -> None:
        self._file = file
        self._query = query
        self._overwrite = overwrite
        self._began = self._committed = time.monotonic()
        self._store: Store | None = None
        self._files: dict[int, dict[str, DataFile]] = {}  # of a run before, by input
        self._lock = threading.Lock()
        self._segment = Segment(now())
        self._identities: dict[Source, Identity] = {}
        if file.journal.is_dir():
            self._open()

    def _open(self) -> Store:
        if self._store is None:
            home = self._file.journal
            self._store = Store(Folder(home, home, self._file.name))
            try:
                self._store.claim(self._query, overwrite=self._overwrite)
            except ConfigError:
                self._store.close()
                raise
            for file in self._store.manifest.files():
                number, _, kind = file.path.partition(".")
                self._files.setdefault(int(number), {})[kind] = file
        return self._store

    def begin(self, sources: Sequence[Source]) -> None:
        """Record the identities of the sources before they are read. Streams are not kept."""
        for source in sources:
            if source.size is not None and source.path != STDIN:
                try:
                    identity = identify(source)
                except SourceError:
                    continue
                # A source that has grown since it was found is read up to its old size.
                if identity.size == source.size:
                    self._identities[source] = identity

    def known(self, source: Source) -> Input | None:
        """What an earlier run finished of a source, if the source has not changed."""
        identity = self._identities.get(source)
        if self._store is None or self._store.replaces_all or identity is None:
            return None
        known = self._store.manifest.newest(identity.key)
        if known is None or not known.is_done or known.identity != identity:
            return None
        held = sum(file.rows for file in self._files.get(known.number, {}).values())
        return known if held == known.rows else None

    def hashes(self, one: Input) -> Path | None:
        """Where the hashes of its lines are, if it was compared."""
        file = self._files.get(one.number, {}).get(_HASHES)
        return (
            None if self._store is None or file is None else self._store.on_disk.folder / file.path
        )

    def find(self, known: Input) -> KeptPart:
        """The part of a source that an earlier run finished, given `known`."""
        assert self._store is not None
        files = dict(self._files.get(known.number, {}))
        rejects = files.pop(_REJECTS, None)
        files.pop(_HASHES, None)
        folder = self._store.on_disk.folder
        kept, file = next(iter(files.items()), (None, None))
        path = folder if file is None else folder / file.path
        return KeptPart(
            SourceAccount.of(known.account),
            _core.Part.open(path, kept),
            None if rejects is None else folder / rejects.path,
        )

    def keep(
        self,
        source: Source,
        account: SourceAccount,
        part: _core.Part,
        text: Text | None = None,
        hashes: Path | None = None,
        earlier: Sequence[Source] = (),
    ) -> None:
        """Keep a part that is about to be appended to the output.

        Args:
            source: source of the part.
            account: account of the source.
            part: its rows.
            text: identifies its text.
            hashes: where the hashes of its lines are, or None.
            earlier: sources with which its lines were compared.

        Raises:
            OutputError: it cannot be written.
        """
        identity = self._identities.get(source)
        if identity is None or time.monotonic() - self._began < BEGIN_SECONDS:
            return
        try:
            # No checksum: if size or time has changed, the source is read again.
            if identify(source) != identity:
                return
        except SourceError:
            return
        with self._lock:
            self._keep(identity, account, part, text, hashes, self._numbers(earlier))

    def _numbers(self, sources: Sequence[Source]) -> list[int]:
        """The numbers of those sources that are kept."""
        now = {one.identity: one.number for one in self._segment.inputs}
        numbers = []
        for source in sources:
            identity, known = self._identities.get(source), self.known(source)
            if identity in now:
                numbers.append(now[identity])
            elif known is not None:
                numbers.append(known.number)
        return numbers

    def _keep(
        self,
        identity: Identity,
        account: SourceAccount,
        part: _core.Part,
        text: Text | None,
        hashes: Path | None,
        compared: list[int],
    ) -> None:
        store = self._open()
        number = store.manifest.next_number + len(self._segment.inputs)
        made: list[str] = []
        try:
            if account.counts.rejected:
                made.append(f"{number}.{_REJECTS}")
                descriptor = disk.make_file(store.new / made[-1])
                try:
                    part.copy_rejects(descriptor)
                finally:
                    os.close(descriptor)
            if hashes is not None:
                made.append(f"{number}.{_HASHES}")
                disk.link_or_copy(hashes, store.new / made[-1])
            kept = part.keep(store.new / str(number))
            if kept is not None:
                made.append(f"{number}.{kept}")
                disk.rename(store.new / str(number), store.new / made[-1])
            sizes = [(store.new / name).stat().st_size for name in made]
        except OSError as error:
            raise cannot_write(self._file.name, error) from error
        # All at once, because an input is not done until all its files exist.
        for name, size in zip(made, sizes, strict=True):
            rows = 0 if name.endswith((_REJECTS, _HASHES)) else account.counts.rows
            # No checksum is computed, because only edxlogs reads the file.
            self._segment.added.append(DataFile(name, name, rows, size, "", [(number, rows)]))
        self._segment.inputs.append(
            Input(
                number,
                identity,
                account.status,
                account.counts.rows,
                asdict(account),
                compared,
                text=text,
            )
        )
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self._commit()

    def leave(self) -> bool:
        """Flush what was kept to disk, if possible. Returns whether there is anything."""
        with suppress(OutputError), self._lock:  # a thread may be at it when the run is stopped
            self._commit()
        return self.is_kept

    def _commit(self) -> None:
        if self._store is None or not self._segment.inputs:
            return
        self._store.commit(self._segment)
        self._file.keeps_journal = True
        self._segment = Segment(self._segment.run)
        self._committed = time.monotonic()

    def end(self, files: Sequence[OutputFile]) -> None:
        """Record which files are about to get their names, to recognise them as this command's.

        Raises:
            OutputError: it cannot be written.
        """
        if self._store is not None and self.is_kept:
            outputs = [_mark(os.path.abspath(file.target), os.stat(file.path)) for file in files]
            self._store.commit(Segment(self._segment.run, ended={"outputs": outputs}))

    @property
    def is_kept(self) -> bool:
        """Whether the next run can resume from it."""
        return self._store is not None and not self._store.manifest.is_empty

    def close(self) -> None:
        """Release it, so that others can resume from it. May be called twice."""
        if self._store is not None:
            self._store.close()


def finished_outputs(target: str) -> Manifest | None:
    """The manifest that lists the files that a run to `target` was naming at its end, or None."""
    if target == STDOUT:
        return None
    home = journal_of(Path(target))
    manifest = Manifest(Folder(home, home))
    try:
        manifest.load()
    except (ConfigError, OutputError):
        # Whoever opens it to write says why.
        return None
    return manifest


def is_own(path: Path, finished: Manifest | None) -> bool:
    """Whether a file is one of those that got their names."""
    try:
        mark = _mark(os.path.abspath(path), os.stat(path))
    except (OSError, ValueError):
        return False
    return finished is not None and finished.wrote(mark)


def _mark(path: str, status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_size} {shown(path)}"
