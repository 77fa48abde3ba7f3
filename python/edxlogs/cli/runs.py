"""`edxlogs runs`: shows what was done to a dataset, run by run."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.options import json_option, s3_of, s3_options
from edxlogs.cli.progress import tell_json

EXAMPLES = """\b
Examples:
  edxlogs runs events
  edxlogs runs events --json | jq .runs[-1]
"""


@click.command("runs", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path())
@s3_options
@json_option
def command(folder: str, *, as_json: bool, **s3: Any) -> int:
    """Show the runs that made a dataset, from its manifest.

    DIR is a dataset of edxlogs filter --partition-by, as a folder or an s3:// URL, or the folder of
    edxlogs db convert or edxlogs tables, whose tables are datasets.
    """
    from edxlogs.buckets.place import places_at
    from edxlogs.datasets.runs import Histories, history_of

    found = {table: history_of(one) for table, one in places_at(folder, s3_of(s3)).items()}
    history = found[""] if "" in found else Histories(found)
    if as_json:
        tell_json(history.report())
    else:
        click.echo(str(history))
    return 0
