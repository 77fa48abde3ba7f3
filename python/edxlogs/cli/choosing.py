"""Options, shared by `list` and `sync`, that choose data packages by edX's layout."""

from __future__ import annotations

import click

from edxlogs.cli.options import layout_options, together
from edxlogs.edx.packages import PackageKind

choice_options = together(
    layout_options,
    click.option(
        "--kind",
        type=click.Choice([kind.value for kind in PackageKind]),
        multiple=True,
        help="Kind of data package; can be repeated.  [default: all]",
    ),
    click.option(
        "--latest",
        is_flag=True,
        help="Only the newest snapshot of the database, and of e-mail preferences, for each"
        " organisation and site.",
    ),
)
"""Which packages."""
