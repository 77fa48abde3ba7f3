"""Datasets in buckets: what one on disk does, they do, with the same files and manifest."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest

import bucket_datasets
import commands
import datasets
import edxlogs
import product
from commands import Done, run
from edxlogs.errors import OutputError
from fault_proxy import Fault, FaultProxy
from s3_server import ENVIRONMENT, Server
from small_logs import expected, plain, real_shaped, without_site

pytestmark = pytest.mark.usefixtures("s3_environment")

BUCKET = "results"
URL = f"s3://{BUCKET}/2014/events"
BY_COURSE = ("--partition-by", "course_id", "-q")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    real_shaped(folder, days=3, megabytes=0.05)
    return folder


@pytest.fixture
def work(tmp_path: Path, s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a temporary one of its own, and a bucket for results."""
    s3_server.bucket(BUCKET)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def objects(server: Server, prefix: str = "2014/events/") -> dict[str, bytes]:
    """All objects below a prefix, by the rest of their keys; no upload is under way."""
    s3 = server.client()
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return {
        one["Key"].removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
        for page in pages
        for one in page.get("Contents", [])
    }


def command(work: Path, *words: str | Path, code: int = 0) -> Done:
    done = run(*words, cwd=work)
    assert done.code == code, done.stderr
    assert list((work / "tmp").iterdir()) == []
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in done.stderr
    return done


def state(folder: Path) -> tuple[Any, ...]:
    """What a dataset on disk holds, but for times and files that wait for their end."""
    told = datasets.manifest(folder)
    named = {path for path in told["files"] if not path.startswith("_edxlogs/")}
    bucket_datasets.without_unnamed(folder, named)
    datasets.assert_whole(folder)
    beside = {
        path: (folder / path).read_bytes() for path in told["files"] if path.startswith("_edxlogs/")
    }
    return told["inputs"], told["files"], told["commits"], datasets.files(folder), beside


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--format", "csv.gz", "--target-file-size", "20kB"),
        ("--format", "jsonl"),
        ("--dedupe",),
    ],
)
def test_it_is_the_dataset_on_disk(
    s3_server: Server, work: Path, logs: Path, options: tuple[str, ...]
) -> None:
    """The same objects and documents, also after a night, a new release and `compact`."""
    folder = work / "logs"
    folder.mkdir()
    for path in logs.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    first = sorted(folder.iterdir())[0]
    left = folder.with_name("left")
    first.rename(left)
    for night in range(3):
        if night == 1:
            left.rename(first)
        if night == 2:
            first.write_bytes(commands.pack(commands.events(30)))
        for place in ("out", URL):
            rejects = f"rejects-{place[:2]}"
            more = ("--rejects", rejects, *options)
            command(work, "filter", "logs", "-o", place, *BY_COURSE, *more)
        assert (work / "rejects-ou").read_bytes() == (work / "rejects-s3").read_bytes()
        there = bucket_datasets.on_disk(objects(s3_server), work / "there")
        assert state(there) == state(work / "out"), night
    for place in ("out", URL):
        command(work, "compact", place)
    there = bucket_datasets.on_disk(objects(s3_server), work / "there")
    assert state(there) == state(work / "out")
    table, other = (command(work, "cat", place).stdout for place in ("out", URL))
    assert table == other


def test_lines_that_were_compared_before(s3_server: Server, work: Path) -> None:
    """Hashes of a file that is not read again are at hand until the run ends."""
    (work / "logs").mkdir()
    names = [f"{name}x-prod-events-2014-10-01.log" for name in "abc"]
    for at, name in enumerate(names):
        (work / "logs" / name).write_bytes(commands.events(10, first=5 * at))
    for group in (16, 1):
        for place in ("out", URL):
            words = ("filter", "logs", "-o", place, *BY_COURSE, "--dedupe", "--threads", "1")
            assert datasets.run(*words, cwd=work, group=group)[0] == 0
        there = bucket_datasets.on_disk(objects(s3_server), work / "there")
        assert state(there) == state(work / "out")
        (work / "logs" / names[1]).write_bytes(commands.events(10, first=3))
    assert edxlogs.dataset(URL).count_rows() == 20


def test_readers(s3_server: Server, work: Path, logs: Path) -> None:
    paths = sorted(logs.iterdir())
    command(work, "filter", *paths, "-o", URL, "--partition-by", "course_id,date", "-q")
    events = edxlogs.dataset(URL)
    wanted = datasets.by_place(expected(*paths))
    rows = datasets.by_place(plain(events.to_table().drop_columns(["date"])))
    product.assert_same_rows(without_site(rows), wanted)
    # What is pushed down leaves out files; the dataset can be sent.
    course = wanted[0]["course_id"]
    some = pickle.loads(pickle.dumps(events)).to_table(
        filter=pyarrow.dataset.field("course_id") == course, columns=["source", "line"]
    )
    assert len(some) == sum(row["course_id"] == course for row in wanted)
    done = command(work, "cat", URL, "--course", course, "--columns", "line")
    assert len(done.stdout.splitlines()) == 1 + len(some)
    # A part of it, and a folder of it.
    assert len(edxlogs.dataset(f"{URL}/course_id={_folder_of(course)}").to_table()) == len(some)
    done = command(work, "runs", f"{URL}/course_id={_folder_of(course)}", code=2)
    assert done.told == [
        f"edxlogs: dataset: {URL}/course_id={_folder_of(course)}: belongs to the dataset {URL};"
        " name that"
    ]
    assert command(work, "runs", f"{URL}/").stdout.splitlines()[2].endswith(b"done")


@pytest.mark.parametrize("form", ["parquet", "csv.gz", "jsonl"])
def test_a_summary(s3_server: Server, work: Path, logs: Path, form: str) -> None:
    for place in (URL, "out"):
        words = ("--partition-by", "site,date", "--format", form, "-q")
        command(work, "filter", logs, "-o", place, *words)
    for asked in (("--category", "video"), ("--by", "site,event_type")):
        here, there = (
            json.loads(command(work, "summary", place, *asked, "--json").stdout)
            for place in ("out", URL)
        )
        assert there["summary" if "--by" not in asked else "groups"]
        for told in (here, there):
            del told["seconds"]
        assert there == here


def test_a_page_of_it(s3_server: Server, work: Path, logs: Path) -> None:
    command(work, "filter", logs, "-o", URL, *BY_COURSE)
    page = f"s3://{BUCKET}/report.html"
    command(work, "summary", f"{URL}/", "-o", page, "-q")
    command(work, "summary", URL, "-o", "report.html", "-q")
    assert objects(s3_server, "")["report.html"] == (work / "report.html").read_bytes()
    done = command(work, "summary", URL, logs, code=2)
    assert done.told == [f"edxlogs: sources: {URL}: is a dataset; name it alone"]
    done = command(work, "summary", URL, "-o", "a.csv", "--by", "site", "--report", page, code=2)
    assert "is written to local files only" in done.told[0]


def _folder_of(course: str) -> str:
    return course.replace(":", "%3A").replace("+", "%2B")


def test_a_script_that_ends_while_it_reads(s3_server: Server, work: Path) -> None:
    """Threads of Arrow are at objects that are read ahead: they come to no bad end."""
    lines = [
        commands.event(number, context={"course_id": f"UnivX/CS{number % 60}/2014"})
        for number in range(600)
    ]
    (work / "a.log").write_bytes(b"".join(lines))
    command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
    script = (
        f"import edxlogs; reader = edxlogs.dataset({URL!r}).scanner(batch_size=1).to_reader();"
        " print(reader.read_next_batch().num_rows)"
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, cwd=work, timeout=60, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"1\n", b"")


def test_a_reader_keeps_its_state(s3_server: Server, work: Path) -> None:
    """What a run replaces stays for those who read; `clean` tells that it waits."""
    (work / "a.log").write_bytes(commands.events(20))
    command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
    before = edxlogs.dataset(URL)
    (work / "a.log").write_bytes(commands.events(5, first=100))
    command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
    assert before.count_rows() == 20
    assert edxlogs.dataset(URL).count_rows() == 5
    done = command(work, "clean", URL)
    assert done.stderr.splitlines() == ["0 files removed; 1 waits until 7 days have passed"]
    assert before.count_rows() == 20


def test_another_query_and_overwrite(s3_server: Server, work: Path) -> None:
    (work / "a.log").write_bytes(commands.events(20))
    command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
    other = ("filter", "a.log", "-o", URL, *BY_COURSE, "--columns", "user_id")
    assert "holds the rows of a different query" in command(work, *other, code=2).told[0]
    command(work, *other, "--overwrite")
    assert edxlogs.dataset(URL).schema.names == ["user_id", "site", "source", "line", "course_id"]


def test_a_job(s3_server: Server, work: Path, logs: Path) -> None:
    (work / "job.toml").write_text(
        f'sources = ["{logs}"]\n'
        f'[[dataset]]\noutput = "{URL}"\npartition_by = "course_id"\n'
        '[[dataset]]\noutput = "out"\npartition_by = "course_id"\n'
    )
    command(work, "run", "job.toml", "-q")
    there = bucket_datasets.on_disk(objects(s3_server), work / "there")
    assert state(there) == state(work / "out")
    told = (work / "job.toml").read_text()
    (work / "job.toml").write_text(told.replace('"out"', f'"{URL}/inside"'))
    assert "is inside another output" in command(work, "run", "job.toml", code=2).told[0]
    (work / "job.toml").write_text(f'{told}publish = "delta"\n'.replace('"out"', f'"{URL}2"'))
    assert "is for local folders" in command(work, "run", "job.toml", code=2).told[0]


def test_merge(s3_server: Server, work: Path, logs: Path) -> None:
    for number, place in enumerate((f"{URL}-1", "shard-2"), 1):
        shard = ("--shard", f"{number}/2")
        command(work, "filter", logs, "-o", place, *BY_COURSE, *shard)
    for output in (URL, "out"):
        command(work, "merge", f"{URL}-1", "shard-2", "-o", output)
        command(work, "merge", f"{URL}-1", "shard-2", "-o", output)
    there = bucket_datasets.on_disk(objects(s3_server), work / "there")
    assert state(there)[3] == state(work / "out")[3]


def test_a_log_in_a_dataset_is_no_source_of_it(s3_server: Server, work: Path) -> None:
    s3_server.client().put_object(Bucket=BUCKET, Key="2014/a.log", Body=commands.events(3))
    words = ("filter", f"s3://{BUCKET}/2014/", "-o", URL, *BY_COURSE, "--format", "jsonl")
    command(work, *words)
    command(work, *words)
    assert command(work, "cat", URL).stdout == commands.events(3)


class TestWhatIsWrong:
    """One sentence, and the dataset as it was."""

    @pytest.fixture(autouse=True)
    def _log(self, work: Path) -> None:
        # What must not be read: it would be told.
        (work / "bad.log").write_bytes(b"\x1f\x8b damaged")
        (work / "a.log").write_bytes(commands.events(3))

    @pytest.mark.parametrize(
        ("url", "code", "told"),
        [
            ("s3://nowhere/x", 2, "s3://nowhere/x/_edxlogs/: no such bucket; correct its name"),
            ("s3://No/x", 2, "names no bucket; write it like s3://bucket/key"),
            (
                f"s3://{BUCKET}/other",
                2,
                f"output: s3://{BUCKET}/other: holds other objects; name a new prefix, or an empty"
                " one, for the dataset",
            ),
        ],
    )
    def test_places(self, s3_server: Server, work: Path, url: str, code: int, told: str) -> None:
        s3_server.client().put_object(Bucket=BUCKET, Key="other/x", Body=b"x")
        before = objects(s3_server, "")
        done = command(work, "filter", "bad.log", "-o", url, *BY_COURSE, code=code)
        (line,) = done.told
        assert told in line
        assert objects(s3_server, "") == before

    def test_a_dataset_in_another(self, work: Path) -> None:
        command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
        done = command(work, "filter", "a.log", "-o", f"{URL}/x/y", *BY_COURSE, code=2)
        assert f"is inside the dataset {URL}; name a place outside of it" in done.told[0]
        done = command(work, "filter", "a.log", "-o", f"s3://{BUCKET}/2014", *BY_COURSE, code=2)
        assert "holds other objects; name a new prefix" in done.told[0]

    def test_the_place_of_a_folder(self, s3_server: Server, work: Path) -> None:
        """As consoles make it."""
        s3_server.client().put_object(Bucket=BUCKET, Key="2014/events/", Body=b"")
        command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
        assert edxlogs.dataset(URL).count_rows() == 3

    def test_a_whole_bucket(self, s3_server: Server, work: Path) -> None:
        command(work, "filter", "a.log", "-o", f"s3://{BUCKET}", *BY_COURSE)
        assert edxlogs.dataset(f"s3://{BUCKET}/").count_rows() == 3

    def test_no_right_to_write(self, s3_server: Server, proxy: FaultProxy, work: Path) -> None:
        denied = Fault(status=403, code="AccessDenied")
        proxy.plan(denied, method="PUT", times=99)
        server = ("--endpoint-url", proxy.url)
        done = command(work, "filter", "bad.log", "-o", URL, *BY_COURSE, *server, code=1)
        assert done.told == [
            f"edxlogs: cannot write: {URL}/_edxlogs/begun: access is denied; name the --profile"
            " that may do this, or ask the owner of the bucket for the right"
        ]
        assert objects(s3_server) == {}

    @pytest.mark.parametrize("part", ["part-", "segments/9"])
    def test_credentials_that_expire(
        self, s3_server: Server, proxy: FaultProxy, work: Path, part: str
    ) -> None:
        command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
        before = bucket_datasets.commits(objects(s3_server))
        (work / "b.log").write_bytes(commands.events(4, first=50))
        proxy.plan(Fault(status=400, code="ExpiredToken"), method="PUT", part=part, times=99)
        words = ("filter", "a.log", "b.log", "-o", URL, *BY_COURSE)
        done = command(work, *words, "--endpoint-url", proxy.url, code=1)
        (line,) = done.told
        assert line.startswith(f"edxlogs: cannot write: {URL}/")
        assert "the AWS credentials have expired; renew them" in line
        assert bucket_datasets.commits(objects(s3_server)) == before
        assert edxlogs.dataset(URL).count_rows() == 3
        command(work, *words)
        assert edxlogs.dataset(URL).count_rows() == 7

    def test_what_is_none(self, work: Path) -> None:
        for verb in ("cat", "runs", "compact", "clean"):
            done = command(work, verb, URL, code=2)
            assert done.told[0].startswith(f"edxlogs: dataset: {URL}: is not a dataset; name ")
        command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
        done = command(work, "publish", URL, "--as", "delta", code=2)
        assert "only datasets in local folders can be changed" in done.told[0]

    def test_an_object_that_is_gone(self, s3_server: Server, work: Path) -> None:
        command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
        (key,) = (key for key in objects(s3_server) if "part-" in key)
        s3_server.client().delete_object(Bucket=BUCKET, Key=f"2014/events/{key}")
        for verb in ("cat", "check"):
            done = command(work, verb, URL, code=1)
            told = f"edxlogs: dataset: {URL}: {key}: is missing or damaged;"
            assert done.told[0].startswith(told)

    def test_damage(self, s3_server: Server, work: Path) -> None:
        command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
        (key,) = (key for key in objects(s3_server) if key.endswith("segments/999999999999"))
        content = objects(s3_server)[key].replace(b"a.log", b"b.log")
        s3_server.client().put_object(Bucket=BUCKET, Key=f"2014/events/{key}", Body=content)
        done = command(work, "runs", URL, code=2)
        assert "segment 1 does not match its checksum" in done.told[0]
        first = f"2014/events/{key}"
        s3_server.client().put_object(Bucket=BUCKET, Key=f"{first[:-2]}97", Body=b"")
        s3_server.client().delete_object(Bucket=BUCKET, Key=f"{first[:-2]}98")
        done = command(work, "runs", URL, code=2)
        assert "a commit is missing, or the server lists keys out of order" in done.told[0]
        s3_server.client().put_object(
            Bucket=BUCKET, Key="2014/events/_edxlogs/segments/0", Body=b""
        )
        done = command(work, "runs", URL, code=2)
        assert "_edxlogs/segments/0: is not a commit; remove it" in done.told[0]

    def test_reading_that_breaks(
        self, s3_server: Server, proxy: FaultProxy, work: Path, quick_retries: None
    ) -> None:
        command(work, "filter", "a.log", "-o", URL, *BY_COURSE)
        s3 = edxlogs.S3(endpoint_url=proxy.url)
        for fault in (Fault(cut=10), Fault(status=503), Fault(silent=True)):
            proxy.plan(fault, part="part-", times=2)
            proxy.plan(fault, part="segments/", times=2)
            assert edxlogs.dataset(URL, s3=s3).count_rows() == 3
            assert len(edxlogs.dataset(URL, s3=s3).to_table()) == 3
        proxy.plan(Fault(status=403, code="AccessDenied"), part="segments/")
        with pytest.raises(OutputError, match="access is denied; name the --profile"):
            edxlogs.dataset(URL, s3=s3)
