"""The servers of the raw engines, on lo and over a cable, with the kernel's own objections for comparison."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from itertools import product
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP

from ipl_tui.exchange import socket_engine
from ipl_tui.exchange.engine import Received, Server, ServerConfig
from ipl_tui.exchange.engines import RAW_ENGINES, make_server
from ipl_tui.networks.interface import Interface, Method, SendError
from ipl_tui.networks.kernel import KernelInterface, KernelNetwork
from ipl_tui.packets.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE
from tests.conftest import Pair, Wire, inside, run_ip, wait_until


@dataclass
class Setting:
    """A client that listens, a responder not yet started, and a tap on the client's interface."""

    client: Interface
    client_address: str
    server_address: str
    responder: Server
    problems: Queue[str]
    told: Queue[Received]
    wire: Wire

    def ask(self, payload: bytes = CLIENT_MESSAGE, proto: int = PROTOCOL, source: str = "") -> None:
        packet = IP(src=source or self.client_address, dst=self.server_address, proto=proto, id=77) / payload
        self.client.send(bytes(packet), self.client.choose_method(self.server_address))

    def ping(self) -> None:
        """Send an echo request and wait for its reply: the server has got all that was sent before."""
        echo = bytes(IP(src=self.client_address, dst=self.server_address) / ICMP(id=9))
        self.client.send(echo, "kernel")
        self.wire.wait_for(lambda packet: packet[9] == 1 and packet[20] == 0)

    def payloads(self) -> list[bytes]:
        return [packet[20:] for packet in self.wire.packets if packet[9] == PROTOCOL]

    def objections(self) -> int:
        """How many ICMP protocol unreachables (3/2) the tap has seen."""
        return sum(packet[9] == 1 and packet[20:22] == b"\x03\x02" for packet in self.wire.packets)


@pytest.fixture(params=product(RAW_ENGINES, ["lo", "veth"]), ids=" ".join)
def setting(request: pytest.FixtureRequest, veth: Pair) -> Iterator[Setting]:
    here, there = veth.client, veth.server
    engine, path = request.param
    if path == "lo":
        here = there = replace(veth.client, interface="lo", address="127.0.0.1")
    problems: Queue[str] = Queue()
    with (
        inside(there.namespace),
        closing(KernelNetwork().find(there.interface)) as server,
        inside(here.namespace),
        closing(KernelNetwork().find(here.interface)) as client,
        client.open_protocol(PROTOCOL, discarding=True),
        closing(Wire(here.namespace, here.interface)) as wire,
    ):
        told: Queue[Received] = Queue()
        responder = make_server(engine, ServerConfig(server, on_problem=problems.put, on_received=told.put))
        yield Setting(client, here.address, there.address, responder, problems, told, wire)
        responder.stop()


def start(setting: Setting, veth: Pair) -> None:
    """Start the responder in the server's namespace, where its thread then stays."""
    namespace = veth.client.namespace if setting.client.name == "lo" else veth.server.namespace
    with inside(namespace):
        setting.responder.start()


def is_response(packet: bytes) -> bool:
    return packet[9] == PROTOCOL and packet[20:] == SERVER_RESPONSE


def test_a_request_is_answered_and_the_kernel_is_quiet(setting: Setting, veth: Pair) -> None:
    start(setting, veth)
    assert setting.responder.running
    setting.ask()
    response = IP(setting.wire.wait_for(is_response))
    setting.ping()
    assert (response.src, response.dst) == (setting.server_address, setting.client_address)
    assert setting.payloads() == [CLIENT_MESSAGE, SERVER_RESPONSE]
    assert setting.objections() == 0
    assert setting.problems.empty()
    setting.responder.stop()
    assert setting.responder.answered == 1


def test_without_it_the_kernel_objects(veth: Pair) -> None:
    with (
        inside(veth.client.namespace),
        closing(KernelNetwork().find("c0")) as client,
        closing(Wire(veth.client.namespace, "c0")) as wire,
    ):
        client.send(bytes(IP(src="10.0.1.10", dst="10.0.1.20", proto=PROTOCOL) / CLIENT_MESSAGE), "exact")
        wire.wait_for(lambda packet: packet[9] == 1 and packet[20:22] == b"\x03\x02")


def test_only_exactly_the_message_is_answered(setting: Setting, veth: Pair) -> None:
    start(setting, veth)
    for payload in (SERVER_RESPONSE, CLIENT_MESSAGE + b"\0", b" " + CLIENT_MESSAGE, CLIENT_MESSAGE.lower(), b""):
        setting.ask(payload)
    setting.ask(proto=254)
    subnet = "127.255.255.255" if setting.client.name == "lo" else "10.0.1.255"
    for everybody in ("255.255.255.255", "224.0.0.1", subnet):
        setting.ask(source=everybody)
    second = "127.0.0.2"
    if setting.client.name != "lo":
        second = "10.0.1.11"
        run_ip("-n", veth.client.namespace, "address", "add", f"{second}/24", "dev", "c0")
    setting.ask(source=second)
    setting.wire.wait_for(lambda packet: is_response(packet) and packet[16:20] == IPv4Address(second).packed)
    setting.responder.stop()
    assert setting.responder.answered == 1
    assert setting.problems.empty()


def test_any_bytes_leave_it_answering(setting: Setting, veth: Pair) -> None:
    start(setting, veth)
    for length in range(64):
        setting.ask(os.urandom(length))
    setting.ask()
    setting.wire.wait_for(is_response)
    assert setting.responder.running
    assert setting.problems.empty()


def test_a_stopped_one_answers_no_more_and_starts_again(setting: Setting, veth: Pair) -> None:
    setting.responder.stop()
    for _ in range(20):
        start(setting, veth)
        start(setting, veth)
        setting.responder.stop()
        setting.responder.stop()
        assert not setting.responder.running
    setting.ask()
    setting.ping()
    assert setting.payloads() == [CLIENT_MESSAGE]
    start(setting, veth)
    setting.ask()
    setting.wire.wait_for(is_response)


def test_start_and_stop_from_several_threads(setting: Setting, veth: Pair) -> None:
    def switch() -> None:
        for _ in range(10):
            setting.responder.start()
            setting.responder.stop()

    with inside(veth.client.namespace if setting.client.name == "lo" else veth.server.namespace):
        threads = [Thread(target=switch) for _ in range(3)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(30)
    assert not setting.responder.running
    assert setting.problems.empty()


def test_an_answer_that_cannot_be_sent_is_a_problem(
    setting: Setting, veth: Pair, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    send = KernelInterface.send

    def refuse(interface: KernelInterface, packet: bytes, method: Method) -> None:
        if is_response(packet):
            raise SendError("The cable is cut.")
        send(interface, packet, method)

    def refuse_bytes(*_: object) -> None:
        raise SendError("The cable is cut.")

    start(setting, veth)
    with monkeypatch.context() as patch:
        patch.setattr(KernelInterface, "send", refuse)
        patch.setattr(socket_engine, "send", refuse_bytes)
        setting.ask()
        assert setting.problems.get(timeout=5) == "A ClientMessage was not answered: The cable is cut."
        received = setting.told.get(timeout=5)
        assert (received.response, received.reason) == (None, "The cable is cut.")
    setting.ask()
    setting.wire.wait_for(is_response)
    setting.responder.stop()
    assert setting.responder.answered == 1
    assert capfd.readouterr() == ("", "")


def test_a_socket_that_dies_is_a_problem(
    setting: Setting, veth: Pair, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Dying(socket.socket):
        def recv(self, *_: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        def recvfrom(self, *_: int) -> Any:
            self.recv()

    with monkeypatch.context() as patch:
        patch.setattr("ipl_tui.networks.kernel.network.socket.socket", Dying)
        start(setting, veth)
    setting.ask()  # whose own sockets live
    assert setting.problems.get(timeout=5) == "Listening ended: Input/output error."
    wait_until(lambda: not setting.responder.running)
    start(setting, veth)
    setting.ask()
    setting.wire.wait_for(is_response)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed(setting: Setting, veth: Pair, capfd: pytest.CaptureFixture[str]) -> None:
    start(setting, veth)
    setting.ask()
    setting.wire.wait_for(is_response)
    setting.responder.stop()
    assert capfd.readouterr() == ("", "")
