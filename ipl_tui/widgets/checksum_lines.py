"""The header checksum worked out, beside the bytes where there is room for it."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from ipl_tui.packets.worked_checksum import show_header_checksum


class ChecksumLines(Widget):
    """Lines of the worked checksum of one packet; it is worked out only where it is seen."""

    packet: reactive[bytes] = reactive(b"")
    """An IPv4 packet from its header on; empty without one."""

    def render(self) -> Text:
        return Text("\n".join(show_header_checksum(self.packet)))
