"""Datasets in buckets as tests see them: their objects, as the dataset on disk that they stand for.

What is told of datasets on disk (`datasets`) is then told of them, by nothing of the product's.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

_LAST = 10**12 - 1


def commits(objects: Mapping[str, bytes]) -> list[bytes]:
    """The objects of the commits, the oldest first; none is missing.

    Args:
        objects: by their keys below the prefix of the dataset.
    """
    found = {
        _LAST - int(key.rpartition("/")[2]): content
        for key, content in objects.items()
        if re.fullmatch(r"_edxlogs/segments/\d{12}", key)
    }
    assert sorted(found) == list(range(len(found)))
    return [found[number] for number in sorted(found)]


def on_disk(objects: Mapping[str, bytes], folder: Path) -> Path:
    """Write the dataset that objects are to a folder, which is made anew; what no state names too.

    Args:
        objects: by their keys below the prefix of the dataset.
        folder: for it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    home = folder / "_edxlogs"
    (home / "new").mkdir(parents=True)
    made = commits(objects)
    if made:
        head, _, _ = made[-1].partition(b"\n")
        told = json.loads(head)
        assert told["commits"] == len(made)
        first = int(told["segments"]["name"].partition("-")[2] or 0)
        lines = b"".join(one.partition(b"\n")[2] for one in made[first:])
        (home / told["segments"]["name"]).write_bytes(lines)
        (home / "head").write_bytes(head)
    for key, content in objects.items():
        if key.startswith("_edxlogs/segments/") or key == "_edxlogs/begun":
            continue
        # What is beside the manifest is named by what it holds, too.
        beside = re.fullmatch(r"(_edxlogs/(?:rejects|hashes)/\d+)-[0-9a-f]{64}", key)
        path = folder / (beside[1] if beside else key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def without_unnamed(folder: Path, named: set[str]) -> Path:
    """Remove files with rows that are not among those that are named."""
    for path in folder.rglob("*"):
        relative = str(path.relative_to(folder))
        if path.is_file() and not relative.startswith("_edxlogs/") and relative not in named:
            path.unlink()
    return folder
