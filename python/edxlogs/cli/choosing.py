"""Options that choose data packages by edX's layout, which `list` and `sync` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from edxlogs.cli.options import layout_options, partner_of
from edxlogs.edx.layout import ALL_DAYS, parse_days
from edxlogs.edx.packages import Choice, PackageKind

F = TypeVar("F", bound=Callable[..., Any])


def choice_options(function: F) -> F:
    """Which packages."""
    for option in reversed(
        [
            layout_options,
            click.option(
                "--kind",
                "kinds",
                type=click.Choice([kind.value for kind in PackageKind]),
                multiple=True,
                help="Kind of data package; may be given again.  [default: all]",
            ),
        ]
    ):
        function = option(function)
    return function


def choice_of(options: dict[str, Any], sources: Sequence[str]) -> Choice:
    """The choice that the options make among the packages of those sources, or of edX's buckets.

    Raises:
        ConfigError: one of them cannot be read.
    """
    return Choice(
        partner=partner_of(options, sources),
        sites=options["site"],
        kinds=tuple(map(PackageKind, options["kinds"])),
        days=parse_days(options["days"]) or ALL_DAYS,
    )
