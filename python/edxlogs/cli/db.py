"""`edxlogs db`: what a database package holds, and its tables as files."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.options import s3_options
from edxlogs.stops import put_off

LIST_EXAMPLES = """\b
Examples:
  edxlogs db list universityx-2014-10-05.zip
  edxlogs db list universityx-2014-10-05.zip --by course
  edxlogs db list s3://course-data/universityx-2014-10-05.zip --json
"""


@click.group("db")
def command() -> None:
    """Show and convert database packages: the weekly zip of tables, and e-mail preferences."""


@command.command("list", epilog=LIST_EXAMPLES)
@click.argument("packages", nargs=-1, metavar="PACKAGE...", required=True)
@click.option(
    "--by",
    type=click.Choice(["table", "course"]),
    default="table",
    show_default=True,
    help="What a row is about.",
)
@s3_options
@click.option("--json", "as_json", is_flag=True, help="Show it as JSON, every file by itself.")
def list_command(packages: tuple[str, ...], **options: Any) -> int:
    """Show what packages hold: courses, tables, sites, sizes, what is missing or unknown.

    PACKAGE is the path or the s3:// URL of a zip, of which only the directory is fetched. Nothing
    is decrypted: courses are called as in the names of their files.
    """
    with put_off():  # compiled modules may crash where they are interrupted in their making
        from edxlogs.cli.db_listing import run_list

    return run_list(packages, **options)
