"""Checks that a dataset has the files that its manifest lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from edxlogs.datasets.cat import unreadable
from edxlogs.errors import SourceError
from edxlogs.formats import of_lines
from edxlogs.store.place import Place
from edxlogs.store.store import open_manifest
from edxlogs.text import many, shown


@dataclass(frozen=True, slots=True)
class Look:
    """The result of looking at the files of a dataset. It prints as one line.

    Attributes:
        dataset: name of the dataset.
        files: number of files that its manifest lists.
        lacking: paths of files that are missing or have another size.
        has_lines: whether it holds lines of logs, which can be read like a log.
    """

    dataset: str
    files: int
    lacking: list[str]
    has_lines: bool

    @classmethod
    def at(cls, place: Place) -> Self:
        """Look at the files of a dataset, without opening them.

        Raises:
            ConfigError: there is no dataset, or its manifest is invalid.
            OutputError: the manifest cannot be read.
            S3Error: the bucket cannot be listed.
        """
        manifest = open_manifest(place)
        told = manifest.query or {}
        is_of_lines = of_lines(told.get("format") or "") and "table" not in told
        files, lacking, has_lines = 0, [], False
        for file in manifest.files():
            files += 1
            state = place.state(file)
            if state is None or state[0] != file.bytes:
                lacking.append(file.path)
            else:
                has_lines |= is_of_lines and file.holds_rows
        return cls(place.name, files, lacking, has_lines)

    def failure(self) -> SourceError | None:
        """The error, if files are missing or have another size."""
        if not self.lacking:
            return None
        first, count = shown(self.lacking[0]), f"{len(self.lacking):,} of {self.files:,} files"
        if len(self.lacking) == 1:
            return unreadable(f"{self.dataset}: {first}")
        return SourceError(
            f"dataset: {self.dataset}: {count} are missing or damaged, such as {first}; restore"
            " them, or make the dataset again in another folder"
        )

    def report(self) -> dict[str, Any]:
        """The result as plain data."""
        return {"dataset": self.dataset, "files": self.files, "lacking": self.lacking}

    def __str__(self) -> str:
        if self.lacking:
            told = f"{len(self.lacking):,} of {many(self.files, 'file')} missing or damaged"
        else:
            told = f"{many(self.files, 'file')}, all there" if self.files else "has no files yet"
        return f"{self.dataset}: {told}"
