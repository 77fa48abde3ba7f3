"""sources/selection.py: which sources a run reads, and what the account says of the others."""

from __future__ import annotations

import datetime
import io
import random
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxlogs.errors import ConfigError, MissingSourceError, SourceError
from edxlogs.sources.selection import Selection, select
from edxlogs.sources.source import Source
from edxlogs.sources.window import Slack, Window, deal, of_shard
from small_logs import lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for site in ("prod", "edge"):
        for day in (1, 2, 20):
            (tmp_path / f"univx-{site}-events-2014-10-{day:02}.log").write_bytes(lines(1))
    (tmp_path / "tracking.log-20141002").write_bytes(lines(1))
    (tmp_path / "notes.txt").write_bytes(b"x")
    return tmp_path


def names(selection: Selection) -> list[str]:
    return [source.name for source in selection.sources]


def test_everything_without_conditions(folder: Path) -> None:
    selection = select(folder, Window())
    assert len(selection.sources) == len(selection.inputs) == 7
    assert selection.account.skipped == []
    assert selection.account.ignored == [str(folder / "notes.txt")]


def test_by_site(folder: Path) -> None:
    selection = select([str(folder)], Window.of(site="edge"))
    assert {source.site for source in selection.sources} == {"edge", None}
    assert len(selection.sources) == 4
    assert len(selection.account.skipped) == 3
    assert len(selection.inputs) == 7
    assert selection.sites == {"prod", "edge"}


@pytest.mark.parametrize(
    ("options", "days"),
    [
        ({"since": "2014-10-03"}, {2, 20}),  # a day before, for clocks and midnight
        ({"since": "2014-10-04"}, {20}),
        ({"since": "2014-10-04", "slack": Slack(3, 0)}, {1, 2, 20}),
        ({"since": "2014-10-04", "slack": None}, {1, 2, 20}),
        ({"until": "2014-09-10"}, {1, 2}),  # thirty days after: 10 October
        ({"until": "2014-10-01", "slack": Slack(0, 0)}, {1}),
        ({"until": "2014-09-10", "by": "received_at"}, set()),
        ({"since": "2014-10-03", "until": "2014-10-04", "by": "received_at"}, {2}),
        ({"until": "2014-09-10", "by": "received_at", "slack": Slack(1, 30)}, {1, 2}),
    ],
)
def test_by_date(folder: Path, options: dict[str, Any], days: set[int]) -> None:
    selection = select(sorted(folder.glob("univx-prod-*")), Window.of(**options))
    assert {source.date.day for source in selection.sources if source.date} == days
    assert len(selection.sources) + len(selection.account.skipped) == 3


def test_rotated_logs_keep_their_slack_by_receipt(folder: Path) -> None:
    wanted = Window.of(until="2014-09-10", by="received_at")
    assert names(select(folder, wanted)) == ["tracking.log-20141002"]


def test_the_first_log_that_is_rotated_after_a_window_is_read_however_late(tmp_path: Path) -> None:
    """By size: a file holds all since the rotation before; of each host and log, its own."""
    there = {
        "a": ["20240401-1711929600.gz", "20240801-1722470461.gz", "20240801-1722480000.gz"],
        "b": ["20240520-1716163200.gz", "20250101-1735689600.gz"],
    }
    for host, stamps in there.items():
        (tmp_path / host).mkdir()
        for stamp in stamps:
            (tmp_path / host / f"tracking.log-{stamp}").write_bytes(lines(1))
    (tmp_path / "univx-prod-events-2024-08-01.log").write_bytes(lines(1))
    window = Window.of(since="2024-05-15", until="2024-05-16")
    selection = select(tmp_path, window)
    assert [source.path.rpartition("/")[2] for source in selection.sources] == [
        *(f"tracking.log-{stamp}" for stamp in there["a"][1:]),
        f"tracking.log-{there['b'][0]}",
    ]
    assert len(selection.account.skipped) == 3
    # A window that ends at midnight ends on the day before.
    until = Window.of(until="2024-08-01")
    assert len(select(tmp_path / "a", until).sources) == 3
    named = Window.of(until="2024-05-16", days="2024-04-01..2024-04-30")
    assert names(select(tmp_path / "a", named)) == [f"tracking.log-{there['a'][0]}"]


def test_a_tar_is_opened_up(tmp_path: Path) -> None:
    path = tmp_path / "2014-10-05-UnivX-tracking.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("x/univx-prod-events-2014-10-01.log", "x/notes.txt"):
            member = tarfile.TarInfo(name)
            member.size = len(lines(1))
            tar.addfile(member, io.BytesIO(lines(1)))
    selection = select(path, Window())
    assert names(selection) == ["univx-prod-events-2014-10-01.log"]
    assert selection.inputs[0].path == str(path)
    assert selection.account.ignored == [f"{path}: x/notes.txt"]
    skipped = select(path, Window.of(site="edge"))
    assert (skipped.sources, len(skipped.account.skipped)) == ([], 1)


def test_a_damaged_tar_fails_and_the_rest_goes_on(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a-tracking.tar", "w") as tar:
        member = tarfile.TarInfo("x.log")
        member.size = 5000
        tar.addfile(member, io.BytesIO(b"y" * 5000))
    path = tmp_path / "a-tracking.tar"
    path.write_bytes(path.read_bytes()[:2000])
    (tmp_path / "b.log").write_bytes(lines(1))
    selection = select(tmp_path, Window())
    assert names(selection) == ["b.log"]
    assert [type(error) for error in selection.failures] == [SourceError]
    assert selection.account.failed == [str(selection.failures[0])]


def test_order_of_arguments_of_every_kind(folder: Path) -> None:
    source = Source("elsewhere", "elsewhere", 5, length=5)
    first, second = sorted(folder.glob("univx-prod-*"))[:2]
    with first.open("rb") as file:
        selection = select([second, source, file, io.BytesIO(), str(first)], Window())
    assert names(selection) == [second.name, "elsewhere", first.name, "stream", first.name]


def test_an_open_file_is_described_by_its_name(folder: Path) -> None:
    path = folder / "univx-edge-events-2014-10-20.log"
    with path.open("rb") as file:
        (source,) = select(file, Window()).sources
        assert (source.org, source.site, source.date) == (
            "univx",
            "edge",
            datetime.date(2014, 10, 20),
        )
        assert source.file is file
        assert source.size is None


def test_names_of_open_files_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.log"
    path.write_bytes(lines(1))
    with path.open("rb") as file:
        (source,) = select([file], Window()).sources
    assert source.name == "a\\x1b[31m.log"
    assert "\x1b" not in source.label


@pytest.mark.parametrize("arguments", [[], (), 5, None, [5], [None], b"x", [b"x"], [[]]])
def test_no_source(arguments: Any) -> None:
    with pytest.raises(ConfigError, match=r"^sources: "):
        select(arguments, Window())


def test_a_missing_path_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError):
        select([tmp_path / "none.log"], Window())
    with pytest.raises(MissingSourceError):
        select(str(tmp_path / "*.log"), Window())


def _days(chance: random.Random, count: int, spread: float = 0.1) -> list[Source]:
    """Daily files of two sites: fewer events at weekends, and no day like the other."""
    found = []
    for number in range(count // 2):
        date = datetime.date(2013, 1, 1) + datetime.timedelta(days=number)
        for site in ("prod", "edge"):
            week = 1 - 2 * spread if date.weekday() > 4 else 1.0
            size = int(20e6 * week * chance.lognormvariate(0, spread))
            name = f"univx-{site}-events-{date}.log.gz.gpg"
            found.append(Source(f"logs/{name}", name, size, "univx", site, date))
    return found


@pytest.mark.parametrize("count", [8, 64, 256, 512])
@pytest.mark.parametrize("spread", [0, 0.1, 0.3])
def test_shards_are_even(count: int, spread: float) -> None:
    sources = _days(random.Random(count), 7300, spread)
    sizes = {f"{one.date} {one.site}": one.size or 0 for one in sources}
    loads = dict.fromkeys(range(1, count + 1), 0)
    for day, number in deal(sizes, count).items():
        loads[number] += sizes[day]
    mean, largest = sum(loads.values()) / count, max(sizes.values())
    assert max(loads.values()) <= mean + largest
    if spread <= 0.1 or count <= 64:
        assert max(loads.values()) <= 1.1 * mean


@given(
    seed=st.integers(0, 1 << 30),
    count=st.integers(1, 12),
    days=st.integers(0, 40),
    later=st.integers(0, 20),
)
def test_each_source_is_in_one_shard_and_stays_there(
    seed: int, count: int, days: int, later: int
) -> None:
    chance = random.Random(seed)
    sources = _days(chance, days + later)
    names = ["tracking.log", "tracking.log.1", "x.log"]
    sources += [Source(name, name, chance.choice([None, 0, 5])) for name in names]
    copies = [replace(one, path=f"copy/{one.name}") for one in chance.sample(sources, 2)]
    chance.shuffle(sources)
    sources += copies
    end = datetime.date(2013, 1, 1) + datetime.timedelta(days=days // 2)
    before = [one for one in sources if one.date is None or one.date < end]
    shards = [of_shard(sources, (number, count), {}) for number in range(1, count + 1)]
    assert sorted(one.path for shard in shards for one in shard) == sorted(
        one.path for one in sources
    )
    together: dict[tuple[Any, ...], set[int]] = {}
    for number, shard in enumerate(shards):
        assert shard == [one for one in sources if one in shard]
        for one in shard:
            together.setdefault((one.site, one.date, one.name), set()).add(number)
    assert all(len(numbers) == 1 for numbers in together.values())
    for number, shard in enumerate(shards, 1):
        assert of_shard(before, (number, count), {}) == [one for one in shard if one in before]


def test_new_releases_move_nothing() -> None:
    sources = _days(random.Random(1), 60)
    dealt: dict[str, int] = {}
    before = [of_shard(sources, (number, 7), dealt) for number in range(1, 8)]
    names = [[one.name for one in shard] for shard in before]
    again = [replace(one, size=random.Random(one.name).randint(0, 10**8)) for one in sources]
    more = _days(random.Random(1), 80)[60:]
    after = [of_shard(again + more, (number, 7), dict(dealt)) for number in range(1, 8)]
    told = {one.name for one in sources}
    assert names == [[one.name for one in shard if one.name in told] for shard in after]


def test_more_shards_than_days() -> None:
    sources = _days(random.Random(0), 4)
    assert of_shard(sources, (3, 10**17), {}) == [sources[3]]
    assert of_shard(sources, (10**17, 10**17), {}) == []
