"""A job: its datasets in one pass, its report, and its last words."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.account import Account, Outcome
from edxlogs.cli.options import s3_of
from edxlogs.cli.progress import tell
from edxlogs.errors import ConfigError, OutputError
from edxlogs.events.dedupe import kind_of
from edxlogs.events.query import Conditions
from edxlogs.events.target import ENDINGS, TARGET_FILE_BYTES, DatasetTarget
from edxlogs.jobs.dataset import (
    Wanted,
    end,
    is_unchanged,
    keeps_datasets,
    leave_out,
    open_store,
    query_options,
    stores_there,
)
from edxlogs.jobs.file import DATASET_CONDITIONS, Job, listed, read_job
from edxlogs.jobs.filter import Command, select_sources
from edxlogs.store.file import OutputFile
from edxlogs.text import many, shown

SCHEMA_VERSION = 1
_MODE = 0o600


def run_job(path: Path, *, quiet: bool) -> int:
    """Run `edxlogs run`; its exit status."""
    job = read_job(path)
    options = _options(job, quiet=quiet)
    wanted = [_wanted(job, options, dataset) for dataset in job.datasets]
    for one in wanted:
        one.check()
    if "reports" in job.options:
        _make_folder(job.path(job.options["reports"]))
    name = job.options.get("name", path.stem)
    start = time.monotonic()
    with ExitStack() as stack:
        stores = stores_there(stack, wanted)
        is_known = partial(is_unchanged, list(stores.values()))
        chosen = Conditions.of(site=options["site"], days=options["days"])
        selection = select_sources(job.sources, chosen.window, s3_of(options), options, is_known)
        leave_out(selection, wanted)
        targets = []
        for one in wanted:
            store = stores.get(one.folder) or open_store(stack, one)
            query = one.query(store, options["check"])
            targets.append(one.target(store, query, _copy(selection.account)))
        queries = [target.query for target in targets]
        together = queries[0] if len(queries) == 1 else _core.Query.of_several(queries)
        command = Command(stack, together, chosen, selection, options)
        with keeps_datasets(targets):
            command.read_into(targets, wanted[0].dedupe)
        for target in targets:
            if target.commits:
                end(target, set())
    seconds = time.monotonic() - start
    if "reports" in job.options:
        _write_report(job, name, targets, seconds)
    is_whole = all(target.account.is_whole for target in targets)
    if not quiet or not is_whole:
        tell(_last_words(name, targets, seconds))
    return 0 if is_whole else 1


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"reports: {shown(os.fspath(folder))}: {error.strerror}; name another folder"
        ) from error


def _copy(account: Account) -> Account:
    """What a selection found, for each of several datasets."""
    return Account(
        failed=list(account.failed),
        skipped=list(account.skipped),
        ignored=list(account.ignored),
        warnings=list(account.warnings),
    )


def _options(job: Job, *, quiet: bool) -> dict[str, Any]:
    """The job in the words of the command line."""
    given = job.options
    paths = {
        name: None if name not in given else job.path(given[name])
        for name in ("gnupg_home", "passphrase_file")
    }
    return {
        "partner": given.get("partner"),
        "site": listed(given.get("site")),
        "days": given.get("days"),
        "threads": given.get("threads", 0),
        "check": given.get("check", "fast"),
        "strict": given.get("strict", False),
        "course_from": given.get("course_from", "all"),
        "max_line_bytes": given.get("max_line_bytes"),
        "dedupe": given.get("dedupe", False),
        "dedupe_within": given.get("dedupe_within", False),
        "no_prompt": True,
        "profile": tuple(listed(given.get("profile"))),
        "endpoint_url": given.get("endpoint_url"),
        "region": given.get("region"),
        "requester_pays": given.get("requester_pays", False),
        "quiet": quiet,
        "as_json": False,
        "report": None,
        "rejects": None,
        "shard": None,
        "overwrite": False,
        "mode": _MODE,
        **paths,
    }


def _wanted(job: Job, options: Mapping[str, Any], dataset: Mapping[str, Any]) -> Wanted:
    """A dataset of the job."""
    form = dataset.get("format", "parquet")
    if form not in ENDINGS:
        raise ConfigError(f"format: {shown(form)}: is none of datasets; use {', '.join(ENDINGS)}")
    if form.startswith("jsonl") and "columns" in dataset:
        raise ConfigError("columns: JSON Lines are whole lines; choose another format for columns")
    if dataset.get("csv_excel_safe") and form != "csv":
        raise ConfigError('csv_excel_safe: is for CSV; leave it out, or choose format = "csv"')
    if dataset.get("csv_excel_safe"):
        form = "csv-excel-safe"
    known = dataset.get("known_courses")
    more = {
        "partition_by": listed(dataset["partition_by"]),
        "known_courses": None if known is None else job.path(known),
    }
    columns = listed(dataset.get("columns")) or None
    conditions = {name: dataset[name] for name in DATASET_CONDITIONS if name in dataset}
    return Wanted(
        job.path(dataset["output"]),
        form,
        Conditions.of(**conditions, site=options["site"]),
        query_options({**options, **more}, form, columns),
        dataset.get("salvage", False),
        kind_of(dedupe=options["dedupe"], within=options["dedupe_within"]),
        dataset.get("target_file_size", TARGET_FILE_BYTES),
        dataset.get("overwrite", False),
        _MODE,
    )


def _write_report(job: Job, name: str, targets: list[DatasetTarget], seconds: float) -> None:
    """Write the report of this run, and remove those that are too many."""
    folder = job.path(job.options["reports"])
    document = {
        "schema_version": SCHEMA_VERSION,
        "version": _core.__version__,
        "job": name,
        "started": targets[0].started,
        "seconds": round(seconds, 3),
        "datasets": [
            target.account.report(output=target.store.name, read=target.read) for target in targets
        ],
    }
    stamp = targets[0].started.replace(":", "").replace("+0000", "Z")
    with OutputFile(folder / f"edxlogs-{stamp}.json") as file:
        file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        file.publish()
    ours = sorted(folder.glob("edxlogs-????-??-??T*Z.json"))
    for old in ours[: -job.options.get("keep_reports", len(ours))]:
        old.unlink()


def _last_words(name: str, targets: list[DatasetTarget], seconds: float) -> str:
    """How the job ended, in one line."""
    withheld = {
        source.path
        for target in targets
        for source in target.account.sources
        if source.status is not Outcome.DELIVERED
    }
    failed = len(withheld) + len(targets[0].account.failed)
    ended = "ok" if failed == 0 else f"FAILED: {many(failed, 'source')} not delivered whole"
    read = max(target.read for target in targets)
    rows = sum(target.account.rows_written for target in targets)
    return (
        f"{shown(name)}: {ended}, {many(read, 'source')} read, {many(rows, 'row')} in"
        f" {many(len(targets), 'dataset')}, {seconds:.1f} s"
    )
