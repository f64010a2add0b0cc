"""Fate of a packet, as one value: to be shown, explained and compared by whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ipl_tui.tracking.hops import Journey
from ipl_tui.tracking.matching import IcmpError

Unknown = Literal["", "not looked for", "too many frames", "cut frames", "filtered", "unreadable"]
"""Reason why a capture does not tell whether a packet was answered; empty where it does."""


NOWHERE = Journey((), ())


@dataclass(frozen=True, slots=True)
class Fate:
    """Fate of a packet, as far as it was captured and its network knows."""

    packet: bytes = b""
    """As it was first captured, from its IPv4 header on; nothing if it was not, or less than a header was."""
    journey: Journey = NOWHERE
    """Interfaces where it was seen."""
    arrived: tuple[str, ...] = ()
    """The hosts that are its destination and received it; empty where nobody saw that."""
    lost: str = ""
    """Reason why it, or the first of its pieces that did not arrive, went no further: one sentence, or empty."""
    answers: tuple[int, ...] = ()
    """The numbers of the frames that hold an answer to it, in order."""
    answered_on: frozenset[str] = frozenset()
    """The names of the interfaces that an answer was seen on."""
    answer_lost: str = ""
    """Reason why the first answer went no further: one sentence, or empty."""
    refused: IcmpError | None = None
    """The first ICMP error about it: by whom it was refused, and why."""
    unknown: Unknown = ""
    """Reason why it can't be told whether it was answered; then `answers` may be too few. Empty where it can."""
