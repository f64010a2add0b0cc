"""RFC 791's picture of the IPv4 header: 32 bits wide, two columns a bit; to read, or to fill in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from ipl_tui.packets.fields import FIELD, FIELDS, Field
from ipl_tui.packets.picture import WORD, Box, PicturePart, bits_of, columns_of, edge, inside, label_of, row_of, ruler
from ipl_tui.widgets.letters import KeepsLetters

HEIGHT = 14
"""Lines: the ruler, six rows (five words and the options) of an edge and a value, the last edge."""

MARKS = {"error": "✖", "warning": "▲", "changed": "Δ"}


def value_line(field: Field) -> int:
    """The line that shows a field's value."""
    return 2 + 2 * row_of(field)


ROWS: tuple[tuple[Field, ...], ...] = tuple(tuple(f for f in FIELDS if row_of(f) == row) for row in range(6))


class HeaderGrid(Widget, can_focus=True):
    """The header of one packet, read-only; a click or the arrow keys choose a field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Previous field", show=False, id="header.previous"),
        Binding("right,l", "step(1)", "Next field", show=False, id="header.next"),
        Binding("up,k", "step_row(-1)", "Row above", show=False, id="header.above"),
        Binding("down,j", "step_row(1)", "Row below", show=False, id="header.below"),
    ]
    KEYS_TITLE: ClassVar[str] = "Header"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "header-grid--edge",
        "header-grid--label",
        "header-grid--value",
        "header-grid--bit",
        "header-grid--chosen",
        "header-grid--error",
        "header-grid--warning",
        "header-grid--changed",
    }

    values: reactive[Mapping[str, str]] = reactive(dict)
    """Text of each field's cell, by the field's name; a field without one is not in the packet."""

    chosen: reactive[str] = reactive("")
    """The name of the highlighted field, or nothing."""

    marks: reactive[Mapping[str, str]] = reactive(dict)
    """"error" or "warning" for each field that has a problem, "changed" for one that a router changed."""

    also: reactive[tuple[str, ...]] = reactive(())
    """Names of more fields that are highlighted: Scapy has them and the chosen one in one."""

    header: reactive[bytes] = reactive(b"")
    """Bytes of the header as far as they are known: the lowest line shows the bits of the word that one is in."""

    earlier: reactive[Mapping[str, str]] = reactive(dict)
    """Earlier texts of changed fields; shown beside the value where there is room."""

    class FieldChosen(Message):
        """The user went to a field of the header."""

        def __init__(self, grid: HeaderGrid, field: str) -> None:
            super().__init__()
            self.grid = grid
            self.field = field

        @property
        def control(self) -> HeaderGrid:
            return self.grid

    def choose(self, field: str) -> None:
        """Highlight a field as the user does, and say so."""
        self.chosen, self.also = field, ()
        self.post_message(self.FieldChosen(self, field))

    def action_step(self, by: int) -> None:
        names = [field.name for field in FIELDS]
        here = names.index(self.chosen) if self.chosen else -1 if by > 0 else 0
        self.choose(names[(here + by) % len(names)])

    def action_step_row(self, by: int) -> None:
        self.choose(neighbour(self.chosen or FIELDS[0].name, by).name)

    def on_click(self, event: events.Click) -> None:
        if (field := field_at(event.x, event.y)) is not None:
            self.choose(field.name)

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        row, is_edge = (y - 1) // 2, y % 2 == 1
        if y == 0:
            parts: Iterable[PicturePart] = [PicturePart("edge", ruler())]
        elif y >= HEIGHT:
            parts = []
        elif y == HEIGHT - 1 and (word := self.word()):
            parts = bits_of(word, [FIELD[name] for name in (self.chosen, *self.also)])
        elif is_edge:
            parts = edge(self.boxes(row - 1), self.boxes(row))
        else:
            parts = inside(self.boxes(row))
        segments = [Segment(part.text, base + self.style_of(part)) for part in parts]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def word(self) -> bytes:
        """The four bytes of the header that the chosen field is in, the first ones of the options; empty where they are
        not known."""
        if not self.chosen:
            return b""
        start = WORD * row_of(FIELD[self.chosen])
        word = self.header[start : start + WORD]
        return word if len(word) == WORD else b""

    def boxes(self, row: int) -> list[Box]:
        """The cells of a row, 0 to 5; none above and below them."""
        fields = ROWS[row] if 0 <= row < len(ROWS) else ()
        return [Box.of(field, self.value_of(field), self.label_of(field)) for field in fields]

    def label_of(self, field: Field) -> str:
        """Its name, and its mark if it has one."""
        text, mark, (left, right) = label_of(field), self.marks.get(field.name, ""), columns_of(field)
        if not mark:
            return text
        room = right - left - 1
        return f"{text} {MARKS[mark]}" if len(text) + 2 <= room else f"{text[: room - 1]}{MARKS[mark]}"

    def value_of(self, field: Field) -> str:
        """Text of a field: its value, and its earlier one if there is room."""
        text, (left, right) = self.values.get(field.name, ""), columns_of(field)
        was = self.earlier.get(field.name)
        both = f"{text} (was {was})" if was else text
        return both if len(both) < right - left - 1 else text

    def style_of(self, part: PicturePart) -> Style:
        style = self.part(self.marks.get(part.field) or "label" if part.kind == "label" else part.kind)
        if part.kind != "bit" and part.field and (part.field == self.chosen or part.field in self.also):
            return self.part("chosen") if part.kind == "value" else style + self.part("chosen")
        return style

    def part(self, name: str) -> Style:
        return self.get_component_rich_style(f"header-grid--{name}")


def field_at(x: int, y: int) -> Field | None:
    """The field whose cell or label is at a column and line of the picture."""
    row = (y - 1) // 2
    if not 0 <= row < len(ROWS):
        return None
    return next((f for f in ROWS[row] if columns_of(f)[0] <= x < columns_of(f)[1]), None)


def neighbour(name: str, by: int) -> Field:
    """The field above (-1) or below (1) the middle of another; the picture wraps around."""
    field = FIELD[name]
    left, right = columns_of(field)
    row = (row_of(field) + by) % len(ROWS)
    return field_at((left + right) // 2, value_line(ROWS[row][0])) or ROWS[row][0]


def place(widget: Widget, field: Field) -> None:
    """Put a field's input over its cell of the picture."""
    left, right = columns_of(field)
    widget.styles.offset = (left + 1, value_line(field))
    widget.styles.width = right - left - 1


LEAVE: list[BindingType] = [
    Binding("up", "leave(-1)", "Row above", show=False, id="cell.above"),
    Binding("down", "leave(1)", "Row below", show=False, id="cell.below"),
]


VALID = "-valid"
"""The class that Textual gives an Input once it has a value: with it from the start, that costs no restyling."""


class Cell(Input):
    """One field's value; empty means automatic, and the placeholder then shows what it will be."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *LEAVE,
        Binding("f4", "automatic", "Automatic", id="cell.automatic", tooltip="Let the composer fill this field in"),
    ]
    KEYS_TITLE: ClassVar[str] = "Header cell"

    def __init__(self, field: Field) -> None:
        super().__init__(compact=True, id=f"cell-{field.name}", max_length=160, classes=VALID)
        self.field = field
        place(self, field)

    def action_leave(self, by: int) -> None:
        self.post_message(HeaderForm.Left(self.field.name, by))

    def action_automatic(self) -> None:
        self.value = ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.field.automatic if action == "automatic" else True


class FlagCell(KeepsLetters, Widget, can_focus=True):
    """A field of one bit: type 0 or 1, or turn it over with the space bar, Enter or a click."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *LEAVE,
        Binding("space,enter", "turn", "Turn over", show=False, id="flag.turn"),
        Binding("0", "become('0')", "Clear", show=False, id="flag.clear"),
        Binding("1", "become('1')", "Set", show=False, id="flag.set"),
    ]
    KEYS_TITLE: ClassVar[str] = "Header flag"

    value: reactive[str] = reactive("0")

    def __init__(self, field: Field) -> None:
        super().__init__(id=f"cell-{field.name}")
        self.field = field
        place(self, field)

    def render(self) -> str:
        return self.value

    def action_leave(self, by: int) -> None:
        self.post_message(HeaderForm.Left(self.field.name, by))

    def action_turn(self) -> None:
        self.action_become("0" if self.value == "1" else "1")

    def action_become(self, value: str) -> None:
        if value != self.value:
            self.value = value
            self.post_message(HeaderForm.Edited())

    def on_click(self) -> None:
        self.action_turn()


class HeaderForm(HeaderGrid, can_focus=False):
    """The same picture with an input in each cell."""

    class Edited(Message):
        """Told when a cell's text was changed."""

    class Left(Message):
        """The user leaves a cell for the row above (-1) or below (1); told further from the last row downwards."""

        def __init__(self, field: str, by: int) -> None:
            super().__init__()
            self.field = field
            self.by = by

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.inputs: dict[str, Cell | FlagCell] = {f.name: FlagCell(f) if f.bits == 1 else Cell(f) for f in FIELDS}

    def compose(self) -> ComposeResult:
        yield from self.inputs.values()

    @property
    def entries(self) -> dict[str, str]:
        """Entries that the user typed, by field; empty where a field is left automatic."""
        return {name: cell.value for name, cell in self.inputs.items()}

    def fill(self, entries: Mapping[str, str]) -> None:
        """Replace what stands in the cells, as a preset does."""
        with self.prevent(Input.Changed):
            for name, text in entries.items():
                self.inputs[name].value = text
        self.post_message(self.Edited())

    def show_automatic(self, values: Mapping[str, str]) -> None:
        """Show in each automatic cell the value it will get."""
        for name, cell in self.inputs.items():
            if cell.field.automatic and isinstance(cell, Cell):
                cell.placeholder = f"auto {values[name]}" if name in values else "auto"

    @on(Input.Changed)
    def cell_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Edited())

    def on_header_form_left(self, event: HeaderForm.Left) -> None:
        if event.by < 0 or row_of(FIELD[event.field]) < len(ROWS) - 1:  # else whoever holds the form goes on
            event.stop()
            self.inputs[neighbour(event.field, event.by).name].focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, Cell | FlagCell):
            self.choose(event.widget.field.name)

    def on_click(self, event: events.Click) -> None:
        if event.widget is self and (field := field_at(event.x, event.y)) is not None:
            self.inputs[field.name].focus()
