"""Explanations: what values say, field by field, and the checksum worked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.dissect import dissect
from ipl_tui.packets.explanations.ipv4 import describe_address, option_names
from ipl_tui.packets.explanations.table import LAYERS, describe_payload, explain_field
from ipl_tui.packets.fields import FIELDS
from ipl_tui.packets.worked_checksum import show_change, show_checksum, work_checksum

DRAFT = Draft(src="10.0.1.10", dst="10.0.2.20", payload=b"")
RECORD_ROUTE = b"\x07\x07\x04\0\0\0\0"


def says(name: str, header: bytes, layer: str = "IP") -> str:
    """What the value of a field says in a header."""
    return next(row for row in LAYERS[layer] if row.name == name).says(header)


@pytest.mark.parametrize(
    ("field", "fields", "sentence"),
    [
        ("version", {}, "4: IPv4."),
        ("version", {"version": 6}, "6: not IPv4; who takes it for that drops it in silence."),
        ("ihl", {}, "5 words of 4 bytes are 20 bytes: no options."),
        ("ihl", {"options": RECORD_ROUTE}, "7 words of 4 bytes are 28 bytes: 8 bytes of options."),
        ("ihl", {"ihl": 4}, "4 words are 16 bytes: less than any header has, so receivers drop it in silence."),
        ("dscp", {}, "0: best effort, as everybody."),
        ("dscp", {"dscp": 46}, "46: EF, expedited forwarding: low delay (RFC 3246)."),
        ("dscp", {"dscp": 48}, "48: CS6, a class selector: the IP precedence of old (RFC 2474)."),
        ("dscp", {"dscp": 10}, "10: AF11, assured forwarding: class 1, drop precedence 1 (RFC 2597)."),
        ("dscp", {"dscp": 38}, "38: AF43, assured forwarding: class 4, drop precedence 3 (RFC 2597)."),
        ("dscp", {"dscp": 5}, "5: no meaning that everybody shares."),
        ("ecn", {"ecn": 3}, "3: CE, a router on the way was congested and marked it instead of dropping it."),
        ("len", {"payload": b"ClientMessage"}, "33 bytes: 20 of header and 13 of payload."),
        ("ihl", {"ihl": 1}, "1 word is 4 bytes: less than any header has, so receivers drop it in silence."),
        ("len", {"len": 1}, "1 byte: less than the header's 20, so receivers drop it."),
        ("len", {"len": 10}, "10 bytes: less than the header's 20, so receivers drop it."),
        ("len", {"len": 0}, "0: the network card fills it in, or it is wrong."),
        ("id", {"id": 7}, "7: this is no fragment, so nobody needs it (RFC 6864)."),
        ("id", {"id": 7, "mf": 1}, "7: fragments with this number, protocol and addresses belong to one datagram."),
        ("reserved", {"reserved": 1}, "1: it must be 0; most hosts take no notice."),
        ("df", {"df": 1}, "1: no router may cut it into fragments."),
        ("mf", {}, "0: not cut, it is the whole datagram."),
        ("mf", {"frag": 1}, "0: the last fragment of its datagram."),
        ("mf", {"mf": 1}, "1: a fragment, and more of the datagram follows."),
        ("frag", {"frag": 185}, "185 = byte 1,480 of the datagram's payload."),
        ("frag", {"mf": 1}, "0: the first fragment."),
        ("ttl", {"ttl": 64}, "64: as Linux and macOS begin: no router has taken 1 yet."),
        ("ttl", {"ttl": 63}, "63: one router has taken 1 from 64."),
        ("ttl", {"ttl": 113}, "113: 15 routers have taken 1 from 128."),
        ("ttl", {"ttl": 1}, "1: the next router would take it to 0 and drop it; the host it is for takes it."),
        ("ttl", {"ttl": 0}, "0: used up; no router passes it on."),
        ("ttl", {"ttl": 200}, "200: no usual beginning is near, so it tells of no number of routers."),
        ("proto", {}, "253: for experiments (RFC 3692), the course's ClientMessage."),
        ("proto", {"proto": 6}, "6: TCP."),
        ("chksum", {"id": 0, "chksum": 1}, "0x0001: wrong, 0x62d0 would be right; receivers drop it in silence."),
        ("chksum", {"id": 0, "chksum": 0}, "0: left to the network card, or wrong; 0x62d0 would be right."),
        ("src", {}, "10.0.1.10: private (RFC 1918)."),
        ("src", {"src": "224.0.0.5"}, "224.0.0.5: multicast, which may be no source; receivers drop it."),
        ("dst", {"dst": "203.0.113.9"}, "203.0.113.9: for documentation (RFC 5737)."),
        ("options", {}, "none."),
        ("options", {"options": RECORD_ROUTE}, "8 bytes: Record Route, 7 bytes; end of options."),
    ],
)
def test_what_a_value_says(field: str, fields: dict[str, object], sentence: str) -> None:
    assert says(field, craft(replace(DRAFT, **fields)).packet) == sentence  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "field", "packet", "sentence"),
    [
        ("Ethernet", "dst", Ether(dst="ff:ff:ff:ff:ff:ff"), "the broadcast: every host on the link."),
        ("Ethernet", "dst", Ether(dst="01:00:5e:00:00:01"), "a group of hosts: the lowest bit of the first byte is 1."),
        ("Ethernet", "src", Ether(src="02:00:00:00:00:01"), "one card's, given by software: locally administered."),
        ("Ethernet", "type", Ether(type=0x0806), "0x0806: ARP."),
        ("ARP", "op", ARP(op=2), "2: a reply, this address is at that card."),
        ("ARP", "psrc", ARP(psrc="192.168.1.1"), "192.168.1.1: private (RFC 1918)."),
        ("ICMP", "type", ICMP(type=11), "11: time exceeded."),
        ("ICMP", "code", ICMP(type=3, code=2), "3/2: protocol unreachable: nobody there listens to this protocol."),
        ("UDP", "dport", UDP(dport=53), "53: a well-known port, given by IANA (RFC 6335)."),
        ("UDP", "len", UDP(len=20), "20 bytes: 8 of header and 12 of data."),
        ("UDP", "len", UDP(len=1), "1 byte: less than the header has."),
        ("UDP", "chksum", UDP(chksum=0), "0: the sender made none."),
        ("TCP", "dataofs", TCP(dataofs=1), "1 word is 4 bytes: less than any TCP header has."),
        ("TCP", "dataofs", TCP(dataofs=6), "6 words of 4 bytes are 24 bytes: 4 of options."),
        ("TCP", "flags", TCP(flags="SA"), "SYN: opens a connection; ACK: the acknowledgment counts"),
    ],
)
def test_what_the_values_of_other_layers_say(layer: str, field: str, packet: Packet, sentence: str) -> None:
    assert says(field, bytes(packet), layer) == sentence


def test_rows_read_what_scapy_reads() -> None:
    packets: dict[str, Packet] = {
        "Ethernet": Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x86DD),
        "ARP": ARP(hwtype=2, ptype=3, hwlen=6, plen=4, op=7),
        "IP": IP(version=4, ihl=5, len=33, id=7, frag=9, ttl=63, proto=253, chksum=1),
        "ICMP": ICMP(type=8, code=1, chksum=2, id=3, seq=4),
        "UDP": UDP(sport=1, dport=2, len=3, chksum=4),
        "TCP": TCP(sport=1, dport=2, seq=3, ack=4, dataofs=5, reserved=6, flags=0x123, window=8, chksum=9, urgptr=10),
    }
    for layer, packet in packets.items():
        compared = 0
        for row in LAYERS[layer]:
            wanted = packet.fields.get(row.name)
            if row.bits and not row.part_of and not isinstance(wanted, str | None):
                assert row.read(bytes(packet)) == int(wanted), (layer, row.name)
                compared += 1
            assert row.meaning and row.rfc and row.title.endswith(row.part_of or row.name)
        assert compared


def test_scapys_names_lead_to_the_explanations() -> None:
    assert [row.name for row in explain_field("IP", "tos")] == ["dscp", "ecn"]
    assert [row.name for row in explain_field("IP", "flags")] == ["reserved", "df", "mf"]
    assert [row.title for row in explain_field("IP", "len")] == ["Total Length · len"]
    assert explain_field("IP", "nonsense") == explain_field("DNS", "qd") == ()
    assert {row.name for row in LAYERS["IP"]} == {field.name for field in FIELDS}


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback: this host itself (RFC 1122)"),
        ("224.0.0.251", "multicast on this link only (RFC 5771)"),
        ("239.1.1.1", "multicast: a group of hosts (RFC 5771)"),
        ("255.255.255.255", "the limited broadcast: all on this link (RFC 919)"),
        ("172.31.0.1", "private (RFC 1918)"),
        ("172.32.0.1", "public: a host's in the Internet"),
    ],
)
def test_kinds_of_addresses(address: str, kind: str) -> None:
    assert describe_address(address) == kind


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"ClientMessage", "13 bytes: ClientMessage, the request of the exchange, a byte a character."),
        (b"ServerResponse", "14 bytes: ServerResponse, the answer of the exchange, a byte a character."),
        (b"[b]x", "4 bytes of text: [b]x"),
        (b"\x1b[2J", "4 bytes."),
        (b"", "0 bytes."),
    ],
)
def test_payloads(payload: bytes, sentence: str) -> None:
    assert describe_payload(payload) == sentence


def test_options_that_are_cut_off_are_said() -> None:
    assert option_names(bytes(IPOption_RR(routers=["1.2.3.4"]))[:4]) == ["Record Route, which is cut off"]
    assert option_names(b"\x01\x44") == ["no operation", "Internet Timestamp, which is cut off"]
    assert option_names(b"\x99\x04\0\0\0") == ["option 153, 4 bytes", "end of options"]


def test_a_checksum_is_worked() -> None:
    header = craft(replace(DRAFT, id=1, payload=b"ClientMessage")).packet[:20]
    lines = list(show_checksum(work_checksum(header)))
    assert lines[0].split() == ["word", "value", "sum"]
    assert lines[5].split()[:3] == ["5", "0x40fd", "0x861f"]
    assert lines[-1] == f"checksum 0x{int.from_bytes(header[10:12]):04x}; the header agrees"
    wrong = header[:10] + b"\0\1" + header[12:]
    assert list(show_checksum(work_checksum(wrong)))[-1].endswith("the header says 0x0001: wrong")


def test_what_a_hop_changes_in_the_checksum_is_worked() -> None:
    before, after = (craft(replace(DRAFT, id=1, ttl=ttl)).packet[:20] for ttl in (64, 63))
    old, new = (int.from_bytes(header[10:12]) for header in (before, after))
    assert new == old + 0x0100
    assert list(show_change(before, after)) == [
        "word 5, Time to Live, Protocol: 0x40fd became 0x3ffd",
        f"HC' = ~(~HC + ~m + m'): from 0x{old:04x} to 0x{new:04x}, as it is",
    ]
    forgotten = after[:10] + before[10:12] + after[12:]
    assert list(show_change(before, forgotten))[-1].endswith(f"but the header says 0x{old:04x}")
    assert (
        list(show_change(before, before))
        == list(show_change(before, before[:19]))
        == list(show_change(b"", after))
        == []
    )


@given(st.binary(min_size=20, max_size=60))
def test_a_worked_checksum_is_the_checksum(header: bytes) -> None:
    worked = work_checksum(header)
    assert worked.right == internet_checksum(header[:10] + b"\0\0" + header[12:])
    assert list(show_checksum(worked))


@given(st.binary(max_size=80), st.sampled_from(sorted(LAYERS)))
def test_any_bytes_are_explained_in_printable_words(header: bytes, layer: str) -> None:
    for row in LAYERS[layer]:
        assert row.says(header).isprintable()


@given(st.binary(max_size=120), st.sampled_from([1, 101]))
def test_fields_of_any_frame_are_explained(frame: bytes, linktype: int) -> None:
    for layer in dissect(frame, linktype).layers:
        for node in layer.children:
            for row in explain_field(layer.name, node.name):
                assert row.says(frame[layer.start : layer.stop]).isprintable()
