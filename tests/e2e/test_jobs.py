"""Job files, several datasets in one pass, shards, and their merge."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import commands
import datasets
from commands import report
from datasets import assert_whole
from small_logs import lines, real_shaped, write

JOB = """
name = "nightly"
sources = ["in"]
threads = 2
reports = "reports"
keep_reports = 2

[[dataset]]
output = "events"
partition_by = ["course_id", "date"]

[[dataset]]
output = "problems"
partition_by = "event_type"
event_type = ["problem_check", "edx.forum.*"]
columns = ["time", "course_id", "event.grade::float64"]
format = "csv"

[[dataset]]
output = "lines"
partition_by = "course_id"
format = "jsonl.gz"
where = "event.grade is not null"

[[dataset]]
output = "one"
partition_by = "date"
course = "course-v1:UniversityX+CS101+2014_T1"
"""

# The same datasets, each by a command of its own.
ALONE = {
    "events": ("--partition-by", "course_id,date"),
    "problems": (
        *("--partition-by", "event_type", "--event-type", "problem_check"),
        *("--event-type", "edx.forum.*", "--format", "csv"),
        *("--columns", "time,course_id,event.grade::float64"),
    ),
    "lines": (
        *("--partition-by", "course_id", "--format", "jsonl.gz"),
        *("--where", "event.grade is not null"),
    ),
    "one": ("--partition-by", "date", "--course", "course-v1:UniversityX+CS101+2014_T1"),
}


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    real_shaped(tmp_path / "in", days=4, megabytes=0.2)
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path


def _alone(cwd: Path, name: str) -> Path:
    target = f"{name}-alone"
    told = ("-o", target, *ALONE[name], "-q", "--report", f"{name}.json", "--overwrite")
    assert commands.run("filter", "in", *told, cwd=cwd).code == 0
    return cwd / target


def test_several_datasets_are_what_each_alone_would_be(cwd: Path) -> None:
    done = commands.run("run", "job.toml", cwd=cwd)
    assert done.code == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("nightly: ok, 4 sources read, ")
    (path,) = (cwd / "reports").iterdir()
    told = json.loads(path.read_bytes())["datasets"]
    for name, document in zip(ALONE, told, strict=True):
        assert_whole(cwd / name)
        assert datasets.files(cwd / name) == datasets.files(_alone(cwd, name))
        alone = report(cwd / f"{name}.json")
        assert document["output"].endswith(name)
        for count in ("lines", "blank", "rejected", "kept", "dropped", "rows", "bytes_expanded"):
            assert document["total"][count] == alone["total"][count], (name, count)
        assert document["rows_written"] == alone["rows_written"]


def test_each_night_adds_what_is_new(cwd: Path) -> None:
    for _ in range(4):
        assert commands.run("run", "job.toml", "-q", cwd=cwd).stderr == ""
    assert len(list((cwd / "reports").iterdir())) == 2
    write(cwd / "in" / "universityx-prod-events-2014-11-01.log.gz", lines(40))
    for path in (cwd / "in").iterdir():
        os.utime(path, ns=(0, path.stat().st_mtime_ns))
    done = commands.run("run", "job.toml", cwd=cwd)
    assert "1 source read" in done.stderr
    opened = [path.name for path in (cwd / "in").iterdir() if path.stat().st_atime_ns]
    assert opened == ["universityx-prod-events-2014-11-01.log.gz"]
    # A dataset that comes later gets all of it; the others are left alone.
    before = datasets.files(cwd / "events")
    more = '\n[[dataset]]\noutput = "sites"\npartition_by = "site"\n'
    (cwd / "job.toml").write_text(JOB + more)
    assert commands.run("run", "job.toml", "-q", cwd=cwd).code == 0
    assert datasets.files(cwd / "events") == before
    inputs = datasets.manifest(cwd / "sites")["inputs"]
    assert len(inputs) == 5
    assert_whole(cwd / "sites")


@pytest.mark.parametrize(("inputs", "option", "left"), [(30, "", 1), (29, "", 29), (30, "no", 30)])
def test_a_job_joins_small_files_once_they_are_many(
    tmp_path: Path, inputs: int, option: str, left: int
) -> None:
    for number in range(inputs):
        (tmp_path / f"tracking.log-{number:02}").write_bytes(commands.event(number))
    refused = "compact = false" if option else ""
    job = '[[dataset]]\noutput = "out"\npartition_by = "site"\nformat = "jsonl"\n'
    (tmp_path / "job.toml").write_text(f'sources = ["tracking.log-*"]\n{job}{refused}\n')
    code, _ = datasets.run("run", "job.toml", cwd=tmp_path, group=1)
    assert code == 0
    assert_whole(tmp_path / "out")
    files = datasets.files(tmp_path / "out")
    assert len(files) == left
    lines = b"".join((tmp_path / "out" / path).read_bytes() for path in files).splitlines(True)
    wanted = [commands.event(number) for number in range(inputs)]
    assert (lines if left == 1 else sorted(lines)) == (wanted if left == 1 else sorted(wanted))
    # What is there is known: nothing is read, and nothing is joined, again.
    assert datasets.run("run", "job.toml", cwd=tmp_path, group=1)[0] == 0
    assert datasets.files(tmp_path / "out") == files


def test_a_damaged_source_is_told_in_the_last_line(cwd: Path) -> None:
    path = min((cwd / "in").iterdir())
    path.write_bytes(path.read_bytes()[:-9])
    tables = '[[tables]]\noutput = "event_tables"\ntable = ["video_events"]\n'  # a pass of its own
    (cwd / "job.toml").write_text(f"{JOB}\n{tables}")
    done = commands.run("run", "job.toml", "-q", cwd=cwd)
    assert done.code == 1
    told, last = done.stderr.splitlines()
    assert "nightly: FAILED: 1 source not delivered in full" in last
    assert path.name in told


def test_a_job_is_killed_and_run_again(cwd: Path) -> None:
    steps = datasets.run("run", "job.toml", "-q", cwd=cwd, group=2)[1]
    wanted = {name: datasets.files(cwd / name) for name in ALONE}
    for at in range(3, len(steps), max(1, len(steps) // 8)):
        other = cwd / str(at)
        other.mkdir()
        (other / "in").symlink_to(cwd / "in")
        (other / "job.toml").write_text(JOB)
        datasets.run("run", "job.toml", "-q", cwd=other, group=2, kill_at=at)
        datasets.run("run", "job.toml", "-q", cwd=other, group=2)
        for name in ALONE:
            assert_whole(other / name)
            assert datasets.files(other / name) == wanted[name]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sources = [", "is not TOML"),
        ('sources = ["in"]', "asks for nothing"),
        ('[[dataset]]\noutput = "a"\npartition_by = "date"', "has no sources"),
        (JOB.replace("threads = 2", "thread = 2"), "thread: is not known; did you mean threads?"),
        (JOB.replace("threads = 2", 'threads = "2"'), "threads: must be a number"),
        (JOB.replace('output = "lines"', "output = 3"), "dataset 3: output: must be text"),
        (JOB.replace('output = "lines"\n', ""), "dataset 3: output is missing"),
        (
            JOB.replace('output = "lines"', 'output = ""'),
            "dataset 3: output: names no folder; name",
        ),
        (
            JOB.replace('output = "lines"', 'output = "-"'),
            "dataset 3: output: names no folder; name",
        ),
        ('[sync]\nfolder = ""', "sync: folder: names no folder; name one"),
        ('[[convert]]\npackages = "a.zip"\noutput = "."', "output: .: holds the job file; name"),
        (JOB.replace('output = "lines"', 'output = "events"'), "/events: is the output of two"),
        (JOB.replace('output = "lines"', 'output = "events/lines"'), "is inside another output"),
        (JOB.replace('output = "lines"', 'output = "a\\u0000"'), "dataset 3: output: must be text"),
        (JOB.replace("threads = 2", f"threads = {10**18}"), "threads: must be a number"),
        ("sources = " + "[" * 5000, "is nested too deeply"),
        (JOB.replace('"jsonl.gz"', '"xml"'), "xml: is not for datasets"),
        (JOB.replace('"event_type"', '"kind"'), "'kind': is not a partition key"),
        (JOB.replace("grade is not null", "grade is is"), "--where"),
    ],
)
def test_a_job_file_with_something_wrong(cwd: Path, text: str, told: str) -> None:
    (cwd / "job.toml").write_text(text)
    done = commands.run("run", "job.toml", cwd=cwd)
    assert done.code == 2
    assert told in done.stderr
    assert sorted(path.name for path in cwd.iterdir()) == ["in", "job.toml"]


def _shards(cwd: Path, count: int) -> list[str]:
    names = []
    for number in range(1, count + 1):
        name = f"shard-{number}"
        shard = ("--shard", f"{number}/{count}", "-o", name, "--partition-by", "course_id")
        assert commands.run("filter", "in", *shard, "-q", cwd=cwd).code == 0
        if (cwd / name).exists():
            names.append(name)
    return names


def test_shards_are_merged(cwd: Path) -> None:
    whole = ("-o", "whole", "--partition-by", "course_id", "--report", "whole.json", "-q")
    assert commands.run("filter", "in", *whole, cwd=cwd).code == 0
    names = _shards(cwd, 2)
    held = [set(datasets.manifest(cwd / name)["inputs"]) for name in names]
    assert sum(map(len, held)) == 4
    done = commands.run("merge", *names, "-o", "all", "--report", "all.json", cwd=cwd)
    assert done.code == 0
    assert_whole(cwd / "all")
    assert _lines(cwd, "all") == _lines(cwd, "whole")
    mine, theirs = report(cwd / "all.json"), report(cwd / "whole.json")
    assert mine["total"] == theirs["total"]
    # Again, and then as the dataset that it is.
    before = datasets.files(cwd / "all")
    assert commands.run("merge", *names, "-o", "all", cwd=cwd).code == 0
    assert datasets.files(cwd / "all") == before
    again = commands.run("filter", "in", "-o", "all", "--partition-by", "course_id", cwd=cwd)
    assert "0 sources read, 4 done before" in again.stderr
    path = min((cwd / "in").iterdir())
    write(path, lines(30))
    for name in ("all", "new"):
        told = ("-o", name, "--partition-by", "course_id", "-q")
        assert commands.run("filter", "in", *told, cwd=cwd).code == 0
    assert_whole(cwd / "all")
    assert _lines(cwd, "all") == _lines(cwd, "new")


def _assert_as_one_run(cwd: Path, name: str) -> None:
    """The dataset holds what one run over all inputs makes of them."""
    told = ("-o", f"new-{name}", "--partition-by", "course_id", "-q")
    assert commands.run("filter", "in", *told, cwd=cwd).code in (0, 1)
    assert_whole(cwd / name)
    assert _lines(cwd, name) == _lines(cwd, f"new-{name}")
    shutil.rmtree(cwd / f"new-{name}")


def test_shards_that_grew_are_merged_again(cwd: Path) -> None:
    names = _shards(cwd, 2)
    merge: tuple[str, ...] = ("merge", *names, "-o", "all", "--report", "all.json", "-q")
    assert commands.run(*merge, cwd=cwd).code == 0
    before = datasets.files(cwd / "all")
    # One input more for some shard, and nothing else.
    added = write(cwd / "in" / "universityx-prod-events-2014-12-24.log.gz", lines(40, first=900))
    _shards(cwd, 2)
    assert commands.run(*merge, "--overwrite", cwd=cwd).code == 0
    after = datasets.files(cwd / "all")
    assert before.items() < after.items()
    _assert_as_one_run(cwd, "all")
    # A new release, one that is damaged, and one that was joined with others.
    paths = sorted((cwd / "in").iterdir())
    write(paths[0], lines(30))
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[:-9])
    for number, name in enumerate(names, 1):
        shard = ("--shard", f"{number}/2", "-o", name, "--partition-by", "course_id", "-q")
        commands.run("filter", "in", *shard, cwd=cwd)
        assert commands.run("compact", name, cwd=cwd).code == 0
    assert commands.run("compact", "all", cwd=cwd).code == 0
    assert commands.run(*merge, "--overwrite", cwd=cwd).code in (0, 1)
    assert_whole(cwd / "all")
    paths[1].write_bytes(whole)
    _assert_as_one_run(cwd, "all")
    # The dataset reads for itself as well; what it has read anew is not put back.
    write(added, lines(10, first=500))
    told = ("-o", "all", "--partition-by", "course_id", "-q")
    assert commands.run("filter", "in", *told, cwd=cwd).code == 0
    done = commands.run(*merge, "--overwrite", cwd=cwd)
    assert done.code == 2
    assert "has a later release" in done.stderr
    _assert_as_one_run(cwd, "all")


def _lines(cwd: Path, name: str) -> list[bytes]:
    return sorted(commands.run("cat", name, cwd=cwd).stdout.splitlines())


def test_a_merge_is_killed_at_every_step(cwd: Path) -> None:
    names = _shards(cwd, 2)
    steps = datasets.run("merge", *names, "-o", "all", "-q", cwd=cwd)[1]
    wanted = datasets.files(cwd / "all")
    for at in range(0, len(steps), max(1, len(steps) // 10)):
        out = f"out-{at}"
        datasets.lose_power(datasets.run("merge", *names, "-o", out, cwd=cwd, kill_at=at)[1])
        datasets.run("merge", *names, "-o", out, cwd=cwd)
        assert_whole(cwd / out)
        assert datasets.files(cwd / out) == wanted


def test_what_cannot_be_merged(cwd: Path) -> None:
    names = _shards(cwd, 2)
    assert commands.run("filter", "in", "-o", "x", "--partition-by", "date", cwd=cwd).code == 0
    done = commands.run("merge", *names, "x", "-o", "all", cwd=cwd)
    assert done.code == 2
    assert "of a different query" in done.stderr
    done = commands.run("merge", names[0], names[0], "-o", "all", cwd=cwd)
    assert done.code == 2
    assert "name shards of different inputs" in done.stderr


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "-1/2", "1/0"])
def test_a_shard_out_of_range(cwd: Path, shard: str) -> None:
    told = ("--shard", shard, "-o", "out", "--partition-by", "date")
    done = commands.run("filter", "in", *told, cwd=cwd)
    assert done.code == 2
    assert "with I from 1 to N" in done.stderr
    assert not (cwd / "out").exists()


def test_shards_without_a_source_are_merged(cwd: Path) -> None:
    """Many shards, few files."""
    names = [f"shard-{number}" for number in range(1, 21)]
    for number, name in enumerate(names, 1):
        shard = ("--shard", f"{number}/20", "-o", name, "--partition-by", "course_id", "-q")
        assert commands.run("filter", "in", *shard, cwd=cwd).code == 0
    idle = [name for name in names if not datasets.manifest(cwd / name)["inputs"]]
    assert len(idle) >= 16
    assert commands.run("merge", *names, "-o", "all", cwd=cwd).code == 0
    _assert_as_one_run(cwd, "all")
    # Nothing at all is a dataset, too, and one whose part was not run is none.
    assert commands.run("merge", *idle, "-o", "none", cwd=cwd).code == 0
    assert len(_lines(cwd, "none")) == 1  # the header
    (cwd / "not-run" / "_edxlogs").mkdir(parents=True)
    done = commands.run("merge", *names, "not-run", "-o", "more", cwd=cwd)
    assert (done.code, "not-run: its shard has not run" in done.stderr) == (2, True)
    assert not (cwd / "more").exists()


def test_a_merge_that_is_refused_leaves_nothing(cwd: Path) -> None:
    names = _shards(cwd, 2)
    assert commands.run("merge", names[1], "-o", "all", "-q", cwd=cwd).code == 0
    # What the dataset has read since is told when the first shard would be there.
    added = write(cwd / "in" / "universityx-prod-events-2014-12-24.log.gz", lines(40, first=900))
    _shards(cwd, 2)
    assert commands.run("merge", names[1], "-o", "all", "-q", cwd=cwd).code == 0
    for path in sorted((cwd / "in").iterdir()):
        os.utime(path, (2_000_000_000, 2_000_000_000))
    write(added, lines(10, first=500))
    late = [path for path in (cwd / "in").iterdir() if str(path) in _keys(cwd / names[1])]
    told = ("-o", "all", "--partition-by", "course_id", "-q")
    for path in late:
        write(path, lines(7))
        assert commands.run("filter", f"in/{path.name}", *told, cwd=cwd).code == 0
    before = datasets.files(cwd / "all")
    done = commands.run("merge", *names, "-o", "all", cwd=cwd)
    assert (done.code, "has a later release" in done.stderr) == (2, True)
    assert datasets.files(cwd / "all") == before
    (cwd / "mine").mkdir()
    for output in ("new", "mine"):
        done = commands.run("merge", *names, names[0], "-o", output, cwd=cwd)
        assert (done.code, "name shards of different inputs" in done.stderr) == (2, True)
    assert not (cwd / "new").exists()
    assert list((cwd / "mine").iterdir()) == []


def _keys(folder: Path) -> set[str]:
    return set(datasets.manifest(folder)["inputs"])


def test_a_log_that_grew_and_was_renamed_is_told(cwd: Path) -> None:
    shutil.rmtree(cwd / "in")
    (cwd / "in").mkdir()
    live = cwd / "in" / "tracking.log"
    live.write_bytes(lines(8))
    for name, number in (("one", 1), ("two", 2)):
        shard = ("--shard", f"{number}/2", "-o", name, "--partition-by", "date", "-q")
        assert commands.run("filter", "in", *shard, cwd=cwd).code == 0
    holder, other = ("one", "two") if _keys(cwd / "one") else ("two", "one")
    assert commands.run("merge", "one", "two", "-o", "all", "-q", cwd=cwd).code == 0
    # The next night it has grown, and has a name of the other shard.
    number = {"one": 1, "two": 2}[other]
    live.write_bytes(lines(12))
    for name in (f"tracking.log.{at}" for at in range(1, 50)):
        live = live.rename(live.with_name(name))
        shard = ("--shard", f"{number}/2", "-o", other, "--partition-by", "date", "-q")
        assert commands.run("filter", "in", *shard, cwd=cwd).code == 0
        if _keys(cwd / other):
            break
    for shards, output in ((("one", "two"), "new"), ((other,), "all")):
        done = commands.run("merge", *shards, "-o", output, cwd=cwd)
        assert (done.code, "has grown from" in done.stderr) == (2, True), done.stderr
        assert "without --shard" in done.stderr
    assert holder in done.stderr or "all" in done.stderr
    # Logs that have their lengths alone in common are others.
    live.write_bytes(lines(12, first=700))
    shard = ("--shard", f"{number}/2", "-o", "third", "--partition-by", "date", "-q")
    assert commands.run("filter", "in", *shard, cwd=cwd).code == 0
    assert commands.run("merge", holder, "third", "-o", "new", cwd=cwd).code == 0


def test_what_edxlogs_wrote_among_the_sources_is_not_read(cwd: Path) -> None:
    job = """
name = "nightly"
sources = ["in"]
reports = "in/reports"
[[dataset]]
output = "in/rows"
partition_by = ["date"]
format = "jsonl"
"""
    (cwd / "job.toml").write_text(job)
    assert commands.run("run", "job.toml", cwd=cwd).code == 0
    held = _lines(cwd, "in/rows")
    done = commands.run("filter", "in", "-o", "in/other", "--partition-by", "date", cwd=cwd)
    assert done.code == 0
    report_words = ("--report", "in/account.json", "-o", "one.jsonl")
    assert commands.run("filter", "in", *report_words, cwd=cwd).code == 0
    for _ in range(2):  # the nights after it
        done = commands.run("run", "job.toml", "--json", cwd=cwd)
        assert done.code == 0
        assert json.loads(done.stdout)["datasets"][0]["read"] == 0
        assert _lines(cwd, "in/rows") == held
    for sources in ("in", "in/*"):
        done = commands.run(
            "filter", sources, "--format", "jsonl", "--json", "-o", "x", "--overwrite", cwd=cwd
        )
        assert done.code == 0
        told = json.loads(done.stdout)
        assert (cwd / "x").read_bytes() == (cwd / "one.jsonl").read_bytes()
        ignored = {Path(path).name for path in told["ignored"]}
        assert {"rows", "other", "account.json"} <= ignored
    # What is named is read, and a report is called so.
    assert sorted(commands.run("filter", "in/rows", cwd=cwd).stdout.splitlines()) == held
    done = commands.run("filter", "in/account.json", cwd=cwd)
    assert (done.code, "is a report of edxlogs, not a log" in done.stderr) == (1, True)
