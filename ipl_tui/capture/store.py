"""The capture: one pcapng file that grows, and an index of where each frame is in it."""

import os
import secrets
import struct
import tempfile
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from ipl_tui.capture.compression import is_compressed, packed
from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.formats.format import Record, SavedPackets
from ipl_tui.capture.formats.pcapng import SECTION_HEADER, Section
from ipl_tui.capture.formats.table import format_for
from ipl_tui.capture.frames import NO_TIME, Batch, Frame, StoredInterface, file_linktype
from ipl_tui.capture.lru_cache import LruCache
from ipl_tui.packets.text import counted

_CHUNK = 1 << 16
_COPY = 1 << 20
_RECENT = 8 << 20  # bytes of the frames that were read last: more than a screen full of the longest IPv4 packets
_OVERHEAD = 256  # about the bytes that a frame takes besides its own


class Store:
    """Frames in a pcapng file. One thread appends, any thread reads; a reader sees whole frames only."""

    def __init__(self, path: Path | None = None) -> None:
        """Begin a capture in a file: given (kept; overwritten when it begins), or private, temporary, and gone with
        close().

        Raises CaptureError.
        """
        self.interfaces: list[StoredInterface] = []
        self.taps: list[Callable[[int, int, Batch], None]] = []
        """Called after each append, in the appending thread, with the interface, the first number and the batch."""
        self.saved = 0
        """Frames that the user has saved in another file."""
        self.tap_problem = ""
        """First problem that a tap raised, one sentence; empty without one. The packets are here all the same."""
        self.began: int | None = None
        """The time of the first frame that has one, in ns since the epoch; None before."""
        self.begun = False
        """True once it is in its file. Before its first interface, a given file is as it was."""
        self.before = 0
        """Frames that it had before it was last cleared."""
        self._temporary = path is None
        self._lock = threading.Lock()  # for the writer's position, with _size and _count
        self._reading = threading.Lock()  # for the reader's position: os.pread is not everywhere
        self._index: list[array[int]] = []  # file offsets, in chunks so that growing never copies them all
        self._recent: LruCache[Frame] = LruCache(_RECENT)  # whoever asks for a frame, it is read once
        self._count = 0
        self._size = 0
        self._start = 0  # where in the file its section begins; before that is what was there when it was cleared
        self._in_section = False  # whether the section's header is written
        self._section = Section()
        self._made = False  # whether the given file was not there before
        try:
            if path is None:
                descriptor, name = tempfile.mkstemp(".pcapng", "ipl-tui-")
                self.path, self._writer = Path(name), FileIO(descriptor, "wb")
            else:
                _require_plain(path)
                if is_compressed(path):
                    raise CaptureError(f"A capture can't be compressed while it grows: leave out the .gz of {path}.")
                self._made = not path.exists()
                self.path, self._writer = path, FileIO(path, "xb" if self._made else "r+b")
            self._reader = FileIO(self.path, "rb")
        except OSError as error:
            where = path or "the folder for temporary files"
            raise CaptureError(f"Cannot write the capture to {where}: {_reason(error)}.") from error
        if path is None:
            try:
                self.begin()
            except CaptureError:
                self.close()
                raise

    def begin(self) -> None:
        """Replace what is in the file by a capture without packets, unless it is begun. Raises CaptureError.

        It comes by itself with the first interface, when nothing else can go wrong; whoever wants a file without any
        interface calls it.
        """
        with self._lock:
            self._begin()

    def _begin(self) -> None:
        if self._in_section:
            return
        try:
            self._writer.truncate(self._start)
        except ValueError:
            raise CaptureError("The capture is closed.") from None
        except OSError as error:
            raise CaptureError(f"Cannot write the capture to {self.path}: {_reason(error)}.") from error
        self._write(SECTION_HEADER)
        self.begun = self._in_section = True

    def clear(self) -> None:
        """Have no frames and no interfaces any more, and number from 1 again. Nobody may append meanwhile.

        What was in a temporary file is gone; in a given one it stays, and another section of pcapng follows it. Raises
        CaptureError, and has all its frames then.
        """
        with self._lock, self._reading:
            start = self._size if self._count and not self._temporary else self._start
            if self.begun:  # else a given file is as it was
                try:
                    self._writer.seek(start)
                    self._writer.truncate()
                except ValueError:
                    raise CaptureError("The capture is closed.") from None
                except OSError as error:
                    raise CaptureError(f"Cannot clear {self.path}: {_reason(error)}.") from error
            self.before += self._count
            self._count = self.saved = 0
            self._size = self._start = start
            self._in_section = False
            self._index, self._section = [], Section()
            self._recent.clear()
            self.interfaces.clear()
            self.began, self.tap_problem = None, ""

    def add_interface(self, name: str, linktype: int, filter: str = "") -> int:
        """Describe an interface; the number returned is for append(). Raises CaptureError."""
        linktype = file_linktype(linktype)
        with self._lock:
            self._begin()
            state = self._section.state()
            self._write(self._section.add_interface(name, linktype, filter), state)
            self.interfaces.append(StoredInterface(name, linktype))
            return len(self.interfaces) - 1

    def append(self, interface: int, batch: Batch) -> int:
        """Write a batch; returns the number of its first frame. Raises CaptureError, having kept what still fitted."""
        try:
            return self._append([(interface, batch)])
        except CaptureError:
            if len(batch.records) < 2:
                raise
        half = len(batch.records) // 2
        first = self.append(interface, Batch(batch.data, batch.records[:half]))
        self.append(interface, Batch(batch.data, batch.records[half:]))
        return first

    def append_all(self, runs: Sequence[tuple[int, Batch]]) -> None:
        """Write batches of several interfaces, in this order. Raises as append()."""
        try:
            self._append(runs)
        except CaptureError:
            for interface, batch in runs:
                self.append(interface, batch)

    def _append(self, runs: Sequence[tuple[int, Batch]]) -> int:
        """Write batches at once, all of them or nothing: each writing makes the other threads wait for this one."""
        state = self._section.state()
        made = [self._section.packets(interface, batch) for interface, batch in runs]
        with self._lock:
            at = self._size
            self._write(b"".join(blocks for blocks, _ in made), state)
            first = self._count + 1
            for blocks, starts in made:
                self._note_offsets([at + start for start in starts])
                at += len(blocks)
        number = first
        for interface, batch in runs:
            if self.began is None:
                self.began = next((record[0] for record in batch.records if record[0] != NO_TIME), None)
            for tap in self.taps:
                try:
                    tap(interface, number, batch)
                except Exception as error:  # what is made of the packets must not end their capture
                    self.stumble(number, error)
            number += len(batch.records)
        return first

    def _note_offsets(self, offsets: list[int]) -> None:
        """Put frames into the index, by the offsets of their blocks."""
        at = 0
        while at < len(offsets):
            if not self._index or len(self._index[-1]) == _CHUNK:
                self._index.append(array("Q"))
            room = _CHUNK - len(self._index[-1])
            self._index[-1].extend(offsets[at : at + room])
            at += room
        self._count += len(offsets)

    def stumble(self, first: int, error: Exception) -> None:
        """A tap raised this near a frame: keep what it says, if it is the first time."""
        self.tap_problem = self.tap_problem or (
            f"Joining stumbled near packet {first:,} ({type(error).__name__}: {error}): answers and hops may "
            "be missing there, the packets are not."
        )

    def __len__(self) -> int:
        return self._count

    def frame(self, number: int) -> Frame:
        """A frame, from memory if it was read of late. Raises IndexError for a number that is not there, and
        CaptureError if its bytes are gone."""
        if (known := self._recent.get(number)) is not None:
            return known
        at = self._offset(number)
        block = self._read(at, 2048)  # nearly always the whole frame in one read
        try:
            interface, time, start, captured, length = self._section.read(block)
            if len(block) < start + captured:
                block = self._read(at, start + captured)
            data = block[start : start + captured]
            if len(data) < captured:
                raise ValueError("it ends before the frame does")
        except (struct.error, IndexError, ValueError):
            raise CaptureError(
                f"Packet {number:,} can't be read: {self.path} was changed by another program."
            ) from None
        frame = Frame(number, time, data, length, interface)
        self._recent.put(number, frame, len(data) + _OVERHEAD)
        return frame

    def batches(
        self, first: int, stop: int, having: tuple[bytes, ...] = ()
    ) -> tuple[list[tuple[int, int, Batch]], int]:
        """Read back frames from one on, as many before another as are in about a megabyte, one at least: for each run
        of one interface its number, that of its first frame, and the frames; and the number of the frame after them.

        No runs, if some bytes are wanted and none of these is in what was read. Raises as frame().
        """
        begin = self._offset(first)
        chunk, entry = divmod(first - 1, _CHUNK)
        index, last = self._index[chunk], min(entry + stop - first, _CHUNK)
        offsets = index[entry : max(entry + 1, bisect_right(index, begin + _COPY, entry, min(last, len(index))))]
        after = first + len(offsets)
        with self._lock:
            end = self._offset(after) if after <= self._count else self._size
        data = self._read(begin, end - begin)
        if having and not any(each in data for each in having):
            return [], after
        found: list[tuple[int, int, Batch]] = []
        try:
            for number, offset in enumerate(offsets, first):
                at = offset - begin
                interface, time, start, captured, length = self._section.read(data, at)
                if at + start + captured > len(data):
                    raise ValueError("it ends before the frame does")
                if not found or found[-1][0] != interface:
                    found.append((interface, number, Batch(data, [])))
                found[-1][2].records.append((time, at + start, captured, length))
        except (struct.error, IndexError, ValueError):
            raise CaptureError(
                f"Packets from {first:,} on can't be read: {self.path} was changed by another program."
            ) from None
        return found, after

    def time(self, number: int) -> int:
        """Time of a frame's capture, ns since the epoch, or NO_TIME. Raises as frame()."""
        return self.frame(number).time

    def save(self, path: Path, count: int | None = None) -> int:
        """Copy the first `count` frames (None: all of them so far) to a file, and tell how many it has.

        The name's ending tells the format, ".gz" after that or another ending compresses it. An existing file is
        replaced at the end, at once, or not at all. Raises CaptureError.
        """
        if "\0" in str(path):
            raise CaptureError("A file name has no NUL character in it.")
        path = Path(os.path.realpath(path))
        if path == Path(os.path.realpath(self.path)):
            raise CaptureError(f"The capture is being written to {path} already.")
        with self._lock:
            count = self._count if count is None else min(count, self._count)
            stop = self._offset(count + 1) if count < self._count else self._size
        compressed = is_compressed(path)
        target = format_for(path.with_suffix("") if compressed else path)
        kept = SavedPackets(self.interfaces, partial(self._bytes, stop), partial(self._records, stop))
        # Not made of the name: that may be as long as a name can be already.
        beside = path.with_name(f".ipl-tui-{secrets.token_hex(8)}")
        try:
            _require_plain(path)
            try:
                with open(beside, "xb") as plain, packed(plain) if compressed else nullcontext(plain) as file:
                    for piece in target.write(kept):
                        file.write(piece)
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise CaptureError(f"Cannot save to {path}: {_reason(error)}.") from error
        return count

    @property
    def unsaved(self) -> int:
        """Number of frames that go with close(): those of a temporary file that are saved nowhere else."""
        return max(0, self._count - self.saved) if self._temporary else 0

    def keep(self) -> Path | None:
        """Let a temporary file stay when it is closed, unless it has no packets or all are saved elsewhere; where it
        is then, else None."""
        if not self.unsaved:
            return None
        self._temporary = False
        return self.path

    def close(self) -> None:
        """Close the file; a temporary one is removed, and one that nothing began in. What is called afterwards raises
        CaptureError."""
        with self._lock, self._reading:
            self._writer.close()
            self._reader.close()
            self._recent.clear()
            if self._temporary or (self._made and not self.begun):
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _write(self, blocks: bytes, state: tuple[int, int] | None = None) -> None:
        """Write whole blocks at the end of the file, or nothing; state is the section's before they were made."""
        rest = memoryview(blocks)
        try:
            while rest:
                rest = rest[self._writer.write(rest) :]
        except ValueError:
            raise CaptureError("The capture is closed.") from None
        except OSError as error:
            if state is not None:
                self._section.forget(state)
            with suppress(OSError):  # the position is back in any case: what is written next covers the torn block
                self._writer.seek(self._size)
                self._writer.truncate()
            kept = f"the {counted(self._count, 'packet')} before that {'is' if self._count == 1 else 'are'} kept"
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
        """Its section of the file up to an offset, in pieces. One that is not begun has no packets."""
        start = self._start
        if stop == start:
            yield SECTION_HEADER
        while start < stop:
            piece = self._read(start, min(_COPY, stop - start))
            if not piece:
                raise CaptureError(f"{self.path} was cut short by another program.")
            start += len(piece)
            yield piece

    def _records(self, stop: int) -> Iterator[tuple[Record, bytes]]:
        """Each packet up to a file offset: what is known of it, and its bytes."""
        try:
            yield from self._section.walk(self._bytes(stop))
        except (struct.error, IndexError, ValueError):
            raise CaptureError(f"{self.path} was changed by another program.") from None


def _require_plain(path: Path) -> None:
    """Refuse what cannot be read back or must not be replaced: folders, devices, pipes."""
    if path.exists() and not path.is_file():
        raise CaptureError(f"{path} is not a plain file: a capture can't be written there.")


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
