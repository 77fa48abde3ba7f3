"""A site's own rotation, night after night: no event is lost, and none is there twice."""

from __future__ import annotations

import gzip
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import commands
import edxlogs
from edxlogs.events.scanning import LineReader
from edxlogs.sources.local import find
from rotation import bring_up, expected, line, lines, names, nights, rows


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """The folder of a site's logs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A dataset."""
    return tmp_path / "out"


def test_a_log_that_grows_is_there_once(logs: Path, out: Path) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1, 2))
    bring_up(logs, out)
    live.write_bytes(lines(1, 2, 3))
    bring_up(logs, out)
    assert names(out) == expected(1, 2, 3)
    assert {row["source"] for row in rows(out)} == {"tracking.log"}


def test_a_log_that_is_renamed_is_not_read_twice(logs: Path, out: Path) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1, 2))
    bring_up(logs, out)
    live.rename(logs / "tracking.log.1")
    live.write_bytes(lines(3))
    bring_up(logs, out)
    assert names(out) == expected(1, 2, 3)
    told = {row["name"]: row["source"] for row in rows(out)}
    assert told["event-1"] == told["event-2"] == "tracking.log"
    assert str(told["event-3"]).startswith("tracking.log~")


def test_a_log_that_is_packed_a_night_later_is_the_same(logs: Path, out: Path) -> None:
    (logs / "tracking.log.1").write_bytes(lines(1, 2))
    bring_up(logs, out)
    (logs / "tracking.log.2.gz").write_bytes(gzip.compress(lines(1, 2)))
    (logs / "tracking.log.1").write_bytes(lines(3, 4))
    bring_up(logs, out)
    assert names(out) == expected(1, 2, 3, 4)
    done = bring_up(logs, out)
    assert names(out) == expected(1, 2, 3, 4)
    assert "0 sources read" in done.told


def test_a_log_that_grew_before_it_was_renamed_keeps_its_name(logs: Path, out: Path) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1, 2))
    bring_up(logs, out)
    (logs / "tracking.log-20240801-1722470461.gz").write_bytes(gzip.compress(lines(1, 2, 3)))
    live.write_bytes(lines(4))
    bring_up(logs, out)
    assert names(out) == expected(1, 2, 3, 4)
    told = {row["name"]: (row["source"], row["line"]) for row in rows(out)}
    assert [told[f"event-{one}"] for one in (1, 2, 3)] == [("tracking.log", at) for at in (1, 2, 3)]


def test_what_rotation_threw_away_stays(logs: Path, out: Path) -> None:
    for night in range(1, 6):
        for number in (2, 1):
            if (logs / f"tracking.log.{number}").exists():
                (logs / f"tracking.log.{number}").rename(logs / f"tracking.log.{number + 1}")
        (logs / "tracking.log.3").unlink(missing_ok=True)
        (logs / "tracking.log.1").write_bytes(lines(night))
        bring_up(logs, out)
    assert names(out) == expected(1, 2, 3, 4, 5)


def test_copytruncate_neither_loses_nor_doubles(logs: Path, out: Path) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1, 2))
    bring_up(logs, out)
    shutil.copyfile(live, logs / "tracking.log.1")
    live.write_bytes(b"")
    bring_up(logs, out)
    assert names(out) == expected(1, 2)
    live.write_bytes(lines(3))
    bring_up(logs, out)
    assert names(out) == expected(1, 2, 3)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("copied", [1, 2])
def test_a_night_between_the_copy_and_the_truncation(
    logs: Path, out: Path, before: bool, copied: int
) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1, 2))
    if before:
        bring_up(logs, out)
    (logs / "tracking.log.1").write_bytes(lines(*range(1, copied + 1)))
    live.write_bytes(lines(1, 2, 3))
    bring_up(logs, out)
    assert names(out) == expected(1, 2, 3)
    (logs / "tracking.log.1").write_bytes(lines(1, 2, 3))
    live.write_bytes(lines(4))
    bring_up(logs, out)
    assert names(out) == expected(1, 2, 3, 4)


def test_hosts_may_call_their_logs_alike(logs: Path, out: Path) -> None:
    for number, host in enumerate(("a", "b")):
        (logs / host).mkdir()
        (logs / host / "tracking.log").write_bytes(lines(number))
    bring_up(logs, out)
    assert names(out) == expected(0, 1)
    assert {row["source"] for row in rows(out)} == {"a/tracking.log", "b/tracking.log"}
    shutil.rmtree(out)
    bring_up([logs / "a", logs / "b"], out)
    told = {str(row["source"]) for row in rows(out)}
    assert len(told) == 2
    assert {one.partition("~")[0] for one in told} == {"tracking.log"}


def test_another_text_at_a_path_of_edx_takes_the_place_of_the_old(logs: Path, out: Path) -> None:
    day = logs / "univx-edx-events-2014-10-01.log"
    day.write_bytes(lines(1, 2))
    bring_up(logs, out)
    day.write_bytes(lines(3))
    bring_up(logs, out)
    assert names(out) == expected(3)


def test_days_that_were_called_the_wrong_way_round(logs: Path, out: Path) -> None:
    first, second = (logs / f"univx-edx-events-2014-10-0{day}.log" for day in (1, 2))
    first.write_bytes(lines(1))
    second.write_bytes(lines(2))
    bring_up(logs, out)
    first.write_bytes(lines(2))
    second.write_bytes(lines(1))
    bring_up(logs, out)
    assert names(out) == expected(1, 2)


def test_a_copy_is_delivered_once_and_said(logs: Path, out: Path, tmp_path: Path) -> None:
    text = gzip.compress(lines(1, 2))
    for name in (
        "univx-edx-events-2014-10-01.log.gz",
        "univx-edx-events-2014-10-01 (1).log.gz",
        "Copy of univx-edx-events-2014-10-01.log.gz",
    ):
        (logs / name).write_bytes(text)
    (logs / "univx-edge-events-2014-10-01.log.gz").write_bytes(text)
    done = bring_up(logs, out)
    assert names(out) == expected(1, 1, 2, 2)
    assert [one.status for one in done.account.sources].count("copy") == 2
    csv = tmp_path / "out.csv"
    written = edxlogs.write([logs], output=csv, columns=["name"])
    assert Counter(csv.read_text().split()[1:]) == Counter(expected(1, 1, 2, 2))
    assert (
        sum("the same text" in told for one in written.account.sources for told in one.warnings)
        == 2
    )
    assert bring_up(logs, out).account.rows_written == 4
    assert names(out) == expected(1, 1, 2, 2)


def test_an_empty_log_is_no_copy(logs: Path, out: Path) -> None:
    for name in ("a.log", "b.log", "tracking.log"):
        (logs / name).write_bytes(b"")
    done = bring_up(logs, out)
    assert [one.status for one in done.account.sources] == ["delivered"] * 3
    assert all("is empty" in one.warnings[0] for one in done.account.sources)
    (logs / "tracking.log").write_bytes(lines(1))
    bring_up(logs, out)
    assert names(out) == expected(1)


def test_the_account_is_of_all_files_whatever_they_were_called(logs: Path, out: Path) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1, 2))
    bring_up(logs, out)
    live.rename(logs / "tracking.log.1")
    live.write_bytes(lines(3))
    for _ in range(2):
        done = bring_up(logs, out)
        assert done.account.rows_written == 3
        assert sum(one.counts.lines for one in done.account.sources) == 3


@pytest.mark.parametrize("seed", range(3))
def test_nights_of_a_site(logs: Path, out: Path, seed: int) -> None:
    nights(logs, out, random.Random(seed), 12)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 30))
def test_any_nights_of_a_site(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("site")
    (folder / "logs").mkdir()
    nights(folder / "logs", folder / "out", random.Random(seed), 8)


@pytest.mark.parametrize("cut", [20, None])
def test_what_is_written_while_it_is_read_is_for_the_next_night(
    logs: Path, out: Path, monkeypatch: pytest.MonkeyPatch, cut: int | None
) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1) + line(2)[:cut])
    scan = LineReader._scan

    def scan_a_file_that_grows(*args: Any) -> Any:
        monkeypatch.setattr(LineReader, "_scan", scan)
        with live.open("ab") as file:
            file.write((b"" if cut is None else line(2)[cut:]) + line(3))
        return scan(*args)

    monkeypatch.setattr(LineReader, "_scan", scan_a_file_that_grows)
    done = bring_up(logs, out)
    assert done.is_whole
    assert names(out) == expected(*((1, 2) if cut is None else (1,)))
    bring_up(logs, out)
    assert names(out) == expected(1, 2, 3)


def test_what_is_written_after_the_file_was_found_is_not_lost(
    logs: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1))

    def find_a_file_that_grows(*args: Any, **words: Any) -> Any:
        found = find(*args, **words)
        with live.open("ab") as file:
            file.write(line(2))
        return found

    with monkeypatch.context() as patch:
        patch.setattr("edxlogs.sources.selection.find", find_a_file_that_grows)
        bring_up(logs, out)
    bring_up(logs, out)
    assert names(out) == expected(1, 2)


@pytest.mark.parametrize("text", [lines(1), lines(4, 5, 6, 7)], ids=["shorter", "another"])
def test_a_log_that_is_cut_under_our_hands_fails_alone(
    logs: Path, out: Path, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    live = logs / "tracking.log"
    live.write_bytes(lines(1, 2, 3))
    (logs / "tracking.log.1").write_bytes(lines(8))
    scan = LineReader._scan

    def scan_and_cut(reader: LineReader, source: Any, *args: Any) -> Any:
        done = scan(reader, source, *args)
        if source.path == str(live):
            live.write_bytes(text)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(LineReader, "_scan", scan_and_cut)
        done = bring_up(logs, out)
    assert not done.is_whole
    assert "changed while it was read" in str(done.account.sources[0].error)
    assert names(out) == expected(8)


@pytest.mark.parametrize(("count", "told"), [(4, 3), (5, 1), (300, 1)])
def test_many_copies_are_told_in_one_line(logs: Path, out: Path, count: int, told: int) -> None:
    for number in range(count):
        (logs / f"tracking.log.{number}").write_bytes(lines(1))
    words = ("filter", logs, "-o", out, "--partition-by", "date")
    done = commands.run(*words, cwd=logs.parent)
    assert done.code == 0
    assert len(done.told) == told
    assert all("holds the same text as" in one for one in done.told)
    assert (f"{count - 1:,} sources, such as" in done.told[0]) == (told == 1)
    assert names(out) == expected(1)


def test_shards_that_hold_the_same_text_are_not_joined(logs: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (logs / name).mkdir()
        (logs / name / "x.log").write_bytes(lines(1, 2))
        bring_up(logs / name, tmp_path / f"shard-{name}")
    with pytest.raises(edxlogs.ConfigError, match="holds the same text as"):
        edxlogs.merge([tmp_path / "shard-a", tmp_path / "shard-b"], tmp_path / "joined")


def test_a_job_over_copies_is_whole(logs: Path) -> None:
    for name in ("x.log", "y.log"):
        (logs / name).write_bytes(lines(1, 2))
    job = logs.parent / "j.toml"
    job.write_text('sources = ["logs/"]\n[[dataset]]\noutput = "d"\npartition_by = "date"\n')
    done = commands.run("run", "j.toml", cwd=logs.parent)
    assert done.code == 0
    assert "FAILED" not in done.stderr
    assert names(logs.parent / "d") == expected(1, 2)


@pytest.mark.parametrize("asked", ["line = 1", "line_item > 0", "source like 'x%'"])
def test_cat_of_lines_does_not_answer_what_lines_do_not_tell(logs: Path, asked: str) -> None:
    (logs / "x.log").write_bytes(lines(1, 2))
    words = ("-o", "d", "--partition-by", "date", "--format", "jsonl")
    assert commands.run("filter", "logs", *words, cwd=logs.parent).code == 0
    done = commands.run("cat", "d", "--where", asked, cwd=logs.parent)
    assert done.code == 2
    assert "which do not record where they were" in done.stderr
    other = commands.run("cat", "d", "--where", "event.line is null", cwd=logs.parent)
    assert (other.code, other.stdout) == (0, lines(1, 2))


def test_a_file_that_becomes_a_copy_gives_up_what_it_held(logs: Path, out: Path) -> None:
    first, second = logs / "a.log.gz", logs / "b.log.gz"
    first.write_bytes(gzip.compress(lines(1, 2)))
    second.write_bytes(gzip.compress(lines(3)))
    bring_up(logs, out)
    for text, there in (
        (lines(1, 2), (1, 2)),
        (lines(4), (1, 2, 4)),
        (lines(1, 2), (1, 2)),
        (lines(4), (1, 2, 4)),
        (lines(5), (1, 2, 5)),
    ):
        second.write_bytes(gzip.compress(text))
        for _ in range(2):
            done = bring_up(logs, out)
            assert names(out) == expected(*there)
            assert done.account.rows_written == len(there)
