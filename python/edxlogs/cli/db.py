"""`edxlogs db`: shows what a database package contains, and writes its tables as files."""

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
    # Settings of the config file apply to each of the commands.
    ctx.default_map = dict.fromkeys(command.commands, ctx.default_map or {})


@command.command("list", cls=Grouped, epilog=LIST_EXAMPLES)
@click.argument("packages", nargs=-1, metavar="PACKAGE...", required=True, shell_complete=files)
@choice("--by", "table", "course", default="table", help="What each row stands for.")
@prompt_options
@s3_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every file listed.")
def list_command(packages: tuple[str, ...], *, by: str, as_json: bool, **options: Any) -> int:
    """Show what packages hold: courses, tables, sites, sizes, and what is missing or unknown.

    PACKAGE is the path or the s3:// URL of a zip, a tar, a folder or prefix of packages or tables,
    or a single table. Of a zip, only the directory is fetched, and nothing is decrypted. A tar,
    such as one of the research exchange, is read from end to end. Courses have the names that their
    files have.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
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
    help="Folder for the tables, or s3:// prefix.",
)
@choice("--format", *FORMATS, default="parquet", help="Format of the tables.")
@click.option("--csv-excel-safe", is_flag=True, help="Defuse what a spreadsheet would run.")
@choice(
    "--layout",
    "table",
    "course",
    default="table",
    help="One dataset per table, or one folder per course.",
)
@choice(
    "--snapshots",
    "newest",
    "all",
    default="newest",
    help="Convert only the newest package of an organisation; or all, each in a folder of its day.",
)
@several(
    "--course",
    metavar="COURSE",
    complete=OF_CONDITIONS["course"],
    help="Course id, or name as in `db list`, or a glob of either; can be repeated.",
)
@several(
    "--table",
    metavar="NAME,…",
    complete=tables,
    help="Tables, by their names in `db list`, separated by commas; can be repeated.",
)
@several(
    "--site",
    metavar="SITE",
    complete=OF_CONDITIONS["site"],
    help="prod, edge, …, from the names of the files.",
)
@click.option(
    "--known-courses",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="File of course ids, one per line. A file whose course is unknown gets the one that is"
    " spelled like its name.",
)
@click.option(
    "--expand",
    type=click.Choice(["studentmodule", "ora"]),
    multiple=True,
    help="studentmodule adds columns of the problem state to courseware_studentmodule; ora adds"
    " the table ora_submissions, which joins those of open response assessments.",
)
@click.option("--unpack", is_flag=True, help="Also unpack the content of courses (OLX).")
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
    """Write the tables of packages as typed files: one dataset per table, partitioned by course.

    PACKAGE is the path or the s3:// URL of a zip, a tar (such as one of the research exchange), a
    folder or prefix of packages or tables, or a single table. Each file in it is decrypted on the
    way. Its rows appear once it has passed its checks; a file that fails them is named and left
    out.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
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
