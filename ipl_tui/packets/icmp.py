"""ICMP errors (RFC 792): what they say, in a few words."""

from collections.abc import Mapping
from types import MappingProxyType

ICMP_HEADER = 8
"""Bytes, before what an error quotes."""

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
