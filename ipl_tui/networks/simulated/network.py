"""The simulated network: the three hosts of the plan in this program, for everybody, without permission.

Nothing runs and no Scapy is loaded before it is used; see simulation.py for what happens then.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ipl_tui.networks.interface import Ability, Method, RawSocket, SendError
from ipl_tui.networks.links import check_link
from ipl_tui.networks.send_errors import no_header
from ipl_tui.networks.simulated.link_directions import LinkDirections
from ipl_tui.networks.topology import LINKS, Host, Link, Port
from ipl_tui.networks.topology_network import TopologyInterface, TopologyNetwork
from ipl_tui.packets.ipv4 import SHORTEST_HEADER

if TYPE_CHECKING:  # they load Scapy
    from scapy.supersocket import SuperSocket

    from ipl_tui.capture.sniffer import CaptureSocket
    from ipl_tui.networks.simulated.simulation import Simulation


class SimulatedInterface(TopologyInterface):
    """A port of one of the simulated hosts."""

    network = "simulated"
    no_tcpdump = "its packets are in this program's memory, where tcpdump sees none: F8 in the lab saves them for it"

    def __init__(self, network: SimulatedNetwork, host: Host, port: Port, mtu: int) -> None:
        super().__init__(host, port, mtu)
        self._network = network
        self._port = port

    def can_capture(self) -> Ability:
        return Ability(True)

    def can_send(self) -> Ability:
        return Ability(True)

    def open_capture(self, filter: str = "") -> CaptureSocket:
        return self._network.simulation().capture(self._port, filter)

    def send(self, packet: bytes, method: Method) -> None:
        if len(packet) < SHORTEST_HEADER:
            raise SendError(no_header(len(packet)))
        self._network.simulation().send(self._port, packet, method)

    def open_protocol(self, proto: int, discarding: bool = False) -> SuperSocket:
        return self._network.simulation().listen(self._port, proto, discarding)

    def open_raw(self, proto: int) -> RawSocket:
        return self._network.simulation().open_raw(self._port, proto)

    def open_stream(self) -> socket.socket:
        raise SendError("The simulated hosts have no TCP: choose a sandbox interface, or one of this machine.")

    def tcpdump(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing is kept from send to send."""


class SimulatedNetwork(TopologyNetwork[SimulatedInterface]):
    """Three hosts in memory, and the frames between them."""

    name = "simulated"
    purpose = "Three hosts in memory: no permission, no real network."

    def __init__(self, links: Sequence[Link] = LINKS, seed: int = 0, reassembly_timeout: float = 30.0) -> None:
        """Connect the hosts of the plan; reassembly_timeout in seconds.

        With the same seed a link loses the same frames, counted in each direction from when it was last set.
        """
        self._reassembly_timeout = reassembly_timeout
        self._lines = LinkDirections(links, seed)
        super().__init__(links)
        self._simulation: Simulation | None = None
        self._lock = threading.Lock()

    def _make_interface(self, host: Host, port: Port, mtu: int) -> SimulatedInterface:
        return SimulatedInterface(self, host, port, mtu)

    def fate(self, interface: str, time: int) -> str:
        return self._simulation.fate(interface, time) if self._simulation is not None else ""

    def links(self) -> tuple[Link, ...]:
        return self._lines.links()

    def set_link(self, link: Link) -> None:
        """Frames that are on their way are not touched; its losses begin anew."""
        check_link(link, self.links())
        self._lines.set(link)
        self._tell_mtu(link)

    def simulation(self) -> Simulation:
        """The running part, which loads Scapy when it is asked for the first time."""
        with self._lock:
            if self._simulation is None:
                from ipl_tui.networks.simulated.simulation import Simulation

                self._note_links()
                self._simulation = Simulation(self._lines, self._reassembly_timeout)
            return self._simulation

    def close(self) -> None:
        """End the thread, all sockets and what still waits to be sent; what the hosts have learnt is forgotten."""
        if self._simulation is not None:
            self._simulation.end()
