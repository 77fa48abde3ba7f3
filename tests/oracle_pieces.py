"""Pieces of messages that a log shipper cut, joined by plain Python: a part of the oracle.

docker ends the last piece of a message alone with LF; the runtimes of Kubernetes mark a piece with
P and the last one with F. It never imports edxlogs and is never made fast.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from oracle_mend import (
    ASCII_SPACE,
    CRI_HEAD,
    MAX_ENVELOPES,
    MESSAGE_KEYS,
    Outcome,
    decode,
    members,
    read_events,
    read_text,
    scan,
    strict,
)

PLATFORM_KEYS = frozenset(
    {"username", "event_source", "name", "event_type", "agent", "context", "session", "event"}
    | {"ip", "page", "accept_language", "referer"}
)
"""No line of docker's has one of these."""
DOCKER_PIECE = 16 * 1024


@dataclass
class _Piece:
    """A line of a shipper that cuts messages; `text` holds what is not UTF-8 as surrogates."""

    stream: tuple[str, ...]
    text: str
    is_last: bool
    is_marked: bool
    envelopes: int
    mends: set[str] = field(default_factory=set)

    def read(self) -> Outcome:
        """Its text as a message of its own."""
        return read_text(self.text, self.mends | {"envelope"}, self.envelopes)

    @property
    def begins(self) -> bool:
        """Whether it is the first of several, where none came before."""
        if self.is_last or self.is_marked:
            return not self.is_last
        outcome = self.read()
        if outcome.kind == "events":
            return False
        return outcome.reason == "truncated" or len(self.text.encode()) >= DOCKER_PIECE


def _piece(text: str, envelopes: int = 0) -> _Piece | None:
    if envelopes == MAX_ENVELOPES:
        return None
    envelopes += 1
    if head := CRI_HEAD.match(text):
        message, stream = text[head.end() :], head["stream"]
        if head["tag"] == "P":
            return _Piece((stream,), message, False, True, envelopes)
        inner = _piece(message, envelopes)
        if inner is None:
            return _Piece((stream,), message, True, False, envelopes)
        return replace(inner, stream=(stream, *inner.stream))
    text = text.strip(ASCII_SPACE)
    end = scan(text, 0)
    if not text.startswith("{") or end.status != "complete" or end.end != len(text):
        return None
    found = dict(members(text))
    if not PLATFORM_KEYS.isdisjoint(found):
        return None
    log, name = found.get("log", ""), found.get("stream", "")
    tag = {'"P"': True, '"F"': False}.get(found.get("logtag", ""))  # Fluent Bit's, of a CRI line
    if tag is not None and not log.startswith('"'):
        log = found.get("message", "")
    if not (log.startswith('"') and name.startswith('"')):
        for key in MESSAGE_KEYS:
            value = found.get(key, "null")
            message = value if value.startswith("{") else ""
            mends: set[str] = set()
            if value.startswith('"'):
                value, mends = strict(value)
                message = decode(value).strip(ASCII_SPACE)
            if inner := _piece(message, envelopes):
                return replace(inner, stream=("", *inner.stream), mends=inner.mends | mends)
        return None
    log, mends = strict(log)
    message = decode(log)
    whole = message.endswith("\n") if tag is None else not tag
    keys = ("stream", "container_id", "container_name", "kubernetes")
    told = [found.get(key, "") for key in keys]
    stream = tuple(decode(strict(one)[0]) if one.startswith('"') else one for one in told)
    inner = _piece(message.strip(ASCII_SPACE), envelopes) if whole else None
    if inner is None:
        return _Piece(stream, message, whole, tag is True, envelopes, mends)
    return replace(inner, stream=(*stream, *inner.stream), mends=inner.mends | mends)


def _may_be_piece(line: bytes) -> bool:
    """Whether a line names a stream, as far as is seen at once: most do not."""
    return any(sign in line for sign in (b"stream", b"stdout", b"stderr", b"\\u"))


# Tests ask for the same lines again and again; what is shared is never changed.
@functools.lru_cache(maxsize=4096)
def _read(line: bytes, max_line_bytes: int) -> Outcome:
    return read_events(line, max_line_bytes=max_line_bytes)


@dataclass
class _Message:
    piece: _Piece
    numbers: list[int]
    bytes: int


def outcomes(lines: Sequence[bytes], *, max_line_bytes: int) -> Iterator[tuple[int, Outcome, bool]]:
    """What each line is, numbered from 1; what was joined to the line of another is marked.

    Yields:
        Number, outcome, and whether the line is a piece of the message of a line before it: it is
        of the same class, and its events are that one's.
    """
    found: dict[int, tuple[Outcome, bool]] = {}
    open_: dict[tuple[str, ...], _Message] = {}
    spoiled: set[tuple[str, ...]] = set()

    def settle(message: _Message, outcome: Outcome) -> None:
        kind, reason = outcome.kind, outcome.reason
        if kind == "blank":
            outcome, kind, reason = Outcome("rejected", "no_object"), "rejected", "no_object"
        for number in message.numbers:
            found[number] = (Outcome(kind, reason), reason != "piece")
        found[message.numbers[0]] = (outcome, False)

    for number, line in enumerate(lines, start=1):
        piece = None
        if len(line) <= max_line_bytes and _may_be_piece(line):
            piece = _piece(line.decode("utf-8", "surrogateescape"))
        if piece is None:
            found[number] = (_read(line, max_line_bytes), False)
            continue
        stream = piece.stream
        if (stream in open_ or stream in spoiled) and piece.read().kind == "events":
            spoiled.discard(stream)
            if message := open_.pop(stream, None):
                settle(message, Outcome("rejected", "piece"))
        elif stream in spoiled:
            found[number] = (Outcome("rejected", "piece"), False)
            if piece.is_last:
                spoiled.discard(stream)
            continue
        elif message := open_.pop(stream, None):
            held = message.bytes + sum(other.bytes for other in open_.values())
            message.numbers.append(number)
            message.bytes += len(line) + 1
            text = message.piece.text + piece.text
            message.piece = replace(
                message.piece, text=text, mends=message.piece.mends | piece.mends
            )
            if held + len(line) > max_line_bytes:
                settle(message, Outcome("rejected", "piece"))
                if not piece.is_last:
                    spoiled.add(stream)
            elif piece.is_last:
                settle(message, message.piece.read())
            else:
                open_[stream] = message
            continue
        if piece.begins:
            message = _Message(piece, [number], len(line) + 1)
            if message.bytes + sum(other.bytes for other in open_.values()) <= max_line_bytes:
                open_[stream] = message
            else:
                spoiled.add(stream)
                settle(message, Outcome("rejected", "piece"))
            continue
        found[number] = (_read(line, max_line_bytes), False)
    for message in open_.values():
        settle(message, Outcome("rejected", "piece"))
    for number in sorted(found):
        yield number, *found[number]
