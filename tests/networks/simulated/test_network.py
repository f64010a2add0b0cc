"""The simulated network: what can be seen of three hosts, two links and their clock from outside."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from queue import Queue
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.merging import MergedSocket
from ipl_tui.exchange.engine import Terms
from ipl_tui.exchange.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE
from ipl_tui.exchange.scapy_engine import ScapyServer
from ipl_tui.networks.interface import Interface, LinkError, SendError
from ipl_tui.networks.plan import LINKS, PATH, Link, Port
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.networks.simulated.effects import Effect, Sent, Transmit
from ipl_tui.networks.simulated.stack import Stack

CLIENT, ROUTER, SERVER = "10.0.1.10", "10.0.1.1", "10.0.2.20"
NOBODY = "10.0.1.99"


class Watch:
    """A capture on an interface, and what it has seen so far."""

    def __init__(self, interface: Interface) -> None:
        self.frames: list[tuple[int, bytes]] = []
        """Each with its time in ns since the epoch."""
        self._capture = interface.open_capture()

    def read(self) -> None:
        """See the next frames. Fails the test after five seconds without any."""
        assert self._capture.wait(5), "nothing came"
        data, records = self._capture.recv_batch()
        self.frames += [(time, data[start : start + length]) for time, start, length, _ in records]

    def wait_for(self, wanted: Callable[[bytes], bool]) -> tuple[int, bytes]:
        """The first IPv4 packet that is wanted, and its time."""
        checked = 0
        while True:
            for seen, frame in self.frames[checked:]:
                if frame[12:14] == b"\x08\x00" and wanted(frame[14:]):
                    return seen, frame[14:]
            checked = len(self.frames)
            self.read()

    def packets(self, proto: int) -> list[bytes]:
        """The IPv4 packets of a protocol."""
        return [
            frame[14:] for _, frame in self.frames if frame[12:14] == b"\x08\x00" and frame[23:24] == bytes([proto])
        ]


@pytest.fixture
def network() -> Iterator[SimulatedNetwork]:
    with closing(SimulatedNetwork()) as network:
        yield network


def watch_all(network: SimulatedNetwork) -> dict[str, Watch]:
    return {interface.name: Watch(interface) for interface in network.interfaces()}


def datagram(payload: bytes = b"hello", **fields: Any) -> bytes:
    return bytes(IP(**{"src": CLIENT, "dst": SERVER, "proto": PROTOCOL, "id": 7, **fields}) / payload)


def is_datagram(packet: bytes) -> bool:
    return packet[9:10] == bytes([PROTOCOL])


def is_icmp(kind: int, code: int) -> Callable[[bytes], bool]:
    return lambda packet: packet[9:10] + packet[20:22] == bytes([1, kind, code])


def ping(network: SimulatedNetwork, source: str = "c0", destination: str = ROUTER) -> None:
    """Send an echo request and wait for its reply: what was sent before has been dealt with then."""
    interface = network.find(source)
    watch = Watch(interface)
    echo = IP(src=str(interface.addresses[0].ip), dst=destination) / ICMP(id=9)
    interface.send(bytes(echo), "exact")
    watch.wait_for(is_icmp(0, 0))


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "simulated network"]


# What it says of itself


def test_its_interfaces_are_the_ports_of_the_plan(network: SimulatedNetwork) -> None:
    first, second = network.interfaces(), network.interfaces()
    assert [interface.full_name for interface in first] == [
        "simulated:client/c0",
        "simulated:router/r0",
        "simulated:router/r1",
        "simulated:server/s0",
    ]
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert list(network.path()) == first
    assert [interface.addresses for interface in first] == [(port.address,) for port in PATH]
    assert [interface.hardware_address for interface in first] == [port.hardware_address for port in PATH]
    assert [interface.destination for interface in first] == [SERVER, CLIENT, SERVER, CLIENT]
    assert {network.responder_at(interface) for interface in first} == {network.find("server")}
    assert network.answers
    assert network.links() == LINKS


def test_own_addresses_of_a_host_go_through_its_kernel(network: SimulatedNetwork) -> None:
    router = network.find("r0")
    methods = {address: router.choose_method(address) for address in ("10.0.1.1", "10.0.2.1", "127.0.0.1", CLIENT)}
    assert methods == {"10.0.1.1": "kernel", "10.0.2.1": "kernel", "127.0.0.1": "kernel", CLIENT: "exact"}


def test_until_it_is_used_nothing_runs_and_nothing_is_loaded() -> None:
    code = """
import sys, threading
from dataclasses import replace
from ipl_tui.networks.simulated import SimulatedNetwork
network = SimulatedNetwork()
for interface in network.interfaces():
    interface.abilities(), interface.properties, interface.choose_method("10.0.1.10"), network.fate(interface.name, 1)
network.set_link(replace(network.links()[0], mtu=100))
network.close()
assert threading.active_count() == 1
assert not {"scapy", "textual", "ipl_tui.networks.simulated.simulation"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


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


# Sending and listening


def test_the_whole_exchange(network: SimulatedNetwork) -> None:
    problems: Queue[str] = Queue()
    client = network.find("client")
    responder = ScapyServer(Terms(network.responder_at(client), on_problem=problems.put))
    responder.start()
    watch = Watch(client)
    with client.open_protocol(PROTOCOL, deaf=True):
        client.send(datagram(CLIENT_MESSAGE), "exact")
        _, response = watch.wait_for(lambda packet: packet[20:] == SERVER_RESPONSE)
        ping(network, destination=SERVER)
        watch.wait_for(is_icmp(0, 0))
    responder.stop()
    assert (IP(response).src, IP(response).dst, response[8]) == (SERVER, CLIENT, 63)
    assert [packet[20] for packet in watch.packets(1)] == [8, 0], "nobody objected"
    assert (responder.answered, problems.empty()) == (1, True)


def test_without_a_listener_the_client_objects(network: SimulatedNetwork) -> None:
    responder = ScapyServer(Terms(network.find("server"), on_problem=print))
    responder.start()
    watch = Watch(network.find("client"))
    network.find("client").send(datagram(CLIENT_MESSAGE), "exact")
    _, objection = watch.wait_for(is_icmp(3, 2))
    responder.stop()
    assert (IP(objection).src, IP(objection).dst) == (CLIENT, SERVER)


def test_without_a_responder_the_server_objects(network: SimulatedNetwork) -> None:
    responder = ScapyServer(Terms(network.find("server"), on_problem=print))
    responder.start()
    responder.stop()
    watch = Watch(network.find("client"))
    network.find("client").send(datagram(CLIENT_MESSAGE), "exact")
    _, objection = watch.wait_for(is_icmp(3, 2))
    assert IP(objection).src == SERVER


def test_the_responder_starts_and_stops_again_and_again(network: SimulatedNetwork) -> None:
    client, watch = network.find("client"), Watch(network.find("client"))
    problems: Queue[str] = Queue()
    responder = ScapyServer(Terms(network.find("server"), on_problem=problems.put))
    for number in range(20):
        responder.start()
        client.send(datagram(CLIENT_MESSAGE, src="10.0.1.10", id=number), "kernel")
        watch.wait_for(lambda packet: packet[20:] == SERVER_RESPONSE)
        watch.frames.clear()
        responder.stop()
        assert not responder.running
    assert problems.empty()


def test_a_host_hears_itself(network: SimulatedNetwork) -> None:
    client, watch = network.find("client"), Watch(network.find("client"))
    with client.open_protocol(PROTOCOL) as protocol:
        client.send(datagram(dst=CLIENT), "kernel")
        assert protocol.select([protocol], 5)
        heard = protocol.recv()
    assert isinstance(heard, IP)
    assert heard.load == b"hello"
    ping(network)
    watch.wait_for(is_icmp(0, 0))
    assert watch.packets(PROTOCOL) == [], "it did not leave the host"


def test_a_protocol_socket_hears_what_arrives_at_its_own_port(network: SimulatedNetwork) -> None:
    near, far = network.find("r0"), network.find("r1")
    with near.open_protocol(PROTOCOL) as hears, far.open_protocol(PROTOCOL) as does_not:
        network.find("client").send(datagram(dst="10.0.2.1"), "exact")
        ping(network)
        heard = hears.recv()
        assert heard is not None
        assert bytes(heard) == datagram(dst="10.0.2.1")
        assert does_not.recv() is None


def test_another_protocol_is_not_heard(network: SimulatedNetwork) -> None:
    with network.find("server").open_protocol(254) as protocol:
        watch = Watch(network.find("client"))
        network.find("client").send(datagram(), "exact")
        watch.wait_for(is_icmp(3, 2))
        assert protocol.recv() is None


def test_nobody_answers_arp(network: SimulatedNetwork) -> None:
    with pytest.raises(SendError) as problem:
        network.find("client").send(datagram(dst=NOBODY), "exact")
    assert str(problem.value) == f"Nobody at {NOBODY} answered ARP on c0."


def test_many_threads_send_at_once(network: SimulatedNetwork) -> None:
    server = Watch(network.find("server"))
    with ExitStack() as leaving:
        for first in range(100, 500, 100):
            numbers = range(first, first + 100)
            thread = threading.Thread(target=send_each, args=(network, numbers))
            thread.start()
            leaving.callback(thread.join)
    ping(network, destination=SERVER)
    server.wait_for(is_icmp(0, 0))
    arrived = [int.from_bytes(packet[4:6]) for packet in server.packets(PROTOCOL)]
    assert sorted(arrived) == list(range(100, 500))
    assert all(
        [number for number in arrived if number // 100 == group] == list(range(group * 100, group * 100 + 100))
        for group in range(1, 5)
    ), "each thread's in the order it sent them"


def send_each(network: SimulatedNetwork, numbers: range) -> None:
    for number in numbers:
        network.find("client").send(datagram(id=number), "exact" if number % 2 else "kernel")


# Links


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        (Link(("c0", "s0")), 'There is no link "c0-s0"; there are c0-r0 and r1-s0.'),
        (Link(("r0", "c0")), 'There is no link "r0-c0"; there are c0-r0 and r1-s0.'),
        (Link(("c0", "r0"), mtu=67), "The MTU is 68 to 65,535 bytes."),
        (Link(("c0", "r0"), mtu=65_536), "The MTU is 68 to 65,535 bytes."),
        (Link(("c0", "r0"), latency=-0.1), "The latency is 0 to 60,000 ms."),
        (Link(("c0", "r0"), latency=61), "The latency is 0 to 60,000 ms."),
        (Link(("c0", "r0"), loss=1.1), "The loss is 0 to 100 %."),
        (Link(("c0", "r0"), loss=float("nan")), "The loss is 0 to 100 %."),
    ],
)
def test_a_link_that_cannot_be_is_refused(network: SimulatedNetwork, link: Link, problem: str) -> None:
    with pytest.raises(LinkError) as error:
        network.set_link(link)
    assert str(error.value) == problem
    assert network.links() == LINKS


def test_a_link_is_set_at_once(network: SimulatedNetwork) -> None:
    ping(network, destination=SERVER)
    network.set_link(replace(LINKS[1], mtu=100))
    assert network.links() == (LINKS[0], replace(LINKS[1], mtu=100))
    assert [interface.mtu for interface in network.interfaces()] == [1500, 1500, 100, 100]
    watch = Watch(network.find("s0"))
    network.find("client").send(datagram(bytes(100)), "exact")
    watch.wait_for(is_icmp(3, 2))
    assert [len(packet) for packet in watch.packets(PROTOCOL)] == [100, 40]


def test_a_frame_takes_as_long_as_its_link_says() -> None:
    slow = replace(LINKS[1], latency=0.05)
    with closing(SimulatedNetwork((LINKS[0], slow))) as network:
        watches = watch_all(network)
        network.find("client").send(datagram(), "kernel")
        left, arrived = (watches[name].wait_for(is_datagram)[0] for name in ("r1", "s0"))
        assert arrived - left > 0.04e9
        left, arrived = (watches[name].wait_for(is_icmp(3, 2))[0] for name in ("s0", "r1"))
        assert arrived - left > 0.04e9


def test_no_frame_overtakes_another_when_a_link_gets_faster(network: SimulatedNetwork) -> None:
    ping(network)
    watch = Watch(network.find("r0"))
    network.set_link(replace(LINKS[0], latency=0.2))
    network.find("client").send(datagram(id=1), "exact")
    network.set_link(replace(LINKS[0], latency=0))
    network.find("client").send(datagram(id=2), "exact")
    watch.wait_for(lambda packet: is_datagram(packet) and packet[5] == 2)
    assert [packet[5] for packet in watch.packets(PROTOCOL)] == [1, 2]


def lost(seed: int, answers: int = 0) -> list[int]:
    """Which of a hundred packets from the client a link loses that loses a third; their checksum is wrong, so that
    nothing goes back but some answers before."""
    with closing(SimulatedNetwork(seed=seed)) as network:
        ping(network)
        ping(network, source="r0", destination=CLIENT)
        network.set_link(replace(LINKS[0], loss=0.33))
        for _ in range(answers):
            network.find("r0").send(datagram(src=ROUTER, dst=CLIENT, chksum=1), "exact")
        watch = Watch(network.find("r0"))
        for number in range(100):
            network.find("client").send(datagram(id=number, chksum=1), "exact")
        network.set_link(LINKS[0])
        ping(network)
        watch.wait_for(is_icmp(0, 0))
        arrived = [int.from_bytes(packet[4:6]) for packet in watch.packets(PROTOCOL)]
        assert arrived == sorted(arrived)
        return sorted(set(range(100)) - set(arrived))


def test_the_same_seed_loses_the_same_packets() -> None:
    assert lost(seed=1) == lost(seed=1)
    assert 15 < len(lost(seed=1)) < 55
    assert lost(seed=1) != lost(seed=2)


def test_the_frames_of_the_other_direction_do_not_decide_what_is_lost() -> None:
    assert lost(seed=1) == lost(seed=1, answers=7)


# Why a frame went no further


def test_the_fate_of_a_lost_frame_is_told_where_it_left(network: SimulatedNetwork) -> None:
    ping(network)
    watch = Watch(network.find("c0"))
    network.set_link(replace(LINKS[0], loss=1))
    network.find("client").send(datagram(), "exact")
    time, _ = watch.wait_for(is_datagram)
    assert network.fate("c0", time) == "Lost on the link c0-r0, which loses 100% of its frames."
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
    responder = ScapyServer(Terms(network.find("server"), on_problem=problems.put))
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
