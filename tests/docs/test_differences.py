"""Examples of the page of differences: what we give is what it says."""

from __future__ import annotations

import datetime
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb

import edxlogs
from derived import write_database

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "differences.md"
LOG = "universityx-{site}-events-2026-03-31.log"
PACKAGE = "universityx-2026-03-31"
COURSE = "course-v1:UniversityX+CS101+2026"
SHARED = {
    "username": "ann",
    "ip": "192.0.2.7",
    "agent": "Firefox",
    "session": "f" * 32,
    "page": None,
    "context": {"course_id": COURSE, "org_id": "UniversityX", "user_id": 7, "path": ""},
}
Row = dict[str, Any]


def sections() -> dict[str, str]:
    """Text below each heading that has an example."""
    parts = PAGE.read_text("utf-8").split("\n### ")[1:]
    return {part.splitlines()[0]: part.split("\n## ")[0] for part in parts}


def site_of(number: int) -> str:
    return f"example{number}"


def package_row(line: Row, number: int, place: int) -> Row:
    kept = {"site": site_of(number), **line}
    del kept["table"]
    if "created" in kept:
        kept["created"] = datetime.datetime.fromisoformat(kept["created"])
    return kept if "usage_key" in kept else {"id": place, "course_id": COURSE, **kept}


def make(folder: Path) -> None:
    """Derived tables of all examples: one course, in which each is of a site of its own."""
    tables = defaultdict(list)
    for number, text in enumerate(sections().values()):
        (block,) = re.findall(r"^```json\n(.*?)^```$", text, re.M | re.S)
        log = ""
        for place, line in enumerate(map(json.loads, block.splitlines()), 1):
            if "table" in line:
                tables[line["table"]].append(package_row(line, number, place))
            else:
                log += json.dumps({**SHARED, **line}) + "\n"
        (folder / LOG.format(site=site_of(number))).write_text(log)
    write_database(folder / "tables", tables, COURSE, PACKAGE)
    edxlogs.write_event_tables(sorted(folder.glob("*.log")), folder / "event_tables")
    edxlogs.derive(folder / "derived", events=folder / "event_tables", db=folder / "tables")


def cell(value: Any) -> str:
    return "" if value is None else str(value)


def test_we_count_as_the_page_says(tmp_path: Path) -> None:
    make(tmp_path)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for number, (name, text) in enumerate(sections().items()):
            (sql,) = re.findall(r"^```sql\n(.*?)^```$", text, re.M | re.S)
            one = rf"(from '{tmp_path}/derived/\1/**/*.parquet' where site = '{site_of(number)}')"
            own = re.sub(r"'derived/(\w+)/\*\*/\*\.parquet'", one, sql)
            found = connection.sql(own).to_arrow_table()
            shown = [line for line in text.splitlines() if line.startswith("|")]
            cells = [line.strip("| ").split(" | ") for line in shown]
            rows = [[cell(value) for value in row.values()] for row in found.to_pylist()]
            assert [found.column_names, *rows] == [cells[0], *cells[2:]], name
