"""Datasets of shards, joined to one: their files, manifests and accounts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edxlogs import disk
from edxlogs.account import Account
from edxlogs.errors import ConfigError, OutputError
from edxlogs.manifest import DataFile, Manifest, Segment, now
from edxlogs.names import shown
from edxlogs.store import Store, open_manifest, place_of


def merge(shards: Sequence[Path], store: Store) -> Account:
    """Add what shards hold to a dataset, a commit for each; the shards stay as they are.

    Files are linked where the file system can, else copied. A shard that is there already is passed
    over, so that a merge can be stopped and run again.

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
        inputs = [manifest.inputs[number] for number in manifest.current.values()]
        there = [one for one in inputs if store.manifest.newest(one.identity.key) is not None]
        if len(there) < len(inputs):
            if there:
                raise ConfigError(
                    f"merge: {manifest.name}: has grown since it was merged; merge into a new"
                    " folder"
                )
            store.commit(_segment(shard, manifest, store, started))
        for one in inputs:
            account.sources.append(one.account)
            account.rows_written += one.account.counts.rows
    account.check()
    return account


def _refuse_twice(manifests: Sequence[Manifest]) -> None:
    """Refuse an input that two shards hold: its rows would be there twice."""
    held: dict[str, str] = {}
    for manifest in manifests:
        for key in manifest.current:
            if key in held:
                raise ConfigError(
                    f"merge: {shown(key)}: is in {held[key]} and in {manifest.name}; name shards"
                    " of different inputs"
                )
            held[key] = manifest.name


def _segment(shard: Path, manifest: Manifest, store: Store, started: str) -> Segment:
    """The commit that adds a shard, its files among the new ones."""
    first = store.manifest.next_number
    numbers = {old: first + at for at, old in enumerate(manifest.current.values())}
    inputs = []
    for old, new in numbers.items():
        one = manifest.inputs[old]
        compared = [numbers[other] for other in one.compared if other in numbers]
        inputs.append(replace(one, number=new, compared=compared))
    added = []
    for at, file in enumerate(manifest.files.values()):
        # Of its own: the files of the commit before may still have their place to get.
        staged = f"merged-{first}-{at}"
        _link(place_of(shard, file), store.new / staged)
        runs = [(numbers[number], rows) for number, rows in file.runs if number in numbers]
        path = file.path
        if not file.holds_rows:
            path = f"{path.rpartition('/')[0]}/{runs[0][0]}"
        added.append(DataFile(path, staged, file.rows, file.bytes, file.sha256, runs))
    return Segment(started, inputs=inputs, added=added)


def _link(source: Path, target: Path) -> None:
    try:
        disk.link_or_copy(source, target)
    except OSError as error:
        raise OutputError(
            f"merge: {shown(os.fspath(source))}: cannot be copied: {error.strerror}; mend that, and"
            " run again"
        ) from error
