"""Runs that are stopped, and go on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import make_package
from commands import hidden
from edxlogs import _core
from edxlogs.database import convert as table_run
from edxlogs.database.account import MemberAccount, TableAccount
from edxlogs.database.convert import TableRun
from edxlogs.database.courses import TableChoice
from edxlogs.database.folder import TableFolder
from edxlogs.database.journal import Records
from edxlogs.database.package import open_package
from edxlogs.database.reading import TableReader
from edxlogs.gpg.process import Gpg

COURSES = make_package.COURSES[:2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    contents = make_package.members(COURSES, count=5, modules=4000)
    return make_package.write(tmp_path / "universityx-2014-10-05.zip", contents)


def convert(
    package: Path, target: Path, kept: dict[str, bytes] | None = None, **options: Any
) -> tuple[TableAccount, int]:
    """The account of a run, and how many bytes it read; into `kept` go its rejected rows."""
    reader = TableReader(Gpg(prompt=False), _core.Control())
    with TableFolder(target) as folder:
        run = TableRun(reader, [open_package(str(package))], TableChoice(), folder, **options)
        run.plan()
        account = run()
        if kept is not None:
            kept["rejects"] = b"".join(path.read_bytes() for path in run.rejects())
        return account, reader.bytes_read


class StopError(Exception):
    """The run ends here."""


def stop_after(count: int) -> Any:
    """Stops a run once it has so many large files ready."""
    seen: list[MemberAccount] = []

    def on_member(account: MemberAccount) -> None:
        seen.append(account)
        if sum(one.table == "courseware_studentmodule" for one in seen) == count:
            raise StopError

    return on_member


def contents(folder: Path) -> dict[str, bytes]:
    files = folder.rglob("*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_stopped_run_goes_on(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_run, "LARGE_BYTES", 1 << 20)
    whole, all_bytes = convert(package, tmp_path / "whole")
    with pytest.raises(StopError):
        convert(package, tmp_path / "out", on_member=stop_after(1))
    assert contents(tmp_path / "out") == {}
    account, read = convert(package, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert account.total == whole.total
    earlier = [one.table for one in account.members if one.earlier]
    assert set(earlier) == {"courseware_studentmodule"}
    assert read < all_bytes - (1 << 20)
    assert hidden(tmp_path / "out") == []


def test_what_is_ready_is_not_believed_when_it_was_changed(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_run, "LARGE_BYTES", 1 << 20)
    with pytest.raises(StopError):
        convert(package, tmp_path / "out", on_member=stop_after(2))
    work = tmp_path / "out" / ".tables.edxlogs"
    ready = sorted(work.glob("*-rows"), key=lambda path: -path.stat().st_size)
    ready[0].write_bytes(ready[0].read_bytes()[:-1])
    journal = work / "journal"
    journal.write_bytes(journal.read_bytes() + b'{"key": "cut')
    account, _ = convert(package, tmp_path / "out")
    assert sum(one.earlier for one in account.members) == 1
    convert(package, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_other_words_or_another_package_take_nothing_of_it(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_run, "LARGE_BYTES", 1 << 20)
    with pytest.raises(StopError):
        convert(package, tmp_path / "out", on_member=stop_after(1))
    account, _ = convert(package, tmp_path / "out", format_name="csv")
    assert not any(one.earlier for one in account.members)
    assert hidden(tmp_path / "out") == []


@pytest.mark.parametrize("names", [0, 2, 5, 8])
def test_rejects_are_all_told_by_the_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: int
) -> None:
    contents = make_package.members(COURSES, count=40, odd=True)
    package = make_package.write(tmp_path / "universityx-2014-10-05.zip", contents)
    kept: dict[str, bytes] = {}
    whole, _ = convert(package, tmp_path / "whole", keep_rejects=True, kept=kept)
    assert whole.total.rejected > 3
    publish = TableFolder.publish
    given: list[tuple[Path, ...]] = []

    def stops(self: TableFolder, *paths: Path) -> None:
        if len(given) == names:
            raise StopError
        given.append(paths)
        publish(self, *paths)

    monkeypatch.setattr(TableFolder, "publish", stops)
    with pytest.raises(StopError):
        convert(package, tmp_path / "out", keep_rejects=True)
    monkeypatch.undo()
    for _ in range(2):
        again: dict[str, bytes] = {}
        account, _ = convert(package, tmp_path / "out", keep_rejects=True, kept=again)
        assert account.total.rejected == whole.total.rejected
        assert again == kept


def test_records_are_written_whole_however_little_the_disk_takes_at_once(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_run, "LARGE_BYTES", 1 << 20)
    write, pwrite = os.write, os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:100])))
        patch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, bytes(data[:100]), at))
        with pytest.raises(StopError):
            convert(package, tmp_path / "out", on_member=stop_after(2))
    account, _ = convert(package, tmp_path / "out")
    assert sum(one.earlier for one in account.members) == 2


def test_a_record_that_a_kill_cut_off_takes_no_later_one_with_it(
    package: Path, tmp_path: Path
) -> None:
    member = convert(package, tmp_path / "whole")[0].members[0]
    folder = TableFolder(tmp_path / "out")
    for key in ("first", "second"):
        rows = folder.work_path(f"{key}-rows")
        rows.write_bytes(b"rows")
        Records(folder).add_ready(key, member, {}, rows, None)
        if key == "first":
            folder.journal.write_bytes(folder.journal.read_bytes() + b'{"key": "cut')
    records = Records(folder)
    for key in ("first", "second"):
        assert records.recall(key, member, course_first=False) is not None
    folder.close(finished=True)
