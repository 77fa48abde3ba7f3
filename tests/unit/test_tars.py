"""Members of a tar: what GNU tar and Python write, and the damage that must not pass."""

import datetime
import gzip
import io
import random
import re
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow
import pytest

import edxlogs
from decrypting import Ring
from edxlogs.errors import DecryptError, FormatError, MissingSourceError, SourceError
from edxlogs.generator import keys
from edxlogs.sources.local import find
from edxlogs.sources.source import Packing, Source, sniff
from edxlogs.sources.tars import expand_tar
from small_logs import lines

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
FIRST = "prod-edx-001/2013-05-02-univx.log.gpg"
SECOND = "prod-edge-001/2013-05-01-univx.log.gpg"


def build(entries: list[tuple[str, bytes]], tar_format: int = tarfile.GNU_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tar_format) as tar:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def write(folder: Path, content: bytes, name: str = "2013-05-05-univx-tracking.tar") -> Source:
    path = folder / name
    path.write_bytes(content)
    return find([path]).sources[0]


def content_of(source: Source) -> bytes:
    data = Path(source.path).read_bytes()
    assert source.length is not None
    return data[source.offset : source.offset + source.length]


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS.keys())
def test_members_are_places_in_the_file(tmp_path: Path, tar_format: int) -> None:
    long_name = "prod-edxapp-003/" + "d" * 90 + "/2013-05-03-univx.log.gpg"
    entries = [(FIRST, b"first" * 300), (SECOND, b""), (long_name, b"third")]
    tar = write(tmp_path, build(entries, tar_format))
    assert sniff(tar) is Packing.TAR
    found = expand_tar(tar)
    assert [source.member for source in found.sources] == [SECOND, FIRST, long_name]
    assert {source.member: content_of(source) for source in found.sources} == dict(entries)
    assert [source.site for source in found.sources] == ["edge", "prod", "prod"]
    assert [source.date for source in found.sources] == [
        datetime.date(2013, 5, day) for day in (1, 2, 3)
    ]
    assert {source.org for source in found.sources} == {"univx"}
    assert {source.identity for source in found.sources} == {tar.identity}
    assert found.sources[0].name == SECOND
    assert found.sources[0].label == f"{tar.path}: {SECOND}"
    assert found.ignored == found.warnings == []


def test_what_is_no_log_is_ignored_by_name(tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, kind in [
            ("./d.log", tarfile.DIRTYPE),
            ("link.log", tarfile.SYMTYPE),
            ("hard.log", tarfile.LNKTYPE),
            ("pipe.log", tarfile.FIFOTYPE),
            ("README", tarfile.REGTYPE),
            ("._a.log", tarfile.REGTYPE),
            ("./.git/a.log", tarfile.REGTYPE),
            ("../../etc/a.log", tarfile.REGTYPE),
            ("/abs\n.log", tarfile.REGTYPE),
            ("./tracking.log", tarfile.REGTYPE),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "README"
            tar.addfile(member)
    source = write(tmp_path, target.getvalue())
    found = expand_tar(source)
    assert [member.name for member in found.sources] == [
        "etc/a.log",
        "tracking.log",
        "abs\\x0a.log",
    ]
    assert found.ignored == [
        f"{source.path}: {name}" for name in ("link.log", "hard.log", "pipe.log", "README")
    ]
    assert found.sources[1].org == "univx"


def test_order_is_by_bytes_and_odd_bytes_are_shown(tmp_path: Path) -> None:
    names = ["b.log", "B.log", "é.log", "\udcff.log", "a/z.log", "a.log"]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    found = expand_tar(write(tmp_path, target.getvalue()))
    assert [source.member for source in found.sources] == [
        "B.log", "a.log", "a/z.log", "b.log", "é.log", "\\xff.log",
    ]  # fmt: skip


def test_of_a_name_that_is_there_twice_the_last_counts(tmp_path: Path) -> None:
    found = expand_tar(write(tmp_path, build([("a.log", b"old"), ("a.log", b"new")])))
    assert [content_of(source) for source in found.sources] == [b"new"]
    assert len(found.warnings) == 1
    assert "a.log" in found.warnings[0]


def test_a_tar_inside_a_tar_is_a_place_too(tmp_path: Path) -> None:
    inner = build([("tracking.log", b"inside")])
    outer = write(tmp_path, build([("a.log", b"x"), ("b-tracking.tar", inner)]))
    member = expand_tar(outer).sources[1]
    assert sniff(member) is Packing.TAR
    assert [content_of(source) for source in expand_tar(member).sources] == [b"inside"]


def test_a_member_longer_than_the_inner_tar_is_a_cut(tmp_path: Path) -> None:
    inner = build([("tracking.log", b"inside" * 200)])[:1024]
    outer = write(tmp_path, build([("a-tracking.tar", inner), ("b.log", b"x" * 5_000)]))
    with pytest.raises(SourceError, match="cut off"):
        expand_tar(expand_tar(outer).sources[0])


def test_no_cut_passes(tmp_path: Path) -> None:
    content = build([(FIRST, b"f" * 700), (SECOND, b"s" * 100)])
    end_mark = 512 + 1024 + 512 + 512
    assert content[end_mark:].strip(b"\0") == b""
    for length in range(0, end_mark + 512, 64):
        with pytest.raises(SourceError, match="univx-tracking"):
            expand_tar(write(tmp_path, content[:length]))
    for length in (end_mark + 512, len(content)):
        assert len(expand_tar(write(tmp_path, content[:length])).sources) == 2


def test_a_broken_header_in_the_middle_is_not_the_end(tmp_path: Path) -> None:
    content = bytearray(build([(FIRST, b"f" * 700), (SECOND, b"s" * 100)]))
    content[512 + 1024 + 3] ^= 1
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert len(tar.getnames()) == 1  # the standard library sees nothing wrong
    with pytest.raises(SourceError, match="at byte 1536") as error:
        expand_tar(write(tmp_path, bytes(content)))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("size", [-1, -512, -1024])
def test_a_negative_size_does_not_go_round_in_circles(tmp_path: Path, size: int) -> None:
    member = tarfile.TarInfo("a.log")
    member.size = size
    header = member.tobuf(tarfile.GNU_FORMAT)
    for content in (header + bytes(1024), build([("b.log", b"x")])[:1024] + header + bytes(1024)):
        with pytest.raises(SourceError, match="damaged tar"):
            expand_tar(write(tmp_path, content))


def test_bytes_after_the_end_are_a_warning_and_a_second_tar_an_error(tmp_path: Path) -> None:
    content = build([("a.log", b"x")])
    found = expand_tar(write(tmp_path, content + bytes(2_000_000) + b"tail"))
    assert len(found.sources) == 1
    assert "4 bytes" in found.warnings[0]
    with pytest.raises(SourceError, match="second tar"):
        expand_tar(write(tmp_path, content + content))


def test_random_damage_gives_sources_in_the_file_or_one_error(tmp_path: Path) -> None:
    generator = random.Random(20_141_001)
    clean = build([(FIRST, b"f" * 700), ("x" * 120 + ".log", b"s" * 100)], tarfile.PAX_FORMAT)
    outcomes = set()
    for _ in range(400):
        content = bytearray(clean)
        for _ in range(generator.randint(1, 4)):
            content[generator.randrange(5_000)] = generator.randrange(256)
        source = write(tmp_path, bytes(content))
        try:
            found = expand_tar(source)
        except SourceError:
            outcomes.add("error")
            continue
        outcomes.add("found")
        for member in found.sources:
            assert member.length is not None
            assert 0 < member.offset <= member.offset + member.length <= len(content)
    assert outcomes == {"error", "found"}


def test_a_missing_tar_is_a_missing_file(tmp_path: Path) -> None:
    source = write(tmp_path, build([]))
    Path(source.path).unlink()
    with pytest.raises(MissingSourceError):
        expand_tar(source)


def mixed() -> bytes:
    """Logs of two sites and days, packed and not, among members that are no logs to be read."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in [
            ("./logs", tarfile.DIRTYPE, b""),
            ("./logs/univx-prod-events-2014-10-02.log", tarfile.REGTYPE, lines(3)),
            (
                "./logs/univx-edge-events-2014-10-01.log.gz",
                tarfile.REGTYPE,
                gzip.compress(lines(2)),
            ),
            ("./logs/univx-edge-events-2016-01-01.log", tarfile.CONTTYPE, lines(4, 7)),
            ("./logs/notes.txt", tarfile.REGTYPE, lines(9)),
            ("./logs/.hidden.log", tarfile.REGTYPE, lines(9)),
            ("./logs/link.log", tarfile.SYMTYPE, b""),
            ("./logs/\udcff/tracking.log", tarfile.REGTYPE, lines(1)),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "x"
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def rows_and_names(source: Any, **options: Any) -> tuple[list[Any], list[str], list[str]]:
    columns = ["source", "site", "line", "event.number"]
    stream = edxlogs.filter(source, columns=columns, **options)
    table = pyarrow.table(stream)
    assert stream.verified
    account = stream.account
    rows = sorted(map(str, zip(*(column.to_pylist() for column in table.columns), strict=True)))
    names = [
        [label.partition(": ")[2] for label in labels]
        for labels in (account.ignored, account.skipped)
    ]
    return rows, sorted(names[0]), sorted(names[1])


@pytest.mark.parametrize(
    "conditions",
    [{}, {"site": "edge"}, {"exclude_site": "edge"}, {"until": "2014-10-03"}, {"event_type": "x"}],
    ids=str,
)
def test_a_packed_tar_holds_what_the_same_tar_on_disk_holds(
    tmp_path: Path, conditions: dict[str, Any]
) -> None:
    content = mixed()
    name = "2014-10-05-univx-tracking.tar"
    open_, packed = tmp_path / name, tmp_path / f"{name}.gz"
    open_.write_bytes(content)
    packed.write_bytes(gzip.compress(gzip.compress(content)))
    on_disk = rows_and_names(open_, **conditions)
    assert on_disk[1] == ["./logs/link.log", "./logs/notes.txt"]
    assert rows_and_names(packed, **conditions) == on_disk
    assert rows_and_names(packed, **conditions, threads=4) == on_disk
    assert rows_and_names(io.BytesIO(content), **conditions) == on_disk
    if conditions == {"site": "edge"}:
        assert len(on_disk[0]) == 6
        assert on_disk[2] == ["./logs/univx-prod-events-2014-10-02.log"]


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS.keys())
def test_names_and_sizes_of_every_form(tmp_path: Path, tar_format: int) -> None:
    names = ["a.log", "d" * 90 + "/" + "b" * 60 + ".log", "\u00e9/" * 20 + "c.log", "e.log"]
    content = build([(name, lines(n + 1)) for n, name in enumerate(names)], tar_format)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(content))
    for source in (path, io.BytesIO(content)):
        table = pyarrow.table(edxlogs.filter(source, columns=["source"])).to_pydict()
        counted = Counter(table["source"])
        assert counted == {name: n + 1 for n, name in enumerate(names)}


def test_a_packed_tar_is_read_in_its_own_order_and_each_of_two_names(tmp_path: Path) -> None:
    content = build([("b.log", lines(1)), ("a.log", lines(1, 1)), ("b.log", lines(1, 2))])
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(content))
    stream = edxlogs.filter(path, columns=["source", "event.number"])
    assert pyarrow.table(stream).to_pydict() == {
        "source": ["b.log", "a.log", "b.log"],
        "event.number": ["0", "1", "2"],
    }
    (warning,) = stream.account.sources[0].warnings
    assert warning == f"{path}: b.log: in the tar more than once: each is read"


def test_sparse_members_are_ignored_wherever_the_tar_is(tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("no tar")
    holes = tmp_path / "holes.log"
    with holes.open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 20)
        file.write(lines(1))
    (tmp_path / "whole.log").write_bytes(lines(1))
    for tar_format in ("gnu", "posix"):
        command = ["tar", "--create", "--sparse", f"--format={tar_format}", "--file=x.tar"]
        done = subprocess.run(
            [*command, "holes.log", "whole.log"], cwd=tmp_path, stderr=subprocess.PIPE
        )
        if done.returncode or (tmp_path / "x.tar").stat().st_size > 1 << 20:
            pytest.skip("no GNU tar, or no holes here")
        packed = tmp_path / "x.tar.gz"
        packed.write_bytes(gzip.compress((tmp_path / "x.tar").read_bytes()))
        for path in (tmp_path / "x.tar", packed):
            rows, ignored, _ = rows_and_names(path)
            assert (len(rows), ignored) == (1, ["holes.log"]), tar_format


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_encrypted_members_of_a_tar_on_disk(tmp_path: Path, ring: Ring) -> None:
    binary = ring.encrypt(data=gzip.compress(lines(3)))
    armoured = ring.encrypt("--armor", data=lines(2, 3))
    altered = bytearray(binary)
    altered[-40] ^= 1
    path = tmp_path / "2014-10-05-univx-tracking.tar"
    content = build([(FIRST, binary), (SECOND, armoured)])
    path.write_bytes(content)
    stream = edxlogs.filter(path, columns=["source", "site"], gnupg_home=ring.path)
    assert pyarrow.table(stream).to_pydict() == {
        "source": [SECOND] * 2 + [FIRST] * 3,
        "site": ["edge"] * 2 + ["prod"] * 3,
    }
    # A damaged one is named, and the other is read.
    path.write_bytes(build([(FIRST, bytes(altered)), (SECOND, armoured)]))
    stream = edxlogs.filter(path, columns=["source"], gnupg_home=ring.path)
    with pytest.raises(DecryptError, match=re.escape(f"{path}: {FIRST}")):
        list(stream)
    assert stream.account.total.kept == 2
    # Inside gzip they cannot be decrypted, and it is said what to do.
    packed = tmp_path / "x.tar.gz"
    packed.write_bytes(gzip.compress(content))
    with pytest.raises(
        FormatError, match=r"2013-05-02-univx\.log\.gpg: is encrypted.* unpack the tar"
    ):
        list(edxlogs.filter(packed, gnupg_home=ring.path))
