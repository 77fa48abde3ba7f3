"""store/file.py: files that appear whole or not at all, and what is refused."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edxlogs.errors import ConfigError, OutputError
from edxlogs.formats import format_of
from edxlogs.sources.local import find
from edxlogs.sources.source import Source
from edxlogs.store import disk
from edxlogs.store import file as sinks
from edxlogs.store.file import OutputFile
from small_logs import settles_to, usage


def hidden(target: Path) -> Path:
    return target.parent / f".{target.name}.edxlogs"


def publish(target: Path, content: bytes = b"new", **options: Any) -> None:
    file = OutputFile(target, **options)
    file.path.write_bytes(content)
    file.publish()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("a.parquet", "parquet"),
        ("a.PQ", "parquet"),
        ("a.csv", "csv"),
        ("a.csv.gz", "csv.gz"),
        ("a.csv.zst", "csv.zst"),
        ("a.TSV", "tsv"),
        ("a.tsv.gz", "tsv.gz"),
        ("a.tsv.zst", "tsv.zst"),
        ("a.jsonl", "jsonl"),
        ("a.log.gz", "jsonl.gz"),
        ("a.json.gz", "jsonl.gz"),
        ("a.b.jsonl.zst", "jsonl.zst"),
        ("a.feather", "arrow"),
        ("-", "jsonl"),
    ],
)
def test_formats_by_ending(target: str, name: str) -> None:
    assert format_of(target, None) == name
    assert format_of(target, name) == name


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("a.parquet", "csv"),
        ("a.csv.gz", "csv"),
        ("a.csv", "csv.gz"),
        ("a.CSV", "tsv"),
        ("s3://bucket/a.jsonl", "jsonl.zst"),
        ("a.log", "parquet"),
        ("a.gz", "csv"),
        ("a.csv.bz2", "csv"),
        ("a.xlsx", "csv"),
    ],
)
def test_an_ending_and_a_format_that_disagree_are_refused(target: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"format: {name}: does not match "):
        format_of(target, name)


@pytest.mark.parametrize("target", ["a", "out.txt", "-", "a.b/c", "csv"])
def test_a_format_is_named_where_the_ending_tells_none(target: str) -> None:
    assert format_of(target, "csv") == "csv"


@pytest.mark.parametrize("target", ["a", "a.bz2", "parquet", ".", "a.xlsx", "a\x1b.x"])
def test_endings_that_tell_nothing(target: str) -> None:
    with pytest.raises(ConfigError, match="--format") as caught:
        format_of(target, None)
    assert "\x1b" not in str(caught.value)


def test_published_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    file = OutputFile(target)
    assert stat.S_IMODE(hidden(target).stat().st_mode) == 0o700
    file.path.write_bytes(b"rows")
    assert not target.exists()
    file.publish()
    assert target.read_bytes() == b"rows"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["out"]


def test_permissions(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "out", mode=0o644)
    file.path.write_bytes(b"")
    file.publish()
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o644


def test_discarded(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "out")
    file.path.write_bytes(b"rows")
    file.part_path(3).write_bytes(b"rows")
    file.discard()
    file.discard()
    assert os.listdir(tmp_path) == []


def test_an_output_that_exists(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(ConfigError, match=r"exists; .*--overwrite"):
        OutputFile(target)
    assert os.listdir(tmp_path) == ["out"]
    publish(target, overwrite=True)
    assert target.read_bytes() == b"new"


def test_an_output_that_appears_during_the_run(tmp_path: Path) -> None:
    target = tmp_path / "out"
    file = OutputFile(target)
    file.path.write_bytes(b"new")
    target.write_bytes(b"of another")
    with pytest.raises(ConfigError, match="appeared"):
        file.publish()
    assert target.read_bytes() == b"of another"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("appears", [False, True])
@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, appears: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "out"
    if appears:
        file = OutputFile(target)
        file.path.write_bytes(b"new")
        target.write_bytes(b"old")
        with pytest.raises(ConfigError, match="appeared"):
            file.publish()
        assert target.read_bytes() == b"old"
    else:
        publish(target)
        assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("way", ["itself", "link", "hard link", "other spelling"])
def test_an_input_is_never_an_output(tmp_path: Path, way: str) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"the only copy")
    target = tmp_path / "b.log"
    if way == "itself":
        target = log
    elif way == "link":
        target.symlink_to(log)
    elif way == "hard link":
        os.link(log, target)
    else:
        (tmp_path / "x").mkdir()
        target = tmp_path / "x" / ".." / "a.log"
    for inputs in (find([log]).sources, [Source(str(log), "a.log", 13)]):
        if way == "hard link" and inputs[0].identity is None:
            continue
        with pytest.raises(ConfigError, match="is also an input"):
            OutputFile(target, overwrite=True, inputs=inputs)
    assert log.read_bytes() == b"the only copy"


def test_folders_and_links(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        OutputFile(tmp_path, overwrite=True)
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="broken link"):
        OutputFile(tmp_path / "out", overwrite=True)
    with pytest.raises(OutputError, match="make the folder"):
        OutputFile(tmp_path / "none" / "out")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="Not a directory"):
        OutputFile(tmp_path / "file" / "out")


def test_the_hidden_folder_is_no_link(tmp_path: Path) -> None:
    """What stands behind a link would be removed as left over from another run."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_bytes(b"x")
    hidden(tmp_path / "out").symlink_to(precious)
    with pytest.raises(ConfigError, match="is not edxlogs' own"):
        OutputFile(tmp_path / "out")
    assert os.listdir(precious) == ["thesis"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "out"
    script = """
        import os, sys
        from edxlogs.store.file import OutputFile
        file = OutputFile(sys.argv[1])
        file.path.write_bytes(b"half")
        file.part_path(1).write_bytes(b"half")
        os.kill(os.getpid(), 9)
    """.replace("\n        ", "\n")
    home = Path(sinks.__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", script, target], env={**os.environ, "PYTHONPATH": str(home)}
    )
    assert sorted(os.listdir(hidden(target))) == ["lock", "output", "part-000001"]
    file = OutputFile(target)
    assert os.listdir(hidden(target)) == ["lock"]
    file.discard()
    assert os.listdir(tmp_path) == []


def test_a_hidden_folder_that_cannot_be_emptied_leaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hidden(tmp_path / "out") / "folder").mkdir(parents=True, mode=0o700)

    def refuse(path: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)

    monkeypatch.setattr(disk, "remove", refuse)
    before = usage()
    with pytest.raises(OutputError, match="out: Device or resource busy"):
        OutputFile(tmp_path / "out")
    assert settles_to(before)  # a listing that is not closed would be told here


def test_two_runs_at_once(tmp_path: Path) -> None:
    target = tmp_path / "out"
    first = OutputFile(target)
    first.path.write_bytes(b"first")
    with pytest.raises(OutputError, match="another edxlogs"):
        OutputFile(target)
    first.publish()
    assert target.read_bytes() == b"first"
    publish(target, overwrite=True)
    assert target.read_bytes() == b"new"


def test_a_lock_that_was_removed_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking, its owner ends and a third run begins."""
    target = tmp_path / "out"
    first = OutputFile(target)
    third: list[OutputFile] = []
    lock = fcntl.flock

    def late(descriptor: int, flags: int) -> None:
        if not third:
            monkeypatch.setattr(fcntl, "flock", lock)
            first.discard()
            third.append(OutputFile(target))
            third[0].path.write_bytes(b"third")
        lock(descriptor, flags)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(OutputError, match="another edxlogs"):
        OutputFile(target)
    assert third[0].path.read_bytes() == b"third"
    third[0].publish()
    assert os.listdir(tmp_path) == ["out"]


def test_a_small_file_written_at_once(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    for content, overwrite in ((b"{}", False), (b"[]", True)):
        with OutputFile(target, overwrite=overwrite, mode=0o640) as file:
            file.write(content)
            file.publish()
        assert target.read_bytes() == content
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["report.json"]


def test_what_is_not_published_goes(tmp_path: Path) -> None:
    before = usage()
    with OutputFile(tmp_path / "out") as file:
        os.write(file.create(), b"half")
    assert os.listdir(tmp_path) == []
    assert settles_to(before)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with OutputFile(tmp_path / "report") as file:
        file.write(b"{}")
        with pytest.raises(OutputError, match="report: No space left"):
            file.publish()
    assert os.listdir(tmp_path) == []
    assert sys.exc_info() == (None, None, None)
