"""Path MTUs from a simulated host, as routers said (RFC 1191)."""

from __future__ import annotations

from collections.abc import Callable

from ipl_tui.networks.topology import Port
from ipl_tui.packets.ipv4 import LONGEST_DATAGRAM

MOST_PATH_MTUS = 128
"""Destinations whose path MTU is known; the one noted first makes room."""
PATH_MTU_HOLDS = 600.0
"""Seconds (RFC 1191 §6.3)."""
SHORTEST_PATH_MTU = 552
"""Bytes that Linux believes any way to take, whatever a router says."""


class PathMtus:
    """A host's known path MTUs; bounded, whatever comes."""

    def __init__(self, mtu_of: Callable[[str], int]) -> None:
        """`mtu_of` tells the MTU of the link at a port, by the port's name, in bytes."""
        self._mtu_of = mtu_of
        self._known: dict[bytes, tuple[int, float]] = {}

    def mtu(self, destination: bytes, port: Port, now: float) -> int:
        """The longest packet that this host may send to a destination through a port, in bytes (RFC 1191 §6.3)."""
        mtu, until = self._known.get(destination, (LONGEST_DATAGRAM, 0.0))
        return min(mtu if now < until else LONGEST_DATAGRAM, self._mtu_of(port.name))

    def learn(self, destination: bytes, mtu: int, now: float) -> None:
        """Note what a router said of the way to a destination (RFC 1191 §6)."""
        self._known.pop(destination, None)
        if len(self._known) >= MOST_PATH_MTUS:
            del self._known[next(iter(self._known))]
        self._known[destination] = max(mtu, SHORTEST_PATH_MTU), now + PATH_MTU_HOLDS
