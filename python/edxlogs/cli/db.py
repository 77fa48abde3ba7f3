"""`edxlogs db`: what a database package holds, and its tables as files."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli import EXIT_FAILED
from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
    account_options,
    choice,
    dask_option,
    prompt_options,
    s3_options,
    several,
    threads_option,
    words_of,
)
from edxlogs.cli.progress import Shown, tell, tell_json
from edxlogs.cli.values import OF_CONDITIONS, files, tables
from edxlogs.formats import FORMATS
from edxlogs.stops import put_off

LIST_EXAMPLES = """\b
Examples:
  edxlogs db list universityx-2014-10-05.zip
  edxlogs db list universityx-2014-10-05.zip --by course
  edxlogs db list s3://course-data/universityx-2014-10-05.zip --json
"""

CONVERT_EXAMPLES = """\b
Examples:
  edxlogs db convert universityx-2014-10-05.zip -o tables/
  edxlogs db convert universityx-2014-10-05.zip --table courseware_studentmodule -o tables/
  edxlogs db convert *.zip --course 'course-v1:UnivX+CS101+*' --layout course -o courses/
  edxlogs db convert s3://course-data/universityx-2014-10-05.zip --format csv -o tables/
"""


@click.group("db")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show and convert database packages: the weekly zip of tables, and e-mail preferences."""
    # Those of the config file are meant for each of the commands.
    ctx.default_map = dict.fromkeys(command.commands, ctx.default_map or {})


@command.command("list", cls=Grouped, epilog=LIST_EXAMPLES)
@click.argument("packages", nargs=-1, metavar="PACKAGE...", required=True, shell_complete=files)
@choice("--by", "table", "course", default="table", help="What a row is about.")
@prompt_options
@s3_options
@click.option("--json", "as_json", is_flag=True, help="Show it as JSON, every file by itself.")
def list_command(packages: tuple[str, ...], *, by: str, as_json: bool, **options: Any) -> int:
    """Show what packages hold: courses, tables, sites, sizes, what is missing or unknown.

    PACKAGE is the path or the s3:// URL of a zip, of which only the directory is fetched and
    nothing is decrypted, or of a tar (one of the research exchange, too), which is read from end to
    end; or a folder or prefix of packages or tables, or a table. Courses are called as in the names
    of their files.
    """
    with put_off():  # compiled modules may crash where they are interrupted in their making
        from edxlogs.jobs.listing import list_contents
        from edxlogs.jobs.settings import Keys

    words = words_of(options)
    s3 = words.pop("s3")
    found = list_contents(packages, Keys.of(**words), Shown(as_json=as_json), by=by, s3=s3)
    if as_json:
        tell_json(found.report())
    elif found.packages:
        click.echo(str(found))
    return 0 if found.is_whole else EXIT_FAILED


@command.command("convert", cls=Grouped, epilog=CONVERT_EXAMPLES)
@click.argument("packages", nargs=-1, metavar="PACKAGE...", required=True, shell_complete=files)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FOLDER",
    shell_complete=files,
    help="Folder for the tables, or s3:// URL of a prefix.",
)
@choice("--format", *FORMATS, default="parquet", help="What the tables are written as.")
@click.option("--csv-excel-safe", is_flag=True, help="Make cells harmless that spreadsheets run.")
@choice(
    "--layout",
    "table",
    "course",
    default="table",
    help="Whose folder holds the other's: a dataset a table, or a folder a course.",
)
@choice(
    "--snapshots",
    "newest",
    "all",
    default="newest",
    help="Of several packages of an organisation, the newest; or each, in a folder of its day.",
)
@several(
    "--course",
    metavar="COURSE",
    complete=OF_CONDITIONS["course"],
    help="Course id, or name that `db list` shows, or glob of either; may be given again.",
)
@several(
    "--table",
    metavar="TABLE",
    complete=tables,
    help="Table, as `db list` calls it; may be given again.",
)
@several(
    "--site",
    metavar="SITE",
    complete=OF_CONDITIONS["site"],
    help="prod, edge, …, as the names of the files tell.",
)
@click.option(
    "--known-courses",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="The courses that exist, one a line: a file whose course nothing tells is of one of them"
    " that is spelled like its name.",
)
@click.option(
    "--expand",
    type=click.Choice(["studentmodule", "ora"]),
    multiple=True,
    help="Further columns of the problem state in courseware_studentmodule; or a further table,"
    " ora_submissions, that joins those of open response assessments.",
)
@click.option("--unpack", is_flag=True, help="Unpack the content of courses (OLX), too.")
@click.option(
    "--rejects",
    metavar="FILE",
    shell_complete=files,
    help="Write rows that cannot be read to FILE.",
)
@prompt_options
@s3_options
@dask_option
@threads_option
@account_options
def convert_command(
    packages: tuple[str, ...],
    *,
    known_courses: str | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Write the tables of packages as typed files, one dataset a table, partitioned by course.

    PACKAGE is the path or the s3:// URL of a zip or a tar (one of the research exchange, too), or
    a folder or prefix of packages or tables, or a table. Each file in it is decrypted on the way,
    and its rows appear when it has passed its checks; one that has not is named and left out.
    """
    with put_off():  # compiled modules may crash where they are interrupted in their making
        from edxlogs.jobs.convert import ConvertSettings, convert

    words = words_of(options)
    if known_courses is not None:
        words["known_courses"] = f"@{known_courses}"
    shown = Shown(quiet=quiet, as_json=as_json)
    done = convert(ConvertSettings.of(packages, **words), shown)
    if quiet and not as_json:
        for hint in done.hints:
            tell(hint)
    return shown.close(done)
