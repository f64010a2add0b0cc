"""The parts of an IPv4 packet as bytes, as far as its header can be believed."""

from .fields import SHORTEST_HEADER

ICMP = 1
"""The protocol number (RFC 792)."""


def header_length(packet: bytes) -> int:
    """The bytes of the header by IHL; the packet may have fewer. It has one byte at least."""
    return 4 * (packet[0] & 0xF)


def payload_of(packet: bytes) -> bytes:
    """What follows the header; with the link's padding, unless that was cut off before."""
    return packet[header_length(packet) :]


def without_padding(packet: bytes) -> bytes:
    """The packet up to Total Length; all of it where that says less than a header has."""
    length = int.from_bytes(packet[2:4])
    return packet[:length] if length >= SHORTEST_HEADER else packet
