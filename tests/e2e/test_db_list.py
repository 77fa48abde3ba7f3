"""`edxlogs db list`, from a file and from S3."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

import make_package
from commands import run
from edxlogs.edx.layout import PACKAGES_BUCKET
from edxlogs.edx.tables import tables
from edxlogs.generator import exporter, keys
from s3_server import Server

NAME = "universityx-2014-10-05.zip"


def package(folder: Path, *, odd: bool = False) -> Path:
    contents = make_package.members(make_package.COURSES[:2], count=2, odd=odd)
    return exporter.write(folder / NAME, contents)


def test_json_names_every_file(tmp_path: Path) -> None:
    path = package(tmp_path, odd=True)
    done = run("db", "list", path, "--json", cwd=tmp_path)
    assert done.code == 0
    (one,) = json.loads(done.stdout)["packages"]
    assert (one["partner"], one["day"]) == ("universityx", "2014-10-05")
    assert one["bytes"] == path.stat().st_size
    found = {(file["table"], file["course"]) for file in one["files"]}
    stems = [exporter.stem(course) for course in make_package.COURSES[:2]]
    expected = {(name, stem) for name in tables() for stem in stems if name != "email_opt_in"}
    assert expected <= found
    assert ("email_opt_in", "UniversityX") in found
    assert [name.rpartition("/")[2] for name in one["unknown"]] == ["notes.txt"]
    assert [name.rpartition("-")[2] for name in one["failed"]] == ["analytics.sql.failed"]
    assert one["absent"] == []


def test_missing_tables_are_told_by_course(tmp_path: Path) -> None:
    courses = make_package.COURSES[:2]
    name = exporter.file_name(tables()["wiki_article"], courses[1], "prod")
    contents = (one for one in make_package.members(courses, count=1) if one[0] != name)
    exporter.write(tmp_path / NAME, contents)
    done = run("db", "list", NAME, "--by", "course", cwd=tmp_path)
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    missing = {row[0]: row[-1] for row in rows if row[0].startswith("UniversityX-")}
    assert missing == {
        "UniversityX-CS101-2014_T1": "-",
        "UniversityX-HY-101-2013-Fall": "wiki_article",
    }


def test_a_table_is_told_by_sizes_and_courses(tmp_path: Path) -> None:
    package(tmp_path)
    done = run("db", "list", NAME, cwd=tmp_path)
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith(f"{NAME} of 2014-10-05: 89 files, ")
    rows = [line.split() for line in lines[2:]]
    assert [row[0] for row in rows] == list(tables())
    assert {tuple(row[1:4]) for row in rows if row[0] != "email_opt_in"} == {("prod", "2", "2")}


def test_a_bad_package_is_one_line_and_the_others_are_listed(tmp_path: Path) -> None:
    package(tmp_path)
    (tmp_path / "bad.zip").write_bytes(b"hello")
    done = run("db", "list", "bad.zip", NAME, cwd=tmp_path)
    assert done.code == 1
    assert len(done.told) == 1
    assert "bad.zip: is not a zip" in done.told[0]
    assert done.stdout.startswith(NAME.encode())


def test_a_package_that_does_not_exist_is_wrong_use(tmp_path: Path) -> None:
    package(tmp_path)
    for words in (["list", NAME, "none.zip"], ["convert", NAME, "none.zip", "-o", "out"]):
        done = run("db", *words, cwd=tmp_path)
        assert (done.code, done.stdout) == (2, b"")
        assert done.told == ["edxlogs: cannot open: none.zip: no such file or folder"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def _assert_research(document: dict[str, Any], content: bytes) -> None:
    """What is listed is what a plain reading of the tar finds."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        wanted = {info.name: info.size for info in archive}
    events = {name for name in wanted if name.startswith("events/")}
    (one,) = document["packages"]
    assert {file["name"]: file["bytes"] for file in one["files"]} == {
        name: size for name, size in wanted.items() if name not in events
    }
    assert set(one["events"]) == events != set()
    assert one["unknown"] == ["metadata_file.json"]
    assert one["day"] == str(exporter.DAY)
    assert [course["course"] for course in one["courses"]] == [
        exporter.stem(make_package.COURSES[0])
    ]
    tables = {file["table"] for file in one["files"]}
    assert {"courseware_studentmodule", "forum", "course_structure"} <= tables


def test_a_research_package_is_read_to_be_listed(tmp_path: Path) -> None:
    path = tmp_path / "univx_a_b.tar.gz"
    content = make_package.research(make_package.COURSES[0], 2)
    path.write_bytes(content)
    done = run("db", "list", path, "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    _assert_research(json.loads(done.stdout), content)
    done = run("db", "list", path, cwd=tmp_path)
    told = done.stdout.decode()
    assert "events: events/x-events-2014-10-04.log.gz: a log; edxlogs filter reads it from" in told
    path.write_bytes(content[:-50])
    done = run("db", "list", path, cwd=tmp_path)
    assert done.code == 1
    assert len(done.told) == 1
    assert "is cut off or damaged" in done.told[0]


def test_an_encrypted_research_package_is_listed(tmp_path: Path) -> None:
    if (why := keys.missing()) is not None:
        pytest.skip(why)
    content = make_package.research(make_package.COURSES[0], 2)
    path = tmp_path / "univx_a_b.tar.gz.gpg"
    with keys.home() as home:
        keys.make_key(home, "czar@univx.example")
        message = keys.encrypt(home, ["czar@univx.example"], content)
        path.write_bytes(message)
        done = run("db", "list", path, "--json", "--gnupg-home", home, cwd=tmp_path)
        assert done.code == 0, done.stderr
        _assert_research(json.loads(done.stdout), content)
        # Nothing of it is shown before its end was checked.
        path.write_bytes(message[:-30] + bytes([message[-30] ^ 1]) + message[-29:])
        done = run("db", "list", path, "--gnupg-home", home, cwd=tmp_path)
        assert done.code == 1
        assert done.stdout == b""
        assert "cannot decrypt" in done.told[0]


@pytest.mark.usefixtures("aws_environment")
def test_of_an_object_only_the_directory_is_fetched(tmp_path: Path, s3_server: Server) -> None:
    path = package(tmp_path)
    s3_server.bucket(PACKAGES_BUCKET, {NAME: path.read_bytes()})
    url = f"s3://{PACKAGES_BUCKET}/{NAME}"
    remote = run("db", "list", url, "--json", cwd=tmp_path, AWS_ENDPOINT_URL=s3_server.url)
    local = run("db", "list", path, "--json", cwd=tmp_path)
    assert remote.code == 0, remote.stderr
    (mine,), (theirs,) = (json.loads(one.stdout)["packages"] for one in (remote, local))
    assert {**mine, "place": ""} == {**theirs, "place": ""}
