"""Job files: the work of a cron job, in TOML, checked key by key before anything is done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edxlogs import toml
from edxlogs.delta.publish import check as check_publication
from edxlogs.derived.verb import DeriveSettings
from edxlogs.errors import ConfigError
from edxlogs.events.conditions import CONDITIONS, ConditionKind
from edxlogs.formats import DATASET_FORMATS, format_by_ending, of_cells, of_lines
from edxlogs.jobs.convert import ConvertSettings
from edxlogs.jobs.settings import Settings
from edxlogs.jobs.sync import SyncSettings
from edxlogs.s3.client import S3, SCHEME
from edxlogs.sources.source import STDIN
from edxlogs.text import shown
from edxlogs.values import MOST_TOML_BYTES, read_text, texts

if TYPE_CHECKING:
    from edxlogs.jobs.datasets.tables import EventTableSettings

_TEXT = toml.Value("must be text", toml.text)
_TEXTS = toml.Value("must be text, or a list of it", toml.several)
_NUMBER = toml.Value("must be a number, 1 or more, of at most 18 digits", toml.number)
_FLAG = toml.Value("must be true or false", toml.flag)
_DAY = toml.Value("must be a day, such as 2014-10-05", toml.day)
_MINUTES = toml.Value("must be a number of minutes, or two", toml.reals)

# Options of keys and S3, which the job sets for all its steps.
_KEYS = {"gnupg_home": _TEXT, "passphrase_file": _TEXT}
_S3 = {
    "profile": _TEXTS,
    "endpoint_url": _TEXT,
    "region": _TEXT,
    "requester_pays": _FLAG,
}
_READING = {
    "partner": _TEXT,
    "site": _TEXTS,
    "days": _TEXT,
    "threads": _NUMBER,
    "check": _TEXT,
    "strict": _FLAG,
    "course_from": _TEXT,
    "time_from": _TEXT,
    "dedupe": _FLAG,
    "dedupe_within": _FLAG,
    "max_line_bytes": _NUMBER,
    "dask": _TEXT,
    **_KEYS,
}
_JOB = {
    "name": _TEXT,
    "sources": _TEXTS,
    "reports": _TEXT,
    "keep_reports": _NUMBER,
    "salt_file": _TEXT,
    **_READING,
    **_S3,
}
_OF_MOMENTS = (ConditionKind.MOMENT, ConditionKind.TIME)
_DATASET = {
    "output": _TEXT,
    "partition_by": _TEXTS,
    "format": _TEXT,
    "columns": _TEXTS,
    "csv_excel_safe": _FLAG,
    "known_courses": _TEXT,
    "target_file_size": _NUMBER,
    "salvage": _FLAG,
    "compact": _FLAG,
    "publish": _TEXT,
    "overwrite": _FLAG,
    # Sites are set by the job, because they choose its sources.
    **{
        name: _TEXT if one.kind in _OF_MOMENTS else _TEXTS
        for one in CONDITIONS
        if one.name != "site"
        for name in one.names
    },
}
# For event tables: the keys of datasets except columns, and which tables.
_TABLES = {
    "table": _TEXTS,
    "table_file": _TEXTS,
    "with_forms": _FLAG,
    "no_text": _FLAG,
    **{key: value for key, value in _DATASET.items() if key != "columns"},
}
_SYNC = {
    "folder": _TEXT,
    "sources": _TEXTS,
    "partner": _TEXT,
    "site": _TEXTS,
    "days": _TEXT,
    "kind": _TEXTS,
    "latest": _FLAG,
    "threads": _NUMBER,
}
_CONVERT = {
    "packages": _TEXTS,
    "output": _TEXT,
    "format": _TEXT,
    "csv_excel_safe": _FLAG,
    "layout": _TEXT,
    "snapshots": _TEXT,
    "course": _TEXTS,
    "table": _TEXTS,
    "site": _TEXTS,
    "known_courses": _TEXT,
    "expand": _TEXTS,
    "unpack": _FLAG,
    "rejects": _TEXT,
    "publish": _TEXT,
    "overwrite": _FLAG,
}
_DERIVE = {
    "events": _TEXT,
    "db": _TEXT,
    "output": _TEXT,
    "table": _TEXTS,
    "course": _TEXTS,
    "as_of": _DAY,
    "tz": _TEXT,
    "gap": _MINUTES,
    "cap": _MINUTES,
    "min_n": _NUMBER,
    "olx": _TEXT,
    "with_email_domain": _FLAG,
    "memory": _NUMBER,
    "sql_dir": _TEXT,
    "compat": _TEXTS,
    "publish": _TEXT,
    "overwrite": _FLAG,
}


@dataclass(frozen=True, slots=True)
class Job:
    """What a job does, in this order.

    Attributes:
        name: name in its closing message.
        sync: fetches data packages, or None.
        conversions: conversions of database packages.
        datasets: datasets, brought up to date in one pass. They read the same sources in the same
            way.
        tables: folders of event tables, each brought up to date in a pass of its own.
        derivations: derivations from event tables and package tables.
        published: folders of datasets and tables to publish to other engines, and the kind of
            table.
        reports: folder for the report of each run, or None.
        keep_reports: how many reports to keep; None keeps all.
    """

    name: str
    sync: SyncSettings | None
    conversions: tuple[ConvertSettings, ...]
    datasets: tuple[Settings, ...]
    tables: tuple[EventTableSettings, ...] = ()
    derivations: tuple[DeriveSettings, ...] = ()
    published: tuple[tuple[Path, str], ...] = ()
    reports: Path | None = None
    keep_reports: int | None = None


def read_job(path: Path, dask: str | None = None) -> Job:
    """Read a job file. Paths in it start from its folder.

    Args:
        path: path of the file.
        dask: cluster that reads for its datasets, overriding the file.

    Raises:
        ConfigError: the file cannot be read, or a key is invalid; the message names it.
    """
    name = shown(os.fspath(path))
    try:
        text = read_text(path, MOST_TOML_BYTES)
    except OSError as error:
        raise ConfigError(f"job: {name}: {error.strerror}; name a job file") from error
    except UnicodeDecodeError:
        raise ConfigError(f"job: {name}: is not UTF-8; save it as UTF-8") from None
    document = toml.parse(f"job: {name}", text, "is not TOML: ")
    if dask is not None:
        document["dask"] = dask
    return _JobReader(name, path.parent, document).job(path.stem)


class _JobReader:
    """Interprets the document of a job file."""

    def __init__(self, name: str, folder: Path, document: dict[str, Any]) -> None:
        self._folder = folder
        self._where = f"job: {name}"
        kinds = ("dataset", "tables", "convert", "derive")
        steps = {key: document.pop(key, []) for key in kinds}
        sync = document.pop("sync", None)
        self._job = self._table("", document, _JOB)
        self._datasets = self._steps(
            "dataset", steps["dataset"], _DATASET, "output", "partition_by"
        )
        self._tables = self._steps("tables", steps["tables"], _TABLES, "output")
        self._conversions = self._steps("convert", steps["convert"], _CONVERT, "packages", "output")
        self._derivations = self._steps("derive", steps["derive"], _DERIVE, "output")
        self._sync = None
        if sync is not None:
            if not isinstance(sync, dict):
                raise ConfigError(
                    f"{self._where}: sync: is not a table; write [sync] above its keys"
                )
            self._sync = self._table("sync", sync, _SYNC, "folder")
        of_events = (*self._datasets, *self._tables)
        if not (of_events or self._conversions or self._derivations or self._sync):
            raise ConfigError(f"{self._where}: asks for nothing; add a [[dataset]] with an output")
        if of_events and "sources" not in document and "partner" not in document:
            raise ConfigError(
                f'{self._where}: has no sources; add sources = ["logs/"], or a partner'
            )
        others = (*self._conversions, *self._derivations)
        outputs = [one["output"] for one in (*of_events, *others)]
        self._published = tuple(
            (self._path(one["output"]), _publication(one))
            for one in (*self._conversions, *of_events, *self._derivations)
            if "publish" in one
        )
        places = [Path(os.path.realpath(self._place(output))) for output in outputs]
        self._refuse_nested(places)
        reports = Path(os.path.realpath(folder / self._job.get("reports", "")))
        for output, place in zip(outputs, places, strict=True):
            if place not in (reports, *reports.parents):
                continue
            if "reports" in self._job:
                raise ConfigError(
                    f"{self._where}: reports: are inside an output; name a folder beside it"
                )
            raise ConfigError(
                f"{self._where}: output: {shown(output)}: holds the job file; name a folder beside"
                " it"
            )

    def job(self, stem: str) -> Job:
        """The job, with everything that it asks for checked."""
        s3 = S3(**{key: self._job[key] for key in _S3 if key in self._job})
        keys: dict[str, Any] = {
            key: self._path(self._job[key]) for key in _KEYS if key in self._job
        }
        datasets = [self._dataset(one, s3, keys) for one in self._datasets]
        tables = [self._event_tables(one, s3, keys) for one in self._tables]
        for dataset in (*datasets, *(each for one in tables for each in one.each())):
            dataset.query()
        threads = self._job.get("threads", 0)
        conversions = [
            ConvertSettings.of(
                [self._place(place) for place in texts("packages", one.pop("packages"))],
                self._place(one.pop("output")),
                **self._with_paths(one, "rejects"),
                **keys,
                s3=s3,
                threads=threads,
                dask=self._job.get("dask"),
            )
            for one in self._conversions
        ]
        sync = None
        if self._sync is not None:
            urls, folder = self._sync.pop("sources", None), self._path(self._sync.pop("folder"))
            sync = SyncSettings.of(folder, urls, **self._sync, s3=s3)
        reports = self._job.get("reports")
        return Job(
            self._job.get("name", stem),
            sync,
            tuple(conversions),
            tuple(datasets),
            tuple(tables),
            tuple(self._derivation(one, s3, threads) for one in self._derivations),
            self._published,
            None if reports is None else self._path(reports),
            self._job.get("keep_reports"),
        )

    def _dataset(self, given: dict[str, Any], s3: S3, keys: Mapping[str, Path]) -> Settings:
        form = _check_format(given)
        if of_lines(form) and "columns" in given:
            raise ConfigError(
                "columns: JSON Lines are whole lines; choose another format for columns"
            )
        compacts = given.pop("compact", True)
        settings = Settings.of(*self._places(given), **self._words(given, keys), s3=s3)
        return replace(settings, output=replace(settings.output, compacts=compacts))

    def _event_tables(
        self, given: dict[str, Any], s3: S3, keys: Mapping[str, Path]
    ) -> EventTableSettings:
        from edxlogs.jobs.datasets.tables import EventTableSettings  # few jobs need it

        _check_format(given)
        compacts = given.pop("compact", True)
        named = given.pop("table", None)
        files = [self._path(one) for one in texts("table_file", given.pop("table_file", None))]
        places, words = self._places(given), self._words(given, keys)
        settings = EventTableSettings.of(*places, tables=named, table_file=files, **words, s3=s3)
        whole = settings.whole
        output = replace(whole.output, compacts=compacts)
        return replace(settings, whole=replace(whole, output=output))

    def _places(self, given: dict[str, Any]) -> tuple[list[str], str]:
        """The sources of a step, and its output, which is removed from its words."""
        sources = [self._place(place) for place in texts("sources", self._job.get("sources"))]
        return sources, self._place(given.pop("output"))

    def _words(self, given: dict[str, Any], keys: Mapping[str, Path]) -> dict[str, Any]:
        """What the job and one of its steps ask of logs."""
        reading = {key: value for key, value in self._job.items() if key in _READING}
        words = {**reading, **self._with_paths(given), **keys}
        if "salt_file" in self._job:
            words["salt_file"] = self._path(self._job["salt_file"])
        return words

    def _derivation(self, given: dict[str, Any], s3: S3, threads: int) -> DeriveSettings:
        places: dict[str, Any] = {
            name: self._place(given.pop(name)) for name in ("events", "db") if name in given
        }
        output = self._place(given.pop("output"))
        words = self._with_paths(given, "olx", "sql_dir")
        if "gap" in words:
            words["gap"] = words["gap"][0]
        return DeriveSettings.of(output, **places, **words, s3=s3, threads=threads)

    def _with_paths(self, given: dict[str, Any], *names: str) -> dict[str, Any]:
        """The words of a step, with paths relative to the current folder."""
        more: dict[str, Any] = {name: self._path(given[name]) for name in names if name in given}
        if "known_courses" in given:
            more["known_courses"] = f"@{self._path(given['known_courses'])}"
        return {**given, **more}

    def _path(self, name: str) -> Path:
        """A path in the file, relative to the current folder."""
        return self._folder / name

    def _place(self, name: str) -> str:
        """A source or package; if it is local, relative to the current folder."""
        return name if "://" in name or name == STDIN else os.fspath(self._path(name))

    def _steps(
        self, step: str, given: Any, known: Mapping[str, toml.Value], *required: str
    ) -> list[dict[str, Any]]:
        """The TOML tables of one kind of step."""
        tables = []
        for number, one in enumerate(given if isinstance(given, list) else [given], 1):
            if not isinstance(one, dict):
                raise ConfigError(
                    f"{self._where}: {step} {number}: is not a table; write [[{step}]] above its"
                    " keys"
                )
            tables.append(self._table(f"{step} {number}", one, known, *required))
        return tables

    def _table(
        self, step: str, given: Mapping[str, Any], known: Mapping[str, toml.Value], *required: str
    ) -> dict[str, Any]:
        where = f"{self._where}: {step}" if step else self._where
        table = toml.check(where, given, known, "is not known")
        for key in required:
            if key not in table:
                raise ConfigError(f"{where}: {key} is missing; add it")
            if key in ("output", "folder") and table[key] in ("", STDIN):
                raise ConfigError(f"{where}: {key}: names no folder; name one")
        return table

    def _refuse_nested(self, outputs: Sequence[Path]) -> None:
        """Refuse outputs that share a folder: readers would take the rows of both for one table."""
        for number, output in enumerate(outputs):
            if output in outputs[:number]:
                raise ConfigError(
                    f"{self._where}: {shown(os.fspath(output))}: is the output of two steps; name"
                    " each differently"
                )
        for output in outputs:
            if not set(outputs).isdisjoint(output.parents):
                raise ConfigError(
                    f"{self._where}: {shown(os.fspath(output))}: is inside another output; name a"
                    " folder beside it"
                )


def _check_format(given: Mapping[str, Any]) -> str:
    """The format of a step's output, which must be one for datasets.

    Raises:
        ConfigError: there is no such format, or it is not for datasets.
    """
    form: str = given.get("format", format_by_ending(given["output"]) or "parquet")
    if form not in DATASET_FORMATS:
        raise ConfigError(
            f"format: {shown(form)}: is not for datasets; use {', '.join(DATASET_FORMATS)}"
        )
    if given.get("csv_excel_safe") and not of_cells(form):
        raise ConfigError('csv_excel_safe: is for CSV, TSV; leave it out, or choose format = "csv"')
    return form


def _publication(given: dict[str, Any]) -> str:
    """The kind of table as which to publish a step's output, removed from its words.

    Raises:
        ConfigError: the output cannot be published in that way.
    """
    kind: str = given.pop("publish")
    check_publication(kind)
    if given["output"].startswith(SCHEME):
        raise ConfigError(f"publish: {kind}: is for local folders; name one, and copy it")
    form = given.get("format") or format_by_ending(given["output"]) or "parquet"
    if form != "parquet" or given.get("layout") == "course":
        raise ConfigError(
            f"publish: {kind}: is for Parquet, and for tables of layout table; leave format and"
            " layout out"
        )
    return kind
