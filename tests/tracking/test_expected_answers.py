"""What comes back for a packet: what is its answer, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from ipl_tui.packets.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE
from ipl_tui.tracking.expected_answers import Answer, ExpectedAnswers, count_answers
from ipl_tui.tracking.matching import IcmpError

RAW_IP, ETHERNET = 101, 1
MILLISECOND = 1_000_000
PATIENCE = 2000 * MILLISECOND


def to(proto: int | None = None, **fields: Any) -> Packet:
    return between("10.0.1.10", "10.0.2.20", proto, fields)


def back(proto: int | None = None, **fields: Any) -> Packet:
    return between("10.0.2.20", "10.0.1.10", proto, fields)


def between(source: str, destination: str, proto: int | None, fields: dict[str, Any]) -> Packet:
    """A packet of a protocol; None: that of its payload."""
    if proto is not None:
        fields["proto"] = proto
    return IP(src=source, dst=destination, **fields)


ASKED = bytes(to(PROTOCOL) / CLIENT_MESSAGE)
ANSWER = bytes(back(PROTOCOL) / SERVER_RESPONSE)
ERROR = bytes(IP(src="10.0.1.1", dst="10.0.1.10") / ICMP(type=11, code=0) / ASKED)


def test_a_request_and_its_answer_are_found() -> None:
    awaiting = ExpectedAnswers(ASKED, PATIENCE)
    padding = bytes(20)
    assert awaiting.see(0, bytes(Ether() / IP(ANSWER)), ETHERNET) is None, "nothing was asked yet"
    assert awaiting.see(5 * MILLISECOND, bytes(Ether() / IP(ASKED)) + padding, ETHERNET) is None
    assert awaiting.see(6 * MILLISECOND, bytes(Ether() / IP(ANSWER)), 999) is None
    answer = awaiting.see(7 * MILLISECOND, bytes(Ether() / IP(ANSWER)) + padding, ETHERNET)
    assert answer is not None
    assert (answer.packet, answer.delay, answer.sure, answer.error) == (ANSWER, 2 * MILLISECOND, True, None)
    assert awaiting.seen == ASKED
    assert awaiting.see(8 * MILLISECOND, ANSWER, RAW_IP) is None, "it has its answer"


def test_an_error_is_found() -> None:
    awaiting = ExpectedAnswers(ASKED, PATIENCE)
    awaiting.see(0, ASKED, RAW_IP)
    answer = awaiting.see(MILLISECOND, ERROR, RAW_IP)
    assert answer is not None and answer.error is not None
    assert (answer.error.source, answer.error.type, answer.error.code) == ("10.0.1.1", 11, 0)


@pytest.mark.parametrize(
    ("sent", "passes"),
    [
        ({"src": "0.0.0.0"}, {"src": "10.0.1.10"}),
        ({"id": 0, "chksum": 1, "len": 7}, {"id": 99}),
    ],
)
def test_what_the_kernel_rewrites_is_still_it(sent: dict[str, Any], passes: dict[str, Any]) -> None:
    def made(changes: dict[str, Any]) -> bytes:
        fields = {"src": "10.0.1.10", "dst": "10.0.2.20", "proto": 253, **changes}
        return bytes(IP(**fields) / CLIENT_MESSAGE)

    awaiting = ExpectedAnswers(made(sent), PATIENCE)
    awaiting.see(0, made(passes), RAW_IP)
    assert awaiting.seen == made(passes)
    assert awaiting.see(1, ANSWER, RAW_IP) is not None


def test_on_loopback_the_request_is_not_its_answer() -> None:
    asked = bytes(IP(src="127.0.0.1", dst="127.0.0.1", proto=254) / b"ping")
    answer = bytes(IP(src="127.0.0.1", dst="127.0.0.1", proto=254) / b"ping, too")
    awaiting = ExpectedAnswers(asked, PATIENCE)
    assert awaiting.see(0, asked, RAW_IP) is None
    assert awaiting.see(1, asked, RAW_IP) is None
    assert awaiting.seen == asked
    assert awaiting.see(2, answer, RAW_IP) is not None


@pytest.mark.parametrize(
    ("passing", "found"),
    [
        ("0? 1! 10? 12!", [(1, True), (2, True)]),
        ("0? 10? 11! 20? 21! 2500? 2501!", [(1, False), (1, False), (1, True)]),  # the first is lost
        ("0? 10? 20! 30! 40? 41!", [(10, False), (30, False), (1, True)]),  # answers come late, each in doubt
        ("0? 1! 2!", [(1, True)]),
        ("0? 3000!", []),
    ],
)
def test_equal_packets(passing: str, found: list[tuple[int, bool]]) -> None:
    """What passes: the time in ms, and "?" for the packet or "!" for its answer."""
    awaiting = ExpectedAnswers(ASKED, PATIENCE)
    answers = []
    for event in passing.split():
        packet = ASKED if event.endswith("?") else ANSWER
        if answer := awaiting.see(int(event[:-1]) * MILLISECOND, packet, RAW_IP):
            answers.append((answer.delay // MILLISECOND, answer.sure))
    assert answers == found


@given(st.lists(st.binary(max_size=80)), st.binary(min_size=20, max_size=60))
def test_any_bytes_do_no_harm(frames: list[bytes], sent: bytes) -> None:
    awaiting = ExpectedAnswers(sent, PATIENCE)
    for linktype in (RAW_IP, ETHERNET, 0, 999):
        for time, frame in enumerate([*frames, sent, *frames]):
            awaiting.see(time, frame, linktype)
    assert awaiting.seen


EXCEEDED = IcmpError("10.0.1.1", 11, 0)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([], "0 answered, 4 lost"),
        ([(1, True, None), (3, True, None)], "2 answered, 2 lost; 1.00 / 2.00 / 3.00 ms least, median, most"),
        (
            [(1, True, None), (9, False, None)],
            "2 answered, 2 lost; 1.00 / 1.00 / 1.00 ms least, median, most; 1 while several waited, not timed",
        ),
        (
            [(2, False, None), (9, True, EXCEEDED)],
            "1 answered, 1 ICMP error, 2 lost; 2.00 / 2.00 / 2.00 ms least, median, most, each since the newest that"
            " waited",
        ),
    ],
)
def test_in_words(answers: list[tuple[int, bool, IcmpError | None]], words: str) -> None:
    came = [Answer(b"", b"", delay * MILLISECOND, sure, error) for delay, sure, error in answers]
    assert count_answers(came, 4) == words
