"""A simulated host's own treatment of the ICMP messages, UDP datagrams and TCP segments that it is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from scapy.layers.inet import TCP

from ipl_tui.networks.reassembly import Arrival
from ipl_tui.networks.simulated.effects import Discard, Outcome, discard
from ipl_tui.networks.simulated.messages import (
    ECHO,
    ECHO_REPLY,
    TCP_PROTOCOL,
    TIMESTAMP,
    TIMESTAMP_REPLY,
    UDP_PROTOCOL,
    UNREACHABLE,
    icmp,
    pseudo_checksum,
    since_midnight,
)
from ipl_tui.networks.simulated.path_mtus import PathMtus
from ipl_tui.networks.simulated.replies import Replies
from ipl_tui.networks.simulated.routing import Routing
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.ipv4 import SHORTEST_HEADER, header_length

FRAGMENTATION_NEEDED = bytes([UNREACHABLE, 4])

FIN, SYN, RST, ACK = 1, 2, 4, 16


class Protocols:
    """A host's own ICMP, UDP and TCP, of packets that are whole."""

    def __init__(
        self, routing: Routing, path_mtus: PathMtus, replies: Replies, listeners: Counter[tuple[str, int]]
    ) -> None:
        """`listeners`: how many raw sockets listen, by port name and IP protocol number."""
        self._routing = routing
        self._path_mtus = path_mtus
        self._replies = replies
        self._listeners = listeners

    def receive_icmp(self, arrival: Arrival) -> Iterator[Outcome]:
        """Answer what ICMP asks; its errors and answers are only for those who listen (RFC 792)."""
        message = arrival.packet[arrival.header :]
        if len(message) < 8 or internet_checksum(message) != 0:
            yield self._discard(arrival, "it is no ICMP message with a right checksum (RFC 792)")
        elif message[0] in (ECHO, TIMESTAMP) and self._routing.is_for_several(arrival.destination):
            yield self._discard(arrival, "it asks several hosts at once, and none answers that (RFC 1122 §3.2.2.6)")
        elif message[0] == ECHO:  # RFC 1122 §3.2.2.6; of the code nothing is said, and Linux leaves it
            header = icmp(type=ECHO_REPLY, code=message[1], id=_number(message[4:6]), seq=_number(message[6:8]))
            yield from self._replies.answer(arrival, header + message[8:])
        elif message[0] == TIMESTAMP and len(message) >= 12:  # RFC 1122 §3.2.2.8
            now = since_midnight(arrival.received)
            times = {"ts_ori": _number(message[8:12]), "ts_rx": now, "ts_tx": now}
            reply = icmp(type=TIMESTAMP_REPLY, id=_number(message[4:6]), seq=_number(message[6:8]), **times)
            yield from self._replies.answer(arrival, reply)
        elif message[:2] == FRAGMENTATION_NEEDED:
            self._learn_path_mtu(arrival, _number(message[6:8]), message[8:])

    def _learn_path_mtu(self, arrival: Arrival, mtu: int, quoted: bytes) -> None:
        """Note how long a packet its way takes, as a router said about one (RFC 1191 §6): only if somebody listens to
        its protocol, for the kernel leaves it to the sockets that may have sent it."""
        header = header_length(quoted) if quoted else 0
        if SHORTEST_HEADER <= header <= len(quoted) - 8 and self._listeners[arrival.port.name, quoted[9]] > 0:
            self._path_mtus.learn(quoted[16:20], mtu, arrival.received)

    def receive_udp(self, arrival: Arrival) -> Iterator[Outcome]:
        """No UDP port is open on these hosts (RFC 1122 §4.1.3.1)."""
        datagram = arrival.packet[arrival.header :]
        length = _number(datagram[4:6])
        if not 8 <= length <= len(datagram):
            yield self._discard(arrival, "its UDP length is wrong (RFC 768)")
        elif datagram[6:8] != b"\0\0" and pseudo_checksum(arrival.packet[12:20], UDP_PROTOCOL, datagram[:length]) != 0:
            yield self._discard(arrival, "its UDP checksum is wrong (RFC 1122 §4.1.3.4)")
        else:
            cause = f"UDP port {_number(datagram[2:4])} is closed (RFC 1122 §4.1.3.1)"
            arrival = replace(arrival, packet=arrival.packet[: arrival.header + length])
            yield from self._replies.refuse(arrival, cause, icmp(type=UNREACHABLE, code=3))

    def receive_tcp(self, arrival: Arrival) -> Iterator[Outcome]:
        """No TCP port is open on these hosts: a segment is answered with a reset (RFC 9293 §3.10.7.1)."""
        segment = arrival.packet[arrival.header :]
        header = (segment[12] >> 4) * 4 if len(segment) >= 20 else 0
        checksum = pseudo_checksum(arrival.packet[12:20], TCP_PROTOCOL, segment)
        if not arrival.alone or not 20 <= header <= len(segment) or checksum != 0:
            yield self._discard(arrival, "it is no TCP segment that one can answer (RFC 9293 §3.1)")
            return
        source, port, flags = _number(segment[0:2]), _number(segment[2:4]), segment[13]
        if flags & RST:
            return
        yield self._discard(arrival, f"TCP port {port} is closed; a reset goes back (RFC 9293 §3.10.7.1)")
        if flags & ACK:
            says, seq, ack = "R", _number(segment[8:12]), 0
        else:
            taken = len(segment) - header + bool(flags & SYN) + bool(flags & FIN)
            says, seq, ack = "RA", 0, (_number(segment[4:8]) + taken) & 0xFFFFFFFF
        reset = TCP(sport=port, dport=source, seq=seq, ack=ack, flags=says, window=0, chksum=0)
        yield from self._replies.answer(arrival, bytes(reset))

    def _discard(self, arrival: Arrival, cause: str) -> Discard:
        return discard(self._routing.host, cause, arrival.port, arrival.received)


def _number(data: bytes) -> int:
    return int.from_bytes(data)
