"""One exchange read from captured packets: which of them belong to it, what each is there for, and what TCP adds.

Anything may stand in a captured packet; nothing here raises for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from scapy.layers.inet import TCP

from ipl_tui.exchange.engine import Reply
from ipl_tui.packets.fields import read_header
from ipl_tui.packets.icmp import describe_error
from ipl_tui.packets.ipv4 import OFFSET, SHORTEST_HEADER, flags_and_offset, header_length, payload_of
from ipl_tui.packets.messages import CLIENT_MESSAGE, PORT, SERVER_RESPONSE
from ipl_tui.packets.text import counted
from ipl_tui.tracking.matching import IcmpError, error_about, read_message

TCP_PROTOCOL = 6
SHORTEST_SEGMENT = 20
"""Bytes of TCP's header without options."""


class CapturedPacket(NamedTuple):
    """An IPv4 packet as it passed: 20 bytes at least, without the padding of the link."""

    time: int
    """In ns since the epoch."""
    packet: bytes


@dataclass(frozen=True)
class TranscriptPacket:
    """A packet of an exchange, as captured."""

    seconds: float
    """Since the first packet of the exchange."""
    to_server: bool
    what: str
    """ "ClientMessage", "SYN, ACK", "data: 13 bytes"; printable."""
    packet: bytes
    """From the IPv4 header on, without the padding of the link."""
    data: bytes = b""
    """Its bytes of the exchange: the payload, over TCP its part of the stream; empty for an ICMP error."""


@dataclass(frozen=True)
class TcpGain:
    """Something that TCP's header gives and IP's does not."""

    name: str
    value: str
    """As captured."""
    meaning: str
    rfc: str


def find(packets: Sequence[TranscriptPacket], message: bytes) -> TranscriptPacket | None:
    """The first packet that carries a message."""
    return next((each for each in packets if each.data.endswith(message)), None)


# Raw IP


def read_datagrams(
    packets: Sequence[CapturedPacket], source: str, destination: str, reply: Reply
) -> list[TranscriptPacket]:
    """The exchange of a raw engine between two dotted quads: its request, the answer, and ICMP errors about it.

    packets: what was captured since just before it was sent. Raw IP has no ports: if somebody else sends ClientMessage
    between the same addresses at the same time, the request is taken to be the one whose header is most like what was
    handed to the system, the first of equal ones; the answer likewise is that most like what arrived, and of equal
    errors it is the first. So a stranger's packet that equals ours stands in for it: its time may be wrong, the number
    of packets and bytes is not.
    """
    there, back = ends(source, destination), ends(destination, source)
    request = most_like(reply.request, carrying(CLIENT_MESSAGE, packets, there))
    since = packets[packets.index(request) :] if request else packets
    response = most_like(reply.response or b"", carrying(SERVER_RESPONSE, since, back))
    passed: list[TranscriptPacket] = []
    errors: set[IcmpError] = set()
    begun = 0
    for each in since:
        if each is request:
            to_server, what, data = True, "ClientMessage", CLIENT_MESSAGE
        elif each is response:
            to_server, what, data = False, "ServerResponse", SERVER_RESPONSE
        elif (error := error_about(reply.request, each.packet)) and error not in errors:
            errors.add(error)
            to_server, what, data = False, name_of(error), b""
        else:
            continue
        begun = begun or each.time
        passed.append(TranscriptPacket((each.time - begun) / 1e9, to_server, what, each.packet, data))
    return passed


def carrying(message: bytes, packets: Iterable[CapturedPacket], way: bytes) -> Iterator[CapturedPacket]:
    """The packets of the raw engines' protocol that carry exactly a message that way."""
    for each in packets:
        if each.packet[12:20] == way and read_message(each.packet) == message:
            yield each


def most_like(packet: bytes, candidates: Iterable[CapturedPacket]) -> CapturedPacket | None:
    """The one that has most header fields as a packet has them, the first of equal ones: a kernel writes some anew."""
    wanted = read_header(packet)

    def likeness(candidate: CapturedPacket) -> int:
        return sum(wanted.get(name) == value for name, value in read_header(candidate.packet).items())

    return max(candidates, key=likeness, default=None)


def ends(source: str, destination: str) -> bytes:
    """Two dotted quads as they stand in a header."""
    return IPv4Address(source).packed + IPv4Address(destination).packed


def name_of(error: IcmpError) -> str:
    """An ICMP error without its explanation."""
    return describe_error(error.type, error.code).partition(":")[0]


def is_asked(packets: Sequence[TranscriptPacket], reply: Reply) -> bool:
    """True if the request is captured, and the response if there was one."""
    return bool(find(packets, CLIENT_MESSAGE) and (find(packets, SERVER_RESPONSE) or not reply.response))


# TCP


def read_connection(packets: Sequence[CapturedPacket], source: str, destination: str) -> list[TranscriptPacket]:
    """The TCP connection that is opened from one dotted quad to our port of another, and ICMP errors about it.

    packets: what was captured since just before it was opened. A connection that was there before is somebody else's.
    Of several that are opened between the same addresses in the same moment, ours is taken to be the first that carries
    a ClientMessage, or else the first: a stranger who asks in that moment can't be told from us.
    """
    segments = [read_segment(each.packet) for each in packets]
    opening = ends(source, destination)
    opened: list[bytes] = []
    asking: list[bytes] = []
    for (_, packet), segment in zip(packets, segments, strict=True):
        if segment is not None and packet[12:20] == opening and segment.dport == PORT:
            if "S" in segment.flags and "A" not in segment.flags:
                opened.append(way_of(packet))
            elif way_of(packet) in opened and data_of(packet, segment).endswith(CLIENT_MESSAGE):
                asking.append(way_of(packet))
    there = next(iter([*asking, *opened]), b"")
    back = there[4:8] + there[:4] + there[10:] + there[8:10]

    passed: list[TranscriptPacket] = []
    begun = 0
    for (time, packet), segment in zip(packets, segments, strict=True):
        data = b""
        if segment is not None:
            if (way := way_of(packet)) not in (there, back):
                continue
            to_server, what, data = way == there, describe_segment(packet, segment), data_of(packet, segment)
        else:
            errors = (error_about(each.packet, packet) for each in passed if each.to_server)
            if (error := next(filter(None, errors), None)) is None:
                continue
            to_server, what = False, name_of(error)
        begun = begun or time
        passed.append(TranscriptPacket((time - begun) / 1e9, to_server, what, packet, data))
    return passed


def way_of(packet: bytes) -> bytes:
    """From which address and port to which a segment goes: addresses first, as they stand in its headers."""
    return packet[12:20] + payload_of(packet)[:4]


def read_segment(packet: bytes) -> TCP | None:
    """The TCP header of an IPv4 packet that has a whole one."""
    header = header_length(packet)
    if (
        packet[9] != TCP_PROTOCOL
        or flags_and_offset(packet) & OFFSET
        or header < SHORTEST_HEADER
        or len(packet) < header + SHORTEST_SEGMENT
    ):
        return None
    segment = TCP(packet[header : header + SHORTEST_SEGMENT])
    return segment if 4 * segment.dataofs >= SHORTEST_SEGMENT else None


def data_of(packet: bytes, segment: TCP) -> bytes:
    """Bytes of the stream that a packet's segment carries."""
    return payload_of(packet)[4 * segment.dataofs :]


def describe_segment(packet: bytes, segment: TCP) -> str:
    """Purpose of a segment: "SYN, ACK", "data: 13 bytes"."""
    signs = [name for letter, name in {"S": "SYN", "F": "FIN", "R": "RST"}.items() if letter in segment.flags]
    if data := data_of(packet, segment):
        return ", ".join([f"data: {counted(len(data), 'byte')}", *signs])
    return ", ".join([*signs, "ACK"] if "A" in segment.flags else signs)


def is_closed(packets: Sequence[TranscriptPacket]) -> bool:
    """True if each end has said FIN and the other has acknowledged it (RFC 9293 §3.6), or one has broken off."""
    goodbyes, acknowledged = {}, set()
    for each in packets:
        if (segment := read_segment(each.packet)) is not None:
            if "R" in segment.flags:
                return True
            if "F" in segment.flags:
                goodbyes[segment.sport] = (segment.seq + len(each.data) + 1) % 2**32
            acknowledged.add((segment.dport, segment.ack))
    return len(goodbyes) == 2 and all(each in acknowledged for each in goodbyes.items())


def gains(packets: Sequence[TranscriptPacket]) -> Iterator[TcpGain]:
    """Gains that TCP's header gave an exchange, with the values that its request and the answer to that have.

    Nothing where no request was captured that went by TCP.
    """
    request = find(packets, CLIENT_MESSAGE)
    asked = read_segment(request.packet) if request else None
    if request is None or asked is None:
        return
    yield TcpGain(
        "Ports",
        f"{asked.sport} → {asked.dport}",
        "They name one program at each end. Raw IP has none: all programs that listen to a protocol get its packets.",
        "RFC 9293 §3.1",
    )
    yield TcpGain(
        "Order",
        f"sequence number {asked.seq}, {counted(len(request.data), 'byte')}",
        "Every byte has its number, and is handed over in that order. Raw IP packets may overtake each other.",
        "RFC 9293 §3.4",
    )
    following = (asked.seq + len(request.data)) % 2**32
    answers = [read_segment(each.packet) for each in packets if not each.to_server]
    if any(answer is not None and answer.ack == following for answer in answers):
        yield TcpGain(
            "Delivery",
            f"acknowledgement {following}",
            "It names the next byte expected; what is not acknowledged is sent again. Lost raw IP packets stay lost.",
            "RFC 9293 §3.8.1",
        )
