"""The lesson's own bytes: beside those of craft(), of Scapy, and any bytes at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.packet import Raw

from ipl_tui.exchange.socket_engine import Datagram, checksum, make_packet, read_packet
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.craft import Draft, craft

ADDRESSES = st.ip_addresses(v=4).map(str)


@given(st.binary(max_size=100))
def test_the_checksum_is_that_of_rfc_1071(data: bytes) -> None:
    assert checksum(data) == internet_checksum(data)


def test_the_example_of_rfc_1071() -> None:
    """§3: 0001 f203 f4f5 f6f7 sum up to ddf2."""
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


@given(ADDRESSES, ADDRESSES, st.integers(0, 255), st.binary(max_size=100))
def test_a_packet_is_what_craft_and_scapy_make_of_it(source: str, destination: str, proto: int, payload: bytes) -> None:
    packet = make_packet(source, destination, proto, payload)
    assert packet == craft(Draft(src=source, dst=destination, proto=proto, payload=payload)).packet
    assert packet == bytes(IP(src=source, dst=destination, proto=proto, id=1) / Raw(payload))
    assert read_packet(packet) == Datagram(source, destination, proto, payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    found = read_packet(data)
    assert found is None or len(found.payload) <= len(data) - 20


REQUEST = Draft(src="10.0.1.10", dst="10.0.2.20", payload=b"ClientMessage")


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 6},
        {"ihl": 4},
        {"ihl": 15},
        {"len": 19},
        {"len": 34},
        {"chksum": 0x1234},
        {"mf": 1},
        {"frag": 1},
    ],
    ids=str,
)
def test_what_is_damaged_or_a_fragment_is_refused(wrong: dict[str, int]) -> None:
    assert read_packet(craft(REQUEST).packet) is not None
    assert read_packet(craft(Draft(**{**vars(REQUEST), **wrong})).packet) is None


def test_the_payload_begins_after_the_options_and_ends_with_total_length() -> None:
    packet = craft(Draft(**{**vars(REQUEST), "options": bytes.fromhex("0707040000000001")})).packet
    found = read_packet(packet + b"padding of the link")
    assert found is not None
    assert found.payload == b"ClientMessage"
