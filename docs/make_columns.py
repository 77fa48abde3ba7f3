"""Write docs/reference/columns.md from the columns that the compiled core defines."""

from __future__ import annotations

from pathlib import Path

from edxlogs import _core

HEAD = """\
# The columns

These columns are the default, in this order. `--columns` (`columns=` in Python) chooses and orders
them. A column may be null unless its cell "null when" is empty. Names and types are the same in
Parquet, Arrow, CSV and Python.

For any other value, give its path as in [`--where`](where.md), with a name for the column before
it: `grade=event.grade::float64`, `block=context.module.usage_key`. Without a name, the column is
named after the path without its cast: `event.grade`, which SQL accepts only in quotes. A path
without a cast gives text: strings as they are, anything else as JSON text.

| column | type | what it holds | null when | of a person |
| --- | --- | --- | --- | --- |
"""

TAIL = """\

- Never use `user_id` or `username` without `site`: the same number on `prod` and `edge` is two
  people.
- `time` comes from the event's own clock, `received_at` from the server's. A file has the date of
  receipt, so an event may be days older than its file. [Times](lines.md#times) lists the forms
  that are read.
- `course_source` says how `course_id` was found. `context` and `top` are the platform's own
  attribution (`--course-from context` accepts only `context`). `payload`, `usage_key`, `url` and
  `request` come from the event's payload, a block's key, an address, or a request's form.
- The last cell says what a column reveals about a person: an id (a session belongs to one
  person), a name, where they or their device can be found, or free text, which may reveal
  anything. `event_type` and `name` of implicit events are URLs, and may contain usernames.
- `context` and `event` are strict JSON text: NaN and the infinities become null, lone surrogates
  U+FFFD, and raw control characters are escaped. Every other byte is as it was written.
- `source`, `line` and `line_item` identify an event for good. `source` is the path below the
  folder, glob or prefix that you gave, or the path inside a tar. It is only the file's name if
  that name is one of edX's own, or if you named the file itself. If another text has the same
  name, `~` and eight digits of the text's CRC-32 follow. A text that [moves or
  grows](datasets.md#rotation-of-logs) keeps its name.
- Order, names and types are stable. `make docs` writes this page.
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
