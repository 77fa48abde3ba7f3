"""account.py: counts that add up, or an error."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from edxlogs.account import Account, LineCounts, Outcome, SourceAccount
from edxlogs.errors import InternalError


def counts(**more: Any) -> LineCounts:
    usual: dict[str, Any] = {
        "bytes_read": 10,
        "bytes_expanded": 100,
        "lines": 10,
        "blank": 1,
        "rejected": 2,
        "kept": 3,
        "dropped": 4,
        "parsed": 7,
        "rows": 5,
        "late": 1,
        "latest_days": 9,
        "reasons": {"not_json": 2},
        "mends": {"bom": 1},
    }
    return LineCounts(**(usual | more))


def source(name: str, counts: LineCounts, status: Outcome = Outcome.DELIVERED) -> SourceAccount:
    return SourceAccount(source=name, path=f"/logs/{name}", status=status, counts=counts)


def test_adding_takes_every_field() -> None:
    total = counts()
    total.add(counts(latest_days=4, reasons={"not_json": 1, "cut_off": 1}, mends={"nul": 2}))
    assert total.latest_days == 9
    assert total.reasons == {"not_json": 3, "cut_off": 1}
    assert total.mends == {"bom": 1, "nul": 2}
    for item in fields(LineCounts):
        if item.name not in ("latest_days", "reasons", "mends", "odd", "homes"):
            assert getattr(total, item.name) == 2 * getattr(counts(), item.name)


def test_adding_shares_nothing() -> None:
    total, one = LineCounts(), counts()
    total.add(one)
    total.add(one)
    assert one == counts()


def test_withheld_lines_are_in_no_other_class() -> None:
    withheld = counts().as_withheld()
    withheld.check("it")
    assert (withheld.lines, withheld.withheld, withheld.rows, withheld.late) == (10, 10, 0, 0)
    assert (withheld.bytes_read, withheld.bytes_expanded) == (10, 100)
    assert withheld.reasons == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"lines": 11},
        {"kept": 4},
        {"blank": 0},
        {"withheld": 1},
        {"duplicate": 1},
        {"reasons": {}},
        {"reasons": {"not_json": 3}},
    ],
)
def test_counts_that_do_not_add_up(wrong: dict[str, Any]) -> None:
    counts().check("it")
    account = Account(sources=[source("a.log", counts(**wrong))], rows_written=5)
    with pytest.raises(InternalError, match=r"the account of a\.log does not add up"):
        account.check()


def test_rows_must_be_those_written() -> None:
    account = Account(sources=[source("a", counts()), source("b", counts())], rows_written=10)
    account.check()
    account.rows_written = 9
    with pytest.raises(InternalError, match="10 rows were counted and 9 written"):
        account.check()


def test_whole() -> None:
    good, bad = source("a", counts()), source("b", counts().as_withheld(), Outcome.WITHHELD)
    assert Account().is_whole
    assert Account(sources=[good], skipped=["x"], ignored=["y"], warnings=["z"]).is_whole
    assert not Account(sources=[good, bad]).is_whole
    assert not Account(sources=[source("a", counts(), Outcome.SALVAGED)]).is_whole
    assert not Account(sources=[good], failed=["cannot open"]).is_whole


def test_the_report_is_json_and_holds_all() -> None:
    account = Account(sources=[source("a", counts())], skipped=["b"], rows_written=5)
    report = json.loads(json.dumps(account.report(version="1", hints=[])))
    assert report["schema_version"] == 1
    assert (report["version"], report["hints"]) == ("1", [])
    assert report["total"] == report["sources"][0]["counts"]
    assert report["total"]["reasons"] == {"not_json": 2}
    assert set(report["total"]) == {item.name for item in fields(LineCounts)}
    assert (report["skipped"], report["failed"], report["rows_written"]) == (["b"], [], 5)


def test_the_summary() -> None:
    account = Account(
        sources=[source("a", counts(bytes_read=1_500_000, kept=1234, lines=1241))],
        skipped=["b"],
        ignored=["c", "d"],
    )
    assert list(account.summary(2.04)) == [
        "1 source, 1.5 MB read, 100 B expanded, 2.0 s",
        "1,241 lines: 1,234 kept, 4 dropped, 1 blank, 2 rejected, 0 withheld (7 parsed)",
        "rejected: not_json 2",
        "mended: bom 1",
        "1 late event, up to 9 days older than the day of their file",
        "1 source skipped by date or site",
        "2 files ignored: not named like a log, or written by edxlogs",
    ]
    assert list(Account().summary(0.0)) == [
        "0 sources, 0 B read, 0 B expanded, 0.0 s",
        "0 lines: 0 kept, 0 dropped, 0 blank, 0 rejected, 0 withheld (0 parsed)",
    ]


def test_sizes_in_the_summary() -> None:
    for size, shown in (
        (999, "999 B"),
        (1000, "1.0 kB"),
        (10**9, "1.0 GB"),
        (5 * 10**15, "5000.0 TB"),
    ):
        line = next(Account(sources=[source("a", LineCounts(bytes_read=size))]).summary(1.0))
        assert line.startswith(f"1 source, {shown} read")
