"""Make the pictures that the README shows, from the running app: `python3 -m uv run screenshots/make.py`.

It sends ClientMessage on the simulated network and in the sandbox, so it needs no permission.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from textual.pilot import Pilot

from ipl_tui.app import PacketLab
from ipl_tui.capture.store import Store
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.screens.engines import EnginesScreen
from ipl_tui.screens.lab import LabScreen
from ipl_tui.session.options import LabOptions

FOLDER = Path(__file__).parent

PICTURES: dict[str, tuple[tuple[int, int], bool, int, str]] = {
    # name: size, whether the path is followed, packets of one exchange, keys that lead to what is to be seen
    "lab-120x36": ((120, 36), False, 2, "end 4 down down down down down down down"),
    "lab-80x24": ((80, 24), False, 2, "2"),
    "path-120x36": ((120, 36), True, 8, "down down 3"),
}


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await pilot.pause(0.05)


def save(app: PacketLab, name: str) -> None:
    """Save the screen as SVG, without the web font it would fetch."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", app.export_screenshot(title="ipl-tui"), flags=re.DOTALL)
    (FOLDER / f"{name}.svg").write_text(svg.replace("Fira Code", "DejaVu Sans Mono"))


def ready(lab: LabScreen) -> bool:
    return lab.session.settled.is_set() and lab.session.responder is not None


async def compare() -> None:
    """The picture of the three engines, which needs TCP and so the sandbox."""
    with closing(SandboxNetwork()) as network, Store() as store:
        app = PacketLab(store, [network], LabOptions(network.find("client"), filter="ip proto 253"))
        async with app.run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: ready(app.lab))
            await pilot.press("v")
            await until(pilot, lambda: isinstance(app.screen, EnginesScreen))
            await pilot.press("enter")
            await pilot.pause(0.5)
            await until(pilot, lambda: not [work for work in app.workers if work.node is app.screen])
            await pilot.pause(0.5)
            save(app, "engines-120x36")


async def take(name: str, size: tuple[int, int], follow: bool, count: int, keys: str) -> None:
    """Take a picture of the simulated network after one exchange."""
    with closing(SimulatedNetwork()) as network, Store() as store:
        app = PacketLab(store, [network], LabOptions(network.find("client"), filter="ip proto 253", path=follow))
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: ready(app.lab))
            await pilot.press("f5")
            await until(pilot, lambda: app.lab.packets.count == count)
            await pilot.press(*keys.split())
            await pilot.pause(0.5)
            save(app, name)


async def main() -> None:
    await compare()
    for name, wanted in PICTURES.items():
        await take(name, *wanted)


asyncio.run(main())
