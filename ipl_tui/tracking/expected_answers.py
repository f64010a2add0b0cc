"""Expected answers to a packet that is sent, once or again and again: answers to it, and ICMP errors about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ipl_tui.packets.ipv4 import SHORTEST_HEADER, without_padding
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.packets.text import counted
from ipl_tui.tracking.matching import IcmpError, error_about, is_answer, is_sent_as


@dataclass(frozen=True)
class Answer:
    """An answer to one packet."""

    frame: bytes
    packet: bytes
    """The IPv4 packet in it, without the padding of the link."""
    delay: int
    """From the packet to this, in ns, as both passed the interface."""
    sure: bool
    """True if it can be for no other of the equal packets; else the delay is a guess."""
    error: IcmpError | None = None
    """ICMP error that it is; None for an answer proper."""


class ExpectedAnswers:
    """Told of all frames from before the packet is sent, it finds the packet and what comes back for it.

    Equal packets can't be told apart by their answers: what comes back is taken to be for the newest that waits, which
    is true as long as answers come before the next packet is sent, though others be lost.
    """

    def __init__(self, packet: bytes, patience: int) -> None:
        """packet begins with its IPv4 header; it waits `patience` ns for its answer."""
        self.seen = b""
        """The packet as it passed the interface last, where a kernel may have filled in some fields; nothing before."""
        self._packet = packet
        self._patience = patience
        self._waiting: deque[int] = deque()  # when each was sent
        self._doubtful = -1  # what was sent up to this time may have had its answer

    def see(self, time: int, frame: bytes, linktype: int) -> Answer | None:
        """Answer that a frame is, which passes at a time in ns; None if it did not come back for the packet."""
        seen = frame[network_layer(frame, linktype) :]
        if len(seen) < SHORTEST_HEADER:
            return None
        packet = without_padding(seen)
        if is_sent_as(self._packet, seen):
            self.seen = packet
            self._waiting.append(time)
            return None
        error = error_about(self._packet, packet)
        if error is None and not (self.seen and is_answer(self.seen, packet)):
            return None
        while self._waiting and time - self._waiting[0] > self._patience:
            self._waiting.popleft()
        if not self._waiting:
            return None
        asked = self._waiting.pop()
        sure = not self._waiting and asked > self._doubtful
        if self._waiting:
            self._doubtful = self._waiting[-1]
        return Answer(frame, packet, time - asked, sure, error)


def count_answers(answers: Sequence[Answer], sent: int) -> str:
    """How many of the packets sent were answered or lost, and how long answers took as far as that is sure, or else
    since the newest packet that waited; in words. ICMP errors among the answers are counted by themselves."""
    answered = [answer for answer in answers if answer.error is None]
    errors = len(answers) - len(answered)
    words = f"{len(answered):,} answered"
    if errors:
        words += f", {counted(errors, 'ICMP error')}"
    words += f", {max(0, sent - len(answers)):,} lost"
    sure = [answer.delay / 1e6 for answer in answered if answer.sure]
    if times := sure or [answer.delay / 1e6 for answer in answered]:
        words += f"; {min(times):.2f} / {median(times):.2f} / {max(times):.2f} ms least, median, most"
    if not sure and answered:
        words += ", each since the newest that waited"
    elif len(sure) < len(answered):
        words += f"; {len(answered) - len(sure):,} while several waited, not timed"
    return words
