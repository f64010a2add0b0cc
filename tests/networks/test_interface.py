"""What every interface of every network does: one suite, run over each."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Interface
from typing import Any, Protocol

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.supersocket import SuperSocket

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.filters import pcapy
from ipl_tui.capture.sniffer import CaptureSocket
from ipl_tui.commands.common import make_networks
from ipl_tui.networks.interface import Ability, Interface, Method, Network, Route, SendError, UnknownInterface
from ipl_tui.networks.kernel import KernelInterface, KernelNetwork
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from tests.conftest import Pair, Wire, go_without, inside

PROTOCOL = 253


class Tap(Protocol):
    """The IPv4 packets that pass the far interface; the system's own tap, where there is one."""

    packets: list[bytes]
    """What wait_for() has read so far."""

    def wait_for(self, wanted: Callable[[bytes], bool]) -> bytes:
        """Read packets up to one that is wanted. Raises TimeoutError after five seconds without any."""


@dataclass
class Setting:
    """An interface under test, and the interface its packets arrive at, with a tap."""

    network: Network
    interface: Interface
    source: str
    destination: str
    far: Interface
    wire: Tap
    there: Callable[[], AbstractContextManager[None]] = nullcontext
    """Where the sockets of the far interface are opened."""


class CapturedWire:
    """A tap made of an interface's own capture, where there is no other."""

    def __init__(self, capture: CaptureSocket) -> None:
        self.packets: list[bytes] = []
        self._capture = capture
        self._frames: list[bytes] = []

    def wait_for(self, wanted: Callable[[bytes], bool]) -> bytes:
        while True:
            while not self._frames:
                if not self._capture.wait(5):
                    raise TimeoutError
                data, records = self._capture.recv_batch()
                self._frames = [data[start : start + length] for _, start, length, _ in records]
            frame = self._frames.pop(0)
            if frame[12:14] == b"\x08\x00":
                self.packets.append(frame[14:])
                if wanted(frame[14:]):
                    return frame[14:]


@contextmanager
def kernel(name: str, request: pytest.FixtureRequest) -> Iterator[Setting]:
    """One end of a cable between two real kernels, or loopback."""
    veth: Pair = request.getfixturevalue("veth")
    here, there = veth.client, veth.server
    if name == "lo":
        here = there = replace(veth.client, interface="lo", address="127.0.0.1")
    with inside(there.namespace):
        far = KernelNetwork().find(there.interface)
    with (
        inside(here.namespace),
        closing(Wire(there.namespace, there.interface)) as wire,
        closing(KernelNetwork()) as network,
        closing(network.find(here.interface)) as interface,
    ):
        yield Setting(network, interface, here.address, there.address, far, wire, partial(inside, there.namespace))


@contextmanager
def simulated(name: str, far_name: str, request: pytest.FixtureRequest) -> Iterator[Setting]:
    """A host of the simulated network and its neighbour."""
    with closing(SimulatedNetwork()) as network:
        interface, far = network.find(name), network.find(far_name)
        source, destination = (str(each.addresses[0].ip) for each in (interface, far))
        yield Setting(network, interface, source, destination, far, CapturedWire(far.open_capture()))


@contextmanager
def sandboxed(name: str, far_name: str, request: pytest.FixtureRequest) -> Iterator[Setting]:
    """A host of the sandbox and its neighbour."""
    network: SandboxNetwork = request.getfixturevalue("sandbox")
    interface, far = network.find(name), network.find(far_name)
    source, destination = (str(each.addresses[0].ip) for each in (interface, far))
    with far.open_capture() as capture:
        yield Setting(network, interface, source, destination, far, CapturedWire(capture))


SETTINGS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Setting]]] = {
    "kernel lo": partial(kernel, "lo"),
    "kernel veth": partial(kernel, "veth"),
    "simulated client": partial(simulated, "c0", "r0"),
    "simulated router": partial(simulated, "r1", "s0"),
    "simulated server": partial(simulated, "s0", "r1"),
    "sandbox client": partial(sandboxed, "c0", "r0"),
    "sandbox router": partial(sandboxed, "r1", "s0"),
    "sandbox server": partial(sandboxed, "s0", "r1"),
}


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    with SETTINGS[request.param](request) as setting:
        yield setting


@contextmanager
def listening(setting: Setting, discarding: bool = False) -> Iterator[SuperSocket]:
    """A protocol socket on the interface that the packets arrive at."""
    with setting.there():
        protocol = setting.far.open_protocol(PROTOCOL, discarding)
    with protocol:
        yield protocol


def datagram(setting: Setting, payload: bytes = b"hello", **fields: Any) -> bytes:
    values: dict[str, Any] = {"src": setting.source, "dst": setting.destination, "proto": PROTOCOL, "id": 7, **fields}
    return bytes(IP(**values) / payload)


def ping(setting: Setting) -> None:
    """Send an echo request and wait for its reply: what was sent before has been dealt with then."""
    echo = bytes(IP(src=setting.source, dst=setting.destination) / ICMP(id=9))
    setting.interface.send(echo, "kernel")
    setting.wire.wait_for(lambda packet: packet[9] == 1 and packet[20] == 0)


def unreachables(wire: Tap) -> list[bytes]:
    """ICMP protocol unreachable (3/2) among the packets seen."""
    return [packet for packet in wire.packets if packet[9] == 1 and packet[20:22] == b"\x03\x02"]


def read_capture(capture: CaptureSocket, wanted: bytes) -> list[bytes]:
    frames: list[bytes] = []
    while not any(wanted in frame for frame in frames):
        assert capture.wait(5), "nothing was captured"
        data, records = capture.recv_batch()
        frames += [data[start : start + length] for _, start, length, _ in records]
    return frames


def test_it_says_what_it_is(setting: Setting) -> None:
    interface = setting.interface
    assert (interface.state, interface.linktype_name) == ("up", "Ethernet")
    assert setting.source in [str(address.ip) for address in interface.addresses]
    assert interface.mtu >= 68
    assert interface.can_capture() == Ability(True)
    assert interface.can_send() == Ability(True)


@pytest.mark.skipif(pcapy is None, reason="filters need libpcap, which pcapy-ng does not bring to this system")
def test_it_is_captured_on(setting: Setting) -> None:
    with setting.interface.open_capture("ip proto 253") as capture:
        assert isinstance(capture, CaptureSocket)
        assert capture.linktype == setting.interface.linktype
        ping(setting)
        setting.interface.send(datagram(setting), "kernel")
        frames = read_capture(capture, b"hello")
        assert [frame[14:] for frame in frames] == [datagram(setting)], "once, and without what the filter refuses"


def test_a_filter_that_does_not_compile_captures_nothing(setting: Setting) -> None:
    with pytest.raises(CaptureError, match="filter"):
        setting.interface.open_capture("ip proto")


def test_its_source_is_an_address_of_its_own(setting: Setting) -> None:
    assert setting.interface.source_for(setting.destination) == setting.source
    assert setting.interface.source_for("203.0.113.1") == setting.source


@pytest.mark.parametrize("method", ["exact", "kernel"])
def test_it_sends_the_bytes_as_composed(setting: Setting, method: Method) -> None:
    packet = datagram(setting, bytes(range(256)), tos=0xB9, ttl=3, flags="DF", options=b"\x01\x01\x01\x00")
    setting.interface.send(packet, method)
    assert setting.wire.wait_for(lambda seen: seen[9] == PROTOCOL) == packet


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "wrong checksum": {"chksum": 0xBEEF},
    "wrong length": {"len": 4000},
    "no identification": {"id": 0},
    "no source": {"src": "0.0.0.0"},
    "IHL below 5": {"ihl": 4},
    "IHL beyond the packet": {"ihl": 15},
    "version 6": {"version": 6},
    "reserved flag": {"flags": "evil"},
    "TTL 0": {"ttl": 0},
}


@pytest.mark.parametrize("fields", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_exact_sends_what_contradicts_itself(setting: Setting, fields: dict[str, Any]) -> None:
    packet = datagram(setting, **fields)
    setting.interface.send(packet, "exact")
    assert setting.wire.wait_for(lambda seen: seen.endswith(b"hello")) == packet


def test_the_chosen_method_delivers(setting: Setting) -> None:
    method = setting.interface.choose_method(setting.destination)
    setting.interface.send(datagram(setting), method)
    setting.wire.wait_for(lambda seen: seen[9:10] + seen[20:22] == b"\x01\x03\x02")  # its host has dealt with it


def test_own_addresses_go_through_the_kernel(setting: Setting) -> None:
    assert setting.interface.choose_method(setting.source) == "kernel"
    assert setting.interface.choose_method("127.0.0.1") == "kernel"


def test_own_addresses_are_their_own_source(setting: Setting) -> None:
    interface = setting.interface
    assert interface.is_own(setting.source) and interface.is_own("127.0.0.1")
    assert interface.is_own(setting.destination) == (setting.far.name == interface.name)
    assert (interface.source_for(setting.source), interface.source_for("127.0.0.9")) == (setting.source, "127.0.0.1")


def test_a_neighbour_is_reached_by_it_without_a_router(setting: Setting) -> None:
    assert setting.interface.route(setting.destination) == Route(setting.interface.name, setting.source)


def test_the_route_to_an_own_address_comes_from_it(setting: Setting) -> None:
    for address in (setting.source, "127.0.0.1"):
        route = setting.interface.route(address)
        assert route is not None and (route.source, route.router) == (address, "")


def test_what_is_far_goes_to_a_neighbour_if_anywhere(setting: Setting) -> None:
    route = setting.interface.route("203.0.113.1")
    assert (route is not None) == (setting.interface.host in ("client", "server")), "they alone have a gateway"
    if route is not None:
        assert (route.interface, route.source) == (setting.interface.name, setting.source)
        assert setting.interface.route(route.router) == Route(route.interface, route.source)


def test_tcpdump_gets_there_or_it_is_said_why_not(setting: Setting) -> None:
    words = setting.interface.tcpdump()
    if not words:
        assert setting.interface.no_tcpdump
        return
    if not shutil.which("tcpdump"):
        go_without("needs tcpdump")
    done = subprocess.run([*words, "-L"], capture_output=True, text=True)  # it opens the interface, and lists
    assert f"Data link types for {setting.interface.name}" in done.stdout + done.stderr


def test_it_is_of_its_network_alone(setting: Setting) -> None:
    assert all(setting.network.has(each) for each in setting.network.interfaces())
    owners = [network.name for network in make_networks() if network.has(setting.interface)]
    assert owners == [setting.network.name]
    assert setting.interface.full_name == setting.interface.full_name_of(setting.interface.name)


def test_the_programs_of_this_machine_reach_what_is_not_private(setting: Setting) -> None:
    assert setting.network.private != setting.interface.of_this_machine
    way = setting.network.way_out(setting.destination)
    assert (way.name if way is not None else "") == ("" if setting.network.private else setting.interface.name)


def test_hosts_that_are_started_afresh_know_nothing(setting: Setting) -> None:
    network = setting.network
    if not network.restartable:
        with pytest.raises(NotImplementedError):
            network.restart()
        return

    def asks_who_has() -> bool:
        """Whether ARP asks when a packet is sent."""
        with setting.interface.open_capture() as capture:
            setting.interface.send(datagram(setting), "exact")
            frames = read_capture(capture, b"hello")
        return any(frame[12:14] == b"\x08\x06" for frame in frames)

    assert [asks_who_has(), asks_who_has()] == [True, False]
    links = network.links()
    mtu = setting.interface.mtu
    for link in links:
        network.set_link(replace(link, mtu=300))
    network.restart()
    assert network.links() == links and setting.interface.mtu == mtu
    assert [asks_who_has(), asks_who_has()] == [True, False]


def test_what_is_no_header_is_not_sent(setting: Setting) -> None:
    for method in ("exact", "kernel"):
        with pytest.raises(SendError, match="a header of 20 bytes; this one has 19 bytes"):
            setting.interface.send(bytes(19), method)


def test_nobody_listens_so_the_kernel_objects(setting: Setting) -> None:
    setting.interface.send(datagram(setting), "kernel")
    ping(setting)
    assert len(unreachables(setting.wire)) == 1


def test_a_protocol_socket_hears_and_the_kernel_is_quiet(setting: Setting) -> None:
    with listening(setting) as protocol:
        setting.interface.send(datagram(setting), "kernel")
        ping(setting)
        heard = protocol.recv()
    assert isinstance(heard, IP)
    assert bytes(heard) == datagram(setting)
    assert unreachables(setting.wire) == []


def test_a_discarding_protocol_socket_never_fills(setting: Setting) -> None:
    with listening(setting, discarding=True) as protocol:
        for _ in range(6):  # an unread one that hears is full after some 250
            for _ in range(100):
                setting.interface.send(datagram(setting), "kernel")
            ping(setting)
        assert protocol.select([protocol], 0) == []
    assert unreachables(setting.wire) == []


class Fixed(Network):
    """A network of the given interfaces."""

    def __init__(self, *interfaces: Interface) -> None:
        self._interfaces = list(interfaces)

    def interfaces(self) -> list[Interface]:
        return self._interfaces

    def close(self) -> None:
        pass


def test_an_unknown_interface_is_answered_with_the_known_ones(setting: Setting) -> None:
    network = Fixed(setting.interface)
    name = setting.interface.full_name.partition(":")[2] or setting.interface.name
    assert network.find(setting.interface.name) is network.find(name) is setting.interface
    with pytest.raises(UnknownInterface) as problem:
        network.find("eth9")
    assert str(problem.value) == f'There is no interface "eth9"; there are: {name}.'


@pytest.mark.parametrize(
    ("addresses", "destination", "source"),
    [
        ((), "10.0.0.1", "0.0.0.0"),
        (("10.0.0.1/8", "10.1.0.1/16", "192.0.2.1/24"), "10.1.2.3", "10.1.0.1"),
        (("10.0.0.1/8", "10.1.0.1/16", "192.0.2.1/24"), "10.2.2.3", "10.0.0.1"),
        (("10.0.0.1/8", "10.1.0.1/16", "192.0.2.1/24"), "203.0.113.5", "10.0.0.1"),
    ],
)
def test_the_source_is_the_nearest_address(addresses: tuple[str, ...], destination: str, source: str) -> None:
    interface = KernelInterface("x0", "up", tuple(map(IPv4Interface, addresses)), 1, 1500)
    assert interface.source_for(destination) == source
