"""`edxlogs derive`: tables of what learners did and came to."""

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
from edxlogs.cli.values import OF_CONDITIONS, files
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs derive --events event_tables/ --db tables/ -o derived/
  edxlogs derive --events event_tables/ -o derived/ --table sessions
  edxlogs derive --show sessions
"""


class Minutes(click.ParamType[tuple[float, ...]]):
    """One number of minutes, or two between a comma."""

    name = "minutes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Read numbers."""
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no number of minutes; write it like 5 or 5,30", param, ctx)


@click.command("derive", cls=Grouped, epilog=EXAMPLES)
@click.option(
    "--events",
    metavar="DIR",
    shell_complete=files,
    help="Tables of events: the folder, or s3:// URL, that edxlogs tables has written.",
)
@click.option(
    "--db",
    metavar="DIR",
    shell_complete=files,
    help="Tables of packages: the folder, or s3:// URL, that edxlogs db convert has written.",
)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    shell_complete=files,
    help="Folder for the derived tables, or s3:// URL of a prefix.",
)
@several("--table", metavar="TABLE", help="Table to be made; may be given again.  [default: all]")
@several(
    "--course",
    metavar="COURSE",
    complete=OF_CONDITIONS["course"],
    help="Course id, or glob; may be given again.  [default: all]",
)
@click.option(
    "--as-of",
    metavar="DATE",
    help="Last day that counts: later events, and later snapshots, are left out.",
)
@click.option("--tz", metavar="ZONE", default="UTC", show_default=True, help="Time zone of days.")
@click.option(
    "--gap",
    type=float,
    metavar="MINUTES",
    default=30,
    show_default=True,
    help="A longer break begins a new session.",
)
@click.option(
    "--cap",
    type=Minutes(),
    metavar="MINUTES[,MINUTES]",
    default="5,30",
    show_default=True,
    help="Most time that an act is credited with: of clicks, and of video and text.",
)
@click.option(
    "--min-n",
    type=click.IntRange(min=1),
    metavar="N",
    default=10,
    show_default=True,
    help="Statistics of fewer learners are null.",
)
@click.option(
    "--olx",
    metavar="DIR",
    shell_complete=files,
    help="Content of the courses, that edxlogs db convert --unpack has written.",
)
@click.option("--with-email-domain", is_flag=True, help="Tell the domains of e-mail addresses.")
@click.option(
    "--memory",
    type=Bytes(),
    metavar="SIZE",
    default="2GB",
    show_default=True,
    help="What DuckDB may use before it spills to the disk of the output.",
)
@click.option("--show", metavar="TABLE", help="Print the definition of a table, and do nothing.")
@click.option(
    "--sql-dir",
    metavar="DIR",
    shell_complete=files,
    help="SQL files that stand for definitions of the same name, or beside them.",
)
@click.option(
    "--compat",
    type=click.Choice(["simeon"]),
    multiple=True,
    help="Add tables with the names of simeon's columns, over ours.",
)
@threads_option
@s3_options
@account_options
def command(
    *, output: str | None, show: str | None, quiet: bool, as_json: bool, **options: Any
) -> int:
    """Make derived tables: sessions, time on task, videos, problems, grades, a row a learner.

    Each is a dataset in the output, with a partition a course. A course whose inputs have not
    changed is not made again. What a missing input would tell is null, and told. The definitions
    are SQL files; DuckDB carries them out.
    """
    with put_off():  # compiled modules may crash where they are interrupted in their making
        from edxlogs.derived.verb import DeriveSettings, definition_text, derive

    if show is not None:
        click.echo(definition_text(show, options["sql_dir"]), nl=False)
        return 0
    if output is None:
        raise click.UsageError("there is no output: name a folder with -o")
    shown = Shown(quiet=quiet, as_json=as_json)
    return shown.close(derive(DeriveSettings.of(output, **words_of(options)), shown))
