"""What the names of files in a database package say: table, site, and course.

`{Org}-{Course}-{Run}` cannot be split, because each part may contain hyphens. It is kept whole, as
the `stem` that the files of a course share. The contents of the files tell which course it is.

Source: EdX Research Guide, "Data Delivered in Data Packages", and the names that the exporter
gives.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from edxlogs.edx.names import KNOWN_SITES
from edxlogs.edx.tables import Table, tables
from edxlogs.text import shown

Key = tuple[str | None, str | None]
"""Stem and site. Each platform has courses of its own."""

_FAILED = ".failed"
_ENDINGS = (".xml.tar.gz", ".sql", ".json", ".csv", ".mongo")
# Names of more than 235 characters are cut, and end in a digest of what they were.
_DIGEST = re.compile(r"-[0-9a-f]{32}$")
# Marks that file managers and browsers add to copies. edX's names contain no spaces.
_COPIED = re.compile(
    r"^Copy of (?=.)|(?: - Copy)?(?: copy)?(?: \([0-9]+\)| [0-9]+)?(?=(?:\.[a-z]+)+\Z)"
)
_MAIN_SITE = "prod"
_SITE = re.compile(r"[a-z][a-z0-9-]*")
_SITES = {**KNOWN_SITES, "prod-edge": "edge", "prod-edx": "prod"}


@dataclass(frozen=True, slots=True)
class MemberName:
    """What a file's name says. A field is None if the name says nothing about it.

    Attributes:
        table: the table whose rows the file holds; None if the name is unknown.
        stem: organisation, course and run as the exporter wrote them, or only the organisation.
        site: `prod`, `edge` (written `edge` or `prod-edge`), or another word found there.
        failed: whether it holds the message of a failed export instead of a table.
    """

    table: Table | None = None
    stem: str | None = None
    site: str | None = None
    failed: bool = False

    @property
    def key(self) -> Key:
        """Stem and site, which the files of a course share."""
        return self.stem, self.site


def describe_members(paths: Iterable[str]) -> list[MemberName]:
    """Read the names of all files in a package together, since they tell each other's sites."""
    names = [describe_member(path) for path in paths]
    others = [name for name in names if name.stem and name.site and not _is_forum(name)]
    sites = {f"{name.stem}-{name.site}".lower(): name for name in others}
    return [_beside(name, sites) for name in names]


def _is_forum(name: MemberName) -> bool:
    return name.table is tables()["forum"]


def _beside(name: MemberName, sites: dict[str, MemberName]) -> MemberName:
    """The name of a forum without a known site, perhaps changed to match a file of its course."""
    unsaid = _is_forum(name) and name.site == _MAIN_SITE
    other = sites.get((name.stem or "").lower()) if unsaid else None
    return name if other is None else replace(name, stem=other.stem, site=other.site)


def is_table(path: str) -> bool:
    """Tell whether a name is that of a package's file, wherever it is found.

    In a package of e-mail preferences, any `.csv` counts.
    """
    base = path.rpartition("/")[2].lower()
    name = _describe(path)
    if name.table is not None and name.table.name == "email_opt_in":
        return "opt" in base and "in" in base.partition("opt")[2]
    return name.table is not None


def describe_member(path: str, course: str | None = None) -> MemberName:
    """Read the name of a file, without the folders before it.

    Args:
        path: name of the file in the package.
        course: the course of all files, `{org}_{course}_{run}`, in a package of one course.
    """
    name = _describe(path)
    if course is None or not _is_forum(name) or name.stem is None:
        return name
    # Separators, and letters that are not ASCII, are replaced in different ways.
    spelled, written = (re.sub(r"\W", "_", one, flags=re.ASCII) for one in (course, name.stem))
    site = name.stem[len(course) + 1 :]
    if not written.lower().startswith(f"{spelled.lower()}_") or not _SITE.fullmatch(site):
        return name
    return replace(name, stem=name.stem[: len(course)], site=_site(site))


def plain_name(path: str) -> str:
    """The base name of a file, without endings for packing and marks of copies."""
    base = _COPIED.sub("", path.rpartition("/")[2]).removesuffix(".gpg")
    return base if base.endswith(".tar.gz") else base.removesuffix(".gz")


def _describe(path: str) -> MemberName:
    base = _COPIED.sub("", path.rpartition("/")[2]).removesuffix(".gpg")
    failed = base.endswith(_FAILED)
    base = base.removesuffix(_FAILED)
    if not base.endswith(".tar.gz"):
        base = base.removesuffix(".gz")
    for ending in _ENDINGS:
        if base.endswith(ending):
            break
    else:
        return MemberName(failed=failed)
    name = base.removesuffix(ending)
    if ending == ".mongo":
        return _forum(name, failed)
    shorter = _DIGEST.sub("", name)
    found = _by_hyphens(shorter, ending) or _by_underscores(shorter, ending)
    if found is None and ending == ".csv":
        # The separate package of e-mail preferences holds nothing else.
        found = tables()["email_opt_in"], None, "prod"
    if found is None:
        return MemberName(failed=failed)
    table, stem, site = found
    return MemberName(
        table, shown(stem) if stem else None, shown(_site(site) or "") or None, failed
    )


def _site(written: str | None) -> str | None:
    written = (written or "").removesuffix("analytics").strip("-_").lower()
    return _SITES.get(written, written) or None


def _forum(name: str, failed: bool) -> MemberName:
    for written in sorted(_SITES, key=len, reverse=True):
        if name.lower().endswith(f"-{written}"):
            stem = name[: -len(written) - 1]
            return MemberName(tables()["forum"], shown(stem), _SITES[written], failed)
    # Files of the main site had no site in their names at first.
    return MemberName(tables()["forum"], shown(name), _MAIN_SITE, failed)


@functools.cache
def _by_file_name(ending: str) -> dict[str, Table]:
    return {
        name: table
        for table in tables().values()
        if table.extension == ending
        for name in table.file_names
    }


def _by_hyphens(name: str, ending: str) -> tuple[Table, str | None, str | None] | None:
    """Take the last part between hyphens that is a table. Names of tables contain no hyphens."""
    parts = name.split("-")
    known = _by_file_name(ending)
    for at in range(len(parts) - 1, -1, -1):
        if parts[at] in known:
            return known[parts[at]], "-".join(parts[:at]), "-".join(parts[at + 1 :])
    return None


@functools.cache
def _underscored(ending: str) -> re.Pattern[str]:
    names = sorted(map(re.escape, _by_file_name(ending)), key=len, reverse=True)
    return re.compile(rf"(?P<stem>.+)_(?P<table>{'|'.join(names)})_(?P<site>[^_]+)(?:_analytics)?")


def _by_underscores(name: str, ending: str) -> tuple[Table, str | None, str | None] | None:
    """Read a name as the guide spells those of the research exchange."""
    if match := _underscored(ending).fullmatch(name):
        return _by_file_name(ending)[match["table"]], match["stem"], match["site"]
    return None
