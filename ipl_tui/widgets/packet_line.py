"""All that a packet's row says, in full: the row itself is cut where the screen ends."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from ipl_tui.session.rows import Row


class PacketLine(Static):
    """A row of the list with nothing cut, in as many lines as that takes."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.shown: Row | None = None

    def show(self, row: Row | None) -> None:
        """Show a packet's row; None: no packet is chosen. It is asked often, and mostly nothing is new."""
        if row == self.shown:
            return
        self.shown = row
        self.update(in_full(row) if row is not None else "")


def in_full(row: Row) -> Text:
    """The text of a row: who sends to whom, then what there is to say of the packet."""
    text = Text.assemble((f"#{row.number}", "bold"), f"  {row.source} {row.direction} {row.destination}")
    for said in (f"{row.protocol}, {row.length:,} bytes", row.info, *(note.text for note in row.notes)):
        if said:
            text.append(f"  {said}")
    return text
