"""The lab without a screen: one interface, its packets, a responder, orders to send, and what goes on between them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.store import Store
from ipl_tui.exchange.engines import RAW_ENGINES
from ipl_tui.networks.interface import Interface, Network, SendError, network_of
from ipl_tui.networks.sending import Order
from ipl_tui.packets.budget import SHARED
from ipl_tui.session.answered import describe_what_came
from ipl_tui.session.capturing import open_captures, own_addresses
from ipl_tui.session.no_answer import UnansweredOrder, explain_silence
from ipl_tui.session.options import LabOptions
from ipl_tui.session.orders import CarriedOut, GivenOrder, Orders, describe_outcome, destination_of
from ipl_tui.session.preloading import collect_garbage, load_rest, load_scapy
from ipl_tui.session.recording import Recording
from ipl_tui.session.responder import Responder
from ipl_tui.session.snapshot import About, Notice, Snapshot
from ipl_tui.session.tasks import Tasks
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.tracking.view import View

if TYPE_CHECKING:  # they load Scapy, which the first screen must not wait for
    from ipl_tui.capture.files import Pipe
    from ipl_tui.capture.sniffer import Sniffer
    from ipl_tui.exchange.comparison import Comparison
    from ipl_tui.exchange.engine import Server

MISSED_AFTER = 3.0
"""Seconds after which an answer is missed: on one's own networks it takes milliseconds."""

SENTENCES_KEPT = 10
"""Sentences in a snapshot: whoever looks at one a second misses none that matters."""


class Session:
    """Takes commands, and tells what is so as snapshots. For one event loop, in which run() goes on until close()."""

    def __init__(self, store: Store, networks: Sequence[Network], options: LabOptions) -> None:
        self.on_change: Callable[[Snapshot], object] = lambda snapshot: None
        """Called in the event loop with each snapshot that differs from the one before."""
        self.store = store
        self.networks = networks
        self.interface = options.interface
        self.filter = options.filter
        self.file = options.read
        self.following = options.path
        self.engine: str = options.engine
        """Name of the raw engine that the responder answers with."""
        self.tracker = Tracker(store, self._has_tracked)
        store.taps.append(self.tracker)
        self.dissector = SHARED
        """Decodes packets for whoever shows them; ends with the session."""
        self.settled = asyncio.Event()
        """Set once frames are being captured, or it is known that they are not: nothing is sent before."""
        self.comparison: Comparison | None = None
        """While the engines are compared; the responder rests where it would answer too."""
        self._on_interface_chosen = options.on_interface_chosen
        self._responder_wanted = options.responder  # None: as the network does it
        self._responding = Responder(self._responder_met)
        self._recording = Recording(store, self._has_grown)
        self._orders = Orders(store, self._responding.ours)
        self._copying = asyncio.Lock()  # held while the store is copied, and so must not be cleared
        self._beside: Interface | None = None  # loopback, captured on too since something was sent to this host itself
        self._own: Mapping[int, frozenset[str]] = {}
        self._capturing: asyncio.Task[None] | None = None
        self._stop_reading = threading.Event()
        self._captured = 0  # packets as told last: at display rate, so that a list is not drawn for each of them
        self._tracked = 0
        self._anew = 0
        self._dropped_before = 0  # frames that were dropped before the capture was begun anew
        self._trouble = ""
        self._counted = 0  # packets a second ago
        self._rates: deque[int] = deque([0] * 60, maxlen=60)
        self._said: deque[Notice] = deque(maxlen=SENTENCES_KEPT)
        self._sentences = 0
        self._told_tap_problem = False
        self._awaiting = 0
        self._all_layers = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks = Tasks()
        self.snapshot = self._take()
        """Snapshot that was told last."""

    # Its life

    async def run(self) -> None:
        """Begin to answer and to capture, and go on until close(). Raises what no sentence says: a fault of ours."""
        self._loop = asyncio.get_running_loop()
        self._tasks.begin(self._begin())
        self._tasks.begin(self._count_rate())
        await self._tasks.wait()

    async def _begin(self) -> None:
        await asyncio.to_thread(load_scapy)
        await self._settle_responder()
        if self.file is not None:
            self._tasks.begin(self._read(self.file))
            self.settled.set()
        else:
            self._capture()
        await asyncio.to_thread(load_rest)
        collect_garbage()
        self.dissector.forget()
        self._all_layers = True
        self._tell()

    async def close(self) -> None:
        """End all that goes on, and tell nothing more; returns when it has ended."""
        self.on_change = lambda snapshot: None  # who still drew something would begin to decode again
        self._stop_reading.set()
        self._orders.stop()
        self.settled.set()
        await asyncio.to_thread(self._stop_all)
        self._tasks.end()

    def _stop_all(self) -> None:
        self.dissector.close()
        if self.comparison is not None:
            self.comparison.close()
        if self.sniffer is not None:
            self.sniffer.stop()
        self.tracker.close()
        self._responding.close()
        self._orders.close()
        self.interface.close()
        for network in self.networks:
            network.close()

    # What is so

    @property
    def network(self) -> Network:
        """The network of the selected interface."""
        return network_of(self.interface, self.networks)

    @property
    def sniffer(self) -> Sniffer | None:
        """Sniffer that captures now; None while nothing is captured."""
        return self._recording.sniffer

    @property
    def responder(self) -> Server | None:
        """Server that answers ClientMessage now; None while none does."""
        return self._responding.server

    @property
    def unsaved(self) -> int:
        """Number of packets that would be gone with the lab: neither read from a file, nor written to one with -w, nor
        saved since they came."""
        return 0 if isinstance(self.file, Path) else self.store.unsaved

    def dropped(self) -> int:
        """Frames the kernel dropped, on all interfaces that were captured on; also after close()."""
        return self._recording.dropped()

    def _take(self) -> Snapshot:
        return Snapshot(
            interface=self.interface,
            filter=self.filter,
            file=self.file,
            following=self.following,
            capturing=self.sniffer is not None,
            trouble=self._trouble,
            anew=self._anew,
            captured=self._captured,
            joined=min(self.tracker.progress[0], self._captured),
            tracked=self._tracked,
            dropped=self.dropped() - self._dropped_before,
            rates=tuple(self._rates),
            own=self._own,
            answering=self._responding.describe(self.interface),
            sending=self._orders.under_way,
            awaiting=self._awaiting > 0,
            orders=self._orders.count,
            sent_as=self._orders.last.sent_as if self._orders.last is not None else 0,
            all_layers=self._all_layers,
            said=tuple(self._said),
        )

    def _tell(self) -> None:
        """Tell what is so, if it is something else than before."""
        snapshot = self._take()
        if snapshot != self.snapshot:
            self.snapshot = snapshot
            self.on_change(snapshot)

    def _say(self, about: About, text: str, offers_all: bool = False) -> None:
        self._said.append(Notice(self._sentences, about, text, offers_all))
        self._sentences += 1
        self._tell()

    def be_troubled(self, sentence: str) -> None:
        """Say what is the matter with the capture until frames are captured again; nothing: that nothing is."""
        self._trouble = sentence
        self._captured = len(self.store)
        self._tell()

    async def _count_rate(self) -> None:
        """Once a second: how many packets came."""
        self._counted = len(self.store)
        while True:
            await asyncio.sleep(1.0)
            was_any = any(self._rates)
            self._counted, before = len(self.store), self._counted
            self._rates.append(self._counted - before)
            self._captured = self._counted
            if was_any or self._rates[-1]:
                self._tell()

    # The interface

    async def choose(self, interface: Interface) -> None:
        """Make an interface the one that everything happens on. A file that was shown stays, and is added to."""
        await asyncio.to_thread(self._on_interface_chosen, interface.full_name)
        if interface == self.interface and self.sniffer is not None:
            return
        await asyncio.to_thread(self.interface.close)
        if self.sniffer is None or not self.network.has(interface):
            await self._responding.settle(None, self.engine)  # it may listen in a network that has ended
        self.interface, self._beside = interface, None
        self.following = self.following and bool(self.network.path())
        self._capture()
        self._orders.stop("another interface was chosen")
        await self._settle_responder()

    def follow(self, following: bool) -> None:
        """Capture on all interfaces of the network's path, or on the selected one alone."""
        self.following = following
        self._capture()

    def use_filter(self, filter: str) -> None:
        """Capture what passes another filter from here on; it has to compile. A file stays as it is."""
        changed, self.filter = filter != self.filter, filter
        if changed and self.file is None:
            self._capture()
        self._tell()

    # Capturing

    async def begin_anew(self, afresh: bool = False) -> None:
        """Drop all packets, and capture anew on what is selected: numbers and counts begin again. `afresh`: so do the
        hosts of its network, which has to be restartable."""
        network = self.network
        async with self._copying:
            self._end_capture()
            if afresh:
                self._orders.stop("the network was started afresh")
                await self._responding.settle(None, self.engine)
                await asyncio.to_thread(self.interface.close)
            async with self._recording.writing:
                if afresh:
                    await asyncio.to_thread(network.restart)
                try:
                    self.store.clear()
                except CaptureError as error:
                    self._say("refusal", str(error))
                else:
                    self._forget()
        self._capture()
        await self._settle_responder()

    def _forget(self) -> None:
        """Know nothing of the packets so far, which are gone."""
        self.tracker.forget()
        self._orders.forget()
        self._anew += 1
        self._captured = self._counted = 0
        self._dropped_before = self.dropped()
        self._rates.extend([0] * 60)
        self._own, self._told_tap_problem = {}, False
        self._tell()

    def _end_capture(self) -> None:
        """End what is captured on, or read; nothing is sent until it is captured again."""
        self.settled.clear()
        self._stop_reading.set()
        if self._capturing is not None:
            self._capturing.cancel()
        self._capturing = None  # it ends in its own time, and twice cancelled too early

    def _capture(self) -> None:
        """Capture on what is selected; what was captured on before, or read, ends."""
        self._end_capture()
        self.file = None
        self._capturing = self._tasks.begin(self._go_on_capturing())
        self._tell()

    async def _go_on_capturing(self) -> None:
        network, following = self.network, self.following
        interfaces = network.path() if following else (self.interface, *([self._beside] if self._beside else []))

        def begin(numbers: list[int]) -> None:
            places = dict(zip(numbers, interfaces, strict=True))
            self._own = {**self._own, **{number: own_addresses(each, network) for number, each in places.items()}}
            for part in [places] if following else [{number: each} for number, each in places.items()]:
                self.tracker.follow(network, part)

        def be_ready() -> None:
            self.be_troubled("")
            self.settled.set()

        opener = partial(open_captures, interfaces, self.filter)
        names = [interface.name for interface in interfaces]
        try:
            await self._recording.capture(opener, names, self.filter, begin, be_ready)
        except CaptureError as error:
            self.be_troubled(str(error))
            self.settled.set()

    async def _read(self, source: Path | Pipe) -> None:
        """Fill the store from a file, or from a pipe for as long as that is open."""
        is_file = isinstance(source, Path) and source.is_file()  # what comes through a pipe is live
        try:
            with self.tracker.behind() if is_file else nullcontext():
                await self._recording.read(source, self.filter, self._stop_reading)
        except CaptureError as error:
            self.be_troubled(str(error))
        if is_file:
            self.store.saved = len(self.store)  # nothing has been captured since: that begins when this has ended
        self._has_grown()

    def _has_grown(self) -> None:
        """Tell what was captured, and what that means for what was sent."""
        self._captured = len(self.store)
        self._look_for_sent()
        self._tell()
        if self.store.tap_problem and not self._told_tap_problem:
            self._told_tap_problem = True
            self._say("joining", self.store.tap_problem)

    def _has_tracked(self) -> None:
        """More is known of a file's packets: said by the tracker's thread."""

        def tell() -> None:
            self._tracked += 1
            self._tell()

        self._in_loop(tell)

    def _in_loop(self, call: Callable[..., object], *arguments: object) -> None:
        """Have something called in the event loop, by another thread; nothing before it is there or once it ended."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *arguments)

    async def save(self, path: Path) -> int:
        """Copy the capture to a file, and tell how many packets it has there. Raises CaptureError."""
        async with self._copying:
            saved = await asyncio.to_thread(self.store.save, path)
            self.store.saved = max(self.store.saved, saved)
        return saved

    async def open_in_wireshark(self) -> tuple[Path, int]:
        """Open a copy of the capture in Wireshark: where it is, and how many packets it has. Raises CaptureError."""
        from ipl_tui.diagnosis.wireshark import open_in_wireshark

        async with self._copying:
            count = len(self.store)
            return await asyncio.to_thread(open_in_wireshark, self.store, count), count

    def keep(self) -> Path | None:
        """Let what was captured and not saved stay where it is, and tell where; None if there is no such thing."""
        return None if isinstance(self.file, Path) else self.store.keep()

    # Sending

    def send(self, order: Order) -> None:
        """Begin to carry out an order; a snapshot says how far it is, what came of it, and why nothing did."""
        self._capture_way(order)
        given = self._orders.begin(order, self.interface, View(self.filter, self.interface.linktype))
        self._tasks.begin(self._carry_out(given))
        self._tell()

    def stop_sending(self) -> None:
        """Send no more of what is under way."""
        self._orders.stop()

    def _capture_way(self, order: Order) -> None:
        """Capture on loopback too from before something is sent to this machine itself, which goes by it."""
        way = self.network.way_to(destination_of(order), self.interface)
        if way in (self.interface, self._beside) or self.sniffer is None or way.linktype != self.interface.linktype:
            return
        self._beside = way
        self._capture()  # and the order waits for that

    async def _carry_out(self, given: GivenOrder) -> None:
        """Send what was ordered once frames are captured, so that no answer is missed, and say what came of it."""
        order, interface = given.order, given.interface

        def say_progress(sent: int) -> None:
            if sent < order.count:
                self._say("order", f"Sent {sent:,} of {order.count:,}; F5 stops")

        await self.settled.wait()
        try:
            outcome = await self._orders.carry_out(given, say_progress)
            if interface is not self.interface:  # another was chosen meanwhile, and nobody else lets go of this one
                await asyncio.to_thread(interface.close)
        finally:
            self._orders.end(given)
        if given.why:  # what it changes is told first, and would take the place of this
            await self.settled.wait()
        described = describe_outcome(given, outcome, self.network, self.sniffer is not None)
        self._say("refusal" if outcome.problem else "order", described)
        self._orders.await_answers(given, described, outcome.sent)
        self._look_for_sent()
        if not outcome.problem and (given.watch.error is None or self._orders.awaits_answers(given)):
            self._awaiting += 1
            self._tell()
            try:
                await asyncio.sleep(MISSED_AFTER)
                await self._explain_silence(given)
                self._say_what_came(self._orders.give_up(given))
            finally:
                self._awaiting -= 1
        self._tell()

    def _look_for_sent(self) -> None:
        """Look for the packet that was sent last in what was captured, and say what came back once all has."""
        self._say_what_came(self._orders.look())

    def _say_what_came(self, order: CarriedOut | None) -> None:
        """Say what came back for an order, if something did."""
        if order is not None:
            place = self.network.responder_at(self.interface)
            about, sentence = describe_what_came(order, place, self.responder is not None)
            if sentence:
                self._say(about, sentence)

    async def _explain_silence(self, given: GivenOrder) -> None:
        """Say why a packet that asks for an answer may have got none, unless it did, or another was sent since."""
        interface, watch = given.interface, given.watch
        if watch is not self._orders.last or watch.error or interface is not self.interface or self.sniffer is None:
            return
        way = self.network.way_to(destination_of(given.order), interface)
        way = way if way == self._beside else interface
        answers = self.responder is not None
        case = UnansweredOrder(given.order, watch, interface, way, self.network, self.filter, answers, MISSED_AFTER)
        sentence, offers_all = await asyncio.to_thread(explain_silence, case, self.tracker)
        if sentence and watch is self._orders.last and watch.error is None and not self._orders.under_way:
            self._say("silence", sentence, offers_all)

    # The responder

    async def answer(self, wanted: bool) -> None:
        """Answer ClientMessage from now on wherever the selected interface's network does, or nowhere."""
        self._responder_wanted = wanted
        await self._settle_responder()

    async def exchange_engine(self) -> None:
        """Answer with the other of the raw engines from now on, or when the responder is next on."""
        self.engine = RAW_ENGINES[RAW_ENGINES.index(self.engine) - 1]
        await self._settle_responder()

    async def _settle_responder(self) -> None:
        """Begin or end answering ClientMessage, as the user wants it or else as the network does it."""
        wanted = self.network.private if self._responder_wanted is None else self._responder_wanted
        if self.comparison is not None and self.comparison.place is not None:
            wanted = False
        place = self.network.responder_at(self.interface) if wanted else None
        try:
            await self._responding.settle(place, self.engine)
        except SendError as error:
            self._say("responder", str(error))
        self._tell()

    def _responder_met(self, sentence: str) -> None:
        """Say what went wrong in a server's thread."""
        self._in_loop(self._say, "responder", sentence)

    # The engines side by side

    @asynccontextmanager
    async def comparing(self, destination: str) -> AsyncIterator[Comparison]:
        """The engines compared, asking a dotted quad; meanwhile the responder rests where it would answer too.

        If that is cancelled the session ends, and close() ends the comparison.
        """
        from ipl_tui.exchange.comparison import Comparison

        self.comparison = Comparison(self.interface, destination, self.network.responder_at(self.interface))
        await self._settle_responder()
        yield self.comparison
        await asyncio.to_thread(self.comparison.close)
        self.comparison = None
        await self._settle_responder()
