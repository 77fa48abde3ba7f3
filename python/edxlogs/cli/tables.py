"""`edxlogs tables`: turns matching events into tables, one typed row for each act."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
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
    several,
    sources_argument,
)
from edxlogs.cli.progress import Shown
from edxlogs.cli.values import event_tables, files, partition_keys
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs tables logs/ -o tables
  edxlogs tables logs/ --table problem_events,problem_inputs -o tables
  edxlogs tables logs/ --course 'course-v1:UnivX+CS101+*' --table video_events --no-text -o videos
  edxlogs cat tables/video_events --columns time,user_id,block_id,action,position | head
"""


@click.command("tables", cls=Grouped, epilog=EXAMPLES)
@sources_argument
@layout_options
@condition_options
@attribution_options
@several(
    "--table",
    "tables",
    metavar="NAME,…",
    complete=event_tables,
    help="Tables to write, separated by commas; can be repeated.  [default: all but problem_forms]",
)
@several(
    "--table-file",
    metavar="FILE",
    complete=files,
    help="File that defines a table of your own; can be repeated.",
)
@click.option(
    "--with-forms",
    is_flag=True,
    help="Also write problem_forms: what browsers sent, input by input.",
)
@click.option("--no-text", is_flag=True, help="Leave out free text: its columns are null.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="DIR",
    shell_complete=files,
    help="Folder, or s3:// prefix; each table is a dataset in it.",
)
@format_option
@click.option(
    "--partition-by",
    metavar="KEY,…",
    shell_complete=partition_keys,
    help="What each table is partitioned by, as in edxlogs filter.  [default: course_id]",
)
@file_size_option("Approximate")
@known_courses_option("Ids")
@csv_option
@delivery_options
@dask_option
@reading_options
@s3_options
def command(
    sources: tuple[str, ...], *, output: str, quiet: bool, as_json: bool, **options: Any
) -> int:
    """Turn the events that match into tables, and account for every line.

    Each event is a row of one table, its home: video_events, problem_events, forum_events and so
    on. Its payload is in typed columns, however it was spelled over the years. Tables such as
    problem_inputs have one row for each part of an event. Each table is a dataset, DIR/TABLE; run
    the command again to add what is new. SOURCE and the conditions are those of edxlogs filter.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.datasets.tables import EventTableSettings
        from edxlogs.jobs.datasets.write import write_event_tables

    words = event_words_of(options, sources)
    shown = Shown(quiet=quiet, as_json=as_json)
    settings = EventTableSettings.of(sources, output, **words)
    return shown.close(write_event_tables(settings, shown))
