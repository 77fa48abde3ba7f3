"""Pages of event tables: what they show follows from the definitions, and their queries run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import edxlogs
import event_log
import make_event_tables
from edxlogs import ConfigError
from edxlogs.edx.event_tables import event_tables
from edxlogs.edx.event_tables.user_tables import read_user_tables

DOCS = Path(__file__).parents[2] / "docs"


QUERIES: dict[str, dict[str, str]] = make_event_tables.queries()


def write(log: bytes, folder: Path, *own: Path) -> Path:
    """A folder with all tables of a log, and those of a user's own."""
    (folder / "small.log").write_bytes(log)
    edxlogs.write_event_tables(
        folder / "small.log", folder / "event_tables", with_forms=True, table_file=own
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables of a small log, as the queries name them."""
    return write(event_log.log(), tmp_path_factory.mktemp("queries"))


def test_pages_are_current() -> None:
    pages: dict[str, str] = make_event_tables.pages()
    for name, text in pages.items():
        assert (DOCS / "reference" / name).read_text("utf-8") == text, f"{name}: run make docs"
    assert {path.name for path in (DOCS / "reference/tables").iterdir()} == {
        f"{name}.md" for name in event_tables()
    }
    assert set(QUERIES) == set(event_tables())


def test_the_page_says_which_decoders_take_no_paths(tmp_path: Path) -> None:
    page = (DOCS / "reference/tables.md").read_text("utf-8")
    rows, _, sentence = page.split("<!-- decoders -->\n")[1].partition("\n\n")
    shown = re.findall(r"^\| `(.+?)` \| (\w+)", rows, re.M)
    told = set(re.findall("`(.+?)`", sentence.split(" take no ")[0]))
    assert told < {name for name, _ in shown}
    for name, of in shown:
        typed = "" if of == "several" else f'type = "{of}"\n'
        (tmp_path / "mine.toml").write_text(
            'name = "mine"\nabout = "It."\nactions = [{ action = "a", types = ["a.b"] }]\n'
            f'[[columns]]\nname = "c"\nabout = "It."\ndecoder = "{name}"\n{typed}'
            'paths = ["event.c"]\n'
        )
        why = ""
        try:
            read_user_tables([tmp_path / "mine.toml"])
        except ConfigError as error:
            why = str(error)
        assert ("its decoder reads no paths" in why) == (name in told), (name, why)
        assert not why or name in (*told, "sum"), why


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


def test_the_example_of_a_table_of_ones_own_has_its_rows(tmp_path: Path) -> None:
    page = (DOCS / "reference/tables.md").read_text("utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "chat.toml").write_text(example)
    write(event_log.log(), tmp_path, tmp_path / "chat.toml")
    columns = ["username", "action", "words", "seconds"]
    rows = edxlogs.dataset(tmp_path / "event_tables" / "chat_events").to_table(columns).to_pylist()
    said = {"action": "say", "words": "hello", "seconds": 2.5}
    assert rows == [{"username": name, **said} for name in ("ann", "bob")]


def shown_rows() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The rows of the page from a click to rows, by table."""
    page = (DOCS / "explanation/click-to-rows.md").read_text("utf-8")
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


def test_a_click_becomes_the_rows_that_the_page_shows(tmp_path: Path) -> None:
    page = (DOCS / "explanation/click-to-rows.md").read_text("utf-8")
    events = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", page, re.M | re.S)]
    assert len(events) == 5
    write(b"".join(json.dumps(event).encode() + b"\n" for event in events), tmp_path)
    shown = dict(shown_rows())
    for name in event_tables():
        table = edxlogs.dataset(tmp_path / "event_tables" / name).to_table().sort_by("line")
        rows = shown.pop(name, [])
        assert rows == [
            {column: cell(row[column]) for column in rows[0]} if rows else row
            for row in table.to_pylist()
        ]
    assert not shown
