"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng), little endian: type, length, body, length again."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipl_tui.capture.store import Batch

SECTION_HEADER = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
"""What a file begins with."""

ENHANCED_PACKET = 6
PACKET_HEADER = struct.Struct("<7I")
"""Of an Enhanced Packet Block: type, total length, interface, time high, time low, captured, on the wire."""
PACKET_OVERHEAD = 32
"""Bytes of an Enhanced Packet Block besides the frame and its padding."""

_INTERFACE_DESCRIPTION = 1
_IF_NAME, _IF_TSRESOL, _IF_FILTER = 2, 9, 11
_NANOSECONDS = b"\x09"  # if_tsresol: a tick is 10^-9 s


def file_linktype(linktype: int) -> int:
    """The number that files use for a libpcap handle's link type: raw IP is 101 there, 12 (on OpenBSD 14) here."""
    return 101 if linktype in (12, 14) else linktype


def interface_block(name: str, linktype: int, filter: str = "") -> bytes:
    """An Interface Description Block, for times in ns; linktype as files number it."""
    options = _option(_IF_NAME, name.encode(errors="replace")) if name else b""
    options += _option(_IF_TSRESOL, _NANOSECONDS)
    if filter.strip():
        options += _option(_IF_FILTER, b"\0" + filter.encode(errors="replace"))  # 0: a libpcap expression
    body = struct.pack("<HHI", linktype, 0, 0) + options + _option(0, b"")
    size = len(body) + 12
    return struct.pack("<II", _INTERFACE_DESCRIPTION, size) + body + struct.pack("<I", size)


def packet_blocks(interface: int, batch: Batch) -> tuple[list[bytes], list[int]]:
    """An Enhanced Packet Block for each frame of a batch, and their sizes in bytes."""
    data, records = batch
    blocks: list[bytes] = []
    sizes: list[int] = []
    high = base = 0  # the upper 32 bits of the time, the same for 4 s of frames
    for time, start, captured, length in records:
        low = time - base
        if not 0 <= low <= 0xFFFFFFFF:
            high = time >> 32
            base = high << 32
            low = time - base
        size, pack = _packet_block(captured)
        sizes.append(size)
        frame = data[start : start + captured]
        blocks.append(pack(ENHANCED_PACKET, size, interface, high, low, captured, length, frame, size))
    return blocks, sizes


@lru_cache(maxsize=4096)
def _packet_block(captured: int) -> tuple[int, Callable[..., bytes]]:
    """The size of the block of a frame of so many bytes, and what packs it: header, frame, padding, size again."""
    padding = -captured % 4
    return captured + padding + PACKET_OVERHEAD, struct.Struct(f"<7I{captured}s{padding}xI").pack


def _option(code: int, value: bytes) -> bytes:
    """A pcapng option, padded to 32 bits."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
