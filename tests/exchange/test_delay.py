"""Servers that wait before they answer, and what is answered at once all the same; and one's own addresses."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from queue import Queue

import pytest

from ipl_tui.exchange import delayed_answers
from ipl_tui.exchange.delayed_answers import STOPPED, TOO_MANY, OwnPackets
from ipl_tui.exchange.engine import Client, Received, ServerConfig, Target
from ipl_tui.exchange.engines import RAW_ENGINES, make_client, make_server
from ipl_tui.exchange.scapy_engine import ScapyClient
from ipl_tui.exchange.socket_engine import SocketClient, make_packet
from ipl_tui.networks.interface import Interface, Network
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from tests.conftest import Pair, Wire, inside

LONG = 3600.0


@pytest.fixture
def lo(own_loopback: None) -> Iterator[Interface]:
    with closing(KernelNetwork().find("lo")) as interface:
        yield interface


def question(source: str = "127.0.0.1") -> bytes:
    return make_packet(source, "127.0.0.1", 253, b"ClientMessage")


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_the_answer_comes_after_the_delay(lo: Interface, engine: str) -> None:
    server = make_server(engine, ServerConfig(lo, delay=0.1))
    server.start()
    with closing(make_client("scapy", lo, "127.0.0.1")) as client:
        reply = client.ask(5)
    server.stop()
    assert reply.response is not None and reply.seconds >= 0.1


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_waiting_loses_nothing_and_keeps_the_order(lo: Interface, engine: str) -> None:
    """As many as 1,000 a second have waiting at once, all within a few ms."""
    clients = [f"127.0.1.{last}" for last in range(1, 151)]
    told: Queue[Received] = Queue()
    server = make_server(engine, ServerConfig(lo, delay=0.15, on_received=told.put))
    with lo.open_protocol(253, discarding=True), closing(Wire(f"ipl-{os.getpid()}-alone", "lo")) as wire:
        server.start()
        for each in clients:
            lo.send(question(each), "kernel")
        wire.wait_for(lambda packet: packet.endswith(b"ServerResponse") and packet[19] == 150)
        server.stop()
    answered = [packet[16:20] for packet in wire.packets if packet.endswith(b"ServerResponse")]
    assert answered == [bytes(map(int, each.split("."))) for each in clients]
    assert [told.get(timeout=5).client for _ in clients] == clients
    assert server.answered == 150


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_stopping_ends_at_once_and_says_what_became_of_the_request(lo: Interface, engine: str) -> None:
    told: Queue[Received] = Queue()
    server = make_server(engine, ServerConfig(lo, delay=LONG, on_received=told.put))
    for _ in range(2):
        server.start()
        with lo.open_protocol(253) as listening:
            lo.send(question(), "kernel")
            assert listening.recv() is not None
        lo.send(make_packet("127.0.0.1", "127.0.0.1", 253, b"after it"), "kernel")
        assert told.get(timeout=5).request.endswith(b"after it"), "it does not wait"
        server.stop()
        received = told.get(timeout=5)
        assert (received.response, received.reason) == (None, STOPPED)
    assert server.answered == 0


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_of_a_flood_so_many_wait(lo: Interface, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delayed_answers, "MOST_WAITING", 2)
    told: Queue[Received] = Queue()
    server = make_server(engine, ServerConfig(lo, delay=LONG, on_received=told.put))
    server.start()
    for _ in range(3):
        lo.send(question(), "kernel")
    assert told.get(timeout=5).reason == TOO_MANY
    server.stop()


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_no_more_are_answered_than_are_wanted(lo: Interface, engine: str) -> None:
    told: Queue[Received] = Queue()
    server = make_server(engine, ServerConfig(lo, delay=0.05, most=2, on_received=told.put))
    server.start()
    for last in range(1, 6):
        lo.send(question(f"127.0.0.{last}"), "kernel")
    assert [told.get(timeout=5).client for _ in range(2)] == ["127.0.0.1", "127.0.0.2"]
    server.stop()
    assert (server.answered, told.empty() or told.get().reason) in [(2, True), (2, STOPPED)]


@pytest.mark.parametrize(("engine", "place"), [*product(RAW_ENGINES, ["simulated", "sandbox", "lo"])])
def test_what_this_program_sends_is_answered_at_once(engine: str, place: str, request: pytest.FixtureRequest) -> None:
    network: Network = KernelNetwork()
    if place == "lo":
        request.getfixturevalue("own_loopback")
        client = server = network.find("lo")
    else:
        network = SimulatedNetwork() if place == "simulated" else request.getfixturevalue("sandbox")
        client, server = network.find("client"), network.find("server")
    ours = OwnPackets()
    answering = make_server(engine, ServerConfig(server, delay=LONG, ours=ours))
    with closing(network):
        answering.start()
        with closing(make_client(engine, client, str(server.addresses[0].ip))) as asking:
            with ours.sending(asking.message, 2):
                assert [asking.ask(5).response is not None for _ in range(2)] == [True, True]
            assert asking.ask(0.2).response is None, "this one it has not been told of"
        begun = time.monotonic()
        answering.stop()
    assert time.monotonic() - begun < LONG


# One's own address


@pytest.mark.parametrize(
    ("answering", "asking"), [*product(RAW_ENGINES, RAW_ENGINES), ("asyncio", "asyncio")], ids=" ".join
)
@pytest.mark.parametrize("by", ["c0", "lo"])
def test_a_server_on_an_interface_hears_its_own_host(veth: Pair, answering: str, asking: str, by: str) -> None:
    """What goes to an address of this machine, goes by loopback: from a socket of that interface, or of lo."""
    address = veth.client.address
    told: Queue[Received | str] = Queue()
    with (
        inside(veth.client.namespace),
        closing(KernelNetwork().find("c0")) as near,
        closing(KernelNetwork().find("lo")) as lo,
        closing(Wire(veth.client.namespace, "c0")) as wire,
    ):
        server = make_server(answering, ServerConfig(near, on_received=told.put, on_problem=told.put))
        server.start()
        with closing(make_client_of(asking, near if by == "c0" else lo, address)) as client:
            replies = [client.ask(5) for _ in range(3)]
        server.stop()
        with inside(veth.server.namespace), closing(KernelNetwork().find("s0")) as far:
            far.send(make_packet(veth.server.address, address, 1, b"\x08\0\xf7\xff\0\0\0\0"), "kernel")
        wire.wait_for(lambda packet: packet[9] == 1)
    assert [reply.response is not None for reply in replies] == [True] * 3, replies
    assert server.answered == 3 == told.qsize(), "each once"
    assert not [packet for packet in wire.packets if packet[9] != 1], "never by the wire"


def make_client_of(engine: str, interface: Interface, address: str) -> Client:
    """A client that asks an own address from the same."""
    if engine == "asyncio":
        return make_client(engine, interface, address)
    if engine == "scapy":
        return ScapyClient(Target(interface, address, address))
    return SocketClient(Target(interface, address, address))


def test_own_requests_do_not_bring_objections(veth: Pair) -> None:
    """Also while only a discarding socket is open, as while the lab waits for an answer."""
    with (
        inside(veth.client.namespace),
        closing(KernelNetwork().find("c0")) as near,
        near.open_protocol(253, discarding=True),
        closing(near.open_raw(1)) as errors,
    ):
        packet = make_packet("10.0.1.10", "10.0.1.10", 253, b"ClientMessage")
        with closing(KernelNetwork().find("lo")) as lo:
            for interface in (near, lo):
                interface.send(packet, "kernel")
        near.send(make_packet("10.0.1.10", "10.0.1.10", 254, b"nobody"), "kernel")
        errors.settimeout(5)
        assert errors.recv(1000).endswith(b"nobody"), "of the others there was none before"
