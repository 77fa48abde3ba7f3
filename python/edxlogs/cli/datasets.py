"""`edxlogs filter --partition-by`: a run into a dataset."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.account import SourceAccount, many
from edxlogs.cli.options import s3_of
from edxlogs.cli.running import Command, asked_for, select_sources, split_columns
from edxlogs.dataset_run import ENDINGS, TARGET_FILE_BYTES, DatasetRun
from edxlogs.errors import ConfigError, OutputError, ResumableInterrupt
from edxlogs.inputs import identify
from edxlogs.manifest import Segment
from edxlogs.names import shown
from edxlogs.query import Conditions, make_query
from edxlogs.s3 import SCHEME
from edxlogs.sinks import STDOUT, OutputFile
from edxlogs.sources import Source
from edxlogs.store import HOME, Store
from edxlogs.suggestions import near_columns

PLACE_COLUMNS = ("site", "source", "line")


def run_dataset(arguments: Sequence[str], conditions: Conditions, options: dict[str, Any]) -> int:
    """Run `edxlogs filter` into a dataset; its exit status."""
    target: str = options["output"]
    format_name: str = options["format_name"] or "parquet"
    _refuse_mismatch(format_name, target, options)
    if options["csv_excel_safe"]:
        format_name = "csv-excel-safe"
    folder = Path(target)
    keys = [key.strip() for key in options["partition_by"].split(",")]
    known = None if options["known_courses"] is None else [f"@{options['known_courses']}"]
    columns = split_columns(options["columns"])
    if columns is not None:
        columns += [name for name in PLACE_COLUMNS if name not in columns]
    kept = options["rejects"] is not None
    what = {
        "columns": columns,
        "collect": "lines" if format_name.startswith("jsonl") else "columns",
        "strict": options["strict"],
        "course_from": options["course_from"],
        "max_line_bytes": options["max_line_bytes"],
        "keep_rejects": kept,
        "partition_by": keys,
        "known_courses": known,
    }
    make_query(conditions, **what)  # what cannot be used is told before a folder is made
    with ExitStack() as stack:
        open_store = partial(Store, folder, mode=options["mode"])
        store = stack.enter_context(open_store()) if (folder / HOME).is_dir() else None
        is_known = partial(is_unchanged, store)
        selection = select_sources(arguments, conditions, s3_of(options), options, is_known)
        # No folder is made for sources that are not there.
        store = store or stack.enter_context(open_store())
        encodes_case = _ignores_case(store.home)
        query = make_query(conditions, **what, check=options["check"], encodes_case=encodes_case)
        selection.account.warnings += near_columns(query.column_names)
        asked = _asked(conditions, {**what, "format": format_name, "salvage": options["salvage"]})
        store.claim(asked, overwrite=options["overwrite"])
        beside = {os.path.abspath(options[one]) for one in ("report", "rejects") if options[one]}
        # What its runs wrote beside the dataset is theirs to write anew.
        known_outputs = beside <= store.manifest.outputs
        options = {**options, "overwrite": options["overwrite"] or known_outputs}
        command = Command(stack, query, conditions, selection, options)
        rejects: OutputFile | None = command.file(options["rejects"]) if kept else None
        metadata = [
            ("edxlogs.version", _core.__version__),
            ("edxlogs.query", orjson.dumps(conditions.shown()).decode()),
        ]
        made: list[DatasetRun] = []

        def make_run(on_source: Callable[[SourceAccount], None]) -> DatasetRun:
            run = DatasetRun(
                command.reader,
                selection.sources,
                store,
                format_name,
                metadata,
                command.workers,
                salvage=options["salvage"],
                keeps_rejects=kept,
                file_bytes=options["target_file_size"] or TARGET_FILE_BYTES,
                on_source=on_source,
                account=selection.account,
            )
            made.append(run)
            return run

        try:
            account = command.read(make_run)
        except KeyboardInterrupt:
            if made and made[0].commits:
                raise ResumableInterrupt from None
            raise
        run = made[0]
        if rejects is not None:
            _write_rejects(rejects, run)
        if run.commits or not known_outputs:
            left = {"skipped": len(account.skipped), "failed": account.failed}
            ended = {**left, "whole": account.is_whole, "outputs": sorted(beside)}
            store.commit(Segment(run.started, ended=ended))
        told = f"{many(account.rows_written, 'row')} in {shown(target)}: {_told(run)}"
        return command.close(account, told, rejects)


def is_unchanged(store: Store | None, source: Source) -> bool:
    """Whether a source was read into a dataset, and looks as it did then."""
    if store is None or source.is_stream:
        return False
    now = identify(source)
    known = store.manifest.newest(now.key)
    return known is not None and (known.identity.size, known.identity.time) == (now.size, now.time)


def _asked(conditions: Conditions, what: dict[str, Any]) -> dict[str, Any]:
    asked = asked_for(conditions, what)
    known = asked.pop("known_courses", None)
    if known is not None:
        asked["known_courses"] = sorted(Conditions(course=known).keywords()["courses"])
    return asked


def _told(run: DatasetRun) -> str:
    """What a run added."""
    before = len(run.sources) - run.read
    told = f"{many(run.read, 'source')} read"
    return told if before == 0 else f"{told}, {before:,} done before"


def _write_rejects(target: OutputFile, run: DatasetRun) -> None:
    try:
        with open(target.create(), "wb", closefd=False) as out:
            for path in run.rejects():
                with open(path, "rb") as file:
                    shutil.copyfileobj(file, out)
    except OSError as error:
        raise OutputError(f"output: {target.name}: {error.strerror}") from error


def _ignores_case(folder: Path) -> bool:
    """Whether the file system takes names for the same that differ in case alone."""
    return os.path.lexists(folder / "LOCK") and os.path.lexists(folder / "lock")


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
