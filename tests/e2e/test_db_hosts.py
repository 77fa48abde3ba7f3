"""Tables that hosts of a cluster convert: the same files, account and rejects as here."""

from __future__ import annotations

import errno
import os
import random
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import commands
import datasets
import edxlogs
import make_package
from edxlogs.generator import exporter, keys
from hosts import CarelessHosts


@contextmanager
def hosts_for(hosts: CarelessHosts | None) -> Iterator[None]:
    """Let hosts read for whoever converts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edxlogs.jobs.convert.hosts_of", lambda *_: hosts)
        yield


def report(done: Any) -> dict[str, Any]:
    """The account, without times."""
    told: dict[str, Any] = done.report()
    del told["seconds"]
    return told


def both(packages: list[Path], folder: Path, **words: Any) -> CarelessHosts:
    """Convert packages here, and by hosts: the tables are the same."""
    found = []
    hosts = CarelessHosts(random.Random(1))
    for name, who in (("here", None), ("there", hosts)):
        with hosts_for(who):
            out, rejects = folder / name / "out", folder / name / "rejects"
            out.parent.mkdir(exist_ok=True)
            done = edxlogs.convert(packages, out, rejects=rejects, overwrite=True, **words)
        files = datasets.manifest(out)["files"]
        rows = {path: (one["sha256"], one["runs"]) for path, one in files.items()}
        inputs = datasets.manifest(out)["inputs"]
        for one in inputs.values():
            one["account"].pop("modified", None)  # when its file was written
        found.append((datasets.files(out), rows, inputs, report(done), rejects.read_bytes()))
        assert not list((out / "_edxlogs" / "new").iterdir())
    assert found[0] == found[1]
    return hosts


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"format": "csv", "layout": "course"},
        {"unpack": True, "expand": ["studentmodule", "ora"]},
        {"snapshots": "all", "table": ["auth_user", "courseware_studentmodule"]},
        {"course": make_package.COURSES[0]},
    ],
    ids=str,
)
def test_the_same_as_converted_here(tmp_path: Path, words: dict[str, Any]) -> None:
    package = tmp_path / "universityx-2014-10-05.zip"
    exporter.write(package, make_package.members(count=7, odd=True))
    hosts = both([package], tmp_path, **words)
    assert hosts.done > 3
    later = tmp_path / "universityx-2014-10-12.zip"
    exporter.write(later, make_package.members(count=4))
    both([package, later], tmp_path, **words)


def test_a_folder_of_tables_and_a_damaged_file(tmp_path: Path) -> None:
    package = tmp_path / "universityx-2014-10-05.zip"
    exporter.write(package, make_package.members(count=5))
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path / "tables")
    content = bytearray(package.read_bytes())
    with zipfile.ZipFile(package) as archive:
        large = max(archive.infolist(), key=lambda one: one.compress_size)
    content[large.header_offset + 30 + len(large.filename) + large.compress_size // 2] ^= 0xFF
    package.write_bytes(content)
    both([package], tmp_path)
    (tmp_path / "more").mkdir()
    both([tmp_path / "tables"], tmp_path / "more")


def test_a_file_on_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "universityx-2014-10-05.zip"
    exporter.write(package, make_package.members(count=5))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    new = tmp_path / "out" / "_edxlogs" / "new"
    tried = []

    class Full(CarelessHosts):
        def do(self, tasks: Any) -> Any:
            with monkeypatch.context() as patch:
                patch.setattr("edxlogs.store.disk.sync", full)
                with pytest.raises(edxlogs.OutputError, match="make room"):
                    tasks[0].run()
            tried.append(list(new.iterdir()))
            return super().do(tasks)

    with hosts_for(Full(random.Random(0))):
        done = edxlogs.convert(package, tmp_path / "out")
    assert done.is_whole
    assert tried == [[]]


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_by_dask(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    recipient = "Data Czar <czar@univx.example>"
    with keys.home() as ring:
        keys.make_key(ring, recipient)
        package = tmp_path / "universityx-2014-10-05.zip"
        encrypt = make_package.gpg_encrypt(ring, recipient)
        exporter.write(package, make_package.members(count=3), encrypt=encrypt)
        words = ("db", "convert", package, "--gnupg-home", ring, "--no-prompt", "-o")
        assert commands.run(*words, "here", cwd=tmp_path).code == 0
        done = commands.run(*words, "there", "--dask", "local:2", cwd=tmp_path)
        assert (done.code, done.told) == (0, [])
    assert datasets.files(tmp_path / "here") == datasets.files(tmp_path / "there")
