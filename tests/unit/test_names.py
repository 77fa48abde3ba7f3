"""What names say: every pattern of edX's packages, and the names that only look like one."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxlogs.edx.names import NameParts, describe_name, is_recognised
from edxlogs.text import shown, some

DAY = datetime.date(2014, 3, 9)

# Organisations hold hyphens, dots, underscores, and words that also have a meaning elsewhere.
ORGS = st.lists(
    st.sampled_from(["univx", "mitx", "pro", "edge", "edx", "events", "2013", "a.b", "delftx"]),
    min_size=1,
    max_size=4,
).map("-".join)
SITES = st.one_of(
    st.sampled_from(["prod", "edx", "edge", "patches"]),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8),
)
DAYS = st.dates(datetime.date(2012, 1, 1), datetime.date(2099, 12, 31))


@given(ORGS, SITES, DAYS, st.sampled_from([".log.gz.gpg", ".gpg", ".log.gz", ".log"]))
def test_daily_names_come_apart_as_they_were_put_together(
    org: str, site: str, day: datetime.date, ending: str
) -> None:
    parts = describe_name(f"{org}-{site}-events-{day:%Y-%m-%d}{ending}")
    assert parts == NameParts(org, "prod" if site in ("prod", "edx") else site, day)


@given(ORGS, DAYS, st.sampled_from(["edx", "edge", "edxapp"]), st.integers(1, 999))
def test_per_server_names_take_their_site_from_the_folder(
    org: str, day: datetime.date, server: str, number: int
) -> None:
    name = f"data/prod-{server}-{number:03}/{day:%Y-%m-%d}-{org}.log.gpg"
    assert describe_name(name) == NameParts(org, "edge" if server == "edge" else "prod", day)


@given(st.text())
def test_any_text_is_a_name(name: str) -> None:
    parts = describe_name(name)
    assert parts.date is None or f"{parts.date:%Y-%m-%d}".replace("-", "") in name.replace("-", "")


@pytest.mark.parametrize(
    ("name", "org", "site", "day"),
    [
        ("univx-edge-2014-03-09.log.gz.gpg", "univx", "edge", DAY),
        ("univx-pro-edge-2014-03-09.log.gz.gpg", "univx-pro", "edge", DAY),
        ("2014-03-09-univx.log.gpg", "univx", None, DAY),
        ("edge/2014-03-09-univx.log.gpg", "univx", None, DAY),
        ("prod-edge-001/x/2014-03-09-univx.log.gpg", "univx", "edge", DAY),
        ("prod-edge-001/univx-edx-events-2014-03-09.gpg", "univx", "prod", DAY),
        # Cumulative: it also holds all earlier days, so it has no day to be skipped by.
        ("2014-03-09-univx-pro-tracking.tar", "univx-pro", None, None),
        # Research exchange: no site, though the run may hold a hyphen.
        ("UnivX_CS101_2014-Spring-events-2014-03-09.log.gz", None, None, DAY),
        ("UnivX_CS101_2014-events-2014-03-09.log.gz", None, None, DAY),
        ("univ_x-lab-events-2014-03-09.log.gz.gpg", "univ_x", "lab", DAY),
        ("a_b_c-edge-events-2014-03-09.log.gz.gpg", "a_b_c", "edge", DAY),
        ("tracking.log-20140309.gz", None, None, DAY),
        ("tracking.log-20140309-1394323200.gz", None, None, DAY),
        ("tracking.log-2014030912.gz", None, None, DAY),
        ("tracking.log-1394323200.gz", None, None, None),
        ("tracking.log", None, None, None),
        ("tracking.log.1", None, None, None),
        # A day that is none: kept apart from the site, which is never guessed at.
        ("univx-edge-events-2014-02-30.log.gz.gpg", "univx", "edge", None),
        ("univx-edge-events-٢٠١٤-٠٣-٠٩.log.gz.gpg", None, None, None),
        ("univx-edge-events-2014-03-09.log.gz.gpg\n", None, None, None),
        ("-edge-events-2014-03-09.log.gz.gpg", None, None, DAY),
        ("univx-events-2014-03-09.zip", None, None, None),
        ("univx-2014-03-09.zip", None, None, None),
        ("univ\udcff-edge-events-2014-03-09.gpg", "univ\\xff", "edge", DAY),
    ],
)
def test_patterns(name: str, org: str | None, site: str | None, day: datetime.date | None) -> None:
    assert describe_name(name) == NameParts(org, site, day)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Copy of univx-edge-events-2014-03-09.log.gz", NameParts("univx", "edge", DAY)),
        ("univx-prod-events-2014-03-09 (1).log.gz", NameParts("univx", "prod", DAY)),
        ("univx-prod-events-2014-03-09 (12).log.gz.gpg", NameParts("univx", "prod", DAY)),
        ("2014-03-09-16_1394380800-1b4e28ba.log.gz", NameParts()),
        ("2014-03-09-16.log.gz", NameParts()),
    ],
)
def test_copies_are_called_as_what_they_copy_and_an_hour_is_nobody(
    name: str, parts: NameParts
) -> None:
    assert describe_name(name) == parts


@pytest.mark.parametrize(
    "name",
    [
        "a.log", "a.log.gz", "a.log.gz.gpg", "a.log.gpg", "x-events-y.gpg", "tracking.log",
        "tracking.log-20150101-1420070400.gz", "tracking.log.1", "2014-03-09-univx-tracking.tar",
        "a.json", "a.jsonl", "a.ndjson", "a.json.gz", "a.jsonl.gpg", "a.ndjson.gz.gpg",
        "a.jsonl.gz.gpg", "a.tar.gz.gpg", "a\nb.log", "\udcff.log",
    ],
)  # fmt: skip
def test_recognised(name: str) -> None:
    assert is_recognised(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.txt", "a.log.bz2", "a.log.zst", "a.log.gpg.gz", "a.gpg", "a.gz", "x-events-y.gz",
        "my-tracking.log-20150101.gz", "a.tar", "a.tar.gz", "a.csv", "a.parquet", "a.jsonl.zst",
        "a.LOG", "log", "a.log~", "a.log\n", "univx-2014-03-09.zip", "",
        "UnivX-CS101-2014-course_structure-prod-analytics.json", "metadata_file.json",
        "course_structure-UnivX-CS101-2014-prod-analytics.json.gpg", "x-edge-analytics.json.gz",
    ],
)  # fmt: skip
def test_not_recognised(name: str) -> None:
    assert not is_recognised(name)


@given(st.binary(min_size=1))
def test_shown_is_one_line_of_utf8_and_keeps_plain_text(raw: bytes) -> None:
    text = shown(raw.decode("utf-8", "surrogateescape"))
    text.encode("utf-8")
    assert len(text.splitlines()) == 1
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text)


def test_shown_escapes() -> None:
    assert shown("é \udcff\x1b[31m\u202e\n.log") == "é \\xff\\x1b[31m\\u202e\\x0a.log"


def test_the_first_of_many_are_named() -> None:
    assert some(["a", "b", "c"], 3) == "a, b, c"
    assert some(["a", "b", "c", "d", "e"], 3) == "a, b, c and 2 more"
    assert some(list("a" * 1_003), 1) == "a and 1,002 more"
