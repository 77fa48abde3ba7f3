"""Packages as people keep them: folders of tables, single tables, tars; and what is none."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import edxlogs
import make_package
from commands import Done, event, run
from converting import NAME, packed, rows_of
from edxlogs.edx.tables import tables
from edxlogs.errors import FormatError
from edxlogs.generator import exporter, keys
from s3_server import Server

COURSES = make_package.COURSES[:2]
DAY = NAME.removesuffix(".zip")
COUNT = 6
Texts = dict[str, bytes]


@pytest.fixture(scope="module")
def texts() -> Texts:
    """The tables of a package by their names in it."""
    made = make_package.members(COURSES, count=COUNT)
    return {name: b"".join(chunks) for name, chunks in made}


def convert(folder: Path, *words: str | Path) -> Done:
    """A conversion to CSV, its report beside the output, which is named after `-o`."""
    report = f"{words[words.index('-o') + 1]}.json"
    return run("db", "convert", *words, "--format", "csv", "--report", report, cwd=folder)


def zipped(folder: Path, texts: Texts) -> dict[tuple[str, str], list[str]]:
    """The rows that the zip of the tables comes to."""
    exporter.write(folder / NAME, ((name, iter([text])) for name, text in texts.items()))
    assert convert(folder, NAME, "-o", "of-zip").code == 0
    return values(folder, "of-zip")


def values(folder: Path, output: str) -> dict[tuple[str, str], list[str]]:
    """The rows of a conversion by table and course, without what says where they came from."""
    document = json.loads((folder / f"{output}.json").read_bytes())
    found: dict[tuple[str, str], list[str]] = {}
    for member in document["members"]:
        if member["status"] == "delivered":
            text = (folder / output / member["output"]).read_text()
            text = text.replace(member["member"], "MEMBER")
            for name in (NAME, f"{DAY}.tar.gz", f"{DAY}.tar"):
                text = text.replace(name, DAY)
            lines = sorted(line.replace(DAY, "PACKAGE") for line in text.splitlines())
            found[member["table"], member["course"] or ""] = lines
    return found


def unpacked(folder: Path, texts: Texts) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return folder


def test_a_folder_and_tars_come_to_what_the_zip_comes_to(texts: Texts, tmp_path: Path) -> None:
    expected = zipped(tmp_path, texts)
    assert len(expected) > 2 * len(tables()) - 8
    unpacked(tmp_path / DAY, texts)
    inside = {f"{DAY}/{name}": text for name, text in texts.items()}
    (tmp_path / f"{DAY}.tar.gz").write_bytes(packed(*inside.items()))
    (tmp_path / f"{DAY}.tar").write_bytes(gzip.decompress(packed(*texts.items())))
    for at, place in enumerate((DAY, f"{DAY}.tar.gz", f"{DAY}.tar")):
        done = convert(tmp_path, place, "-o", f"out{at}")
        assert done.code == 0, done.stderr
        assert values(tmp_path, f"out{at}") == expected
        again = convert(tmp_path, place, "-o", f"out{at}")
        assert again.code == 0
        assert "earlier" in again.stderr
        assert values(tmp_path, f"out{at}") == expected
        listed = run("db", "list", place, "--json", cwd=tmp_path)
        (package,) = json.loads(listed.stdout)["packages"]
        assert package["unknown"] == []
        assert (package["partner"], package["day"]) == ("universityx", "2014-10-05")
        assert len(package["files"]) == len(texts)


def test_a_folder_of_any_name_has_no_day(texts: Texts, tmp_path: Path) -> None:
    unpacked(tmp_path / "metadata", texts)
    (tmp_path / "metadata" / "._x-auth_user-prod-analytics.sql").write_bytes(b"\0")
    (tmp_path / "metadata" / "README.txt").write_bytes(b"what this is")
    done = convert(tmp_path, "metadata", "-o", "out")
    assert done.code == 0, done.stderr
    assert "unknown: metadata: README.txt: its name is not that of a table" in done.stderr
    document = json.loads((tmp_path / "out.json").read_bytes())
    of = [one["course"] for one in document["members"] if one["table"] == "auth_user"]
    assert sorted(of) == sorted(COURSES)
    tables_of = edxlogs.database_tables(tmp_path / "metadata")
    assert set(tables_of) == {one["table"] for one in document["members"] if one["table"]} - {
        "course"
    }


def test_single_tables_find_their_course_beside_them(texts: Texts, tmp_path: Path) -> None:
    unpacked(tmp_path / "in", texts)
    users = [
        tmp_path / "in" / exporter.file_name(tables()["auth_user"], course, "prod")
        for course in COURSES
    ]
    done = convert(tmp_path, *users, "-o", "out")
    assert done.code == 0, done.stderr
    assert {course for _, course in values(tmp_path, "out")} == set(COURSES)
    assert done.stderr.startswith("2 files: 2 delivered, 0 withheld, 0 left, ")
    os.rename(users[0], tmp_path / "auth_user.sql")  # nothing beside it
    done = convert(tmp_path, "auth_user.sql", "-o", "alone")
    assert done.code == 0
    assert "auth_user.sql: its course is not known" in done.stderr


def test_tables_may_be_packed_by_gzip_or_encrypted(texts: Texts, tmp_path: Path) -> None:
    name = exporter.file_name(tables()["student_courseenrollment"], COURSES[0], "prod")
    whole = gzip.compress(texts[name])
    (tmp_path / f"{name}.gz").write_bytes(whole)
    done = convert(tmp_path, f"{name}.gz", "-o", "out")
    assert done.code == 0, done.stderr
    assert f"{COUNT} rows: {COUNT} written" in done.stderr
    (tmp_path / f"{name}.gz").write_bytes(whole[:-9])
    done = convert(tmp_path, f"{name}.gz", "-o", "cut")
    assert (done.code, len(done.told)) == (1, 1)
    if (why := keys.missing()) is not None:
        pytest.skip(why)
    with keys.home() as home:
        keys.make_key(home, "Data Czar <czar@univx.example>")
        encrypt = make_package.gpg_encrypt(home, "czar@univx.example")
        sealed = {
            f"{name}.gpg": b"".join(encrypt(iter([text])))
            for name, text in texts.items()
            if "enrollment" in name or "auth_user-" in name
        }
        unpacked(tmp_path / DAY, sealed)
        (tmp_path / f"{DAY}.tar").write_bytes(gzip.decompress(packed(*sealed.items())))
        first = None
        for at, place in enumerate((DAY, f"{DAY}.tar")):
            done = convert(tmp_path, place, "-o", f"out{at}", "--gnupg-home", home)
            assert done.code == 0, done.stderr
            found = values(tmp_path, f"out{at}")
            assert {course for _, course in found} == set(COURSES)
            assert (first := first or found) == found


def test_a_folder_that_was_synced_gives_its_packages(texts: Texts, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    for folder in ("course-data", "edx-course-data/universityx/prod/events/2014"):
        (mirror / folder).mkdir(parents=True)
    exporter.write(
        mirror / "course-data" / NAME, ((name, iter([text])) for name, text in texts.items())
    )
    log = mirror / "edx-course-data/universityx/prod/events/2014"
    (log / "universityx-prod-events-2014-10-05.log.gz").write_bytes(gzip.compress(event()))
    done = convert(tmp_path, "mirror", "-o", "mirror/out")
    assert done.code == 0, done.stderr
    assert f"{len(texts)} files: " in done.stderr
    assert "unknown" not in done.stderr.replace("0 unknown", "")
    before = values(tmp_path, "mirror/out")
    # What was written is no package.
    done = convert(tmp_path, "mirror", "-o", "mirror/out")
    assert done.code == 0, done.stderr
    assert values(tmp_path, "mirror/out") == before


def test_what_is_no_package_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(event()))
    (tmp_path / "events").write_bytes(event())
    (tmp_path / "events.gz").write_bytes(gzip.compress(event()))
    (tmp_path / "users.sql").write_bytes(b"id\tname\n")
    (tmp_path / "users.gz").write_bytes(gzip.compress(b"id\tname\n"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "b.log").write_bytes(event())
    for name, told in (
        ("a.log.gz", "holds events, not tables; read it with edxlogs filter a.log.gz"),
        ("events", "holds events, not tables; read it with edxlogs filter events"),
        ("events.gz", "holds events, not tables; read it with edxlogs filter events.gz"),
        ("users.sql", "is not a package, and its name is not that of a table"),
        ("users.gz", "is not a package, and its name is not that of a table"),
        ("empty", "holds no package and no table of one"),
        ("logs", "holds no package and no table of one"),
    ):
        for words in (("convert", name, "-o", "out"), ("list", name)):
            done = run("db", *words, cwd=tmp_path)
            assert (done.code, len(done.told)) == (1, 1), done.stderr
            assert f"{name}: {told}" in done.told[0]
            assert "fetch it again" not in done.told[0]
            assert "nothing was converted" not in done.stderr
    for name in ("none", "none.zip", "UnivX-CS101-2014-auth_user-prod-analytics.sql", "none*.zip"):
        done = run("db", "convert", name, "-o", "none-of-it", cwd=tmp_path)
        assert (done.code, len(done.told)) == (2, 1), done.stderr
        assert f"{name}: no such file or folder" in done.told[0]
    assert not (tmp_path / "none-of-it").exists()


def test_what_is_odd_in_a_folder_costs_itself_alone(texts: Texts, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "in", texts)
    (folder / "x-auth_user-prod-analytics.sql").symlink_to("nowhere")
    (folder / "loop").symlink_to(".")
    (folder / "bad.zip").write_bytes(b"PK\x03\x04")
    (folder / "ora" / "z-submissions_score-prod-analytics.sql").write_bytes(b"")
    os.mkfifo(folder / "y-auth_user-prod-analytics.sql")
    os.rename(folder / "ora", os.fsencode(folder) + b"/\xff\n")
    done = convert(tmp_path, "in", "-o", "out")
    assert done.code == 1
    failed = [one for one in done.told if "warning" not in one]
    assert failed == [
        "edxlogs: in/bad.zip: is not a zip, or is cut off or damaged; fetch it again",
        "edxlogs: cannot open: in/x-auth_user-prod-analytics.sql: a broken link to nowhere",
    ]
    assert f"{len(texts) + 1} files: {len(texts) - 1} delivered, " in done.stderr
    done = convert(tmp_path, folder / "y-auth_user-prod-analytics.sql", "-o", "pipe")
    assert (done.code, len(done.told)) == (1, 1)
    assert "y-auth_user-prod-analytics.sql: is not a file; save it to one" in done.told[0]


@pytest.mark.parametrize("table", ["auth_user", "submissions_submission"])
def test_assessments_in_a_tar_are_joined_as_those_in_a_zip(
    texts: Texts, tmp_path: Path, table: str
) -> None:
    words = ("--expand", "ora", "--table", table)
    zipped(tmp_path, texts)
    assert convert(tmp_path, NAME, "-o", "zip", *words).code == 0
    expected = values(tmp_path, "zip")
    assert {course for name, course in expected if name == "ora_submissions"} == set(COURSES)
    # In a tar, what is joined may stand in any order, and a copy is no other row.
    names = sorted(texts, key=lambda name: name.encode()[::-1])
    files = {f"{DAY}/{name}": texts[name] for name in names}
    files |= {f"{name}.gz": gzip.compress(text) for name, text in files.items() if "/ora/" in name}
    (tmp_path / f"{DAY}.tar.gz").write_bytes(packed(*files.items()))
    for at in range(2):
        done = convert(tmp_path, f"{DAY}.tar.gz", "-o", "tar", *words)
        assert done.code == 0, done.stderr
        assert values(tmp_path, "tar") == expected
        assert ("earlier" in done.stderr) == bool(at)
    # Without the word, and with it again.
    assert convert(tmp_path, f"{DAY}.tar.gz", "-o", "later", "--table", table).code == 0
    assert convert(tmp_path, f"{DAY}.tar.gz", "-o", "later", *words).code == 0
    assert values(tmp_path, "later") == expected
    (tmp_path / "b.tar.gz").write_bytes(make_package.research(COURSES[0], 2))
    assert convert(tmp_path, "b.tar.gz", "-o", "exchange", "--expand", "ora").code == 0


def test_a_stream_of_a_tar_is_refused(texts: Texts, tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(packed(*texts.items()))
    with pytest.raises(FormatError, match=r"a\.tar\.gz: is a tar, which cannot be streamed"):
        edxlogs.database_tables(tmp_path / "a.tar.gz")


def test_a_tar_of_something_else_delivers_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(packed(("notes.txt", b"none"), ("._notes.txt", b"\0")))
    done = convert(tmp_path, "a.tar.gz", "-o", "out")
    assert done.code == 1
    assert "1 file: 0 delivered, " in done.stderr
    assert "nothing was converted" in done.stderr


def test_a_table_alone_finds_its_course_in_a_tar(texts: Texts, tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(packed(*texts.items()))
    done = convert(tmp_path, "a.tar.gz", "--table", "auth_user", "-o", "out")
    assert done.code == 0, done.stderr
    assert set(values(tmp_path, "out")) == {("auth_user", course) for course in COURSES}


FORUM = "UnivX-CS101-2014-prod.mongo"
POST: dict[str, Any] = {
    "_id": {"$oid": "5f0000000000000000000003"},
    "_type": "CommentThread",
    "course_id": "course-v1:UnivX+CS101+2014",
    "title": 'a "b",\n[c]{}\\',
    "comment_count": {"$numberInt": "3"},
    "created_at": {"$date": {"$numberLong": "1704067200000"}},
}


@pytest.mark.parametrize("form", ["lines", "array", "pretty", "pretty array", "two arrays"])
def test_a_forum_is_read_however_it_was_exported(form: str, tmp_path: Path) -> None:
    posts = [POST | {"title": f"{POST['title']}{number}"} for number in range(3)]
    each = [json.dumps(post) for post in posts]
    text = {
        "lines": "\n".join(each),
        "array": f"[{','.join(each)}]\n",
        "pretty": "\n".join(json.dumps(post, indent=2) for post in posts),
        "pretty array": json.dumps(posts, indent="\t"),
        "two arrays": f"[{each[0]},\n{each[1]}]\n[{each[2]}]\n",
    }[form]
    exporter.write(tmp_path / NAME, [(FORUM, iter([text.encode()]))])
    done = run("db", "convert", NAME, "-o", "out", cwd=tmp_path)
    assert done.code == 0, done.stderr
    rows = rows_of(tmp_path, "forum")
    assert [row["title"] for row in rows] == [post["title"] for post in posts]
    assert {row["comment_count"] for row in rows} == {3}
    assert {row["row"] for row in rows} == {1, 2, 3} or form != "lines"
    assert {row["created_at"] for row in rows} == {1704067200000000}


def test_a_file_of_which_no_row_can_be_read_fails(texts: Texts, tmp_path: Path) -> None:
    name = exporter.file_name(tables()["auth_user"], COURSES[0], "prod")
    bad = {**texts, name: b"id\tusername\n1\n2\n"}
    bad[FORUM] = b'{ "_id" : ObjectId("5f0000000000000000000001") }\n'
    exporter.write(tmp_path / NAME, ((name, iter([text])) for name, text in bad.items()))
    choice = ("--table", "auth_user", "--table", "forum", "-o", "out", "--rejects", "rejects")
    for _ in range(2):
        done = convert(tmp_path, NAME, *choice, "--overwrite")
        assert done.code == 1
        assert f"{name}: none of its 2 rows can be read: fields 2" in done.stderr
        assert f"{FORUM}: none of its 1 row can be read: bad_json 1" in done.stderr
        assert (tmp_path / "rejects").read_bytes().count(b"# edxlogs reject: ") == 3
        assert "3 rejected, 0 withheld" in done.stderr
    assert {course for table, course in values(tmp_path, "out") if table == "auth_user"} == {
        COURSES[1]
    }
    stream = edxlogs.database_tables(tmp_path / NAME)["auth_user"]
    with pytest.raises(pa.ArrowInvalid, match="none of its 2 rows can be read"):
        pa.table(stream)
    assert not stream.verified


def test_files_of_no_table_are_told_up_to_a_bound(texts: Texts, tmp_path: Path) -> None:
    unpacked(tmp_path / "in", texts)
    for number in range(50):
        (tmp_path / "in" / f"notes-{number}.txt").write_bytes(b"x")
    done = convert(tmp_path, "in", "-o", "out")
    assert done.code == 0
    assert done.stderr.count("its name is not that of a table") == 20
    assert "unknown: 30 more; --report names them" in done.stderr


def test_a_cut_tar_delivers_nothing(texts: Texts, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in texts.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    (tmp_path / "a.tar").write_bytes(out.getvalue()[:20_000])
    done = convert(tmp_path, "a.tar", "-o", "out")
    assert done.code == 1
    assert "a.tar: is not a tar, or is cut off or damaged" in done.stderr
    assert ": 0 delivered, " in done.stderr


@pytest.mark.usefixtures("aws_environment")
def test_what_is_in_s3_is_converted_as_it_is_in_folders(
    texts: Texts, tmp_path: Path, s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = zipped(tmp_path, texts)
    name = exporter.file_name(tables()["auth_user"], COURSES[0], "prod")
    logs = {"logs/x-prod-events-2014-10-05.log": event(), "logs/README": b"what this is"}
    objects = {f"in/{DAY}/{path}": text for path, text in texts.items()}
    objects |= {f"zips/old/{NAME}": (tmp_path / NAME).read_bytes(), "empty/": b""}
    objects |= {"tables/_edxlogs/head": b"", f"tables/{DAY}/{name}": b"what was written"}
    s3_server.bucket("univx", objects | logs)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)

    def converted(place: str, output: str) -> Done:
        words = ("--format", "csv", "-o", output, "--report", f"{output}.json")
        return run("db", "convert", place, *words, cwd=tmp_path)

    places = (f"in/{DAY}", "in/", "zips/", "zips/*/*.zip", f"in/{DAY[:5]}*")
    for at, place in enumerate(places):
        for _ in range(2):
            done = converted(f"s3://univx/{place}", f"out{at}")
            assert done.code == 0, (place, done.stderr)
            assert values(tmp_path, f"out{at}") == expected
        assert "earlier" in done.stderr
    # A table alone finds its course beside it.
    done = converted(f"s3://univx/in/{DAY}/{name}", "alone")
    assert done.code == 0, done.stderr
    alone = values(tmp_path, "alone")
    assert alone == {("auth_user", COURSES[0]): expected["auth_user", COURSES[0]]}
    listed = run("db", "list", "s3://univx/in/", "--json", cwd=tmp_path)
    (package,) = json.loads(listed.stdout)["packages"]
    assert (package["day"], len(package["files"])) == ("2014-10-05", len(texts))
    for place in ("logs/", "tables/", "empty/"):
        done = converted(f"s3://univx/{place}", "none")
        assert (done.code, len(done.told)) == (1, 1), done.stderr
        assert f"s3://univx/{place}: holds no package and no table of one" in done.told[0]
    for place in ("nothing/", "none.zip", name, "nothing", "no*.zip"):
        done = converted(f"s3://univx/{place}", "none")
        assert (done.code, len(done.told)) == (2, 1), done.stderr
        assert f"s3://univx/{place}: " in done.told[0]
