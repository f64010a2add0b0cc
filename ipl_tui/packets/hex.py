"""Bytes as lines of hexadecimal and text."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

OFFSET_WIDTH = 6
"""Columns of a line before its first byte."""

HIDDEN = "·"
"""Stand-in for a byte that is not printable ASCII."""


class HexPart(NamedTuple):
    """A piece of a line of the dump."""

    kind: Literal["offset", "digits", "gap", "text"]
    """A gap follows a byte's digits, or stands in the middle."""
    text: str
    at: int = -1
    """The offset in the data of the byte that it shows, or that a gap follows; -1 for none."""


def width(per_line: int) -> int:
    """The columns of a line of so many bytes: offset, hexadecimal with a gap in the middle, text."""
    return text_column(0, per_line) + per_line


def digits_column(index: int, per_line: int) -> int:
    """The column of the first digit of a line's byte."""
    return OFFSET_WIDTH + 3 * index + (index >= per_line // 2)


def text_column(index: int, per_line: int) -> int:
    """The column of a line's byte in the text."""
    return digits_column(per_line, per_line) + 1 + index


def hex_line(data: bytes, start: int, per_line: int) -> Iterator[HexPart]:
    """The line of the dump that begins with the byte at `start`; a last line that is not full has blanks."""
    yield HexPart("offset", f"{start:04x}".ljust(OFFSET_WIDTH))
    for at in range(start, start + per_line):
        if at == start + per_line // 2:
            yield HexPart("gap", " ")
        last = " " * (at + 1 == start + per_line)
        if at < len(data):
            yield HexPart("digits", f"{data[at]:02x}", at)
            yield HexPart("gap", f" {last}", -1 if last else at)
        else:
            yield HexPart("gap", f"   {last}")
    for at in range(start, min(start + per_line, len(data))):
        yield HexPart("text", character(data[at]), at)


def hex_dump(data: bytes, per_line: int = 16) -> list[str]:
    """Bytes as lines: the offset, hexadecimal with a gap in the middle, and text with HIDDEN for what is not ASCII."""
    return ["".join(part.text for part in hex_line(data, start, per_line)) for start in range(0, len(data), per_line)]


def as_text(data: bytes) -> str:
    """Bytes as text, a column each."""
    return "".join(map(character, data))


def character(byte: int) -> str:
    """A byte as text, in one column."""
    return chr(byte) if 0x20 <= byte < 0x7F else HIDDEN
