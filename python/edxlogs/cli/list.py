"""`edxlogs list`: lists data packages."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli import EXIT_FAILED
from edxlogs.cli.choosing import choice_options
from edxlogs.cli.help import Grouped
from edxlogs.cli.options import choice, partner_of, s3_options, words_of
from edxlogs.cli.progress import Shown, tell_json
from edxlogs.cli.values import files
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs list --partner universityx
  edxlogs list --partner universityx --site prod --days 2014-01-01..2014-12-31
  edxlogs list packages/ --kind events
  edxlogs list s3://edx-course-data/universityx/edge/ --by day
  edxlogs list packages/ --json
"""


@click.command("list", cls=Grouped, epilog=EXAMPLES)
@click.argument("sources", nargs=-1, metavar="[SOURCE...]", shell_complete=files)
@choice_options
@choice("--by", "year", "day", default="year", help="What each row stands for.")
@s3_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every package listed.")
def command(sources: tuple[str, ...], *, by: str, as_json: bool, **options: Any) -> int:
    """List data packages: how many, how large, of which days, and which days are missing.

    SOURCE is an s3:// URL of an object or a prefix, a folder or a file. Without SOURCE, edX's
    buckets are listed, and --partner says whose folder.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.listing import list_packages
        from edxlogs.jobs.sync import choice_of

    words = {**words_of(options), "partner": partner_of(options, sources)}
    s3 = words.pop("s3")
    shown = Shown(as_json=as_json)
    found = list_packages(sources, choice_of(**words), shown, by=by, s3=s3)
    if as_json:
        tell_json(found.report())
    elif found.items:
        click.echo(str(found))
    elif not found.failed:
        shown.fail(str(found))
    return 0 if found.is_whole else EXIT_FAILED
