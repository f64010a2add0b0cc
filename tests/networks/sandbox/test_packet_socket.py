"""A capture on a packet socket that somebody else has opened: what it sees, what it keeps, how it ends."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Batch
from ipl_tui.networks.sandbox.packet_socket import PacketSocket
from tests.conftest import Host, Pair, inside, run_ip, wait_until

ENDED = "It has ended."
EXPERIMENT = b"\x88\xb5"  # an EtherType for local experiments (IEEE 802), which no kernel answers


class Lab:
    """Both ends of a cable: capturing on the client's, and sending frames from either."""

    def __init__(self, veth: Pair) -> None:
        self.veth = veth
        self.life, self.death = os.pipe()
        self.client = self._link(veth.client)
        self.server = self._link(veth.server)

    def _link(self, host: Host) -> socket.socket:
        with inside(host.namespace):
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        link.bind((host.interface, 0))
        return link

    def capture(self, filter: str = "", name: str = "c0") -> PacketSocket:
        with inside(self.veth.client.namespace):
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        return PacketSocket(opened, name, filter, self.life, ENDED)

    def close(self) -> None:
        self.client.close()
        self.server.close()
        os.close(self.life)
        os.close(self.death)


@pytest.fixture
def lab(veth: Pair) -> Iterator[Lab]:
    with closing(Lab(veth)) as lab:
        yield lab


def frame(payload: bytes, ethertype: bytes = EXPERIMENT) -> bytes:
    return b"\xff" * 6 + b"\x02\0\0\0\0\x01" + ethertype + payload


def frames(batch: Batch) -> list[bytes]:
    return [batch.data[start : start + captured] for _, start, captured, _ in batch.records]


def read(capture: PacketSocket, count: int) -> list[bytes]:
    read: list[bytes] = []
    while len(read) < count:
        assert capture.wait(5), "nothing was captured"
        read += frames(capture.recv_batch())
    return read


def test_both_directions_in_their_order_with_the_time_in_nanoseconds(lab: Lab) -> None:
    with lab.capture() as capture:
        before = time.time_ns()
        lab.client.send(frame(b"out"))
        lab.server.send(frame(b"in"))
        assert capture.wait(5)
        batch = capture.recv_batch()
        after = time.time_ns()
    assert frames(batch) == [frame(b"out"), frame(b"in")]
    first, second = (moment for moment, *_ in batch.records)
    assert before <= first < second <= after


def test_nothing_arrives_before_the_filter_is_there(lab: Lab) -> None:
    with inside(lab.veth.client.namespace):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    lab.client.send(frame(b"too early"))
    with PacketSocket(opened, "c0", "ether proto 0x88b6", lab.life, ENDED) as capture:
        lab.client.send(frame(b"not wanted"))
        lab.client.send(frame(b"wanted", b"\x88\xb6"))
        assert read(capture, 1) == [frame(b"wanted", b"\x88\xb6")]


def test_a_burst_that_goes_round_the_ring_many_times(lab: Lab) -> None:
    sent = [frame(number.to_bytes(4)) for number in range(20_000)]
    captured: list[bytes] = []
    with lab.capture() as capture:
        for at in range(0, len(sent), 4000):  # as many as the ring holds before anybody reads
            for each in sent[at : at + 4000]:
                lab.client.send(each)
            captured += read(capture, 4000)
        assert capture.dropped() == 0
    assert captured == sent


def test_what_finds_no_room_is_counted(lab: Lab) -> None:
    with lab.capture() as capture:
        for number in range(5000):
            lab.client.send(frame(number.to_bytes(4)))
        kept = 0
        while batch := capture.recv_batch().records:
            kept += len(batch)
        assert (kept, capture.dropped()) == (4096, 904)
        lab.client.send(frame(b"after the flood"))
        assert read(capture, 1) == [frame(b"after the flood")]
    assert capture.dropped() == 904, "also after it is closed"


@pytest.mark.parametrize("size", [1982, 1983, 9000, 65_549])
def test_long_frames_are_whole(lab: Lab, size: int) -> None:
    for host in (lab.veth.client, lab.veth.server):
        run_ip("-n", host.namespace, "link", "set", host.interface, "mtu", "65535")
    long = frame(bytes(range(256)) * 257)[:size]
    with lab.capture() as capture:
        for each in (frame(b"before"), long, frame(b"between"), long, frame(b"after")):
            lab.server.send(each)
        assert read(capture, 5) == [frame(b"before"), long, frame(b"between"), long, frame(b"after")]


def test_the_length_on_the_wire_is_told_where_the_frame_was_cut(lab: Lab) -> None:
    for host in (lab.veth.client, lab.veth.server):
        run_ip("-n", host.namespace, "link", "set", host.interface, "mtu", "65535")
    long = frame(bytes(60_000))
    room = 2 * int(Path("/proc/sys/net/core/rmem_max").read_text())  # the kernel doubles what is asked for
    with lab.capture() as capture:
        for _ in range(min(room, 16 << 20) // len(long) + 2):
            lab.client.send(long)
        records = capture.recv_batch().records
    assert {length for *_, length in records} == {len(long)}
    assert {captured for _, _, captured, _ in records} == {len(long), 1982}


def test_a_filter_that_does_not_compile(lab: Lab) -> None:
    with pytest.raises(CaptureError, match=r"The capture filter does not compile: .*syntax error"):
        lab.capture("ether proto")


def test_no_such_interface(lab: Lab) -> None:
    with pytest.raises(CaptureError, match="Cannot capture on c9: No such device"):
        lab.capture(name="c9")


def test_when_the_lifeline_ends_what_was_captured_comes_first(lab: Lab) -> None:
    with lab.capture() as capture:
        assert not capture.wait(0)
        lab.client.send(frame(b"last"))
        os.write(lab.death, b"!")
        assert capture.wait(0)
        assert frames(capture.recv_batch()) == [frame(b"last")]
        assert capture.wait(0)
        with pytest.raises(CaptureError, match=ENDED):
            capture.recv_batch()


def test_closing_twice_and_receiving_afterwards(lab: Lab) -> None:
    descriptors = os.listdir("/proc/self/fd")
    capture = lab.capture()
    capture.close()
    capture.close()
    assert os.listdir("/proc/self/fd") == descriptors
    with pytest.raises(CaptureError, match="The capture on c0 is closed"):
        capture.recv_batch()
    assert PacketSocket.select([capture]) == [capture], "Scapy asks it, and then is told"


def test_closing_while_another_thread_receives(lab: Lab) -> None:
    capture = lab.capture()
    received: list[int] = []
    ended: list[Exception] = []

    def receive() -> None:
        try:
            while True:
                received.append(len(capture.recv_batch().records))
        except CaptureError as error:
            ended.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    lab.client.send(frame(b"one"))
    wait_until(lambda: 1 in received)
    capture.close()
    thread.join(5)
    assert [str(error) for error in ended] == ["The capture on c0 is closed."]
