"""The clients, with every server: our own of each engine, and programs that somebody else wrote with plain Scapy."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from itertools import product
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether, Loopback
from scapy.packet import Packet, Raw
from scapy.supersocket import SuperSocket

from ipl_tui.exchange.engine import Client, Received, Reply, ServerConfig
from ipl_tui.exchange.engines import ENGINES, RAW_ENGINES, make_client, make_server
from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.messages import CLIENT_MESSAGE, PORT, PROTOCOL, SERVER_RESPONSE
from tests.conftest import Pair, go_without, inside, run_ip, wait_until
from tests.fake_interface import FakeInterface


@dataclass
class EngineClasses:
    """The interfaces of a client and a server, and how to be where each is."""

    client: Interface
    server: Interface
    destination: str
    at_client: str = ""
    """A network namespace, or nothing where none is needed."""
    at_server: str = ""

    @contextmanager
    def asking(self, engine: str, source: str = "") -> Iterator[Client]:
        with ExitStack() as leaving:
            if self.at_client:
                leaving.enter_context(inside(self.at_client))
            yield leaving.enter_context(closing(make_client(engine, self.client, self.destination, source)))

    @contextmanager
    def serving(self, engine: str, **config: Any) -> Iterator[Queue[Received | str]]:
        """A running server, and what it tells."""
        told: Queue[Received | str] = Queue()
        server = make_server(engine, ServerConfig(self.server, on_problem=told.put, on_received=told.put, **config))
        with ExitStack() as leaving:
            if self.at_server:
                leaving.enter_context(inside(self.at_server))
            server.start()
        try:
            yield told
        finally:
            server.stop()


@contextmanager
def on_lo(request: pytest.FixtureRequest) -> Iterator[EngineClasses]:
    request.getfixturevalue("own_loopback")
    with closing(KernelNetwork().find("lo")) as lo:
        yield EngineClasses(lo, lo, "127.0.0.1")


@contextmanager
def on_veth(request: pytest.FixtureRequest) -> Iterator[EngineClasses]:
    pair: Pair = request.getfixturevalue("veth")
    with inside(pair.client.namespace):
        client = KernelNetwork().find(pair.client.interface)
    with inside(pair.server.namespace):
        server = KernelNetwork().find(pair.server.interface)
    with closing(client), closing(server):
        yield EngineClasses(client, server, pair.server.address, pair.client.namespace, pair.server.namespace)


@contextmanager
def on_simulated(request: pytest.FixtureRequest) -> Iterator[EngineClasses]:
    with closing(SimulatedNetwork()) as network:
        yield EngineClasses(network.find("client"), network.find("server"), "10.0.2.20")


@contextmanager
def on_sandbox(request: pytest.FixtureRequest) -> Iterator[EngineClasses]:
    network: SandboxNetwork = request.getfixturevalue("sandbox")
    yield EngineClasses(network.find("client"), network.find("server"), "10.0.2.20")


PLACES: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[EngineClasses]]] = {
    "lo": on_lo,
    "veth": on_veth,
    "simulated": on_simulated,
    "sandbox": on_sandbox,
}


@pytest.fixture(params=PLACES)
def ends(request: pytest.FixtureRequest) -> Iterator[EngineClasses]:
    with PLACES[request.param](request) as made:
        yield made


@pytest.fixture
def veth_ends(request: pytest.FixtureRequest) -> Iterator[EngineClasses]:
    with on_veth(request) as made:
        yield made


def has_tcp(ends: EngineClasses) -> bool:
    return ends.client.network != "simulated"


@pytest.mark.parametrize(("asking", "answering"), [*product(RAW_ENGINES, RAW_ENGINES), ("asyncio", "asyncio")])
def test_any_client_and_any_server(ends: EngineClasses, asking: str, answering: str) -> None:
    if asking == "asyncio" and not has_tcp(ends):
        with pytest.raises(SendError, match="no TCP"), ends.serving(answering):
            pass
        return
    with ends.serving(answering) as told, ends.asking(asking) as client:
        for _ in range(3):
            reply = client.ask(5)
            assert reply.response is not None, reply.reason
            assert reply.response.endswith(SERVER_RESPONSE)
            assert 0 < reply.seconds < 5
            received = told.get(timeout=5)
            assert isinstance(received, Received)
            assert received.response is not None
            assert (received.request[-13:], received.response[-14:]) == (CLIENT_MESSAGE, SERVER_RESPONSE)
        if asking != "asyncio" and reply.response is not None and isinstance(received, Received):
            source = ends.client.source_for(ends.destination)
            assert (IP(reply.request).src, IP(reply.request).dst) == (source, ends.destination)
            assert (IP(reply.response).src, IP(reply.response).dst) == (ends.destination, source)
            assert received.client == source
    assert told.empty()


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_nobody_there_says_so(ends: EngineClasses, engine: str) -> None:
    with ends.asking(engine) as client:
        reply = client.ask(0.3)
    assert reply.response is None
    assert reply.seconds >= 0.3
    if ends.client is not ends.server:  # the client's own socket keeps lo's kernel quiet
        assert reply.reason == (f"{ends.destination} says protocol unreachable: nobody there listens to this protocol.")


def test_nobody_at_the_tcp_port_says_so(ends: EngineClasses) -> None:
    if has_tcp(ends):
        with ends.asking("asyncio") as client:
            reply = client.ask(5)
        assert reply.response is None
        assert "refuses: nobody listens on TCP port 61253" in reply.reason


@pytest.mark.parametrize("engine", ENGINES)
def test_an_address_that_is_not_ours(engine: str, request: pytest.FixtureRequest) -> None:
    with on_lo(request) as ends:
        with pytest.raises(SendError, match=r"9.9.9.9 is no address of lo; it has: 127.0.0.1"):
            make_client(engine, ends.client, ends.destination, "9.9.9.9")
        with pytest.raises(SendError, match=r"9.9.9.9 is no address of lo; it has: 127.0.0.1"):
            make_server(engine, ServerConfig(ends.server, source="9.9.9.9")).start()


@pytest.mark.parametrize("engine", ENGINES)
def test_one_address_for_the_server_and_one_for_the_client(engine: str, request: pytest.FixtureRequest) -> None:
    with on_lo(request) as ends:
        ends.destination = "127.0.0.2"
        with ends.serving(engine, source="127.0.0.2", client="127.0.0.3"):
            for source, answered in (("127.0.0.1", False), ("127.0.0.3", True)):
                with ends.asking(engine, source) as client:
                    assert (client.ask(5 if answered else 0.2).response is not None) == answered


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_only_the_servers_exact_answer_counts(engine: str, veth_ends: EngineClasses) -> None:
    """Somebody else's answer, a longer one, a fragment and one to another address are not the answer."""
    ends = veth_ends
    run_ip("-n", ends.at_server, "address", "add", "10.0.1.99/24", "dev", "s0")
    run_ip("-n", ends.at_client, "address", "add", "10.0.1.98/24", "dev", "c0")
    with inside(ends.at_server):
        listening = ends.server.open_protocol(PROTOCOL)
    with listening, ends.asking(engine) as client:
        answer = bytes(IP(src="10.0.1.20", dst="10.0.1.10", proto=PROTOCOL, id=4711) / SERVER_RESPONSE)

        def right(**other: Any) -> Packet:
            return IP(**{"src": "10.0.1.20", "dst": "10.0.1.10", "proto": PROTOCOL, **other})

        def forge() -> None:
            assert listening.recv() is not None
            for packet in (
                right(src="10.0.1.99") / SERVER_RESPONSE,
                right(dst="10.0.1.98") / SERVER_RESPONSE,
                right() / (SERVER_RESPONSE + b"\0"),
                right() / SERVER_RESPONSE[:-1],
                right() / CLIENT_MESSAGE,
                right(proto=254) / SERVER_RESPONSE,
                right(flags="MF", id=7) / (SERVER_RESPONSE + b"\0\0"),
            ):
                ends.server.send(bytes(packet), "exact")
            ends.server.send(answer, "exact")

        forger = Thread(target=forge)
        with inside(ends.at_server):
            forger.start()
        response = client.ask(10).response
        forger.join()
    assert response == answer


STRANGERS = {
    "a server that prints and sends": (
        """
import sys
from scapy.all import *
conf.verb = 0
def got(packet):
    if packet.haslayer(Raw) and packet[Raw].load == b"ClientMessage":
        print("client said:", packet[Raw].load.decode(), flush=True)
        send(IP(dst=packet[IP].src, proto=253) / Raw(load="ServerResponse"))
sniff(iface=sys.argv[1], filter="ip proto 253", prn=got, store=0, started_callback=lambda: print("ready", flush=True))
"""
    ),
    "a server that takes one packet after the other": (
        """
import sys
from scapy.all import *
conf.verb = 0
print("ready", flush=True)
while True:
    packets = sniff(iface=sys.argv[1], lfilter=lambda p: IP in p and p[IP].proto == 253, count=1)
    packets[0].show()
    if bytes(packets[0][IP].payload).startswith(b"ClientMessage"):
        send(IP(src=packets[0][IP].dst, dst=packets[0][IP].src, proto=253, ttl=32, id=4711)/b"ServerResponse")
"""
    ),
}

STRANGE_CLIENT = """
import sys, threading
from scapy.all import *
conf.verb = 0
me, server = sys.argv[2:]
listening = AsyncSniffer(
    iface=sys.argv[1],
    lfilter=lambda p: IP in p and p[IP].src == server and bytes(p[IP].payload).rstrip(bytes(1)) == b"ServerResponse",
    count=1, started_callback=lambda: send(IP(dst=server, proto=253, tos=4)/Raw("ClientMessage")),
)
listening.start()
listening.join(timeout=10)
for packet in listening.results:
    packet.show()
print("answers:", len(listening.results))
"""


@pytest.mark.parametrize("engine", RAW_ENGINES)
@pytest.mark.parametrize("place", ["lo", "veth"])
def test_somebody_elses_client(engine: str, place: str, request: pytest.FixtureRequest) -> None:
    with PLACES[place](request) as ends, ends.serving(engine):
        where = ("ip", "netns", "exec", ends.at_client) if ends.at_client else ()
        source = ends.client.source_for(ends.destination)
        done = subprocess.run(
            [*where, sys.executable, "-c", STRANGE_CLIENT, ends.client.name, source, ends.destination],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert "answers: 1" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("engine", RAW_ENGINES)
@pytest.mark.parametrize("program", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("place", ["lo", "veth"])
def test_somebody_elses_server(
    engine: str, program: str, place: str, request: pytest.FixtureRequest, needs_libpcap: None
) -> None:
    with PLACES[place](request) as ends:
        where = ("ip", "netns", "exec", ends.at_server) if ends.at_server else ()
        stranger = subprocess.Popen(
            [*where, sys.executable, "-c", program, ends.server.name], stdout=subprocess.PIPE, text=True
        )
        try:
            assert stranger.stdout is not None
            assert stranger.stdout.readline() == "ready\n"
            with ends.asking(engine) as client:
                replies = []
                # It may not listen yet although it says so: sniff() opens its socket afterwards.
                wait_until(lambda: replies.append(client.ask(0.5)) or replies[-1].response is not None, 20)  # type: ignore[func-returns-value]
        finally:
            stranger.kill()
            stranger.communicate()
        response = replies[-1].response
        assert response is not None
        assert IP(response).src == ends.destination


class Wrapped(SuperSocket):
    """A listening socket that gives IP packets behind another link header, as libpcap does."""

    nonblocking_socket = True

    def __init__(self, inner: SuperSocket, link: Callable[[], Packet], padding: bytes) -> None:
        self.inner, self.link, self.padding = inner, link, padding

    def recv(self, x: int = 65535, **options: object) -> Packet | None:
        packet = self.inner.recv(x)
        if packet is None:
            return None
        link = self.link()
        return type(link)(bytes(link / Raw(bytes(packet))) + self.padding)

    @staticmethod
    def select(sockets: list[SuperSocket], remain: float | None = None) -> list[SuperSocket]:
        inner = {each.inner: each for each in sockets if isinstance(each, Wrapped)}
        return [inner[each] for each in next(iter(inner)).select(list(inner), remain)]

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize(
    ("link", "padding"),
    [(lambda: Ether(type=0x0800), bytes(13)), (lambda: Loopback(type=2), b"")],
    ids=["Ethernet with padding", "macOS loopback"],
)
def test_scapys_engine_takes_any_link_type(
    link: Callable[[], Packet], padding: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SimulatedNetwork()) as network:
        ends = EngineClasses(network.find("client"), network.find("server"), "10.0.2.20")
        for interface in (ends.client, ends.server):
            open_protocol = interface.open_protocol

            def wrap(
                proto: int, discarding: bool = False, open_protocol: Callable[..., SuperSocket] = open_protocol
            ) -> SuperSocket:
                return open_protocol(proto, discarding) if discarding else Wrapped(open_protocol(proto), link, padding)

            monkeypatch.setattr(interface, "open_protocol", wrap)
        with ends.serving("scapy") as told, ends.asking("scapy") as client:
            reply = client.ask(5)
            assert reply.response is not None
            assert len(reply.response) == 34
            received = told.get(timeout=5)
            assert isinstance(received, Received)
            assert len(received.request) == 33


@pytest.fixture
def needs_libpcap() -> None:
    """Skips where Scapy finds no libpcap: our own is inside pcapy-ng. In CI it fails instead."""
    if find_library("pcap") is None:
        go_without("needs the system's libpcap, for Scapy")


@pytest.mark.parametrize("taps", ["our own", "Scapy's, as on macOS"])
def test_it_works_with_libpcap_too(own_loopback: None, needs_libpcap: None, taps: str) -> None:
    """In a process of its own: Scapy changes its classes for conf.use_pcap."""
    code = """
import sys
from contextlib import closing
from scapy.config import conf
conf.use_pcap = True
from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.engines import make_client, make_server
from ipl_tui.networks.kernel import arrivals
from ipl_tui.networks.kernel import KernelNetwork
if "macOS" in sys.argv[1]:
    arrivals.PacketTap = arrivals.frame_tap
with closing(KernelNetwork().find("lo")) as lo:
    print(type(arrivals.PacketTap("lo", 253)).__name__)
    server = make_server("scapy", ServerConfig(lo))
    server.start()
    with closing(make_client("scapy", lo, "127.0.0.1")) as client:
        for _ in range(3):
            print(client.ask(5).response[20:])
    server.stop()
    print(server.answered)
"""
    done = subprocess.run([sys.executable, "-c", code, taps], capture_output=True, text=True, timeout=60)
    socket_class = "PacketTap" if taps == "our own" else "L2pcapListenSocket"
    assert done.stdout.split() == [socket_class, *["b'ServerResponse'"] * 3, "3"], done.stderr


def test_a_late_answer_is_not_taken_for_the_next() -> None:
    with closing(SimulatedNetwork()) as network:
        ends = EngineClasses(network.find("client"), network.find("server"), "10.0.2.20")
        answer = bytes(IP(src="10.0.2.20", dst="10.0.1.10", proto=PROTOCOL) / SERVER_RESPONSE)
        with ends.server.open_protocol(PROTOCOL, discarding=True), ends.asking("socket") as client:
            assert client.ask(0.1).response is None
            ends.server.send(answer, "kernel")  # it has arrived when this returns
            assert client.ask(0.1).response is None


@pytest.mark.parametrize("engine", ENGINES)
def test_closing_ends_the_wait_for_an_answer(engine: str, request: pytest.FixtureRequest) -> None:
    with on_lo(request) as ends, closing(socket.create_server(("127.0.0.1", PORT))) as silent:
        replies: Queue[Reply] = Queue()
        client = make_client(engine, ends.client, "127.0.0.1")
        asking = Thread(target=lambda: replies.put(client.ask(60)))
        with ends.client.open_protocol(PROTOCOL) as listening:
            asking.start()
            if engine == "asyncio":
                peer, _ = silent.accept()
                with peer:
                    assert peer.recv(100)
                    client.close()
            else:
                assert listening.recv() is not None
                client.close()
        asking.join(10)
        reply = replies.get(timeout=1)
    assert (reply.response, reply.reason) == (None, "The client was closed.")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_answers_no_more_often_than_it_is_to(engine: str, request: pytest.FixtureRequest) -> None:
    with on_lo(request) as ends, ends.serving(engine, most=2) as told, ends.asking(engine) as client:
        assert [client.ask(timeout).response is not None for timeout in (5, 5, 0.2)] == [True, True, False]
        assert [told.get(timeout=5) for _ in range(2)] and told.empty()


@pytest.mark.parametrize("engine", ENGINES)
def test_without_an_address_there_is_nothing_to_answer_for(engine: str) -> None:
    with pytest.raises(SendError, match="f0 has no IPv4 address to answer for"):
        make_server(engine, ServerConfig(FakeInterface("f0"))).start()


def test_a_listener_that_can_open_only_one_socket_closes_it(own_loopback: None) -> None:
    class Grudging(FakeInterface):
        def open_protocol(self, proto: int, discarding: bool = False) -> SuperSocket:
            if not discarding:
                raise SendError("One is enough.")
            self.opened = KernelNetwork().find("lo").open_protocol(proto, discarding)
            return self.opened

    interface = Grudging("f0", "127.0.0.1/8")
    for start in (
        make_server("scapy", ServerConfig(interface)).start,
        lambda: make_client("scapy", interface, "127.0.0.1"),
    ):
        with pytest.raises(SendError, match="One is enough"):
            start()
        assert interface.opened.closed
