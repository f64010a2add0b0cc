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

from ipl_tui.packets.hex import HIDDEN, digits_column, hex_line, text_column, width

NARROW, WIDE = 8, 16
"""Bytes in a line."""


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
        return WIDE if self.scrollable_content_region.width >= width(WIDE) else NARROW

    def watch_data(self) -> None:
        self.span = (0, 0)
        self.fit()
        self.scroll_home(animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        self.fit()
        self.watch_span(self.span)

    def fit(self) -> None:
        self.virtual_size = Size(width(self.per_line), -(-len(self.data) // self.per_line))
        self.refresh()

    def watch_span(self, span: tuple[int, int]) -> None:
        if span[0] < span[1]:
            line = Region(0, span[0] // self.per_line, 1, 1)
            # Forced, for a scroll bar that other bytes need may not be there yet.
            self.scroll_to_region(line, animate=False, force=True, immediate=True)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for index in range(self.per_line):
            digits = digits_column(index, self.per_line)
            if offset.x in (digits, digits + 1, text_column(index, self.per_line)):
                byte = (self.scroll_offset.y + offset.y) * self.per_line + index
                if byte < len(self.data):
                    self.post_message(self.ByteChosen(byte))

    def render_line(self, y: int) -> Strip:
        base, per_line = self.rich_style, self.per_line
        start = (self.scroll_offset.y + y) * per_line
        if start >= len(self.data):
            return Strip.blank(self.size.width, base)
        chosen = base + self.get_component_rich_style("hex-dump--chosen")
        quiet = base + self.get_component_rich_style("hex-dump--quiet")
        first, end = self.span
        segments = []
        for part in hex_line(self.data, start, per_line):
            # Between two highlighted bytes, the gap is too.
            is_chosen = first <= part.at < (end - 1 if part.kind == "gap" else end)
            style = chosen if is_chosen else quiet if part.kind == "text" and part.text == HIDDEN else base
            if part.kind == "offset":
                style = base + self.get_component_rich_style("hex-dump--offset")
            segments.append(Segment(part.text, style))
        return Strip(segments).adjust_cell_length(self.size.width, base)
