"""Job files: what a line of cron needs, in TOML, checked key by key."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edxlogs.errors import ConfigError
from edxlogs.events.conditions import CONDITIONS, Kind
from edxlogs.text import shown

_TEXT, _TEXTS, _NUMBER, _FLAG = (
    "text",
    "text, or a list of it",
    "a number, 1 or more, of at most 18 digits",
    "true or false",
)

_JOB = {
    "name": _TEXT,
    "sources": _TEXTS,
    "partner": _TEXT,
    "site": _TEXTS,
    "days": _TEXT,
    "threads": _NUMBER,
    "check": _TEXT,
    "strict": _FLAG,
    "course_from": _TEXT,
    "dedupe": _FLAG,
    "dedupe_within": _FLAG,
    "max_line_bytes": _NUMBER,
    "gnupg_home": _TEXT,
    "passphrase_file": _TEXT,
    "profile": _TEXTS,
    "endpoint_url": _TEXT,
    "region": _TEXT,
    "requester_pays": _FLAG,
    "reports": _TEXT,
    "keep_reports": _NUMBER,
}

_KINDS = {Kind.VALUES: _TEXTS, Kind.EXPRESSIONS: _TEXTS, Kind.MOMENT: _TEXT, Kind.TIME: _TEXT}
# Sites are those of the job: they choose its sources.
DATASET_CONDITIONS = {
    name: _KINDS[one.kind] for one in CONDITIONS if one.name != "site" for name in one.names
}

_DATASET = {
    "output": _TEXT,
    "partition_by": _TEXTS,
    "format": _TEXT,
    "columns": _TEXTS,
    "csv_excel_safe": _FLAG,
    "known_courses": _TEXT,
    "target_file_size": _NUMBER,
    "salvage": _FLAG,
    "overwrite": _FLAG,
    **DATASET_CONDITIONS,
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job file, read and checked.

    Attributes:
        folder: of the file: relative paths in it start there.
        options: of the job, by the keys above; those not given are absent.
        datasets: one or more, likewise.
    """

    folder: Path
    options: Mapping[str, Any]
    datasets: list[Mapping[str, Any]]

    def path(self, name: str) -> Path:
        """A path in the file, from where this process is."""
        return self.folder / name

    @property
    def sources(self) -> list[str]:
        """The sources, local ones from where this process is."""
        named = listed(self.options.get("sources"))
        return [one if "://" in one or one == "-" else os.fspath(self.path(one)) for one in named]


def listed(value: Any) -> list[Any]:
    """One value or several as a list."""
    return [] if value is None else value if isinstance(value, list) else [value]


def read_job(path: Path) -> Job:
    """Read a job file.

    Raises:
        ConfigError: it cannot be read, or a key is wrong; the message names it.
    """
    name = shown(os.fspath(path))
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"job: {name}: {error.strerror}; name a job file") from error
    except UnicodeDecodeError:
        raise ConfigError(f"job: {name}: is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"job: {name}: is no TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"job: {name}: is nested too deeply; write it as in the docs") from None
    datasets = document.pop("dataset", [])
    _check(name, document, _JOB)
    if not isinstance(datasets, list) or not datasets:
        raise ConfigError(f"job: {name}: asks for nothing; add a [[dataset]] with an output")
    if "sources" not in document and "partner" not in document:
        raise ConfigError(f'job: {name}: has no sources; add sources = ["logs/"], or a partner')
    for number, dataset in enumerate(datasets, 1):
        where = f"{name}: dataset {number}"
        if not isinstance(dataset, dict):
            raise ConfigError(f"job: {where}: is no table; write [[dataset]] above its keys")
        _check(where, dataset, _DATASET)
        for key in ("output", "partition_by"):
            if key not in dataset:
                raise ConfigError(f"job: {where}: {key} is missing; add it")
    _refuse_nested(name, [Path(os.path.realpath(path.parent / one["output"])) for one in datasets])
    return Job(path.parent, document, datasets)


def _refuse_nested(name: str, outputs: Sequence[Path]) -> None:
    """Refuse datasets in one folder: readers would take the rows of both for one table."""
    if len(set(outputs)) < len(outputs):
        raise ConfigError(f"job: {name}: two datasets have the same output; name each differently")
    for output in outputs:
        if not set(outputs).isdisjoint(output.parents):
            raise ConfigError(
                f"job: {name}: {shown(os.fspath(output))}: is inside another output; name a folder"
                " beside it"
            )


def _check(where: str, table: Mapping[str, Any], known: Mapping[str, str]) -> None:
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
            raise ConfigError(f"job: {where}: {shown(key)}: is not known; {hint}")
        if not _is(value, known[key]):
            raise ConfigError(f"job: {where}: {key}: must be {known[key]}")


def _is(value: Any, kind: str) -> bool:
    if kind == _FLAG:
        return isinstance(value, bool)
    if kind == _NUMBER:
        return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 10**18
    if kind == _TEXTS and isinstance(value, list):
        return bool(value) and all(_is(one, _TEXT) for one in value)
    return isinstance(value, str) and "\0" not in value
