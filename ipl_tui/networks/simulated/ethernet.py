"""Ethernet frames (RFC 894) of a simulated host's packets, to the neighbours that ARP finds (RFC 826)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from scapy.layers.l2 import ARP, Ether

from ipl_tui.networks.simulated.effects import Effect, Sent, Transmit, Unreachable, discard
from ipl_tui.networks.simulated.neighbours import Neighbours, Outgoing
from ipl_tui.networks.simulated.routing import UNSPECIFIED, Routing, is_group, is_multicast
from ipl_tui.networks.topology import Port

ETHERTYPE_IPV4, ETHERTYPE_ARP = b"\x08\x00", b"\x08\x06"
ETHERNET_BROADCAST = b"\xff" * 6
ETHERNET_HEADER = 14

ARP_START, ARP_LENGTH = bytes.fromhex("0001 0800 06 04"), 28
"""First bytes of ARP for IPv4 on Ethernet, and its length in bytes (RFC 826)."""


class Ethernet:
    """A host's side of its links."""

    def __init__(self, routing: Routing, neighbours: Neighbours) -> None:
        self._routing = routing
        self._neighbours = neighbours

    def transmit(self, outgoing: Outgoing, now: float) -> Iterator[Effect]:
        """Put a packet on a link, now or when its next hop has answered."""
        hop = outgoing.hop
        if is_multicast(hop):  # RFC 1112 §6.4: the low 23 bits of the group
            hardware_address = b"\x01\x00\x5e" + bytes([hop[1] & 0x7F]) + hop[2:]
        elif self._routing.is_broadcast(hop):
            hardware_address = ETHERNET_BROADCAST
        else:
            hardware_address = self._neighbours.hardware_address(outgoing.neighbour, now)
        if hardware_address:
            yield from _put_on_link(outgoing, hardware_address)
            return
        is_new, crowded_out = self._neighbours.wait(outgoing, now)
        for other in crowded_out:
            if other.ticket is None:
                cause = "too many packets wait for an answer to ARP"
                yield discard(self._routing.host, cause, other.arrived, other.received)
            else:
                yield Unreachable(other.ticket)
        if is_new:
            yield self.ask(outgoing)

    def ask(self, outgoing: Outgoing) -> Transmit:
        """The question for a packet's next hop."""
        port = outgoing.port
        request = ARP(hwsrc=port.hardware_address, psrc=str(port.address.ip), pdst=str(IPv4Address(outgoing.hop)))
        return Transmit(port, bytes(Ether(src=port.hardware_address, dst=ETHERNET_BROADCAST) / request))

    def receive_arp(self, port: Port, message: bytes, now: float) -> Iterator[Effect]:
        """Answer who asks for an address of this host, at any of its ports, and learn from all."""
        if len(message) < ARP_LENGTH or message[:6] != ARP_START:
            return
        arp = ARP(message[:ARP_LENGTH])
        sender, target = IPv4Address(arp.psrc).packed, IPv4Address(arp.pdst).packed
        probes = sender == UNSPECIFIED  # RFC 5227 §2.1.1: is the address still free?
        if not probes and (self._routing.is_own(sender) or is_group(sender)):
            return
        asks_us = arp.op == 1 and self._routing.is_of_a_port(target)
        if arp.op in (1, 2) and not probes:
            hardware_address = message[8:14]
            for outgoing in self._neighbours.learn((port.name, sender), hardware_address, now, asks_us):
                yield from _put_on_link(outgoing, hardware_address)
        if asks_us:
            reply = ARP(op=2, hwsrc=port.hardware_address, psrc=arp.pdst, hwdst=arp.hwsrc, pdst=arp.psrc)
            yield Transmit(port, bytes(Ether(src=port.hardware_address, dst=arp.hwsrc) / reply))


def _put_on_link(outgoing: Outgoing, hardware_address: bytes) -> Iterator[Effect]:
    header = hardware_address + outgoing.port.hardware_address + ETHERTYPE_IPV4
    yield Transmit(outgoing.port, header + outgoing.packet)
    if outgoing.ticket is not None:
        yield Sent(outgoing.ticket)
