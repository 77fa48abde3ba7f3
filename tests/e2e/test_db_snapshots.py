"""Weekly snapshots: the newest is the table, and `--snapshots all` keeps them all."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import datasets
import edxlogs
import make_package
from commands import Done, run
from datasets import assert_whole
from edxlogs.database.snapshots import Snapshots
from edxlogs.errors import ConfigError
from edxlogs.generator import exporter

FIRST, SECOND = make_package.COURSES[:2]
DAYS = ("2014-10-05", "2014-10-12", "2014-10-19")
Files = dict[tuple[str, str], bytes]  # by table and course


def name(day: str, org: str = "universityx") -> str:
    return f"{org}-{day}.zip"


def users(*ids: int) -> bytes:
    return b"id\tusername\n" + b"".join(b"%d\tuser%d\n" % (one, one) for one in ids)


def enrolments(course: str, *ids: int) -> bytes:
    rows = (f"{one}\t{one}\t{course}\n".encode() for one in ids)
    return b"id\tuser_id\tcourse_id\n" + b"".join(rows)


def write(folder: Path, day: str, files: Files, *, failed: tuple[str, ...] = ()) -> Path:
    """A package of a day; in place of the tables of those courses in `failed`, a traceback."""
    contents = []
    for (table, course), text in files.items():
        inside = f"{exporter.stem(course)}-{table}-prod-analytics.sql"
        if table in failed:
            contents.append((f"{inside}.failed", iter([b"a traceback"])))
        else:
            contents.append((inside, iter([text])))
    return exporter.write(folder / name(day), contents)


def week(number: int, *courses: str) -> Files:
    """The tables of each course: as many rows as the number of the week."""
    ids = range(1, number + 1)
    return {("auth_user", course): users(*ids) for course in courses or (FIRST, SECOND)} | {
        ("student_courseenrollment", course): enrolments(course, *ids)
        for course in courses or (FIRST, SECOND)
    }


def convert(folder: Path, *words: str | Path) -> Done:
    done = run("db", "convert", *words, "-o", "out", "--report", "r.json", cwd=folder)
    if (folder / "out" / "_edxlogs").exists():
        assert_whole(folder / "out")
    return done


def rows(folder: Path, table: str) -> dict[tuple[str, str], int]:
    """How many rows are of which course and day."""
    counts: dict[tuple[str, str], int] = {}
    for row in edxlogs.dataset(folder / "out" / table).to_table().to_pylist():
        key = row["course_id"], str(row["snapshot_date"])
        counts[key] = counts.get(key, 0) + 1
    return counts


def statuses(folder: Path) -> list[str]:
    members = json.loads((folder / "r.json").read_bytes())["members"]
    return [one["status"] for one in members]


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    for number, day in enumerate(DAYS, 1):
        write(tmp_path, day, week(number))
    return tmp_path


NEWEST = {(FIRST, DAYS[2]): 3, (SECOND, DAYS[2]): 3}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_several_packages_the_newest_is_the_table(cwd: Path, order: tuple[int, ...]) -> None:
    done = convert(cwd, *(name(DAYS[at]) for at in order))
    assert done.code == 0, done.stderr
    for table in ("auth_user", "student_courseenrollment"):
        assert rows(cwd, table) == NEWEST
    assert ", 8 older" in done.stderr.splitlines()[0]
    assert "stays" not in done.stderr
    # Only the newest was read, and the same words do nothing twice.
    report = json.loads((cwd / "r.json").read_bytes())
    assert report["total"]["rows"] == 12
    assert convert(cwd, *(name(DAYS[at]) for at in order)).code == 0
    assert json.loads((cwd / "r.json").read_bytes())["total"] == report["total"]


def test_a_newer_one_replaces_and_an_older_one_does_not(cwd: Path) -> None:
    for day, there in ((1, 1), (0, 1), (2, 2), (1, 2), (0, 2)):
        done = convert(cwd, name(DAYS[day]))
        assert done.code == 0, done.stderr
        expected = {(course, DAYS[there]): there + 1 for course in (FIRST, SECOND)}
        for table in ("auth_user", "student_courseenrollment"):
            assert rows(cwd, table) == expected
        if day != there:
            assert set(statuses(cwd)) == {"older"}
            assert json.loads((cwd / "r.json").read_bytes())["total"]["bytes_read"] == 0
    assert len(list((cwd / "out").rglob("*.parquet"))) == 4


def test_what_the_newest_lacks_stays_and_is_named(tmp_path: Path) -> None:
    write(tmp_path, DAYS[0], week(1))
    newer = week(2, FIRST)
    write(tmp_path, DAYS[1], newer, failed=("student_courseenrollment",))
    for words in ((name(DAYS[0]), name(DAYS[1])), (name(DAYS[1]),), (name(DAYS[0]),)):
        done = convert(tmp_path, *words)
        assert done.code == 0, done.stderr
        assert rows(tmp_path, "auth_user") == {(FIRST, DAYS[1]): 2, (SECOND, DAYS[0]): 1}
        assert rows(tmp_path, "student_courseenrollment") == {
            (FIRST, DAYS[0]): 1,
            (SECOND, DAYS[0]): 1,
        }
        told = [
            f"{table} of {course} prod: stays as of {DAYS[0]}: the package of {DAYS[1]} has no"
            f" good copy"
            for table, course in (
                ("auth_user", SECOND),
                ("student_courseenrollment", FIRST),
                ("student_courseenrollment", SECOND),
            )
        ]
        assert json.loads((tmp_path / "r.json").read_bytes())["stays"] == sorted(told)
        assert all(one in done.stderr for one in told)
    done = convert(tmp_path, name(DAYS[1]), "--table", "auth_user", "--course", FIRST)
    assert "stays" not in done.stderr


@pytest.mark.parametrize("words", [(0, 1), (1, 0)])
def test_a_newer_file_that_is_bad_replaces_nothing(tmp_path: Path, words: tuple[int, ...]) -> None:
    write(tmp_path, DAYS[0], week(1))
    bad = {
        **week(2),
        ("auth_user", FIRST): b"no\ttable\n",
        ("auth_user", SECOND): b"id\tusername\n1",
    }
    write(tmp_path, DAYS[1], bad)
    done = convert(tmp_path, *(name(DAYS[at]) for at in words))
    assert done.code == 1
    assert rows(tmp_path, "auth_user") == {(FIRST, DAYS[0]): 1, (SECOND, DAYS[0]): 1}
    assert rows(tmp_path, "student_courseenrollment") == {
        (FIRST, DAYS[1]): 2,
        (SECOND, DAYS[1]): 2,
    }
    assert done.stderr.count(f"stays as of {DAYS[0]}") == 2
    # The same where the older ones are there already.
    done = convert(tmp_path, name(DAYS[1]))
    assert done.code == 1
    assert rows(tmp_path, "auth_user") == {(FIRST, DAYS[0]): 1, (SECOND, DAYS[0]): 1}
    write(tmp_path, DAYS[2], week(3))
    assert convert(tmp_path, name(DAYS[2])).code == 0
    assert rows(tmp_path, "auth_user") == NEWEST


def test_a_package_that_was_made_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write(tmp_path, DAYS[0], week(1))
    assert convert(tmp_path, name(DAYS[0])).code == 0
    write(tmp_path, DAYS[0], week(2))
    assert convert(tmp_path, name(DAYS[0])).code == 0
    assert rows(tmp_path, "auth_user") == {(FIRST, DAYS[0]): 2, (SECOND, DAYS[0]): 2}
    assert len(list((tmp_path / "out").rglob("*.parquet"))) == 4


def test_folders_and_tars_are_snapshots_too(cwd: Path) -> None:
    assert convert(cwd, name(DAYS[0])).code == 0
    folder = cwd / f"universityx-{DAYS[1]}"
    folder.mkdir()
    for (table, course), text in week(2).items():
        (folder / f"{exporter.stem(course)}-{table}-prod-analytics.sql").write_bytes(text)
    assert convert(cwd, folder).code == 0
    assert set(rows(cwd, "auth_user").values()) == {2}
    with tarfile.open(cwd / f"universityx-{DAYS[2]}.tar.gz", "w:gz") as archive:
        for (table, course), text in week(3).items():
            path = cwd / "one"
            path.write_bytes(text)
            inside = f"{exporter.stem(course)}-{table}-prod-analytics.sql"
            archive.add(path, f"universityx-{DAYS[2]}/{inside}")
    for _ in range(2):
        assert convert(cwd, f"universityx-{DAYS[2]}.tar.gz").code == 0
        assert rows(cwd, "auth_user") == NEWEST
    # A folder without a day is older than any that has one.
    folder.rename(cwd / "tables")
    assert convert(cwd, cwd / "tables").code == 0
    assert rows(cwd, "auth_user") == NEWEST


def test_a_table_that_changes_in_its_folder_is_converted_anew(tmp_path: Path) -> None:
    (tmp_path / "in" / "b").mkdir(parents=True)
    inside = f"{exporter.stem(FIRST)}-auth_user-prod-analytics.sql"
    for number in (1, 2):
        # The same table twice in one folder is there once.
        for place in (f"in/{inside}", f"in/b/{inside}"):
            (tmp_path / place).write_bytes(users(*range(number)))
        for _ in range(2):
            (tmp_path / "known").write_text(FIRST)
            done = convert(tmp_path, "in", "--known-courses", "known")
            assert done.code == 0, done.stderr
            assert rows(tmp_path, "auth_user") == {(FIRST, "None"): number}


def test_a_run_that_replaces_a_snapshot_is_killed(cwd: Path) -> None:
    """There is the old table or the new one, never both, and the next run ends with the new one."""
    words = ("db", "convert", name(DAYS[2]), "-q", "--threads", "1", "-o")
    assert run("db", "convert", name(DAYS[0]), "-q", "-o", "first", cwd=cwd).code == 0
    shutil.copytree(cwd / "first", cwd / "whole")
    steps = datasets.run(*words, "whole", cwd=cwd)[1]
    wanted = datasets.files(cwd / "whole")
    for at in range(0, len(steps), max(1, len(steps) // 12)):
        out = f"out-{at}"
        shutil.copytree(cwd / "first", cwd / out)
        datasets.lose_power(datasets.run(*words, out, cwd=cwd, kill_at=at)[1])
        assert run(*words, out, cwd=cwd).code == 0
        assert_whole(cwd / out)
        assert datasets.files(cwd / out) == wanted


def test_what_an_old_version_has_piled_up_goes_with_the_next_package(
    cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Snapshots, "put_off", lambda *_: None)
        patch.setattr(Snapshots, "settle", lambda *_: set())
        edxlogs.convert([cwd / name(DAYS[0]), cwd / name(DAYS[1])], cwd / "out")
    piled = {(SECOND, DAYS[0]): 1, (SECOND, DAYS[1]): 2}
    assert rows(cwd, "auth_user") == piled | {(FIRST, DAYS[0]): 1, (FIRST, DAYS[1]): 2}
    write(cwd, DAYS[2], week(3, FIRST))
    assert convert(cwd, name(DAYS[2])).code == 0
    assert rows(cwd, "auth_user") == piled | {(FIRST, DAYS[2]): 3}


def test_all_snapshots_are_kept_in_folders_of_their_days(cwd: Path) -> None:
    everything = {(course, day): at for at, day in enumerate(DAYS, 1) for course in (FIRST, SECOND)}
    for at in (1, 2, 0):
        done = convert(cwd, name(DAYS[at]), "--snapshots", "all")
        assert done.code == 0, done.stderr
        assert "stays" not in done.stderr
    for table in ("auth_user", "student_courseenrollment"):
        assert rows(cwd, table) == everything
    (one,) = {
        path.parent.name for path in (cwd / "out" / "auth_user").rglob(f"*{DAYS[0]}-*.parquet")
    }
    assert one == f"snapshot_date={DAYS[0]}"
    found = (
        duckdb.connect()
        .execute(
            "select cast(snapshot_date as varchar), count(*) from read_parquet("
            f"'{cwd}/out/auth_user/**/*.parquet', hive_partitioning=true) group by 1 order by 1"
        )
        .fetchall()
    )
    assert found == [(day, 2 * at) for at, day in enumerate(DAYS, 1)]
    done = convert(cwd, name(DAYS[0]))
    assert (done.code, len(done.told)) == (2, 1)
    assert (
        "out: was made with --snapshots all; say so again, or name another folder" in done.told[0]
    )
    with pytest.raises(ConfigError, match="snapshots: some: is not known; use newest, all"):
        edxlogs.convert(cwd / name(DAYS[0]), cwd / "other", snapshots="some")


def test_preferences_of_one_course_after_the_other_are_not_lost(tmp_path: Path) -> None:
    """The file of all courses is filtered; what was asked for before is asked for again."""
    head = b"user_id,username,email,full_name,course_id,is_opted_in_for_email\n"
    for at, day in enumerate(DAYS, 1):
        body = b"".join(
            f"{number},u{number},a@x,n,{course},True\n".encode()
            for course in (FIRST, SECOND, "course-v1:UniversityX+Z+1")
            for number in range(at)
        )
        inside = "UniversityX-email_opt_in-prod-analytics.csv"
        exporter.write(tmp_path / name(day), [(inside, iter([head + body]))])

    def courses() -> dict[str, int]:
        table = edxlogs.dataset(tmp_path / "out" / "email_opt_in").to_table()
        found = [str(course) for course in table.column("course_id").to_pylist()]
        return {course: found.count(course) for course in sorted(set(found))}

    for at, asked, expected in (
        (0, FIRST, {FIRST: 1}),
        (0, SECOND, {FIRST: 1, SECOND: 1}),
        (0, FIRST, {FIRST: 1, SECOND: 1}),
        (1, FIRST, {FIRST: 2, SECOND: 2}),
    ):
        assert convert(tmp_path, name(DAYS[at]), "--course", asked).code == 0
        assert courses() == dict(sorted(expected.items()))
    assert convert(tmp_path, name(DAYS[2])).code == 0
    assert set(courses().values()) == {3}
    assert convert(tmp_path, name(DAYS[2]), "--course", FIRST).code == 0
    assert len(courses()) == 3
    assert len(list((tmp_path / "out" / "email_opt_in").glob("*.parquet"))) == 1


@pytest.mark.parametrize("kept", ["newest", "all"])
def test_a_job_converts_what_a_folder_has_got_each_week(tmp_path: Path, kept: str) -> None:
    job = f"""
[[convert]]
packages = ["in"]
output = "out"
snapshots = "{kept}"
"""
    (tmp_path / "job.toml").write_text(job)
    (tmp_path / "in").mkdir()
    for number, day in enumerate(DAYS, 1):
        write(tmp_path / "in", day, week(number))
        done = run("run", "job.toml", cwd=tmp_path)
        assert done.code == 0, done.stderr
        assert_whole(tmp_path / "out")
        there = {(course, day): number for course in (FIRST, SECOND)}
        if kept == "all":
            days = enumerate(DAYS[:number], 1)
            there = {(course, day): at for at, day in days for course in (FIRST, SECOND)}
        assert rows(tmp_path, "student_courseenrollment") == there


def test_streams_are_of_the_newest(cwd: Path) -> None:
    places = [cwd / name(day) for day in DAYS]

    def days(**words: Any) -> list[str]:
        table = pa.table(edxlogs.database_tables(places, **words)["auth_user"])
        return sorted(set(map(str, table.column("snapshot_date").to_pylist())))

    assert days() == [DAYS[2]]
    assert days(snapshots="all") == list(DAYS)


def test_tables_of_other_sites_and_organisations_stay(tmp_path: Path) -> None:
    write(tmp_path, DAYS[0], week(1))
    inside = f"{exporter.stem(FIRST)}-auth_user-edge-analytics.sql"
    exporter.write(tmp_path / name(DAYS[1]), [(inside, iter([users(1, 2)]))])
    other = "course-v1:OtherX+A+1"
    exporter.write(
        tmp_path / name(DAYS[2], "otherx"),
        [("OtherX-A-1-student_courseenrollment-prod-analytics.sql", iter([enrolments(other, 1)]))],
    )
    done = convert(tmp_path, *(one for one in sorted(os.listdir(tmp_path)) if one.endswith(".zip")))
    assert done.code == 0, done.stderr
    assert rows(tmp_path, "auth_user") == {
        (FIRST, DAYS[0]): 1,
        (SECOND, DAYS[0]): 1,
        (FIRST, DAYS[1]): 2,
    }
    assert (other, DAYS[2]) in rows(tmp_path, "student_courseenrollment")
