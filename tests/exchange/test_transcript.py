"""What belongs to an exchange among captured packets, whatever they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP

from ipl_tui.exchange.engine import Reply
from ipl_tui.exchange.transcript import (
    CapturedPacket,
    TranscriptPacket,
    find,
    gains,
    is_closed,
    read_connection,
    read_datagrams,
)
from ipl_tui.packets.ipv4 import without_padding
from ipl_tui.packets.messages import CLIENT_MESSAGE, PORT, PROTOCOL, SERVER_RESPONSE

CLIENT, SERVER = "10.0.1.10", "10.0.2.20"

REQUEST = bytes(IP(src=CLIENT, dst=SERVER, proto=PROTOCOL) / CLIENT_MESSAGE)
RESPONSE = bytes(IP(src=SERVER, dst=CLIENT, proto=PROTOCOL) / SERVER_RESPONSE)


def tcp(flags: str, seq: int, ack: int, data: bytes = b"", back: bool = False, port: int = 40000) -> bytes:
    packet = IP(src=CLIENT, dst=SERVER) / TCP(sport=port, dport=PORT, flags=flags, seq=seq, ack=ack) / data
    if back:
        packet.src, packet.dst, packet.sport, packet.dport = packet.dst, packet.src, packet.dport, packet.sport
    return bytes(packet)


def message(source: str, destination: str, payload: bytes, **fields: Any) -> bytes:
    return bytes(IP(src=source, dst=destination, proto=PROTOCOL, **fields) / payload)


def error(about: bytes, source: str = "10.0.1.1", kind: int = 3, code: int = 1) -> bytes:
    return bytes(IP(src=source, dst=CLIENT) / ICMP(type=kind, code=code) / about)


def captured(*packets: bytes) -> list[CapturedPacket]:
    return [CapturedPacket(10**9 + 1000 * at, packet) for at, packet in enumerate(packets)]


def read_raw(*packets: bytes, response: bytes | None = RESPONSE, server: str = SERVER) -> list[TranscriptPacket]:
    request = message(CLIENT, server, CLIENT_MESSAGE)
    return read_datagrams(captured(*packets), CLIENT, server, Reply(server, request, response, 0.1))


def read_tcp(*packets: bytes) -> list[TranscriptPacket]:
    return read_connection(captured(*packets), CLIENT, SERVER)


def whats(passed: list[TranscriptPacket]) -> list[str]:
    return [f"{'→' if each.to_server else '←'} {each.what}" for each in passed]


def times(passed: list[TranscriptPacket]) -> list[int]:
    """In µs: each of the captured packets passed 1 µs after the one before."""
    return [round(each.seconds * 1e6) for each in passed]


# Raw IP


def test_the_request_is_the_one_that_is_most_like_what_was_handed_over() -> None:
    kernels = message(CLIENT, SERVER, CLIENT_MESSAGE, chksum=0xBAD, len=99, id=4711)
    others = message(CLIENT, SERVER, CLIENT_MESSAGE, ttl=7, id=7, tos=4, chksum=0xBAD, len=99)
    for packets in ([others, kernels], [kernels, others]):
        passed = read_raw(*packets, RESPONSE)
        assert [each.packet for each in passed] == [kernels, RESPONSE]
        assert passed[0].seconds == 0


def test_of_equal_ones_the_first_is_taken_and_counted_once() -> None:
    refusal = error(REQUEST, SERVER, code=2)
    passed = read_raw(REQUEST, REQUEST, refusal, refusal, RESPONSE, RESPONSE)
    assert whats(passed) == ["→ ClientMessage", "← protocol unreachable", "← ServerResponse"]
    assert times(passed) == [0, 2, 4]


def test_an_answer_comes_after_its_request_and_is_the_one_that_arrived() -> None:
    arrived = message(SERVER, CLIENT, SERVER_RESPONSE, ttl=60)
    passed = read_raw(arrived, REQUEST, RESPONSE, arrived, response=arrived)
    assert (whats(passed), times(passed)) == (["→ ClientMessage", "← ServerResponse"], [0, 2])
    passed = read_raw(REQUEST, RESPONSE, response=None)
    assert whats(passed) == ["→ ClientMessage", "← ServerResponse"], "also if the client did not get it"


def test_on_loopback_the_messages_tell_the_direction() -> None:
    asked, answered = message(CLIENT, CLIENT, CLIENT_MESSAGE), message(CLIENT, CLIENT, SERVER_RESPONSE)
    assert whats(read_raw(asked, answered, server=CLIENT)) == ["→ ClientMessage", "← ServerResponse"]


def test_what_others_send_is_no_part_of_a_raw_exchange() -> None:
    others = message(CLIENT, "10.0.3.30", CLIENT_MESSAGE)
    passed = read_raw(
        others,
        REQUEST,
        tcp("S", 1, 0),
        tcp("A", 1, 0, b"ClientMessage"),
        message(SERVER, CLIENT, b"\x1b[31mgarbage"),
        message(SERVER, CLIENT, CLIENT_MESSAGE),
        error(others),
        error(REQUEST, SERVER, code=2)[:47],
        bytes(IP(src=CLIENT, dst=SERVER) / ICMP()),
    )
    assert [each.packet for each in passed] == [REQUEST]


def test_an_error_that_quotes_a_message_does_not_carry_it() -> None:
    passed = read_raw(REQUEST, error(REQUEST + SERVER_RESPONSE))
    assert whats(passed) == ["→ ClientMessage", "← host unreachable"]
    assert find(passed, SERVER_RESPONSE) is None


# TCP

CLOSING: list[tuple[str, bytes, bool]] = [
    ("it begins", tcp("S", 2**32 - 2, 0), False),
    ("the client says goodbye", tcp("FA", 2**32 - 1, 500), False),
    ("it is acknowledged", tcp("A", 500, 0, back=True), False),
    ("the server does, with its last byte", tcp("FA", 500, 0, b"!", back=True), False),
    ("only the byte is acknowledged", tcp("A", 0, 501), False),
    ("all is acknowledged", tcp("A", 0, 502), True),
]


def test_a_connection_is_closed_when_both_goodbyes_are_acknowledged() -> None:
    seen: list[bytes] = []
    for what, packet, closed in CLOSING:
        seen.append(packet)
        assert is_closed(read_tcp(*seen)) == closed, what


def test_a_reset_ends_it_too() -> None:
    assert is_closed(read_tcp(tcp("S", 1, 0), tcp("RA", 0, 2, back=True)))
    assert not is_closed(read_tcp(tcp("S", 1, 0)))


def test_what_others_send_is_no_part_of_a_connection() -> None:
    others = tcp("S", 1, 0, port=50000)
    passed = read_tcp(
        REQUEST,
        tcp("A", 1, 0, b"ClientMessage", port=30000),
        tcp("SA", 1, 0, back=True, port=30000),
        tcp("S", 1, 0),
        others,
        RESPONSE,
        error(REQUEST),
        error(others),
        bytes(IP(src=CLIENT, dst=SERVER) / TCP(dport=80)),
        bytes(IP(src=CLIENT, dst=SERVER, proto=6) / b"\0\1\2"),
        error(tcp("S", 1, 0))[:24],
        error(tcp("S", 1, 0)),
        tcp("FRA", 1, 0, b"x"),
    )
    assert whats(passed) == ["→ SYN", "← host unreachable", "→ data: 1 byte, FIN, RST"]
    assert times(passed) == [0, 8, 9]


def test_of_connections_opened_in_the_same_moment_the_one_that_asks_is_read() -> None:
    others, ours, asked = tcp("S", 1, 0, port=50000), tcp("S", 5, 0), tcp("A", 6, 1, b"\0\x0dClientMessage")
    passed = read_tcp(others, ours, tcp("SA", 0, 2, back=True, port=50000), asked)
    assert [each.packet for each in passed] == [ours, asked]
    assert [each.packet for each in read_tcp(others, ours)] == [others]


def test_only_tcp_gains_something() -> None:
    assert not list(gains(read_raw(REQUEST, RESPONSE)))
    assert not list(gains(read_tcp(tcp("S", 1, 0))))
    asked = tcp("PA", 2**32 - 5, 9, b"\0\x0dClientMessage")
    names = [gain.name for gain in gains(read_tcp(tcp("S", 2**32 - 6, 0), asked))]
    assert names == ["Ports", "Order"]
    *_, delivery = gains(read_tcp(tcp("S", 2**32 - 6, 0), asked, tcp("A", 9, 10, back=True)))
    assert delivery.value == "acknowledgement 10"


# Anything


GENUINE = [REQUEST, RESPONSE, error(REQUEST), tcp("S", 1, 0), error(tcp("S", 1, 0)), tcp("A", 2, 2, b"ClientMessage")]


@st.composite
def wrong(draw: st.DrawFn) -> bytes:
    """A packet of an exchange with some bytes changed, or cut off; what the link brings has 20 bytes at least."""
    packet = bytearray(draw(st.sampled_from(GENUINE)))
    for at in draw(st.lists(st.integers(0, len(packet) - 1), max_size=4)):
        packet[at] = draw(st.integers(0, 255))
    return without_padding(bytes(packet[: draw(st.integers(20, len(packet)))]))


@pytest.mark.parametrize("ends", [(CLIENT, SERVER), (CLIENT, CLIENT)], ids=["two hosts", "loopback"])
@given(packets=st.lists(st.one_of(wrong(), st.sampled_from(GENUINE), st.binary(min_size=20, max_size=80)), max_size=8))
def test_whatever_passes_is_read(ends: tuple[str, str], packets: list[bytes]) -> None:
    seen = captured(*packets)
    raw = read_datagrams(seen, *ends, Reply(ends[1], REQUEST, None, 0.1))
    assert sum(each.to_server for each in raw) <= 1 and not list(gains(raw))
    connection = read_connection(seen, *ends)
    assert is_closed(connection) in (True, False)
    for gain in gains(connection):
        assert gain.value.isprintable()
    assert all(each.what.isprintable() for each in [*raw, *connection])
