"""ipl-tui explain: a packet given as hex, in a file, or by default, with every field explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from ipl_tui.cli import main

PACKET = bytes(IP(src="10.0.1.10", dst="10.0.2.20", ttl=63, proto=253) / b"ClientMessage")


def explain(*arguments: str, piped: str | None = None, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["explain", *arguments], input=piped)
    assert done.exit_code == status, done.output
    return done.output


def test_without_a_packet_it_explains_client_message() -> None:
    said = explain()
    assert "Total Length · len = 33" in said and "33 bytes: 20 of header and 13 of payload." in said
    assert "13 bytes: ClientMessage, the request of the exchange" in said
    assert "checksum 0x62c2; the header agrees" in said


@pytest.mark.parametrize(
    "given", [[PACKET.hex()], [PACKET.hex(" ")], [PACKET.hex(":")], ["0x" + PACKET.hex()], PACKET.hex(" ").split()]
)
def test_hex_in_any_spacing_is_a_packet(given: list[str]) -> None:
    said = explain(*given)
    assert "63: one router has taken 1 from 64." in said
    assert "10.0.2.20: private (RFC 1918)." in said and "flags = none" in said


def test_hex_from_standard_input() -> None:
    assert "63: one router has taken 1 from 64." in explain("-", piped=PACKET.hex(" ", 2) + "\n")


def test_hex_that_does_not_begin_with_4_is_a_frame() -> None:
    frame = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:01") / IP() / UDP(dport=53) / b"x"
    said = explain(bytes(frame).hex())
    assert "the broadcast: every host on the link." in said
    assert "53: a well-known port, given by IANA (RFC 6335)." in said


def test_a_packet_of_a_file_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "two.pcap"
    wrpcap(str(file), [Ether() / IP(dst="10.0.2.20", ttl=ttl, proto=253) / b"x" for ttl in (64, 62)])
    assert "64: as Linux and macOS begin" in explain("-r", str(file))
    assert "62: two routers have taken 1 from 64." in explain("-r", str(file), "-n", "2")
    said = explain("-r", str(file), "-n", "3", status=1)
    assert said.endswith("two.pcap has no packet 3: there are 2 packets.\n")
    wrpcap(str(file), [IP(dst="10.0.2.20", proto=253)])
    assert explain("-r", str(file), "-n", "2", status=1).endswith("two.pcap has no packet 2: there is 1 packet.\n")


def test_the_empty_name_is_no_file() -> None:
    said = explain("-r", "", status=2)
    assert said.endswith("Error: Invalid value for '-r' / '--read': the name of a file is needed, and it is empty.\n")


def test_a_damaged_file_is_read_up_to_where_it_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "cut.pcap"
    wrpcap(str(file), [Ether() / IP(dst="10.0.2.20", proto=253) / b"x"] * 2)
    file.write_bytes(file.read_bytes()[:-3])
    assert "Time to Live · ttl = 64" in explain("-r", str(file))
    assert "is cut short" in explain("-r", str(file), "-n", "2", status=1)


@pytest.mark.parametrize(
    ("arguments", "piped", "sentence"),
    [
        (["450"], None, "The packet has 3 hex digits; a byte is two."),
        (["hello"], None, 'The packet is hex: "h" is no hex digit.'),
        (["\x1b[2J"], None, '"\\x1b" is no hex digit.'),
        ([" "], None, "The packet has no bytes"),
        (["-"], "45" * 140_000, "Standard input has more than an IPv4 packet's 65,535 bytes."),
        (["45", "-r", "x"], None, "give one of them"),
    ],
)
def test_what_is_no_packet_is_said_in_a_sentence(arguments: list[str], piped: str | None, sentence: str) -> None:
    assert sentence in explain(*arguments, piped=piped, status=2)


@pytest.mark.parametrize("stop", range(1, len(PACKET)))
def test_a_packet_cut_anywhere_is_explained_as_far_as_it_goes(stop: int) -> None:
    said = explain(PACKET[:stop].hex())
    assert ("checksum 0x" in said) == (stop >= 20)
