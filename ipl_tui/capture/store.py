"""The capture: one pcapng file that grows, and an index of where each frame is in it."""

import os
import secrets
import struct
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.filters import SNAPLEN
from ipl_tui.capture.pcapng import (
    ENHANCED_PACKET,
    PACKET_HEADER,
    PACKET_OVERHEAD,
    SECTION_HEADER,
    file_linktype,
    interface_block,
    packet_blocks,
)

_CHUNK = 1 << 16
_COPY = 1 << 20


class Batch(NamedTuple):
    """Frames as they arrive: many in one bytes object."""

    data: bytes
    records: list[tuple[int, int, int, int]]
    """A frame each: time in ns since the epoch, offset in data, captured length, length on the wire."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A captured frame, link header included."""

    number: int
    """1-based, in the order of arrival."""
    time: int
    """In ns since the epoch."""
    data: bytes
    length: int
    """On the wire: more than len(data) when the capture was cut."""
    interface: int
    """Index in Store.interfaces."""


@dataclass(frozen=True, slots=True)
class StoredInterface:
    """An interface that frames were captured on; linktype is the number that capture files use."""

    name: str
    linktype: int


class Store:
    """Frames in a pcapng file. One thread appends, any thread reads; a reader sees whole frames only."""

    def __init__(self, path: Path | None = None) -> None:
        """Begin a capture in a file: given (overwritten and kept), or private, temporary, and gone with close().

        Raises CaptureError.
        """
        self.interfaces: list[StoredInterface] = []
        self.taps: list[Callable[[int, int, Batch], None]] = []
        """Called after each append, in the appending thread, with the interface, the first number and the batch."""
        self.saved = 0
        """Frames that the user has saved in another file."""
        self._temporary = path is None
        self._lock = threading.Lock()  # for the writer's position, with _size and _count
        self._reading = threading.Lock()  # for the reader's position: os.pread is not everywhere
        self._index: list[array[int]] = []  # file offsets, in chunks so that growing never copies them all
        self._count = 0
        self._size = 0
        try:
            if path is None:
                descriptor, name = tempfile.mkstemp(".pcapng", "ipl-tui-")
                self.path, self._writer = Path(name), FileIO(descriptor, "wb")
            else:
                _require_plain(path)
                self.path, self._writer = path, FileIO(path, "wb")
            self._reader = FileIO(self.path, "rb")
        except OSError as error:
            where = path or "the folder for temporary files"
            raise CaptureError(f"Cannot write the capture to {where}: {_reason(error)}.") from error
        try:
            self._write(SECTION_HEADER)
        except CaptureError:
            self.close()
            raise

    def add_interface(self, name: str, linktype: int, filter: str = "") -> int:
        """Describe an interface; the number returned is for append(). Raises CaptureError."""
        linktype = file_linktype(linktype)
        with self._lock:
            self._write(interface_block(name, linktype, filter))
            self.interfaces.append(StoredInterface(name, linktype))
            return len(self.interfaces) - 1

    def append(self, interface: int, batch: Batch) -> int:
        """Write a batch; returns the number of its first frame. Raises CaptureError, having kept what still fitted."""
        try:
            return self._append(interface, batch)
        except CaptureError:
            if len(batch.records) < 2:
                raise
        half = len(batch.records) // 2
        first = self.append(interface, Batch(batch.data, batch.records[:half]))
        self.append(interface, Batch(batch.data, batch.records[half:]))
        return first

    def _append(self, interface: int, batch: Batch) -> int:
        """Write a batch, all of it or nothing."""
        blocks, sizes = packet_blocks(interface, batch)
        with self._lock:
            offsets = list(accumulate(sizes, initial=self._size))[:-1]
            self._write(b"".join(blocks))
            first = self._count + 1
            at = 0
            while at < len(offsets):
                if not self._index or len(self._index[-1]) == _CHUNK:
                    self._index.append(array("Q"))
                room = _CHUNK - len(self._index[-1])
                self._index[-1].extend(offsets[at : at + room])
                at += room
            self._count += len(batch.records)
        for tap in self.taps:
            tap(interface, first, batch)
        return first

    def __len__(self) -> int:
        return self._count

    def frame(self, number: int) -> Frame:
        """Read a frame back. Raises IndexError for a number that is not there, CaptureError if its bytes are gone."""
        start = self._offset(number)
        block = self._read(start, 2048)  # nearly always the whole frame in one read
        try:
            _, size, interface, high, low, captured, length = PACKET_HEADER.unpack_from(block)
            if len(block) < captured + PACKET_HEADER.size:
                block = self._read(start, captured + PACKET_HEADER.size)
            data = block[PACKET_HEADER.size : PACKET_HEADER.size + captured]
            if len(data) < captured or size != captured + PACKET_OVERHEAD + 3 & -4:
                raise struct.error
        except struct.error:
            raise CaptureError(
                f"Packet {number:,} can't be read: {self.path} was changed by another program."
            ) from None
        return Frame(number, high << 32 | low, data, length, interface)

    def time(self, number: int) -> int:
        """When a frame was captured, in ns since the epoch. Raises as frame()."""
        return self.frame(number).time

    def save(self, path: Path, count: int | None = None) -> None:
        """Copy the first `count` frames (None: all of them so far) to a file; ".pcap" makes it a classic pcap.

        An existing file is replaced at the end, at once, or not at all. Raises CaptureError.
        """
        if "\0" in str(path):
            raise CaptureError("A file name has no NUL character in it.")
        path = Path(os.path.realpath(path))
        if path == Path(os.path.realpath(self.path)):
            raise CaptureError(f"The capture is being written to {path} already.")
        with self._lock:
            count = self._count if count is None else min(count, self._count)
            stop = self._offset(count + 1) if count < self._count else self._size
        pieces = self._classic(stop) if path.suffix.lower() == ".pcap" else self._bytes(stop)
        beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
        try:
            _require_plain(path)
            try:
                with open(beside, "xb") as file:
                    for piece in pieces:
                        file.write(piece)
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise CaptureError(f"Cannot save to {path}: {_reason(error)}.") from error

    def keep(self) -> Path | None:
        """Let a temporary file stay when it is closed, unless it has no packets or all are saved elsewhere; where it
        is then, else None."""
        if not self._temporary or self._count <= self.saved:
            return None
        self._temporary = False
        return self.path

    def close(self) -> None:
        """Close the file; a temporary one is removed. What is called afterwards raises CaptureError."""
        with self._lock, self._reading:
            self._writer.close()
            self._reader.close()
            if self._temporary:
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _write(self, blocks: bytes) -> None:
        """Write whole blocks at the end of the file, or nothing."""
        rest = memoryview(blocks)
        try:
            while rest:
                rest = rest[self._writer.write(rest) :]
        except ValueError:
            raise CaptureError("The capture is closed.") from None
        except OSError as error:
            with suppress(OSError):  # the position is back in any case: what is written next covers the torn block
                self._writer.seek(self._size)
                self._writer.truncate()
            kept = "the 1 packet before that is kept"
            if self._count != 1:
                kept = f"the {self._count:,} packets before that are kept"
            raise CaptureError(f"Cannot write to {self.path}: {_reason(error)}; {kept}.") from error
        self._size += len(blocks)

    def _read(self, start: int, size: int) -> bytes:
        """Up to `size` bytes of the file."""
        try:
            with self._reading:
                self._reader.seek(start)
                return self._reader.read(size)
        except ValueError:
            raise CaptureError("The capture is closed.") from None
        except OSError as error:
            raise CaptureError(f"Cannot read {self.path}: {_reason(error)}.") from error

    def _offset(self, number: int) -> int:
        if not 1 <= number <= self._count:
            raise IndexError(f"no packet {number} among {self._count}")
        chunk, entry = divmod(number - 1, _CHUNK)
        return self._index[chunk][entry]

    def _bytes(self, stop: int) -> Iterator[bytes]:
        """The file up to an offset, in pieces."""
        start = 0
        while start < stop:
            piece = self._read(start, min(_COPY, stop - start))
            if not piece:
                raise CaptureError(f"{self.path} was cut short by another program.")
            start += len(piece)
            yield piece

    def _packets(self, stop: int) -> Iterator[tuple[int, int, int, bytes]]:
        """Each packet up to a file offset: interface, time, length on the wire, bytes."""
        rest = b""
        for piece in self._bytes(stop):
            blocks = rest + piece
            at = 0
            while len(blocks) - at >= 12:
                kind, size = struct.unpack_from("<II", blocks, at)
                if size < 12:
                    raise CaptureError(f"{self.path} was changed by another program.")
                if at + size > len(blocks):
                    break
                if kind == ENHANCED_PACKET:
                    _, _, interface, high, low, captured, length = PACKET_HEADER.unpack_from(blocks, at)
                    data = blocks[at + PACKET_HEADER.size : at + PACKET_HEADER.size + captured]
                    yield interface, high << 32 | low, length, data
                at += size
            rest = blocks[at:]

    def _classic(self, stop: int) -> Iterator[bytes]:
        """The packets up to a file offset as a classic pcap file, in pieces."""
        interfaces: set[int] = set()
        nanoseconds = False
        for interface, time, _, _ in self._packets(stop):
            interfaces.add(interface)
            nanoseconds = nanoseconds or time % 1000 != 0
        linktypes = {self.interfaces[interface].linktype for interface in interfaces or range(len(self.interfaces))}
        if len(linktypes) > 1:
            raise CaptureError("A .pcap file holds one link type, this capture has several: save it as .pcapng.")
        magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
        yield struct.pack("<IHHiIII", magic, 2, 4, 0, 0, SNAPLEN, *linktypes or {1})
        record = struct.Struct("<4I")
        for _, time, length, data in self._packets(stop):
            second, part = divmod(time, 1_000_000_000)
            yield record.pack(second & 0xFFFFFFFF, part // unit, len(data), length) + data


def _require_plain(path: Path) -> None:
    """Refuse what cannot be read back or must not be replaced: folders, devices, pipes."""
    if path.exists() and not path.is_file():
        raise CaptureError(f"{path} is not a plain file: a capture can't be written there.")


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
