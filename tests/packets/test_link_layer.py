"""Where the IPv4 packet begins, as the bytes say and as Scapy finds it; and that no bytes are too odd."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.dissect import dissect, summarise
from ipl_tui.packets.link_layer import network_layer

PACKET = craft(Draft(proto=253, src="192.0.2.10", dst="198.51.100.20", payload=b"ClientMessage")).packet
HARDWARE = bytes.fromhex("020000000002020000000001")
IPV4 = b"\x08\x00"
LABEL = struct.Struct("!I")


def label(number: int, last: bool) -> bytes:
    return LABEL.pack(number << 12 | last << 8 | 64)


COOKED, COOKED_2 = bytes(14), bytes(18)

LINKS: dict[str, tuple[int, bytes]] = {
    "Ethernet": (1, HARDWARE + IPV4),
    "VLAN": (1, HARDWARE + b"\x81\x00\0\5" + IPV4),
    "VLAN 9100": (1, HARDWARE + b"\x91\x00\0\5" + IPV4),
    "VLAN 9100 in 9100": (1, HARDWARE + b"\x91\x00\0\5\x91\x00\0\6" + IPV4),
    "VLAN 9100 and 8100": (1, HARDWARE + b"\x91\x00\0\5\x81\x00\0\6" + IPV4),
    "provider's VLAN and 9100": (1, HARDWARE + b"\x88\xa8\0\5\x91\x00\0\6" + IPV4),
    "MPLS": (1, HARDWARE + b"\x88\x47" + label(16, True)),
    "MPLS, two labels": (1, HARDWARE + b"\x88\x47" + label(16, False) + label(17, True)),
    "MPLS multicast": (1, HARDWARE + b"\x88\x48" + label(16, True)),
    "MPLS in a VLAN": (1, HARDWARE + b"\x81\x00\0\5\x88\x47" + label(16, True)),
    "NULL, little endian": (0, struct.pack("<I", 2)),
    "NULL, big endian": (0, struct.pack(">I", 2)),
    "LOOP": (108, struct.pack(">I", 2)),
    "raw 12": (12, b""),
    "raw 14": (14, b""),
    "raw 101": (101, b""),
    "raw 228": (228, b""),
    "cooked": (113, COOKED + IPV4),
    "cooked, VLAN 9100": (113, COOKED + b"\x91\x00\0\5" + IPV4),
    "cooked, MPLS": (113, COOKED + b"\x88\x47" + label(16, True)),
    "cooked 2": (276, IPV4 + COOKED_2),
}


@pytest.mark.parametrize("link", LINKS)
def test_ipv4_is_found(link: str) -> None:
    linktype, header = LINKS[link]
    frame = header + PACKET
    assert network_layer(frame, linktype) == len(header)
    assert dissect(frame, linktype).ipv4 == (len(header), len(frame))
    row = summarise(frame, linktype)
    assert (row.source, row.destination, row.protocol, row.info) == (
        "192.0.2.10",
        "198.51.100.20",
        "253",
        "ClientMessage",
    )


@pytest.mark.parametrize("linktype", [0, 108])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("family", [10, 24, 28, 30])
def test_every_systems_number_for_ipv6_is_known(linktype: int, order: str, family: int) -> None:
    if linktype == 108 and order == "<":
        return  # LOOP is big endian
    frame = struct.pack(f"{order}I", family) + bytes.fromhex("6000000000003b40") + bytes(15) + b"\1" + bytes(15) + b"\2"
    dissection = dissect(frame, linktype)
    assert (dissection.summary.source, dissection.summary.destination) == ("::1", "::2")
    assert dissection.ipv4 is None


@pytest.mark.parametrize(
    ("frame", "linktype"),
    [
        (HARDWARE + b"\x08\x06" + PACKET, 1),
        (HARDWARE + b"\x88\x47" + label(16, False) + PACKET, 1),
        (HARDWARE + b"\x88\x47" + label(16, True) + b"\x60" + PACKET, 1),
        (HARDWARE + b"\x88\x47" + label(16, True), 1),
        (COOKED + b"\x08\x06" + PACKET, 113),
        (PACKET, 9999),
        (b"", 1),
    ],
)
def test_what_is_not_ipv4_is_not_taken_for_it(frame: bytes, linktype: int) -> None:
    assert network_layer(frame, linktype) == len(frame)


@given(st.binary(max_size=40), st.sampled_from([tag for _, tag in LINKS.values()]), st.integers(-1, 300))
def test_no_bytes_are_too_odd(rest: bytes, start: bytes, linktype: int) -> None:
    for frame in (rest, start + rest, start[: len(rest)]):
        assert network_layer(frame, linktype) >= 0
        assert isinstance(frame[network_layer(frame, linktype) :], bytes)
