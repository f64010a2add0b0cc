"""An order to send: one packet, so many times, so far apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ipl_tui.networks.interface import Interface, Method, SendError
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.craft import Problem
from ipl_tui.packets.fields import read_header
from ipl_tui.packets.ipv4 import header_length

MOST_PACKETS = 100_000
SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.001, 3600.0
"""Seconds. A tool for one's own networks has no flood mode."""

TELL_EVERY = 0.1
"""Seconds between two reports of progress."""


@dataclass(frozen=True)
class Order:
    """The user's order to send a packet."""

    packet: bytes
    """IPv4 header and payload."""
    method: Method
    count: int = 1
    """1 to MOST_PACKETS."""
    interval: float = 1.0
    """Seconds from one packet to the next, SHORTEST_INTERVAL to LONGEST_INTERVAL."""


@dataclass(frozen=True)
class Outcome:
    """Result of an order."""

    sent: int
    problem: str = ""
    """Reason why the next packet could not be sent; one sentence, or empty."""


def caveats(packet: bytes, method: Method, delivering: Method) -> list[Problem]:
    """Changes to a composed packet on its way out that its sender should know of; none of them blocks.

    A raw IP socket rewrites fields (Linux, raw(7)); `delivering` is the method that reaches the packet's destination.
    """
    if method == "exact":
        lost = "Only kernel delivers to this machine itself: an exact frame is captured, and nobody receives it."
        return [Problem("dst", lost, False)] if delivering == "kernel" else []
    header = read_header(packet)
    exact = "; exact sends yours" if delivering == "exact" else ""
    problems = []
    if header["len"] != len(packet):
        problems.append(Problem("len", f"The kernel will write its own Total Length, {len(packet)}{exact}.", False))
    if header["id"] == 0 and not header["df"]:
        problems.append(Problem("id", f"The kernel will choose an Identification in place of 0{exact}.", False))
    if internet_checksum(packet[: header_length(packet)]) != 0:
        problems.append(Problem("chksum", f"The kernel will write the right Header Checksum{exact}.", False))
    if header["src"] == "0.0.0.0":
        problems.append(Problem("src", f"The kernel will fill in a Source Address{exact}.", False))
    return problems


def carry_out(order: Order, interface: Interface, stop: threading.Event, tell: Callable[[int], None]) -> Outcome:
    """Send the packet as often as ordered, or until `stop` is set.

    Blocks the calling thread; `tell` is called from it with the number sent so far, ten times a second at most. A
    packet that is late does not make the later ones late.
    """
    begun = told = time.monotonic()
    for sent in range(order.count):
        due = begun + sent * order.interval
        if stop.wait(max(0.0, due - time.monotonic())) if sent else stop.is_set():
            return Outcome(sent)
        try:
            interface.send(order.packet, order.method)
        except SendError as error:
            return Outcome(sent, str(error))
        if time.monotonic() - told >= TELL_EVERY or sent == 0:
            told = time.monotonic()
            tell(sent + 1)
    return Outcome(order.count)
