"""Rows: read once, kept, and renewed by what comes later."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from datetime import datetime

import pytest

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import NO_TIME, Batch, Frame, StoredInterface
from ipl_tui.capture.store import Store
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.budget import Dissector
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.dissect import Summary, summarise
from ipl_tui.session.rows import Note, Row, Rows, make_row, seconds_since, time_of_day
from ipl_tui.tracking.tracker import Tracker

ETHERNET = 1
CLIENT, SERVER = "10.0.1.10", "10.0.2.20"
SECOND = 1_000_000_000


class Counting(Store):
    """Counts how often its file is read."""

    reads = 0

    def _read(self, start: int, size: int) -> bytes:
        self.reads += 1
        return super()._read(start, size)


class Late(Dissector):
    """Has no summary until it is told one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Future[Summary]] = []

    def summarise(self, frame: bytes, linktype: int, length: int = 0, *, patience: float = 0.0) -> Future[Summary]:
        self.asked.append(Future())
        return self.asked[-1]


class Capture:
    """The four interfaces of the simulated network, followed, and what is said to have been seen there."""

    def __init__(self, network: SimulatedNetwork, store: Counting) -> None:
        self.store = store
        self.tracker = Tracker(store)
        store.taps.append(self.tracker)
        self.path = network.path()
        self.tracker.follow(network, {store.add_interface(each.name, ETHERNET): each for each in self.path})
        self.rows = Rows(store, self.tracker)

    def see(self, place: int, src: str = CLIENT, dst: str = SERVER, payload: bytes = b"hello", ttl: int = 64) -> None:
        """A packet on an interface of the path, a millisecond after the one before."""
        sender = self.path[place // 2 * 2 + (src == SERVER)].hardware_address
        packet = craft(Draft(src=src, dst=dst, ttl=ttl, payload=payload)).packet
        frame = bytes(6) + sender + b"\x08\x00" + packet
        when = SECOND + len(self.store) * 1_000_000
        self.store.append(place, Batch(frame, [(when, 0, len(frame), len(frame))]))

    def row(self, number: int) -> Row:
        """A row with its summary, however busy the machine is."""
        return self.rows.row(number, time.monotonic() + 10)

    def notes(self, number: int) -> list[str]:
        return [note.text for note in self.row(number).notes]


@pytest.fixture
def capture() -> Iterator[Capture]:
    with closing(SimulatedNetwork()) as network, Counting() as store:
        yield Capture(network, store)


def test_a_row_is_read_once_whoever_asks_for_it(capture: Capture) -> None:
    for _ in range(10):
        for place, ttl in enumerate((64, 64, 63, 63)):
            capture.see(place, payload=b"ClientMessage", ttl=ttl)
        for place, ttl in ((3, 64), (2, 64), (1, 63), (0, 63)):
            capture.see(place, SERVER, CLIENT, b"ServerResponse", ttl)
    capture.see(0, payload=b"lost")
    numbers = range(1, 82)
    first = [capture.row(number) for number in numbers]
    assert capture.store.reads == len(numbers)
    assert [capture.rows.row(number) for number in numbers] == first
    assert [capture.rows.time_before(number) for number in numbers] == [SECOND] + [row.time for row in first[:-1]]
    capture.rows.forget()
    assert [capture.row(number) for number in numbers] == first
    assert capture.store.reads == len(numbers)
    assert sum(note.kind == "hop" for row in first for note in row.notes) == 60
    assert sum(note.kind == "answer" for row in first for note in row.notes) == 20
    assert [note.kind for note in first[-1].notes] == ["lost"]


def test_what_comes_later_is_in_a_row_that_was_given_before_without_reading_it_again(capture: Capture) -> None:
    capture.see(0, payload=b"ClientMessage")
    assert capture.notes(1) == ["✖ Last seen leaving the client on c0: it did not arrive on r0."]
    capture.see(1, payload=b"ClientMessage")
    assert capture.notes(1) == []
    assert capture.notes(2) == ["⇢ 1", "✖ Last seen on r0: the router did not pass it on."]
    for place, ttl in ((2, 63), (3, 63)):
        capture.see(place, payload=b"ClientMessage", ttl=ttl)
    assert capture.notes(2) == ["⇢ 1"]
    assert capture.notes(3) == ["⇢ 2, TTL 64→63, checksum"]
    capture.see(0, SERVER, CLIENT, b"ServerResponse")
    assert capture.notes(1) == ["answered by 5"]
    assert capture.rows.row(1).notes == (Note("answer", "answered by 5", "↪5"),)
    assert capture.notes(5)[-1] == "↩ answers 1, 4.0 ms"
    assert capture.store.reads == 4, "of packet 4 nobody asked"


def test_a_summary_that_takes_long_comes_later(capture: Capture) -> None:
    dissector = Late()
    rows = Rows(capture.store, capture.tracker, dissector)
    told: list[None] = []
    rows.when_told = lambda: told.append(None)
    capture.see(0)
    for _ in range(2):
        row = rows.row(1)
        assert (row.source, row.destination, row.protocol, row.info) == (CLIENT, SERVER, "253", "")
    assert len(dissector.asked) == 1 and not told
    dissector.asked[0].set_result(Summary("from", "to", "what", "all of it"))
    assert told == [None]
    for _ in range(2):
        row = rows.row(1)
        assert (row.source, row.destination, row.protocol, row.info) == ("from", "to", "what", "all of it")
    assert len(dissector.asked) == 1
    rows.forget()
    assert rows.row(1).info == "" and len(dissector.asked) == 2


def test_what_is_out_of_view_is_not_waited_for(capture: Capture) -> None:
    dissector = Late()
    rows = Rows(capture.store, capture.tracker, dissector)
    told: list[None] = []
    rows.when_told = lambda: told.append(None)
    for number in (1, 2, 3):
        capture.see(0)
        rows.row(number)
    rows.await_only(range(2, 4))
    assert [asked.cancelled() for asked in dissector.asked] == [True, False, False]
    rows.forget()
    assert all(asked.cancelled() for asked in dissector.asked) and not told


def test_whose_addresses_are_whose_can_become_known_later(capture: Capture) -> None:
    capture.see(0)
    assert capture.row(1).direction == "→"
    capture.rows.own = {0: frozenset({CLIENT})}
    assert capture.row(1).direction == "↦"
    capture.rows.own = {0: frozenset({capture.path[0].hardware_address.hex(":")})}
    assert capture.row(1).direction == "↦"
    capture.rows.own = {0: frozenset({CLIENT, SERVER})}
    assert capture.row(1).direction == "↻"
    assert capture.store.reads == 1


def test_what_was_read_stays_when_another_program_changes_the_file(capture: Capture) -> None:
    for _ in range(2):
        capture.see(0)
    row = capture.row(1)
    os.truncate(capture.store.path, 90)
    assert capture.rows.row(1) == row
    with pytest.raises(CaptureError, match="another program"):
        capture.rows.row(2)
    with pytest.raises(IndexError):
        capture.rows.row(3)


def test_a_row_by_itself() -> None:
    packet = craft(Draft(src=CLIENT, dst=SERVER, payload=b"ClientMessage")).packet
    frame = Frame(7, SECOND, packet, 1500, 0)
    row = make_row(frame, StoredInterface("\x1b[m", 101), summarise(packet, 101, 1500))
    assert (row.number, row.time, row.interface, row.length) == (7, SECOND, r"\x1b[m", 1500)
    assert (row.source, row.direction, row.destination, row.protocol) == (CLIENT, "→", SERVER, "253")
    assert row.info == "captured 33 of 1,500 bytes: ClientMessage"
    assert row.notes == ()


@pytest.mark.parametrize(
    ("begin", "end", "text"),
    [
        (0, 0, "0.000000"),
        (SECOND, 3 * SECOND + 1_500, "2.000002"),
        (SECOND, 0, "-1.000000"),
        (None, 1, "-"),
        (NO_TIME, 1, "-"),
        (1, NO_TIME, "-"),
    ],
)
def test_seconds(begin: int | None, end: int, text: str) -> None:
    assert seconds_since(begin, end) == text


def test_the_time_of_day() -> None:
    of_day = datetime(2024, 2, 29, 23, 59, 58, 250_000)
    assert time_of_day(round(of_day.timestamp() * 1e6) * 1000) == "23:59:58.250000"
    assert time_of_day(NO_TIME) == "-"
    for absurd in (10**27, -(10**27), -1):
        assert time_of_day(absurd).count(":") == 2
