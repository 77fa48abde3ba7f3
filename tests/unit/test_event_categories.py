"""Event categories: the data, and what is said of an unknown name."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from edxlogs.edx.categories import categories, event_types_of
from edxlogs.errors import ConfigError

REFERENCE = Path(
    os.environ.get("EDXLOGS_REFERENCE")
    or Path(__file__).resolve().parents[3] / "shared" / "reference"
)


def test_every_category_has_types_and_names_each_once() -> None:
    known = categories()
    assert len(known) == 34
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


def test_the_data_agree_with_the_reference() -> None:
    path = REFERENCE / "event-types.tsv"
    if not path.is_file():
        pytest.skip("no reference folder: set EDXLOGS_REFERENCE")
    expected: dict[str, set[str]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            name = "/*" if row["name"] == "/<path>" else row["name"]
            expected.setdefault(row["category"], set()).update({name, row["alias"]} - {""})
    assert {category: set(types) for category, types in categories().items()} == expected
