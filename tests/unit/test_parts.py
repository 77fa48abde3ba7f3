"""Parts, outputs and their files, as other programs read them."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import os
import stat
import subprocess
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
    OutputError,
)
from edxlogs.events.query import Conditions, make_query
from small_logs import event, expected, lines, plain, without_site, write

CELL_FORMATS = ("csv", "csv.gz", "csv.zst", "tsv", "tsv.gz", "tsv.zst")
COLUMN_FORMATS = ("parquet", "arrow", *CELL_FORMATS)
LINE_FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst")
FORMATS = COLUMN_FORMATS + LINE_FORMATS
TINY, LARGE = 1, 1 << 30
MANY = 3000  # events of the largest source: more bytes than one read takes
# Long text, of which no reader asks for a range.
WITHOUT_STATISTICS = [
    *("user_id", "username"),  # bounds would name persons
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
    content = target.read_bytes()
    if format_name.endswith(".gz"):
        content = gzip.decompress(content)
    if format_name.endswith(".zst"):
        with pa.CompressedInputStream(pa.OSFile(str(target)), "zstd") as stream:
            content = stream.read()
    if format_name in CELL_FORMATS:
        separator = "\t" if format_name.startswith("tsv") else ","
        return list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator))
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
    elif format_name in CELL_FORMATS:
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
    if format_name in CELL_FORMATS:
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


@pytest.mark.parametrize(
    ("format_name", "kept"),
    [
        ("parquet", "parquet"),
        ("arrow", "batches"),
        ("csv", "bytes"),
        ("jsonl.gz", "compressed"),
        ("tsv.zst", "compressed"),
    ],
)
def test_a_large_part_stands_as_its_output_takes_it(
    logs: list[Path], tmp_path: Path, format_name: str, kept: str
) -> None:
    part = make_part(logs[2], query_for(format_name), format_name, TINY, tmp_path / "hidden")
    assert part.keep(tmp_path / "kept") == kept


@pytest.mark.parametrize("format_name", FORMATS)
def test_no_source_is_a_valid_file(tmp_path: Path, format_name: str) -> None:
    target = write_parts(tmp_path, [], format_name, [TINY])
    rows = read_rows(target, format_name)
    assert rows == ([[name for name, *_ in _core.columns()]] if format_name in CELL_FORMATS else [])
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
        with pytest.raises(FileExistsError) as caught:
            _core.Output(tmp_path / name, query_for("csv"), "csv", [])
        assert caught.value.errno == errno.EEXIST
    assert (tmp_path / "there").read_bytes() == b"precious"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_full_disk(logs: list[Path], format_name: str) -> None:
    query = query_for(format_name)
    with open("/dev/full", "wb", buffering=0) as full:
        output = _core.Output(full.fileno(), query, format_name, [])
        with pytest.raises(OutputError, match="No space left") as caught:  # noqa: PT012
            for _ in range(20):
                output.append(make_part(logs[2], query, format_name, LARGE, None))
            output.finish(sync=False)
    assert caught.value.errno == errno.ENOSPC
    assert not caught.value.is_placed


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
        header = format_name in CELL_FORMATS
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
        (name, declared[kind]) for name, kind, *_ in _core.columns()
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


def test_parts_that_wait_hold_no_file_open(tmp_path: Path) -> None:
    """Any number may wait for their turn, whatever a process may have open."""
    path = write(tmp_path / "a.log", lines(MANY) + b"no event\n" * 200_000)
    query = make_query(Conditions(), collect="columns", keep_rejects=True)
    before = len(os.listdir("/dev/fd"))
    parts = []
    for number in range(3):
        hidden = tmp_path / f"hidden-{number}"
        beside = tmp_path / f"rejects-{number}"
        writer = _core.PartWriter(
            query, "parquet", path=hidden, rejects_path=beside, memory_bytes=TINY
        )
        _, error = _core.scan(str(path), query, writer, name="a.log", control=_core.Control())
        assert error is None
        parts.append(writer.finish())
        assert hidden.exists()
        assert beside.exists()
    assert len(os.listdir("/dev/fd")) == before


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
