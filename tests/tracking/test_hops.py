"""Following packets from hop to hop: as stories, against a world where the truth is known, and for any frames."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP, IPOption_RR, fragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.tracking import hops as hops_module
from ipl_tui.tracking.changes import Change, changes
from ipl_tui.tracking.hops import Hops, Journey, Stop

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
PATH = ("c0", "r0", "r1", "s0")
CLIENT, ROUTER, SERVER = "10.0.1.10", "10.0.1.1", "10.0.2.20"
MAC = {"c0": "02:00:0a:00:01:0a", "r0": "02:00:0a:00:01:01", "r1": "02:00:0a:00:02:01", "s0": "02:00:0a:00:02:14"}
ENDS: dict[str, Any] = {"dst": MAC["r0"], "src": MAC["c0"]}
ETHERNET = bytes(Ether(**ENDS, type=0x0800))

Sight = tuple[str, int, bytes]
"""The interface, the time in ms, the IPv4 packet."""


def packet(payload: Packet | bytes = b"ClientMessage", **fields: Any) -> bytes:
    values: dict[str, Any] = {"src": CLIENT, "dst": SERVER, "proto": 253, "id": 1, **fields}
    return bytes(IP(**values) / payload)


def forwarded(sent: bytes, **fields: Any) -> bytes:
    """What a router makes of a packet, and then this."""
    passed = IP(sent)
    passed.ttl -= 1
    for name, value in fields.items():
        setattr(passed, name, value)
    del passed.chksum
    return bytes(passed)


def fragments(whole: bytes, size: int) -> list[bytes]:
    return [bytes(piece) for piece in fragment(IP(whole), size)]  # type: ignore[no-untyped-call]  # Scapy's


def link_header(where: str, packet: bytes) -> bytes:
    """The Ethernet header that a packet has on the link of an interface."""
    ends = ("c0", "r0") if where in ("c0", "r0") else ("r1", "s0")
    sender, receiver = ends[::-1] if packet[16:20] == bytes([10, 0, 1, 10]) else ends
    return bytes(Ether(dst=MAC[receiver], src=MAC[sender], type=0x0800))


class Lab:
    """A store with the interfaces of a path, whose packets are followed; the latency of its links is in ms."""

    def __init__(
        self,
        store: Store,
        gone: Callable[[int, int], bool] | None = None,
        latency: int = 0,
        linktype: int = 1,
        own: bool = False,
    ) -> None:
        self.store = store
        self.latency = latency
        self.hops = Hops(
            store, gone or (lambda interface, time: False), self._delay, self._own if own else lambda interface: b""
        )
        store.taps.append(self.hops)
        self.numbers = {name: store.add_interface(name, linktype) for name in PATH}
        self.hops.follow(list(self.numbers.values()))

    def _delay(self, earlier: int, later: int) -> int:
        """Interfaces 0 and 1, and 2 and 3, are the ends of a link."""
        assert abs(later - earlier) == 1
        return self.latency * MILLISECOND if earlier // 2 == later // 2 else 0

    @staticmethod
    def _own(interface: int) -> bytes:
        return bytes.fromhex(MAC[PATH[interface]].replace(":", ""))

    def see(self, where: str, time: float, *packets: bytes, link: bytes | None = None) -> None:
        """Packets are seen at once; the time is in ms."""
        frames = [(link_header(where, each) if link is None else link) + each for each in packets]
        starts = [sum(map(len, frames[:place])) for place in range(len(frames))]
        when = round(time * MILLISECOND)
        records = [(when, start, len(frame), len(frame)) for start, frame in zip(starts, frames, strict=True)]
        self.store.append(self.numbers[where], Batch(b"".join(frames), records))

    def joins(self) -> dict[int, int]:
        """Every frame that has a previous one, and that one."""
        numbers = range(1, len(self.store) + 1)
        return {number: previous for number in numbers if (previous := self.hops.previous(number)) is not None}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Store() as store:
        yield Lab(store)


P = packet()
Q = forwarded(P)
BACK = packet(b"ServerResponse", src=SERVER, dst=CLIENT)
BIG = packet(bytes(range(200)))
PIECES = fragments(forwarded(BIG), 80)
EXCEEDED = packet(ICMP(type=11, code=0) / packet(ttl=1), src=ROUTER, dst=CLIENT, proto=1)
TOO_BIG = packet(ICMP(type=3, code=4, nexthopmtu=100) / packet(bytes(8), flags="DF"), src=ROUTER, dst=CLIENT, proto=1)
HALVES = fragments(packet(bytes(range(96))), 48)
RECORD = packet(options=IPOption_RR(routers=["0.0.0.0", "0.0.0.0"]))
RECORDED = forwarded(RECORD, options=IPOption_RR(pointer=8, routers=["10.0.2.1", "0.0.0.0"]))
WRONG = packet(chksum=0xBEEF)
PARTS = fragments(packet(bytes(range(240))), 160)
QUARTERS = [fragments(forwarded(part), 80) for part in PARTS]

LIES: list[dict[str, Any]] = [
    {"len": 0}, {"len": 19}, {"len": 30}, {"len": 4000}, {"ihl": 4}, {"ihl": 15}, {"version": 6}, {"version": 0},
    {"flags": 7}, {"ttl": 0}, {"frag": 8191},
]  # fmt: skip

STORIES: dict[str, tuple[list[Sight], dict[int, int]]] = {
    "four hops, and four back": (
        [
            ("c0", 0, P), ("r0", 1, P), ("r1", 2, Q), ("s0", 3, Q),
            ("s0", 4, BACK), ("r1", 5, BACK), ("r0", 6, forwarded(BACK)), ("c0", 7, forwarded(BACK)),
        ],
        {2: 1, 3: 2, 4: 3, 6: 5, 7: 6, 8: 7},
    ),
    "all at one time": (
        [("c0", 0, P), ("r0", 0, P), ("r1", 0, Q), ("s0", 0, Q)],
        {2: 1, 3: 2, 4: 3},
    ),
    "TTL 1 ends at the router, whose ICMP goes back": (
        [("c0", 0, packet(ttl=1)), ("r0", 1, packet(ttl=1)), ("r0", 2, EXCEEDED), ("c0", 3, EXCEEDED)],
        {2: 1, 4: 3},
    ),
    "DF and too big ends at the router": (
        [("c0", 0, packet(bytes(200), flags="DF")), ("r0", 1, packet(bytes(200), flags="DF")),
         ("r0", 2, TOO_BIG), ("c0", 3, TOO_BIG)],
        {2: 1, 4: 3},
    ),
    "the router's own packets go either way": (
        [("r1", 0, P), ("s0", 1, P), ("r0", 2, BACK), ("c0", 3, BACK)],
        {2: 1, 4: 3},
    ),
    "the router fragments": (
        [("c0", 0, BIG), ("r0", 1, BIG), *(("r1", 2, piece) for piece in PIECES),
         *(("s0", 3, piece) for piece in PIECES)],
        {2: 1, 3: 2, 4: 2, 5: 2, 6: 3, 7: 4, 8: 5},
    ),
    "fragments in any order": (
        [("r0", 0, BIG), *(("r1", 2, piece) for piece in PIECES[::-1]), *(("s0", 3, piece) for piece in PIECES)],
        {2: 1, 3: 1, 4: 1, 5: 4, 6: 3, 7: 2},
    ),
    "the client's own fragments": (
        [(where, at, piece if at < 2 else forwarded(piece)) for at, where in enumerate(PATH) for piece in HALVES],
        {3: 1, 4: 2, 5: 3, 6: 4, 7: 5, 8: 6},
    ),
    "the router fragments fragments": (
        [("r0", 0, PARTS[0]), ("r0", 1, PARTS[1]), *(("r1", 2, piece) for piece in QUARTERS[0] + QUARTERS[1])],
        {3: 1, 4: 1, 5: 2},
    ),
    "a fragment that comes twice is no second piece": (
        [("r0", 0, BIG), ("r1", 1, PIECES[0]), ("r1", 2, PIECES[0]), ("r1", 3, PIECES[1])],
        {2: 1, 4: 1},
    ),
    "fragments of two same packets": (
        [("r0", 0, BIG), ("r0", 1, BIG), *(("r1", 2, piece) for piece in PIECES * 2)],
        {3: 2, 4: 2, 5: 2, 6: 1, 7: 1, 8: 1},
    ),
    "fragments of two packets with one Identification": (
        [("r0", 0, BIG), ("r0", 1, packet(bytes(200))), *(("r1", 2, piece) for piece in PIECES)],
        {3: 1, 4: 1, 5: 1},
    ),
    "no fragment: other bytes, no More Fragments, or beyond the end": (
        [("r0", 0, BIG), ("r1", 1, forwarded(BIG, flags="MF", len=100)[:99] + b"!"),
         ("r1", 2, forwarded(BIG, len=100)[:100]), ("r1", 3, packet(bytes(range(200, 208)), frag=25))],
        {},
    ),
    "Record Route": (
        [("c0", 0, RECORD), ("r0", 1, RECORD), ("r1", 2, RECORDED), ("s0", 3, RECORDED)],
        {2: 1, 3: 2, 4: 3},
    ),
    "a router that rewrites what it may": (
        [("r0", 0, P), ("r1", 1, forwarded(P, tos=0xB9, flags="DF", ttl=9))],
        {2: 1},
    ),
    "a wrong checksum gets to the router": (
        [("c0", 0, WRONG), ("r0", 1, WRONG)],
        {2: 1},
    ),
    "one Identification in both directions": (
        [("c0", 0, packet(b"x")), ("s0", 0, packet(b"x", src=SERVER, dst=CLIENT)), ("r0", 1, packet(b"x")),
         ("r1", 1, packet(b"x", src=SERVER, dst=CLIENT)), ("r1", 2, forwarded(packet(b"x"))),
         ("r0", 2, forwarded(packet(b"x", src=SERVER, dst=CLIENT)))],
        {3: 1, 4: 2, 5: 3, 6: 4},
    ),
    "one source and destination, in both directions": (
        [("c0", 0, P), ("r0", 1, P), ("c0", 2, P), ("r1", 3, Q), ("r0", 4, P)],
        {2: 1, 4: 2, 5: 3},
    ),
    "never back": (
        [("c0", 0, P), ("r0", 1, P), ("c0", 2, P), ("r1", 3, Q), ("r0", 4, P), ("s0", 5, Q), ("r1", 6, Q)],
        {2: 1, 4: 2, 5: 3, 6: 4, 7: 5},
    ),
    "never both ways": (
        [("r1", 0, BIG), ("r0", 1, PIECES[0]), ("s0", 2, BIG), ("r0", 3, PIECES[2]),
         ("r0", 4, P), ("c0", 5, P), ("r1", 6, Q)],
        {2: 1, 4: 1, 6: 5},
    ),
    "never past an interface": (
        [("c0", 0, P), ("r1", 1, Q), ("s0", 2, Q), ("c0", 3, P)],
        {3: 2},
    ),
    "something else": (
        [("c0", 0, P), ("r0", 1, packet(b"ServerMessage")), ("r0", 2, packet(id=2)), ("r0", 3, packet(proto=254)),
         ("r0", 4, packet(src=ROUTER)), ("r0", 5, packet(dst=CLIENT)), ("r0", 6, packet(b"ClientMessag"))],
        {},
    ),
    "no payload": (
        [("c0", 0, packet(b"")), ("c0", 1, packet(b"")), ("r0", 2, packet(b"")), ("r0", 3, packet(b""))],
        {3: 2, 4: 1},
    ),
    "Ethernet's padding is no payload": (
        [("c0", 0, P + bytes(13)), ("r0", 1, P + bytes(13)), ("r1", 2, Q + b"\xff" * 13)],
        {2: 1, 3: 2},
    ),
    "a link changes nothing": (
        [("c0", 0, P), ("r0", 1, Q), ("r0", 2, packet(tos=4)), ("r0", 3, P + bytes(1))],
        {},
    ),
    "a host lowers Time to Live": (
        [("r0", 0, Q), ("r1", 1, P), ("r1", 3, packet(ttl=63, tos=4)), ("r1", 4, packet(ttl=62))],
        {4: 1},
    ),
    "what a host passes on has another link header": (
        [("r0", 0, P), ("r1", 1, P)],
        {},
    ),
    **{
        f"a header that lies: {lie}": ([("c0", 0, lying), ("c0", 1, lying), ("r0", 2, lying), ("r0", 3, lying)],
                                       {3: 2, 4: 1})
        for lie in LIES
        for lying in [packet(**lie)]
    },
    "a header that lies, and other bytes": (
        [("c0", 0, packet(len=0)), ("r0", 1, packet(b"ServerMessage", len=0)), ("c0", 2, packet(version=5)),
         ("r0", 3, packet(version=5, ttl=63)), ("c0", 4, packet(ihl=15)), ("r0", 5, packet(ihl=14))],
        {},
    ),
    "cut short": (
        [("c0", 0, P[:19]), ("r0", 1, P[:19]), ("c0", 2, P[:1]), ("r0", 3, P[:1]), ("r0", 4, P[:18])],
        {2: 1, 4: 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sights", "joins"), STORIES.values(), ids=STORIES.keys())
def test_a_story(lab: Lab, sights: list[Sight], joins: dict[int, int]) -> None:
    for sight in sights:
        lab.see(*sight)
    assert lab.joins() == joins
    assert_consistent(lab)


def test_the_journey_of_a_packet_and_its_fragments(lab: Lab) -> None:
    lab.see("c0", 0, BIG)
    lab.see("c0", 1, P)
    lab.see("r0", 2, BIG)
    lab.see("r1", 3, *PIECES)
    lab.see("s0", 4, PIECES[2], PIECES[0])
    stops = (Stop(0, (1,)), Stop(1, (3,)), Stop(2, (4, 5, 6)), Stop(3, (7, 8)))
    for number in (1, 3, 4, 5, 6, 7, 8):
        assert lab.hops.journey(number) == Journey(stops, ends=(5, 7, 8)), "the second piece got to r1"
    assert lab.hops.journey(2) == Journey((Stop(0, (2,)),), ends=(2,))
    assert [lab.hops.following(number) for number in (1, 2, 3, 5, 6)] == [(3,), (), (4, 5, 6), (), (7,)]
    lab.see("r0", 5, PARTS[0])
    for hop, piece in enumerate(QUARTERS[0]):
        lab.see("r1", 6 + hop, piece)
        if not hop:
            lab.see("s0", 6, piece)
    assert lab.hops.journey(9).ends == (11, 12), "the one that got furthest was the first"
    with pytest.raises(IndexError):
        lab.hops.journey(13)


def true_joins(lab: Lab, sights: list[tuple[float, str, int]], begin: float = 0) -> dict[int, int]:
    """Let same packets be seen in the order of time, from a moment on; which frame continues which.

    A sight is the time in ms, the interface, and which of the packets it is: an odd one goes back.
    """
    latest: dict[int, int] = {}
    joins: dict[int, int] = {}
    for time, where, which in sorted(sights, key=lambda sight: sight[0]):
        if time < begin:
            continue
        sent, first = (BACK, ("r1", "s0")) if which % 2 else (P, ("c0", "r0"))
        lab.see(where, time, sent if where in first else forwarded(sent))
        if which in latest:
            joins[len(lab.store)] = latest[which]
        latest[which] = len(lab.store)
    return joins


def stream(count: int, spacing: float, latency: float, back: bool = False) -> list[tuple[float, str, int]]:
    """Same packets on their way; a host takes 50 µs to pass one on."""
    way, times = PATH[:: -1 if back else 1], (0.01, 0.02 + latency, 0.07 + latency, 0.08 + 2 * latency)
    return [
        (which * spacing + time, where, 2 * which + back)
        for which in range(count)
        for where, time in zip(way, times, strict=True)
    ]


@pytest.mark.parametrize("latency", [0, 50, 400])
@pytest.mark.parametrize("begin", [0, 200.015, 200.05, 200.075, 205, 400])
def test_a_capture_that_begins_while_same_packets_are_in_flight(latency: int, begin: float) -> None:
    """In both directions at once."""
    with Store() as store:
        lab = Lab(store, latency=latency)
        sights = stream(200, 10, latency) + stream(200, 10, latency, back=True)
        expected = true_joins(lab, sights, begin)
        assert lab.joins() == expected
        assert len(expected) > 900
        assert_consistent(lab)


def test_a_thousand_same_packets_at_once() -> None:
    """A millisecond and a half apart, on links that take a second and a half."""
    with Store() as store:
        lab = Lab(store, latency=1500)
        expected = true_joins(lab, stream(1000, 1.5, 1500))
        assert lab.joins() == expected
        assert len(expected) == 3000


def test_a_burst_of_same_packets_is_joined_one_to_one(lab: Lab) -> None:
    """Nobody can tell which is which."""
    for hop, where in enumerate(PATH):
        lab.see(where, hop, *[P if hop < 2 else Q] * 10)
    joins = lab.joins()
    assert sorted(joins) == list(range(11, 41))
    assert sorted(joins.values()) == list(range(1, 31))
    assert_consistent(lab)


SAME_ONE_LOST = [("c0", 0, P), ("c0", 10, P), ("c0", 20, P), ("r0", 60, P), ("r0", 70, P)]
"""The first of three is lost, on a link that takes 50 ms."""


def test_what_is_lost_does_not_shift_those_after_it() -> None:
    with Store() as store:
        lab = Lab(store, latency=50)
        for sight in SAME_ONE_LOST:
            lab.see(*sight)
        assert lab.joins() == {4: 2, 5: 3}


def test_what_the_network_knows_to_be_lost_is_not_continued() -> None:
    """Though its age is the nearest."""
    with Store() as store:
        lab = Lab(store, gone=lambda interface, time: (interface, time) == (0, 10 * MILLISECOND), latency=50)
        for sight in SAME_ONE_LOST:
            lab.see(*sight)
        assert lab.joins() == {4: 1, 5: 3}


def test_the_nearest_age_is_taken_and_never_one_too_young() -> None:
    """A slow machine takes longer than the link; only rounding takes less."""
    with Store() as store:
        lab = Lab(store, latency=50)
        for time in (0, 10, 20, 50):
            lab.see("c0", time, P)
        for tenth in (5, 6, 7, 8):
            lab.see("r0", 69 + tenth / 10, P)
        assert lab.joins() == {5: 3, 6: 2, 7: 1}


def test_latency_that_changes() -> None:
    with Store() as store:
        lab = Lab(store)
        lab.see("c0", 0, P)
        lab.latency = 50
        lab.see("r0", 1, P)
        assert lab.joins() == {}, "it would have been 50 ms earlier"
        lab.latency = 0
        lab.see("r0", 50, P)
        assert lab.joins() == {3: 1}


def test_each_lost_packet_is_asked_for_once() -> None:
    """However many wait."""
    asked: list[int] = []

    def gone(interface: int, time: int) -> bool:
        asked.append(time)
        return time >= 100 * MILLISECOND

    with Store() as store:
        lab = Lab(store, gone)
        for time in range(200):
            lab.see("c0", time, P)
        for time in range(100):
            lab.see("r0", 3000 + time, P)
        assert lab.joins() == {201 + place: 100 - place for place in range(100)}
        assert asked == [time * MILLISECOND for time in range(199, -1, -1)]


def test_an_old_one_is_continued_when_no_other_fits(lab: Lab) -> None:
    lab.see("c0", 0, P)
    lab.see("c0", 1, P)
    lab.see("r0", 60_000, P)
    lab.see("r0", 60_001, P)
    assert lab.joins() == {3: 2, 4: 1}


def test_those_that_took_too_long_are_passed_over_until_there_are_too_many(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hops_module, "MOST_COMPARED", 2)
    lab.see("c0", 0, P, Q, Q)
    lab.see("r0", 1, P)
    assert lab.joins() == {}
    lab.see("r0", 2, Q, P)
    assert lab.joins() == {5: 3, 6: 1}


def test_the_second_try_with_a_higher_ttl(lab: Lab) -> None:
    """The first ended in the router, which nobody said."""
    for start, ttl in ((0, 1), (2000, 2)):
        lab.see("c0", start, packet(ttl=ttl))
        lab.see("r0", start + 1, packet(ttl=ttl))
    lab.see("r1", 2002, forwarded(packet(ttl=2)))
    assert lab.joins() == {2: 1, 4: 3, 5: 4}


def test_patience_ends(lab: Lab) -> None:
    lab.see("c0", 0, P)
    lab.see("c0", 1, P)
    lab.see("r0", hops_module.LONGEST_HOP / MILLISECOND + 1, P, P)
    assert lab.joins() == {3: 2}


def test_few_frames_wait(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops_module, "MOST_WAITING", 3)
    lab.see("c0", 0, *(packet(id=id) for id in range(1, 6)))
    lab.see("r0", 1, *(packet(id=id) for id in range(5, 0, -1)))
    assert lab.joins() == {6: 5, 7: 4, 8: 3}, "the newest three were still waiting"


def test_what_has_arrived_waits_no_more(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops_module, "MOST_WAITING", 2)
    lab.see("c0", 0, BIG)
    for time in range(2):
        lab.see("r1", time, Q)
        lab.see("s0", time, Q)
        lab.see("r0", time, forwarded(BACK))
        lab.see("c0", time, forwarded(BACK))
    lab.see("r0", 3, BIG)
    assert lab.joins() == {3: 2, 5: 4, 7: 6, 9: 8, 10: 1}


def test_nothing_is_left_of_what_was_forgotten(lab: Lab) -> None:
    for where in PATH:
        lab.see(where, 0, P, BIG, BACK)
    lab.see("s0", hops_module.LONGEST_HOP, packet(id=9))
    underway = lab.hops._underway
    assert len(underway.sightings) == len(underway.awaited) == 1, "the last one"


def test_the_oldest_joins_are_forgotten(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops_module, "MOST_JOINS", 4)
    lab.see("c0", 0, BIG)
    lab.see("r0", 1, BIG)
    lab.see("r1", 2, *PIECES)
    assert lab.joins() == {2: 1, 3: 2, 4: 2, 5: 2}
    lab.see("s0", 3, PIECES[0], PIECES[1])
    assert lab.joins() == {4: 2, 5: 2, 6: 3, 7: 4}
    assert [lab.hops.following(number) for number in (1, 2, 3)] == [(), (4, 5), (6,)]
    assert lab.hops.journey(7) == Journey((Stop(1, (2,)), Stop(2, (4, 5)), Stop(3, (7,))), ends=(5, 7))
    assert lab.hops.journey(6) == Journey((Stop(2, (3,)), Stop(3, (6,))), ends=(6,))
    assert_consistent(lab)


def test_a_fragment_is_compared_with_the_newest(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops_module, "MOST_COMPARED", 2)
    lab.see("r0", 0, BIG, packet(bytes(150)), packet(bytes(160)), packet(bytes(range(201))))
    lab.see("r1", 1, PIECES[0])
    assert lab.joins() == {5: 4}
    lab.see("r0", 2, packet(bytes(170)), packet(bytes(180)))
    lab.see("r1", 3, PIECES[1])
    assert lab.joins() == {5: 4}


def test_following_nothing_and_again(lab: Lab) -> None:
    lab.see("c0", 0, P)
    lab.see("r0", 1, P)
    lab.hops.follow([])
    lab.see("r1", 2, Q)
    lab.see("s0", 3, Q)
    anew = Lab.__new__(Lab)
    anew.store, anew.hops = lab.store, lab.hops
    anew.numbers = {name: lab.store.add_interface(name, 1) for name in PATH}
    lab.hops.follow(list(anew.numbers.values()))
    anew.see("r1", 4, Q)
    anew.see("s0", 5, Q)
    assert lab.joins() == {2: 1, 6: 5}


def test_nothing_is_joined_unless_asked_for() -> None:
    with Store() as store:
        lab = Lab(store)
        unasked = Hops(store)
        store.taps[:] = [unasked]
        lab.see("c0", 0, P)
        lab.see("r0", 1, P)
        assert unasked.previous(2) is None


def tagged(vlan: int) -> bytes:
    return bytes(Ether(**ENDS) / Dot1Q(vlan=vlan, type=0x0800))


@pytest.mark.parametrize(
    ("linktype", "link", "next_link"),
    [(101, b"", b""), (12, b"", b""), (1, tagged(5), tagged(6))],
    ids=["raw IP", "raw IP of a handle", "VLAN"],
)
def test_link_types(linktype: int, link: bytes, next_link: bytes) -> None:
    with Store() as store:
        lab = Lab(store, linktype=linktype)
        lab.see("c0", 0, BIG, link=link)
        lab.see("r0", 0, BIG, link=link)
        lab.see("r1", 1, *PIECES, link=next_link)
        assert lab.joins() == {2: 1, 3: 2, 4: 2, 5: 2}


def test_what_is_not_ipv4_is_left_alone(lab: Lab) -> None:
    for frame in (bytes(Ether(**ENDS) / ARP()), bytes(Ether(**ENDS, type=0x86DD)) + P, b"", bytes(13)):
        for where in PATH:
            lab.see(where, 0, frame, link=b"")
    assert lab.joins() == {}


def test_a_file_that_is_gone_ends_no_capture(lab: Lab) -> None:
    lab.see("r0", 0, BIG)
    lab.store.path.write_bytes(b"")
    lab.see("r1", 1, PIECES[0])
    lab.see("r1", 2, forwarded(BIG))
    assert lab.joins() == {3: 1}


CHANGES: dict[str, tuple[bytes, bytes, list[Change]]] = {
    "nothing": (P, P, []),
    "payload only": (P, P[:-1] + b"?", []),
    "a router": (P, Q, [Change("ttl", 64, 63), Change("chksum", IP(P).chksum, IP(Q).chksum)]),
    "a middle fragment": (
        BIG, PIECES[1],
        [Change("len", 220, 100), Change("mf", 0, 1), Change("frag", 0, 10), Change("ttl", 64, 63),
         Change("chksum", IP(BIG).chksum, IP(PIECES[1]).chksum)],
    ),
    "Record Route": (
        RECORD, RECORDED,
        [Change("ttl", 64, 63), Change("chksum", IP(RECORD).chksum, IP(RECORDED).chksum),
         Change("options", b"\x07\x0b\x04" + bytes(9), b"\x07\x0b\x08\x0a\x00\x02\x01" + bytes(5))],
    ),
    "all of it": (
        packet(chksum=1), packet(chksum=2, version=5, ihl=6, tos=0x07, len=9, id=2, flags=7, frag=1, ttl=1, proto=1,
                                 src=ROUTER, dst=CLIENT),
        [Change("version", 4, 5), Change("ihl", 5, 6), Change("dscp", 0, 1), Change("ecn", 0, 3), Change("len", 33, 9),
         Change("id", 1, 2), Change("reserved", 0, 1), Change("df", 0, 1), Change("mf", 0, 1), Change("frag", 0, 1),
         Change("ttl", 64, 1), Change("proto", 253, 1), Change("chksum", 1, 2), Change("src", CLIENT, ROUTER),
         Change("dst", SERVER, CLIENT), Change("options", b"", b"Clie")],
    ),
    "cut short": (P, Q[:9], [Change("ttl", 64, 63)]),
    "nothing left": (P, b"", []),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_changes(before: bytes, after: bytes, expected: list[Change]) -> None:
    assert changes(before, after) == tuple(expected)


class Trip(NamedTuple):
    """A packet's way in a world."""

    start: int
    """In ms."""
    kind: int
    """Which of KINDS."""
    far: int
    """How many interfaces see it."""
    lost: tuple[bool, bool, bool]
    """Which of the pieces that the router makes of it get lost on the second link."""


class Sighting(NamedTuple):
    """A frame of a world; they sort by the time, in ms."""

    time: int
    trip: int
    hop: int
    piece: int
    where: str
    packet: bytes


KINDS = [P, packet(bytes(range(200)), id=2), packet(bytes(8), src=SERVER, dst=CLIENT), PARTS[1]]
CUT = [fragments(forwarded(each), 80) if len(each) > 100 else [forwarded(each)] for each in KINDS]
LOST = st.tuples(st.booleans(), st.booleans(), st.booleans())
TRIPS = st.builds(Trip, st.integers(0, 50), st.integers(0, 3), st.integers(1, 4), LOST)


@given(
    st.lists(TRIPS, max_size=30, unique_by=lambda trip: (trip.start, trip.kind)).map(sorted),
    st.sampled_from([0, 2, 7, 40]),
    st.integers(0, 100),
    st.booleans(),
)
def test_a_world(trips: list[Trip], latency: int, begin: int, known: bool) -> None:
    """Same packets under way in both directions, cut in pieces by the router, lost anywhere: none is mixed up.

    The capture begins when some are on their way already, and the network knows what it loses, or not.
    """
    times = 0, latency, latency, 2 * latency
    seen: list[Sighting] = []
    for order, trip in enumerate(trips):
        sent = KINDS[trip.kind]
        way = PATH if IP(sent).src == CLIENT else PATH[::-1]
        for hop, where in enumerate(way[: trip.far]):
            for piece, carried in enumerate(CUT[trip.kind] if hop > 1 else [sent]):
                time = 2 * trip.start + times[hop]
                if time >= begin and (hop < 3 or not trip.lost[piece]):
                    seen.append(Sighting(time, order, hop, piece, where, carried))
    seen.sort()
    numbers = {(each.trip, each.hop, each.piece): number for number, each in enumerate(seen, 1)}
    truth = {
        number: before
        for (trip, hop, piece), number in numbers.items()
        if (before := numbers.get((trip, hop - 1, piece if hop == 3 else 0)))
    }
    went_on = set(truth.values())
    clock = [each.time * MILLISECOND + number for number, each in enumerate(seen, 1)]  # no two frames at a time
    gone = {
        (PATH.index(each.where), time)
        for number, (each, time) in enumerate(zip(seen, clock, strict=True), 1)
        if number not in went_on and each.hop < 3
    }
    with Store() as store:
        lab = Lab(store, (lambda interface, time: (interface, time) in gone) if known else None, latency, own=True)
        for each, time in zip(seen, clock, strict=True):
            lab.see(each.where, time / MILLISECOND, each.packet)
        assert lab.joins() == truth
        assert_consistent(lab)


def assert_consistent(lab: Lab) -> None:
    """Previous and following say the same, on the way each packet has taken, and nothing is its own past."""
    numbers = range(1, len(lab.store) + 1)
    where = {number: lab.store.frame(number).interface for number in numbers}
    for number in numbers:
        previous, following = lab.hops.previous(number), lab.hops.following(number)
        assert list(following) == sorted(set(following))
        assert all(lab.hops.previous(each) == number for each in following)
        if previous is not None:
            assert previous < number
            assert number in lab.hops.following(previous)
        beside = {where[each] - where[number] for each in following}
        assert len(beside) <= 1 and beside <= {-1, 1}
        if previous is not None and following:
            assert beside == {where[number] - where[previous]}
        journey = lab.hops.journey(number)
        on_the_way = [each for stop in journey.stops for each in stop.frames]
        assert number in on_the_way and len(on_the_way) == len(set(on_the_way))
        assert all(where[each] == stop.interface for stop in journey.stops for each in stop.frames)
        assert list(journey.ends) == sorted(each for each in on_the_way if not lab.hops.following(each))


PACKETS = [P, Q, BIG, WRONG, RECORD, RECORDED, *PIECES, *HALVES, *PARTS, *QUARTERS[0], packet(UDP() / b"x", proto=17)]


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """A frame with a packet of the stories in it, damaged or not; or anything."""
    if draw(st.integers(0, 9)) == 9:
        return draw(st.binary(max_size=60))
    frame = bytearray(ETHERNET + draw(st.sampled_from(PACKETS)))
    for place, value in draw(st.lists(st.tuples(st.integers(14, 40), st.integers(0, 255)), max_size=2)):
        frame[place % len(frame)] = value
    return bytes(frame[: draw(st.one_of(st.none(), st.integers(0, len(frame))))])


SIGHTS = st.tuples(st.sampled_from(PATH), st.integers(0, 3000), st.lists(hostile(), max_size=4))


@given(st.lists(SIGHTS, max_size=30), st.booleans(), st.sampled_from([0, 50]), st.booleans())
def test_any_frames_do_no_harm(
    sights: list[tuple[str, int, list[bytes]]], lossy: bool, latency: int, little_room: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch, Store() as store:
        if little_room:
            patch.setattr(hops_module, "MOST_WAITING", 5)
            patch.setattr(hops_module, "MOST_JOINS", 3)
        lab = Lab(store, gone=lambda interface, time: lossy and time % 2 == 1, latency=latency)
        for where, time, frames in sights:
            lab.see(where, time + 1e-6, *frames, link=b"")
        assert_consistent(lab)
        assert len(lab.joins()) <= (3 if little_room else len(store))
        # Whatever came before, a packet that nobody else has is followed.
        lab.see("c0", 5000, packet(id=77))
        lab.see("r0", 5001 + latency, packet(id=77))
        assert lab.hops.previous(len(store)) == len(store) - 1
