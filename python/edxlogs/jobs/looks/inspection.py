"""Looks into one file: its layers, days, first events, and the shapes of payloads in it."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from json import dumps
from textwrap import wrap
from typing import Any

from edxlogs import _core
from edxlogs.account import LineCounts, tallies
from edxlogs.edx.foreign import SHOWN_BY_INSPECT, kind_of
from edxlogs.errors import ConfigError, SourceError
from edxlogs.events.scanning import LineReader, Scanned
from edxlogs.gpg.input import Readable
from edxlogs.jobs.looks.layers import LOOKED_BYTES, File, Layer, Look, look
from edxlogs.jobs.looks.shapes import Shape, days_of, parsed, shapes_of
from edxlogs.jobs.settings import Keys, Settings
from edxlogs.jobs.words import OnePath
from edxlogs.s3.client import S3
from edxlogs.sources.selection import find_one
from edxlogs.sources.source import Source
from edxlogs.store.file import open_output
from edxlogs.text import many, shown, size

SCHEMA_VERSION = 1
_MOST_TYPES = 40  # that are shown to a person
_MOST_FILES = 10
_MOST_LINES = 3
_HEAD_BYTES = 64 << 10
_MOST_FIELDS = 24
_WIDTH = 96
_HARD = "\xa0"  # no line ends at such a space
_TEXT = "text"
# Keys that a log shipper puts around a line, and the shipper.
_SHIPPERS = (
    ("docker's json-file", {"log", "stream", "time"}),
    ("GELF", {"short_message"}),
    ("journald", {"MESSAGE", "__REALTIME_TIMESTAMP"}),
    ("Elasticsearch", {"_source"}),
    ("Vector", {"message", "source_type"}),
    ("Fluent Bit or fluentd", {"log"}),
)
_CRI = re.compile(rb"\d{4}-\d\d-\d\dT\S+ std(?:out|err) [FP] ")


@dataclass(frozen=True, repr=False)
class Inspection:
    """What a file contains. It prints as a page.

    Attributes:
        label: name of the file, escaped.
        size: bytes as stored; None for a stream.
        org: organisation in the file's name, or None.
        site: site in the file's name (`prod`, `edge` and so on), or None.
        date: day in the file's name, or None.
        layers: what the file is wrapped in, outermost first.
        member: which file of a tar was looked into, or None.
        problem: why the file could not be read further, or None.
        no_log: what the file is instead of a log, and what to do; None for a log.
        shipper: which log shipper wrapped its lines, or None.
        is_cut: whether only the beginning of its text was read.
        counts: counts of the lines in the text.
        days: number of events by day.
        shapes: shapes of events by event type.
        first: the first events.
        head: the first lines of a file of text that is no log; long ones are cut.
    """

    label: str
    size: int | None
    org: str | None
    site: str | None
    date: str | None
    layers: list[Layer]
    member: str | None = None
    problem: str | None = None
    no_log: str | None = None
    shipper: str | None = None
    is_cut: bool = False
    counts: LineCounts = field(default_factory=LineCounts)
    days: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    first: list[dict[str, Any]] = field(default_factory=list)
    head: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        told["layers"] = [one.report() for one in self.layers]
        return {"schema_version": SCHEMA_VERSION, "version": _core.__version__, **told}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _lines(self) -> Iterator[str]:
        yield self.label
        facts = {
            "size": None if self.size is None else f"{size(self.size)} ({self.size:,} bytes)",
            "name": self._name(),
            "layers": " > ".join([*map(str, self.layers), self._innermost()]),
            "lines": self._counted(),
            "days": self._days(),
        }
        for name, told in facts.items():
            if told:
                yield f"  {name:<8}{told}"
        for title in tallies({"rejected": self.counts.reasons, "mended": self.counts.mends}):
            yield f"  {title}"
        if self.no_log:
            yield f"  it {self.no_log}"
            yield from (f"    {shown(line)}" for line in self.head)
        if self.problem:
            yield f"  {self.problem}"
        for layer in self.layers:
            yield from _listed(layer.files)
        if self.shapes:
            yield from self._shapes()
        for event in self.first:
            yield ""
            yield from map(shown, dumps(event, indent=2, ensure_ascii=False).split("\n"))

    def _name(self) -> str:
        parts = {"organisation": self.org, "site": self.site, "day": self.date}
        return ", ".join(f"{what} {value}" for what, value in parts.items() if value)

    def _innermost(self) -> str:
        if self.no_log:
            return "no log"
        if not self.counts.lines:
            return "not read" if self.problem else "nothing"
        wrapped = f", wrapped by {self.shipper}" if self.shipper else ""
        lines = f"lines {'of' if self.shapes else 'without'} events{wrapped}"
        return lines if self.member is None else f"{self.member}: {lines}"

    def _counted(self) -> str:
        counts = self.counts
        if not counts.lines:
            return ""
        events = many(sum(one.count for one in self.shapes.values()), "event")
        told = f"{counts.lines:,}: {events}, {counts.rejected:,} rejected, {counts.blank:,} blank"
        return f"{told}; of the first {size(LOOKED_BYTES)} alone" if self.is_cut else told

    def _days(self) -> str:
        if not self.days:
            return ""
        first, last = min(self.days), max(self.days)
        most = max(self.days, key=lambda day: self.days[day])
        return first if first == last else f"{first} to {last}, most events on {most}"

    def _shapes(self) -> Iterator[str]:
        yield ""
        yield "Event types, and the keys of their payloads:"
        for name, shape in list(self.shapes.items())[:_MOST_TYPES]:
            sources = ", ".join(shown(one) for one, _ in shape.sources.most_common())
            payloads = ", ".join(kind for kind, _ in shape.payloads.most_common())
            about = f"{shape.count:,} from {sources or 'nowhere'}: {payloads}"
            yield f"  {_cut(shown(name)) or '(none)'}  {about}"
            fields = [_cut(shown(one)) for one in shape.fields()]
            more = len(fields) - _MOST_FIELDS
            told = ", ".join(one.replace(" ", _HARD) for one in fields[:_MOST_FIELDS])
            told += f" and {more} more" if more > 0 else ""
            indent = " " * 6
            for line in wrap(told, _WIDTH, initial_indent=indent, subsequent_indent=indent):
                yield line.replace(_HARD, " ")
        if len(self.shapes) > _MOST_TYPES:
            yield f"  and {len(self.shapes) - _MOST_TYPES} more; --json tells all"


def inspect(
    file: OnePath | Readable, keys: Keys, s3: S3 | None = None, *, events: int = 3
) -> Inspection:
    """Look into one file, without writing anything.

    Args:
        file: path, `s3://` URL, `-`, or an open binary file.
        keys: which key decrypts.
        s3: server and credentials; None takes them from the AWS configuration.
        events: how many events to show.

    Raises:
        ConfigError: the argument is not a single file, or a value is invalid.
        MissingSourceError: the file does not exist.
        SourceError: the file cannot be read.
    """
    if events < 0:
        raise ConfigError("events: must be 0 or more")
    source = find_one(file, s3)
    query = Settings.of((), "-", format="jsonl", check="full").query()
    gpg = keys.gpg()
    reader = LineReader(query, gpg, _core.Control())
    try:
        with reader.opened(source) as stored:
            found = look(stored, source, gpg)
    except OSError as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{source.label}: {error.strerror}", source.label) from error
    finally:
        gpg.close()
    told = Inspection(
        source.label,
        source.size,
        source.org,
        source.site,
        None if source.date is None else str(source.date),
        found.layers,
        found.member,
        found.problem,
        is_cut=found.is_cut,
    )
    return _with_events(told, found, reader, events) if found.text else told


def _with_events(told: Inspection, found: Look, reader: LineReader, count: int) -> Inspection:
    """Add what the text of the file contains."""
    text = found.text
    if found.is_cut:
        text = text[: text.rfind(b"\n") + 1] or text
    scanned, lines = _events(reader, text)
    events = [event for line in lines if isinstance(event := parsed(line), dict)]
    no_log = None if scanned.error is None else str(scanned.error)
    if scanned.no_log is not None:
        no_log = kind_of(text[:_HEAD_BYTES]).removesuffix(SHOWN_BY_INSPECT)
    wrapped = scanned.counts.mends.get("envelope")
    return replace(
        told,
        no_log=None if no_log is None else no_log.removeprefix(f"{_TEXT}: "),
        shipper=_shipper(text) if wrapped else None,
        counts=scanned.counts,
        days=dict(sorted(days_of(events).items())),
        shapes=shapes_of(events),
        first=events[:count],
        head=[] if no_log is None else _head(text),
    )


def _head(text: bytes) -> list[str]:
    """The first lines of a text, for a person; none of what is not text."""
    head = text[:_HEAD_BYTES]
    if b"\0" in head:
        return []
    lines = [line.decode(errors="backslashreplace") for line in head.split(b"\n") if line.strip()]
    return [_cut(line.rstrip()) for line in lines[:_MOST_LINES]]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _events(reader: LineReader, text: bytes) -> tuple[Scanned, list[bytes]]:
    """Scan a text. Returns the result, and its events, one line each."""
    read, write = os.pipe()
    lines: list[bytes] = []

    def take() -> None:
        with open(read, "rb") as pipe:
            lines.extend(pipe)

    taker = threading.Thread(target=take, name="edxlogs-events")
    taker.start()
    try:
        scanned = _scan(reader, text, write)
    finally:
        os.close(write)
        taker.join()
    return scanned, lines


def _scan(reader: LineReader, text: bytes, descriptor: int) -> Scanned:
    """Write the events of a text to a descriptor, and release the descriptor."""
    output = open_output(descriptor, reader.query, "jsonl")
    scanned = reader.scan(Source(_TEXT, _TEXT, None, file=io.BytesIO(text)), lambda: output)
    output.finish(sync=False)
    return scanned


def _shipper(text: bytes) -> str:
    """The log shipper that wrapped the first wrapped line, as far as its keys tell."""
    for line in text.splitlines()[:100]:
        if _CRI.match(line):
            return "a runtime of Kubernetes"
        try:
            keys = set(parsed(line))
        except (TypeError, ValueError):
            continue
        for name, theirs in _SHIPPERS:
            if theirs <= keys:
                return name
    return "a log shipper"


def _listed(files: list[File]) -> Iterator[str]:
    for one in files[:_MOST_FILES]:
        yield f"    {one.name}  {size(one.size)}"
    if len(files) > _MOST_FILES:
        yield f"    and {len(files) - _MOST_FILES} more"
