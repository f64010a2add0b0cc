"""The one who is asked what became of a packet, while the frames arrive or behind a file that is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.networks.interface import Interface, Network
from ipl_tui.packets.ipv4 import SHORTEST_HEADER
from ipl_tui.tracking.answers import Answers, MatchedRequest
from ipl_tui.tracking.capture_points import CapturePoints
from ipl_tui.tracking.changes import Change, changes
from ipl_tui.tracking.fate import Fate, Unknown
from ipl_tui.tracking.follower import Follower
from ipl_tui.tracking.hops import Hops, Journey
from ipl_tui.tracking.matching import read_error
from ipl_tui.tracking.search import Found, FragmentedDatagram, find_answers, find_fragments, find_request, packet_in
from ipl_tui.tracking.sent_packet import SentPacket


class Tracker:
    """A tap for Store.taps: called in the thread that appends, asked from any, by the numbers of frames.

    What reads frames raises as Store.frame() does.
    """

    def __init__(self, store: Store, on_progress: Callable[[], object] = lambda: None) -> None:
        """on_progress is called in another thread, when more is known of the frames of a file."""
        self._store = store
        self._on_progress = on_progress
        self._begin()

    def _begin(self) -> None:
        self._places = places = CapturePoints()
        self._hops = Hops(self._store, places.gone, places.delay, places.own)
        self._follower = Follower(self._store, lambda: Answers(self._store, places.gone), self._on_progress)

    # What is told to it

    def follow(self, network: Network, interfaces: Mapping[int, Interface]) -> None:
        """From now on frames come from these interfaces of a network, by the store's numbers: if several, all of its
        path, in order."""
        self._hops.follow(self._places.add(network, interfaces))

    def __call__(self, interface: int, first: int, batch: Batch) -> None:
        """Take in a batch whose first frame has this number."""
        try:
            self._hops(interface, first, batch)
        finally:
            self._follower(interface, first, batch)

    def behind(self) -> AbstractContextManager[None]:
        """While a file is read: answers are joined behind it, and meanwhile only those that are asked for."""
        return self._follower.behind()

    @property
    def progress(self) -> tuple[int, int]:
        """Progress of joining answers: up to which frame, and of how many."""
        return min(self._follower.done, len(self._store)), len(self._store)

    def forget(self) -> None:
        """Know nothing of the frames so far: the store has none any more. Nobody may append meanwhile."""
        self._follower.close()
        self._begin()

    def close(self) -> None:
        """Let go of the file; returns when nothing is read any more."""
        self._follower.close()

    # Hops

    def previous(self, number: int) -> int | None:
        """The frame that was this packet, or that this one is a piece of, one interface earlier; None for the first."""
        return self._hops.previous(number)

    def following(self, number: int) -> tuple[int, ...]:
        """The frames that this one became at the next interface, in order; empty for the last."""
        return self._hops.following(number)

    def journey(self, number: int) -> Journey:
        """The way of the packet that a frame belongs to, from its first frame to all its last."""
        return self._hops.journey(number)

    def changes(self, number: int) -> tuple[Change, ...]:
        """Changes in the frame's IPv4 header since the hop before; none for the first hop."""
        before = self.previous(number)
        return () if before is None else changes(self.packet(before), self.packet(number))

    def loss(self, number: int) -> str:
        """Reason why a frame went no further, if it did not and its host was not its destination: one sentence, or
        empty."""
        if self.following(number):
            return ""
        frame = self._store.frame(number)
        return self._places.loss(frame, packet_in(self._store, frame))

    def arrival(self, number: int) -> str:
        """The host that is the destination of a frame and received it, or nothing."""
        frame = self._store.frame(number)
        return self._places.arrival(frame, packet_in(self._store, frame))

    # What belongs together

    def request_of(self, number: int) -> MatchedRequest | None:
        """ClientMessage that the frame of this number answers, or is an ICMP error about; None if it does neither."""
        return self._follower.at(number).request_of(number)

    def response_of(self, number: int) -> int | None:
        """The number of what came back for the frame of this number; None if it is no ClientMessage that had an
        answer or an ICMP error."""
        return self._follower.at(number).response_of(number)

    def find_request(self, number: int) -> Found:
        """The frame whose packet the one in a frame answers, whatever its protocol, or is an ICMP error about."""
        if (answer := self.request_of(number)) is not None:
            return Found((answer.request,))
        return find_request(self._store, number)

    def find_fragments(self, number: int) -> FragmentedDatagram | None:
        """The datagram that a frame holds a fragment of; None where it holds none."""
        return find_fragments(self._store, number)

    # What became of a packet

    def fate(self, number: int) -> Fate:
        """Fate of the packet that a frame belongs to, as far as that is joined: it looks for no answers."""
        journey = self.journey(number)
        lost = next((loss for frame in journey.ends if (loss := self.loss(frame))), "")
        arrived = tuple({host: None for frame in journey.ends if (host := self.arrival(frame))})
        first = journey.stops[0].frames[0]
        packet = self.packet(first)
        is_whole = len(packet) >= SHORTEST_HEADER
        fate = Fate(packet if is_whole else b"", journey, arrived, lost, unknown="not looked for")
        if (response := self.response_of(first)) is None:
            return fate
        answer = self.request_of(response)
        if answer is not None and answer.error is not None:
            return replace(fate, refused=read_error(self.packet(response)))
        return replace(fate, answers=(response,), answered_on=frozenset({self.interface(response)}), unknown="")

    def fate_of(self, sent: SentPacket) -> Fate:
        """Fate of a packet that was sent, the answers to it included. Never raises."""
        try:
            return self._fate_of(sent)
        except (CaptureError, IndexError):  # the file was changed by another program, or the store cleared
            return Fate(unknown="unreadable")

    def _fate_of(self, sent: SentPacket) -> Fate:
        fate = self.fate(sent.sent_as) if sent.sent_as else Fate()
        packet = fate.packet or sent.packet
        found = find_answers(self._store, sent.after, packet)
        unknown: Unknown = found.unknown
        if not found.frames and not unknown and sent.view.hides_answer(packet):
            unknown = "filtered"
        return replace(
            fate,
            answers=found.frames,
            answered_on=frozenset(map(self.interface, found.frames)),
            answer_lost=self.fate(found.frames[0]).lost if found.frames else "",
            refused=sent.error,
            unknown=unknown,
        )

    # Frames

    def interface(self, number: int) -> str:
        """The name of the interface that a frame was captured on."""
        return self._store.interfaces[self._store.frame(number).interface].name

    def packet(self, number: int) -> bytes:
        """The IPv4 packet in a frame, or nothing."""
        return packet_in(self._store, self._store.frame(number))
