"""ICMP errors (RFC 792): which packet they are about, and what they say in a few words."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import MappingProxyType

from .ipv4 import ICMP, SHORTEST_HEADER, payload_of

ICMP_HEADER = 8
"""Bytes, before what an error quotes."""
QUOTED = 8
"""Bytes of its packet's payload that an error quotes at least."""
UNSPECIFIED = bytes(4)

ERRORS: Mapping[tuple[int, int], str] = MappingProxyType(
    {
        (3, 0): "network unreachable: no route leads there",
        (3, 1): "host unreachable: nobody there answered ARP",
        (3, 2): "protocol unreachable: nobody there listens to this protocol",
        (3, 3): "port unreachable: nobody there listens on this port",
        (3, 4): "fragmentation needed: the packet is too long for the next link, and Don't Fragment is 1",
        (11, 0): "time exceeded: its Time to Live was used up on the way",
        (11, 1): "time exceeded: not all of its fragments arrived in time",
        (12, 0): "parameter problem: something in its header can't be right",
    }
)
"""By type and code."""

ERROR_TYPES = frozenset({3, 4, 5, 11, 12})
"""The types of messages that are about another packet, and quote it (RFC 1122 §3.2.2)."""


def describe_error(kind: int, code: int) -> str:
    """An ICMP error in a few words; its numbers where they are rare."""
    return ERRORS.get((kind, code), f"ICMP error {kind}/{code}")


@dataclass(frozen=True)
class IcmpError:
    """An ICMP error about a packet."""

    source: str
    """The dotted quad it came from."""
    type: int
    code: int


def error_about(packet: bytes, seen: bytes) -> IcmpError | None:
    """The ICMP error that `seen` is, if it quotes `packet`; both begin with their IPv4 header."""
    if len(seen) < SHORTEST_HEADER or seen[9] != ICMP:
        return None
    message = payload_of(seen)
    quoted = message[ICMP_HEADER:]
    if len(quoted) < SHORTEST_HEADER or message[0] not in ERROR_TYPES or not is_same(packet, quoted, QUOTED):
        return None
    return IcmpError(str(IPv4Address(seen[12:16])), message[0], message[1])


def is_same(packet: bytes, seen: bytes, length: int | None = None) -> bool:
    """Whether `seen` is the packet, for all that a kernel may have written into its header: by protocol, addresses and
    so much of the payload (None: all of it)."""
    own, payload = payload_of(packet), payload_of(seen)
    end = len(own) if length is None else min(length, len(own))
    return (
        seen[9] == packet[9]
        and seen[16:20] == packet[16:20]
        and packet[12:16] in (UNSPECIFIED, seen[12:16])
        and payload[:end] == own[:end]
    )
