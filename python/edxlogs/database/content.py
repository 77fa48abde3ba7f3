"""The archive of a course's content (OLX), unpacked where nothing else is.

Names in it are taken for paths below a new folder, and only if they can be: no absolute ones, none
that lead elsewhere. Links are never made, so nothing can lead out.

Source: EdX Research Guide, "Course Content Data".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edxlogs.database.account import RowCounts
from edxlogs.database.reading import Converted
from edxlogs.database.research import walk
from edxlogs.errors import FormatError
from edxlogs.store import disk
from edxlogs.text import shown

MOST_BYTES = 8 << 30
MOST_FILES = 200_000
_CHUNK_BYTES = 1 << 20


def unpack(source: Any, folder: Path, label: str) -> Converted:
    """Unpack a gzipped tar into a new folder; what is wrong with it is in the result.

    Raises:
        OSError: the folder cannot be written.
    """
    counts = RowCounts()
    files = 0
    try:
        disk.make_folder(folder)
        for one in walk(source, label):
            files += 1
            path = folder / _relative(one.path, label)
            disk.make_folders(path.parent, below=folder)
            with os.fdopen(disk.make_file(path), "wb") as file:
                while data := one.content.read(_CHUNK_BYTES):
                    counts.bytes_expanded += len(data)
                    if counts.bytes_expanded > MOST_BYTES or files > MOST_FILES:
                        raise _refuse(label, "expands beyond reason")
                    file.write(data)
    except FormatError as error:
        return Converted(error=error, counts=counts)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return Converted(counts=counts, error=_refuse(label, "holds a name twice"))
    return Converted(counts=counts)


def _relative(name: str, label: str) -> Path:
    parts = name.removeprefix("./").split("/")
    if not all(parts) or any(part in (".", "..") for part in parts) or "\0" in name:
        raise _refuse(label, f"holds {shown(name)}, which leads elsewhere")
    return Path(*parts)


def _refuse(label: str, why: str) -> FormatError:
    return FormatError(f"{label}: {why}, which no course does; look at it by hand", label)
