"""Globs over the names in a path, and over ids and types."""

from __future__ import annotations

import fnmatch
import re

_PATH_CHARACTERS = re.compile(r"[*?\[]")


def is_path_glob(path: str) -> bool:
    """Whether a path, or a name in a path, contains `*`, `?` or `[…]`."""
    return _PATH_CHARACTERS.search(path) is not None


def name_matches(name: str, pattern: str) -> bool:
    """Whether a name in a path equals the pattern, or matches it as a glob. Case matters."""
    return name == pattern or (is_path_glob(pattern) and fnmatch.fnmatchcase(name, pattern))


def is_value_glob(value: str) -> bool:
    """Whether an id or a type contains `*` or `?`."""
    return "*" in value or "?" in value


def value_matches(value: str, pattern: str) -> bool:
    """Whether an id or a type equals the pattern or matches it as a glob. `[` stands for itself."""
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))
