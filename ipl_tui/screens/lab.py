"""The lab: one interface, its packets, the composer and the decoded view, and what goes on between them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import var
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Sparkline, Static

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.filters import FilterError, compile_filter
from ipl_tui.capture.recording import Recording
from ipl_tui.capture.store import Frame, Store
from ipl_tui.exchange.engine import RAW_ENGINES, Engine, Server
from ipl_tui.exchange.quiet import Quiet
from ipl_tui.exchange.responder import Responder, would_answer
from ipl_tui.exchange.waiting import DELAY
from ipl_tui.networks.interface import Interface, Network, SendError, network_of
from ipl_tui.networks.links import describe_link
from ipl_tui.networks.sending import Order, Outcome, carry_out
from ipl_tui.packets.fields import FIELD, FIELDS, SHORTEST_HEADER, read_header
from ipl_tui.packets.icmp import describe_error
from ipl_tui.packets.link_layer import ETHERNET
from ipl_tui.packets.messages import PROTOCOL
from ipl_tui.packets.picture import show_value
from ipl_tui.packets.text import printable
from ipl_tui.screens.engines import ENGINE_TITLES, EnginesScreen
from ipl_tui.screens.help import HelpScreen, Place
from ipl_tui.screens.interfaces import InterfaceScreen
from ipl_tui.screens.links import LinkScreen
from ipl_tui.screens.save import SaveScreen
from ipl_tui.tracking.matching import is_client_message
from ipl_tui.tracking.sent import Sent
from ipl_tui.tracking.tracker import Tracker
from ipl_tui.tracking.view import View
from ipl_tui.widgets.composer import Composer
from ipl_tui.widgets.header_grid import Cell, HeaderGrid
from ipl_tui.widgets.hex_dump import HexDump
from ipl_tui.widgets.key_bar import KeyBar
from ipl_tui.widgets.letters import Chooser
from ipl_tui.widgets.meaning import Meaning
from ipl_tui.widgets.packet_list import PacketList
from ipl_tui.widgets.packet_tree import PacketTree
from ipl_tui.widgets.pane_bar import PaneBar
from ipl_tui.widgets.path_line import PathLine

if TYPE_CHECKING:  # they load Scapy, which the first screen must not wait for
    from ipl_tui.capture.files import Pipe
    from ipl_tui.capture.sniffer import CaptureSocket, Sniffer
    from ipl_tui.diagnosis.checks import Finding
    from ipl_tui.exchange.comparing import Comparison
    from ipl_tui.packets.dissect import Dissection

PATIENCE = 3.0
"""Seconds after which an answer is missed: on one's own networks it takes milliseconds."""

PROMPT = 0.02
"""Seconds that the layers of a selected packet are waited for before something else is shown: ordinary ones are then
shown once."""

PROTOCOL_UNREACHABLE = 3, 2
"""Type and code (RFC 792)."""

WAITS = (
    f"The responder waits {DELAY:g} s before it answers: some clients begin to listen only after they have sent. "
    "F5 is answered at once."
)

RESPONDERS = {"scapy": "Scapy", "socket": "socket"}
"""The raw engines, as the state line has room for."""

PANES = {"packets": "1 Packets", "compose": "2 Compose", "header": "3 Header", "fields": "4 Fields"}


@dataclass(frozen=True)
class Options:
    """How the lab starts."""

    interface: Interface
    filter: str = ""
    read: Path | Pipe | None = None
    """A capture file to show, or a pipe that a capture comes through, instead of capturing."""
    responder: bool | None = None
    """Whether ClientMessage is answered; None: as the network does it."""
    path: bool = False
    """Whether all interfaces of the network are captured on at once."""
    on_interface_chosen: Callable[[str], None] = lambda name: None
    """Called with the full name of an interface that the user has chosen, in a thread of its own."""
    engine: Engine = "scapy"
    """What ClientMessage is answered with: one of the raw engines."""


class LabScreen(Screen[None]):
    """Connects the widgets; owns the capture, the responder and the orders to send."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,question_mark", "help", "Help", id="lab.help", tooltip="Every key, and how to read the lab"),
        Binding("f2", "interface", "Interface", id="lab.interface", tooltip="Choose where to capture and send"),
        Binding("f3,slash", "filter", "Filter", id="lab.filter", tooltip="Go to the capture filter"),
        Binding(
            "ctrl+o",
            "unfilter",
            "Capture without filter",
            show=False,
            id="lab.unfilter",
            tooltip="Clear the capture filter, and capture everything from here on",
        ),
        Binding("f5", "send", "Send", id="lab.send", tooltip="Send the packet in the composer, or stop sending"),
        Binding("f6", "responder", "Answer", id="lab.responder", tooltip="Answer ClientMessage, or stop answering"),
        Binding("f7,space", "pause", "Pause", id="lab.pause", tooltip="Hold the list still; capturing goes on"),
        Binding("f8", "save", "Save", id="lab.save", tooltip="Save the capture as pcapng or pcap"),
        Binding("f9", "path", "Path", id="lab.path", tooltip="Capture on all interfaces of the network, join the hops"),
        Binding("n", "links", "Links", show=False, id="lab.links", tooltip="Set latency, loss and MTU of the network"),
        Binding("e", "engine", "Engine", show=False, id="lab.engine", tooltip="Answer with Scapy, or a raw socket"),
        Binding(
            "v",
            "compare",
            "Compare the three engines",
            show=False,
            id="lab.compare",
            tooltip="Scapy, raw socket and asyncio over TCP side by side, as captured",
        ),
        Binding(
            "d", "doctor", "Doctor", show=False, id="lab.doctor", tooltip="What works here, and what mends the rest"
        ),
        Binding(
            "w",
            "wireshark",
            "Open in Wireshark",
            show=False,
            id="lab.wireshark",
            tooltip="Open a copy of the capture in Wireshark",
        ),
        Binding("1", "pane('packets')", "Packets", show=False, id="lab.packets", tooltip="Go to the packets"),
        Binding("2", "pane('compose')", "Compose", show=False, id="lab.compose", tooltip="Go to the composer"),
        Binding("3", "pane('header')", "Header", show=False, id="lab.header", tooltip="Go to the packet's header"),
        Binding("4", "pane('fields')", "Fields", show=False, id="lab.fields", tooltip="Go to the packet's fields"),
        Binding("escape", "pane('packets')", "Back to the packets", show=False, id="lab.back"),
        Binding("q", "app.quit", "Quit", id="lab.quit", tooltip="Leave the lab"),
    ]

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (118, "-normal"), (196, "-wide")]  # noqa: RUF012 - Textual's own type
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high"), (50, "-tall")]  # noqa: RUF012

    pane: var[str] = var("packets", init=False)
    """The pane the user is in; where they do not all fit, the one that is shown."""

    paused: var[bool] = var(False)

    following: var[bool] = var(False, init=False)
    """Whether all interfaces of the network are captured on, and packets are followed from hop to hop."""

    def __init__(self, store: Store, networks: Sequence[Network], options: Options) -> None:
        super().__init__(classes="-packets")
        self.set_reactive(LabScreen.following, options.path)
        self.store = store
        self.networks = networks
        self.options = options
        self.interface = options.interface
        self.filter = options.filter
        self.responder_wanted = options.responder
        """Whether the user wants ClientMessage answered; None: as the network does it."""
        self.engine: Engine = options.engine
        """What the responder answers with: one of the raw engines."""
        self.tracker = Tracker(store, self.tell_tracked)
        store.taps.append(self.tracker)
        self.beside: Interface | None = None
        """Loopback, captured on as well since something was sent to another address of this machine's own."""
        self.file = options.read
        """The capture file that is shown, until an interface is captured on."""
        self.recording = Recording(store, self.show_capture)
        self.settled = threading.Event()
        """Set once frames are being captured, or it is known that they are not: nothing is sent before."""
        self.trouble = ""
        """Why nothing is captured now; one sentence."""
        self.rates: deque[int] = deque([0] * 60, maxlen=60)
        """Packets captured in each of the last seconds."""
        self.counted = 0
        """Packets captured when they were last counted."""
        self.responding = Responder(partial(self.call_later, self.responder_failed))  # posting is safe from its thread
        self.comparison: Comparison | None = None
        """While the engines are compared; the responder rests where it would answer too."""
        self.quiet = Quiet()
        """Keeps the kernel from objecting to the answers to what was sent."""
        self.stop_sending = threading.Event()
        self.stop_reading = threading.Event()
        self.sent: Sent | None = None
        """What comes of the last order's packet."""
        self.going_to_sent = False
        """Whether the list is to go to that packet once it is there."""
        self.objecting_to_sent = False
        """Whether an ICMP error about that packet is to be said once it is there."""
        self.shown = 0
        """The number of the packet in the decoded view."""
        self.told_tap_problem = False
        self.decoding: Future[Dissection] = Future()
        """Its layers, which may take a while."""

        self.interface_button = Chooser("", id="interface", compact=True, tooltip="Where packets are captured and sent")
        self.filter_input = Input(id="filter", compact=True, placeholder="all; try: ip proto 253")
        self.filter_verdict = Label("", id="filter-verdict", markup=False)
        self.state_line = Static(id="capture-state", markup=False)
        self.state_line.tooltip = WAITS
        self.sparkline = Sparkline(id="rate")
        self.trouble_line = Static(id="trouble", markup=False)
        self.pane_bar = PaneBar(PANES, id="panes")
        self.packets = PacketList(store, self.tracker, id="packets")
        self.path_line = PathLine(self.tracker, id="path")
        self.composer = Composer(id="compose")
        self.grid, self.grid_meaning = HeaderGrid(id="header-grid"), Meaning(id="header-meaning")
        self.fields, self.meaning = PacketTree(id="tree"), Meaning(id="field-meaning")
        self.dump = HexDump(id="hex")

    def compose(self) -> ComposeResult:
        with Horizontal(id="selectors"):
            yield Label("IPL", id="mark")
            yield self.interface_button
            yield Label("Filter")
            yield self.filter_input
            yield self.filter_verdict
        with Horizontal(id="state"):
            yield self.state_line
            yield self.sparkline
        yield self.trouble_line
        yield self.pane_bar
        yield self.packets
        if self.following:
            yield self.path_line
        with Horizontal(id="lower"):
            yield self.composer
            with Vertical(id="header"):
                yield self.grid
                yield self.grid_meaning
            with Vertical(id="fields"):
                yield self.fields
                yield self.meaning
                yield self.dump
        yield KeyBar()

    def on_mount(self) -> None:
        for name, label in PANES.items():
            self.query_one(f"#{name}").border_title = label
        self.filter_input.value = self.filter
        self.packets.focus()
        self.use(self.interface)
        self.show_way()
        self.set_interval(1.0, self.count_rate)
        self.call_after_refresh(self.begin)

    @work
    async def begin(self) -> None:
        """What waits until the first screen is up."""
        await asyncio.to_thread(load_scapy)
        await self.settle_responder()
        if self.file is not None:
            # A file is read from its beginning; what comes through a pipe is live.
            self.packets.following = not (isinstance(self.file, Path) and self.file.is_file())
            self.read_file(self.file)
            self.settled.set()
        else:
            self.capture()
        self.load_layers()

    async def on_unmount(self) -> None:
        self.stop_reading.set()
        self.stop_sending.set()
        self.settled.set()
        await asyncio.to_thread(self.stop_all)

    def stop_all(self) -> None:
        self.packets.dissector.close()
        if self.comparison is not None:
            self.comparison.close()
        if self.sniffer is not None:
            self.sniffer.stop()
        self.tracker.close()
        self.responding.close()
        self.quiet.close()
        self.interface.close()
        for network in self.networks:
            network.close()

    @property
    def sniffer(self) -> Sniffer | None:
        """What captures now."""
        return self.recording.sniffer

    @property
    def responder(self) -> Server | None:
        """What answers ClientMessage now."""
        return self.responding.server

    # The interface

    @property
    def network(self) -> Network:
        """The network of the selected interface."""
        return network_of(self.interface, self.networks)

    def use(self, interface: Interface) -> None:
        """Make an interface the one that everything happens on."""
        self.interface = interface
        self.beside = None
        host, network = (f"{interface.host} ", f"  ({interface.network})") if interface.host else ("", "")
        address = f"  {interface.addresses[0].ip}" if interface.addresses else ""
        self.interface_button.label = Text(f"{host}{printable(interface.name)}{address}{network} ▾")
        self.interface_button.refresh(layout=True)  # by itself it keeps the width of the name before
        self.composer.interface = interface
        self.check_filter()

    @on(Button.Pressed, "#interface")
    @work
    async def action_interface(self) -> None:
        interface = await self.app.push_screen_wait(InterfaceScreen(self.networks, self.interface))
        if interface is None:
            return
        await asyncio.to_thread(self.options.on_interface_chosen, interface.full_name)
        if interface == self.interface and self.sniffer is not None:
            return
        self.stop_sending.set()
        await asyncio.to_thread(self.interface.close)
        if self.sniffer is None or interface.network != self.interface.network:
            await self.responding.settle(None, self.engine)  # it may listen in a network that has ended
        self.use(interface)
        self.following = self.following and bool(self.network.path())
        self.capture()
        await self.settle_responder()

    def action_path(self) -> None:
        """Capture on all interfaces of the network, or only on the selected one again."""
        if self.file is not None:
            self.notify("A file is shown: choose where to capture with F2.", title="Path")
            return
        if not self.network.path():
            others = " or ".join(network.name for network in self.networks if network.path())
            advice = f": choose a {others} one with F2" if others else ""
            self.notify(f"The interfaces of the {self.network.name} network form no path{advice}.", title="Path")
            return
        self.following = not self.following
        self.capture()

    @work
    async def action_links(self) -> None:
        network = self.network
        if not network.links():
            self.notify(f"Nothing of the {network.name} network's links can be set here.", title="Links")
        elif await self.app.push_screen_wait(LinkScreen(network)):
            self.notify(", ".join(map(describe_link, network.links())), title="Links", markup=False)

    async def watch_following(self, following: bool) -> None:
        if following and not self.path_line.is_attached:
            await self.mount(self.path_line, after=self.packets)
        self.path_line.display = following
        self.show_way()

    def show_way(self) -> None:
        if self.path_line.is_attached:
            self.path_line.show(self.shown)

    # Capturing

    @work(exclusive=True, group="capture")
    async def capture(self) -> None:
        """Own the capture on the selected interface, or on its whole path, until another is wanted or it ends."""
        network, following = self.network, self.following
        interfaces = network.path() if following else (self.interface, *([self.beside] if self.beside else []))
        self.settled.clear()
        if self.file is not None:
            self.file, self.packets.following = None, True  # what is captured now comes at its end
        self.stop_reading.set()

        def begin(numbers: list[int]) -> None:
            places = dict(zip(numbers, interfaces, strict=True))
            own = {number: own_addresses(each, network) for number, each in places.items()}
            self.packets.own = {**self.packets.own, **own}
            for part in [places] if following else [{number: each} for number, each in places.items()]:
                self.tracker.follow(network, part)

        def be_ready() -> None:
            self.show_trouble("")
            self.settled.set()

        opener = partial(open_captures, interfaces, self.filter)
        names = [interface.name for interface in interfaces]
        try:
            await self.recording.capture(opener, names, self.filter, begin, be_ready)
        except CaptureError as error:
            self.show_trouble(str(error))
            self.settled.set()

    @work(group="file")
    async def read_file(self, source: Path | Pipe) -> None:
        """Own the capture until it has been filled from a file, or from a pipe for as long as that is open."""
        is_file = isinstance(source, Path) and source.is_file()  # what comes through a pipe is live
        try:
            with self.tracker.behind() if is_file else nullcontext():
                await self.recording.read(source, self.filter, self.stop_reading)
        except CaptureError as error:
            self.show_trouble(str(error))
        self.show_capture()

    def show_capture(self) -> None:
        """Bring the list and the counts up to date with the store."""
        packets = self.packets
        if not self.paused:
            packets.show_up_to(len(self.store))
        self.watch_order()
        self.show_way()
        self.show_state()
        if self.store.tap_problem and not self.told_tap_problem:
            self.told_tap_problem = True
            self.notify(printable(self.store.tap_problem), title="Joining", severity="error", markup=False)

    def tell_tracked(self) -> None:
        """More is known of a file's packets: said by the tracker's thread, from which posting is safe."""
        with suppress(RuntimeError):  # the lab has ended
            self.call_later(self.show_tracked)

    def show_tracked(self) -> None:
        self.packets.refresh()
        self.show_state()

    def show_state(self) -> None:
        captured, shown = len(self.store), self.packets.count
        counts = f"{captured:,} captured · {shown:,} shown · {self.dropped_by_kernel():,} dropped"
        if self.file is not None:
            state, counts = f"○ {printable(self.file.name)}", f"{captured:,} packets · {shown:,} shown"
            joined, _ = self.tracker.progress
            if joined < captured:
                counts += f" · joined to {joined:,}"
        elif self.sniffer is not None:
            state = "● capturing" + (" path" if self.following else "")
        elif self.trouble:
            state = "✖ not capturing"
        else:
            state = "○ starting"
        if self.paused:
            state = "‖ view paused"
        responder = ""
        if self.responder is not None and self.responding.engine is not None:
            at = f" ({self.responder.interface.host})" if self.responder.interface is not self.interface else ""
            name = RESPONDERS[self.responding.engine]
            refused = self.responder.terms.refused
            refusing = f", {refused:,} refused" if refused else ""
            responder = f"   ↩ {name} responder{at}, waits {DELAY:g} s"
            if self.has_class("-wide"):
                responder += " for who listens only after sending"
            elif self.has_class("-narrow"):
                responder = f"   ↩ {name} answers in {DELAY:g} s"
            responder += refusing
        rate = f"   {self.rates[-1]:,}/s" if any(self.rates) else ""
        self.state_line.update(Text(f"{state}   {counts}{responder}{rate}"), layout=False)

    def on_resize(self) -> None:
        """There is room for more words, or for fewer."""
        self.show_state()

    def dropped_by_kernel(self) -> int:
        """Frames the kernel dropped, on all interfaces that were captured on."""
        return self.recording.dropped()

    def show_trouble(self, sentence: str) -> None:
        """Say why nothing is captured, or that it is again."""
        self.trouble = sentence
        line = self.trouble_line
        line.update(Text(f"✖ {printable(sentence)}"))
        line.display = bool(sentence)
        self.show_state()

    def count_rate(self) -> None:
        """Once a second: how many packets came."""
        captured = len(self.store)
        self.rates.append(captured - self.counted)
        self.counted = captured
        rate = self.sparkline
        if any(self.rates) or rate.data:
            rate.data = list(self.rates) if any(self.rates) else None
            self.show_state()

    def action_pause(self) -> None:
        self.paused = not self.paused
        self.show_capture()

    @work
    async def load_layers(self) -> None:
        """Import the dissectors of every protocol that Scapy knows; what is on screen is then dissected anew."""
        from ipl_tui.packets.dissect import load_layers

        await asyncio.to_thread(load_layers)
        await asyncio.to_thread(load_rest)
        if not gc.isenabled():  # as the command line starts
            gc.freeze()
            gc.enable()
        self.packets.dissector.forget()
        self.packets.forget_summaries()
        if self.shown:
            self.show_dissection()

    # The capture filter

    def action_filter(self) -> None:
        self.filter_input.focus()

    @on(Input.Changed, "#filter")
    def check_filter(self) -> None:
        """Say, in libpcap's words, whether the filter can be used."""
        typed = self.filter_input.value.strip()
        problem = filter_problem(typed, self.interface)
        verdict = self.filter_verdict
        verdict.set_class(bool(problem), "-error")
        verdict.update(f"✖ {problem}" if problem else "Enter applies it" if typed != self.filter else "")

    @on(Input.Submitted, "#filter")
    def apply_filter(self) -> None:
        """Capture with the new filter from here on; one that does not compile changes nothing."""
        typed = self.filter_input.value.strip()
        if filter_problem(typed, self.interface):
            return
        changed, self.filter = typed != self.filter, typed
        self.check_filter()
        self.filter_input.value = self.filter
        self.packets.focus()
        if self.file is not None:
            self.notify("It filters what is captured: choose where with F2. A file is filtered by -r and -f.")
        elif changed:
            self.capture()

    @on(Button.Pressed, "#unfiltered")
    def action_unfilter(self) -> None:
        """Capture everything from here on."""
        if self.file is not None or not self.filter:
            file = "A file is shown: choose where to capture with F2."
            self.notify(file if self.file is not None else "There is none: everything is captured.", title="Filter")
            return
        self.filter = self.filter_input.value = ""
        self.check_filter()
        self.composer.say("Everything is captured from here on: F5 sends again.")
        self.capture()

    @on(events.DescendantBlur, "#filter")
    def restore_filter(self) -> None:
        """The line shows the filter in force, unless it is being edited."""
        self.filter_input.value = self.filter

    # The decoded view

    @on(PacketList.Selected)
    def show_packet(self, event: PacketList.Selected) -> None:
        self.shown = event.number
        self.show_way()
        self.show_dissection()

    def show_dissection(self) -> None:
        """Show what is in the selected packet; if that takes a while, what IPv4's header says first."""
        from ipl_tui.packets.dissect import undecoded

        try:
            frame = self.store.frame(self.shown)
        except CaptureError as error:
            self.show_trouble(str(error))
            return
        linktype = self.store.interfaces[frame.interface].linktype
        self.decoding.cancel()  # of a packet selected before
        decoding = self.decoding = self.packets.dissector.dissect(frame.data, linktype, frame.length, patience=PROMPT)
        if decoding.done():
            self.show_layers(frame, decoding.result())
            return
        self.show_layers(frame, undecoded(frame.data, linktype, frame.length, "being decoded"))

        def tell(_: object) -> None:
            with suppress(RuntimeError):  # the lab has ended
                self.call_later(self.show_decoded, frame, decoding)  # posting is safe from the dissector's thread

        decoding.add_done_callback(tell)

    def show_decoded(self, frame: Frame, decoding: Future[Dissection]) -> None:
        """Show the layers that have come, unless another packet was selected meanwhile."""
        if decoding is self.decoding and not decoding.cancelled():
            self.show_layers(frame, decoding.result())

    def show_layers(self, frame: Frame, dissection: Dissection) -> None:
        self.dump.data = frame.data
        changed = self.tracker.changes(self.shown)
        was = {change.field: show_value(change.field, change.before) for change in changed}
        hop = self.tracker.previous(self.shown)
        before = f"on {self.tracker.interface(hop)}" if hop is not None else ""
        remarks = {FIELD[name].scapy: f"was {value} {before}" for name, value in was.items()}
        self.fields.show(dissection.layers, remarks)
        grid = self.grid
        start, stop = dissection.ipv4 or (0, 0)
        grid.values = {name: show_value(name, value) for name, value in read_header(frame.data[start:stop]).items()}
        wrong = {node.field for layer in dissection.layers for node in layer.children if node.note.startswith("wrong")}
        warnings = {field.name: "warning" for field in FIELDS if field.scapy in wrong - {""}}
        grid.earlier, grid.marks = was, {**dict.fromkeys(was, "changed"), **warnings}
        cut = f": {frame.cut}" if frame.cut else ""
        kind = cut if dissection.ipv4 else ": not IPv4"
        if 0 < stop - start < SHORTEST_HEADER:
            kind = f": only {stop - start} of its bytes are here"
        self.query_one("#header").border_title = f"{PANES['header']} of packet {frame.number}{kind}"
        self.query_one("#fields").border_title = f"{PANES['fields']} of packet {frame.number}{cut}"

    @on(PacketTree.NodeChosen)
    def node_chosen(self, event: PacketTree.NodeChosen) -> None:
        """Highlight a field of the tree in the header and in the bytes too."""
        node, layer = event.node, event.layer
        self.dump.span = (node.start, node.stop)
        meaning, grid = self.meaning, self.grid
        fields = [field for field in FIELDS if node.field and field.scapy == node.field]
        if fields:
            meaning.explain(*fields)
            self.grid_meaning.explain(*fields)
            if grid.chosen not in [field.name for field in fields]:
                grid.chosen = fields[0].name
        else:
            where = f"{layer.name}, bytes {node.start} to {node.stop - 1}" if node.start < node.stop else layer.name
            meaning.text = (node.name if node is not layer else "", "", where)
            grid.chosen = ""

    @on(HeaderGrid.FieldChosen, "#header-grid")
    def header_field_chosen(self, event: HeaderGrid.FieldChosen) -> None:
        field = next(field for field in FIELDS if field.name == event.field)
        self.grid_meaning.explain(field)
        self.fields.choose_field(field.scapy)

    @on(HexDump.ByteChosen)
    def byte_chosen(self, event: HexDump.ByteChosen) -> None:
        self.fields.choose_byte(event.offset)

    # Sending

    def action_send(self) -> None:
        self.composer.ask()

    @on(Composer.StopAsked)
    def stop_order(self) -> None:
        self.stop_sending.set()

    @on(Composer.SendAsked)
    def begin_order(self, event: Composer.SendAsked) -> None:
        self.composer.sending = True
        self.capture_way(event.order)
        self.sent = Sent(self.store, event.order.packet, View(self.filter, self.interface.linktype))
        self.going_to_sent = self.objecting_to_sent = True
        self.stop_sending = threading.Event()
        self.carry_out(event.order, self.interface, self.stop_sending)

    def capture_way(self, order: Order) -> None:
        """Capture on loopback too from before something is sent to this machine itself, which goes by it."""
        way = self.network.way_to(destination_of(order), self.interface)
        if way in (self.interface, self.beside) or self.sniffer is None or way.linktype != self.interface.linktype:
            return
        self.beside = way
        self.settled.clear()  # so that the order waits
        self.capture()

    @work(group="send")
    async def carry_out(self, order: Order, interface: Interface, stop: threading.Event) -> None:
        """Send what was ordered, and say how far it got."""
        composer = self.composer
        loop = asyncio.get_running_loop()

        def tell(sent: int) -> None:
            loop.call_soon_threadsafe(self.show_progress, order, sent)

        outcome = await asyncio.to_thread(self.send, order, interface, stop, tell)
        if interface is not self.interface:  # another was chosen meanwhile, and nobody else lets go of this one
            await asyncio.to_thread(interface.close)
        done = f"Sent {outcome.sent:,} × {len(order.packet)} bytes, {order.method}, on {interface.name}"
        if outcome.problem:
            composer.refuse(outcome.problem + (f" ({outcome.sent:,} were sent)" if outcome.sent else ""))
        else:
            done += "" if outcome.sent == order.count else f"; stopped before {order.count:,}"
            composer.say(done if self.sniffer is not None else f"{done}; nothing is captured now (F2)")
        composer.sending = False
        self.watch_order()
        if self.sent is not None and self.sent.error is None and not outcome.problem:
            self.set_timer(PATIENCE, partial(self.explain_silence, order, interface, self.sent))

    def send(self, order: Order, interface: Interface, stop: threading.Event, tell: Callable[[int], None]) -> Outcome:
        """Carry out an order, in a thread of its own: not before frames are captured, so that no answer is missed."""
        self.settled.wait()
        if not is_client_message(order.packet):
            return carry_out(order, interface, stop, tell)
        with self.quiet.on(interface), self.responding.ours.sending(order.packet, order.count):
            return carry_out(order, interface, stop, tell)

    def show_progress(self, order: Order, sent: int) -> None:
        if sent < order.count:
            self.composer.say(f"Sent {sent:,} of {order.count:,}; F5 stops")

    def watch_order(self) -> None:
        """Go to the packet that was sent, if the list is at its end, and say what an ICMP error about it means."""
        watch = self.sent
        if watch is None:
            return
        watch.look()
        if self.going_to_sent and 0 < watch.sent_as <= self.packets.count:
            self.going_to_sent = False
            if self.packets.following and not self.paused:
                # The list comes first: what selecting shows takes longer than it.
                self.call_after_refresh(self.packets.select, watch.sent_as)
        if self.objecting_to_sent and watch.error is not None and not self.composer.sending:
            self.objecting_to_sent = False  # the list may have to go to the packet still
            error = (watch.error.type, watch.error.code)
            here = error == PROTOCOL_UNREACHABLE and self.responder is None
            here = here and would_answer(self.network.responder_at(self.interface), watch.packet)
            advice = "; F6 turns the responder on" if here else ""
            self.composer.say(f"{watch.error.source} says {describe_error(*error)}{advice}", "warning")

    @work(exclusive=True, group="silence")
    async def explain_silence(self, order: Order, interface: Interface, watch: Sent) -> None:
        """Say why a packet that asks for an answer may have got none, unless it did, or another was sent since."""
        from ipl_tui.diagnosis.unanswered import Unanswered, explain, look_into, offers_all

        if watch is not self.sent or watch.error is not None or not watch.asks:
            return
        if interface is not self.interface or self.sniffer is None:
            return
        served = PROTOCOL if self.responder is not None else None
        servers = tuple(str(address.ip) for address in self.network.responder_at(interface).addresses)
        way = self.network.way_to(destination_of(order), interface)
        sent = Unanswered(
            order.packet,
            order.method,
            way if way == self.beside else interface,
            self.network,
            PATIENCE,
            True,
            self.filter,
            served=served,
            servers=servers,
            in_lab=True,
        )

        def find_out() -> str:
            case = look_into(sent, self.tracker.fate_of(watch))
            return explain(case) if case is not None else ""

        sentence = await asyncio.to_thread(find_out)
        if sentence and watch is self.sent and watch.error is None and not self.composer.sending:
            offered = offers_all(sentence)
            self.composer.say(printable(sentence), "warning", offered)
            (self.composer.offer if offered else self.composer.verdict).scroll_visible(animate=False)
            if not self.composer.is_on_screen:  # where the panes do not all fit
                self.notify(printable(sentence), title="No answer", severity="warning", markup=False)

    # The responder

    @work(group="responder")
    async def action_responder(self) -> None:
        self.responder_wanted = self.responder is None
        await self.settle_responder()

    @work(group="responder")
    async def action_engine(self) -> None:
        """Answer with the other of the raw engines from now on, or when the responder is next on."""
        self.engine = RAW_ENGINES[RAW_ENGINES.index(self.engine) - 1]
        await self.settle_responder()
        if self.responder is None:
            self.notify(f"F6 turns the responder on: {ENGINE_TITLES[self.engine]}.", title="Engine")

    async def settle_responder(self) -> None:
        """Begin or end answering ClientMessage, as the user wants it or else as the network does it."""
        wanted = self.network.answers if self.responder_wanted is None else self.responder_wanted
        if self.comparison is not None and self.comparison.place is not None:
            wanted = False
        place = self.network.responder_at(self.interface) if wanted else None
        try:
            await self.responding.settle(place, self.engine)
        except SendError as error:
            self.responder_failed(str(error))
        self.show_state()

    def responder_failed(self, sentence: str) -> None:
        self.notify(printable(sentence), title="Responder", severity="error", markup=False)

    # The engines side by side

    @work(group="comparison")
    async def action_compare(self) -> None:
        if self.comparison is not None:  # the one before is just being ended
            return
        destination = self.destination()
        if not destination:
            self.notify("Type a Destination Address in the composer first (2).", title="Compare the engines")
            return
        from ipl_tui.exchange.comparing import Comparison

        self.comparison = Comparison(self.interface, destination, self.network.responder_at(self.interface))
        await self.settle_responder()
        await self.app.push_screen_wait(EnginesScreen(self.comparison))
        await asyncio.to_thread(self.comparison.close)
        self.comparison = None
        await self.settle_responder()

    def destination(self) -> str:
        """The composer's destination if it is a dotted quad, else the one that makes sense on the interface."""
        with suppress(ValueError):
            return str(IPv4Address(self.composer.form.entries["dst"].strip()))
        return self.interface.destination

    # Saving, help, and getting about

    @work
    async def action_save(self) -> None:
        """Ask for a path until the capture is saved there or the user goes back; what was typed stays."""
        screen = SaveScreen(len(self.store))
        while (path := await self.app.push_screen_wait(screen)) is not None:
            try:
                saved = await asyncio.to_thread(self.store.save, path)
            except CaptureError as error:
                screen = SaveScreen(len(self.store), screen.typed, f"Not saved. {error}")
            else:
                self.store.saved = max(self.store.saved, saved)
                title = f"Saved {saved:,} packet{'s' * (saved != 1)}"
                self.notify(printable(str(path.absolute())), title=title, markup=False)
                return

    @work
    async def action_wireshark(self) -> None:
        from ipl_tui.diagnosis.wireshark import open_in_wireshark

        count = len(self.store)
        try:
            path = await asyncio.to_thread(open_in_wireshark, self.store, count)
        except CaptureError as error:
            self.notify(printable(str(error)), title="Wireshark", severity="warning", markup=False)
        else:
            self.notify(str(path), title=f"Wireshark has {count:,} packet{'s' * (count != 1)}", markup=False)

    def action_doctor(self) -> None:
        from ipl_tui.diagnosis.checks import Terminal, examine
        from ipl_tui.diagnosis.firewall import read_rules
        from ipl_tui.diagnosis.wireshark import namespace_of, tcpdump_line, why_no_tcpdump
        from ipl_tui.screens.doctor import DoctorScreen

        interface, destination, networks = self.interface, self.destination(), self.networks
        network, filter = self.network, self.filter
        terminal = Terminal(*self.app.size, self.app.console.color_system)

        def findings() -> tuple[list[Finding], str]:
            line = tcpdump_line(interface, filter, namespace_of(network, interface.host))
            return examine(interface, networks, destination, read_rules(), terminal), line

        self.app.push_screen(DoctorScreen(findings, why_no_tcpdump(interface)))

    def action_help(self) -> None:
        cells = Place("A cell of the header", self, our_bindings(Cell))
        self.app.push_screen(HelpScreen([*self.places(), cells]))

    def places(self) -> Iterator[Place]:
        """Where keys work, for the help and the command palette."""
        yield Place("Everywhere", self, our_bindings(LabScreen))
        yield Place("Packets", self.packets, our_bindings(PacketList))
        yield Place("Composer", self.composer, our_bindings(Composer))
        yield Place("Header", self.grid, our_bindings(HeaderGrid))

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        self.pane = name
        targets = {"packets": "#packets", "compose": "#cell-ttl", "header": "#header-grid", "fields": "#tree"}
        self.query_one(targets[name]).focus()

    def watch_pane(self, pane: str) -> None:
        self.set_class(False, *(f"-{name}" for name in PANES), update=False)
        self.add_class(f"-{pane}")
        self.pane_bar.active = pane

    @on(PaneBar.PaneChosen)
    def pane_chosen(self, event: PaneBar.PaneChosen) -> None:
        self.action_pane(event.pane)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The pane that has the focus is the one the user is in."""
        for widget in event.widget.ancestors_with_self:
            if widget.id in PANES:
                self.pane = widget.id

    @on(PacketList.Opened)
    def read_packet(self) -> None:
        self.action_pane("fields")


def load_scapy() -> None:
    """Import what needs Scapy: 0.4 s, for a thread while the first screen is up. Its other imports are then at once."""
    for name in ("capture.sniffer", "exchange.scapy_engine", "packets.dissect"):
        import_module(f"ipl_tui.{name}")


def load_rest() -> None:
    """Import what some keys need, for a thread as well: it takes a tenth of a second, which a key would take longer."""
    for name in ("diagnosis.unanswered", "exchange.comparing", "screens.doctor"):
        import_module(f"ipl_tui.{name}")


def open_captures(interfaces: Sequence[Interface], filter: str) -> CaptureSocket:
    """One capture on all of them. Raises CaptureError."""
    from ipl_tui.capture.merging import MergedSocket

    with ExitStack() as opened:
        sockets = [opened.enter_context(closing(interface.open_capture(filter))) for interface in interfaces]
        opened.pop_all()
    return sockets[0] if len(sockets) == 1 else MergedSocket(sockets)


def own_addresses(interface: Interface, network: Network) -> frozenset[str]:
    """The addresses that packets on an interface have from or to its host, as they are written in packets' summaries:
    the interface's own, and all of its network's on loopback, by which a host's packets to itself go."""
    stays = any(address.ip.is_loopback for address in interface.addresses)
    addresses = [
        str(address.ip) for each in (network.interfaces() if stays else [interface]) for address in each.addresses
    ]
    return frozenset([*addresses, interface.hardware_address.hex(":")])


def destination_of(order: Order) -> str:
    """The dotted quad that its packets go to."""
    return str(IPv4Address(order.packet[16:20]))


def filter_problem(text: str, interface: Interface) -> str:
    """libpcap's words about a filter that does not compile for an interface; nothing for one that does.

    An interface that has not told its link type yet is taken for Ethernet.
    """
    try:
        compile_filter(text, interface.linktype if interface.linktype is not None else ETHERNET)
    except FilterError as error:
        return str(error)
    return ""


def our_bindings(place: type[Widget] | type[Screen[None]]) -> list[Binding]:
    """The bindings that a class of ours adds."""
    return list(Binding.make_bindings(place.BINDINGS))
