"""The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks, each with its type, length, body and length again.

Files of others have any byte order and any blocks; ours are little endian, and made by Section.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, groupby
from typing import NamedTuple

from ipl_tui.capture.formats.format import LARGEST_BLOCK, Format, Record, Run, SavedPackets
from ipl_tui.capture.frames import NO_TIME, Batch, StoredInterface

_SECTION_HEADER, _INTERFACE_DESCRIPTION = 0x0A0D0D0A, 1
_ENHANCED_PACKET, _SIMPLE_PACKET, _OBSOLETE_PACKET = 6, 3, 2  # the last has a count of drops beside the interface
_END, _COMMENT, _IF_NAME, _IF_TSRESOL, _IF_FILTER, _IF_TSOFFSET = 0, 1, 2, 9, 11, 14
_BYTE_ORDER, _VERSION = 0x1A2B3C4D, 1

_MAGIC = b"\n\r\r\n"  # _SECTION_HEADER in either byte order

SECTION_HEADER = struct.pack("<IIIHHqI", _SECTION_HEADER, 28, _BYTE_ORDER, _VERSION, 0, -1, 28)
"""First bytes of each file of ours."""

EARLIEST, LATEST = -(9 * 10**27), 9 * 10**27 - 1
"""The times that a file can say, in ns since the epoch: if_tsoffset has 64 bits for the seconds."""

_BLOCK_OVERHEAD = 12  # bytes of a block besides its body
_SIMPLE_HEADER = struct.Struct("<3I")  # type, total length, on the wire
_SIMPLE_OVERHEAD = 16
_PACKET_HEADER = struct.Struct("<7I")  # type, total length, interface, time high, time low, captured, on the wire
_PACKET_OVERHEAD = 32  # bytes of an Enhanced Packet Block besides the frame and its padding

_NANOSECONDS = b"\x09"  # if_tsresol: a tick is 10^-9 s

_STEP = 9 * 10**18
"""ns from one if_tsoffset to the next: whole seconds, and the 64 bits of a time reach over two."""

_MOST_DESCRIPTIONS = 60_000
"""Of interfaces, also the same again: a file with more than 65,536 is not read, and no capture has so many times."""


class _Layout(NamedTuple):
    """Structs of the parts of blocks, in one byte order."""

    block: struct.Struct  # type, total length
    length: struct.Struct
    section: struct.Struct  # byte order, version
    interface: struct.Struct  # link type, snap length
    enhanced: struct.Struct  # interface, time high, time low, captured, on the wire
    obsolete: struct.Struct  # the same
    option: struct.Struct  # code, length
    offset: struct.Struct


_LITTLE_ENDIAN, _BIG_ENDIAN = (
    _Layout(*(struct.Struct(order + each) for each in ("II", "I", "IH", "HxxI", "IIIII", "HxxIIII", "HH", "q")))
    for order in "<>"
)


class _Described(NamedTuple):
    """An interface of a file, and how to read what was captured on it."""

    interface: StoredInterface
    snaplen: int
    """In bytes; 0: no such limit."""
    resolution: int = 1_000_000
    """Ticks a second."""
    offset: int = 0
    """Seconds, to add to each time."""


class PcapngReader:
    """Reads a pcapng file, whoever wrote it."""

    def __init__(self, magic: bytes) -> None:
        self.damaged = False
        self._layout = _LITTLE_ENDIAN
        self._interfaces: list[_Described] = []  # of this section

    def parse(self, data: bytes) -> tuple[list[Run], int]:
        runs: list[Run] = []
        view = memoryview(data)
        at = 0
        while at + _BLOCK_OVERHEAD <= len(data):
            if data[at : at + 4] == _MAGIC:
                is_big = data[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d"
                self._layout = _BIG_ENDIAN if is_big else _LITTLE_ENDIAN
            kind, size = self._layout.block.unpack_from(data, at)
            if size < _BLOCK_OVERHEAD or size % 4 or size > LARGEST_BLOCK:
                self.damaged = True
                break
            if at + size > len(data):
                break
            try:
                if self._layout.length.unpack_from(data, at + size - 4) != (size,):
                    raise ValueError("the two lengths of a block differ")
                self._read(kind, view[at + 8 : at + size - 4], at + 8, runs)
            except (struct.error, ValueError, IndexError):
                self.damaged = True
                break
            at += size
        return runs, at

    def _read(self, kind: int, body: memoryview, at: int, runs: list[Run]) -> None:
        """Take in a block; `at` is where its body is. Raises struct.error, ValueError or IndexError for nonsense."""
        if kind in (_ENHANCED_PACKET, _OBSOLETE_PACKET):
            layout = self._layout.enhanced if kind == _ENHANCED_PACKET else self._layout.obsolete
            number, high, low, captured, length = layout.unpack_from(body)
            if captured > len(body) - 20:
                raise ValueError("a packet longer than its block")
            interface, _, resolution, offset = self._interfaces[number]
            time = (high << 32 | low) * 1_000_000_000 // resolution + offset * 1_000_000_000
            time = min(max(time, EARLIEST), LATEST)
            if body[20 + (captured + 3 & -4) :] == TIMELESS:  # ours
                time = NO_TIME
            _add(runs, interface, (time, at + 20, captured, max(captured, length)))
        elif kind == _SIMPLE_PACKET:  # of the first interface, and without a time
            (length,) = self._layout.length.unpack_from(body)
            first = self._interfaces[0]
            captured = min(length, first.snaplen or length, len(body) - 4)
            _add(runs, first.interface, (NO_TIME, at + 4, captured, length))
        elif kind == _INTERFACE_DESCRIPTION:
            if len(self._interfaces) > 0xFFFF:
                raise ValueError("more interfaces than any machine has")
            self._interfaces.append(_described(self._layout, body))
        elif kind == _SECTION_HEADER:
            order, version = self._layout.section.unpack_from(body)
            if order != _BYTE_ORDER or version != _VERSION:
                raise ValueError("not a section of pcapng 1")
            self._interfaces = []


def _add(runs: list[Run], interface: StoredInterface, record: tuple[int, int, int, int]) -> None:
    if not runs or (runs[-1].interface is not interface and runs[-1].interface != interface):
        runs.append(Run(interface, []))
    runs[-1].records.append(record)


def _described(layout: _Layout, body: memoryview) -> _Described:
    """The interface of an Interface Description Block."""
    linktype, snaplen = layout.interface.unpack_from(body)
    described = _Described(StoredInterface("", linktype), snaplen)
    options = body[layout.interface.size :]
    while len(options) >= layout.option.size:
        code, length = layout.option.unpack_from(options)
        value = bytes(options[4 : 4 + length])
        options = options[4 + (length + 3 & -4) :]
        if code == _END:
            break
        if code == _IF_NAME:
            name = value.rstrip(b"\0").decode(errors="replace")[:255]
            described = described._replace(interface=StoredInterface(name, linktype))
        elif code == _IF_TSRESOL and value:  # a negative power of 10, or of 2 with the high bit set
            base = 2 if value[0] & 0x80 else 10
            described = described._replace(resolution=base ** (value[0] & 0x7F))
        elif code == _IF_TSOFFSET and length == layout.offset.size:
            described = described._replace(offset=layout.offset.unpack(value)[0])
    return described


class Section:
    """Makes the blocks after a file's header, and reads them again.

    An Enhanced Packet Block has 64 bits for the time, in ns 584 years. So an interface is described again, with
    another if_tsoffset, where its frames are further apart. A frame without a time is a Simple Packet Block; where
    that can't say what it is (it is always on the first interface, and whole) an Enhanced one at 0 with a comment.
    """

    def __init__(self) -> None:
        self._interfaces: list[tuple[str, int, str]] = []  # name, link type and filter
        self._bases: list[int] = []  # by interface: what its times are counted from now, in ns since the epoch
        self._described: list[tuple[int, int]] = []  # by its number in the file: the interface and the base
        self._numbers: dict[tuple[int, int], int] = {}  # the same the other way round

    def state(self) -> tuple[int, int]:
        """For forget(), before making blocks that perhaps can't be written."""
        return len(self._interfaces), len(self._described)

    def forget(self, state: tuple[int, int]) -> None:
        """Take back all since a state: it was not written."""
        interfaces, described = state
        del self._interfaces[interfaces:], self._bases[interfaces:]
        for interface, base in self._described[described:]:
            del self._numbers[interface, base]
            if interface < interfaces:
                self._bases[interface] = 0  # its first description
        del self._described[described:]

    def add_interface(self, name: str, linktype: int, filter: str = "") -> bytes:
        """An Interface Description Block; linktype as files number it. Interfaces are numbered from 0."""
        self._interfaces.append((name, linktype, filter))
        self._bases.append(0)
        return self._describe(len(self._interfaces) - 1, 0)

    def packets(self, interface: int, batch: Batch) -> tuple[bytes, list[int]]:
        """The blocks of a batch, and where in them the one of each frame begins."""
        base = self._bases[interface]
        try:
            blocks, sizes = _packet_blocks(self._numbers[interface, base], base, batch)
        except struct.error:  # a time that does not fit
            return self._unusual_packets(interface, batch)
        return b"".join(blocks), list(accumulate(sizes, initial=0))[:-1]

    def _unusual_packets(self, interface: int, batch: Batch) -> tuple[bytes, list[int]]:
        """The same for frames without a time, or from far apart."""
        pieces: list[bytes] = []
        starts: list[int] = []
        at = 0
        usual = self._bases[interface]

        def base_for(record: tuple[int, int, int, int]) -> int | None:
            time = record[0]
            if time == NO_TIME:
                return None
            return usual if usual <= time < usual + (1 << 64) else time // _STEP * _STEP

        for base, run in groupby(batch.records, base_for):
            records = list(run)
            if base is None:
                blocks = [
                    self._timeless_block(interface, batch.data[start : start + captured], length)
                    for _, start, captured, length in records
                ]
                sizes = [len(block) for block in blocks]
            else:
                if (interface, base) not in self._numbers:
                    if len(self._described) >= _MOST_DESCRIPTIONS:
                        base = usual
                        records = [(min(max(each[0], base), base + (1 << 64) - 1), *each[1:]) for each in records]
                    else:
                        pieces.append(self._describe(interface, base))
                        at += len(pieces[-1])
                self._bases[interface] = base
                blocks, sizes = _packet_blocks(self._numbers[interface, base], base, batch._replace(records=records))
            starts += list(accumulate(sizes, initial=at))[:-1]
            at += sum(sizes)
            pieces += blocks
        return b"".join(pieces), starts

    def _timeless_block(self, interface: int, frame: bytes, length: int) -> bytes:
        padded = frame + bytes(-len(frame) % 4)
        if interface == 0 and length == len(frame):
            size = len(padded) + _SIMPLE_OVERHEAD
            return _SIMPLE_HEADER.pack(_SIMPLE_PACKET, size, length) + padded + struct.pack("<I", size)
        size = len(padded) + _PACKET_OVERHEAD + len(TIMELESS)
        number = self._numbers[interface, 0]
        header = _PACKET_HEADER.pack(_ENHANCED_PACKET, size, number, 0, 0, len(frame), length)
        return header + padded + TIMELESS + struct.pack("<I", size)

    def _describe(self, interface: int, base: int) -> bytes:
        self._numbers[interface, base] = len(self._described)
        self._described.append((interface, base))
        return _interface_block(*self._interfaces[interface], base)

    def read(self, blocks: bytes, at: int = 0) -> Record:
        """Read the header of a packet's block of ours, which begins at `at`.

        Raises struct.error, IndexError or ValueError for anything else.
        """
        kind, size, length = _SIMPLE_HEADER.unpack_from(blocks, at)
        if kind == _SIMPLE_PACKET:
            if size != (length + 3 & -4) + _SIMPLE_OVERHEAD:
                raise ValueError("not a block of ours")
            return Record(0, NO_TIME, _SIMPLE_HEADER.size, length, length)
        kind, size, number, high, low, captured, length = _PACKET_HEADER.unpack_from(blocks, at)
        options = size - (captured + 3 & -4) - _PACKET_OVERHEAD
        if kind != _ENHANCED_PACKET or options not in (0, len(TIMELESS)):
            raise ValueError("not a block of ours")
        interface, base = self._described[number]
        time = NO_TIME if options else (high << 32 | low) + base
        return Record(interface, time, _PACKET_HEADER.size, captured, length)

    def walk(self, pieces: Iterable[bytes]) -> Iterator[tuple[Record, bytes]]:
        """Each packet of a file of ours that comes in pieces: what its block says, and the frame. Raises as read()."""
        rest = b""
        for piece in pieces:
            blocks = rest + piece
            at = 0
            while len(blocks) - at >= _BLOCK_OVERHEAD:
                kind, size = _LITTLE_ENDIAN.block.unpack_from(blocks, at)
                if size < _BLOCK_OVERHEAD:
                    raise ValueError("not a block of ours")
                if at + size > len(blocks):
                    break
                if kind in (_ENHANCED_PACKET, _SIMPLE_PACKET):
                    record = self.read(blocks, at)
                    start = at + record.start
                    yield record, blocks[start : start + record.captured]
                at += size
            rest = blocks[at:]


def _interface_block(name: str, linktype: int, filter: str, base: int) -> bytes:
    """An Interface Description Block, for times in ns since the base, which is in ns since the epoch."""
    options = _option(_IF_NAME, name.encode(errors="replace")) if name else b""
    options += _option(_IF_TSRESOL, _NANOSECONDS)
    if filter.strip():
        options += _option(_IF_FILTER, b"\0" + filter.encode(errors="replace"))  # 0: a libpcap expression
    if base:
        options += _option(_IF_TSOFFSET, struct.pack("<q", base // 10**9))
    body = struct.pack("<HHI", linktype, 0, 0) + options + _option(_END, b"")
    size = len(body) + _BLOCK_OVERHEAD
    return struct.pack("<II", _INTERFACE_DESCRIPTION, size) + body + struct.pack("<I", size)


def _packet_blocks(number: int, base: int, batch: Batch) -> tuple[list[bytes], list[int]]:
    """An Enhanced Packet Block for each frame of a batch, and their sizes in bytes; number is the file's, of the
    interface. Raises struct.error for a time that is not in the 64 bits from the base on."""
    data, records = batch
    blocks: list[bytes] = []
    sizes: list[int] = []
    high, since = 0, base  # the upper 32 bits of the time, the same for 4 s of frames
    for time, start, captured, length in records:
        low = time - since
        if not 0 <= low <= 0xFFFFFFFF:
            high = time - base >> 32
            since = base + (high << 32)
            low = time - since
        size, pack = _packet_block(captured)
        sizes.append(size)
        frame = data[start : start + captured]
        blocks.append(pack(_ENHANCED_PACKET, size, number, high, low, captured, length, frame, size))
    return blocks, sizes


@lru_cache(maxsize=4096)
def _packet_block(captured: int) -> tuple[int, Callable[..., bytes]]:
    """The size of the block of a frame of so many bytes, and what packs it: header, frame, padding, size again."""
    padding = -captured % 4
    return captured + padding + _PACKET_OVERHEAD, struct.Struct(f"<7I{captured}s{padding}xI").pack


def _option(code: int, value: bytes) -> bytes:
    """A pcapng option, padded to 32 bits."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


TIMELESS = _option(_COMMENT, b"no time was written down for this packet") + _option(_END, b"")
"""The options of an Enhanced Packet Block that has no time: a comment, for whoever reads it elsewhere."""


def _write(kept: SavedPackets) -> Iterator[bytes]:
    """A capture grows in this format: to save it is to copy it."""
    return kept.pcapng()


PCAPNG = Format("pcapng", frozenset([_MAGIC]), PcapngReader, ".pcapng", _write)
