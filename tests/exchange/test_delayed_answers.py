"""Answers that wait: in order, none lost, never in the way of what comes, and none when they are no longer wanted."""

from __future__ import annotations

import time
from queue import Queue
from threading import Event, Thread

import pytest

from ipl_tui.exchange import delayed_answers
from ipl_tui.exchange.delayed_answers import STOPPED, TOO_MANY, DelayedAnswers, OwnPackets
from ipl_tui.packets.craft import Draft, craft

REQUEST = Draft(src="10.0.1.10", dst="10.0.2.20", payload=b"ClientMessage")
PACKET = craft(REQUEST).packet


def test_they_come_in_order_and_not_before_their_time() -> None:
    done: Queue[tuple[int, float]] = Queue()
    later = DelayedAnswers(0.02)
    later.start()
    asked = []
    for number in range(100):
        asked.append(time.monotonic())
        later.do(lambda number=number: done.put((number, time.monotonic())), pytest.fail)  # type: ignore[misc]
    came = [done.get(timeout=5) for _ in asked]
    later.stop()
    assert [number for number, _ in came] == list(range(100))
    assert all(at - begun >= 0.02 for (_, at), begun in zip(came, asked, strict=True))


def test_stopping_refuses_at_once_what_still_waits() -> None:
    refused: Queue[str] = Queue()
    later = DelayedAnswers(3600)
    later.do(pytest.fail, refused.put)
    assert refused.get_nowait() == STOPPED, "it was not started"
    later.start()
    later.start()
    for _ in range(3):
        later.do(pytest.fail, refused.put)
    assert refused.empty()
    later.stop()
    later.stop()
    assert [refused.get_nowait() for _ in range(3)] == [STOPPED] * 3


def test_stopping_waits_for_the_answer_that_is_being_sent() -> None:
    begun, going_on = Event(), Event()
    order: list[str] = []

    def answer() -> None:
        begun.set()
        going_on.wait(5)
        order.append("sent")

    later = DelayedAnswers(0.001)
    later.start()
    later.do(answer, pytest.fail)
    assert begun.wait(5)

    def stop() -> None:
        later.stop()
        order.append("stopped")

    stopping = Thread(target=stop)
    stopping.start()
    going_on.set()
    stopping.join(5)
    assert order == ["sent", "stopped"]


def test_an_answer_may_stop_it_and_it_starts_again() -> None:
    done: Queue[str] = Queue()
    later = DelayedAnswers(0.001)

    def stop() -> None:
        later.stop()
        done.put("stopped")

    for _ in range(3):
        later.start()
        later.do(stop, pytest.fail)
        assert done.get(timeout=5) == "stopped"


def test_a_flood_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delayed_answers, "MOST_WAITING", 5)
    refused: Queue[str] = Queue()
    later = DelayedAnswers(3600)
    later.start()
    for _ in range(7):
        later.do(pytest.fail, refused.put)
    assert [refused.get_nowait() for _ in range(2)] == [TOO_MANY] * 2
    later.stop()
    assert refused.qsize() == 5


ARRIVED = {
    "as it was sent": ({}, True),
    "from beyond a router": ({"ttl": 63, "id": 7}, True),
    "of somebody else": ({"src": "10.0.1.11"}, False),
    "to somebody else": ({"dst": "10.0.2.21"}, False),
    "another message": ({"payload": b"ServerResponse"}, False),
    "another protocol": ({"proto": 254}, False),
}


@pytest.mark.parametrize(("changes", "is_ours"), ARRIVED.values(), ids=ARRIVED)
def test_what_is_ours_is_recognised(changes: dict[str, object], is_ours: bool) -> None:
    ours = OwnPackets()
    with ours.sending(PACKET):
        assert ours.take(craft(Draft(**{**vars(REQUEST), **changes})).packet) is is_ours


def test_each_is_ours_once_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = OwnPackets()
    assert not ours.take(PACKET)
    with ours.sending(PACKET, 2):
        assert ours.take(PACKET)
    assert [ours.take(PACKET), ours.take(PACKET)] == [True, False], "the third is an equal one of somebody else"
    with ours.sending(PACKET):
        pass
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + delayed_answers.UNDER_WAY + 1)
    assert not ours.take(PACKET), "it was lost"


def test_a_source_that_the_kernel_fills_in() -> None:
    ours = OwnPackets()
    with ours.sending(craft(Draft(**{**vars(REQUEST), "src": "0.0.0.0"})).packet):
        assert ours.take(PACKET)
