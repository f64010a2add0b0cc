"""Fragments: cut, put together in any order, and given up; what Linux 6.18 does, and the size stays bounded."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.packet import Raw

from ipl_tui.networks.reassembly import MOST_BYTES, MOST_DATAGRAMS, Arrival, Lost, Reassembly, cut, write_checksum
from ipl_tui.networks.topology import PATH
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.options import ProcessedOptions

PORT, OTHER_PORT = PATH[1], PATH[2]


def packet(size: int = 100, options: bytes = b"", **fields: Any) -> bytes:
    """A packet with a payload that is different everywhere."""
    made = bytearray(
        bytes(IP(**{"src": "10.0.1.10", "dst": "10.0.1.1", "id": 7, "proto": 253, **fields}) / Raw(payload(size)))
    )
    made[20:20] = options
    made[0] += len(options) // 4
    made[2:4] = len(made).to_bytes(2)
    write_checksum(made)
    return bytes(made)


def payload(size: int) -> bytes:
    return b"".join(number.to_bytes(4) for number in range(size // 4 + 1))[:size]


def part(begin: int, end: int, more: bool = True, **fields: Any) -> bytes:
    """The fragment with these bytes of payload."""
    flags = "+".join((["MF"] if more else []) + fields.pop("flags", []))
    values = {
        "src": "10.0.1.10",
        "dst": "10.0.1.1",
        "id": 7,
        "proto": 253,
        "flags": flags,
        "frag": begin // 8,
        **fields,
    }
    return bytes(IP(**values) / Raw(payload(end)[begin:]))


def add_all(reassembly: Reassembly, *packets: bytes, now: float = 0.0) -> list[bytes]:
    """What they are put together to."""
    results = (reassembly.add(Arrival(packet, PORT, now))[0] for packet in packets)
    return [whole.packet for whole in results if whole]


def reasons(reassembly: Reassembly, *packets: bytes) -> list[str]:
    """Why they are lost, each said once a fragment."""
    lost = [each for packet in packets for each in reassembly.add(Arrival(packet, PORT, 0.0))[1]]
    return [each.reason for each in lost for _ in each.fragments]


# Cutting


@pytest.mark.parametrize(
    ("size", "fields", "mtu", "offsets"),
    [
        (80, {}, 100, [(0, 80, False)]),
        (81, {}, 100, [(0, 80, True), (10, 1, False)]),
        (87, {}, 107, [(0, 87, False)]),
        (167, {}, 107, [(0, 80, True), (10, 87, False)]),
        (100, {"flags": "MF", "frag": 5}, 100, [(5, 80, True), (15, 20, True)]),
        (100, {"frag": 5}, 100, [(5, 80, True), (15, 20, False)]),
        (100, {"options": b"\x94\x04\0\0" * 10}, 68, [(unit, 8, unit < 12) for unit in range(12)] + [(12, 4, False)]),
    ],
)
def test_offsets_are_units_of_8_bytes(
    size: int, fields: dict[str, Any], mtu: int, offsets: list[tuple[int, int, bool]]
) -> None:
    fragments = [IP(each) for each in cut(packet(size, **fields), mtu)]
    last = len(offsets) - 1
    expected = [(frag, length, more or at < last) for at, (frag, length, more) in enumerate(offsets)]
    assert [(each.frag, each.len - each.ihl * 4, bool(each.flags.MF)) for each in fragments] == expected


def test_a_packet_that_fits_is_not_touched() -> None:
    whole = packet(80, flags="evil+DF", chksum=1)
    assert cut(whole, 100) == [whole]


def test_the_fragments_of_a_packet_differ_in_what_they_must_only() -> None:
    whole = packet(100, flags="evil+DF", tos=0xB9, ttl=3)
    for each in cut(whole, 68):
        assert each[:2] + each[4:6] + each[8:10] + each[12:20] == whole[:2] + whole[4:6] + whole[8:10] + whole[12:20]
        assert each[6] & 0xC0 == 0x40, "Don't Fragment stays, the reserved flag goes"
        assert internet_checksum(each[:20]) == 0


def test_options_that_are_not_copied_are_in_the_first_fragment_only() -> None:
    options = b"\x07\x07\x04\x0a\0\x01\x01\x94\x04\0\0\x44\x04\x05\0\0"
    first, second, *_ = cut(packet(100, options), 68)
    assert (first[20:36], second[20:36]) == (options, b"\1" * 7 + b"\x94\x04\0\0" + b"\1" * 4 + b"\0")
    (_, later, *_) = cut(packet(100, options, frag=9), 68)
    assert later[20:36] == options, "a fragment of a later fragment has the options it has"
    assert [each[20:36] for each in cut(packet(100, options), 68, raw=True)] == [options] * 4


def test_an_offset_that_has_no_bits_runs_into_the_flags() -> None:
    assert [each[6:8] for each in cut(packet(100, frag=0x1FFF), 100)] == [b"\x3f\xff", b"\x20\x09"]


# Putting together


def test_the_whole_packet_has_the_header_of_its_first_fragment() -> None:
    first = part(0, 16, ttl=9, tos=8)
    last = part(16, 21, more=False, ttl=5, tos=4)
    whole = bytes(IP(src="10.0.1.10", dst="10.0.1.1", id=7, proto=253, ttl=9, tos=8) / Raw(payload(21)))
    assert add_all(Reassembly(30), last, first) == [whole]


def test_what_the_options_of_the_first_fragment_did_holds_for_the_whole() -> None:
    reassembly = Reassembly(30)
    options = ProcessedOptions(record_route=20)
    reassembly.add(Arrival(part(0, 8), PORT, 1.0, options=options))
    whole, _ = reassembly.add(Arrival(part(8, 9, more=False), PORT, 2.0))
    assert whole
    assert (whole.options, whole.received) == (options, 2.0)


@pytest.mark.parametrize(
    ("first", "last", "flags"),
    [([], [], ""), (["DF"], ["DF"], "DF"), (["DF"], [], "DF"), ([], ["DF"], ""), (["evil"], ["evil"], "")],
)
def test_dont_fragment_stays_where_the_longest_fragment_had_it(first: list[str], last: list[str], flags: str) -> None:
    (whole,) = add_all(Reassembly(30), part(0, 16, flags=first), part(16, 20, more=False, flags=last))
    assert IP(whole).flags == flags


@pytest.mark.parametrize(
    ("values", "whole"),
    [((0, 0), 0), ((1, 2), 1), ((2, 1), 2), ((1, 3), 3), ((3, 2), 3), ((3, 3), 3), ((0, 1), None), ((3, 0), None)],
)
def test_congestion_is_kept(values: tuple[int, int], whole: int | None) -> None:
    """RFC 3168 §5.3"""
    packets = part(0, 8, tos=values[0]), part(8, 9, more=False, tos=values[1])
    assert [IP(each).tos for each in add_all(Reassembly(30), *packets)] == ([] if whole is None else [whole])


SPOILT = "the datagram is spoilt, "
ENDS = SPOILT + "its fragments disagree about where it ends"
OVERLAP = SPOILT + "its fragments overlap"
UNITS = SPOILT + "a fragment has none of the units of 8 bytes that offsets count"
BEYOND = SPOILT + "a fragment goes beyond the end that the last one gave"

LOST: dict[str, tuple[list[bytes], list[str]]] = {
    "again": ([part(0, 16), part(0, 16)], ["it has these bytes of the datagram already"]),
    "within what came in order": (
        [part(0, 16), part(16, 32), part(8, 24)],
        ["it has these bytes of the datagram already"],
    ),
    "the end again": ([part(8, 12, False), part(8, 12, False)], ["it has these bytes of the datagram already"]),
    "over the end of one": ([part(0, 16), part(8, 24)], [OVERLAP] * 2),
    "over the begin of one": ([part(8, 24), part(0, 16)], [OVERLAP] * 2),
    "around one": ([part(8, 16), part(0, 24)], [OVERLAP] * 2),
    "two at once": ([part(0, 8), part(16, 24), part(0, 24)], [OVERLAP] * 3),
    "two ends, shorter": ([part(8, 20, False), part(8, 16, False)], [ENDS] * 2),
    "two ends, longer": ([part(8, 16, False), part(8, 20, False)], [ENDS] * 2),
    "end before what came": ([part(16, 24), part(8, 9, False)], [ENDS] * 2),
    "beyond the end": ([part(0, 9, False, frag=1), part(16, 32)], [BEYOND] * 2),
    "nothing": ([part(0, 0)], [UNITS]),
    "7 bytes, and more": ([part(0, 7)], [UNITS]),
    "an end of nothing": ([part(0, 8), part(8, 8, False)], [UNITS] * 2),
    "longer than a packet can be": (
        [part(0, 65504), part(0, 28, False, frag=8188)],
        ["put together it would have more than 65,535 bytes (RFC 791 §3.1)"] * 2,
    ),
}


@pytest.mark.parametrize(("packets", "expected"), LOST.values(), ids=LOST.keys())
def test_what_spoils_a_datagram(packets: list[bytes], expected: list[str]) -> None:
    reassembly = Reassembly(30)
    assert reasons(reassembly, *packets) == expected
    spoilt = "already" not in expected[0]
    assert (len(reassembly), reassembly.kept) == (0, 0) if spoilt else len(reassembly) == 1


def test_a_spoilt_datagram_can_begin_again() -> None:
    reassembly = Reassembly(30)
    reasons(reassembly, part(0, 16), part(8, 24))
    assert len(add_all(reassembly, part(0, 16), part(16, 20, False))) == 1


def test_what_is_beyond_whole_units_is_cut_off() -> None:
    reassembly = Reassembly(30)
    assert add_all(reassembly, part(0, 20), part(24, 30, False)) == [], "a gap of 8 bytes"
    (whole,) = add_all(reassembly, part(16, 24))
    assert whole[20:] == payload(30)


def test_what_makes_fragments_belong_together() -> None:
    reassembly = Reassembly(30)
    for fields in ({"id": 8}, {"proto": 254}, {"src": "10.0.1.11"}, {"dst": "10.0.2.1"}):
        assert add_all(reassembly, part(0, 8, **fields)) == []
    reassembly.add(Arrival(part(0, 8), OTHER_PORT, 0.0))
    assert add_all(reassembly, part(8, 9, False)) == []
    assert len(reassembly) == 6
    assert len(add_all(reassembly, part(0, 8))) == 1


def test_the_time_counts_from_the_first_that_came() -> None:
    reassembly = Reassembly(30)
    assert reassembly.due() is None
    add_all(reassembly, part(8, 16), now=100.0)
    add_all(reassembly, part(0, 8), now=129.0)
    add_all(reassembly, part(0, 8, id=8), now=129.0)
    assert (reassembly.due(), reassembly.expire(129.9)) == (130.0, [])
    fragments = [Arrival(part(0, 8), PORT, 129.0), Arrival(part(8, 16), PORT, 100.0)]
    assert reassembly.expire(130.0) == [Lost("the rest of its fragments did not come within 30 seconds", fragments)]
    assert (len(reassembly), reassembly.due()) == (1, 159.0)


def test_too_many_datagrams_make_room_for_new_ones() -> None:
    reassembly = Reassembly(30)
    assert reasons(reassembly, *(part(0, 8, id=number) for number in range(MOST_DATAGRAMS))) == []
    _, (lost,) = reassembly.add(Arrival(part(0, 8, id=1000), PORT, 0.0))
    assert lost.reason == "too many datagrams wait for the rest of their fragments"
    assert [IP(each.packet).id for each in lost.fragments] == [0]


@pytest.mark.parametrize("size", [8, 1480])
def test_a_flood_of_fragments_is_bounded(size: int) -> None:
    random = Random(791)
    reassembly = Reassembly(30)
    template = part(0, size)
    for _ in range(3000):
        fragment = bytearray(template)
        fragment[4:6] = random.randrange(3).to_bytes(2)
        fragment[6:8] = (0x2000 | random.randrange(0x2000)).to_bytes(2)
        add_all(reassembly, bytes(fragment))
        assert reassembly.kept <= MOST_BYTES
        assert len(reassembly) <= MOST_DATAGRAMS
    reassembly.expire(31.0)
    assert (len(reassembly), reassembly.kept) == (0, 0)


@settings(deadline=None)
@given(
    st.data(), st.integers(1, 3000), st.sampled_from([68, 100, 576, 577, 1500]), st.sampled_from([b"", b"\x94\x04\0\0"])
)
def test_any_order_with_duplicates_gives_back_the_packet(
    data: st.DataObject, size: int, mtu: int, options: bytes
) -> None:
    whole = packet(size, options, ttl=9, tos=data.draw(st.sampled_from([0, 1, 3])))
    fragments = cut(whole, mtu)
    if len(fragments) == 1:
        return
    order = data.draw(st.permutations(fragments))
    again = data.draw(st.lists(st.sampled_from(order[:-1]), max_size=5))
    # A duplicate comes before the datagram is complete; after that it would begin another.
    arriving = [*order[:-1], *again, order[-1]]
    reassembly = Reassembly(30)
    assert add_all(reassembly, *arriving) == [whole]
    assert (len(reassembly), reassembly.kept) == (0, 0)


@settings(deadline=None)
@given(st.integers(1, 2000), st.sampled_from([300, 576]), st.sampled_from([68, 99, 280]))
def test_fragments_of_fragments_go_together_too(size: int, first: int, second: int) -> None:
    whole = packet(size)
    fragments = [piece for fragment in cut(whole, first) for piece in cut(fragment, second)]
    if len(fragments) > 1:
        assert add_all(Reassembly(30), *fragments) == [whole]
