"""Write the pages of event tables, and the lists of the page about them, from the definitions.

Questions and their queries stand in event_table_queries.toml.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from edxlogs.edx.event_tables import EventTable, Kind, event_tables, homes
from edxlogs.edx.event_tables.definition import DECODERS, FLAGS, Action, Column, FlagRule

FOLDER = Path(__file__).parent
PAGES = FOLDER / "reference"
LANGUAGES = (("sql", "SQL (DuckDB)"), ("python", "Python (Polars)"), ("r", "R"))
FIELDS = {
    "{}_key": "{about} Key of the block, as it stands in the event.",
    "{}_type": "Type of the block, such as `problem`. Null if the key does not contain it.",
    "{}_id": "Id of the block in the course.",
    "{}_from": "Where in the event the key was found.",
    "input_id": "{about}",
    "part": "Number of the part of the problem, counted from 2.",
    "input": "Number of the input in its part, counted from 1.",
    "path": "The address without its parameters. It may contain usernames.",
    "route": "Kind of page or service, such as `courseware` or `xblock_handler`; else `other`.",
    "chapter": "URL name of the chapter, for pages of the courseware.",
    "section": "URL name of the subsection, for pages of the courseware.",
    "position": "Number of the unit in the subsection, from 1.",
    "handler": "Handler of the block.",
    "suffix": "What follows the handler, such as `problem_check`.",
    "forum_action": "Act in the forum, such as `create`, `reply`, `read` or `upvote`.",
    "thread_id": "The thread.",
    "comment_id": "The response or comment.",
    "commentable_id": "The topic of the forum: `discussion_id` in the course structure.",
    "lookup_name": "The person whose page it is: a username or a number.",
}
"""Meanings of the columns that one decoder fills together."""
ROWS = {
    Kind.HOME: "Each event is one row.",
    Kind.CHILDREN: "An event of [{parent}]({parent}.md) has any number of rows if its action is"
    " {actions}. Join by `source`, `line` and `line_item`.",
}


def cell(text: str) -> str:
    """Text as a cell of a table holds it."""
    return text.replace("|", "\\|")


def code(words: tuple[str, ...]) -> str:
    """Words as they are spelled, with commas between."""
    return ", ".join(f"`{word}`" for word in words)


def column_rows(column: Column) -> list[str]:
    """The rows of a column, or of those that it fills."""
    fields = DECODERS[column.decoder].fields
    rows = []
    for (template, _), (name, of) in zip(fields or [("", "")], column.fields, strict=True):
        about = FIELDS[template].format(about=column.about) if fields else column.about
        rows.append(f"| `{name}` | {of} | {column.unit} | {cell(about)} | {column.role} |\n")
    return rows


def action_row(action: Action) -> str:
    """How an action is spelled."""
    types = code(action.types)
    if action.source:
        types += f", if `event_source` is `{action.source}`"
    if action.has:
        types = f"any of them, with `{action.has.text}`"
    return f"| `{action.name}` | {action.kind and f'`{action.kind}`'} | {types} |\n"


def flag_line(rule: FlagRule) -> str:
    """When actions are flagged."""
    when = []
    if rule.since:
        when.append(f"from {rule.since}")
    if rule.until:
        when.append(f"before {rule.until}")
    if rule.source:
        when.append(f"if `event_source` is `{rule.source}`")
    if rule.has:
        when.append(f"with `{rule.has.text}`")
    return f"- `{rule.flag}`: {code(rule.actions)} {', '.join(when)}\n"


def spellings(table: EventTable) -> str:
    """The section on actions."""
    if table.action_is_type:
        types = code(tuple(one.name for one in table.actions))
        return f"\n## Actions\n\n`action` is the event type: {types}.\n"
    if not table.actions:
        its = homes().types(table.name)
        told = f" Known types are {code(its)}." if its else ""
        return f"\n## Actions\n\n`action` is null.{told}\n"
    rows = "".join(map(action_row, table.actions))
    if not any(one.kind for one in table.actions):
        rows = re.sub(r"^(\| [^|]+ )\|  (?=\|)", r"\1", rows, flags=re.MULTILINE)
        return f"\n## Actions\n\n| action | event types |\n| --- | --- |\n{rows}"
    return f"\n## Actions\n\n| action | kind | event types |\n| --- | --- | --- |\n{rows}"


def question(name: str) -> str:
    """The section with a question and its queries."""
    asked = queries()[name]
    texts = [f"\n## {asked['question']}\n"]
    for language, called in LANGUAGES:
        texts.append(f"\n{called}:\n\n```{language}\n{asked[language].strip()}\n```\n")
    return "".join(texts)


def page(table: EventTable) -> str:
    """The page of a table."""
    actions = code(tuple(dict.fromkeys(one.name for one in table.actions)))
    parts = [
        f"# {table.name}\n\n{table.about}\n\n",
        ROWS[table.kind].format(parent=table.parent, actions=actions),
        "\n\n## Columns\n\nThey come after the [columns of every table](../tables.md#columns).\n\n",
        "| column | type | unit | what it holds | of a person |\n| --- | --- | --- | --- | --- |\n",
        *(row for column in table.columns for row in column_rows(column)),
    ]
    if table.kind is Kind.HOME:
        parts.append(spellings(table))
    if table.flags:
        parts += ["\nBesides the [flags](../tables.md#flags) that any table may have:\n\n"]
        parts += [flag_line(rule) for rule in table.flags]
    parts.append(question(table.name))
    return "".join(parts)


def queries() -> dict[str, dict[str, str]]:
    """Question and queries by table."""
    return tomllib.loads((FOLDER / "event_table_queries.toml").read_text("utf-8"))


def lists() -> dict[str, str]:
    """The lists of the page about tables, by their name."""
    tables = "| table | rows | what it is for |\n| --- | --- | --- |\n"
    for table in event_tables().values():
        rows = f"parts of `{table.parent}`" if table.parent else "events"
        first = re.split(r"(?<=[.:])\s", table.about)[0].rstrip(":.") + "."
        tables += f"| [{table.name}](tables/{table.name}.md) | {rows} | {cell(first)} |\n"
    flags = "| flag | when |\n| --- | --- |\n"
    for name, about in FLAGS.items():
        flags += f"| `{name}` | {about} |\n"
    decoders = "| decoder | type | gives |\n| --- | --- | --- |\n"
    shown = {name: decoder for name, decoder in DECODERS.items() if not decoder.rows}
    for name, decoder in shown.items():
        types = " or ".join(decoder.types) or "several columns"
        decoders += f"| `{name}` | {types} | {cell(decoder.about)} |\n"
    *first, last = (f"`{name}`" for name, decoder in shown.items() if not decoder.reads_paths)
    decoders += (
        f"\n{', '.join(first)} and {last} take no `paths`, since they read the event as a whole.\n"
    )
    return {"tables": tables, "flags": flags, "decoders": decoders}


def index(text: str) -> str:
    """The page about tables with its lists as they are now."""
    for name, rows in lists().items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, after = text.split(start)[0], text.split(end)[1]
        text = f"{before}{start}{rows}{end}{after}"
    return text


def pages() -> dict[str, str]:
    """Text by page, below `PAGES`."""
    made = {f"tables/{table.name}.md": page(table) for table in event_tables().values()}
    return {"tables.md": index((PAGES / "tables.md").read_text("utf-8")), **made}


if __name__ == "__main__":
    for name, text in pages().items():
        (PAGES / name).write_text(text, "utf-8")
