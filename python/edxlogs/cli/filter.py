"""`edxlogs filter`: the events that match, to a file."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
    Bytes,
    ColumnNames,
    choice,
    condition_options,
    dask_option,
    format_option,
    layout_options,
    partner_of,
    reading_options,
    s3_options,
    sources_argument,
    words_of,
)
from edxlogs.cli.progress import Shown
from edxlogs.cli.values import columns, files, partition_keys
from edxlogs.formats import STDOUT
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs filter logs/ --course 'course-v1:UnivX+CS101+*' -o cs101.parquet
  edxlogs filter logs/*.log.gz.gpg --event-type problem_check --since 2014-10-01 -o checks.csv
  edxlogs filter logs/ --category video --columns time,user_id,video=event.id -o video.parquet
  edxlogs filter --partner universityx --days 2014-10-01..2014-10-31 -o october.parquet
  edxlogs filter logs/ -o events --partition-by course_id,date
  edxlogs filter - --course UnivX/CS101/2014 < tracking.log | jq .event_type
"""


@click.command("filter", cls=Grouped, epilog=EXAMPLES)
@sources_argument
@layout_options
@condition_options
@choice(
    "--course-from",
    "all",
    "context",
    default="all",
    help="Where a course is looked for: everywhere, or in the context alone.",
)
@click.option(
    "--time-from",
    metavar="PATH",
    help="Where to look for a time first: in the event, then in what a log shipper put around it.",
)
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE",
    shell_complete=files,
    help="Output; - is standard output, and a folder with --partition-by.  [default: -]",
)
@format_option
@click.option(
    "--columns",
    type=ColumnNames(),
    metavar="A,B,…",
    shell_complete=columns,
    help="Columns, or paths with a name (grade=event.grade::float64), in order.",
)
@click.option(
    "--partition-by",
    metavar="KEY,…",
    shell_complete=partition_keys,
    help="Write a dataset into the folder -o, parted by course_id, org_id, site, date, month, year,"
    " event_type or event_source, in that order. Run again, it adds what is new.",
)
@click.option(
    "--target-file-size",
    type=Bytes(),
    metavar="SIZE",
    help="With --partition-by: about how large a file may get.  [default: 128MiB]",
)
@click.option(
    "--known-courses",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="With --partition-by: courses that exist, one a line; others count as none.",
)
@click.option("--raw", is_flag=True, help="JSON Lines: mended lines as they stood, once.")
@click.option("--csv-excel-safe", is_flag=True, help="CSV, TSV: no cell that spreadsheets run.")
@click.option(
    "--shard",
    metavar="I/N",
    help="Read the Ith of N parts; edxlogs merge joins them.",
)
@click.option(
    "--rejects",
    metavar="FILE",
    shell_complete=files,
    help="Write the lines that are no events to FILE.",
)
@click.option(
    "--dedupe",
    is_flag=True,
    help="Leave out lines that stand byte for byte in an earlier source of the same site and day.",
)
@click.option(
    "--dedupe-within",
    is_flag=True,
    help="As --dedupe, also within a source.",
)
@click.option("--salvage", is_flag=True, help="Deliver what precedes the damage in a source.")
@click.option(
    "--salt-file",
    metavar="FILE",
    shell_complete=files,
    help="Salt for --user, --where; shards need the same.",
)
@choice(
    "--check",
    "fast",
    "full",
    default="fast",
    help="full parses every line; the rows are the same.",
)
@click.option(
    "--unverified",
    is_flag=True,
    help="Standard output: rows before their source has passed its checks.",
)
@dask_option
@reading_options
@s3_options
def command(
    sources: tuple[str, ...],
    *,
    slack: str | None,
    partition_by: str | None,
    known_courses: str | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Write the events that match to a file, and account for every line.

    SOURCE is a file, a folder, a glob, an s3:// URL of an object or a prefix, or - for standard
    input: plain, gzip, tar or OpenPGP, as the bytes tell. --partner reads that partner's events in
    edX's own bucket. Different conditions are joined by and, several values of one by or. @FILE
    stands for the values in a file, one a line.
    """
    with put_off():  # compiled modules may crash where they are interrupted in their making
        from edxlogs.jobs.filter import write
        from edxlogs.jobs.settings import Settings

    if as_json and options["output"] == STDOUT:
        raise click.UsageError(
            "--json goes to standard output, as the rows do: name a file with -o, or write the"
            " account with --report"
        )
    words = words_of(options)
    words["partner"] = partner_of(options, sources, needs_days=True)
    if slack is not None:
        words["slack"] = slack
    if partition_by is not None:
        words["partition_by"] = [key.strip() for key in partition_by.split(",")]
    if known_courses is not None:
        words["known_courses"] = f"@{known_courses}"
    shown = Shown(quiet=quiet, as_json=as_json)
    return shown.close(write(Settings.of(sources, **words), shown))
