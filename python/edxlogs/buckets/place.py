"""Where datasets are: what was named, as a place."""

from __future__ import annotations

import os
from pathlib import Path

from edxlogs.s3.client import S3
from edxlogs.store.place import Folder, Place


def place_at(named: str | os.PathLike[str], s3: S3 | None = None, mode: int = 0o600) -> Place:
    """The place of a dataset.

    Args:
        named: the path of a folder.
        s3: server and credentials; None: as the AWS configuration says.
        mode: permissions of new files.
    """
    return Folder(Path(named), mode=mode)
