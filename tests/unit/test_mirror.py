"""The local folder: no way out of it, nothing half under a name, nothing lost by a crash."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxlogs.errors import ConfigError, OutputError
from edxlogs.mirror import partial as mirror_part
from edxlogs.mirror.mirror import Mirror, local_names
from edxlogs.mirror.records import Record
from edxlogs.s3.client import S3Object

WHEN = datetime.datetime(2014, 3, 9, 12, tzinfo=datetime.UTC)


def s3_object(key: str = "a/b/c", size: int = 10, etag: str = '"e"') -> S3Object:
    return S3Object("a-bucket", key, size, etag, WHEN)


def record(source: S3Object) -> Record:
    return Record(source.bucket, source.key, source.size, source.etag, WHEN, "ab" * 32, "MD5", WHEN)


def deliver(mirror: Mirror, key: str, content: bytes, *, replace: bool = False) -> None:
    source = s3_object(key, len(content))
    part = mirror.partial(source)
    part.write(content)
    mirror.publish(part, source, record(source), replace=replace)
    part.close()


@given(st.text())
def test_no_key_leads_out(key: str) -> None:
    try:
        names = local_names(key)
    except ValueError:
        return
    assert "/".join(names) == key
    assert os.path.normpath(f"/m/{key}") == f"/m/{key}"
    assert names[0] != "_edxlogs"


@pytest.mark.parametrize(
    "key",
    ["", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a\nb", "a\x1b[2J",
     "a\0b", "\u202eb", "a" * 256, "é" * 128, "_edxlogs/objects.jsonl", "_edxlogs"],
)  # fmt: skip
def test_keys_that_no_file_can_have(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its key"):
        local_names(key)
    with Mirror(tmp_path / "m") as mirror:
        with pytest.raises(OutputError, match="copy it to another key"):
            mirror.status(key)
        with pytest.raises(OutputError, match="copy it to another key"):
            deliver(mirror, key, b"x")
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["_edxlogs"]


@pytest.mark.parametrize("key", ["a", "a b/c'd", "é/ü", "a/.hidden", "a\\b", "%2e%2e/a", "a" * 255])
def test_keys_that_files_have(key: str, tmp_path: Path) -> None:
    with Mirror(tmp_path / "m") as mirror:
        assert mirror.status(key) is None
        deliver(mirror, key, b"x")
        assert mirror.status(key) is not None
    assert (tmp_path / "m" / key).read_bytes() == b"x"


@pytest.mark.parametrize(("mode", "folder"), [(0o600, 0o700), (0o640, 0o750), (0o444, 0o755)])
def test_permissions(mode: int, folder: int, tmp_path: Path) -> None:
    with Mirror(tmp_path / "m", mode=mode) as mirror:
        deliver(mirror, "a/b", b"x")
        deliver(mirror, "a/b", b"y", replace=True)
    for path, wanted in {"m": folder, "m/a": folder, "m/a/b": mode}.items():
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == wanted, path
    for ours in (tmp_path / "m/_edxlogs").iterdir():
        assert not ours.stat().st_mode & 0o077 or ours.is_dir()


def test_a_file_has_the_time_of_its_object(tmp_path: Path) -> None:
    with Mirror(tmp_path) as mirror:
        deliver(mirror, "a", b"x")
    assert (tmp_path / "a").stat().st_mtime == WHEN.timestamp()


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"safe")
    with Mirror(tmp_path / "m") as mirror:
        (tmp_path / "m/folder").symlink_to(outside)
        (tmp_path / "m/file").symlink_to(outside / "file")
        (tmp_path / "m/broken").symlink_to(outside / "new")
        for key in ("folder/file", "folder/new", "file", "broken", "broken/a"):
            with pytest.raises(OutputError, match="move it away"):
                mirror.status(key)
        for key in ("folder/file", "folder/new", "broken/a"):
            with pytest.raises(OutputError, match="move it away"):
                deliver(mirror, key, b"evil", replace=True)
        for key in ("file", "broken"):
            with pytest.raises(OutputError, match="File exists"):
                deliver(mirror, key, b"evil")
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_bytes() == b"safe"


@pytest.mark.parametrize("name", ["_edxlogs", "_edxlogs/parts"])
def test_records_are_not_written_through_a_link(name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "m" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(ConfigError, match="is not a folder"):
        Mirror(tmp_path / "m")
    assert list(outside.iterdir()) == []


def test_names_that_collide(tmp_path: Path) -> None:
    """A file where a folder must be, and the other way round."""
    with Mirror(tmp_path) as mirror:
        deliver(mirror, "a", b"x")
        deliver(mirror, "b/c", b"y")
        with pytest.raises(OutputError, match="stands where its folder must be"):
            deliver(mirror, "a/b", b"z")
        with pytest.raises(OutputError, match="a folder stands in its place"):
            mirror.status("b")
        with pytest.raises(OutputError, match="Is a directory"):
            deliver(mirror, "b", b"z", replace=True)
        with pytest.raises(OutputError, match="File exists"):
            deliver(mirror, "a", b"z")
    assert (tmp_path / "a").read_bytes() == b"x"
    assert (tmp_path / "b/c").read_bytes() == b"y"


def test_to_look_makes_nothing(tmp_path: Path) -> None:
    with Mirror(tmp_path / "m", writable=False) as mirror:
        assert mirror.status("a") is None
        assert list(mirror.records) == []
        assert mirror.free_bytes() > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writable", [True, False])
def test_a_file_is_no_mirror(writable: bool, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"x")
    with pytest.raises(ConfigError, match="is not a folder"):
        Mirror(tmp_path / "m", writable=writable)


def _hold(path: Path, ready: multiprocessing.synchronize.Event) -> None:
    with Mirror(path):
        ready.set()
        while True:
            ready.wait(60)


def test_one_at_a_time_and_a_crash_leaves_no_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(OutputError, match="another edxlogs is filling it"):
        Mirror(tmp_path)
    with Mirror(tmp_path, writable=False):
        pass
    holder.kill()
    holder.join()
    with Mirror(tmp_path) as mirror:
        deliver(mirror, "a", b"x")


RECORDS = st.builds(
    Record,
    bucket=st.just("a-bucket"),
    key=st.text(max_size=8),
    size=st.integers(0, 1 << 50),
    etag=st.text(max_size=8),
    modified=st.datetimes(timezones=st.just(datetime.UTC)),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    checked=st.none() | st.sampled_from(["MD5", "CRC64NVME"]),
    time=st.datetimes(timezones=st.just(datetime.UTC)),
)


@given(st.lists(RECORDS, max_size=6), st.integers(0, 400))
def test_a_manifest_that_was_cut_keeps_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], cut: int
) -> None:
    """And the last line about a key counts; what is added later is not lost either."""
    path = tmp_path_factory.mktemp("manifest")
    with Mirror(path) as mirror:
        for one in records:
            mirror.records.add(one)
    file = path / "_edxlogs/objects.jsonl"
    content = file.read_bytes()
    kept = content[: max(0, len(content) - cut)]
    file.write_bytes(kept)
    whole = records[: kept.count(b"\n")]
    with Mirror(path) as mirror:
        assert sorted(mirror.records, key=repr) == sorted(
            {one.key: one for one in whole}.values(), key=repr
        )
        assert mirror.records.unreadable == []
        mirror.records.add(record(s3_object("later")))
    assert [orjson.loads(line)["key"] for line in file.read_bytes().splitlines()] == [
        *(one.key for one in whole), "later"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"nonsense", b'{"schema_version": 2}', b"\xff",
     b'{"schema_version":1,"bucket":1,"key":"a","size":1,"etag":"e","sha256":"0","checked":null,'
     b'"modified":"2014-03-09T12:00:00Z","time":"2014-03-09T12:00:00Z"}'],
)  # fmt: skip
def test_a_line_that_is_no_record_is_told_and_costs_itself_alone(
    line: bytes, tmp_path: Path
) -> None:
    with Mirror(tmp_path) as mirror:
        mirror.records.add(record(s3_object("a")))
    file = tmp_path / "_edxlogs/objects.jsonl"
    file.write_bytes(line + b"\n" + file.read_bytes())
    for writable in (False, True):
        with Mirror(tmp_path, writable=writable) as mirror:
            assert mirror.records.unreadable == [1]
            assert [one.key for one in mirror.records] == ["a"]


def left(path: Path, content: bytes, *, flush_at: int | None = None) -> None:
    """Leave a part as a process that is killed does."""
    with Mirror(path) as mirror, closing(mirror.partial(s3_object(size=100))) as part:
        part.write(content[:flush_at])
        if flush_at is not None:
            part._flush()
            part.write(content[flush_at:])


def again(path: Path, source: S3Object) -> bytes:
    with Mirror(path) as mirror, closing(mirror.partial(source)) as part:
        content = b"".join(part.read_back())
        assert len(content) == part.size
        return content


@pytest.fixture
def restart(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(mirror_part, "boot_id", lambda: "another start")


def test_after_a_crash_every_byte_counts(tmp_path: Path) -> None:
    left(tmp_path, b"x" * 60, flush_at=20)
    assert again(tmp_path, s3_object(size=100)) == b"x" * 60


def test_after_a_power_cut_only_flushed_bytes_count(
    tmp_path: Path, restart: Callable[[], None]
) -> None:
    left(tmp_path, b"x" * 20 + b"\0" * 40, flush_at=20)
    restart()
    assert again(tmp_path, s3_object(size=100)) == b"x" * 20
    # And from here on, what is written counts again.
    left(tmp_path, b"y" * 30)
    assert again(tmp_path, s3_object(size=100)) == b"x" * 20 + b"y" * 30


def test_without_a_flush_nothing_counts_after_a_power_cut(
    tmp_path: Path, restart: Callable[[], None]
) -> None:
    left(tmp_path, b"x" * 60)
    restart()
    assert again(tmp_path, s3_object(size=100)) == b""


def test_where_the_system_tells_no_start_only_flushed_bytes_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_part, "boot_id", lambda: None)
    left(tmp_path, b"x" * 60, flush_at=20)
    assert again(tmp_path, s3_object(size=100)) == b"x" * 20


@pytest.mark.parametrize(
    "other",
    [s3_object(size=100, etag='"f"'), s3_object(size=101), s3_object(size=59)],
)
def test_bytes_of_another_content_do_not_count(other: S3Object, tmp_path: Path) -> None:
    left(tmp_path, b"x" * 60, flush_at=20)
    assert again(tmp_path, other) == b""
    # They are not kept either.
    assert again(tmp_path, s3_object(size=100)) == b""


def test_a_part_that_is_too_long_does_not_count(tmp_path: Path) -> None:
    left(tmp_path, b"x" * 101)
    assert again(tmp_path, s3_object(size=100)) == b""


@pytest.mark.parametrize("note", [b"", b"{", b"[1]", b'"text"', b"{}", b'{"flushed": "x"}', None])
def test_a_damaged_note_costs_the_part_after_a_power_cut(
    note: bytes | None, tmp_path: Path, restart: Callable[[], None]
) -> None:
    left(tmp_path, b"x" * 60, flush_at=20)
    (path,) = (tmp_path / "_edxlogs/parts").glob("*.json")
    if note is None:
        path.unlink()
    else:
        path.write_bytes(note)
    restart()
    assert again(tmp_path, s3_object(size=100)) == b""


def test_a_part_is_flushed_as_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: Callable[[], None]
) -> None:
    monkeypatch.setattr(mirror_part, "FLUSH_BYTES", 10)
    with Mirror(tmp_path) as mirror, closing(mirror.partial(s3_object(size=100))) as part:
        for _ in range(5):
            part.write(b"x" * 7)
    restart()
    assert again(tmp_path, s3_object(size=100)) == b"x" * 28


def test_reset_lets_nothing_count(tmp_path: Path, restart: Callable[[], None]) -> None:
    with Mirror(tmp_path) as mirror, closing(mirror.partial(s3_object(size=100))) as part:
        part.write(b"x" * 60)
        part._flush()
        part.reset()
        part.write(b"y")
    assert again(tmp_path, s3_object(size=100)) == b"y"
    restart()
    assert again(tmp_path, s3_object(size=100)) == b""


def test_nothing_is_left_of_a_published_part(tmp_path: Path) -> None:
    with Mirror(tmp_path) as mirror:
        deliver(mirror, "a/b", b"x" * 10)
        part = mirror.partial(s3_object("large", 20))
        part.write(b"x" * 20)
        part._flush()
        mirror.publish(part, s3_object("large", 20), record(s3_object("large", 20)), replace=False)
        part.close()
        mirror.sync()
    assert [path.name for path in (tmp_path / "_edxlogs/parts").iterdir()] == ["boot"]


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    with Mirror(tmp_path) as mirror:
        mirror.records.add(record(s3_object("a")))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            with pytest.raises(OSError, match="No space left"):
                mirror.records.add(record(s3_object("b")))
        mirror.records.add(record(s3_object("c")))
    with Mirror(tmp_path) as mirror:
        assert [one.key for one in mirror.records] == ["a", "c"]
        assert mirror.records.unreadable == []
