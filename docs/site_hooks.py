"""What the site needs beside plugins: folders in its navigation, and a look for the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

# What a browser fetches as it opens a page, in contrast to a link that somebody clicks.
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b(?![^>]*\brel=[\"']?(?:canonical|alternate|next|prev))[^>]*?"
    r"\bhref=[\"']?(?:https?:)?//[^>]*>"
    r"|@import\s+[^;]*?(?:https?:)?//[^;]*;"
    r"|url\([\"']?(?:https?:)?//[^)]*\)",
    re.IGNORECASE,
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder where the navigation names the folder (`reference/tables/`)."""
    config.nav = _expanded(config.nav, Path(config.docs_dir))
    return config


def on_post_build(config: MkDocsConfig) -> None:
    """Fail if a page fetches anything from another server."""
    for path in sorted(Path(config.site_dir).rglob("*")):
        if path.suffix in {".html", ".css"} and (found := fetched(path.read_text("utf-8"))):
            raise PluginError(f"{path}: is not readable offline: {found[0]}")


def fetched(text: str) -> list[str]:
    """What a page or a style sheet fetches from other servers, as it stands there."""
    return _FETCHED.findall(text)


def _expanded(nav: Any, docs: Path) -> Any:
    if isinstance(nav, dict):
        return {title: _expanded(below, docs) for title, below in nav.items()}
    if isinstance(nav, list):
        return [_expanded(one, docs) for one in nav]
    if isinstance(nav, str) and nav.endswith("/"):
        return [path.relative_to(docs).as_posix() for path in sorted((docs / nav).glob("*.md"))]
    return nav
