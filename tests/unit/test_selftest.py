"""`edxlogs selftest`: what it compares, what it finds, and that its page holds no person."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edxlogs
from commands import event
from edxlogs.cli import execute
from edxlogs.errors import ConfigError
from edxlogs.generator import keys
from edxlogs.jobs.looks.comparison import cells
from edxlogs.plain import reader
from small_logs import real_shaped

Columns = dict[str, Any]
SECRET_KEY = "ada.lovelace@example.org"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    real_shaped(tmp_path / "logs", days=2, megabytes=0.2)
    extra = {"event": {SECRET_KEY: {"answer": "Byron"}, "problem_id": "p"}, "time": "2014-10-01"}
    name = "univx-prod-events-2014-10-09.log"
    (tmp_path / "logs" / name).write_bytes(event(4_711_004, **extra) + b"\n\n{\n")
    return tmp_path / "logs"


def lines_of(logs: Path) -> list[bytes]:
    texts = [path.read_bytes() for path in sorted(logs.iterdir())]
    return b"".join(gzip.decompress(t) if t[:2] == b"\x1f\x8b" else t for t in texts).splitlines()


def spoil(monkeypatch: pytest.MonkeyPatch, how: Callable[[Columns], object]) -> None:
    """Let the plain reader be wrong in a way."""
    read = reader.read

    def wrong(line: bytes) -> Columns | None:
        columns = read(line)
        if columns is not None:
            how(columns)
        return columns

    monkeypatch.setattr(reader, "read", wrong)


def rows_of(page: str) -> list[list[str]]:
    """The cells of all tables of a page."""
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_all_agree_on_lines_of_all_kinds(logs: Path) -> None:
    found = edxlogs.selftest(logs)
    assert found.agrees, str(found)
    lines = lines_of(logs)
    plain = [columns for line in lines if (columns := reader.read(line)) is not None]
    blank = sum(map(reader.is_blank, lines))
    assert found.counts["lines"] == len(lines)
    assert found.counts["blank"] == blank
    assert found.comparison.lines == {
        "event": len(plain),
        "blank": blank,
        "odd": len(lines) - len(plain) - blank,
    }
    told = rows_of(str(found))
    for column in reader.COLUMNS:
        count = sum(column in columns for columns in plain)
        assert [column, f"{count:,}", "0"] in told
    assert "All agree" in str(found)
    assert str(edxlogs.selftest(logs)) == str(found)


@pytest.mark.parametrize(
    ("column", "how", "told"),
    [
        ("time", lambda row: row.update(time=row["time"] - 3_600_000_000), "whole hours off"),
        ("time", lambda row: row.update(time=None), "null"),
        ("user_id", lambda row: row.update(user_id=12), "number of 2 digits"),
        ("username", lambda row: row.update(username="Ada"), "text of 3 characters"),
        ("course_id", lambda row: row.update(course_id=None), "null"),
        ("event", lambda row: row.update(event=("object", ())), "object of 0 members"),
    ],
)
def test_a_reader_that_is_wrong_is_found_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    column: str,
    how: Callable[[Columns], object],
    told: str,
) -> None:
    (tmp_path / "a.log").write_bytes(event(1) + event(2))
    spoil(monkeypatch, how)
    assert execute(["selftest", str(tmp_path / "a.log")]) == 1
    page = capsys.readouterr().out
    assert "**2 differences between edxlogs and a plain reader.**" in page
    (different,) = [row for row in rows_of(page) if row[:2] == [column, "problem_check"]]
    assert different[-1] == "2"
    assert told in " ".join(different)
    assert [column, "2", "2"] in rows_of(page)


def test_a_row_too_few_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.log").write_bytes(event(1) + b'{"a": 1}\n\n')
    columns = reader.read(event(1))
    monkeypatch.setattr(reader, "read", lambda _: columns)
    monkeypatch.setattr(reader, "is_blank", lambda _: False)
    found = edxlogs.selftest(tmp_path / "a.log")
    assert not found.agrees
    assert ["events in a line", "problem_check", "1", "0", "2"] in rows_of(str(found))
    assert ["whole sources", "", "another number of blank lines", "", "1"] in rows_of(str(found))


def test_the_page_holds_no_person(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Everything differs, so that everything there is to tell is told.
    def wrong(row: Columns) -> None:
        for name, value in row.items():
            match value:
                case str():
                    row[name] = value[::-1] + "x"
                case int():
                    row[name] = value + 1
                case ("object", pairs):
                    row[name] = ("object", tuple((key, ("list",)) for key, _ in pairs))
                case _:
                    row[name] = "something"

    spoil(monkeypatch, wrong)
    page = str(edxlogs.selftest(logs))
    assert page.count("\n") > 60
    values: set[str] = set()
    for line in lines_of(logs):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if not isinstance(found, dict):
            continue
        context = its if isinstance(its := found.get("context"), dict) else {}
        for name in ("username", "ip", "session", "host", "agent", "page", "referer", "time"):
            values.add(str(found.get(name) or ""))
        for name in ("user_id", "course_id", "org_id", "path"):
            values.add(str(context.get(name) or ""))
        if isinstance(found.get("event"), str):
            values.add(found["event"])
        if (name := str(found.get("event_type"))).startswith("/"):
            values.add(name)
    values |= {path.name for path in logs.iterdir()} | {SECRET_KEY, "lovelace", "Byron", str(logs)}
    values = {value for value in values if len(value) > 2}
    assert len(values) > 300
    assert "4711004" in values
    words = set(re.findall(r"[\w.@-]+", page))
    assert not values & words
    assert not [value for value in values if len(value) > 5 and value in page]


def test_damage_is_no_difference_where_both_see_it(tmp_path: Path) -> None:
    packed = gzip.compress(event(1) * 2000)
    (tmp_path / "a.log.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "b.log").write_bytes(event(1))
    found = edxlogs.selftest([tmp_path / "a.log.gz", tmp_path / "b.log"])
    assert found.agrees
    assert found.sources == {"compared": 1, "not compared: damaged, or without a key": 1}
    [(label, why)] = found.failed.items()
    assert label == str(tmp_path / "a.log.gz")
    assert why.endswith("the compressed data are cut off; fetch the file again, or use --salvage")


def test_why_nothing_was_compared_is_told_beside_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = gzip.compress(event(1) * 2000)
    for name in ("a.log.gz", "b.log.gz"):
        (tmp_path / name).write_bytes(packed[: len(packed) // 2])
    assert execute(["selftest", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("edxlogs: 2 sources failed for one reason, such as ")
    assert str(tmp_path) not in told.out

    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    (tmp_path / "c.log").write_bytes(event(1))
    words = [str(tmp_path / "c.log"), str(tmp_path)]
    assert execute(["selftest", *words]) == 0
    told = capsys.readouterr()
    assert told.err == f"edxlogs: cannot open: {tmp_path}: Permission denied\n"
    assert ["sources not compared: cannot be opened", "1"] in rows_of(told.out)


def test_what_cannot_be_compared_is_not_said_to_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("univx-prod-events-2014-10-01.log")
        member.size = len(event(1))
        tar.addfile(member, io.BytesIO(event(1)))
    assert execute(["selftest", str(tmp_path / "a.tar.gz")]) == 1
    assert "**Nothing was compared.**" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="a stream can be read once only"):
        edxlogs.selftest([io.BytesIO(event(1))])


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_encrypted_logs_are_compared_and_a_page_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with keys.home() as home:
        recipient = keys.make_key(home, "Data Czar <czar@univx.example>", "cv25519")
        packed = gzip.compress(event(1) + event(2))
        (tmp_path / "a.log.gz.gpg").write_bytes(keys.encrypt(home, [recipient], packed))
        words = [str(tmp_path / "a.log.gz.gpg"), "--gnupg-home", str(home)]
        page = tmp_path / "page.md"
        assert execute(["selftest", *words, "-o", str(page)]) == 0
        assert "All agree: 40 values" in capsys.readouterr().err
        assert ["event", "2"] in rows_of(page.read_text())
        assert execute(["selftest", *words, "-o", str(page)]) == 2
        assert "exists; name another file, or add --overwrite" in capsys.readouterr().err


def test_the_page_does_not_replace_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(event(1))
    (tmp_path / "link.md").symlink_to(log)
    for page in ("a.log", "link.md"):
        assert execute(["selftest", str(log), "-o", str(tmp_path / page), "--overwrite"]) == 2
        assert "is also an input; name another file" in capsys.readouterr().err
        assert log.read_bytes() == event(1)


def test_cells_tell_empty_text_from_null() -> None:
    text = 'a,b,"c, ""d"""\n,"",x\n"1\n2",,\n'
    assert list(cells(text)) == [["a", "b", 'c, "d"'], [None, "", "x"], ["1\n2", None, None]]
