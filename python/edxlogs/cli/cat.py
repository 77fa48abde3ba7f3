"""`edxlogs cat`: the rows of a dataset, as its manifest has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edxlogs.cli.options import Columns, several
from edxlogs.cli.values import OF_CONDITIONS, files
from edxlogs.cli.values import columns as column_names
from edxlogs.events.conditions import CONDITIONS

EXAMPLES = """\b
Examples:
  edxlogs cat events --course course-v1:UnivX+CS101+2014 --columns time,user_id,event_type
  edxlogs cat events --since 2014-10-01 --until 2014-10-02 -o day.parquet
  edxlogs cat lines | jq .event_type
"""


@click.command("cat", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@several("--course", metavar="ID", complete=OF_CONDITIONS["course"], help="Course id.")
@several("--event-type", metavar="TYPE", complete=OF_CONDITIONS["event_type"], help="Event type.")
@several("--site", metavar="SITE", complete=OF_CONDITIONS["site"], help="prod, edge, ….")
@click.option("--since", metavar="TIME", help="First day or instant (UTC), included.")
@click.option("--until", metavar="TIME", help="Last day or instant (UTC), not included.")
@click.option(
    "--columns",
    type=Columns(),
    metavar="A,B,…",
    shell_complete=column_names,
    help="Columns, in that order.",
)
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE",
    shell_complete=files,
    help="Output; - is standard output.  [default: -]",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["csv", "parquet", "arrow"]),
    help="Format of the output.  [default: by the ending, else csv]",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def command(
    folder: Path,
    *,
    course: tuple[str, ...],
    event_type: tuple[str, ...],
    site: tuple[str, ...],
    since: str | None,
    until: str | None,
    **options: Any,
) -> int:
    """Write the rows of a dataset, those of one commit: old or new, never some of both.

    DIR is a dataset of edxlogs filter --partition-by. Values are exact; partitions, row groups and
    columns that are not wanted are not read. A dataset of JSON Lines gives its lines as they are.
    """
    from edxlogs.datasets.cat import CatSettings, cat
    from edxlogs.values import micros, values

    given = {"course": course, "event_type": event_type, "site": site}
    columns = {one.name: one.columns[0] for one in CONDITIONS if one.columns}
    asked = {columns[name]: values(name, listed) for name, listed in given.items() if listed}
    first, end = micros("since", since), micros("until", until)
    cat(CatSettings(folder, asked=asked, since=first, until=end, **options))
    return 0
