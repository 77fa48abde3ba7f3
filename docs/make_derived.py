"""Write docs/reference/derived/*.md with their pictures, and the list of derive.md there.

Columns are those of the definitions. Questions, queries and pictures stand in derived_queries.toml;
the answers are those of a planted course, which is made anew each time.
"""

from __future__ import annotations

import datetime
import io
import re
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import edxlogs
from edxlogs.derived.definition import DATABASE, OLX, Column, Definition, read_definitions
from planted import Planted, plant

FOLDER = Path(__file__).parent
LEARNERS = 120
MOST_ROWS = 8  # of an answer that a page shows
NEEDED = "\nA course without the inputs in bold type does not get this table.\n"
COLOURS = ("#0b6e99", "#e08e0b", "#6a9a3b", "#9b4f96", "#777777")
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.prop_cycle": cycler(color=COLOURS),
    "figure.constrained_layout.use": True,
    "figure.figsize": (6.4, 3.0),
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "edxlogs",  # the same picture has the same bytes
}
WIDTH = 0.8  # of the bars of one value
Row = dict[str, Any]


def cell(value: Any) -> str:
    """A value as a cell of a table shows it."""
    text = "" if value is None else str(value)
    return text.replace("|", "\\|")


def tables() -> Mapping[str, Definition]:
    """The tables by name."""
    return {one.name: one for one in sorted(read_definitions().tables, key=lambda one: one.name)}


def queries() -> Mapping[str, Row]:
    """Question, query and picture by table."""
    text = (FOLDER / "derived_queries.toml").read_text("utf-8")
    return tomllib.loads(text)


def make_course(folder: Path) -> Planted:
    """Plant a course, and make what the queries read: the folder `derived`."""
    made = plant(folder, learners=LEARNERS)
    edxlogs.write_event_tables(made.logs, folder / "event_tables")
    edxlogs.convert(made.package, folder / "tables")
    edxlogs.derive(folder / "derived", events=folder / "event_tables", db=folder / "tables")
    return made


def answer(sql: str, folder: Path) -> list[Row]:
    """The rows of a query of the tables in a folder, whose paths begin with `derived/`."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        where = sql.replace("'derived/", f"'{folder}/derived/")
        rows: list[Row] = connection.sql(where).to_arrow_table().to_pylist()
    return rows


def column_row(column: Column) -> str:
    """The row of a column."""
    words = (f"`{column.name}`", column.type, column.unit, cell(column.about), column.role)
    return f"| {' | '.join(words)} |\n"


def inputs(one: Definition) -> str:
    """What a table is made of, in bold type if it needs that."""

    def told(names: Iterable[str], form: str) -> str:
        links = [(form.format(name.removeprefix(DATABASE)), needs[name]) for name in names]
        return ", ".join(f"**{link}**" if is_needed else link for link, is_needed in links)

    needs = {**one.inputs, **one.needs}
    derived = [need for need in one.needs if need in tables()]
    events = [name for name in one.inputs if not name.startswith(DATABASE) and name not in OLX]
    found = {
        "event tables": told(events, "[{0}](../tables/{0}.md)"),
        "package tables": told([n for n in one.inputs if n.startswith(DATABASE)], "`{}`"),
        "derived tables": told(derived, "[{0}]({0}.md)"),
        "course content (`--olx`)": told([name for name in one.inputs if name in OLX], "`{}`"),
    }
    lines = "".join(f"- {what}: {those}\n" for what, those in found.items() if those)
    return lines + NEEDED * ("**" in lines)


def answer_table(rows: Sequence[Row]) -> str:
    """The first rows of an answer."""
    names = list(rows[0])
    shown = [[cell(row[name]) for name in names] for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        shown.append(["…", *("" for _ in names[1:])])
    lines = [names, ["---" for _ in names], *shown]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page(one: Definition, asked: Row, rows: Sequence[Row]) -> str:
    """The page of a table."""
    key = ", ".join(f"`{name}`" for name in ("course_id", *one.order))
    return (
        f"# {one.name}\n\n{one.about}\n\n"
        f"Each row is identified by {key}.\n\n## Made from\n\n{inputs(one)}"
        "\n## Columns\n\n"
        "| column | type | unit | what it holds | of a person |\n| --- | --- | --- | --- | --- |\n"
        f"{''.join(map(column_row, one.columns))}"
        f"\n## {asked['question']}\n\n```sql\n{asked['sql'].strip()}\n```\n\n"
        "The answer, for a made-up course:\n\n"
        f"{answer_table(rows)}\n"
        f"![{asked['question']}]({one.name}.svg)\n"
    )


def bars(axes: Axes, asked: Row, rows: Sequence[Row]) -> None:
    """Bars for each value of x: side by side, or one upon the other."""
    names = [tick(row[asked["x"]]) for row in rows]
    is_stack, many = asked["plot"] == "stack", len(asked["y"])
    width = WIDTH if is_stack else WIDTH / many
    below = [0.0] * len(rows)
    for nth, y in enumerate(asked["y"]):
        heights = [row[y] for row in rows]
        shift = 0 if is_stack else (nth - (many - 1) / 2) * width
        places = [place + shift for place in range(len(rows))]
        if asked["plot"] == "barh":
            axes.barh(places, heights, width, label=words(y))
        else:
            axes.bar(places, heights, width, bottom=below if is_stack else None, label=words(y))
        below = [one + other for one, other in zip(below, heights, strict=True)]
    if asked["plot"] == "barh":
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
    else:
        axes.set_xticks(range(len(rows)), names)
        axes.grid(visible=False, axis="x")
        axes.use_sticky_edges = False
        axes.set_ylim(bottom=0)


def lines(axes: Axes, asked: Row, rows: Sequence[Row]) -> None:
    """A line for each y, or for each value of the column `by`."""
    by = asked.get("by")
    groups = sorted({row[by] for row in rows}) if by else [None]
    for group in groups:
        its = [row for row in rows if by is None or row[by] == group]
        places = [row[asked["x"]] for row in its]
        marker = "." if len(its) < 40 else ""
        for y in asked["y"]:
            label = words(y) if by is None else str(group)
            axes.plot(places, [row[y] for row in its], marker=marker, label=label)
    if isinstance(rows[0][asked["x"]], datetime.date):
        days = sorted({row[asked["x"]] for row in rows})
        ticks = days[:: max(1, len(days) // 6)]
        axes.set_xticks(ticks, [tick(day) for day in ticks])
    axes.set_ylim(bottom=0)


def words(name: str) -> str:
    """The name of a column as a legend has it."""
    return name.removeprefix("n_").replace("_", " ")


def tick(value: Any) -> str:
    """A value as an axis has it."""
    return f"{value.day} {value:%b}" if isinstance(value, datetime.date) else str(value)


def picture(asked: Row, rows: Sequence[Row]) -> str:
    """What a query gives, drawn as SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure()
        axes = figure.subplots()
        draw = lines if asked["plot"] == "line" else bars
        draw(axes, asked, rows)
        across, up = asked["labels"]
        if asked["plot"] == "barh":
            across, up = up, across
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        if len(asked["y"]) > 1 or "by" in asked:
            figure.legend(loc="outside upper right", ncols=5)
        told = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(told, format="svg", metadata=nothing)
    return re.sub(r" +$", "", told.getvalue(), flags=re.MULTILINE)


def index(text: str) -> str:
    """reference/derive.md with its list of tables as it is now."""
    rows = "| table | what it is for |\n| --- | --- |\n"
    for one in tables().values():
        first = re.split(r"(?<=[.:])\s", one.about)[0].rstrip(":.") + "."
        rows += f"| [{one.name}](derived/{one.name}.md) | {cell(first)} |\n"
    start, end = "<!-- tables -->\n", "<!-- end of tables -->\n"
    return f"{text.split(start)[0]}{start}{rows}{end}{text.split(end)[1]}"


def pages(course: Path) -> dict[str, str]:
    """Text by page and picture, below this folder.

    Args:
        course: where `make_course` made one.
    """
    made = {"reference/derive.md": index((FOLDER / "reference/derive.md").read_text("utf-8"))}
    asked = queries()
    for name, one in tables().items():
        rows = answer(asked[name]["sql"], course)
        made[f"reference/derived/{name}.md"] = page(one, asked[name], rows)
        made[f"reference/derived/{name}.svg"] = picture(asked[name], rows)
    return made


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as course:
        make_course(Path(course))
        for name, text in pages(Path(course)).items():
            (FOLDER / name).write_text(text, "utf-8")
