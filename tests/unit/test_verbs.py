"""The verbs of the command line from Python: what they write, give, tell and print."""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import edxlogs
import make_package
from edxlogs import api, tables, upkeep
from edxlogs.edx.layout import EVENTS_BUCKET
from edxlogs.errors import ConfigError, MissingSourceError
from edxlogs.events.conditions import NAMES
from edxlogs.generator import exporter
from edxlogs.jobs.convert import ConvertSettings
from edxlogs.jobs.datasets.tables import EventTableOutputWords, EventTableSettings
from edxlogs.jobs.job import read_job
from edxlogs.jobs.settings import Settings
from edxlogs.jobs.sync import SyncSettings
from edxlogs.jobs.words import ChoiceWords, ConvertWords, OutputWords
from s3_server import Server
from small_logs import expected, lines, plain, real_shaped, without_site, write

COURSES = make_package.COURSES[:2]
DAY = "univx-prod-events-2014-10-01.log"


class Noted(edxlogs.Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.count = self.bytes = self.done = self.ended = 0
        self.failed: list[str] = []
        self.warned: list[str] = []

    def begin(self, count: int, total_bytes: int, done_bytes: Callable[[], int]) -> None:
        self.count += count
        self.bytes += total_bytes
        assert done_bytes() == 0

    def one_done(self) -> None:
        self.done += 1

    def end(self) -> None:
        self.ended += 1

    def warn(self, message: str) -> None:
        self.warned.append(message)

    def fail(self, message: str) -> None:
        self.failed.append(message)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    real_shaped(tmp_path / "logs", days=2, megabytes=0.1)
    return tmp_path / "logs"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    contents = make_package.members(COURSES, count=5)
    return exporter.write(tmp_path / "universityx-2014-10-05.zip", contents)


def assert_short(done: object) -> None:
    """It prints as a short table, in a shell of Python as elsewhere."""
    assert repr(done) == str(done)
    assert 0 < len(str(done)) < 1000
    assert "object at 0x" not in str(done)


# --- events


def test_a_file_holds_the_rows_of_the_oracle(logs: Path, tmp_path: Path) -> None:
    noted = Noted()
    done = edxlogs.write(
        logs, tmp_path / "out.parquet", event_type="problem_*", watcher=noted, report=tmp_path / "r"
    )
    rows = expected(*sorted(logs.iterdir()), event_types=["problem_*"])
    assert without_site(plain(pq.read_table(tmp_path / "out.parquet"))) == rows
    assert done.is_whole
    assert done.account.rows_written == len(rows)
    assert json.loads((tmp_path / "r").read_bytes()) == done.report()
    assert done.report()["query"] == {"event_types": ["problem_*"]}
    assert str(done).endswith(f"{len(rows):,} rows to {tmp_path / 'out.parquet'}")
    assert_short(done)
    assert_short(done.account)
    count = len(list(logs.iterdir()))
    size = sum(path.stat().st_size for path in logs.iterdir())
    assert (noted.count, noted.done, noted.bytes, noted.ended) == (count, count, size, 1)


def test_a_damaged_source_is_told_and_left_out(logs: Path, tmp_path: Path) -> None:
    path, *others = sorted(logs.iterdir())
    path.write_bytes(path.read_bytes()[:-9])
    noted = Noted()
    done = edxlogs.write(logs, tmp_path / "out.jsonl", watcher=noted)
    assert not done.is_whole
    assert [one.status for one in done.account.sources] == ["withheld"] + ["delivered"] * len(
        others
    )
    assert done.account.rows_written == len(expected(*others))
    assert len(noted.failed) == 1
    assert path.name in noted.failed[0]


def test_what_is_asked_for_is_refused_before_anything_is_read(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    for output, options in [
        ("there.csv", {}),
        ("out.what", {}),
        ("out.csv", {"columns": ["a..b"]}),
        ("out.jsonl", {"columns": ["time"]}),
        ("out.csv", {"raw": True}),
        ("out.parquet", {"csv_excel_safe": True}),
        ("out.csv", {"unverified": True}),
        ("out", {"partition_by": "no_key"}),
        ("out", {"partition_by": "date", "format": "arrow"}),
        ("out.csv", {"rejects": tmp_path / "out.csv"}),
        ("out.csv", {"threads": -1}),
        ("out.csv", {"shard": "3/2"}),
    ]:
        with pytest.raises(ConfigError):
            edxlogs.write(logs, tmp_path / output, **options)  # type: ignore[arg-type]
    with pytest.raises(MissingSourceError):
        edxlogs.write(tmp_path / "none.log", tmp_path / "out.csv")
    with pytest.raises(TypeError):
        edxlogs.write(logs, tmp_path / "out.csv", courses="x")  # type: ignore[call-arg]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "there.csv"]


def test_a_dataset_grows_and_shards_are_merged(logs: Path, tmp_path: Path) -> None:
    whole = edxlogs.write(logs, tmp_path / "whole", partition_by=["course_id", "date"])
    rows = len(expected(*sorted(logs.iterdir())))
    assert whole.account.rows_written == rows
    assert "done before" not in str(whole)
    assert_short(whole)
    again = edxlogs.write(logs, tmp_path / "whole", partition_by=["course_id", "date"])
    assert "0 sources read" in str(again)
    assert again.account.rows_written == rows
    shards = [tmp_path / f"shard-{number}" for number in (1, 2)]
    for number, shard in enumerate(shards, 1):
        edxlogs.write(logs, shard, partition_by=["course_id", "date"], shard=f"{number}/2")
    held = [shard for shard in shards if edxlogs.dataset(shard).count_rows()]
    joined = edxlogs.merge(held, tmp_path / "joined", report=tmp_path / "r.json")
    assert joined.is_whole
    assert joined.account.rows_written == rows == edxlogs.dataset(tmp_path / "joined").count_rows()
    assert json.loads((tmp_path / "r.json").read_bytes()) == joined.report()
    compacted = edxlogs.compact(tmp_path / "joined")
    assert compacted.before - compacted.after >= 0
    assert edxlogs.dataset(tmp_path / "joined").count_rows() == rows
    for done in (joined, compacted):
        assert_short(done)
    with pytest.raises(ConfigError):
        edxlogs.compact(tmp_path / "none")


def test_a_check_parses_every_line(tmp_path: Path) -> None:
    path = write(tmp_path / DAY, lines(20) + b"no event\n")
    done = edxlogs.check(path, rejects=tmp_path / "rejects")
    assert done.account.total.parsed == done.account.total.lines == 21
    assert done.account.total.reasons == {"no_object": 1}
    assert (tmp_path / "rejects").read_bytes().endswith(b"\nno event\n")
    assert str(done).endswith("20 events checked")
    assert_short(done)
    assert edxlogs.check(path, site="edge").account.skipped == [str(path)]


# --- packages


@pytest.mark.usefixtures("s3_environment")
def test_packages_are_listed_and_fetched(tmp_path: Path, s3_server: Server) -> None:
    key = f"univx/prod/events/2014/{DAY}"
    s3_server.bucket(EVENTS_BUCKET, {key: lines(5)})
    s3 = edxlogs.S3(endpoint_url=s3_server.url)
    noted = Noted()
    there = edxlogs.list(partner="univx", kind="events", s3=s3)
    assert [item.size for item in there.items] == [len(lines(5))]
    assert_short(there)
    planned = edxlogs.sync(tmp_path / "m", partner="univx", kind="events", s3=s3, dry_run=True)
    assert planned.counts["wanted"] == 1
    assert not (tmp_path / "m" / key).exists()
    done = edxlogs.sync(tmp_path / "m", partner="univx", kind="events", s3=s3, watcher=noted)
    assert (tmp_path / "m" / key).read_bytes() == lines(5)
    assert (done.is_whole, done.counts["fetched"], noted.done) == (True, 1, 1)
    assert done.report()["objects"][0]["status"] == "fetched"
    again = edxlogs.sync(tmp_path / "m", partner="univx", kind="events", s3=s3)
    assert (again.counts["fetched"], again.counts["present"]) == (0, 1)
    here = edxlogs.list(tmp_path / "m", days="2014-09-30..2014-10-01")
    assert here.gaps[0].missing[0].isoformat() == "2014-09-30"
    for one in (planned, done, here):
        assert_short(one)


@pytest.mark.parametrize(
    "words",
    [
        {"folder": "s3://bucket/x"},
        {"folder": "x", "urls": "no-url"},
        {"folder": "x", "kind": "nothing"},
        {"folder": "x", "days": "monday"},
        {"folder": "x", "threads": 0},
        {"folder": "x"},
    ],
)
def test_what_cannot_be_fetched(words: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        edxlogs.sync(**words)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        edxlogs.list(kind="nothing", partner="univx")
    with pytest.raises(ConfigError):
        edxlogs.list()


def test_tables_are_converted(package: Path, tmp_path: Path) -> None:
    noted = Noted()
    done = edxlogs.convert(package, tmp_path / "t", table="auth_user", watcher=noted)
    rows = sum(pq.read_metadata(path).num_rows for path in (tmp_path / "t").rglob("*.parquet"))
    assert done.is_whole
    assert done.account.total.rows_written == rows == 5 * len(COURSES)
    assert noted.done == noted.count == len(COURSES)
    assert_short(done)
    assert_short(done.account)
    for words in ({"table": "auth_usr"}, {"format": "xml"}, {"expand": "x"}, {"layout": "x"}):
        with pytest.raises(ConfigError):
            edxlogs.convert(package, tmp_path / "u", **words)  # type: ignore[arg-type]


def test_courses_of_tables_stand_in_a_file(package: Path, tmp_path: Path) -> None:
    (tmp_path / "courses").write_text(f"{COURSES[0]}\n")
    found = edxlogs.database_tables(package, course=f"@{tmp_path / 'courses'}")
    assert len(found) > 0
    assert len(repr(found).splitlines()) == len(found) + 1
    with pytest.raises(ConfigError, match="course: @"):
        edxlogs.database_tables(package, course="@none")


# --- jobs


def test_a_job_fetches_converts_and_adds(
    tmp_path: Path, package: Path, s3_server: Server, s3_environment: None
) -> None:
    key = f"univx/prod/events/2014/{DAY}"
    s3_server.bucket(EVENTS_BUCKET, {key: lines(5)})
    job = f"""
        sources = "mirror"
        endpoint_url = "{s3_server.url}"
        reports = "reports"
        [sync]
        folder = "mirror"
        sources = "s3://{EVENTS_BUCKET}/univx/"
        [[convert]]
        packages = "universityx-*.zip"
        output = "tables"
        table = "auth_user"
        [[dataset]]
        output = "events"
        partition_by = "date"
    """
    path = tmp_path / "nightly.toml"
    path.write_text(job)
    done = edxlogs.run(path)
    assert done.is_whole
    assert str(done).startswith(
        f"nightly: ok, 1 object fetched, {5 * len(COURSES)} rows in 1 table, 1 source read,"
        " 5 rows in 1 dataset, "
    )
    assert edxlogs.dataset(tmp_path / "events").count_rows() == 5
    (report,) = (tmp_path / "reports").iterdir()
    told = json.loads(report.read_bytes())
    assert told["sync"]["total"]["fetched"] == 1
    assert told["conversions"][0]["total"]["rows_written"] == 5 * len(COURSES)
    assert told["datasets"][0]["rows_written"] == 5
    assert_short(done)
    # What fails costs only itself.
    package.write_bytes(b"no zip")
    s3_server.bucket(EVENTS_BUCKET, {key.replace("-01.", "-02."): lines(7)})
    (tmp_path / "tables" / "auth_user").rename(tmp_path / "gone")
    noted = Noted()
    done = edxlogs.run(path, watcher=noted)
    assert not done.is_whole
    assert "nightly: FAILED: some tables are incomplete, 1 object fetched" in str(done)
    assert edxlogs.dataset(tmp_path / "events").count_rows() == 12
    assert len(noted.failed) == 1


def test_a_step_that_cannot_be_done_stops_no_other(tmp_path: Path, package: Path) -> None:
    write(tmp_path / DAY, lines(3))
    (tmp_path / "tables").write_text("in the way")
    (tmp_path / "job.toml").write_text(
        f'sources = "{DAY}"\n[[convert]]\npackages = "{package.name}"\noutput = "tables"\n'
        '[[dataset]]\noutput = "events"\npartition_by = "date"\n'
    )
    noted = Noted()
    done = edxlogs.run(tmp_path / "job.toml", watcher=noted)
    assert done.failed == ["convert 1 failed"]
    assert "FAILED: convert 1 failed, 1 source read" in str(done)
    assert len(noted.failed) == 1
    assert edxlogs.dataset(tmp_path / "events").count_rows() == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sync = 3", r"sync: is not a table; write \[sync\]"),
        ("[sync]\npartner = 'univx'", "sync: folder is missing"),
        ("[sync]\nfolder = 'a'\nfoldr = 'b'", "sync: foldr: is not known; did you mean folder"),
        ("[sync]\nfolder = 'a'\nthreads = 99", "threads: must be from 1 to 64"),
        ("[[convert]]\noutput = 'a'", "convert 1: packages is missing"),
        ("[[convert]]\npackages = 'a'\noutput = 'b'\ntable = 'auth_usr'", "try auth_user"),
        ("[[convert]]\npackages = 'a'\noutput = 'b'\nexpand = 'all'", "expand: all: is not known"),
        ("convert = 'a'", r"convert 1: is not a table; write \[\[convert\]\]"),
        ("", "asks for nothing"),
    ],
)
def test_steps_with_something_wrong(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "job.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_job(tmp_path / "job.toml")


# --- all of them


def test_settings_travel(tmp_path: Path) -> None:
    s3 = edxlogs.S3(profile=["a", "course-data=b"], region="eu-west-1", requester_pays=True)
    settings = Settings.of(
        ["logs", Path("more")], "out.csv", course=["a/b/c"], since="2014-10-01", columns="time"
    )
    assert pickle.loads(pickle.dumps(settings)) == settings
    converting = ConvertSettings.of("a.zip", "tables", course="a/b/c", gnupg_home=tmp_path)
    assert pickle.loads(pickle.dumps(converting)) == converting
    syncing = pickle.loads(pickle.dumps(SyncSettings.of("folder", partner="univx", s3=s3)))
    assert syncing.choice == SyncSettings.of("folder", partner="univx").choice
    assert syncing.s3.__reduce__() == s3.__reduce__()


def test_keywords_are_those_that_are_read() -> None:
    """What types spell out is what is read, and what people are shown."""
    read = set(inspect.signature(Settings.of).parameters) - {"named", "output", "conditions"}
    assert set(OutputWords.__annotations__) == read | set(NAMES)
    converting = set(inspect.signature(ConvertSettings.of).parameters) - {"packages", "output"}
    assert set(ConvertWords.__annotations__) == converting
    shown = set(inspect.signature(edxlogs.write).parameters)
    assert shown == {"sources", "output", "watcher", *OutputWords.__annotations__}
    own = set(inspect.signature(EventTableSettings.of).parameters) - {"named", "folder", "words"}
    others = set(OutputWords.__annotations__) - {"columns", "limit", "raw", "unverified"}
    assert set(EventTableOutputWords.__annotations__) == own | others
    shown = set(inspect.signature(edxlogs.write_event_tables).parameters)
    assert shown == {"sources", "folder", "watcher", *EventTableOutputWords.__annotations__}


@pytest.mark.parametrize(
    "verb",
    [
        *("filter", "write", "check", "list", "sync", "run", "convert", "database_tables"),
        *("dataset", "cat", "compact", "derive", "merge", "doctor", "publish", "clean"),
        *("event_tables", "write_event_tables"),
    ],
)
def test_every_verb_says_what_it_takes_and_gives(verb: str) -> None:
    function = getattr(edxlogs, verb)
    home = next(one for one in (upkeep, tables, api) if hasattr(one, verb))
    assert function is getattr(home, verb)
    assert verb in edxlogs.__all__
    text = inspect.getdoc(function) or ""
    for section in ("Args:", "Returns:", "Raises:"):
        assert section in text, section
    for name in inspect.signature(function).parameters:
        is_of_filter = (
            verb in ("write", "check") and "as for `filter`" in text
        ) or "of `filter`" in text
        is_of_list = verb == "sync" and name in ChoiceWords.__annotations__
        assert f"{name}:" in text or is_of_filter or is_of_list, name


def test_doctor_prints_a_line_a_check(tmp_path: Path) -> None:
    found = edxlogs.doctor(gnupg_home=tmp_path, folders=[tmp_path])
    assert found.checks[0].name == "gpg"
    assert len(str(found).splitlines()) == len(found.checks)
    assert found.report()["healthy"] == found.is_healthy
    with pytest.raises(ConfigError, match="partner"):
        edxlogs.doctor(partner="a/b")
