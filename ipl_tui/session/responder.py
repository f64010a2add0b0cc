"""The responder of the lab: one server at most, where and with the engine that are wanted now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ipl_tui.exchange.delayed_answers import DELAY, OwnPackets
from ipl_tui.exchange.engines import make_server
from ipl_tui.networks.interface import Interface
from ipl_tui.session.snapshot import Answering

if TYPE_CHECKING:  # the first screen is there before anybody answers
    from ipl_tui.exchange.engine import Server


class Responder:
    """Starts and stops servers, one change after the other. Its coroutines are for one event loop."""

    def __init__(self, on_problem: Callable[[str], object]) -> None:
        """on_problem gets one sentence, in a server's thread."""
        self.server: Server | None = None
        """The one that answers."""
        self.engine: str | None = None
        """Name of the engine that it answers with; None while it does not."""
        self.ours = OwnPackets()
        """Packets that the lab itself is sending: they are answered at once, all others after DELAY seconds."""
        self._on_problem = on_problem
        self._changing = asyncio.Lock()

    async def settle(self, place: Interface | None, engine: str) -> None:
        """Answer at an interface from now on, or nowhere. Raises SendError when listening is not possible there."""
        from ipl_tui.exchange.engine import ServerConfig

        async with self._changing:
            server = self.server
            if server is not None and (place != server.interface or engine != self.engine):
                await asyncio.to_thread(server.stop)
                self.server = None
            if place is not None and self.server is None:
                server = make_server(
                    engine, ServerConfig(place, delay=DELAY, ours=self.ours, on_problem=self._on_problem)
                )
                await asyncio.to_thread(server.start)
                self.server, self.engine = server, engine

    def describe(self, selected: Interface) -> Answering | None:
        """Its state, for a lab with this interface selected; None while it does not answer."""
        if self.server is None or self.engine is None:
            return None
        host = self.server.interface.host if self.server.interface is not selected else ""
        return Answering(self.engine, host, self.server.config.refused)

    def close(self) -> None:
        """Stop at once; blocks until the sockets are closed."""
        if self.server is not None:
            self.server.stop()
