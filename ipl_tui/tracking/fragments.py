"""The part of a datagram that a packet carries: all of it, or a fragment (RFC 791 §3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ipl_tui.packets.ipv4 import MORE_FRAGMENTS, OFFSET, SHORTEST_HEADER, UNIT, flags_and_offset, header_length


class Piece(NamedTuple):
    """The part of a datagram's payload that a packet carries."""

    start: int
    """Offset in the datagram's payload, in bytes; -1 for a packet whose header does not tell its payload."""
    end: int
    more: bool
    """True if More Fragments is set."""
    digest: int
    """The hash of the bytes; it differs from process to process, so nobody can aim at it."""

    @property
    def is_fragment(self) -> bool:
        """True if it is not the whole payload."""
        return self.more or self.start > 0

    def is_within(self, whole: Piece) -> bool:
        """True if it is what fragmenting the whole gives (RFC 791 §3.2), by its place."""
        inside = whole.start <= self.start < self.end <= whole.end
        return inside and self.more == (whole.more or self.end < whole.end)


def datagram_of(packet: bytes) -> bytes:
    """Bytes that all fragments of a datagram have in common (RFC 791 §3.2): Identification, protocol and addresses."""
    return packet[4:6] + packet[9:10] + packet[12:20]


def read_piece(packet: bytes) -> tuple[Piece, bytes]:
    """The part of its datagram's payload that a packet of one byte at least carries: which, and the bytes. Ethernet's
    padding is not in it.

    A Total Length that says more than there is counts for what there is. Where the header makes no sense, the piece is
    the whole packet, which is no part of anything.
    """
    length = header_length(packet)
    end = min(int.from_bytes(packet[2:4]), len(packet))
    if packet[0] >> 4 != 4 or not SHORTEST_HEADER <= length <= end:
        return Piece(-1, -1, False, hash(packet)), packet
    payload = packet[length:end]
    flags_offset = flags_and_offset(packet)
    start = (flags_offset & OFFSET) * UNIT
    return Piece(start, start + len(payload), bool(flags_offset & MORE_FRAGMENTS), hash(payload)), payload


def units_of(piece: Piece, whole: Piece) -> int:
    """The units of a whole that a piece of it covers, a bit each."""
    first = (piece.start - whole.start) // UNIT
    count = -((piece.start - piece.end) // UNIT)  # rounded up
    return (1 << count) - 1 << first


def is_complete(pieces: Iterable[Piece]) -> bool:
    """True if pieces of a datagram are all of it, from its first byte to the one without More Fragments."""
    reached = 0
    for piece in sorted(pieces):
        if piece.start > reached:
            return False
        reached = max(reached, piece.end)
        if not piece.more and piece.end == reached:
            return True
    return False
