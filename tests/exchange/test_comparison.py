"""The engines compared: what is captured of each exchange, and who is said to have made the request's header."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, IPerror
from scapy.packet import Raw

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.sniffer import CaptureSocket
from ipl_tui.exchange import comparison, socket_engine
from ipl_tui.exchange.comparison import Capture, Comparison, Exchange, captured
from ipl_tui.exchange.engine import Client, Reply, ServerConfig
from ipl_tui.exchange.engines import ENGINES, RAW_ENGINES, make_client, make_server
from ipl_tui.exchange.scapy_engine import given_fields
from ipl_tui.exchange.transcript import is_closed
from ipl_tui.networks.interface import Interface, Network, SendError
from ipl_tui.networks.kernel import KernelInterface, KernelNetwork
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.fields import FIELDS
from ipl_tui.packets.messages import CLIENT_MESSAGE, PORT, PROTOCOL
from tests.conftest import Pair, Wire, inside, wait_until
from tests.fake_interface import FakeInterface


@dataclass(frozen=True)
class Setting:
    """Where exchanges go on."""

    network: Network
    interface: Interface
    destination: str

    def comparison(self, destination: str = "", timeout: float = 3.0) -> Comparison:
        place = self.network.responder_at(self.interface)
        return Comparison(self.interface, destination or self.destination, place, timeout)


@pytest.fixture(params=["simulated", "sandbox", "lo"])
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    if request.param == "sandbox":
        network: Network = request.getfixturevalue("sandbox")
    elif request.param == "lo":
        request.getfixturevalue("own_loopback")
        network = KernelNetwork()
    else:
        network = SimulatedNetwork()
    name, destination = ("lo", "127.0.0.1") if request.param == "lo" else ("client", "10.0.2.20")
    interface = network.find(name)
    with closing(network), closing(interface):
        yield Setting(network, interface, destination)


def lines(exchange: Exchange) -> list[str]:
    return [f"{'→' if each.to_server else '←'} {each.what}" for each in exchange.packets]


def makers(exchange: Exchange) -> dict[str, str]:
    return {each.field: f"{each.maker}{', again' if each.again else ''}" for each in exchange.header}


def has_tcp(setting: Setting) -> bool:
    return setting.interface.network != "simulated"


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_raw_ip_takes_two_packets(setting: Setting, engine: str) -> None:
    exchange = setting.comparison().run(engine)
    assert exchange.problem == ""
    assert lines(exchange) == ["→ ClientMessage", "← ServerResponse"]
    assert exchange.size == 33 + 34
    assert exchange.seconds is not None and 0 <= exchange.seconds < 3
    assert exchange.seconds == exchange.packets[1].seconds
    assert exchange.gains == ()


def test_tcp_takes_packets_to_open_to_acknowledge_and_to_close(setting: Setting) -> None:
    exchange = setting.comparison().run("asyncio")
    if not has_tcp(setting):
        assert exchange == Exchange(
            "asyncio",
            problem="The simulated hosts have no TCP: choose a sandbox interface, or one of this machine.",
        )
        return
    assert exchange.problem == ""
    shown = lines(exchange)
    assert shown[:3] == ["→ SYN", "← SYN, ACK", "→ ACK"]
    assert shown.index("→ data: 13 bytes") < shown.index("← data: 14 bytes")
    assert "→ FIN, ACK" in shown and "← FIN, ACK" in shown
    assert shown[-1].endswith("ACK") and len(shown) >= 9
    assert is_closed(exchange.packets)
    request = IP(next(each.packet for each in exchange.packets if each.packet.endswith(CLIENT_MESSAGE)))
    ports, order, delivery = exchange.gains
    assert ports.value == f"{request[TCP].sport} → {PORT}"
    assert order.value == f"sequence number {request[TCP].seq}, 13 bytes"
    assert delivery.value == f"acknowledgement {(request[TCP].seq + 13) % 2**32}"
    assert makers(exchange) == dict.fromkeys(makers(exchange), "kernel") | {"src": "program", "dst": "program"}


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_who_made_the_header_of_a_raw_request(setting: Setting, engine: str) -> None:
    exchange = setting.comparison().run(engine)
    assert [each.field for each in exchange.header] == [field.name for field in FIELDS]
    rest = "Scapy" if engine == "scapy" else "program"
    expected = dict.fromkeys(makers(exchange), rest) | {"src": "program", "dst": "program", "proto": "program"}
    assert makers(exchange) == expected | {"len": f"{rest}, again", "chksum": f"{rest}, again"}


def test_what_the_kernel_changed_is_the_kernels(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an Identification of 0 and a wrong checksum handed to the raw socket."""
    make = socket_engine.make_packet

    def make_wrong(source: str, destination: str, proto: int, payload: bytes) -> bytes:
        packet = make(source, destination, proto, payload)
        return packet[:4] + bytes(2) + packet[6:10] + b"\xba\xd0" + packet[12:]

    monkeypatch.setattr(socket_engine, "make_packet", make_wrong)
    exchange = setting.comparison().run("socket")
    made = makers(exchange)
    assert (made["id"], made["chksum"], made["len"]) == ("kernel", "kernel", "program, again")
    assert internet_checksum(exchange.packets[0].packet[:20]) == 0


def test_what_the_program_gives_scapy_is_told_from_its_defaults() -> None:
    assert given_fields(IP(src="10.0.1.10", dst="10.0.2.20", proto=PROTOCOL) / Raw(b"x")) == {"src", "dst", "proto"}
    assert given_fields(IP(ttl=64, id=0, flags=0)) == {"ttl", "id", "flags"}, "also when they are as the defaults"


def test_nothing_is_left_running(setting: Setting) -> None:
    before = set(threading.enumerate())
    comparison = setting.comparison()
    for _ in range(2):
        for engine in ENGINES:
            comparison.run(engine)
    setting.network.close()
    wait_until(lambda: set(threading.enumerate()) <= before)


@pytest.mark.parametrize("setting", ["simulated", "sandbox"], indirect=True)
def test_a_host_that_has_no_server_objects(setting: Setting) -> None:
    comparison = setting.comparison("10.0.1.1", timeout=0.5)
    assert comparison.place is None
    scapy, raw, tcp = (comparison.run(engine) for engine in ENGINES)
    for exchange in (scapy, raw):
        assert lines(exchange) == ["→ ClientMessage", "← protocol unreachable"]
        assert exchange.problem.startswith("10.0.1.1 says protocol unreachable")
        assert exchange.seconds is None and exchange.header
    if has_tcp(setting):
        assert lines(tcp) == ["→ SYN", "← RST, ACK"]
        assert tcp.problem == f"10.0.1.1 refuses: nobody listens on TCP port {PORT} there."
        assert tcp.header == ()


@pytest.mark.parametrize("setting", ["simulated", "sandbox"], indirect=True)
def test_nobody_answers(setting: Setting) -> None:
    for engine in RAW_ENGINES:
        exchange = setting.comparison("10.0.1.77", timeout=0.2).run(engine)
        assert "10.0.1.77" in exchange.problem or "No answer came" in exchange.problem
        assert exchange.seconds is None


def test_where_no_route_leads(sandbox: SandboxNetwork) -> None:
    client = sandbox.find("client")
    scapy, raw, tcp = (Comparison(client, "10.9.9.9", client, timeout=0.5).run(engine) for engine in ENGINES)
    assert lines(scapy) == lines(raw) == ["→ ClientMessage", "← network unreachable"]
    assert lines(tcp) == ["→ SYN", "← network unreachable"]
    assert tcp.problem == f"10.9.9.9:{PORT} can't be reached: Network is unreachable."


def test_every_address_of_loopback_is_served(own_loopback: None) -> None:
    lo = KernelNetwork().find("lo")
    with closing(lo):
        for engine in ENGINES:
            exchange = Comparison(lo, "127.0.0.2", lo).run(engine)
            assert exchange.problem == "" and makers(exchange)["dst"] == "program"


def test_another_machine_is_asked_where_it_is(veth: Pair) -> None:
    with ExitStack() as leaving:
        with inside(veth.server.namespace):
            there = KernelNetwork().find(veth.server.interface)
            for engine in ("scapy", "asyncio"):
                server = make_server(engine, ServerConfig(there))
                server.start()
                leaving.callback(server.stop)
        leaving.enter_context(inside(veth.client.namespace))
        here = leaving.enter_context(closing(KernelNetwork().find(veth.client.interface)))
        comparison = Comparison(here, veth.server.address, here)
        assert comparison.place is None
        for engine in ENGINES:
            exchange = comparison.run(engine)
            assert exchange.problem == "" and exchange.seconds is not None


def test_ones_own_address_is_not_reached_by_the_cable(veth: Pair) -> None:
    with inside(veth.client.namespace), closing(KernelNetwork().find(veth.client.interface)) as here:
        exchanges = [Comparison(here, veth.client.address, here, timeout=0.2).run(engine) for engine in ENGINES]
    for exchange in exchanges:
        assert exchange.packets == ()
        assert exchange.problem == (
            "Nothing of it passed c0. A host's packets to itself pass its loopback interface instead."
        )


def test_a_port_in_use_is_said_and_the_others_go_on(own_loopback: None) -> None:
    lo = KernelNetwork().find("lo")
    server = make_server("asyncio", ServerConfig(lo))
    server.start()
    try:
        assert f"TCP port {PORT} of 127.0.0.1 is in use" in Comparison(lo, "127.0.0.1", lo).run("asyncio").problem
        assert Comparison(lo, "127.0.0.1", lo).run("socket").problem == ""
    finally:
        server.stop()


def test_what_forbids_it_is_a_sentence(own_loopback: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Comparison(FakeInterface("f0"), "10.0.0.1", FakeInterface("f0")).run("scapy").problem == (
        "f0 has no IPv4 address to send from."
    )
    fake = FakeInterface("f0", "10.0.0.9/24")
    assert Comparison(fake, "10.0.0.1", fake).run("scapy").problem == "Nothing passes a fake interface."

    def refuse(*_: object) -> None:
        raise SendError("The cable is cut.")

    lo = KernelNetwork().find("lo")
    monkeypatch.setattr(KernelInterface, "send", refuse)
    assert Comparison(lo, "127.0.0.1", lo).run("scapy").problem == "The cable is cut."


def test_a_capture_that_ends_is_a_sentence(setting: Setting) -> None:
    with pytest.raises(CaptureError, match="It went away"), captured(setting.interface) as capture:
        capture.has_ended(CaptureError("It went away."))
        capture.wait_for(lambda: False, 5)


def test_close_waits_for_what_goes_on_and_nothing_begins_after_it() -> None:
    begun, go_on = Event(), Event()

    class Slow(FakeInterface):
        def open_capture(self, filter: str = "") -> CaptureSocket:
            begun.set()
            go_on.wait(5)
            return super().open_capture(filter)

    slow = Slow("f0", "10.0.0.9/24")
    comparison = Comparison(slow, "10.0.0.1", slow)
    done: list[Exchange] = []
    running = Thread(target=lambda: done.append(comparison.run("socket")))
    closing = Thread(target=comparison.close)
    running.start()
    assert begun.wait(5)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive() and not done
    go_on.set()
    closing.join(5)
    running.join(5)
    assert not closing.is_alive() and len(done) == 1
    assert comparison.run("socket") == Exchange("socket", problem="This was ended before.")


def busy(client: Client, others: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client on a network where others do something just before it asks."""
    ask = client.ask

    def ask_after_others(timeout: float) -> Reply:
        others()
        return ask(timeout)

    monkeypatch.setattr(client, "ask", ask_after_others)
    return client


TO_SELF = IP(src="127.0.0.1", dst="127.0.0.1")

NASTY = [
    IP(src="127.0.0.1", dst="127.0.0.1", proto=PROTOCOL, len=7) / CLIENT_MESSAGE,
    IP(src="127.0.0.1", dst="127.0.0.1", proto=PROTOCOL, len=0) / CLIENT_MESSAGE,
    IP(src="127.0.0.1", dst="127.0.0.1", proto=PROTOCOL, ihl=0) / CLIENT_MESSAGE,
    IP(src="127.0.0.1", dst="127.0.0.1", proto=PROTOCOL, ihl=15),
    IP(src="127.0.0.1", dst="127.0.0.1", proto=6, ihl=15) / TCP(dport=PORT),
    IP(src="127.0.0.1", dst="127.0.0.1", proto=6, frag=1) / TCP(dport=PORT),
    TO_SELF / TCP(dport=PORT, dataofs=0) / CLIENT_MESSAGE,
    TO_SELF / TCP(dport=PORT, dataofs=15) / CLIENT_MESSAGE,
    IP(src="127.0.0.1", dst="127.0.0.1", proto=6) / b"\0\1\xef",
    TO_SELF / ICMP(type=3, code=2),
    TO_SELF / ICMP(type=3, code=2) / IPerror(src="127.0.0.1", dst="127.0.0.1", proto=PROTOCOL, ihl=15),
    TO_SELF / ICMP(type=3, code=2) / bytes(TO_SELF)[:19],
    IP(src="127.0.0.1", dst="127.0.0.1", proto=1) / b"\3",
]
"""Packets that contradict themselves."""


@pytest.mark.parametrize("engine", ENGINES)
def test_what_others_send_meanwhile_is_not_counted(
    engine: str, own_loopback: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lo = KernelNetwork().find("lo")

    def others() -> None:
        with closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as tap:
            tap.bind(("lo", 0))
            for packet in NASTY:
                tap.send(bytes(12) + b"\x08\x00" + bytes(packet))
            tap.send(bytes(12) + b"\x08\x00" + bytes(TO_SELF)[:15])
        lo.send(bytes(IP(src="127.0.0.1", dst="127.0.0.1", ttl=7, id=7, proto=PROTOCOL) / CLIENT_MESSAGE), "kernel")
        lo.send(bytes(IP(src="127.0.0.1", dst="127.0.0.1", proto=PROTOCOL) / b"garbage"), "kernel")

    monkeypatch.setattr(comparison, "make_client", lambda *given: busy(make_client(*given), others, monkeypatch))
    with closing(lo):
        exchange = Comparison(lo, "127.0.0.1", lo).run(engine)
    assert exchange.problem == "" and exchange.seconds is not None
    if engine == "asyncio":
        assert lines(exchange)[:3] == ["→ SYN", "← SYN, ACK", "→ ACK"]
        assert {IP(each.packet).proto for each in exchange.packets} == {6} and is_closed(exchange.packets)
        assert lines(exchange).count("→ data: 13 bytes") == 1
    else:
        assert lines(exchange) == ["→ ClientMessage", "← ServerResponse"]
        assert exchange.packets[0].packet[8] == 64
        assert makers(exchange)["ttl"] == ("Scapy" if engine == "scapy" else "program")


def test_a_connection_that_was_there_before_is_somebody_elses(
    own_loopback: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures: list[Capture] = []

    class Kept(Capture):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            captures.append(self)

    lo = KernelNetwork().find("lo")
    with closing(lo), ExitStack() as leaving:
        others: list[socket.socket] = []

        def make_second(*given: Any) -> Client:
            """The first to connect is somebody else."""
            other = leaving.enter_context(closing(socket.create_connection(("127.0.0.1", PORT))))
            others.append(other)
            wait_until(lambda: len(captures[0].packets()) >= 3)
            return busy(make_client(*given), lambda: other.send(b"ClientMessage"), monkeypatch)

        monkeypatch.setattr(comparison, "Capture", Kept)
        monkeypatch.setattr(comparison, "make_client", make_second)
        exchange = Comparison(lo, "127.0.0.1", lo).run("asyncio")
        assert exchange.gains and exchange.gains[0].value != f"{others[0].getsockname()[1]} → {PORT}"
    assert lines(exchange)[0] == "→ SYN" and lines(exchange).count("→ data: 13 bytes") == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_close_breaks_off_what_waits_for_an_answer_that_nobody_gives(engine: str, own_loopback: None) -> None:
    lo = KernelNetwork().find("lo")
    with ExitStack() as leaving:
        leaving.enter_context(closing(lo))
        listening = leaving.enter_context(closing(socket.create_server(("127.0.0.1", PORT))))
        wire = leaving.enter_context(closing(Wire(f"ipl-{os.getpid()}-alone", "lo")))
        comparison = Comparison(lo, "127.0.0.1", FakeInterface("f0"), timeout=30)
        done: list[Exchange] = []
        asking = Thread(target=lambda: done.append(comparison.run(engine)))
        asking.start()
        wire.wait_for(lambda packet: packet.endswith(CLIENT_MESSAGE))
        assert asking.is_alive() and listening
        begun = time.monotonic()
        comparison.close()
        assert time.monotonic() - begun < 5, "of 30 seconds"
        asking.join(5)
    assert done == [Exchange(engine, problem="This was ended before.")]
