"""Write docs/reference/columns.md from the columns that the compiled core defines."""

from __future__ import annotations

from pathlib import Path

from edxlogs import _core

HEAD = """\
# The columns

These columns are the default, in this order; `--columns` (`columns=` in Python) picks and orders
them. Any column may be null unless the cell about it is empty. The same names and types hold in
Parquet, Arrow, CSV and Python.

Any other value is named by its path, as in [`--where`](where.md), and a name for the column stands
before it: `grade=event.grade::float64`, `block=context.module.usage_key`. Without one, the column
is called as the path is without its cast, `event.grade`, which SQL takes in quotes alone. A path
without a cast is text: strings bare, anything else as JSON text.

| column | type | what it holds | null when | of a person |
| --- | --- | --- | --- | --- |
"""

TAIL = """\

- `site` belongs to `user_id` and `username`: the same number on `prod` and `edge` is two people.
- `time` is the event's own clock, `received_at` the server's. A file is dated by receipt, so an
  event may be days older than its file. [Times](lines.md#times) says which forms are read.
- `course_source` tells how `course_id` was found. `context` and `top` are the platform's own
  attribution (`--course-from context` keeps to `context`); `payload`, `usage_key`, `url` and
  `request` are read from the event's payload, a block's key, an address, or a request's form.
- The last cell says what a column tells of a person: an id of theirs (a session is one person's),
  the name they go by, where they or their device are found, or free text, which may tell anything.
  `event_type` and `name` of implicit events are URLs, and may hold usernames.
- `context` and `event` are strict JSON text: NaN and the infinities become null, lone surrogates
  U+FFFD, raw control characters are escaped. Every other byte is as it was written.
- `source`, `line` and `line_item` name an event for good. `source` is the path below the folder,
  glob or prefix that was given, or the path inside a tar; the base name where it is one of edX's
  own or the file itself was named. Where another text has that name, `~` and eight digits of the
  CRC-32 of the text follow. A text that [moves or grows](datasets.md#rotation-of-logs) keeps its
  name.
- Order, names and types are stable. This page is written by `make docs`.
"""


def page() -> str:
    """The page as Markdown."""
    rows = [
        f"| `{name}` | {kind} | {origin} | {null} | {role} |\n"
        for name, kind, origin, null, role in _core.columns()
    ]
    return HEAD + "".join(rows) + TAIL


if __name__ == "__main__":
    (Path(__file__).parent / "reference/columns.md").write_text(page(), encoding="utf-8")
