"""The header checksum worked out in the lab: of the draft, of a packet, and why a hop changed it."""

from __future__ import annotations

from contextlib import closing

import pytest
from textual.pilot import Pilot

from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.worked_checksum import show_change, show_header_checksum
from ipl_tui.screens.checksum import ChecksumScreen
from ipl_tui.screens.lab import LabScreen
from ipl_tui.widgets.header_grid import HeaderForm
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running, running, settled

__all__ = ["running"]  # a fixture


def shows(pilot: Pilot[None], lines: list[str]) -> bool:
    """True if the lines stand below each other on the screen."""
    rows = seen(pilot.app)
    return any(
        all(line in row for line, row in zip(lines, rows[start:], strict=False))
        for start in range(len(rows) - len(lines) + 1)
    )


async def back(pilot: Pilot[None], lab: LabScreen, key: str) -> None:
    await pilot.press(key)
    await until(pilot, lambda: pilot.app.screen is lab)


async def test_of_the_draft_while_it_is_typed(running: Running) -> None:
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network]) as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("2", "ctrl+y")
            await until_seen(pilot, "Header Checksum · chksum of the draft, worked")
            assert lab.composer.crafted is not None
            assert shows(pilot, list(show_header_checksum(lab.composer.crafted.packet)))
            await until_seen(pilot, "the header agrees")
            await back(pilot, lab, "escape")
            lab.query_one(HeaderForm).fill({"chksum": "1"})
            await until(pilot, lambda: lab.composer.crafted is not None and lab.composer.crafted.values["chksum"] == 1)
            await pilot.press("ctrl+y")
            await until_seen(pilot, "the header says 0x0001: wrong")
            await back(pilot, lab, "ctrl+y")
            lab.query_one(HeaderForm).fill({"ttl": "300"})
            await until(pilot, lambda: lab.composer.crafted is None)
            await pilot.press("ctrl+y")
            await until_seen(pilot, "A field of the draft has no bits in the")


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_of_a_packet_and_why_a_hop_changed_it(size: tuple[int, int], running: Running) -> None:
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network], filter="ip", follow=True, size=size) as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("c")
            await until_seen(pilot, "No IPv4 packet is shown")
            await pilot.press("f5")
            await until(pilot, lambda: lab.packets.count == 8 and lab.details.number == 1)
            await pilot.press("c")
            await until_seen(pilot, "Header Checksum · chksum of packet 1, worked")
            assert shows(pilot, list(show_header_checksum(lab.details.header)))
            assert not pilot.app.screen.query("#why")
            await back(pilot, lab, "c")

            tracker = lab.session.tracker
            later = next(number for number in range(2, 9) if tracker.changes(number))
            lab.packets.select(later)
            await until(pilot, lambda: lab.details.number == later)
            await pilot.press("c")
            await until(pilot, lambda: isinstance(pilot.app.screen, ChecksumScreen))
            await pilot.press("end")
            hop = tracker.previous(later)
            assert hop is not None
            await until_seen(pilot, f"Why it is another one than in packet {hop}, on {tracker.interface(hop)}")
            why = list(show_change(tracker.packet(hop), lab.details.header))
            assert any("Time to Live, Protocol: 0x40fd became 0x3ffd" in line for line in why)
            await until(pilot, lambda: shows(pilot, why))
