"""The lab, running on an interface of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ipl_tui.app import PacketLab
from ipl_tui.capture.files import Pipe
from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Network, find_interface
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.screens.lab import LabScreen
from ipl_tui.session.options import LabOptions
from tests.screen import until

Running = Callable[..., AbstractAsyncContextManager[tuple[Pilot[None], LabScreen]]]


@pytest.fixture(params=["simulated", "sandbox"])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """Each of the networks that follow the plan."""
    if request.param == "sandbox":
        yield request.getfixturevalue("sandbox")
        return
    with closing(SimulatedNetwork()) as network:
        yield network


async def settled(pilot: Pilot[None], lab: LabScreen) -> None:
    """Wait until frames are captured and the responder answers."""
    await until(
        pilot, lambda: lab.session.settled.is_set() and (lab.session.responder or not lab.session.network.private)
    )


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Runs the lab on an interface ("lo" unless named) of the namespace that the test is in."""

    @asynccontextmanager
    async def run(
        interface: str = "lo",
        size: tuple[int, int] = (120, 36),
        path: Path | None = None,
        filter: str = "",
        read: Path | Pipe | None = None,
        responder: bool | None = None,
        networks: Sequence[Network] = (),
        follow: bool = False,
        on_interface_chosen: Callable[[str], None] = lambda name: None,
    ) -> AsyncIterator[tuple[Pilot[None], LabScreen]]:
        networks = networks or [KernelNetwork()]
        options = LabOptions(find_interface(interface, networks), filter, read, responder, follow, on_interface_chosen)
        with Store(path) as store:
            app = PacketLab(store, networks, options)
            async with app.run_test(size=size, notifications=True) as pilot:
                yield pilot, app.lab

    return run
