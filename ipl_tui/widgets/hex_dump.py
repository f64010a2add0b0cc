"""The bytes of a frame, in hexadecimal and as text, with one field's bytes highlighted."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

NARROW, WIDE = 8, 16
"""Bytes in a line."""


def cells_of(per_line: int) -> int:
    """The width of a line of so many bytes: offset, hexadecimal with a gap in the middle, text."""
    return 6 + 3 * per_line + 2 + per_line


class HexDump(ScrollView, can_focus=True):
    """A frame's bytes; a click tells which byte."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"hex-dump--offset", "hex-dump--chosen", "hex-dump--quiet"}

    data: reactive[bytes] = reactive(b"")
    span: reactive[tuple[int, int]] = reactive((0, 0))
    """The highlighted bytes: the first, and the one after the last."""

    class ByteChosen(Message):
        """The user clicked on a byte."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    @property
    def per_line(self) -> int:
        return WIDE if self.scrollable_content_region.width >= cells_of(WIDE) else NARROW

    def watch_data(self) -> None:
        self.span = (0, 0)
        self.fit()
        self.scroll_home(animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        self.fit()
        self.watch_span(self.span)

    def fit(self) -> None:
        self.virtual_size = Size(cells_of(self.per_line), -(-len(self.data) // self.per_line))
        self.refresh()

    def watch_span(self, span: tuple[int, int]) -> None:
        if span[0] < span[1]:
            line = Region(0, span[0] // self.per_line, 1, 1)
            # Forced, for a scroll bar that other bytes need may not be there yet.
            self.scroll_to_region(line, animate=False, force=True, immediate=True)

    def column_of(self, index: int) -> int:
        """The column of the first digit of a line's byte."""
        return 6 + 3 * index + (index >= self.per_line // 2)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for index in range(self.per_line):
            text_column = self.column_of(self.per_line) + 1 + index
            if offset.x in (self.column_of(index), self.column_of(index) + 1, text_column):
                byte = (self.scroll_offset.y + offset.y) * self.per_line + index
                if byte < len(self.data):
                    self.post_message(self.ByteChosen(byte))

    def render_line(self, y: int) -> Strip:
        base, per_line = self.rich_style, self.per_line
        start = (self.scroll_offset.y + y) * per_line
        line = self.data[start : start + per_line]
        if not line:
            return Strip.blank(self.size.width, base)
        chosen = base + self.get_component_rich_style("hex-dump--chosen")
        quiet = base + self.get_component_rich_style("hex-dump--quiet")
        segments = [Segment(f"{start:04x}".ljust(6), base + self.get_component_rich_style("hex-dump--offset"))]
        text = []
        for index in range(per_line):
            gap = "" if index + 1 < per_line else " "
            middle = " " if index == per_line // 2 else ""
            if index >= len(line):
                segments.append(Segment(f"{middle}   {gap}", base))
                continue
            at, byte = start + index, line[index]
            marked = self.span[0] <= at < self.span[1]
            segments.append(Segment(middle, base))
            segments.append(Segment(f"{byte:02x}", chosen if marked else base))
            segments.append(Segment(f" {gap}", chosen if marked and at + 1 < self.span[1] and not gap else base))
            shown = chr(byte) if 0x20 <= byte < 0x7F else "·"
            text.append(Segment(shown, chosen if marked else base if shown != "·" else quiet))
        return Strip([*segments, *text]).adjust_cell_length(self.size.width, base)
