"""Sockets over queues in this program, as select(), a Sniffer and Scapy's AsyncSniffer use them."""

import errno
import threading
import time
from collections.abc import Iterator
from itertools import count
from select import select

import pytest
from scapy.layers.inet import IP
from scapy.packet import Packet
from scapy.sendrecv import AsyncSniffer

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.filters import pcapy
from ipl_tui.capture.sniffer import BATCH
from ipl_tui.networks.simulated.queue_socket import OVERHEAD, ProtocolSocket, QueueSocket

PACKET = bytes(IP(src="10.0.1.10", dst="10.0.2.20", proto=253) / b"ClientMessage")
FRAME = bytes(12) + b"\x08\x00" + PACKET


@pytest.fixture
def closed() -> list[object]:
    """The sockets that have said that they were closed."""
    return []


@pytest.fixture
def capture(closed: list[object]) -> Iterator[QueueSocket]:
    with QueueSocket("c0", 1, "", closed.append) as capture:
        yield capture


@pytest.fixture
def protocol(closed: list[object]) -> Iterator[ProtocolSocket]:
    with ProtocolSocket(False, closed.append) as protocol:
        yield protocol


def test_a_batch_has_the_frames_and_their_times(capture: QueueSocket) -> None:
    capture.offer(1_000_000_001, b"first")
    capture.offer(1_000_000_002, b"second one")
    data, records = capture.recv_batch()
    assert [(time, data[start : start + kept], length) for time, start, kept, length in records] == [
        (1_000_000_001, b"first", 5),
        (1_000_000_002, b"second one", 10),
    ]
    assert capture.recv_batch() == (b"", [])


def test_a_batch_is_not_too_large(capture: QueueSocket) -> None:
    for number in range(BATCH + 1):
        capture.offer(number, FRAME)
    assert [len(capture.recv_batch().records) for _ in range(3)] == [BATCH, 1, 0]


def test_select_finds_it_readable_as_long_as_something_is_in_it(capture: QueueSocket) -> None:
    for _ in range(2):
        assert select([capture], [], [], 0)[0] == []
        assert not capture.wait(0)
        capture.offer(1, FRAME)
        capture.offer(2, FRAME)
        assert select([capture], [], [], 5)[0] == [capture]
        assert capture.wait(0)
        assert len(capture.recv_batch().records) == 2


def test_waiting_ends_when_a_frame_comes(capture: QueueSocket) -> None:
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(capture.wait(30)))
    waiting.start()
    capture.offer(1, FRAME)
    waiting.join(5)
    assert found == [True]


@pytest.mark.skipif(pcapy is None, reason="filters need libpcap, which pcapy-ng does not bring to this system")
def test_a_filter_keeps_out_what_it_refuses(closed: list[object]) -> None:
    with QueueSocket("c0", 1, "ip proto 253", closed.append) as capture:
        capture.offer(1, bytes(12) + b"\x08\x06")
        capture.offer(2, FRAME)
        capture.offer(3, b"")
        assert capture.recv_batch().data == FRAME
        assert capture.dropped() == 0


def test_a_filter_that_does_not_compile(closed: list[object]) -> None:
    with pytest.raises(CaptureError, match=r"^The capture filter does not compile: .*\.$"):
        QueueSocket("c0", 1, "ip proto", closed.append)
    assert closed == []


def test_what_finds_no_room_is_counted_and_reading_makes_room(closed: list[object]) -> None:
    with QueueSocket("c0", 1, "", closed.append, room=3 * (len(FRAME) + OVERHEAD)) as capture:
        for _ in range(2):
            for number in range(4):
                capture.offer(number, FRAME)
            assert len(capture.recv_batch().records) == 3
    assert capture.dropped() == 2, "also after the end"


def test_closing_ends_a_thread_that_waits(capture: QueueSocket, closed: list[object]) -> None:
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(CaptureError, match=r"^The capture on c0 is closed\.$"):
            while capture.wait(30):
                capture.recv_batch()
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    capture.offer(1, FRAME)
    capture.close()
    capture.close()
    assert ended.wait(5)
    assert closed == [capture]
    capture.offer(2, FRAME)
    with pytest.raises(CaptureError):
        capture.recv_batch()


def test_closing_while_frames_are_offered() -> None:
    def offer(capture: QueueSocket, started: threading.Event, stop: threading.Event) -> None:
        for number in count():
            capture.offer(number, FRAME)
            started.set()
            if stop.is_set():
                finished.append(capture)
                return

    finished: list[QueueSocket] = []
    for _ in range(50):
        capture = QueueSocket("c0", 1, "", lambda _: None)
        started, stop = threading.Event(), threading.Event()
        thread = threading.Thread(target=offer, args=(capture, started, stop))
        thread.start()
        assert started.wait(5)
        capture.close()
        stop.set()
        thread.join(5)
    assert len(finished) == 50, "no thread ended by an exception"


def test_a_protocol_socket_gives_scapy_packets(protocol: ProtocolSocket) -> None:
    assert protocol.recv() is None
    protocol.offer(1_700_000_000_500_000_000, PACKET)
    packet = protocol.recv()
    assert isinstance(packet, IP)
    assert (bytes(packet), float(packet.time)) == (PACKET, 1_700_000_000.5)
    assert protocol.recv() is None


def test_a_discarding_one_gets_nothing(closed: list[object]) -> None:
    with ProtocolSocket(True, closed.append) as protocol:
        protocol.offer(1, PACKET)
        assert protocol.select([protocol], 0) == []
        assert protocol.recv() is None


def test_a_closed_one_is_ready_to_say_so(protocol: ProtocolSocket, closed: list[object]) -> None:
    protocol.close()
    protocol.close()
    assert protocol.select([protocol], 30) == [protocol]
    with pytest.raises(OSError, match="the socket was closed") as problem:
        protocol.recv()
    assert problem.value.errno == errno.EBADF
    assert closed == [protocol]


def test_async_sniffer_listens_and_stops(protocol: ProtocolSocket) -> None:
    heard: list[Packet] = []
    ready, got = threading.Event(), threading.Event()

    def keep(packet: Packet) -> None:
        heard.append(packet)
        got.set()

    sniffer = AsyncSniffer(opened_socket=protocol, store=False, prn=keep, started_callback=ready.set)
    sniffer.start()
    assert ready.wait(5)
    protocol.offer(1, PACKET)
    assert got.wait(5)
    begun = time.monotonic()
    sniffer.stop()
    assert time.monotonic() - begun < 1
    assert [bytes(packet) for packet in heard] == [PACKET]
    assert not protocol.closed
