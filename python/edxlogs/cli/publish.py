"""`edxlogs publish`: publishes a dataset as a table for other engines."""

from __future__ import annotations

import click

from edxlogs.cli.options import json_option, quiet_option
from edxlogs.cli.progress import tell, tell_json
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs publish events --as delta
  edxlogs publish tables --as delta
"""


@click.command("publish", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--as", "kind", required=True, metavar="KIND", help="What it becomes: delta.")
@json_option
@quiet_option
def command(folder: str, kind: str, *, as_json: bool, quiet: bool) -> int:
    """Publish a dataset as a Delta table, over the files that are there.

    DIR is a dataset of Parquet, or a folder of edxlogs tables or edxlogs db convert, where each
    table becomes a Delta table. Nothing is rewritten. After runs that change the dataset, run the
    same command again: one commit brings the table up to date. From then on, replaced files stay
    for seven days, so that readers of an older version find them; then edxlogs clean removes them.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.datasets.verbs import publish_dataset

    done = publish_dataset(folder, kind)
    if as_json:
        tell_json(done.report())
    elif not quiet:
        tell(str(done))
    return 0
