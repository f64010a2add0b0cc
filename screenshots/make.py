"""Make the pictures that the README shows, from the running app: `sudo python3 -m uv run screenshots/make.py`.

It sends ClientMessage on the loopback interface, with the responder on, so it needs the permission to.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from textual.pilot import Pilot

from ipl_tui.app import PacketLab
from ipl_tui.capture.store import Store
from ipl_tui.cli import loopback
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.screens.lab import Options
from ipl_tui.widgets.packet_list import PacketList

FOLDER = Path(__file__).parent


async def until(pilot: Pilot[None], packets: PacketList, count: int) -> None:
    async with asyncio.timeout(20):
        while packets.count < count:
            await pilot.pause(0.05)


def save(app: PacketLab, name: str) -> None:
    """Save the screen as SVG, without the web font it would fetch."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", app.export_screenshot(title="ipl-tui"), flags=re.DOTALL)
    (FOLDER / name).write_text(svg.replace("Fira Code", "DejaVu Sans Mono"))


async def main() -> None:
    network = KernelNetwork()
    for width, height in (120, 36), (80, 24):
        with Store() as store:
            app = PacketLab(store, [network], Options(loopback(network), filter="ip proto 253", responder=True))
            async with app.run_test(size=(width, height)) as pilot:
                packets = app.lab.query_one(PacketList)
                await pilot.press("f5")
                await until(pilot, packets, 2)
                await pilot.press("end", "4", "down", "down", "down", "down", "down", "down", "down")
                await pilot.pause(0.5)
                if width == 80:
                    await pilot.press("2")
                    await pilot.pause(0.5)
                save(app, f"lab-{width}x{height}.svg")


asyncio.run(main())
