"""The answers and ICMP errors that a simulated host sends back."""

import pytest
from scapy.layers.inet import IP, IPOption_RR

from ipl_tui.packets.checksum import internet_checksum
from tests.networks.simulated.hosts import (
    BROADCAST,
    CLIENT_ADDRESS,
    FAR,
    NEAR,
    SERVER_ADDRESS,
    Lab,
    datagram,
    echo,
    udp,
)


def test_an_error_quotes_the_packet_as_it_was(lab: Lab) -> None:
    packet = datagram(ttl=1, tos=0xFF)
    lab.send(packet + b"padding")
    _, error = lab.packets[0]
    parsed = IP(error)
    assert (parsed.src, parsed.dst, parsed.tos, parsed.flags, parsed.frag) == (NEAR, CLIENT_ADDRESS, 0xDE, 0, 0)
    assert parsed.id != 0
    assert internet_checksum(error[20:]) == 0
    assert error[28:] == packet


def test_an_error_has_576_bytes_at_most(lab: Lab) -> None:
    packet = datagram(bytes(1000), ttl=1)
    lab.send(packet)
    _, error = lab.packets[0]
    assert (len(error), error[28:]) == (576, packet[:548])


def test_an_error_is_no_longer_than_its_link_takes(lab: Lab) -> None:
    lab.mtus["r0"] = 68
    lab.send(datagram(bytes(1000), ttl=1))
    assert [len(packet) for _, packet in lab.packets] == [68]


def test_an_error_with_no_room_for_a_header_is_not_sent(lab: Lab) -> None:
    lab.mtus["r0"] = 68
    lab.send(datagram(ttl=1, options=b"\x07\x17\x18" + bytes(21)))  # the options go back, too
    assert lab.transcript == []


def test_an_error_comes_from_the_port_it_leaves_by(lab: Lab) -> None:
    lab.send(datagram(ttl=1, src="10.0.2.20"))
    assert [(port, IP(packet).src) for port, packet in lab.packets] == [("r1", FAR)]


def test_what_was_for_the_host_is_answered_from_the_address_asked(lab: Lab) -> None:
    for packet in (datagram(dst=FAR), echo(dst=FAR), udp(dst=FAR)):
        lab.send(packet)
    assert [IP(packet).src for _, packet in lab.packets] == [FAR] * 3


def test_options_with_room_for_half_an_entry_have_no_answer(lab: Lab) -> None:
    lab.send(echo(dst=NEAR, options=b"\x07\x0a\x04" + bytes(9)))
    assert lab.transcript == []


def test_the_options_go_back_with_an_error(lab: Lab) -> None:
    lab.send(datagram(options=b"\x07\x0b\x04" + bytes(8) + b"\0", ttl=1))
    error = IP(lab.packets[0][1])
    assert error[IPOption_RR].routers == [NEAR, NEAR]


@pytest.mark.parametrize(
    ("source", "hardware_address", "ttl", "hears"),
    [
        ("255.255.255.255", BROADCAST, 64, True),
        ("224.0.0.1", b"\x01\x00\x5e\0\0\x01", 1, True),
        ("224.0.0.9", b"\x01\x00\x5e\0\0\x09", 1, False),
    ],
)
def test_an_error_goes_to_whatever_source_a_host_gave_itself(
    lab: Lab, source: str, hardware_address: bytes, ttl: int, hears: bool
) -> None:
    stack = lab.stacks["server"]
    stack.listeners["s0", 1] += 1
    lab.carry_out(stack.send_packet(datagram(src=source, dst=SERVER_ADDRESS), None, lab.now))
    assert [(frame[:6], frame[14 + 8]) for _, frame in lab.frames] == [(hardware_address, ttl)]
    assert len(lab.delivered) == hears
