"""Derived tables from buckets and in them: those that a folder would hold."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import atomic_s3
import edxlogs
from atomic_s3 import BUCKET, AtomicServer
from derived import digests
from planted import Planted, plant

URL = f"s3://{BUCKET}"


@pytest.fixture
def server(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AtomicServer]:
    with atomic_s3.run() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """Logs and a package, and a folder for temporary files."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return plant(tmp_path, courses=2)


def test_they_are_the_tables_in_a_folder(
    server: AtomicServer, planted: Planted, tmp_path: Path
) -> None:
    derived: dict[str, Any] = {"table": ["course_items", "person_video"]}
    for place in (str(tmp_path), URL):
        edxlogs.write_event_tables(planted.logs, f"{place}/events", tables="video_events")
        edxlogs.convert(planted.package, f"{place}/db", table=["auth_user", "course_structure"])
    inputs: dict[str, Any] = {"events": tmp_path / "events", "db": tmp_path / "db"}
    edxlogs.derive(tmp_path / "derived", **inputs, **derived)
    words: dict[str, Any] = {"events": f"{URL}/events", "db": f"{URL}/db", **derived}
    done = edxlogs.derive(f"{URL}/derived", **words)
    assert done.is_whole
    found = {
        key.removeprefix("derived/"): one.content
        for key, one in server.objects.items()
        if key.startswith("derived/") and key.endswith(".parquet")
    }
    wanted = {
        str(path.relative_to(tmp_path / "derived")): path.read_bytes()
        for path in (tmp_path / "derived").glob("*/*/*.parquet")
    }
    assert len(wanted) == len(digests(tmp_path / "derived")) > 0
    assert found == wanted
    again = edxlogs.derive(f"{URL}/derived", **words)
    assert not any(one.made for one in again.courses)
    assert edxlogs.dataset(f"{URL}/derived/person_video").count_rows() == done.rows["person_video"]
    assert list((tmp_path / "tmp").iterdir()) == []
