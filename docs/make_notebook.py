"""Write docs/notebooks/course_team.ipynb, with its outputs and its pictures, from course_team.py.

A line `# %%` begins a cell, `# %% [markdown]` one of text.
"""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

from edxlogs.generator import keys

FOLDER = Path(__file__).parent / "notebooks"
NAME = "course_team"
PICTURES = ("activity", "videos", "problems")
COLOURS = 64  # of a picture
PNG = "image/png"


def cells() -> list[Any]:
    """The cells of the notebook, not run."""
    text = (FOLDER / f"{NAME}.py").read_text("utf-8")
    found = []
    for number, (kind, body) in enumerate(
        re.findall(r"^# %%( \[markdown\])?\n(.*?)(?=^# %%|\Z)", text, re.M | re.S)
    ):
        if kind:
            words = re.sub(r"^# ?", "", body.strip(), flags=re.M)
            cell = nbformat.v4.new_markdown_cell(words)
        else:
            cell = nbformat.v4.new_code_cell(body.strip())
        cell["id"] = f"cell-{number}"
        found.append(cell)
    return found


def run(folder: Path) -> Any:
    """The notebook with its outputs.

    Args:
        folder: where it works; it must be empty.
    """
    notebook = nbformat.v4.new_notebook(cells=cells())
    notebook["metadata"]["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
    )
    # Its state and its history do not go to the home of the user.
    client.create_kernel_manager().connection_file = str(folder / "kernel.json")
    try:
        client.execute(env={**os.environ, "IPYTHONDIR": str(folder / "ipython")})
    finally:
        keys.kill_agents(folder / "demo" / "gnupg")
    del notebook["metadata"]["language_info"]  # the version of Python
    return notebook


def pictures(notebook: Any) -> Iterator[Any]:
    """The outputs that are pictures, in order."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if PNG in output.get("data", ()):
                yield output["data"]


def small(png: bytes) -> bytes:
    """A picture of few colours, which takes a fifth of the bytes."""
    told = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(told, "PNG", optimize=True)
    return told.getvalue()


if __name__ == "__main__":
    with keys.home() as folder:  # its path is short: sockets of gpg have a place below it
        made = run(folder)
    for name, data in zip(PICTURES, pictures(made), strict=True):
        png = small(base64.b64decode(data[PNG]))
        data[PNG] = base64.b64encode(png).decode()
        (FOLDER / f"{name}.png").write_bytes(png)
    nbformat.write(made, FOLDER / f"{NAME}.ipynb")
