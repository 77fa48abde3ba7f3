"""A server whose answers cannot be true: one sentence, and nothing of it is believed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import edxlogs.s3.client
import lying_s3
from edxlogs import cli
from edxlogs.buckets.output import S3Output
from edxlogs.errors import OutputError, S3Error
from edxlogs.s3.client import ANSWER_BYTES, S3
from edxlogs.s3.errors import Reason
from edxlogs.s3.reader import S3Reader
from lying_s3 import BUCKET, LyingServer, contents, listing

pytestmark = pytest.mark.usefixtures("s3_environment", "quick_retries")

LINE = b'{"time":"2014-01-01T00:00:00Z","event_type":"x","username":"a","context":{}}\n'
TRUE = {
    "Last-Modified": "Sun, 05 Oct 2014 12:00:00 GMT",
    "ETag": '"e"',
    "Content-Length": str(len(LINE)),
}
URL = f"s3://{BUCKET}/"
SENTENCE = "the server's answer is not one that S3 gives; check --endpoint-url"


@pytest.fixture
def server() -> Iterator[LyingServer]:
    with lying_s3.run() as server:
        server.listing = lambda _: listing(contents(size=len(LINE)))
        server.head, server.get, server.body = TRUE, TRUE, LINE
        yield server


@pytest.fixture
def s3(server: LyingServer) -> S3:
    return S3(endpoint_url=server.url)


IMPOSSIBLE_OBJECTS = {
    "a negative size": contents(size=-5),
    "a size that is no number": contents(size="abc"),
    "a size of 5,000 digits": contents(size="9" * 5000),
    "a size beyond any disk": contents(size="9" * 30),
    "no size": "<Contents><Key>a.log</Key></Contents>",
    "no time": "<Contents><Key>a.log</Key><Size>5</Size></Contents>",
    "a time that is none": contents().replace("2014-10-05T12", "9" * 16),
    "no key": contents().replace("<Key>a.log</Key>", ""),
}


@pytest.mark.parametrize("said", IMPOSSIBLE_OBJECTS)
def test_a_listing_of_what_cannot_be(server: LyingServer, s3: S3, said: str) -> None:
    server.listing = lambda _: listing(IMPOSSIBLE_OBJECTS[said])
    with pytest.raises(S3Error) as caught:
        list(s3.objects(BUCKET))
    assert str(caught.value) == f"cannot list: {URL}: {SENTENCE}"
    assert caught.value.reason == Reason.IMPOSSIBLE


def test_what_is_not_below_the_prefix_is_not_believed(server: LyingServer, s3: S3) -> None:
    server.listing = lambda _: listing(contents(key="../a.log"))
    with pytest.raises(S3Error, match="not one that S3 gives"):
        list(s3.objects(BUCKET, "logs/"))
    folders = iter(["elsewhere/", "logs/no-slash", ""])
    server.listing = lambda _: listing(
        f"<CommonPrefixes><Prefix>{next(folders)}</Prefix></CommonPrefixes>"
    )
    for _ in range(3):
        with pytest.raises(S3Error, match="not one that S3 gives"):
            s3.level(BUCKET, "logs/")


PAGES: dict[str, Any] = {
    "the same token for ever": lambda at: listing(contents(f"{at}.log"), token="t"),
    "tokens in a circle": lambda at: listing(contents(f"{at}.log"), token=f"t{at % 3}"),
    "more, and no token": lambda _: listing(contents(), more=True),
}


@pytest.mark.parametrize("said", PAGES)
def test_pages_that_lead_nowhere(server: LyingServer, s3: S3, said: str) -> None:
    server.listing = PAGES[said]
    with pytest.raises(S3Error) as caught:
        list(s3.objects(BUCKET))
    assert str(caught.value) == f"cannot list: {URL}: {SENTENCE}"
    assert len(server.requests) <= 4


@pytest.mark.parametrize("page", ["", contents() + contents("b.log")])
def test_pages_without_end(
    server: LyingServer, s3: S3, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edxlogs.s3.client, "MOST_NAMES", 1000)
    server.listing = lambda at: listing(page, token=f"t{at}")
    with pytest.raises(S3Error, match=r"may have \(1,000\); name a longer prefix"):
        list(s3.objects(BUCKET))
    assert len(server.requests) <= 10


def test_an_endless_page_is_not_held(server: LyingServer, s3: S3) -> None:
    begin = [b"<ListBucketResult><Name>"]
    server.listing = lambda _: itertools.chain(begin, itertools.repeat(b"x" * 65536))
    with pytest.raises(S3Error) as caught:
        list(s3.objects(BUCKET))
    assert str(caught.value) == f"cannot list: {URL}: {SENTENCE}"
    assert server.requests == ["LIST"]
    assert server.sent < 3 * ANSWER_BYTES


HEADS: dict[str, dict[str, str | None]] = {
    "no length": {"Content-Length": None},
    "a negative length": {"Content-Length": "-1"},
    "a length that is no number": {"Content-Length": "abc"},
    "a length of 5,000 digits": {"Content-Length": "9" * 5000},
    "no ETag": {"ETag": None},
    "no time": {"Last-Modified": None},
}


def changed(said: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**TRUE, **said}.items() if value is not None}


@pytest.mark.parametrize("said", HEADS)
def test_an_object_that_cannot_be(server: LyingServer, s3: S3, said: str) -> None:
    server.head = changed(HEADS[said])
    with pytest.raises(S3Error) as caught:
        s3.object(BUCKET, "a.log")
    assert str(caught.value) == f"cannot open: {URL}a.log: {SENTENCE}"


@pytest.mark.parametrize("said", ["no length", "a negative length", "no ETag"])
def test_a_body_that_cannot_be(server: LyingServer, s3: S3, said: str) -> None:
    found = s3.object(BUCKET, "a.log")
    server.get, server.body = changed(HEADS[said]), itertools.repeat(LINE * 1000)
    with S3Reader(s3, found) as reader, pytest.raises(S3Error) as caught:
        reader.read()
    if said == "no ETag":
        assert caught.value.reason == Reason.CHANGED
    else:
        assert str(caught.value) == f"cannot read: {URL}a.log: {SENTENCE}"
    assert server.requests == ["HEAD", "GET"]


def test_bytes_beyond_the_length_are_not_taken(server: LyingServer, s3: S3) -> None:
    server.body = itertools.repeat(LINE)
    with S3Reader(s3, s3.object(BUCKET, "a.log")) as reader:
        assert b"".join(iter(reader.read, b"")) == LINE


def test_no_file_comes_of_a_lie(
    server: LyingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.listing = lambda _: listing(contents(size=-5))
    server.head = server.get = changed({"Content-Length": "-5"})
    endpoint = ("--endpoint-url", server.url)
    output = tmp_path / "o.csv"
    assert cli.execute(["sync", URL, str(tmp_path / "packages"), *endpoint]) == 1
    assert cli.execute(["filter", URL, *endpoint, "-o", str(output)]) == 1
    assert cli.execute(["filter", f"{URL}a.log", *endpoint, "-o", str(output)]) == 1
    assert capsys.readouterr().err.count(SENTENCE) == 3
    assert not list(tmp_path.rglob("*.log"))
    assert not output.exists()


def test_an_upload_without_a_name(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(operation: str, *_: object, **__: object) -> dict[str, Any]:
        if operation == "head_object":
            raise S3Error("no", reason=Reason.NO_OBJECT)
        return {"Uploads": [{}]}

    monkeypatch.setattr(s3, "object", lambda *_: answers("head_object"))
    monkeypatch.setattr(s3, "call", answers)
    output = S3Output(f"{URL}a.parquet", s3)
    try:
        with pytest.raises(OutputError, match="not one that S3 gives"):
            output.begin()
    finally:
        output.discard()
