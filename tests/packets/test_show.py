"""The decoded view as text, compared with what Scapy's own show() prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.packet import Packet

from ipl_tui.packets.dissect import dissect
from ipl_tui.packets.show import show

from .test_dissect import ETHERNET, RAW_IP, SAMPLES


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_lines_are_those_of_scapys_show(sample: str) -> None:
    frame = bytes(SAMPLES[sample])
    expected = (SAMPLES[sample].__class__(frame).show(dump=True) or "").splitlines()
    lines = [line.removesuffix("   correct") for line in show(dissect(frame, ETHERNET))]
    if "###[ TCP ]###" in lines:  # Scapy indents what follows TCP less than what follows anything else
        expected, lines = ([line.strip() for line in text] for text in (expected, lines))
    assert lines == expected


def test_what_is_wrong_is_said_after_the_value() -> None:
    packet: Packet = IP(src="10.0.1.10", dst="10.0.2.20", proto=253, len=33, chksum=0x1234) / b"ClientMessage"
    lines = show(dissect(bytes(packet), RAW_IP))
    assert lines[0] == "###[ IP ]###"
    assert lines[10] == "  chksum    = 0x1234   wrong, 0x62c2 would be right"
    assert lines[-2:] == ["###[ Raw ]###", "     load      = b'ClientMessage'"]


def test_an_empty_frame_is_an_empty_load() -> None:
    assert show(dissect(b"", ETHERNET)) == ["###[ Raw ]###", "  load      = b''"]


@given(st.binary(max_size=100))
def test_whatever_the_bytes_each_line_is_printable(data: bytes) -> None:
    for packet in (data, bytes(IP() / ICMP()) + data, bytes(SAMPLES["dns"])[:42] + data):
        assert all(line.isprintable() for line in show(dissect(packet, RAW_IP)))
