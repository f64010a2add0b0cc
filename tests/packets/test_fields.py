"""The table of header fields, and reading a header with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP

from ipl_tui.packets.fields import FIELD, FIELDS, PROTOCOLS, read_header

HEADER = bytes.fromhex("4bb8 0021 abcd 7fff 40fd 64c1 0a00010a 0a000214")


def test_the_fields_fill_the_header_without_gap_or_overlap() -> None:
    assert [field.bit for field in FIELDS] == [sum(before.bits for before in FIELDS[:i]) for i in range(len(FIELDS))]
    assert FIELD["options"].bit == 160


def test_their_scapy_names_are_those_of_scapys_layer_in_its_order() -> None:
    assert list(dict.fromkeys(field.scapy for field in FIELDS)) == [field.name for field in IP.fields_desc]


def test_the_meanings_are_short_sentences() -> None:
    for field in FIELDS:
        assert field.meaning.endswith(".") and len(field.meaning) <= 110, field.name
        assert field.rfc.startswith("RFC ")


def test_scapy_agrees_about_protocol_numbers() -> None:
    for keyword in ("ICMP", "TCP", "UDP", "GRE", "SCTP"):
        assert IP(proto=keyword.lower()).proto == PROTOCOLS[keyword]


def test_a_header_is_read_bit_by_bit() -> None:
    assert read_header(HEADER + b"options!" * 3 + b"ClientMessage") == {
        "version": 4, "ihl": 11, "dscp": 46, "ecn": 0, "len": 33, "id": 0xABCD, "reserved": 0, "df": 1, "mf": 1,
        "frag": 8191, "ttl": 64, "proto": 253, "chksum": 0x64C1, "src": "10.0.1.10", "dst": "10.0.2.20",
        "options": b"options!" * 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("length", "last"),
    [(0, None), (1, "ihl"), (2, "ecn"), (3, "ecn"), (7, "mf"), (8, "frag"), (19, "src"), (20, "options")],
)
def test_what_is_cut_off_is_absent(length: int, last: str | None) -> None:
    values = read_header(HEADER[:length])
    assert (list(values)[-1] if values else None) == last


@given(st.binary(max_size=80))
def test_any_bytes_can_be_read(packet: bytes) -> None:
    values = read_header(packet)
    assert list(values) == [field.name for field in FIELDS][: len(values)]
