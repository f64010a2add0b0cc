"""The bits of one field, in the bytes that it stands in."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

MOST = 4
"""Bytes whose bits are shown; of a longer field, the first."""


class BitStrip(Widget):
    """A line of a field's bytes bit by bit, a bar between them, with the offset of the first before it, and the field's
    own bits highlighted."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"bit-strip--others", "bit-strip--chosen"}

    data: reactive[bytes] = reactive(b"")
    """The frame."""

    bits: reactive[tuple[int, int]] = reactive((0, 0))
    """The highlighted bits: the first, and the one after the last; with none, nothing is shown."""

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        others = base + self.get_component_rich_style("bit-strip--others")
        chosen = base + self.get_component_rich_style("bit-strip--chosen")
        first, end = self.bits
        start, stop = first // 8, min(-(-end // 8), len(self.data))
        segments = []
        if first < end and start < stop:
            segments.append(Segment(f"{start:04x}  ", others))
            shown = range(8 * start, 8 * min(stop, start + MOST))
            for bit in shown:
                digit = str(self.data[bit // 8] >> 7 - bit % 8 & 1)
                segments.append(Segment(digit, chosen if first <= bit < end else others))
                if bit % 4 == 3 and bit + 1 in shown:
                    gap = "│" if bit % 8 == 7 else " "
                    segments.append(Segment(gap, chosen if first <= bit < end - 1 else others))
            if stop > start + MOST:
                segments.append(Segment("│…", others))
        return Strip(segments).adjust_cell_length(self.size.width, base)
