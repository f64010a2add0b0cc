"""Snapshot of the lab at one moment: all that a screen, or a test, needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ipl_tui.networks.interface import Interface

if TYPE_CHECKING:  # it loads Scapy, which the first screen must not wait for
    from ipl_tui.capture.files import Pipe

About = Literal["order", "answer", "refusal", "icmp error", "silence", "responder", "joining"]
"""Subject of a sentence: how far an order came; what answered it; why it was not carried out; what an ICMP error about
its packet means; why nothing came back for it; what the responder met; what joining packets met."""


@dataclass(frozen=True)
class Notice:
    """A sentence for the user, said once."""

    number: int
    """Number of sentences before it: two that read the same are two."""
    about: About
    text: str
    offers_all: bool = False
    """True if it says that the capture filter is in the way."""


@dataclass(frozen=True)
class Answering:
    """The responder that is on."""

    engine: str
    host: str
    """The host it answers at, where that is another than the selected interface's; else empty."""
    refused: int
    """ClientMessages that it did not answer because of its rate."""


@dataclass(frozen=True)
class Snapshot:
    """A lab as it is now; one that differs in nothing is equal."""

    interface: Interface
    """Interface where packets are captured and sent."""
    filter: str
    """The capture filter in force; empty where everything is captured."""
    file: Path | Pipe | None
    """The capture file that is shown, until an interface is captured on; None then."""
    following: bool
    """True if all interfaces of the network are captured on, and packets are followed from hop to hop."""
    capturing: bool
    trouble: str
    """Reason why nothing is captured now, or can't be read; one sentence, or empty."""
    anew: int
    """Number of times that the capture was begun anew: what a packet's number meant before is over."""
    captured: int
    """Packets in the store that may be shown; there may be some more already."""
    joined: int
    """Those of them whose answers are known: fewer than all while that comes behind the reading of a file."""
    tracked: int
    """Number of times that more became known of a file's packets: what is shown of them may say more now."""
    dropped: int
    """Frames that the kernel dropped since then, on all interfaces that were captured on."""
    rates: tuple[int, ...]
    """Packets captured in each of the last 60 seconds."""
    own: Mapping[int, frozenset[str]]
    """The addresses of each of the store's interfaces, which tell what was sent and what received."""
    answering: Answering | None
    """None while ClientMessage is not answered."""
    sending: bool
    """True while an order is under way."""
    awaiting: bool
    """True if something may still be said of the packet of an order that was carried out."""
    orders: int
    """Number of orders so far."""
    sent_as: int
    """The number of the frame that has the last order's packet; 0 until it is captured."""
    all_layers: bool
    """True once every protocol that Scapy knows is loaded: what was dissected before may say more now."""
    said: tuple[Notice, ...]
    """The last sentences, the oldest first."""
