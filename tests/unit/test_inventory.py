"""What is there: groups add up, gaps are the days without a file, folders are searched."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxlogs.edx.layout import Days
from edxlogs.edx.packages import Package, PackageKind, describe_key
from edxlogs.errors import EdxlogsError, MissingSourceError
from edxlogs.mirror.inventory import Item, find_gaps, group, local_items, stretches

DAY = datetime.timedelta(days=1)
START = datetime.date(2014, 1, 1)
WHEN = datetime.datetime(2014, 3, 9, tzinfo=datetime.UTC)
FAR = datetime.date(2100, 1, 1)


def item(
    number: int, partner: str | None = "univx", site: str | None = "prod", size: int = 1
) -> Item:
    package = Package(PackageKind.EVENTS, partner, site, START + number * DAY)
    return Item(f"{partner}-{site}-{number}", package, size, WHEN + number * DAY)


ITEMS = st.lists(
    st.one_of(
        st.builds(
            item,
            st.integers(0, 60),
            st.sampled_from(["univx", "mitx", None]),
            st.sampled_from(["prod", "edge", None]),
            st.integers(0, 1000),
        ),
        st.just(Item("other", None, 7, WHEN)),
        st.just(Item("zip", Package(PackageKind.DATABASE, "univx", None, START), 9, WHEN)),
        st.just(Item("rdx", Package(PackageKind.RESEARCH, "univx"), 5, WHEN)),
    )
)


@given(ITEMS, st.sampled_from(["year", "day"]))
def test_groups_add_up(items: list[Item], by: str) -> None:
    groups = group(items, by=by)
    assert sum(one.files for one in groups) == len(items)
    assert sum(one.bytes for one in groups) == sum(one.size for one in items)
    days = {one.package.day for one in items if one.package and one.package.day}
    assert set().union(*(one.days for one in groups)) == days
    names = [(one.partner, one.site, one.kind, one.period) for one in groups]
    assert len(set(names)) == len(names)
    for one in groups:
        assert all(one.period == (str(day.year) if by == "year" else str(day)) for day in one.days)


def test_groups_are_in_order_and_what_has_no_name_comes_last() -> None:
    items = [Item("other", None, 7, WHEN), item(0, None, None), item(400), item(0), item(0, "mitx")]
    names = [(one.partner, one.period) for one in group(items)]
    assert names == [
        ("mitx", "2014"), ("univx", "2014"), ("univx", "2015"), (None, "2014"), (None, None)
    ]  # fmt: skip
    assert group(items)[2].newest == WHEN + 400 * DAY


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(-5, 45), st.integers(-5, 45))
def test_what_is_missing_is_what_is_not_there(there: set[int], first: int, last: int) -> None:
    first, last = sorted((first, last))
    window = Days(START + first * DAY, START + last * DAY)
    (gaps,) = find_gaps([item(number) for number in there], window, today=FAR)
    expected = [START + n * DAY for n in range(first, last + 1) if n not in there]
    assert gaps.missing == expected
    assert gaps.window == window
    (gaps,) = find_gaps([item(number) for number in there], today=FAR)
    everything = range(min(there), max(there) + 1)
    assert gaps.missing == [START + n * DAY for n in everything if n not in there]


def test_gaps_are_those_of_each_partner_and_site() -> None:
    items = [item(0), item(2), item(0, site="edge"), item(1, site="edge"), item(3, "mitx")]
    zipped = Item("z", Package(PackageKind.DATABASE, "x", None, START), 1, WHEN)
    gaps = find_gaps([*items, zipped], today=FAR)
    assert [(one.partner, one.site, len(one.missing)) for one in gaps] == [
        ("mitx", "prod", 0), ("univx", "edge", 0), ("univx", "prod", 1)
    ]  # fmt: skip


def test_no_day_is_missing_between_rotations(tmp_path: Path) -> None:
    for name in ("tracking.log-20240401.gz", "tracking.log-20240801-1722470461.gz"):
        (tmp_path / name).write_bytes(b"")
    items = local_items([str(tmp_path)], [])
    assert [one.package and one.package.day for one in items] == [
        datetime.date(2024, 4, 1),
        datetime.date(2024, 8, 1),
    ]
    assert find_gaps(items, today=FAR) == []


def test_days_to_come_are_not_missing() -> None:
    today = START + 3 * DAY
    (gaps,) = find_gaps([item(0)], Days(START, START + 30 * DAY), today=today)
    assert gaps.missing == [START + DAY, START + 2 * DAY]
    assert find_gaps([item(0)], Days(today, START + 30 * DAY), today=today) == []


@given(st.sets(st.dates(START, START + 60 * DAY)))
def test_stretches_hold_just_those_days(days: set[datetime.date]) -> None:
    found = stretches(sorted(days))
    spread = [
        first + number * DAY for first, last in found for number in range((last - first).days + 1)
    ]
    assert spread == sorted(days)
    # None could be joined with the next one.
    assert all(one[1] + DAY < two[0] for one, two in itertools.pairwise(found))


def test_folders_are_searched(tmp_path: Path) -> None:
    paths = [
        "univx/prod/events/2014/univx-prod-events-2014-03-09.log.gz.gpg",
        "univx-2014-03-09.zip",
        "notes.txt",
    ]
    hidden = ["_edxlogs/objects.jsonl", ".hidden.log", "univx/.git/a.log"]
    for path in (*paths, *hidden):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"abc")
    (tmp_path / "univx/again").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to("nowhere")
    failed: list[EdxlogsError] = []
    items = {one.place: one for one in local_items([str(tmp_path)] * 2, failed)}
    assert set(items) == {str(tmp_path / path) for path in paths}
    assert {str(error) for error in failed} == {
        f"cannot open: {tmp_path}/broken: a broken link to nowhere"
    }
    for path in paths:
        assert items[str(tmp_path / path)].package == describe_key(path)
        assert items[str(tmp_path / path)].size == 3


def test_the_folders_above_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "univx/edge/events/2014"
    folder.mkdir(parents=True)
    (folder / "odd.log.gz").write_bytes(b"")
    monkeypatch.chdir(folder)
    (one,) = local_items([".", "odd.log.gz"], [])
    assert one.package == Package(PackageKind.EVENTS, "univx", "edge")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    failed: list[EdxlogsError] = []
    with pytest.raises(MissingSourceError, match="no such file or folder"):
        list(local_items([str(tmp_path / "none")], failed))
    (tmp_path / "link").symlink_to("nowhere")
    assert list(local_items([str(tmp_path)], failed)) == []
    assert "a broken link to nowhere" in str(failed[0])
