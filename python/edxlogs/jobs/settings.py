"""What a user asks for, read once from a command line, a job file or keywords.

Settings can be compared and pickled. They hold no passphrase and no credentials, but only say where
to find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import orjson

from edxlogs import _core, salt
from edxlogs.buckets.place import place_at
from edxlogs.errors import ConfigError
from edxlogs.events.conditions import ConditionWords
from edxlogs.events.dedupe import dedupe_kind
from edxlogs.events.query import Conditions, make_query
from edxlogs.formats import DATASET_FORMATS, SAFE, STDOUT, checked, format_of, of_cells, of_lines
from edxlogs.gpg.input import Readable
from edxlogs.gpg.process import Gpg
from edxlogs.jobs.words import OnePath
from edxlogs.s3.client import S3
from edxlogs.sources.selection import listed
from edxlogs.sources.source import Source
from edxlogs.sources.window import DEFAULT_SLACK, Slack, parse_shard
from edxlogs.store.place import Place
from edxlogs.store.store import HMAC, TARGET_FILE_BYTES
from edxlogs.threads import worker_count
from edxlogs.values import Values, refuse_values, texts, values

if TYPE_CHECKING:
    from edxlogs.events.tables import AskedTable

OneSource = OnePath | Readable | Source
SomeSources = OneSource | Iterable[OneSource]

PLACE_COLUMNS = ("site", "source", "line")


@dataclass(frozen=True, slots=True)
class Keys:
    """Which key decrypts.

    Attributes:
        home: GnuPG's folder; None means the user's own.
        passphrase_file: file whose first line unlocks the key; None asks the agent.
        prompt: whether the agent may ask for a passphrase, if there is a terminal.
    """

    home: Path | None = None
    passphrase_file: Path | None = None
    prompt: bool = False

    @classmethod
    def of(
        cls,
        *,
        gnupg_home: OnePath | None = None,
        passphrase_file: OnePath | None = None,
        prompt: bool = False,
    ) -> Self:
        """Read the keywords of `KeyWords`."""
        return cls(
            None if gnupg_home is None else Path(gnupg_home),
            None if passphrase_file is None else Path(passphrase_file),
            prompt,
        )

    def gpg(self) -> Gpg:
        """Make the `Gpg` that decrypts with this key.

        Raises:
            ConfigError: the folder does not exist, or the passphrase cannot be read.
        """
        return Gpg(home=self.home, passphrase_file=self.passphrase_file, prompt=self.prompt)


@dataclass(frozen=True, slots=True)
class Sources:
    """Which sources to read. The window of the conditions chooses among them.

    Attributes:
        named: paths, folders, globs, URLs, `Source` objects or open files, in the order given.
        partner: partner whose events in edX's bucket are read after those, or None.
        shard: number of the part to read, and number of all parts; None reads everything.
    """

    named: tuple[Any, ...] = ()
    partner: str | None = None
    shard: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How to read sources.

    Attributes:
        keys: which key decrypts.
        s3: server and credentials; None takes them from the AWS configuration.
        workers: sources to read at once.
        check: `fast` or `full`.
        strict: whether to reject lines that would have to be mended.
        course_from: `all` rules, or only the platform's own `context`.
        time_from: path to try first for the time of an event, or None.
        max_line_bytes: length of the longest line to read; None means 8 MiB.
        dedupe: which lines to compare, as `Dedupe` takes it, or None.
        dask: cluster whose hosts read for datasets; None reads in this process.
    """

    keys: Keys = field(default_factory=Keys)
    s3: S3 | None = None
    workers: int = 1
    check: str = "fast"
    strict: bool = False
    course_from: str = "all"
    time_from: str | None = None
    max_line_bytes: int | None = None
    dedupe: str | None = None
    dask: str | None = None


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """What to write.

    Attributes:
        target: path or URL of a file, folder of a dataset, or `-`; None writes nothing.
        format_name: one of `FORMATS`, possibly with `SAFE`.
        collect: what to keep of the rows, as `make_query` takes it.
        partition_by: partition keys of a dataset; empty makes a single file.
        known_courses: for a dataset, the courses that exist; others count as none. None takes all.
        file_bytes: for a dataset, the approximate largest file.
        salvage: whether to deliver the sound part of a damaged source.
        unverified: whether rows go to standard output before their source is checked.
        limit: number of rows after which reading stops, at least 1; None writes all.
        rejects: path of a file for lines that are not events, or None.
        report: path of a file for the account, or None.
        overwrite: whether existing files may be replaced.
        mode: permissions of the files.
        compacts: whether to join small files if a partition of a dataset has many.
        salt_file: salt for values that are never shown; None means the user's own.
    """

    target: str | None = None
    format_name: str = "parquet"
    collect: str = "columns"
    partition_by: tuple[str, ...] = ()
    known_courses: tuple[str, ...] | None = None
    file_bytes: int = TARGET_FILE_BYTES
    salvage: bool = False
    unverified: bool = False
    limit: int | None = None
    rejects: str | None = None
    report: str | None = None
    overwrite: bool = False
    mode: int = 0o600
    compacts: bool = False
    salt_file: Path | None = None

    def place(self, s3: S3 | None) -> Place:
        """The place of a dataset."""
        return place_at(self.target or "", s3, self.mode)


@dataclass(frozen=True, slots=True)
class Settings:
    """A question about events.

    Attributes:
        sources: which sources to read.
        reading: how to read them.
        conditions: which rows to keep.
        columns: which columns, in output order; None means the default ones.
        output: where the rows go.
        table: the event table to make; None makes one row per event.
    """

    sources: Sources
    reading: ReadingSettings
    conditions: Conditions
    columns: tuple[str, ...] | None
    output: OutputSettings
    table: AskedTable | None = None

    @classmethod
    def of(
        cls,
        named: SomeSources = (),
        output: OnePath | None = None,
        *,
        partner: str | None = None,
        days: str | None = None,
        slack: Slack | str | None = DEFAULT_SLACK,
        shard: str | None = None,
        columns: Values = None,
        course_from: str = "all",
        time_from: str | None = None,
        check: str = "fast",
        strict: bool = False,
        dedupe: bool = False,
        dedupe_within: bool = False,
        max_line_bytes: int | None = None,
        gnupg_home: OnePath | None = None,
        passphrase_file: OnePath | None = None,
        prompt: bool = False,
        s3: S3 | None = None,
        threads: int = 0,
        dask: str | None = None,
        format: str | None = None,  # noqa: A002 - the word of the command line
        partition_by: Values = None,
        known_courses: Values = None,
        target_file_size: int | None = None,
        csv_excel_safe: bool = False,
        limit: int | None = None,
        raw: bool = False,
        salvage: bool = False,
        unverified: bool = False,
        rejects: OnePath | None = None,
        report: OnePath | None = None,
        overwrite: bool = False,
        mode: int = 0o600,
        salt_file: OnePath | None = None,
        **conditions: Unpack[ConditionWords],
    ) -> Self:
        """Make settings from the keywords of `OutputWords`.

        Raises:
            ConfigError: a value is invalid.
        """
        if threads < 0:
            raise ConfigError("threads: must be 0 or more; 0 means one per core")
        target = None if output is None else fspath(output)
        keys = tuple(texts("partition-by", partition_by))
        chosen = None if columns is None else tuple(texts("columns", columns))
        form = _format(target, format, is_dataset=bool(keys))
        is_lines = of_lines(form)
        if is_lines and chosen is not None:
            raise ConfigError(
                "columns: JSON Lines are whole lines; choose another --format for columns"
            )
        if csv_excel_safe and not of_cells(form):
            raise ConfigError("csv-excel-safe: is for CSV, TSV; leave it out, or add --format csv")
        if dask is not None and not keys:
            raise ConfigError("dask: is for datasets; add --partition-by, or leave it out")
        if limit is not None and not 1 <= limit < 2**63:
            raise ConfigError("limit: must be 1 or more, below 2 to the 63rd")
        if keys and (raw or unverified or limit is not None):
            name = "raw" if raw else "unverified" if unverified else "limit"
            raise ConfigError(f"{name}: does not go with --partition-by; leave it out")
        if raw and not is_lines:
            raise ConfigError("raw: is for JSON Lines; leave it out, or add --format jsonl")
        if unverified and target != STDOUT:
            raise ConfigError("unverified: is for standard output; files are always verified first")
        if unverified and rejects is not None:
            raise ConfigError("rejects: are only known after the checks; leave --unverified out")
        known = None if known_courses is None else tuple(values("known-courses", known_courses))
        part = None if shard is None else parse_shard(shard)
        refuse_values((output, rejects, report), (known_courses, *conditions.values()))
        return cls(
            sources=Sources(tuple(listed(named)), partner, part),
            reading=ReadingSettings(
                Keys.of(gnupg_home=gnupg_home, passphrase_file=passphrase_file, prompt=prompt),
                s3,
                workers=worker_count(threads),
                check=check,
                strict=strict,
                course_from=course_from,
                time_from=time_from,
                max_line_bytes=max_line_bytes,
                dedupe=dedupe_kind(dedupe=dedupe, within=dedupe_within),
                dask=dask,
            ),
            conditions=Conditions.of(days=days, slack=slack, **conditions),
            columns=chosen,
            output=OutputSettings(
                target,
                format_name=f"{form}{SAFE}" if csv_excel_safe else form,
                collect="columns" if not is_lines else "raw_lines" if raw else "lines",
                partition_by=keys,
                known_courses=known,
                file_bytes=target_file_size or TARGET_FILE_BYTES,
                salvage=salvage,
                unverified=unverified,
                limit=limit,
                rejects=None if rejects is None else fspath(rejects),
                report=None if report is None else fspath(report),
                overwrite=overwrite,
                mode=mode,
                salt_file=None if salt_file is None else Path(salt_file),
            ),
        )

    def words(self) -> dict[str, Any]:
        """The keywords of `make_query` that distinguish queries, except the conditions."""
        reading, output, columns = self.reading, self.output, self.columns
        words = {
            "collect": output.collect,
            "strict": reading.strict,
            "course_from": reading.course_from,
            "time_from": reading.time_from,
            "max_line_bytes": reading.max_line_bytes,
            "keep_rejects": output.rejects is not None,
        }
        if output.partition_by:
            if columns is not None:
                columns += tuple(name for name in PLACE_COLUMNS if name not in columns)
            words["partition_by"] = list(output.partition_by)
            known = output.known_courses
            words["known_courses"] = None if known is None else sorted(known)
        if self.table is not None:
            words["table"] = self.table
        return {"columns": None if columns is None else list(columns), **words}

    def query(self, *, encodes_case: bool = False, keeps_rejects: bool = False) -> _core.Query:
        """Make the query.

        Args:
            encodes_case: as `make_query` takes it.
            keeps_rejects: keep rejected lines even if no file is written for them.

        Raises:
            ConfigError: a condition, a column or an option is invalid.
        """
        words = self.words()
        words["keep_rejects"] |= keeps_rejects
        check = self.reading.check
        return make_query(self.conditions, **words, check=check, encodes_case=encodes_case)

    def asked(self) -> dict[str, Any]:
        """Describe the rows of an output. If two descriptions differ, the rows may differ.

        Raises:
            ConfigError: the salt file is not one.
            OutputError: the salt file cannot be read or created.
        """
        more = {
            "format": self.output.format_name,
            "salvage": self.output.salvage,
            "dedupe": self.reading.dedupe,
        }
        words = {**self.words(), **more}
        if self.table is not None:
            words |= self.table.told()
        asked = {name: value for name, value in words.items() if value not in (None, False, "all")}
        conditions = self.conditions.shown()
        conditions.pop("days", None)  # chooses among the inputs, not among rows
        if hidden := self.conditions.hidden():
            conditions[HMAC] = salt.digest(hidden, self.output.salt_file)
        return {**asked, **conditions}

    def metadata(self) -> Sequence[tuple[str, str]]:
        """Key-value pairs about the query, for the footer of Parquet."""
        query = orjson.dumps(self.conditions.shown()).decode()
        told = [("edxlogs.version", _core.__version__), ("edxlogs.query", query)]
        if self.table is not None:
            told += self.table.metadata()
        return told


def _format(target: str | None, named: str | None, *, is_dataset: bool) -> str:
    """The format for a target, after checking that the two fit each other."""
    checked("format", named)
    if not is_dataset:
        return "parquet" if target is None else format_of(target, named)
    if target in (None, "", STDOUT):
        raise ConfigError("partition-by: a dataset is a folder; name one with -o")
    form = format_of(target, named, "parquet")
    if form not in DATASET_FORMATS:
        raise ConfigError(f"format: {form}: is not for datasets; use {', '.join(DATASET_FORMATS)}")
    return form
