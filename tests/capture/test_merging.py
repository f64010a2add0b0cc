"""One capture on several interfaces keeps the order of time."""

import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing

import pytest

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.merging import MergedSocket
from ipl_tui.capture.sniffer import CaptureSocket, Sniffer
from ipl_tui.capture.store import Store
from tests.conftest import wait_until


class Tap(CaptureSocket):
    """An interface whose frames the test makes up."""

    linktype = 1

    def __init__(self) -> None:
        self.arrived: deque[tuple[int, bytes]] = deque()
        self.near, self.far = socket.socketpair()
        self.problem: CaptureError | None = None

    def arrive(self, *frames: tuple[int, bytes]) -> None:
        self.arrived.extend(frames)
        self.far.send(b"!")

    def end(self, problem: CaptureError) -> None:
        self.problem = problem
        self.far.send(b"!")

    def fileno(self) -> int:
        return self.near.fileno()

    def wait(self, timeout: float) -> bool:
        return bool(self.arrived)

    def recv_batch(self) -> Batch:
        if self.problem is not None and not self.arrived:
            raise self.problem
        data, records = b"", []
        while self.arrived:
            moment, frame = self.arrived.popleft()
            records.append((moment, len(data), len(frame), len(frame) + 100))
            data += frame
        return Batch(data, records)

    def dropped(self) -> int:
        return 3

    def close(self) -> None:
        self.closed = True
        self.near.close()
        self.far.close()


@pytest.fixture
def taps() -> Iterator[tuple[Tap, Tap]]:
    with closing(Tap()) as first, closing(Tap()) as second:
        yield first, second


def receive(merged: MergedSocket, wanted: int) -> list[tuple[int, int, bytes, int]]:
    """Place, time, frame and length on the wire of so many frames."""
    frames: list[tuple[int, int, bytes, int]] = []
    deadline = time.monotonic() + 5
    while len(frames) < wanted and time.monotonic() < deadline:
        if merged.wait(1):
            for place, batch in merged.recv_batches():
                for moment, start, captured, length in batch.records:
                    frames.append((place, moment, batch.data[start : start + captured], length))
    return frames


def test_frames_come_in_the_order_of_their_times(taps: tuple[Tap, Tap]) -> None:
    first, second = taps
    first.arrive((10, b"a"), (30, b"c"), (40, b"d"))
    second.arrive((20, b"b"), (50, b"e"))
    assert receive(MergedSocket(taps), 5) == [
        (0, 10, b"a", 101),
        (1, 20, b"b", 101),
        (0, 30, b"c", 101),
        (0, 40, b"d", 101),
        (1, 50, b"e", 101),
    ]


def test_an_older_frame_that_is_read_a_moment_later_still_comes_first(taps: tuple[Tap, Tap]) -> None:
    first, second = taps
    merged = MergedSocket(taps)
    second.arrive((20, b"b"))
    held = merged.recv_batches()
    first.arrive((10, b"a"))
    assert [frame for _, _, frame, _ in receive(merged, 2)] == [b"a", b"b"]
    assert held == []


def test_as_one_batch(taps: tuple[Tap, Tap]) -> None:
    first, second = taps
    merged = MergedSocket(taps)
    second.arrive((2, b"second"))
    first.arrive((1, b"first"))
    while not (batch := merged.recv_batch()).records:
        assert merged.wait(1)
    assert batch == (b"firstsecond", [(1, 0, 5, 105), (2, 5, 6, 106)])


def test_when_one_ends_all_end_and_nothing_read_is_lost(taps: tuple[Tap, Tap]) -> None:
    first, second = taps
    merged = MergedSocket(taps)
    second.arrive((20, b"last words"))
    first.end(CaptureError("It went away."))
    assert [frame for _, _, frame, _ in receive(merged, 1)] == [b"last words"]
    assert merged.wait(0)
    with pytest.raises(CaptureError, match=r"It went away\."):
        merged.recv_batches()


def test_it_counts_and_closes_for_all(taps: tuple[Tap, Tap]) -> None:
    merged = MergedSocket(taps)
    assert merged.dropped() == 6
    assert merged.descriptors() == [taps[0].fileno(), taps[1].fileno()]
    merged.close()
    merged.close()
    assert taps[0].closed and taps[1].closed


def test_a_sniffer_stores_each_frame_under_its_interface(taps: tuple[Tap, Tap]) -> None:
    first, second = taps
    with Store() as store:
        numbers = [store.add_interface(name, 1) for name in ("unused", "c0", "r0")][1:]
        sniffer = Sniffer(MergedSocket(taps), store, numbers, lambda: None, lambda _: None)
        first.arrive((1, b"a"), (4, b"d"))
        second.arrive((2, b"b"), (3, b"c"))
        sniffer.start()  # now: a frame is kept back for 2 ms only, and the machine may be busy for longer
        wait_until(lambda: len(store) == 4)
        sniffer.stop()
        assert [(store.frame(n).interface, store.frame(n).data) for n in range(1, 5)] == [
            (1, b"a"),
            (2, b"b"),
            (2, b"c"),
            (1, b"d"),
        ]
