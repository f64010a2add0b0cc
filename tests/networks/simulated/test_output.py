"""What a simulated host sends itself, as frames and through raw sockets, and what it refuses."""

from dataclasses import replace

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import ARP

from ipl_tui.networks.interface import SendError
from ipl_tui.networks.simulated.effects import Deliver, Sent, Transmit
from ipl_tui.networks.simulated.neighbours import INTERVAL, REQUESTS
from ipl_tui.networks.simulated.stack import Stack
from ipl_tui.networks.topology import Port
from tests.networks.simulated.hosts import (
    BROADCAST,
    C0,
    CLIENT,
    CLIENT_ADDRESS,
    ELSEWHERE,
    FAR,
    NEAR,
    PROTOCOL,
    R0,
    S0,
    SERVER_ADDRESS,
    Lab,
    acquainted,
    datagram,
    describe,
    echo,
    ether,
)


def test_exact_sends_the_bytes_as_they_are(lab: Lab) -> None:
    packet = datagram(version=6, chksum=3, len=9, ihl=1)
    effects = lab.stacks["client"].send_frame(C0, packet, 5, lab.now)
    assert isinstance(effects[0], Transmit)
    lab = acquainted()
    effects = lab.stacks["server"].send_frame(S0, packet[:16] + C0.address.ip.packed, 5, lab.now)
    assert effects == [Transmit(S0, ether(packet[:16] + C0.address.ip.packed, S0)), Sent(5)]


@pytest.mark.parametrize(
    ("destination", "hardware_address"),
    [
        ("10.0.2.255", BROADCAST),
        ("255.255.255.255", BROADCAST),
        ("224.1.2.3", b"\x01\x00\x5e\x01\x02\x03"),
        ("239.255.255.254", b"\x01\x00\x5e\x7f\xff\xfe"),
    ],
)
def test_exact_to_several(lab: Lab, destination: str, hardware_address: bytes) -> None:
    packet = datagram(dst=destination)
    effects = lab.stacks["server"].send_frame(S0, packet, 5, lab.now)
    assert effects == [Transmit(S0, ether(packet, S0, hardware_address)), Sent(5)]


@pytest.mark.parametrize(
    ("port", "packet", "problem"),
    [
        (C0, bytes(19), "A packet begins with a header of 20 bytes; this one has 19 bytes."),
        (C0, bytes(1), "A packet begins with a header of 20 bytes; this one has 1 byte."),
        (C0, datagram(dst=CLIENT_ADDRESS), "10.0.1.10 is the client's own address and no frame reaches it: kernel del"),
        (R0, datagram(dst=FAR), "10.0.2.1 is the router's own address and no frame reaches it: kernel delivers it."),
        (R0, datagram(dst="127.0.0.1"), "127.0.0.1 is the router's own address"),
        (R0, datagram(), "No route to 10.0.2.20 on r0: send from another interface."),
        (S0, datagram(bytes(557), dst=FAR), "The packet has 577 bytes and s0 takes 576 at most (its MTU)."),
    ],
)
def test_exact_refuses(lab: Lab, port: Port, packet: bytes, problem: str) -> None:
    with pytest.raises(SendError) as refusal:
        lab.stacks[port.host].send_frame(port, packet, 1, lab.now)
    assert str(refusal.value).startswith(problem)


def test_kernel_writes_length_checksum_source_and_identification(lab: Lab) -> None:
    stack = lab.stacks["server"]
    composed = datagram(src="0.0.0.0", dst=CLIENT_ADDRESS, id=0, len=9000, chksum=1, ttl=3, flags="evil", tos=9)
    lab.carry_out(stack.send_packet(composed, S0, lab.now))
    sent = IP(lab.packets[0][1])
    assert (sent.src, sent.len, sent.ttl, sent.flags, sent.tos) == (SERVER_ADDRESS, 33, 3, "evil", 9)
    assert sent.id != 0
    composed = datagram(src=ELSEWHERE, dst=CLIENT_ADDRESS, id=0, flags="DF")
    lab.frames.clear()
    lab.carry_out(stack.send_packet(composed, None, lab.now))
    assert lab.packets[0][1] == composed


@pytest.mark.parametrize(
    ("port", "packet", "problem"),
    [
        (S0, bytes(19), "A packet begins with a header of 20 bytes; this one has 19 bytes."),
        (S0, datagram(ihl=4), "The kernel refuses this header (IHL is below 5); exact sends it as it is."),
        (S0, datagram(ihl=15), "The kernel refuses this header (IHL says 60 bytes, the packet has 33); exact sends it"),
        (S0, datagram(bytes(557), dst=FAR), "The packet has 577 bytes and s0 takes 576 at most (its MTU)."),
        (S0, datagram() + bytes(65503), "The packet has 65,536 bytes and server takes 65,535 at most (its MTU)."),
        (None, datagram(dst=ELSEWHERE), "No route to 192.0.2.1 on r0: send from another interface."),
        (None, datagram(dst="224.0.0.1"), "No route to 224.0.0.1"),
    ],
)
def test_kernel_refuses(lab: Lab, port: Port | None, packet: bytes, problem: str) -> None:
    with pytest.raises(SendError) as refusal:
        lab.stacks[port.host if port else "router"].send_packet(packet, port, lab.now)
    assert str(refusal.value).startswith(problem)


@pytest.mark.parametrize(("destination", "port"), [(NEAR, R0), (FAR, None), ("127.0.0.1", None), ("0.0.0.0", None)])
def test_a_host_sends_to_itself(lab: Lab, destination: str, port: Port | None) -> None:
    stack = lab.stacks["router"]
    heard = [(name, proto) for name in ("r0", "r1", "lo") for proto in (1, PROTOCOL)]
    stack.listeners.update(heard)
    effects = stack.send_packet(datagram(src="0.0.0.0", dst=destination), port, lab.now)
    assert [type(effect) for effect in effects] == [Deliver]
    for name in ("r0", "r1", "lo"):
        stack.listeners[name, PROTOCOL] -= 1
    effects = stack.send_packet(datagram(src="0.0.0.0", dst=destination), port, lab.now)
    error = effects[-1]
    assert isinstance(error, Deliver), "protocol unreachable, to itself"
    assert error.packet[20:22] == b"\x03\x02"
    effects = stack.send_packet(echo(src=NEAR, dst=destination), port, lab.now)
    assert [describe(effect.packet) for effect in effects if isinstance(effect, Deliver)] == [
        "echo 64",
        "echo-reply 64",
    ]


def test_a_spoofed_packet_to_oneself_is_answered_on_the_wire(lab: Lab) -> None:
    lab.carry_out(lab.stacks["router"].send_packet(datagram(dst=NEAR), R0, lab.now))
    assert lab.transcript == ["r0 3/2 64"]
    lab.carry_out(lab.stacks["router"].send_packet(datagram(dst="127.0.0.1"), None, lab.now))
    assert lab.transcript == ["r0 3/2 64"], "but not from 127.0.0.1"


def test_what_a_host_sends_to_all_it_hears_itself(lab: Lab) -> None:
    stack = lab.stacks["server"]
    stack.listeners["s0", PROTOCOL] += 1
    for destination in ("10.0.2.255", "255.255.255.255", "224.0.0.1"):
        effects = stack.send_packet(datagram(src=SERVER_ADDRESS, dst=destination), S0, lab.now)
        assert [type(effect) for effect in effects] == [Transmit, Deliver]


def test_to_a_group_a_ttl_of_0_stays_in_the_host(lab: Lab) -> None:
    stack = lab.stacks["server"]
    stack.listeners["s0", PROTOCOL] += 1
    effects = stack.send_packet(datagram(src=SERVER_ADDRESS, dst="224.0.0.1", ttl=0), S0, lab.now)
    assert [type(effect) for effect in effects] == [Deliver]


def test_a_bound_socket_takes_all_to_be_on_its_link(lab: Lab) -> None:
    lab.carry_out(lab.stacks["router"].send_packet(datagram(src=NEAR, dst=ELSEWHERE), R0, lab.now))
    asked = lab.frames[0]
    assert (asked[0], ARP(asked[1][14:]).pdst) == (R0, ELSEWHERE)
    lab.stacks["router"].listeners["r0", 1] += 1
    lab.wait(REQUESTS * INTERVAL)
    assert [packet[20:22] for packet in lab.delivered] == [b"\x03\x01"], "it tells itself that nobody is there"


def test_without_a_gateway_there_is_no_route() -> None:
    lonely = Stack(replace(CLIENT, gateway=None), lambda name: 1500)
    with pytest.raises(SendError, match=r"No route to 10\.0\.2\.20 on c0"):
        lonely.send_packet(datagram(), None, 0.0)
