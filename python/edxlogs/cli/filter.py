"""`edxlogs filter`: writes the matching events to a file."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
    ColumnNames,
    attribution_options,
    condition_options,
    csv_option,
    dask_option,
    delivery_options,
    event_words_of,
    file_size_option,
    format_option,
    known_courses_option,
    layout_options,
    reading_options,
    s3_options,
    sources_argument,
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
@attribution_options
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE",
    shell_complete=files,
    help="Output file, or folder with --partition-by; - is standard output.  [default: -]",
)
@format_option
@click.option(
    "--columns",
    type=ColumnNames(),
    metavar="A,B,…",
    shell_complete=columns,
    help="Columns in order; a path needs a name (grade=event.grade::float64).",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the first N rows, for a quick look.",
)
@click.option(
    "--partition-by",
    metavar="KEY,…",
    shell_complete=partition_keys,
    help="Write a dataset into the folder of -o, partitioned by course_id, org_id, site, date,"
    " month, year, event_type or event_source, in that order. Run it again to add what is new.",
)
@file_size_option("With --partition-by: approximate")
@known_courses_option("With --partition-by: ids")
@click.option("--raw", is_flag=True, help="JSON Lines: mended lines as they were, each once.")
@csv_option
@delivery_options
@click.option(
    "--unverified",
    is_flag=True,
    help="Standard output: write rows before their source passes its checks.",
)
@dask_option
@reading_options
@s3_options
def command(
    sources: tuple[str, ...],
    *,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Write the events that match to a file, and account for every line.

    SOURCE is a file, a folder, a glob, an s3:// URL of an object or a prefix, or - for standard
    input. It may be plain, gzip, tar or OpenPGP; edxlogs sees which. --partner reads that partner's
    events in edX's own bucket. An event must meet all conditions; of several values for one
    condition, any will do. @FILE stands for the values in a file, one per line.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.filter import write
        from edxlogs.jobs.settings import Settings

    if as_json and options["output"] == STDOUT:
        raise click.UsageError(
            "--json and the rows would both go to standard output: name a file with -o, or write"
            " the account with --report"
        )
    words = event_words_of(options, sources)
    shown = Shown(quiet=quiet, as_json=as_json)
    return shown.close(write(Settings.of(sources, **words), shown))
