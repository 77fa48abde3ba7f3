"""Slurm, by the lines of the docs: workers of a Dask cluster, and array jobs that are merged."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import commands
import datasets
import edxlogs
import slurm as slurms
from slurm import Slurm, slurm, wait_until
from small_logs import real_shaped

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(slurms.missing() is not None, reason=str(slurms.missing())),
]
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md"
ARRAY = "#SBATCH --array="


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of three nodes."""
    with slurm(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@pytest.fixture
def shared(tmp_path: Path, cluster: Slurm) -> Path:
    """The shared folder, with the logs, the command, and what a single machine makes of them."""
    (tmp_path / "logs").mkdir()
    real_shaped(tmp_path / "logs", days=24, megabytes=0.5)
    command = tmp_path / "bin" / "edxlogs"
    command.parent.mkdir()
    home = Path(edxlogs.__file__).parents[1]
    for name in ("edxlogs", "dask"):
        text = f'#!/bin/sh\nexport PYTHONPATH={home}\nexec {sys.executable} -m {name} "$@"\n'
        command.with_name(name).write_text(text)
        command.with_name(name).chmod(0o755)
    cluster.environment["PATH"] = f"{command.parent}:{cluster.environment['PATH']}"
    words = ("filter", tmp_path / "logs", "-o", tmp_path / "here", "--partition-by", "course_id")
    assert commands.run(*words, cwd=tmp_path).code == 0
    return tmp_path


def script(shared: Path, mark: str) -> Path:
    """A script of the page, for the shared folder of the test and its small nodes."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = [one for one in blocks if mark in one and one.startswith("#!")]
    for was, now in (
        ("--nodes=4", "--nodes=3"),
        ("--cpus-per-task=8", "--cpus-per-task=1"),
        ("--cpus-per-task=4", "--cpus-per-task=1"),
        ("1-64", "1-6"),
        ("/64", "/6"),
        ("/shared/", f"{shared}/"),
    ):
        text = text.replace(was, now)
    path = shared / "job.sh"
    path.write_text(text)
    return path


def assert_same(shared: Path) -> None:
    """Fail unless the dataset is as one machine makes it."""
    datasets.assert_whole(shared / "events")
    assert datasets.files(shared / "events") == datasets.files(shared / "here")


def rows(folder: Path) -> int:
    """How many there are."""
    return sum(file["rows"] for file in datasets.manifest(folder)["files"].values())


def log(shared: Path) -> str:
    """What jobs have said."""
    return "\n".join(path.read_text() for path in shared.glob("slurm-*.out"))


def test_dask_workers(cluster: Slurm, shared: Path) -> None:
    job = cluster.submit(script(shared, "srun dask worker"))
    cluster.wait(job)
    assert " rows in " in log(shared), log(shared)
    assert_same(shared)


def test_array_jobs_with_a_node_that_dies(cluster: Slurm, shared: Path) -> None:
    (shared / "shards").mkdir()
    array = cluster.submit(script(shared, ARRAY), "--requeue")
    merge = shared / "merge.sh"
    merge.write_text(f"#!/bin/sh\nedxlogs merge {shared}/shards/* -o {shared}/events\n")
    after = cluster.submit(merge, f"--dependency=afterok:{array}")
    wait_until(lambda: any((shared / "shards").iterdir()), 60)
    time.sleep(0.3)
    cluster.kill_node("n2")
    time.sleep(12)  # the controller gives the node up, and starts its jobs again elsewhere
    cluster.add("n2")
    cluster.wait(array, 300)
    cluster.wait(after)
    assert (shared / "events").is_dir(), log(shared)
    assert rows(shared / "events") == rows(shared / "here")
    datasets.assert_whole(shared / "events")
