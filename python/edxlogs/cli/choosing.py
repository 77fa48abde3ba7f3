"""Options that choose data packages by edX's layout, which `list` and `sync` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from edxlogs.cli.options import layout_options
from edxlogs.edx.packages import PackageKind

F = TypeVar("F", bound=Callable[..., Any])


def choice_options(function: F) -> F:
    """Which packages."""
    for option in reversed(
        [
            layout_options,
            click.option(
                "--kind",
                type=click.Choice([kind.value for kind in PackageKind]),
                multiple=True,
                help="Kind of data package; may be given again.  [default: all]",
            ),
        ]
    ):
        function = option(function)
    return function
