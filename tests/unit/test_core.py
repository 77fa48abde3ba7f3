"""The compiled module: parts, outputs and their files, as other programs read them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edxlogs import _core
from edxlogs.errors import (
    ConfigError,
    FormatError,
    InflateError,
    MissingSourceError,
    OutputError,
    SourceError,
    StoppedError,
)
from edxlogs.query import Conditions, make_query
from small_logs import event, expected, lines, plain, without_site, write

COLUMN_FORMATS = ("parquet", "csv", "arrow")
LINE_FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst")
FORMATS = COLUMN_FORMATS + LINE_FORMATS
TINY, LARGE = 1, 1 << 30
MANY = 3000  # events of the largest source: more bytes than one read takes
# Long text, of which no reader asks for a range.
WITHOUT_STATISTICS = [
    "accept_language",
    "agent",
    "context",
    "event",
    "host",
    "ip",
    "page",
    "path",
    "referer",
    "session",
]
METADATA = [("edxlogs.version", "1.2.3"), ("edxlogs.query", '{"courses": ["Zo\u00eb"]}')]

Query = _core.Query


def query_for(format_name: str, **options: Any) -> Query:
    collect = "lines" if format_name.startswith("jsonl") else "columns"
    return make_query(Conditions(), collect=collect, **options)


def make_part(
    path: Path, query: Query, format_name: str, memory_bytes: int, hidden: Path | None
) -> _core.Part:
    writer = _core.PartWriter(query, format_name, path=hidden, memory_bytes=memory_bytes)
    _, error = _core.scan(str(path), query, writer, name=path.name, control=_core.Control())
    assert error is None
    return writer.finish()


def write_parts(
    folder: Path,
    paths: Sequence[Path],
    format_name: str,
    memory: Sequence[int],
    spilled: Sequence[bool] = (),
) -> Path:
    """An output of a part for each path, in order."""
    target = folder / f"out-{len(os.listdir(folder))}"
    query = query_for(format_name)
    output = _core.Output(target, query, format_name, METADATA)
    parts = []
    part: _core.Part | None
    for number, path in enumerate(paths):
        hidden = folder / f"hidden-{number}"
        part = make_part(path, query, format_name, memory[number % len(memory)], hidden)
        if spilled and spilled[number % len(spilled)]:
            part.spill()
        parts.append(part)
    for part in parts:
        output.append(part)
    output.finish(sync=True)
    part = None
    parts.clear()
    assert not list(folder.glob("hidden-*"))
    return target


def read_rows(target: Path, format_name: str) -> list[Any]:
    """The rows of an output by another program: lists of text for CSV, events for lines."""
    if format_name == "parquet":
        return plain(pq.read_table(target))
    if format_name == "arrow":
        return plain(pa.feather.read_table(target))
    if format_name == "csv":
        with target.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))
    content = target.read_bytes()
    if format_name == "jsonl.gz":
        content = gzip.decompress(content)
    if format_name == "jsonl.zst":
        with pa.CompressedInputStream(pa.OSFile(str(target)), "zstd") as stream:
            content = stream.read()
    return content.splitlines(keepends=True)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Sources of different sizes: none, one batch, several."""
    folder = tmp_path_factory.mktemp("logs")
    odd = json.dumps(event(7, username='a "quoted",\nname', page="", referer="=1+1")).encode()
    contents = [lines(500), b"", lines(MANY, 5000), odd + b"\n" + lines(2), b"\n\n", lines(1, 50)]
    return [write(folder / f"{n}.log.gz", content) for n, content in enumerate(contents)]


@pytest.fixture(scope="module")
def rows(logs: list[Path]) -> list[dict[str, Any]]:
    return expected(*logs)


# --- parts


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("memory", [[TINY], [LARGE], [TINY, LARGE]])
@pytest.mark.parametrize("spilled", [[False], [True], [True, False, False]])
def test_parts_make_the_file_that_one_part_would(
    logs: list[Path],
    rows: list[dict[str, Any]],
    tmp_path: Path,
    format_name: str,
    memory: list[int],
    spilled: list[bool],
) -> None:
    target = write_parts(tmp_path, logs, format_name, memory, spilled)
    read = read_rows(target, format_name)
    if format_name in LINE_FORMATS:
        events = [
            line for path in logs for line in gzip.decompress(path.read_bytes()).splitlines(True)
        ]
        assert read == [line for line in events if line.strip()]
    elif format_name == "csv":
        names = [name for name, *_ in _core.columns()]
        assert read[0] == names
        at = names.index
        wanted = [[str(row["line"]), row["username"], row["page"] or ""] for row in rows]
        assert [
            [row[at("line")], row[at("username")], row[at("page")]] for row in read[1:]
        ] == wanted
    else:
        assert without_site(read) == rows


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([TINY, 2000, LARGE]), st.booleans()),
        max_size=9,
    ),
    st.sampled_from(FORMATS),
)
def test_any_parts_in_any_order(
    logs: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[tuple[int, int, bool]],
    format_name: str,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    paths = []
    for number, (count, _, _) in enumerate(parts):
        paths.append(write(folder / f"{number}.log", lines(count, number * 10)))
    memory = [memory for _, memory, _ in parts] or [TINY]
    spilled = [spilled for _, _, spilled in parts]
    rows = read_rows(write_parts(folder, paths, format_name, memory, spilled), format_name)
    if format_name == "csv":
        user_id = rows[0].index("user_id")
        assert [int(row[user_id]) for row in rows[1:]] == [
            json.loads(line)["context"]["user_id"]
            for path in paths
            for line in path.read_bytes().splitlines()
        ]
    elif format_name in LINE_FORMATS:
        assert b"".join(rows) == b"".join(path.read_bytes() for path in paths)
    else:
        assert without_site(rows) == expected(*paths)


@pytest.mark.parametrize("format_name", FORMATS)
def test_no_source_is_a_valid_file(tmp_path: Path, format_name: str) -> None:
    target = write_parts(tmp_path, [], format_name, [TINY])
    rows = read_rows(target, format_name)
    assert rows == ([[name for name, *_ in _core.columns()]] if format_name == "csv" else [])
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("memory", [TINY, LARGE])
def test_a_part_that_is_dropped_leaves_nothing(
    logs: list[Path], tmp_path: Path, format_name: str, memory: int
) -> None:
    hidden = tmp_path / "hidden"
    part = make_part(logs[2], query_for(format_name), format_name, memory, hidden)
    part.spill()
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o600
    assert part.memory_bytes == 0
    assert not part.outgrown
    part.spill()
    del part
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_part_without_a_place_outgrows_memory(logs: list[Path], format_name: str) -> None:
    query = query_for(format_name)
    part = make_part(logs[2], query, format_name, TINY, None)
    assert part.outgrown
    assert part.memory_bytes == 0
    small = make_part(logs[2], query, format_name, LARGE, None)
    assert not small.outgrown
    held = small.memory_bytes
    assert held > 500_000
    small.spill()  # there is no place, so it stays
    assert small.memory_bytes == held


def test_an_outgrown_part_cannot_be_appended(logs: list[Path], tmp_path: Path) -> None:
    for format_name in FORMATS:
        query = query_for(format_name)
        output = _core.Output(tmp_path / format_name, query, format_name, [])
        with pytest.raises(RuntimeError, match="report it"):
            output.append(make_part(logs[2], query, format_name, TINY, None))


def test_writers_and_outputs_are_used_up(logs: list[Path], tmp_path: Path) -> None:
    query = query_for("csv")
    writer = _core.PartWriter(query, "csv")
    part = writer.finish()
    output = _core.Output(tmp_path / "out", query, "csv", [])
    output.finish(sync=False)
    for use in (
        writer.finish,
        lambda: output.append(part),
        output.flush,
        lambda: output.finish(sync=True),
        lambda: _core.scan(str(logs[0]), query, writer, name="x", control=_core.Control()),
    ):
        with pytest.raises(ConfigError, match="used up"):
            use()


def test_an_output_takes_no_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            _core.Output(tmp_path / name, query_for("csv"), "csv", [])
    assert (tmp_path / "there").read_bytes() == b"precious"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_full_disk(logs: list[Path], format_name: str) -> None:
    query = query_for(format_name)
    with open("/dev/full", "wb", buffering=0) as full:
        output = _core.Output(full.fileno(), query, format_name, [])
        with pytest.raises(OutputError, match="No space left"):  # noqa: PT012
            for _ in range(20):
                output.append(make_part(logs[2], query, format_name, LARGE, None))
            output.finish(sync=False)


def test_a_hidden_file_that_cannot_be_made(logs: list[Path], tmp_path: Path) -> None:
    for format_name in FORMATS:
        query = query_for(format_name)
        writer = _core.PartWriter(
            query, format_name, path=tmp_path / "none" / "part", memory_bytes=TINY
        )
        _, error = _core.scan(str(logs[0]), query, writer, name="x", control=_core.Control())
        if error is None:  # only the next batch would have moved it
            part = writer.finish()
            with pytest.raises(OutputError):
                part.spill()
        else:
            assert isinstance(error, OutputError)


def test_output_to_a_descriptor(logs: list[Path], tmp_path: Path) -> None:
    for format_name in FORMATS:
        with (tmp_path / format_name).open("w+b") as file:
            query = query_for(format_name)
            output = _core.Output(file.fileno(), query, format_name, [])
            output.append(make_part(logs[0], query, format_name, LARGE, None))
            output.finish(sync=False)
            os.fstat(file.fileno())  # still the caller's
        header = format_name == "csv"
        assert len(read_rows(tmp_path / format_name, format_name)) == 500 + header


# --- formats


@pytest.mark.parametrize("memory", [TINY, LARGE])
def test_parquet_for_its_readers(tmp_path: Path, memory: int) -> None:
    import duckdb

    line = json.dumps(event(5, event={"text": "x" * 20})).encode() + b"\n"
    big = write(tmp_path / "big.log", line * 130_000)
    target = write_parts(tmp_path, [big, big], "parquet", [memory])
    file = pq.ParquetFile(target)
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    assert sum(group.num_rows for group in groups) == 260_000
    assert max(group.num_rows for group in groups) <= 122_880
    for key, value in METADATA:
        assert metadata.metadata[key.encode()].decode() == value
    assert metadata.created_by.startswith("edxlogs ")
    schema = file.schema_arrow
    assert schema.field("time").type == pa.timestamp("us", "UTC")
    assert {str(field.type) for field in schema} == {"string", "int64", "timestamp[us, tz=UTC]"}
    for group in groups:
        for number in range(group.num_columns):
            column = group.column(number)
            assert column.compression == "ZSTD"
            assert column.is_stats_set == (column.path_in_schema not in WITHOUT_STATISTICS)
    names = [groups[0].column(number).path_in_schema for number in range(groups[0].num_columns)]
    course = groups[0].column(names.index("course_id"))
    assert course.has_dictionary_page
    assert course.statistics.min == course.statistics.max == event()["context"]["course_id"]
    with duckdb.connect() as connection:
        counted = connection.execute(
            "select count(*), count(distinct line), bool_and(json_valid(event))"
            " from read_parquet(?)",
            [str(target)],
        ).fetchall()
    assert counted == [(260_000, 130_000, True)]


def test_arrow_holds_the_metadata_and_no_dictionary(logs: list[Path], tmp_path: Path) -> None:
    target = write_parts(tmp_path, logs, "arrow", [LARGE])
    with pa.OSFile(str(target)) as file:
        schema = pa.ipc.open_file(file).schema
    assert {key.decode(): value.decode() for key, value in schema.metadata.items()} == dict(
        METADATA
    )
    assert not any(pa.types.is_dictionary(field.type) for field in schema)
    declared = {"string": "string", "int64": "int64", "timestamp[us, UTC]": "timestamp[us, tz=UTC]"}
    assert [(field.name, str(field.type)) for field in schema] == [
        (name, declared[kind]) for name, kind, _, _ in _core.columns()
    ]


def test_csv_tells_null_from_empty(logs: list[Path], tmp_path: Path) -> None:
    """An empty cell is null; empty text is quoted. PyArrow can tell the two apart."""
    import pyarrow.csv as pacsv

    target = write_parts(tmp_path, [logs[3]], "csv", [LARGE])
    options = pacsv.ConvertOptions(
        strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
    )
    parse = pacsv.ParseOptions(newlines_in_values=True)
    table = pacsv.read_csv(target, convert_options=options, parse_options=parse)
    assert table["page"].to_pylist() == ["", None, None]
    assert table["username"].to_pylist()[0] == 'a "quoted",\nname'
    assert table["referer"].to_pylist() == ["=1+1", None, None]


def test_csv_for_spreadsheets(tmp_path: Path) -> None:
    starts = ["=1", "+1", "-1", "@a", "\ta", "\ra", "a=1", "", "'a", '="x"']
    content = b"".join(json.dumps(event(0, page=text)).encode() + b"\n" for text in starts)
    path = write(tmp_path / "a.log", content)
    query = make_query(Conditions(), columns=["page", "user_id"])
    output = _core.Output(tmp_path / "out", query, "csv-excel-safe", [])
    output.append(make_part(path, query, "csv-excel-safe", LARGE, None))
    output.finish(sync=False)
    cells = [row[0] for row in read_rows(tmp_path / "out", "csv")[1:]]
    assert cells == [
        f"'{text}" if text[:1] in set("=+-@\t\r") and text else text for text in starts
    ]


def test_members_and_frames_are_whole(logs: list[Path], tmp_path: Path) -> None:
    """Other programs than Python's read what was joined from parts."""
    wanted = b"".join(
        line
        for path in logs
        for line in gzip.decompress(path.read_bytes()).splitlines(True)
        if line.strip()
    )
    target = write_parts(tmp_path, logs, "jsonl.gz", [TINY, LARGE])
    done = subprocess.run(["gzip", "-dc", "-f"], input=target.read_bytes(), capture_output=True)
    assert done.stdout == wanted


# --- rejects


def test_rejects_beyond_memory(tmp_path: Path) -> None:
    bad = b"".join(b"no event %d " % number + b"x" * 2000 + b"\n" for number in range(1500))
    path = write(tmp_path / "a.log", bad)
    query = make_query(Conditions(), collect="nothing", keep_rejects=True)

    def rejects(place: Path | None) -> bytes:
        writer = _core.PartWriter(query, "jsonl", rejects_path=place)
        counts, error = _core.scan(str(path), query, writer, name="a.log", control=_core.Control())
        assert (error, counts["rejected"]) == (None, 1500)
        with (tmp_path / "rejects").open("w+b") as file:
            writer.finish().copy_rejects(file.fileno())
            file.seek(0)
            return file.read()

    written = rejects(tmp_path / "hidden")
    assert not (tmp_path / "hidden").exists()
    assert b"".join(line for line in written.splitlines(True) if line[:1] != b"#") == bad
    comments = [line for line in written.splitlines() if line[:1] == b"#"]
    offset = 0
    for number, (comment, line) in enumerate(zip(comments, bad.splitlines(True), strict=True), 1):
        place = json.loads(comment.split(b": ", 1)[1])
        assert (place["source"], place["line"], place["byte"]) == ("a.log", number, offset)
        offset += len(line)
    with pytest.raises(RuntimeError, match="rejected lines were dropped"):
        rejects(None)


# --- scans


class Chunks:
    """A file object that gives what it likes."""

    def __init__(self, chunks: list[Any]) -> None:
        self.chunks = chunks

    def read(self, size: int) -> Any:
        chunk = self.chunks.pop(0) if self.chunks else b""
        if isinstance(chunk, Exception):
            raise chunk
        return chunk


def scan(source: Any, **options: Any) -> tuple[dict[str, Any], Exception | None]:
    query = make_query(Conditions(), collect="nothing")
    usual: dict[str, Any] = {"name": "x", "control": _core.Control()}
    return _core.scan(source, query, None, **(usual | options))


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 7, 100_000, 3_000_000])
def test_file_objects_may_give_any_size(size: int, threads: int) -> None:
    packed = gzip.compress(lines(200 if size == 1 else 9000))
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    counts, error = scan(Chunks(chunks), threads=threads)
    assert error is None
    assert counts["lines"] == counts["kept"] == (200 if size == 1 else 9000)
    assert counts["bytes_read"] == len(packed)


@pytest.mark.parametrize(
    "bad", [None, "text", 5, bytearray(b"{}"), ValueError("no"), OSError(5, "x")]
)
def test_file_objects_that_fail(bad: object) -> None:
    for before in ([], [lines(3)]):
        _, error = scan(Chunks([*before, bad]))
        assert isinstance(error, SourceError)
        assert error.source == "x"


def test_inputs_of_every_kind(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", lines(5))
    with path.open("rb") as file:
        counted = [
            scan(path)[0]["lines"],
            scan(str(path))[0]["lines"],
            scan(file.fileno())[0]["lines"],
            scan(io.BytesIO(lines(5)))[0]["lines"],
            scan(path, offset=len(lines(2)))[0]["lines"],
            scan(path, length=len(lines(2)))[0]["lines"],
            scan(path, offset=len(lines(2)), length=len(lines(1, 2)))[0]["lines"],
        ]
        os.fstat(file.fileno())
    assert counted == [5, 5, 5, 5, 3, 2, 1]
    with pytest.raises(OSError):  # noqa: PT011 - that of the system
        scan(-1)
    with pytest.raises(OSError):  # noqa: PT011
        scan(987_654)
    with pytest.raises(TypeError):
        scan(None)


def test_errors_of_sources(tmp_path: Path) -> None:
    packed = gzip.compress(lines(50))
    damaged = bytearray(packed)
    damaged[-6] ^= 1
    cases: list[tuple[bytes, type[Exception]]] = [
        (packed[:-9], InflateError),
        (bytes(damaged), InflateError),
        (gzip.compress(gzip.compress(gzip.compress(packed))), FormatError),
        (gzip.compress(b"-----BEGIN PGP MESSAGE-----\n\n"), FormatError),
    ]
    for content, kind in cases:
        path = tmp_path / "a.log.gz"
        path.write_bytes(content)
        _, error = scan(path)
        assert type(error) is kind
        assert getattr(error, "source", None) == "x"
    assert type(scan(tmp_path / "none")[1]) is MissingSourceError
    assert type(scan(tmp_path)[1]) is SourceError


def test_wrong_names() -> None:
    query = query_for("csv")
    with pytest.raises(ConfigError):
        _core.PartWriter(query, "xlsx")
    with pytest.raises(TypeError):
        _core.scan("x", query, object(), name="x", control=_core.Control())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _core.Query(unknown=["x"])  # type: ignore[call-arg]


# --- control


@pytest.mark.parametrize("threads", [1, 3])
def test_a_scan_stops(tmp_path: Path, threads: int) -> None:
    reader, writer = os.pipe()
    control = _core.Control()
    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.append(scan(reader, control=control, threads=threads))
    )
    thread.start()
    os.write(writer, lines(20))
    time.sleep(0.2)
    assert not results
    start = time.monotonic()
    control.stop()
    thread.join(timeout=5)
    assert time.monotonic() - start < 0.5
    os.close(reader)
    os.close(writer)
    assert control.stopped
    assert isinstance(results[0][1], StoppedError)


def test_control_counts_bytes(tmp_path: Path) -> None:
    control = _core.Control()
    path = write(tmp_path / "a.log.gz", lines(500))
    scan(path, control=control)
    scan(path, control=control)
    assert control.bytes_read == 2 * path.stat().st_size
    assert control.bytes_expanded == 2 * len(lines(500))
    assert not control.stopped


def test_the_interpreter_is_released(tmp_path: Path) -> None:
    """Another thread runs while a scan waits for a pipe."""
    reader, writer = os.pipe()
    ticks = 0
    thread = threading.Thread(target=lambda: scan(reader))
    thread.start()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        ticks += 1
        time.sleep(0.001)
    os.close(writer)
    thread.join(timeout=5)
    os.close(reader)
    assert ticks > 50


# --- times, columns, stubs


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01", 0),
        ("1970-01-02T00:00:00.000001Z", 86_400_000_001),
        ("2014-10-01T00:00:00+02:00", 1_412_114_400_000_000),
        ("1969-12-31", -86_400_000_000),
        ("2014-10", None),
        ("now", None),
        ("", None),
    ],
)
def test_times(text: str, micros: int | None) -> None:
    assert _core.parse_time(text) == micros


def test_columns_are_described() -> None:
    described = _core.columns()
    assert len(described) == 24
    assert {kind for _, kind, _, _ in described} == {"string", "int64", "timestamp[us, UTC]"}
    assert all(name and origin for name, _, origin, _ in described)
    assert Query().column_names == [name for name, *_ in described]


def test_the_stub_says_what_is_there(tmp_path: Path) -> None:
    """mypy's stubtest compares `_core.pyi` with the compiled module."""
    pytest.importorskip("mypy.stubtest")
    # A copy: mypy looks for no sources among installed packages.
    shutil.copytree(Path(_core.__file__).parent, tmp_path / "edxlogs")
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "edxlogs._core"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MYPYPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
