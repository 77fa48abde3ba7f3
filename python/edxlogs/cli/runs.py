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
    import orjson

    from edxlogs.datasets.runs import runs_of
    from edxlogs.text import table

    query, runs = runs_of(folder)
    if as_json:
        document = {"schema_version": 1, "query": query, "runs": runs}
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return 0
    click.echo(f"query: {orjson.dumps(query, option=orjson.OPT_SORT_KEYS).decode()}")
    cells = [[str(run[name]) for name in run] for run in runs]
    for line in table([list(runs[0]), *cells] if runs else [], right=range(1, 7)):
        click.echo(line)
    return 0
