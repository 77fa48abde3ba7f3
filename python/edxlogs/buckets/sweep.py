"""Objects of a dataset that no state names: replaced ones, and leftovers of interrupted runs."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection

import orjson

from edxlogs.buckets.bucket import CHECKPOINT, SEGMENTS, Bucket
from edxlogs.buckets.requests import READ, SHA256
from edxlogs.errors import S3Error, cannot_write
from edxlogs.s3.errors import Reason
from edxlogs.store.manifest import Manifest
from edxlogs.store.segments import holds_rows
from edxlogs.store.store import GRACE, HASHES, READY, REJECTS


def unnamed(place: Bucket, manifest: Manifest) -> list[str]:
    """Keys of objects that no state within the time of grace names, or ever will.

    They may be deleted after the next commit: whoever put one for a commit of its own did so before
    the time of grace, and knows none of the states since. Only objects that edxlogs put there are
    listed.

    Raises:
        OutputError: they cannot be listed.
    """
    began = datetime.datetime.now(datetime.UTC) - GRACE
    try:
        checkpoints = _checkpoints_since(place, began)
        old = [
            one.key
            for one in place.s3.objects(place.bucket, place.prefix)
            if one.modified <= began and not _is_named(place, one.key, manifest, checkpoints)
        ]
        return [key for key in old if _is_ours(place, key)]
    except S3Error as error:
        raise cannot_write(place.name, error) from None


def _checkpoints_since(place: Bucket, began: datetime.datetime) -> set[str]:
    """The checkpoints of all states since a moment."""
    kept: set[str] = set()
    for one in place.s3.objects(place.bucket, place.home + SEGMENTS):
        head, _ = place.read_commit(place.number_of(one.key))
        kept.update(told["name"] for told in orjson.loads(head)["checkpoints"])
        if one.modified <= began:
            break
    return kept


def _is_named(place: Bucket, key: str, manifest: Manifest, checkpoints: Collection[str]) -> bool:
    """Whether a state names an object, or it is of a kind that states do not name."""
    path = key.removeprefix(place.prefix)
    if holds_rows(path):
        return manifest.file(path) is not None or manifest.is_retired(path)
    name = key.removeprefix(place.home)
    if name.startswith(CHECKPOINT):
        return name in checkpoints
    beside, _, sha256 = path.rpartition("-")
    if not re.fullmatch(f"({REJECTS}|{HASHES}|{READY})/[0-9]+", beside):
        return True
    # Objects of future inputs may be put again under the same name.
    if int(beside.rpartition("/")[2]) >= manifest.next_number:
        return True
    file = manifest.file(beside)
    return file is not None and file.sha256 == sha256


def _is_ours(place: Bucket, key: str) -> bool:
    try:
        answer = place.s3.call("head_object", place.bucket, READ, Key=key)
    except S3Error as error:
        if error.reason != Reason.NO_OBJECT:
            raise
        return False
    return SHA256 in answer.get("Metadata", {})
