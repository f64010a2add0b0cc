"""The bytes of a frame, in hexadecimal and as text, with one field's digits highlighted."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ipl_tui.packets.hex import HIDDEN, digits_column, hex_line, text_column, width

NARROW, WIDE = 8, 16
"""Bytes in a line."""


class HexDump(ScrollView, can_focus=True):
    """A frame's bytes; a click or the arrow keys choose one."""

    KEYS_TITLE: ClassVar[str] = "Bytes"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Previous byte", show=False, id="bytes.previous"),
        Binding("right,l", "step(1)", "Next byte", show=False, id="bytes.next"),
        Binding("up,k", "step_row(-1)", "Byte above", show=False, id="bytes.above"),
        Binding("down,j", "step_row(1)", "Byte below", show=False, id="bytes.below"),
        Binding("home,g", "go(0)", "First byte", show=False, id="bytes.first"),
        Binding("end,G", "go(-1)", "Last byte", show=False, id="bytes.last"),
        Binding("enter", "step(0)", "Next field in the byte", show=False, id="bytes.field"),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "hex-dump--offset",
        "hex-dump--chosen",
        "hex-dump--quiet",
        "hex-dump--cursor",
    }

    data: reactive[bytes] = reactive(b"")
    bits: reactive[tuple[int, int]] = reactive((0, 0))
    """The highlighted bits: the first, and the one after the last. A digit that has one of them is highlighted."""

    at: reactive[int] = reactive(0)
    """Offset of the byte that the keys go on from."""

    class ByteChosen(Message):
        """The user went to a byte."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    @property
    def per_line(self) -> int:
        return WIDE if self.scrollable_content_region.width >= width(WIDE) else NARROW

    @property
    def span(self) -> tuple[int, int]:
        """The highlighted bytes: the first, and the one after the last."""
        first, end = self.bits
        return first // 8, -(-end // 8)

    def watch_data(self) -> None:
        self.bits = (0, 0)
        self.fit()
        self.scroll_home(animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        self.fit()
        self.watch_bits()

    def fit(self) -> None:
        self.virtual_size = Size(width(self.per_line), -(-len(self.data) // self.per_line))
        self.refresh()

    def watch_bits(self) -> None:
        first, end = self.span
        if first < end:
            if not first <= self.at < end:
                self.at = first
            self.reveal()

    def reveal(self) -> None:
        """Bring the byte that the keys go on from into view."""
        line = Region(0, self.at // self.per_line, 1, 1)
        # Forced, for a scroll bar that other bytes need may not be there yet.
        self.scroll_to_region(line, animate=False, force=True, immediate=True)

    def choose(self, offset: int) -> None:
        """Go to a byte as the user does, and say so."""
        if self.data:
            self.at = max(0, min(offset, len(self.data) - 1))
            self.reveal()
            self.post_message(self.ByteChosen(self.at))

    def action_step(self, by: int) -> None:
        self.choose(self.at + by)

    def action_step_row(self, by: int) -> None:
        if 0 <= self.at + by * self.per_line < len(self.data):
            self.choose(self.at + by * self.per_line)

    def action_go(self, to: int) -> None:
        self.choose(to % max(1, len(self.data)))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for index in range(self.per_line):
            digits = digits_column(index, self.per_line)
            if offset.x in (digits, digits + 1, text_column(index, self.per_line)):
                byte = (self.scroll_offset.y + offset.y) * self.per_line + index
                if byte < len(self.data):
                    self.choose(byte)

    def render_line(self, y: int) -> Strip:
        base, per_line = self.rich_style, self.per_line
        start = (self.scroll_offset.y + y) * per_line
        if start >= len(self.data):
            return Strip.blank(self.size.width, base)
        chosen = base + self.get_component_rich_style("hex-dump--chosen")
        quiet = base + self.get_component_rich_style("hex-dump--quiet")
        first, end = self.bits

        def digit(text: str, bit: int) -> Segment:
            style = chosen if first < bit + 4 and bit < end else base
            return Segment(text, style + cursor if self.has_focus and bit // 8 == self.at else style)

        cursor = self.get_component_rich_style("hex-dump--cursor", partial=True)
        segments = []
        for part in hex_line(self.data, start, per_line):
            bit = 8 * part.at
            if part.kind == "digits":
                segments += [digit(part.text[0], bit), digit(part.text[1], bit + 4)]
                continue
            style = base
            if part.kind == "offset":
                style = base + self.get_component_rich_style("hex-dump--offset")
            # Between two highlighted digits, the gap is too.
            elif part.at >= 0 and first < bit + 8 and (bit + 8 if part.kind == "gap" else bit) < end:
                style = chosen
            elif part.kind == "text" and part.text == HIDDEN:
                style = quiet
            segments.append(Segment(part.text, style))
        return Strip(segments).adjust_cell_length(self.size.width, base)
