"""The orders to send that are under way in the lab, and the packet of the last one in the capture."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address

from ipl_tui.capture.store import Store
from ipl_tui.exchange.delayed_answers import OwnPackets
from ipl_tui.exchange.discarding import DiscardingSockets
from ipl_tui.networks.interface import Interface, Network
from ipl_tui.networks.sending import Order, Outcome, carry_out
from ipl_tui.tracking.expected_answers import Answer
from ipl_tui.tracking.matching import is_client_message
from ipl_tui.tracking.sent_packet import SentPacket
from ipl_tui.tracking.view import View


@dataclass(eq=False)
class GivenOrder:
    """An order that was given to the lab."""

    order: Order
    interface: Interface
    """Interface where it is carried out, also when another has been selected since."""
    watch: SentPacket
    """The packet sent, and what comes of it."""
    stop: threading.Event
    """Set when no more is to be sent."""
    why: str = ""
    """Reason why no more is sent, a clause; empty while it is, and when the user said so."""


@dataclass(frozen=True, eq=False)
class CarriedOut:
    """An order that was carried out, of which it is to be said what came back."""

    watch: SentPacket
    said: str
    """Sentence on how far it got."""
    sent: int
    """Packets sent; at least one."""

    @property
    def answers(self) -> list[tuple[int, Answer]]:
        """The answers that are no ICMP errors, with the numbers of their frames."""
        return [(number, answer) for number, answer in self.watch.answers if answer.error is None]

    @property
    def complete(self) -> bool:
        """True if something came back for every packet, or there is nothing but an ICMP error."""
        return len(self.watch.answers) >= self.sent or (self.watch.error is not None and not self.answers)


class Orders:
    """Carries out orders, each in a thread of its own. For one event loop."""

    def __init__(self, store: Store, ours: OwnPackets) -> None:
        """The responder is told by `ours` what is sent from here."""
        self.count = 0
        """Number of orders so far."""
        self.last: SentPacket | None = None
        """The last one's packet, and what comes of it; None before the first."""
        self._store = store
        self._own_packets = ours
        self._quiet = DiscardingSockets()
        self._under_way: list[GivenOrder] = []
        self._carried_out: CarriedOut | None = None  # the last order, while nobody was told what came back for it

    @property
    def under_way(self) -> bool:
        return bool(self._under_way)

    def begin(self, order: Order, interface: Interface, view: View) -> GivenOrder:
        """Take an order: from now on what is captured, which is the view, is looked through for its packet."""
        watch = SentPacket(self._store, order.packet, view, order.count)
        given = GivenOrder(order, interface, watch, threading.Event())
        self.count += 1
        self.last, self._carried_out = given.watch, None
        self._under_way.append(given)
        return given

    async def carry_out(self, given: GivenOrder, tell: Callable[[int], None]) -> Outcome:
        """Send what was ordered; `tell` is called in the event loop with the number sent so far."""
        loop = asyncio.get_running_loop()

        def tell_loop(sent: int) -> None:
            loop.call_soon_threadsafe(tell, sent)

        def send() -> Outcome:
            with ExitStack() as prepared:
                if is_client_message(given.order.packet):
                    # The host must not object to the answer, which our own responder does not put off.
                    prepared.enter_context(self._quiet.on(given.interface))
                    prepared.enter_context(self._own_packets.sending(given.order.packet, given.order.count))
                return carry_out(given.order, given.interface, given.stop, tell_loop)

        outcome = await asyncio.to_thread(send)
        return Outcome(outcome.sent) if given.why else outcome  # what fails then, fails because of that

    def end(self, given: GivenOrder) -> None:
        """An order is no longer under way."""
        self._under_way.remove(given)

    def await_answers(self, given: GivenOrder, said: str, sent: int) -> None:
        """From now on look() may give an order that so much was said of; only the last one, and if any were sent."""
        if given.watch is self.last and sent:
            self._carried_out = CarriedOut(given.watch, said, sent)

    def awaits_answers(self, given: GivenOrder) -> bool:
        """True while nobody was told what came back for this order, the last."""
        return self._carried_out is not None and given.watch is self.last

    def look(self) -> CarriedOut | None:
        """Look at what has been captured since. The last order when something came back for all of it; only once, and
        None before."""
        if self.last is not None:
            self.last.look()
        is_complete = self._carried_out is not None and self._carried_out.complete and not self._under_way
        return self._take() if is_complete else None

    def give_up(self, given: GivenOrder) -> CarriedOut | None:
        """This order as it is, when its answers have been waited for; None if look() gave it, or another came since."""
        return self._take() if given.watch is self.last else None

    def _take(self) -> CarriedOut | None:
        taken, self._carried_out = self._carried_out, None
        return taken

    def forget(self) -> None:
        """Nothing is known any more of what was sent so far, for the capture begins anew; what is under way goes on."""
        self.last = self._carried_out = None

    def stop(self, why: str = "") -> None:
        """Send no more of what is under way; returns at once. `why` is a clause, where the user did not ask for it."""
        for given in self._under_way:
            if not given.stop.is_set():
                given.why = why
                given.stop.set()

    def close(self) -> None:
        """Let hosts object again; blocks for a moment. Orders should have been stopped before."""
        self._quiet.close()


def describe_outcome(given: GivenOrder, outcome: Outcome, network: Network, captured: bool) -> str:
    """Sentence on how far an order got, by the interface that took it, or why not further. captured: whether frames
    are."""
    if outcome.problem:
        return outcome.problem + (f" ({outcome.sent:,} were sent)" if outcome.sent else "")
    order, way = given.order, given.interface
    if given.why and outcome.sent < order.count:
        return f"Stopped: {given.why}; sent {outcome.sent:,} of {order.count:,}"
    if order.method == "kernel":
        way = network.way_to(destination_of(order), way)
    done = f"Sent {outcome.sent:,} × {len(order.packet)} bytes, {order.method}, on {way.name}"
    done += "" if way is given.interface else f": {destination_of(order)} is this machine's own address"
    done += "" if outcome.sent == order.count else f"; stopped before {order.count:,}"
    return done + ("" if captured else "; nothing is captured now (F2)")


def destination_of(order: Order) -> str:
    """The dotted quad that its packets go to."""
    return str(IPv4Address(order.packet[16:20]))
