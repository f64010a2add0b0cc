"""IPv4 options, byte by byte: what a host writes into them, where it objects, and what goes back. As on Linux 6.18."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.packets.options import answer, contradiction, fill_in, for_later_fragments

OWN, OTHER = b"\x0a\0\x01\x01", b"\x0a\0\x02\x14"
TIME = 0x01020304
STAMP = TIME.to_bytes(4)


def header(options: bytes) -> bytearray:
    assert len(options) % 4 == 0
    return bytearray([0x45 + len(options) // 4]) + bytes(19) + options


def is_own(address: bytes) -> bool:
    return address == OWN


def hexadecimal(text: str) -> bytes:
    """Bytes written in hexadecimal, with `own`, `other` and `time` for theirs, filled up with zeros to words."""
    for word, value in (("own", OWN), ("other", OTHER), ("time", STAMP)):
        text = text.replace(word, value.hex())
    data = bytes.fromhex(text)
    return data + bytes(-len(data) % 4)


FILLED = {
    "none": ("", ""),
    "no operation": ("01 01 01 01", "01 01 01 01"),
    "after the end there is nothing": ("01 00 07 05", "01 00 00 00"),
    "unknown": ("5e 04 01 02", "5e 04 01 02"),
    "router alert": ("94 04 00 00", "94 04 00 00"),
    "Record Route": ("07 0b 04 00000000 00000000", "07 0b 08 own 00000000"),
    "Record Route, the second": ("07 0b 08 other 00000000", "07 0b 0c other own"),
    "Record Route, full": ("07 07 08 other", "07 07 08 other"),
    "Record Route, with no room at all": ("07 03 04 00", "07 03 04 00"),
    "Record Route, off the grid": ("07 0b 06 00000000 00000000", "07 0b 0a 0000 own 0000"),
    "times": ("44 0c 05 00 00000000 00000000", "44 0c 09 00 time 00000000"),
    "times, full": ("44 08 09 00 ffffffff", "44 08 09 10 ffffffff"),
    "addresses and times": ("44 0c 05 01 00000000 00000000", "44 0c 0d 01 own time"),
    "given addresses": ("44 14 05 03 own 00000000 other 00000000", "44 14 0d 03 own time other 00000000"),
    "given addresses, another's turn": ("44 0c 05 03 other 00000000", "44 0c 05 03 other 00000000"),
    "given addresses, full": ("44 0c 0d 03 own ffffffff", "44 0c 0d 03 own ffffffff"),
    "times of an unknown kind": ("44 08 05 02 00000000", "44 08 05 02 00000000"),
    "all": ("07 07 04 00000000 44 08 05 00 00000000 01", "07 07 08 own 44 08 09 00 time 01"),
}


@pytest.mark.parametrize(("before", "after"), FILLED.values(), ids=FILLED.keys())
def test_what_a_host_writes(before: str, after: str) -> None:
    packet = header(hexadecimal(before))
    options = fill_in(packet, OWN, is_own, TIME)
    assert (options.problem, bytes(packet[20:])) == (None, hexadecimal(after))
    assert options.changed == (hexadecimal(before) != hexadecimal(after))


PROBLEMS = {
    "no length": ("01 01 01 07", 23),
    "length 0": ("07 00", 20),
    "length 1": ("5e 01", 20),
    "longer than the header": ("01 5e 04 00", 21),
    "Record Route without a pointer": ("07 02", 21),
    "Record Route, pointer too low": ("07 07 03 00000000", 22),
    "Record Route, room for half an address": ("07 07 05 00000000", 22),
    "two Record Routes": ("07 07 04 00000000 07 07 04 00000000", 27),
    "timestamp without flags": ("44 03 05", 21),
    "timestamp, pointer too low": ("44 08 04 00 00000000", 22),
    "timestamp, room for half a time": ("44 08 06 00 00000000", 22),
    "timestamp, room for an address only": ("44 08 05 01 00000000", 22),
    "timestamp, room for a given address only": ("44 08 05 03 own", 22),
    "timestamp, 16 hosts found no room": ("44 08 09 f0 00000000", 23),
    "two timestamps": ("44 08 05 00 00000000 44 08 05 00 00000000", 28),
    "source route without a pointer": ("83 02", 21),
    "source route, pointer too low": ("89 07 03 other", 22),
    "two source routes": ("83 07 04 other 89 07 04 other", 27),
    "commercial security, too short": ("86 06 00000001", 21),
    "commercial security of no known domain": ("86 0a 00000001 01 04 00 01", 22),
    "short router alert": ("94 03 00", 21),
}


@pytest.mark.parametrize(("options", "pointer"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_where_a_host_objects(options: str, pointer: int) -> None:
    """RFC 792, parameter problem: the pointer is the octet where an error was detected."""
    assert fill_in(header(hexadecimal(options)), OWN, is_own, TIME).problem == pointer


CONTRADICTIONS = {
    "longer than it is": ("83 27", "Loose Source Route says 39 bytes, only 4 are left in the header."),
    "longer than any": ("07 83", "Record Route says 131 bytes, only 4 are left in the header."),
    "its bytes forgotten": ("07 0b 04", "Record Route says 11 bytes, only 4 are left in the header."),
    "longer, after another": ("01 01 01 01 5e 09 01", "Option 94 says 9 bytes, only 4 are left in the header."),
    "no length": ("01 01 01 07", "Record Route is the last byte of the header: its length is missing."),
    "length 0": ("07 00", "Record Route says 0 bytes; its type and length are 2."),
    "length 1": ("5e 01", "Option 94 says 1 byte; its type and length are 2."),
    "too short for a pointer": ("83 02", "Loose Source Route says 2 bytes; it needs 3 at least."),
    "too short for flags": ("44 03 05", "Internet Timestamp says 3 bytes; it needs 4 at least."),
    "pointer too low": ("07 07 03 00000000", "Record Route's pointer says 3; its first entry is at 4."),
    "timestamp's pointer too low": (
        "44 08 04 00 00000000",
        "Internet Timestamp's pointer says 4; its first entry is at 5.",
    ),
    "pointer beyond": ("07 07 09 00000000", "Record Route's pointer says 9, beyond its 7 bytes."),
    "pointer far beyond": ("89 07 ff 00000000", "Strict Source Route's pointer says 255, beyond its 7 bytes."),
    "timestamp's pointer beyond": ("44 08 0a 00 00000000", "Internet Timestamp's pointer says 10, beyond its 8 bytes."),
    "no room for an address": (
        "07 07 05 00000000",
        "Record Route's pointer says 5: from there its 7 bytes have no room for an address.",
    ),
    "no room on the way": (
        "83 06 04 0a0002",
        "Loose Source Route's pointer says 4: from there its 6 bytes have no room for an address.",
    ),
    "no room for a time": (
        "44 08 06 00 00000000",
        "Internet Timestamp's pointer says 6: from there its 8 bytes have no room for a time.",
    ),
    "no room for both": (
        "44 08 05 01 00000000",
        "Internet Timestamp's pointer says 5: from there its 8 bytes have no room for an address and a time.",
    ),
    "nothing to count with": (
        "44 08 09 f0 00000000",
        "Internet Timestamp counts 15 hosts that found no room, and can count no more.",
    ),
    "two": ("07 07 04 00000000 07 07 04 00000000", "There is a second Record Route; a packet has one at most."),
    "two timestamps": (
        "44 08 05 00 00000000 44 08 05 00 00000000",
        "There is a second Internet Timestamp; a packet has one at most.",
    ),
    "two routes": (
        "83 07 04 other 89 07 04 other",
        "There is a second source route; a packet has one at most.",
    ),
    "short alert": ("94 03 00", "Router Alert says 3 bytes; it needs 4 at least."),
    "short security": ("86 06 00000001", "Commercial Security says 6 bytes; it needs 8 at least."),
    "security": (
        "86 0a 00000001 01 04 00 01",
        "Hosts object to a Commercial Security domain that they were not set up for.",
    ),
}


@pytest.mark.parametrize(("options", "sentence"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_what_contradicts_itself_before_it_is_sent(options: str, sentence: str) -> None:
    assert contradiction(hexadecimal(options)) == sentence


@pytest.mark.parametrize("options", [before for before, _ in FILLED.values()], ids=FILLED.keys())
def test_what_hosts_take_contradicts_nothing(options: str) -> None:
    assert contradiction(hexadecimal(options)) == ""


ANSWERS: dict[str, tuple[str, str | None]] = {
    "none": ("", ""),
    "what is not for answers": ("94 04 00 00 5e 04 01 02", ""),
    "Record Route": ("07 0b 04 00000000 00000000", "07 0b 0c own own"),
    "Record Route that gets full": ("07 07 04 00000000", "07 07 08 own"),
    "Record Route that was full": ("07 07 08 other", "07 07 08 other"),
    "Record Route, then room for half an address": ("07 0a 04 00000000 000000", None),
    "times": ("44 0c 05 00 00000000 00000000", "44 0c 0d 00 time time"),
    "addresses and times": ("44 14 05 01" + "00" * 16, "44 14 15 01 own time own time"),
    "addresses and times, then room for half": ("44 10 05 01" + "00" * 12, None),
    "given addresses, twice": ("44 14 05 03 own 00000000 own 00000000", "44 14 15 03 own time own time"),
    "given addresses, another's next": (
        "44 14 05 03 own 00000000 other 00000000",
        "44 14 0d 03 own time other 00000000",
    ),
    "given addresses, another's turn": ("44 0c 05 03 other 00000000", "44 0c 05 03 other 00000000"),
    "given addresses, then half an address": ("44 0e 05 03 own 00000000 0a00", None),
    "both, Record Route first": (
        "44 08 05 00 00000000 07 07 04 00000000",
        "07 07 08 own 44 08 09 00 time",
    ),
}


@pytest.mark.parametrize(("before", "after"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_goes_back(before: str, after: str | None) -> None:
    packet = header(hexadecimal(before))
    options = fill_in(packet, OWN, is_own, TIME)
    assert options.problem is None
    expected = None if after is None else hexadecimal(after)
    assert answer(bytes(packet), options, OWN, is_own, TIME) == expected


def test_commercial_security_goes_back_with_the_objection() -> None:
    packet = header(hexadecimal("86 06 00000001"))
    options = fill_in(packet, OWN, is_own, TIME)
    assert answer(bytes(packet), options, OWN, is_own, TIME) == bytes(packet[20:])


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("07 07 04 00000000 94 04 0000", "01 01 01 01010101 94 04 0000"),
        ("01 07 03 04 00 07 03 04", "01 01 01 01 00 07 03 04"),
        ("07 03 04 07 09 00 00 00", "01 01 01 07 09 00 00 00"),
        ("01 01 01 07", "01 01 01 07"),
    ],
    ids=["copied stay", "up to the end", "up to nonsense", "no length"],
)
def test_what_later_fragments_have(first: str, later: str) -> None:
    assert for_later_fragments(hexadecimal(first)) == hexadecimal(later)


@given(st.binary(max_size=40).map(lambda options: options[: len(options) & ~3]), st.booleans())
def test_any_options_leave_a_header_of_the_same_length(options: bytes, own: bool) -> None:
    packet = header(options) + b"payload"
    found = fill_in(packet, OWN, lambda address: own, TIME)
    assert len(packet) == 27 + len(options)
    assert (packet[:20], bytes(packet[-7:])) == (header(options)[:20], b"payload")
    assert found.problem is None or 20 <= found.problem < 20 + len(options)
    assert len(for_later_fragments(options)) == len(options)
    back = answer(bytes(packet), found, OWN, lambda address: own, TIME)
    assert back is None or (len(back) <= len(options) and len(back) % 4 == 0)
    assert (bytes(packet[20:-7]) != options) <= (found.changed or found.problem is not None)


@given(st.binary(max_size=40).map(lambda options: options[: len(options) & ~3]), st.booleans())
def test_whatever_a_host_objects_to_was_said_before(options: bytes, own: bool) -> None:
    objects = fill_in(header(options), OWN, lambda address: own, TIME).problem is not None
    assert objects <= bool(contradiction(options))


@given(st.binary(max_size=1_000) | st.builds(bytes.__add__, st.sampled_from([b"\x07\xff\xfc", b"\x44\xff\xf8\x01"]),
                                             st.binary(min_size=252, max_size=300)))  # fmt: skip
def test_any_bytes_can_be_looked_at(options: bytes) -> None:
    """A forced IHL allows more options than it can count."""
    sentence = contradiction(options)
    assert sentence.isprintable() and (not sentence or sentence.endswith("."))
