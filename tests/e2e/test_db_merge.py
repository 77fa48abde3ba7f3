"""`edxlogs merge` of tables: conversions on shards, joined to one folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import datasets
import edxlogs
import make_package
import oracle_tables
from commands import Done, run
from datasets import assert_whole
from edxlogs.account import Outcome
from edxlogs.edx.tables import Dialect, tables
from edxlogs.errors import ConfigError
from edxlogs.generator import exporter
from product import table_rows

FIRST, SECOND = make_package.COURSES[:2]
TAB = [table for table in tables().values() if table.dialect in (Dialect.TAB, Dialect.MODULE)]
NAMES = ["universityx-2014-10-05.zip", "universityx-2014-10-12.zip"]


@pytest.fixture(scope="module")
def texts() -> dict[str, dict[str, bytes]]:
    """The text of each file of two packages, weeks apart, with odd rows."""
    made = {}
    for number, name in enumerate(NAMES):
        members = make_package.members((FIRST, SECOND), count=8 + number, odd=True, seed=number)
        made[name] = {path: b"".join(chunks) for path, chunks in members}
    return made


@pytest.fixture
def cwd(tmp_path: Path, texts: dict[str, dict[str, bytes]]) -> Path:
    for name, its in texts.items():
        exporter.write(tmp_path / name, ((path, iter([text])) for path, text in its.items()))
    return tmp_path


def convert(cwd: Path, package: str, folder: str, *options: str | Path) -> Done:
    words = ("--snapshots", "all", *options, "-q")
    done = run("db", "convert", package, "-o", folder, *words, cwd=cwd)
    assert done.code == 0, done.stderr
    return done


def shards(cwd: Path) -> list[str]:
    """One shard for each course of the first package, one for the second."""
    convert(cwd, NAMES[0], "a", "--course", FIRST, "--rejects", "a.rejects")
    convert(cwd, NAMES[0], "b", "--course", SECOND, "--rejects", "b.rejects")
    convert(cwd, NAMES[1], "c", "--rejects", "c.rejects")
    return ["a", "b", "c"]


def merge(cwd: Path, *words: str) -> Done:
    return run("merge", *words, "-o", "all", "-q", cwd=cwd)


def _assert_rows_are_the_oracles(folder: Path, texts: dict[str, dict[str, bytes]]) -> int:
    """Each file holds what the text of its member does; how many rows are in all."""
    total = 0
    for table in TAB:
        for package, its in texts.items():
            for course in (FIRST, SECOND):
                wanted = oracle_tables.read_tab(
                    its[exporter.file_name(table, course, "prod")],
                    table.columns,
                    module=table.dialect is Dialect.MODULE,
                    renamed=dict(table.renamed),
                ).rows
                encoded = course.replace("+", "%2B").replace(":", "%3A").replace("/", "%2F")
                stem = package.removesuffix(".zip")
                day = f"snapshot_date={stem.removeprefix('universityx-')}"
                name = f"{day}/{stem}-prod.parquet"
                with (folder / table.name / f"course_id={encoded}" / name).open("rb") as file:
                    rows = table_rows(pq.read_table(file))
                for name in [name for name, kind in table.columns if kind != "json"]:
                    assert [row[name] for row in rows] == [row[name] for row in wanted]
                assert len(rows) == len(wanted)
                total += len(rows)
    return total


def test_tables_of_shards_are_one_folder(cwd: Path, texts: dict[str, dict[str, bytes]]) -> None:
    names = shards(cwd)
    done = run("merge", *names, "-o", "all", "--report", "all.json", cwd=cwd)
    assert done.code == 0, done.stderr
    assert_whole(cwd / "all")
    rows = _assert_rows_are_the_oracles(cwd / "all", texts)
    told = json.loads((cwd / "all.json").read_bytes())
    tab = {table.name for table in TAB}
    by_table = {name: its["rows_written"] for name, its in told["tables"].items()}
    assert sum(count for name, count in by_table.items() if name in tab) == rows
    files = len(told["members"])
    rows = told["total"]["rows_written"]
    assert done.stderr.splitlines()[-1] == f"{rows:,} rows of {files:,} files"
    # What all shards wrote is there, byte for byte, and they stay as they are.
    theirs = {path: sha for name in names for path, sha in datasets.files(cwd / name).items()}
    assert datasets.files(cwd / "all") == theirs
    kept = [file.read_bytes() for name in names for file in (cwd / name).glob("_edxlogs/rejects/*")]
    mine = [file.read_bytes() for file in (cwd / "all").glob("_edxlogs/rejects/*")]
    assert sorted(mine) == sorted(kept) != []
    # A table of it is read as one.
    users = edxlogs.dataset(cwd / "all" / "auth_user").to_table()
    assert users.num_rows == by_table["auth_user"]


def test_what_is_merged_is_not_converted_again(cwd: Path) -> None:
    names = shards(cwd)
    assert merge(cwd, *names).code == 0
    before = datasets.files(cwd / "all")
    assert merge(cwd, *names).code == 0
    assert datasets.files(cwd / "all") == before
    convert(cwd, NAMES[0], "all", "--course", FIRST, "--report", "report.json")
    members = json.loads((cwd / "report.json").read_bytes())["members"]
    earlier = [one["earlier"] for one in members if one["status"] == "delivered"]
    assert len(earlier) > 40
    assert all(earlier)
    assert datasets.files(cwd / "all") == before
    assert_whole(cwd / "all")


def test_a_copy_is_as_old_as_what_it_is_of(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another file system there is no link: the tables are known again all the same."""
    convert(cwd, NAMES[0], "a", "--course", FIRST)

    def refuses(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuses)
        edxlogs.merge([cwd / "a"], cwd / "all")
    done = edxlogs.convert(cwd / NAMES[0], cwd / "all", course=FIRST, snapshots="all")
    assert all(one.earlier for one in done.account.of_status(Outcome.DELIVERED))


def test_shards_that_grew_and_changed_are_merged_again(
    cwd: Path, texts: dict[str, dict[str, bytes]]
) -> None:
    convert(cwd, NAMES[0], "a", "--course", FIRST)
    assert merge(cwd, "a").code == 0
    convert(cwd, NAMES[0], "a", "--course", SECOND)
    convert(cwd, NAMES[1], "a", "--expand", "studentmodule")
    assert merge(cwd, "a").code == 0
    _assert_rows_are_the_oracles(cwd / "all", texts)
    assert datasets.files(cwd / "all") == datasets.files(cwd / "a")
    # Other columns in the place of those that were there; and files that were joined.
    convert(cwd, NAMES[0], "a", "--course", FIRST, "--expand", "studentmodule", "--overwrite")
    assert merge(cwd, "a").code == 0
    assert datasets.files(cwd / "all") == datasets.files(cwd / "a")
    assert run("compact", "a", cwd=cwd).code == 0
    assert merge(cwd, "a").code == 0
    assert_whole(cwd / "all")


def test_a_merge_of_tables_is_killed(cwd: Path) -> None:
    convert(cwd, NAMES[0], "a", "--course", FIRST, "--table", "auth_user", "--table", "forum")
    convert(cwd, NAMES[1], "b", "--course", FIRST, "--table", "auth_user")
    steps = datasets.run("merge", "a", "b", "-o", "all", "-q", cwd=cwd)[1]
    wanted = datasets.files(cwd / "all")
    for at in range(0, len(steps), max(1, len(steps) // 10)):
        out = f"out-{at}"
        datasets.lose_power(datasets.run("merge", "a", "b", "-o", out, cwd=cwd, kill_at=at)[1])
        datasets.run("merge", "a", "b", "-o", out, cwd=cwd)
        assert_whole(cwd / out)
        assert datasets.files(cwd / out) == wanted


def test_what_cannot_be_merged(cwd: Path) -> None:
    convert(cwd, NAMES[0], "a", "--course", FIRST)
    convert(cwd, NAMES[0], "b", "--format", "csv", "--table", "auth_user")
    done = merge(cwd, "a", "b")
    assert done.code == 2
    assert f"merge: {NAMES[0]}: " in done.stderr
    assert "(auth_user): is in a and in b; name shards of different inputs" in done.stderr
    (cwd / "log").write_bytes(b'{"event_type": "x"}\n')
    assert run("filter", "log", "-o", "events", "--partition-by", "date", cwd=cwd).code == 0
    with pytest.raises(ConfigError, match="of a different query"):
        edxlogs.merge([cwd / "a", cwd / "events"], cwd / "all")
    assert not any((cwd / "all").glob("*/head"))
    # Another file of the same name, which is of another package.
    (cwd / "other").mkdir()
    shutil.copy(cwd / NAMES[1], cwd / "other" / NAMES[0])
    convert(cwd, f"other/{NAMES[0]}", "c", "--course", FIRST)
    assert merge(cwd, "a").code == 0
    done = merge(cwd, "c")
    assert done.code == 2
    assert "exists, and is of another input than in c; merge into a new folder" in done.stderr
    assert_whole(cwd / "all")


def test_a_conversion_that_was_stopped_is_not_merged(cwd: Path) -> None:
    words = ("db", "convert", NAMES[0], "-o", "a", "-q", "--threads", "1")
    steps = datasets.run(*words, cwd=cwd)[1]
    shutil.rmtree(cwd / "a")
    at = max(at for at, step in enumerate(steps) if step.name == "sync-all")
    datasets.run(*words, cwd=cwd, kill_at=at)
    done = merge(cwd, "a")
    assert done.code == 2
    assert done.told == [
        "edxlogs: merge: a: its conversion was stopped before it finished; run it again first"
    ]


def test_the_newest_snapshot_of_all_shards_is_the_table(cwd: Path) -> None:
    newest = ("--snapshots", "newest", "--table", "auth_user", "--table", "email_opt_in")
    convert(cwd, NAMES[0], "a", *newest, "--course", FIRST)
    convert(cwd, NAMES[0], "b", *newest, "--course", SECOND)
    convert(cwd, NAMES[1], "c", *newest, "--course", FIRST)
    for _ in range(2):
        assert merge(cwd, "a", "b", "c").code == 0
        assert_whole(cwd / "all")
        users = edxlogs.dataset(cwd / "all" / "auth_user").to_table().to_pylist()
        assert {(row["course_id"], row["package"]) for row in users} == {
            (FIRST, NAMES[1]),
            (SECOND, NAMES[0]),
        }
    preferences = edxlogs.dataset(cwd / "all" / "email_opt_in").to_table().to_pylist()
    assert {(row["course_id"], row["package"]) for row in preferences} == {
        (FIRST, NAMES[1]),
        (SECOND, NAMES[0]),
    }
