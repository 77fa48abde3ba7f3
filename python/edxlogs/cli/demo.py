"""`edxlogs demo`: makes a place to try edxlogs."""

from __future__ import annotations

from pathlib import Path

import click

from edxlogs.cli.values import files
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs demo try
"""


@click.command("demo", epilog=EXAMPLES)
@click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), shell_complete=files
)
def command(folder: Path) -> None:
    """Make encrypted logs, a database package and a key in DIR, to try edxlogs with.

    You get two weeks of two sites, five courses and some 240 learners, all invented, and the same
    each time. The package belongs to the logs. DIR must be empty or new. It takes gpg, a few
    seconds and 2 MB, but no network. At the end it shows three commands to try.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.looking import demo

    click.echo(str(demo(folder)))
