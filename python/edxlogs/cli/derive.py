"""`edxlogs derive`: makes tables of what learners did and achieved."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
    Bytes,
    account_options,
    s3_options,
    several,
    threads_option,
    words_of,
)
from edxlogs.cli.progress import Shown
from edxlogs.cli.values import OF_CONDITIONS, derived_tables, files
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs derive --events event_tables/ --db tables/ -o derived/
  edxlogs derive --events event_tables/ -o derived/ --table sessions,time_on_task
  edxlogs derive --show sessions
"""


class Minutes(click.ParamType[tuple[float, ...]]):
    """One number of minutes, or two separated by a comma."""

    name = "minutes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Read numbers."""
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a number of minutes; write it like 5 or 5,30", param, ctx)


@click.command("derive", cls=Grouped, epilog=EXAMPLES)
@click.option(
    "--events",
    metavar="DIR",
    shell_complete=files,
    help="Event tables: the folder or s3:// URL that edxlogs tables wrote.",
)
@click.option(
    "--db",
    metavar="DIR",
    shell_complete=files,
    help="Database tables: the folder or s3:// URL that edxlogs db convert wrote.",
)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    shell_complete=files,
    help="Folder for the derived tables, or s3:// prefix.",
)
@several(
    "--table",
    metavar="NAME,…",
    complete=derived_tables,
    help="Tables to make, separated by commas; can be repeated.  [default: all]",
)
@several(
    "--course",
    metavar="COURSE",
    complete=OF_CONDITIONS["course"],
    help="Course id, or glob; can be repeated.  [default: all]",
)
@click.option(
    "--as-of",
    metavar="DATE",
    help="Last day to count: later events and snapshots are left out.",
)
@click.option(
    "--tz",
    metavar="ZONE",
    default="UTC",
    show_default=True,
    help="Time zone in which days begin and end.",
)
@click.option(
    "--gap",
    type=float,
    metavar="MINUTES",
    default=30,
    show_default=True,
    help="A break longer than this begins a new session.",
)
@click.option(
    "--cap",
    type=Minutes(),
    metavar="MINUTES[,MINUTES]",
    default="5,30",
    show_default=True,
    help="Most minutes credited to one action: to a click, and to video or text.",
)
@click.option(
    "--min-n",
    type=click.IntRange(min=1),
    metavar="N",
    default=10,
    show_default=True,
    help="Statistics over fewer learners are null.",
)
@click.option(
    "--olx",
    metavar="DIR",
    shell_complete=files,
    help="Course content: the folder that edxlogs db convert --unpack wrote.",
)
@click.option("--with-email-domain", is_flag=True, help="Include the domains of e-mail addresses.")
@click.option(
    "--memory",
    type=Bytes(),
    metavar="SIZE",
    default="2GB",
    show_default=True,
    help="Memory for DuckDB; beyond it, DuckDB spills to the disk of the output.",
)
@click.option("--show", metavar="TABLE", help="Print the definition of a table, and stop.")
@click.option(
    "--sql-dir",
    metavar="DIR",
    shell_complete=files,
    help="Folder of SQL files that replace definitions of the same name, or add new ones.",
)
@click.option(
    "--compat",
    type=click.Choice(["simeon"]),
    multiple=True,
    help="Add tables that have simeon's column names.",
)
@threads_option
@s3_options
@account_options
def command(
    *, output: str | None, show: str | None, quiet: bool, as_json: bool, **options: Any
) -> int:
    """Make derived tables: sessions, time on task, videos, problems, grades, one row per learner.

    Each table is a dataset in the output, with one partition per course. A course whose inputs have
    not changed is not made again. Columns that need a missing input are null, and a message says
    so. The definitions are SQL files, which DuckDB runs.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.derived.verb import DeriveSettings, definition_text, derive

    if show is not None:
        click.echo(definition_text(show, options["sql_dir"]), nl=False)
        return 0
    if output is None:
        raise click.UsageError("no output: name a folder with -o")
    shown = Shown(quiet=quiet, as_json=as_json)
    return shown.close(derive(DeriveSettings.of(output, **words_of(options)), shown))
