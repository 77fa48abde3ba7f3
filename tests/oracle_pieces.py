"""Pieces of messages that a log shipper cut, joined by plain Python: a part of the oracle.

docker ends the last piece of a message alone with LF; the runtimes of Kubernetes mark a piece with
P and the last one with F; docker's drivers for fluentd and journald number the pieces and name the
last. It never imports edxlogs and is never made fast.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from oracle_mend import (
    ASCII_SPACE,
    CRI_HEAD,
    JOURNALD,
    MAX_ENVELOPES,
    MESSAGE_KEYS,
    Outcome,
    decode,
    members,
    read_events,
    read_text,
    scan,
    strict,
    text_of_numbers,
)

PLATFORM_KEYS = frozenset(
    {"username", "event_source", "name", "event_type", "agent", "context", "session", "event"}
    | {"ip", "page", "accept_language", "referer"}
)
"""No line of docker's has one of these."""
DOCKER_PIECE = 16 * 1024
STREAM_KEYS = (
    *("stream", "source", "CONTAINER_ID_FULL"),
    *("container_id", "container_name", "kubernetes", "PRIORITY"),
)
MARKS = ("partial_message", "partial_id", "partial_ordinal", "partial_last")
_FLUENTD_HEAD = re.compile(r"[0-9].{9}T[^\t]*\t[^\t]*\t", re.DOTALL)
"""Time and tag before each record of a file that fluentd wrote."""


@dataclass
class _Piece:
    """A line of a shipper that cuts messages; `text` holds what is not UTF-8 as surrogates."""

    stream: tuple[str, ...]
    text: str
    is_last: bool
    is_marked: bool
    envelopes: int
    mends: set[str] = field(default_factory=set)
    ordinal: int | None = None

    def read(self) -> Outcome:
        """Its text as a message of its own."""
        return read_text(self.text, self.mends | {"envelope"}, self.envelopes)

    @property
    def begins(self) -> bool:
        """Whether it is the first of several, where none came before."""
        if self.ordinal == 1 and (self.is_last or self.read().kind == "events"):
            return False
        if self.ordinal is not None:
            return True
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
    own: set[str] = set()
    if head := _FLUENTD_HEAD.match(text):
        text, own = text[head.end() :], {"prefix"}
    end = scan(text, 0)
    if not text.startswith("{") or end.status != "complete" or end.end != len(text):
        return None
    found = dict(members(text))
    if not PLATFORM_KEYS.isdisjoint(found):
        return None
    marks = [_mark(found, name) for name in MARKS]
    ordinal = int(marks[2]) if marks[1] and re.fullmatch(r"\+?[0-9]{1,15}", marks[2]) else None
    is_cut = ordinal is not None or (marks[0] == "true" and marks[3] != "true")
    tag = {'"P"': True, '"F"': False}.get(found.get("logtag", ""))  # Fluent Bit's, of a CRI line
    texts: list[str] = []
    is_string = [found.get(key, "").startswith('"') for key in STREAM_KEYS]
    if is_cut:
        texts = list(MESSAGE_KEYS)
    elif is_string[0] or is_string[1]:
        texts = ["log", "message"] if is_string[0] and tag is not None else ["log"]
    if not is_cut and is_string[2]:
        texts.append(JOURNALD)
    for key in texts:
        value = found.get(key, "")
        whole_text: str | None = None
        mends = set(own)
        if value.startswith('"'):
            value, more = strict(value)
            whole_text, mends = decode(value), mends | more
        elif value.startswith("[") and key == JOURNALD:
            whole_text = text_of_numbers(value)
        if whole_text is None:
            continue
        message = whole_text
        whole = marks[3] == "true"
        if not is_cut:
            whole = not tag if tag is not None else not is_string[0] or message.endswith("\n")
        stream = (*(_told(found.get(name, "")) for name in STREAM_KEYS), marks[1])
        is_marked = is_cut or tag is True
        inner = None
        if whole and not is_marked:
            inner = _piece(message.strip(ASCII_SPACE), envelopes)
        if inner is None:
            return _Piece(stream, message, whole, is_marked, envelopes, mends, ordinal)
        return replace(inner, stream=(*stream, *inner.stream), mends=inner.mends | mends)
    for key in MESSAGE_KEYS:
        value = found.get(key, "null")
        inside = value if value.startswith("{") else ""
        mends = set(own)
        if value.startswith('"'):
            value, more = strict(value)
            inside, mends = decode(value).strip(ASCII_SPACE), mends | more
        elif value.startswith("[") and key == JOURNALD:
            inside = (text_of_numbers(value) or "").strip(ASCII_SPACE)
        if inner := _piece(inside, envelopes):
            return replace(inner, stream=("", *inner.stream), mends=inner.mends | mends)
    return None


def _told(value: str) -> str:
    return str(decode(strict(value)[0])) if value.startswith('"') else value


def _mark(found: dict[str, str], name: str) -> str:
    """What docker says of a piece, as fluentd's driver or journald's names it."""
    journald = f"CONTAINER_{name.upper()}"
    keys = [key for key in (name, journald, journald.lower()) if key in found]
    return _told(found[keys[0]]) if keys else ""


SIGNS = (b"stream", b"stdout", b"stderr", b"source", b"partial_", b"CONTAINER_", b"\\u")


def _may_be_piece(line: bytes) -> bool:
    """Whether a line names a stream, as far as is seen at once: most do not."""
    return any(sign in line for sign in SIGNS)


# Tests ask for the same lines again and again; what is shared is never changed.
@functools.lru_cache(maxsize=4096)
def _read(line: bytes, max_line_bytes: int) -> Outcome:
    return read_events(line, max_line_bytes=max_line_bytes)


@dataclass
class _Message:
    piece: _Piece
    numbers: list[int]
    bytes: int
    pieces: list[_Piece]

    @property
    def has_ended(self) -> bool:
        if self.piece.ordinal is None:
            return self.pieces[-1].is_last
        last = [piece.ordinal or 0 for piece in self.pieces if piece.is_last]
        return bool(last) and len({piece.ordinal for piece in self.pieces}) >= last[-1]

    def read(self) -> Outcome:
        pieces = self.pieces
        if self.piece.ordinal is not None:
            told = {(piece.ordinal or 0, piece.text): piece for piece in pieces}
            pieces = [told[key] for key in sorted(told)]
            if [piece.ordinal for piece in pieces] != list(range(1, len(pieces) + 1)):
                return Outcome("rejected", "piece")
        text = "".join(piece.text for piece in pieces)
        # A character may be cut in two.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        mends = self.piece.mends.union(*(piece.mends for piece in pieces))
        return replace(self.piece, text=text, mends=mends).read()


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
        is_known = stream in open_ or stream in spoiled
        if is_known and piece.ordinal is None and piece.read().kind == "events":
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
            message.pieces.append(piece)
            if held + len(line) > max_line_bytes:
                settle(message, Outcome("rejected", "piece"))
                if not piece.is_last:
                    spoiled.add(stream)
            elif message.has_ended:
                settle(message, message.read())
            else:
                open_[stream] = message
            continue
        if piece.begins:
            message = _Message(piece, [number], len(line) + 1, [piece])
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
