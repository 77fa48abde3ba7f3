"""Datasets of shards, joined to one: their files, manifests and accounts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edxlogs.account import Account, SourceAccount
from edxlogs.errors import ConfigError, OutputError
from edxlogs.store import disk
from edxlogs.store.manifest import DataFile, Input, Manifest, Segment, now
from edxlogs.store.store import EVENTS, Store, open_manifest, place_of
from edxlogs.text import shown


def merge(shards: Sequence[Path], store: Store) -> Account:
    """Add what shards hold to a dataset, a commit for each; the shards stay as they are.

    Files are linked where the file system can, else copied. What is there already is passed over,
    and what a shard has read anew since takes the place of what it was: so a merge can be stopped
    and run again, and shards can grow.

    Returns:
        The account of all inputs, in the order of the shards.

    Raises:
        ConfigError: the shards hold different rows, or the same input twice.
        OutputError: a shard cannot be read, or the dataset not be written.
    """
    manifests = [open_manifest(shard) for shard in shards]
    for manifest in manifests:
        if manifest.query is None:
            raise ConfigError(f"merge: {manifest.name}: is empty; run its part first")
        holds = manifest.query.get("holds", EVENTS)
        if holds != EVENTS:
            raise ConfigError(
                f"merge: {manifest.name}: holds {holds}; convert the packages of all to one folder:"
                " db convert adds to what is there"
            )
        if manifest.query != manifests[0].query:
            raise ConfigError(
                f"merge: {manifest.name}: holds the rows of another query than"
                f" {manifests[0].name}; merge shards of one query"
            )
    _refuse_twice(manifests)
    started = now()
    account = Account()
    if manifests[0].query is not None:
        store.claim(manifests[0].query, overwrite=False)
    for shard, manifest in zip(shards, manifests, strict=True):
        inputs = manifest.inputs()
        if (segment := _segment(shard, manifest, store, started)) is not None:
            store.commit(segment)
        for one in inputs:
            account.enter(SourceAccount.of(one.account))
    account.check()
    return account


def _refuse_twice(manifests: Sequence[Manifest]) -> None:
    """Refuse an input that two shards hold: its rows would be there twice."""
    held: dict[str, str] = {}
    for manifest in manifests:
        for key in (one.identity.key for one in manifest.inputs()):
            if key in held:
                raise ConfigError(
                    f"merge: {shown(key)}: is in {held[key]} and in {manifest.name}; name shards"
                    " of different inputs"
                )
            held[key] = manifest.name


def _segment(shard: Path, manifest: Manifest, store: Store, started: str) -> Segment | None:
    """The commit that brings a shard up to date, its files among the new ones; None if it is.

    Raises:
        ConfigError: the dataset itself has read an input of the shard since.
    """
    there = store.manifest
    first = there.next_number
    numbers: dict[int, int] = {}  # of the shard's inputs, here
    stale: set[int] = set()
    new: list[Input] = []
    for one in manifest.inputs():
        known = there.newest(one.identity.key)
        if known is not None and (known.identity, known.account) == (one.identity, one.account):
            numbers[one.number] = known.number
            continue
        if known is not None and known.is_done and not one.is_done:
            continue  # what the dataset has read itself is more than what the shard withheld
        if known is not None and (known.identity.time or 0) > (one.identity.time or 0):
            raise ConfigError(
                f"merge: {shown(one.identity.key)}: {store.name} holds a later release of it than"
                f" {manifest.name}; merge into a new folder"
            )
        if known is not None:
            stale.add(known.number)
        numbers[one.number] = first + len(new)
        new.append(one)
    if not new:
        return None
    # A number that another one has taken the place of may still stand in what was compared.
    inputs = [
        replace(
            one,
            number=first + at,
            compared=[numbers[other] for other in one.compared if other in numbers],
        )
        for at, one in enumerate(new)
    ]
    added: list[DataFile] = []
    stay: set[str] = set()
    for at, held in enumerate(manifest.files()):
        # Of its own: the files of the commit before may still have their place to get.
        file = _here(held, numbers, staged=f"merged-{first}-{at}")
        known_file = there.file(file.path)
        if known_file is not None and (known_file.sha256, known_file.runs) == (
            file.sha256,
            file.runs,
        ):
            stay.add(file.path)
        else:
            _link(place_of(shard, held), store.new / file.staged)
            added.append(file)
    if there.query is None:
        return Segment(started, inputs=inputs, added=added)
    remade, removed = store.without(stale | set(numbers.values()), stay)
    return Segment(started, inputs=inputs, added=[*remade, *added], removed=removed)


def _here(file: DataFile, numbers: dict[int, int], *, staged: str) -> DataFile:
    """A file of a shard as the dataset has it, where its inputs have those numbers."""
    runs = [(numbers[number], rows) for number, rows in file.runs if number in numbers]
    path = file.path
    if not file.holds_rows:
        path = f"{path.rpartition('/')[0]}/{runs[0][0]}"
    return replace(file, path=path, staged=staged, runs=runs)


def _link(source: Path, target: Path) -> None:
    try:
        disk.link_or_copy(source, target)
    except OSError as error:
        raise OutputError(
            f"merge: {shown(os.fspath(source))}: cannot be copied: {error.strerror}; mend that, and"
            " run again"
        ) from error
