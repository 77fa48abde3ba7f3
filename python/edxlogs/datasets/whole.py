"""Whether a dataset has the files that its manifest tells."""

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
    """What a look at the files of a dataset has shown. It prints as a line.

    Attributes:
        dataset: its name.
        files: how many its manifest tells of.
        lacking: paths of those that are not there with their sizes.
        has_lines: whether lines of logs are there, which can be read like a log.
    """

    dataset: str
    files: int
    lacking: list[str]
    has_lines: bool

    @classmethod
    def at(cls, place: Place) -> Self:
        """Look at the files of a dataset; none is opened.

        Raises:
            ConfigError: there is no dataset, or its manifest cannot be used.
            OutputError: it cannot be read.
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
        """What is wrong, if files are lacking."""
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
        """It as plain data."""
        return {"dataset": self.dataset, "files": self.files, "lacking": self.lacking}

    def __str__(self) -> str:
        if self.lacking:
            told = f"{len(self.lacking):,} of {many(self.files, 'file')} missing or damaged"
        else:
            told = f"{many(self.files, 'file')}, all there" if self.files else "has no files yet"
        return f"{self.dataset}: {told}"
