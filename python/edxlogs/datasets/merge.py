"""Joins the datasets of shards into one: their files, manifests and accounts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edxlogs.errors import ConfigError, OutputError, S3Error
from edxlogs.globs import value_matches
from edxlogs.store import disk
from edxlogs.store.manifest import DataFile, Input, Manifest, Segment, Text, now
from edxlogs.store.place import Place
from edxlogs.store.segments import REPLACED
from edxlogs.store.store import READY, Store, difference, open_manifest
from edxlogs.text import shown


def merge(shards: Sequence[Place], store: Store) -> list[Input]:
    """Add what shards hold to a dataset, in one commit. The shards stay as they are.

    They are datasets of events, or tables of packages.

    Files are linked if the file system can, else copied. What the dataset holds already is skipped,
    and what a shard has read again since replaces what it was. So a merge can be interrupted and
    run again, and shards can grow.

    Returns:
        All inputs, in the order of the shards.

    Raises:
        ConfigError: the shards hold different rows, or share an input.
        OutputError: a shard cannot be read, or the dataset cannot be written.
    """
    manifests = [open_manifest(shard) for shard in shards]
    for manifest in manifests:
        if manifest.query is None:
            raise ConfigError(f"merge: {manifest.name}: its shard has not run; run it first")
        if any(manifest.files(f"{READY}/")):
            raise ConfigError(
                f"merge: {manifest.name}: its conversion was stopped before it finished; run it"
                " again first"
            )
        if manifest.query != manifests[0].query:
            assert manifests[0].query is not None
            raise ConfigError(
                f"merge: {manifest.name}: holds the rows of a different query than"
                f" {manifests[0].name}; merge shards of the same query."
                f" {difference(manifests[0].query, manifest.query)}"
            )
    _refuse_twice(manifests)
    _refuse_same_text(manifests, store.manifest)
    if manifests[0].query is not None:
        store.claim(manifests[0].query, overwrite=False)
    joined = _Joined(store)
    for shard, manifest in zip(shards, manifests, strict=True):
        joined.add(shard, manifest)
    joined.commit()
    return [one for manifest in manifests for one in manifest.inputs()]


def _refuse_twice(manifests: Sequence[Manifest]) -> None:
    """Refuse an input that two shards hold, whose rows would occur twice."""
    held: dict[str, list[tuple[Manifest, Input]]] = {}
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


def _refuse_same_text(manifests: Sequence[Manifest], there: Manifest) -> None:
    """Refuse a text that two shards hold, or a shard and the dataset, as a copy or since it grew.

    For texts that may have grown, the longest prefix that both know is compared.
    """
    held = [(manifest, one) for manifest in manifests for one in manifest.inputs()]
    keys = {one.identity.key for _, one in held}
    held += [(there, one) for one in there.inputs() if one.identity.key not in keys]
    texts: dict[Text, tuple[Manifest, Input]] = {}
    begun: dict[Text, list[tuple[Manifest, Input]]] = {}
    held = [(of, one) for of, one in held if one.holds_text and one.text and one.text.length]
    for manifest, one in held:
        assert one.text is not None
        other, its = texts.setdefault(one.text, (manifest, one))
        if other is not manifest:
            raise _same_text("holds the same text as", manifest, one, other, its)
        if one.heads:
            begun.setdefault(Text(one.text.origin, *one.heads[-1]), []).append((manifest, one))
    for manifest, one in held:
        assert one.text is not None
        for head in one.heads:
            for other, its in begun.get(Text(one.text.origin, *head), ()):
                assert its.text is not None
                if other is not manifest and its.text.length < one.text.length:
                    raise _same_text("has grown from", manifest, one, other, its)


def _same_text(how: str, of: Manifest, one: Input, other: Manifest, its: Input) -> ConfigError:
    return ConfigError(
        f"merge: {_name(one)} in {of.name}: {how} {_name(its)} in {other.name}; read copies, and"
        " logs that rotation renames, without --shard"
    )


def _share_rows(one: Input, other: Input) -> bool:
    """Whether two shards may hold rows of the same file: not if each has other courses."""
    mine, theirs = (its.account.get("member", {}).get("courses", ()) for its in (one, other))
    if not mine or not theirs:
        return True
    return any(value_matches(a, b) or value_matches(b, a) for a in mine for b in theirs)


def _name(one: Input) -> str:
    """What an input is called. For a file of a package: by both names, however it was converted."""
    if (member := one.account.get("member")) is None:
        return shown(one.identity.key)
    return f"{os.path.basename(member['package'])}: {member['member']} ({member['table']})"


@dataclass
class _Joined:
    """The commit that brings a dataset up to date with shards, in preparation.

    Nothing is linked before everything is known, and nothing counts before it is committed.
    """

    store: Store
    started: str = field(default_factory=now)
    inputs: dict[str, Input] = field(default_factory=dict)  # by key
    renewed: set[int] = field(default_factory=set)  # those that are there, of the shards
    stay: set[str] = field(default_factory=set)  # files that are there
    added: dict[str, tuple[DataFile, Place, DataFile]] = field(default_factory=dict)  # and whence

    def add(self, shard: Place, manifest: Manifest) -> None:
        """Add what a shard holds, as far as it is new.

        Raises:
            ConfigError: the dataset itself has since read an input of the shard, or has other files
                in the places of its files.
        """
        there = self.store.manifest
        numbers: dict[int, int] = {}  # of the shard's inputs, here
        new: list[Input] = []
        for one in manifest.inputs():
            key = one.identity.key
            known = self.inputs.get(key) or there.newest(key)
            if known is not None and _here_as(known, one) == one:
                numbers[one.number] = known.number
                continue
            if one.status == REPLACED:
                if known is None:
                    continue
            elif known is not None and known.is_done and not one.is_done:
                continue  # what the dataset has read itself is more than what the shard withheld
            is_of_another = key in self.inputs and known is not None and known.status != REPLACED
            if known is not None and (known.identity.time or 0) > (one.identity.time or 0):
                raise ConfigError(
                    f"merge: {_name(one)}: {self.store.name} has a later release of it than"
                    f" {manifest.name}; merge into a new folder"
                )
            if is_of_another:
                raise ConfigError(
                    f"merge: {_name(one)}: is in another shard and in {manifest.name}; name shards"
                    " of different inputs"
                )
            if known is not None:
                self.renewed.add(known.number)
            numbers[one.number] = there.next_number + len(self.inputs) + len(new)
            new.append(one)
        if not new:
            return
        self.renewed |= set(numbers.values())
        # `compared` may still list numbers of inputs that were replaced.
        for one in new:
            compared = [numbers[other] for other in one.compared if other in numbers]
            own = replace(one, number=numbers[one.number], root=None, compared=compared)
            self.inputs[one.identity.key] = own
        for held in manifest.files():
            # Its own names, because files of the commit before may still be waiting here.
            staged = f"merged-{there.next_number}-{len(self.added)}"
            file = _here(held, numbers, staged=staged)
            known_file = there.file(file.path)
            if known_file is not None and (known_file.sha256, known_file.runs) == (
                file.sha256,
                file.runs,
            ):
                self.stay.add(file.path)
            else:
                self._refuse_taken(file, known_file, manifest)
                self.added[file.path] = file, shard, held

    def _refuse_taken(self, file: DataFile, known: DataFile | None, shard: Manifest) -> None:
        """Refuse a place that stays occupied: tables are named after their packages."""
        there = self.store
        stays = there.place.is_taken(file.path) and not there.manifest.is_retired(file.path)
        if known is not None:
            stays = not self.renewed.issuperset(number for number, _ in known.runs)
        if stays or file.path in self.added:
            where = "exists, and" if stays else "comes from another shard, and"
            raise ConfigError(
                f"merge: {self.store.name}/{file.path.rstrip('/')}: {where} is of another input"
                f" than in {shard.name}; merge into a new folder"
            )

    def commit(self) -> None:
        """Link the files, and commit them.

        Raises:
            OutputError: a shard cannot be read, or the dataset cannot be written.
        """
        store = self.store
        is_new = store.manifest.query is None
        if not self.inputs and not is_new:
            return
        for file, shard, held in self.added.values():
            _link(shard, held, store.new / file.staged)
        added = [file for file, *_ in self.added.values()]
        remade, removed = ([], []) if is_new else store.without(self.renewed, self.stay)
        inputs = [*self.inputs.values()]
        store.commit(Segment(self.started, inputs=inputs, added=[*remade, *added], removed=removed))


def _here_as(known: Input, one: Input) -> Input:
    """What the dataset records about an input, with the numbers that a shard uses."""
    return replace(known, number=one.number, compared=one.compared, root=one.root)


def _here(file: DataFile, numbers: dict[int, int], *, staged: str) -> DataFile:
    """A file of a shard as the dataset records it, given the numbers of its inputs."""
    runs = [(numbers[number], rows) for number, rows in file.runs if number in numbers]
    path = file.path
    if not file.holds_rows:
        path = f"{path.rpartition('/')[0]}/{runs[0][0]}"
    return replace(file, path=path, staged=staged, runs=runs)


def _link(shard: Place, file: DataFile, target: Path) -> None:
    try:
        disk.link_or_copy(shard.local(file), target)
        shard.forget([file])
    except S3Error as error:
        raise OutputError(f"merge: {error}", error.source) from None
    except OSError as error:
        raise OutputError(
            f"merge: {shard.name}/{shown(file.path)}: cannot be copied: {error.strerror}; fix"
            " that, and run again"
        ) from error
