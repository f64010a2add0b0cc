"""The neighbours on a host's links, found with ARP (RFC 826): who is known, who is asked for, what waits for them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ipl_tui.networks.topology import Port

MOST_KNOWN, MOST_ASKED = 128, 64
"""Neighbours; the one that is longest there makes room."""

MOST_WAITING = 1 << 18
"""Bytes that wait for one neighbour; the oldest packet makes room (RFC 1122 §2.3.2.2 wants the newest kept)."""

OVERHEAD = 512
"""About the bytes that keeping a packet takes besides its own."""

REMEMBERED = 60.0
"""Seconds that a neighbour's hardware address holds (RFC 1122 §2.3.2.1)."""

REQUESTS, INTERVAL = 3, 1.0
"""Most requests for a neighbour, and the seconds between (RFC 1122 §2.3.2.1: no more than once a second)."""

NeighbourKey = tuple[str, bytes]
"""Key of a neighbour: the name of the port on its link, and its IPv4 address."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A packet that only lacks its next hop's hardware address."""

    packet: bytes
    port: Port
    """Egress port."""
    hop: bytes
    """The IPv4 address of the next hop."""
    received: float
    """Time when it arrived or was given, in seconds."""
    arrived: Port | None = None
    """Ingress port; None for the host's own."""
    ticket: int | None = None
    """Number by which the one who sends it as a frame knows it; None for others."""

    @property
    def neighbour(self) -> NeighbourKey:
        return self.port.name, self.hop


@dataclass(slots=True)
class _Question:
    """A neighbour that is asked for, and the packets that wait for it."""

    again: float
    """Time to ask again or give up, in seconds."""
    asked: int = 1
    waiting: deque[Outgoing] = field(default_factory=deque)
    kept: int = 0
    """Bytes of memory that they take, about."""


class Neighbours:
    """A host's ARP cache, and the packets that wait for it; bounded, whatever comes."""

    def __init__(self) -> None:
        self._known: dict[NeighbourKey, tuple[bytes, float]] = {}
        self._questions: dict[NeighbourKey, _Question] = {}

    def __len__(self) -> int:
        """Number of neighbours that are known or asked for."""
        return len(self._known) + len(self._questions)

    def hardware_address(self, key: NeighbourKey, now: float) -> bytes:
        """A neighbour's hardware address; nothing if it is not known: then wait() for it."""
        address, until = self._known.get(key, (b"", 0.0))
        return address if now < until else b""

    def wait(self, outgoing: Outgoing, now: float) -> tuple[bool, list[Outgoing]]:
        """Keep a packet until its next hop answers: whether to ask now, and the packets that made room for it."""
        crowded_out: list[Outgoing] = []
        question = self._questions.get(outgoing.neighbour)
        is_new = question is None
        if question is None:
            if len(self._questions) >= MOST_ASKED:
                crowded_out += self._questions.pop(next(iter(self._questions))).waiting
            question = self._questions[outgoing.neighbour] = _Question(now + INTERVAL)
        question.waiting.append(outgoing)
        question.kept += len(outgoing.packet) + OVERHEAD
        while question.kept > MOST_WAITING:
            oldest = question.waiting.popleft()
            question.kept -= len(oldest.packet) + OVERHEAD
            crowded_out.append(oldest)
        return is_new, crowded_out

    def learn(self, key: NeighbourKey, hardware_address: bytes, now: float, asks_us: bool) -> list[Outgoing]:
        """Note what an ARP message says of its sender: the packets that can go to it now.

        One that is neither known nor asked for is added only if it asks for us (RFC 826, "Packet Reception").
        """
        question = self._questions.pop(key, None)
        if question or key in self._known or asks_us:
            self._known.pop(key, None)
            if len(self._known) >= MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[key] = hardware_address, now + REMEMBERED
        return list(question.waiting) if question else []

    def due(self) -> float | None:
        """Time of the next tick(), in seconds; None as long as nobody is asked for."""
        if not self._questions:  # as nearly always, and it is asked several times a packet
            return None
        return min(question.again for question in self._questions.values())

    def tick(self, now: float) -> tuple[list[Outgoing], list[Outgoing]]:
        """Requests for next hops that are due, a packet each; and the packets whose next hop never answered."""
        again: list[Outgoing] = []
        given_up: list[Outgoing] = []
        for key, question in list(self._questions.items()):
            if question.again > now:
                continue
            if question.asked < REQUESTS:
                question.asked += 1
                question.again = now + INTERVAL
                again.append(question.waiting[0])
            else:
                given_up += self._questions.pop(key).waiting
        return again, given_up
