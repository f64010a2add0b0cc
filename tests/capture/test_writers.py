"""Where packets go besides the store: through a pipe, and from one thread to another."""

from __future__ import annotations

import errno
import threading
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.files import read_capture
from ipl_tui.capture.frames import Batch, StoredInterface
from ipl_tui.capture.store import Store
from ipl_tui.capture.writers import Relay, StreamWriter
from tests.capture.test_store import Packet, any_packet, batch, packets
from tests.conftest import wait_until

ONE: Packet = (1_000, b"one", 3)


class Slow:
    """An output that writes down what it is given, and who gives it, not before it is let."""

    def __init__(self) -> None:
        self.interfaces: list[StoredInterface] = []
        self.let = threading.Event()
        self.numbers: list[int] = []
        self.threads: set[int] = set()
        self.problem: Exception | None = None

    def add_interface(self, name: str, linktype: int, filter: str = "") -> int:
        self.interfaces.append(StoredInterface(name, linktype))
        return len(self.interfaces) - 1

    def append(self, interface: int, batch: Batch) -> int:
        self.let.wait()
        if self.problem is not None:
            raise self.problem
        self.threads.add(threading.get_ident())
        self.numbers += [time for time, _, _, _ in batch.records]
        return 1


def numbered(first: int, count: int) -> Batch:
    return batch(*((number, b"x", 1) for number in range(first, first + count)))


@given(st.lists(st.lists(any_packet, max_size=5), max_size=5))
def test_what_goes_through_a_stream_is_a_capture_file(batches: list[list[Packet]]) -> None:
    pipe = BytesIO()
    stream = StreamWriter(pipe, "the pipe")
    with TemporaryDirectory() as folder, Store() as store:
        for number, each in enumerate(batches):
            assert stream.add_interface(f"eth{number}", 12, "ip") == number
            assert stream.append(number, batch(*each)) == stream.count - len(each) + 1
        path = Path(folder, "x")
        path.write_bytes(pipe.getvalue())
        read_capture(path, store)
        assert packets(store) == [packet for each in batches for packet in each]
        assert store.interfaces == [StoredInterface(f"eth{number}", 101) for number, each in enumerate(batches) if each]


def test_a_stream_that_finds_no_room_says_so() -> None:
    class Full(BytesIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CaptureError, match=r"^Cannot write to the pipe: no space left on device\.$"):
        StreamWriter(Full(), "the pipe")


def test_the_thread_that_runs_writes_in_order_and_until_the_end() -> None:
    output = Slow()
    output.let.set()
    relay = Relay(output)

    def capture() -> None:
        place = relay.add_interface("eth0", 12)
        for first in range(0, 100, 5):
            assert relay.append(place, numbered(first, 5)) == first + 1
        relay.end(None)

    capturing = threading.Thread(target=capture)
    capturing.start()
    relay.run()
    capturing.join()
    assert output.numbers == list(range(100))
    assert output.threads == {threading.get_ident()}
    assert (relay.taken, relay.interfaces) == (100, [StoredInterface("eth0", 101)])


def test_no_more_packets_are_taken_than_asked_for() -> None:
    output = Slow()
    output.let.set()
    with Store() as store:
        relay = Relay(output, store, most=7)
        place = relay.add_interface("eth0", 1)
        for first in (0, 5, 10):
            relay.append(place, numbered(first, 5))
        assert relay.stopping.is_set()
        relay.end(CaptureError("that comes too late"))
        relay.run()
        assert output.numbers == list(range(7))
        assert relay.taken == len(store) == 7


def test_the_reason_of_the_end_comes_after_all_packets() -> None:
    output = Slow()
    output.let.set()
    relay = Relay(output)
    relay.append(relay.add_interface("eth0", 1), batch(ONE))
    relay.end(CaptureError("eth0 went down."))
    with pytest.raises(CaptureError, match="went down"):
        relay.run()
    assert output.numbers == [1_000]


def test_whoever_captures_waits_for_a_slow_output_but_not_for_one_that_is_given_up() -> None:
    with Store() as store:
        relay = Relay(Slow(), store)
        place = relay.add_interface("eth0", 1)

        def capture() -> None:
            while not relay.stopping.is_set():
                relay.append(place, batch(ONE))

        capturing = threading.Thread(target=capture)
        capturing.start()
        wait_until(lambda: len(store) >= 16)  # the last is in the store, and finds no room on its way to the output
        relay.stopping.set()
        capturing.join(5)
        assert not capturing.is_alive()
        assert len(store) == 16


def test_what_was_captured_before_it_was_given_up_is_counted_and_kept() -> None:
    output = Slow()
    with Store() as store:
        relay = Relay(output, store)
        place = relay.add_interface("eth0", 1)
        relay.append(place, numbered(0, 5))
        relay.give_up(7)
        relay.append(place, numbered(5, 5))
        assert [time for time, _, _ in packets(store)] == list(range(8))
        assert relay.taken == 8


def test_after_the_end_nothing_is_counted() -> None:
    relay = Relay(None, most=1)
    place = relay.add_interface("eth0", 1)
    relay.append(place, numbered(0, 1))
    relay.give_up(7)
    relay.append(place, numbered(0, 1))
    assert relay.taken == 1


def test_what_the_output_raises_is_raised_where_it_is_run() -> None:
    output = Slow()
    output.let.set()
    output.problem = BrokenPipeError()
    relay = Relay(output)
    relay.append(relay.add_interface("eth0", 1), batch(ONE))
    with pytest.raises(BrokenPipeError):
        relay.run()


def test_a_store_that_is_full_is_the_end() -> None:
    with Store() as store:
        relay = Relay(None, store)
        place = relay.add_interface("eth0", 1)
        store.close()
        with pytest.raises(CaptureError, match="closed"):
            relay.append(place, batch(ONE))
    assert relay.taken == 0
