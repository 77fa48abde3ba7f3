"""Lines that stand in two files of one site and day: which stays, what is told of the others."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import commands
import datasets
import edxlogs
import oracle
from commands import event, events, hidden, pack, report
from datasets import assert_whole, by_place, run

Row = dict[str, Any]

# Two lines that are no plain ones: several events in one, and text before another.
ODD = event(900)[:-1] + event(901) + b"Oct  1 host tracker: " + event(902)
SHARED = events(40, first=100) + ODD
FIRST, OTHER_SITE, OTHER_DAY, SECOND, THIRD = NAMES = (
    "aorg-prod-events-2014-10-01.log.gz",
    "aorg-edge-events-2014-10-01.log.gz",
    "aorg-prod-events-2014-10-02.log.gz",
    "borg-prod-events-2014-10-01.log.gz",
    "corg-edx-events-2014-10-01.log.gz",  # the older name of the site prod
)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    twice = event(1) + event(1)
    for name, content in (
        (FIRST, twice + events(30, first=10) + SHARED),
        (OTHER_SITE, SHARED),
        (OTHER_DAY, SHARED),
        (SECOND, twice + SHARED + events(20, first=200) + b"no event\n" + b"no event\n\n"),
        (THIRD, events(10, first=205) + SHARED + events(5, first=300) + b"no event\n"),
    ):
        (folder / name).write_bytes(pack(content))
    return folder


def _group(name: str) -> tuple[str, str]:
    site = "prod" if "-edx-" in name or "-prod-" in name else "edge"
    return site, name[-17:-7]


def _wanted(logs: Path, *, within: bool = False, names: tuple[str, ...] = NAMES) -> list[Row]:
    """The rows of files in order, by the oracle, without those of lines that were held before."""
    held: dict[object, set[bytes]] = {}
    rows = []
    for name in names:
        lines = gzip.decompress((logs / name).read_bytes()).split(b"\n")
        before = held.setdefault(_group(name), set())
        own: set[bytes] = set()
        keeps = []
        for line in lines:
            keeps.append(line not in before and not (within and line in own))
            own.add(line)
        before |= own
        rows += [row for row in oracle.filter_file(logs / name) if keeps[row["line"] - 1]]
    return rows


def _place(row: Row) -> tuple[Any, ...]:
    return row["username"], row["time"], row["course_id"]


def _rows(path: Path) -> list[tuple[Any, ...]]:
    table = pyarrow.parquet.read_table(path)
    times = table["time"].cast("int64").to_pylist()
    names, courses = table["username"].to_pylist(), table["course_id"].to_pylist()
    return list(zip(names, times, courses, strict=True))


def _in_order(logs: Path) -> list[Path]:
    return [logs / name for name in NAMES]


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_the_first_in_order_stays(
    tmp_path: Path, logs: Path, threads: str, *, within: bool
) -> None:
    option = "--dedupe-within" if within else "--dedupe"
    arguments: tuple[str | Path, ...] = (
        *_in_order(logs),
        "-o",
        "out.parquet",
        "--report",
        "report.json",
    )
    done = commands.run("filter", *arguments, option, "--threads", threads, cwd=tmp_path)
    assert done.code == 0
    wanted = [_place(row) for row in _wanted(logs, within=within)]
    assert _rows(tmp_path / "out.parquet") == wanted
    total = report(tmp_path / "report.json")["total"]
    # Of the second file: a line twice, and what is shared; of the third: that, and ten of its own.
    assert total["duplicate"] == 2 + 42 + 42 + 10 + within
    assert total["rejected"] == 3
    assert f"{total['duplicate']} duplicates" in done.stderr
    assert hidden(tmp_path) == []


def test_only_what_is_selected_is_compared(tmp_path: Path, logs: Path) -> None:
    done = commands.run(
        "filter", *_in_order(logs), "--user", "learner_207", "--dedupe", "-o", "out.jsonl",
        "--report", "report.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == event(207)
    total = report(tmp_path / "report.json")["total"]
    assert (total["kept"], total["duplicate"]) == (1, 1)


def test_without_it_nothing_is_left_out(tmp_path: Path, logs: Path) -> None:
    done = commands.run("filter", *_in_order(logs), "-o", "out.parquet", cwd=tmp_path)
    assert done.code == 0
    assert _rows(tmp_path / "out.parquet") == [
        _place(row) for path in _in_order(logs) for row in oracle.filter_file(path)
    ]
    assert "duplicate" not in done.stderr


def test_standard_output_and_python(logs: Path, tmp_path: Path) -> None:
    arguments: tuple[str | Path, ...] = ("filter", *_in_order(logs), "--dedupe", "--format", "csv")
    for more in ([], ["--unverified"]):
        done = commands.run(*arguments, "--columns", "username", *more, cwd=tmp_path)
        assert done.code == 0
        names = [row["username"] for row in _wanted(logs)]
        assert done.stdout.decode().split() == ["username", *names]
    for within in (False, True):
        stream = edxlogs.filter(_in_order(logs), dedupe=True, dedupe_within=within)
        table = pyarrow.table(stream)
        assert table["username"].to_pylist() == [
            row["username"] for row in _wanted(logs, within=within)
        ]
        assert stream.verified


def test_what_is_withheld_was_not_held(tmp_path: Path, logs: Path) -> None:
    (logs / FIRST).write_bytes((logs / FIRST).read_bytes()[:-9])
    arguments: tuple[str | Path, ...] = (
        "filter",
        *_in_order(logs),
        "-o",
        "out.parquet",
        "-q",
        "--dedupe",
    )
    assert commands.run(*arguments, cwd=tmp_path).code == 1
    assert _rows(tmp_path / "out.parquet") == [
        _place(row) for row in _wanted(logs, names=NAMES[1:])
    ]


def test_names_without_a_day_are_told(tmp_path: Path) -> None:
    arguments: tuple[str | Path, ...] = ("a.log", "b.log", "tracking.log-20141001")
    texts = [events(3) + events(1, first=10 + number) for number in range(len(arguments))]
    for name, text in zip(arguments, texts, strict=True):
        (tmp_path / name).write_bytes(text)
    done = commands.run("filter", *arguments, "--dedupe", "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(texts)
    assert done.told == [
        "edxlogs: warning: dedupe: a.log (and 1 other): its name has no day, so its lines are"
        " not compared with those of other sources"
    ]


OPTIONS = ("--partition-by", "site", "--report", "report.json", "-q", "--dedupe")


def _dataset(cwd: Path, logs: Path, *names: str, kill_at: int = -1) -> int:
    arguments: tuple[str | Path, ...] = (
        "filter",
        *(logs / name for name in names),
        "-o",
        "out",
        *OPTIONS,
    )
    return run(*arguments, cwd=cwd, kill_at=kill_at, group=2)[0]


def _assert_dataset(cwd: Path, logs: Path, *names: str) -> None:
    assert_whole(cwd / "out")
    rows = [row for path in datasets.files(cwd / "out") for row in _rows(cwd / "out" / path)]
    wanted = [_place(row) for row in _wanted(logs, names=names)]
    assert sorted(rows) == sorted(wanted)
    total = report(cwd / "report.json")["total"]
    assert total["rows"] == len(wanted)


def test_a_dataset_that_grows(tmp_path: Path, logs: Path) -> None:
    assert _dataset(tmp_path, logs, OTHER_SITE, SECOND) == 0
    _assert_dataset(tmp_path, logs, OTHER_SITE, SECOND)
    # A file that comes before, so that another one's lines are there already.
    assert _dataset(tmp_path, logs, FIRST, OTHER_SITE, SECOND) == 0
    _assert_dataset(tmp_path, logs, FIRST, OTHER_SITE, SECOND)
    assert _dataset(tmp_path, logs, *NAMES) == 0
    _assert_dataset(tmp_path, logs, *NAMES)
    inputs = datasets.manifest(tmp_path / "out")["inputs"]
    assert _dataset(tmp_path, logs, *NAMES) == 0
    assert datasets.manifest(tmp_path / "out")["inputs"] == inputs
    # Released again, without half of the lines that others held too: theirs come back.
    (logs / FIRST).write_bytes(pack(events(30, first=10) + events(20, first=100)))
    assert _dataset(tmp_path, logs, *NAMES) == 0
    _assert_dataset(tmp_path, logs, *NAMES)


def test_a_release_that_is_damaged_changes_nothing(tmp_path: Path, logs: Path) -> None:
    assert _dataset(tmp_path, logs, *NAMES) == 0
    whole = (logs / FIRST).read_bytes()
    (logs / FIRST).write_bytes(whole[:-9])
    assert _dataset(tmp_path, logs, *NAMES) == 1
    rows = [
        row for path in datasets.files(tmp_path / "out") for row in _rows(tmp_path / "out" / path)
    ]
    (logs / FIRST).write_bytes(whole)
    assert sorted(rows) == sorted(_place(row) for row in _wanted(logs))
    assert _dataset(tmp_path, logs, *NAMES) == 0
    _assert_dataset(tmp_path, logs, *NAMES)


def test_killed_while_it_grows(tmp_path: Path, logs: Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    assert _dataset(watched, logs, *NAMES) == 0
    whole = (logs / FIRST).read_bytes()
    for at in range(3, 160, 14):
        cwd = tmp_path / str(at)
        cwd.mkdir()
        (logs / FIRST).write_bytes(whole)
        _dataset(cwd, logs, *NAMES)
        (logs / FIRST).write_bytes(pack(events(30, first=10) + events(20, first=100)))
        killed = _dataset(cwd, logs, *NAMES, kill_at=at)
        assert _dataset(cwd, logs, *NAMES) == 0
        _assert_dataset(cwd, logs, *NAMES)
        if killed == 0:
            return
    raise AssertionError("no run came to its end")


def test_one_file_goes_on(tmp_path: Path, logs: Path) -> None:
    arguments: tuple[str | Path, ...] = (
        "filter",
        *_in_order(logs),
        "-o",
        "out.parquet",
        "--dedupe",
        "-q",
    )
    assert commands.run(*arguments, cwd=tmp_path).code == 0
    wanted = (tmp_path / "out.parquet").read_bytes()
    watched = tmp_path / "watched"
    watched.mkdir()
    steps = run(*arguments, cwd=watched)[1]
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    assert len(heads) == len(NAMES) + 1
    for at in (heads[0] + 1, heads[2] + 1, heads[3] + 1, heads[4] + 1):
        cwd = tmp_path / str(at)
        cwd.mkdir()
        assert run(*arguments, cwd=cwd, kill_at=at)[0] < 0
        again = run(*arguments, cwd=cwd)[1]
        assert (cwd / "out.parquet").read_bytes() == wanted
        assert len(again) < len(steps)
        assert hidden(cwd) == []


def test_one_file_goes_on_after_another_release(tmp_path: Path, logs: Path) -> None:
    arguments: tuple[str | Path, ...] = (
        "filter",
        *_in_order(logs),
        "-o",
        "out.parquet",
        "--dedupe",
        "-q",
    )
    steps = run(*arguments, "--overwrite", cwd=tmp_path)[1]
    (tmp_path / "out.parquet").unlink()
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    assert run(*arguments, cwd=tmp_path, kill_at=heads[4] + 1)[0] < 0
    (logs / FIRST).write_bytes(pack(events(30, first=10) + events(20, first=100)))
    # Broken off once more, when what was released again is done, and those after it are not.
    shutil.copytree(tmp_path, copy := tmp_path.with_name(f"{tmp_path.name}-copy"))
    steps = run(*arguments, cwd=copy)[1]
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    assert run(*arguments, cwd=tmp_path, kill_at=heads[0] + 1)[0] < 0
    assert run(*arguments, cwd=tmp_path)[0] == 0
    assert _rows(tmp_path / "out.parquet") == [_place(row) for row in _wanted(logs)]


def test_hashes_that_are_gone_or_damaged(tmp_path: Path, logs: Path) -> None:
    assert _dataset(tmp_path, logs, *NAMES[:4]) == 0
    number = datasets.manifest(tmp_path / "out")["inputs"][str(logs / FIRST)]["number"]
    path = tmp_path / "out" / "_edxlogs" / "hashes" / str(number)
    path.write_bytes(path.read_bytes()[::-1])
    done = commands.run("filter", *_in_order(logs), "-o", "out", *OPTIONS, cwd=tmp_path)
    assert done.code == 2
    (told,) = done.told
    assert f"hashes/{number}: holds no hashes of lines" in told
    assert "remove it, and run again" in told
    path.unlink()
    assert _dataset(tmp_path, logs, *NAMES) == 0
    _assert_dataset(tmp_path, logs, *NAMES)


def test_another_query_is_refused(tmp_path: Path, logs: Path) -> None:
    assert _dataset(tmp_path, logs, *NAMES) == 0
    done = commands.run(
        "filter", *_in_order(logs), "-o", "out", "--partition-by", "site", cwd=tmp_path
    )
    assert done.code == 2
    assert '"dedupe":"sources"' in done.told[0]
    assert _dataset(tmp_path, logs, *NAMES) == 0
    _assert_dataset(tmp_path, logs, *NAMES)


def test_several_datasets_in_one_pass(tmp_path: Path, logs: Path) -> None:
    job = tmp_path / "job.toml"
    queries = ("", 'user = ["learner_110", "learner_207"]\n')
    job.write_text(
        f"sources = {[str(path) for path in _in_order(logs)]}\ndedupe = true\n"
        + "".join(
            f'[[dataset]]\noutput = "{at}"\npartition_by = "site"\nformat = "jsonl"\n{query}'
            for at, query in enumerate(queries)
        )
    )
    for _ in range(2):
        assert commands.run("run", "job.toml", cwd=tmp_path).code == 0
        for at, users in ((0, None), (1, {"learner_110", "learner_207"})):
            folder = tmp_path / str(at)
            assert_whole(folder)
            got = [
                json.loads(line)["username"]
                for path in datasets.files(folder)
                for line in (folder / path).read_text().splitlines()
            ]
            wanted = [row["username"] for row in _wanted(logs)]
            assert sorted(got) == sorted(x for x in wanted if users is None or x in users)
        # The one that is new reads all, and takes nothing from the other.
        job.write_text(
            job.read_text()
            + '[[dataset]]\noutput = "new"\npartition_by = "site"\nformat = "jsonl"\n'
        )
    assert datasets.files(tmp_path / "new") == datasets.files(tmp_path / "0")


def test_shards_keep_a_day_together(tmp_path: Path, logs: Path) -> None:
    for shard in (1, 2, 3):
        arguments: tuple[str | Path, ...] = (
            "filter",
            logs,
            "-o",
            f"s{shard}",
            "--partition-by",
            "site",
            "-q",
            "--dedupe",
        )
        done = commands.run(*arguments, "--shard", f"{shard}/3", cwd=tmp_path)
        assert done.code == 0
    held = [path for path in sorted(tmp_path.glob("s?")) if (path / "_edxlogs" / "head").exists()]
    assert len(held) > 1
    assert commands.run("merge", *held, "-o", "out", "-q", cwd=tmp_path).code == 0
    _assert_rows(tmp_path / "out", logs)
    # What was merged is a dataset like any other: nothing of it is read again.
    before = datasets.manifest(tmp_path / "out")["inputs"]
    done = commands.run("filter", logs, "-o", "out", *OPTIONS, cwd=tmp_path)
    assert done.code == 0
    assert datasets.manifest(tmp_path / "out")["inputs"] == before
    _assert_rows(tmp_path / "out", logs)


def _assert_rows(out: Path, logs: Path) -> None:
    assert_whole(out)
    rows = [row for path in datasets.files(out) for row in _rows(out / path)]
    names = tuple(sorted(NAMES))
    wanted = by_place(_wanted(logs, names=names))
    assert sorted(rows) == sorted(_place(row) for row in wanted)
