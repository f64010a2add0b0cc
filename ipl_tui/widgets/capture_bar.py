"""The bars on top: where is captured, what of it, and how it goes."""

from __future__ import annotations

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Sparkline, Static

from ipl_tui.exchange.delayed_answers import DELAY
from ipl_tui.exchange.engines import ENGINE
from ipl_tui.networks.interface import Interface
from ipl_tui.packets.text import counted, printable
from ipl_tui.session.capturing import filter_problem
from ipl_tui.session.snapshot import Answering, Snapshot
from ipl_tui.widgets.letters import Chooser

NORMAL, WIDE = 118, 196
"""Cells from which on a screen has room for more words."""

WAITS = (
    f"The responder waits {DELAY:g} s before it answers: some clients begin to listen only after they have sent. "
    "F5 is answered at once."
)


class CaptureBar(Widget):
    """The interface and the filter to choose; below them the state of the capture, and what is the matter with it."""

    class InterfaceAsked(Message):
        """The user wants to choose an interface."""

    class FilterGiven(Message):
        """The user wants packets to be captured that pass a filter, which compiles; empty: all."""

        def __init__(self, filter: str) -> None:
            super().__init__()
            self.filter = filter

    def __init__(self, snapshot: Snapshot, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.snapshot = snapshot
        """The lab as it is shown."""
        self.shown = 0
        """Packets in the list."""
        self.paused = False
        """True while the list is held still."""
        self.said = ""
        """The line that tells the state."""
        self.button = Chooser("", id="interface", compact=True, tooltip="Where packets are captured and sent")
        self.line = Input(id="filter", compact=True, placeholder="all; try: ip proto 253")
        self.verdict = Label("", id="filter-verdict", markup=False)
        self.state = Static(id="capture-state", markup=False)
        self.state.tooltip = WAITS
        self.rate = Sparkline(id="rate")
        self.trouble = Static(id="trouble", markup=False)

    def compose(self) -> ComposeResult:
        with Horizontal(id="selectors"):
            yield Label("IPL", id="mark")
            yield self.button
            yield Label("Filter")
            yield self.line
            yield self.verdict
        with Horizontal(id="state"):
            yield self.state
            yield self.rate
        yield self.trouble

    def on_mount(self) -> None:
        self.show_interface()
        self.line.value = self.snapshot.filter  # only now: an Input made with a value wants a screen
        self.check()
        self.show_trouble()
        self.show_state()

    def on_resize(self) -> None:
        """There is room for more words, or for fewer."""
        self.show_state()

    def show(self, snapshot: Snapshot, shown: int, paused: bool) -> None:
        """Show a lab as it is now, so many of whose packets are in the list, which may be held still."""
        before, self.snapshot, self.shown, self.paused = self.snapshot, snapshot, shown, paused
        if snapshot.interface != before.interface:
            self.show_interface()
        if snapshot.filter != before.filter:
            self.line.value = snapshot.filter
        if snapshot.filter != before.filter or snapshot.interface != before.interface:
            self.check()
        if snapshot.rates != before.rates:
            self.rate.data = list(snapshot.rates) if any(snapshot.rates) else None
        if snapshot.trouble != before.trouble:
            self.show_trouble()
        self.show_state()

    def show_interface(self) -> None:
        self.button.label = Text(f"{describe_interface(self.snapshot.interface)} ▾")
        self.button.refresh(layout=True)  # by itself it keeps the width of the name before

    def show_trouble(self) -> None:
        self.trouble.update(Text(f"✖ {printable(self.snapshot.trouble)}"))
        self.trouble.display = bool(self.snapshot.trouble)

    def show_state(self) -> None:
        line = describe_state(self.snapshot, self.shown, self.paused, self.size.width)
        if line != self.said:
            self.said = line
            self.state.update(Text(line), layout=False)

    @on(Button.Pressed, "#interface")
    def ask_for_interface(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(self.InterfaceAsked())

    # The capture filter

    def enter_filter(self) -> None:
        """Let the user type a filter."""
        self.line.focus()

    @on(Input.Changed, "#filter")
    def check(self) -> None:
        """Say, in libpcap's words, whether the filter can be used."""
        typed = self.line.value.strip()
        problem = filter_problem(typed, self.snapshot.interface)
        self.verdict.set_class(bool(problem), "-error")
        self.verdict.update(f"✖ {problem}" if problem else "Enter applies it" if typed != self.snapshot.filter else "")

    @on(Input.Submitted, "#filter")
    def give_filter(self, event: Input.Submitted) -> None:
        """Ask for the filter to be used; one that does not compile changes nothing."""
        event.stop()
        typed = self.line.value.strip()
        if not filter_problem(typed, self.snapshot.interface):
            self.line.value = typed
            self.post_message(self.FilterGiven(typed))

    @on(events.DescendantBlur, "#filter")
    def restore_filter(self) -> None:
        """The line shows the filter in force, unless it is being edited."""
        self.line.value = self.snapshot.filter


def describe_interface(interface: Interface) -> str:
    """Place, kind and address of an interface, in a few words."""
    host, network = (f"{interface.host} ", f"  ({interface.network})") if interface.host else ("", "")
    address = f"  {interface.addresses[0].ip}" if interface.addresses else ""
    return f"{host}{printable(interface.name)}{address}{network}"


def describe_state(snapshot: Snapshot, shown: int, paused: bool, width: int) -> str:
    """State of the capture, a line for a screen that is so many cells wide."""
    counts = f"{snapshot.captured:,} captured · {shown:,} shown · {snapshot.dropped:,} dropped"
    if snapshot.file is not None:
        state, counts = (
            f"○ {printable(snapshot.file.name)}",
            f"{counted(snapshot.captured, 'packet')} · {shown:,} shown",
        )
        if snapshot.joined < snapshot.captured:
            counts += f" · joined to {snapshot.joined:,}"
    elif snapshot.capturing:
        state = "● capturing" + (" path" if snapshot.following else "")
    elif snapshot.trouble:
        state = "✖ not capturing"
    else:
        state = "○ starting"
    if paused:
        state = "‖ view paused"
    room = min(width, NORMAL - 1) if snapshot.following and width < WIDE else width  # the path takes the rest
    answering = describe_responder(snapshot.answering, room) if snapshot.answering is not None else ""
    rate = f"   {snapshot.rates[-1]:,}/s" if any(snapshot.rates) else ""
    return f"{state}   {counts}{answering}{rate}"


def describe_responder(answering: Answering, width: int) -> str:
    """State of the responder, the end of a line: what answers where, after how long, and what it refused."""
    name = ENGINE[answering.engine].short
    refused = f", {answering.refused:,} refused" if answering.refused else ""
    if width < NORMAL:
        return f"   ↩ {name} answers in {DELAY:g} s{refused}"
    waits = f", waits {DELAY:g} s"
    if width >= WIDE:
        waits += " for who listens only after sending"
    elif refused:  # there is no room for both
        waits = ""
    return f"   ↩ {name} responder{f' ({answering.host})' if answering.host else ''}{waits}{refused}"
