"""Values that are no text, numbers without end and files without end: one sentence each."""

from __future__ import annotations

from pathlib import Path

import pytest

from edxlogs import cli

NOT_UTF8 = "a\udcff"  # as the system gives a byte that is none
DIGITS = "9" * 5000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "tracking.log"
    path.write_text('{"time": "2014-10-05T12:00:00Z", "event_type": "x", "username": "ana"}\n')
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What wrong use is told in one line."""
    assert cli.execute(list(words)) == cli.EXIT_USAGE
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "Traceback" not in told
    return told


@pytest.mark.parametrize(
    "option",
    ["course", "org", "event-type", "user", "exclude-course", "where", "since", "until", "columns"],
)
def test_values_that_are_not_utf8(
    log: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    told = said(
        capsys, "filter", str(log), "-o", str(log.with_name("o.csv")), f"--{option}", NOT_UTF8
    )
    what = "value 1" if option in ("user", "where") else "a\\xff"  # which may be a person
    assert told == f"edxlogs: {option}: {what}: is not UTF-8; write it as UTF-8\n"


@pytest.mark.parametrize("option", ["threads", "max-line-bytes", "shard", "slack", "mode"])
def test_numbers_without_end(log: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    value = f"{DIGITS}/{DIGITS}" if option == "shard" else DIGITS
    said(capsys, "filter", str(log), "-o", str(log.with_name("o.csv")), f"--{option}", value)


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (("tables", "logs"), "video_events"),
        (("db", "convert", "tables.zip"), "auth_user"),
        (("derive", "--events", "event_tables"), "sessions"),
    ],
)
def test_each_table_of_a_list_is_looked_up(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], table: str
) -> None:
    for listed in ([f"{table},nobody"], [table, "nobody"], [f"{table}, nobody ,", table]):
        options = [word for name in listed for word in ("--table", name)]
        assert "table: nobody: is not known; " in said(capsys, *words, "-o", "out", *options)
    assert "table: ,: holds no name; " in said(capsys, *words, "-o", "out", "--table", ",")


def test_a_number_without_end_in_a_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = tmp_path / "job.toml"
    job.write_text(f"threads = {DIGITS}\n")
    assert "a number has too many digits" in said(capsys, "run", str(job))


def test_files_without_end(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is longer than 1.0 MB" in said(capsys, "run", "/dev/zero")
    words = ("filter", str(log), "-o", str(log.with_name("o.csv")), "--course")
    assert "is longer than 67.1 MB; name a file" in said(capsys, *words, "@/dev/zero")
