"""Reception of a packet by a simulated host: whether it takes it, and where it goes (RFC 1812 §5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from ipl_tui.networks.reassembly import Arrival
from ipl_tui.networks.simulated.delivery import Delivery
from ipl_tui.networks.simulated.effects import Outcome, discard
from ipl_tui.networks.simulated.forwarding import Forwarding
from ipl_tui.networks.simulated.messages import parameter_problem, since_midnight
from ipl_tui.networks.simulated.replies import Replies
from ipl_tui.networks.simulated.routing import (
    ALL_SYSTEMS,
    LIMITED_BROADCAST,
    LOOPBACK,
    UNSPECIFIED,
    Routing,
    is_group,
    is_multicast,
)
from ipl_tui.networks.topology import Port
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.ipv4 import SHORTEST_HEADER, header_length
from ipl_tui.packets.options import ProcessedOptions, fill_in
from ipl_tui.packets.text import counted


class Reception:
    """Checks the packets that arrive at a host, and tells those for it from those for others."""

    def __init__(self, routing: Routing, replies: Replies, delivery: Delivery, forwarding: Forwarding) -> None:
        self._routing = routing
        self._replies = replies
        self._delivery = delivery
        self._forwarding = forwarding

    def receive(self, port: Port, data: bytes, now: float, alone: bool) -> Iterator[Outcome]:
        """A packet arrives at a port, with the padding of its frame; `alone`: the frame was for this host only."""
        host = self._routing.host
        fault = header_fault(data) or self._address_fault(data[12:16], data[16:20])
        if fault:
            yield discard(host, fault, port, now)
            return
        packet = bytearray(data[: int.from_bytes(data[2:4])])  # what is beyond is the link's padding
        destination = data[16:20]
        several = self._routing.is_for_several(destination)
        options = fill_in_options(packet, self._routing, port, now)
        arrival = Arrival(bytes(packet), port, now, alone and not several, options)
        if options.problem is not None:  # RFC 1812 §5.3.13.1
            cause = f"byte {options.problem} of its header, in the options, makes no sense (RFC 791 §3.1)"
            yield from self._replies.refuse(arrival, cause, parameter_problem(options.problem))
        elif options.source_route:
            yield discard(host, "it says its own route, which is not safe to follow (RFC 7126 §4.3)", port, now)
        elif several or self._routing.is_of_a_port(destination):
            yield from self._delivery.deliver(arrival)
        elif host.forwards:
            yield from self._forwarding.forward(arrival)
        else:
            address = IPv4Address(destination)
            yield discard(
                host, f"{address} is no address of this host, which is no router (RFC 1122 §3.2.1.3)", port, now
            )

    def receive_own(self, packet: bytes, port: Port, now: float, alone: bool) -> Iterator[Outcome]:
        """Receive what the host sent to itself: nothing is asked about its addresses."""
        if fault := header_fault(packet):
            yield discard(self._routing.host, fault, None, now)
            return
        changed = bytearray(packet)
        options = fill_in_options(changed, self._routing, port, now)
        arrival = Arrival(bytes(changed), port, now, alone, options)
        if options.problem is not None:
            yield from self._replies.send_error(arrival, parameter_problem(options.problem), now)
        elif not options.source_route:
            yield from self._delivery.deliver(arrival)

    def _address_fault(self, source: bytes, destination: bytes) -> str:
        """Reason why a packet with these addresses is dropped in silence (RFC 1812 §5.3.7); empty if it is not."""
        if is_multicast(destination) and destination != ALL_SYSTEMS:
            return f"it is not in the multicast group {IPv4Address(destination)} (RFC 1112 §7.2)"
        if self._routing.is_own(source) or is_group(source):
            of_a_port = self._routing.is_of_a_port(source)
            whose = f"the {self._routing.host.name}'s own" if of_a_port else "not one that a host can have"
            if source != UNSPECIFIED or destination not in (LIMITED_BROADCAST, UNSPECIFIED):
                return f"its Source Address {IPv4Address(source)} is {whose} (RFC 1812 §5.3.7)"
        if destination[0] == LOOPBACK or (destination == UNSPECIFIED != source):
            return f"its Destination Address {IPv4Address(destination)} is never on a link (RFC 1812 §5.3.7)"
        return ""


def fill_in_options(packet: bytearray, routing: Routing, port: Port, now: float) -> ProcessedOptions:
    """Do what a packet's options ask of a host with these addresses, where it arrived at that port."""
    if header_length(packet) == SHORTEST_HEADER:
        return ProcessedOptions()
    destination, source = bytes(packet[16:20]), bytes(packet[12:16])
    address = destination if routing.is_own(destination) else routing.source_towards(source, port)
    return fill_in(packet, address, routing.is_ours, since_midnight(now))


def header_fault(data: bytes) -> str:
    """Reason why data is not a packet that a host takes (RFC 1122 §3.2.1, RFC 1812 §5.2.2); empty if it is one."""
    if len(data) < SHORTEST_HEADER:
        return f"it has {counted(len(data), 'byte')}, and a header has {SHORTEST_HEADER} at least (RFC 1812 §5.2.2)"
    version, header, length = data[0] >> 4, header_length(data), int.from_bytes(data[2:4])
    if version != 4:
        return f"its Version is {version}, and only 4 is IPv4 (RFC 1122 §3.2.1.1)"
    if header < SHORTEST_HEADER:
        return f"its IHL is {header // 4}, and a header has 5 words at least (RFC 1812 §5.2.2)"
    if header > len(data):
        return f"its IHL says {header} bytes of header, and {len(data)} bytes came (RFC 1812 §5.2.2)"
    if internet_checksum(data[:header]) != 0:
        return "its Header Checksum is wrong (RFC 1122 §3.2.1.2)"
    if length > len(data):
        return f"its Total Length is {length}, and {len(data)} bytes came (RFC 1812 §5.2.2)"
    if length < header:
        return f"its Total Length is {length}, less than its header's {header} bytes (RFC 1812 §5.2.2)"
    return ""
