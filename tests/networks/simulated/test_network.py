"""The simulated network: what it says of itself, and what is sent and heard on it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from queue import Queue

import pytest
from scapy.layers.inet import IP

from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.scapy_engine import ScapyServer
from ipl_tui.networks.interface import SendError
from ipl_tui.networks.links import read_link
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.networks.topology import LINKS, PATH
from ipl_tui.packets.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE
from tests.networks.simulated.watching import (
    CLIENT,
    NOBODY,
    SERVER,
    Watch,
    datagram,
    is_icmp,
    ping,
)


def test_afresh_means_as_it_was_when_it_was_first_used(network: SimulatedNetwork) -> None:
    as_asked = read_link("c0-r0:latency=5ms,mtu=400", network.links())
    network.set_link(as_asked)  # as the command line does, before anything is used
    client = network.find("client")
    with client.open_capture():
        network.set_link(read_link("c0-r0:mtu=300", network.links()))
    for _ in range(2):
        network.restart()
        assert network.links()[0] == as_asked and client.mtu == 400
        with client.open_capture():
            network.set_link(read_link("c0-r0:mtu=500", network.links()))


def test_afresh_its_clock_is_the_system_s_again(network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    client, now = network.find("client"), time.time()

    def seen_at() -> float:
        with client.open_capture() as capture:
            client.send(datagram(), "kernel")
            assert capture.wait(5)
            return capture.recv_batch().records[0][0] / 1e9

    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: now + 3600)
        assert seen_at() > now + 3000
    assert seen_at() > now + 3000, "it never goes back"
    network.restart()
    assert seen_at() < now + 3000


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
    assert network.private
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


# Sending and listening


def test_the_whole_exchange(network: SimulatedNetwork) -> None:
    problems: Queue[str] = Queue()
    client = network.find("client")
    responder = ScapyServer(ServerConfig(network.responder_at(client), on_problem=problems.put))
    responder.start()
    watch = Watch(client)
    with client.open_protocol(PROTOCOL, discarding=True):
        client.send(datagram(CLIENT_MESSAGE), "exact")
        _, response = watch.wait_for(lambda packet: packet[20:] == SERVER_RESPONSE)
        ping(network, destination=SERVER)
        watch.wait_for(is_icmp(0, 0))
    responder.stop()
    assert (IP(response).src, IP(response).dst, response[8]) == (SERVER, CLIENT, 63)
    assert [packet[20] for packet in watch.packets(1)] == [8, 0], "nobody objected"
    assert (responder.answered, problems.empty()) == (1, True)


def test_without_a_listener_the_client_objects(network: SimulatedNetwork) -> None:
    responder = ScapyServer(ServerConfig(network.find("server"), on_problem=print))
    responder.start()
    watch = Watch(network.find("client"))
    network.find("client").send(datagram(CLIENT_MESSAGE), "exact")
    _, objection = watch.wait_for(is_icmp(3, 2))
    responder.stop()
    assert (IP(objection).src, IP(objection).dst) == (CLIENT, SERVER)


def test_without_a_responder_the_server_objects(network: SimulatedNetwork) -> None:
    responder = ScapyServer(ServerConfig(network.find("server"), on_problem=print))
    responder.start()
    responder.stop()
    watch = Watch(network.find("client"))
    network.find("client").send(datagram(CLIENT_MESSAGE), "exact")
    _, objection = watch.wait_for(is_icmp(3, 2))
    assert IP(objection).src == SERVER


def test_the_responder_starts_and_stops_again_and_again(network: SimulatedNetwork) -> None:
    client, watch = network.find("client"), Watch(network.find("client"))
    problems: Queue[str] = Queue()
    responder = ScapyServer(ServerConfig(network.find("server"), on_problem=problems.put))
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
