"""Turns what a user names into the place of a dataset, or into the places of event tables."""

from __future__ import annotations

import os
from pathlib import Path

from edxlogs.edx.names import is_recognised
from edxlogs.errors import ConfigError, S3Error, cannot_write
from edxlogs.globs import is_path_glob
from edxlogs.s3.client import S3, SCHEME
from edxlogs.sources.source import is_dataset
from edxlogs.store.place import Folder, Place
from edxlogs.store.store import open_manifest
from edxlogs.text import shown


def place_at(
    named: str | os.PathLike[str],
    s3: S3 | None = None,
    mode: int = 0o600,
    *,
    shared: bool = False,
) -> Place:
    """The place of a dataset.

    Args:
        named: path of a folder, or `s3://` URL of a prefix.
        s3: server and credentials; None takes them from the AWS configuration.
        mode: permissions of new files on disk.
        shared: whether a folder may hold other files.

    Raises:
        ConfigError: nothing is named, or the URL names no bucket.
    """
    text = os.fspath(named)
    if not text:  # such as a variable of a shell that is not set
        raise ConfigError("dataset: the name of its folder is empty; name one")
    if text.startswith(SCHEME):
        from edxlogs.buckets.bucket import Bucket  # few runs need it

        return Bucket(text, s3 or S3())
    return Folder(Path(text), mode=mode, shared=shared)


def holds_dataset(named: str | os.PathLike[str], s3: S3 | None = None) -> bool:
    """Whether something named as a source is a dataset: a folder, or a prefix of a bucket.

    Args:
        named: path, glob or URL.
        s3: as for `place_at`.

    Raises:
        ConfigError: the URL names no bucket.
    """
    text = os.fspath(named)
    if not isinstance(text, str) or not text.startswith(SCHEME):
        return is_dataset(text)
    if is_path_glob(text) or is_recognised(text.rpartition("/")[2]):
        return False
    try:
        return place_at(text, s3).exists
    except S3Error:  # where nothing may be listed, an object may be read; if not, that says why
        return False


def places_at(
    named: str | os.PathLike[str], s3: S3 | None = None, mode: int = 0o600
) -> dict[str, Place]:
    """The datasets meant by the name of one, or by a folder of event tables.

    Args:
        named: as for `place_at`.
        s3: as for `place_at`.
        mode: as for `place_at`.

    Returns:
        For event tables, their places by name, in the order of their names. For anything else, the
            place itself under an empty name.

    Raises:
        ConfigError: the URL names no bucket, or a manifest is invalid.
        OutputError: a manifest cannot be read.
    """
    place = place_at(named, s3, mode)
    if place.exists:
        return {"": place}
    text = os.fspath(named)
    inside = ((name, place_at(os.path.join(text, name), s3, mode)) for name in _inside(place))
    tables = {name: one for name, one in inside if _holds_table(one)}
    return tables or {"": place}


def dataset_at(named: str | os.PathLike[str], s3: S3 | None = None) -> Place:
    """The place of a dataset to read.

    Raises:
        ConfigError: there are several, as in a folder of event tables.
        OutputError: a manifest cannot be read.
    """
    places = places_at(named, s3)
    if "" not in places:
        name = shown(os.fspath(named)).rstrip("/")
        raise ConfigError(
            f"dataset: {name}: holds tables of events; name one, like {name}/{next(iter(places))},"
            f" of: {', '.join(map(shown, places))}"
        )
    return places[""]


def refuse_foreign_tables(named: str | os.PathLike[str], s3: S3 | None = None) -> None:
    """Refuse a folder for new event tables that holds other things but no event tables yet.

    Raises:
        ConfigError: it does, or a manifest in it is invalid.
        OutputError: the folder, or a manifest in it, cannot be read.
        S3Error: the bucket cannot be listed.
    """
    place = place_at(named, s3)
    if place.exists:
        return  # the place of each table refuses to be in a dataset
    folders, is_foreign = _entries(place)
    datasets = []
    for name in folders:
        one = place_at(os.path.join(os.fspath(named), name), s3)
        if one.exists:
            told = open_manifest(one).query or {}
            if "table" in told:
                return
            datasets += [name] if told else []  # else a first run was stopped early
        elif not isinstance(one, Folder) or os.listdir(one.folder):
            is_foreign = True
    if datasets:
        raise ConfigError(
            f"output: {place.name}: holds the dataset {shown(datasets[0])}; name a folder beside it"
        )
    if is_foreign:
        what, new = ("files", "folder") if isinstance(place, Folder) else ("objects", "prefix")
        raise ConfigError(
            f"output: {place.name}: holds other {what}; name a new {new}, or an empty one, for the"
            " tables"
        )


def _entries(place: Place) -> tuple[list[str], bool]:
    """Names of the folders in one, and whether it holds anything else."""
    if isinstance(place, Folder):
        try:
            entries = sorted(os.scandir(place.folder), key=lambda one: one.name)
        except (FileNotFoundError, NotADirectoryError):
            return [], False  # the place of each table says what is wrong
        except OSError as error:
            raise cannot_write(place.name, error) from error
        folders = [one.name for one in entries if one.is_dir()]
        return folders, len(folders) < len(entries)
    from edxlogs.buckets.bucket import Bucket  # few runs need it

    assert isinstance(place, Bucket)
    level = place.s3.level(place.bucket, place.prefix)
    folders = [one.removeprefix(place.prefix).rstrip("/") for one in level.folders]
    return folders, any(one.key != place.prefix for one in level.objects)


def _inside(place: Place) -> list[str]:
    """Names of the folders inside that may be datasets."""
    if isinstance(place, Folder):
        try:
            names = sorted(os.listdir(place.folder))
        except OSError:
            return []
        return [name for name in names if is_dataset(place.folder / name)]
    from edxlogs.buckets.bucket import Bucket  # few runs need it

    assert isinstance(place, Bucket)
    level = place.s3.level(place.bucket, place.prefix)
    return sorted(folder.removeprefix(place.prefix).rstrip("/") for folder in level.folders)


def _holds_table(place: Place) -> bool:
    return place.exists and "table" in (open_manifest(place).query or {})
