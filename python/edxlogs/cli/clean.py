"""`edxlogs clean`: removes files that a published dataset has replaced."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.options import json_option, quiet_option, s3_of, s3_options
from edxlogs.cli.progress import tell, tell_json
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs clean events
"""


@click.command("clean", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path())
@s3_options
@json_option
@quiet_option
def command(folder: str, *, as_json: bool, quiet: bool, **s3: Any) -> int:
    """Remove files that a published dataset has replaced, seven days after its table dropped them.

    Each run that writes to the dataset does so, too. In a folder of edxlogs tables, every table is
    cleaned. DIR may also be the s3:// URL of a dataset. There, files go seven days after they were
    replaced, and so does what stopped runs left behind.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.datasets.verbs import clean_dataset

    done = clean_dataset(folder, s3_of(s3))
    if as_json:
        tell_json(done.report())
    elif not quiet:
        tell(str(done))
    return 0
