"""Delivery of a packet to a simulated host: it is put together and given to who takes its protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from ipl_tui.networks.reassembly import Arrival, Lost, Reassembly
from ipl_tui.networks.simulated.effects import Deliver, Outcome, discard
from ipl_tui.networks.simulated.messages import (
    ICMP_HEADER,
    ICMP_PROTOCOL,
    TCP_PROTOCOL,
    TIME_EXCEEDED,
    UDP_PROTOCOL,
    UNREACHABLE,
    icmp,
)
from ipl_tui.networks.simulated.protocols import Protocols
from ipl_tui.networks.simulated.replies import Replies, goes_back
from ipl_tui.networks.topology import Host
from ipl_tui.packets.fields import PROTOCOLS
from ipl_tui.packets.ipv4 import is_fragment

TAKEN_PROTOCOLS = {2: "IGMP", 103: "PIM", 136: "UDP-Lite"}
"""Other protocols that the kernel itself listens to, so that they are never unreachable; here there is nobody to talk
to by them."""


class Delivery:
    """The end of a packet's way, at the host it is for (RFC 1122 §3.2.1.3)."""

    def __init__(
        self,
        host: Host,
        reassembly: Reassembly,
        replies: Replies,
        protocols: Protocols,
        listeners: Counter[tuple[str, int]],
    ) -> None:
        """`listeners`: how many raw sockets listen, by port name and IP protocol number."""
        self._host = host
        self._reassembly = reassembly
        self._replies = replies
        self._protocols = protocols
        self._listeners = listeners

    def deliver(self, arrival: Arrival) -> Iterator[Outcome]:
        """Give a packet to the sockets and protocols of this host; a fragment when the others have come."""
        if is_fragment(arrival.packet):
            whole, all_lost = self._reassembly.add(arrival)
            for lost in all_lost:
                for fragment in lost.fragments:
                    cause = f"{lost.reason} (RFC 791 §3.2)"
                    yield discard(self._host, cause, fragment.port, fragment.received)
            if whole is None:
                return
            arrival = whole
        proto = arrival.packet[9]
        listens = self._listeners[arrival.port.name, proto] > 0
        if proto == ICMP_PROTOCOL and len(arrival.packet) < arrival.header + ICMP_HEADER:
            listens = False  # Linux gives raw sockets no ICMP message without a whole header
        if listens:
            yield Deliver(arrival.packet, arrival.port)
        if proto == ICMP_PROTOCOL:
            yield from self._protocols.receive_icmp(arrival)
        elif proto == UDP_PROTOCOL:
            yield from self._protocols.receive_udp(arrival)
        elif proto == TCP_PROTOCOL:
            yield from self._protocols.receive_tcp(arrival)
        elif listens:
            pass
        elif proto in TAKEN_PROTOCOLS:
            cause = f"the kernel takes {TAKEN_PROTOCOLS[proto]} itself, and nothing comes of this"
            yield discard(self._host, cause, arrival.port, arrival.received)
        else:
            name = next((name for name, number in PROTOCOLS.items() if number == proto), "")
            cause = f"nobody there listens to protocol {proto}{name and f' ({name})'} (RFC 1122 §3.2.2.1)"
            yield from self._replies.refuse(arrival, cause, icmp(type=UNREACHABLE, code=2))

    def expire(self, now: float) -> Iterator[Outcome]:
        """Give up the datagrams whose fragments did not all come in time."""
        for lost in self._reassembly.expire(now):
            yield from self._give_up(lost, now)

    def _give_up(self, lost: Lost, now: float) -> Iterator[Outcome]:
        """Tell the source that its fragments did not all come, if the first is among them (RFC 1122 §3.3.2)."""
        first = lost.fragments[0] if lost.fragments[0].begin == 0 else None
        error = icmp(type=TIME_EXCEEDED, code=1)
        tail = goes_back(first, error) if first else "; without the first of them no error is sent"
        for fragment in lost.fragments:
            cause = f"{lost.reason} (RFC 1122 §3.3.2){tail}"
            yield discard(self._host, cause, fragment.port, fragment.received)
        if first:
            yield from self._replies.send_error(replace(first, packet=first.whole_units), error, now)
