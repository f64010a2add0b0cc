"""Watching what comes of a packet that was sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.tracking import sent_packet as sent_module
from ipl_tui.tracking.matching import IcmpError
from ipl_tui.tracking.sent_packet import SentPacket

ETHERNET = bytes(12) + b"\x08\x00"
SENT = bytes(IP(src="10.0.1.10", dst="10.0.2.20", proto=253, id=1) / b"a payload of some length")
ERROR = IcmpError("10.0.1.1", 11, 0)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as store:
        store.add_interface("c0", 1)
        yield store


def capture(store: Store, *packets: bytes) -> None:
    for packet in packets:
        frame = ETHERNET + packet
        store.append(0, Batch(frame, [(len(store), 0, len(frame), len(frame))]))


def error(quoted: bytes, kind: int = 11, code: int = 0) -> bytes:
    return bytes(IP(src="10.0.1.1", dst="10.0.1.10") / ICMP(type=kind, code=code) / quoted)


def test_its_frame_and_its_error_are_found(store: Store) -> None:
    capture(store, SENT)
    watch = SentPacket(store, SENT)
    watch.look()
    assert (watch.sent_as, watch.error) == (0, None), "what was captured before is not it"
    capture(store, b"", error(b"other"), SENT, error(SENT[:28]), SENT, error(SENT, 3, 4))
    watch.look()
    assert (watch.sent_as, watch.error) == (4, ERROR)


@pytest.mark.parametrize(
    ("sent", "captured"),
    [
        ({}, {"chksum": 0xBEEF, "id": 9, "ttl": 3}),
        ({"src": "0.0.0.0"}, {}),
        ({"chksum": 1}, {}),
    ],
    ids=["rewritten", "source filled in", "checksum put right"],
)
def test_what_a_kernel_rewrote_is_still_it(store: Store, sent: dict[str, object], captured: dict[str, object]) -> None:
    usual = {"src": "10.0.1.10", "dst": "10.0.2.20", "proto": 253}
    watch = SentPacket(store, bytes(IP(**{**usual, **sent}) / b"payload"))  # type: ignore[arg-type]
    seen = bytes(IP(**{**usual, **captured}) / b"payload")  # type: ignore[arg-type]
    capture(store, seen, error(seen))
    watch.look()
    assert (watch.sent_as, watch.error) == (1, ERROR)


@pytest.mark.parametrize(
    "quoted",
    [
        bytes(IP(src="10.0.1.10", dst="10.0.2.21", proto=253) / b"a payload of some length"),
        bytes(IP(src="10.0.1.11", dst="10.0.2.20", proto=253) / b"a payload of some length"),
        bytes(IP(src="10.0.1.10", dst="10.0.2.20", proto=254) / b"a payload of some length"),
        bytes(IP(src="10.0.1.10", dst="10.0.2.20", proto=253) / b"another payload"),
        SENT[:19],
        b"",
    ],
)
def test_an_error_about_something_else_is_not_its(store: Store, quoted: bytes) -> None:
    watch = SentPacket(store, SENT)
    capture(store, error(quoted))
    watch.look()
    assert watch.error is None


def test_it_looks_no_longer_than_it_makes_sense(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_module, "MOST_FRAMES", 2)
    watch = SentPacket(store, SENT)
    capture(store, b"x", b"y", SENT)
    watch.look()
    assert watch.sent_as == 0


@given(st.lists(st.binary(max_size=80)), st.binary(min_size=20, max_size=60))
def test_any_bytes_do_no_harm(packets: list[bytes], sent: bytes) -> None:
    with Store() as store:
        store.add_interface("c0", 1)
        watch = SentPacket(store, sent)
        capture(store, *packets, *(error(packet) for packet in packets))
        watch.look()
        assert 0 <= watch.sent_as <= len(store)


ANSWER = bytes(IP(src="10.0.2.20", dst="10.0.1.10", proto=253) / b"an answer")


def test_answers_are_found_where_it_was_sent(store: Store) -> None:
    store.add_interface("r0", 1)
    watch = SentPacket(store, SENT, count=2)
    capture(store, ANSWER, SENT, ANSWER, SENT, ANSWER, ANSWER)
    for packet in (SENT, ANSWER):  # passing the next hop
        frame = ETHERNET + packet
        store.append(1, Batch(frame, [(len(store), 0, len(frame), len(frame))]))
    watch.look()
    assert [number for number, _ in watch.answers] == [3, 5]
    assert all(answer.sure and answer.delay == 1 for _, answer in watch.answers)


def test_errors_count_as_what_came_back(store: Store) -> None:
    watch = SentPacket(store, SENT, count=2)
    capture(store, SENT, error(SENT), SENT, ANSWER)
    watch.look()
    assert [answer.error for _, answer in watch.answers] == [ERROR, None]


def test_others_have_their_turn_while_much_is_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_module, "AT_ONCE", 3)
    watch = SentPacket(store, SENT, count=2)
    capture(store, SENT, ANSWER, b"", b"", SENT, ANSWER)
    seen = []
    while not watch.counted:
        watch.look()
        seen.append(len(watch.answers))
    assert seen == [1, 2]


def test_what_is_lost_in_other_traffic_is_not_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_module, "MOST_FRAMES", 2)
    monkeypatch.setattr(sent_module, "FRAMES_EACH", 2)
    watch = SentPacket(store, SENT, count=2)
    capture(store, SENT, ANSWER, b"", b"")
    watch.look()
    assert watch.counted
    capture(store, SENT, ANSWER)
    watch.look()
    assert not watch.counted and len(watch.answers) == 1
