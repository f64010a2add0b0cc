"""The parts of an IPv4 packet as bytes (RFC 791 §3.1), as far as its header can be believed."""

SHORTEST_HEADER = 20
"""Bytes of a header without options."""
LONGEST_HEADER = 60
"""Bytes of a header with all the options that IHL can count."""
LONGEST_DATAGRAM = 65_535
"""Bytes of header and payload that Total Length can count."""

DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET = 0x4000, 0x2000, 0x1FFF
"""Bits of the 16 that hold Flags and Fragment Offset."""
UNIT = 8
"""Bytes: what Fragment Offset counts in."""

ICMP = 1
"""The protocol number (RFC 792)."""


def header_length(packet: bytes | bytearray, start: int = 0) -> int:
    """The bytes of the header that begins there, by IHL; there may be fewer. Its first byte is there."""
    return 4 * (packet[start] & 0xF)


def header_bytes(packet: bytes) -> bytes:
    """The header that a packet begins with, by IHL, and at least the fixed one; less where the packet ends before."""
    return packet[: max(SHORTEST_HEADER, header_length(packet) if packet else 0)]


def flags_and_offset(packet: bytes | bytearray) -> int:
    """The 16 bits that hold Flags and Fragment Offset."""
    return int.from_bytes(packet[6:8])


def is_fragment(packet: bytes) -> bool:
    """True if a packet is a part of a datagram only: the first, a later one, or the last."""
    return bool(flags_and_offset(packet) & (MORE_FRAGMENTS | OFFSET))


def payload_of(packet: bytes) -> bytes:
    """Bytes that follow the header; with the link's padding, unless that was cut off before."""
    return packet[header_length(packet) :]


def without_padding(packet: bytes) -> bytes:
    """The packet up to Total Length; all of it where that says less than a header has."""
    length = int.from_bytes(packet[2:4])
    return packet[:length] if length >= SHORTEST_HEADER else packet
