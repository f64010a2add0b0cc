"""The IPv4 header of RFC 791 §3.1, one row a field: where its bits are and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import MappingProxyType

from .ipv4 import SHORTEST_HEADER, header_length


@dataclass(frozen=True)
class Field:
    """One field of the header."""

    name: str
    """Scapy's name where Scapy has the field, else RFC 791's word in lower case."""
    scapy: str
    """The field of Scapy's IP layer that holds it: DSCP and ECN share `tos`, the three flags share `flags`."""
    label: str
    """RFC 791's words, for the screen."""
    bit: int
    """Offset of its first bit in the header."""
    bits: int
    """Width in bits; 0 for options, whose length varies."""
    automatic: bool
    """True if it may be left for `craft` to fill in."""
    meaning: str
    """Purpose of the field, in a sentence or two."""
    rfc: str
    """RFC and section that define it."""


# A table reads best with two lines a row.
# fmt: off
FIELDS = (
    Field("version", "version", "Version", 0, 4, True, rfc="RFC 791 §3.1",
          meaning="The format of this header: 4 for IPv4. A receiver drops anything else in silence."),
    Field("ihl", "ihl", "IHL", 4, 4, True, rfc="RFC 791 §3.1",
          meaning="Internet Header Length in words of 4 bytes: 5 without options, 15 at most. The payload follows."),
    Field("dscp", "tos", "DSCP", 8, 6, False, rfc="RFC 2474 §3",
          meaning="How routers should treat the packet: 0 is best effort, 46 asks for low delay. Was Type of Service."),
    Field("ecn", "tos", "ECN", 14, 2, False, rfc="RFC 3168 §5",
          meaning="0: the sender does not use it. 1 or 2: a congested router may mark instead of drop. 3: one did."),
    Field("len", "len", "Total Length", 16, 16, True, rfc="RFC 791 §3.1",
          meaning="Bytes of header and payload together. What the link adds after them is padding."),
    Field("id", "id", "Identification", 32, 16, False, rfc="RFC 6864 §4",
          meaning="The same in all fragments of one datagram, so that the receiver can put them together."),
    Field("reserved", "flags", "Reserved Flag", 48, 1, False, rfc="RFC 791 §3.1",
          meaning="Must be zero; no use has been agreed for it."),
    Field("df", "flags", "Don't Fragment", 49, 1, False, rfc="RFC 791 §3.1",
          meaning="1: a router that cannot pass it whole drops it and answers with ICMP 3/4 and the size that fits."),
    Field("mf", "flags", "More Fragments", 50, 1, False, rfc="RFC 791 §3.1",
          meaning="1: this is a piece of a datagram, and more of it follows. The last piece has 0."),
    Field("frag", "frag", "Fragment Offset", 51, 13, False, rfc="RFC 791 §3.1",
          meaning="Where this piece belongs in the datagram's payload, in units of 8 bytes: 10 means byte 80."),
    Field("ttl", "ttl", "Time to Live", 64, 8, False, rfc="RFC 791 §3.1",
          meaning="Each router takes 1; the one that gets to 0 drops the packet and reports ICMP 11/0 (traceroute)."),
    Field("proto", "proto", "Protocol", 72, 8, False, rfc="RFC 791 §3.1",
          meaning="What the payload is: 1 ICMP, 6 TCP, 17 UDP; 253 and 254 are for experiments (RFC 3692)."),
    Field("chksum", "chksum", "Header Checksum", 80, 16, True, rfc="RFC 1071 §1",
          meaning="Guards the header only, not the payload. Each router changes the TTL, so each must update it."),
    Field("src", "src", "Source Address", 96, 32, True, rfc="RFC 791 §3.1",
          meaning="Who sent it, and where answers and ICMP errors go. Nothing in IP proves that it is true."),
    Field("dst", "dst", "Destination Address", 128, 32, False, rfc="RFC 791 §3.1",
          meaning="Who it is for. Each router on the way chooses the next hop by this address alone."),
    Field("options", "options", "Options", 160, 0, False, rfc="RFC 791 §3.1",
          meaning="Up to 40 bytes, such as Record Route, zero-filled to words of 4 bytes. Many routers drop them."),
)
# fmt: on
"""Every field, in header order."""

FIELD: Mapping[str, Field] = MappingProxyType({field.name: field for field in FIELDS})
"""The same by name."""

ADDRESSES = ("src", "dst")
"""The names of the fields whose value is an address."""

PROTOCOLS: Mapping[str, int] = MappingProxyType(
    {
        "ICMP": 1,
        "IGMP": 2,
        "IPv4": 4,
        "TCP": 6,
        "EGP": 8,
        "UDP": 17,
        "DCCP": 33,
        "IPv6": 41,
        "RSVP": 46,
        "GRE": 47,
        "ESP": 50,
        "AH": 51,
        "IPv6-ICMP": 58,
        "EIGRP": 88,
        "OSPFIGP": 89,
        "PIM": 103,
        "VRRP": 112,
        "L2TP": 115,
        "SCTP": 132,
        "UDPLite": 136,
    }
)
"""IANA's keyword for a protocol and its number: those that one meets."""


def read_header(packet: bytes) -> dict[str, int | str | bytes]:
    """The value of every field that `packet`, which starts with an IPv4 header, has all the bits of.

    Addresses are dotted quads, `options` the bytes between byte 20 and the end that IHL claims (fewer where the packet
    ends before); all others are the numbers that are written there, true or not. Never raises.
    """
    header = int.from_bytes(packet[:SHORTEST_HEADER].ljust(SHORTEST_HEADER, b"\0"), "big")
    values: dict[str, int | str | bytes] = {}
    for field in FIELDS:
        end = field.bit + field.bits
        if end > 8 * len(packet):
            break
        if field.name == "options":
            values["options"] = packet[SHORTEST_HEADER : header_length(packet)]
        else:
            value = header >> (8 * SHORTEST_HEADER - end) & ((1 << field.bits) - 1)
            values[field.name] = str(IPv4Address(value)) if field.name in ADDRESSES else value
    return values
