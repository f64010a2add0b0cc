"""Forwarding by a simulated router (RFC 1812 §5.2.1.2): Time to Live, fragments, redirects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from ipl_tui.networks.reassembly import Arrival, cut, write_checksum
from ipl_tui.networks.simulated.effects import Outcome, discard
from ipl_tui.networks.simulated.ethernet import Ethernet
from ipl_tui.networks.simulated.messages import REDIRECT, TIME_EXCEEDED, UNREACHABLE, icmp
from ipl_tui.networks.simulated.neighbours import Outgoing
from ipl_tui.networks.simulated.replies import Replies
from ipl_tui.networks.simulated.routing import Routing
from ipl_tui.packets.ipv4 import DONT_FRAGMENT


class Forwarding:
    """A router's treatment of packets for others."""

    def __init__(self, routing: Routing, ethernet: Ethernet, replies: Replies, mtu_of: Callable[[str], int]) -> None:
        """`mtu_of` tells the MTU of the link at a port, by the port's name, in bytes."""
        self._routing = routing
        self._ethernet = ethernet
        self._replies = replies
        self._mtu_of = mtu_of

    def forward(self, arrival: Arrival) -> Iterator[Outcome]:
        """Pass a packet on towards its destination, or say why not."""
        way = self._routing.route(arrival.destination)
        if way is None:
            cause = f"there is no route to {IPv4Address(arrival.destination)} (RFC 1812 §5.2.7.1)"
            yield from self._replies.refuse(arrival, cause, icmp(type=UNREACHABLE, code=0))
            return
        if not arrival.alone:
            cause = "it came in a frame for all, and such packets are not passed on (RFC 1812 §5.3.4)"
            yield discard(self._routing.host, cause, arrival.port, arrival.received)
            return
        if arrival.packet[8] <= 1:
            cause = "its Time to Live is used up (RFC 1812 §5.3.1)"
            yield from self._replies.refuse(arrival, cause, icmp(type=TIME_EXCEEDED, code=0))
            return
        out, hop = way
        mtu = self._mtu_of(out.name)
        if len(arrival.packet) > mtu and arrival.flags & DONT_FRAGMENT:
            size = f"it has {len(arrival.packet):,} bytes, {out.name} takes {mtu:,}"
            cause = f"{size}, and Don't Fragment is set (RFC 1191 §4)"
            yield from self._replies.refuse(arrival, cause, icmp(type=UNREACHABLE, code=4, nexthopmtu=mtu))
            return
        packet = bytearray(arrival.packet)
        packet[8] -= 1
        checksum = int.from_bytes(packet[10:12]) + 0x0100  # RFC 1624 §3, as Linux does it: never 0xFFFF
        packet[10:12] = (checksum + (checksum >= 0xFFFF) & 0xFFFF).to_bytes(2)
        if out == arrival.port and IPv4Address(arrival.source) in out.address.network:  # RFC 1812 §5.2.7.2
            passed = replace(arrival, packet=bytes(packet))
            gateway = str(IPv4Address(hop))
            yield from self._replies.send_error(passed, icmp(type=REDIRECT, code=1, gw=gateway), arrival.received)
        options = arrival.options
        if options.recorded:  # RFC 791 §3.1: the address as known on the way it leaves
            pointer = options.record_route + packet[options.record_route + 2]
            packet[pointer - 5 : pointer - 1] = out.address.ip.packed
        if options.changed:
            write_checksum(packet)
        for piece in cut(bytes(packet), mtu):
            outgoing = Outgoing(piece, out, hop, arrival.received, arrived=arrival.port)
            yield from self._ethernet.transmit(outgoing, arrival.received)
