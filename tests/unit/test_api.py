"""`edxlogs.filter`: its rows in four libraries, its order, its arguments."""

from __future__ import annotations

import datetime
import io
import json
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import edxlogs
import oracle
from decrypting import Ring
from edxlogs import _core
from edxlogs.errors import (
    ConfigError,
    SourceError,
)
from edxlogs.generator import keys
from small_logs import (
    COURSE,
    event,
    expected,
    lines,
    plain,
    real_shaped,
    without_site,
    write,
)

needs_gpg = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return real_shaped(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def rows(logs: list[Path]) -> list[dict[str, Any]]:
    return expected(*logs)


# --- into libraries


def test_pyarrow_table_equals_the_oracle(logs: list[Path], rows: list[dict[str, Any]]) -> None:
    stream = edxlogs.filter(logs)
    table = pa.table(stream)
    assert without_site(plain(table)) == rows
    sites = table["site"].to_pylist()
    assert sites == [row["source"].split("-")[1] for row in rows]
    assert stream.verified
    assert stream.account.rows_written == len(rows) == stream.account.total.rows


def test_duckdb_from_a_reader_and_polars_and_pandas(
    logs: list[Path], rows: list[dict[str, Any]]
) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    reader = pa.RecordBatchReader.from_stream(edxlogs.filter(logs))
    with duckdb.connect() as connection:
        table = connection.from_arrow(reader).to_arrow_table()
    assert without_site(plain(table.cast(edxlogs_schema()))) == rows

    frame = pl.DataFrame(edxlogs.filter(logs))
    assert frame.schema["time"] == pl.Datetime("us", "UTC")
    micros = frame.with_columns(pl.col("time", "received_at").cast(pl.Int64))
    assert without_site(micros.to_dicts()) == rows

    pandas = pd.DataFrame.from_arrow(edxlogs.filter(logs))
    assert list(pandas["line"]) == [row["line"] for row in rows]
    for name in ("event", "course_id", "username"):
        values = [None if pd.isna(value) else value for value in pandas[name]]
        assert values == [row[name] for row in rows]


def edxlogs_schema() -> pa.Schema:
    query = _core.Query()
    stream = _core.BatchStream(query, _core.Control())
    return pa.RecordBatchReader.from_stream(stream).schema


def test_duckdb_takes_the_capsule(logs: list[Path], rows: list[dict[str, Any]]) -> None:
    import duckdb

    stream = edxlogs.filter(logs, columns=["course_id", "line"])
    with duckdb.connect() as connection:
        counted = connection.execute("select count(*), sum(line) from stream").fetchall()
    assert counted == [(len(rows), sum(row["line"] for row in rows))]
    assert stream.verified


def test_iterating_gives_batches(logs: list[Path], rows: list[dict[str, Any]]) -> None:
    batches = list(edxlogs.filter(logs))
    assert all(isinstance(batch, pa.RecordBatch) and batch.num_rows for batch in batches)
    assert without_site(plain(pa.Table.from_batches(batches))) == rows


def test_conditions_equal_the_oracle(logs: list[Path]) -> None:
    table = pa.table(edxlogs.filter(logs, course=COURSE, event_type="problem_*"))
    wanted = expected(*logs, courses=[COURSE], event_types=["problem_*"])
    assert without_site(plain(table)) == wanted
    assert wanted


def test_time_conditions_of_every_form(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", lines(100))
    half = datetime.datetime(2014, 10, 1, 0, 0, 50)
    for since in (half, half.replace(tzinfo=datetime.UTC), "2014-10-01T00:00:50Z"):
        table = pa.table(edxlogs.filter(path, since=since, until=datetime.date(2014, 10, 2)))
        assert table["user_id"].to_pylist() == list(range(50, 100))


def test_no_row_is_a_table_with_every_column(logs: list[Path], tmp_path: Path) -> None:
    import polars as pl

    names = [name for name, *_ in _core.columns()]
    for sources in (logs, [write(tmp_path / "empty.log", b"")]):
        stream = edxlogs.filter(sources, course="course-v1:No+Such+Course")
        table = pa.table(stream)
        assert (table.num_rows, table.column_names) == (0, names)
        assert stream.verified
    assert pl.DataFrame(edxlogs.filter(logs, user="nobody at all")).shape == (0, len(names))


def test_casts_and_paths(tmp_path: Path) -> None:
    odd = event(3, event={"grade": "0.5", "odd": "yes", "number": 2.5, "when": "2014-10-01"})
    none = event(4, event=None)
    content = lines(2) + json.dumps(odd).encode() + b"\n" + json.dumps(none).encode() + b"\n"
    columns: dict[str, tuple[pa.DataType, list[Any] | None]] = {
        "event.grade::float64": (pa.float64(), [0.0, 0.5, 0.5, None]),
        "event.number::int64": (pa.int64(), [0, 1, None, None]),
        "event.odd::bool": (pa.bool_(), [False, True, None, None]),
        "event.when::timestamp": (pa.timestamp("us", "UTC"), None),
        "context": (pa.string(), None),
    }
    table = pa.table(edxlogs.filter(write(tmp_path / "a.log", content), columns=list(columns)))
    assert table.column_names == [name.split("::")[0] for name in columns]
    for name, (kind, values) in columns.items():
        column = table[name.split("::")[0]]
        assert column.type == kind
        if values is not None:
            assert column.to_pylist() == values
    text = pa.table(edxlogs.filter(tmp_path / "a.log", columns="event.number"))
    assert text.schema == pa.schema([("event.number", pa.string())])
    assert text["event.number"].to_pylist() == ["0", "1", "2.5", None]


# --- order


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_change_nothing(logs: list[Path], rows: list[dict[str, Any]], threads: int) -> None:
    assert without_site(plain(pa.table(edxlogs.filter(logs, threads=threads)))) == rows


def test_order_is_that_of_the_arguments(logs: list[Path]) -> None:
    backwards = logs[::-1]
    table = pa.table(edxlogs.filter(iter(backwards), threads=3))
    assert without_site(plain(table)) == expected(*backwards)


@needs_gpg
@pytest.mark.parametrize("threads", [1, 4])
def test_encrypted_sources(
    logs: list[Path], rows: list[dict[str, Any]], ring: Ring, tmp_path: Path, threads: int
) -> None:
    encrypted = []
    for path in logs:
        target = tmp_path / f"{path.name}.gpg"
        target.write_bytes(ring.encrypt(data=path.read_bytes()))
        encrypted.append(target)
    stream = edxlogs.filter(encrypted, gnupg_home=ring.path, threads=threads)
    table = without_site(plain(pa.table(stream)))
    assert [row | {"source": row["source"].removesuffix(".gpg")} for row in table] == rows
    assert stream.verified


@needs_gpg
@pytest.mark.parametrize("options", [[], ["--compress-algo", "none"]])
def test_bytes_after_a_message_do_not_double_its_rows(
    ring: Ring, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "a.log.gpg"
    path.write_bytes(ring.encrypt(*options, data=lines(1000)) + b"\0" * 600 + b"trailing")
    stream = edxlogs.filter(path, gnupg_home=ring.path)
    assert pa.table(stream)["user_id"].to_pylist() == list(range(1000))
    assert stream.verified
    assert stream.account.sources[0].warnings


# --- file objects


def test_file_objects(logs: list[Path], rows: list[dict[str, Any]]) -> None:
    with logs[1].open("rb") as second:
        stream = edxlogs.filter([logs[0], second, io.BytesIO(logs[2].read_bytes())])
        table = pa.table(stream)
        assert not second.closed
    named = [row | {"source": "stream"} if row["source"] == logs[2].name else row for row in rows]
    assert without_site(plain(table)) == named
    assert set(table["site"].to_pylist()) == {"edge", "prod", None}
    assert stream.verified


@needs_gpg
def test_an_encrypted_file_object(logs: list[Path], ring: Ring) -> None:
    message = ring.encrypt(data=logs[0].read_bytes())
    stream = edxlogs.filter(io.BytesIO(message), gnupg_home=ring.path)
    assert pa.table(stream)["line"].to_pylist() == [row["line"] for row in expected(logs[0])]
    assert stream.verified


class Breaks(io.RawIOBase):
    """Gives some bytes, then what a broken file gives."""

    def __init__(self, content: bytes, end: object) -> None:
        self.content, self.end = content, end

    def read(self, size: int = -1) -> Any:
        if self.content:
            content, self.content = self.content[:size], self.content[size:]
            return content
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


@pytest.mark.parametrize("end", [ValueError("I/O on closed file"), OSError(5, "broken"), "text"])
@pytest.mark.parametrize("count", [0, 2000])
def test_a_broken_file_object_is_an_error_of_its_source(
    end: object, count: int, tmp_path: Path
) -> None:
    good = write(tmp_path / "good.log", lines(3))
    stream = edxlogs.filter([Breaks(lines(count), end), good])
    seen: list[str] = []
    kind = type(end) if isinstance(end, Exception) else SourceError
    with pytest.raises(kind) as caught:  # noqa: PT012
        for batch in stream:
            seen += batch.column("source").to_pylist()
    assert seen.count("good.log") == 3
    if isinstance(caught.value, SourceError):
        assert caught.value.source == "stream"
    else:
        assert caught.value is end
    assert [one.status for one in stream.account.sources] == ["withheld", "delivered"]
    assert not stream.verified


def test_wrong_use_is_told_at_once(logs: list[Path], tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"threads": -1},
        {"where": "event.grade >="},
        {"where": 5},
        {"columns": []},
        {"columns": ["time", "time"]},
        {"columns": [1]},
        {"columns": ["time::int64"]},
        {"user": 42},
        {"course": b"bytes"},
        {"course": ""},
        {"category": "no such"},
        {"since": "yesterday"},
        {"since": 5},
        {"since": "2014-10-02", "until": "2014-10-01"},
        {"by": "received"},
        {"check": "slow"},
        {"course_from": "url"},
        {"max_line_bytes": 0},
        {"gnupg_home": tmp_path / "none"},
        {"passphrase_file": tmp_path / "none"},
    ]
    for options in wrong:
        with pytest.raises(ConfigError):
            edxlogs.filter(logs, **options)
    for sources in ([], [5], 5, b"x.log", None, [None]):
        with pytest.raises(ConfigError):
            edxlogs.filter(sources)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        edxlogs.filter(tmp_path / "none.log")


def test_without_pyarrow_iterating_says_what_to_install(
    logs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        next(iter(edxlogs.filter(logs)))


def test_two_threads_read_two_streams(logs: list[Path], rows: list[dict[str, Any]]) -> None:
    tables: list[pa.Table] = []
    readers = [
        threading.Thread(target=lambda: tables.append(pa.table(edxlogs.filter(logs))))
        for _ in range(2)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [table.num_rows for table in tables] == [len(rows)] * 2


def test_names_are_those_of_the_documentation() -> None:
    for name in edxlogs.__all__:
        assert getattr(edxlogs, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        edxlogs.nothing  # noqa: B018
    assert set(oracle.COLUMNS) < {name for name, *_ in _core.columns()}
