"""Event categories: the data, and what is said of an unknown name."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import edxlogs.edx
from edxlogs.edx.categories import categories, event_types_of
from edxlogs.errors import ConfigError

REFERENCE = Path(
    os.environ.get("EDXLOGS_REFERENCE")
    or Path(__file__).resolve().parents[3] / "shared" / "reference"
)


def test_every_category_has_types_and_names_each_once() -> None:
    known = categories()
    assert len(known) == 36
    for category, types in known.items():
        assert types, category
        assert len(types) == len(set(types)), category


def test_a_type_belongs_to_one_category() -> None:
    types = [event_type for types in categories().values() for event_type in types]
    assert len(types) == len(set(types))


def test_video_holds_web_and_mobile_names_and_a_name_that_is_an_alias_alone() -> None:
    video = event_types_of("video")
    assert {"play_video", "edx.video.played", "edx.video.completed"} <= set(video)
    assert "edx.video.bumper.played" not in video


def test_implicit_events_are_a_glob() -> None:
    assert event_types_of("implicit") == ("/*",)


def test_only_the_glob_holds_a_wildcard() -> None:
    types = {event_type for types in categories().values() for event_type in types}
    assert {event_type for event_type in types if set(event_type) & set("*?<> ")} == {"/*"}


@pytest.mark.parametrize(
    ("category", "nearest"),
    [("vidoe", "video"), ("Forum", "forum"), ("certificate", "certificates")],
)
def test_an_unknown_category_names_the_nearest(category: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"'{category}' is unknown: try .*{nearest}"):
        event_types_of(category)


def test_a_category_like_no_other_names_them_all() -> None:
    with pytest.raises(ConfigError, match=r"account, badges, .*video_preroll$"):
        event_types_of("zzzzzzzz")


# Types that the research guide does not name, with what stands in their `event_source`.
OF_CODE = {
    "video": {
        "skip_video": {"browser"},
        "do_not_show_again_video": {"browser"},
        "auto_advance_change_video": {"browser"},
        "edx.video.completed": {"browser", "mobile"},
    },
    "grades": {"edx.grades.subsection.score_overridden": {"server"}},
    "ora": {
        "openassessmentblock.create_team_submission": {"server"},
        "openassessmentblock.save_files_descriptions": {"server"},
        "openassessmentblock.remove_uploaded_file": {"server"},
        "openassessment.upload_file_error": {"browser"},
    },
    "item_bank": {
        "edx.itembankblock.content.assigned": {"server"},
        "edx.itembankblock.content.removed": {"server"},
    },
    "account": {"edx.user.settings.change_initiated": {"server"}},
    "lti": {
        "xblock.launch_request": {"server"},
        "edx.lti.xblock.launch_request": {"server"},
    },
    "enrollment": {"edx.course.enrollment.upgrade_clicked": {"browser"}},
}


def table(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table, but for what is said of it."""
    with path.open(encoding="utf-8", newline="") as lines:
        told = (line for line in lines if not line.startswith("#"))
        yield from csv.DictReader(told, delimiter="\t", quoting=csv.QUOTE_NONE)


def sources_of(rows: Iterable[dict[str, str]]) -> dict[str, set[str]]:
    return {row["name"]: set(row["sources"].split(",")) for row in rows}


def of_project() -> list[dict[str, str]]:
    return list(table(Path(edxlogs.edx.__file__).with_name("categories.tsv")))


def test_types_of_code_are_known_with_their_sources() -> None:
    sources = sources_of(of_project())
    for category, types in OF_CODE.items():
        assert set(types) <= set(event_types_of(category)), category
        for name, expected in types.items():
            assert sources[name] == expected, name


def reference(name: str) -> Path:
    path = REFERENCE / name
    if not path.is_file():
        pytest.skip("no reference folder: set EDXLOGS_REFERENCE")
    return path


def test_the_data_agree_with_the_reference() -> None:
    expected: dict[str, set[str]] = {}
    sources = {}
    for row in table(reference("event-types.tsv")):
        name = "/*" if row["name"] == "/<path>" else row["name"]
        expected.setdefault(row["category"], set()).update({name, row["alias"]} - {""})
        sources[name] = set(row["sources"].split(","))
    for category, types in OF_CODE.items():
        expected.setdefault(category, set()).update(types)
        sources.update(types)
    assert {category: set(types) for category, types in categories().items()} == expected
    assert sources_of(of_project()) == sources


def test_the_types_of_code_are_those_of_the_page_of_event_tables() -> None:
    page = reference("../event-tables.md").read_text("utf-8")
    section = page.split("## 3. ")[1].split("\n## ")[0]
    found: dict[str, set[str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or cells[0] in {"name", "---"}:
            continue
        whole = ""
        for name in re.split(r"[,/] ", cells[0]):
            # `.removed` stands for the name before it with another last word.
            whole = whole.rpartition(".")[0] + name.strip() if name[0] == "." else name.strip()
            found[whole] = set(cells[1].split(", "))
    assert found == {name: its for types in OF_CODE.values() for name, its in types.items()}
