"""A lab without a screen, and what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import pytest

from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Interface, Network, find_interface
from ipl_tui.networks.sending import Order
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.session.options import LabOptions
from ipl_tui.session.session import Session
from ipl_tui.session.snapshot import Notice, Snapshot

CLIENT, SERVER = "10.0.1.10", "10.0.2.20"


def order(payload: bytes = b"ClientMessage", count: int = 1, interval: float = 0.01, **fields: int | str) -> Order:
    """An order to send from the client to the server, or as the fields have it, by frames."""
    draft = Draft(**{"proto": 253, "src": CLIENT, "dst": SERVER, **fields}, payload=payload)  # type: ignore[arg-type]
    return Order(craft(draft).packet, "exact", count, interval)


class Told:
    """A session and the snapshots that it tells."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.snapshots = [session.snapshot]
        self._changed = asyncio.Event()
        session.on_change = self._take

    def _take(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self._changed.set()

    @property
    def last(self) -> Snapshot:
        return self.snapshots[-1]

    @property
    def said(self) -> list[Notice]:
        """Every sentence, each once."""
        return list({said.number: said for snapshot in self.snapshots for said in snapshot.said}.values())

    async def until(self, condition: Callable[[Snapshot], object]) -> Snapshot:
        """The first snapshot from now on for which something is true."""
        try:
            async with asyncio.timeout(10):
                while not condition(self.last):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"this was not told; the last: {self.last}") from None
        return self.last

    async def hear(self, text: str) -> Notice:
        """The first sentence with a text in it."""
        await self.until(lambda _: any(text in said.text for said in self.said))
        return next(said for said in self.said if text in said.text)


Running = Callable[..., AbstractAsyncContextManager[Told]]


@pytest.fixture
def network() -> Iterator[SimulatedNetwork]:
    with closing(SimulatedNetwork()) as network:
        yield network


@pytest.fixture
def running(network: SimulatedNetwork) -> Running:
    """Runs a lab on the simulated client, or where it is told to; it captures, or has read, when it is given."""

    @asynccontextmanager
    async def run(
        interface: str | Interface = "simulated:client",
        filter: str = "ip",
        read: Path | None = None,
        responder: bool | None = None,
        follow: bool = False,
        networks: Sequence[Network] = (),
        on_interface_chosen: Callable[[str], None] = lambda name: None,
        engine: str = "scapy",
    ) -> AsyncIterator[Told]:
        networks = networks or [network]
        place = find_interface(interface, networks) if isinstance(interface, str) else interface
        options = LabOptions(place, filter, read, responder, follow, on_interface_chosen, engine)
        with Store() as store:
            told = Told(Session(store, networks, options))
            going_on = asyncio.create_task(told.session.run())
            await told.session.settled.wait()
            try:
                yield told
            finally:
                await told.session.close()
                await asyncio.gather(going_on, return_exceptions=True)

    return run
