"""One capture on several interfaces: their frames in the order of their times."""

import time
from collections.abc import Sequence
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count, groupby
from operator import attrgetter
from select import select
from typing import NamedTuple

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.sniffer import BATCH, CaptureSocket

SETTLE = 0.002
"""Seconds a frame is kept back, for those of other interfaces that are older and have not been read yet."""


class _Held(NamedTuple):
    """A frame that was read and not yet handed over; they sort by time, then by their order of arrival."""

    time: int
    order: int
    place: int
    frame: bytes
    length: int
    due: float
    """Time of its handing over, seconds of the monotonic clock: the other one may be set back."""


class MergedSocket(CaptureSocket):
    """Captures on all interfaces of several sockets; ends when one of them does."""

    def __init__(self, sockets: Sequence[CaptureSocket]) -> None:
        """Take over sockets; recv_batches() gives their places in this sequence."""
        self._sockets = sockets
        self._held: list[_Held] = []
        self._order = count()
        self._more = False
        """True when a socket gave as much as it gives at once: the next frames are there already."""
        self._end: CaptureError | None = None
        self.linktype = sockets[0].linktype

    def wait(self, timeout: float) -> bool:
        if self._end is not None:
            return True
        if self._held:
            # No use waking up for each frame that arrives meanwhile: they are read together, when the first is due.
            if not self._more:
                time.sleep(min(timeout, max(0.0, self._held[0].due - time.monotonic())))
            return True
        return bool(select(self.descriptors(), [], [], timeout)[0])

    def recv_batch(self) -> Batch:
        """All frames as if they came from one interface."""
        return _pack(self._receive())

    def recv_batches(self) -> list[tuple[int, Batch]]:
        return [(place, _pack(list(run))) for place, run in groupby(self._receive(), attrgetter("place"))]

    def _receive(self) -> list[_Held]:
        """The frames that no older one can come before any more."""
        now = time.monotonic()
        self._more = False
        for place, socket in enumerate(self._sockets):
            try:
                data, records = socket.recv_batch()
            except CaptureError as error:
                self._end = self._end or error
                continue
            self._more = self._more or len(records) >= BATCH
            for moment, start, captured, length in records:
                frame = data[start : start + captured]
                heappush(self._held, _Held(moment, next(self._order), place, frame, length, now + SETTLE))
        # Older than a frame that is due, a frame is due as well, even if it was read after it.
        ripe = max((held.time for held in self._held if held.due <= now or self._end is not None), default=-1)
        released = []
        while self._held and self._held[0].time <= ripe:
            released.append(heappop(self._held))
        if self._end is not None and not released:
            raise self._end
        return released

    def descriptors(self) -> list[int]:
        return [descriptor for socket in self._sockets for descriptor in socket.descriptors()]

    def fileno(self) -> int:
        return self._sockets[0].fileno()

    def dropped(self) -> int:
        return sum(socket.dropped() for socket in self._sockets)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for socket in self._sockets:
                with suppress(OSError):
                    socket.close()


def _pack(frames: list[_Held]) -> Batch:
    records = []
    start = 0
    for held in frames:
        records.append((held.time, start, len(held.frame), held.length))
        start += len(held.frame)
    return Batch(b"".join(held.frame for held in frames), records)
