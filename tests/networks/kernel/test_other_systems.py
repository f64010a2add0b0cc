"""What differs where there is no Linux, the course's Mac above all: stand-ins for its sockets and its interfaces.

Nothing here was tried on one. What it does follows ip(4), bpf(4) and netinet/in.h of macOS.
"""

from __future__ import annotations

import errno
import socket
import sys
from ipaddress import IPv4Interface
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.config import conf
from scapy.layers.l2 import Ether

from ipl_tui.capture import errors, filters
from ipl_tui.capture.errors import CaptureError, capture_remedy, permission_remedy
from ipl_tui.diagnosis import checks, wireshark
from ipl_tui.diagnosis.checks import check_firewall, check_interfaces, check_permission, check_privileges
from ipl_tui.exchange import asyncio_engine
from ipl_tui.networks import socket_interface
from ipl_tui.networks.interface import Ability, Route, SendError
from ipl_tui.networks.kernel import network as kernel
from ipl_tui.networks.kernel import routes
from ipl_tui.networks.kernel.host_order import HostOrderSocket, for_host, from_host
from ipl_tui.networks.kernel.network import IP_BOUND_IF, KernelInterface, KernelNetwork
from ipl_tui.networks.kernel.routes import route_to
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.dissect import summarise
from ipl_tui.packets.link_layer import ETHERNET, link_header, network_layer
from ipl_tui.privileges import Privileges
from tests.fake_interface import FakeInterface

NULL = 0
"""libpcap's link type of lo0."""

EN0 = KernelInterface("en0", "up", (IPv4Interface("192.168.1.5/24"),), ETHERNET, 1500, b"\2\0\0\0\0\5", asks_arp=True)
LO0 = KernelInterface("lo0", "up", (IPv4Interface("127.0.0.1/8"),), None, 16384, destination="127.0.0.1", loopback=True)
PACKET = craft(Draft(src="192.168.1.5", dst="192.168.1.9", df=1, payload=b"ClientMessage")).packet


class FakeSocket:
    """Writes down what is asked of it."""

    made: list[FakeSocket]

    def __init__(self, *kind: int) -> None:
        self.kind = kind
        self.options: list[tuple[int, int, Any]] = []
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.bound: tuple[str, int] | None = None
        self.arriving: list[bytes] = []
        self.made.append(self)

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self.options.append((level, option, value))

    def bind(self, address: tuple[str, int]) -> None:
        self.bound = address

    def sendto(self, packet: bytes, address: tuple[str, int]) -> int:
        self.sent.append((packet, address))
        return len(packet)

    def recv(self, size: int) -> bytes:
        return self.arriving.pop(0)

    def close(self) -> None:
        pass


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[FakeSocket]:
    """What raw sockets are made, in place of real ones."""
    FakeSocket.made = []
    monkeypatch.setattr(socket, "socket", FakeSocket)
    monkeypatch.setattr(socket, "if_nametoindex", {"en0": 4, "lo0": 1}.__getitem__)
    return FakeSocket.made


def be(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """Let the program take this machine for another."""
    monkeypatch.setattr(sys, "platform", system)
    for module in (kernel, socket_interface):
        monkeypatch.setattr(module, "LINUX", False)


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, "darwin")


def on_a_mac(packet: bytes) -> bytes:
    """The packet with Total Length, flags and Fragment Offset as a little-endian host counts."""
    assert sys.byteorder == "little"
    return packet[:2] + packet[3:1:-1] + packet[4:6] + packet[7:5:-1] + packet[8:]


class TestRawSockets:
    def test_what_is_sent_has_two_fields_in_host_order(self, mac: None, sockets: list[FakeSocket]) -> None:
        interface = KernelInterface("en0", "up", EN0.addresses, ETHERNET, 1500)
        interface.send(PACKET, "kernel")
        (raw,) = sockets
        assert raw.sent == [(on_a_mac(PACKET), ("192.168.1.9", 0))]
        assert (socket.IPPROTO_IP, socket.IP_HDRINCL, 1) in raw.options
        assert (socket.IPPROTO_IP, IP_BOUND_IF, 4) in raw.options
        assert not [option for level, option, _ in raw.options if option == getattr(socket, "SO_BINDTODEVICE", 25)
                    and level == socket.SOL_SOCKET]  # fmt: skip

    def test_the_socket_engine_sends_and_receives_as_on_the_wire(self, mac: None, sockets: list[FakeSocket]) -> None:
        raw = EN0.open_raw(253)
        raw.sendto(PACKET, ("192.168.1.9", 0))
        (inner,) = sockets
        assert inner.sent == [(on_a_mac(PACKET), ("192.168.1.9", 0))]
        arrived = on_a_mac(PACKET[:2] + (len(PACKET) - 20).to_bytes(2) + PACKET[4:])  # without the header's length
        inner.arriving = [arrived, b"short"]
        assert (raw.recv(65535), raw.recv(65535)) == (PACKET, b"short")

    def test_on_linux_nothing_is_turned(self, sockets: list[FakeSocket]) -> None:
        assert not isinstance(kernel.KernelInterface("en0", "up", (), 1, 1500).open_raw(253), HostOrderSocket)

    @given(st.binary(min_size=20, max_size=100))
    def test_any_packet_that_says_its_own_length_comes_back(self, packet: bytes) -> None:
        packet = packet[:2] + len(packet).to_bytes(2) + packet[4:]
        assert from_host(for_host(packet)) == packet

    def test_elsewhere_it_is_bound_to_its_address(
        self, monkeypatch: pytest.MonkeyPatch, sockets: list[FakeSocket]
    ) -> None:
        be(monkeypatch, "freebsd14")
        KernelInterface("en0", "up", EN0.addresses, ETHERNET, 1500).send(PACKET, "kernel")
        (raw,) = sockets
        assert (raw.bound, raw.sent[0][0]) == (("192.168.1.5", 0), PACKET)

    def test_a_refused_socket_says_what_to_do(self, mac: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*kind: int) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(socket, "socket", refuse)
        assert EN0.can_send() == Ability(False, "Sending on en0 needs permission: run with sudo.")


class TestFrames:
    def test_exact_frames_go_through_bpf(self, mac: None, monkeypatch: pytest.MonkeyPatch) -> None:
        sent: list[bytes] = []

        class Link:
            def __init__(self, iface: str, promisc: bool) -> None:
                assert (iface, promisc) == ("en0", False)

            def __enter__(self) -> Link:
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def send(self, frame: Ether) -> None:
                sent.append(bytes(frame))

        monkeypatch.setattr(conf, "L2socket", Link)
        packet = PACKET[:16] + bytes([192, 168, 1, 255]) + PACKET[20:]
        EN0.send(packet, "exact")
        assert sent == [b"\xff" * 6 + EN0.hardware_address + b"\x08\x00" + packet]

    def test_exact_is_refused_on_lo0(self, mac: None) -> None:
        with pytest.raises(SendError, match=r"lo0 is not Ethernet: here the kernel method is the one that sends\."):
            KernelInterface("lo0", "up", (), NULL, 16384).send(PACKET, "exact")
        assert LO0.choose_method("203.0.113.1") == "kernel"

    def test_whether_capturing_is_permitted_is_found_out_by_trying(
        self, mac: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: KernelInterface, filter: str = "") -> None:
            raise CaptureError(f"Capturing on {self.name} needs permission: {capture_remedy()}.")

        monkeypatch.setattr(KernelInterface, "open_capture", refuse)
        ability = EN0.can_capture()
        assert ability == Ability(
            False,
            "Capturing on en0 needs permission: run with sudo, or let your user read /dev/bpf* (Wireshark's ChmodBPF "
            "does that).",
        )
        finding = check_permission(FakeInterface("en0", ability=ability))
        assert (finding.verdict, finding.text) == ("fails", "Capturing on en0 needs permission")
        assert finding.remedy.startswith("run with sudo, or let your user read /dev/bpf*")

    def test_what_the_device_is_not_asked_for_is_taken_for_granted(self, mac: None) -> None:
        assert (EN0._is_up_now(), EN0._mtu_now()) == (True, 1500)

    @pytest.mark.parametrize("family", [b"\x02\0\0\0", b"\0\0\0\x02"], ids=["little-endian", "big-endian"])
    def test_null_frames_of_lo0_have_their_family_in_either_order(self, family: bytes) -> None:
        frame = family + PACKET
        assert frame[network_layer(frame, NULL) :] == PACKET
        row = summarise(frame, NULL)
        assert (row.source, row.destination, row.info) == ("192.168.1.5", "192.168.1.9", "ClientMessage")

    def test_a_filter_is_tried_on_frames_as_lo0_has_them(self) -> None:
        header = link_header(NULL)
        assert header is not None
        assert filters.compile_filter("ip proto 253", NULL).matches(header + PACKET)
        assert not filters.compile_filter("ip6", NULL).matches(header + PACKET)

    def test_only_linux_filters_sockets(self, mac: None) -> None:
        with pytest.raises(filters.FilterError, match="only Linux attaches filters to sockets"):
            filters.attach_reject_all(None)  # type: ignore[arg-type]


class TestInterfaces:
    @pytest.fixture(autouse=True)
    def interfaces(self, mac: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def stats(flags: str, mtu: int) -> SimpleNamespace:
            return SimpleNamespace(isup=True, mtu=mtu, flags=flags)

        def entry(family: int, address: str, netmask: str | None = None) -> SimpleNamespace:
            return SimpleNamespace(family=family, address=address, netmask=netmask, broadcast=None)

        listed = {
            "lo0": stats("up,loopback,running,multicast", 16384),
            "en0": stats("up,broadcast,running,simplex,multicast", 1500),
        }
        addresses = {
            "lo0": [entry(socket.AF_INET, "127.0.0.1", "255.0.0.0"), entry(socket.AF_INET6, "::1")],
            "en0": [
                entry(socket.AF_INET, "192.168.1.5", "255.255.255.0"),
                entry(psutil.AF_LINK, "f0:18:98:00:00:05"),
            ],
        }
        monkeypatch.setattr(psutil, "net_if_stats", lambda: listed)
        monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
        monkeypatch.setattr(conf, "loopback_name", "lo0")

    def test_they_are_listed_without_asking_a_device(self) -> None:
        lo0, en0 = KernelNetwork().interfaces()
        assert isinstance(lo0, KernelInterface) and isinstance(en0, KernelInterface)
        assert (lo0.loopback, lo0.destination, lo0.linktype, lo0.asks_arp) == (True, "127.0.0.1", None, False)
        assert (en0.loopback, en0.destination, en0.linktype, en0.asks_arp) == (False, "", ETHERNET, True)
        assert en0.hardware_address == bytes.fromhex("f01898000005")

    def test_what_is_for_the_machine_itself_goes_by_lo0(self) -> None:
        network = KernelNetwork()
        en0 = network.find("en0")
        assert network.way_to("192.168.1.5", en0).name == "lo0"
        assert network.way_to("192.168.1.9", en0) is en0
        assert (en0.source_for("192.168.1.5"), en0.choose_method("192.168.1.5")) == ("192.168.1.5", "kernel")

    def test_the_route_is_asked_of_a_socket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routes, "ask_netlink", None)
        monkeypatch.setattr(routes, "ask_socket", lambda destination: Route("en0", "192.168.1.5"))
        assert route_to("192.168.1.9") == Route("en0", "192.168.1.5")
        assert routes.loopback_name() == "lo0"


class TestDiagnosis:
    def test_the_firewall_has_another_name(self, mac: None) -> None:
        (finding,) = check_firewall("", EN0)
        assert (finding.verdict, finding.remedy) == ("works", "sudo pfctl -s rules")
        assert "a Mac has pf, and the Application Firewall" in finding.text

    def test_of_other_systems_it_is_not_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        assert [(finding.text, finding.remedy) for finding in check_firewall("", EN0)] == [
            ("not looked at: rules are read on Linux only", "")
        ]

    def test_capabilities_are_linux_s(self, mac: None) -> None:
        assert check_privileges(Privileges(501, "anna", frozenset(), False)).text == "runs as anna (uid 501)"

    @pytest.mark.parametrize(
        ("state", "addresses", "remedy"), [("down", (), "switch it on"), ("up", (), "give it an address")]
    )
    def test_there_is_no_ip_command(self, mac: None, state: Any, addresses: tuple[()], remedy: str) -> None:
        assert check_interfaces(KernelInterface("en0", state, addresses, 1, 1500), []).remedy == remedy

    def test_the_remedies(self, mac: None, monkeypatch: pytest.MonkeyPatch) -> None:
        assert permission_remedy() == "run with sudo"
        monkeypatch.setattr(checks, "find_wireshark", lambda: "")
        assert checks.check_wireshark().remedy == "https://www.wireshark.org/download.html"
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        assert wireshark.has_screen()

    def test_no_sudo_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        assert wireshark.tcpdump_line(EN0, "ip") == "tcpdump -n -i en0 ip"
        assert errors.permission_remedy() == errors.capture_remedy() == "run with sudo"
        monkeypatch.setattr(filters, "pcapy", None)
        assert checks.check_libpcap().remedy == "install Npcap from https://npcap.com"
        asyncio_engine.allow_many_files()  # there is no such limit, nor a module that knows it
