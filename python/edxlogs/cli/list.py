"""`edxlogs list`: what data packages are there."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.choosing import choice_options
from edxlogs.cli.options import s3_options
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs list --partner universityx
  edxlogs list --partner universityx --site prod --days 2014-01-01..2014-12-31
  edxlogs list packages/ --kind events
  edxlogs list s3://edx-course-data/universityx/edge/ --by day
  edxlogs list packages/ --json
"""


@click.command("list", epilog=EXAMPLES)
@click.argument("sources", nargs=-1, metavar="[SOURCE...]")
@choice_options
@click.option(
    "--by",
    type=click.Choice(["year", "day"]),
    default="year",
    show_default=True,
    help="What a row is about.",
)
@s3_options
@click.option("--json", "as_json", is_flag=True, help="Show it as JSON, every package by itself.")
def command(sources: tuple[str, ...], **options: Any) -> int:
    """Show what data packages are there: how many, how large, of which days, and days missing.

    SOURCE is an s3:// URL of an object or a prefix, a folder or a file. Without one, it is edX's
    buckets, and --partner says whose folder.
    """
    with put_off():  # compiled modules may crash where they are interrupted in their making
        from edxlogs.jobs.listing import run_list

    return run_list(sources, **options)
