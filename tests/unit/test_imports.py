"""The house: who may import whom, how many modules a folder holds, how long one is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import edxlogs

HOME = Path(edxlogs.__file__).parent
# What stands on a floor may import what stands on a lower one, and its own folder.
FLOORS = (
    {
        "errors",
        "formats",
        "globs",
        "keywords",
        "plain",
        "text",
        "threads",
        "stops",
        "system",
        "toml",
        "values",
        "watching",
    },
    {"account"},
    {"targets"},
    {"arrow_stream"},
    {"edx"},
    {"generator", "gpg", "s3"},
    {"sources"},
    {"store"},
    {"buckets"},
    {"salt"},
    {"datasets", "events", "database", "mirror"},
    {"delta", "derived", "groups", "summaries"},
    {"jobs"},
    {"api", "dask", "looking", "tables", "upkeep"},
    {"cli"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
ROOT = {"_core"}  # beside all of it
MOST_MODULES = 9
MOST_LINES = 500
MODULES = [path for path in sorted(HOME.rglob("*.py")) if path.parent != HOME or path.stem in FLOOR]


def place(path: Path) -> str:
    """The folder of a module, or itself where it stands at the root."""
    parts = path.relative_to(HOME).parts
    return parts[0] if len(parts) > 1 else path.stem


def imported(path: Path) -> Iterator[str]:
    """The folders, and modules of the root, that a module imports, for types as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "edxlogs":
            parts = (node.module or "").split(".")
            yield from parts[1:2] or (name.name for name in node.names)
        elif isinstance(node, ast.Import):
            for name in node.names:
                parts = name.name.split(".")
                if parts[0] == "edxlogs":
                    yield from parts[1:2]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOME)))
def test_imports_go_down(path: Path) -> None:
    own = place(path)
    for name in imported(path):
        if name in ROOT or name == own:
            continue
        down = FLOOR[name] < FLOOR[own]
        side = FLOOR[name] == FLOOR[own] == 0  # small tools may use each other
        assert down or side, f"{own} stands no higher than {name}"


def test_folders_are_small_and_modules_short() -> None:
    for folder in {path.parent for path in MODULES} - {HOME, HOME / "cli"}:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= MOST_MODULES, folder.name
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= MOST_LINES, path.name
