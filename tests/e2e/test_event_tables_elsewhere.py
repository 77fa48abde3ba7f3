"""Tables of events made by hosts, in buckets, of definitions of a user's own: the same tables."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

import bucket_datasets
import commands
import datasets
import edxlogs
from edxlogs import ConfigError
from edxlogs.store import inputs
from hosts import CarelessHosts
from s3_server import Server
from small_logs import event, write
from table_folders import FOLDERS, acts, assert_tables, expected, lines_of, rows_of

SOME = ("problem_events", "problem_inputs", "requests", "video_events")
CARDS = """
name = "card_events"
about = "Flash cards that learners turned."
types = ["card.turned", "card.solved", "play_video"]
action_is_type = true

[[columns]]
name = "card"
about = "Number of the card."
type = "int64"
decoder = "number"
paths = ["event.card_id", "event.id"]
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("acts")
    events = acts()
    for day in range(1, 6):
        name = f"universityx-edge-events-2014-10-0{day}.log.gz"
        write(folder / name, lines_of(events[day::5]))
    return folder


@pytest.fixture(scope="module")
def here(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some tables, made here, two logs in a group."""
    folder = tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "GROUP_INPUTS", 2)
        edxlogs.write_event_tables(logs, folder / "out", tables=",".join(SOME))
    return folder / "out"


def state(folder: Path) -> dict[str, Any]:
    """The manifest, without where new files were before they had their places."""
    told = datasets.manifest(folder)
    files = {path: {**one, "staged": None} for path, one in told["files"].items()}
    return {**told, "files": files}


def assert_same(here: Path, there: Path) -> None:
    for name in SOME:
        datasets.assert_whole(there / name)
        assert datasets.files(there / name) == datasets.files(here / name)
        assert state(there / name) == state(here / name)


def test_hosts_make_the_same_tables(logs: Path, here: Path, tmp_path: Path) -> None:
    hosts = CarelessHosts(random.Random(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "GROUP_INPUTS", 2)
        patch.setattr("edxlogs.jobs.datasets.write.hosts_of", lambda *_: hosts)
        done = edxlogs.write_event_tables(logs, tmp_path / "out", tables=",".join(SOME))
    assert hosts.done == 3
    assert done.is_whole
    assert_same(here, tmp_path / "out")


def test_a_cluster_makes_the_same_tables(logs: Path, here: Path, tmp_path: Path) -> None:
    words = ("tables", logs, "-o", "out", "--table", ",".join(SOME), "--dask", "local:2")
    done = commands.run(*words, cwd=tmp_path)
    assert (done.code, done.told) == (0, [])
    for name in SOME:
        shutil.rmtree(tmp_path / "out" / name / "_edxlogs" / "new", ignore_errors=True)
        (tmp_path / "out" / name / "_edxlogs" / "new").mkdir()
        datasets.assert_whole(tmp_path / "out" / name)
    assert_tables(tmp_path / "out", expected(*sorted(logs.iterdir())), SOME)
    assert "0 sources read, 5 done before" in commands.run(*words, cwd=tmp_path).stderr


@pytest.fixture
def bucket(
    s3_server: Server, s3_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    s3_server.bucket("learning")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return "learning"


def test_a_bucket_holds_the_same_tables(
    logs: Path, here: Path, tmp_path: Path, s3_server: Server, bucket: str
) -> None:
    url = f"s3://{bucket}/2014/tables"
    words: dict[str, Any] = {"tables": ["requests", "video_events"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "GROUP_INPUTS", 2)
        edxlogs.write_event_tables(logs, url, **words)
    for name in words["tables"]:
        client, prefix = s3_server.client(), f"2014/tables/{name}/"
        keys = client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
        objects = {
            one["Key"].removeprefix(prefix): client.get_object(Bucket=bucket, Key=one["Key"])[
                "Body"
            ].read()
            for one in keys
        }
        there = bucket_datasets.on_disk(objects, tmp_path / name)
        assert datasets.files(there) == datasets.files(here / name)
    again = edxlogs.write_event_tables(logs, url, **words)
    assert str(again).endswith("0 sources read, 5 done before")
    compacted = edxlogs.compact(url)
    assert set(compacted.tables) == {"requests", "video_events"}
    assert compacted.joined > 0
    with pytest.raises(ConfigError, match="name one, like"):
        edxlogs.dataset(url)
    wanted = expected(*sorted(logs.iterdir()))
    rows = edxlogs.dataset(f"{url}/video_events").count_rows()
    assert rows == len(wanted["video_events"])
    assert commands.run("merge", url, "-o", "local", cwd=tmp_path).code == 0
    assert_tables(tmp_path / "local", wanted, words["tables"])


def test_a_prefix_with_other_objects_is_refused(logs: Path, s3_server: Server, bucket: str) -> None:
    client, url = s3_server.client(), f"s3://{bucket}/tables"
    client.put_object(Bucket=bucket, Key="tables/", Body=b"")  # stands for a folder
    for key in ("tables/a.txt", "tables/notes/a.txt"):
        client.put_object(Bucket=bucket, Key=key, Body=b"a")
        with pytest.raises(ConfigError, match=r"s3://learning/tables: holds other objects; name a"):
            edxlogs.write_event_tables(logs, f"{url}/", tables="requests")
        client.delete_object(Bucket=bucket, Key=key)
    edxlogs.write_event_tables(logs, url, tables="requests")
    client.put_object(Bucket=bucket, Key="tables/a.txt", Body=b"a")
    edxlogs.write_event_tables(logs, url, tables="video_events")
    assert edxlogs.check(f"{url}/video_events").is_whole


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A log with events of an XBlock of a site's own."""
    made = [
        event(1, event_type="card.turned", event={"card_id": "4"}),
        event(2, event_type="card.solved", event='{"card_id": 5}'),
        event(3, event_type="play_video", event={"id": 6}),
        event(4, event_type="of.no.table", event={"card_id": 7}),
    ]
    return write(tmp_path / "cards.log", lines_of(made))


def test_a_table_of_a_users_own_stands_beside(cards: Path, tmp_path: Path) -> None:
    (tmp_path / "cards.toml").write_text(CARDS)
    words: dict[str, Any] = {"table_file": tmp_path / "cards.toml"}
    done = edxlogs.write_event_tables(cards, tmp_path / "out", **words)
    rows = rows_of(tmp_path / "out", "card_events")
    assert [(row["line"], row["card"]) for row in rows] == [(1, 4), (2, 5), (3, 6)]
    assert_tables(
        tmp_path / "out", {**expected(cards), "card_events": rows}, [*FOLDERS, "card_events"]
    )
    (its,) = [one for one in done.tables if one.table == "card_events"]
    assert (its.kind, its.rows) == ("apart", 3)
    assert done.account.total.homes["other_events"] == 3
    assert done.account.rows_written == 4
    assert edxlogs.write_event_tables(cards, tmp_path / "out", **words).is_whole
    (tmp_path / "cards.toml").write_text(CARDS.replace('"event.card_id", ', ""))
    with pytest.raises(ConfigError, match="card_events: holds the rows of a different query"):
        edxlogs.write_event_tables(cards, tmp_path / "out", **words)


ANSWERS = """
name = "answer_events"
about = "Answers with all that came with them."
types = ["problem_check"]
action_is_type = true

[[columns]]
name = "n_keys"
type = "int64"
about = "Number of keys."
decoder = "inputs"
paths = ["event.correct_map"]
"""


def test_each_table_counts_inputs_by_its_own_rule(tmp_path: Path) -> None:
    verdict = {"correctness": "correct"}
    payload = {"correct_map": {"a_2_1": verdict, "a_2_1_dynamath": verdict}}
    check = event(1, event_type="problem_check", event_source="server", event=payload)
    log = write(tmp_path / "checks.log", lines_of([check]))
    (tmp_path / "answers.toml").write_text(ANSWERS)
    edxlogs.write_event_tables(log, tmp_path / "out", table_file=tmp_path / "answers.toml")
    [row] = rows_of(tmp_path / "out", "problem_events")
    assert (row["n_inputs"], row["n_correct"], row["n_partial"]) == (1, 1, 0)
    assert [row["n_keys"] for row in rows_of(tmp_path / "out", "answer_events")] == [2]


def test_a_table_of_a_users_own_can_be_the_home_of_its_types(cards: Path, tmp_path: Path) -> None:
    own = CARDS.replace(', "play_video"', "").replace("types =", "home = true\ntypes =")
    (tmp_path / "cards.toml").write_text(own)
    words: dict[str, Any] = {"table_file": [tmp_path / "cards.toml"]}
    done = edxlogs.write_event_tables(cards, tmp_path / "out", **words)
    homes = {name: count for name, count in done.account.total.homes.items() if count}
    assert homes == {"card_events": 2, "other_events": 1, "video_events": 1}
    assert [row["line"] for row in rows_of(tmp_path / "out", "other_events")] == [4]
    few = edxlogs.write_event_tables(cards, tmp_path / "few", tables="other_events", **words)
    assert {one.table: one.rows for one in few.tables} == {"other_events": 1}
    with pytest.raises(ConfigError, match="other_events: holds the rows of a different query"):
        edxlogs.write_event_tables(cards, tmp_path / "few", tables="other_events")


def test_a_wrong_table_of_a_users_own_is_told(cards: Path, tmp_path: Path) -> None:
    (tmp_path / "cards.toml").write_text(CARDS.replace("number", "nombre"))
    words = ("tables", cards, "-o", "out", "--table-file", "cards.toml")
    done = commands.run(*words, cwd=tmp_path)
    assert (done.code, len(done.told)) == (2, 1)
    assert done.stderr.startswith("edxlogs: cards.toml: card_events: column card: decoder")
    assert not (tmp_path / "out").exists()
    (tmp_path / "cards.toml").write_text(CARDS)
    done = commands.run(*words, "--table", "requests", cwd=tmp_path)
    assert done.stderr == (
        "edxlogs: table-file: its table card_events is not asked for; add --table card_events, or"
        " leave the file out\n"
    )
    job = tmp_path / "job.toml"
    job.write_text(
        'sources = ["cards.log"]\nreports = "told"\n'
        '[[tables]]\noutput = "out"\ntable = "card_events"\ntable_file = "cards.toml"\n'
    )
    assert edxlogs.run(job).is_whole
    report = json.loads(next((tmp_path / "told").iterdir()).read_bytes())
    assert report["tables"][0]["tables"] == [{"table": "card_events", "kind": "apart", "rows": 3}]
