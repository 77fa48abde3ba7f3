"""`edxlogs runs`: what was done to a dataset, run by run."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """\b
Examples:
  edxlogs runs events
  edxlogs runs events --json | jq .runs[-1]
"""


@click.command("runs", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Show one JSON document.")
def command(folder: Path, *, as_json: bool) -> int:
    """Show the runs that made a dataset, as its manifest has them.

    DIR is a dataset of edxlogs filter --partition-by.
    """
    from edxlogs.datasets.runs import history_of
    from edxlogs.text import indented

    history = history_of(folder)
    told = indented(history.report()).decode()
    click.echo(told if as_json else str(history))
    return 0
