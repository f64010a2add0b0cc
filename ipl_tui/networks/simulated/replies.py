"""Replies of a simulated host: the answers to what asks, and ICMP errors, where one may be sent (RFC 1122)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ipl_tui.networks.reassembly import Arrival, cut
from ipl_tui.networks.simulated.effects import Outcome, ToItself, discard
from ipl_tui.networks.simulated.messages import ICMP_HEADER, ICMP_PROTOCOL, TCP_PROTOCOL, complete, since_midnight
from ipl_tui.networks.simulated.output import Output
from ipl_tui.networks.simulated.path_mtus import PathMtus
from ipl_tui.networks.simulated.routing import LOOPBACK, UNSPECIFIED, Routing
from ipl_tui.networks.topology import Port
from ipl_tui.packets.icmp import describe_error
from ipl_tui.packets.ipv4 import LONGEST_DATAGRAM, OFFSET, SHORTEST_HEADER
from ipl_tui.packets.options import answer

QUERIES = (0, 8, 13, 14, 15, 16, 17, 18)
"""The ICMP types that are no errors: only about these may an error be sent (RFC 1122 §3.2.2)."""

LONGEST_ERROR = 576
"""Bytes of an ICMP error with its headers (RFC 1812 §4.3.2.3)."""


@dataclass(frozen=True, slots=True)
class _WayBack:
    """Way of an answer to a packet."""

    port: Port
    """Egress port."""
    hop: bytes
    is_own: bool
    """True if it is for this host itself, and does not leave."""
    source: bytes
    options: bytes
    mtu: int


class Replies:
    """Makes the packets that go back to the source of another."""

    def __init__(self, routing: Routing, path_mtus: PathMtus, output: Output) -> None:
        self._routing = routing
        self._path_mtus = path_mtus
        self._output = output

    def answer(self, arrival: Arrival, message: bytes) -> Iterator[Outcome]:
        """Answer a packet that was for this host, from the address that was asked, by the same protocol."""
        way = self._way_back(arrival, arrival.destination)
        if way is not None:
            proto, tos = arrival.packet[9], arrival.packet[1]
            if proto == TCP_PROTOCOL:
                tos &= 0xFC  # a reset has no ECN (RFC 3168 §6.1)
            yield from self._send(way, arrival.source, proto, tos, message, arrival.received)

    def refuse(self, arrival: Arrival, cause: str, error: bytes) -> Iterator[Outcome]:
        """Discard a packet and send an ICMP error about it to its source, if that is allowed."""
        yield discard(self._routing.host, cause + goes_back(arrival, error), arrival.port, arrival.received)
        yield from self.send_error(arrival, error, arrival.received)

    def send_error(self, arrival: Arrival, error: bytes, now: float) -> Iterator[Outcome]:
        """Send an ICMP error about a packet, with as much of it as fits (RFC 792, RFC 1812 §4.3.2.3)."""
        own = self._routing.is_own(arrival.destination)
        way = self._way_back(arrival, arrival.destination if own else b"")
        if way is None or _why_silent(arrival):
            return
        room = min(way.mtu, LONGEST_ERROR) - SHORTEST_HEADER - len(way.options) - ICMP_HEADER
        if room > SHORTEST_HEADER:
            tos = (arrival.packet[1] & 0x1E) | 0xC0  # RFC 1812 §4.3.2.5: internetwork control
            yield from self._send(way, arrival.source, ICMP_PROTOCOL, tos, error + arrival.packet[:room], now)

    def _way_back(self, arrival: Arrival, source: bytes) -> _WayBack | None:
        """Way of an answer to a packet's source; from the address of the port where it leaves, if none is given. None:
        there is no route, or addresses or options don't let it.

        None: there is no route, or addresses or options don't let it.
        """
        own = self._routing.own_port(arrival.source, None)
        way = (own, arrival.source) if own else self._routing.route(arrival.source)
        if way is None:
            return None
        port, hop = way
        if source in (b"", UNSPECIFIED):
            source = arrival.source if own else port.address.ip.packed
        elif source[0] == LOOPBACK and not own:
            return None  # it never leaves the host (RFC 1122 §3.2.1.3)
        time = since_midnight(arrival.received)
        options = answer(arrival.packet, arrival.options, source, self._routing.is_ours, time)
        if options is None:
            return None
        mtu = LONGEST_DATAGRAM if own else self._path_mtus.mtu(arrival.source, port, arrival.received)
        return _WayBack(port, hop, bool(own), source, options, mtu)

    def _send(
        self, way: _WayBack, destination: bytes, proto: int, tos: int, message: bytes, now: float
    ) -> Iterator[Outcome]:
        """Send an ICMP or TCP message of this host."""
        # A reset is never fragmented and needs no Identification (RFC 6864 §4.1).
        identification = b"\0\0" if proto == TCP_PROTOCOL else self._output.identify()
        packet = complete(proto, tos, way.source, destination, way.options, identification, message)
        if way.is_own:
            yield ToItself(packet, way.port)
        else:
            yield from self._output.send(packet, cut(packet, way.mtu), way.port, way.hop, now)


def goes_back(arrival: Arrival, error: bytes) -> str:
    """Sentence's end on what the source of a discarded packet hears of it."""
    silent = _why_silent(arrival)
    name = describe_error(error[0], error[1]).partition(":")[0]
    return f"; no error is sent about {silent}" if silent else f"; {name} goes back"


def _why_silent(arrival: Arrival) -> str:
    """Reason why no ICMP error may be sent about a packet (RFC 1122 §3.2.2); empty if one may."""
    if not arrival.alone:
        return "a packet for several"
    if arrival.flags & OFFSET:
        return "a fragment that is not the first"
    kind = arrival.packet[arrival.header : arrival.header + 1]
    if arrival.packet[9] == ICMP_PROTOCOL and (not kind or kind[0] not in QUERIES):
        return "an ICMP error"
    if arrival.options.source_route:  # the error would go back along the route so far, and nobody here passes it on
        route = arrival.packet[arrival.options.source_route :]
        if min(route[2], route[1] + 1) >= 8:
            return "a packet that has gone a way of its own"
    return ""
