"""Archives that must not be trusted, and those that may."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edxlogs.database.package import open_package
from edxlogs.errors import FormatError
from edxlogs.sources.zips import DIRECTORY_BYTES, FileRange, ZipArchive

CONTENT = os.urandom(3000)


def archive(path: Path, **options: bool) -> ZipArchive:
    def open_range(offset: int, length: int) -> FileRange:
        return FileRange(str(path), offset, length)

    with path.open("rb") as file:
        return ZipArchive("a.zip", file, open_range, **{"check_headers": True, **options})


def make(*names: str | zipfile.ZipInfo, content: bytes = CONTENT, deflate: bool = False) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that stand twice
        with zipfile.ZipFile(out, "w") as made:
            for name in names:
                info = zipfile.ZipInfo(name) if isinstance(name, str) else name
                info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
                made.writestr(info, content)
    return out.getvalue()


def read(opened: ZipArchive, at: int = 0) -> bytes:
    with opened.open(opened.members[at]) as reader:
        return b"".join(iter(lambda: reader.read(1000), b""))


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("force_zip64", [False, True])
def test_members_are_read(tmp_path: Path, deflate: bool, force_zip64: bool) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(zipfile.ZipInfo("x/"), b"")
        for name, content in (("x/a", CONTENT), ("x/ü", b""), ("b", b"b" * 10)):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            with made.open(info, "w", force_zip64=force_zip64) as member:
                member.write(content)
    opened = archive(path)
    assert [(one.name, one.size) for one in opened.members] == [
        ("x/a", 3000),
        ("x/ü", 0),
        ("b", 10),
    ]
    assert [read(opened, at) for at in range(3)] == [CONTENT, b"", b"b" * 10]


def test_an_archive_that_streams_is_read(tmp_path: Path) -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a", CONTENT)  # its sizes follow the data
    (tmp_path / "a.zip").write_bytes(out.getvalue())
    assert read(archive(tmp_path / "a.zip")) == CONTENT


def with_link() -> bytes:
    info = zipfile.ZipInfo("a")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return make(info)


def in_directory(data: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite a field of the first entry of the directory."""
    at = data.index(b"PK\x01\x02") + offset
    return data[:at] + value + data[at + len(value) :]


def in_header(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def number(value: int) -> bytes:
    return struct.pack("<L", value)


def overlapping() -> bytes:
    """Two entries that share the data of one."""
    data = make("a", "b")
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    return data[: second + 42] + number(0) + data[second + 46 :]


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "parent": (lambda: make("../a"), "leads elsewhere"),
    "parent inside": (lambda: make("x/../../a"), "leads elsewhere"),
    "absolute": (lambda: make("/etc/passwd"), "not a relative path"),
    "drive": (lambda: make("c:/a"), "not a relative path"),
    "backslash": (lambda: make("..\\a"), "not a relative path"),
    "empty part": (lambda: make("x//a"), "not a relative path"),
    "link": (with_link, "a link or a device"),
    "twice": (lambda: make("a", "a"), "twice"),
    "encrypted": (lambda: in_directory(make("a"), 8, b"\x01\x00"), "encrypted by zip"),
    "method": (lambda: in_directory(make("a"), 10, b"\x0c\x00"), "a method other than deflate"),
    "two sizes": (lambda: in_directory(make("a"), 24, number(9)), "has two sizes"),
    "bomb": (lambda: make("a", content=bytes(3 << 20), deflate=True), "expands more than"),
    "overlap": (overlapping, "overlaps"),
    "too long": (lambda: in_directory(make("a"), 20, number(9000) * 2), "overlaps"),
    "name disagrees": (lambda: in_header(make("a"), 30, b"b"), "in two ways"),
    "method disagrees": (lambda: in_header(make("a"), 8, b"\x08\x00"), "in two ways"),
    "size disagrees": (lambda: in_header(make("a"), 22, number(2999)), "in two ways"),
    "checksum disagrees": (lambda: in_header(make("a"), 14, number(1)), "in two ways"),
    "encryption disagrees": (lambda: in_header(make("a"), 6, b"\x01\x00"), "in two ways"),
    "no header": (lambda: in_header(make("a"), 0, b"XX"), "in two ways"),
    "cut": (lambda: make("a")[:-30], "not a zip"),
    "text": (lambda: b"hello", "not a zip"),
    "nothing": (lambda: b"", "not a zip"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_archive_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    made, why = REFUSED[case]
    path = tmp_path / "a.zip"
    path.write_bytes(made())
    with pytest.raises(FormatError, match=why) as caught:
        archive(path)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["a.zip"]


def test_a_huge_directory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    size = DIRECTORY_BYTES + 1
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, size, 0, 0))
    with pytest.raises(FormatError, match="not a zip"):
        archive(path)


@pytest.mark.parametrize("check_headers", [True, False])
def test_damage_of_the_data_is_found(tmp_path: Path, check_headers: bool) -> None:
    path = tmp_path / "a.zip"
    data = bytearray(make("a", "b"))
    data[40] ^= 1
    path.write_bytes(data)
    opened = archive(path, check_headers=check_headers)
    with pytest.raises(FormatError, match="does not match its checksum"):
        read(opened)
    assert read(opened, 1) == CONTENT


def test_a_header_is_checked_when_its_member_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(in_header(make("a", "b"), 30, b"x"))
    opened = archive(path, check_headers=False)
    with pytest.raises(FormatError, match="in two ways"):
        read(opened)
    assert read(opened, 1) == CONTENT


@pytest.mark.parametrize("claimed", [2999, 3001])
def test_a_deflated_member_of_another_size_is_found(tmp_path: Path, claimed: int) -> None:
    path = tmp_path / "a.zip"
    data = make("a", deflate=True)
    path.write_bytes(in_header(in_directory(data, 24, number(claimed)), 22, number(claimed)))
    with pytest.raises(FormatError, match="than it should be"):
        read(archive(path))


@pytest.mark.parametrize("count", [0, 1, 3, 60_000])
def test_an_end_record_that_counts_otherwise(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"x")
        archive.writestr("b", b"y")
    content = bytearray(path.read_bytes())
    content[-14:-10] = count.to_bytes(2, "little") * 2
    path.write_bytes(content)
    with pytest.raises(FormatError, match="is not a zip, or is cut off or damaged"):
        open_package(str(path))


def test_a_bare_end_record_is_no_package(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(FormatError, match="is not a zip"):
        open_package(str(path))
