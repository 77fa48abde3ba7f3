"""Gives what is released the address of its repository, which the sources need not know.

    python release/addresses.py https://github.com/OWNER/edxlogs

The release calls it with the repository that it runs in. It writes `[project.urls]` into
pyproject.toml, so that the package leads to its docs, and makes the links of README.md absolute,
since the page of a package at PyPI has no files beside it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def main(words: list[str], root: Path = ROOT) -> int:
    """Write the address into both files."""
    if len(words) != 1 or not words[0].startswith("https://"):
        print("usage: python release/addresses.py https://…", file=sys.stderr)
        return 2
    address = words[0].rstrip("/")
    project, readme = root / "pyproject.toml", root / "README.md"
    project.write_text(with_urls(project.read_text("utf-8"), address), "utf-8")
    readme.write_text(with_links(readme.read_text("utf-8"), address), "utf-8")
    return 0


def with_urls(text: str, address: str) -> str:
    """pyproject.toml with the table of addresses, before that of the scripts."""
    urls = {
        "Homepage": address,
        "Documentation": f"{address}/blob/main/README.md#documentation",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }
    table = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    before, scripts, after = text.partition("[project.scripts]\n")
    return f"{before}[project.urls]\n{table}\n{scripts}{after}"


def with_links(text: str, address: str) -> str:
    """Markdown whose links to files of the repository are absolute."""

    def absolute(link: re.Match[str]) -> str:
        image, shown, path = link.groups()
        return f"{image}[{shown}]({address}/{'raw' if image else 'blob'}/main/{path})"

    return _LINK.sub(absolute, text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
