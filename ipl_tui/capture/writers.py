"""Writers of captured packets: into a store, through a pipe, or on to another thread."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Full, Queue
from threading import Event
from typing import BinaryIO, Protocol

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.formats.pcapng import SECTION_HEADER, Section
from ipl_tui.capture.frames import Batch, StoredInterface, file_linktype

_ROOM = 16
"""The most batches on their way from one thread to another: the kernel's ring is the place for more."""
_POLL = 0.05
"""Seconds between two looks at whether to stop, when there is no room."""


class Writer(Protocol):
    """Takes captured packets. One thread writes."""

    interfaces: list[StoredInterface]

    def add_interface(self, name: str, linktype: int, filter: str = "") -> int:
        """Describe an interface; the number returned is for append(). Raises CaptureError."""

    def append(self, interface: int, batch: Batch) -> int:
        """Take a batch; returns the number of its first frame. Raises CaptureError."""


class LiveWriter(Writer, Protocol):
    """A writer of what a Sniffer captures, on several interfaces at once."""

    def append_all(self, runs: Sequence[tuple[int, Batch]]) -> None:
        """Take batches, each with the number of its interface, in this order. Raises CaptureError."""


class OutputWriter(Writer, Protocol):
    """A writer that a person or a program reads."""

    count: int
    """Packets written so far."""


class StreamWriter:
    """Writes a capture to a pipe, as pcapng, and keeps nothing. What a closed pipe raises is let through."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """`name` is for the sentences about what goes wrong. Raises CaptureError."""
        self.interfaces: list[StoredInterface] = []
        self.count = 0
        self._file = file
        self._name = name
        self._section = Section()
        self._write(SECTION_HEADER)

    def add_interface(self, name: str, linktype: int, filter: str = "") -> int:
        """As Writer."""
        linktype = file_linktype(linktype)
        self._write(self._section.add_interface(name, linktype, filter))
        self.interfaces.append(StoredInterface(name, linktype))
        return len(self.interfaces) - 1

    def append(self, interface: int, batch: Batch) -> int:
        """As Writer."""
        self._write(self._section.packets(interface, batch)[0])
        self.count += len(batch.records)
        return self.count - len(batch.records) + 1

    def _write(self, blocks: bytes) -> None:
        try:
            self._file.write(blocks)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise cannot_write(self._name, error) from error


def cannot_write(name: str, error: OSError) -> CaptureError:
    """The sentence about an output that fails."""
    reason = error.strerror or str(error)
    return CaptureError(f"Cannot write to {name}: {reason[:1].lower()}{reason[1:]}.")


class Relay:
    """Takes a capture in one thread and writes it in another, the one that calls run().

    So whoever waits for a slow terminal or pipe is the main thread, which signals can interrupt. While the output is
    slow there is room for some batches; then who captures waits, and the kernel counts what it drops meanwhile.
    """

    def __init__(self, output: Writer | None, store: Writer | None = None, most: int | None = None) -> None:
        """Packets go to the output in run(), and to the store at once, whatever the output does; `most` of them."""
        self.interfaces: list[StoredInterface] = []
        self.taken = 0
        """Packets taken so far."""
        self.stopping = Event()
        """Set when no more packets are wanted."""
        self._latest = 0
        self._output = output
        self._store = store
        self._most = most
        self._calls: Queue[Callable[[], object] | None] = Queue(_ROOM)
        self._reason: CaptureError | None = None

    def add_interface(self, name: str, linktype: int, filter: str = "") -> int:
        """As Writer; what the output raises comes from run()."""
        if self._store is not None:
            self._store.add_interface(name, linktype, filter)
        if self._output is not None:
            self._hand_on(partial(self._output.add_interface, name, linktype, filter))
        self.interfaces.append(StoredInterface(name, file_linktype(linktype)))
        return len(self.interfaces) - 1

    def append(self, interface: int, batch: Batch) -> int:
        """As Writer; what the output raises comes from run()."""
        room = None if self._most is None else self._most - self.taken
        records = batch.records[:room]
        if self.stopping.is_set():
            records = [record for record in records if record[0] <= self._latest]
        first = self.taken + 1
        if not records:
            return first
        batch = Batch(batch.data, records)
        if self._store is not None:
            self._store.append(interface, batch)
        if self._output is not None and not self.stopping.is_set():
            self._hand_on(partial(self._output.append, interface, batch))
        self.taken += len(batch.records)
        if self.taken == self._most:
            self.end(None)
        return first

    def append_all(self, runs: Sequence[tuple[int, Batch]]) -> None:
        """As LiveWriter, and as append()."""
        for interface, batch in runs:
            self.append(interface, batch)

    def end(self, reason: CaptureError | None) -> None:
        """Let run() return, or raise the reason, once it has written everything. Only the first end counts."""
        if not self.stopping.is_set():
            self._reason = reason
            self._hand_on(None)
            self.stopping.set()

    def give_up(self, latest: int) -> None:
        """Write nothing more. What was captured until `latest`, in ns since the epoch, and is still on its way, is
        counted and goes into the store."""
        if not self.stopping.is_set():
            self._latest = latest
            self.stopping.set()

    def run(self) -> None:
        """Write what is taken, until its end; raises the reason of the end, and what the output raises."""
        while (call := self._calls.get()) is not None:
            call()
        if self._reason is not None:
            raise self._reason

    def _hand_on(self, call: Callable[[], object] | None) -> None:
        """Wait for room, unless nobody takes it any more."""
        while not self.stopping.is_set():
            with suppress(Full):
                self._calls.put(call, timeout=_POLL)
                return
