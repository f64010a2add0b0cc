"""What a simulated host does to IPv4, as the Linux kernel does it: told frames and the time, it says what happens.

There is no I/O, clock, thread or randomness in here. A `Stack` is one host; what its methods return is for its owner to
carry out, in order. Received packets are handled as bytes, for what is passed on must be right to the bit; what a host
says itself (ARP, ICMP, a TCP reset) is built with Scapy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether

from ipl_tui.networks.interface import SendError
from ipl_tui.networks.plan import Host, Port
from ipl_tui.networks.reassembly import (
    DONT_FRAGMENT,
    MORE_FRAGMENTS,
    OFFSET,
    Arrival,
    Lost,
    Reassembly,
    cut,
    write_checksum,
)
from ipl_tui.networks.refusals import (
    impossible_header,
    longer_than_link,
    longer_than_path,
    no_header,
    no_route,
    own_address,
)
from ipl_tui.networks.simulated.neighbours import Neighbours, Outgoing
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.fields import LONGEST_DATAGRAM, PROTOCOLS, SHORTEST_HEADER
from ipl_tui.packets.icmp import describe_error
from ipl_tui.packets.options import Options, answer, fill_in

ETHERTYPE_IPV4, ETHERTYPE_ARP = b"\x08\x00", b"\x08\x06"
ETHERNET_BROADCAST = b"\xff" * 6
ETHERNET_HEADER = 14

ARP_START, ARP_LENGTH = bytes.fromhex("0001 0800 06 04"), 28
"""How ARP for IPv4 on Ethernet begins, and its bytes (RFC 826)."""

LIMITED_BROADCAST, UNSPECIFIED = b"\xff" * 4, bytes(4)
MULTICAST, LOOPBACK = 0xE0, 127
"""The first four bits, and the first byte, of such addresses (RFC 1122 §3.2.1.3)."""
LOOPBACK_ADDRESS = IPv4Interface("127.0.0.1/8")
ALL_SYSTEMS = bytes([224, 0, 0, 1])
"""The one multicast group that a host is always in (RFC 1112 §6.1)."""

ICMP_PROTOCOL, TCP_PROTOCOL, UDP_PROTOCOL = 1, 6, 17
TAKEN_PROTOCOLS = {2: "IGMP", 103: "PIM", 136: "UDP-Lite"}
"""What else the kernel listens to itself, so that it is never unreachable; here there is nobody to talk to by it."""

ECHO_REPLY, UNREACHABLE, REDIRECT, ECHO, TIME_EXCEEDED = 0, 3, 5, 8, 11
PARAMETER_PROBLEM, TIMESTAMP, TIMESTAMP_REPLY = 12, 13, 14
"""ICMP types (RFC 792)."""

QUERIES = (0, 8, 13, 14, 15, 16, 17, 18)
"""The ICMP types that are no errors: only about these may an error be sent (RFC 1122 §3.2.2)."""

FRAGMENTATION_NEEDED = bytes([UNREACHABLE, 4])

MOST_PATH_MTUS = 128
"""Destinations whose path MTU is known; the one noted first makes room."""
PATH_MTU_HOLDS = 600.0
"""Seconds (RFC 1191 §6.3)."""
SHORTEST_PATH_MTU = 552
"""Bytes that Linux believes any way to take, whatever a router says."""

ICMP_HEADER = 8
LONGEST_ERROR = 576
"""Bytes of an ICMP error with its headers (RFC 1812 §4.3.2.3)."""

FIN, SYN, RST, ACK = 1, 2, 4, 16

DAY = 86_400_000
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Put this Ethernet frame on that port's link."""

    port: Port
    frame: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """A whole IPv4 packet (reassembled, without padding) for the sockets that listen to its protocol number."""

    packet: bytes
    port: Port
    """Where it arrived; for what the host sends to itself, the port that has the address, or "lo"."""


@dataclass(frozen=True, slots=True)
class Discard:
    """A packet goes no further."""

    reason: str
    """One sentence for a student: the host, the cause, the RFC section."""
    port: Port | None
    """Where it arrived; None for what the host itself sent."""
    received: float = 0.0
    """The `now` of its arrival or sending: what waits for ARP or for fragments is discarded seconds later."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The packet given with this ticket was put on the link: its Transmit comes just before."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The packet given with this ticket is not sent: nobody answered ARP for its next hop."""

    ticket: int


Effect = Transmit | Deliver | Discard | Sent | Unreachable


@dataclass(frozen=True, slots=True)
class _WayBack:
    """How an answer to a packet travels."""

    port: Port
    """Where it leaves."""
    hop: bytes
    is_own: bool
    """Whether it is for this host itself, and does not leave."""
    source: bytes
    options: bytes
    mtu: int


class Stack:
    """One host's IPv4, for one thread at a time.

    Its times are seconds since 1970 (UT), for some packets tell the time of day, of a clock that never goes back.
    """

    def __init__(self, host: Host, mtu_of: Callable[[str], int], reassembly_timeout: float = 30.0) -> None:
        """`mtu_of` tells the MTU of the link at a port, by the port's name, in bytes, whenever it is asked."""
        self.host = host
        self.listeners: Counter[tuple[str, int]] = Counter()
        """How many raw sockets listen, by port name and IP protocol number; the owner counts them up and down."""
        self._mtu_of = mtu_of
        self._loopback = Port(host.name, "lo", LOOPBACK_ADDRESS)
        self._own = {port.address.ip.packed: port for port in host.ports}
        self._subnets = sorted(
            ((int(port.address.netmask), int(port.address.network.network_address), port) for port in host.ports),
            key=lambda subnet: -subnet[0],  # the longest prefix first
        )
        networks = (port.address.network for port in host.ports)
        self._broadcasts = {network.broadcast_address.packed for network in networks if network.prefixlen < 31}
        self._gateway: tuple[Port, bytes] | None = None
        if host.gateway:
            self._gateway = self._route(host.gateway.packed)
        self._neighbours = Neighbours()
        self._reassembly = Reassembly(reassembly_timeout)
        self._path_mtus: dict[bytes, tuple[int, float]] = {}
        self._identification = 0

    def receive(self, port: Port, frame: bytes, now: float) -> list[Effect]:
        """What happens when a frame arrives at a port. Never raises, whatever the bytes."""
        alone = frame[:6] == port.hardware_address
        if not alone and not (frame[:1] and frame[0] & 1):  # the bit of group addresses (IEEE 802)
            return [self._drop("it is for another hardware address", port, now)]
        if frame[12:14] == ETHERTYPE_IPV4:
            return list(self._receive_packet(port, frame[ETHERNET_HEADER:], now, alone))
        if frame[12:14] == ETHERTYPE_ARP:
            return list(self._receive_arp(port, frame[ETHERNET_HEADER:], now))
        return []

    def send_frame(self, port: Port, packet: bytes, ticket: int, now: float) -> list[Effect]:
        """Send the bytes as they are, in a frame from this port; Sent or Unreachable may come later. Raises SendError.

        The next hop is the destination where it is on the port's network, else the gateway where that is.
        """
        destination = _destination(packet)
        if self._is_own(destination) and destination != UNSPECIFIED:
            raise SendError(own_address(IPv4Address(destination), f"the {self.host.name}"))
        hop = destination
        if not _is_group(destination) and IPv4Address(destination) not in port.address.network:
            if self._gateway is None or self._gateway[0] != port:
                raise _no_route(destination, port)
            hop = self._gateway[1]
        self._check_size(packet, port)
        return list(self._transmit(Outgoing(packet, port, hop, now, ticket=ticket), now))

    def send_packet(self, packet: bytes, port: Port | None, now: float) -> list[Effect]:
        """Send through a raw socket that includes the header (raw(7)), bound to a port or not. Raises SendError."""
        destination = _destination(packet)
        own = self._own_port(destination, port)
        way = (own, destination) if own else self._route(destination, port)
        if way is None:
            raise _no_route(destination, self.host.ports[0])
        out, hop = way
        self._check_size(packet, None if own else out)
        header = (packet[0] & 15) * 4
        if not SHORTEST_HEADER <= header <= len(packet):
            raise SendError(impossible_header(header, len(packet)))
        ready = bytearray(packet)
        ready[2:4] = len(packet).to_bytes(2)
        if ready[12:16] == UNSPECIFIED:
            ready[12:16] = destination if own and destination != UNSPECIFIED else out.address.ip.packed
        if ready[4:6] == b"\0\0" and not int.from_bytes(ready[6:8]) & DONT_FRAGMENT:
            ready[4:6] = self._next_identification()
        write_checksum(ready)
        if own:
            return list(self._receive_own(bytes(ready), own, now))
        mtu = self._path_mtu(destination, out, now)
        if len(ready) > mtu and int.from_bytes(ready[6:8]) & DONT_FRAGMENT:
            raise SendError(longer_than_path(len(packet), IPv4Address(destination)))
        return list(self._send_out(bytes(ready), cut(bytes(ready), mtu, raw=True), out, hop, now))

    def due(self) -> float | None:
        """When tick() must be called next; None as long as nothing waits."""
        times = [time for time in (self._neighbours.due(), self._reassembly.due()) if time is not None]
        return min(times, default=None)

    def tick(self, now: float) -> list[Effect]:
        """What happens because time has passed: ARP asks again or gives up, fragments are given up."""
        again, given_up = self._neighbours.tick(now)
        effects: list[Effect] = [self._ask(outgoing) for outgoing in again]
        for outgoing in given_up:
            effects += self._give_up(outgoing, now)
        for lost in self._reassembly.expire(now):
            effects += self._expire(lost, now)
        return effects

    # Addresses and routes

    def _is_own(self, address: bytes) -> bool:
        return address in self._own or address[0] == LOOPBACK or address == UNSPECIFIED

    def _own_port(self, address: bytes, bound: Port | None) -> Port | None:
        """The port that a packet to an address of the host's own is delivered at; None where it leaves the host."""
        if address == UNSPECIFIED or (address[0] == LOOPBACK and bound is None):
            return bound or self._loopback
        port = self._own.get(address)
        return port if bound in (None, port) else None  # a socket bound to another port looks for it on that link

    def _is_for_several(self, address: bytes) -> bool:
        return _is_group(address) or address in self._broadcasts

    def _is_ours(self, address: bytes) -> bool:
        """Whether this host stamps the time beside an address: it is its own, or for several (as Linux has it)."""
        return self._is_own(address) or self._is_for_several(address)

    def _route(self, destination: bytes, bound: Port | None = None) -> tuple[Port, bytes] | None:
        """The port and the next hop towards an address (RFC 1122 §3.3.1.1); None without a route.

        A socket that is bound to a port takes what is not routed to be on that port's link, as Linux does.
        """
        way = self._gateway
        number = int.from_bytes(destination)
        for mask, network, port in self._subnets:
            if number & mask == network and bound in (None, port):
                way = port, destination
                break
        else:
            if bound and (way is None or way[0] != bound):
                way = bound, destination
        return (way[0], destination) if way and _is_group(destination) else way

    def _source_towards(self, address: bytes, port: Port) -> bytes:
        """The host's own address for what concerns a packet from an address that arrived at a port."""
        way = self._route(address)
        return (way[0] if way else port).address.ip.packed

    # Sending

    def _check_size(self, packet: bytes, port: Port | None) -> None:
        most = self._mtu_of(port.name) if port else LONGEST_DATAGRAM
        if len(packet) > most:
            raise SendError(longer_than_link(len(packet), port.name if port else self.host.name, most))

    def _path_mtu(self, destination: bytes, port: Port, now: float) -> int:
        """The longest packet that this host may send to a destination through a port, in bytes (RFC 1191 §6.3)."""
        mtu, until = self._path_mtus.get(destination, (LONGEST_DATAGRAM, 0.0))
        return min(mtu if now < until else LONGEST_DATAGRAM, self._mtu_of(port.name))

    def _send_out(self, packet: bytes, pieces: list[bytes], port: Port, hop: bytes, now: float) -> Iterator[Effect]:
        """Send a packet of this host, in these pieces; what is for all is for this host as well."""
        destination = packet[16:20]
        if packet[8] or destination != ALL_SYSTEMS:  # RFC 1112 §6.1: to a group of its own, TTL 0 stays in the host
            for piece in pieces:
                yield from self._transmit(Outgoing(piece, port, hop, now), now)
        if destination in self._broadcasts or destination in (LIMITED_BROADCAST, ALL_SYSTEMS):
            yield from self._receive_own(packet, port, now, alone=False)

    def _next_identification(self) -> bytes:
        self._identification = self._identification % 0xFFFF + 1
        return self._identification.to_bytes(2)

    def _transmit(self, outgoing: Outgoing, now: float) -> Iterator[Effect]:
        """Put a packet on a link, now or when its next hop has answered (RFC 894, RFC 826)."""
        hop = outgoing.hop
        if hop[0] & 0xF0 == MULTICAST:  # RFC 1112 §6.4: the low 23 bits of the group
            hardware_address = b"\x01\x00\x5e" + bytes([hop[1] & 0x7F]) + hop[2:]
        elif hop == LIMITED_BROADCAST or hop in self._broadcasts:
            hardware_address = ETHERNET_BROADCAST
        else:
            hardware_address = self._neighbours.hardware_address(outgoing.neighbour, now)
        if hardware_address:
            yield from self._put_on_link(outgoing, hardware_address)
            return
        is_new, crowded_out = self._neighbours.wait(outgoing, now)
        for other in crowded_out:
            if other.ticket is None:
                yield self._drop("too many packets wait for an answer to ARP", other.arrived, other.received)
            else:
                yield Unreachable(other.ticket)
        if is_new:
            yield self._ask(outgoing)

    def _put_on_link(self, outgoing: Outgoing, hardware_address: bytes) -> Iterator[Effect]:
        header = hardware_address + outgoing.port.hardware_address + ETHERTYPE_IPV4
        yield Transmit(outgoing.port, header + outgoing.packet)
        if outgoing.ticket is not None:
            yield Sent(outgoing.ticket)

    def _give_up(self, outgoing: Outgoing, now: float) -> Iterator[Effect]:
        """Nobody answers ARP at the next hop (RFC 1812 §3.3.2): its source is told."""
        if outgoing.ticket is not None:
            yield Unreachable(outgoing.ticket)
            return
        packet = bytearray(outgoing.packet)
        port = outgoing.arrived or outgoing.port
        options = self._fill_in(packet, port, now)  # Linux looks at them once more, and records its address once more
        arrival = Arrival(bytes(packet), port, outgoing.received, options=options)
        error = _icmp(type=UNREACHABLE, code=1)
        cause = f"nobody at {IPv4Address(outgoing.hop)} answers ARP (RFC 1812 §3.3.2)"
        yield self._drop(cause + self._goes_back(arrival, error), outgoing.arrived, outgoing.received)
        if packet[0] >> 4 == 4 and options.problem is None:  # a raw socket sends others, too
            yield from self._send_error(arrival, error, now)

    # ARP

    def _ask(self, outgoing: Outgoing) -> Transmit:
        port = outgoing.port
        request = ARP(hwsrc=port.hardware_address, psrc=str(port.address.ip), pdst=str(IPv4Address(outgoing.hop)))
        return Transmit(port, bytes(Ether(src=port.hardware_address, dst=ETHERNET_BROADCAST) / request))

    def _receive_arp(self, port: Port, message: bytes, now: float) -> Iterator[Effect]:
        """Answer who asks for an address of this host, at any of its ports, and learn from all (RFC 826)."""
        if len(message) < ARP_LENGTH or message[:6] != ARP_START:
            return
        arp = ARP(message[:ARP_LENGTH])
        sender, target = IPv4Address(arp.psrc).packed, IPv4Address(arp.pdst).packed
        probes = sender == UNSPECIFIED  # RFC 5227 §2.1.1: is the address still free?
        if not probes and (self._is_own(sender) or _is_group(sender)):
            return
        asks_us = arp.op == 1 and target in self._own
        if arp.op in (1, 2) and not probes:
            hardware_address = message[8:14]
            for outgoing in self._neighbours.learn((port.name, sender), hardware_address, now, asks_us):
                yield from self._put_on_link(outgoing, hardware_address)
        if asks_us:
            reply = ARP(op=2, hwsrc=port.hardware_address, psrc=arp.pdst, hwdst=arp.hwsrc, pdst=arp.psrc)
            yield Transmit(port, bytes(Ether(src=port.hardware_address, dst=arp.hwsrc) / reply))

    # Receiving

    def _receive_packet(self, port: Port, data: bytes, now: float, alone: bool) -> Iterator[Effect]:
        """Check a packet and find out where it goes (RFC 1812 §5.2)."""
        fault = _header_fault(data) or self._address_fault(data[12:16], data[16:20])
        if fault:
            yield self._drop(fault, port, now)
            return
        packet = bytearray(data[: int.from_bytes(data[2:4])])  # what is beyond is the link's padding
        destination = data[16:20]
        several = self._is_for_several(destination)
        options = self._fill_in(packet, port, now)
        arrival = Arrival(bytes(packet), port, now, alone and not several, options)
        if options.problem is not None:  # RFC 1812 §5.3.13.1
            cause = f"byte {options.problem} of its header, in the options, makes no sense (RFC 791 §3.1)"
            yield from self._object(arrival, cause, _icmp(type=PARAMETER_PROBLEM, ptr=options.problem))
        elif options.source_route:
            yield self._drop("it says its own route, which is not safe to follow (RFC 7126 §4.3)", port, now)
        elif several or destination in self._own:
            yield from self._deliver(arrival)
        elif self.host.forwards:
            yield from self._forward(arrival)
        else:
            address = IPv4Address(destination)
            yield self._drop(f"{address} is no address of this host, which is no router (RFC 1122 §3.2.1.3)", port, now)

    def _receive_own(self, packet: bytes, port: Port, now: float, alone: bool = True) -> Iterator[Effect]:
        """What the host sent to itself arrives: nothing is asked about its addresses."""
        if fault := _header_fault(packet):
            yield self._drop(fault, None, now)
            return
        changed = bytearray(packet)
        options = self._fill_in(changed, port, now)
        arrival = Arrival(bytes(changed), port, now, alone, options)
        if options.problem is not None:
            yield from self._send_error(arrival, _icmp(type=PARAMETER_PROBLEM, ptr=options.problem), now)
        elif not options.source_route:
            yield from self._deliver(arrival)

    def _address_fault(self, source: bytes, destination: bytes) -> str:
        """Why a packet with these addresses is dropped in silence (RFC 1812 §5.3.7); nothing if it is not."""
        if destination[0] & 0xF0 == MULTICAST and destination != ALL_SYSTEMS:
            return f"it is not in the multicast group {IPv4Address(destination)} (RFC 1112 §7.2)"
        if self._is_own(source) or _is_group(source):
            whose = f"the {self.host.name}'s own" if source in self._own else "not one that a host can have"
            if source != UNSPECIFIED or destination not in (LIMITED_BROADCAST, UNSPECIFIED):
                return f"its Source Address {IPv4Address(source)} is {whose} (RFC 1812 §5.3.7)"
        if destination[0] == LOOPBACK or (destination == UNSPECIFIED != source):
            return f"its Destination Address {IPv4Address(destination)} is never on a link (RFC 1812 §5.3.7)"
        return ""

    def _fill_in(self, packet: bytearray, port: Port, now: float) -> Options:
        """Do what a packet's options ask for."""
        if packet[0] & 15 == 5:
            return Options()
        destination, source = bytes(packet[16:20]), bytes(packet[12:16])
        address = destination if self._is_own(destination) else self._source_towards(source, port)
        return fill_in(packet, address, self._is_ours, _since_midnight(now))

    def _forward(self, arrival: Arrival) -> Iterator[Effect]:
        """Pass a packet on towards its destination (RFC 1812 §5.2.1.2)."""
        way = self._route(arrival.destination)
        if way is None:
            cause = f"there is no route to {IPv4Address(arrival.destination)} (RFC 1812 §5.2.7.1)"
            yield from self._object(arrival, cause, _icmp(type=UNREACHABLE, code=0))
            return
        if not arrival.alone:
            cause = "it came in a frame for all, and such packets are not passed on (RFC 1812 §5.3.4)"
            yield self._drop(cause, arrival.port, arrival.received)
            return
        if arrival.packet[8] <= 1:
            cause = "its Time to Live is used up (RFC 1812 §5.3.1)"
            yield from self._object(arrival, cause, _icmp(type=TIME_EXCEEDED, code=0))
            return
        out, hop = way
        mtu = self._mtu_of(out.name)
        if len(arrival.packet) > mtu and arrival.flags & DONT_FRAGMENT:
            size = f"it has {len(arrival.packet):,} bytes, {out.name} takes {mtu:,}"
            cause = f"{size}, and Don't Fragment is set (RFC 1191 §4)"
            yield from self._object(arrival, cause, _icmp(type=UNREACHABLE, code=4, nexthopmtu=mtu))
            return
        packet = bytearray(arrival.packet)
        packet[8] -= 1
        checksum = int.from_bytes(packet[10:12]) + 0x0100  # RFC 1624 §3, as Linux does it: never 0xFFFF
        packet[10:12] = (checksum + (checksum >= 0xFFFF) & 0xFFFF).to_bytes(2)
        if out == arrival.port and IPv4Address(arrival.source) in out.address.network:  # RFC 1812 §5.2.7.2
            passed = replace(arrival, packet=bytes(packet))
            gateway = str(IPv4Address(hop))
            yield from self._send_error(passed, _icmp(type=REDIRECT, code=1, gw=gateway), arrival.received)
        options = arrival.options
        if options.recorded:  # RFC 791 §3.1: the address as known on the way it leaves
            pointer = options.record_route + packet[options.record_route + 2]
            packet[pointer - 5 : pointer - 1] = out.address.ip.packed
        if options.changed:
            write_checksum(packet)
        for piece in cut(bytes(packet), mtu):
            outgoing = Outgoing(piece, out, hop, arrival.received, arrived=arrival.port)
            yield from self._transmit(outgoing, arrival.received)

    def _deliver(self, arrival: Arrival) -> Iterator[Effect]:
        """Give a packet to the sockets and protocols of this host (RFC 1122 §3.2.1.3)."""
        if arrival.flags & (MORE_FRAGMENTS | OFFSET):
            whole, all_lost = self._reassembly.add(arrival)
            for lost in all_lost:
                for fragment in lost.fragments:
                    yield self._drop(f"{lost.reason} (RFC 791 §3.2)", fragment.port, fragment.received)
            if whole is None:
                return
            arrival = whole
        proto = arrival.packet[9]
        listens = self.listeners[arrival.port.name, proto] > 0
        if proto == ICMP_PROTOCOL and len(arrival.packet) < arrival.header + ICMP_HEADER:
            listens = False  # Linux gives raw sockets no ICMP message without a whole header
        if listens:
            yield Deliver(arrival.packet, arrival.port)
        if proto == ICMP_PROTOCOL:
            yield from self._receive_icmp(arrival)
        elif proto == UDP_PROTOCOL:
            yield from self._receive_udp(arrival)
        elif proto == TCP_PROTOCOL:
            yield from self._receive_tcp(arrival)
        elif listens:
            pass
        elif proto in TAKEN_PROTOCOLS:
            cause = f"the kernel takes {TAKEN_PROTOCOLS[proto]} itself, and nothing comes of this"
            yield self._drop(cause, arrival.port, arrival.received)
        else:
            name = next((name for name, number in PROTOCOLS.items() if number == proto), "")
            cause = f"nobody there listens to protocol {proto}{name and f' ({name})'} (RFC 1122 §3.2.2.1)"
            yield from self._object(arrival, cause, _icmp(type=UNREACHABLE, code=2))

    def _expire(self, lost: Lost, now: float) -> Iterator[Effect]:
        """Tell the source that its fragments did not all come, if the first is among them (RFC 1122 §3.3.2)."""
        first = lost.fragments[0] if lost.fragments[0].begin == 0 else None
        error = _icmp(type=TIME_EXCEEDED, code=1)
        tail = self._goes_back(first, error) if first else "; without the first of them no error is sent"
        for fragment in lost.fragments:
            yield self._drop(f"{lost.reason} (RFC 1122 §3.3.2){tail}", fragment.port, fragment.received)
        if first:
            yield from self._send_error(replace(first, packet=first.whole_units), error, now)

    def _receive_icmp(self, arrival: Arrival) -> Iterator[Effect]:
        """Answer what ICMP asks; its errors and answers are only for those who listen (RFC 792)."""
        message = arrival.packet[arrival.header :]
        if len(message) < 8 or internet_checksum(message) != 0:
            yield self._drop("it is no ICMP message with a right checksum (RFC 792)", arrival.port, arrival.received)
        elif message[0] in (ECHO, TIMESTAMP) and self._is_for_several(arrival.destination):
            cause = "it asks several hosts at once, and none answers that (RFC 1122 §3.2.2.6)"
            yield self._drop(cause, arrival.port, arrival.received)
        elif message[0] == ECHO:  # RFC 1122 §3.2.2.6; of the code nothing is said, and Linux leaves it
            header = _icmp(type=ECHO_REPLY, code=message[1], id=_number(message[4:6]), seq=_number(message[6:8]))
            yield from self._answer(arrival, header + message[8:])
        elif message[0] == TIMESTAMP and len(message) >= 12:  # RFC 1122 §3.2.2.8
            now = _since_midnight(arrival.received)
            times = {"ts_ori": _number(message[8:12]), "ts_rx": now, "ts_tx": now}
            reply = _icmp(type=TIMESTAMP_REPLY, id=_number(message[4:6]), seq=_number(message[6:8]), **times)
            yield from self._answer(arrival, reply)
        elif message[:2] == FRAGMENTATION_NEEDED:
            self._learn_path_mtu(arrival, _number(message[6:8]), message[8:])

    def _learn_path_mtu(self, arrival: Arrival, mtu: int, quoted: bytes) -> None:
        """Note how long a packet its way takes, as a router said about one (RFC 1191 §6): only if somebody listens to
        its protocol, for the kernel leaves it to the sockets that may have sent it."""
        header = (quoted[0] & 15) * 4 if quoted else 0
        if SHORTEST_HEADER <= header <= len(quoted) - 8 and self.listeners[arrival.port.name, quoted[9]] > 0:
            destination = quoted[16:20]
            self._path_mtus.pop(destination, None)
            if len(self._path_mtus) >= MOST_PATH_MTUS:
                del self._path_mtus[next(iter(self._path_mtus))]
            self._path_mtus[destination] = max(mtu, SHORTEST_PATH_MTU), arrival.received + PATH_MTU_HOLDS

    def _receive_udp(self, arrival: Arrival) -> Iterator[Effect]:
        """No UDP port is open on these hosts (RFC 1122 §4.1.3.1)."""
        datagram = arrival.packet[arrival.header :]
        length = _number(datagram[4:6])
        if not 8 <= length <= len(datagram):
            yield self._drop("its UDP length is wrong (RFC 768)", arrival.port, arrival.received)
        elif datagram[6:8] != b"\0\0" and _checksum(arrival.packet[12:20], UDP_PROTOCOL, datagram[:length]) != 0:
            yield self._drop("its UDP checksum is wrong (RFC 1122 §4.1.3.4)", arrival.port, arrival.received)
        else:
            cause = f"UDP port {_number(datagram[2:4])} is closed (RFC 1122 §4.1.3.1)"
            arrival = replace(arrival, packet=arrival.packet[: arrival.header + length])
            yield from self._object(arrival, cause, _icmp(type=UNREACHABLE, code=3))

    def _receive_tcp(self, arrival: Arrival) -> Iterator[Effect]:
        """No TCP port is open on these hosts: a segment is answered with a reset (RFC 9293 §3.10.7.1)."""
        segment = arrival.packet[arrival.header :]
        header = (segment[12] >> 4) * 4 if len(segment) >= 20 else 0
        checksum = _checksum(arrival.packet[12:20], TCP_PROTOCOL, segment)
        if not arrival.alone or not 20 <= header <= len(segment) or checksum != 0:
            yield self._drop("it is no TCP segment that one can answer (RFC 9293 §3.1)", arrival.port, arrival.received)
            return
        source, port, flags = _number(segment[0:2]), _number(segment[2:4]), segment[13]
        if flags & RST:
            return
        cause = f"TCP port {port} is closed; a reset goes back (RFC 9293 §3.10.7.1)"
        yield self._drop(cause, arrival.port, arrival.received)
        if flags & ACK:
            says, seq, ack = "R", _number(segment[8:12]), 0
        else:
            taken = len(segment) - header + bool(flags & SYN) + bool(flags & FIN)
            says, seq, ack = "RA", 0, (_number(segment[4:8]) + taken) & 0xFFFFFFFF
        reset = TCP(sport=port, dport=source, seq=seq, ack=ack, flags=says, window=0, chksum=0)
        yield from self._answer(arrival, bytes(reset))

    # Answers and errors

    def _answer(self, arrival: Arrival, message: bytes) -> Iterator[Effect]:
        """Answer a packet that was for this host, from the address that was asked, by the same protocol."""
        way = self._way_back(arrival, arrival.destination)
        if way is not None:
            proto, tos = arrival.packet[9], arrival.packet[1]
            if proto == TCP_PROTOCOL:
                tos &= 0xFC  # a reset has no ECN (RFC 3168 §6.1)
            yield from self._send_own(way, arrival.source, proto, tos, message, arrival.received)

    def _object(self, arrival: Arrival, cause: str, error: bytes) -> Iterator[Effect]:
        """Discard a packet and send an ICMP error about it to its source, if that is allowed."""
        yield self._drop(cause + self._goes_back(arrival, error), arrival.port, arrival.received)
        yield from self._send_error(arrival, error, arrival.received)

    def _why_silent(self, arrival: Arrival) -> str:
        """What a packet is that no ICMP error may be sent about (RFC 1122 §3.2.2); nothing if one may."""
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

    def _goes_back(self, arrival: Arrival, error: bytes) -> str:
        """What the source of a discarded packet hears of it: the end of a sentence."""
        silent = self._why_silent(arrival)
        name = describe_error(error[0], error[1]).partition(":")[0]
        return f"; no error is sent about {silent}" if silent else f"; {name} goes back"

    def _send_error(self, arrival: Arrival, error: bytes, now: float) -> Iterator[Effect]:
        """Send an ICMP error about a packet, with as much of it as fits (RFC 792, RFC 1812 §4.3.2.3)."""
        own = self._is_own(arrival.destination)
        way = self._way_back(arrival, arrival.destination if own else b"")
        if way is None or self._why_silent(arrival):
            return
        room = min(way.mtu, LONGEST_ERROR) - SHORTEST_HEADER - len(way.options) - ICMP_HEADER
        if room > SHORTEST_HEADER:
            tos = (arrival.packet[1] & 0x1E) | 0xC0  # RFC 1812 §4.3.2.5: internetwork control
            yield from self._send_own(way, arrival.source, ICMP_PROTOCOL, tos, error + arrival.packet[:room], now)

    def _way_back(self, arrival: Arrival, source: bytes) -> _WayBack | None:
        """How an answer travels to a packet's source; from the address of the port where it leaves, if none is given.

        None: there is no route, or addresses or options don't let it.
        """
        own = self._own_port(arrival.source, None)
        way = (own, arrival.source) if own else self._route(arrival.source)
        if way is None:
            return None
        port, hop = way
        if source in (b"", UNSPECIFIED):
            source = arrival.source if own else port.address.ip.packed
        elif source[0] == LOOPBACK and not own:
            return None  # it never leaves the host (RFC 1122 §3.2.1.3)
        time = _since_midnight(arrival.received)
        options = answer(arrival.packet, arrival.options, source, self._is_ours, time)
        if options is None:
            return None
        mtu = LONGEST_DATAGRAM if own else self._path_mtu(arrival.source, port, arrival.received)
        return _WayBack(port, hop, bool(own), source, options, mtu)

    def _send_own(
        self, way: _WayBack, destination: bytes, proto: int, tos: int, message: bytes, now: float
    ) -> Iterator[Effect]:
        """Send an ICMP or TCP message of this host; its checksum is written here."""
        packet = bytearray(_header(proto, tos, way.source, destination, way.options) + message)
        packet[2:4] = len(packet).to_bytes(2)
        at = len(packet) - len(message)
        if proto == TCP_PROTOCOL:  # a reset is never fragmented and needs no identification (RFC 6864 §4.1)
            packet[at + 16 : at + 18] = _checksum(bytes(packet[12:20]), proto, message).to_bytes(2)
        else:
            # Of nothing but zeros, as in the reply to an empty echo request, it may be 0 or 0xFFFF: Linux writes 0.
            packet[at + 2 : at + 4] = (internet_checksum(message) % 0xFFFF).to_bytes(2)
            packet[4:6] = self._next_identification()
        if destination[0] & 0xF0 == MULTICAST:
            packet[8] = 1  # RFC 1112 §6.1
        write_checksum(packet)
        if way.is_own:
            yield from self._receive_own(bytes(packet), way.port, now)
        else:
            yield from self._send_out(bytes(packet), cut(bytes(packet), way.mtu), way.port, way.hop, now)

    def _drop(self, cause: str, port: Port | None, received: float) -> Discard:
        return Discard(f"The {self.host.name} discards it: {cause}.", port, received)


def _number(data: bytes) -> int:
    return int.from_bytes(data)


def _since_midnight(now: float) -> int:
    """Milliseconds since midnight UT (RFC 791 §3.1, Internet Timestamp)."""
    return int(now * 1000) % DAY


def _is_group(address: bytes) -> bool:
    """Whether it is a multicast address or the limited broadcast."""
    return address[0] & 0xF0 == MULTICAST or address == LIMITED_BROADCAST


def _destination(packet: bytes) -> bytes:
    """Where a packet is to go. Raises SendError."""
    if len(packet) < SHORTEST_HEADER:
        raise SendError(no_header(len(packet)))
    return packet[16:20]


def _no_route(destination: bytes, port: Port) -> SendError:
    return SendError(no_route(IPv4Address(destination), port.name))


def _header_fault(data: bytes) -> str:
    """Why data is not a packet that a host takes (RFC 1122 §3.2.1, RFC 1812 §5.2.2); nothing if it is one."""
    if len(data) < SHORTEST_HEADER:
        return f"its {len(data)} bytes are less than a header of {SHORTEST_HEADER} (RFC 1812 §5.2.2)"
    version, header, length = data[0] >> 4, (data[0] & 15) * 4, _number(data[2:4])
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


def _checksum(addresses: bytes, proto: int, segment: bytes) -> int:
    """The checksum over a UDP datagram or TCP segment and its pseudo-header: 0, if it has it (RFC 9293 §3.1)."""
    return internet_checksum(addresses + bytes([0, proto]) + len(segment).to_bytes(2) + segment)


@lru_cache(maxsize=256)  # building with Scapy takes some 0.2 ms, and mostly the same is said again and again
def _icmp(**fields: int | str) -> bytes:
    """The header of an ICMP message, by Scapy's names (RFC 792); its checksum is 0 still."""
    return bytes(ICMP(**fields, chksum=0))  # type: ignore[arg-type]  # Scapy types no field's value


@lru_cache(maxsize=256)
def _header(proto: int, tos: int, source: bytes, destination: bytes, options: bytes) -> bytes:
    """The header of what this host says; length, identification and checksum are to be written."""
    src, dst = str(IPv4Address(source)), str(IPv4Address(destination))
    flags = "DF" if proto == TCP_PROTOCOL else 0
    return bytes(IP(proto=proto, tos=tos, id=0, flags=flags, src=src, dst=dst, options=options))
