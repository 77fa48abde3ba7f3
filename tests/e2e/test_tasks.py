"""Datasets whose parts are made elsewhere: the same files, manifest and account as made here."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import datasets
import edxlogs
from edxlogs.groups import task as tasks
from edxlogs.groups.task import GroupTask
from edxlogs.store import inputs
from edxlogs.store.place import Folder
from edxlogs.store.store import Store
from hosts import CarelessHosts
from rotation import nights
from small_logs import lines, real_shaped, write


@contextmanager
def hosts_for(hosts: CarelessHosts | None, group: int = 2) -> Iterator[None]:
    """Let hosts read for whoever writes a dataset; a group is of so many inputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "GROUP_INPUTS", group)
        patch.setattr("edxlogs.jobs.datasets.write.hosts_of", lambda *_: hosts)
        yield


def state(folder: Path) -> dict[str, Any]:
    """The manifest, without where new files were before they had their places."""
    told = datasets.manifest(folder)
    files = {path: {**one, "staged": None} for path, one in told["files"].items()}
    return {**told, "files": files}


def report(done: edxlogs.Written) -> dict[str, Any]:
    """The account, without times."""
    told: dict[str, Any] = done.report()
    del told["seconds"]
    return told


def both(sources: list[Path], folder: Path, seed: int, **words: Any) -> None:
    """Bring a dataset up to date here, and one by hosts: they are the same."""
    words = {"partition_by": "course_id", **words}
    chance = random.Random(seed)
    told = []
    for name, hosts in (("here", None), ("there", CarelessHosts(chance))):
        with hosts_for(hosts):
            out = folder / name / "out"
            rejects = folder / name / "rejects"
            out.parent.mkdir(exist_ok=True)
            done = edxlogs.write(sources, output=out, rejects=rejects, overwrite=True, **words)
        datasets.assert_whole(out)
        told.append((state(out), datasets.files(out), report(done), rejects.read_bytes()))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"format": "csv", "partition_by": ["site", "date"]},
        {"format": "jsonl"},
        {"course": "course-v1:UniversityX+CS101+2014_T1", "columns": ["time", "event.id"]},
        {"dedupe_within": True},
        {"target_file_size": 20_000, "salvage": True},
    ],
    ids=str,
)
def test_the_same_as_made_here(tmp_path: Path, words: dict[str, Any]) -> None:
    (tmp_path / "logs").mkdir()
    paths = real_shaped(tmp_path / "logs", days=7, megabytes=0.1)
    cut = paths[3].read_bytes()
    paths[3].write_bytes(cut[: len(cut) * 2 // 3])
    write(tmp_path / "logs" / "universityx-edge-events-2014-10-20.log.gz", b"no event\n" * 3)
    for count in (3, 5, None):
        both(sorted((tmp_path / "logs").iterdir())[:count], tmp_path, seed=1, **words)


def test_copies_in_other_groups(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for number, folder in enumerate(("a", "b", "c", "d")):
        (logs / folder).mkdir(parents=True)
        name = "universityx-prod-events-2014-10-01.log.gz"
        write(logs / folder / name, lines(4, first=0 if number in (0, 3) else 10 * number))
        write(logs / folder / f"tracking.log.{number}", lines(3, first=100))
    both([logs], tmp_path, seed=2, columns=["source", "line", "time"])


@pytest.mark.parametrize("kind", ["dedupe", "dedupe_within"])
def test_lines_are_compared_within_a_site_and_day(tmp_path: Path, kind: str) -> None:
    paths: list[Path] = []
    for night in range(2):
        for host in ("a", "b", "c"):
            for day in (1, 2, 3):
                folder = tmp_path / "logs" / host
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"universityx-prod-events-2014-10-0{day}.log.gz"
                if night == 0 or host == "b":
                    path = write(path, lines(4 + night, first=day + len(paths) % 2))
                    paths.append(path)
        both([tmp_path / "logs"], tmp_path, seed=night, **{kind: True})


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 30))
def test_nights_of_a_site(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("site")
    (folder / "logs").mkdir()
    with hosts_for(CarelessHosts(random.Random(seed)), group=3):
        nights(folder / "logs", folder / "out", random.Random(seed), 6)


def test_a_job_of_several_datasets(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    real_shaped(tmp_path / "logs", days=5, megabytes=0.1)
    job = (
        'sources = ["logs/"]\n[[dataset]]\noutput = "{0}/a"\npartition_by = "course_id"\n'
        'course = "course-v1:UniversityX+CS101+2014_T1"\n[[dataset]]\noutput = "{0}/b"\n'
        'partition_by = "date"\nformat = "csv"\nevent_source = "browser"\nsalvage = true\n'
    )
    for name, hosts in (("here", None), ("there", CarelessHosts(random.Random(3)))):
        (tmp_path / f"{name}.toml").write_text(job.format(name))
        with hosts_for(hosts):
            done = edxlogs.run(tmp_path / f"{name}.toml")
        assert done.is_whole
    for name in ("a", "b"):
        assert state(tmp_path / "here" / name) == state(tmp_path / "there" / name)
        assert datasets.files(tmp_path / "here" / name) == datasets.files(tmp_path / "there" / name)


def test_relative_paths_are_those_of_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "at" / "logs").mkdir(parents=True)
    real_shaped(tmp_path / "at" / "logs", days=2, megabytes=0.05)
    monkeypatch.chdir(tmp_path / "at")
    asked: list[GroupTask] = []

    class Elsewhere(CarelessHosts):
        def do(self, given: Any) -> Any:
            asked.extend(given)
            monkeypatch.chdir("/")
            done = list(super().do(given))
            monkeypatch.chdir(tmp_path / "at")
            yield from done

    with hosts_for(Elsewhere(random.Random(0))):
        done = edxlogs.write("logs", output="out", partition_by="date")
    assert done.is_whole
    assert {one.path.split("/")[0] for one in done.account.sources} == {"logs"}
    datasets.assert_whole(tmp_path / "at" / "out")


def test_what_is_recorded_is_taken_up_without_hosts(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    real_shaped(tmp_path / "logs", days=8, megabytes=0.05)
    there = tmp_path / "there"
    hosts = CarelessHosts(random.Random(5), most=3)
    with hosts_for(hosts), pytest.raises(KeyboardInterrupt):
        edxlogs.write(tmp_path / "logs", output=there, partition_by="course_id")
    again = CarelessHosts(random.Random(6))
    with hosts_for(again):
        edxlogs.write(tmp_path / "logs", output=there, partition_by="course_id")
    assert again.done == 1  # of four groups
    with hosts_for(None):
        edxlogs.write(tmp_path / "logs", output=tmp_path / "here", partition_by="course_id")
    assert datasets.files(there) == datasets.files(tmp_path / "here")
    assert state(there) == state(tmp_path / "here")
    datasets.assert_whole(there)


@pytest.fixture
def one_task(tmp_path: Path) -> GroupTask:
    """A task, as a run sends it."""
    (tmp_path / "logs").mkdir()
    real_shaped(tmp_path / "logs", days=2, megabytes=0.1)
    sent: list[GroupTask] = []

    class Keeps(CarelessHosts):
        def do(self, given: Any) -> Any:
            sent.extend(given)
            raise KeyboardInterrupt

    with hosts_for(Keeps(random.Random(0))), pytest.raises(KeyboardInterrupt):
        edxlogs.write(tmp_path / "logs", output=tmp_path / "out", partition_by="course_id")
    assert len(sent) == 1
    return sent[0]


def contents(made: tasks.Made, task: GroupTask) -> list[bytes]:
    """The bytes of the files of a task."""
    return [(task.places[0] / file.staged).read_bytes() for file in made.files[0]]


def test_a_task_that_runs_twice_at_once(
    one_task: GroupTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "recorded", lambda _: None)
    made: list[tasks.Made] = []
    threads = [threading.Thread(target=lambda: made.append(tasks.do(one_task))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len({file.staged for one in made for file in one.files[0]}) == 4 * len(made[0].files[0])
    for one in made:
        assert contents(one, one_task) == contents(made[0], one_task)


@pytest.mark.parametrize("harm", ["cut", "gone", "record"])
def test_what_is_recorded_and_not_there_is_done_again(one_task: GroupTask, harm: str) -> None:
    first = tasks.do(one_task)
    before = contents(first, one_task)
    assert tasks.recorded(one_task) == tasks.Made.of(first.document(), one_task)
    path = one_task.places[0] / first.files[0][0].staged
    if harm == "record":
        path.with_name("record.json").write_bytes(b'{"accounts": []}')
    elif harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"")
    assert tasks.recorded(one_task) is None
    again = tasks.do(one_task)
    assert again.files[0][0].staged != first.files[0][0].staged
    assert contents(again, one_task) == before


def test_a_task_is_another_one_if_anything_differs(one_task: GroupTask) -> None:
    source, known = one_task.sources[0], one_task.known[0]
    others = [
        replace(one_task, dedupe="sources"),
        replace(one_task, sources=[replace(source, name="x"), *one_task.sources[1:]]),
        replace(one_task, known=[replace(known, lengths=[7]), *one_task.known[1:]]),
        replace(
            one_task,
            known=[
                replace(known, identity=replace(known.identity, time=1)),
                *one_task.known[1:],
            ],
        ),
    ]
    assert len({one.digest for one in (one_task, *others)}) == 5
    assert replace(one_task).digest == one_task.digest


def test_what_others_are_at_stays_and_what_is_old_goes(one_task: GroupTask) -> None:
    new = one_task.places[0]
    made = tasks.do(one_task)
    (new / "try-abc-def").mkdir()
    (new / "part-000001").write_bytes(b"left by a kill")
    (new / "try-old-one").mkdir()
    long_ago = time.time() - 3 * 86_400
    os.utime(new / "try-old-one", (long_ago, long_ago))
    with Store(Folder(new.parent.parent)):
        pass
    left = {path.name for path in new.iterdir()}
    assert left == {"try-abc-def", made.files[0][0].staged.split("/")[0]}


def test_an_attempt_that_fails_leaves_nothing(
    one_task: GroupTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("edxlogs.store.disk.sync_folder", full)
    with pytest.raises(edxlogs.OutputError, match="make room"):
        tasks.do(one_task)
    assert not list(one_task.places[0].iterdir())


def test_a_source_that_changes_between_attempts_is_not_mixed(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for folder in ("a", "b", "c"):
        (logs / folder).mkdir(parents=True)
    name = "universityx-prod-events-2014-10-01.log.gz"
    write(logs / "a" / name, lines(3))
    write(logs / "b" / name, lines(3))
    write(logs / "c" / name, lines(5, first=50))

    class Changing(CarelessHosts):
        def do(self, given: Any) -> Any:
            if self.done:  # the group is made once more without the copy in it
                write(logs / "c" / name, lines(6, first=70))
            yield from super().do(given)

    hosts = hosts_for(Changing(random.Random(0)), group=1 << 10)
    with hosts, pytest.raises(edxlogs.EdxlogsError, match="changed while it was read"):
        edxlogs.write(logs, output=tmp_path / "out", partition_by="date")
    with hosts_for(CarelessHosts(random.Random(0))):
        done = edxlogs.write(logs, output=tmp_path / "out", partition_by="date")
    assert done.account.rows_written == 3 + 6
    for left in (tmp_path / "out" / "_edxlogs" / "new").iterdir():
        assert left.name.startswith("task-")  # of the run that failed, and old one day
        shutil.rmtree(left)
    datasets.assert_whole(tmp_path / "out")


def test_names_of_sources_that_are_not_utf8(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    path = os.fsencode(logs) + b"/odd-\xff.log"
    with open(path, "wb") as file:
        file.write(lines(3))
    both([logs], tmp_path, seed=1, partition_by="date")
