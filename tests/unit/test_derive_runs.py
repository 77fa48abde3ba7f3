"""`edxlogs derive` as a run: stopped, short of memory or disk, without DuckDB, in a job."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edxlogs
from derived import COURSE, at, digests, rows_of, write_database, write_events
from edxlogs import cli
from edxlogs.derived import engine, verb
from edxlogs.derived.verb import DeriveSettings, derive
from edxlogs.errors import ConfigError, EdxlogsError, ResumableInterrupt
from edxlogs.watching import Watcher

COUNTS = """\
-- table: counts
-- about: Events of videos.
-- inputs: video_events!
-- order: course_id
-- columns:
--   course_id string: The course.
--   n int64: How many.
select course_id, count(*) as n from video_events group by all
"""
# Rows that no memory of these tests holds.
MANY = """\
-- table: many
-- about: Many rows in another order.
-- inputs: video_events!
-- order: a, b
-- columns:
--   a int64: A number.
--   b string: A text.
select (hash(range) >> 1)::int64 as a, md5(range::varchar) as b
from range(1500000) where range % 7 <> (select count(*) from video_events)
"""
WHOLE = MANY.replace("select (hash", "select len(list(range)) as a, '' as b from range(20000000)--")
WHOLE = WHOLE.partition("\nfrom range(1500000)")[0]


def sql(folder: Path, **texts: str) -> Path:
    place = folder / "sql"
    place.mkdir(exist_ok=True)
    for name, text in texts.items():
        (place / f"{name}.sql").write_text(text)
    return place


def events(folder: Path, *courses: str) -> Path:
    rows = [
        {"time": at(1), "course_id": course, "source": f"{number}.log", "line": 1, "line_item": 0}
        for number, course in enumerate(courses or [COURSE])
    ]
    return write_events(folder / "events", {"video_events": rows})


class Stopping(Watcher):
    """Stops the run when its first course is done."""

    def one_done(self) -> None:
        raise KeyboardInterrupt


def test_what_is_done_before_a_stop_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "_TOGETHER", 1)
    words: dict[str, Any] = {"sql_dir": sql(tmp_path, counts=COUNTS), "table": "counts"}
    words["events"] = events(tmp_path, "a/b/c", "d/e/f")
    with pytest.raises(ResumableInterrupt):
        edxlogs.derive(tmp_path / "out", **words, watcher=Stopping())
    done = edxlogs.derive(tmp_path / "out", **words)
    assert [one.made for one in done.courses] == [[], ["counts"]]
    whole = edxlogs.derive(tmp_path / "whole", **words)
    assert [one.made for one in whole.courses] == [["counts"], ["counts"]]
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_a_course_may_need_more_memory_than_there_is(tmp_path: Path) -> None:
    folder = sql(tmp_path, whole=WHOLE.replace("many", "whole"), counts=COUNTS)
    settings = DeriveSettings(
        os.fspath(tmp_path / "out"),
        os.fspath(events(tmp_path)),
        tables=("whole",),
        sql_folder=folder,
        memory_bytes=60_000_000,
    )
    done = derive(settings, Watcher())
    assert not done.is_whole
    assert done.failed[0].startswith(f"course: {COURSE}: needs more than --memory 60.0 MB")
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_what_is_too_much_for_all_threads_is_made_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_SMALL_ROWS", 0)
    some = WHOLE.replace("many", "some").replace(
        "range(20000000)", "range(if(current_setting('threads')::int > 1, 20000000, 5))"
    )
    settings = DeriveSettings(
        os.fspath(tmp_path / "out"),
        os.fspath(events(tmp_path)),
        tables=("some",),
        sql_folder=sql(tmp_path, some=some),
        memory_bytes=60_000_000,
        threads=3,
    )
    done = derive(settings, Watcher())
    assert done.is_whole
    assert [row["a"] for row in rows_of(tmp_path / "out", "some")] == [5]


SCRIPT = """
import sys
from pathlib import Path
from edxlogs.derived.verb import DeriveSettings, derive
from edxlogs.errors import OutputError
from edxlogs.watching import Watcher
out, events, folder = sys.argv[1:]
settings = DeriveSettings(
    out, events, tables=("many",), sql_folder=Path(folder), memory_bytes=60_000_000
)
try:
    print(derive(settings, Watcher()).rows)
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("most_bytes", [1 << 20, None])
def test_a_disk_that_is_full_when_it_spills(tmp_path: Path, most_bytes: int | None) -> None:
    folder = sql(tmp_path, many=MANY)

    def limit() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, out, events(tmp_path), folder],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=limit,
    )
    if most_bytes is None:
        assert "'many': " in done.stdout
        return
    assert done.stdout.startswith(f"output: {out}: No space left on device; make room")
    assert not list(out.rglob("*.parquet"))
    assert not (out / "_edxlogs" / "head").exists()


def test_without_duckdb_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigError, match=r"pip install 'edxlogs\[derive\]'"):
        edxlogs.derive(tmp_path / "out", events=events(tmp_path))
    assert not (tmp_path / "out").exists()


def test_the_command_tells_a_run_and_shows_definitions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sql(tmp_path, counts=COUNTS)
    words = ["--events", str(events(tmp_path)), "--sql-dir", str(folder), "--table", "counts"]
    out = str(tmp_path / "out")
    assert cli.execute(["derive", *words, "-o", out, "--cap", "3"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("1 course: 1 made, 0 unchanged, 0 failed, ")
    assert told[-1] == f"1 row in 1 table: to {out}"
    assert cli.execute(["derive", *words, "-o", out, "--cap", "3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rows"] == {"counts": 1}
    assert report["courses"][0]["made"] == []
    assert cli.execute(["derive", "--show", "counts", "--sql-dir", str(folder)]) == 0
    assert capsys.readouterr().out == COUNTS
    assert cli.execute(["derive", "--show", "counts"]) == 2
    assert "table: counts: is not known" in capsys.readouterr().err
    assert cli.execute(["derive", *words]) == 2
    assert "name a folder with -o" in capsys.readouterr().err
    assert cli.execute(["derive", *words, "-o", out, "--cap", "few"]) == 2
    assert cli.execute(["runs", out, "--json"]) == 0
    history = json.loads(capsys.readouterr().out)
    query = history["query"]
    assert query["definitions"]["custom"] == ["counts"]
    assert query["parameters"]["cap"] == query["parameters"]["cap_long"] == 3
    assert len(history["runs"]) == 1


def test_a_report_tells_every_course(tmp_path: Path) -> None:
    words: dict[str, Any] = {"sql_dir": sql(tmp_path, counts=COUNTS), "table": "counts"}
    report = tmp_path / "report.json"
    for _ in range(2):  # the same words write it anew
        done = edxlogs.derive(tmp_path / "out", events=events(tmp_path), report=report, **words)
        assert json.loads(report.read_bytes())["courses"] == done.report()["courses"]


JOB = """\
[[derive]]
events = "events"
db = "tables"
output = "derived"
sql_dir = "sql"
table = ["counts"]
as_of = 2014-10-05
gap = 20
cap = [4, 20]
"""


def test_a_job_derives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    events(tmp_path)
    write_database(tmp_path / "tables", {"auth_user": []})
    sql(tmp_path, counts=COUNTS)
    Path("job.toml").write_text(JOB)
    done = edxlogs.run("job.toml")
    assert done.is_whole
    assert rows_of(Path("derived"), "counts") == [{"course_id": COURSE, "n": 1}]
    assert str(done).startswith("job: ok, 1 derived table, 1 course made anew, ")
    parameters = edxlogs.run("job.toml").report()["derived"][0]
    assert parameters["courses"][0]["made"] == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gap = true", "gap: must be a number of minutes"),
        ('as_of = "soon"', "as-of: soon: is not a day"),
        ("as_of = 2014", "as_of: must be a day"),
        ('database = "x"', "database: is not known"),
        ('output = ""', "output"),
    ],
)
def test_a_job_with_something_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    key = line.partition(" ")[0]
    kept = [one for one in JOB.splitlines() if not one.startswith(key)]
    Path("job.toml").write_text("\n".join([*kept, line]))
    with pytest.raises(ConfigError, match=r"^(job|as-of)") as caught:
        edxlogs.run("job.toml")
    assert told in str(caught.value)


def test_a_job_that_lacks_its_inputs_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("job.toml").write_text('[[derive]]\nevents = "events"\noutput = "derived"\n')
    with pytest.raises(EdxlogsError, match="holds no event tables"):
        edxlogs.run("job.toml")


def test_other_engines_are_told_of_each_table(tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    words: dict[str, Any] = {"sql_dir": sql(tmp_path, counts=COUNTS), "table": "counts"}
    edxlogs.derive(tmp_path / "out", events=events(tmp_path, "a/b/c", "d/e/f"), **words)
    edxlogs.publish(tmp_path / "out")
    found = deltalake.DeltaTable(tmp_path / "out" / "counts").to_pyarrow_table().to_pylist()
    assert sorted(row["course_id"] for row in found) == ["a/b/c", "d/e/f"]
    write_events(
        tmp_path / "events",
        {"video_events": [{"course_id": "a/b/c", "source": "9.log", "line": 1, "line_item": 0}]},
    )
    (first, second) = edxlogs.derive(tmp_path / "out", events=tmp_path / "events", **words).courses
    assert (first.made, second.made) == (["counts"], [])
    # What the table tells is still there for its readers.
    assert len(list((tmp_path / "out" / "counts").rglob("*.parquet"))) == 3
    assert [row["n"] for row in rows_of(tmp_path / "out", "counts")] == [2, 1]


FEW = """\
-- table: few
-- about: A course that fails.
-- inputs: video_events!
-- order: n
-- columns:
--   n int64: How many.
select case when any_value(course_id) = 'b/b/b' then error('no') else count(*) end as n
from video_events
"""


def test_a_course_that_fails_leaves_those_after_it_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "_TOGETHER", 2)
    courses = ["a/a/a", "b/b/b", "c/c/c", "d/d/d", "e/e/e"]
    words: dict[str, Any] = {"sql_dir": sql(tmp_path, few=FEW), "table": "few", "threads": 2}
    done = edxlogs.derive(tmp_path / "out", events=events(tmp_path, *courses), **words)
    assert [one.made for one in done.courses] == [["few"], [], ["few"], ["few"], ["few"]]
    assert done.failed[0].startswith("course: b/b/b: ")
    assert not list((tmp_path / "out" / "_edxlogs" / "new").iterdir())
