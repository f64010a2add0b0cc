"""RFC 791's picture of an IPv4 packet as lines of text: 32 bits wide, two columns a bit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .fields import FIELDS, Field
from .hex import as_text

WIDTH = 65
"""Columns: 32 bits of two columns, and the last edge."""

RULER = {0: "0", 4: "4", 8: "8", 14: "14", 16: "16", 19: "19", 31: "31"}
SHORT_LABELS = {"reserved": "R", "df": "D", "mf": "M"}

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


def show_value(name: str, value: int | str | bytes) -> str:
    """A header value as the picture writes it: the checksum and the options in hex, the rest as it is."""
    if isinstance(value, bytes):
        return value.hex(" ") or "none"
    return f"0x{value:04x}" if name == "chksum" else str(value)


def picture(values: Mapping[str, int | str | bytes], payload: bytes) -> list[str]:
    """The packet with these header values, as `craft` and `read_header` give them; each line has WIDTH columns.

    Each cell has its field's label and value; one without a value is blank, for a field that is not in the packet.
    Options take a line for each word, the payload only one, which ends with "…" when it has more. All is printable.
    """
    rows: list[list[_Cell]] = [[] for _ in range(5)]
    for field in FIELDS:
        if field.name != "options":
            value = show_value(field.name, values[field.name]) if field.name in values else ""
            label = SHORT_LABELS.get(field.name, field.label)
            rows[row_of(field)].append(_Cell(*columns_of(field), label, (value,)))
    if options := values.get("options"):
        assert isinstance(options, bytes)
        words = [options[at : at + WORD].hex(" ") for at in range(0, len(options), WORD)]
        rows.append([_Cell(0, WIDTH - 1, f"Options, {_count(options)}", words)])
    if payload:
        room = WIDTH - 3  # a blank before it, and the edges
        text = as_text(payload[:room])
        text = text if len(payload) <= room else f"{text[:-1]}…"
        rows.append([_Cell(0, WIDTH - 1, f"Payload, {_count(payload)}", (text,))])
    lines = [ruler()]
    above: list[_Cell] = []
    for row in rows:
        lines.append(_edge(above, row))
        for number in range(len(row[0].lines)):
            lines.append("".join(f"│{cell.line(number)}" for cell in row) + "│")
        above = row
    lines.append(_edge(above, []))
    return lines


def ruler() -> str:
    """The numbers of the bits at which fields begin, and of the last one."""
    line = [" "] * WIDTH
    for bit, text in RULER.items():
        start = min(bit * 2 + 1, WIDTH - 1 - len(text))
        line[start : start + len(text)] = text
    return "".join(line)


@dataclass(frozen=True)
class _Cell:
    """A box of the picture: its left and right edge, what stands in the edge above it, and the lines inside."""

    left: int
    right: int
    label: str
    lines: Sequence[str]

    @property
    def room(self) -> int:
        return self.right - self.left - 1

    def line(self, number: int) -> str:
        """A line inside, with a blank before it where there is room."""
        text = self.lines[number]
        return f" {text}".ljust(self.room) if len(text) < self.room else text


def _edge(above: Sequence[_Cell], below: Sequence[_Cell]) -> str:
    """The line between two rows, with the labels of the lower one in it."""
    ends_above, ends_below = ({x for cell in row for x in (cell.left, cell.right)} for row in (above, below))
    line = []
    for x in range(WIDTH):
        shapes = "╶┌└├" if x == 0 else "╴┐┘┤" if x == WIDTH - 1 else "─┬┴┼"
        line.append(shapes[(x in ends_below) + 2 * (x in ends_above)])
    for cell in below:
        label = f" {cell.label} " if len(cell.label) + 2 <= cell.room else cell.label
        line[cell.left + 1 : cell.left + 1 + len(label)] = label
    return "".join(line)


def _count(data: bytes) -> str:
    return f"{len(data):,} byte{'s' * (len(data) != 1)}"
