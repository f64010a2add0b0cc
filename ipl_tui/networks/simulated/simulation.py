"""The simulated network while it is used: its hosts, the frames on their way between them, and those who watch."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import IPv4Address
from itertools import count
from typing import NamedTuple

from ipl_tui.networks.interface import Method, SendError
from ipl_tui.networks.send_errors import no_neighbour
from ipl_tui.networks.simulated.effects import Deliver, Discard, Effect, Sent, Transmit, Unreachable
from ipl_tui.networks.simulated.link_directions import LinkDirections
from ipl_tui.networks.simulated.queue_socket import ProtocolSocket, QueueRawSocket, QueueSocket
from ipl_tui.networks.simulated.stack import Stack
from ipl_tui.networks.topology import HOSTS, Port
from ipl_tui.packets.link_layer import ETHERNET

Listener = ProtocolSocket | QueueRawSocket

FATES_KEPT = 10_000
"""Frames whose end is remembered; of more, the oldest are forgotten."""


class _Arrival(NamedTuple):
    """A frame on its way; they sort by time, then by the order in which they were sent."""

    time: float
    number: int
    port: Port
    frame: bytes


@dataclass(frozen=True)
class _Sending:
    """A packet that waits for ARP."""

    port: Port
    destination: IPv4Address
    done: Future[None]


class Simulation:
    """Hosts, links and sockets. Methods may be called from any thread; times are in seconds since 1970.

    Whoever sends carries the frame as far as it comes without waiting, so that nothing is handed from thread to
    thread; a thread of its own does what is due later. One lock makes it one after the other.
    """

    def __init__(self, lines: LinkDirections, reassembly_timeout: float) -> None:
        self._lines = lines
        self._reassembly_timeout = reassembly_timeout
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._awake_at = math.inf
        self._stacks: dict[str, Stack] = {}
        self._arrivals: list[_Arrival] = []
        self._last_arrival: dict[Port, float] = {}
        self._numbers = count()
        self._sendings: dict[int, _Sending] = {}
        self._taps: dict[QueueSocket, Port] = {}
        self._listeners: dict[Listener, tuple[Port, int]] = {}
        self._ahead = 0.0
        self._last_moment = 0
        self._fates: OrderedDict[tuple[str, int], str] = OrderedDict()

    def capture(self, port: Port, filter: str) -> QueueSocket:
        """Capture on a port. Raises CaptureError."""
        tap = QueueSocket(port.name, ETHERNET, filter, self._forget_tap)
        with self._changed:
            self._begin()
            self._taps[tap] = port
        return tap

    def open_raw(self, port: Port, proto: int) -> QueueRawSocket:
        """Open a raw socket for an IP protocol number on a port."""
        receiver = QueueRawSocket(lambda packet: self.send(port, packet, "kernel"), self._forget_listener)
        self._attach(receiver, port, proto)
        return receiver

    def listen(self, port: Port, proto: int, discarding: bool) -> ProtocolSocket:
        """Listen to an IP protocol number for what arrives at a port."""
        listener = ProtocolSocket(discarding, self._forget_listener)
        self._attach(listener, port, proto)
        return listener

    def _attach(self, listener: Listener, port: Port, proto: int) -> None:
        with self._changed:
            self._begin()
            self._listeners[listener] = (port, proto)
            self._stacks[port.host].listeners[port.name, proto] += 1

    def send(self, port: Port, packet: bytes, method: Method) -> None:
        """Send from a port; blocks until ARP has found the next hop, if exact. Raises SendError."""
        destination = IPv4Address(packet[16:20])
        done: Future[None] = Future()
        with self._changed:
            self._begin()
            stack, now = self._stacks[port.host], self._now()
            try:
                if method == "exact":
                    ticket = next(self._numbers)
                    effects = stack.send_frame(port, packet, ticket, now)
                    self._sendings[ticket] = _Sending(port, destination, done)
                else:
                    own = {each.address.ip for each in stack.host.ports if each is not port}
                    past = destination.is_loopback or destination in own  # bound to this port it would not get there
                    effects = stack.send_packet(packet, None if past else port, now)
                    done.set_result(None)
            except SendError:
                raise
            except Exception as error:
                raise SendError(_fault(port.host, error)) from error
            self._carry_out(effects)
            self._advance()
            if self._next_due() < self._awake_at:
                self._changed.notify_all()
        done.result()

    def fate(self, port: str, time: int) -> str:
        """Reason why the frame seen at a port at a time, in nanoseconds, went no further; empty if it went on."""
        return self._fates.get((port, time), "")

    def end(self) -> None:
        """Close all sockets, give up what waits, and end the thread; the next use begins again, knowing nothing."""
        with self._changed:
            thread, self._thread = self._thread, None
            sockets = [*self._taps, *self._listeners]
            self._taps.clear()
            self._listeners.clear()
            self._stacks.clear()
            self._arrivals.clear()
            self._last_arrival.clear()
            self._fates.clear()
            self._ahead, self._last_moment = 0.0, 0  # by the system's clock again, wherever that was set meanwhile
            self._give_up(lambda _: True, "The simulated network was closed before the packet was sent.")
            self._changed.notify_all()
        for socket in sockets:
            socket.close()
        if thread is not None:
            thread.join()

    def _forget_tap(self, tap: QueueSocket) -> None:
        with self._changed:
            self._taps.pop(tap, None)

    def _forget_listener(self, listener: Listener) -> None:
        with self._changed:
            if listener in self._listeners:
                port, proto = self._listeners.pop(listener)
                self._stacks[port.host].listeners[port.name, proto] -= 1

    def _begin(self) -> None:
        if self._thread is None:
            for host in HOSTS:
                self._start_host(host.name)
            self._thread = threading.Thread(target=self._run, name="simulated network", daemon=True)
            self._thread.start()

    def _start_host(self, name: str) -> None:
        host = next(host for host in HOSTS if host.name == name)
        self._stacks[name] = stack = Stack(host, lambda port: self._lines[port].link.mtu, self._reassembly_timeout)
        for port, proto in self._listeners.values():
            stack.listeners[port.name, proto] += port.host == name

    def _run(self) -> None:
        with self._changed:
            while self._thread is threading.current_thread():
                self._advance()
                self._awake_at = self._next_due()
                self._changed.wait(None if self._awake_at == math.inf else self._awake_at - self._now())

    def _now(self) -> float:
        """The time, later than ever before: in whole microseconds, so that each is found again as nanoseconds.

        When the system's clock is set forward or the machine has slept, this one follows; it never goes back.
        """
        self._ahead = max(self._ahead, time.time() - time.monotonic())
        self._last_moment = max(self._last_moment + 1, int((self._ahead + time.monotonic()) * 1e6))
        return self._last_moment / 1e6

    def _next_due(self) -> float:
        """Time when something is to be done next."""
        dues = [due for stack in self._stacks.values() if (due := stack.due()) is not None]
        return min([*dues, *(arrival.time for arrival in self._arrivals[:1])], default=math.inf)

    def _advance(self) -> None:
        """Do all that is due."""
        while (now := self._now()) >= self._next_due():
            for stack in list(self._stacks.values()):
                if (due := stack.due()) is not None and due <= now:
                    self._tick(stack, now)
            if self._arrivals and self._arrivals[0].time <= now:
                _, _, port, frame = heappop(self._arrivals)
                self._arrive(port, frame)

    def _tick(self, stack: Stack, now: float) -> None:
        try:
            effects = stack.tick(now)
        except Exception as error:  # it would be due for ever: the host is started again
            name = stack.host.name
            self._start_host(name)
            self._give_up(lambda sending: sending.port.host == name, _fault(name, error))
        else:
            self._carry_out(effects)

    def _arrive(self, port: Port, frame: bytes) -> None:
        seen = self._show(port, frame)
        try:
            effects = self._stacks[port.host].receive(port, frame, seen)
        except Exception as error:
            effects = [Discard(_fault(port.host, error), port, seen)]
        self._carry_out(effects)

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Transmit(port, frame):
                    self._transmit(port, frame)
                case Deliver(packet, port):
                    for listener, wanted in self._listeners.items():
                        if wanted == (port, packet[9]):
                            listener.offer(_nanoseconds(self._now()), packet)
                case Discard(reason, Port() as port, received):
                    self._explain(port, received, reason)
                case Sent(ticket):
                    self._sendings.pop(ticket).done.set_result(None)
                case Unreachable(ticket):
                    port = self._sendings[ticket].port
                    to = self._sendings[ticket].destination
                    hop = to if to in port.address.network else self._stacks[port.host].host.gateway
                    self._give_up_one(ticket, no_neighbour(hop, port.name))

    def _transmit(self, port: Port, frame: bytes) -> None:
        seen = self._show(port, frame)
        link, far, luck = (line := self._lines[port.name]).link, line.far, line.luck
        if link.loss and luck.random() < link.loss:
            self._explain(port, seen, f"Lost on the link {link.name}, which loses {link.loss * 100:g}% of all frames.")
            return
        # A frame does not overtake those before it when the latency was made less.
        arrival = max(self._last_arrival.get(port, seen), seen + (link.latency or 0.0))
        self._last_arrival[port] = arrival
        heappush(self._arrivals, _Arrival(arrival, next(self._numbers), far, frame))

    def _show(self, port: Port, frame: bytes) -> float:
        """Let a frame be captured; when that was, which no other sight of a frame has."""
        seen = self._now()
        for tap, where in self._taps.items():
            if where is port:
                tap.offer(_nanoseconds(seen), frame)
        return seen

    def _explain(self, port: Port, seen: float, reason: str) -> None:
        if port in self._taps.values():  # nobody can ask for what nobody saw
            self._fates[port.name, _nanoseconds(seen)] = reason
            if len(self._fates) > FATES_KEPT:
                self._fates.popitem(last=False)

    def _give_up(self, chosen: Callable[[_Sending], bool], reason: str) -> None:
        for ticket in [ticket for ticket, sending in self._sendings.items() if chosen(sending)]:
            self._give_up_one(ticket, reason)

    def _give_up_one(self, ticket: int, reason: str) -> None:
        self._sendings.pop(ticket).done.set_exception(SendError(reason))


def _nanoseconds(moment: float) -> int:
    """A moment of the network's clock, exactly."""
    return round(moment * 1e6) * 1000


def _fault(host: str, error: Exception) -> str:
    return f"The simulated {host} has a fault: {type(error).__name__}."
