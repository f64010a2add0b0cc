"""From what is typed to the bytes of a packet."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP

from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.craft import (
    PRESETS,
    Draft,
    Problem,
    craft,
    payload_hex,
    payload_text,
    read_entries,
    write_entries,
)
from ipl_tui.packets.fields import FIELDS, read_header

CLIENT_MESSAGE = Draft(src="10.0.1.10", dst="10.0.2.20", payload=b"ClientMessage")


def number(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1)


addresses = st.ip_addresses(v=4).map(str)
given_drafts = st.builds(
    Draft,
    version=number(4), ihl=number(4), dscp=number(6), ecn=number(2), len=number(16), id=number(16),
    reserved=number(1), df=number(1), mf=number(1), frag=number(13), ttl=number(8), proto=number(8),
    chksum=number(16), src=addresses, dst=addresses, options=st.binary(max_size=50), payload=st.binary(max_size=100),
)  # fmt: skip
drafts = st.builds(
    Draft,
    version=st.none() | number(4), ihl=st.none() | number(4), len=st.none() | number(16),
    chksum=st.none() | number(16), src=st.none() | addresses, dscp=number(6), ecn=number(2), id=number(16),
    reserved=number(1), df=number(1), mf=number(1), frag=number(13), ttl=number(8), proto=number(8), dst=addresses,
    options=st.binary(max_size=40), payload=st.binary(max_size=100),
)  # fmt: skip


def packed(draft: Draft) -> bytes:
    """The packet of a draft with every field given, packed by hand."""
    assert None not in (draft.version, draft.ihl, draft.len, draft.chksum, draft.src)
    header = struct.pack(
        "!BBHHHBBH4s4s",
        (draft.version or 0) << 4 | (draft.ihl or 0),
        draft.dscp << 2 | draft.ecn,
        draft.len,
        draft.id,
        draft.reserved << 15 | draft.df << 14 | draft.mf << 13 | draft.frag,
        draft.ttl,
        draft.proto,
        draft.chksum,
        IPv4Address(draft.src or "").packed,
        IPv4Address(draft.dst).packed,
    )
    return header + draft.options.ljust((len(draft.options) + 3) // 4 * 4, b"\0") + draft.payload


@given(given_drafts)
def test_given_values_go_out_as_given(draft: Draft) -> None:
    assert craft(draft).packet == packed(draft)


@given(drafts)
def test_automatic_values_describe_the_packet(draft: Draft) -> None:
    crafted = craft(draft, "192.0.2.1")
    padded = draft.options + bytes(-len(draft.options) % 4)
    values = crafted.values
    assert draft.version is not None or values["version"] == 4
    assert draft.ihl is not None or values["ihl"] == 5 + len(padded) // 4
    assert draft.len is not None or values["len"] == len(crafted.packet)
    assert draft.src is not None or values["src"] == "192.0.2.1"
    if draft.chksum is None:
        unsummed = crafted.packet[:10] + b"\0\0" + crafted.packet[12:]
        assert values["chksum"] == internet_checksum(unsummed[: 4 * int(values["ihl"])])
    assert values["options"] == padded
    fixed = [field.name for field in FIELDS if field.bits]
    assert {name: read_header(crafted.packet)[name] for name in fixed} == {name: values[name] for name in fixed}


@given(drafts)
def test_scapy_builds_the_same_packet_where_it_can(draft: Draft) -> None:
    if draft.options or draft.ihl not in (None, 5):
        draft = replace(draft, options=b"", ihl=None)  # Scapy sums only the header that it built
    header = IP(
        version=4 if draft.version is None else draft.version,
        tos=draft.dscp << 2 | draft.ecn,
        len=draft.len,
        id=draft.id,
        flags=draft.reserved << 2 | draft.df << 1 | draft.mf,
        frag=draft.frag,
        ttl=draft.ttl,
        proto=draft.proto,
        chksum=draft.chksum,
        src=draft.src or "192.0.2.1",
        dst=draft.dst,
    )
    assert craft(draft, "192.0.2.1").packet == bytes(header / draft.payload)


def test_a_forced_ihl_sums_the_payload_too() -> None:
    crafted = craft(Draft(ihl=6, src="10.0.1.10", dst="10.0.2.20", payload=b"ABCDEFGH"))
    assert internet_checksum(crafted.packet[:24]) == 0 != internet_checksum(crafted.packet[:20])
    assert internet_checksum(craft(Draft(ihl=15, payload=b"odd")).packet) == 0  # over as much as there is


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"ttl": 300}, "ttl", "Time to Live is 8 bits: 0 to 255."),
        ({"ttl": -1}, "ttl", "Time to Live is 8 bits: 0 to 255."),
        ({"df": 2}, "df", "Don't Fragment is 1 bit: 0 or 1."),
        ({"frag": 8192}, "frag", "Fragment Offset is 13 bits: 0 to 8,191, in units of 8 bytes."),
        ({"ihl": 16}, "ihl", "IHL is 4 bits: 0 to 15, in words of 4 bytes."),
        ({"len": 65536}, "len", "Total Length is 16 bits: 0 to 65,535."),
        ({"options": bytes(41)}, "options", "Options have 41 bytes; IHL can count 40."),
        ({"payload": bytes(65516)}, "payload", "The packet has 65,536 bytes; Total Length can count 65,535."),
        ({"src": "here"}, "src", 'Source needs an address such as 10.0.1.10; "here" is a name.'),
    ],
)
def test_what_has_no_bits_is_refused(changes: dict[str, Any], field: str, sentence: str) -> None:
    draft = replace(CLIENT_MESSAGE, **changes)
    with pytest.raises(ValueError) as refusal:
        craft(draft)
    assert str(refusal.value) == sentence
    if field != "payload":  # which takes long to write out
        assert read_entries(*write_entries(draft), False) == (None, (Problem(field, sentence, True),))


def test_the_longest_packet_is_crafted() -> None:
    assert len(craft(Draft(payload=bytes(65515))).packet) == 65535
    assert craft(Draft(options=bytes(40))).values["ihl"] == 15


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, []),
        ({"version": 6}, [("version", "Version says 6; IPv4 is 4.")]),
        ({"ihl": 4}, [("ihl", "IHL says 16 bytes; a header has at least 20.")]),
        ({"ihl": 6}, [("ihl", "IHL says 24 bytes, the header has 20.")]),
        ({"ihl": 5, "options": b"\7\7\4\0\0\0\0"}, [("ihl", "IHL says 20 bytes, the header has 28.")]),
        ({"len": 38}, [("len", "Total Length says 38, the packet has 33 bytes.")]),
        ({"chksum": 0x1234}, [("chksum", "Header Checksum is 0x1234, 0x62c2 would be right.")]),
        ({"chksum": 0x62C2}, []),
        ({"reserved": 1}, [("reserved", "Reserved Flag is 1; RFC 791 says that it must be 0.")]),
        (
            {"df": 1, "frag": 2},
            [("df", "Don't Fragment is 1, and yet More Fragments or Fragment Offset says that this is a fragment.")],
        ),
        (
            {"mf": 1},
            [
                (
                    "mf",
                    "More Fragments is 1, and the payload has 13 bytes: only the last fragment may have "
                    "other than a multiple of 8.",
                )
            ],
        ),
        ({"mf": 1, "payload": b"8 bytes!"}, []),
        (
            {"frag": 8190},
            [
                (
                    "frag",
                    "Fragment Offset puts the payload at byte 65,520: the whole datagram would have 65,553 bytes, "
                    "more than 65,535.",
                )
            ],
        ),
        ({"frag": 8187}, []),
        ({"ttl": 0}, [("ttl", "Time to Live is 0: no router forwards it.")]),
        ({"src": "224.0.0.5"}, [("src", "Source 224.0.0.5 is a multicast address: nobody sends from a group.")]),
        (
            {"src": "255.255.255.255"},
            [("src", "Source 255.255.255.255 is the broadcast address: nobody sends from it.")],
        ),
        ({"dst": "0.0.0.0"}, [("dst", "Destination 0.0.0.0 is nobody's address.")]),
        (
            {"options": b"\x83\x27"},
            [("options", "Loose Source Route says 39 bytes, only 4 are left in the header.")],
        ),
        ({"options": b"\7\7\4\0\0\0"}, []),  # the zero that pads it is its seventh byte
        (
            {"ttl": 0, "version": 5},
            [("version", "Version says 5; IPv4 is 4."), ("ttl", "Time to Live is 0: no router forwards it.")],
        ),
    ],
)
def test_what_contradicts_itself_is_named(changes: dict[str, Any], problems: list[tuple[str, str]]) -> None:
    crafted = craft(replace(CLIENT_MESSAGE, **changes))
    assert [(problem.field, problem.text) for problem in crafted.problems] == problems
    assert not any(problem.blocks for problem in crafted.problems)


def test_both_zeros_of_ones_complement_are_right() -> None:
    draft = Draft(src="0.0.0.1", dst="0.0.0.1")
    identification = craft(draft).values["chksum"]
    assert isinstance(identification, int)
    draft = replace(draft, id=identification + draft.id)  # now the words add up to 0xffff
    assert craft(draft).values["chksum"] == 0
    assert craft(replace(draft, chksum=0xFFFF)).problems == ()


@given(drafts)
def test_entries_are_read_back(draft: Draft) -> None:
    entries, payload = write_entries(draft)
    assert read_entries(entries, payload, False) == (draft, ())
    assert read_entries(entries, payload_hex(draft.payload), True) == (draft, ())


@given(st.dictionaries(st.sampled_from([field.name for field in FIELDS]), st.text()), st.text(), st.booleans())
def test_a_draft_is_read_exactly_when_nothing_blocks(entries: dict[str, str], payload: str, hexadecimal: bool) -> None:
    draft, problems = read_entries(entries, payload, hexadecimal)
    assert (draft is None) == any(problem.blocks for problem in problems)
    assert all(problem.text.isprintable() and problem.text.endswith(".") for problem in problems)


ENTRIES, _ = write_entries(CLIENT_MESSAGE)


@pytest.mark.parametrize(
    ("field", "entry", "value"),
    [
        ("ttl", " 64 ", 64),
        ("ttl", "0x40", 64),
        ("ttl", "0X4f", 79),
        ("ttl", "0b1000000", 64),
        ("ttl", "007", 7),
        ("proto", "icmp", 1),
        ("proto", "UDP", 17),
        ("chksum", "", None),
        ("src", "", None),
        ("options", "", b""),
        ("options", "0x07:07,04 00", b"\7\7\4\0"),
    ],
)
def test_an_entry_is_read(field: str, entry: str, value: int | bytes | None) -> None:
    draft, problems = read_entries({**ENTRIES, field: entry}, "", False)
    assert problems == ()
    assert getattr(draft, field) == value


@pytest.mark.parametrize(
    ("field", "entry", "sentence"),
    [
        ("ttl", "", "Time to Live needs a number, 0 to 255."),
        ("ttl", "many", "Time to Live needs a number, 0 to 255."),
        ("ttl", "1_0", "Time to Live needs a number, 0 to 255."),
        ("ttl", "٣", "Time to Live needs a number, 0 to 255."),
        ("ttl", "9" * 5000, "Time to Live needs a number, 0 to 255."),
        ("id", "dead", "Identification needs a number, 0 to 65,535; in hex it begins with 0x: 0xdead."),
        ("chksum", "62C2f", "Header Checksum needs a number, 0 to 65,535."),
        ("ttl", "fff", "Time to Live needs a number, 0 to 255."),
        ("ttl", "ff", "Time to Live needs a number, 0 to 255; in hex it begins with 0x: 0xff."),
        (
            "proto",
            "fd",
            "Protocol needs a number, 0 to 255, or a keyword such as ICMP; in hex it begins with 0x: 0xfd.",
        ),
        ("mf", "", "More Fragments needs a number, 0 or 1."),
        ("proto", "ipl", "Protocol needs a number, 0 to 255, or a keyword such as ICMP."),
        ("dst", "", "Destination needs an address such as 10.0.1.10."),
        ("dst", "example.org", 'Destination needs an address such as 10.0.1.10; "example.org" is a name.'),
        ("dst", "10.0.0.256", 'Destination needs an address such as 10.0.1.10; "10.0.0.256" is not one.'),
        ("src", "fe80::1", 'Source needs an address such as 10.0.1.10; "fe80::1" is not one.'),
        ("options", "070", "Options has 3 hex digits; a byte is two."),
        ("options", "7", "Options has 1 hex digit; a byte is two."),
        ("options", "xyz", 'Options is hex: "x" is no hex digit.'),
    ],
)
def test_an_entry_that_cannot_be_read_says_what_is_needed(field: str, entry: str, sentence: str) -> None:
    assert read_entries({**ENTRIES, field: entry}, "", False) == (None, (Problem(field, sentence, True),))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("ClientMessage", b"ClientMessage"),
        (r"a\x00\xFFb", b"a\0\xffb"),
        (r"\n\r\t\0\\", b"\n\r\t\0\\"),
        (r"\\x41", rb"\x41"),
        ("Grüße", "Grüße".encode()),
        ("two\nlines", b"two\nlines"),
    ],
)
def test_a_payload_is_text_with_escapes(text: str, data: bytes) -> None:
    draft, problems = read_entries(ENTRIES, text, False)
    assert problems == () and draft is not None and draft.payload == data


@pytest.mark.parametrize("text", ["43 6c", "0x43 0x6C", "43:6c", "0x436c", "43,\n6c"])
def test_a_payload_is_hex(text: str) -> None:
    draft, _ = read_entries(ENTRIES, text, True)
    assert draft is not None and draft.payload == b"Cl"


@pytest.mark.parametrize(
    ("text", "hexadecimal", "sentence"),
    [
        (r"\q", False, r'Payload: "\q" is no escape; \xNN, \n, \r, \t, \0 and \\ (a backslash) are.'),
        (r"\x4", False, r'Payload: "\x" is no escape; \xNN, \n, \r, \t, \0 and \\ (a backslash) are.'),
        ("end\\", False, r'Payload: "\" is no escape; \xNN, \n, \r, \t, \0 and \\ (a backslash) are.'),
        ("436", True, "Payload has 3 hex digits; a byte is two."),
        ("no", True, 'Payload is hex: "n" is no hex digit.'),
    ],
)
def test_a_payload_that_cannot_be_read_says_why(text: str, hexadecimal: bool, sentence: str) -> None:
    assert read_entries(ENTRIES, text, hexadecimal) == (None, (Problem("payload", sentence, True),))


@given(st.binary(max_size=100))
def test_payload_text_prints_and_is_read_back(data: bytes) -> None:
    text = payload_text(data)
    assert text.isprintable()
    draft, problems = read_entries(ENTRIES, text, False)
    assert problems == () and draft is not None and draft.payload == data


def test_all_problems_are_named_at_once_in_header_order() -> None:
    _, problems = read_entries({**ENTRIES, "dst": "x", "ttl": "300", "id": ""}, "\\", False)
    assert [problem.field for problem in problems] == ["id", "ttl", "dst", "payload"]


def test_the_presets_have_no_problems() -> None:
    assert [preset.name for preset in PRESETS] == [
        "ClientMessage",
        "ServerResponse",
        "ICMP echo request",
        "Empty datagram",
        "Long datagram",
    ]
    for preset in PRESETS:
        assert craft(preset.draft, "10.0.1.10").problems == ()
    units = PRESETS[4].draft.payload
    assert all(int(units[at : at + 8]) == at // 8 for at in range(0, len(units), 8))
    echo = IP(craft(PRESETS[2].draft).packet)
    assert echo.summary() == "IP / ICMP 0.0.0.0 > 127.0.0.1 echo-request 0 / Raw"
    assert internet_checksum(bytes(echo.payload)) == 0
