"""Pages of event tables: what they show follows from the definitions, and their queries run."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import event_log
import oracle
import oracle_event_tables as tables
from edxlogs.edx.event_tables import event_tables, read_user_tables

DOCS = Path(__file__).parents[2] / "docs"
ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_event_tables", DOCS / "make_event_tables.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = script()
QUERIES: dict[str, dict[str, str]] = SCRIPT.queries()


def rows_of(lines: bytes) -> dict[str, list[dict[str, Any]]]:
    """Rows by table of a log, by the oracle."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number, line in enumerate(lines.splitlines(), 1):
        for item, event in enumerate(oracle.read_events(line).events):
            made = tables.rows(event, tables.Place(None, "a.log", number, item))
            for table, rows in made.items():
                found.setdefault(table, []).extend(rows)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables of a small log, as the queries name them."""
    folder = tmp_path_factory.mktemp("queries")
    found = rows_of(event_log.log())
    for name, table in event_tables().items():
        schema = pa.schema([(column, ARROW[of]) for column, of in table.schema])
        path = folder / "event_tables" / name / f"course_id={quote(event_log.COURSE)}" / "a.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(found[name], schema=schema), path)
    return folder


def test_pages_are_current() -> None:
    pages: dict[str, str] = SCRIPT.pages()
    for name, text in pages.items():
        assert (DOCS / name).read_text("utf-8") == text, f"{name}: run make docs"
    assert {path.name for path in (DOCS / "tables").iterdir()} == {
        f"{name}.md" for name in event_tables()
    }
    assert set(QUERIES) == set(event_tables())


@pytest.mark.parametrize("name", QUERIES)
def test_queries_in_sql_and_python_give_the_same(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        by_sql = connection.sql(QUERIES[name]["sql"]).to_arrow_table().to_pylist()
    names: dict[str, Any] = {}
    exec(QUERIES[name]["python"], names)  # the page shows it
    by_python = names["answer"].to_dicts()
    assert by_sql
    assert by_python == by_sql
    for column in by_sql[0]:
        assert any(row[column] is not None for row in by_sql), column
        if name not in {"ora_events", "enrollment_events"}:
            assert column in QUERIES[name]["r"]


def test_the_example_of_a_table_of_ones_own_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(
        r"^```toml\n(.*?)^```$", (DOCS / "tables.md").read_text("utf-8"), re.M | re.S
    )
    path = tmp_path / "chat.toml"
    path.write_text(example)
    table = read_user_tables([path]).tables["chat_events"]
    assert [name for name, _ in table.schema[-2:]] == ["words", "seconds"]


def shown_rows() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The rows of the page from a click to rows, by table."""
    page = (DOCS / "click-to-rows.md").read_text("utf-8")
    for section in page.split("\n### ")[1:]:
        lines = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        yield (
            section.splitlines()[0],
            [dict(zip(cells[0], row, strict=True)) for row in cells[2:]],
        )


def cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def test_a_click_becomes_the_rows_that_the_page_shows() -> None:
    page = (DOCS / "click-to-rows.md").read_text("utf-8")
    events = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", page, re.M | re.S)]
    assert len(events) == 5
    found = rows_of(b"".join(json.dumps(event).encode() + b"\n" for event in events))
    shown = dict(shown_rows())
    assert set(shown) == set(found)
    for table, rows in shown.items():
        assert rows == [{name: cell(row[name]) for name in rows[0]} for row in found[table]]
