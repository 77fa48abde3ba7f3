"""How the package is used, for the type checker: `mypy --strict` reads this, nothing runs it."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any, assert_type

import edxlogs
from edxlogs import (
    Account,
    BatchStream,
    ConfigError,
    EdxlogsError,
    EventTableBatches,
    EventTables,
    MissingSourceError,
    Slack,
    Source,
    SourceError,
    Tables,
    TableStream,
)

stream = edxlogs.filter("logs")
assert_type(stream, BatchStream)
assert_type(stream.verified, bool)
assert_type(stream.account, Account)
assert_type(stream.account.rows_written, int)
assert_type(stream.account.total.kept, int)
assert_type(stream.stats, dict[str, Any])
assert_type(edxlogs.__version__, str)

edxlogs.filter(Path("a.log"))
edxlogs.filter(["a.log", Path("b.log"), io.BytesIO(b""), Source("c.log", "c.log", 5)])
edxlogs.filter(Path("logs").glob("*.gz"))
with open("a.log", "rb") as file:
    edxlogs.filter(file)
    edxlogs.filter([file])

edxlogs.filter(
    "logs",
    course="A/B/C",
    org=["UnivX"],
    event_type=("play_video", "pause_video"),
    category={"video"},
    user=iter(["learner"]),
    since=datetime.date(2014, 10, 1),
    until=datetime.datetime(2014, 10, 2, tzinfo=datetime.UTC),
    slack=Slack(1, 30),
    where=["event.grade >= 0.5"],
    columns=["time", "event.grade::float64"],
    gnupg_home=Path("ring"),
    threads=2,
)
edxlogs.filter("logs", slack=None, since="2014-10-01", columns=None)

with edxlogs.filter("logs") as closing:
    assert_type(closing, BatchStream)
    for batch in closing:
        rows: int = batch.num_rows
    closing.close()

capsule: object = stream.__arrow_c_stream__()

try:
    edxlogs.filter("none.log")
except MissingSourceError as missing:
    missing_file: FileNotFoundError = missing
    source_error: SourceError = missing
except ConfigError as config:
    value: ValueError = config
except EdxlogsError as error:
    assert_type(error.source, str | None)
    assert_type(error.line, int | None)
    assert_type(error.byte, int | None)

# What the checker must refuse.
edxlogs.filter("logs", "A/B/C")  # type: ignore
edxlogs.filter(5)  # type: ignore[arg-type]
edxlogs.filter("logs", course=5)  # type: ignore[arg-type]
edxlogs.filter("logs", since=5)  # type: ignore[arg-type]
edxlogs.filter("logs", courses="A/B/C")  # type: ignore[call-arg]
stream.verified = True  # type: ignore[misc]

written = edxlogs.write("logs", Path("out.parquet"), course="A/B/C", overwrite=True, threads=2)
assert_type(written.account, Account)
assert_type(written.is_whole, bool)
assert_type(written.report(), dict[str, Any])
edxlogs.write("logs", "events", partition_by=["course_id"], watcher=edxlogs.Watcher())
edxlogs.check("logs", site="prod", rejects="rejects.txt")
assert_type(edxlogs.list(["packages", Path("more")], kind=["events"]).failed, list[str])
assert_type(edxlogs.sync("packages", partner="universityx").counts, dict[str, int])
assert_type(edxlogs.convert("a.zip", "tables", table="auth_user").account.total.rows_written, int)
tables = edxlogs.event_tables("logs", tables=["video_events"], course="A/B/C", no_text=True)
assert_type(tables, EventTables)
assert_type(tables["video_events"], BatchStream)
batches = tables.batches()
assert_type(batches, EventTableBatches)
assert_type(batches.verified, bool)
for table, part in batches:
    assert_type(table, str)
    rows = part.num_rows
made = edxlogs.write_event_tables("logs", "out", tables="requests", table_file=Path("mine.toml"))
assert_type(made.tables[0].rows, int)
assert_type(made.account, Account)
edxlogs.write_event_tables("logs", "out", columns=["time"])  # type: ignore[call-arg]
assert_type(edxlogs.run(Path("job.toml")).is_whole, bool)
assert_type(edxlogs.compact("events").joined, int)
assert_type(
    edxlogs.cat("events", Path("a.csv"), days="2014-10-01..", course=["a/b/c"]).rows, int | None
)
assert_type(edxlogs.cat("events", "-", format="jsonl", columns=["time"]).warnings, list[str])
assert_type(edxlogs.clean(Path("events")).removed, int)
assert_type(edxlogs.publish("events").tables[0].version, int)
assert_type(edxlogs.merge(["a", Path("b")], "c").account.rows_written, int)
assert_type(edxlogs.doctor(folders=["."]).is_healthy, bool)
edxlogs.write("logs")  # type: ignore[call-arg]
edxlogs.write("logs", "out.csv", courses="A/B/C")  # type: ignore[call-arg]
edxlogs.check("logs", course="A/B/C")  # type: ignore[call-arg]

found = edxlogs.database_tables(
    ["a.zip", Path("b.zip")], course="A/B/C", site=["prod"], expand=True
)
assert_type(found, Tables)
assert_type(found["auth_user"], TableStream)
assert_type(found["auth_user"].verified, bool)
assert_type(found["auth_user"].account.total.rows_written, int)
