"""`edxlogs summary`: shows what is in logs."""

from __future__ import annotations

import os
import shutil
from typing import Any

import click

from edxlogs.cli import EXIT_FAILED
from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
    attribution_options,
    check_option,
    choice,
    counted_options,
    counted_words_of,
    dedupe_options,
    format_option,
    layout_options,
    reading_options,
    s3_options,
    sources_argument,
)
from edxlogs.cli.progress import Shown, tell
from edxlogs.cli.values import files, summary_keys
from edxlogs.formats import STDOUT
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs summary logs/
  edxlogs summary logs/ --course 'course-v1:UnivX+CS101+*' --since 2014-10-01
  edxlogs summary logs/ -o report.html
  edxlogs summary logs/ --by course,date,event_type -o counts.csv
  edxlogs summary logs/ --by category
  edxlogs summary events --json
"""


@click.command("summary", cls=Grouped, epilog=EXAMPLES)
@sources_argument
@layout_options
@counted_options
@attribution_options
@click.option(
    "--by",
    "keys",
    metavar="KEY,…",
    shell_complete=summary_keys,
    help="A table of your own, by course, org, site, event_type, category, event_source, date,"
    " week, month, year, hour or weekday.",
)
@choice(
    "--clock",
    "time",
    "received_at",
    default="time",
    help="Which time days, --since and --until refer to.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=files,
    help="Write a page of charts to FILE.html; with --by, the table to a file, or - for standard"
    " output.",
)
@format_option
@dedupe_options
@check_option
@reading_options
@s3_options
def command(
    sources: tuple[str, ...],
    *,
    keys: str | None,
    output: str | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Show what is in logs: days, sites, courses, event types, people, and what is odd.

    SOURCE is as for edxlogs filter, or a dataset that edxlogs filter wrote. Every event is counted,
    in one pass. People are counted exactly up to 1,000 in a group and 100,000 on a site. Beyond
    that, a ~ marks an estimate, with a standard error of 1.6 % and 0.4 %.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.looks.summary import SummarySettings, summarise

    if as_json and output == STDOUT:
        raise click.UsageError(
            "--json and the table would both go to standard output: name a file with -o"
        )
    words = counted_words_of(options, sources)
    shown = Shown(quiet=quiet, as_json=as_json)
    done = summarise(SummarySettings.of(sources, output, by=keys, **words), shown)
    if as_json:
        return shown.close(done)
    if output is None:
        columns = shutil.get_terminal_size().columns if os.isatty(1) else None
        click.echo(done.shown(columns))
    if not quiet:
        tell(done.run())
    return 0 if done.is_whole else EXIT_FAILED
