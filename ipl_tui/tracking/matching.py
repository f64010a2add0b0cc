"""Comparison of packets: whether one is another, answers it, or says what is wrong with it; from their bytes alone.

All packets begin with their IPv4 header. What is `seen` may be anything, and nothing here raises for it; what it is
compared with has a header's 20 bytes at least.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from ipl_tui.packets.icmp import ERROR_TYPES, ICMP_HEADER
from ipl_tui.packets.ipv4 import (
    ICMP,
    OFFSET,
    SHORTEST_HEADER,
    flags_and_offset,
    header_length,
    is_fragment,
    payload_of,
    without_padding,
)
from ipl_tui.packets.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE

ECHO_REQUEST = 8
"""ICMP's type (RFC 792)."""

REPLIES = {ECHO_REQUEST: 0, 13: 14, 15: 16, 17: 18}
"""The ICMP queries (RFC 792, RFC 950), and what answers them."""

WITH_PORTS = (6, 17)
"""TCP and UDP, which begin with the ports of source and destination."""

QUOTED = 8
"""Bytes of its packet's payload that an ICMP error quotes at least (RFC 792)."""

UNSPECIFIED = bytes(4)


@dataclass(frozen=True)
class IcmpError:
    """An ICMP error about a packet."""

    source: str
    """The dotted quad it came from."""
    type: int
    code: int


# The same packet


def is_same(packet: bytes, seen: bytes, length: int | None = None) -> bool:
    """True if `seen`, which has a header, is the packet, for all that a kernel or a router may have written into its
    header: by protocol, addresses and so much of the payload in bytes (None: all of it)."""
    own, payload = payload_of(packet), payload_of(seen)
    end = len(own) if length is None else min(length, len(own))
    return (
        seen[9] == packet[9]
        and seen[16:20] == packet[16:20]
        and packet[12:16] in (UNSPECIFIED, seen[12:16])
        and payload[:end] == own[:end]
    )


def is_sent_as(packet: bytes, seen: bytes) -> bool:
    """True if `seen`, with the link's padding or without, is the packet as it leaves: byte for byte, or as a kernel
    rewrote its header. On loopback an answer may begin as its request does: it is longer."""
    if len(seen) < SHORTEST_HEADER:
        return False
    whole = without_padding(seen)
    return seen.startswith(packet) or (len(whole) == len(packet) and is_same(packet, whole))


# Requests


def is_client_message(packet: bytes) -> bool:
    """True if a packet that is sent, whatever its header says of its length, is a ClientMessage."""
    return len(packet) >= SHORTEST_HEADER and packet[9] == PROTOCOL and packet.endswith(CLIENT_MESSAGE)


def is_echo_request(packet: bytes) -> bool:
    """True if a packet is a ping (RFC 792)."""
    payload = payload_of(packet) if len(packet) >= SHORTEST_HEADER else b""
    return len(payload) >= ICMP_HEADER and packet[9] == ICMP and payload[0] == ECHO_REQUEST


def asks(packet: bytes) -> bool:
    """True if a packet that is sent asks for an answer, as far as anybody knows: a ClientMessage or a ping."""
    return is_client_message(packet) or is_echo_request(packet)


# Answers


def read_message(seen: bytes, proto: int = PROTOCOL) -> bytes:
    """The payload, up to Total Length, of a packet by this protocol; nothing for another, for a fragment, and where the
    header makes no sense."""
    if len(seen) < SHORTEST_HEADER or seen[9] != proto or seen[0] >> 4 != 4:
        return b""
    header = header_length(seen)
    if header < SHORTEST_HEADER or is_fragment(seen):
        return b""
    return seen[header : int.from_bytes(seen[2:4])]


def goes_back(request: bytes, seen: bytes) -> bool:
    """True if a packet goes from where another went to where that came from, by the same protocol."""
    return len(seen) >= SHORTEST_HEADER and seen[9] == request[9] and seen[12:20] == request[16:20] + request[12:16]


def is_answer(request: bytes, seen: bytes) -> bool:
    """True if a packet answers another: it goes back.

    ClientMessage is answered by exactly ServerResponse, whatever the protocol; an ICMP query by its reply with the same
    identifier and sequence number (RFC 792), TCP and UDP between the same ports.
    """
    # Of a fragmented answer the first piece counts.
    if not goes_back(request, seen) or seen[0] >> 4 != 4 or flags_and_offset(seen) & OFFSET:
        return False
    asked, answer = payload_of(request), payload_of(without_padding(seen))
    if asked == CLIENT_MESSAGE:
        return read_message(seen, request[9]) == SERVER_RESPONSE
    if request[9] == ICMP:
        enough = min(len(asked), len(answer)) >= ICMP_HEADER
        return enough and REPLIES.get(asked[0]) == answer[0] and asked[4:8] == answer[4:8]
    return request[9] not in WITH_PORTS or (len(asked) >= 4 and answer[:4] == asked[2:4] + asked[:2])


# ICMP errors


def quoted_by(seen: bytes) -> bytes:
    """Packet quoted by an ICMP error, from the IPv4 header on; empty for any other packet, and where it is cut off."""
    if len(seen) < SHORTEST_HEADER or seen[9] != ICMP or seen[0] >> 4 != 4:
        return b""
    message = payload_of(without_padding(seen))
    quoted = message[ICMP_HEADER:]
    return quoted if len(quoted) >= SHORTEST_HEADER and message[0] in ERROR_TYPES else b""


def error_about(packet: bytes, seen: bytes) -> IcmpError | None:
    """The ICMP error that `seen` is, if it quotes the packet."""
    quoted = quoted_by(seen)
    return read_error(seen) if quoted and is_same(packet, quoted, QUOTED) else None


def read_error(seen: bytes) -> IcmpError:
    """An ICMP error, which quotes something: who says what."""
    kind, code = payload_of(seen)[:2]
    return IcmpError(str(IPv4Address(seen[12:16])), kind, code)
