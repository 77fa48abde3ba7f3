"""What the bytes of an OpenPGP message show without a key: that it is one, and where it ends.

gpg's exit status and status lines leave two questions open, which the framing of the packets
answers. Was a bad message cut off or altered? (gpg calls many cut ones manipulated.) And did bytes
after the message spoil the check? (gpg 2.2 takes them for part of a message in partial-length
packets.)

Source: RFC 9580, sections 4 to 6.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HEAD_BYTES = 512  # enough for `looks_like_openpgp`

_ARMOR = b"-----BEGIN PGP MESSAGE-----"
_ARMOR_END = b"-----END PGP MESSAGE-----"
_BOM = b"\xef\xbb\xbf"
_MARKERS = (b"\xca\x03PGP", b"\xa8\x03PGP")

# Packet tags, RFC 9580 section 5.
SED = 9  # encrypted, without integrity protection
_PKESK, _SKESK, _MARKER, _SEIPD, _AEAD, _PADDING = 1, 3, 10, 18, 20, 21
_ENCRYPTED = (SED, _SEIPD, _AEAD)
_KEY_ALGORITHMS = frozenset({1, 2, 8, 16, 18, 25, 26, 35, 36})


def looks_like_openpgp(head: bytes) -> bool:
    """Tell from its first bytes whether a file is an encrypted OpenPGP message.

    A message that is only signed or compressed is not accepted, since it protects nothing. Armour
    says only that it is a message, so it is always accepted.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of a shorter one.
    """
    if armor_start(head) is not None:
        return True
    if head[257:262] == b"ustar":
        return False
    if head.startswith(_MARKERS):
        head = head[5:]
    header = _packet_header(head)
    if header is None:
        return False
    tag, size, length, more = header
    body = head[size:]
    if len(body) < 4:
        return False
    match tag:
        case 1:
            v3 = body[0] == 3 and body[9:10] != b"" and body[9] in _KEY_ALGORITHMS
            v6 = body[0] == 6 and body[1] in (0, 21, 33)
            return (v3 or v6) and not more and 12 <= length <= 8192
        case 3:
            known = body[0] in (4, 5, 6) and (1 <= body[1] <= 13 or body[0] == 6)
            return known and not more and 4 <= length <= 512
        case 9:
            # No byte in it has a fixed value, so look for bytes that text never has.
            return length > 18 and any(b < 32 and b not in b"\0\t\n\r\x0b\x0c" for b in body[:64])
        case 18:
            return length > 40 and (body[0] == 1 or (body[0] == 2 and 1 <= body[1] <= 13))
        case 20:
            return length > 32 and body[0] == 1 and 1 <= body[1] <= 13 and 1 <= body[2] <= 3
    return False


def key_ids(head: bytes) -> frozenset[str]:
    """Long ids of the keys that a message is encrypted to, as far as its first bytes show them.

    Armour and packets of version 6 show none.
    """
    found = set()
    while (header := _packet_header(head)) is not None and header[0] in (_PKESK, _MARKER):
        tag, size, length, more = header
        if more or length < 0:
            break
        if tag == _PKESK and head[size : size + 1] == b"\3" and len(head) >= size + 9:
            found.add(head[size + 1 : size + 9].hex().upper())
        head = head[size + length :]
    return frozenset(found)


def armor_start(head: bytes) -> int | None:
    """Where armour begins, after a byte order mark and white space, or None."""
    text = head.removeprefix(_BOM).lstrip()
    after = text[len(_ARMOR) : len(_ARMOR) + 1]
    if text.startswith(_ARMOR) and after in (b"", b"\r", b"\n", b" ", b"\t"):
        return len(head) - len(text)
    return None


def _packet_header(data: bytes | bytearray) -> tuple[int, int, int, bool] | None:
    """Tag, header size, length of the body, and whether further parts follow.

    The length is -1 if the body ends with the file. None if `data` is too short, or is not a
    packet.
    """
    if not data or not data[0] & 0x80:
        return None
    if data[0] & 0x40:
        parsed = _new_length(data[1:])
        return parsed and (data[0] & 0x3F, 1 + parsed[0], parsed[1], parsed[2])
    tag, octets = data[0] >> 2 & 15, 1 << (data[0] & 3)
    if octets == 8:
        return tag, 1, -1, False
    if len(data) <= octets:
        return None
    return tag, 1 + octets, int.from_bytes(data[1 : 1 + octets]), False


def _new_length(data: bytes | bytearray) -> tuple[int, int, bool] | None:
    """Size, length, and whether further parts follow, of a new-format length."""
    if not data:
        return None
    if data[0] < 192:
        return 1, data[0], False
    if 224 <= data[0] < 255:
        return 1, 1 << (data[0] & 31), True
    size = 5 if data[0] == 255 else 2
    if len(data) < size:
        return None
    if size == 5:
        return 5, int.from_bytes(data[1:5]), False
    return 2, (data[0] - 192 << 8) + data[1] + 192, False


@dataclass
class Frame:
    """Finds the end of one message in bytes that are fed to it in pieces of any size."""

    armored: bool
    length: int = 0  # bytes of the message so far
    complete: bool = False
    ended: bool = False  # the input has no more bytes
    tag: int | None = None  # of the encrypted packet, once it was met
    trailing: int = 0
    trailing_head: bytearray = field(default_factory=bytearray)
    another: bool = False  # armour: a further message begins after this one
    _known: bool = True  # False: not a sequence of packets that has an end
    _left: int = 0
    _parts: bool = False
    _current: int = 0
    _carry: bytearray = field(default_factory=bytearray)

    @property
    def cut(self) -> bool:
        """Whether the input ended before the message did."""
        return self.ended and self._known and not self.complete

    def feed(self, data: bytes) -> int:
        """Take the next bytes. Returns how many of them belong to the message."""
        at = 0
        if not self.complete:
            at = self._feed_armor(data) if self.armored else self._feed_packets(data)
            self.length += at
        rest = data[at:]
        self.trailing += len(rest)
        if self.armored:
            window = self.trailing_head[-len(_ARMOR) :] + rest
            self.another = self.another or _ARMOR in window
            self.trailing_head = window[-len(_ARMOR) :]
        elif len(self.trailing_head) < HEAD_BYTES:
            self.trailing_head += rest[:HEAD_BYTES]
        return at

    def pass_over(self, most: int) -> int:
        """Skip at most `most` bytes without looking at them. Returns how many may be skipped."""
        if self.armored or self.complete or not self._known:
            return 0
        # The last byte is fed, because it may complete the message.
        step = max(0, min(self._left - 1, most))
        self._left -= step
        self.length += step
        return step

    @property
    def several(self) -> bool:
        """Whether another message follows this one."""
        return self.another or looks_like_openpgp(bytes(self.trailing_head[:HEAD_BYTES]))

    def _feed_armor(self, data: bytes) -> int:
        window = bytes(self._carry) + data
        found = window.find(_ARMOR_END)
        if found < 0:
            self._carry = bytearray(window[1 - len(_ARMOR_END) :])
            return len(data)
        self.complete = True
        end = found + len(_ARMOR_END)
        end += len(window[end : end + 2]) - len(window[end : end + 2].lstrip(b"\r\n"))
        return end - len(self._carry)

    def _feed_packets(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.complete:
            if not self._known:
                return len(data)
            if self._left:
                step = min(self._left, len(data) - at)
                at, self._left = at + step, self._left - step
            else:
                self._carry.append(data[at])
                at += 1
                if not self._read_header():
                    continue
            if not self._left and not self._parts and self._known:
                self.complete = self._current in _ENCRYPTED
        return at

    def _read_header(self) -> bool:
        """Read the header that was collected; False while it is too short."""
        if self._parts:
            parsed = _new_length(self._carry)
            if parsed is None:
                return False
            _, self._left, self._parts = parsed
        else:
            if not self._carry[0] & 0x80:
                self._known = False
                return True
            header = _packet_header(self._carry)
            if header is None:
                return False
            self._current, _, self._left, self._parts = header
            if self._current in _ENCRYPTED:
                self.tag = self._current
            elif self._current not in (_PKESK, _SKESK, _MARKER, _PADDING):
                self._known = False
            if self._left < 0:
                self._known = False
        self._carry.clear()
        return True
