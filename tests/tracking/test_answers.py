"""Joining responses to requests: as examples, and against a plain model for any traffic."""

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking import answers as answers_module
from ipl_tui.tracking.answers import Answers, MatchedRequest

SECOND = 1_000_000_000
CLIENT, SERVER = "10.0.1.10", "10.0.1.20"
ETHERNET = bytes(12) + b"\x08\x00"


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as store:
        store.add_interface("c0", 1)
        store.add_interface("c1", 1)
        yield store


@pytest.fixture
def joiner(store: Store) -> Answers:
    joiner = Answers(store)
    store.taps.append(joiner)
    return joiner


def packet(
    source: str, destination: str, payload: bytes, proto: int = 253, flags: int = 0, options: bytes = b""
) -> bytes:
    version_ihl = 0x45 + len(options) // 4
    length = 20 + len(options) + len(payload)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return struct.pack("!BBHHHBBH", version_ihl, 0, length, 1, flags, 64, proto, 0) + addresses + options + payload


REQUEST = packet(CLIENT, SERVER, CLIENT_MESSAGE)
RESPONSE = packet(SERVER, CLIENT, SERVER_RESPONSE)


def batch(*frames: tuple[int, bytes]) -> Batch:
    """A batch of (time in ns, frame)."""
    records, start = [], 0
    for time, frame in frames:
        records.append((time, start, len(frame), len(frame)))
        start += len(frame)
    return Batch(b"".join(frame for _, frame in frames), records)


def test_a_response_is_joined_to_its_request(store: Store, joiner: Answers) -> None:
    store.append(0, batch((0, ETHERNET + b"unrelated"), (100, ETHERNET + REQUEST)))
    assert joiner.response_of(2) is None
    store.append(0, batch((400_100, ETHERNET + RESPONSE)))
    assert joiner.request_of(3) == MatchedRequest(request=2, delay=400_000)
    assert joiner.response_of(2) == 3
    assert [joiner.request_of(number) for number in (1, 2)] == [None, None]
    assert [joiner.response_of(number) for number in (1, 3)] == [None, None]


def icmp_error(quoted: bytes, kind: int = 3, code: int = 2, source: str = SERVER) -> bytes:
    return packet(source, CLIENT, bytes([kind, code]) + bytes(6) + quoted, proto=1)


def test_an_icmp_error_is_joined_to_the_request_that_it_quotes(store: Store, joiner: Answers) -> None:
    error = icmp_error(REQUEST, kind=11, code=0, source="10.0.1.1")
    store.append(0, batch((100, ETHERNET + REQUEST), (300, ETHERNET + error), (400, ETHERNET + RESPONSE)))
    assert joiner.request_of(2) == MatchedRequest(request=1, delay=200, error=(11, 0))
    assert joiner.response_of(1) == 2
    assert joiner.request_of(3) is None, "the request has had its answer"


@pytest.mark.parametrize(
    "frame",
    [
        icmp_error(REQUEST[:-1]),
        icmp_error(RESPONSE),
        icmp_error(REQUEST, kind=8),
        icmp_error(packet(CLIENT, "10.0.1.99", CLIENT_MESSAGE)),
        packet(SERVER, CLIENT, b"\x03\x02" + bytes(6), proto=1),
        packet(SERVER, CLIENT, b"", proto=1),
    ],
    ids=["quoted in part", "about a response", "an echo request", "about another", "quotes nothing", "is nothing"],
)
def test_what_only_looks_like_an_error(store: Store, joiner: Answers, frame: bytes) -> None:
    store.append(0, batch((1, ETHERNET + REQUEST), (2, ETHERNET + frame), (3, ETHERNET + RESPONSE)))
    assert joiner.request_of(2) is None
    assert joiner.request_of(3) == MatchedRequest(1, 2)


def test_a_request_that_the_network_knows_to_be_lost_is_not_answered(store: Store) -> None:
    joiner = Answers(store, gone=lambda interface, time: (interface, time) == (0, 1))
    store.taps.append(joiner)
    store.append(0, batch((1, ETHERNET + REQUEST), (2, ETHERNET + REQUEST), (3, ETHERNET + RESPONSE)))
    assert joiner.request_of(3) == MatchedRequest(2, 1)
    assert joiner.response_of(1) is None


def test_both_in_one_batch(store: Store, joiner: Answers) -> None:
    store.append(0, batch((1, ETHERNET + REQUEST), (2, ETHERNET + RESPONSE), (3, ETHERNET + RESPONSE)))
    assert joiner.request_of(2) == MatchedRequest(1, 1)
    assert joiner.request_of(3) == MatchedRequest(1, 2, again=True), "one request, one answer"
    assert joiner.response_of(1) == 2


def test_the_oldest_unanswered_request_comes_first(store: Store, joiner: Answers) -> None:
    requests = [(time, ETHERNET + REQUEST) for time in (1, 2, 3)]
    responses = [(time, ETHERNET + RESPONSE) for time in (11, 12, 13)]
    store.append(0, batch(*requests, *responses))
    assert [joiner.request_of(number) for number in (4, 5, 6)] == [
        MatchedRequest(1, 10),
        MatchedRequest(2, 10),
        MatchedRequest(3, 10),
    ]


def test_after_fifteen_seconds_nobody_waits(store: Store, joiner: Answers) -> None:
    late, exact = (0, ETHERNET + REQUEST), (5, ETHERNET + REQUEST)
    store.append(0, batch(late, exact, (15 * SECOND + 5, ETHERNET + RESPONSE)))
    assert joiner.request_of(3) == MatchedRequest(2, 15 * SECOND)
    assert joiner.response_of(1) is None


@pytest.mark.parametrize(
    "response",
    [
        packet(CLIENT, SERVER, SERVER_RESPONSE),
        packet("10.0.1.21", CLIENT, SERVER_RESPONSE),
        packet(SERVER, CLIENT, SERVER_RESPONSE, proto=17),
        packet(SERVER, CLIENT, SERVER_RESPONSE + b"!"),
        packet(SERVER, CLIENT, b"!" + SERVER_RESPONSE),
        packet(SERVER, CLIENT, SERVER_RESPONSE, flags=0x2000),
        packet(SERVER, CLIENT, SERVER_RESPONSE, flags=0x0001),
        b"\x65" + RESPONSE[1:],
        RESPONSE[:-1],
        SERVER_RESPONSE,
    ],
    ids=["not swapped", "another host", "another protocol", "more", "not at the start", "first fragment",
         "later fragment", "version 6", "cut short", "no header"],
)  # fmt: skip
def test_what_only_looks_like_an_answer(store: Store, joiner: Answers, response: bytes) -> None:
    store.append(0, batch((1, ETHERNET + REQUEST), (2, ETHERNET + response), (3, ETHERNET + RESPONSE)))
    assert joiner.request_of(2) is None
    assert joiner.request_of(3) == MatchedRequest(1, 2)


def test_another_interface_is_another_wire(store: Store, joiner: Answers) -> None:
    store.append(0, batch((1, ETHERNET + REQUEST)))
    store.append(1, batch((2, ETHERNET + RESPONSE)))
    assert joiner.request_of(2) is None


def test_loopback_has_one_address_for_both(store: Store, joiner: Answers) -> None:
    here = "127.0.0.1"
    request, response = packet(here, here, CLIENT_MESSAGE), packet(here, here, SERVER_RESPONSE)
    store.append(0, batch((1, ETHERNET + request), (2, ETHERNET + response)))
    assert joiner.request_of(2) == MatchedRequest(1, 1)


@pytest.mark.parametrize(
    ("linktype", "header"),
    [
        (0, struct.pack("=I", 2)),
        (1, ETHERNET),
        (1, bytes(12) + b"\x81\x00\x00\x05" + b"\x08\x00"),
        (1, bytes(12) + b"\x88\xa8\x00\x05" + b"\x81\x00\x00\x06" + b"\x08\x00"),
        (12, b""),
        (101, b""),
        (113, bytes(14) + b"\x08\x00"),
        (228, b""),
        (276, b"\x08\x00" + bytes(18)),
    ],
)
def test_link_types(linktype: int, header: bytes) -> None:
    with Store() as store:
        joiner = Answers(store)
        store.taps.append(joiner)
        interface = store.add_interface("x0", linktype)
        options = packet(SERVER, CLIENT, SERVER_RESPONSE, options=b"\x01\x01\x01\x00")
        padding = bytes(13)
        store.append(interface, batch((1, header + REQUEST + padding), (2, header + options + padding)))
        assert joiner.request_of(2) == MatchedRequest(1, 1)


def test_memory_is_bounded(store: Store, joiner: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MOST_JOINS", 3)
    monkeypatch.setattr(answers_module, "MOST_WAITING", 2)
    for host in range(1, 6):
        store.append(0, batch((host, ETHERNET + packet(f"10.0.1.{host}", SERVER, CLIENT_MESSAGE))))
    for host in range(1, 6):
        store.append(0, batch((10, ETHERNET + packet(SERVER, f"10.0.1.{host}", SERVER_RESPONSE))))
    answered = {number: joiner.request_of(number) for number in range(6, 11) if joiner.request_of(number)}
    assert answered == {9: MatchedRequest(4, 6), 10: MatchedRequest(5, 5)}, "the newest two requests were still waiting"

    for _ in range(2):
        store.append(0, batch((20, ETHERNET + REQUEST), (21, ETHERNET + RESPONSE)))
    assert [number for number in range(1, 15) if joiner.request_of(number)] == [10, 12, 14]
    assert [number for number in range(1, 15) if joiner.response_of(number)] == [5, 11, 13]


HOSTS = st.integers(1, 3)
EVENTS = st.lists(st.tuples(st.booleans(), HOSTS, HOSTS, st.integers(0, 9)), max_size=60)


@pytest.mark.parametrize(
    ("times", "joined"),
    [
        # seconds of each request (positive) and response (negative), and the request that each response answers
        ([0, 4.8, -4.9], [2]),
        ([0, -0.1, 2, 4, -4.1, 6, -6.1], [1, 4, 6]),
        ([0, 0.1, 0.2, -0.5, -0.6, -0.7], [1, 2, 3]),
        ([0, -3, 4, 5, 6, -7, -8, -9], [1, 3, 4, 5]),
    ],
    ids=["an old one", "one of a series", "all on their way", "a slow link, as was seen before"],
)
def test_a_request_without_an_answer_does_not_take_the_next_ones(times: list[float], joined: list[int]) -> None:
    with Store() as store:
        store.add_interface("c0", 1)
        joiner = Answers(store)
        store.taps.append(joiner)
        for at in times:
            frame = RESPONSE if at < 0 else REQUEST
            store.append(0, batch((round(abs(at) * SECOND), ETHERNET + frame)))
        answers = [joiner.request_of(number) for number in range(1, len(times) + 1)]
    assert [answer.request for answer in answers if answer] == joined


@given(EVENTS, st.lists(st.integers(1, 7), max_size=20))
def test_any_exchanges_are_joined_as_a_plain_model_says(
    events: list[tuple[bool, int, int, int]], sizes: list[int]
) -> None:
    """Requests and responses between hosts, seconds apart, in batches of any size."""
    frames: list[tuple[int, bytes]] = []
    waiting: list[tuple[int, int, int, int]] = []  # number, client, server, time
    expected: dict[int, MatchedRequest] = {}
    answered: dict[tuple[int, int], tuple[int, int]] = {}  # number and time of the request answered last
    time = slowest = 0
    for number, (asks, client, server, pause) in enumerate(events, 1):
        time += pause * SECOND
        ends = f"10.0.1.{client}", f"10.0.2.{server}"
        if asks:
            frames.append((time, ETHERNET + packet(*ends, CLIENT_MESSAGE)))
            waiting.append((number, client, server, time))
            continue
        frames.append((time, ETHERNET + packet(ends[1], ends[0], SERVER_RESPONSE)))
        asked = [each for each in waiting if each[1:3] == (client, server)]
        while asked:
            oldest = asked.pop(0)
            waiting.remove(oldest)
            age = time - oldest[3]
            if age > (max(SECOND, 2 * slowest) if asked else 15 * SECOND) or age > 15 * SECOND:
                continue
            expected[number] = MatchedRequest(oldest[0], age)
            answered[client, server] = oldest[0], oldest[3]
            slowest = slowest if asked else max(slowest, age)
            break
        else:
            request, sent = answered.get((client, server), (0, -99 * SECOND))
            if time - sent <= 15 * SECOND:
                expected[number] = MatchedRequest(request, time - sent, again=True)
    with Store() as store:
        store.add_interface("c0", 1)
        joiner = Answers(store)
        store.taps.append(joiner)
        for size in [*sizes, len(frames)]:
            store.append(0, batch(*frames[:size]))
            frames = frames[size:]
        joined = {number: joiner.request_of(number) for number in range(1, len(events) + 1)}
        assert {number: answer for number, answer in joined.items() if answer} == expected
        assert all(
            joiner.response_of(answer.request) == number for number, answer in expected.items() if not answer.again
        )


PIECES = st.sampled_from([CLIENT_MESSAGE, SERVER_RESPONSE, REQUEST, RESPONSE, ETHERNET, b"\x45", b"\x81\x00", b"\xff"])
HOSTILE = st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=8).map(b"".join)


@given(st.lists(HOSTILE, max_size=12), st.sampled_from([0, 1, 12, 101, 113, 127, 276, 9999]))
def test_any_bytes_do_no_harm(frames: list[bytes], linktype: int) -> None:
    with Store() as store:
        store.add_interface("x0", linktype)
        joiner = Answers(store)
        store.taps.append(joiner)
        store.append(0, batch(*((1, frame) for frame in frames)))
        header = {0: bytes(4), 113: bytes(16), 276: bytes(20), 1: ETHERNET}.get(linktype, b"")
        store.append(0, batch((2, header + packet("10.9.0.1", "10.9.0.2", CLIENT_MESSAGE))))
        store.append(0, batch((3, header + packet("10.9.0.2", "10.9.0.1", SERVER_RESPONSE))))
        known = linktype in (0, 1, 12, 101, 113, 276)
        assert joiner.request_of(len(store)) == (MatchedRequest(len(store) - 1, 1) if known else None)


def test_frames_of_other_interfaces_between_those_of_a_batch_do_not_count(store: Store, joiner: Answers) -> None:
    """A file's batches share one bytes object: each has the frames of one interface."""
    whole = batch((1, ETHERNET + REQUEST), (2, ETHERNET + REQUEST), (3, ETHERNET + RESPONSE), (4, ETHERNET + RESPONSE))
    for interface, positions in ((0, (1, 2)), (1, (0, 3))):
        store.append(interface, Batch(whole.data, [whole.records[position] for position in positions]))
    assert joiner.request_of(2) == MatchedRequest(1, 1)
    assert joiner.request_of(4) == MatchedRequest(3, 3)
    store.append(0, Batch(whole.data, []))
