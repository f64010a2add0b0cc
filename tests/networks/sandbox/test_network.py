"""The sandbox: that its hosts follow the plan, how its links are set, and what is not sent."""

import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP

from ipl_tui.networks.interface import Ability, Interface, LinkError, Method
from ipl_tui.networks.sandbox import network as module
from ipl_tui.networks.sandbox.network import SandboxNetwork
from ipl_tui.networks.sandbox.process import SandboxError
from ipl_tui.networks.topology import PATH, SERVER, Link
from tests.conftest import Children
from tests.networks.sandbox.common import (
    CLIENT,
    METHODS,
    ROUTER,
    SERVER_ADDRESS,
    datagram,
    is_icmp,
    read,
    refusal,
)


def test_the_interfaces_are_those_of_the_plan(sandbox: SandboxNetwork, children: Children) -> None:
    interfaces = sandbox.interfaces()
    assert [i.full_name for i in interfaces] == [
        "sandbox:client/c0",
        "sandbox:router/r0",
        "sandbox:router/r1",
        "sandbox:server/s0",
    ]
    assert [i.addresses for i in interfaces] == [(port.address,) for port in PATH]
    assert [i.mtu for i in interfaces] == [1500, 1500, 576, 576]
    assert [i.destination for i in interfaces] == [SERVER_ADDRESS, CLIENT, SERVER_ADDRESS, CLIENT]
    assert sandbox.path() == tuple(interfaces)
    assert sandbox.responder_at(interfaces[0]).name == SERVER.name
    assert sandbox.private
    assert children() == [], "nothing runs before it is used"


def test_a_packet_passes_the_path(sandbox: SandboxNetwork) -> None:
    """As a frame and through a raw socket: there and back, on every interface, with the plan's hardware addresses."""
    hardware = {port.name: ":".join(f"{byte:02x}" for byte in port.hardware_address) for port in PATH}
    with ExitStack() as leaving:
        captures = [leaving.enter_context(interface.open_capture("icmp")) for interface in sandbox.path()]
        for method in METHODS:
            sandbox.find("c0").send(bytes(IP(src=CLIENT, dst=SERVER_ADDRESS) / ICMP(id=9)), method)
            seen = [read(capture, is_icmp(0, 0)) for capture in captures]
            assert [[frame[IP].ttl for frame in frames] for frames in seen] == [[64, 63], [64, 63], [63, 64], [63, 64]]
            there = [(frames[0].src, frames[0].dst) for frames in seen]
            assert there == [(hardware["c0"], hardware["r0"])] * 2 + [(hardware["r1"], hardware["s0"])] * 2


def test_every_packet_gets_its_icmp_error(client: Interface) -> None:
    """A thousand at once, where the kernel's own settings let some 50 through."""
    with client.open_capture("icmp") as capture:
        for _ in range(1000):
            client.send(datagram(SERVER_ADDRESS, ttl=1), "exact")
        errors = read(capture, is_icmp(11, 0), 1000)
    assert {frame[IP].src for frame in errors} == {ROUTER}


def test_a_spoofed_source_passes_the_router(sandbox: SandboxNetwork) -> None:
    with sandbox.find("c0").open_capture("ip src 192.0.2.7") as capture:
        sandbox.find("s0").send(datagram(CLIENT, source="192.0.2.7"), "exact")
        assert [frame[IP].ttl for frame in read(capture, lambda frame: IP in frame)] == [63]


def test_the_hosts_have_no_ipv6(sandbox: SandboxNetwork) -> None:
    for interface in sandbox.path():
        interface.open_protocol(253).close()  # the helper is in that host now
        assert Path(f"/proc/{sandbox.helper().pid}/net/if_inet6").read_text() == ""


def test_setting_a_link(sandbox: SandboxNetwork) -> None:
    client, link = sandbox.find("c0"), sandbox.links()[1]
    packet = datagram(SERVER_ADDRESS, bytes(480), flags="DF")
    sandbox.set_link(replace(link, mtu=400))
    with client.open_capture("icmp") as capture:
        client.send(packet, "exact")
        (too_big,) = read(capture, is_icmp(3, 4))
        assert too_big[ICMP].nexthopmtu == 400

        sandbox.set_link(replace(link, mtu=450))
        assert [interface.mtu for interface in sandbox.path()] == [1500, 1500, 450, 450]
        assert sandbox.links() == (Link(("c0", "r0"), 1500, None, None), Link(("r1", "s0"), 450, None, None))
        client.send(packet, "exact")
        (too_big,) = read(capture, is_icmp(3, 4))
        assert too_big[ICMP].nexthopmtu == 450
        sentence = "The packet has 451 bytes and s0 takes 450 at most (its MTU)."
        for method in METHODS:
            assert refusal(sandbox.find("s0"), datagram(CLIENT, bytes(431)), method) == sentence


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        (Link(("c0", "s0")), 'There is no link "c0-s0"; there are c0-r0 and r1-s0.'),
        (Link(("r1", "s0"), mtu=67, latency=None, loss=None), "The MTU is 68 to 65,535 bytes."),
        (Link(("r1", "s0"), latency=0.1, loss=None), "The latency can't be set here, only the MTU."),
    ],
)
def test_links_that_cannot_be_set(link: Link, sentence: str) -> None:
    network = SandboxNetwork()
    with pytest.raises(LinkError) as problem:
        network.set_link(link)
    assert str(problem.value) == sentence


@pytest.mark.parametrize("mtu", [68, 65_535])
def test_the_smallest_and_the_largest_mtu(sandbox: SandboxNetwork, mtu: int) -> None:
    sandbox.helper()
    for link in sandbox.links():
        sandbox.set_link(replace(link, mtu=mtu))
    client = sandbox.find("c0")
    with sandbox.find("s0").open_capture("ip proto 253") as capture:
        client.send(datagram(SERVER_ADDRESS, bytes(mtu - 20)), "exact")
        assert [len(frame) for frame in read(capture, lambda frame: IP in frame)] == [14 + mtu]


def test_the_reassembly_timeout(sandbox: SandboxNetwork) -> None:
    with closing(SandboxNetwork(reassembly_timeout=0.9)) as network:
        client = network.find("c0")
        with client.open_capture("icmp") as capture:
            client.send(datagram(SERVER_ADDRESS, bytes(8), flags="MF"), "exact")
            (exceeded,) = read(capture, is_icmp(11, 1))
    assert exceeded[IP].src == SERVER_ADDRESS


REFUSALS: dict[str, tuple[str, Method, bytes, str]] = {
    "no route": (
        "r0",
        "exact",
        datagram("203.0.113.1"),
        "No route to 203.0.113.1 on r0: send from another interface.",
    ),
    "not through this port": (
        "r0",
        "exact",
        datagram(SERVER_ADDRESS),
        "No route to 10.0.2.20 on r0: send from another interface.",
    ),
    "nobody": ("c0", "exact", datagram("10.0.1.99"), "Nobody at 10.0.1.99 answered ARP on c0."),
    "own address": (
        "r0",
        "exact",
        datagram("10.0.2.1"),
        "10.0.2.1 is the router's own address and no frame reaches it: kernel delivers it.",
    ),
    "IHL 4": (
        "c0",
        "kernel",
        bytes(IP(src=CLIENT, dst=SERVER_ADDRESS, ihl=4) / b"hello"),
        "The kernel refuses this header (IHL is below 5); exact sends it as it is.",
    ),
}


@pytest.mark.parametrize(("name", "method", "packet", "sentence"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_is_not_sent_says_why(
    sandbox: SandboxNetwork, name: str, method: Method, packet: bytes, sentence: str
) -> None:
    assert refusal(sandbox.find(name), packet, method) == sentence


@pytest.mark.parametrize(
    ("destination", "link_address"),
    [("10.0.1.255", "ff:ff:ff:ff:ff:ff"), ("255.255.255.255", "ff:ff:ff:ff:ff:ff"), ("224.1.2.3", "01:00:5e:01:02:03")],
)
def test_broadcast_and_multicast_ask_nobody(client: Interface, destination: str, link_address: str) -> None:
    with client.open_capture() as capture:
        client.send(datagram(destination), "exact")
        (frame,) = read(capture, lambda frame: True)
    assert (frame.dst, bytes(frame[IP])) == (link_address, datagram(destination))


def test_a_neighbour_is_asked_for_once(client: Interface) -> None:
    with client.open_capture() as capture:
        for _ in range(3):
            client.send(datagram(ROUTER), "exact")
        frames = read(capture, is_icmp(3, 2), 3)
    asked = [frame for frame in frames if ARP in frame and frame[ARP].op == 1 and frame[ARP].psrc == CLIENT]
    assert [frame[ARP].pdst for frame in asked] == [ROUTER]


@pytest.mark.parametrize(("destination", "holder"), [(ROUTER, "r0"), ("10.0.2.1", "r1")])
def test_own_addresses_are_reached_from_every_interface(sandbox: SandboxNetwork, destination: str, holder: str) -> None:
    packet = datagram(destination, source=ROUTER)
    for interface in (sandbox.find("r0"), sandbox.find("r1")):
        assert interface.choose_method(destination) == interface.choose_method("127.0.0.1") == "kernel"
        with sandbox.find(holder).open_protocol(253) as protocol:
            interface.send(packet, "kernel")
            assert bytes(protocol.recv() or b"") == packet


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINUX", False)
    for interface in SandboxNetwork().interfaces():
        assert interface.obstacles() == ["The sandbox needs Linux: the simulated network is the same without it."]


def test_what_is_forbidden_is_asked_again_after_a_while(
    sandbox: SandboxNetwork, monkeypatch: pytest.MonkeyPatch, children: Children
) -> None:
    tries: list[object] = []
    now = 100.0

    def refuse(*plan: object) -> None:
        tries.append(plan)
        raise SandboxError("forbidden")

    network = SandboxNetwork()
    monkeypatch.setattr("ipl_tui.networks.sandbox.network.time.monotonic", lambda: now)
    with monkeypatch.context() as patch:
        patch.setattr(module, "HelperProcess", refuse)
        for interface in network.interfaces():
            assert interface.can_capture() == interface.can_send() == Ability(False, "forbidden")
        assert len(tries) == 1
        now += 2.5
        assert network.ability() == Ability(False, "forbidden")
        assert len(tries) == 2
    now += 2.5
    assert network.ability() == Ability(True)
    monkeypatch.setattr(module, "HelperProcess", refuse)
    now += 1000
    assert network.ability() == Ability(True)
    assert len(tries) == 2
    assert children() == []


def test_listing_asking_and_setting_load_neither_scapy_nor_textual(sandbox: SandboxNetwork) -> None:
    program = """if True:
        import sys
        from dataclasses import replace
        from ipl_tui.networks.sandbox import SandboxNetwork
        network = SandboxNetwork()
        for interface in network.interfaces():
            interface.can_capture(), interface.can_send(), interface.choose_method("10.0.0.1")
        network.set_link(replace(network.links()[0], mtu=100))
        print([name for name in ("scapy", "textual") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
