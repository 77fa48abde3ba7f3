"""Runs that are stopped, and go on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import make_package
from commands import hidden
from datasets import assert_whole
from edxlogs import _core
from edxlogs.database import target as table_run
from edxlogs.database.account import MemberAccount, TableAccount
from edxlogs.database.courses import TableChoice
from edxlogs.database.folder import TableFolder
from edxlogs.database.package import open_package
from edxlogs.database.reading import TableReader
from edxlogs.database.target import TableTarget
from edxlogs.generator import exporter
from edxlogs.gpg.process import Gpg
from edxlogs.store import disk
from edxlogs.store.place import HOME, Folder
from edxlogs.store.store import Store
from edxlogs.targets import fill

COURSES = make_package.COURSES[:2]


@pytest.fixture(autouse=True)
def _commits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edxlogs.database.folder.COMMIT_SECONDS", 0.0)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    contents = make_package.members(COURSES, count=5, modules=4000)
    return exporter.write(tmp_path / "universityx-2014-10-05.zip", contents)


def convert(
    package: Path,
    target: Path,
    kept: dict[str, bytes] | None = None,
    on_member: Any = lambda _: None,
    **options: Any,
) -> tuple[TableAccount, int]:
    """The account of a run, and how many bytes it read; into `kept` go its rejected rows."""
    reader = TableReader(Gpg(prompt=False), _core.Control())
    with Store(Folder(target, shared=True)) as store:
        folder = TableFolder(store, keep_rejects=kept is not None)
        packages = [open_package(str(package))]
        tables_in = TableTarget(reader, packages, TableChoice(), folder, **options)
        tables_in.plan()
        fill(tables_in, on_member)
        if kept is not None:
            kept["rejects"] = b"".join(path.read_bytes() for path in tables_in.rejects())
        return tables_in.account, reader.bytes_read


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
    home = tmp_path / "out" / HOME
    ready = sorted((home / "ready").iterdir(), key=lambda path: -path.stat().st_size)
    ready[0].write_bytes(ready[0].read_bytes()[:-1])
    with (home / "segments").open("ab") as segments:
        segments.write(b"0123 cut")
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
    assert_whole(tmp_path / "out")
    assert not list((tmp_path / "out" / HOME / "ready").glob("*"))


@pytest.mark.parametrize("names", [0, 2, 5, 8])
def test_rejects_are_all_told_by_the_run_that_goes_on(tmp_path: Path, names: int) -> None:
    contents = make_package.members(COURSES, count=40, odd=True)
    package = exporter.write(tmp_path / "universityx-2014-10-05.zip", contents)
    kept: dict[str, bytes] = {}
    whole, _ = convert(package, tmp_path / "whole", kept=kept)
    assert whole.total.rejected > 3
    given = []

    def stops(step: str, *paths: Path) -> None:
        if step == "rename" and HOME not in paths[-1].parts:
            given.append(paths)
            if len(given) > names:
                raise StopError

    with pytest.raises(StopError), disk.watch(stops):
        convert(package, tmp_path / "out", kept={})
    for _ in range(2):
        again: dict[str, bytes] = {}
        account, _ = convert(package, tmp_path / "out", kept=again)
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
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_run, "LARGE_BYTES", 1 << 20)
    for _ in range(2):
        with pytest.raises(StopError):
            convert(package, tmp_path / "out", on_member=stop_after(1))
        with (tmp_path / "out" / HOME / "segments").open("ab") as segments:
            segments.write(b"0123 cut")
    account, _ = convert(package, tmp_path / "out")
    assert sum(one.earlier for one in account.members) == 2
