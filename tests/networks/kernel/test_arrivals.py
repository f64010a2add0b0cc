"""What is heard by capturing: what a host takes in, whole and once, and also what its kernel hands to no socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.config import conf
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import CookedLinux, Ether, Loopback
from scapy.packet import NoPayload, Packet, Raw
from scapy.supersocket import SuperSocket

from ipl_tui.capture.filters import attach_arrivals, attach_protocol
from ipl_tui.networks.interface import SendError
from ipl_tui.networks.kernel import KernelInterface, KernelNetwork, arrivals
from ipl_tui.networks.kernel import network as kernel
from ipl_tui.networks.kernel.arrivals import ArrivalSocket, ArrivalSource, WholePacket, take_in
from ipl_tui.networks.reassembly import cut
from ipl_tui.packets.craft import Draft, craft
from tests.conftest import Pair, inside, run_ip, wait_until

REQUEST = Draft(src="10.0.1.10", dst="10.0.1.20", payload=b"ClientMessage")
PACKET = craft(REQUEST).packet
MAC = bytes.fromhex("020000000001")


class GivenOrder(SuperSocket):
    """A tap that gives the frames it is given."""

    nonblocking_socket = True

    def __init__(self, *frames: Packet) -> None:
        self.frames = list(frames)

    def recv_raw(self, x: int = 65535) -> tuple[type[Packet] | None, bytes | None, float | None]:
        if not self.frames:
            return None, None, None
        frame = self.frames.pop(0)
        return type(frame), bytes(frame), None

    @staticmethod
    def select(sockets: list[SuperSocket], remain: float | None = None) -> list[SuperSocket]:
        return [each for each in sockets if isinstance(each, GivenOrder) and each.frames]

    def close(self) -> None:
        pass


def heard(*doors: ArrivalSource) -> list[bytes]:
    """What a socket with these doors gives until its taps are empty."""
    listening = ArrivalSocket(doors)
    packets = []
    while ready := listening.select([listening], 0):
        packets += [packet for each in ready if (packet := each.recv_raw()[1])]
    return packets


DISCARDED: dict[str, dict[str, Any]] = {
    "version": {"version": 6},
    "IHL below 5": {"ihl": 4},
    "IHL beyond Total Length": {"ihl": 15},
    "Total Length below the header's": {"len": 19},
    "Total Length beyond the packet": {"len": 34},
    "checksum": {"chksum": 0x1234},
}


@pytest.mark.parametrize("wrong", DISCARDED.values(), ids=DISCARDED)
def test_what_a_host_discards_is_not_taken_in(wrong: dict[str, Any]) -> None:
    assert take_in(PACKET) == PACKET
    assert take_in(craft(Draft(**{**vars(REQUEST), **wrong})).packet) == b""


def test_padding_is_cut_off() -> None:
    assert take_in(PACKET + bytes(13)) == PACKET


@given(st.binary(max_size=100))
def test_any_bytes_are_taken_in_or_not(data: bytes) -> None:
    assert data.startswith(take_in(data))


LINKS = {
    "Ethernet, padded": (Ether(dst="02:00:00:00:00:01", type=0x0800), bytes(13), True),
    "Ethernet, broadcast, as Scapy sends on lo": (Ether(dst="ff:ff:ff:ff:ff:ff", type=0x0800), b"", True),
    "Ethernet, to another": (Ether(dst="02:00:00:00:00:02", type=0x0800), b"", False),
    "no IP": (Ether(dst="02:00:00:00:00:01", type=0x0806), b"", False),
    "lo0 of macOS, family 2": (Loopback(type=2), b"", True),
    "Linux cooked": (CookedLinux(proto=0x0800), b"", True),
    "no link header": (None, b"", True),
}


@pytest.mark.parametrize(("link", "padding", "is_heard"), LINKS.values(), ids=LINKS)
def test_the_packet_is_found_behind_any_link_header(link: Packet | None, padding: bytes, is_heard: bool) -> None:
    frame = IP(PACKET) if link is None else type(link)(bytes(link / Raw(PACKET)) + padding)
    assert heard(ArrivalSource(GivenOrder(frame), "e0", False, MAC)) == [PACKET] * is_heard


@pytest.mark.parametrize("place", ["source", "destination"])
def test_loopback_addresses_come_by_loopback_alone(place: str) -> None:
    addresses = {"src": "127.0.0.1"} if place == "source" else {"dst": "127.0.0.1"}
    packet = craft(Draft(**{**vars(REQUEST), **addresses})).packet
    assert heard(ArrivalSource(GivenOrder(IP(packet)), "lo", True)) == [packet]
    assert heard(ArrivalSource(GivenOrder(IP(packet)), "e0", False)) == []


def test_by_loopback_comes_what_is_for_own_addresses() -> None:
    other = craft(Draft(**{**vars(REQUEST), "dst": "10.0.1.21"})).packet
    taps = GivenOrder(IP(PACKET), IP(other)), GivenOrder(IP(PACKET), IP(other))
    own = frozenset({bytes([10, 0, 1, 20])})
    doors = ArrivalSource(taps[0], "e0", False), ArrivalSource(taps[1], "lo", True, only=own)
    assert sorted(heard(*doors)) == sorted([PACKET, other, PACKET])


def test_fragments_are_put_together_in_any_order() -> None:
    whole = craft(Draft(**{**vars(REQUEST), "payload": bytes(range(256)) * 4, "id": 7})).packet
    pieces = [IP(piece) for piece in cut(whole, 300)]
    assert len(pieces) > 3
    assert heard(ArrivalSource(GivenOrder(*reversed(pieces)), "e0", False)) == [whole]
    assert heard(ArrivalSource(GivenOrder(*pieces[1:]), "e0", False)) == []


# With a real kernel


@pytest.fixture
def lo(own_loopback: None) -> Iterator[KernelInterface]:
    with closing(KernelNetwork().find("lo")) as interface:
        assert isinstance(interface, KernelInterface)
        yield interface


def put_on_lo(packet: bytes, hardware_address: bytes = bytes(6), proto: int = 0x0800) -> None:
    """As libpcap does: a frame without a route."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as frames:
        frames.sendto(packet, ("lo", proto, 0, 0, hardware_address))


def until_quiet(listening: SuperSocket) -> list[bytes]:
    """What has been received up to a packet with the payload `end`, which is sent now."""
    put_on_lo(craft(Draft(src="127.0.0.1", dst="127.0.0.1", payload=b"end")).packet)
    packets: list[bytes] = []
    while not packets or not packets[-1].endswith(b"end"):
        _, packet, _ = listening.recv_raw()
        packets += [packet] if packet else []
    return packets[:-1]


@pytest.mark.parametrize("proto", [4, 17, 253])
def test_what_is_heard_is_dissected_no_further_than_to_its_payload(lo: KernelInterface, proto: int) -> None:
    inner = {4: PACKET, 17: bytes(UDP(sport=53) / DNS(qd=DNSQR())), 253: b"ClientMessage"}[proto]
    with lo.open_protocol(proto) as listening:
        put_on_lo(craft(Draft(src="127.0.0.1", dst="127.0.0.1", proto=proto, payload=inner)).packet)
        heard = listening.recv()
    assert heard is not None and heard[IP] is heard and heard.haslayer(IP)
    assert [type(layer) for layer in (heard, heard.payload, heard.payload.payload)] == [WholePacket, Raw, NoPayload]
    assert heard[Raw].load == inner


def test_what_has_no_route_is_heard_by_capturing_alone_and_once(lo: KernelInterface) -> None:
    packet = craft(Draft(src="127.0.0.1", dst="127.0.0.1", payload=b"ClientMessage")).packet
    with lo.open_protocol(253) as listening, closing(lo.open_raw(253)) as raw:
        put_on_lo(packet)
        lo.send(packet, "kernel")
        put_on_lo(packet, MAC)  # to another hardware address
        put_on_lo(packet, proto=0x88B5)  # it is not said to be IPv4
        put_on_lo(craft(Draft(src="127.0.0.1", dst="127.0.0.1", proto=252)).packet)
        put_on_lo(craft(Draft(src="127.0.0.1", dst="127.0.0.1", chksum=1)).packet)
        assert until_quiet(listening) == [packet, packet]
        raw.settimeout(0)
        assert raw.recv(100) == packet
        with pytest.raises(BlockingIOError):
            raw.recv(100)


def test_an_interface_that_was_down_for_a_moment_is_heard_again(veth: Pair) -> None:
    with (
        inside(veth.server.namespace),
        closing(KernelNetwork().find("s0")) as far,
        inside(veth.client.namespace),
        closing(KernelNetwork().find("c0")) as near,
        near.open_protocol(253) as listening,
    ):
        for state in ("down", "up"):
            run_ip("-n", veth.client.namespace, "link", "set", "c0", state)
        wait_until(lambda: "state UP" in run_ip("-n", veth.client.namespace, "link", "show", "c0"))
        with inside(veth.server.namespace):
            far.send(craft(Draft(src="10.0.1.20", dst="10.0.1.10")).packet, "exact")
        heard: list[bytes] = []
        while not heard:
            heard += [packet for packet in [listening.recv_raw()[1]] if packet]
        run_ip("-n", veth.client.namespace, "link", "delete", "c0")
        with pytest.raises(OSError, match="down"):
            listening.recv_raw()


def test_without_loopback_the_interface_is_still_heard(veth: Pair) -> None:
    with inside(veth.client.namespace):
        run_ip("-n", veth.client.namespace, "link", "set", "lo", "down")
        with closing(KernelNetwork().find("c0")) as near, near.open_protocol(253) as listening:
            assert isinstance(listening, ArrivalSocket)
            assert listening.select([listening], 0) == []


@pytest.mark.parametrize("many", [0, 1, 3, 300])
def test_a_raw_socket_gets_what_arrives_here_and_by_loopback_for_own_addresses(veth: Pair, many: int) -> None:
    own = [bytes([10, 0, 1, 10]), *(bytes([10, 9, each >> 8, each & 255]) for each in range(many))][:many]
    with (
        inside(veth.client.namespace),
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 253) as raw,
        closing(KernelNetwork().find("lo")) as lo,
    ):
        raw.settimeout(5)
        attach_arrivals(raw, 99, 1, own)
        for destination in ("10.0.1.10", "127.0.0.1"):
            lo.send(craft(Draft(src=destination, dst=destination)).packet, "kernel")
        attach_arrivals(raw, 1, 1, own)  # lo is the interface itself
        lo.send(craft(Draft(src="127.0.0.1", dst="127.0.0.1", payload=b"end")).packet, "kernel")
        packets = [raw.recv(100)]
        while not packets[-1].endswith(b"end"):
            packets.append(raw.recv(100))
    assert [packet[16:20] for packet in packets[:-1]] == own[:1]


def test_the_protocols_filter_needs_no_libpcap(own_loopback: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipl_tui.capture.filters.pcapy", None)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as tap:
        attach_protocol(tap, 253)
        tap.bind(("lo", 0x0800))
        put_on_lo(craft(Draft(proto=254)).packet)
        put_on_lo(craft(Draft(proto=253)).packet)
        assert tap.recv(100)[9] == 253


# Where there is no Linux


def test_elsewhere_scapy_listens_to_frames(lo: KernelInterface, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, whose lo0 has frames of link type 0; a stand-in for its BPF device."""
    opened: list[dict[str, object]] = []

    def listen(**options: object) -> SuperSocket:
        opened.append(options)
        return GivenOrder(Loopback(bytes(Loopback(type=2) / Raw(PACKET))))

    monkeypatch.setattr(conf, "L2listen", listen)
    monkeypatch.setattr(kernel, "LINUX", False)
    monkeypatch.setattr(KernelInterface, "_open_raw", lambda *_: socket.socket(socket.AF_INET, socket.SOCK_RAW, 253))
    monkeypatch.setattr("ipl_tui.networks.socket_interface.LINUX", False)
    with lo.open_protocol(253) as listening:
        heard = listening.recv()
    assert isinstance(heard, IP) and bytes(heard) == PACKET
    assert opened == [{"iface": "lo", "filter": "ip proto 253", "promisc": False}]


def test_elsewhere_what_scapy_says_is_a_reason(lo: KernelInterface, monkeypatch: pytest.MonkeyPatch) -> None:
    def listen(**_: object) -> SuperSocket:
        raise RuntimeError("no device /dev/bpf is free")

    monkeypatch.setattr(conf, "L2listen", listen)
    with pytest.raises(OSError, match="no device /dev/bpf is free"):
        arrivals.frame_tap("lo0", 253)
    monkeypatch.setattr(kernel, "LINUX", False)
    monkeypatch.setattr(KernelInterface, "_open_raw", lambda *_: socket.socket(socket.AF_INET, socket.SOCK_RAW, 253))
    with pytest.raises(SendError, match="Listening on lo failed: no device /dev/bpf is free"):
        lo.open_protocol(253)
