"""The log of a Delta table: checkpoints, versions that are old, damage, and two that write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import edxlogs
from deltas import held_by, rows_of
from edxlogs.delta import log
from edxlogs.delta.log import DeltaLog
from edxlogs.store import disk
from edxlogs.store.manifest import Segment, now
from edxlogs.store.place import Folder
from edxlogs.store.store import Store
from small_logs import lines, write

NAMES = [f"universityx-{site}-events-2014-10-0{day}.log.gz" for day in "123456" for site in "ab"]


def _grown(folder: Path, count: int) -> Path:
    """A dataset that got a file a night, and was published each time."""
    out = folder / "out"
    for number in range(count):
        # A file is released again every third night: its rows are replaced.
        name, first = NAMES[number], number * 1000
        write(folder / name, lines(5, first=first))
        if number % 3 == 2:
            write(folder / NAMES[number - 2], lines(7, first=first + 500))
        sources = [folder / name for name in NAMES[: number + 1]]
        edxlogs.write(sources, out, partition_by="event_source")
        edxlogs.publish(out)
    return out


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "CHECKPOINT_VERSIONS", 3)


def _logged(out: Path) -> list[str]:
    return sorted(path.name[18:] for path in (out / "_delta_log").glob("0*"))


@pytest.mark.usefixtures("often")
def test_checkpoints(tmp_path: Path) -> None:
    out = _grown(tmp_path, 8)
    there = _logged(out)
    assert [name for name in there if "checkpoint" in name] == [
        "02.checkpoint.parquet",
        "05.checkpoint.parquet",
    ]
    last = json.loads((out / "_delta_log" / "_last_checkpoint").read_bytes())
    assert last["version"] == 5
    wanted = held_by(out)
    assert rows_of(out) == wanted
    # A reader that has no versions before the checkpoint has the same rows, by both of them.
    for version in range(6):
        (out / "_delta_log" / f"{version:020}.json").unlink()
    assert rows_of(out) == wanted
    polars = pytest.importorskip("polars")
    assert polars.scan_delta(out).select(polars.len()).collect().item() == sum(wanted.values())
    # The next publication starts from it, too.
    edxlogs.compact(out)
    edxlogs.publish(out)
    assert rows_of(out) == held_by(out) == wanted
    files = DeltaLog(out, "out").files()
    assert len(files) == len(list(out.glob("event_source=*/*"))) - len(
        Store(Folder(out)).retired()[1]
    )


@pytest.mark.usefixtures("often")
def test_a_checkpoint_that_a_library_made(tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    out = _grown(tmp_path, 2)
    deltalake.DeltaTable(out).create_checkpoint()
    assert len(DeltaLog(out, "out").files()) == 2
    out = _grown(tmp_path, 5)
    assert rows_of(out) == held_by(out)


@pytest.mark.usefixtures("often")
def test_versions_that_are_old_go(tmp_path: Path) -> None:
    out = _grown(tmp_path, 5)
    long_ago = time.time() - 31 * 24 * 3600
    for path in (out / "_delta_log").glob("*.json"):
        os.utime(path, (long_ago, long_ago))
    out = _grown(tmp_path, 6)
    assert "00.json" in _logged(out)  # no checkpoint stands for it that is as old
    for path in (out / "_delta_log").glob("*[0-9].*"):
        os.utime(path, (long_ago, long_ago))
    wanted = held_by(out)
    for number in range(6, 9):
        source = write(tmp_path / NAMES[number], lines(5, first=number * 1000))
        edxlogs.write(source, out, partition_by="event_source")
        wanted = held_by(out)
        edxlogs.publish(out)
    there = _logged(out)
    assert "00.json" not in there
    assert there[0] == "05.checkpoint.parquet"
    assert rows_of(out) == wanted
    for version in (5, 6, 7):
        assert sum(rows_of(out, version).values()) > 0


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("content", [b"", b"PAR1", b"not Parquet at all"])
def test_a_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    out = _grown(tmp_path, 3)
    (out / "_delta_log" / f"{2:020}.checkpoint.parquet").write_bytes(content)
    with pytest.raises(edxlogs.ConfigError, match="_delta_log is damaged; remove it"):
        edxlogs.publish(out)


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    out = _grown(tmp_path, 1)
    place = out / "_delta_log" / f"{0:020}.checkpoint.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), place)
    with pytest.raises(edxlogs.ConfigError, match="_delta_log is damaged; remove it"):
        edxlogs.publish(out)


def test_no_version_takes_the_place_of_another(tmp_path: Path) -> None:
    out = _grown(tmp_path, 1)
    mine = DeltaLog(out, "out")
    theirs = out / "_delta_log" / f"{1:020}.json"
    theirs.write_text("of another program")
    with pytest.raises(edxlogs.ConfigError, match="another program has written version 1"):
        mine.commit(9, [], [], mine.schema or "", [], staged=out / "_edxlogs/new/x", mode=0o600)
    assert theirs.read_text() == "of another program"


def test_two_at_once(tmp_path: Path) -> None:
    out = _grown(tmp_path, 1)
    write(tmp_path / NAMES[1], lines(5, first=5000))
    edxlogs.write([tmp_path / NAMES[1]], out, partition_by="event_source")
    words = [sys.executable, "-m", "edxlogs", "publish", "out", "--as", "delta"]
    path = {**os.environ, "PYTHONPATH": str(Path(edxlogs.__file__).parents[1])}
    both = [
        subprocess.Popen(words, cwd=tmp_path, env=path, stderr=subprocess.PIPE) for _ in range(2)
    ]
    told = [process.communicate()[1].decode() for process in both]
    assert any(process.returncode == 0 for process in both), told
    assert all("Traceback" not in one for one in told)
    assert len(list((out / "_delta_log").glob("*.json"))) == 2
    assert rows_of(out) == held_by(out)


def test_a_file_that_has_come_back_stays(tmp_path: Path) -> None:
    out = _grown(tmp_path, 1)
    with Store(Folder(out)) as store:
        (file,) = (file for file in store.manifest.files() if file.holds_rows)
        content = (out / file.path).read_bytes()
        store.commit(Segment(now(), removed=[file.path]))
        assert (out / file.path).read_bytes() == content
        (store.new / "again").write_bytes(content)
        store.commit(Segment(now(), added=[replace(file, staged="again")]))
    edxlogs.publish(out)
    place = out / "_edxlogs" / "published"
    told = [[number, "2001-01-01"] for number, _ in json.loads(place.read_bytes())]
    place.write_text(json.dumps(told))
    assert edxlogs.clean(out).removed == 0
    assert (out / file.path).read_bytes() == content
    # It may go as often as it comes.
    with Store(Folder(out)) as store:
        store.commit(Segment(now(), removed=[file.path]))
        assert store.retired() == ([], [file.path])


@pytest.mark.usefixtures("often")
def test_duckdb_reads_it(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    extension = pytest.importorskip("duckdb_extension_delta")
    found = list(Path(extension.__file__).parent.rglob(f"v{duckdb.__version__}/**/delta.*"))
    if not found:
        pytest.skip(f"duckdb_extension_delta has none for DuckDB {duckdb.__version__}")
    out = _grown(tmp_path, 5)
    (out / "_delta_log" / f"{0:020}.json").unlink()
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.load_extension(str(found[0]))
    count = connection.execute(f"select count(*) from delta_scan('{out}')").fetchone()
    assert count == (sum(held_by(out).values()),)


def test_a_disk_that_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = _grown(tmp_path, 1)
    shutil.rmtree(out / "_delta_log")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write", full)
    with pytest.raises(edxlogs.OutputError, match="No space left on device"):
        edxlogs.publish(out)
    monkeypatch.undo()
    assert edxlogs.publish(out).tables[0].version == 0
    assert rows_of(out) == held_by(out)


def test_without_pyarrow_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(edxlogs.ConfigError) as caught:
        edxlogs.publish(tmp_path)
    assert str(caught.value) == (
        "publish: needs pyarrow; install it (pip install 'edxlogs[delta]')"
    )
