"""What has to be fetched, and what is known without."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from edxlogs.mirror.download import PIECE_BYTES
from edxlogs.mirror.mirror import Mirror
from edxlogs.mirror.sync import Settled, Status, Sync, Why, make_plan
from fake_s3 import BUCKET, FakeS3, Stored, honest


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


def sync(s3: FakeS3, folder: Path, at_once: int = 1) -> list[Settled]:
    s3.requests.clear()
    with Mirror(folder) as mirror:
        plan = make_plan(mirror, s3.objects(BUCKET))
        return list(Sync(s3, mirror, plan, at_once).run())


def asked(s3: FakeS3) -> list[tuple[str, str]]:
    return [(operation, key) for operation, key in s3.requests if operation != "list"]


def summary(outcomes: list[Settled]) -> list[tuple[str, Why, Status]]:
    return [(one.source.key, one.why, one.status) for one in outcomes]


@pytest.mark.parametrize("kind", ["single", "parts", "kms", "unlisted"])
def test_a_file_that_is_there_is_taken_if_it_can_be_verified(
    kind: str, s3: FakeS3, tmp_path: Path
) -> None:
    s3.put("right", b"right", kind)
    s3.put("wrong", b"wrong", kind)
    s3.put("longer", b"longer", kind)
    (tmp_path / "right").write_bytes(b"right")
    (tmp_path / "wrong").write_bytes(b"gnorw")
    (tmp_path / "longer").write_bytes(b"long")
    verifiable = kind in ("single", "unlisted")
    taken = Status.PRESENT if verifiable else Status.FETCHED
    assert summary(sync(s3, tmp_path)) == [
        ("longer", Why.UNKNOWN, Status.FETCHED),
        ("right", Why.UNKNOWN, taken),
        ("wrong", Why.UNKNOWN, Status.FETCHED),
    ]
    assert (("get", "right") in s3.requests) == (not verifiable)
    for key in ("right", "wrong", "longer"):
        assert (tmp_path / key).read_bytes() == key.encode()
    assert sync(s3, tmp_path) == []
    assert asked(s3) == []


def test_a_file_that_was_only_touched_is_read_once(s3: FakeS3, tmp_path: Path) -> None:
    s3.put("a", b"content")
    sync(s3, tmp_path)
    os.utime(tmp_path / "a")
    assert summary(sync(s3, tmp_path)) == [("a", Why.UNKNOWN, Status.PRESENT)]
    assert asked(s3) == []
    assert sync(s3, tmp_path) == []


def test_a_file_that_was_changed_is_fetched_again(s3: FakeS3, tmp_path: Path) -> None:
    s3.put("a", b"content")
    sync(s3, tmp_path)
    (tmp_path / "a").write_bytes(b"CONTENT")
    assert summary(sync(s3, tmp_path)) == [("a", Why.UNKNOWN, Status.FETCHED)]
    assert (tmp_path / "a").read_bytes() == b"content"


def test_the_same_content_put_again_is_no_release(s3: FakeS3, tmp_path: Path) -> None:
    s3.put("a", b"content")
    sync(s3, tmp_path)
    s3.put("a", b"content")
    assert sync(s3, tmp_path) == []


def test_where_listings_tell_no_etag_the_time_does(s3: FakeS3, tmp_path: Path) -> None:
    s3.put("a", b"content", "unlisted")
    sync(s3, tmp_path)
    assert asked(s3) == [("head", "a"), ("get", "a")]
    assert sync(s3, tmp_path) == []
    s3.put("a", b"CONTENT", "unlisted")
    assert summary(sync(s3, tmp_path)) == [("a", Why.RELEASED, Status.FETCHED)]
    assert (tmp_path / "a").read_bytes() == b"CONTENT"


def test_outcomes_come_in_the_order_of_the_listing(s3: FakeS3, tmp_path: Path) -> None:
    for number in range(50):
        s3.put(f"{number:02}", bytes(number))
    outcomes = sync(s3, tmp_path, at_once=8)
    assert [one.source.key for one in outcomes] == [f"{number:02}" for number in range(50)]


class Killed(BaseException):
    """The process ends."""


@pytest.mark.parametrize("kind", ["single", "parts", "kms", "unlisted"])
def test_what_has_come_before_a_crash_is_not_asked_for_again(
    kind: str, s3: FakeS3, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 1000
    s3.put("a", content, kind)
    pieces = iter([False, False, True])

    def spoil(_: Stored, data: bytes) -> bytes:
        if next(pieces):
            raise Killed
        return data

    s3.spoil = spoil
    with pytest.raises(Killed):
        sync(s3, tmp_path)
    s3.spoil = honest
    (before,) = s3.served.values()
    assert before == 2 * PIECE_BYTES
    (outcome,) = sync(s3, tmp_path)
    assert outcome.status is Status.FETCHED
    assert outcome.record is not None
    assert outcome.record.sha256 == hashlib.sha256(content).hexdigest()
    assert sum(s3.served.values()) == len(content)
    assert (tmp_path / "a").read_bytes() == content


def test_bytes_that_come_wrong_are_asked_for_once_more(s3: FakeS3, tmp_path: Path) -> None:
    s3.put("a", b"content")
    spoiled: list[bytes] = []

    def spoil(_: Stored, data: bytes) -> bytes:
        spoiled.append(data)
        return b"CONTENT" if len(spoiled) == 1 else data

    s3.spoil = spoil
    assert summary(sync(s3, tmp_path)) == [("a", Why.NEW, Status.FETCHED)]
    assert (tmp_path / "a").read_bytes() == b"content"
    assert len(spoiled) == 2


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        (["a", "a/b"], ["a"]),
        (["a/b", "a"], ["a/b"]),
        (["a/b/c", "a/b", "a/b/d", "a"], ["a/b/c", "a/b/d"]),
        (["a/b", "a/bc", "a/b/", "a/c"], ["a/b", "a/bc", "a/c"]),
        (["a/../b", "a", "a/"], ["a"]),
    ],
)
def test_of_keys_that_cannot_be_side_by_side_the_first_is_taken(
    keys: list[str], taken: list[str], s3: FakeS3, tmp_path: Path
) -> None:
    for key in keys:
        s3.put(key, b"" if key.endswith("/") else b"x")
    listed = {one.key: one for one in s3.objects(BUCKET)}
    with Mirror(tmp_path) as mirror:
        plan = make_plan(mirror, [listed[key] for key in keys])
    assert [one.source.key for one in plan.wanted] == taken
    files = [key for key in keys if not key.endswith("/")]
    assert len(plan.refused) == len(files) - len(taken)


def test_what_stands_for_a_folder_is_no_file(s3: FakeS3, tmp_path: Path) -> None:
    s3.put("a/", b"")
    s3.put("a/b", b"x")
    assert [one.source.key for one in sync(s3, tmp_path)] == ["a/b"]
    assert sync(s3, tmp_path) == []


def test_what_meets_every_object_ends_the_run(s3: FakeS3, tmp_path: Path) -> None:
    """Expired credentials do; an object that is refused costs itself alone."""
    for key in "abcd":
        s3.put(key, key.encode())
    codes = {b"b": "AccessDenied", b"c": "ExpiredToken"}

    def spoil(stored: Stored, data: bytes) -> bytes:
        if (code := codes.get(stored.content)) is not None:
            response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(response, "GetObject")
        return data

    s3.spoil = spoil
    with Mirror(tmp_path) as mirror:
        run = Sync(s3, mirror, make_plan(mirror, s3.objects(BUCKET)), 1)
        outcomes = list(run.run())
    assert [one.status for one in outcomes] == [
        Status.FETCHED, Status.FAILED, Status.UNTRIED, Status.UNTRIED
    ]  # fmt: skip
    assert outcomes[1].error is not None
    assert "access is denied" in str(outcomes[1].error)
    assert "have expired" in str(run.halted)


def test_an_object_that_never_stays_the_same_is_given_up(s3: FakeS3, tmp_path: Path) -> None:
    s3.put("a", b"0")
    puts = iter(range(1, 100))

    def spoil(_: Stored, data: bytes) -> bytes:
        s3.put("a", str(next(puts)).encode())
        raise ConnectionResetError

    s3.spoil = spoil
    (outcome,) = sync(s3, tmp_path)
    assert outcome.status is Status.FAILED
    assert "was replaced or deleted while it was read" in str(outcome.error)
    assert not (tmp_path / "a").exists()
