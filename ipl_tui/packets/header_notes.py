"""Remarks that a receiver would make on the fields of an IPv4 header in a frame (RFC 1122 §3.2.1)."""

from __future__ import annotations

from .checksum import internet_checksum
from .ipv4 import SHORTEST_HEADER, header_length


def header_note(name: str, data: bytes, start: int, captured: int, on_wire: int) -> str:
    """Remark on a field, by Scapy's name, of the header at `start`: "correct", "wrong, 5 is the least"; empty without
    one. `data` begins with the bytes captured of a frame, which had so many on the wire; the field's are all there."""
    claimed, here = header_length(data, start), on_wire - start
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    were = "were on the wire" if captured < on_wire else "are here"
    match name:
        case "version" if data[start] >> 4 != 4:
            return "wrong, IPv4 is 4"
        case "ihl" if claimed < SHORTEST_HEADER:
            return "wrong, 5 is the least"
        case "ihl" if claimed > here:
            return f"wrong, {here} bytes {were}"
        case "len" if length and length < claimed:  # 0: the card will fill it in
            return "wrong, less than the header"
        case "len" if length > here:
            return f"wrong, {here} bytes {were}"
        case "len" if captured < on_wire and length > captured - start:
            return f"captured {captured - start:,} of {length:,} bytes"
        case "chksum":
            return _checksum_note(data[:captured], start)
    return ""


def _checksum_note(frame: bytes, start: int) -> str:
    """About the checksum of the header at `start`; nothing if it is not all there, or too short to have one."""
    length = header_length(frame, start)
    header = frame[start : start + length]
    if len(header) < max(SHORTEST_HEADER, length):
        return ""
    if internet_checksum(header) == 0:
        return "correct"
    right = f"0x{internet_checksum(header[:10] + header[12:]):04x} would be right"
    if not any(header[10:12]):
        return f"left to the network card, or wrong; {right}"
    return f"wrong, {right}"
