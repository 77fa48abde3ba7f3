"""`edxlogs filter --partition-by`: a run into a dataset."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.account import Account
from edxlogs.cli.options import s3_of
from edxlogs.errors import ConfigError, OutputError, ResumableInterrupt, cannot_write
from edxlogs.events.dedupe import kind_of
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.suggestions import near_columns
from edxlogs.events.target import ENDINGS, TARGET_FILE_BYTES, DatasetTarget
from edxlogs.jobs.filter import (
    Command,
    asked_for,
    refuse_same,
    select_sources,
    split_columns,
)
from edxlogs.s3.client import SCHEME
from edxlogs.sources.selection import Selection
from edxlogs.sources.source import Source
from edxlogs.store.file import STDOUT
from edxlogs.store.inputs import identify
from edxlogs.store.manifest import Segment
from edxlogs.store.store import HOME, Store
from edxlogs.text import many, shown
from edxlogs.values import values

PLACE_COLUMNS = ("site", "source", "line")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A dataset that is asked for.

    Attributes:
        folder: of it.
        format_name: a key of `ENDINGS`.
        conditions: on its rows.
        what: the other keywords of `make_query`, but for `check`.
        salvage: whether the sound part of a damaged source is delivered.
        dedupe: which lines are compared, or None.
        file_bytes: about how large a file may get.
        overwrite: whether a dataset of another query may go.
        mode: permissions of its files.
    """

    folder: Path
    format_name: str
    conditions: Conditions
    what: dict[str, Any]
    salvage: bool
    dedupe: str | None
    file_bytes: int
    overwrite: bool
    mode: int

    def check(self) -> None:
        """Raise a ConfigError for what cannot be used, before a folder is made."""
        make_query(self.conditions, **self.what)

    def query(self, store: Store, check: str) -> _core.Query:
        """The query, for the file system where the dataset is."""
        ignores_case = os.path.lexists(store.home / "LOCK")
        return make_query(self.conditions, **self.what, check=check, encodes_case=ignores_case)

    def target(self, store: Store, query: _core.Query, account: Account) -> DatasetTarget:
        """The dataset in a run.

        Raises:
            ConfigError: rows of another query are there.
        """
        more = {"format": self.format_name, "salvage": self.salvage, "dedupe": self.dedupe}
        asked = asked_for(self.conditions, {**self.what, **more})
        known = asked.pop("known_courses", None)
        if known is not None:
            asked["known_courses"] = sorted(values("known-courses", known))
        store.claim(asked, overwrite=self.overwrite)
        metadata = [
            ("edxlogs.version", _core.__version__),
            ("edxlogs.query", orjson.dumps(self.conditions.shown()).decode()),
        ]
        return DatasetTarget(
            store,
            query,
            self.format_name,
            metadata,
            salvage=self.salvage,
            keeps_rejects=self.what["keep_rejects"],
            file_bytes=self.file_bytes,
            account=account,
        )


def open_store(stack: ExitStack, wanted: Wanted) -> Store:
    """Open a dataset for writing, until the end of the stack."""
    return stack.enter_context(Store(wanted.folder, mode=wanted.mode))


def stores_there(stack: ExitStack, wanted: Sequence[Wanted]) -> dict[Path, Store]:
    """Those datasets that are there already; a new one is made once its sources are found."""
    there = [one for one in wanted if (one.folder / HOME).is_dir()]
    return {one.folder: open_store(stack, one) for one in there}


def run_dataset(arguments: Sequence[str], conditions: Conditions, options: dict[str, Any]) -> int:
    """Run `edxlogs filter` into a dataset; its exit status."""
    wanted = _wanted(conditions, options)
    wanted.check()
    with ExitStack() as stack:
        stores = stores_there(stack, [wanted])
        is_known = partial(is_unchanged, list(stores.values()))
        selection = select_sources(arguments, conditions.window, s3_of(options), options, is_known)
        leave_out(selection, [wanted])
        refuse_same(options["output"], options, selection)
        store = stores.get(wanted.folder) or open_store(stack, wanted)
        query = wanted.query(store, options["check"])
        selection.account.warnings += near_columns(query.column_names)
        target = wanted.target(store, query, selection.account)
        beside = {os.path.abspath(options[one]) for one in ("report", "rejects") if options[one]}
        # What its runs wrote beside the dataset is theirs to write anew.
        is_own = beside <= store.manifest.outputs
        options = {**options, "overwrite": options["overwrite"] or is_own}
        command = Command(stack, query, conditions, selection, options)
        rejects = None if options["rejects"] is None else command.file(options["rejects"])
        with keeps_datasets([target]):
            command.read_into([target], wanted.dedupe)
        if rejects is not None:
            rejects.join(target.rejects(selection.sources))
        account = target.account
        if target.commits or not is_own:
            end(target, beside)
        told = f"{many(account.rows_written, 'row')} in {shown(options['output'])}: "
        return command.close(account, told + read_of(target, len(selection.sources)), rejects)


def leave_out(selection: Selection, wanted: Sequence[Wanted]) -> None:
    """Leave out what the datasets hold themselves, where they lie in a folder that is searched."""
    folders = tuple(f"{os.path.realpath(one.folder)}{os.sep}" for one in wanted)
    selection.sources = [
        one
        for one in selection.sources
        if one.remote is not None or not os.path.realpath(one.path).startswith(folders)
    ]


@contextmanager
def keeps_datasets(targets: Sequence[DatasetTarget]) -> Iterator[None]:
    """Tell an interrupt that something was committed, and name what cannot be written."""
    try:
        yield
    except OutputError as error:
        names = ", ".join(target.store.name for target in targets)
        raise cannot_write(names, error) from error
    except KeyboardInterrupt:
        if any(target.commits for target in targets):
            raise ResumableInterrupt from None
        raise


def end(target: DatasetTarget, beside: set[str]) -> None:
    """Enter the last words of a run into the manifest; `beside` are the files it writes itself."""
    account = target.account
    left = {"skipped": len(account.skipped), "failed": account.failed}
    ended = {**left, "whole": account.is_whole, "outputs": sorted(beside)}
    target.store.commit(Segment(target.started, ended=ended))


def read_of(target: DatasetTarget, sources: int) -> str:
    """How many sources a run read, and how many were done."""
    before = sources - target.read
    told = f"{many(target.read, 'source')} read"
    return told if before == 0 else f"{told}, {before:,} done before"


def query_options(
    options: Mapping[str, Any], format_name: str, columns: list[str] | None
) -> dict[str, Any]:
    """The keywords of `make_query` for a dataset."""
    known = options["known_courses"]
    if columns is not None:
        columns = [*columns, *(name for name in PLACE_COLUMNS if name not in columns)]
    return {
        "columns": columns,
        "collect": "lines" if format_name.startswith("jsonl") else "columns",
        "strict": options["strict"],
        "course_from": options["course_from"],
        "max_line_bytes": options["max_line_bytes"],
        "keep_rejects": options["rejects"] is not None,
        "partition_by": options["partition_by"],
        "known_courses": None if known is None else [f"@{known}"],
    }


def _wanted(conditions: Conditions, options: dict[str, Any]) -> Wanted:
    """The dataset that the command asks for."""
    target: str = options["output"]
    format_name: str = options["format_name"] or "parquet"
    _refuse_mismatch(format_name, target, options)
    if options["csv_excel_safe"]:
        format_name = "csv-excel-safe"
    keys = [key.strip() for key in options["partition_by"].split(",")]
    columns = split_columns(options["columns"])
    return Wanted(
        Path(target),
        format_name,
        conditions,
        query_options({**options, "partition_by": keys}, format_name, columns),
        options["salvage"],
        kind_of(dedupe=options["dedupe"], within=options["dedupe_within"]),
        options["target_file_size"] or TARGET_FILE_BYTES,
        options["overwrite"],
        options["mode"],
    )


def is_unchanged(stores: Sequence[Store], source: Source) -> bool:
    """Whether a source was read into one of the datasets, and looks as it did then."""
    if not stores or source.is_stream:
        return False
    now = identify(source)
    known = [store.manifest.newest(now.key) for store in stores]
    looks = (now.size, now.time)
    return any(one is not None and (one.identity.size, one.identity.time) == looks for one in known)


def _refuse_mismatch(format_name: str, target: str, options: dict[str, Any]) -> None:
    """Options that do not go with a dataset are wrong use."""
    if target == STDOUT:
        raise ConfigError("partition-by: a dataset is a folder; name one with -o")
    if target.startswith(SCHEME):
        raise ConfigError(
            f"output: {shown(target)}: datasets are written to local folders; name one, and copy it"
        )
    if format_name not in ENDINGS:
        raise ConfigError(
            "format: datasets are Parquet, CSV or JSON Lines; choose another --format"
        )
    lines = format_name.startswith("jsonl")
    if options["columns"] is not None and lines:
        raise ConfigError(
            "columns: JSON Lines are whole lines; choose another --format for columns"
        )
    if options["csv_excel_safe"] and format_name != "csv":
        raise ConfigError("csv-excel-safe: is for CSV; leave it out, or add --format csv")
    for name in ("raw", "unverified"):
        if options[name]:
            raise ConfigError(f"{name}: does not go with --partition-by; leave it out")
