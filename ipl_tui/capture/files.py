"""Captures into a sink, from files and pipes: pcap and pcapng, plain or compressed with gzip.

Scapy's RawPcapReader and RawPcapNgReader are not used: they end a file that is cut short like one that is whole, print
warnings on the terminal, cut frames at 65,535 bytes, and mix up the interfaces of files with several sections.
"""

import gzip
import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.filters import Filter, FilterError, compile_filter
from ipl_tui.capture.formats.pcapng import EARLIEST, LATEST, TIMELESS
from ipl_tui.capture.frames import NO_TIME, Batch
from ipl_tui.capture.sinks import Sink
from ipl_tui.capture.store import Store

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST_BLOCK = 16 << 20
"""Bytes. A longer frame or block is damage: capture programs write none, and libpcap refuses it too."""

_PIECE = 1 << 20
_POLL = 0.05
"""Seconds between two looks at whether to stop, while a pipe has nothing to read."""

_CLASSIC, _NANOSECONDS, _MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
"""What a pcap file begins with; "modified" is what some Linux systems wrote about the year 2000."""


@dataclass(frozen=True)
class Pipe:
    """Where a capture arrives as it is made; what has come is read at once."""

    descriptor: int
    """Left open."""
    name: str = "standard input"

    def __str__(self) -> str:
        return self.name


def refuse_to_read(source: Path | Pipe, write: Path | None) -> None:
    """Raises CaptureError for what is not there, or can't be looked at, or that the capture would overwrite."""
    try:
        read = _status(source)
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error
    with suppress(OSError):  # nothing is there yet, or the store will say what is wrong
        if write is not None and os.path.samestat(read, write.stat()):
            raise CaptureError(f"{source} can't be read into itself: write to another file.")


def read_capture(
    source: Path | Pipe,
    sink: Sink,
    filter: str = "",
    progress: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Append the packets of a file or pipe to a store or another sink, as they were captured; `filter` keeps only those
    it matches.

    progress is called now and then with the number of packets read so far; setting `stop` ends the reading quietly,
    soon and also while a pipe says nothing. Raises CaptureError and nothing else, for a capture that is cut short or
    damaged after everything before that is in the sink. Nothing comes into the sink before something can be read.
    """
    stop = stop or threading.Event()
    packets = 0
    filters: dict[tuple[str, int], Filter] = {}  # by interface of the file
    places: dict[tuple[str, int], int] = {}  # the sink's number for it
    parser: _Parser | None = None
    rest = b""
    try:
        if isinstance(sink, Store) and os.path.samestat(_status(source), sink.path.stat()):
            raise CaptureError(f"{source} is the capture that is being written: it can't be read into itself.")
        for piece in _pieces(source, stop):
            if stop.is_set():
                return
            rest += piece
            if parser is None:
                if len(rest) < 4:
                    continue
                parser = _parser(rest[:4])
                if parser is None:
                    break
            runs, used = parser.parse(rest)
            for run in runs:
                if stop.is_set():
                    return
                key = run.interface.name, run.interface.linktype
                if key not in filters:
                    filters[key] = compile_filter(filter, run.interface.linktype)
                packets += len(run.records)
                records = run.records
                if filter.strip():
                    wanted = filters[key]
                    records = [each for each in records if wanted.matches(rest[each[1] : each[1] + each[2]])]
                if records:
                    if key not in places:
                        places[key] = sink.add_interface(*key, filter)
                    sink.append(places[key], Batch(rest, records))
            rest = rest[used:]
            if progress is not None:
                progress(packets)
            if parser.damaged:
                break
        problem = "is damaged" if parser and parser.damaged else "is cut short" if rest else ""
        if parser is not None and not problem and not stop.is_set():
            for key in filters.keys() - places.keys():  # a whole capture, though nothing of it is wanted
                sink.add_interface(*key, filter)
    except CaptureError:
        raise
    except FilterError as error:
        raise CaptureError(f"The filter does not compile: {error}.") from error
    except EOFError:  # gzip's word for a file without its end
        problem = "is cut short"
    except (gzip.BadGzipFile, zlib.error):
        problem = "is damaged"
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error
    except Exception as error:  # whatever it is, what was read before is shown
        raise CaptureError(f"Reading {source} stopped: {type(error).__name__}: {error}.") from error
    if stop.is_set():
        return
    if parser is None:
        raise CaptureError(f"{source} is not a capture file (pcap or pcapng).")
    if problem:
        where = f"after {packets:,} packet{'s' * (packets > 1)}; those before it are shown"
        raise CaptureError(f"{source} {problem} {where if packets else 'before its first packet'}.")


def _status(source: Path | Pipe) -> os.stat_result:
    """Raises OSError and ValueError."""
    return os.stat(source.descriptor if isinstance(source, Pipe) else source)


def _unreadable(source: Path | Pipe, error: OSError | ValueError) -> CaptureError:
    """ValueError is Python's for a NUL in a path."""
    if isinstance(error, FileNotFoundError):
        return CaptureError(f"There is no file {source}.")
    return CaptureError(f"Cannot read {source}: {getattr(error, 'strerror', None) or error}.")


def _pieces(source: Path | Pipe, stop: threading.Event) -> Iterator[bytes]:
    """The bytes of a capture, unpacked if it is compressed. Raises OSError, EOFError and zlib.error."""
    with _Reader(_Source(source, stop)) as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        unpacked = gzip.GzipFile(fileobj=file) if packed else file
        # read1() gives what is there before it fails, where read() would lose it.
        while piece := unpacked.read1(_PIECE):
            yield piece


class _Source(FileIO):
    """A file or pipe that ends when it is told to: nobody else can end a read that waits for a pipe.

    Whatever is no regular file may have to be waited for: a pipe is given as a path, too, with mkfifo or <(...).
    """

    def __init__(self, source: Path | Pipe, stop: threading.Event) -> None:
        if isinstance(source, Pipe):
            super().__init__(source.descriptor, closefd=False)
        else:
            super().__init__(source, opener=_open_without_waiting)
        self._stop = stop
        self._waits = not stat.S_ISREG(os.fstat(self.fileno()).st_mode)

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        while not self._stop.is_set():
            if self._waits and not select([self], [], [], _POLL)[0]:
                continue
            size = super().readinto(buffer)
            if size is not None:  # else somebody was quicker to read what was there
                return size
        return 0


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a pipe otherwise waits until somebody opens its other end, and nothing ends that."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has none


class _Reader(BufferedReader):
    """Its read() gives what has come, also to gzip, instead of waiting for as many bytes as were asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return self.read1(-1 if size is None else size)


class _Interface(NamedTuple):
    name: str
    linktype: int
    snaplen: int = 0
    resolution: int = 1_000_000  # ticks a second
    offset: int = 0  # seconds, to add to each time


class _Run(NamedTuple):
    """Consecutive packets of one interface, as in Batch.records."""

    interface: _Interface
    records: list[tuple[int, int, int, int]]


class _Parser(Protocol):
    damaged: bool
    """Nothing that follows makes sense."""

    def parse(self, data: bytes) -> tuple[list[_Run], int]:
        """The whole packets at the start of data, and how many bytes they take."""


def _parser(magic: bytes) -> _Parser | None:
    if magic == b"\n\r\r\n":
        return _Pcapng()
    for order in "<>":
        (number,) = struct.unpack(f"{order}I", magic)
        if number in (_CLASSIC, _NANOSECONDS, _MODIFIED):
            return _Pcap(order, number)
    return None


class _Pcap:
    """draft-ietf-opsawg-pcap: a file header, then packets, each with a header of four 32-bit numbers.

    In the "modified" format more follows there: the interface's number, the protocol and the packet's type. Before
    version 2.3 the two lengths stand in the other order; programs of version 2.3 wrote either, so there the smaller is
    taken for what was captured (libpcap's sf-pcap.c does all that, too).
    """

    def __init__(self, order: str, magic: int) -> None:
        self.damaged = False
        self._file_header = struct.Struct(f"{order}IHHiIII")
        self._packet_header = struct.Struct(f"{order}4I8x" if magic == _MODIFIED else f"{order}4I")
        self._unit = 1 if magic == _NANOSECONDS else 1000  # ns
        self._swapped = self._perhaps_swapped = False
        self._interface: _Interface | None = None

    def parse(self, data: bytes) -> tuple[list[_Run], int]:
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
            self._interface = _Interface("", linktype)
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
        return [_Run(self._interface, records)], at


class _Pcapng:
    """draft-ietf-opsawg-pcapng: sections of blocks, each with its own byte order and interfaces."""

    def __init__(self) -> None:
        self.damaged = False
        self._order = "<"
        self._interfaces: list[_Interface] = []

    def parse(self, data: bytes) -> tuple[list[_Run], int]:
        runs: list[_Run] = []
        at = 0
        while at + 12 <= len(data):
            if data[at : at + 4] == b"\n\r\r\n":
                self._order = ">" if data[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d" else "<"
            kind, size = struct.unpack_from(f"{self._order}II", data, at)
            if size < 12 or size % 4 or size > LARGEST_BLOCK:
                self.damaged = True
                break
            if at + size > len(data):
                break
            body = memoryview(data)[at + 8 : at + size - 4]
            try:
                if struct.unpack_from(f"{self._order}I", data, at + size - 4) != (size,):
                    raise ValueError("the two lengths of a block differ")
                self._read(kind, body, at + 8, runs)
            except (struct.error, ValueError, IndexError):
                self.damaged = True
                break
            at += size
        return runs, at

    def _read(self, kind: int, body: memoryview, at: int, runs: list[_Run]) -> None:
        """Take in a block; `at` is where its body is. Raises struct.error, ValueError or IndexError for nonsense."""
        order = self._order
        if kind == 0x0A0D0D0A:  # Section Header
            magic, major = struct.unpack_from(f"{order}IH", body)
            if magic != 0x1A2B3C4D or major != 1:
                raise ValueError("not a section of pcapng 1")
            self._interfaces = []
        elif kind == 1:  # Interface Description
            linktype, snaplen = struct.unpack_from(f"{order}HxxI", body)
            if len(self._interfaces) > 0xFFFF:
                raise ValueError("more interfaces than any machine has")
            self._interfaces.append(_described(order, linktype, snaplen, body[8:]))
        elif kind in (6, 2):  # Enhanced Packet, and the obsolete Packet with a count of drops beside the interface
            layout = f"{order}IIIII" if kind == 6 else f"{order}HxxIIII"
            number, high, low, captured, length = struct.unpack_from(layout, body)
            if captured > len(body) - 20:
                raise ValueError("a packet longer than its block")
            interface = self._interfaces[number]
            time = (high << 32 | low) * 1_000_000_000 // interface.resolution + interface.offset * 1_000_000_000
            time = min(max(time, EARLIEST), LATEST)
            if body[20 + (captured + 3 & -4) :] == TIMELESS:  # ours
                time = NO_TIME
            _add(runs, interface, (time, at + 20, captured, max(captured, length)))
        elif kind == 3:  # Simple Packet: of the first interface, and without a time
            (length,) = struct.unpack_from(f"{order}I", body)
            interface = self._interfaces[0]
            captured = min(length, interface.snaplen or length, len(body) - 4)
            _add(runs, interface, (NO_TIME, at + 4, captured, length))


def _add(runs: list[_Run], interface: _Interface, record: tuple[int, int, int, int]) -> None:
    if not runs or runs[-1].interface[:2] != interface[:2]:  # the rest is read already
        runs.append(_Run(interface, []))
    runs[-1].records.append(record)


def _described(order: str, linktype: int, snaplen: int, options: memoryview) -> _Interface:
    """The interface of an Interface Description Block."""
    interface = _Interface("", linktype, snaplen)
    while len(options) >= 4:
        code, length = struct.unpack_from(f"{order}HH", options)
        value = bytes(options[4 : 4 + length])
        options = options[4 + (length + 3 & -4) :]
        if code == 0:
            break
        if code == 2:
            interface = interface._replace(name=value.rstrip(b"\0").decode(errors="replace")[:255])
        elif code == 9 and value:  # if_tsresol: a negative power of 10, or of 2 with the high bit set
            base = 2 if value[0] & 0x80 else 10
            interface = interface._replace(resolution=base ** (value[0] & 0x7F))
        elif code == 14 and length == 8:  # if_tsoffset
            interface = interface._replace(offset=struct.unpack(f"{order}q", value)[0])
    return interface
