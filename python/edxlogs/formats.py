"""Output formats: their names, and the file endings of each."""

from __future__ import annotations

import os
from itertools import chain

from edxlogs.errors import ConfigError
from edxlogs.text import shown

STDOUT = "-"
SAFE = "-excel-safe"
"""Suffix of a format of cells: disarm cells that a spreadsheet would run as formulas."""
_LINES = (".jsonl", ".ndjson", ".json", ".log")

ENDINGS = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv",),
    "csv.gz": (".csv.gz",),
    "csv.zst": (".csv.zst",),
    "tsv": (".tsv",),
    "tsv.gz": (".tsv.gz",),
    "tsv.zst": (".tsv.zst",),
    "jsonl": _LINES,
    "jsonl.gz": tuple(f"{ending}.gz" for ending in _LINES),
    "jsonl.zst": tuple(f"{ending}.zst" for ending in _LINES),
    "arrow": (".arrow", ".feather", ".ipc"),
}
"""The endings of each format. Files that edxlogs names get the first one."""
FORMATS = tuple(ENDINGS)
# Arrow has no files that are joined without encoding, and pyarrow reads no CSV in zstd.
DATASET_FORMATS = tuple(name for name in FORMATS if name not in ("arrow", "csv.zst", "tsv.zst"))
_PROMISING = (".gz", ".zst", ".bz2", ".xz", ".zip", ".gpg", ".xlsx")


def format_by_ending(path: str) -> str | None:
    """The format that the ending of a name stands for, or None."""
    name = path.lower()
    found = (form for form, endings in ENDINGS.items() if name.endswith(endings))
    return next(found, None)


def format_of(target: str, named: str | None, default: str | None = None) -> str:
    """The format of an output: the named one, else by its ending, else JSON Lines for stdout.

    Args:
        target: path or URL of the output, `-` for standard output.
        named: the format that the user named, or None.
        default: format to use if neither tells; None makes that an error.

    Raises:
        ConfigError: nothing tells the format, or the ending contradicts the name.
    """
    told = None if target == STDOUT else format_by_ending(target)
    if named is None:
        if target == STDOUT:
            return "jsonl"
        if told is None and default is None:
            raise ConfigError(
                f"output: {shown(target)}: its ending does not tell the format; name one with"
                " --format"
                f" ({', '.join(FORMATS)})"
            )
        return told or default or ""
    promised = next((one for one in _PROMISING if target.lower().endswith(one)), "")
    if told not in (None, named) or not named.endswith(promised):
        raise ConfigError(
            f"format: {named}: does not match {shown(target)}; leave --format out, or name a file"
            f" that ends in {ENDINGS[named][0]}"
        )
    return named


def refuse_file_name(target: str, what: str) -> None:
    """Refuse an output that cannot be a folder.

    Args:
        target: path or URL of the output.
        what: what goes there, such as `derived tables`.

    Raises:
        ConfigError: it names a file, standard output, or nothing.
    """
    if target in ("", STDOUT):
        raise ConfigError(f"output: {what} are a folder; name one with -o")
    endings = [*chain(*ENDINGS.values()), *_PROMISING]
    ending = max((one for one in endings if target.lower().endswith(one)), key=len, default="")
    if ending:
        folder = target[: -len(ending)]
        example = f", such as {shown(folder)}" if os.path.basename(folder) else ""
        raise ConfigError(
            f"output: {shown(target)}: is the name of a file, but {what} are a folder; name"
            f" one{example}"
        )


def of_cells(form: str) -> bool:
    """Whether a format consists of cells: CSV or TSV."""
    return form.startswith(("csv", "tsv"))


def of_lines(form: str) -> bool:
    """Whether a format consists of lines."""
    return form.startswith("jsonl")


def ending_of(form: str) -> str:
    """The ending of files that edxlogs names."""
    return ENDINGS[form.removesuffix(SAFE)][0]


def checked(what: str, named: str | None) -> None:
    """Check the name of a format.

    Raises:
        ConfigError: there is no such format.
    """
    if named is not None and named not in ENDINGS:
        raise ConfigError(f"{what}: {shown(named)}: is not known; use {', '.join(FORMATS)}")
