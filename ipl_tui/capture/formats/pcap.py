"""The pcap format (draft-ietf-opsawg-pcap): a file header, then packets, each with a header of four 32-bit numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.formats.format import LARGEST_BLOCK, Format, Run, SavedPackets
from ipl_tui.capture.frames import NO_TIME, SNAPLEN, StoredInterface

_MICROSECONDS, _NANOSECONDS, _MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
"""The first number of a file, by the unit of its times; "modified" is what some Linux systems wrote about 2000."""

_MAGICS = {
    struct.pack(f"{order}I", number): (order, number)
    for order in "<>"
    for number in (_MICROSECONDS, _NANOSECONDS, _MODIFIED)
}

_FILE_HEADER = "IHHiIII"  # magic, version, zone, accuracy, snap length, link type
_PACKET_HEADER = "4I"  # seconds, part of a second, captured, on the wire
_END_OF_TIME = (1 << 32) * 10**9  # ns since the epoch: there are 32 bits for the seconds


class PcapReader:
    """Reads a pcap file.

    In the "modified" format more follows in a packet's header: the interface's number, the protocol and the packet's
    type. Before version 2.3 the two lengths stand in the other order; programs of version 2.3 wrote either, so there
    the smaller is taken for what was captured (libpcap's sf-pcap.c does all that, too).
    """

    def __init__(self, magic: bytes) -> None:
        order, number = _MAGICS[magic]
        self.damaged = False
        self._file_header = struct.Struct(order + _FILE_HEADER)
        self._packet_header = struct.Struct(order + _PACKET_HEADER + ("8x" if number == _MODIFIED else ""))
        self._unit = 1 if number == _NANOSECONDS else 1000  # ns
        self._swapped = self._perhaps_swapped = False
        self._interface: StoredInterface | None = None

    def parse(self, data: bytes) -> tuple[list[Run], int]:
        at = 0
        if self._interface is None:
            if len(data) < self._file_header.size:
                return [], 0
            _, major, minor, *_, linktype = self._file_header.unpack_from(data)
            linktype &= 0x03FFFFFF  # above are the length of a frame check sequence and flags
            if linktype > 0xFFFF:
                self.damaged = True
                return [], 0
            self._swapped = (major == 2 and minor < 3) or major == 543  # the latter is DG/UX's
            self._perhaps_swapped = (major, minor) == (2, 3)
            self._interface = StoredInterface("", linktype)
            at = self._file_header.size
        header, unit, size = self._packet_header.unpack_from, self._unit, self._packet_header.size
        records = []
        while at + size <= len(data):
            second, part, captured, length = header(data, at)
            if self._swapped or (self._perhaps_swapped and captured > length):
                captured, length = length, captured
            if captured > LARGEST_BLOCK:
                self.damaged = True
                break
            if at + size + captured > len(data):
                break
            records.append((second * 1_000_000_000 + part * unit, at + size, captured, max(captured, length)))
            at += size + captured
        return [Run(self._interface, records)], at


def file_header(linktype: int, nanoseconds: bool = False) -> bytes:
    """Header of a file of frames of one link type (as files number it)."""
    return struct.pack(
        "<" + _FILE_HEADER, _NANOSECONDS if nanoseconds else _MICROSECONDS, 2, 4, 0, 0, SNAPLEN, linktype
    )


def _write(kept: SavedPackets) -> Iterator[bytes]:
    """A pcap file, in pieces; in nanoseconds only if it must, as not every program reads those. A packet without a
    time has 0. Raises CaptureError."""
    interfaces: set[int] = set()
    nanoseconds = False
    for packet, _ in kept.records():
        interfaces.add(packet.interface)
        if packet.time != NO_TIME:
            nanoseconds = nanoseconds or packet.time % 1000 != 0
            if not 0 <= packet.time < _END_OF_TIME:
                raise CaptureError("A .pcap file has no times before 1970 or after 2106: save it as .pcapng.")
    linktypes = {kept.interfaces[interface].linktype for interface in interfaces or range(len(kept.interfaces))}
    if len(linktypes) > 1:
        raise CaptureError("A .pcap file holds one link type, this capture has several: save it as .pcapng.")
    (linktype,) = linktypes or {1}
    yield file_header(linktype, nanoseconds)
    unit = 1 if nanoseconds else 1000
    header = struct.Struct("<" + _PACKET_HEADER)
    for packet, data in kept.records():
        second, part = divmod(max(packet.time, 0), 1_000_000_000)
        yield header.pack(second, part // unit, len(data), packet.length) + data


PCAP = Format("pcap", frozenset(_MAGICS), PcapReader, ".pcap", _write)
