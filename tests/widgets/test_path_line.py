"""The line that shows a packet's way, at any width."""

from __future__ import annotations

from ipl_tui.capture.store import Store
from ipl_tui.widgets.path_line import PathLine
from tests.screen import until_seen
from tests.tracking.test_tracker import Told
from tests.widgets.stage import staged


async def test_the_way_and_its_end() -> None:
    with Store() as store:
        told = Told(store)
        line = PathLine(told.tracker)
        async with staged(line, size=(100, 10)) as (pilot, _):
            line.show(0)
            await until_seen(pilot, "Path: choose a packet to see its way.")
            told.see("c0 64", "r0 64", "r1 63")
            line.show(2)
            await until_seen(pilot, "Path  c0 #1 ─▶ r0 #2 ─ TTL 64→63, checksum ─▶ r1 #3")
            await until_seen(pilot, "✖ Last seen leaving the router on r1: it did not arrive on s0.")
            told.see("s0 63")
            line.show(2)
            await until_seen(pilot, "─▶ s0 #4")
            await until_seen(pilot, "✔ Arrived at the server.")


async def test_many_fragments_are_counted() -> None:
    with Store() as store:
        told = Told(store)
        told.see("c0 64", "r0 64", payload=bytes(range(64)))
        for place in range(8):
            piece = bytes(range(place * 8, place * 8 + 8))
            told.see("r1 63", payload=piece, frag=place, mf=int(place < 7))
        line = PathLine(told.tracker)
        async with staged(line, size=(100, 10)) as (pilot, _):
            line.show(1)
            await until_seen(pilot, "─▶ r1 #3, #4, #5, #6 and 4 more")


async def test_a_fate_is_text() -> None:
    with Store() as store:
        told = Told(store)
        told.network.fates["r0", 2000] = "[b]The router[/b] was tired."
        told.see("c0 64", "r0 64")
        line = PathLine(told.tracker)
        async with staged(line, size=(100, 10)) as (pilot, _):
            line.show(1)
            await until_seen(pilot, "✖ [b]The router[/b] was tired.")
