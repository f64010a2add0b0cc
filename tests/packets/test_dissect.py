"""What Scapy says of a frame, as a tree with the bytes of each field."""

import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.config import conf
from scapy.fields import AnyField, BitField, ByteField
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.dot11 import Dot11, RadioTap
from scapy.layers.http import HTTP, HTTPRequest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, IPOption_RR, IPOption_Timestamp
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, GRE, LLC, STP, CookedLinux, CookedLinuxV2, Dot1Q, Dot3, Ether, Loopback
from scapy.layers.ntp import NTP
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.layers.snmp import SNMP
from scapy.layers.tftp import TFTP, TFTP_RRQ
from scapy.packet import Packet, Raw, bind_layers, split_layers

from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.dissect import Node, Summary, dissect, load_layers, summarise

load_layers()

ETHERNET, RAW_IP = 1, 101
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
NETWORK = LINK / IP(src="10.0.1.10", dst="10.0.2.20")
NETWORK6 = LINK / IPv6(src="fd00::1", dst="fd00::2")

SAMPLES: dict[str, Packet] = {
    "exchange": NETWORK / IP(proto=253, src="1.1.1.1", dst="2.2.2.2") / b"ClientMessage",
    "udp": NETWORK / UDP(sport=40001, dport=40002) / b"hello",
    "tcp": NETWORK / TCP(options=[("MSS", 1460), ("Timestamp", (1, 2))]) / b"x",
    "icmp error": NETWORK / ICMP(type=3, code=2) / IPerror(proto=253) / Raw(b"quoted"),
    "options": LINK / IP(options=[IPOption_RR(routers=["1.2.3.4"], length=7), IPOption_Timestamp()]) / UDP(),
    "dns": NETWORK / UDP() / DNS(qd=[DNSQR(qname="a.b")], an=[DNSRR(rrname="a.b", rdata="1.2.3.4"), DNSRR(type=16)]),
    "dhcp": NETWORK / UDP(sport=68, dport=67) / BOOTP() / DHCP(options=[("message-type", "discover"), "end"]),
    "arp": LINK / ARP(pdst="10.0.0.1"),
    "neighbour": NETWORK6 / ICMPv6ND_NS() / ICMPv6NDOptSrcLLAddr(),
    "echo 6": NETWORK6 / ICMPv6EchoRequest(data=b"x"),
    "spanning tree": Dot3() / LLC() / STP(),
    "vlan": LINK / Dot1Q(vlan=7) / IP() / UDP(dport=123) / NTP(),
    "gre": NETWORK / GRE(key_present=1, key=9) / IP() / ICMP(),
    "http": NETWORK / TCP(sport=9999, dport=80) / HTTP() / HTTPRequest(Host="example.org"),
    "sctp": NETWORK / SCTP() / SCTPChunkInit(),
    "snmp": NETWORK / UDP(sport=161, dport=161) / SNMP(),
    "tftp": NETWORK / UDP(sport=69, dport=69) / TFTP() / TFTP_RRQ(filename="f"),
    "unknown ethertype": LINK.__class__(type=0x88B5) / b"?",
}


def walk(nodes: tuple[Node, ...]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from walk(node.children)


def find(nodes: tuple[Node, ...], layer: str, field: str) -> Node:
    fields = [child for node in walk(nodes) if node.name == layer for child in node.children]
    return next(node for field_ in fields for node in (field_, *field_.parts) if node.name == field)


def shown(nodes: tuple[Node, ...]) -> Iterator[str]:
    """The lines of `show()`, less indentation and backslashes."""
    for layer in nodes:
        yield f"###[ {layer.name} ]###"
        for field in layer.children:
            yield f"{field.name:10} = {field.value}" if field.value else field.name
            yield from shown(field.children)


@pytest.mark.parametrize("sample", SAMPLES)
def test_names_values_and_order_are_those_of_show(sample: str) -> None:
    frame = bytes(SAMPLES[sample])
    show = SAMPLES[sample].__class__(frame).show(dump=True) or ""
    expected = [line.strip(" |\\").removesuffix("=").strip() for line in show.splitlines()]
    lines = [line.replace(" = ", "= ") for line in shown(dissect(frame, ETHERNET).layers)]
    assert lines == [line for line in expected if line]


@pytest.mark.parametrize(
    ("sample", "layer", "field", "span"),
    [
        ("udp", "Ethernet", "type", (12, 14)),
        ("udp", "IP", "version", (14, 15)),
        ("udp", "IP", "ihl", (14, 15)),
        ("udp", "IP", "flags", (20, 21)),
        ("udp", "IP", "frag", (20, 22)),
        ("udp", "IP", "dst", (30, 34)),
        ("udp", "IP", "options", (14, 14)),
        ("udp", "UDP", "dport", (36, 38)),
        ("udp", "Raw", "load", (42, 47)),
        ("options", "IP", "options", (34, 54)),
        ("options", "IP Option Record Route", "routers", (37, 41)),
        ("options", "IP Option Timestamp", "length", (42, 43)),
        ("dns", "DNS Question Record", "qname", (54, 59)),
        ("dns", "DNS Resource Record", "rdata", (78, 82)),
        ("vlan", "802.1Q", "vlan", (14, 16)),
        ("icmp error", "IP in ICMP", "ttl", (50, 51)),
    ],
)
def test_a_field_knows_its_bytes(sample: str, layer: str, field: str, span: tuple[int, int]) -> None:
    frame = bytes(SAMPLES[sample])
    node = find(dissect(frame, ETHERNET).layers, layer, field)
    start, stop = span
    assert (node.start, node.stop) == ((0, 0) if start == stop == 0 else span)


@pytest.mark.parametrize(
    ("sample", "layer", "field", "bits"),
    [
        ("udp", "IP", "version", (0, 4)),
        ("udp", "IP", "ihl", (4, 8)),
        ("udp", "IP", "tos", (8, 16)),
        ("udp", "IP", "dscp", (8, 14)),
        ("udp", "IP", "ecn", (14, 16)),
        ("udp", "IP", "flags", (48, 51)),
        ("udp", "IP", "df", (49, 50)),
        ("udp", "IP", "frag", (51, 64)),
        ("udp", "IP", "src", (96, 128)),
        ("icmp error", "IP in ICMP", "flags", (48, 51)),
        ("icmp error", "IP in ICMP", "mf", (50, 51)),
        ("options", "IP Option Record Route", "copy_flag", (0, 1)),
        ("options", "IP Option Record Route", "optclass", (1, 3)),
        ("options", "IP Option Record Route", "option", (3, 8)),
        ("vlan", "802.1Q", "prio", (0, 3)),
        ("vlan", "802.1Q", "dei", (3, 4)),
        ("vlan", "802.1Q", "vlan", (4, 16)),
        ("dns", "DNS", "qr", (16, 17)),
        ("dns", "DNS", "opcode", (17, 21)),
        ("dns", "DNS", "rcode", (28, 32)),
    ],
)
def test_a_field_knows_its_bits(sample: str, layer: str, field: str, bits: tuple[int, int]) -> None:
    layers = dissect(bytes(SAMPLES[sample]), ETHERNET).layers
    start = next(node.start for node in walk(layers) if node.name == layer)
    first, end = find(layers, layer, field).bits
    assert (first - 8 * start, end - 8 * start) == bits


def test_the_bits_of_a_header_are_its_fields_and_no_two_have_one() -> None:
    header = next(layer for layer in dissect(bytes(SAMPLES["options"]), ETHERNET).layers if layer.name == "IP")
    bits = [bit for field in header.children for part in field.parts or (field,) for bit in range(*part.bits)]
    assert bits == list(range(*header.bits))


@pytest.mark.parametrize("sample", SAMPLES)
def test_layers_follow_each_other_and_hold_their_fields(sample: str) -> None:
    frame = bytes(SAMPLES[sample])
    layers = dissect(frame, ETHERNET).layers
    assert layers[0].start == 0
    assert [layer.stop for layer in layers] == [*(layer.start for layer in layers[1:]), len(frame)]
    for layer in layers:
        for node in walk(layer.children):
            assert layer.start <= node.start <= node.stop <= layer.stop


def test_bit_fields_in_little_endian_know_their_bytes() -> None:
    class Little(Packet):
        fields_desc: ClassVar[list[AnyField]] = [
            ByteField("before", 0),
            BitField("high", 0, 12, tot_size=-2),
            BitField("low", 0, 4, end_tot_size=-2),
            BitField("whole", 0, -16),
            BitField("first", 0, 8, tot_size=-2),
            BitField("second", 0, 8, end_tot_size=-2),
        ]

    bind_layers(UDP, Little, dport=40404)
    try:
        frame = bytes(
            NETWORK / UDP(sport=40403, dport=40404) / Little(high=0xABC, low=0xD, whole=0x1234, first=1, second=2)
        )
        layers = dissect(frame, ETHERNET).layers
    finally:
        split_layers(UDP, Little, dport=40404)
    spans = {node.name: (node.start - 42, node.stop - 42) for node in layers[-1].children}
    bits = {node.name: tuple(bit - 8 * 42 for bit in node.bits) for node in layers[-1].children}
    assert bits["low"] == (12, 16) and bits["high"] == (8, 24), "one that crosses a byte has all the bytes it touches"
    assert frame[42:] == bytes.fromhex("00 cd ab 34 12 02 01")
    assert spans == {
        "before": (0, 1),
        "high": (1, 3),
        "low": (1, 2),
        "whole": (3, 5),
        "first": (6, 7),
        "second": (5, 6),
    }


def test_only_the_outermost_ipv4_header_is_the_grids() -> None:
    layers = dissect(bytes(SAMPLES["exchange"]), ETHERNET).layers
    assert [node.field for node in layers[1].children] == [node.name for node in layers[1].children]
    assert {node.field for layer in (layers[0], *layers[2:]) for node in walk((layer,))} == {""}
    options = find(dissect(bytes(SAMPLES["options"]), ETHERNET).layers, "IP", "options")
    assert {node.field for node in walk(options.children) if not node.children} == {"options"}


@pytest.mark.parametrize(
    ("draft", "note"),
    [
        (Draft(), "correct"),
        (Draft(options=b"\7\7\4\0\0\0\0"), "correct"),
        (Draft(ihl=6, payload=b"ABCDEFGH"), "correct"),
        (Draft(chksum=0x1234, src="10.0.1.10", dst="10.0.2.20", len=33), "wrong, 0x62c2 would be right"),
        (Draft(chksum=0, src="10.0.1.10", dst="10.0.2.20", len=33),
         "left to the network card, or wrong; 0x62c2 would be right"),
        (Draft(ihl=4), ""),
        (Draft(ihl=15), ""),
    ],
)  # fmt: skip
def test_the_header_checksum_is_judged(draft: Draft, note: str) -> None:
    layers = dissect(craft(draft).packet, RAW_IP).layers
    assert find(layers, "IP", "chksum").note == note


@pytest.mark.parametrize(
    ("draft", "field", "note"),
    [
        (Draft(payload=b"1234"), "len", ""),
        (Draft(version=6, payload=b"1234"), "version", "wrong, IPv4 is 4"),
        (Draft(ihl=3, payload=b"1234"), "ihl", "wrong, 5 is the least"),
        (Draft(ihl=15, payload=b"1234"), "ihl", "wrong, 24 bytes are here"),
        (Draft(len=38, payload=b"1234"), "len", "wrong, 24 bytes are here"),
        (Draft(len=19, payload=b"1234"), "len", "wrong, less than the header"),
        (Draft(len=0, payload=b"1234"), "len", ""),
    ],
)
def test_what_a_receiver_would_object_to_is_named(draft: Draft, field: str, note: str) -> None:
    layers = dissect(bytes(12) + b"\x08\x00" + craft(draft, "10.0.1.10").packet, 1).layers
    assert [node.note for node in layers[1].children if node.name == field] == [note]


def test_what_a_snap_length_cut_off_is_missing_and_not_wrong() -> None:
    whole = bytes(NETWORK / TCP(sport=40000, dport=80) / (b"G" * 367))
    cut = whole[:68]
    dissection = dissect(cut, ETHERNET, len(whole))
    notes = {node.name: node.note for node in walk(dissection.layers) if node.note}
    assert notes == {"len": "captured 54 of 407 bytes", "chksum": "correct", "Raw": "captured 68 of 421 bytes"}
    assert dissection.ipv4 == (14, 68)
    assert find(dissection.layers, "TCP", "dport").value == "http"
    assert find(dissection.layers, "Raw", "load").value == repr(b"G" * 14)
    assert find(dissect(cut, ETHERNET).layers, "IP", "len").note == "wrong, 54 bytes are here"


@pytest.mark.parametrize(
    ("draft", "field", "note"),
    [
        (Draft(len=24, payload=b"1234"), "len", "captured 21 of 24 bytes"),
        (Draft(len=21, payload=b"1234"), "len", ""),
        (Draft(len=25, payload=b"1234"), "len", "wrong, 24 bytes were on the wire"),
        (Draft(ihl=6, payload=b"1234"), "ihl", ""),
        (Draft(ihl=7, payload=b"1234"), "ihl", "wrong, 24 bytes were on the wire"),
        (Draft(len=19, payload=b"1234"), "len", "wrong, less than the header"),
    ],
)
def test_what_was_wrong_on_the_wire_is_wrong_where_it_was_cut_too(draft: Draft, field: str, note: str) -> None:
    frame = bytes(12) + b"\x08\x00" + craft(draft, "10.0.1.10").packet
    layers = dissect(frame[:35], 1, len(frame)).layers
    assert [node.note for node in layers[1].children if node.name == field] == [note]


@pytest.mark.parametrize(
    ("size", "ends"),
    [
        (1, "header ends after 1 byte, without tos, len, id, flags, frag, ttl, proto, chksum, src, dst"),
        (7, "header ends after 7 bytes, without frag, ttl, proto, chksum, src, dst"),
        (9, "header ends after 9 bytes, without proto, chksum, src, dst"),
        (19, "header ends after 19 bytes, without dst"),
    ],
)
@pytest.mark.parametrize("link", [bytes(LINK)[:12] + b"\x08\x00", b""], ids=["Ethernet", "raw"])
def test_an_ipv4_header_that_ends_early_is_shown_as_far_as_it_goes(size: int, ends: str, link: bytes) -> None:
    frame = link + bytes(IP(src="10.0.1.10", dst="10.0.2.20", proto=253))[:size]
    linktype = ETHERNET if link else RAW_IP
    dissection = dissect(frame, linktype)
    layer = dissection.layers[-1]
    assert (layer.name, layer.note, layer.start, layer.stop) == ("IP", ends, len(link), len(frame))
    assert dissection.ipv4 == (len(link), len(frame))
    there = {field.name: field.value for field in layer.children}
    expected = {"version": "4", "ihl": "5", "tos": "0x0", "len": "20", "id": "1", "flags": "", "frag": "0", "ttl": "64"}
    expected |= {"proto": "253", "chksum": "0x63d1", "src": "10.0.1.10", "dst": "10.0.2.20"}
    missing = ends.partition("without ")[2].split(", ")
    assert list(there) == [name for name in expected if name not in missing]
    assert not any("wrong" in field.note for field in layer.children)
    assert dissection.summary == summarise(frame, linktype)
    assert dissection.summary.source == ("10.0.1.10" if size > 15 else "")
    assert dissection.summary.destination == ""
    assert dissection.summary.protocol == ("253" if size > 9 else "IP")
    assert dissection.summary.info == ends


def test_other_headers_that_end_early_are_raw_unless_they_were_cut() -> None:
    whole = bytes(NETWORK / TCP(sport=40001, dport=40002))
    frame = whole[:40]
    assert dissect(frame, ETHERNET).layers[-1].name == "Raw"
    layer = dissect(frame, ETHERNET, len(whole)).layers[-1]
    assert layer.name == "TCP"
    assert [(field.name, field.value) for field in layer.children] == [("sport", "40001"), ("dport", "40002")]
    ends = "header ends after 6 bytes, without seq, ack, dataofs, reserved, flags, window, chksum, urgptr"
    assert layer.note == f"captured 40 of 54 bytes; {ends}"
    assert summarise(frame, ETHERNET, len(whole)) == Summary(*TEN, "TCP", ends)
    assert dissect(bytes(LINK)[:10], ETHERNET, 60).layers[0].name == "Raw", "the missing type may mean 802.3"


def test_radiotap_fields_are_where_their_alignment_puts_them() -> None:
    present = "TSFT+Flags+Rate+Channel+dBm_AntSignal+Antenna+RXFlags+MCS"
    radiotap = RadioTap(present=present, Flags=0, ChannelFrequency=2412, RXFlags=0, knownMCS=7, MCS_index=4)
    frame = bytes(radiotap / Dot11(type=2) / b"payload of some odd length")
    spans = {field.name: (field.start, field.stop) for field in dissect(frame, 127).layers[0].children}
    expected = {"mac_timestamp": (8, 16), "Flags": (16, 17), "Rate": (17, 18), "ChannelFrequency": (18, 20)}
    expected |= {"ChannelFlags": (20, 22), "dBm_AntSignal": (22, 23), "Antenna": (23, 24), "RXFlags": (24, 26)}
    expected |= {"knownMCS": (26, 27), "guard_interval": (27, 28), "MCS_index": (28, 29)}
    assert {name: spans[name] for name in expected} == expected
    assert frame[18:20] == (2412).to_bytes(2, "little")


def test_other_checksums_are_not_judged() -> None:
    frame = bytes(NETWORK / UDP(chksum=1) / b"offload") + bytes(NETWORK / TCP(chksum=1))
    assert {node.note for node in walk(dissect(frame, ETHERNET).layers)} == {"", "correct"}
    quoted = bytes(NETWORK / ICMP(type=3, code=2) / IPerror(chksum=1) / b"quoted")
    assert find(dissect(quoted, ETHERNET).layers, "IP in ICMP", "chksum").note == ""


@pytest.mark.parametrize(
    ("frame", "linktype", "ipv4"),
    [
        (bytes(NETWORK / b"abc"), 1, (14, 37)),
        (bytes(NETWORK / b"abc") + bytes(23), 1, (14, 37)),
        (bytes(LINK / IP(len=0) / b"abc"), 1, (14, 37)),
        (bytes(LINK / IP(len=1000) / b"abc"), 1, (14, 37)),
        (bytes(NETWORK6 / IP()), 1, (54, 74)),
        (bytes(SAMPLES["exchange"]), 1, (14, 67)),
        (bytes(LINK / Dot1Q() / IP()), 1, (18, 38)),
        (bytes(IP()), 101, (0, 20)),
        (bytes(IP()), 12, (0, 20)),
        (bytes(IP()), 14, (0, 20)),
        (bytes(IP()), 228, (0, 20)),
        (bytes(Loopback(type=2) / IP()), 0, (4, 24)),
        (bytes(CookedLinux(proto=0x800) / IP()), 113, (16, 36)),
        (bytes(CookedLinuxV2(proto=0x800) / IP()), 276, (20, 40)),
        (bytes(LINK / ARP()), 1, None),
        (bytes(NETWORK)[:30], 1, (14, 30)),
        (bytes(IPv6()), 101, None),
        (bytes(IP()), 9999, None),
        (b"", 1, None),
    ],
)
def test_the_ipv4_packet_is_found(frame: bytes, linktype: int, ipv4: tuple[int, int] | None) -> None:
    assert dissect(frame, linktype).ipv4 == ipv4


@pytest.mark.parametrize(("frame", "linktype"), [(b"", 1), (b"\1\2", 1), (b"bytes", 9999), (b"bytes", -1)])
def test_what_nobody_knows_is_raw(frame: bytes, linktype: int) -> None:
    layer = dissect(frame, linktype).layers[0]
    assert (layer.name, layer.stop, layer.children[0].value) == ("Raw", len(frame), repr(frame))


TEN = ("10.0.1.10", "10.0.2.20")


@pytest.mark.parametrize(
    ("packet", "summary"),
    [
        (NETWORK / IP(proto=253) / b"", Summary(*TEN, "253", "127.0.0.1 > 127.0.0.1 253")),
        (LINK / IP(src=TEN[0], dst=TEN[1], proto=253) / b"ClientMessage", Summary(*TEN, "253", "ClientMessage")),
        (LINK / IP(src=TEN[0], dst=TEN[1], proto=253), Summary(*TEN, "253", "")),
        (LINK / IP(src=TEN[0], dst=TEN[1], proto=89) / b"\1", Summary(*TEN, "OSPFIGP", r"\x01")),
        (NETWORK / ICMP(), Summary(*TEN, "ICMP", "echo-request 0")),
        (NETWORK / ICMP(type=11) / IPerror(), Summary(*TEN, "ICMP", "time exceeded")),
        (NETWORK / ICMP(type=3, code=4, nexthopmtu=576), Summary(*TEN, "ICMP", "fragmentation needed, MTU 576")),
        (NETWORK / ICMP(type=3, code=13), Summary(*TEN, "ICMP", "ICMP error 3/13")),
        (SAMPLES["icmp error"], Summary(*TEN, "ICMP", "protocol unreachable")),
        (SAMPLES["udp"], Summary(*TEN, "UDP", "40001 > 40002: hello")),
        (NETWORK / TCP(sport=40001, dport=40002, flags="SA"), Summary(*TEN, "TCP", "40001 > 40002 SA")),
        (NETWORK / UDP() / DNS(qd=[DNSQR(qname="a.b")]), Summary(*TEN, "DNS", "Qry b'a.b.'")),
        (SAMPLES["dhcp"], Summary(*TEN, "DHCP", "Discover")),
        (
            LINK / ARP(pdst="10.0.0.1", psrc="10.0.0.2"),
            Summary(LINK.src, LINK.dst, "ARP", "who has 10.0.0.1 says 10.0.0.2"),
        ),
        (SAMPLES["echo 6"], Summary("fd00::1", "fd00::2", "ICMPv6", "Echo Request (id: 0x0 seq: 0x0)")),
        (NETWORK6.__class__(bytes(LINK / IPv6(nh=253) / b"hi")), Summary("::1", "::1", "253", "hi")),
        (SAMPLES["spanning tree"], Summary("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "STP", "")),
        (
            LINK / IP(src=TEN[0], dst=TEN[1], proto=253, frag=10, flags="MF") / b"ServerRe",
            Summary(*TEN, "253", "fragment, offset 80, more follow: ServerRe"),
        ),
        (
            LINK / IP(src=TEN[0], dst=TEN[1], proto=17, frag=11) / b"sponse",
            Summary(*TEN, "UDP", "fragment, offset 88, the last: sponse"),
        ),
        (
            LINK / IP(src=TEN[0], dst=TEN[1], flags="MF") / ICMP() / b"ABCDEFGH",
            Summary(*TEN, "ICMP", "fragment, offset 0, more follow: echo-request 0"),
        ),
        (LINK / IP(src=TEN[0], dst=TEN[1], proto=253) / b"\x1b[2J[red]", Summary(*TEN, "253", r"\x1b[2J[red]")),
    ],
)
def test_summaries(packet: Packet, summary: Summary) -> None:
    frame = bytes(packet)
    assert summarise(frame, ETHERNET) == summary
    assert summarise(frame.ljust(60, b"\0"), ETHERNET) == summary  # padding of the link changes nothing
    assert dissect(frame, ETHERNET).summary == summary


def check(frame: bytes, linktype: int, length: int = 0) -> None:
    dissection = dissect(frame, linktype, length)
    assert dissection.layers
    for node in walk(dissection.layers):
        assert 0 <= node.start <= node.stop <= len(frame)
        first, end = node.bits
        assert first < end if node.start < node.stop else first == end
        for part in node.parts:
            assert first <= part.bits[0] < part.bits[1] <= end
        assert node.name.isprintable() and node.value.isprintable()
    assert summarise(frame, linktype, length) == dissection.summary
    assert all(text.isprintable() for text in vars(dissection.summary).values())


LINKTYPES = [1, 1, 1, 0, 12, 101, 105, 113, 127, 147, 228, 229, 276]


@given(st.binary(max_size=500), st.sampled_from(LINKTYPES), st.integers(0, 2**32 - 1))
def test_any_bytes_can_be_dissected(frame: bytes, linktype: int, length: int) -> None:
    check(frame, linktype)
    check(frame, linktype, length)


@given(st.binary(min_size=1, max_size=120), st.sampled_from(sorted(conf.l2types.num2layer)))
def test_fields_of_any_link_type_stay_inside_the_frame(frame: bytes, linktype: int) -> None:
    check(frame, linktype)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=80))
def test_radiotap_fields_stay_inside_the_frame(present: int, rest: bytes) -> None:
    for claimed in (8, 8 + len(rest) // 2, 8 + len(rest)):
        check(struct.pack("<BBHI", 0, 0, claimed, present) + rest, 127)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_frames_cut_anywhere(sample: str, data: st.DataObject) -> None:
    frame = bytes(SAMPLES[sample])
    cut = frame[: data.draw(st.integers(0, len(frame) - 1))]
    check(cut, ETHERNET, len(frame))
    assert not any(node.note.startswith("wrong") for node in walk(dissect(cut, ETHERNET, len(frame)).layers))


def mutated(count: int) -> Iterator[tuple[bytes, int]]:
    """Samples with bytes changed, cut off and added, and a link type; the same ones each time."""
    chance = random.Random(253)
    frames = [bytes(packet) for packet in SAMPLES.values()]
    for _ in range(count):
        frame = bytearray(chance.choice(frames))
        for _ in range(chance.randrange(8)):
            frame[chance.randrange(len(frame))] = chance.randrange(256)
        if chance.random() < 0.3:
            del frame[chance.randrange(len(frame)) :]
        yield bytes(frame + chance.randbytes(chance.choice([0, 0, 50]))), chance.choice(LINKTYPES)


@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_mutated_frames(part: int) -> None:
    for frame, linktype in islice(mutated(10_000), part * 2500, (part + 1) * 2500):
        check(frame, linktype)


@pytest.mark.parametrize(
    "frame",
    [
        bytes(LINK) + b"\x08\x00" + b"".join(bytes(IP(proto=4, len=65535 - 20 * i)) for i in range(3000)),
        bytes(LINK.__class__(type=0x8100)) + b"\0\1\x81\0" * 16_000,
        bytes(NETWORK / UDP() / DNS(ancount=65535, qd=[])) + b"\xc0\x0c\0\1\0\1\0\0\0\0\0\0" * 5_000,
    ],
    ids=["IP in IP", "VLAN in VLAN", "DNS pointing to itself"],
)
def test_bottomless_frames_have_an_end(frame: bytes) -> None:
    check(frame, ETHERNET)


def test_before_the_layers_are_loaded_ip_is_known() -> None:
    script = (
        "import sys; from ipl_tui.packets.dissect import summarise;"
        f"print(summarise(bytes.fromhex('{bytes(SAMPLES['dns']).hex()}'), 1).protocol);"
        "sys.exit('scapy.layers.dns' in sys.modules and 'dns')"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "UDP\n"


def test_odd_frames_make_scapy_write_nothing_on_the_terminal() -> None:
    endless = b"\xc0\x0c\0\1\0\1"  # a name that points to itself
    frame = bytes(NETWORK / UDP(sport=53) / Raw(bytes(DNS(qdcount=1, qd=[])) + endless))
    script = (
        "from ipl_tui.packets.dissect import dissect, load_layers; load_layers();"
        f"names = [layer.name for layer in dissect(bytes.fromhex('{frame.hex()}'), 1).layers]; assert 'DNS' in names"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_crafting_loads_no_scapy_and_packets_no_textual() -> None:
    script = (
        "import sys; import ipl_tui.packets.craft; assert 'scapy' not in sys.modules;"
        "import ipl_tui.packets.dissect; assert 'textual' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
