"""Which packet is which: the predicates, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking.matching import IcmpError, asks, error_about, is_answer, is_sent_as


def to(proto: int | None = None, **fields: Any) -> Packet:
    return between("10.0.1.10", "10.0.2.20", proto, fields)


def back(proto: int | None = None, **fields: Any) -> Packet:
    return between("10.0.2.20", "10.0.1.10", proto, fields)


def between(source: str, destination: str, proto: int | None, fields: dict[str, Any]) -> Packet:
    """A packet of a protocol; None: that of its payload."""
    if proto is not None:
        fields["proto"] = proto
    return IP(src=source, dst=destination, **fields)


@pytest.mark.parametrize(
    ("request_", "packet", "expected"),
    [
        (to(253) / CLIENT_MESSAGE, back(253) / SERVER_RESPONSE, True),
        (to(253) / CLIENT_MESSAGE, back(253, options=b"\x01" * 4) / SERVER_RESPONSE, True),
        (to(253) / CLIENT_MESSAGE, back(253) / (SERVER_RESPONSE + b"!"), False),
        (to(253) / CLIENT_MESSAGE, back(253) / CLIENT_MESSAGE, False),
        (to(253) / CLIENT_MESSAGE, back(254) / SERVER_RESPONSE, False),
        (to(253) / CLIENT_MESSAGE, to(253) / SERVER_RESPONSE, False),
        (to(253) / CLIENT_MESSAGE, IP(src="10.0.2.21", dst="10.0.1.10", proto=253) / SERVER_RESPONSE, False),
        (to(253) / CLIENT_MESSAGE, IP(src="10.0.2.20", dst="10.0.1.11", proto=253) / SERVER_RESPONSE, False),
        (to(253) / CLIENT_MESSAGE, back(253, version=6) / SERVER_RESPONSE, False),
        (to(254) / b"anything", back(254) / b"whatever", True),
        (to(254) / b"anything", back(254, frag=1) / b"the rest of it", False),
        (to() / ICMP(id=7, seq=1), back() / ICMP(type=0, id=7, seq=1) / b"x", True),
        (to() / ICMP(id=7, seq=1), back() / ICMP(type=0, id=7, seq=2), False),
        (to() / ICMP(id=7, seq=1), back() / ICMP(type=8, id=7, seq=1), False),
        (to() / ICMP(type=13, id=7), back() / ICMP(type=14, id=7), True),
        (to() / ICMP(type=0, id=7), back() / ICMP(type=0, id=7), False),
        (to(1) / b"\x08", back(1) / b"\0", False),
        (to() / UDP(sport=5000, dport=53), back() / UDP(sport=53, dport=5000), True),
        (to() / UDP(sport=5000, dport=53), back() / UDP(sport=53, dport=5001), False),
        (to() / TCP(sport=5000, dport=80), back() / TCP(sport=80, dport=5000, flags="SA"), True),
        (to(17) / b"\0", back(17) / b"\0", False),
        (to(17) / CLIENT_MESSAGE, back(17) / SERVER_RESPONSE, True),
        (to(253) / CLIENT_MESSAGE, back(253, flags="MF") / SERVER_RESPONSE, False),
        (to(253) / CLIENT_MESSAGE, back(253, len=0) / SERVER_RESPONSE, False),
    ],
)
def test_what_an_answer_is(request_: Packet, packet: Packet, expected: bool) -> None:
    assert is_answer(bytes(request_), bytes(packet)) is expected


def test_only_a_client_message_and_an_echo_request_ask() -> None:
    request = bytes(to(253) / CLIENT_MESSAGE)
    assert asks(request) and asks(bytes(to() / ICMP()))
    assert not asks(bytes(back(253) / SERVER_RESPONSE)) and not asks(bytes(back() / ICMP(type=0)))
    assert not asks(b"") and not asks(request[:10])


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (to(254, id=9, ttl=3, chksum=7) / b"ping", True),
        (to(254) / b"ping" / bytes(20), False),
        (IP(src="10.0.1.11", dst="10.0.2.20", proto=254) / b"ping", False),
        (to(254) / b"pong", False),
        (to(254) / b"pin", False),
        (to(253) / b"ping", False),
    ],
    ids=["rewritten", "longer", "another source", "another payload", "cut short", "another protocol"],
)
def test_what_is_the_packet_itself(seen: Packet, expected: bool) -> None:
    packet, padding = bytes(to(254) / b"ping"), bytes(10)
    assert is_sent_as(packet, packet) and is_sent_as(packet, packet + padding)
    assert is_sent_as(bytes(IP(src="0.0.0.0", dst="10.0.2.20", proto=254) / b"ping"), packet), "the kernel filled it in"
    assert not is_sent_as(packet, packet[:19])
    assert is_sent_as(packet, bytes(seen)) is expected
    assert is_sent_as(packet, bytes(seen) + padding) is expected


def test_an_error_says_who_objects_to_what() -> None:
    asked = bytes(to(253) / CLIENT_MESSAGE)
    error = bytes(IP(src="10.0.1.1", dst="10.0.1.10") / ICMP(type=11, code=0) / asked[:28])
    assert error_about(asked, error) == IcmpError("10.0.1.1", 11, 0)
    assert error_about(asked, error[:47]) is None, "too little is quoted"
    assert error_about(asked, b"\x65" + error[1:]) is None, "it is no IPv4"
    assert error_about(bytes(to(254) / CLIENT_MESSAGE), error) is None
