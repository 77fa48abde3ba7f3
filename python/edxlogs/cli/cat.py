"""`edxlogs cat`: writes the rows of a dataset, by its manifest."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
    ColumnNames,
    days_option,
    format_option,
    json_option,
    row_options,
    s3_options,
    site_option,
    words_of,
)
from edxlogs.cli.progress import tell, tell_json
from edxlogs.cli.values import columns as column_names
from edxlogs.cli.values import files
from edxlogs.formats import STDOUT

EXAMPLES = """\b
Examples:
  edxlogs cat events --course course-v1:UnivX+CS101+2014 --columns time,user_id,event_type
  edxlogs cat events --since 2014-10-01 --until 2014-10-02 -o day.parquet
  edxlogs cat events --category video --where "event.currentTime > 60" -o late.csv.gz
  edxlogs cat lines | jq .event_type
"""


@click.command("cat", cls=Grouped, epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path())
@site_option
@days_option
@row_options
@click.option(
    "--columns",
    type=ColumnNames(),
    metavar="A,B,…",
    shell_complete=column_names,
    help="Columns in order; a path needs a name (grade=event.grade::float64).",
)
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE",
    shell_complete=files,
    help="Output file; - is standard output, CSV by default.  [default: -]",
)
@format_option
@click.option(
    "--csv-excel-safe", is_flag=True, help="CSV, TSV: defuse what a spreadsheet would run."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@s3_options
@json_option
def command(folder: str, *, output: str, as_json: bool, **options: Any) -> int:
    """Write the rows of a dataset, all as of one commit.

    DIR is a folder or an s3:// URL: a dataset of edxlogs filter --partition-by, or a table of
    edxlogs tables or edxlogs db convert. Conditions are those of edxlogs filter; the columns of the
    dataset answer them. Partitions, row groups and columns that are not needed are not read. A
    dataset of JSON Lines gives its lines.
    """
    from edxlogs.jobs.datasets.verbs import cat_dataset

    if as_json and output == STDOUT:
        raise click.UsageError(
            "--json and the rows would both go to standard output: name a file with -o"
        )
    copied = cat_dataset(folder, output, **words_of(options))
    for warning in copied.warnings:
        tell(f"edxlogs: warning: {warning}")
    if as_json:
        tell_json(copied.report())
    return 0
