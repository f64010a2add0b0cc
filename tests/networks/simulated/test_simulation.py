"""The running simulation: what is captured and when, what becomes of frames, its end, and its faults."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing
from dataclasses import replace
from queue import Queue

import pytest
from scapy.layers.l2 import Ether

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.merging import MergedSocket
from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.scapy_engine import ScapyServer
from ipl_tui.networks.interface import SendError
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.networks.simulated.effects import Effect, Sent, Transmit
from ipl_tui.networks.simulated.stack import Stack
from ipl_tui.networks.topology import LINKS, Port
from ipl_tui.packets.messages import PROTOCOL
from tests.networks.simulated.watching import (
    CLIENT,
    NOBODY,
    ROUTER,
    SERVER,
    Watch,
    datagram,
    is_datagram,
    is_icmp,
    ping,
    threads,
    watch_all,
)

# What can be captured


def test_a_packet_is_seen_at_every_hop_one_after_the_other(network: SimulatedNetwork) -> None:
    watches = watch_all(network)
    network.find("client").send(datagram(ttl=64), "exact")
    seen = {name: watch.wait_for(is_datagram) for name, watch in watches.items()}
    assert list(seen) == ["c0", "r0", "r1", "s0"]
    assert [packet[8] for _, packet in seen.values()] == [64, 64, 63, 63]
    times = [time for time, _ in seen.values()]
    assert times == sorted(set(times))


def test_no_two_frames_of_the_network_have_the_same_time(
    network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    watches = watch_all(network)
    for clock, now in (("time", time.time()), ("monotonic", time.monotonic())):
        monkeypatch.setattr(time, clock, lambda now=now: now)  # as coarse as clocks can be
    for number in range(100):
        network.find("client").send(datagram(id=number), "kernel")
    watches["c0"].wait_for(lambda packet: is_icmp(3, 2)(packet) and packet[32:34] == (99).to_bytes(2))
    ping(network, destination=SERVER)
    for watch in watches.values():
        watch.wait_for(is_icmp(0, 0))
    times = [[time for time, _ in watch.frames] for watch in watches.values()]
    assert all(each == sorted(each) for each in times)
    every = [time for each in times for time in each]
    assert len(every) == len(set(every)) > 800


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_times_follow_the_clock_forward_only(
    network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    watch, client, hour = Watch(network.find("r0")), network.find("client"), 3600 * 10**9
    ping(network)
    network.set_link(replace(LINKS[0], latency=0.01))  # what waits must not wait an hour longer
    started = time.time_ns()
    client.send(datagram(id=1), "exact")
    first, _ = watch.wait_for(is_datagram)
    assert abs(first - started) < hour
    system = time.time
    monkeypatch.setattr(time, "time", lambda: system() + 3600 * hours)
    client.send(datagram(id=2), "exact")
    second, _ = watch.wait_for(lambda packet: is_datagram(packet) and packet[5] == 2)
    assert (hour if hours > 0 else 0) < second - first < (2 * hour if hours > 0 else hour)


def test_two_captures_on_one_interface_see_the_same(network: SimulatedNetwork) -> None:
    first, second = Watch(network.find("s0")), Watch(network.find("s0"))
    network.find("client").send(datagram(), "exact")
    first.wait_for(is_icmp(3, 2))
    second.wait_for(is_icmp(3, 2))
    assert first.frames == second.frames


def test_merged_captures_follow_the_packet(network: SimulatedNetwork) -> None:
    with closing(MergedSocket([interface.open_capture("ip proto 253") for interface in network.path()])) as merged:
        network.find("client").send(datagram(), "exact")
        places: list[int] = []
        while len(places) < 4:
            assert merged.wait(5)
            places += [place for place, batch in merged.recv_batches() for _ in batch.records]
    assert places == [0, 1, 2, 3]


def test_a_closed_capture_sees_no_more(network: SimulatedNetwork) -> None:
    capture = network.find("c0").open_capture()
    capture.close()
    network.find("c0").send(datagram(), "exact")
    with pytest.raises(CaptureError):
        capture.recv_batch()


# Why a frame went no further


def test_the_fate_of_a_lost_frame_is_told_where_it_left(network: SimulatedNetwork) -> None:
    ping(network)
    watch = Watch(network.find("c0"))
    network.set_link(replace(LINKS[0], loss=1))
    network.find("client").send(datagram(), "exact")
    time, _ = watch.wait_for(is_datagram)
    assert network.fate("c0", time) == "Lost on the link c0-r0, which loses 100% of all frames."
    assert network.fate("r0", time) == network.fate("c0", time + 1) == ""


def test_the_fate_of_a_refused_frame_is_told_where_it_arrived(network: SimulatedNetwork) -> None:
    watches = watch_all(network)
    network.find("client").send(datagram(chksum=1), "exact")
    left, _ = watches["c0"].wait_for(is_datagram)
    arrived, _ = watches["r0"].wait_for(is_datagram)
    assert "Header Checksum is wrong" in network.fate("r0", arrived)
    assert network.fate("c0", left) == ""
    ping(network)
    assert all(network.fate("r0", time) == "" for time, frame in watches["r0"].frames if frame[14 + 9] == 1)


def test_the_fate_of_a_fragment_that_waited_is_told_of_the_frame_that_brought_it() -> None:
    with closing(SimulatedNetwork(reassembly_timeout=0.1)) as network:
        client, server = Watch(network.find("c0")), Watch(network.find("s0"))
        network.find("client").send(datagram(bytes(8), flags="MF", id=1), "exact")
        network.find("client").send(datagram(bytes(8), flags="MF", id=2), "exact")
        client.wait_for(lambda packet: is_icmp(11, 1)(packet) and packet[33] == 2)
        server.wait_for(lambda packet: is_icmp(11, 1)(packet) and packet[33] == 2)
        fates = [network.fate("s0", seen) for seen, frame in server.frames if is_datagram(frame[14:])]
        assert [fate.partition(":")[0] for fate in fates] == ["The server discards it"] * 2


def test_only_the_latest_fates_are_kept(network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipl_tui.networks.simulated.simulation.FATES_KEPT", 3)
    watch = Watch(network.find("r0"))
    for number in range(5):
        network.find("client").send(datagram(id=number, chksum=1), "exact")
    watch.wait_for(lambda packet: is_datagram(packet) and packet[5] == 4)
    ping(network)
    told = [bool(network.fate("r0", time)) for time, frame in watch.frames if is_datagram(frame[14:])]
    assert told == [False, False, True, True, True]


def test_it_remembers_no_fate_of_what_nobody_captured(
    network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipl_tui.networks.simulated.simulation.FATES_KEPT", 1)
    client, router = Watch(network.find("c0")), network.find("r0").open_capture()
    network.set_link(replace(LINKS[0], loss=1))
    network.find("client").send(datagram(dst="255.255.255.255"), "exact")
    lost_at, _ = client.wait_for(is_datagram)
    network.set_link(LINKS[0])
    router.close()
    network.find("client").send(datagram(chksum=1), "exact")  # its fate would push out the one that is kept
    ping(network)
    assert network.fate("c0", lost_at)


# Ending


def test_closing_ends_the_thread_and_it_starts_again(network: SimulatedNetwork) -> None:
    for _ in range(3):
        watch = Watch(network.find("server"))
        network.find("client").send(datagram(), "exact")
        watch.wait_for(is_datagram)
        assert len(threads()) == 1
        network.close()
        network.close()
        assert threads() == []


def test_closing_forgets_the_frames_on_their_way(network: SimulatedNetwork) -> None:
    ping(network)
    network.set_link(replace(LINKS[0], latency=60))
    network.find("client").send(datagram(), "exact")
    network.close()
    network.set_link(LINKS[0])
    watch = Watch(network.find("r0"))
    ping(network)
    watch.wait_for(is_icmp(0, 0))
    assert watch.packets(PROTOCOL) == []


def test_closing_while_capturing_and_listening(network: SimulatedNetwork) -> None:
    capture = network.find("c0").open_capture()
    problems: Queue[str] = Queue()
    responder = ScapyServer(ServerConfig(network.find("server"), on_problem=problems.put))
    responder.start()
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(capture.wait(30)))
    waiting.start()
    network.close()
    waiting.join(5)
    assert waited == [True]
    assert capture.fileno() == -1, "its descriptors are given back"
    with pytest.raises(CaptureError, match=r"^The capture on c0 is closed\.$"):
        capture.recv_batch()
    assert problems.get(timeout=5) == "Listening ended: the socket was closed."
    responder.stop()
    watch = Watch(network.find("client"))
    network.find("client").send(datagram(), "exact")
    watch.wait_for(is_icmp(3, 2))


def test_closing_while_a_packet_waits_for_arp(network: SimulatedNetwork) -> None:
    problems: Queue[str] = Queue()
    watch = Watch(network.find("c0"))

    def send() -> None:
        try:
            network.find("client").send(datagram(dst=NOBODY), "exact")
        except SendError as error:
            problems.put(str(error))

    sending = threading.Thread(target=send)
    sending.start()
    watch.read()  # the question of ARP
    network.close()
    assert problems.get(timeout=5) == "The simulated network was closed before the packet was sent."
    sending.join(5)


def test_closing_while_threads_send(network: SimulatedNetwork) -> None:
    stop = threading.Event()
    problems: Queue[str] = Queue()

    def send() -> None:
        while not stop.is_set():
            try:
                network.find("client").send(datagram(), "exact")
            except SendError as error:
                problems.put(str(error))

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(20):
        Watch(network.find("server")).wait_for(is_datagram)
        network.close()
    stop.set()
    for sender in senders:
        sender.join(5)
        assert not sender.is_alive()
    assert set(problems.queue) <= {"The simulated network was closed before the packet was sent."}


# Faults and floods


def fail(*_: object) -> list[Effect]:
    raise RuntimeError("a fault")


def test_a_host_that_fails_over_a_frame_discards_it(network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    ping(network)
    watch = Watch(network.find("r0"))
    with monkeypatch.context() as patch:
        patch.setattr(Stack, "receive", fail)
        network.find("client").send(datagram(), "exact")
        time, _ = watch.wait_for(is_datagram)
        network.set_link(LINKS[0])
    ping(network)
    assert network.fate("r0", time) == "The simulated router has a fault: RuntimeError."


@pytest.mark.parametrize("method", ["send_frame", "send_packet"])
def test_a_host_that_fails_to_send_is_a_problem_of_the_sender(
    network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Stack, method, fail)
        with pytest.raises(SendError, match=r"^The simulated client has a fault: RuntimeError\.$"):
            network.find("client").send(datagram(), "exact" if method == "send_frame" else "kernel")
    ping(network)


def test_a_host_that_fails_when_time_passes_starts_again(
    network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    with network.find("client").open_protocol(PROTOCOL) as protocol:
        with monkeypatch.context() as patch:
            patch.setattr(Stack, "tick", fail)
            with pytest.raises(SendError, match=r"^The simulated client has a fault: RuntimeError\.$"):
                network.find("client").send(datagram(dst=NOBODY), "exact")
        watch = Watch(network.find("r0"))
        network.find("r0").send(datagram(src=ROUTER, dst=CLIENT), "exact")
        ping(network)
        assert protocol.recv() is not None
        watch.wait_for(is_icmp(0, 0))
        assert not any(is_icmp(3, 2)(packet) for packet in watch.packets(1)), "it still has its listeners"


def test_a_flood_of_any_frames_changes_nothing(network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    ping(network, destination=SERVER)
    luck = random.Random(3)

    def send_anything(self: Stack, port: Port, packet: bytes, ticket: int, now: float) -> list[Effect]:
        frame = luck.randbytes(luck.randrange(120))
        if luck.random() < 0.9:
            addresses = bytes(Ether(src="02:00:0a:00:01:0a", dst="02:00:0a:00:01:01", type=luck.choice((0x800, 0x806))))
            frame = addresses + (b"\x45" + frame if luck.random() < 0.5 else frame)
        return [Transmit(port, frame), Sent(ticket)]

    watch = Watch(network.find("r0"))
    with monkeypatch.context() as patch:
        patch.setattr(Stack, "send_frame", send_anything)
        for _ in range(3000):
            network.find("client").send(datagram(), "exact")
    ping(network, destination=SERVER)
    watch.wait_for(is_icmp(0, 0))
    faults = {fate for time, _ in watch.frames if "fault" in (fate := network.fate("r0", time))}
    assert faults == set()
    assert len(watch.frames) >= 3000
