"""RFC 791's picture of an IPv4 packet as lines of text: 32 bits wide, two columns a bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .fields import FIELDS, Field
from .hex import as_text
from .text import counted

WIDTH = 65
"""Columns: 32 bits of two columns, and the last edge."""

RULER = {0: "0", 4: "4", 8: "8", 14: "14", 16: "16", 19: "19", 31: "31"}
_SHORT_LABELS = {"reserved": "R", "df": "D", "mf": "M"}

WORD = 4
"""Bytes in a row of the picture."""


def row_of(field: Field) -> int:
    """The row of the picture a field stands in: 0 to 4 for the fixed header's words, 5 for the options."""
    return field.bit // 32


def columns_of(field: Field) -> tuple[int, int]:
    """The columns of a field's left and right edge."""
    if field.name == "options":
        return 0, WIDTH - 1
    left = field.bit % 32 * 2
    return left, left + field.bits * 2


def label_of(field: Field) -> str:
    """RFC 791's words for a field as the picture has room for them; beside them Scapy's name, if that is another."""
    both = f"{field.label} · {field.scapy}"
    left, right = columns_of(field)
    has_room = len(both) < right - left and field.scapy != field.label.lower()
    return both if has_room else _SHORT_LABELS.get(field.name, field.label)


def show_value(name: str, value: int | str | bytes) -> str:
    """A header value as the picture writes it: the checksum and the options in hex, the rest as it is."""
    if isinstance(value, bytes):
        return value.hex(" ") or "none"
    return f"0x{value:04x}" if name == "chksum" else str(value)


class PicturePart(NamedTuple):
    """A piece of a line of the picture."""

    kind: Literal["edge", "label", "value", "bit"]
    text: str
    field: str = ""
    """The name of the header's field that a label or value belongs to; empty for what is none."""


@dataclass(frozen=True)
class Box:
    """A cell of the picture: its left and right edge, what stands in the edge above it, and the lines inside."""

    left: int
    right: int
    label: str
    lines: Sequence[str]
    field: str = ""
    """The name of the field that it shows; empty for what is none."""

    @classmethod
    def of(cls, field: Field, value: str, label: str = "") -> Box:
        """A field's cell with its value in one line, or with another label than its own."""
        return cls(*columns_of(field), label or label_of(field), (value,), field.name)

    @property
    def room(self) -> int:
        """Columns between its edges."""
        return self.right - self.left - 1

    @property
    def heading(self) -> str:
        """Text in the edge: the label, between blanks where there is room, and cut where there is too little."""
        return (f" {self.label} " if len(self.label) + 2 <= self.room else self.label)[: self.room]

    def line(self, number: int) -> str:
        """A line inside, with a blank before it where there is room; what is cut ends with "…"."""
        text = self.lines[number]
        text = f" {text}" if len(text) < self.room else text
        return text.ljust(self.room) if len(text) <= self.room else f"{text[: self.room - 1]}…"


def edge(above: Sequence[Box], below: Sequence[Box]) -> Iterator[PicturePart]:
    """The line between two rows of cells, with the headings of the lower one in it; there may be no upper or lower."""
    ends_above, ends_below = ({x for box in row for x in (box.left, box.right)} for row in (above, below))

    def line(start: int, stop: int) -> str:
        shapes = ("╴┐┘┤" if x == WIDTH - 1 else "╶┌└├" if x == 0 else "─┬┴┼" for x in range(start, stop))
        return "".join(shape[(x in ends_below) + 2 * (x in ends_above)] for x, shape in enumerate(shapes, start))

    drawn = 0
    for box in below:
        yield PicturePart("edge", line(drawn, box.left + 1))
        yield PicturePart("label", box.heading, box.field)
        drawn = box.left + 1 + len(box.heading)
    yield PicturePart("edge", line(drawn, WIDTH))


def inside(row: Sequence[Box], number: int = 0) -> Iterator[PicturePart]:
    """One of the lines inside a row of cells."""
    for box in row:
        yield PicturePart("edge", "│")
        yield PicturePart("value", box.line(number), box.field)
    yield PicturePart("edge", "│")


def bits_of(word: bytes, fields: Iterable[Field]) -> Iterator[PicturePart]:
    """A last edge that has the 32 bits of a word, each below its place in the picture: those of the fields, which are
    in this word, are told from the rest. A bar stands between bytes."""
    bits = int.from_bytes(word)
    owners = {bit % 32: field.name for field in fields for bit in range(field.bit, field.bit + (field.bits or 32))}
    yield PicturePart("edge", "└")
    for bit in range(32):
        field = owners.get(bit, "")
        yield PicturePart("bit" if field else "edge", str(bits >> 31 - bit & 1), field)
        if bit < 31:
            inside_it = field and owners.get(bit + 1) == field
            gap = "│" if bit % 8 == 7 else " "
            yield PicturePart("bit" if inside_it else "edge", gap, field if inside_it else "")
    yield PicturePart("edge", "┘")


def picture(values: Mapping[str, int | str | bytes], payload: bytes) -> list[str]:
    """The packet with these header values, as `craft` and `read_header` give them; each line has WIDTH columns.

    Each cell has its field's label and value; one without a value is blank, for a field that is not in the packet.
    Options take a line for each word, the payload only one, which ends with "…" when it has more. All is printable.
    """
    rows: list[list[Box]] = [[] for _ in range(5)]
    for field in FIELDS:
        if field.name != "options":
            value = show_value(field.name, values[field.name]) if field.name in values else ""
            rows[row_of(field)].append(Box.of(field, value))
    if options := values.get("options"):
        assert isinstance(options, bytes)
        words = [options[at : at + WORD].hex(" ") for at in range(0, len(options), WORD)]
        rows.append([Box(0, WIDTH - 1, f"Options, {_count(options)}", words)])
    if payload:
        room = WIDTH - 3  # a blank before it, and the edges
        text = as_text(payload[:room])
        text = text if len(payload) <= room else f"{text[:-1]}…"
        rows.append([Box(0, WIDTH - 1, f"Payload, {_count(payload)}", (text,))])
    lines = [ruler()]
    above: list[Box] = []
    for row in rows:
        lines.append(_joined(edge(above, row)))
        lines += [_joined(inside(row, number)) for number in range(len(row[0].lines))]
        above = row
    lines.append(_joined(edge(above, [])))
    return lines


def ruler() -> str:
    """The numbers of the bits at which fields begin, and of the last one."""
    line = [" "] * WIDTH
    for bit, text in RULER.items():
        start = min(bit * 2 + 1, WIDTH - 1 - len(text))
        line[start : start + len(text)] = text
    return "".join(line)


def _joined(parts: Iterable[PicturePart]) -> str:
    return "".join(part.text for part in parts)


def _count(data: bytes) -> str:
    return counted(len(data), "byte")
