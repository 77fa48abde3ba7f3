"""`edxlogs tables`: each event in its home, as the oracle has it, whatever the way."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import commands
import datasets
import edxlogs
import oracle_event_tables as tables
from edxlogs import ConfigError, OutputError
from edxlogs.account import Outcome
from edxlogs.store.place import Folder
from edxlogs.store.store import Store
from small_logs import plain, write
from table_folders import FOLDERS, acts, assert_tables, expected, lines_of, rows_of

DAYS = ("prod-events-2014-10-01", "edge-events-2014-10-01", "prod-events-2014-10-02")
NAMES = [f"universityx-{day}.log.gz" for day in (*DAYS, "edge-events-2014-10-02")]
PLACE = ("source", "line", "line_item")
USER = "eli_marsh4986"
SOME = ("problem_events", "problem_inputs", "requests", "video_events")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four logs: events of every spelling, dealt to them, and lines that are none."""
    folder = tmp_path_factory.mktemp("acts")
    events = acts()
    for number, name in enumerate(NAMES):
        odd = b"" if number else b"no event\n\n" + b"[" * 9 + b"\n"
        write(folder / name, odd + lines_of(events[number :: len(NAMES)]))
    return folder


@pytest.fixture(scope="module")
def wanted(logs: Path) -> dict[str, list[dict[str, Any]]]:
    return expected(*sorted(logs.iterdir()))


def rows(done: edxlogs.Written) -> dict[str, int]:
    return {one.table: one.rows for one in done.tables}


def test_a_folder_of_tables(logs: Path, wanted: dict[str, Any], tmp_path: Path) -> None:
    done = edxlogs.write_event_tables(logs, tmp_path / "out", report=tmp_path / "report.json")
    assert done.is_whole
    assert_tables(tmp_path / "out", wanted, FOLDERS)
    assert rows(done) == {name: len(wanted[name]) for name in FOLDERS}
    report = commands.report(tmp_path / "report.json")
    homes = {name: len(wanted[name]) for name in tables.TABLES}
    assert report["total"]["homes"] == homes
    assert report["total"]["rows"] == sum(homes.values())
    assert report["total"]["kept"] == sum(homes.values())
    kinds = {name: "children" if name in tables.CHILDREN else "home" for name in FOLDERS}
    assert report["tables"] == [
        {"table": one.table, "kind": kinds[one.table], "rows": len(wanted[one.table])}
        for one in done.tables
    ]
    told = str(done)
    assert f"video_events {homes['video_events']}" in told
    assert told.endswith(
        f"{sum(rows(done).values()):,} rows in {len(FOLDERS)} tables of {tmp_path / 'out'}: 4"
        " sources read"
    )


def test_no_file_where_there_is_no_row(logs: Path, tmp_path: Path) -> None:
    done = edxlogs.write_event_tables(logs, tmp_path / "out", event_type="play_video")
    assert {name for name, count in rows(done).items() if count} == {"video_events"}
    for name in FOLDERS:
        datasets.assert_whole(tmp_path / "out" / name)
        assert bool(datasets.files(tmp_path / "out" / name)) == (name == "video_events")
        there = edxlogs.dataset(tmp_path / "out" / name)
        assert (
            there.schema.names[: len(tables.SPINE)]
            == list(tables.SPINE_OF_CHILDREN if name in tables.CHILDREN else tables.SPINE)
            or name in tables.CHILDREN
        )
        assert there.count_rows() == rows(done)[name]


@pytest.mark.parametrize("form", ["csv", "tsv.gz", "jsonl.zst"])
def test_formats(logs: Path, wanted: dict[str, Any], tmp_path: Path, form: str) -> None:
    asked = ["problem_events", "problem_inputs", "video_events"]
    edxlogs.write_event_tables(logs, tmp_path / "out", tables=asked, format=form)
    if not form.startswith("jsonl"):
        assert_tables(tmp_path / "out", wanted, asked)
        return
    for name in asked:
        edxlogs.cat(tmp_path / "out" / name, tmp_path / "all.jsonl", overwrite=True)
        lines = (tmp_path / "all.jsonl").read_text().splitlines()
        assert len(lines) == len(wanted[name])
        told = [json.loads(line) for line in lines]
        here, there = (
            [[row.get(key) for key in (*PLACE, "action")] for row in those]
            for those in (told, wanted[name])
        )
        assert sorted(here) == sorted(there)


def test_some_tables_and_others_later(logs: Path, wanted: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    edxlogs.write_event_tables(logs, out, tables="video_events")
    assert_tables(out, wanted, ["video_events"])
    before = datasets.files(out / "video_events")
    done = edxlogs.write_event_tables(logs, out, tables=["ora_parts,video_events"], with_forms=True)
    assert_tables(out, wanted, ["ora_parts", "problem_forms", "video_events"])
    assert datasets.files(out / "video_events") == before
    assert datasets.manifest(out / "video_events")["commits"] == 2
    assert rows(done)["problem_forms"] == len(wanted["problem_forms"]) > 0


def test_no_text(logs: Path, tmp_path: Path) -> None:
    asked = ["problem_inputs", "forum_events", "other_events"]
    edxlogs.write_event_tables(logs, tmp_path / "out", tables=asked, no_text=True)
    assert_tables(tmp_path / "out", expected(*sorted(logs.iterdir()), no_text=True), asked)
    with pytest.raises(ConfigError, match="holds the rows of a different query"):
        edxlogs.write_event_tables(logs, tmp_path / "out", tables=asked)


def test_conditions_and_partitions(logs: Path, tmp_path: Path) -> None:
    course = "course-v1:UniversityX+CS101+2014_T1"
    keys = ["event_source", "site"]
    edxlogs.write_event_tables(
        logs, tmp_path / "out", course=course, exclude_user=USER, partition_by=keys
    )
    kept = expected(*sorted(logs.iterdir()), courses=[course], exclude_users=[USER])
    assert_tables(tmp_path / "out", kept, FOLDERS)
    paths = datasets.files(tmp_path / "out" / "problem_events")
    assert {tuple(datasets.partition(path)) for path in paths} == {tuple(keys)}


def test_the_footer_says_what_it_is(logs: Path, tmp_path: Path) -> None:
    edxlogs.write_event_tables(logs, tmp_path / "out", tables="requests", course="course-v1:*")
    path = next((tmp_path / "out" / "requests").rglob("*.parquet"))
    metadata = pq.read_metadata(path).metadata
    assert metadata[b"edxlogs.table"] == b"requests"
    assert metadata[b"edxlogs.tables_version"] == b"1"
    assert json.loads(metadata[b"edxlogs.query"]) == {"courses": ["course-v1:*"]}


def test_nights_bring_what_is_new_and_replace_what_is_released_again(
    logs: Path, tmp_path: Path
) -> None:
    there, out = tmp_path / "logs", tmp_path / "out"
    there.mkdir()
    for name in NAMES[:2]:
        shutil.copy2(logs / name, there / name)
    edxlogs.write_event_tables(there, out)
    write(there / NAMES[1], lines_of(acts()[:150]))
    shutil.copy2(logs / NAMES[2], there / NAMES[2])
    done = edxlogs.write_event_tables(there, out)
    assert str(done).endswith("2 sources read, 1 done before")
    kept = expected(*sorted(there.iterdir()))
    assert_tables(out, kept, FOLDERS)
    for name in FOLDERS:
        datasets.assert_whole(out / name)
    again = edxlogs.write_event_tables(there, out)
    assert str(again).endswith("0 sources read, 3 done before")
    assert (rows(again), again.account.total) == (rows(done), done.account.total)


def test_a_damaged_source_is_told_and_in_no_table(logs: Path, tmp_path: Path) -> None:
    there, out = tmp_path / "logs", tmp_path / "out"
    words: dict[str, Any] = {"tables": ",".join(SOME), "rejects": tmp_path / "rejects"}
    shutil.copytree(logs, there)
    cut = there / NAMES[0]
    cut.write_bytes(cut.read_bytes()[:-9])
    done = edxlogs.write_event_tables(there, out, **words)
    assert not done.is_whole
    assert [one.status for one in done.account.sources].count(Outcome.WITHHELD) == 1
    assert_tables(out, expected(*(there / name for name in NAMES[1:])), SOME)
    shutil.copy2(logs / NAMES[0], cut)
    assert edxlogs.write_event_tables(there, out, **words).is_whole
    assert_tables(out, expected(*sorted(logs.iterdir())), SOME)
    lines = (tmp_path / "rejects").read_bytes().splitlines()
    assert [line for line in lines if not line.startswith(b"#")] == [b"no event", b"[" * 9]
    words["tables"] = "problem_forms,requests"
    assert edxlogs.write_event_tables(there, out, **words).is_whole
    assert len((tmp_path / "rejects").read_bytes().splitlines()) == len(lines)


def test_a_run_that_is_killed_goes_on(logs: Path, tmp_path: Path) -> None:
    asked: list[str | Path] = ["tables", logs, "--table", "video_events,problem_inputs", "-o"]
    whole, steps = datasets.run(*asked, "whole", cwd=tmp_path, group=1)
    assert whole == 0
    both = ("video_events", "problem_inputs")
    kept = {name: datasets.files(tmp_path / "whole" / name) for name in both}
    for kill_at in random.Random(3).sample(range(len(steps)), 3):
        code, done = datasets.run(*asked, f"out-{kill_at}", cwd=tmp_path, group=1, kill_at=kill_at)
        assert code != 0
        datasets.lose_power(done)
        assert datasets.run(*asked, f"out-{kill_at}", cwd=tmp_path, group=1)[0] == 0
        for name, files in kept.items():
            assert datasets.files(tmp_path / f"out-{kill_at}" / name) == files
            datasets.assert_whole(tmp_path / f"out-{kill_at}" / name)


def test_shards_are_merged_and_their_folder_is_one_like_any_other(
    logs: Path, wanted: dict[str, Any], tmp_path: Path
) -> None:
    for shard in (1, 2):
        edxlogs.write_event_tables(
            logs, tmp_path / f"shard-{shard}", shard=f"{shard}/2", tables=SOME
        )
    merged = edxlogs.merge([tmp_path / "shard-1", tmp_path / "shard-2"], tmp_path / "out")
    assert_tables(tmp_path / "out", wanted, SOME)
    total = sum(len(wanted[name]) for name in SOME)
    assert str(merged) == f"{total:,} rows in {len(SOME)} tables of 4 sources"
    assert {one.table: one.rows for one in merged.tables} == {n: len(wanted[n]) for n in SOME}
    done = edxlogs.write_event_tables(logs, tmp_path / "out", tables=SOME)
    assert str(done).endswith("0 sources read, 4 done before")
    compacted = edxlogs.compact(tmp_path / "out")
    assert compacted.after < compacted.before
    assert set(compacted.tables) == set(SOME)
    assert_tables(tmp_path / "out", wanted, SOME)
    edxlogs.write_event_tables(logs, tmp_path / "few", tables="requests")
    with pytest.raises(ConfigError, match="has other tables of events than"):
        edxlogs.merge([tmp_path / "shard-1", tmp_path / "few"], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_verbs_go_over_the_tables_of_a_folder(logs: Path, tmp_path: Path) -> None:
    out, asked = tmp_path / "out", "navigation_events,video_events"
    edxlogs.write_event_tables(logs, out, tables=asked, course="course-v1:UniversityX+CS101*")
    done = commands.run("runs", out, "--json", cwd=tmp_path)
    runs = json.loads(done.stdout)["tables"]
    assert list(runs) == asked.split(",")
    assert [one["ended"] for one in runs["video_events"]["runs"]] == ["done"]
    assert commands.run("runs", out, cwd=tmp_path).stdout.startswith(b"navigation_events\nquery: ")
    done = commands.run("cat", out, cwd=tmp_path)
    assert done.code == 2
    assert done.stderr == (
        f"edxlogs: dataset: {out}: holds tables of events; name one, like {out}/navigation_events,"
        " of: navigation_events, video_events\n"
    )
    with pytest.raises(ConfigError, match="name one, like"):
        edxlogs.dataset(out)
    done = commands.run(
        "cat", out / "video_events", "--columns", "action", "--user", USER, cwd=tmp_path
    )
    acts_of = [row["action"] for row in rows_of(out, "video_events") if row["username"] == USER]
    assert sorted(done.stdout.decode().split()) == sorted(["action", *acts_of])
    edxlogs.publish(out)
    assert [one.name for one in edxlogs.publish(out).tables] == asked.split(",")
    assert edxlogs.clean(out).removed == 0


def test_what_is_asked_for_wrongly_is_told_in_a_line(logs: Path, tmp_path: Path) -> None:
    def refused(*words: str | Path) -> str:
        done = commands.run("tables", logs, *words, cwd=tmp_path)
        assert (done.code, done.stdout) == (2, b"")
        assert not (tmp_path / "out").exists()
        return done.stderr

    assert refused("-o", "out", "--table", "vido_events") == (
        "edxlogs: table: vido_events: is not known; did you mean video_events?\n"
    )
    assert "use problem_events, " in refused("-o", "out", "--table", "x")
    for none in ("-", ""):
        assert refused("-o", none).startswith(
            "edxlogs: output: tables of events are a folder; name"
        )
    assert "Missing option '-o'" in refused()
    assert "format: arrow: is not for datasets" in refused("-o", "out", "--format", "arrow")


def test_a_slash_makes_a_folder_of_any_name(logs: Path, tmp_path: Path) -> None:
    words = ("--table", "requests", "-q")
    for name in ("out.parquet", "out.zip"):
        assert commands.run("tables", logs, "-o", name, *words, cwd=tmp_path).code == 2
        assert commands.run("tables", logs, "-o", f"{name}/", *words, cwd=tmp_path).code == 0
        assert edxlogs.dataset(tmp_path / name / "requests").count_rows() > 0


def test_an_empty_name_is_not_the_folder_at_hand(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edxlogs.write(logs, tmp_path / "events", partition_by="date")
    monkeypatch.chdir(tmp_path / "events")
    assert edxlogs.dataset(".").count_rows() > 0
    with pytest.raises(ConfigError, match="the name of its folder is empty"):
        edxlogs.dataset("")
    edxlogs.write_event_tables(logs, tmp_path / "learning", tables="requests")
    with pytest.raises(ConfigError, match="the name of its folder is empty"):
        edxlogs.merge([tmp_path / "learning"], "")


def test_what_is_there_is_left_alone(logs: Path, tmp_path: Path) -> None:
    edxlogs.write(logs, tmp_path / "events", partition_by="date")
    with pytest.raises(ConfigError, match="is inside the dataset"):
        edxlogs.write_event_tables(logs, tmp_path / "events", tables="requests")
    edxlogs.write_event_tables(logs, tmp_path / "out", tables="requests", user=USER)
    with pytest.raises(ConfigError, match="holds the rows of a different query"):
        edxlogs.write_event_tables(logs, tmp_path / "out", tables="account_events,requests")
    assert not (tmp_path / "out" / "account_events").exists()
    with pytest.raises(ConfigError, match="holds the dataset"):
        edxlogs.write(logs, tmp_path / "out", partition_by="date")


def test_a_folder_with_other_files_is_refused(logs: Path, tmp_path: Path) -> None:
    def refused(why: str) -> None:
        before = sorted(tmp_path.rglob("*"))
        for words in (("tables", logs, "--table", "requests"), ("merge", "shard")):
            done = commands.run(*words, "-o", "out", cwd=tmp_path)
            assert (done.code, done.told) == (2, [f"edxlogs: output: out: {why}"])
        assert sorted(tmp_path.rglob("*")) == before

    new = "name a new folder, or an empty one, for the tables"
    edxlogs.write_event_tables(logs, tmp_path / "shard", tables="requests")
    (tmp_path / "out" / "notes").mkdir(parents=True)
    (tmp_path / "out" / "notes" / "a.txt").write_text("")
    refused(f"holds other files; {new}")
    (tmp_path / "out" / "notes" / "a.txt").rename(tmp_path / "out" / "a.txt")
    refused(f"holds other files; {new}")
    (tmp_path / "out" / "a.txt").unlink()
    edxlogs.write(logs, tmp_path / "out" / "events", partition_by="date")
    refused("holds the dataset events; name a folder beside it")
    shutil.rmtree(tmp_path / "out" / "events")
    # What is left of a run that was stopped at once, and what came beside tables later.
    (tmp_path / "out" / "video_events" / "_edxlogs").mkdir(parents=True)
    edxlogs.write_event_tables(logs, tmp_path / "out", tables="requests")
    (tmp_path / "out" / "a.txt").write_text("")
    edxlogs.write_event_tables(logs, tmp_path / "out", tables="video_events")
    assert edxlogs.dataset(tmp_path / "out" / "video_events").count_rows() > 0


def test_two_runs_at_once(logs: Path, tmp_path: Path) -> None:
    edxlogs.write_event_tables(logs, tmp_path / "out", tables="requests")
    before = datasets.files(tmp_path / "out" / "requests")
    with (
        Store(Folder(tmp_path / "out" / "requests")),
        pytest.raises(OutputError, match="another edxlogs is writing it"),
    ):
        edxlogs.write_event_tables(logs, tmp_path / "out", tables="requests,video_events")
    assert datasets.files(tmp_path / "out" / "requests") == before
    assert edxlogs.write_event_tables(logs, tmp_path / "out", tables="video_events").is_whole


def test_what_no_event_is_of_is_told_once(logs: Path, tmp_path: Path) -> None:
    types = ["play_video", "pay_video"]
    done = edxlogs.write_event_tables(logs, tmp_path / "out", event_type=types, tables="requests")
    assert done.account.warnings == [
        "event-type: play_video, pay_video: no event that was kept has it"
    ]
    done = edxlogs.write_event_tables(logs, tmp_path / "all", event_type=types)
    assert done.account.warnings == ["event-type: pay_video: no event that was kept has it"]
    none = edxlogs.write_event_tables(logs, tmp_path / "none", course="course-v1:X+Y+Z")
    assert set(rows(none).values()) == {0}
    assert any("course-v1:UniversityX+CS101+2014_T1" in hint for hint in none.hints)


def test_streams(logs: Path, wanted: dict[str, Any], tmp_path: Path) -> None:
    streams = edxlogs.event_tables(logs, tables=["problem_inputs", "video_events"])
    assert list(streams) == ["problem_inputs", "video_events"]
    for name in streams:
        stream = streams[name]
        assert plain(pa.table(stream)) == wanted[name]
        assert stream.verified
    batches = streams.batches()
    found: dict[str, list[Any]] = {}
    for table, batch in batches:
        found.setdefault(table, []).append(batch)
    assert batches.verified
    for name in streams:
        assert plain(pa.Table.from_batches(found[name])) == wanted[name]
    with pytest.raises(ConfigError, match="read already"):
        next(iter(batches))
    with pytest.raises(KeyError):
        streams["requests"]


def test_a_job_with_tables(logs: Path, wanted: dict[str, Any], tmp_path: Path) -> None:
    job = tmp_path / "night.toml"
    job.write_text(f"""
sources = ["{logs}"]
reports = "reports"

[[tables]]
output = "learning"
table = ["video_events", "problem_inputs"]
publish = "delta"

[[dataset]]
output = "events"
partition_by = "date"
""")
    done = edxlogs.run(job)
    assert_tables(tmp_path / "learning", wanted, ["video_events", "problem_inputs"])
    rows_there = sum(len(wanted[name]) for name in ("video_events", "problem_inputs"))
    events = sum(len(wanted[name]) for name in tables.TABLES)
    sentence = (
        f"night: ok, 4 sources read, {events:,} rows in 1 dataset, {rows_there} rows in 2 tables"
    )
    assert str(done).startswith(f"{sentence} of events, 1 dataset published, ")
    assert (tmp_path / "learning" / "video_events" / "_delta_log").is_dir()
    assert edxlogs.run(job).is_whole
    report = json.loads(min((tmp_path / "reports").iterdir()).read_bytes())
    assert report["tables"][0]["read"] == 4
    assert [one["table"] for one in report["tables"][0]["tables"]] == [
        "problem_inputs",
        "video_events",
    ]
    for wrong, told in [
        ('table = "x"', "table: x: is not known"),
        ('columns = ["time"]', "columns"),
        ('format = "arrow"', "is not for datasets"),
    ]:
        job.write_text(f'sources = ["{logs}"]\n[[tables]]\noutput = "more"\n{wrong}\n')
        with pytest.raises(ConfigError, match=told):
            edxlogs.run(job)
    assert not (tmp_path / "more").exists()


SAMPLES = (
    "edx-analytics-pipeline.jsonl",
    "edx-analytics-pipeline-unit.jsonl",
    "edx2bigquery.jsonl",
    "event-routing-backends.jsonl",
    "event-routing-backends-logshape.jsonl",
    "event-routing-backends-tracking.log",
    "research-guide.jsonl",
    "simeon.jsonl",
)


def test_samples_of_the_reference(reference: Path, tmp_path: Path) -> None:
    paths = [reference / "data" / "events" / name for name in SAMPLES]
    done = edxlogs.write_event_tables(paths, tmp_path / "out", with_forms=True)
    wanted = expected(*paths)
    assert_tables(tmp_path / "out", wanted, wanted)
    homes = sum(len(wanted[name]) for name in tables.TABLES)
    assert done.account.rows_written == homes
