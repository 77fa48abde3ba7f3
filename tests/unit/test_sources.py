"""Telling sources apart by their bytes, and choosing them by their days."""

import datetime
import gzip
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edxlogs.sources.source
from edxlogs.errors import ConfigError, MissingSourceError
from edxlogs.sources.local import find
from edxlogs.sources.source import Packing, Source, sniff
from edxlogs.sources.window import Slack, is_near, parse_slack

DAY_US = 86_400_000_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the temporary folder, so that paths are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_file_is_is_told_by_bytes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def looks_like_openpgp(head: bytes) -> bool:
        seen.append(head)
        return head[:1] == b"\x85"

    monkeypatch.setattr(edxlogs.sources.source, "looks_like_openpgp", looks_like_openpgp)
    old_header = bytearray(tarfile.TarInfo("é.log").tobuf(tarfile.USTAR_FORMAT, "latin-1"))
    old_header[257:265] = bytes(8)  # version 7 had no magic
    old_header[148:156] = b" " * 8
    old_header[148:156] = b"%06o\0 " % sum(old_header)
    damaged = bytearray(tarfile.TarInfo("a.log").tobuf(tarfile.GNU_FORMAT))
    damaged[0] ^= 1
    contents = {
        Packing.PLAIN: [b"", b"{}\n", b" " * 257 + b"ustar  in a line" + b" " * 300, bytes(10_240)],
        Packing.GZIP: [gzip.compress(b"{}\n"), b"\x1f\x8b"],
        Packing.OPENPGP: [b"\x85\x01\x0c" + bytes(600)],
        Packing.TAR: [bytes(old_header) + bytes(1024), bytes(damaged) + bytes(1024)],
    }
    for kind, examples in contents.items():
        for content in examples:
            Path("tracking.log.gz.gpg").write_bytes(content)
            assert sniff(find(["tracking.log.gz.gpg"]).sources[0]) is kind
    Path("long.log").write_bytes(b"x" * 100_000)
    sniff(find(["long.log"]).sources[0])
    assert len(seen[-1]) == 65_536


def test_sniffing_a_member_stays_inside_it(here: Path) -> None:
    packed = gzip.compress(b"{}\n")
    Path("a.tar").write_bytes(b"abc" + packed + b"{}\n")
    whole = Source(path="a.tar", name="a", size=3, offset=0, length=3)
    assert sniff(whole) is Packing.PLAIN
    assert sniff(Source("a.tar", "b", len(packed), offset=3, length=len(packed))) is Packing.GZIP
    assert sniff(Source("a.tar", "c", 1, offset=3, length=1)) is Packing.PLAIN


def test_sniffing_what_went_away(here: Path) -> None:
    (here / "a.log").write_bytes(b"{}\n")
    source = find(["a.log"]).sources[0]
    os.unlink("a.log")
    with pytest.raises(MissingSourceError, match=r"a\.log"):
        sniff(source)


def dated(day: datetime.date | None) -> Source:
    return Source(path=str(day), name=str(day), size=0, date=day)


def micros(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1_000_000


def test_days_at_the_edges_of_the_window() -> None:
    days = [datetime.date(2014, 1, 1) + datetime.timedelta(n) for n in range(120)]
    sources = [dated(None), *(dated(day) for day in reversed(days))]
    since, until = micros("2014-02-10"), micros("2014-02-20T12:00:00")
    kept = [source for source in sources if is_near(source, since, until)]
    assert kept[0].date is None
    assert kept[1].date == datetime.date(2014, 3, 22)
    assert kept[-1].date == datetime.date(2014, 2, 9)
    assert len(kept) == 1 + 42
    exact = [source.date for source in sources if is_near(source, since, since, Slack(0, 0))]
    assert exact == [None, datetime.date(2014, 2, 10)]
    assert all(is_near(source, 0, 0, None) for source in sources)
    assert all(is_near(source, None, None) for source in sources)


@given(
    st.dates(),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 999_999),
    st.integers(0, 999_999),
)
def test_a_file_is_skipped_only_when_far_enough(
    day: datetime.date, since: int | None, until: int | None, before: int, after: int
) -> None:
    start = (day - datetime.date(1970, 1, 1)).days * DAY_US
    too_old = since is not None and start + DAY_US + before * DAY_US <= since
    too_new = until is not None and start - after * DAY_US > until
    assert is_near(dated(day), since, until, Slack(before, after)) is not (too_old or too_new)


def test_slack() -> None:
    assert parse_slack("1,30") == Slack() == Slack(before_days=1, after_days=30)
    assert parse_slack(" 0 , 365 ") == Slack(0, 365)
    assert parse_slack("all") is None
    for text in ["", "1", "1,", ",30", "-1,30", "1,30,2", "1.5,3", "ALL", "1;30", "٣,٣", "1\n2"]:
        with pytest.raises(ConfigError, match="write 1,30 or all") as error:
            parse_slack(text)
        assert str(error.value).isprintable()
