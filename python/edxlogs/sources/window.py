"""Which sources a run reads, judged by their names: by site, day, time and shard.

Nothing in this module opens a source.
"""

from __future__ import annotations

import datetime
import hashlib
import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from edxlogs.edx.layout import Days, parse_days
from edxlogs.edx.names import rotated_log
from edxlogs.errors import ConfigError
from edxlogs.sources.source import Source
from edxlogs.text import shown
from edxlogs.values import Moment, Values, micros, values

_DAY_US = 86_400_000_000
TIMES = ("time", "received_at")


@dataclass(frozen=True, slots=True)
class Slack:
    """How many days a file's date may lie before and after the time window."""

    before_days: int = 1
    after_days: int = 30


DEFAULT_SLACK = Slack()
# edX dates a daily file by the receipt of its events, in UTC.
_RECEIPT_SLACK = Slack(1, 1)


@dataclass(frozen=True, slots=True)
class Window:
    """Which sources to read.

    Attributes:
        sites: sites to read, by their names in rows; empty means all.
        exclude_sites: sites to leave out.
        days: days in the names of the sources; None means all.
        since: first instant of the events, microseconds since 1970 UTC; None for no start.
        until: the instant after the last one; None for no end.
        by_received_at: whether these are times of receipt.
        slack: days by which a file's date may lie outside; None opens every file.
        edx_slack: the same for files with edX's names. A site's own logs are dated by their
            rotation, so only edX's names allow a narrower window.
    """

    sites: tuple[str, ...] = ()
    exclude_sites: tuple[str, ...] = ()
    days: Days | None = None
    since: int | None = None
    until: int | None = None
    by_received_at: bool = False
    slack: Slack | None = DEFAULT_SLACK
    edx_slack: Slack | None = DEFAULT_SLACK

    @classmethod
    def of(
        cls,
        *,
        site: Values = None,
        exclude_site: Values = None,
        days: str | None = None,
        since: Moment = None,
        until: Moment = None,
        by: str = "time",
        slack: Slack | str | None = DEFAULT_SLACK,
    ) -> Self:
        """Make a window from keywords. `slack` may be text, as `parse_slack` takes it.

        Raises:
            ConfigError: a value is invalid.
        """
        if by not in TIMES:
            raise ConfigError(f"by: '{shown(by)}': is not known; use {' or '.join(TIMES)}")
        first, end = micros("since", since), micros("until", until)
        if first is not None and end is not None and first >= end:
            raise ConfigError("since: is not before until; --until itself is excluded")
        near = parse_slack(slack) if isinstance(slack, str) else slack
        by_receipt = by == "received_at"
        return cls(
            _sites("site", site),
            _sites("exclude-site", exclude_site),
            parse_days(days),
            first,
            end,
            by_receipt,
            near,
            _RECEIPT_SLACK if by_receipt and near is DEFAULT_SLACK else near,
        )

    def wants_site(self, site: str | None) -> bool:
        """Whether to read sources of a site. If the site is unknown, each line is checked."""
        is_wanted = not self.sites or site in self.sites
        return site is None or (is_wanted and site not in self.exclude_sites)

    def wants_day(self, day: datetime.date | None) -> bool:
        """Whether to read sources of a day. A source with no day in its name is always read."""
        return self.days is None or day in self.days

    def wants(self, source: Source) -> bool:
        """Whether to read a source."""
        if not (self.wants_site(source.site) and self.wants_day(source.date)):
            return False
        slack = self.slack if source.org is None else self.edx_slack
        return is_near(source, self.since, self.until, slack)

    def select(self, sources: Iterable[Source]) -> tuple[list[Source], list[Source]]:
        """Split sources into those to read and those to skip, each in the given order.

        A log that a site rotates holds everything since the rotation before. So the first one after
        the window is read too, however late; one for each folder and log, or several of the same
        day.
        """
        there = list(sources)
        wanted = [self.wants(source) for source in there]
        if self.until is not None:
            last = (self.until - 1) // _DAY_US
            later: dict[tuple[str, str], list[int]] = {}
            for number, source in enumerate(there):
                log = rotated_log(source.name.rpartition("/")[2])
                if log is not None and source.day is not None and source.day > last:
                    folder = (source.member or source.path).rpartition("/")[0]
                    later.setdefault((folder, log), []).append(number)
            for numbers in later.values():
                next_day = min(there[number].day or 0 for number in numbers)
                for number in numbers:
                    source = there[number]
                    is_asked = self.wants_site(source.site) and self.wants_day(source.date)
                    wanted[number] |= source.day == next_day and is_asked
        pairs = list(zip(there, wanted, strict=True))
        return [one for one, is_read in pairs if is_read], [one for one, read in pairs if not read]


def _sites(what: str, given: Values) -> tuple[str, ...]:
    """Sites by their names in rows. edX also writes `edx` for `prod`."""
    return tuple("prod" if site == "edx" else site for site in values(what, given))


def parse_slack(text: str) -> Slack | None:
    """Read `BEFORE,AFTER` in days, or `all`, which gives None: no file is skipped for its date.

    Raises:
        ConfigError: the text is neither.
    """
    if text.strip() == "all":
        return None
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*,\s*([0-9]{1,6})\s*", text)
    if match is None:
        raise ConfigError(f"slack: {shown(text)!r}: is not two numbers of days; write 1,30 or all")
    return Slack(int(match[1]), int(match[2]))


def is_near(
    source: Source,
    since_us: int | None,
    until_us: int | None,
    slack: Slack | None = DEFAULT_SLACK,
) -> bool:
    """Tell whether the day of a source is close enough to a time window to read the source.

    It is if it lies between `slack.before_days` before the day of `since_us` and `slack.after_days`
    after the day of `until_us`, both included, or if the source has no day. A rotated
    `tracking.log-YYYYMMDD` is dated by its last day. Such a file therefore needs as many days after
    the window as it spans, even for a window of receipt.

    Args:
        source: the source.
        since_us: start of the window, microseconds since 1970 UTC; None for no start.
        until_us: end of the window; None for no end.
        slack: None accepts every day.
    """
    if slack is None or source.day is None:
        return True
    if since_us is not None and source.day < since_us // _DAY_US - slack.before_days:
        return False
    return until_us is None or source.day <= until_us // _DAY_US + slack.after_days


def of_shard(
    sources: Sequence[Source], shard: tuple[int, int], dealt: dict[str, int]
) -> list[Source]:
    """The sources of shard I of N, in their order. They depend only on the whole list.

    All sources of a site and day are in the same shard, since they may be copies. Day by day, they
    go to the shard with the fewest bytes so far. So shards are of similar size, and later days do
    not change the shards of earlier ones. Sources without a day are assigned by name.

    Args:
        sources: all sources.
        shard: number of the shard, and how many shards there are.
        dealt: bytes per site and day from earlier assignments, which still count; new ones are
            added.
    """
    number, count = shard
    days: dict[str, list[int]] = {}
    mine: set[int] = set()
    for at, source in enumerate(sources):
        if source.date is not None:
            days.setdefault(f"{source.date} {source.site or ''}", []).append(at)
            continue
        digest = hashlib.sha256(source.name.encode("utf-8", "backslashreplace")).digest()
        if int.from_bytes(digest[:8]) % count == number - 1:
            mine.add(at)
    for day, numbers in days.items():
        # Even an empty file has to be opened.

        dealt.setdefault(day, sum((sources[at].size or 0) + 1 for at in numbers))
    for day, one in deal(dealt, count).items():
        if one == number:
            mine.update(days.get(day, ()))
    return [sources[at] for at in sorted(mine)]


def deal(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Assign days, given their bytes, to shards. Returns the shard number of each day."""
    # Bytes and number, a heap; more shards than days stay empty.
    shards = [(0, number) for number in range(1, min(count, len(sizes)) + 1)]
    dealt: dict[str, int] = {}
    for day, size in sorted(sizes.items()):
        before, dealt[day] = shards[0]
        heapq.heapreplace(shards, (before + size, dealt[day]))
    return dealt


def parse_shard(text: str) -> tuple[int, int]:
    """Read `I/N`.

    Raises:
        ConfigError: the text has another form, or a number is out of range.
    """
    match = re.fullmatch(r"([0-9]{1,18})/([0-9]{1,18})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"shard: '{shown(text)}': is not a shard; write I/N, such as 1/8, with I from 1 to N"
        )
    return int(match[1]), int(match[2])
