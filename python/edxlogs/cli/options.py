"""Options that several commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edxlogs.cli.values import OF_CONDITIONS, Completer, files
from edxlogs.events.conditions import CONDITIONS, Condition, ConditionKind
from edxlogs.formats import FORMATS

if TYPE_CHECKING:
    from edxlogs.s3.client import S3

F = TypeVar("F", bound=Callable[..., Any])

_S3 = ("profile", "endpoint_url", "region", "requester_pays")
_OF_EVENTS = [one for one in CONDITIONS if one.name != "site"]
_SITE = next(one for one in CONDITIONS if one.name == "site")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


class Bytes(click.ParamType[int]):
    """A number of bytes, such as 8MiB or 1000000."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number and its unit."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,99})\s*([kmg]i?)?b?", str(value).strip().lower())
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is not a size; write it like 8MiB", param, ctx)
        size = int(match[1]) * _UNITS[match[2] or ""]
        if size >= 10**18:
            self.fail(f"{value!r} is more than any disk holds; write it like 8MiB", param, ctx)
        return size


class Mode(click.ParamType[int]):
    """File permissions in octal."""

    name = "mode"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read octal digits."""
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"0?o?[0-7]{3}", str(value)):
            self.fail(f"{value!r} is not a file mode; write it like 640", param, ctx)
        return int(str(value).replace("o", ""), 8)


class ColumnNames(click.ParamType[list[str]]):
    """Column names separated by commas outside double quotes."""

    name = "columns"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Split the names."""
        names, quoted = [""], False
        for character in str(value):
            if character == '"':
                quoted = not quoted
            if character == "," and not quoted:
                names.append("")
            else:
                names[-1] += character
        return [name.strip() for name in names]


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Combine several options into one decorator. Help shows them in that order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def sources_argument(function: F) -> F:
    """The sources of a run."""
    return click.argument("sources", nargs=-1, metavar="SOURCE...", shell_complete=files)(function)


key_options = together(
    click.option(
        "--gnupg-home",
        type=click.Path(path_type=Path, file_okay=False),
        help="GnuPG home folder.  [default: yours]",
    ),
    click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File whose first line is the passphrase of the key.",
    ),
)
"""Which key decrypts, and how it is unlocked."""


prompt_options = together(
    key_options,
    click.option("--no-prompt", is_flag=True, help="Never ask for a passphrase."),
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="0 means one per core. Never changes the answer.",
)
dask_option = click.option(
    "--dask",
    metavar="ADDRESS",
    help="Dask: address of a scheduler, its file, or local:N.",
)
report_option = click.option(
    "--report", metavar="FILE", shell_complete=files, help="Write the account to FILE as JSON."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the account to standard output, as JSON."
)
format_option = click.option(
    "--format",
    type=click.Choice(FORMATS),
    metavar="FORMAT",
    help="parquet, arrow, csv, tsv or jsonl; the last three also compressed: csv.gz, csv.zst, …."
    "  [default: from the ending]",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show only what went wrong.")
mode_option = click.option(
    "--mode",
    type=Mode(),
    default="600",
    show_default=True,
    help="Permissions of the files, in octal.",
)
account_options = together(
    report_option,
    json_option,
    quiet_option,
    click.option("--overwrite", is_flag=True, help="Replace existing files."),
    mode_option,
)
"""What is reported about a run, and how its files are written."""

reading_options = together(
    click.option(
        "--max-line-bytes",
        type=Bytes(),
        metavar="SIZE",
        help="Reject lines longer than this.  [default: 8MiB]",
    ),
    click.option("--strict", is_flag=True, help="Reject lines that need mending."),
    prompt_options,
    threads_option,
    account_options,
)
"""How sources are read, and what is reported about it."""


def choice(
    name: str,
    *values: str,
    help: str,  # noqa: A002
    default: str | None = None,
) -> Callable[[F], F]:
    """An option that takes one of several words."""
    words = click.Choice(values)
    return click.option(name, type=words, default=default, show_default=True, help=help)


def several(
    *names: str,
    help: str,  # noqa: A002
    metavar: str,
    complete: Completer | None = None,
) -> Callable[[F], F]:
    """An option that may be given several times."""
    return click.option(*names, multiple=True, help=help, metavar=metavar, shell_complete=complete)


def _condition(one: Condition) -> Callable[[F], F]:
    name = f"--{one.option}"
    if one.kind is ConditionKind.MOMENT:
        return click.option(name, metavar=one.metavar, help=one.help)
    if one.kind is ConditionKind.TIME:
        return choice(name, "time", "received_at", default="time", help=one.help)
    complete = OF_CONDITIONS.get(one.name)
    return several(name, metavar=one.metavar, help=one.help, complete=complete)


_EXCLUDING = tuple(
    several(
        f"--exclude-{one.option}",
        metavar=one.metavar,
        help=f"Leave out what --{one.option} would select.",
        complete=OF_CONDITIONS.get(one.name),
    )
    for one in CONDITIONS
    if one.is_negatable
)


def _rows(*, with_time: bool) -> Callable[[F], F]:
    """The conditions on rows; without the choice of a time if `--by` means something else."""
    left_out = {ConditionKind.EXPRESSIONS} | (set() if with_time else {ConditionKind.TIME})
    return together(
        *(_condition(one) for one in _OF_EVENTS if one.kind not in left_out),
        *_EXCLUDING,
        *(_condition(one) for one in _OF_EVENTS if one.kind is ConditionKind.EXPRESSIONS),
    )


row_options = _rows(with_time=True)
"""Which rows are wanted; `site_option` is theirs, too."""
site_option = _condition(_SITE)

_slack_option = click.option(
    "--slack",
    metavar="BEFORE,AFTER",
    help="Days before --since and after --until whose files are still read, or all.  [default:"
    " 1,30]",
)
condition_options = together(row_options, _slack_option)
"""Which events are wanted; `layout_options` has their site."""
counted_options = together(_rows(with_time=False), _slack_option)
"""The same where `--by` names what is counted."""


s3_options = together(
    several(
        "--profile",
        metavar="NAME",
        help="AWS profile; BUCKET=NAME is for that bucket only.",
    ),
    click.option("--endpoint-url", metavar="URL", help="URL of an S3 server other than AWS."),
    click.option("--region", metavar="REGION", help="AWS region of the buckets."),
    click.option("--requester-pays", is_flag=True, help="Pay for the requests to S3 yourself."),
)
"""How S3 is reached; `s3_of` takes them."""


attribution_options = together(
    choice(
        "--course-from",
        "all",
        "context",
        default="all",
        help="Where to look for the course: everywhere, or only in the context.",
    ),
    click.option(
        "--time-from",
        metavar="PATH",
        help="Where to look for the time first: in the event, then in what a log shipper put"
        " around it.",
    ),
)
"""How the course and the time of an event are found."""

csv_option = click.option(
    "--csv-excel-safe", is_flag=True, help="CSV, TSV: defuse what a spreadsheet would run."
)
dedupe_options = together(
    click.option(
        "--dedupe",
        is_flag=True,
        help="Leave out lines that are also, byte for byte, in an earlier source of the same"
        " site and day.",
    ),
    click.option("--dedupe-within", is_flag=True, help="Like --dedupe, and within a source, too."),
    click.option(
        "--salvage", is_flag=True, help="Deliver what comes before the damage in a source."
    ),
)
"""Which lines are left out, and what is delivered of damaged sources."""

check_option = choice(
    "--check",
    "fast",
    "full",
    default="fast",
    help="full parses every line; the rows are the same.",
)
delivery_options = together(
    click.option("--shard", metavar="I/N", help="Read part I of N; edxlogs merge joins them."),
    click.option(
        "--rejects",
        metavar="FILE",
        shell_complete=files,
        help="Write lines that are not events to FILE.",
    ),
    dedupe_options,
    click.option(
        "--salt-file",
        metavar="FILE",
        shell_complete=files,
        help="Salt for --user, --where; shards need the same.",
    ),
    check_option,
)
"""Which lines are delivered."""


def file_size_option(told: str) -> Callable[[F], F]:
    """How large the files of a dataset may get. `told` begins its help."""
    help_ = f"{told} size of a file.  [default: 128MiB]"
    return click.option("--target-file-size", type=Bytes(), metavar="SIZE", help=help_)


def known_courses_option(told: str) -> Callable[[F], F]:
    """Which courses a dataset has partitions for. `told` begins its help."""
    return click.option(
        "--known-courses",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help=f"{told} of the courses that exist, one per line; others count as none.",
    )


def s3_of(options: Mapping[str, Any]) -> S3:
    """Make an S3 from the options."""
    from edxlogs.s3.client import S3

    return S3(**{name: options[name] for name in _S3})


def words_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as keywords of the library: S3 and prompts in its terms, the rest unchanged."""
    words = {name: value for name, value in options.items() if name not in _S3}
    if "no_prompt" in words:
        words["prompt"] = not words.pop("no_prompt") and os.isatty(2)
    words["s3"] = s3_of(options)
    return words


def event_words_of(options: Mapping[str, Any], sources: Sequence[str]) -> dict[str, Any]:
    """Options of a command over logs as keywords of the library."""
    words = counted_words_of(options, sources)
    if words["partition_by"] is not None:
        words["partition_by"] = [key.strip() for key in words["partition_by"].split(",")]
    if words["known_courses"] is not None:
        words["known_courses"] = f"@{words['known_courses']}"
    return words


def counted_words_of(options: Mapping[str, Any], sources: Sequence[str]) -> dict[str, Any]:
    """The same for a command that writes no rows."""
    words = words_of(options)
    words["partner"] = partner_of(options, sources, needs_days=True)
    if words["slack"] is None:
        del words["slack"]
    return words


def partner_of(
    options: Mapping[str, Any], sources: Sequence[str], *, needs_days: bool = False
) -> str | None:
    """The partner whose packages are wanted.

    The one in the config file is ignored if sources are named or, with `needs_days`, if no days are
    given: nobody who forgot to name a source should read years of logs.
    """
    partner: str | None = options["partner"]
    source = click.get_current_context().get_parameter_source("partner")
    configured = source is click.core.ParameterSource.DEFAULT_MAP
    if configured and (sources or (needs_days and options["days"] is None)):
        return None
    return partner


days_option = click.option(
    "--days",
    metavar="FIRST..LAST",
    help="Days of the sources, by their names; both included.",
)
layout_options = together(
    click.option("--partner", metavar="NAME", help="The partner's folder in edX's bucket."),
    site_option,
    days_option,
)
"""A choice among what edX delivers to a partner, and among files by their names."""
