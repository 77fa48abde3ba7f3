"""Tables of events as they are asked for, and the sums that must hold of them."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edxlogs.account import Account, LineCounts, Outcome, SourceAccount
from edxlogs.edx.event_tables import Kind, event_tables
from edxlogs.errors import ConfigError, InternalError
from edxlogs.events.scanning import Scanned
from edxlogs.events.tables import AskedTable, asked_tables
from edxlogs.groups.reading import _check_homes
from edxlogs.jobs.datasets.tables import EventTableSettings, joined, rows_by_table

HOME = AskedTable("video_events", Kind.HOME)
PART = AskedTable("problem_inputs", Kind.CHILDREN)


def test_all_tables_are_asked_for_but_forms() -> None:
    names = [one.name for one in asked_tables()]
    assert names == [name for name in event_tables() if name != "problem_forms"]
    assert [one.name for one in asked_tables(with_forms=True)] == list(event_tables())
    both = ["problem_forms", "video_events"]
    assert [one.name for one in asked_tables("video_events", with_forms=True)] == both
    assert [one.name for one in asked_tables([" video_events , problem_forms"])] == both


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("problem_input", "did you mean problem_inputs?"),
        ("Video_Events", "did you mean video_events?"),
        ("x", "use problem_events, "),
    ],
)
def test_a_table_that_is_not_known_is_told_with_the_nearest(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"table: {name}: is not known; ") as error:
        asked_tables(name)
    assert told in str(error.value)


def test_what_tells_rows_from_others() -> None:
    (one,) = asked_tables("requests")
    assert one.told() == {"table": "requests", "tables_version": 1}
    (other,) = asked_tables("requests", no_text=True)
    assert other.told() == {"table": "requests", "tables_version": 1, "no_text": True}


def test_settings_are_sent() -> None:
    settings = EventTableSettings.of("logs", "out", tables="video_events,requests", dask="local:2")
    assert pickle.loads(pickle.dumps(settings)) == settings
    targets = [one.output.target for one in settings.each()]
    assert targets == ["out/video_events", "out/requests"]
    assert {one.output.partition_by for one in settings.each()} == {("course_id",)}
    kept = EventTableSettings.of("logs", "s3://a/b/", rejects="r", tables="video_events,requests")
    each = kept.each("requests")
    assert [(one.output.target, one.output.rejects) for one in each] == [
        ("s3://a/b/requests", "r"),
        ("s3://a/b/video_events", None),
    ]


def scanned(rows: int, **homes: int) -> Scanned:
    return Scanned(LineCounts(lines=rows, kept=rows, rows=rows, homes=homes))


def made(table: AskedTable | None, rows: int) -> tuple[Any, Any]:
    return (None, rows, rows), SimpleNamespace(table=table)


def test_every_kept_event_is_a_row_of_its_home() -> None:
    its = {"video_events": 2, "requests": 3}
    _check_homes(scanned(5, **its), [made(HOME, 2), made(PART, 9), made(None, 5)])
    _check_homes(scanned(9, problem_events=2), [made(PART, 9)])
    with pytest.raises(InternalError, match="5 events were kept, and 4 have a home"):
        _check_homes(scanned(5, video_events=2, requests=2), [made(HOME, 2)])
    with pytest.raises(InternalError, match="video_events: 1 rows were made of 2 events"):
        _check_homes(scanned(5, **its), [made(HOME, 1)])
    with pytest.raises(InternalError, match="video_events: 1 rows were made of 0 events"):
        _check_homes(scanned(5, requests=5), [made(HOME, 1)])


def account(table: str, *sources: tuple[str, Outcome, int, int], is_home: bool = True) -> Account:
    """Of sources of ten lines, by their names: what became of them, lines kept, and rows."""
    made = Account(skipped=["c"], warnings=["w"])
    for name, status, kept, rows in sources:
        counts = LineCounts(lines=10, kept=kept, dropped=10 - kept, rows=rows)
        counts.homes = {table: rows} if is_home else {}
        counts = counts.as_withheld() if status is Outcome.WITHHELD else counts
        made.enter(SourceAccount(status=status, counts=counts, source=name, path=name))
    return made


def test_rows_of_homes_add_up_to_the_events() -> None:
    accounts = {
        "video_events": account("video_events", ("a", Outcome.DELIVERED, 7, 4)),
        "requests": account("requests", ("a", Outcome.DELIVERED, 9, 6)),
        "problem_inputs": account("problem_inputs", ("a", Outcome.DELIVERED, 7, 30), is_home=False),
    }
    all_of_them = joined(accounts)
    assert all_of_them.rows_written == 10
    assert all_of_them.total.homes == {"video_events": 4, "requests": 6}
    assert (all_of_them.total.lines, all_of_them.total.kept) == (10, 9)
    assert (all_of_them.skipped, all_of_them.warnings) == (["c"], ["w"])
    told = [(one.table, one.kind, one.rows) for one in rows_by_table(accounts)]
    assert told == [
        ("problem_inputs", "children", 30),
        ("video_events", "home", 4),
        ("requests", "home", 6),
    ]
    assert joined({"problem_inputs": accounts["problem_inputs"]}).rows_written == 30
    accounts["requests"].rows_written += 1
    with pytest.raises(InternalError, match="requests: has 7 rows of 6 events"):
        joined(accounts)


def test_a_source_that_one_table_lacks_is_not_whole() -> None:
    accounts = {
        "video_events": account("video_events", ("a", Outcome.DELIVERED, 7, 4)),
        "requests": account("requests", ("a", Outcome.WITHHELD, 0, 0)),
    }
    all_of_them = joined(accounts)
    assert not all_of_them.is_whole
    assert all_of_them.total.withheld == 10
    assert all_of_them.rows_written == 4


def test_accounts_of_before_are_read() -> None:
    source = SourceAccount(status=Outcome.DELIVERED, counts=LineCounts(), source="a", path="a")
    document = asdict(source)
    del document["counts"]["homes"]
    assert SourceAccount.of(document) == source


def test_a_file_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'name = "own_events"\nabout = "Own."\nhome = true\ntypes = ["own"]\n'
        'action_is_type = true\n[[columns]]\nname = "own"\nabout = "Own."\ntype = "string"\n'
        'decoder = "text"\npaths = ["event.own"]\n'
    )
    settings = EventTableSettings.of("logs", "out", table_file=tmp_path / "own.toml")
    its = {one.name: one for one in settings.tables}
    assert its["own_events"].home == "own_events"
    assert its["own_events"].definition
    assert its["other_events"].definition
    assert not its["requests"].definition
    assert pickle.loads(pickle.dumps(settings)) == settings
