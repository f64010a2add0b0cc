"""Output of a simulated host: frames and packets that its sockets are given, and what it has to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from ipl_tui.networks.interface import SendError
from ipl_tui.networks.reassembly import cut, write_checksum
from ipl_tui.networks.send_errors import (
    impossible_header,
    longer_than_link,
    longer_than_path,
    no_header,
    no_route,
    own_address,
)
from ipl_tui.networks.simulated.effects import Effect, Outcome, ToItself
from ipl_tui.networks.simulated.ethernet import Ethernet
from ipl_tui.networks.simulated.neighbours import Outgoing
from ipl_tui.networks.simulated.path_mtus import PathMtus
from ipl_tui.networks.simulated.routing import ALL_SYSTEMS, UNSPECIFIED, Routing
from ipl_tui.networks.topology import Port
from ipl_tui.packets.ipv4 import DONT_FRAGMENT, LONGEST_DATAGRAM, SHORTEST_HEADER, flags_and_offset, header_length


class Output:
    """The way of a host's own packets out of it, or back to itself."""

    def __init__(self, routing: Routing, ethernet: Ethernet, path_mtus: PathMtus, mtu_of: Callable[[str], int]) -> None:
        """`mtu_of` tells the MTU of the link at a port, by the port's name, in bytes."""
        self._routing = routing
        self._ethernet = ethernet
        self._path_mtus = path_mtus
        self._mtu_of = mtu_of
        self._identification = 0

    def send_frame(self, port: Port, packet: bytes, ticket: int, now: float) -> Iterator[Effect]:
        """Send the bytes as they are, in a frame from this port. Raises SendError."""
        destination = _destination(packet)
        if self._routing.is_own(destination) and destination != UNSPECIFIED:
            raise SendError(own_address(IPv4Address(destination), f"the {self._routing.host.name}"))
        hop = self._routing.next_hop(destination, port)
        if hop is None:
            raise _no_route(destination, port)
        self._check_size(packet, port)
        return self._ethernet.transmit(Outgoing(packet, port, hop, now, ticket=ticket), now)

    def send_raw(self, packet: bytes, port: Port | None, now: float) -> Iterator[Outcome]:
        """Send through a raw socket that includes the header (raw(7)), bound to a port or not. Raises SendError."""
        routing, destination = self._routing, _destination(packet)
        own = routing.own_port(destination, port)
        way = (own, destination) if own else routing.route(destination, port)
        if way is None:
            raise _no_route(destination, routing.host.ports[0])
        out, hop = way
        self._check_size(packet, None if own else out)
        header = header_length(packet)
        if not SHORTEST_HEADER <= header <= len(packet):
            raise SendError(impossible_header(header, len(packet)))
        ready = bytearray(packet)
        ready[2:4] = len(packet).to_bytes(2)
        if ready[12:16] == UNSPECIFIED:
            ready[12:16] = destination if own and destination != UNSPECIFIED else out.address.ip.packed
        if ready[4:6] == b"\0\0" and not flags_and_offset(ready) & DONT_FRAGMENT:
            ready[4:6] = self.identify()
        write_checksum(ready)
        if own:
            return iter((ToItself(bytes(ready), own),))
        mtu = self._path_mtus.mtu(destination, out, now)
        if len(ready) > mtu and flags_and_offset(ready) & DONT_FRAGMENT:
            raise SendError(longer_than_path(len(packet), IPv4Address(destination)))
        return self.send(bytes(ready), cut(bytes(ready), mtu, raw=True), out, hop, now)

    def send(self, packet: bytes, pieces: list[bytes], port: Port, hop: bytes, now: float) -> Iterator[Outcome]:
        """Send a packet of this host, in these pieces; what is for all is for this host as well."""
        destination = packet[16:20]
        if packet[8] or destination != ALL_SYSTEMS:  # RFC 1112 §6.1: to a group of its own, TTL 0 stays in the host
            for piece in pieces:
                yield from self._ethernet.transmit(Outgoing(piece, port, hop, now), now)
        if destination == ALL_SYSTEMS or self._routing.is_broadcast(destination):
            yield ToItself(packet, port, alone=False)

    def identify(self) -> bytes:
        """The next Identification that the host chooses, 2 bytes; never 0."""
        self._identification = self._identification % 0xFFFF + 1
        return self._identification.to_bytes(2)

    def _check_size(self, packet: bytes, port: Port | None) -> None:
        most = self._mtu_of(port.name) if port else LONGEST_DATAGRAM
        if len(packet) > most:
            raise SendError(longer_than_link(len(packet), port.name if port else self._routing.host.name, most))


def _destination(packet: bytes) -> bytes:
    """Destination of a packet, 4 bytes. Raises SendError."""
    if len(packet) < SHORTEST_HEADER:
        raise SendError(no_header(len(packet)))
    return packet[16:20]


def _no_route(destination: bytes, port: Port) -> SendError:
    return SendError(no_route(IPv4Address(destination), port.name))
