"""Datasets of shards, joined to one: their files, manifests and accounts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edxlogs.errors import ConfigError, OutputError
from edxlogs.globs import value_matches
from edxlogs.store import disk
from edxlogs.store.manifest import DataFile, Input, Manifest, Segment, Text, now
from edxlogs.store.place import Place
from edxlogs.store.segments import REPLACED
from edxlogs.store.store import READY, Store, difference, open_manifest
from edxlogs.text import shown


def merge(shards: Sequence[Place], store: Store) -> list[Input]:
    """Add what shards hold to a dataset, a commit for each; the shards stay as they are.

    They are datasets of events, or tables of packages.

    Files are linked where the file system can, else copied. What is there already is passed over,
    and what a shard has read anew since takes the place of what it was: so a merge can be stopped
    and run again, and shards can grow.

    Returns:
        All inputs, in the order of the shards.

    Raises:
        ConfigError: the shards hold different rows, or the same input twice.
        OutputError: a shard cannot be read, or the dataset not be written.
    """
    manifests = [open_manifest(shard) for shard in shards]
    for manifest in manifests:
        if manifest.query is None:
            raise ConfigError(f"merge: {manifest.name}: is empty; run its part first")
        if any(manifest.files(f"{READY}/")):
            raise ConfigError(
                f"merge: {manifest.name}: its conversion was stopped before its end; run it again"
                " first"
            )
        if manifests[0].query is not None and manifest.query != manifests[0].query:
            raise ConfigError(
                f"merge: {manifest.name}: holds the rows of another query than"
                f" {manifests[0].name}; merge shards of one query."
                f" {difference(manifests[0].query, manifest.query)}"
            )
    _refuse_twice(manifests)
    started = now()
    if manifests[0].query is not None:
        store.claim(manifests[0].query, overwrite=False)
    merged: list[Input] = []
    for shard, manifest in zip(shards, manifests, strict=True):
        merged += manifest.inputs()
        if (segment := _segment(shard, manifest, store, started)) is not None:
            store.commit(segment)
    return merged


def _refuse_twice(manifests: Sequence[Manifest]) -> None:
    """Refuse an input that two shards hold: its rows would be there twice."""
    held: dict[str, list[tuple[Manifest, Input]]] = {}
    texts: dict[Text, tuple[Manifest, Input]] = {}
    for manifest in manifests:
        for one in manifest.inputs():
            if one.status == REPLACED:
                continue
            others = held.setdefault(_name(one), [])
            for other, its in others:
                if other is not manifest and _share_rows(one, its):
                    raise ConfigError(
                        f"merge: {_name(one)}: is in {other.name} and in {manifest.name};"
                        " name shards of different inputs"
                    )
            others.append((manifest, one))
            if one.holds_text and one.text is not None and one.text.length:
                other, its = texts.setdefault(one.text, (manifest, one))
                if other is not manifest:
                    raise ConfigError(
                        f"merge: {_name(one)} in {manifest.name}: holds the same text as"
                        f" {_name(its)} in {other.name}; read copies, and logs that rotation"
                        " renames, without --shard"
                    )


def _share_rows(one: Input, other: Input) -> bool:
    """Whether rows of a file may be in two shards: not where each has those of other courses."""
    mine, theirs = (its.account.get("member", {}).get("courses", ()) for its in (one, other))
    if not mine or not theirs:
        return True
    return any(value_matches(a, b) or value_matches(b, a) for a in mine for b in theirs)


def _name(one: Input) -> str:
    """What an input is called; a file of a package, however it was converted, by their names."""
    if (member := one.account.get("member")) is None:
        return shown(one.identity.key)
    return f"{os.path.basename(member['package'])}: {member['member']} ({member['table']})"


def _segment(shard: Place, manifest: Manifest, store: Store, started: str) -> Segment | None:
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
        if known is not None and _here_as(known, one) == one:
            numbers[one.number] = known.number
            continue
        if one.status == REPLACED:
            if known is None:
                continue
        elif known is not None and known.is_done and not one.is_done:
            continue  # what the dataset has read itself is more than what the shard withheld
        if known is not None and (known.identity.time or 0) > (one.identity.time or 0):
            raise ConfigError(
                f"merge: {_name(one)}: {store.name} holds a later release of it than"
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
            root=None,
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
            _refuse_taken(file, known_file, store, manifest, stale.union(numbers.values()))
            _link(shard.local(held), store.new / file.staged)
            added.append(file)
    if there.query is None:
        return Segment(started, inputs=inputs, added=added)
    remade, removed = store.without(stale | set(numbers.values()), stay)
    return Segment(started, inputs=inputs, added=[*remade, *added], removed=removed)


def _here_as(known: Input, one: Input) -> Input:
    """What the dataset has of an input, with the numbers that a shard gives."""
    return replace(known, number=one.number, compared=one.compared, root=one.root)


def _refuse_taken(
    file: DataFile, known: DataFile | None, store: Store, shard: Manifest, renewed: set[int]
) -> None:
    """Refuse a place where there is something that stays: tables are called by their packages."""
    stays = store.place.is_taken(file.path) and not store.manifest.is_retired(file.path)
    if known is not None:
        stays = not renewed.issuperset(number for number, _ in known.runs)
    if stays:
        raise ConfigError(
            f"merge: {store.name}/{file.path.rstrip('/')}: exists, and is of another input than in"
            f" {shard.name}; merge into a new folder"
        )


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
