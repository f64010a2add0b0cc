"""Joining behind a file that is read: what is on screen first, the rest in order, and live again afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest
from scapy.layers.inet import IP

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking import follower as follower_module
from ipl_tui.tracking.answers import Answers, MatchedRequest
from ipl_tui.tracking.tracker import Tracker
from tests.conftest import wait_until

REQUEST = bytes(IP(src="10.0.1.10", dst="10.0.2.20", proto=253) / CLIENT_MESSAGE)
RESPONSE = bytes(IP(src="10.0.2.20", dst="10.0.1.10", proto=253) / SERVER_RESPONSE)


class Told:
    """A store with a tracker, which counts how often it tells of progress."""

    def __init__(self, store: Store) -> None:
        self.store, self.progress = store, 0
        self.tracker = Tracker(store, self.tell)
        store.taps.append(self.tracker)
        store.add_interface("from a file", 101)
        store.add_interface("another", 101)

    def tell(self) -> None:
        self.progress += 1

    def exchange(self, count: int, interface: int = 0) -> None:
        """So many requests, each with its answer."""
        for _ in range(count):
            records = [(len(self.store), 0, len(REQUEST), len(REQUEST))]
            records.append((len(self.store) + 1, len(REQUEST), len(RESPONSE), len(RESPONSE)))
            self.store.append(interface, Batch(REQUEST + RESPONSE, records))

    def joined(self) -> dict[int, int]:
        """The request of each frame that answers one."""
        joined = {number: self.tracker.request_of(number) for number in range(1, len(self.store) + 1)}
        return {number: answer.request for number, answer in joined.items() if answer is not None}


@pytest.fixture
def told() -> Iterator[Told]:
    with Store() as store:
        told = Told(store)
        yield told
        told.tracker.close()


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "STEP", 3)
    monkeypatch.setattr(follower_module, "NEAR", 2)


def test_while_a_file_is_read_only_what_is_asked_for_is_joined(told: Told) -> None:
    with told.tracker.behind():
        told.exchange(20)
        assert told.tracker.request_of(20) is None
        wait_until(lambda: told.tracker.request_of(20) == MatchedRequest(19, 1))
        assert told.tracker.response_of(19) == 20
        wait_until(lambda: told.progress == 1)
        assert told.tracker.progress == (0, 40)
    wait_until(lambda: told.tracker.progress == (40, 40))
    assert told.joined() == {number: number - 1 for number in range(2, 41, 2)}


def test_what_is_captured_after_a_file_is_joined_as_well(told: Told) -> None:
    with told.tracker.behind():
        told.exchange(5)
        told.exchange(5, interface=1)
    told.exchange(3)
    wait_until(lambda: told.tracker.progress == (26, 26))
    told.exchange(1)
    assert told.tracker.progress == (28, 28), "at once"
    assert told.joined() == {number: number - 1 for number in range(2, 29, 2)}


def test_answers_are_those_that_are_joined_without_a_file(told: Told) -> None:
    with Store() as live:
        live.add_interface("from a file", 101)
        plain = Answers(live)
        live.taps.append(plain)
        with told.tracker.behind():
            for number in range(40):
                packet = RESPONSE if number % 5 in (1, 2, 4) else REQUEST
                for store in (live, told.store):
                    record = number * 10**8, 0, len(packet), len(packet)
                    store.append(0, Batch(packet, [record]))
        wait_until(lambda: told.tracker.progress == (40, 40))
        for number in range(1, 41):
            assert told.tracker.request_of(number) == plain.request_of(number)
            assert told.tracker.response_of(number) == plain.response_of(number)


def test_an_empty_file_has_nothing_to_wait_for(told: Told) -> None:
    with told.tracker.behind():
        pass
    told.exchange(1)
    wait_until(lambda: told.joined() == {2: 1})


def test_closing_ends_it_at_once(told: Told) -> None:
    with told.tracker.behind():
        told.exchange(5)
        told.tracker.close()
    assert told.tracker.progress == (0, 10)
    told.tracker.close()
    with told.tracker.behind():
        told.exchange(1)
    assert told.tracker.request_of(12) == MatchedRequest(11, 1), "nothing is left for later"


def test_a_file_that_was_changed_ends_it(told: Told) -> None:
    with told.tracker.behind():
        told.exchange(5)
        told.store.path.write_bytes(b"")
    wait_until(lambda: told.tracker.progress == (10, 10))
    assert told.store.tap_problem == ""


def test_what_stumbles_is_said_and_the_rest_is_joined(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    stumbled = Event()
    join = Answers.__call__

    def stumble(answers: Answers, interface: int, first: int, batch: Batch) -> None:
        if not stumbled.is_set():
            stumbled.set()
            raise ValueError("no idea")
        join(answers, interface, first, batch)

    monkeypatch.setattr(Answers, "__call__", stumble)
    with told.tracker.behind():
        told.exchange(5)
    wait_until(lambda: told.tracker.progress == (10, 10))
    assert told.store.tap_problem.startswith("Joining stumbled near packet 1 (ValueError: no idea)")
    assert told.joined() == {6: 5, 8: 7, 10: 9}
