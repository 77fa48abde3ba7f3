"""Compares edxlogs with a plain reader on a sample of the user's own logs."""

from __future__ import annotations

import os
import platform
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from edxlogs import _core
from edxlogs.errors import ConfigError, DecryptError, EdxlogsError
from edxlogs.events.scanning import LineReader, Scanned
from edxlogs.gpg.process import Gpg
from edxlogs.jobs.looks.comparison import PLACE, Comparison, Row, cells
from edxlogs.jobs.looks.layers import Look, look
from edxlogs.jobs.settings import Settings
from edxlogs.jobs.work import select_sources
from edxlogs.plain import reader as plain
from edxlogs.sources.source import Source
from edxlogs.store.file import open_output
from edxlogs.text import many

SEED = 7
MOST_ROWS = 20_000  # that edxlogs makes of a source
MOST_LINES = 2_000  # of a source that are compared
MOST_SECONDS = 60.0  # after which no further source is begun
_MOST_TOLD = 30
_ARCHIVES = {"tar", "zip"}


@dataclass(repr=False)
class SelfTest:
    """The result of `selftest`. It prints as a Markdown page that names no person, file or course.

    Attributes:
        system: versions of the programs involved, by name.
        found: number of sources found.
        sources: of the sources tried, how many were compared, and how many were not, by reason.
        comparison: comparison of the lines.
        counts: counts of all lines that edxlogs read: lines, events, blank, rejected.
        rejected: rejected lines, by reason.
        mended: mended events, by mend.
        whole: differences between whole sources: what differs, and how often.
        failed: why sources could not be read, by their names. The page does not show it.
        inputs: everything that was found, which the page must not be written to.
    """

    system: dict[str, str]
    found: int
    sources: Counter[str] = field(default_factory=Counter)
    comparison: Comparison = field(default_factory=Comparison)
    counts: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    inputs: list[Source] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and nothing differs."""
        is_equal = not self.comparison.differences and not self.whole
        return is_equal and self.comparison.lines["event"] > 0

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        different = self.comparison.differences.total() + self.whole.total()
        if different:
            return f"{many(different, 'difference')} between edxlogs and a plain reader."
        if not self.agrees:
            return "Nothing was compared."
        values = self.comparison.values.total()
        return f"All agree: {many(values, 'value')} are those of a plain reader."

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _lines(self) -> Iterator[str]:
        yield "# edxlogs selftest"
        yield ""
        yield f"**{self.verdict}**"
        yield ""
        yield from _table("what", self.system | {f"sources {k}": v for k, v in self._read()})
        yield ""
        yield "Lines that edxlogs read:"
        yield ""
        named = {f"rejected: {name}": count for name, count in sorted(self.rejected.items())}
        named |= {f"mended: {name}": count for name, count in sorted(self.mended.items())}
        yield from _table("lines", dict(self.counts) | named)
        yield ""
        yield "Lines of the sample (odd ones need a mend, and are not compared):"
        yield ""
        yield from _table("lines", {name: self.comparison.lines[name] for name in _KINDS})
        yield ""
        yield from self._columns()
        yield from self._differences()

    def _read(self) -> Iterator[tuple[str, int]]:
        yield "found", self.found
        yield from sorted(self.sources.items())

    def _columns(self) -> Iterator[str]:
        different = Counter[str]()
        for one, count in self.comparison.differences.items():
            different[one.column] += count
        yield "| column | values compared | different |"
        yield "| --- | ---: | ---: |"
        for column in plain.COLUMNS:
            yield f"| {column} | {self.comparison.values[column]:,} | {different[column]:,} |"

    def _differences(self) -> Iterator[str]:
        told = self.comparison.differences.most_common()
        if told or self.whole:
            yield ""
            yield "| column | event type | plain reader | edxlogs | lines |"
            yield "| --- | --- | --- | --- | ---: |"
        for what, count in sorted(self.whole.items()):
            yield f"| whole sources | | {what} | | {count:,} |"
        for one, count in told[:_MOST_TOLD]:
            yield f"| {one.column} | {one.event_type} | {one.plain} | {one.fast} | {count:,} |"
        if len(told) > _MOST_TOLD:
            yield f"\nand {len(told) - _MOST_TOLD} more kinds of differences"


_KINDS = ("event", "blank", "odd")


def _table(what: str, values: dict[str, str | int] | dict[str, int]) -> Iterator[str]:
    yield f"| {what} | |"
    yield "| --- | ---: |"
    for name, value in values.items():
        yield f"| {name} | {f'{value:,}' if isinstance(value, int) else value} |"


def selftest(settings: Settings) -> SelfTest:
    """Compare what edxlogs and a plain reader make of a sample of lines.

    Sources are tried for about a minute, in an order that a seed determines. Of each, up to 2,000
    lines are compared, from those that make the first 20,000 rows.

    Raises:
        ConfigError: a source can be read only once, or a value is invalid.
        MissingSourceError: a named source does not exist.
        SourceError: no source can be searched.
    """
    selection = select_sources(settings, settings.conditions.window)
    sources = selection.sources
    if any(source.is_stream for source in sources):
        raise ConfigError("sources: a stream can be read once only; name a file")
    query = settings.query()
    with closing(settings.reading.keys.gpg()) as gpg:
        found = SelfTest(_system(gpg), len(sources) + len(selection.failures))
        found.inputs += selection.inputs
        for error in selection.failures:
            _fail(found, "cannot be opened", str(getattr(error, "source", "")), error)
        reader = LineReader(query, gpg, _core.Control())
        end = time.monotonic() + MOST_SECONDS
        for source in random.Random(SEED).sample(sources, len(sources)):
            if time.monotonic() > end:
                break
            _compare(found, source, reader)
    return found


def _system(gpg: Gpg) -> dict[str, str]:
    try:
        version = ".".join(map(str, gpg.version()))
    except DecryptError:
        version = "none that can be used"
    return {
        "edxlogs": _core.__version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "gpg": version,
    }


def _compare(found: SelfTest, source: Source, reader: LineReader) -> None:
    """Compare the two readers on one source."""
    if source.member is not None:
        found.sources["not compared: in an archive"] += 1
        return
    try:
        with reader.opened(source) as stored:
            seen = look(stored, source, reader.gpg)
    except (EdxlogsError, OSError) as error:
        _fail(found, "cannot be opened", source.label, error)
        return
    if _ARCHIVES & {layer.kind for layer in seen.layers}:
        found.sources["not compared: an archive"] += 1
        return
    lines = _lines(seen)
    scanned, rows = _rows(reader, source)
    problems = (seen.problem is not None, scanned.error is not None)
    if any(problems):
        # A reader that reads only a part cannot see damage beyond it.
        if not all(problems) and not seen.is_cut and not scanned.is_cut:
            who = "the plain reader" if problems[0] else "edxlogs"
            found.whole[f"damaged, {who} alone says"] += 1
        why = scanned.error or seen.problem
        _fail(found, "damaged, or without a key", source.label, why)
        return
    found.sources["compared"] += 1
    _count(found, scanned)
    last = len(lines)
    if scanned.is_cut:  # the rows of its last line may lack some
        last = min(last, max(rows) - 1)
    elif not seen.is_cut:
        _compare_counts(found, lines, scanned)
    for number in _sample(last):
        found.comparison.add(lines[number - 1], rows.get(number, ()))


def _fail(found: SelfTest, what: str, label: str, why: object) -> None:
    found.sources[f"not compared: {what}"] += 1
    found.failed[label] = str(why)


def _lines(seen: Look) -> list[bytes]:
    lines = seen.text.split(b"\n")
    if seen.is_cut or not lines[-1]:
        lines.pop()
    return lines


def _sample(count: int) -> list[int]:
    """Line numbers, from 1, in order."""
    rng = random.Random(f"{SEED}/{count}")
    return sorted(rng.sample(range(1, count + 1), min(count, MOST_LINES)))


def _count(found: SelfTest, scanned: Scanned) -> None:
    counts = scanned.counts
    for name in ("lines", "rows", "blank", "rejected"):
        found.counts["events" if name == "rows" else name] += getattr(counts, name)
    found.rejected.update(counts.reasons)
    found.mended.update(counts.mends)


def _compare_counts(found: SelfTest, lines: Sequence[bytes], scanned: Scanned) -> None:
    """Compare the line counts of a source that both readers have read to its end."""
    if len(lines) != scanned.counts.lines:
        found.whole["another number of lines"] += 1
    if sum(map(plain.is_blank, lines)) != scanned.counts.blank:
        found.whole["another number of blank lines"] += 1


def _rows(reader: LineReader, source: Source) -> tuple[Scanned, dict[int, list[Row]]]:
    """Scan a source. Returns the result, and its rows by line number."""
    read, write = os.pipe()
    data: list[bytes] = []

    def take() -> None:
        with open(read, "rb") as pipe:
            data.append(pipe.read())

    taker = threading.Thread(target=take, name="edxlogs-rows")
    taker.start()
    try:
        scanned = _scan(reader, source, write)
    finally:
        os.close(write)
        taker.join()
    header, *records = cells(b"".join(data).decode())
    rows: dict[int, list[Row]] = defaultdict(list)
    for record in records:
        row = {name or "": cell for name, cell in zip(header, record, strict=True)}
        rows[int(row[PLACE[0]] or 0)].append(row)
    return scanned, rows


def _scan(reader: LineReader, source: Source, descriptor: int) -> Scanned:
    """Write the rows of a source to a descriptor, and release the descriptor."""
    output = open_output(descriptor, reader.query, "csv")
    scanned = reader.scan(source, lambda: output, limit=MOST_ROWS)
    output.finish(sync=False)
    return scanned


COLUMNS = (*plain.COLUMNS, *PLACE)
