"""`edxlogs clean`: files that a published dataset has replaced, removed."""

from __future__ import annotations

from pathlib import Path

import click

from edxlogs.cli.options import json_option, quiet_option
from edxlogs.cli.progress import tell, tell_json
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs clean events
"""


@click.command("clean", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
@quiet_option
def command(folder: Path, *, as_json: bool, quiet: bool) -> int:
    """Remove files that a published dataset has replaced, seven days after its table told of it.

    Each run that writes to the dataset does so, too.
    """
    with put_off():  # compiled modules may crash where they are interrupted in their making
        from edxlogs.jobs.dataset import clean_dataset

    done = clean_dataset(folder)
    if as_json:
        tell_json(done.report())
    elif not quiet:
        tell(str(done))
    return 0
