"""edX's own layout: which keys are a partner's events of a site and of days."""

from __future__ import annotations

import datetime

import pytest

from edxlogs.edx.layout import EVENTS_BUCKET, Days, check_partner, parse_days
from edxlogs.errors import ConfigError, MissingObjectError
from edxlogs.s3.client import S3
from edxlogs.sources.remote import event_objects
from s3_server import Server

DAY = datetime.date


def key(partner: str, folder: str, day: str, site: str | None = None) -> str:
    name = f"{partner}-{site or folder}-events-{day}.log.gz.gpg"
    return f"{partner}/{folder}/events/{day[:4]}/{name}"


KEYS = [
    key("univx", "edge", "2014-01-01"),
    key("univx", "edx", "2013-12-31"),
    key("univx", "edx", "2014-01-01"),
    key("univx", "patches", "2014-01-01"),
    "univx/prod/events/2014/notes.txt",
    key("univx", "prod", "2014-01-02"),
    key("univx", "prod", "2014-12-31"),
    "univx/rdx/17/univx_cs101_2014.tar.gz.gpg",
    key("univx-pro", "prod", "2014-01-02"),
]


@pytest.fixture
def bucket(s3_server: Server, s3_environment: None) -> None:
    s3_server.bucket(EVENTS_BUCKET, dict.fromkeys(KEYS, b"x"))


def found(days: Days, *sites: str) -> list[str]:
    def wants_site(site: str | None) -> bool:
        return not sites or site in sites

    return [one.key for one in event_objects(S3(), "univx", wants_site, days)]


@pytest.mark.usefixtures("bucket")
def test_all_sites_and_days() -> None:
    assert found(Days()) == KEYS[:7]


@pytest.mark.usefixtures("bucket")
def test_sites_have_several_names() -> None:
    assert found(Days(), "prod") == [*KEYS[1:3], *KEYS[4:7]]
    assert found(Days(), "patches", "edge") == [KEYS[0], KEYS[3]]


@pytest.mark.usefixtures("bucket")
def test_days_are_included() -> None:
    days = Days(DAY(2014, 1, 1), DAY(2014, 1, 2))
    # A name without a day is not known to be outside.
    assert found(days, "prod") == [KEYS[2], KEYS[4], KEYS[5]]
    assert found(Days(last=DAY(2013, 12, 31))) == [KEYS[1]]


@pytest.mark.usefixtures("bucket")
def test_nothing_there() -> None:
    with pytest.raises(MissingObjectError, match="edx-course-data/univx/"):
        found(Days(), "none")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2014-01-01..2014-12-31", Days(DAY(2014, 1, 1), DAY(2014, 12, 31))),
        ("2014-01-01", Days(DAY(2014, 1, 1), DAY(2014, 1, 1))),
        ("2014-01-01..", Days(DAY(2014, 1, 1), None)),
        ("..2014-01-01", Days(None, DAY(2014, 1, 1))),
    ],
)
def test_days(text: str, days: Days) -> None:
    assert parse_days(text) == days
    assert parse_days(str(days)) == days


@pytest.mark.parametrize(
    "text", ["", "..", "2014", "2014-02-30", "2014-1-1", "2014-01-02..2014-01-01", "a..b"]
)
def test_no_days(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^days: "):
        parse_days(text)


@pytest.mark.parametrize("partner", ["", "a/b", "..", "*", "a b"])
def test_no_partner(partner: str) -> None:
    with pytest.raises(ConfigError, match=r"^partner: "):
        check_partner(partner)
