"""The parts of a packet's bytes."""

from __future__ import annotations

import pytest

from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.ipv4 import (
    DONT_FRAGMENT,
    MORE_FRAGMENTS,
    OFFSET,
    flags_and_offset,
    header_length,
    is_fragment,
    payload_of,
    without_padding,
)


@pytest.mark.parametrize(
    ("fields", "bits", "fragment"),
    [
        ({}, 0, False),
        ({"reserved": 1}, 0x8000, False),
        ({"df": 1}, DONT_FRAGMENT, False),
        ({"mf": 1}, MORE_FRAGMENTS, True),
        ({"frag": 1}, 1, True),
        ({"frag": 8191}, OFFSET, True),
        ({"mf": 1, "df": 1, "frag": 10}, MORE_FRAGMENTS | DONT_FRAGMENT | 10, True),
    ],
)
def test_flags_and_offset(fields: dict[str, int], bits: int, fragment: bool) -> None:
    packet = craft(Draft(src="10.0.1.10", dst="10.0.1.20", **fields)).packet  # type: ignore[arg-type]
    assert flags_and_offset(packet) == flags_and_offset(bytearray(packet)) == bits
    assert is_fragment(packet) is fragment


@pytest.mark.parametrize("options", [b"", b"\x07\x07\x04" + bytes(5), bytes(40)])
def test_header_and_payload(options: bytes) -> None:
    packet = craft(Draft(src="10.0.1.10", dst="10.0.1.20", options=options, payload=b"hello")).packet
    size = 20 + len(options)
    assert header_length(packet) == header_length(b"link" + packet, 4) == size
    assert payload_of(packet) == b"hello" == payload_of(without_padding(packet + bytes(13)))


@pytest.mark.parametrize("length", [0, 19])
def test_a_total_length_that_says_nonsense_cuts_nothing(length: int) -> None:
    packet = craft(Draft(src="10.0.1.10", dst="10.0.1.20", len=length, payload=b"hello")).packet
    assert without_padding(packet) == packet
