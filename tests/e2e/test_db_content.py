"""The content of courses (OLX) that `edxlogs db convert --unpack` unpacks, and what it must not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import make_package
from commands import hidden
from converting import COURSE, convert, package, packed


def test_content_is_unpacked_on_request(tmp_path: Path) -> None:
    path = package(tmp_path)
    assert convert(path, tmp_path).code == 0
    assert not (tmp_path / "out" / "course").exists()
    assert convert(path, tmp_path, "--unpack", "--overwrite").code == 0
    (folder,) = (tmp_path / "out" / "course").glob("course_id=*/universityx-2014-10-05-prod")
    found = {str(file.relative_to(folder)) for file in folder.rglob("*.xml")}
    assert found == {"course/course.xml", "course/html/a.xml"}
    assert convert(path, tmp_path, "--unpack", "--overwrite").code == 0
    assert hidden(tmp_path / "out") == []
    before = {file: file.stat().st_ino for file in folder.rglob("*")}
    assert convert(path, tmp_path, "--unpack").code == 0  # all is done
    assert {file: file.stat().st_ino for file in folder.rglob("*")} == before
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*"))


BAD_CONTENT = {
    "parent": packed(("../evil", b"x")),
    "absolute": packed(("/evil", b"x")),
    "parent inside": packed(("a/../../evil", b"x")),
    "twice": packed(("a", b"x"), ("a", b"y")),
    "file and folder": packed(("a", b"x"), ("a/b", b"y")),
    "cut": packed(("a", b"x" * 5000))[:-40],
    "no tar": b"no tar",
    "a name of 300 bytes": packed(("a" * 300, b"x")),
    "a path of 5,000 bytes": packed(("/".join(["a" * 100] * 50), b"x")),
    "1,000 levels of folders": packed(("/".join("a" * 1000), b"x")),
    "control characters twice": packed(("a\n", b"x"), ("a%0A", b"y")),
}


@pytest.mark.parametrize("case", BAD_CONTENT)
def test_content_that_leads_elsewhere_is_withheld(tmp_path: Path, case: str) -> None:
    content = BAD_CONTENT[case]
    path = package(tmp_path, course=content)
    done = convert(path, tmp_path, "--unpack")
    assert done.code == 1
    assert len(done.told) == 1
    assert "(withheld)" in done.told[0]
    assert not (tmp_path / "out" / "course").exists()
    assert not list(tmp_path.rglob("evil"))
    assert (tmp_path / "out" / "auth_user").exists()


def test_control_characters_in_names_of_content_are_encoded(tmp_path: Path) -> None:
    """A terminal would obey them, and programs that read names by lines stumble."""
    path = package(tmp_path, course=packed(("a\x1b[2J\n/Icon\r", b"x"), ("é%.xml", b"y")))
    assert convert(path, tmp_path, "--unpack").code == 0
    found = [file for file in (tmp_path / "out" / "course").rglob("*") if file.is_file()]
    names = {"/".join(file.parts[-2:]) for file in found}
    assert names == {"a%1B[2J%0A/Icon%0D", "universityx-2014-10-05-prod/é%.xml"}


def test_links_in_content_are_not_made(tmp_path: Path) -> None:
    path = package(tmp_path, course=packed(("a/b", b"x"), link="/etc"))
    assert convert(path, tmp_path, "--unpack").code == 0
    found = [file for file in (tmp_path / "out" / "course").rglob("*") if not file.is_dir()]
    assert [file.name for file in found] == ["b"]


def test_the_content_of_a_research_package_is_unpacked_once(tmp_path: Path) -> None:
    path = tmp_path / "universityx_CS101_2014_T1.tar.gz"
    path.write_bytes(make_package.research(COURSE, 3))
    assert convert(path, tmp_path).code == 0
    assert not (tmp_path / "out" / "course").exists()
    assert convert(path, tmp_path, "--unpack").code == 0
    (course,) = (tmp_path / "out" / "course").rglob("course.xml")
    before = course.stat().st_ino
    # The tables are asked for in another way, the content is what it was.
    done = convert(path, tmp_path, "--unpack", "--format", "csv", "--report", tmp_path / "report")
    assert done.code == 0, done.stderr
    assert course.stat().st_ino == before
    members = json.loads((tmp_path / "report").read_bytes())["members"]
    assert [one["table"] for one in members if one["earlier"]] == ["course"]
    # Work of somebody's own in the folder is not taken for what was unpacked, nor replaced.
    course.write_bytes(b"<course/>")
    done = convert(path, tmp_path, "--unpack")
    assert done.code == 2
    assert "exists" in done.told[0]
    assert course.read_bytes() == b"<course/>"
