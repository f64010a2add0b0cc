"""Captures into a writer, from files and pipes of any format, plain or compressed.

Scapy's RawPcapReader and RawPcapNgReader are not used: they end a file that is cut short like one that is whole, print
warnings on the terminal, cut frames at 65,535 bytes, and mix up the interfaces of files with several sections.
"""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from select import select
from typing import TYPE_CHECKING

from ipl_tui.capture.compression import DAMAGED, unpacked
from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.filters import Filter, FilterError, compile_filter
from ipl_tui.capture.formats.format import MAGIC_SIZE, Reader
from ipl_tui.capture.formats.table import FORMATS, format_of
from ipl_tui.capture.frames import Batch, StoredInterface
from ipl_tui.capture.store import Store
from ipl_tui.capture.writers import Writer
from ipl_tui.packets.text import counted

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 1 << 20
_POLL = 0.05
"""Seconds between two looks at whether to stop, while a pipe has nothing to read."""


@dataclass(frozen=True)
class Pipe:
    """A capture that arrives as it is made; each part is read at once."""

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
    writer: Writer,
    filter: str = "",
    progress: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Append the packets of a file or pipe to a store or another writer, as captured; `filter` keeps only those
    it matches.

    progress is called now and then with the number of packets read so far; setting `stop` ends the reading quietly,
    soon and also while a pipe says nothing. Raises CaptureError and nothing else, for a capture that is cut short or
    damaged after everything before that is in the writer. Nothing comes into the writer before something can be read.
    """
    stop = stop or threading.Event()
    packets = 0
    filters: dict[StoredInterface, Filter] = {}  # by interface of the file
    places: dict[StoredInterface, int] = {}  # the writer's number for it
    reader: Reader | None = None
    rest = b""
    try:
        if isinstance(writer, Store) and os.path.samestat(_status(source), writer.path.stat()):
            raise CaptureError(f"{source} is the capture that is being written: it can't be read into itself.")
        for piece in _pieces(source, stop):
            if stop.is_set():
                return
            rest += piece
            if reader is None:
                if len(rest) < MAGIC_SIZE:
                    continue
                found = format_of(rest[:MAGIC_SIZE])
                if found is None:
                    break
                reader = found.reader(rest[:MAGIC_SIZE])
            runs, used = reader.parse(rest)
            for run in runs:
                if stop.is_set():
                    return
                interface = run.interface
                if interface not in filters:
                    filters[interface] = compile_filter(filter, interface.linktype)
                packets += len(run.records)
                records = run.records
                if filter.strip():
                    wanted = filters[interface]
                    records = [each for each in records if wanted.matches(rest[each[1] : each[1] + each[2]])]
                if records:
                    if interface not in places:
                        places[interface] = writer.add_interface(interface.name, interface.linktype, filter)
                    writer.append(places[interface], Batch(rest, records))
            rest = rest[used:]
            if progress is not None:
                progress(packets)
            if reader.damaged:
                break
        problem = "is damaged" if reader and reader.damaged else "is cut short" if rest else ""
        if reader is not None and not problem and not stop.is_set():
            for unwanted in filters.keys() - places.keys():  # a whole capture, though nothing of it is wanted
                writer.add_interface(unwanted.name, unwanted.linktype, filter)
    except CaptureError:
        raise
    except FilterError as error:
        raise CaptureError(f"The filter does not compile: {error}.") from error
    except EOFError:
        problem = "is cut short"
    except DAMAGED:
        problem = "is damaged"
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error
    except Exception as error:  # whatever it is, what was read before is shown
        raise CaptureError(f"Reading {source} stopped: {type(error).__name__}: {error}.") from error
    if stop.is_set():
        return
    if reader is None:
        raise CaptureError(f"{source} is not a capture file ({' or '.join(each.name for each in FORMATS)}).")
    if problem:
        where = f"after {counted(packets, 'packet')}; those before it are shown"
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
    """The bytes of a capture, unpacked if it is compressed. Raises OSError, and what compression.py says."""
    with _Reader(_Source(source, stop)) as file:
        content = unpacked(file)
        # read1() gives what is there before it fails, where read() would lose it.
        while piece := content.read1(_PIECE):
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
