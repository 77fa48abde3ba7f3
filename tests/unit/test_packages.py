"""Keys and paths come apart as they were put together; a choice lists what it means."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxlogs.edx.layout import EVENTS_BUCKET, PACKAGES_BUCKET, Days, parse_days
from edxlogs.edx.packages import Choice, Package, PackageKind, describe_key
from edxlogs.errors import ConfigError

DAY = datetime.date(2014, 3, 9)
# Partners whose names begin those of others, and that hold words with a meaning elsewhere.
PARTNERS = st.lists(
    st.sampled_from(["univx", "mitx", "pro", "edge", "edx", "2013", "a.b", "events"]),
    min_size=1,
    max_size=3,
).map("-".join)
TOKENS = st.sampled_from(["prod", "edx", "edge", "patches", "lab"])
SITES = {"edx": "prod"}
DAYS = st.dates(datetime.date(2012, 1, 1), datetime.date(2030, 12, 31))
TAR_DAYS = st.dates(datetime.date(2012, 1, 1), datetime.date(2014, 12, 31))
FOLDERS = st.sampled_from(["", "mirror/", "/data/edx/", "a/b/"])


@st.composite
def stored(draw: st.DrawFn) -> tuple[str, str, Package]:
    """A bucket, a key in it, and the package it is, by edX's documented patterns."""
    partner, token, day = draw(PARTNERS), draw(TOKENS), draw(DAYS)
    site = SITES.get(token, token)
    match draw(st.sampled_from(list(PackageKind))):
        case PackageKind.EVENTS:
            base = draw(
                st.sampled_from([f"{partner}-{token}-events-{day}.log.gz.gpg",
                                 f"{partner}-{token}-events-{day}.gpg"])
            )  # fmt: skip
            key = f"{partner}/{token}/events/{day.year}/{base}"
            return EVENTS_BUCKET, key, Package(PackageKind.EVENTS, partner, site, day)
        case PackageKind.DATABASE:
            package = Package(PackageKind.DATABASE, partner, None, day)
            return PACKAGES_BUCKET, f"{partner}-{day}.zip", package
        case PackageKind.EMAIL:
            start = draw(st.sampled_from(["", "email-opt-in-"]))
            package = Package(PackageKind.EMAIL, partner, None, day)
            return PACKAGES_BUCKET, f"email-opt-in/{start}{partner}-{day}.zip", package
        case PackageKind.RESEARCH:
            key = f"{partner}/rdx/7f3a/{partner}_CS101_2014-T1.tar.gz.gpg"
            return EVENTS_BUCKET, key, Package(PackageKind.RESEARCH, partner)
        case PackageKind.TRACKING:
            day = draw(TAR_DAYS)
            package = Package(PackageKind.TRACKING, partner, None, day)
            return PACKAGES_BUCKET, f"{day}-{partner}-tracking.tar", package


@given(stored(), FOLDERS)
def test_keys_come_apart_as_they_were_put_together(
    one: tuple[str, str, Package], folder: str
) -> None:
    """In a bucket and below any local folder alike."""
    _, key, package = one
    assert describe_key(key) == package
    assert describe_key(folder + key) == package


@given(PARTNERS, st.lists(st.sampled_from(PackageKind), max_size=2), stored())
def test_every_package_that_is_meant_is_listed(
    partner: str, kinds: list[PackageKind], one: tuple[str, str, Package]
) -> None:
    bucket, key, package = one
    for choice in (Choice(partner, kinds=tuple(kinds)), Choice(package.partner)):
        listed = [where == bucket and key.startswith(prefix) for where, prefix in choice.prefixes()]
        meant = choice.matches(package) and package.kind is not PackageKind.EVENTS
        assert any(listed) or not meant


@given(st.text())
def test_any_text_is_a_key(key: str) -> None:
    package = describe_key(key)
    assert package is None or package.kind in PackageKind


@pytest.mark.parametrize(
    ("key", "package"),
    [
        ("univx/prod/events/2014/univx-edx-events-2014-03-09.log.gz.gpg",
         Package(PackageKind.EVENTS, "univx", "prod", DAY)),
        # The folder is the partner's, whatever organisation the name holds.
        ("univx/edge/events/2014/lab-edge-events-2014-03-09.log.gz.gpg",
         Package(PackageKind.EVENTS, "univx", "edge", DAY)),
        ("univx/edge/events/2014/odd.log.gz.gpg", Package(PackageKind.EVENTS, "univx", "edge")),
        ("univx-edge-2014-03-09.log.gz", Package(PackageKind.EVENTS, "univx", "edge", DAY)),
        ("prod-edge-001/2014-03-09-univx.log.gpg",
         Package(PackageKind.EVENTS, "univx", "edge", DAY)),
        ("tracking.log-20140309.gz", Package(PackageKind.EVENTS, None, None, DAY, True)),
        ("univx-2014-03-09.zip", Package(PackageKind.DATABASE, "univx", None, DAY)),
        ("mitx-pro-2014-03-09.zip", Package(PackageKind.DATABASE, "mitx-pro", None, DAY)),
        ("email-opt-in-univx-2014-03-09.zip", Package(PackageKind.EMAIL, "univx", None, DAY)),
        ("univx-2014-02-30.zip", Package(PackageKind.DATABASE, "univx", None, None)),
        ("UnivX_CS101_2014.tar.gz.gpg", Package(PackageKind.RESEARCH)),
        ("univ\udcff-2014-03-09.zip", Package(PackageKind.DATABASE, "univ\\xff", None, DAY)),
        ("credentials.csv.gpg", None),
        ("univx.zip", None),
        ("-2014-03-09.zip", None),
        ("univx/prod/events/2014/", None),
        ("", None),
    ],
)  # fmt: skip
def test_keys(key: str, package: Package | None) -> None:
    assert describe_key(key) == package


def test_prefixes() -> None:
    assert Choice("univx").prefixes() == [
        (PACKAGES_BUCKET, "univx-"),
        (PACKAGES_BUCKET, "email-opt-in/univx-"),
        (PACKAGES_BUCKET, "email-opt-in/email-opt-in-univx-"),
        (EVENTS_BUCKET, "univx/rdx/"),
        (PACKAGES_BUCKET, "201"),
    ]
    assert Choice("univx", kinds=(PackageKind.RESEARCH,)).prefixes() == [
        (EVENTS_BUCKET, "univx/rdx/")
    ]
    assert Choice().prefixes() == []


@pytest.mark.parametrize("partner", ["", "a/b", "..", "."])
def test_no_partner(partner: str) -> None:
    with pytest.raises(ConfigError, match="is not a folder name"):
        Choice(partner)


def window(text: str) -> Days:
    days = parse_days(text)
    assert days is not None
    return days


TARS = ["2013-01-06-univx-tracking.tar", "2013-01-13-univx-tracking.tar",
        "2013-01-20-univx-tracking.tar", "2013-01-06-mitx-tracking.tar"]  # fmt: skip


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("2012-11-01..2013-01-06", [0, 3]),
        ("2012-11-01..2013-01-07", [1, 3]),
        ("2012-11-01..2013-01-20", [2, 3]),
        ("2012-11-01..2014-01-01", [2, 3]),
        ("2013-01-07..2013-01-08", [1]),
        ("2013-01-07..", [2]),
        ("..2013-01-01", [0, 3]),
        ("2014-01-01..", []),
    ],
)
def test_of_cumulative_tars_one_is_enough(days: str, expected: list[int]) -> None:
    choice = Choice(days=window(days))
    assert choice.select(TARS, describe_key) == [TARS[number] for number in expected]


def test_without_days_all_tars_are_taken() -> None:
    assert Choice("univx").select(TARS, describe_key) == TARS[:3]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), [0, 1, 2, 3, 4]),
        (Choice("univx"), [0, 1, 2, 3]),
        (Choice(sites=("edge",)), [1, 2, 3]),
        (Choice(sites=("edx",)), [0, 2, 3]),
        (Choice(kinds=(PackageKind.DATABASE, PackageKind.RESEARCH)), [2, 3]),
        # What has no day may be of any.
        (Choice(days=window("2014-03-09")), [0, 1, 3]),
        (Choice(days=window("..2014-03-08")), [2, 3]),
    ],
)
def test_choice(choice: Choice, expected: list[int]) -> None:
    keys = [
        "univx/edx/events/2014/univx-edx-events-2014-03-09.log.gz.gpg",
        "univx/edge/events/2014/univx-edge-events-2014-03-09.log.gz.gpg",
        "univx-2014-03-08.zip",
        "univx/rdx/1/univx_CS101_2014.tar.gz.gpg",
        "credentials.csv.gpg",
    ]
    assert choice.select(keys, describe_key) == [keys[number] for number in expected]


@given(st.lists(stored(), max_size=12), st.booleans())
def test_the_latest_of_snapshots_is_that_of_each_organisation(
    found: list[tuple[str, str, Package]], is_windowed: bool
) -> None:
    days = Days(None, DAY) if is_windowed else Days()
    keys = [key for _, key, _ in found]
    wanted = Choice(days=days).select(keys, describe_key)
    chosen = Choice(days=days, latest=True).select(keys, describe_key)
    expected = []
    for key in wanted:
        one = describe_key(key)
        assert one is not None
        others = (describe_key(other) for other in wanted)
        newer = [
            other
            for other in others
            if other is not None and (other.kind, other.partner) == (one.kind, one.partner)
            if other.day is not None and one.day is not None and other.day > one.day
        ]
        if one.kind not in (PackageKind.DATABASE, PackageKind.EMAIL) or not newer:
            expected.append(key)
    assert chosen == expected


def test_what_is_no_package_is_there_with_the_latest() -> None:
    keys = ["notes.txt", "a-2014-10-05.zip", "a-2014-10-12.zip"]
    assert Choice(latest=True).select(keys, describe_key) == [keys[0], keys[2]]
