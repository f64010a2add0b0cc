"""The kernel's interfaces where kernels differ from other networks: routes, ARP, what they refuse, who may."""

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import ARP, Ether

from ipl_tui.capture import sniffer
from ipl_tui.capture.errors import CaptureError
from ipl_tui.networks.interface import Interface, Method, SendError, UnknownInterface
from ipl_tui.networks.kernel import KernelNetwork
from tests.conftest import Pair, Wire, inside, run_ip, wait_until

METHODS: tuple[Method, ...] = ("exact", "kernel")


@pytest.fixture
def client(veth: Pair) -> Iterator[Interface]:
    """The client's end of the cable, seen by a thread in the client's namespace."""
    with inside(veth.client.namespace), closing(KernelNetwork().find("c0")) as interface:
        yield interface


@pytest.fixture
def server_wire(veth: Pair) -> Iterator[Wire]:
    with closing(Wire(veth.server.namespace, "s0")) as wire:
        yield wire


def datagram(destination: str, payload: bytes = b"hello", ihl: int | None = None, flags: str = "") -> bytes:
    return bytes(IP(src="10.0.1.10", dst=destination, proto=253, ihl=ihl, flags=flags) / payload)


def refusal(interface: Interface, packet: bytes, method: Method) -> str:
    with pytest.raises(SendError) as problem:
        interface.send(packet, method)
    return str(problem.value)


def is_running(namespace: str, name: str) -> bool:
    return "state UP" in run_ip("-n", namespace, "link", "show", name)


def test_states(veth: Pair) -> None:
    run_ip("-n", veth.client.namespace, "link", "add", "d0", "type", "veth", "peer", "name", "d1")
    run_ip("-n", veth.server.namespace, "link", "set", "s0", "down")
    with inside(veth.client.namespace):
        wait_until(lambda: KernelNetwork().find("c0").state != "up")
        states = {interface.name: interface.state for interface in KernelNetwork().interfaces()}
        down = KernelNetwork().find("d0")
    assert states == {"lo": "up", "c0": "no carrier", "d0": "down", "d1": "down"}
    for ability in (down.can_capture(), down.can_send()):
        assert (ability.possible, ability.reason) == (False, "d0 is down: bring it up first.")


def test_unknown_interface(veth: Pair) -> None:
    with (
        inside(veth.client.namespace),
        pytest.raises(UnknownInterface, match=r'no interface "eth7"; there are: lo, c0'),
    ):
        KernelNetwork().find("eth7")


REFUSALS: dict[str, tuple[Method, bytes, str]] = {
    "exact, MTU": (
        "exact",
        datagram("10.0.1.20", bytes(1481)),
        "The packet has 1,501 bytes and c0 takes 1,500 at most (its MTU).",
    ),
    "kernel, MTU": (
        "kernel",
        datagram("10.0.1.20", bytes(1481)),
        "The packet has 1,501 bytes and c0 takes 1,500 at most (its MTU).",
    ),
    "kernel, IHL 4": (
        "kernel",
        datagram("10.0.1.20", ihl=4),
        "The kernel refuses this header (IHL is below 5); exact sends it as it is.",
    ),
    "kernel, IHL 15": (
        "kernel",
        datagram("10.0.1.20", ihl=15),
        "The kernel refuses this header (IHL says 60 bytes, the packet has 25); exact sends it as it is.",
    ),
    "exact, no route": (
        "exact",
        datagram("10.9.9.9"),
        "No route to 10.9.9.9 on c0: send from another interface, or add a route.",
    ),
    "exact, own address": (
        "exact",
        datagram("10.0.1.10"),
        "10.0.1.10 is this machine's own address and no frame reaches it: kernel delivers it.",
    ),
    "exact, nobody": ("exact", datagram("10.0.1.99"), "Nobody at 10.0.1.99 answered ARP on c0."),
}


@pytest.mark.parametrize(("method", "packet", "sentence"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_is_not_sent_says_why(client: Interface, method: Method, packet: bytes, sentence: str) -> None:
    assert refusal(client, packet, method) == sentence


def test_a_path_mtu_that_was_learnt(client: Interface, veth: Pair) -> None:
    run_ip("-n", veth.client.namespace, "route", "add", "10.9.0.0/16", "via", "10.0.1.20", "mtu", "lock", "600")
    sentence = "The packet has 820 bytes, more than a router towards 10.9.9.9 said it takes."
    assert refusal(client, datagram("10.9.9.9", bytes(800), flags="DF"), "kernel") == sentence


@pytest.mark.parametrize("method", METHODS)
def test_the_interface_goes_down(client: Interface, veth: Pair, method: Method) -> None:
    client.send(datagram("10.0.1.20"), method)
    run_ip("-n", veth.client.namespace, "link", "set", "c0", "down")
    assert refusal(client, datagram("10.0.1.20"), method) == "c0 is down: bring it up first."


@pytest.mark.parametrize("method", METHODS)
def test_the_interface_is_removed_and_replaced(client: Interface, veth: Pair, method: Method) -> None:
    client.send(datagram("10.0.1.20"), method)
    run_ip("-n", veth.client.namespace, "link", "delete", "c0")
    assert refusal(client, datagram("10.0.1.20"), method) == "c0 is no longer there: choose another interface."
    with pytest.raises(SendError, match="c0 is no longer there"):
        client.open_protocol(253)
    with pytest.raises(CaptureError, match="c0"):
        client.open_capture()

    cable = ("type", "veth", "peer", "name", "s1", "netns", veth.server.namespace)
    run_ip("-n", veth.client.namespace, "link", "add", "c0", *cable)
    run_ip("-n", veth.client.namespace, "address", "add", "10.0.1.10/24", "dev", "c0")
    run_ip("-n", veth.client.namespace, "link", "set", "c0", "up")
    run_ip("-n", veth.server.namespace, "link", "set", "s1", "up")
    for namespace, name in ((veth.client.namespace, "c0"), (veth.server.namespace, "s1")):
        wait_until(partial(is_running, namespace, name))
    with closing(Wire(veth.server.namespace, "s1")) as wire:
        client.send(datagram("10.0.1.255"), method)  # broadcast: nobody needs to be asked for an address
        assert wire.wait_for(lambda packet: packet[9] == 253) == datagram("10.0.1.255")


def test_exact_goes_through_the_router_of_this_interface(client: Interface, veth: Pair, server_wire: Wire) -> None:
    run_ip("-n", veth.client.namespace, "route", "add", "10.9.0.0/16", "via", "10.0.1.20")
    client.send(datagram("10.9.9.9"), "exact")
    assert server_wire.wait_for(lambda packet: packet[9] == 253) == datagram("10.9.9.9")


@pytest.mark.parametrize(
    ("destination", "link_address"),
    [
        ("10.0.1.255", "ff:ff:ff:ff:ff:ff"),
        ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
        ("224.129.2.3", "01:00:5e:01:02:03"),
        ("239.255.255.255", "01:00:5e:7f:ff:ff"),
    ],
)
def test_broadcast_and_multicast_ask_nobody(client: Interface, veth: Pair, destination: str, link_address: str) -> None:
    with client.open_capture() as capture:
        client.send(datagram(destination), "exact")
        assert capture.wait(5)
        data, records = capture.recv_batch()
    frame = Ether(data[records[0][1] :][: records[0][2]])
    assert (frame.dst, bytes(frame[IP])) == (link_address, datagram(destination))


def test_a_neighbour_is_asked_for_once(client: Interface, veth: Pair, server_wire: Wire) -> None:
    with client.open_capture() as capture:
        for _ in range(3):
            client.send(datagram("10.0.1.20"), "exact")
        frames: list[Ether] = []
        while sum(IP in frame for frame in frames) < 3:
            assert capture.wait(5)
            data, records = capture.recv_batch()
            frames += [Ether(data[start : start + length]) for _, start, length, _ in records]
    asked = [frame for frame in frames if ARP in frame and frame[ARP].op == 1]
    assert [(frame[ARP].psrc, frame[ARP].pdst) for frame in asked] == [("10.0.1.10", "10.0.1.20")]


def test_the_kernels_own_neighbours_are_believed(client: Interface, veth: Pair) -> None:
    run_ip("-n", veth.client.namespace, "neighbour", "add", "10.0.1.77", "lladdr", "02:00:00:00:00:77", "dev", "c0")
    with client.open_capture() as capture:
        client.send(datagram("10.0.1.77"), "exact")
        assert capture.wait(5)
        data, _ = capture.recv_batch()
    assert Ether(data).dst == "02:00:00:00:00:77"


def test_own_addresses_are_reached_from_every_interface(client: Interface, veth: Pair) -> None:
    loopback = KernelNetwork().find("lo")
    with closing(Wire(veth.client.namespace, "lo")) as wire, closing(loopback):
        for interface, destination in ((client, "127.0.0.1"), (client, "10.0.1.10"), (loopback, "10.0.1.10")):
            holder = client if destination == "10.0.1.10" else loopback
            with holder.open_protocol(253) as protocol:
                interface.send(datagram(destination), interface.choose_method(destination))
                wire.wait_for(lambda packet: packet[9] == 253)
                assert bytes(protocol.recv() or b"") == datagram(destination)


def test_exact_on_a_tunnel_has_no_link_header(veth: Pair) -> None:
    if not Path("/dev/net/tun").exists():
        pytest.skip("needs /dev/net/tun")
    with inside(veth.client.namespace), open("/dev/net/tun", "r+b", buffering=0) as tunnel:
        fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH22x", b"t0", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
        run_ip("-n", veth.client.namespace, "address", "add", "10.0.7.1/24", "dev", "t0")
        run_ip("-n", veth.client.namespace, "link", "set", "t0", "up")
        with closing(KernelNetwork().find("t0")) as interface:
            assert interface.linktype_name == "raw IP"
            interface.send(datagram("10.0.7.9"), "exact")
            assert tunnel.read(2000) == datagram("10.0.7.9")


def test_without_libpcap_scapys_socket_captures(client: Interface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipl_tui.capture.filters.pcapy", None)
    with client.open_capture() as capture:
        assert isinstance(capture, sniffer.FrameSocket)
        client.send(datagram("10.0.1.255"), "exact")
        assert capture.wait(5)
        assert capture.recv_batch().data[14:] == datagram("10.0.1.255")
    with pytest.raises(CaptureError, match=r"Cannot capture on c0: .* need libpcap"):
        client.open_capture("ip proto 251")  # one that nobody has compiled yet


@pytest.mark.anywhere
def test_an_ordinary_user_is_told_the_truth(veth: Pair) -> None:
    """A child without privileges asks, and tries: what it is told is what happens."""
    with inside(veth.client.namespace):
        interface = KernelNetwork().find("c0")
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                said = [os.path.realpath(sys.executable)]  # may not see as far as root does
                said += [interface.can_capture().reason, interface.can_send().reason]
                with pytest.raises(CaptureError) as not_captured:
                    interface.open_capture()
                with pytest.raises(SendError) as not_heard:
                    interface.open_protocol(253)
                said += [str(not_captured.value), str(not_heard.value)]
                said += [refusal(interface, datagram("10.0.1.20"), method) for method in METHODS]
                os.write(writing, json.dumps(said).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading, encoding="utf-8") as report:
            python, *said = json.load(report)
        os.waitpid(child, 0)
    remedy = f"run with sudo, or give Python the capability: sudo setcap cap_net_raw+ep {python}."
    doing = ["Capturing", "Sending", "Capturing", "Listening", "Sending", "Sending"]
    assert said == [f"{each} on c0 needs permission: {remedy}" for each in doing]


def test_listing_and_asking_load_neither_scapy_nor_textual() -> None:
    program = """if True:
        import sys
        from ipl_tui.networks.kernel import KernelNetwork
        for interface in KernelNetwork().interfaces():
            interface.can_capture(), interface.can_send(), interface.choose_method("10.0.0.1")
        print([name for name in ("scapy", "textual") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_for_the_machine_itself_goes_by_loopback(client: Interface, veth: Pair) -> None:
    run_ip("-n", veth.client.namespace, "link", "add", "d0", "type", "veth", "peer", "name", "d1")
    run_ip("-n", veth.client.namespace, "address", "add", "10.5.0.1/24", "dev", "d0")
    network = KernelNetwork()
    for own, source in (("10.0.1.10", "10.0.1.10"), ("10.5.0.1", "10.5.0.1"), ("127.0.0.5", "127.0.0.1")):
        for interface in (client, network.find("d0"), network.find("lo")):
            assert interface.is_own(own)
            assert interface.source_for(own) == source
            assert network.way_to(own, interface).name == "lo"
    for other in ("10.0.1.20", "10.0.1.255", "10.5.0.255", "203.0.113.1"):
        assert not client.is_own(other)
        assert network.way_to(other, client) is client
    assert client.source_for("10.0.1.20") == "10.0.1.10"


def test_the_machine_it_runs_on_has_its_loopback() -> None:
    names = {name for _, name in socket.if_nameindex()}
    interfaces = {interface.name: interface for interface in KernelNetwork().interfaces()}
    assert set(interfaces) == names
    (loopback,) = (each for each in interfaces.values() if each.destination == "127.0.0.1")
    assert loopback.choose_method("203.0.113.1") == "kernel"
