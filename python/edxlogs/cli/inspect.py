"""`edxlogs inspect`: shows what a file is."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.options import json_option, prompt_options, s3_options, words_of
from edxlogs.cli.progress import tell_json
from edxlogs.cli.values import files
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs inspect universityx-edge-events-2014-10-01.log.gz.gpg
  edxlogs inspect tracking.log --events 1
  edxlogs inspect s3://edx-course-data/universityx/edge/events/2014/FILE --json
  kubectl logs deploy/lms | edxlogs inspect -
"""


@click.command("inspect", epilog=EXAMPLES)
@click.argument("file", metavar="FILE", shell_complete=files)
@click.option(
    "--events",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Show the first N events.",
)
@prompt_options
@s3_options
@json_option
def command(file: str, *, events: int, as_json: bool, **options: Any) -> None:
    """Show what a file is: layers, size, days, the first events, and payloads by event type.

    FILE is a path, an s3:// URL, or - for standard input. It need not be a log. Without the key, an
    encrypted file still tells which keys open it. Only the first 64 MiB of text are read. Nothing
    is written. Events contain personal data: mind who sees the screen.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.looking import inspect

    found = inspect(file, events=events, **words_of(options))
    if as_json:
        tell_json(found.report())
    else:
        click.echo(str(found))
