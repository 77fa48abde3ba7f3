"""The page of a summary: without a browser, and in headless Chromium where it is installed."""

from __future__ import annotations

import base64
import datetime
import json
import random
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

import edxlogs
import pages
import small_logs
from edxlogs.account import Account
from edxlogs.summaries.counting import CUBES
from edxlogs.summaries.digest import Delivered, Digest, Table
from edxlogs.summaries.page import page

MOST_BYTES = 2_000_000
MARKUP = "<img src=x onerror=alert(1)></script>"
RTL = "\u202e\u05d0\u05d1 seen"
FIRST = datetime.date(2013, 1, 1)
_EPOCH = datetime.date(1970, 1, 1)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("logs")
    paths = small_logs.real_shaped(folder)
    odd = [small_logs.event(event_type=MARKUP), small_logs.event(event_type=RTL)]
    odd += [small_logs.event(time=f"{year}-01-19T03:14:07Z") for year in (1970, 2038, 9999)]
    odd[0]["context"]["<b>key</b>"] = 1
    path = folder / "universityx-edge-events-2014-10-08.log"
    path.write_text("\n".join(map(json.dumps, odd)))
    return [*paths, path]


@pytest.fixture(scope="module")
def digest(logs: list[Path]) -> Digest:
    told = edxlogs.summary(logs).digest
    assert told is not None
    return told


@pytest.fixture(scope="module")
def drawn(digest: Digest) -> bytes:
    return page(digest, {"courses": ["course-v1:*", MARKUP]})


def data_of(content: bytes) -> Any:
    packed = re.search(rb'<script id="data"[^>]*>([^<]*)</script>', content)
    assert packed is not None
    return json.loads(zlib.decompress(base64.b64decode(packed[1])))


def large(courses: int, years: int) -> Digest:
    """A summary of many courses and years, of numbers that hardly pack."""
    chance, days, micros = random.Random(1), 365 * years, 86_400_000_000
    tables: dict[str, list[tuple[Any, ...]]] = {name: [] for name, *_ in CUBES}

    def at(day: int) -> tuple[str, int]:
        date = FIRST + datetime.timedelta(days=day)
        return date.isoformat(), (date - _EPOCH).days * micros

    for site in ("edge", "prod"):
        tables["sites"].append((site, 10**9, 10**6, False, at(0)[1], at(days)[1]))
        for day in range(days):
            date, moment = at(day)
            events = chance.randrange(1000, 500_000)
            row = (events, events // 20, events < 20_000, moment, moment)
            tables["days"].append((site, date, *row))
            if day % 7 == 6:
                tables["weeks"].append((site, date, *row))
        for hour in range(7 * 24):
            tables["hours"].append((site, hour // 24 + 1, hour % 24, 10**6 + hour, 0, 0))
    for course in range(courses):
        name = f"course-v1:UniversityX+CS{course:05}+{2013 + course % years}_T1"
        span = days // 7 - 1 if courses <= 500 else 30
        for week in range(span):
            date, moment = at(6 + 7 * week)
            events = chance.randrange(1, 20_000)
            tables["course_weeks"].append((name, date, events, moment, moment))
        tables["courses"].append((name, "prod", 10**6 - course, 5000, False, 0, at(days)[1]))
    tables["types"] = [("video", f"type_{n}", "browser", 10**6 - n, 0, 0) for n in range(2000)]
    told = {}
    for name, keys, people in CUBES:
        counts = ("events",) if people is None else ("events", "people", "people_exact")
        told[name] = Table((*keys, *counts, "first_time", "last_time"), tables[name])
    last = FIRST + datetime.timedelta(days=days)
    return Digest(told, [Delivered("prod", FIRST, last, [last])], (), (), Account())


def test_a_page_is_one_file_that_asks_for_nothing(drawn: bytes, digest: Digest) -> None:
    assert page(digest, {"courses": ["course-v1:*", MARKUP]}) == drawn
    assert len(drawn) < MOST_BYTES
    text = drawn.decode()
    assert "default-src 'none'" in text
    shell = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    tags = re.findall(r"<[^>]*>", shell)
    led = [one for tag in tags for one in re.findall(r' (?:src|href)="([^"]*)"', tag)]
    assert sorted(led) == ["#main", "data:,"]
    assert all(" on" not in tag for tag in tags)
    assert "@import" not in shell
    assert "url(" not in shell
    assert text.count("<script") == text.count("</script>") == 3
    assert MARKUP not in text
    assert "learner_" not in json.dumps(data_of(drawn))


def test_the_data_are_all_that_was_counted(drawn: bytes, digest: Digest) -> None:
    data = data_of(drawn)
    assert data["events"] == digest.events
    timed = sum(n for day, n in digest.tables["days"].sums("date").items() if day)
    assert sum(data["days"][2]) == sum(data["hours"][3]) == timed
    assert sum(row[2] for row in data["courses"]) == digest.events
    assert sum(row[3] for row in data["types"]) == digest.events
    courses = [one for one in digest.courses if one is not None]
    by_week = digest.tables["course_weeks"].sums("course_id", "week")
    for course, (start, pairs) in zip(courses, data["courseWeeks"], strict=True):
        weeks, week = {}, start
        for delta, events in zip(pairs[::2], pairs[1::2], strict=True):
            week += 7 * delta
            weeks[(_EPOCH + datetime.timedelta(days=week)).isoformat()] = events
        assert weeks == {of: n for (one, of), n in by_week.items() if one == course and of}


def test_a_page_of_500_courses_and_ten_years_stays_small() -> None:
    assert len(page(large(500, 10), {})) < MOST_BYTES


def test_the_command_writes_it(logs: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    done = edxlogs.summary(logs, target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert done.digest is not None
    assert target.read_bytes() == page(done.digest, {})
    with pytest.raises(edxlogs.ConfigError, match=r"report\.html"):
        edxlogs.summary(logs, target)
    with pytest.raises(edxlogs.ConfigError, match="by: a page has tables of its own"):
        edxlogs.summary(logs, tmp_path / "other.html", by="course")


_LOOK = """
  const tables = {};
  for (const one of document.querySelectorAll("details")) {
    one.open = true;
    one.querySelector(".more button")?.click();
    const rows = [...one.querySelectorAll("tbody tr")];
    tables[one.querySelector("caption").textContent] =
      rows.map((row) => [...row.cells].map((cell) => cell.textContent));
  }
  return {
    tables, charts: document.querySelectorAll(".chart svg, .chart canvas").length,
    sections: [...document.querySelectorAll("section")].map((one) => one.id),
    labels: [...document.querySelectorAll("[role=img]")].every((one) => one.ariaLabel),
    images: document.images.length, bold: document.querySelectorAll("b").length,
    wide: document.documentElement.scrollWidth - innerWidth,
  };
"""


def test_it_draws_charts_and_their_tables(drawn: bytes, digest: Digest, tmp_path: Path) -> None:
    told = pages.driven(drawn, tmp_path, _LOOK, "--window-size=1400,1000")
    assert told["charts"] == 8
    assert told["labels"]
    assert (told["images"], told["bold"]) == (0, 0)
    assert told["wide"] <= 0
    assert told["sections"] == [
        *("days", "calendar", "people", "courses", "types", "hours", "odd", "unknown")
    ]
    tables = told["tables"]
    runs = {(row[0], row[1]): row[2] for row in tables["course runs by site"]}
    expected = digest.tables["courses"].sums("course_id", "site")
    assert runs == {(one or "no course", site): f"{n:,}" for (one, site), n in expected.items()}
    days = {(row[0], row[1]): row[2] for row in tables["events by day and site"]}
    by_day = digest.tables["days"].sums("site", "date")
    assert days == {(site, day): f"{n:,}" for (site, day), n in by_day.items() if day}
    assert tables["missing days by site"] == [
        ["edge", "2014-10-02", "2014-10-02", "1"],
        ["edge", "2014-10-04", "2014-10-07", "4"],
    ]
    unknown = [row[0] for row in tables["undocumented event types"]]
    assert MARKUP in unknown
    assert "\\u202eאב seen" in unknown
    keys = tables["undocumented keys of events and of their context"]
    assert ["context.<b>key</b>", "1"] in keys


_CLICK = """
  const byText = (text, inside = document) =>
    [...inside.querySelectorAll("button")].find((one) => one.textContent === text);
  const range = () => document.querySelector("#days .controls span").textContent;
  const before = range();
  byText("All").click();
  const all = range();
  await wait(500);
  const chart = document.querySelector("#days .chart");
  const box = chart.getBoundingClientRect();
  const at = (type, share) => chart.dispatchEvent(new PointerEvent(type, {
    bubbles: true, pointerType: "mouse", button: 0,
    clientX: box.left + share * box.width, clientY: box.top + 80,
  }));
  at("pointerdown", 0.4);
  at("pointermove", 0.5);
  at("pointerup", 0.6);
  const drawn = range();
  byText("All").click();
  byText("+").click();
  const near = range();
  const courses = document.querySelector("#courses details");
  courses.open = true;
  const first = () => courses.querySelector("tbody tr").cells[2].textContent;
  const sorted = [first()];
  byText("events", courses).click();
  sorted.push(first());
  byText("events", courses).click();
  sorted.push(first(), byText("events", courses).closest("th").getAttribute("aria-sort"));
  const filter = courses.querySelector("input");
  if (filter) {
    filter.value = "NO SUCH COURSE";
    filter.dispatchEvent(new Event("input"));
  }
  const rows = courses.querySelectorAll("tbody tr").length;
  const site = document.querySelector("#people select");
  site.value = "0";
  site.dispatchEvent(new Event("change"));
  const word = document.querySelector("#courses .controls input");
  word.value = "no such course";
  word.dispatchEvent(new Event("input"));
  await wait(300);
  const none = document.querySelectorAll("#courses .chart p").length;
  return { before, all, near, drawn, sorted, rows, filter: !!filter, none };
"""


def _days(text: str) -> int:
    return datetime.date.fromisoformat(text).toordinal()


def test_clicks_zoom_sort_and_filter(drawn: bytes, digest: Digest, tmp_path: Path) -> None:
    told = pages.driven(drawn, tmp_path, _CLICK)
    first, last = digest.window
    assert told["before"] == f"{first} to {last}"
    assert told["all"] == "1970-01-19 to 9999-01-19"
    outer = [_days(day) for day in told["all"].split(" to ")]
    for name in ("drawn", "near"):
        inner = [_days(day) for day in told[name].split(" to ")]
        assert outer[0] < inner[0] < inner[1] < outer[1]
    events = sorted(row[2] for row in digest.tables["courses"].rows)
    most, least = f"{events[-1]:,}", f"{events[0]:,}"
    assert told["sorted"][1:] == [most, least, "ascending"]
    assert told["rows"] == (0 if told["filter"] else len(events))
    assert told["none"] == 2


@pytest.mark.parametrize("content", [b"", b'{"event_type": "a"}\n'])
def test_a_page_of_nothing_or_of_one_event_stands(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tracking.log"
    path.write_bytes(content)
    told = edxlogs.summary(path).digest
    assert told is not None
    found = pages.driven(page(told, {}), tmp_path, _LOOK)
    assert found["sections"][0] == ("days" if content else "nothing")


def test_a_year_below_100_has_its_calendar(tmp_path: Path) -> None:
    path, squares = tmp_path / "tracking.log", []
    for year in ("2014", "0050"):
        path.write_text(json.dumps(small_logs.event(time=f"{year}-01-19T03:14:07Z")))
        told = edxlogs.summary(path).digest
        assert told is not None
        look = 'return document.querySelectorAll("#calendar .mark-rect path").length;'
        squares.append(pages.driven(page(told, {}), tmp_path, look))
    assert squares == [1, 1]


@pytest.mark.parametrize("theme", [pages.LIGHT, pages.DARK])
def test_a_phone_needs_no_scrolling_sideways(drawn: bytes, tmp_path: Path, theme: str) -> None:
    told = pages.framed(drawn, tmp_path, 380, theme)
    assert told == {"wide": 380, "told": 8}


@pytest.mark.slow
@pytest.mark.parametrize("courses", [500, 10_000])
@pytest.mark.parametrize("theme", [pages.LIGHT, pages.DARK])
def test_many_courses_and_years_are_drawn(courses: int, theme: str, tmp_path: Path) -> None:
    content = page(large(courses, 10), {})
    for width in (380, 1400):
        assert pages.framed(content, tmp_path, width, theme) == {"wide": width, "told": 8}
    picture = pages.pictured(content, tmp_path, theme, "--window-size=1400,2000")
    assert picture.startswith(b"\x89PNG")
