"""Values that the shell can complete: known names, and courses of a dataset."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]"


def files(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Leave it to the shell to complete paths."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _among(names: Callable[[], Iterable[str]], *, many: bool = False) -> Completer:
    """Names that begin with what was typed; with `many`, after the last comma."""

    def complete(
        _ctx: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        before, comma, begun = incomplete.rpartition(",") if many else ("", "", incomplete)
        found = sorted({name for name in names() if name.startswith(begun)})
        return [CompletionItem(f"{before}{comma}{name}") for name in found]

    return complete


def _categories() -> Iterable[str]:
    from edxlogs.edx.categories import categories

    return categories()


def _event_types() -> Iterable[str]:
    from edxlogs.edx.categories import categories

    return [*_of_dataset("event_type"), *(one for of in categories().values() for one in of)]


def _columns() -> Iterable[str]:
    from edxlogs import _core

    return [name for name, *_ in _core.columns()]


def _keys() -> Iterable[str]:
    from edxlogs import _core

    return _core.partition_keys()


def _summary_keys() -> Iterable[str]:
    from edxlogs import _core

    return ["course", "org", *_core.summary_keys()]


def _tables() -> Iterable[str]:
    from edxlogs.edx.tables import JOINED, tables

    return [*tables(), JOINED]


def _event_tables() -> Iterable[str]:
    from edxlogs.edx.event_tables import event_tables

    return event_tables()


def _derived_tables() -> Iterable[str]:
    from edxlogs.derived.definition import read_definitions

    return [one.name for one in read_definitions().tables]


def _courses() -> Iterable[str]:
    return _of_dataset("course_id")


def _sites() -> Iterable[str]:
    return ["prod", "edge", *_of_dataset("site")]


def _of_dataset(key: str) -> set[str]:
    """Values of a partition key in the datasets named on the line, as their folders spell them."""
    from click.shell_completion import split_arg_string

    from edxlogs.datasets.reader import data_files, values_of
    from edxlogs.errors import EdxlogsError
    from edxlogs.store.place import Folder
    from edxlogs.store.store import open_manifest

    # Click's context lacks the words before an option whose value is still missing.
    line = os.environ.get("COMP_LINE") or os.environ.get("COMP_WORDS", "")
    told: set[str | None] = set()
    for word in split_arg_string(line)[2:]:
        path = word.partition("=")[2] if word.startswith("--") else word
        with contextlib.suppress(EdxlogsError, OSError, ValueError):
            files_there = data_files(open_manifest(Folder(Path(path)))) if path else []
            told |= {values_of(file.path).get(key) for file in files_there}
    return {unquote(value) for value in told if value}


columns = _among(_columns, many=True)
partition_keys = _among(_keys, many=True)
summary_keys = _among(_summary_keys, many=True)
tables = _among(_tables, many=True)
event_tables = _among(_event_tables, many=True)
derived_tables = _among(_derived_tables, many=True)
OF_CONDITIONS: dict[str, Completer] = {
    "course": _among(_courses),
    "event_type": _among(_event_types),
    "category": _among(_categories),
    "event_source": _among(lambda: ("server", "browser", "mobile", "task")),
    "site": _among(_sites),
}
"""By the name of the condition."""
