"""Where datasets are: what was named, as a place."""

from __future__ import annotations

import os
from pathlib import Path

from edxlogs.s3.client import S3, SCHEME
from edxlogs.store.place import Folder, Place


def place_at(
    named: str | os.PathLike[str],
    s3: S3 | None = None,
    mode: int = 0o600,
    *,
    shared: bool = False,
) -> Place:
    """The place of a dataset.

    Args:
        named: the path of a folder, or the `s3://` URL of a prefix.
        s3: server and credentials; None: as the AWS configuration says.
        mode: permissions of new files on disk.
        shared: whether a folder may hold files of others.

    Raises:
        ConfigError: the URL names no bucket.
    """
    text = os.fspath(named)
    if text.startswith(SCHEME):
        from edxlogs.buckets.bucket import Bucket  # few runs need it

        return Bucket(text, s3 or S3())
    return Folder(Path(text), mode=mode, shared=shared)
