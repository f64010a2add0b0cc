"""IPv4 of a simulated host, as the Linux kernel does it: told frames and the time, it says what happens.

There is no I/O, clock, thread or randomness in here. A `Stack` is one host; what its methods return is for its owner to
carry out, in order. Received packets are handled as bytes, for what is passed on must be right to the bit; what a host
says itself (ARP, ICMP, a TCP reset) is built with Scapy.

A packet's way through a host: reception says whether it is delivered or forwarded; ethernet puts on the link what is
forwarded, and what output sends of the host's own, replies among it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address

from ipl_tui.networks.reassembly import Arrival, Reassembly
from ipl_tui.networks.simulated.delivery import Delivery
from ipl_tui.networks.simulated.effects import Effect, Outcome, ToItself, Unreachable, discard
from ipl_tui.networks.simulated.ethernet import ETHERNET_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4, Ethernet
from ipl_tui.networks.simulated.forwarding import Forwarding
from ipl_tui.networks.simulated.messages import UNREACHABLE, icmp
from ipl_tui.networks.simulated.neighbours import Neighbours, Outgoing
from ipl_tui.networks.simulated.output import Output
from ipl_tui.networks.simulated.path_mtus import PathMtus
from ipl_tui.networks.simulated.protocols import Protocols
from ipl_tui.networks.simulated.reception import Reception, fill_in_options
from ipl_tui.networks.simulated.replies import Replies, goes_back
from ipl_tui.networks.simulated.routing import Routing
from ipl_tui.networks.topology import Host, Port


class Stack:
    """One host's IPv4, for one thread at a time.

    Its times are seconds since 1970 (UT), for some packets tell the time of day, of a clock that never goes back.
    """

    def __init__(self, host: Host, mtu_of: Callable[[str], int], reassembly_timeout: float = 30.0) -> None:
        """`mtu_of` tells the MTU of the link at a port, by the port's name, in bytes, whenever it is asked."""
        self.host = host
        self.listeners: Counter[tuple[str, int]] = Counter()
        """Number of raw sockets that listen, by port name and IP protocol number; the owner counts them up and down."""
        self._neighbours = Neighbours()
        self._reassembly = Reassembly(reassembly_timeout)
        self._routing = routing = Routing(host)
        path_mtus = PathMtus(mtu_of)
        self._ethernet = Ethernet(routing, self._neighbours)
        self._output = Output(routing, self._ethernet, path_mtus, mtu_of)
        self._replies = replies = Replies(routing, path_mtus, self._output)
        protocols = Protocols(routing, path_mtus, replies, self.listeners)
        self._delivery = Delivery(host, self._reassembly, replies, protocols, self.listeners)
        forwarding = Forwarding(routing, self._ethernet, replies, mtu_of)
        self._reception = Reception(routing, replies, self._delivery, forwarding)

    def receive(self, port: Port, frame: bytes, now: float) -> list[Effect]:
        """Effects of a frame that arrives at a port. Never raises, whatever the bytes."""
        alone = frame[:6] == port.hardware_address
        if not alone and not (frame[:1] and frame[0] & 1):  # the bit of group addresses (IEEE 802)
            return [discard(self.host, "it is for another hardware address", port, now)]
        if frame[12:14] == ETHERTYPE_IPV4:
            return self._settle(self._reception.receive(port, frame[ETHERNET_HEADER:], now, alone), now)
        if frame[12:14] == ETHERTYPE_ARP:
            return list(self._ethernet.receive_arp(port, frame[ETHERNET_HEADER:], now))
        return []

    def send_frame(self, port: Port, packet: bytes, ticket: int, now: float) -> list[Effect]:
        """Send the bytes as they are, in a frame from this port; Sent or Unreachable may come later. Raises SendError.

        The next hop is the destination where it is on the port's network, else the gateway where that is.
        """
        return list(self._output.send_frame(port, packet, ticket, now))

    def send_packet(self, packet: bytes, port: Port | None, now: float) -> list[Effect]:
        """Send through a raw socket that includes the header (raw(7)), bound to a port or not. Raises SendError."""
        return self._settle(self._output.send_raw(packet, port, now), now)

    def due(self) -> float | None:
        """Time of the next tick(), in seconds; None as long as nothing waits."""
        asks, gives_up = self._neighbours.due(), self._reassembly.due()
        if asks is None or gives_up is None:
            return gives_up if asks is None else asks
        return min(asks, gives_up)

    def tick(self, now: float) -> list[Effect]:
        """Effects of the time that has passed: ARP asks again or gives up, fragments are given up."""
        again, given_up = self._neighbours.tick(now)
        effects: list[Effect] = [self._ethernet.ask(outgoing) for outgoing in again]
        for outgoing in given_up:
            effects += self._settle(self._give_up(outgoing, now), now)
        return effects + self._settle(self._delivery.expire(now), now)

    def _give_up(self, outgoing: Outgoing, now: float) -> Iterator[Outcome]:
        """Nobody answers ARP at the next hop (RFC 1812 §3.3.2): its source is told."""
        if outgoing.ticket is not None:
            yield Unreachable(outgoing.ticket)
            return
        packet = bytearray(outgoing.packet)
        port = outgoing.arrived or outgoing.port
        # Linux looks at the options once more, and records its address once more.
        options = fill_in_options(packet, self._routing, port, now)
        arrival = Arrival(bytes(packet), port, outgoing.received, options=options)
        error = icmp(type=UNREACHABLE, code=1)
        cause = f"nobody at {IPv4Address(outgoing.hop)} answers ARP (RFC 1812 §3.3.2)"
        yield discard(self.host, cause + goes_back(arrival, error), outgoing.arrived, outgoing.received)
        if packet[0] >> 4 == 4 and options.problem is None:  # a raw socket sends others, too
            yield from self._replies.send_error(arrival, error, now)

    def _settle(self, outcomes: Iterable[Outcome], now: float) -> list[Effect]:
        """The effects for the owner: what the host sends to itself arrives at once."""
        effects: list[Effect] = []
        for outcome in outcomes:
            if isinstance(outcome, ToItself):
                own = self._reception.receive_own(outcome.packet, outcome.port, now, outcome.alone)
                effects += self._settle(own, now)
            else:
                effects.append(outcome)
        return effects
