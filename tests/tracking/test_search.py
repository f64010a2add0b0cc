"""What is looked for only when somebody asks: answers, requests, fragments; and what a capture can't tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.packet import Packet

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking import search
from ipl_tui.tracking.search import Found, FragmentedDatagram, find_answers, find_fragments, find_request


def to(**fields: Any) -> Packet:
    return IP(src="10.0.1.10", dst="10.0.2.20", **fields)


def back(**fields: Any) -> Packet:
    return IP(src="10.0.2.20", dst="10.0.1.10", **fields)


REQUEST = bytes(to(proto=253) / CLIENT_MESSAGE)
RESPONSE = bytes(back(proto=253) / SERVER_RESPONSE)
PING = bytes(to() / ICMP(id=7, seq=1))
OTHER_PING = bytes(to() / ICMP(id=7, seq=2))
PONG = bytes(back() / ICMP(type=0, id=7, seq=1))
ERROR = bytes(IP(src="10.0.1.1", dst="10.0.1.10") / ICMP(type=11, code=0) / REQUEST[:28])
QUERY = bytes(to() / UDP(sport=5000, dport=53) / b"who?")
REPLY = bytes(back() / UDP(sport=53, dport=5000) / b"me")


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as store:
        store.add_interface("c0", 1)
        store.add_interface("s0", 1)
        yield store


def capture(store: Store, *packets: bytes, interface: int = 0, cut: int = 0) -> None:
    """Packets behind Ethernet's header; `cut`: of each only so many bytes."""
    for packet in packets:
        frame = bytes(12) + b"\x08\x00" + packet
        kept = frame[: 14 + cut] if cut else frame
        store.append(interface, Batch(kept, [(len(store), 0, len(kept), len(frame))]))


def test_answers_are_found_after_the_request(store: Store) -> None:
    capture(store, RESPONSE, REQUEST, RESPONSE, REQUEST, RESPONSE)
    assert find_answers(store, 1, REQUEST) == Found((3, 5))
    assert find_answers(store, 5, REQUEST) == Found()


def test_among_too_many_frames_that_is_not_known(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_FRAMES", 2)
    capture(store, b"x", b"y", RESPONSE)
    assert find_answers(store, 0, REQUEST) == Found(unknown="too many frames")
    assert find_answers(store, 1, REQUEST) == Found((3,))
    assert find_request(store, 3) == Found(), "frames 1 and 2 are looked at"
    capture(store, RESPONSE)
    assert find_request(store, 4) == Found(unknown="too many frames")


def test_a_cut_frame_may_have_been_the_answer(store: Store) -> None:
    capture(store, PING, OTHER_PING, REQUEST)
    capture(store, RESPONSE, cut=20)
    assert find_answers(store, 0, REQUEST) == Found(unknown="cut frames")
    assert find_answers(store, 0, PING) == Found(), "it goes by another protocol"
    assert find_request(store, 4) == Found(unknown="cut frames")


@pytest.mark.parametrize(
    ("request_", "answer"),
    [(REQUEST, RESPONSE), (PING, PONG), (QUERY, REPLY), (REQUEST, ERROR)],
    ids=["ClientMessage", "ping", "UDP", "ICMP error"],
)
def test_the_request_of_any_answer_is_the_nearest_before_it(store: Store, request_: bytes, answer: bytes) -> None:
    capture(store, request_, request_, OTHER_PING)
    capture(store, request_, interface=1)
    capture(store, answer, request_)
    assert find_request(store, 5) == Found((2,))
    assert find_request(store, 1) == Found()
    assert find_request(store, 3) == Found()


def test_what_is_no_packet_answers_nothing(store: Store) -> None:
    capture(store, REQUEST, b"", b"E")
    capture(store, RESPONSE, cut=10)
    assert [find_request(store, number) for number in (2, 3)] == [Found()] * 2
    assert find_request(store, 4) == Found(unknown="cut frames")


def test_the_fragments_of_a_datagram(store: Store) -> None:
    whole = to(proto=253, id=9) / bytes(range(64))
    pieces = [bytes(piece) for piece in fragment(whole, 24)]  # type: ignore[no-untyped-call]  # Scapy's
    other = [bytes(piece) for piece in fragment(to(proto=253, id=8) / bytes(64), 24)]  # type: ignore[no-untyped-call]
    capture(store, pieces[1], other[0], pieces[2])
    capture(store, pieces[0], interface=1)
    assert find_fragments(store, 1) == FragmentedDatagram((1, 3), complete=False)
    capture(store, bytes(whole), pieces[0])
    assert find_fragments(store, 3) == FragmentedDatagram((1, 3), complete=False), (
        "another packet has its Identification"
    )
    assert find_fragments(store, 4) == FragmentedDatagram((4,), complete=False)
    assert find_fragments(store, 5) is None
    capture(store, *pieces[1:], *pieces)
    assert find_fragments(store, 7) == FragmentedDatagram((6, 7, 8), complete=True)
    assert find_fragments(store, 11) == FragmentedDatagram((9, 10, 11), complete=True)
