"""A table that is there twice in a package, or in two forms of one snapshot, is one table."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import edxlogs
import make_package
from commands import Done, run
from converting import COURSE, STEM, packed
from datasets import assert_whole
from edxlogs.generator import exporter, keys
from product import csv_rows

USERS = f"{STEM}-auth_user-prod-analytics.sql"
ENROLMENTS = f"{STEM}-student_courseenrollment-prod-analytics.sql"
POSTS = f"{STEM}-prod.mongo"
DAY = "2014-10-05"
FOLDER = f"universityx-{DAY}"
Files = dict[str, bytes]


def users(*ids: int) -> bytes:
    return b"id\tusername\n" + b"".join(b"%d\tuser%d\n" % (one, one) for one in ids)


def texts(*ids: int) -> Files:
    rows = "".join(f"{one}\t{one}\t{COURSE}\n" for one in ids)
    posts = (
        {"_id": {"$oid": f"{one:024x}"}, "_type": "CommentThread", "course_id": COURSE}
        for one in ids
    )
    return {
        USERS: users(*ids),
        ENROLMENTS: f"id\tuser_id\tcourse_id\n{rows}".encode(),
        POSTS: b"".join(json.dumps(post).encode() + b"\n" for post in posts),
    }


def write(folder: Path, files: Files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(text)
    return folder


def pack(path: Path, files: Files, form: str) -> Path:
    """The files as a folder, a zip or a tar of that stem."""
    if form == "folder":
        return write(path, files)
    if form == "zip":
        contents = ((name, iter([text])) for name, text in files.items())
        return exporter.write(path.with_name(f"{path.name}.zip"), contents)
    target = path.with_name(f"{path.name}.tar.gz")
    target.write_bytes(packed(*((f"{path.name}/{name}", text) for name, text in files.items())))
    return target


def convert(cwd: Path, *words: str | Path) -> Done:
    more = ("--format", "csv", "-o", "out", "--report", "r.json")
    done = run("db", "convert", *words, *more, cwd=cwd)
    if (cwd / "out" / "_edxlogs").exists():
        assert_whole(cwd / "out")
    return done


def rows(cwd: Path, table: str) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((cwd / "out" / table).rglob("*.csv"))
        for row in csv_rows(path.read_bytes())
    ]


def ids(cwd: Path, table: str = "auth_user") -> list[int]:
    return [int(row["id"]) for row in rows(cwd, table)]


def warnings(cwd: Path) -> list[str]:
    members = json.loads((cwd / "r.json").read_bytes())["members"]
    return [warning for one in members for warning in one["warnings"]]


def statuses(cwd: Path) -> list[str]:
    return sorted(one["status"] for one in json.loads((cwd / "r.json").read_bytes())["members"])


FORMS = ["folder", "zip", "tar"]
COPY = "{}: a copy of {}: delivered once"


@pytest.mark.parametrize("form", FORMS)
def test_a_copy_in_another_packing_is_delivered_once(tmp_path: Path, form: str) -> None:
    files = texts(1, 2, 3)
    inside = "" if form == "folder" else f"{FOLDER}/"
    twice = {f"{name}.gz": gzip.compress(text) for name, text in files.items()}
    twice |= {f"more/{USERS}": files[USERS], f"{USERS[:-4]} (1).sql": files[USERS]}
    place = pack(tmp_path / FOLDER, files | twice, form)
    for at in range(2):
        done = convert(tmp_path, place)
        assert done.code == 0, done.stderr
        assert ids(tmp_path) == [1, 2, 3]
        assert len(rows(tmp_path, "forum")) == len(ids(tmp_path, "student_courseenrollment")) == 3
        for name in twice:
            original = USERS if "auth_user" in name else name.removesuffix(".gz")
            assert COPY.format(inside + name, inside + original) in warnings(tmp_path)
        (told,) = done.told  # more than three are one line
        assert told.startswith("edxlogs: warning: 5 files, such as ")
        assert statuses(tmp_path) == ["copy"] * 5 + ["delivered"] * 3
        assert "3 delivered" in done.stderr
        assert ", 5 copied" in done.stderr
        assert ("earlier" in done.stderr) == bool(at)
    if form != "tar":
        stream = edxlogs.database_tables(place)["auth_user"]
        assert pa.table(stream)["id"].to_pylist() == [1, 2, 3]
        assert stream.verified
        assert sorted(one.status for one in stream.account.members) == ["copy"] * 3 + ["delivered"]


@pytest.mark.parametrize("form", FORMS)
def test_copies_that_differ_are_never_both_delivered(tmp_path: Path, form: str) -> None:
    name = f"{USERS}.gz"
    place = pack(tmp_path / FOLDER, texts(1, 2) | {name: gzip.compress(users(1, 2, 3))}, form)
    for file in (USERS, name) if form == "folder" else ():
        os.utime(place / file, (1 if file == USERS else 2,) * 2)
    inside = "" if form == "folder" else f"{FOLDER}/"
    told = f"{inside}{USERS}: differs from {inside}{name}, which is newer"
    for _ in range(2):
        done = convert(tmp_path, place)
        assert (done.code, len(done.told)) == (1, 1), done.stderr
        assert told in done.told[0]
        assert ids(tmp_path) == [1, 2, 3]
        assert ids(tmp_path, "student_courseenrollment") == [1, 2]
    if form != "tar":
        stream = edxlogs.database_tables(place)["auth_user"]
        with pytest.raises(pa.ArrowInvalid, match="differs from"):
            pa.table(stream)
        assert not stream.verified
    if form == "folder":
        # The other one is right, after all; then the wrong one goes.
        os.utime(place / USERS, (3, 3))
        assert convert(tmp_path, place).code == 1
        assert ids(tmp_path) == [1, 2]
        (place / name).unlink()
        assert convert(tmp_path, place).code == 0
        assert ids(tmp_path) == [1, 2]


@pytest.mark.parametrize("form", FORMS)
def test_a_copy_stands_in_for_a_bad_one(tmp_path: Path, form: str) -> None:
    cut = gzip.compress(users(1, 2))[:-6]
    place = pack(tmp_path / FOLDER, texts(1, 2) | {f"{USERS}.gz": cut}, form)
    done = convert(tmp_path, place)
    assert (done.code, len(done.told)) == (1, 1), done.stderr
    assert f"{USERS}.gz: " in done.told[0]
    assert ids(tmp_path) == [1, 2]


def test_a_copy_that_comes_later_changes_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / FOLDER, texts(1, 2))
    packed_alone = folder / f"{USERS}.gz"
    packed_alone.write_bytes(gzip.compress(users(1, 2)))
    (folder / USERS).unlink()
    assert convert(tmp_path, folder).code == 0
    (folder / USERS).write_bytes(users(1, 2))
    for _ in range(2):
        done = convert(tmp_path, folder)
        assert done.code == 0, done.stderr
        assert ids(tmp_path) == [1, 2]
    packed_alone.unlink()
    assert convert(tmp_path, folder).code == 0
    assert ids(tmp_path) == [1, 2]


def test_an_encrypted_table_and_the_decrypted_one_are_one(tmp_path: Path) -> None:
    if (why := keys.missing()) is not None:
        pytest.skip(why)
    with keys.home() as home:
        keys.make_key(home, "Data Czar <czar@univx.example>")
        encrypt = make_package.gpg_encrypt(home, "czar@univx.example")
        files = texts(1, 2)
        sealed = {f"{name}.gpg": b"".join(encrypt(iter([text]))) for name, text in files.items()}
        folder = write(tmp_path / FOLDER, files | sealed)
        done = convert(tmp_path, folder, "--gnupg-home", home)
        assert done.code == 0, done.stderr
        assert ids(tmp_path) == [1, 2]
        assert statuses(tmp_path) == ["copy"] * 3 + ["delivered"] * 3


def test_a_tar_that_was_added_to_has_the_last_one(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for text in (users(1), users(1, 2)):
            info = tarfile.TarInfo(USERS)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    (tmp_path / f"{FOLDER}.tar").write_bytes(out.getvalue())
    for _ in range(2):
        done = convert(tmp_path, f"{FOLDER}.tar", "--known-courses", _known(tmp_path))
        assert done.code == 0, done.stderr
        assert f"{USERS}: is in {FOLDER}.tar twice: the last one counts" in done.stderr
        assert ids(tmp_path) == [1, 2]


def _known(folder: Path) -> Path:
    (folder / "courses").write_text(f"{COURSE}\n")
    return folder / "courses"


@pytest.mark.parametrize("form", ["zip", "tar"])
@pytest.mark.parametrize("kept", ["newest", "all"])
def test_an_archive_of_two_weeks_holds_two_snapshots(tmp_path: Path, kept: str, form: str) -> None:
    later = "universityx-2014-10-12"
    files = {f"{FOLDER}/{name}": text for name, text in texts(1).items()}
    files |= {f"{later}/{name}": text for name, text in texts(1, 2).items()}
    place = tmp_path / "both.tar.gz"
    if form == "zip":
        place = tmp_path / "both.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        stream = edxlogs.database_tables(place, snapshots=kept)["auth_user"]
        assert pa.table(stream)["id"].to_pylist() == ([1, 2] if kept == "newest" else [1, 1, 2])
    else:
        place.write_bytes(packed(*files.items()))
    for _ in range(2):
        done = convert(tmp_path, place, "--snapshots", kept)
        assert done.code == 0, done.stderr
        assert ids(tmp_path) == ([1, 2] if kept == "newest" else [1, 1, 2])
    day = "snapshot_date" if kept == "newest" else "package_date"
    assert {row[day] for row in rows(tmp_path, "auth_user")} - {DAY} == {"2014-10-12"}


def test_a_package_that_a_browser_has_renamed_is_of_its_day(tmp_path: Path) -> None:
    pack(tmp_path / FOLDER, texts(1, 2), "zip")
    shutil.copy(tmp_path / f"{FOLDER}.zip", tmp_path / f"{FOLDER} (1).zip")
    done = convert(tmp_path, f"{FOLDER}.zip", f"{FOLDER} (1).zip", "--snapshots", "all")
    assert done.code == 0, done.stderr
    assert ids(tmp_path) == [1, 2]
    assert {row["package_date"] for row in rows(tmp_path, "auth_user")} == {DAY}


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_snapshot_is_kept_once_whatever_it_is_packed_in(
    tmp_path: Path, first: str, second: str, at_once: bool
) -> None:
    week = pack(tmp_path / FOLDER, texts(1, 2), first)
    (tmp_path / "other").mkdir()
    same = pack(tmp_path / "other" / FOLDER, texts(1, 2), second)
    older = pack(tmp_path / "universityx-2014-09-28", texts(1), "zip")
    runs = [(older, week, same)] * 2 if at_once else [(week, older), (same,), (same,), (week,)]
    for places in runs:
        done = convert(tmp_path, *places, "--snapshots", "all")
        assert done.code == 0, done.stderr
        assert len(done.told) <= 1
    assert ids(tmp_path) == [1, 1, 2]
    assert len(list((tmp_path / "out" / "auth_user").rglob("*.csv"))) == 2


def test_shards_of_one_snapshot_are_joined_to_one(tmp_path: Path) -> None:
    pack(tmp_path / FOLDER, texts(1, 2), "zip")
    files = {f"{FOLDER}/{name}": text for name, text in texts(1, 2).items()}
    (tmp_path / "backup.tar.gz").write_bytes(packed(*files.items()))
    for at, place in enumerate((f"{FOLDER}.zip", "backup.tar.gz")):
        words = ("--snapshots", "all", "--format", "csv", "-o", f"shard-{at}")
        assert run("db", "convert", place, *words, cwd=tmp_path).code == 0
    assert run("merge", "shard-0", "shard-1", "-o", "out", cwd=tmp_path).code == 0
    assert ids(tmp_path) == [1, 2]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_tells_its_day_wherever_it_is(tmp_path: Path, form: str) -> None:
    places = [
        pack(tmp_path / f"universityx-{day}", texts(1), kind)
        for day, kind in ((DAY, "zip"), ("2014-10-12", "folder"), ("2014-10-19", "tar"))
    ]
    words = ("--snapshots", "all", "--format", form, "-o", "out")
    assert run("db", "convert", *places, *words, cwd=tmp_path).code == 0
    found = {}
    for path in (tmp_path / "out" / "auth_user").rglob(f"*.{form}"):
        alone = path.rename(tmp_path / f"alone.{form}")
        day = path.parent.name.removeprefix("snapshot_date=")
        if form == "parquet":
            (row,) = pa.parquet.read_table(alone).to_pylist()
        elif form == "csv":
            (row,) = csv_rows(alone.read_bytes())
        else:
            row = json.loads(alone.read_bytes())
        assert "snapshot_date" not in row
        found[day] = str(row["package_date"])
    assert found == {day: day for day in (DAY, "2014-10-12", "2014-10-19")}
