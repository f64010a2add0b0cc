"""A row in full: what the list cuts is here."""

from __future__ import annotations

import pytest
from textual.containers import Vertical

from ipl_tui.session.rows import Note, Row
from ipl_tui.widgets.packet_line import PacketLine
from tests.screen import seen, until, until_seen
from tests.widgets.stage import staged

INFO = " ".join(f"word{number}" for number in range(40))
ROW = Row(7, 0, "c0", "02:00:0a:00:01:0a", "↦", "ff:ff:ff:ff:ff:ff", "ARP", 1042, INFO,
          (Note("answer", "answered by 8", "↪8"),))  # fmt: skip


@pytest.mark.parametrize("width", [80, 120, 200])
async def test_nothing_of_a_row_is_cut(width: int) -> None:
    line = PacketLine()
    async with staged(Vertical(line), size=(width, 12)) as (pilot, stage):
        line.show(ROW)
        await until_seen(pilot, "#7  02:00:0a:00:01:0a ↦ ff:ff:ff:ff:ff:ff  ARP, 1,042 bytes")

        def shown() -> str:
            return " ".join(" ".join(seen(stage)).split())

        await until(pilot, lambda: INFO in shown() and shown().endswith("answered by 8"))
        line.show(None)
        await until(pilot, lambda: not any(seen(stage)))
