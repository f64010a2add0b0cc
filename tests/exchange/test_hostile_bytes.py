"""Whatever bytes are captured, on whatever link: what follows the packets never raises, and still finds ours."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipl_tui.capture.frames import NO_TIME, Batch
from ipl_tui.capture.store import Store
from ipl_tui.diagnosis.unanswered import Unanswered, explain, look_into
from ipl_tui.exchange.engine import Reply
from ipl_tui.exchange.transcript import CapturedPacket, gains, is_asked, is_closed, read_connection, read_datagrams
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.fields import read_header
from ipl_tui.packets.ipv4 import SHORTEST_HEADER, without_padding
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking.answers import Answers
from ipl_tui.tracking.changes import changes
from ipl_tui.tracking.expected_answers import ExpectedAnswers
from ipl_tui.tracking.hops import Hops
from ipl_tui.tracking.matching import asks, error_about, is_answer, is_client_message
from ipl_tui.tracking.search import find_answers
from ipl_tui.tracking.sent_packet import SentPacket
from ipl_tui.tracking.tracker import Tracker

NETWORK = SimulatedNetwork()
"""Only asked for its interfaces and links: nothing is sent on it."""

SOURCE, DESTINATION = "10.0.1.10", "10.0.2.20"
REQUEST = craft(Draft(src=SOURCE, dst=DESTINATION, proto=253, payload=CLIENT_MESSAGE)).packet
ANSWER = craft(Draft(src=DESTINATION, dst=SOURCE, proto=253, payload=SERVER_RESPONSE)).packet
ECHO = craft(Draft(src=SOURCE, dst=DESTINATION, proto=1, payload=b"\x08\0\xf7\xfd\0\1\0\1")).packet
ERROR = craft(Draft(src="10.0.1.1", dst=SOURCE, proto=1, payload=b"\x0b\0\0\0\0\0\0\0" + REQUEST)).packet
SEGMENT = struct.pack("!HHIIBBHHH", 40000, 25300, 1, 0, 0x50, 0x02, 8192, 0, 0)
OPENING = craft(Draft(src=SOURCE, dst=DESTINATION, proto=6, payload=SEGMENT)).packet

LINKTYPES = [0, 1, 12, 14, 101, 108, 113, 127, 228, 276, 9999]
LINKS = {1: bytes(12) + b"\x08\x00", 0: b"\2\0\0\0", 113: bytes(14) + b"\x08\x00", 276: b"\x08\x00" + bytes(18)}


def damaged(packet: bytes, at: int, byte: int, size: int) -> bytes:
    changed = bytearray(packet)
    changed[at % len(packet)] = byte
    return bytes(changed[:size])


packets = st.one_of(
    st.binary(max_size=60),
    st.builds(
        damaged,
        st.sampled_from([REQUEST, ANSWER, ECHO, ERROR, OPENING]),
        st.integers(0, 60),
        st.integers(0, 255),
        st.integers(0, 80),
    ),
    # A message among bytes that claim to be the shortest of headers.
    st.builds(lambda head, text: head[:20] + text, st.binary(max_size=24), st.sampled_from([CLIENT_MESSAGE, b""])),
)
whole_headers = packets.map(lambda packet: packet.ljust(SHORTEST_HEADER, b"\1"))
times = st.one_of(st.integers(0, 10**10), st.just(NO_TIME))


def batch(frames: list[tuple[int, bytes]]) -> Batch:
    records, start = [], 0
    for time, frame in frames:
        records.append((time, start, len(frame), len(frame) + 1))
        start += len(frame)
    return Batch(b"".join(frame for _, frame in frames), records)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(times, packets), max_size=5), st.sampled_from(LINKTYPES), st.booleans())
def test_every_tap_and_every_reader_of_a_capture_goes_on(
    seen: list[tuple[int, bytes]], linktype: int, named: bool
) -> None:
    path = NETWORK.path()
    header = LINKS.get(linktype, b"") if named else b""
    with Store() as store:
        tracker = Tracker(store)
        store.taps += [tracker, Hops(store), Answers(store)]
        numbers = [store.add_interface(interface.name, linktype) for interface in path]
        tracker.follow(NETWORK, dict(zip(numbers, path, strict=True)))
        watch = SentPacket(store, REQUEST)
        for each in numbers:
            store.append(each, batch([(time, header + packet) for time, packet in seen]))
        assert store.tap_problem == ""
        watch.look()
        for request in (REQUEST, ECHO):
            assert find_answers(store, 0, request).unknown in ("", "cut frames")
        for number in range(1, len(store) + 1):
            tracker.request_of(number)
            tracker.response_of(number)
            tracker.find_request(number)
            tracker.find_fragments(number)
            tracker.changes(number)
            tracker.loss(number)
            tracker.arrival(number)
            tracker.journey(number)
            tracker.fate(number)
            case = Unanswered(REQUEST, "exact", path[0], NETWORK, 1.0, True)
            watch.sent_as = number
            look_into(case, tracker.fate_of(watch))


@given(st.lists(packets, max_size=8), st.sampled_from(LINKTYPES))
def test_waiting_for_an_answer_goes_on(seen: list[bytes], linktype: int) -> None:
    header = LINKS.get(linktype, b"")
    awaiting = ExpectedAnswers(REQUEST, 10**9)
    for packet in seen:
        awaiting.see(1, header + packet, linktype)
        awaiting.see(1, packet, linktype)
    if linktype in LINKS:
        assert awaiting.see(2, header + REQUEST, linktype) is None
        answer = awaiting.see(3, header + ANSWER, linktype)
        assert answer is not None and answer.packet == ANSWER


@given(st.lists(whole_headers, max_size=8))
def test_reading_an_exchange_goes_on(seen: list[bytes]) -> None:
    captured = [CapturedPacket(number, without_padding(packet)) for number, packet in enumerate(seen)]
    reply = Reply(DESTINATION, REQUEST, ANSWER, 0.1)
    for passed in (
        read_datagrams(captured, SOURCE, DESTINATION, reply),
        read_connection(captured, SOURCE, DESTINATION),
    ):
        is_asked(passed, reply)
        is_closed(passed)
        list(gains(passed))


@given(packets, packets)
def test_comparing_two_packets_goes_on(one: bytes, other: bytes) -> None:
    changes(one, other)
    read_header(one)
    asks(one)
    is_client_message(one)
    error_about(REQUEST, one)
    is_answer(REQUEST, one)
    if len(other) >= SHORTEST_HEADER:
        error_about(other, one)
        is_answer(other, one)


@settings(max_examples=50, deadline=None)
@given(whole_headers)
def test_silence_about_any_packet_is_explained(seen: bytes) -> None:
    case = Unanswered(REQUEST, "exact", NETWORK.path()[0], NETWORK, 1.0, True, seen=seen)
    assert explain(case).startswith("Sent on c0, seen on c0, nothing came back in 1.0 s: ")


@pytest.mark.parametrize("size", range(20))
def test_a_packet_shorter_than_its_own_header_is_nothing_to_the_joiner(size: int) -> None:
    """A link header that holds a message, and a packet that claims IHL 0."""
    with Store() as store:
        store.taps.append(Answers(store))
        interface = store.add_interface("", 113)
        store.append(interface, batch([(0, b"ClientMessage\0\x08\0" + bytes(size))]))
        assert (len(store), store.tap_problem) == (1, "")
