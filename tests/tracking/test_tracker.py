"""What is told of packets on their way: what a hop changed, and where and why they ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Interface
from ipl_tui.networks.topology import LINKS, PATH, Link
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking.changes import changes, in_brief
from ipl_tui.tracking.fate import Fate
from ipl_tui.tracking.hops import Hops
from ipl_tui.tracking.matching import IcmpError
from ipl_tui.tracking.search import Found
from ipl_tui.tracking.sent_packet import SentPacket
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.tracking.view import View
from tests.fake_interface import FakeInterface, FakeNetwork

MAC = {port.name: port.hardware_address for port in PATH}


class LinkDirection(FakeNetwork):
    """The plan's four interfaces; `fates` is what it knows."""

    def __init__(self) -> None:
        super().__init__("line")
        for port in PATH:
            interface = FakeInterface(port.name, str(port.address))
            interface.network, interface.host, interface.hardware_address = "line", port.host, port.hardware_address
            self.listed.append(interface)
        self.fates: dict[tuple[str, int], str] = {}
        self.set: tuple[Link, ...] = LINKS

    def path(self) -> tuple[Interface, ...]:
        return tuple(self.listed)

    def fate(self, interface: str, time: int) -> str:
        return self.fates.get((interface, time), "")

    def links(self) -> tuple[Link, ...]:
        return self.set


class Told:
    """A store with a tracker, and frames that are said to have been seen."""

    def __init__(self, store: Store, follow: bool = True) -> None:
        self.store, self.network, self.clock = store, LinkDirection(), 0
        self.tracker = Tracker(store)
        store.taps.append(self.tracker)
        seen = self.network.listed if follow else self.network.listed[:1]
        self.tracker.follow(self.network, {store.add_interface(i.name, 1): i for i in seen})

    def see(self, *hops: str, **fields: object) -> None:
        """A packet from the client to the server, or from there, at some interfaces, each with its TTL: "c0 64"."""
        for hop in hops:
            name, ttl = hop.split()
            packet = craft(Draft(**{"src": "10.0.1.10", "dst": "10.0.2.20", "ttl": int(ttl), **fields})).packet  # type: ignore[arg-type]
            there, back = (
                {"c0": "c0", "r0": "c0", "r1": "r1", "s0": "r1"},
                {"s0": "s0", "r1": "s0", "r0": "r0", "c0": "r0"},
            )
            sender = (back if fields.get("src") == "10.0.2.20" else there)[name]
            frame = bytes(6) + MAC[sender] + b"\x08\x00" + packet
            number = [interface.name for interface in self.network.listed].index(name)
            time = self.clock + 1000 * (len(self.store) + 1)
            self.store.append(number, Batch(frame, [(time, 0, len(frame), len(frame))]))


@pytest.fixture
def told() -> Iterator[Told]:
    with Store() as store:
        yield Told(store)


def test_a_packet_that_arrives(told: Told) -> None:
    told.see("c0 64", "r0 64", "r1 63", "s0 63")
    assert [in_brief(told.tracker.changes(number)) for number in (1, 2, 3, 4)] == ["", "", "TTL 64→63, checksum", ""]
    assert [told.tracker.loss(number) for number in (1, 2, 3, 4)] == [""] * 4
    assert [told.tracker.arrival(number) for number in (1, 2, 3, 4)] == ["", "", "", "server"]
    assert [told.tracker.interface(number) for number in (1, 4)] == ["c0", "s0"]


@pytest.mark.parametrize(
    ("hops", "sentence"),
    [
        (["c0 64"], "Last seen leaving the client on c0: it did not arrive on r0."),
        (["c0 64", "r0 64"], "Last seen on r0: the router did not pass it on."),
        (["c0 64", "r0 64", "r1 63"], "Last seen leaving the router on r1: it did not arrive on s0."),
    ],
)
def test_a_packet_that_vanishes(told: Told, hops: list[str], sentence: str) -> None:
    told.see(*hops)
    assert told.tracker.loss(len(hops)) == sentence
    assert told.tracker.arrival(len(hops)) == ""


def test_the_network_knows_better(told: Told) -> None:
    told.network.fates["r0", 2000] = "The router was tired."
    told.see("c0 1", "r0 1")
    assert told.tracker.loss(2) == "The router was tired."
    assert told.tracker.loss(1) == ""


def test_one_that_is_known_to_be_gone_is_not_continued(told: Told) -> None:
    told.network.fates["c0", 1000] = "Lost."
    told.see("c0 64", "c0 64", "r0 64")
    assert told.tracker.previous(3) == 2


@pytest.mark.parametrize(("seconds", "earlier"), [(None, 2), (0.0, 2), (0.01, 1)])
def test_which_of_two_is_continued_depends_on_the_latency(told: Told, seconds: float | None, earlier: int) -> None:
    """Now, between the two interfaces; the router itself has none."""
    told.see("c0 64")
    told.clock = 10_000_000
    told.see("c0 64")
    told.network.set = (replace(LINKS[0], latency=seconds), replace(LINKS[1], latency=0.001))
    told.see("r0 64", "r1 63")
    assert [told.tracker.previous(number) for number in (3, 4)] == [earlier, 3]
    told.clock = 11_000_000
    told.see("s0 63")
    assert told.tracker.previous(5) == 4


def test_on_one_interface_only_the_network_tells() -> None:
    with Store() as store:
        told = Told(store, follow=False)
        told.network.fates["c0", 2000] = "Lost on the link."
        told.see("c0 64", "c0 64")
        assert [told.tracker.loss(number) for number in (1, 2)] == ["", "Lost on the link."]
        assert told.tracker.arrival(1) == ""


def test_frames_of_a_file_are_nowhere() -> None:
    with Store() as store:
        told = Told(store)
        frame = bytes(14)
        store.append(store.add_interface("from a file", 1), Batch(frame, [(1, 0, 14, 14)]))
        assert (told.tracker.loss(1), told.tracker.arrival(1), told.tracker.changes(1), told.tracker.packet(1)) == (
            "",
            "",
            (),
            b"",
        )


def test_what_is_no_packet_is_not_missed(told: Told) -> None:
    frame = bytes(12) + b"\x08\x06" + bytes(28)
    told.store.append(0, Batch(frame, [(1, 0, len(frame), len(frame))]))
    assert told.tracker.loss(1) == ""


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {}, ""),
        ({"ttl": 64}, {"ttl": 63}, "TTL 64→63, checksum"),
        ({"payload": bytes(24)}, {"payload": bytes(16), "mf": 1}, "fragmented, checksum"),
        ({"options": b"\x07\x07\x04" + bytes(5)}, {"options": b"\x07\x07\x08" + bytes(5)}, "options, checksum"),
        ({"payload": b""}, {"payload": b"x"}, "length, checksum"),
        ({"dscp": 1, "chksum": 0}, {"dscp": 2, "chksum": 0}, "DSCP"),
    ],
)
def test_changes_in_brief(before: dict[str, object], after: dict[str, object], words: str) -> None:
    old, new = (craft(Draft(src="10.0.1.10", dst="10.0.2.20", **each)).packet for each in (before, after))  # type: ignore[arg-type]
    assert in_brief(changes(old, new)) == words


REQUEST = craft(Draft(src="10.0.1.10", dst="10.0.2.20", payload=CLIENT_MESSAGE)).packet
RESPONSE = {"src": "10.0.2.20", "dst": "10.0.1.10", "payload": SERVER_RESPONSE}


def test_the_fate_of_a_packet_that_arrives_and_is_answered(told: Told) -> None:
    sent = SentPacket(told.store, REQUEST)
    told.see("c0 64", "r0 64", "r1 63", "s0 63", payload=CLIENT_MESSAGE)
    sent.look()
    told.see("s0 64", "r1 64", **RESPONSE)
    fate = told.tracker.fate_of(sent)
    assert (fate.packet, fate.journey.ends, fate.arrived, fate.lost) == (REQUEST, (4,), ("server",), "")
    assert (fate.answers, fate.answered_on) == ((5, 6), frozenset({"s0", "r1"}))
    assert fate.answer_lost == "Last seen on r1: the router did not pass it on."
    assert (fate.refused, fate.unknown) == (None, "")
    found = told.tracker.fate(3)
    assert (found.packet, found.arrived, found.answers, found.unknown) == (REQUEST, ("server",), (), "not looked for")


def test_what_was_joined_is_part_of_the_fate_without_a_search(told: Told) -> None:
    told.see("c0 64", payload=CLIENT_MESSAGE)
    told.see("c0 64", **RESPONSE)
    fate = told.tracker.fate(1)
    assert (fate.answers, fate.answered_on, fate.unknown) == ((2,), frozenset({"c0"}), "")
    assert told.tracker.find_request(2) == Found((1,))


def test_a_fate_says_who_refused_the_packet(told: Told) -> None:
    quote = bytes([11, 0]) + bytes(6) + REQUEST
    sent = SentPacket(told.store, REQUEST)
    told.see("c0 64", payload=CLIENT_MESSAGE)
    told.see("c0 64", src="10.0.1.1", dst="10.0.1.10", proto=1, payload=quote)
    sent.look()
    refusal = IcmpError("10.0.1.1", 11, 0)
    assert told.tracker.fate(1).refused == told.tracker.fate_of(sent).refused == refusal


def test_a_filter_that_hides_the_answer_leaves_it_unknown(told: Told) -> None:
    sent = SentPacket(told.store, REQUEST, View("dst host 10.0.2.20", 1))
    told.see("c0 64", payload=CLIENT_MESSAGE)
    sent.look()
    assert told.tracker.fate_of(sent).unknown == "filtered"
    told.see("c0 64", **RESPONSE)
    assert told.tracker.fate_of(sent).unknown == "", "it came all the same"


def test_of_what_was_not_captured_nothing_is_known(told: Told) -> None:
    sent = SentPacket(told.store, REQUEST)
    assert told.tracker.fate_of(sent) == Fate()
    told.see("c0 64")
    told.store.close()
    assert told.tracker.fate_of(sent) == Fate(unknown="unreadable")


def test_hops_that_stumble_do_not_keep_answers_from_being_joined(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise ValueError("no idea")

    monkeypatch.setattr(Hops, "__call__", stumble)
    told.see("c0 64", payload=CLIENT_MESSAGE)
    told.see("c0 64", **RESPONSE)
    assert told.tracker.response_of(1) == 2
    assert "no idea" in told.store.tap_problem
