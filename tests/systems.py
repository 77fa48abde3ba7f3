"""A system that has nothing of what `edxlogs.system` can do without: any Unix but Linux."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import forked
from edxlogs import system

IS_LINUX = sys.platform == "linux"
LACKING: dict[str, Any] = {
    "_DESCRIPTORS": None,
    "_GET_PATH": None,
    "_SET_PIPE_BYTES": None,
    "_FULL_SYNC": None,
    "_BOOT_ID": "/there/is/none",
    "_MEMORY_FOLDER": "/there/is/none",
    "_memory_file": None,
    "_affinity": None,
    "_sync_file_system": lambda _: False,
}


def be_plain(patch: Any = setattr) -> None:
    """Take away from this process what Linux has."""
    for name, value in LACKING.items():
        patch(system, name, value)


COMMAND = (
    *(*forked.PYTHON, "-c"),
    "import sys\n"
    f"sys.path.append({str(Path(__file__).parent)!r})\n"
    "import systems\n"
    "from edxlogs import cli\n"
    "systems.be_plain()\n"
    "sys.exit(cli.execute(sys.argv[1:]))\n",
)
"""The command on such a system."""
